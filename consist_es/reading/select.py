"""Finds scenarios, steps and artifacts by what people type.

A scenario is ``baseline``, or ``baseline#2`` for an earlier attempt; a step ``demand``, ``baseline/demand`` or
``baseline/demand@2030.1`` (year 2030, iteration 1); an artifact its key, also with scenario and year
(``baseline/trips@2030``), at least six digits of its id or digest, or the name of its file. A run id always means that
run.
"""

import difflib
import re
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from consist_es.errors import MissingKeyError, UsageError
from consist_es.projections import coupler_state, lineage, run_table
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.run_rows import RunRow
from consist_es.reading.found import find_outputs, find_steps
from consist_es.reading.labels import selector
from consist_es.values.digests import CONTENT
from consist_es.views.file import query

_WHEN = re.compile(r"@(\d+)?(?:\.(\d+))?$")
_DIGITS = re.compile(r"[0-9a-f-]{6,}")
_NEAR = 3
_SUGGESTED = 200
"""How many of a scenario's steps are searched for a similar name."""


class Selected(NamedTuple):
    """A run that was asked for, and how many others the text could mean."""

    run: RunRow
    others: int = 0


class SelectedArtifact(NamedTuple):
    """An artifact that was asked for, and how many others the text could mean."""

    artifact: ArtifactRow
    others: int = 0


def scenario(conn: sqlite3.Connection, text: str) -> RunRow:
    """The header run of a scenario.

    Raises:
        MissingKeyError: there is none of that name; suggests similar ones. UsageError: it is a step's run.
    """
    if (found := scenario_or_none(conn, text)) is not None:
        return found
    if (row := run_table.get(conn, text)) is not None:
        above = None if row.scenario_key is None else run_table.by_key(conn, row.scenario_key)
        where = f"It belongs to scenario {above.id!r}: name that." if above else "It ran outside any scenario."
        raise UsageError(f"{text!r} is a run of step {row.name!r}, not a scenario. {where}")
    names = [row.id for row in run_table.find(conn, kind="scenario", limit=_SUGGESTED)]
    raise _missing("scenario", text, names)


def scenario_or_none(conn: sqlite3.Connection, text: str) -> RunRow | None:
    """The header run of a scenario, or None."""
    row = run_table.get(conn, text)
    if row is not None and row.kind == "scenario":
        return row
    return next(iter(run_table.find(conn, kind="scenario", name=text, limit=1)), None)


def step(conn: sqlite3.Connection, text: str) -> Selected:
    """The run of a step; of several the newest.

    Raises:
        MissingKeyError: there is none; suggests similar ones.
    """
    exact = run_table.get(conn, text)
    if exact is not None and exact.kind != "scenario":
        return Selected(exact)
    if (found := _steps(conn, text)) is not None:
        return found
    if exact is not None:
        names = [selector(row, exact.id) for row in run_table.steps(conn, exact.key)]
        raise UsageError(f"{text!r} is a scenario, not a step. {_listed('Its steps', names)}")
    raise _missing("step", text, _known(conn, text))


def scenario_or_step(conn: sqlite3.Connection, text: str) -> Selected:
    """The scenario or step that a text means, for a comparison.

    Raises:
        MissingKeyError: there is none; suggests similar ones. UsageError: it is an artifact.
    """
    found = anything(conn, text)
    if isinstance(found, Selected):
        return found
    raise UsageError(
        f"{text!r} is an artifact: only scenarios and steps are compared. `lineage` shows how it was made."
    )


def anything(conn: sqlite3.Connection, text: str) -> Selected | SelectedArtifact:
    """The scenario, step or artifact that a text means, tried in this order.

    Raises:
        MissingKeyError: there is none; suggests similar ones.
    """
    if (exact := run_table.get(conn, text)) is not None:
        return Selected(exact)
    if (header := scenario_or_none(conn, text)) is not None:
        return Selected(header)
    if (found := _steps(conn, text) or _artifact(conn, text)) is not None:
        return found
    names = [row.id for row in run_table.find(conn, kind="scenario", limit=_SUGGESTED)]
    raise _missing("scenario, step or artifact", text, [*names, *_known(conn, text), *_keys(conn)])


# ---------------------------------------------------------------- scenarios and steps


def _steps(conn: sqlite3.Connection, text: str) -> Selected | None:
    when = _WHEN.search(text)
    for name, year, iteration in _readings(text, when):
        for header, bare in _places(conn, name):
            rows = find_steps(conn, scenario=header, named=bare, year=year, iteration=iteration)
            if rows:
                return Selected(rows[0], len(rows) - 1)
    return None


