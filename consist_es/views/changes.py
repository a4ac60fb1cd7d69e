"""Detects changes that other programs' SQL made to a view file.

Queries trust the views, so a table without half of its rows would be lost history. The row counts of the tables with
history are written in the transaction that changes them, and a digest of the schema when the file is made. Both are
compared when a process opens the file, and if the file was written without moving the checkpoint, which no process of
ours does. Changed values show where they matter: a hit is compared with the log.
"""

import sqlite3
from collections.abc import Collection, Mapping

import msgspec
from blake3 import blake3

from consist_es.errors import LogMismatchError
from consist_es.events import Cursor
from consist_es.views.compare import acts_by_itself, tables
from consist_es.views.file import query
from consist_es.views.tables import reached

COUNTED = ("runs", "artifacts", "links", "cache_index")
"""Tables with counted rows: runs, artifacts, and cache entries."""

CHANGED = "had another schema than consist-es made"
ANOTHER_VERSION = "were made by another version of consist-es, or changed"
LOST = "did not have the rows that they should have"

SCHEMA, OBJECTS = "schema", "objects"
"""Keys of table ``meta``."""

_ROWS = "SELECT rows FROM checkpoint WHERE id = 1"
_SET_ROWS = "UPDATE checkpoint SET rows = ? WHERE id = 1"
_COUNTS = {
    "runs": "SELECT count(*) FROM runs",
    "artifacts": "SELECT count(*) FROM artifacts",
    "links": "SELECT count(*) FROM links",
    "cache_index": "SELECT count(*) FROM cache_index",
}
_SQL = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"


def count_on(conn: sqlite3.Connection, grown: Mapping[str, int]) -> None:
    """Add to the stored row counts, within the transaction that changed the rows."""
    more = {table: rows for table in COUNTED if (rows := grown.get(table, 0))}
    if more:
        kept = _kept(conn)
        counts = {table: kept.get(table, 0) + more.get(table, 0) for table in COUNTED}
        total = {table: rows for table, rows in counts.items() if rows}  # as a rebuild has it, which never saw a zero
        conn.execute(_SET_ROWS, (msgspec.json.encode(total).decode(),))


def _kept(conn: sqlite3.Connection) -> dict[str, int]:
    row = conn.execute(_ROWS).fetchone()
    try:
        return msgspec.json.decode(row[0], type=dict[str, int])
    except (TypeError, msgspec.MsgspecError):  # no row, or foreign content
        return {}


def lost_rows(conn: sqlite3.Connection) -> str | None:
    """Description of a wrong row count, or None. Takes time with the number of rows, see docs/performance/index.md."""
    kept = _kept(conn)
    for table in COUNTED:
        if table in kept and (found := conn.execute(_COUNTS[table]).fetchone()[0]) != kept[table]:
            return f"{LOST} ({table}: {found:,} of {kept[table]:,})"
    return None


def describe_schema(conn: sqlite3.Connection) -> dict[str, str]:
    """For table ``meta``: names of the tables, indexes and views, and a digest of their SQL."""
    made = conn.execute(_SQL).fetchall()
    names = sorted(name for _, name, *_ in made)
    return {OBJECTS: msgspec.json.encode(names).decode(), SCHEMA: _digest(made)}


def _digest(made: list[tuple[str, ...]]) -> str:
    return blake3(repr([tuple(row) for row in made]).encode("utf-8", "surrogatepass")).hexdigest()


def other_schema(conn: sqlite3.Connection, about: Mapping[str, str]) -> bool:
    """True if one of our tables, indexes and views is missing or changed. Additional ones are harmless."""
    try:
        ours = set(msgspec.json.decode(about[OBJECTS], type=list[str]))
        return _digest([row for row in conn.execute(_SQL) if row[1] in ours]) != about[SCHEMA]
    except (KeyError, msgspec.MsgspecError):
        return True


def outdated(conn: sqlite3.Connection, wanted: Collection[str], expected: Mapping[str, str], place: str) -> str | None:
    """Why the file of the log at `place` must be rebuilt, or None; "" if it held no event.

    `wanted`: the tables that it must have; `expected`: the content of its ``meta``, without the schema.

    Raises:
        LogMismatchError: it is another log's.
    """
    if acts_by_itself(conn):
        return "held triggers or virtual tables"
    if not tables(conn).issuperset(wanted) or (at := reached(conn)).seq < 0:
        return ANOTHER_VERSION
    found = dict(query(conn, "SELECT key, value FROM meta"))
    # views may be made just before the first event, when the project has no id yet
    if found.get("project") not in (None, "", expected["project"]) and at.seq:
        raise LogMismatchError(place, "the views are of another project")
    schema = {key: found.pop(key) for key in (SCHEMA, OBJECTS) if key in found}
    if found != expected:
        return ANOTHER_VERSION if at.seq else ""
    return CHANGED if other_schema(conn, schema) else None


class Seen:
    """A connection's last look at its file, to notice changes by others. It must not change the file itself."""

    def __init__(self) -> None:
        self._data = self._schema = -1
        self.at = Cursor(seq=-1)
        """The checkpoint; it is read again only after the file was changed."""
        self.is_behind = False
        """True if its thread recorded events that are not folded yet."""

    def note(self, conn: sqlite3.Connection) -> None:
        """Note that all is in order."""
        self._data, self.at = _state(conn)
        self._schema = _schema(conn)
        self.is_behind = False

    def is_untouched(self, conn: sqlite3.Connection) -> bool:
        """True if nobody wrote to the file since `note`."""
        return _data(conn) == self._data and _schema(conn) == self._schema

    def suspicious(self, conn: sqlite3.Connection) -> bool:
        """True if the schema was changed, or the file written without moving the checkpoint."""
        if _data(conn) == self._data:
            return False
        data, at = _state(conn)
        if _schema(conn) != self._schema or at.seq == self.at.seq:
            return True
        self._data, self.at = data, at
        return False


def _state(conn: sqlite3.Connection) -> tuple[int, Cursor]:
    """The number of `_data`, and the checkpoint that belongs to it."""
    data, at = _data(conn), reached(conn)
    while (later := _data(conn)) != data:  # written meanwhile
        data, at = later, reached(conn)
    return data, at


def _data(conn: sqlite3.Connection) -> int:
    """A number that changes if another connection changes the file (sqlite.org/pragma.html#pragma_data_version)."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def _schema(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA schema_version").fetchone()[0])
