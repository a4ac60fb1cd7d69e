"""Recovery copies, further places of artifacts' bytes: part of `lineage`. Whoever reads a copy digests it first."""

import sqlite3
from collections.abc import Iterable, Iterator

from consist_es.artifacts.elsewhere import RecoveryCopy
from consist_es.events import CopyForgotten, CopyRecorded, Recorded
from consist_es.projections.plumbing import to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

TABLES = ("copies",)


def create(db: Database) -> None:
    """Make the table, with the index that the fold needs."""
    place: dict[str, type] = {"seq": int, "artifact_id": str, "key": str, "uri": str, "root": str, "recovery_root": str}
    more: dict[str, type] = {"digest": str, "content": str, "how": str, "run_key": str, "at": str, "writer": str}
    create_table(db, "copies", {**place, **more}, pk="seq")
    create_index(db, "copies", ["artifact_id", "uri"], "copies_by_artifact")


def index(db: Database) -> None:
    """Make the index that look-ups use."""
    create_index(db, "copies", ["digest"], "copies_by_digest")


_INSERT = """
INSERT INTO copies (seq, artifact_id, key, uri, root, recovery_root, digest, content, how, run_key, at, writer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DROP = "DELETE FROM copies WHERE artifact_id = ? AND uri = ?"


def recorded_copy(recorded: Recorded, event: CopyRecorded) -> list[Statement]:
    """Put the copy in place of what was said of this place before."""
    place = (event.artifact, event.key, event.uri, event.root, event.recovery_root)
    said = (event.digest, event.content, event.how, recorded.run, recorded.time, recorded.by)
    return [(_DROP, (event.artifact, event.uri)), (_INSERT, (recorded.seq, *place, *said))]


def forgotten(_recorded: Recorded, event: CopyForgotten) -> list[Statement]:
    """Remove the copy."""
    return [(_DROP, (event.artifact, event.uri))]


_OF_DIGEST = "SELECT * FROM copies WHERE digest = ? ORDER BY seq"
_OF_ARTIFACTS = "SELECT * FROM copies WHERE artifact_id IN (SELECT value FROM json_each(?)) ORDER BY seq"
_ALL = "SELECT * FROM copies WHERE seq > ? ORDER BY seq LIMIT 1000"


def with_bytes_of(conn: sqlite3.Connection, artifact_id: str, digest: str | None) -> list[RecoveryCopy]:
    """Copies of an artifact, and of others with the same content: its own first, then in log order.

    A digest over sizes and times says nothing of content: then only its own count.
    """
    if digest is None:
        return []
    found = [RecoveryCopy(*row) for row in query(conn, _OF_DIGEST, (digest,))]
    own = [copy for copy in found if copy.artifact == artifact_id]
    return [*own, *(copy for copy in found if copy.artifact != artifact_id and copy.says_content)]


def of_artifacts(conn: sqlite3.Connection, artifact_ids: Iterable[str]) -> list[RecoveryCopy]:
    """Copies of these artifacts, in log order."""
    return [RecoveryCopy(*row) for row in query(conn, _OF_ARTIFACTS, (to_text(sorted({*artifact_ids})),))]


def every(conn: sqlite3.Connection) -> Iterator[RecoveryCopy]:
    """All copies, in log order."""
    last = 0
    while rows := query(conn, _ALL, (last,)):
        yield from (RecoveryCopy(*row) for row in rows)
        last = rows[-1][0]
