"""Compares two view files row for row."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

Row = tuple[Any, ...]
Difference = tuple[str, Row]
"""``("live", row)`` or ``("other", row)``: a row in only this file."""


DIFFERENCES = 100
"""Most differing rows per table in `compared`."""


def compared(live: sqlite3.Connection, other: sqlite3.Connection, names: Iterable[str]) -> dict[str, list[Difference]]:
    """The differing tables of these names, with the rows in only one file, at most `DIFFERENCES` of each."""
    found = {}
    for table in names:
        if different := list(itertools.islice(differences(dump(live, table), dump(other, table)), DIFFERENCES)):
            found[table] = different
    return found


def dump(conn: sqlite3.Connection, table: str) -> Iterator[Row]:
    """All rows of a table, ordered by their values alone."""
    import sqlite_utils

    columns = sqlite_utils.Database(conn)[table].columns if table in tables(conn) else []
    order = ", ".join(str(place + 1) for place in range(len(columns)))
    for row in sqlite_utils.Database(conn)[table].rows_where(order_by=order or None):
        yield tuple(row.values())


def tables(conn: sqlite3.Connection) -> set[str]:
    return {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def acts_by_itself(conn: sqlite3.Connection) -> bool:
    """True if the file has triggers or virtual tables, which act when a table is read or written.

    We make none, and our own queries would run a stranger's. Users' own views are harmless.
    """
    made = "SELECT 1 FROM sqlite_master WHERE type = 'trigger' OR sql LIKE 'create virtual%' LIMIT 1"
    return conn.execute(made).fetchone() is not None


def counts(conn: sqlite3.Connection) -> dict[str, int]:
    """Table -> number of rows."""
    import sqlite_utils

    return {name: sqlite_utils.Database(conn)[name].count for name in sorted(tables(conn))}


def keys(conn: sqlite3.Connection, table: str) -> tuple[list[str], list[str]]:
    """The columns of a table, and its primary key."""
    import sqlite_utils

    found = sqlite_utils.Database(conn).table(table)
    return [column.name for column in found.columns], list(found.pks)


def differences(live: Iterator[Row], other: Iterator[Row]) -> Iterator[Difference]:
    """Walk two sorted dumps side by side and yield the rows in only one of them."""
    mine, theirs = next(live, None), next(other, None)
    while mine is not None or theirs is not None:
        if mine is not None and (theirs is None or _rank(mine) < _rank(theirs)):
            yield "live", mine
            mine = next(live, None)
        elif theirs is not None and (mine is None or _rank(theirs) < _rank(mine)):
            yield "other", theirs
            theirs = next(other, None)
        else:
            mine, theirs = next(live, None), next(other, None)


def _rank(row: Row) -> tuple[Any, ...]:
    """SQLite's order of values: NULL, numbers, text, bytes; equal numbers of different types differ."""
    return tuple((0,) if cell is None else (_CLASS.get(type(cell), 1), cell, type(cell).__name__) for cell in row)


_CLASS: dict[type, int] = {str: 2, bytes: 3}
