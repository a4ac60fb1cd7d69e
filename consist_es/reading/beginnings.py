"""Names that begin like what is being typed, for shells that complete them."""

import re
import sqlite3
from collections.abc import Callable, Iterator

from consist_es.views.file import query

MOST = 200
"""Names offered at once."""
_AFTER = "\U0010ffff"
"""Behind all texts that begin alike."""
_IDS = """
SELECT DISTINCT run_id FROM runs WHERE run_id >= ? AND run_id < ? AND (kind = 'scenario') = ? LIMIT ?
"""
_ATTEMPTS = """
SELECT r.run_id || '#' || r.attempt FROM runs r WHERE run_id = ? AND kind = 'scenario' ORDER BY attempt
"""
_STEPS = """
SELECT DISTINCT r.name, r.year, r.iteration FROM runs r WHERE r.kind <> 'scenario' AND r.scenario_key = (
    SELECT key FROM runs WHERE run_id = ? AND kind = 'scenario' AND (? IS NULL OR attempt = ?)
    ORDER BY attempt DESC LIMIT 1
) ORDER BY r.started_seq
"""
_NAMES = "SELECT DISTINCT name FROM runs WHERE kind <> 'scenario' AND name >= ? AND name < ? LIMIT ?"
_MODELS = "SELECT DISTINCT model FROM runs WHERE kind <> 'scenario' AND model >= ? AND model < ? LIMIT ?"
_KEYS = "SELECT DISTINCT key FROM artifacts WHERE key >= ? AND key < ? LIMIT ?"
_FORMATS = "SELECT DISTINCT driver FROM artifacts WHERE driver >= ? AND driver < ? LIMIT ?"


def beginning(sql: str) -> Callable[[sqlite3.Connection, str], Iterator[str]]:
    """Texts of one query that begin with what was typed."""

    def found(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
        for (text,) in query(conn, sql, (typed, typed + _AFTER, MOST)):
            yield text

    return found


def scenarios(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """Ids of scenarios; behind a ``#`` their attempts."""
    name, numbered, _ = typed.rpartition("#")
    if numbered:
        yield from (text for (text,) in query(conn, _ATTEMPTS, (name,)))
    for (text,) in query(conn, _IDS, (typed, typed + _AFTER, True, MOST)):
        yield text


def steps(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """``baseline/demand@2030.1`` behind a slash; before one, run ids and names of steps."""
    for place in [found.start() for found in re.finditer("/", typed)]:
        scenario = typed[:place]
        for name, year, iteration in query(conn, _STEPS, _attempt(scenario)):
            when = f"{'' if year is None else year}{'' if iteration is None else f'.{iteration}'}"
            yield f"{scenario}/{name}{f'@{when}' if when else ''}"
    for (text,) in query(conn, _IDS, (typed, typed + _AFTER, False, MOST)):
        yield text
    yield from beginning(_NAMES)(conn, typed)


def _attempt(scenario: str) -> tuple[str, int | None, int | None]:
    name, _, number = scenario.rpartition("#")
    attempt = int(number) if name and number.isdecimal() and len(number) < 10 else None
    return (scenario if attempt is None else name), attempt, attempt


def sides(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """Scenarios, then what leads to their steps."""
    yield from scenarios(conn, typed)
    yield from steps(conn, typed)


def anything(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """The same, and keys of artifacts."""
    yield from sides(conn, typed)
    yield from beginning(_KEYS)(conn, typed)


names, models, keys, formats = map(beginning, (_NAMES, _MODELS, _KEYS, _FORMATS))
