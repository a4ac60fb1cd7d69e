"""Lines of lists: runs, scenarios and artifacts, each as one flat row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from consist_es.projections import run_table, sweeps
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.imported import IMPORTED
from consist_es.projections.lineage_tree import users as users
from consist_es.projections.origins import writer_details
from consist_es.projections.run_rows import RunRow, ScenarioRow, in_words
from consist_es.reading.causes import Causes
from consist_es.reading.labels import label, outcome
from consist_es.runs.why import imported_from
from consist_es.text import counted, first_line

RUN_COLUMNS = (
    "outcome", "step", "scenario", "seconds", "because", "run", "name", "year", "iteration", "phase", "stage", "model",
    "status", "reason", "source", "saved_seconds", "started", "ended", "function", "fingerprint",
)  # fmt: skip
SCENARIO_COLUMNS = (
    "scenario", "status", "steps", "hits", "failed", "running", "seconds", "started", "ended", "description", "name",
    "attempt", "sweeps",
)  # fmt: skip
ARTIFACT_COLUMNS = (
    "key", "format", "rows", "size", "made_by", "used_by", "uri", "digest", "artifact", "created",
)  # fmt: skip


class Listing:
    """Makes rows; looks up each scenario and each source of a hit once."""

    def __init__(self, conn: sqlite3.Connection, rows: Iterable[RunRow] = ()) -> None:
        self._conn = conn
        self._causes = Causes(conn, rows)
        self._ids: dict[str, str] = {}
        self._sources: dict[str, RunRow | None] = {}

    def run(self, row: RunRow) -> dict[str, Any]:
        """A row with `RUN_COLUMNS`."""
        source = self._source(row)
        saved = None
        if row.cache == "hit" and source is not None and source.seconds is not None:
            saved = max(0.0, source.seconds - (row.seconds or 0.0))
        return {
            "outcome": outcome(row),
            "step": label(row),
            "scenario": None if row.scenario_key is None else self._id(row.scenario_key),
            "seconds": row.seconds,
            "because": self._because(row, source),
            "run": row.id,
            "name": row.name,
            "year": row.year,
            "iteration": row.iteration,
            "phase": row.phase,
            "stage": row.stage,
            "model": row.model,
            "status": row.status,
            "reason": row.cache_reason,
            "source": None if source is None else source.id,
            "saved_seconds": saved,
            "started": row.started_at,
            "ended": row.ended_at,
            "function": row.function,
            "fingerprint": row.fingerprint,
        }

    def scenario(self, row: ScenarioRow) -> dict[str, Any]:
        """A row with `SCENARIO_COLUMNS`; `seconds` is the time from entering to leaving it."""
        header = row.header
        return {
            "scenario": header.id,
            "status": header.status,
            "steps": row.steps,
            "hits": row.hits,
            "failed": row.failed,
            "running": row.running,
            "seconds": header.seconds,
            "started": header.started_at,
            "ended": header.ended_at,
            "description": "; ".join(filter(None, (header.description, *imported_from(header)))) or None,
            "name": header.name,
            "attempt": header.attempt,
            "sweeps": self._sweeps(header),
        }

    def _sweeps(self, header: RunRow) -> str:
        """The names of a scenario's sweeps with their numbers of rows: ``assign (120 rows)``."""
        found = sweeps.of_scenario(self._conn, header.key)
        return ", ".join(f"{sweep.name} ({counted(sweep.rows, 'row')})" for sweep in found)

    def artifact(self, row: ArtifactRow) -> dict[str, Any]:
        """A row with `ARTIFACT_COLUMNS`; `used_by` counts the steps that used it."""
        maker = None if row.producer_key is None else run_table.by_key(self._conn, row.producer_key)
        return {
            "key": row.key,
            "format": row.driver,
            "rows": row.rows,
            "size": row.size,
            "made_by": None if maker is None else maker.id,
            "used_by": len(users(self._conn, row)),
            "uri": row.uri,
            "digest": row.digest,
            "artifact": row.artifact_id,
            "created": row.created_at,
        }

    def _because(self, row: RunRow, source: RunRow | None) -> str:
        if row.error_message is not None:
            said = first_line(row.error_message)
            return f"{row.error_type}: {said}" if row.error_type else said
        if row.cache == "hit":
            return "" if source is None else source.id
        if row.cache == IMPORTED:
            return "; ".join(imported_from(row))
        if row.status == "running":
            writer = writer_details(self._conn, row.writer)
            return f"by {row.writer if writer is None else in_words(writer)}"
        return "; ".join(cause.what for cause in self._causes.of(row))

    def _source(self, row: RunRow) -> RunRow | None:
        key = row.cache_source_key
        if key is None:
            return None
        if key not in self._sources:
            self._sources[key] = run_table.by_key(self._conn, key)
        return self._sources[key]

    def _id(self, key: str) -> str:
        if key not in self._ids:
            self._ids[key] = run_table.id_of(self._conn, key)
        return self._ids[key]
