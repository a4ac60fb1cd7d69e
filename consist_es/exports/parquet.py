"""The SQL views as Parquet files (https://parquet.apache.org), one for each, for DuckDB, polars and pandas."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from consist_es.reading.walk import Walk
from consist_es.views.file import query, streamed

ROWS = 20_000
"""Rows of a group: as many are in memory at once."""
_TYPES = {
    **dict.fromkeys(("year", "iteration", "attempt", "steps", "hits", "failed"), pa.int64()),
    **dict.fromkeys(("rows", "bytes", "size", "records", "used_by"), pa.int64()),
    **dict.fromkeys(("seconds", "saved_seconds"), pa.float64()),
    **dict.fromkeys(("started_at", "ended_at", "created_at", "first_recorded"), pa.timestamp("us", tz="UTC")),
}
"""Types of the columns that are no text."""

TABLES = {
    "scenarios": """
    SELECT s.scenario, s.name, s.attempt, s.status, s.started_at, s.ended_at, s.seconds, s.description, s.steps, s.hits,
        s.failed, r.config, r.facet, r.tags, s.scenario_key
    FROM scenarios s JOIN runs r ON r.key = s.scenario_key
    WHERE ?1 OR s.scenario_key IN (SELECT value FROM json_each(?2)) ORDER BY s.started_seq
    """,
    "steps": """
    SELECT s.run, s.scenario, s.step, s.year, s.iteration, s.phase, s.stage, s.model, s.outcome, s.seconds,
        s.saved_seconds, s.reason, s.source, s.started_at, s.ended_at, s.error_type, s.error_message, s.function,
        s.fingerprint, r.cache_differs AS differs, r.config, r.facet, r.tags, s.run_key, s.scenario_key
    FROM steps s JOIN runs r ON r.key = s.run_key
    WHERE ?1 OR s.scenario_key IN (SELECT value FROM json_each(?2)) ORDER BY s.started_seq
    """,
    "files": """
    SELECT f.uri, f.digest, f.key, f.driver, f.rows, f.bytes, f.made_by, f.records, f.used_by, f.first_recorded
    FROM files f WHERE ?1 OR EXISTS (
        SELECT 1 FROM artifacts a JOIN links l ON l.artifact_id = a.artifact_id JOIN runs r ON r.key = l.run_key
        WHERE a.uri = f.uri AND a.digest IS f.digest AND r.scenario_key IN (SELECT value FROM json_each(?2)))
    ORDER BY f.uri, f.digest
    """,
    "artifacts": """
    SELECT a.artifact_id, a.key, a.uri, a.root, a.kind, a.driver, a.digest, a.size, a.rows, a.table_path, a.array_path,
        a.schema, a.facet, p.id AS made_by, a.created_at, a.producer_key
    FROM artifacts a LEFT JOIN runs p ON p.key = a.producer_key WHERE ?1 OR EXISTS (
        SELECT 1 FROM links l JOIN runs r ON r.key = l.run_key
        WHERE l.artifact_id = a.artifact_id AND r.scenario_key IN (SELECT value FROM json_each(?2)))
    ORDER BY a.rowid
    """,
    "run_inputs": """
    SELECT i.run, i.role, i.key, i.uri, i.digest, i.kind, i.producer, i.via, i.run_key, i.artifact_id
    FROM runs r JOIN run_inputs i ON i.run_key = r.key
    WHERE ?1 OR r.scenario_key IN (SELECT value FROM json_each(?2)) ORDER BY r.started_seq, i.role, i.artifact_id
    """,
    "run_outputs": """
    SELECT o.run, o.key, o.uri, o.digest, o.kind, o.size, o.producer, o.via, o.run_key, o.artifact_id
    FROM runs r JOIN run_outputs o ON o.run_key = r.key
    WHERE ?1 OR r.scenario_key IN (SELECT value FROM json_each(?2)) ORDER BY r.started_seq, o.key, o.artifact_id
    """,
    "copies": """
    SELECT c.artifact_id, c.key, c.uri, c.root, c.recovery_root, c.digest, c.how, r.id AS made_by, c.at, c.run_key
    FROM copies c LEFT JOIN runs r ON r.key = c.run_key
    WHERE ?1 OR r.scenario_key IN (SELECT value FROM json_each(?2)) ORDER BY c.seq
    """,
}
"""File -> its rows; parameters: whether all are wanted, and the scenarios as a JSON list."""
_HEAD = "SELECT seq FROM checkpoint"


def write(walk: Walk, folder: Path, tick: Callable[[], None]) -> None:
    """Write a file for each of `TABLES`."""
    about = {"consist-es.project": walk.project, "consist-es.events": str(query(walk.conn, _HEAD)[0][0])}
    for name, sql in TABLES.items():
        _table(walk, folder / f"{name}.parquet", sql, about)
    for _ in range(len(walk)):
        tick()


def strange(folder: Path) -> Path | None:
    """A file in a folder that is none of `TABLES`; None if all are."""
    known = {folder / f"{name}.parquet" for name in TABLES}
    return next((file for file in sorted(folder.iterdir()) if file not in known), None)


def _table(walk: Walk, path: Path, sql: str, about: dict[str, str]) -> None:
    wanted = (walk.whole, walk.keys[0] if walk.keys else "[]")
    names = _columns(walk.conn, sql, wanted)
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in names], metadata=about)
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in _groups(streamed(walk.conn, sql, wanted)):
            columns = [
                _column(list(column), field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            file.write_batch(pa.record_batch(columns, schema=schema))


def _columns(conn: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[str]:
    """Names of a query's columns."""
    return [column[0] for column in conn.execute(sql, values).description]


def _groups(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    found: list[tuple[Any, ...]] = []
    for row in rows:
        found.append(row)
        if len(found) == ROWS:
            yield found
            found = []
    if found:
        yield found


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        return pa.array(values, type=pa.string()).cast(kind)
    return pa.array(values, type=kind)
