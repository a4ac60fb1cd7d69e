"""What is kept of artifacts' bytes: evictions and pins."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from consist_es.events import ArtifactEvicted, BytesPinned, PinRemoved, Recorded
from consist_es.projections.plumbing import columns_of, to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

name = "keeping"
version = 1
tables: tuple[str, ...] = ("evictions", "pins")


class Evicted(msgspec.Struct, frozen=True, gc=False):
    """One row of `evictions`, its fields in the order of the columns."""

    seq: int
    artifact_id: str
    key: str
    uri: str
    root: str
    digest: str
    size: int
    eviction: str
    policy: str
    user: str
    run_key: str | None
    """Key of the run that made the artifact."""
    at: str

    @property
    def day(self) -> str:
        """The day of the eviction."""
        return self.at[:10]


class Pin(msgspec.Struct, frozen=True, gc=False):
    """One row of `pins`: bytes that are to be kept."""

    seq: int
    artifact_id: str | None
    """The artifact; None for all outputs of the run or scenario."""
    run_key: str | None
    name: str
    reason: str
    user: str
    at: str


def create(db: Database) -> None:
    """Make the tables, with the indexes that the fold needs."""
    create_table(db, "evictions", columns_of(Evicted), pk="seq")
    create_table(db, "pins", columns_of(Pin), pk="seq")
    create_index(db, "pins", ["artifact_id"], "pins_by_artifact")
    create_index(db, "pins", ["run_key"], "pins_by_run")


def index(db: Database) -> None:
    """Make the indexes by artifact and by call."""
    create_index(db, "evictions", ["artifact_id"], "evictions_by_artifact")
    create_index(db, "evictions", ["eviction"], "evictions_by_call")


_EVICT = "INSERT INTO evictions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PIN = "INSERT INTO pins (seq, artifact_id, run_key, name, reason, user, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
_UNPIN_ARTIFACT = "DELETE FROM pins WHERE artifact_id = ?"
_UNPIN_RUN = "DELETE FROM pins WHERE artifact_id IS NULL AND run_key = ?"


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    handler = _FOLDS.get(type(recorded.event))
    return handler(recorded, recorded.event) if handler else ()


def _evicted(recorded: Recorded, event: ArtifactEvicted) -> list[Statement]:
    what = (event.artifact, event.key, event.uri, event.root, event.digest, event.size)
    said = (event.eviction, event.policy, event.user, recorded.run, recorded.at)
    return [(_EVICT, (recorded.seq, *what, *said))]


def _pinned(recorded: Recorded, event: BytesPinned) -> list[Statement]:
    said = (event.name, event.reason, event.user, recorded.at)
    return [(_PIN, (recorded.seq, event.artifact, recorded.run, *said))]


def _unpinned(recorded: Recorded, event: PinRemoved) -> list[Statement]:
    if event.artifact is not None:
        return [(_UNPIN_ARTIFACT, (event.artifact,))]
    return [(_UNPIN_RUN, (recorded.run,))]


_FOLDS: dict[type, Callable[[Recorded, Any], list[Statement]]] = {
    ArtifactEvicted: _evicted,
    BytesPinned: _pinned,
    PinRemoved: _unpinned,
}
TAKES = frozenset(_FOLDS)

_STANDING = """
SELECT e.* FROM evictions e WHERE e.artifact_id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
    SELECT 1 FROM materializations m WHERE m.artifact_id = e.artifact_id AND m.uri = e.uri AND m.seq > e.seq)
ORDER BY e.seq
"""
_BYTES_OF = "SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT artifact_id, size FROM evictions WHERE eviction = ?)"
_LAST = """
SELECT artifact_id, max(seq) FROM evictions WHERE artifact_id IN (SELECT value FROM json_each(?)) AND seq <= ?
GROUP BY artifact_id
"""
_PINS = "SELECT * FROM pins ORDER BY seq"
_AGAIN = """
SELECT r.id, a.digest FROM runs o CROSS JOIN runs r ON r.fingerprint = o.fingerprint
    CROSS JOIN artifacts a ON a.producer_key = r.key
WHERE o.key = ? AND r.started_seq > ? AND r.kind <> 'scenario' AND r.cache IS NOT 'hit' AND a.key = ?
ORDER BY r.started_seq LIMIT 1
"""


def evicted(conn: sqlite3.Connection, artifact_ids: Iterable[str]) -> dict[str, Evicted]:
    """Artifact id -> its eviction, for those that were evicted and not put back since.

    A file may lie in the place all the same: a step that was computed again wrote it, or nobody has deleted it yet.
    """
    rows = query(conn, _STANDING, (to_text(sorted({*artifact_ids})),))
    return {row[1]: Evicted(*row) for row in rows}


def bytes_of(conn: sqlite3.Connection, eviction: str) -> int:
    """Bytes of all that one call evicted, deleted yet or not."""
    return int(query(conn, _BYTES_OF, (eviction,))[0][0])


def made_again(conn: sqlite3.Connection, row: Evicted) -> tuple[str, str | None] | None:
    """Id of the first run that made the artifact again since, and the digest it has there; None if there is none."""
    found = query(conn, _AGAIN, (row.run_key, row.seq, row.key))
    return (str(found[0][0]), found[0][1]) if found else None


def pins(conn: sqlite3.Connection) -> list[Pin]:
    """All pins that hold, oldest first."""
    return [Pin(*row) for row in query(conn, _PINS)]


def last_evictions(conn: sqlite3.Connection, artifact_ids: Iterable[str], until: int) -> dict[str, int]:
    """Artifact id -> position of its last eviction up to that position, put back since or not."""
    return dict(query(conn, _LAST, (to_text(sorted({*artifact_ids})), until)))
