"""The projector's own tables: the file's maker, its checkpoint, and the events that a view could not take."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from consist_es.events import Cursor

if TYPE_CHECKING:
    import sqlite_utils

# State of a file against its log.
LEVEL = "the views are up to date with the log"
BEHIND = "the views lag behind the log"
OUTDATED = "the views were made by another version"
ORPHANED = "the views do not fit their log"

SET_CHECKPOINT = "UPDATE checkpoint SET seq = ?, segment = ?, offset = ?, chain = ? WHERE id = 1"

OWN = frozenset({"meta", "checkpoint", "dead_letter"})


def create_own(db: "sqlite_utils.Database", about: Mapping[str, str]) -> None:
    """Make the tables; `about` is the content of ``meta``."""
    meta = db.create_table("meta", {"key": str, "value": str}, pk="key")
    meta.insert_all({"key": key, "value": value} for key, value in about.items())
    place = {"id": int, "seq": int, "segment": int, "offset": int, "chain": str, "rows": str}
    start = {"id": 1, "seq": 0, "segment": 1, "offset": 0, "chain": "", "rows": "{}"}
    db.create_table("checkpoint", place, pk="id").insert(start)
    letter = {"seq": int, "projection": str, "type": str, "error": str}
    db.create_table("dead_letter", letter, pk=("seq", "projection"))


def reached(conn: sqlite3.Connection) -> Cursor:
    """The checkpoint of a file; position -1 if it has none."""
    row = conn.execute("SELECT seq, segment, offset, chain FROM checkpoint").fetchone()
    is_ours = row is not None and [type(value) for value in row] == [int, int, int, str]
    return Cursor(*row) if is_ours else Cursor(seq=-1)


def same_place(one: Cursor, other: Cursor) -> bool:
    """True if two cursors mean the same event. At a segment's end, the same place has two forms."""
    return one.seq == other.seq and (one.chain == other.chain or one.seq == 0)
