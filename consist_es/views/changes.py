"""Detects changes that other programs' SQL made to a view file.

Queries trust the views, so a table without half of its rows would be lost history. The row counts of the tables with
history are written in the transaction that changes them, and a digest of the schema when the file is made. Both are
compared when a process opens the file, and if the file was written without moving the checkpoint, which no process of
ours does. Changed values show where they matter: a hit is compared with the log.
"""

import sqlite3
from collections.abc import Mapping

import msgspec
from blake3 import blake3

COUNTED = ("runs", "artifacts", "links", "cache_index")
"""Tables with counted rows: runs, artifacts, and cache entries."""

CHANGED = "had another schema than consist-es made"
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
    """Description of a wrong row count, or None. Takes time with the number of rows, see docs/performance.md."""
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


class Seen:
    """A connection's last look at its file, to notice changes by others."""

    def __init__(self) -> None:
        self._data = self._schema = self._seq = -1
        self.is_behind = False
        """True if its thread recorded events that are not folded yet."""

    def note(self, conn: sqlite3.Connection, seq: int) -> None:
        """Note that all is in order, with the checkpoint at this position."""
        self._data, self._schema, self._seq = _data(conn), _schema(conn), seq
        self.is_behind = False

    def is_untouched(self, conn: sqlite3.Connection) -> bool:
        """True if nobody else wrote to the file since `note`, and its schema is unchanged. False for an empty log's
        file: it has no project yet, so it is checked again."""
        return self._seq > 0 and _data(conn) == self._data and _schema(conn) == self._schema

    def suspicious(self, conn: sqlite3.Connection, seq: int) -> bool:
        """True if the schema was changed, or the file written without moving the checkpoint."""
        data = _data(conn)
        if data == self._data:
            self._seq = seq
            return False
        schema = _schema(conn)
        if schema != self._schema or seq == self._seq:
            return True
        self._data, self._seq = data, seq
        return False


def _data(conn: sqlite3.Connection) -> int:
    """A number that changes if another connection changes the file (sqlite.org/pragma.html#pragma_data_version)."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def _schema(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA schema_version").fetchone()[0])
