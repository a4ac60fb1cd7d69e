"""Runs that meet conditions, with suggestions for values that no run has."""

import difflib
import sqlite3
from typing import Any

from consist_es.errors import MissingKeyError
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.run_rows import RunRow, run_row
from consist_es.reading.outputs import outputs_of
from consist_es.views.file import query

_OUTCOMES = {
    "hit": "status = 'completed' AND cache = 'hit'",
    "demoted": "status = 'completed' AND cache = 'demoted'",
    "imported": "status = 'completed' AND cache = 'imported'",
    "computed": "status = 'completed' AND (cache IS NULL OR cache NOT IN ('hit', 'demoted', 'imported'))",
}
"""Outcome -> condition; the others are statuses."""
_EQUAL = {
    "scenario": "scenario_key = ?",
    "outcome": "status = ?",
    "named": "name = ?",
    **{column: f"{column} = ?" for column in ("name", "model", "year", "iteration", "phase", "status")},
}
_NEWEST_FIRST = "ORDER BY started_seq DESC LIMIT ?"
_OLDEST_FIRST = "ORDER BY started_seq LIMIT ?"
_VALUES = {
    "name": "SELECT DISTINCT name FROM runs WHERE kind <> 'scenario'",
    "model": "SELECT DISTINCT model FROM runs WHERE kind <> 'scenario'",
}


def find_steps(
    conn: sqlite3.Connection,
    *,
    scenario: RunRow | None = None,
    outcome: str | None = None,
    newest_first: bool = True,
    limit: int | None = None,
    **equal: Any,
) -> list[RunRow]:
    """Runs of steps that meet all conditions, in the order of their starts, or the newest first.

    `equal` compares columns: `name`, `model`, `year`, `iteration`, `phase`, `status`; None does not filter. `named` is
    a name that need not exist.

    Raises:
        MissingKeyError: no run at all has that name or model; suggests similar ones.
    """
    asked = {"scenario": None if scenario is None else scenario.key, **equal}
    if outcome is not None and outcome not in _OUTCOMES:
        asked["outcome"] = outcome  # a status
    given = {name: value for name, value in asked.items() if value is not None}
    clauses = ["kind <> 'scenario'", *(_EQUAL[name] for name in given), *filter(None, [_OUTCOMES.get(outcome or "")])]
    order = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
    parts = ("SELECT * FROM runs WHERE", " AND ".join(clauses), order)
    rows = query(conn, " ".join(parts), (*given.values(), -1 if limit is None else limit))
    found = [run_row(row) for row in rows]
    if not found:
        _check(conn, equal)
    return found


def find_outputs(
    conn: sqlite3.Connection,
    key: str | None = None,
    *,
    scenario: RunRow | None = None,
    year: int | None = None,
    iteration: int | None = None,
) -> list[ArtifactRow]:
    """Outputs of steps, those that a hit gave too, each once, of the newest run first; of one `key`, or all."""
    runs = [row.key for row in find_steps(conn, scenario=scenario, year=year, iteration=iteration)]
    outputs = outputs_of(conn, runs)
    found = [row for run in runs for name, row in outputs.get(run, {}).items() if key in (None, name, row.key)]
    return list({row.artifact_id: row for row in found}.values())


def _check(conn: sqlite3.Connection, equal: dict[str, Any]) -> None:
    for column, sql in _VALUES.items():
        if (value := equal.get(column)) is not None:
            there = [name for (name,) in query(conn, sql, ())]
            if value not in there:
                near = difflib.get_close_matches(value, there, n=3)
                hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
                raise MissingKeyError("step" if column == "name" else column, value, near or there[:10], hint)
