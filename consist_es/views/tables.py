"""The tables that the projector itself keeps: who made the file, how far it got, and what a view could not take."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from consist_es.events import Cursor

if TYPE_CHECKING:
    import sqlite_utils

# How a file stands to its log.
LEVEL = "the views are level with the log"
BEHIND = "the views are a part of the log"
OUTDATED = "the views were made by another version"
ORPHANED = "the views do not fit their log"

SET_CHECKPOINT = "UPDATE checkpoint SET seq = ?, segment = ?, offset = ?, chain = ? WHERE id = 1"

OWN = frozenset({"meta", "checkpoint", "dead_letter"})


def create_own(db: "sqlite_utils.Database", about: Mapping[str, str]) -> None:
    """Make them; `about` is what the file says of itself."""
    meta = db.create_table("meta", {"key": str, "value": str}, pk="key")
    meta.insert_all({"key": key, "value": value} for key, value in about.items())
    place = {"id": int, "seq": int, "segment": int, "offset": int, "chain": str, "rows": str}
    start = {"id": 1, "seq": 0, "segment": 1, "offset": 0, "chain": "", "rows": "{}"}
    db.create_table("checkpoint", place, pk="id").insert(start)
    letter = {"seq": int, "projection": str, "type": str, "error": str}
    db.create_table("dead_letter", letter, pk=("seq", "projection"))


def reached(conn: sqlite3.Connection) -> Cursor:
    """How far a file got; position -1 if it does not say."""
    row = conn.execute("SELECT seq, segment, offset, chain FROM checkpoint").fetchone()
    is_ours = row is not None and [type(value) for value in row] == [int, int, int, str]
    return Cursor(*row) if is_ours else Cursor(seq=-1)


def same_place(one: Cursor, other: Cursor) -> bool:
    """Whether two cursors mean the same event. Where a segment ends, the same place can be written in two ways."""
    return one.seq == other.seq and (one.chain == other.chain or one.seq == 0)
