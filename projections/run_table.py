"""The run table: every scenario, step and trace with its inputs and its outcome.

A readable run id may be used again; each use is an attempt, numbered by the order in the log. `runs.id` is the run id
for the first attempt and ``run_id#n`` for later ones. A run id that itself ends with ``#`` and a number always gets its
own number appended, so that ids stay unique.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.projections import rarest, run_filters, run_meta, shared_values
from consist_es.projections.plumbing import first
from consist_es.projections.run_fold import NUMBERED as NUMBERED
from consist_es.projections.run_fold import TAKES as TAKES
from consist_es.projections.run_fold import fold as fold
from consist_es.projections.run_fold import fold_group as fold_group
from consist_es.projections.run_rows import (
    RunRow,
    ScenarioRow,
    StepCounts,
    StepSummary,
    run_row,
)
from consist_es.projections.run_schema import create as create
from consist_es.projections.run_schema import index as index
from consist_es.views.file import query

name = "run_table"
version = 14
tables: tuple[str, ...] = (
    "runs",
    "run_tags",
    "run_facets",
    run_meta.TABLE,
    "writers",
    "environments",
    *shared_values.TABLES,
)


# ---------------------------------------------------------------- queries


def _runs(conn: sqlite3.Connection, sql: str, values: Iterable[Any]) -> list[RunRow]:
    return [run_row(row) for row in query(conn, sql, tuple(values))]


def get(conn: sqlite3.Connection, ref: str) -> RunRow | None:
    """The run that `ref` names, or None.

    `ref` is a run id (its latest attempt), ``run_id#n`` (its n-th attempt; ``#1`` is the first), or a run's key.
    """
    run_id, _, number = ref.rpartition("#")
    if run_id and number.isdecimal() and len(number) < 10:
        exact = "SELECT * FROM runs WHERE run_id = ? AND attempt = ?"
        if found := _runs(conn, exact, (run_id, int(number))):
            return found[0]
    latest = "SELECT * FROM runs WHERE run_id = ? ORDER BY attempt DESC LIMIT 1"
    return first(_runs(conn, latest, (ref,))) or by_key(conn, ref)


def by_key(conn: sqlite3.Connection, key: str) -> RunRow | None:
    """The run with this key, or None."""
    found = _runs(conn, "SELECT * FROM runs WHERE key = ?", (key,))
    return found[0] if found else None


def id_of(conn: sqlite3.Connection, key: str) -> str:
    """The readable id of the run with this key, or the key itself if unknown."""
    found = query(conn, "SELECT id FROM runs WHERE key = ?", (key,))
    return str(found[0][0]) if found else key


def attempts(conn: sqlite3.Connection, run_id: str) -> list[RunRow]:
    """Every attempt of this run id, in order."""
    return _runs(conn, "SELECT * FROM runs WHERE run_id = ? ORDER BY attempt", (run_id,))


def find(conn: sqlite3.Connection, *, limit: int | None = 100, **filters: Any) -> list[RunRow]:
    """Runs that meet all conditions, newest first.

    `tags`: has all of them. `parent`, `scenario`: references as for `get`; a scenario's own header run is not among
    its runs. `facet`: dotted key -> value. `metadata`: key -> value. `limit`: None for all. The others compare a
    column: `year`, `iteration`, `stage`, `phase`, `model`, `status`, `name`, `kind`; None does not filter.

    Raises:
        OptionError: an unknown filter.
        ConfigTypeError: a facet or metadata value that cannot have been recorded.
    """
    return [run_row(row) for row in rarest.newest(conn, "runs.*", run_filters.EVERYTHING, _met(conn, filters), limit)]


def how_many(conn: sqlite3.Connection, **filters: Any) -> int:
    """The number of runs that `find` gives without a limit."""
    return rarest.how_many(conn, run_filters.EVERYTHING, _met(conn, filters))


def _met(conn: sqlite3.Connection, filters: Mapping[str, Any]) -> list[rarest.Condition]:
    return run_filters.conditions(lambda ref: named.key if (named := get(conn, ref)) else "", **filters)


def steps(conn: sqlite3.Connection, scenario_key: str) -> list[RunRow]:
    """The runs of a scenario in the order of their starts, without its header."""
    sql = "SELECT * FROM runs WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq"
    return _runs(conn, sql, (scenario_key,))


def last_step(conn: sqlite3.Connection, scenario_key: str) -> RunRow | None:
    """The run of a scenario that started last, or None if none has."""
    sql = "SELECT * FROM runs WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq DESC LIMIT 1"
    return first(_runs(conn, sql, (scenario_key,)))


def of_sweep(conn: sqlite3.Connection, sweep: str) -> list[RunRow]:
    """The runs of a sweep's rows, in the order of their starts."""
    return _runs(conn, "SELECT * FROM runs WHERE sweep = ? ORDER BY started_seq", (sweep,))


_SUMMARIES = """
SELECT id, name, model, status, cache, description, started_at, ended_at, seconds FROM runs
WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq
"""


def step_summaries(conn: sqlite3.Connection, scenario_key: str) -> list[StepSummary]:
    """As `steps`, with the columns that tell how each went: a scenario may have thousands."""
    return [StepSummary(*row) for row in query(conn, _SUMMARIES, (scenario_key,))]


def counts(conn: sqlite3.Connection, scenario_key: str) -> StepCounts:
    """Counts over the steps of a scenario."""
    return StepCounts(*query(conn, _COUNTS, (scenario_key,))[0])


def started_since(conn: sqlite3.Connection, seq: int) -> list[RunRow]:
    """Steps and traces started after this position."""
    return _runs(conn, "SELECT * FROM runs WHERE started_seq > ? AND kind <> 'scenario' ORDER BY started_seq", (seq,))


def running(conn: sqlite3.Connection) -> list[RunRow]:
    """Running runs, oldest first."""
    return _runs(conn, "SELECT * FROM runs WHERE status = 'running' ORDER BY started_seq", ())


_COUNTS = """
SELECT count(*), count(CASE WHEN cache = 'hit' THEN 1 END),
    count(CASE WHEN status IN ('failed', 'interrupted', 'abandoned') THEN 1 END),
    count(CASE WHEN status = 'running' THEN 1 END), coalesce(sum(seconds), 0.0)
FROM runs WHERE scenario_key = ? AND kind <> 'scenario'
"""


def scenarios(conn: sqlite3.Connection, limit: int | None = 100) -> list[ScenarioRow]:
    """Scenarios with counts over their steps, newest first."""
    headers = find(conn, kind="scenario", limit=limit)
    return [ScenarioRow(header=header, **counts(conn, header.key)._asdict()) for header in headers]