def _readings(text: str, when: re.Match[str] | None) -> Iterator[tuple[str, int | None, int | None]]:
    """Name, year and iteration; and the whole text as a name, for a name may end like that."""
    if when is not None and when.start() and when.end() > when.start() + 1:
        year, iteration = (None if digits is None else int(digits) for digits in when.groups())
        yield text[: when.start()], year, iteration
    yield text, None, None


def _places(conn: sqlite3.Connection, name: str) -> Iterator[tuple[RunRow | None, str]]:
    """Each way to split a text into a scenario and a step; names may hold slashes themselves."""
    for place in [found.start() for found in re.finditer("/", name)]:
        if (header := scenario_or_none(conn, name[:place])) is not None:
            yield header, name[place + 1 :]
    yield None, name


# ---------------------------------------------------------------- artifacts

_BY_BEGINNING = """
SELECT * FROM artifacts WHERE artifact_id >= ? AND artifact_id < ? ORDER BY created_seq DESC
"""
_BY_DIGEST = "SELECT * FROM artifacts WHERE digest >= ? AND digest < ? ORDER BY created_seq DESC"
_BY_FILE = "SELECT * FROM artifacts WHERE uri = ? OR uri LIKE ? ESCAPE '!' ORDER BY created_seq DESC"


def _artifact(conn: sqlite3.Connection, text: str) -> SelectedArtifact | None:
    if found := lineage.find_artifacts(conn, key=text, limit=None):
        return SelectedArtifact(found[0], len({row.digest for row in found}) - 1)
    digits = text.removeprefix(CONTENT)
    if _DIGITS.fullmatch(digits):
        beginnings = ((_BY_BEGINNING, digits), (_BY_DIGEST, f"{CONTENT}{digits}"))
        for sql, beginning in beginnings:
            if rows := [artifact_row(row) for row in query(conn, sql, (beginning, f"{beginning}~"))]:
                return SelectedArtifact(rows[0], len({row.digest for row in rows}) - 1)
    escaped = re.sub(r"([%_!])", r"!\1", text.removeprefix("./"))
    if rows := [artifact_row(row) for row in query(conn, _BY_FILE, (text, f"%/{escaped}"))]:
        return SelectedArtifact(rows[0], len({row.uri for row in rows}) - 1)
    return _output(conn, text)


def _output(conn: sqlite3.Connection, text: str) -> SelectedArtifact | None:
    """An output by its key, with scenario, year or both; or by the name that a coupler has it under: ``2030/trips``."""
    for name, year, iteration in _readings(text, _WHEN.search(text)):
        for header, key in _places(conn, name):
            if header is None and year is None and iteration is None:
                continue
            found = find_outputs(conn, key, scenario=header, year=year, iteration=iteration)
            if not found and header is not None and year is None and iteration is None:
                found = _in_coupler(conn, header.key, key)
            if found:
                return SelectedArtifact(found[0], len({row.digest for row in found}) - 1)
    held = coupler_state.latest(conn, text)
    row = None if held is None else lineage.artifact(conn, held)
    return None if row is None else SelectedArtifact(row)


def _in_coupler(conn: sqlite3.Connection, scenario: str, key: str) -> list[ArtifactRow]:
    held = coupler_state.state(conn, scenario).get(key)
    row = None if held is None or held.artifact_id is None else lineage.artifact(conn, held.artifact_id)
    return [] if row is None else [row]


# ---------------------------------------------------------------- suggestions


_NAMES = """
WITH newest AS (SELECT name, run_id FROM runs WHERE kind <> 'scenario' ORDER BY started_seq DESC LIMIT 20000)
SELECT name FROM newest UNION SELECT run_id FROM newest
"""


def _known(conn: sqlite3.Connection, text: str) -> list[str]:
    """Selectors of steps in the scenario that a text names, or names and run ids of all steps."""
    for header, _ in _places(conn, text):
        if header is not None:
            found = run_table.steps(conn, header.key)[-_SUGGESTED:]
            return [selector(row, header.id) for row in found]
    return [name for (name,) in query(conn, _NAMES, ())]


def _keys(conn: sqlite3.Connection) -> list[str]:
    sql = "SELECT DISTINCT key FROM (SELECT key FROM artifacts ORDER BY rowid DESC LIMIT 20000)"
    return [key for (key,) in query(conn, sql, ())]


def _missing(what: str, text: str, names: list[str]) -> MissingKeyError:
    near = difflib.get_close_matches(text, dict.fromkeys(names), n=_NEAR)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return MissingKeyError(what, text, near or list(dict.fromkeys(names))[:10], hint)


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return f"{what}: none."
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{what}: {', '.join(names[:10])}{more}."
