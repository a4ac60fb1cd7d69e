"""Sweeps: a function run over many rows, what became of them, and which rows have no outcome."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from consist_es.events import Recorded, SweepEnded, SweepStarted
from consist_es.projections.plumbing import from_text, to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

name = "sweeps"
version = 1
tables: tuple[str, ...] = ("sweeps",)


class SweepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep; the columns from `ended_at` on are None until it ends."""

    sweep: str
    scenario_key: str | None
    name: str
    rows: int
    ids: list[str]
    executor: str
    writer: str
    started_at: str
    seq: int
    ended_at: str | None
    seconds: float | None
    computed: int | None
    hits: int | None
    failed: int | None
    lost: int | None
    waiting: int | None


class Missing(msgspec.Struct, frozen=True):
    """The rows of a sweep that no completed run stands for."""

    count: int
    ids: list[str]
    """The first of them."""


def create(db: Database) -> None:
    """Make the table."""
    what: dict[str, type] = {"sweep": str, "scenario_key": str, "name": str, "rows": int, "ids": str, "executor": str}
    times: dict[str, type] = {"writer": str, "started_at": str, "seq": int, "ended_at": str, "seconds": float}
    counts: dict[str, type] = dict.fromkeys(("computed", "hits", "failed", "lost", "waiting"), int)
    references = {"scenario_key": ("runs", "key"), "writer": ("writers", "writer")}
    create_table(db, "sweeps", {**what, **times, **counts}, pk="sweep", references=references)


def index(db: Database) -> None:
    """Make the index by scenario."""
    create_index(db, "sweeps", ["scenario_key", "seq"], "sweeps_by_scenario")


_STARTED = """
INSERT INTO sweeps (sweep, scenario_key, name, rows, ids, executor, writer, started_at, seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_ENDED = """
UPDATE sweeps SET ended_at = ?, seconds = ?, computed = ?, hits = ?, failed = ?, lost = ?, waiting = ? WHERE sweep = ?
"""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    handler = _FOLDS.get(type(recorded.event))
    return handler(recorded, recorded.event) if handler else ()


def _started(recorded: Recorded, event: SweepStarted) -> list[Statement]:
    what = (event.sweep, recorded.scenario, event.name, event.rows, to_text(event.ids), event.executor)
    return [(_STARTED, (*what, recorded.by, recorded.time, recorded.seq))]


def _ended(recorded: Recorded, event: SweepEnded) -> list[Statement]:
    counts = (event.computed, event.hits, event.failed, event.lost, event.waiting)
    return [(_ENDED, (recorded.time, event.seconds, *counts, event.sweep))]


_FOLDS: dict[type, Callable[[Recorded, Any], list[Statement]]] = {SweepStarted: _started, SweepEnded: _ended}
TAKES = frozenset(_FOLDS)


def of_scenario(conn: sqlite3.Connection, scenario_key: str) -> list[SweepRow]:
    """The sweeps of a scenario, in their order."""
    sql = """
        SELECT sweep, scenario_key, name, rows, ids, executor, writer, started_at, seq, ended_at, seconds, computed,
            hits, failed, lost, waiting FROM sweeps WHERE scenario_key = ? ORDER BY seq
    """
    return [_row(values) for values in query(conn, sql, (scenario_key,))]


def _row(values: tuple[Any, ...]) -> SweepRow:
    row = dict(zip(SweepRow.__struct_fields__, values, strict=True))
    return SweepRow(**{**row, "ids": from_text(row["ids"], [])})


_DONE = "SELECT sweep_row FROM runs WHERE sweep = ? AND status = 'completed'"


def missing(conn: sqlite3.Connection, sweep: SweepRow, most: int) -> Missing:
    """The rows of a sweep without a completed run, and the ids of at most this many of them."""
    done = {row for (row,) in query(conn, _DONE, (sweep.sweep,))}
    lacking = [row for row in sweep.ids if row not in done]
    return Missing(len(lacking), lacking[:most])
