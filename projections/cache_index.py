"""The cache index: runs for later ones to hit, by fingerprint, and accepted changes."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from consist_es.events import (
    AcceptanceRevoked,
    ChangeAccepted,
    Effect,
    KeyCarriedOver,
    ObservedRead,
    OutputLink,
    OutputsDoubted,
    PackagesAccepted,
    PackagesRevoked,
    ReadsObserved,
    Recorded,
    RedactedEvent,
    StepCompleted,
)
from consist_es.projections import lineage
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.plumbing import decoded, first, from_text, run_of, texts, to_text
from consist_es.views.file import paged, query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

name = "cache_index"
version = 7
tables: tuple[str, ...] = (
    "cache_index",
    "acceptances",
    "package_acceptances",
    "observed_reads",
    "carried_over",
    "doubted",
)


class CacheCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run for a hit, with its results and all its outputs, by key and in order."""

    run_key: str
    seq: int
    """Position of its `StepCompleted`."""
    writer: str
    """Writer of that event."""
    outputs: dict[str, ArtifactRow]
    all_outputs: dict[str, ArtifactRow]
    effects: list[Effect] = []
    """Its changes to objects that outlive it."""
    observed: dict[str, str] = {}
    """Items of its scenario that it read by itself -> their digests."""
    reads: list[ObservedRead] = []
    """Its other reads."""
    listed: str | None = None
    """Digest of `reads`; None if empty."""
    listed_seq: int = 0
    """Position of the event with the list."""


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted change that was not revoked."""

    seq: int
    fingerprint: str
    as_fingerprint: str
    run_key: str
    as_run_key: str
    reason: str
    user: str
    differs: list[str]
    at: str
    writer: str
    """Writer of the record; `user` is its own claim."""


class PackageAcceptance(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted package version that was not revoked."""

    seq: int
    name: str
    before: str
    after: str
    reason: str
    user: str
    at: str
    writer: str
    """Writer of the record; `user` is its own claim."""


def create(db: Database) -> None:
    """Make the tables."""
    columns: dict[str, type] = {"run_key": str, "fingerprint": str, "seq": int, "outputs": str, "all_outputs": str}
    more: dict[str, type] = {"observed": str, "reads": str, "effects": str, "writer": str}
    create_table(db, "cache_index", {**columns, **more}, pk="run_key")
    create_table(db, "observed_reads", {"digest": str, "reads": str, "seq": int}, pk="digest")
    create_table(db, "carried_over", {"before": str, "fingerprint": str, "seq": int}, pk="before")
    create_table(db, "doubted", {"run_key": str, "by_key": str, "seq": int}, pk="run_key")
    change: dict[str, type] = {"seq": int, "fingerprint": str, "as_fingerprint": str, "run_key": str, "as_run_key": str}
    said: dict[str, type] = {"reason": str, "user": str, "differs": str, "at": str, "writer": str, "revoked_seq": int}
    create_table(db, "acceptances", {**change, **said}, pk="seq")
    create_index(db, "acceptances", ["fingerprint", "seq"], "acceptances_by_fingerprint")  # used by revocations
    other: dict[str, type] = {"seq": int, "name": str, "before": str, "after": str, "reason": str, "user": str}
    create_table(db, "package_acceptances", {**other, "at": str, "writer": str, "revoked_seq": int}, pk=("seq", "name"))


def index(db: Database) -> None:
    """Make the index by fingerprint."""
    create_index(db, "cache_index", ["fingerprint", "seq"], "cache_index_by_fingerprint")


