"""Checks hits against the log: the views' facts about an earlier run are read back before anything is served.

Anybody's SQL can change the view file without a trace. In the log, every line is chained to those before it. So a
candidate is built a second time, from its events, and must equal the views' one. The events are mostly close together:
one or two reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from consist_es.errors import LogError
from consist_es.events import (
    AcceptanceRevoked,
    ArtifactLogged,
    ChangeAccepted,
    OutputLink,
    PackagesAccepted,
    PackagesRevoked,
    ReadsObserved,
    Recorded,
    RedactedEvent,
    StepCompleted,
    StepStarted,
    WriterAttached,
)
from consist_es.identity import shared_values
from consist_es.projections import audit_index, lineage, origins, redactions
from consist_es.projections.cache_index import Acceptance, CacheCandidate, PackageAcceptance
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.run_rows import RunRow

NOT_VOUCHED = "not_vouched"
"""Reason of a miss: the log cannot be read where it would confirm the views."""


REMEMBERED = 200
"""Number of confirmed candidates that a process remembers while the views' facts about them stay the same."""


class Disagreement(Exception):
    """The views contradict the log about an earlier run."""


class Silence(Exception):
    """The log cannot be read at the place to check."""


class Log(Protocol):
    """The log as a voucher needs it."""

    def read_places(self, places: Iterable[tuple[int, int]], /) -> list[Recorded]: ...


class Voucher:
    """Compares the views' facts with their events. `writers`: also with the recording writers, if only trusted ones
    count."""

    def __init__(self, log: Log, *, writers: bool = False) -> None:
        self._log = log
        self._writers = writers
        self._said: dict[int, tuple[Any, ...]] = {}
        """Confirmed questions by position of the run's end: the log's past does not change, and redacting rebuilds the
        views."""

    def candidate(
        self,
        conn: sqlite3.Connection,
        candidate: CacheCandidate,
        source: RunRow | None,
        late: list[tuple[str, ArtifactRow]],
        fingerprint: str,
    ) -> None:
        """Return if the log confirms the views' facts about the run; `late` are the inputs that it logged itself.

        Raises:
            Disagreement: it contradicts them. Silence: it cannot be read there.
        """
        asked = (candidate, source, fingerprint, late)
        if not self._writers and self._said.get(candidate.seq) == asked:
            return
        self._compared(conn, candidate, source, fingerprint, late)
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[candidate.seq] = asked

    def _compared(
        self,
        conn: sqlite3.Connection,
        candidate: CacheCandidate,
        source: RunRow | None,
        fingerprint: str,
        late: list[tuple[str, ArtifactRow]],
    ) -> None:
        run, rows = candidate.run_key, {row.artifact_id: row for row in candidate.all_outputs.values()}
        rows |= {row.artifact_id: row for row in candidate.outputs.values()}
        known = [] if source is None else [source.started_seq]
        known += [candidate.seq, *(row.created_seq for row in rows.values()), *(row.created_seq for _, row in late)]
        if candidate.listed is not None:
            known.append(candidate.listed_seq)
        events = self._events(conn, run, known)
        end = events[candidate.seq]
        if not isinstance(end.event, StepCompleted):
            raise Disagreement(f"position {end.seq} is not the end of run {run!r}")
        said = {artifact_id: _artifact(events[row.created_seq], artifact_id) for artifact_id, row in rows.items()}
        if candidate != _candidate(end, end.event, said, events, candidate) or end.event.fingerprint != fingerprint:
            raise Disagreement(f"of run {run!r}, which would answer")
        for role, row in late:
            if row != _artifact(events[row.created_seq], row.artifact_id):
                raise Disagreement(f"of input {role!r}, which run {run!r} logged")
        self._start(conn, events, source, run, end.event, {(role, row.artifact_id) for role, row in late})
        if self._writers:
            self._of_writers(conn, {end.by} if source is None else {end.by, source.writer})

    def _start(
        self,
        conn: sqlite3.Connection,
        events: Mapping[int, Recorded],
        source: RunRow | None,
        run: str,
        end: StepCompleted,
        late: set[tuple[str, str]],
    ) -> None:
        """Check the run's inputs, bound and logged."""
        if source is None:
            if audit_index.begins(conn, run):  # else its start was damaged and lost in a repair
                raise Disagreement(f"of run {run!r}, whose start they lack")
            return
        found = events[source.started_seq]
        event = redactions.start(found) if isinstance(found.event, RedactedEvent) else found.event
        if not isinstance(event, StepStarted) or found.run != run or found.by != source.writer:
            raise Disagreement(f"of the start of run {run!r}")
        if event.declared != source.declared or not shared_values.says(event, source.fingerprint_info):
            raise Disagreement(f"of what run {run!r} was")
        known = late | {(item.role, item.artifact) for item in event.inputs}
        for item in end.logged_inputs or ():
            if (item.role, item.artifact) not in known:
                raise Disagreement(f"of input {item.role!r}, which run {run!r} logged")

    def accepted(self, conn: sqlite3.Connection, path: Sequence[Acceptance]) -> None:
        """As `candidate`, for accepted changes: that they are recorded and not revoked."""
        events = self._events(conn, "", [item.seq for item in path])
        revoked = self._revocations(conn, AcceptanceRevoked, path)
        for item in path:
            found = events[item.seq]
            event = found.event
            if (
                not isinstance(event, ChangeAccepted)
                or (found.run, found.by) != (item.run_key, item.writer)
                or (event.fingerprint, event.as_fingerprint, event.as_run)
                != (item.fingerprint, item.as_fingerprint, item.as_run_key)
            ):
                raise Disagreement(f"of an accepted change, position {item.seq}")
            later = (each.event for each in revoked if each.seq > item.seq)
            if any(isinstance(one, AcceptanceRevoked) and one.fingerprint == item.fingerprint for one in later):
                raise Disagreement(f"of an accepted change, position {item.seq}, that was revoked")

    def packages(self, conn: sqlite3.Connection, items: Sequence[PackageAcceptance]) -> None:
        """As `accepted`, for package changes."""
        events = self._events(conn, "", [item.seq for item in items])
        revoked = self._revocations(conn, PackagesRevoked, items)
        for item in items:
            event = events[item.seq].event
            if (
                not isinstance(event, PackagesAccepted)
                or events[item.seq].by != item.writer
                or (event.before.get(item.name), event.after.get(item.name)) != (item.before, item.after)
            ):
                raise Disagreement(f"of accepted packages, position {item.seq}")
            if any(each.seq > item.seq for each in revoked):
                raise Disagreement(f"of accepted packages, position {item.seq}, that were revoked")

    def _revocations(
        self,
        conn: sqlite3.Connection,
        kind: type[AcceptanceRevoked | PackagesRevoked],
        items: Sequence[Acceptance | PackageAcceptance],
    ) -> list[Recorded]:
        positions = audit_index.revocations(conn, kind.TYPE, min((item.seq for item in items), default=0))
        return [each for each in self._events(conn, "", positions).values() if isinstance(each.event, kind)]

    def _of_writers(self, conn: sqlite3.Connection, writers: Iterable[str]) -> None:
        rows = [row for writer in sorted(writers) if (row := origins.writer_details(conn, writer)) is not None]
        events = self._events(conn, "", [row.seq for row in rows])
        for row in rows:
            event = events[row.seq].event
            said = (event.writer, event.user, event.host) if isinstance(event, WriterAttached) else None
            if said != (row.writer, row.user, row.host):
                raise Disagreement(f"of who {row.writer!r} is")

    def _events(self, conn: sqlite3.Connection, run: str, positions: Iterable[int]) -> dict[int, Recorded]:
        """The events at these positions, all of them."""
        wanted = {*positions}
        if not all(type(position) is int for position in wanted):  # a column may hold anything
            raise Disagreement("of where events are")
        places = audit_index.places(conn, wanted).values()
        try:
            found = {each.seq: each for each in self._log.read_places((place[0], place[1]) for place in places)}
        except LogError as error:
            raise Silence(str(error)) from error
        if found.keys() != wanted:
            raise Disagreement(f"of where the events of run {run!r} are" if run else "of where events are")
        return found


