"""Whether a view file is still as it was left: what other people's SQL did to it shows here.

A view is believed by queries, so a table without half of its rows would be history that is gone. The number of rows of
the tables that hold history is kept in the transaction that changes it, and the text of the schema when the file is
made. Both are compared when a process opens the file, and when somebody wrote to it without moving the checkpoint, as
no process of ours does. Values that were changed show where they matter: a hit is compared with the log.
"""

import sqlite3
from collections.abc import Mapping

import msgspec
from blake3 import blake3

COUNTED = ("runs", "artifacts", "links", "cache_index")
"""Tables whose rows are counted: what was run, what was made, and what can answer for it."""

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
    """Add to the numbers of rows that the file keeps, within the transaction that changed them."""
    more = {table: rows for table in COUNTED if (rows := grown.get(table, 0))}
    if more:
        kept = _kept(conn)
        total = {table: kept.get(table, 0) + more.get(table, 0) for table in COUNTED if table in kept or table in more}
        conn.execute(_SET_ROWS, (msgspec.json.encode(total).decode(),))


def _kept(conn: sqlite3.Connection) -> dict[str, int]:
    row = conn.execute(_ROWS).fetchone()
    try:
        return msgspec.json.decode(row[0], type=dict[str, int])
    except (TypeError, msgspec.MsgspecError):  # no row, or what somebody else wrote there
        return {}


def lost_rows(conn: sqlite3.Connection) -> str | None:
    """What is wrong with the number of rows, in words; takes time with their number, see docs/performance.md."""
    kept = _kept(conn)
    for table in COUNTED:
        if table in kept and (found := conn.execute(_COUNTS[table]).fetchone()[0]) != kept[table]:
            return f"{LOST} ({table}: {found:,} of {kept[table]:,})"
    return None


def describe_schema(conn: sqlite3.Connection) -> dict[str, str]:
    """For table ``meta``: which tables, indexes and views were made, and a digest of how."""
    made = conn.execute(_SQL).fetchall()
    names = sorted(name for _, name, *_ in made)
    return {OBJECTS: msgspec.json.encode(names).decode(), SCHEMA: _digest(made)}


def _digest(made: list[tuple[str, ...]]) -> str:
    return blake3(repr([tuple(row) for row in made]).encode("utf-8", "surrogatepass")).hexdigest()


def other_schema(conn: sqlite3.Connection, about: Mapping[str, str]) -> bool:
    """Whether one of the tables, indexes and views that were made is gone or another now. More of them do no harm."""
    try:
        ours = set(msgspec.json.decode(about[OBJECTS], type=list[str]))
        return _digest([row for row in conn.execute(_SQL) if row[1] in ours]) != about[SCHEMA]
    except (KeyError, msgspec.MsgspecError):
        return True


class Seen:
    """What a connection has seen of its file, to notice what others write to it."""

    def __init__(self) -> None:
        self._data = self._schema = self._seq = -1
        self.is_behind = False
        """The log has events that its thread recorded and that were not folded yet."""

    def note(self, conn: sqlite3.Connection, seq: int) -> None:
        """Everything is in order, with the checkpoint at this position."""
        self._data, self._schema, self._seq = _data(conn), _schema(conn), seq
        self.is_behind = False

    def is_untouched(self, conn: sqlite3.Connection) -> bool:
        """Whether nobody else has written to the file since everything was in order, and its schema is the same. One of
        an empty log does not know yet whose it is, so that it is looked at again."""
        return self._seq > 0 and _data(conn) == self._data and _schema(conn) == self._schema

    def suspicious(self, conn: sqlite3.Connection, seq: int) -> bool:
        """Whether somebody changed the schema, or wrote and did not move the checkpoint."""
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
    """Another number once another connection has changed the file (sqlite.org/pragma.html#pragma_data_version)."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def _schema(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA schema_version").fetchone()[0])
