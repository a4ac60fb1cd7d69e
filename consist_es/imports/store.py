"""What is in a record of LBNL's consist: rows of its tables, as plain values, whatever of them is there.

The record is a DuckDB file, or a run directory with such files and one JSON file for each run. Nothing in it is
changed, and of the database only tables are read: views in it could read any file.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from consist_es.errors import ImportStoreError, MissingExtraError
from consist_es.text import counted

Row = dict[str, Any]
"""Column -> value: text, a number, or what its JSON says; times in microseconds since 1970."""
_TABLES = {
    "run": ("id",),
    "artifact": ("id",),
    "run_artifact_link": ("run_id", "artifact_id"),
    "config_facet": ("id",),
    "artifact_facet": ("id",),
    "artifact_schema_field": ("schema_id",),
    "artifact_schema_observation": ("artifact_id",),
}
"""Table -> the columns without which a row says nothing."""
_DERIVED = frozenset({"artifact_content", "artifact_kv", "run_config_kv"})
"""Tables made from those above."""
_JSON = frozenset({"meta", "tags", "json", "facet_json"})
_MAGIC = (8, b"DUCK")
"""Where DuckDB says in its files that they are its own, and how."""
SNAPSHOTS = "consist_runs"
"""Folder of the JSON files in a run directory."""
_LARGEST = 256 << 20
"""Bytes of a JSON file; a larger one is no snapshot of a run."""


class Store(msgspec.Struct):
    """Rows by table, the snapshots of runs by run id, and what could not be read."""

    place: Path
    tables: dict[str, list[Row]]
    snapshots: dict[str, Row] = {}
    problems: list[str] = []
    left_out: dict[str, int] = {}
    """Table that is not imported -> its rows."""


def read_store(place: Path) -> Store:
    """Read a DuckDB file, or a run directory.

    Raises:
        ImportStoreError: nothing there is a record of consist, or it cannot be read. MissingExtraError: duckdb is not
            installed.
    """
    store = Store(place, {name: [] for name in _TABLES}, {}, [], {})
    if place.is_dir():
        databases = sorted(filter(_is_database, place.iterdir()))
        folders = [place / SNAPSHOTS]
    elif place.is_file():
        databases = [place]
        folders = []
    else:
        raise ImportStoreError(place, "it is not there")
    for path in databases:
        _read_database(path, store, alone=len(databases) == 1 and not place.is_dir())
    folders += [Path(folder) / SNAPSHOTS for folder in _run_dirs(store.tables["run"])]
    for folder in dict.fromkeys(folders):
        _read_snapshots(folder, store)
    if not place.is_dir():  # runs of other databases may share the run directory
        known = {str(row["id"]) for row in store.tables["run"]}
        store.snapshots = {run_id: found for run_id, found in store.snapshots.items() if run_id in known}
    if not store.tables["run"] and not store.snapshots:
        raise ImportStoreError(place, "there is no run of consist in it")
    return store


def _is_database(path: Path) -> bool:
    start, magic = _MAGIC
    try:
        with path.open("rb") as file:
            return path.is_file() and file.read(start + len(magic))[start:] == magic
    except OSError:
        return False


def _run_dirs(runs: Iterable[Row]) -> Iterator[str]:
    for row in runs:
        folder = row.get("meta", {}).get("_physical_run_dir") if isinstance(row.get("meta"), dict) else None
        if isinstance(folder, str) and folder and "\0" not in folder:
            yield folder


# ---------------------------------------------------------------- the database


def _read_database(path: Path, store: Store, *, alone: bool) -> None:
    try:
        duckdb: Any = importlib.import_module("duckdb")
    except ImportError as error:
        raise MissingExtraError(f"Reading {path}", "duckdb", "duckdb") from error
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise ImportStoreError(path, "DuckDB opens no path that is not UTF-8: rename it, or link to it") from error
    try:
        # what a file says can neither reach other files nor load code
        closed = {"enable_external_access": "false", "autoload_known_extensions": "false"}
        with duckdb.connect(str(path), read_only=True, config=closed) as conn:
            known = _columns(conn)
            if "run" not in known and not alone:
                return
            if "run" not in known:
                raise ImportStoreError(path, "it has no table 'run'")
            for name, needed in _TABLES.items():
                if name in known:
                    _read_table(conn, path, name, known[name], needed, store)
            for name in sorted(known.keys() - _TABLES.keys() - _DERIVED):
                ((count,),) = conn.table(_quoted(name)).aggregate("count(*)").fetchall()
                if count:
                    store.left_out[name] = store.left_out.get(name, 0) + count
    except (duckdb.Error, UnicodeError) as error:
        said = str(error).partition("\n")[0]
        raise ImportStoreError(path, f"DuckDB cannot read it: {said}", busy="lock" in said.lower()) from error


def _columns(conn: Any) -> dict[str, dict[str, str]]:
    """Table -> column -> its type; of the main schema, without views."""
    sql = """SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
        JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE t.table_type = 'BASE TABLE' AND table_schema = 'main' ORDER BY ordinal_position"""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in conn.execute(sql).fetchall():
        found.setdefault(table, {})[column] = kind
    return found


def _read_table(
    conn: Any, path: Path, name: str, columns: dict[str, str], needed: tuple[str, ...], store: Store
) -> None:
    if lacking := [column for column in needed if column not in columns]:
        store.problems.append(f"{path.name}: table {name} has no column {', '.join(lacking)}: not imported")
        return
    asked = ", ".join(_asked(column, kind) for column, kind in columns.items())
    bad = 0
    for values in conn.table(_quoted(name)).project(asked).fetchall():
        row = dict(zip(columns, values, strict=True))
        if any(row[column] in (None, "") for column in needed):
            bad += 1
            continue
        store.tables[name].append({column: _value(column, value) for column, value in row.items()})
    if bad:
        store.problems.append(
            f"{path.name}: {counted(bad, 'row')} of table {name} without {' and '.join(needed)}: not imported"
        )


def _asked(column: str, kind: str) -> str:
    """A column as a plain value: times in microseconds, numbers as they are, all others as text."""
    name = _quoted(column)
    if kind.startswith("TIMESTAMP"):
        return f"epoch_us({name})"
    return name if kind in ("INTEGER", "BIGINT", "BOOLEAN", "DOUBLE", "FLOAT") else f"CAST({name} AS VARCHAR)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _value(column: str, value: Any) -> Any:
    if column not in _JSON or not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # kept as its text


# ---------------------------------------------------------------- snapshots


def _read_snapshots(folder: Path, store: Store) -> None:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:
        return  # there need not be any
    for path in paths:
        try:
            found = json.loads(path.read_bytes()) if path.stat().st_size <= _LARGEST else None
        except (OSError, ValueError, RecursionError) as error:
            store.problems.append(f"{path}: not a snapshot that can be read: {error}")
            continue
        run = found.get("run") if isinstance(found, dict) else None
        if found is None or not isinstance(run, dict) or not isinstance(run.get("id"), str) or not run["id"]:
            store.problems.append(f"{path}: not the snapshot of a run")
        else:
            store.snapshots.setdefault(run["id"], found)
