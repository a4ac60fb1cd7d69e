"""Queries with several conditions: the rarest one finds the rows, through its index, and the others are checked.

SQLite keeps no statistics here, for views have to be the same wherever they are built: it cannot tell a condition that
nearly every row meets from one that none does.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from consist_es.views.file import query

COMMON = 1000
"""Number of rows up to which matches are counted: of conditions that more rows meet, the first is taken."""


class Sql(NamedTuple):
    """A part of a query, with the values of its question marks."""

    text: str
    values: tuple[Any, ...] = ()


class Condition(NamedTuple):
    """One condition on the rows of a table."""

    holds: Sql
    """The condition itself, for a row that was found otherwise."""
    source: Sql
    """``FROM … WHERE …``: the rows that meet it, by their index."""
    order: str
    """The position to sort those by, newest first without sorting."""
    matches: Sql
    """``SELECT 1 …``: one row for each of them, from the index alone."""


def condition(source: str, order: str, values: tuple[Any, ...]) -> Condition:
    """A condition on columns of one table, from its ``FROM … WHERE …``."""
    holds, matches = source.partition(" WHERE ")[2], " ".join(("SELECT 1", source))
    return Condition(Sql(holds, values), Sql(source, values), order, Sql(matches, values))


def newest(
    conn: sqlite3.Connection,
    columns: str,
    everything: tuple[str, str],
    conditions: Sequence[Condition],
    limit: int | None,
) -> list[tuple[Any, ...]]:
    """The rows that meet all conditions, newest first. `everything`: source and order if there is no condition."""
    where, order = _where(conn, everything, conditions)
    parts = ("SELECT", columns, where.text, "ORDER BY", order, "DESC LIMIT ?")
    return query(conn, " ".join(parts), (*where.values, -1 if limit is None else limit))


def how_many(conn: sqlite3.Connection, everything: tuple[str, str], conditions: Sequence[Condition]) -> int:
    """The number of rows that `newest` gives without a limit."""
    where, _ = _where(conn, everything, conditions)
    ((number,),) = query(conn, " ".join(("SELECT count(*)", where.text)), where.values)
    return int(number)


def _where(conn: sqlite3.Connection, everything: tuple[str, str], conditions: Sequence[Condition]) -> tuple[Sql, str]:
    """``FROM … WHERE …`` for all conditions, and the order."""
    source, order, others = Sql(everything[0]), everything[1], list(conditions)
    if conditions:
        leading = others.pop(_rarest(conn, conditions))
        source, order = leading.source, leading.order
    text = " AND ".join((source.text, *(other.holds.text for other in others)))
    return Sql(text, (*source.values, *(value for other in others for value in other.holds.values))), order


def _rarest(conn: sqlite3.Connection, conditions: Sequence[Condition]) -> int:
    """Index of the condition that the fewest rows meet."""
    if len(conditions) == 1:
        return 0
    counts = [_count(conn, each.matches) for each in conditions]
    return counts.index(min(counts))


def _count(conn: sqlite3.Connection, matches: Sql) -> int:
    parts = ("SELECT count(*) FROM (", matches.text, "LIMIT ?)")
    ((number,),) = query(conn, " ".join(parts), (*matches.values, COMMON))
    return int(number)