def _candidate(
    end: Recorded,
    event: StepCompleted,
    said: Mapping[str, ArtifactRow],
    events: Mapping[int, Recorded],
    given: CacheCandidate,
) -> CacheCandidate | None:
    """The candidate built from the log; None if the run cannot be a hit."""
    listed = events[given.listed_seq].event if given.listed is not None else None
    reads = listed if isinstance(listed, ReadsObserved) and listed.digest == event.reads else None
    if not event.reusable or (reads is None) != (event.reads is None):
        return None
    return CacheCandidate(
        run_key=end.run or "",
        seq=end.seq,
        writer=end.by,
        outputs=_named(event.outputs, said),
        all_outputs=_named(event.all_outputs, said),
        effects=event.effects,
        observed=event.observed,
        reads=[] if reads is None else reads.reads,
        listed=event.reads,
        listed_seq=given.listed_seq,
    )


def _named(links: Iterable[OutputLink], said: Mapping[str, ArtifactRow]) -> dict[str, ArtifactRow]:
    return {link.key: said[link.artifact] for link in links if link.artifact in said}


def _artifact(found: Recorded, artifact_id: str) -> ArtifactRow:
    """The row made by an artifact's first event."""
    if not isinstance(found.event, ArtifactLogged) or found.event.artifact != artifact_id:
        raise Disagreement(f"of artifact {artifact_id}")
    return lineage.row_of(found, found.event)