_INSERT = """
INSERT INTO cache_index (run_key, fingerprint, seq, outputs, all_outputs, observed, effects, reads, writer)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM doubted WHERE run_key = ?)
"""
_DOUBT = "INSERT INTO doubted (run_key, by_key, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_DROP = "DELETE FROM cache_index WHERE run_key = ?"
_READS = "INSERT INTO observed_reads (digest, reads, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_CARRY = "INSERT INTO carried_over (before, fingerprint, seq) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ACCEPT = """
INSERT INTO acceptances (seq, fingerprint, as_fingerprint, run_key, as_run_key, reason, user, differs, at, writer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_REVOKE = "UPDATE acceptances SET revoked_seq = ? WHERE fingerprint = ? AND revoked_seq IS NULL"

_ACCEPT_PACKAGE = """
INSERT INTO package_acceptances (seq, name, before, after, reason, user, at, writer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_REVOKE_PACKAGES = "UPDATE package_acceptances SET revoked_seq = ? WHERE revoked_seq IS NULL"


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    handler = _FOLDS.get(type(recorded.event))
    return handler(recorded, recorded.event) if handler else ()


def _completed(recorded: Recorded, event: StepCompleted) -> Iterable[Statement]:
    if not event.reusable or event.fingerprint is None:
        return ()
    key, said = run_of(recorded), texts(event.outputs, event.all_outputs, event.observed, event.effects)
    return ((_INSERT, (key, event.fingerprint, recorded.seq, *said, event.reads, recorded.by, key)),)


def _observed(recorded: Recorded, event: ReadsObserved) -> Iterable[Statement]:
    return ((_READS, (event.digest, to_text(event.reads), recorded.seq)),)


def _carried(recorded: Recorded, event: KeyCarriedOver) -> Iterable[Statement]:
    return ((_CARRY, (event.before, event.fingerprint, recorded.seq)),)


def _accepted(recorded: Recorded, event: ChangeAccepted) -> Iterable[Statement]:
    change = (event.fingerprint, event.as_fingerprint, run_of(recorded), event.as_run)
    said = (event.reason, event.user, to_text(event.differs), recorded.time, recorded.by)
    return ((_ACCEPT, (recorded.seq, *change, *said)),)


def _revoked(recorded: Recorded, event: AcceptanceRevoked) -> Iterable[Statement]:
    return ((_REVOKE, (recorded.seq, event.fingerprint)),)


def _packages_accepted(recorded: Recorded, event: PackagesAccepted) -> Iterable[Statement]:
    vouched = (event.reason, event.user, recorded.time, recorded.by)
    changes = [(name, then, event.after[name]) for name, then in event.before.items() if name in event.after]
    return [(_ACCEPT_PACKAGE, (recorded.seq, *other, *vouched)) for other in changes]


def _packages_revoked(recorded: Recorded, _event: PackagesRevoked) -> Iterable[Statement]:
    return ((_REVOKE_PACKAGES, (recorded.seq,)),)


def _outputs_doubted(recorded: Recorded, event: OutputsDoubted) -> Iterable[Statement]:
    return _doubted(recorded, event.by)


def _redacted(recorded: Recorded, event: RedactedEvent) -> Iterable[Statement]:
    # Its run is known, and that is enough.
    return _doubted(recorded, None) if event.type == OutputsDoubted.TYPE else ()


def _doubted(recorded: Recorded, by: str | None) -> Iterable[Statement]:
    """The run is never a hit, even if it ends later."""
    return (_DROP, (recorded.run,)), (_DOUBT, (recorded.run, by, recorded.seq))


_FOLDS: dict[type, Callable[[Recorded, Any], Iterable[Statement]]] = {
    StepCompleted: _completed,
    OutputsDoubted: _outputs_doubted,
    RedactedEvent: _redacted,
    ReadsObserved: _observed,
    KeyCarriedOver: _carried,
    ChangeAccepted: _accepted,
    AcceptanceRevoked: _revoked,
    PackagesAccepted: _packages_accepted,
    PackagesRevoked: _packages_revoked,
}
TAKES = frozenset(_FOLDS)


_CANDIDATES = """
SELECT c.seq, c.run_key, c.outputs, c.all_outputs, c.observed, c.effects, c.reads, r.reads, r.seq, c.writer
FROM cache_index c LEFT JOIN observed_reads r ON r.digest = c.reads
WHERE c.fingerprint = ? AND c.seq < ? ORDER BY c.seq DESC LIMIT ?
"""
_CANDIDATE = """
SELECT c.seq, c.run_key, c.outputs, c.all_outputs, c.observed, c.effects, c.reads, r.reads, r.seq, c.writer
FROM cache_index c LEFT JOIN observed_reads r ON r.digest = c.reads
WHERE c.run_key = ? AND c.fingerprint = ?
"""
_LINKS = msgspec.json.Decoder(list[OutputLink])
_READ = msgspec.json.Decoder(list[ObservedRead])
_EFFECTS = msgspec.json.Decoder(list[Effect])
_READS_OF = "SELECT r.reads FROM cache_index c JOIN observed_reads r ON r.digest = c.reads WHERE c.run_key = ?"
_KNOWN = "SELECT 1 FROM observed_reads WHERE digest = ?"
_CARRIED = "SELECT fingerprint FROM carried_over WHERE before = ?"
_CHANGED = "SELECT effects FROM cache_index WHERE run_key = ?"


def candidates(conn: sqlite3.Connection, fingerprint: str) -> Iterator[CacheCandidate]:
    """Runs with this fingerprint for a hit, newest first; each is read from the views when it is asked for.

    A run is left out if the views lack one of its outputs, or its list of reads: it could not be checked.
    """
    for row in paged(conn, _CANDIDATES, (fingerprint,)):
        if (found := _candidate(conn, row)) is not None:
            yield found


def candidate(conn: sqlite3.Connection, run_key: str, fingerprint: str) -> CacheCandidate | None:
    """That run, if it is among the `candidates`."""
    row = first(query(conn, _CANDIDATE, (run_key, fingerprint)))
    return None if row is None else _candidate(conn, row)


def _candidate(conn: sqlite3.Connection, row: tuple[Any, ...]) -> CacheCandidate | None:
    seq, run_key, given, logged, observed, effects, listed, reads, listed_seq, writer = row
    if listed is not None and reads is None:
        return None
    outputs, all_outputs = decoded(_LINKS, given), decoded(_LINKS, logged)
    wanted = {link.artifact for link in (*outputs, *all_outputs)}
    rows = lineage.by_ids(conn, sorted(wanted))
    if rows.keys() != wanted:
        return None
    return CacheCandidate(
        run_key=run_key,
        seq=seq,
        outputs={link.key: rows[link.artifact] for link in outputs},
        all_outputs={link.key: rows[link.artifact] for link in all_outputs},
        observed=from_text(observed, {}),
        reads=decoded(_READ, reads) if reads else [],
        effects=decoded(_EFFECTS, effects),
        writer=writer,
        listed=listed,
        listed_seq=listed_seq or 0,
    )


def reads_of(conn: sqlite3.Connection, run_key: str) -> list[ObservedRead]:
    """The observed reads of a run in the index."""
    return [read for (reads,) in query(conn, _READS_OF, (run_key,)) for read in _READ.decode(reads)]


def reads_known(conn: sqlite3.Connection, digest: str) -> bool:
    """True if the list of reads with this digest is recorded."""
    return bool(query(conn, _KNOWN, (digest,)))


def carried_to(conn: sqlite3.Connection, before: str) -> str | None:
    """The fingerprint that replaces one of an earlier version, or None if none was chosen yet."""
    found = query(conn, _CARRIED, (before,))
    return found[0][0] if found else None


def changed_by(conn: sqlite3.Connection, run_key: str) -> list[str]:
    """Paths of a run's changes to objects that outlive it."""
    return [effect.path for (text,) in query(conn, _CHANGED, (run_key,)) for effect in decoded(_EFFECTS, text)]


# ---------------------------------------------------------------- accepted changes

_ACCEPTED = """
SELECT seq, fingerprint, as_fingerprint, run_key, as_run_key, reason, user, differs, at, writer FROM acceptances
WHERE fingerprint = ? AND revoked_seq IS NULL ORDER BY seq DESC
"""


def acceptances(conn: sqlite3.Connection, fingerprint: str) -> list[Acceptance]:
    """Acceptances of this fingerprint, newest first, without revoked ones."""
    names = Acceptance.__struct_fields__
    rows = (dict(zip(names, row, strict=True)) for row in query(conn, _ACCEPTED, (fingerprint,)))
    return [Acceptance(**{**row, "differs": from_text(row["differs"], [])}) for row in rows]


def reached(
    conn: sqlite3.Connection, fingerprint: str, counts: Callable[[Acceptance], bool] = lambda _item: True
) -> Iterator[tuple[str, tuple[Acceptance, ...]]]:
    """This fingerprint, and every one that it is accepted as, directly or through others: nearest first, each once."""
    seen = {fingerprint}
    waiting: deque[tuple[str, tuple[Acceptance, ...]]] = deque([(fingerprint, ())])
    while waiting:
        found, path = waiting.popleft()
        yield found, path
        for item in acceptances(conn, found):
            if item.as_fingerprint not in seen and counts(item):
                seen.add(item.as_fingerprint)
                waiting.append((item.as_fingerprint, (*path, item)))


_ACCEPTED_PACKAGES = """
SELECT seq, name, before, after, reason, user, at, writer FROM package_acceptances
WHERE revoked_seq IS NULL ORDER BY seq DESC
"""


def package_acceptances(conn: sqlite3.Connection) -> list[PackageAcceptance]:
    """The accepted package changes, newest first, without revoked ones."""
    fields = PackageAcceptance.__struct_fields__
    return [PackageAcceptance(**dict(zip(fields, row, strict=True))) for row in query(conn, _ACCEPTED_PACKAGES)]
