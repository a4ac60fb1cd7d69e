"""Removes payloads from the log: the plan is written down first, then carried out; any later writer can finish it.

A copy of the segment, with the payload's digest in its place, is renamed over the segment. So a reader sees the one or
the other, never a part. If the writer dies at any moment, the next one finishes the work from the file ``redaction``,
which holds nothing of the payload.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from consist_es.errors import LogCorruptError, LogError, RedactionError
from consist_es.events import Cursor, PayloadRedacted, RecordLost, SourceRecorded
from consist_es.log.blobs import BLOB_FOLDER, blob_name
from consist_es.log.files import REDACTION, REDACTION_PART, copy_of
from consist_es.log.reader import read_lines
from consist_es.log.record import (
    BLOB_START,
    ROOM,
    TAIL_LENGTH,
    BadRecord,
    decode_event,
    payload_digest,
    redacted_digest,
    redacted_form,
)
from consist_es.log.segment import (
    Line,
    Opened,
    Rest,
    Walk,
    header_of,
    is_sealed,
    open_segment,
    place_before,
    replacement,
    segment_name,
    segment_numbers,
)
from consist_es.system.storage import Storage, write_all

OWN_TYPES = (
    "writer_attached",
    "log_repaired",
    "segment_sealed",
    "log_merged",
    "log_closed",
    PayloadRedacted.TYPE,
)
"""Events of the log itself. They hold no user data, and the log needs them."""
_CHUNK = 1 << 20


class Target(msgspec.Struct, frozen=True):
    """One payload to remove."""

    event: PayloadRedacted
    """The event that records it."""
    id: str
    """Id of that event."""
    scenario: str | None
    run: str | None
    blob: str | None
    """Name of the blob with the payload, if it is in one."""


class Intent(msgspec.Struct, frozen=True):
    """Content of the file ``redaction``."""

    since: int
    """Position after which this redaction's events come."""
    targets: list[Target]


# ---------------------------------------------------------------- planning


def find_lines(storage: Storage, folder: Path, positions: Collection[int]) -> dict[int, Line]:
    """The lines at these positions, checked against the chain.

    Raises:
        LogCorruptError: one of them, or a line before it in its segment, is not whole.
    """
    found: dict[int, Line] = {}
    for number, wanted in _segments_of(storage, folder, positions).items():
        found |= _lines_in(storage, folder, number, wanted)
    return found


def _segments_of(storage: Storage, folder: Path, positions: Collection[int]) -> dict[int, set[int]]:
    """Segment -> the positions to read from it.

    Raises:
        LogCorruptError: no segment has one of them.
    """
    firsts, found = _firsts(storage, folder), dict[int, set[int]]()
    for position in positions:
        number = max((n for n, first in firsts.items() if first <= position), default=0)
        if number == 0:
            raise LogCorruptError(segment_name(1), 0, "its header cannot be read")
        found.setdefault(number, set()).add(position)
    return found


def _firsts(storage: Storage, folder: Path) -> dict[int, int]:
    """Segment -> its first position, if its header can be read. Others are superseded, or their positions turn out to
    be missing in the segment before."""
    headers = {number: header_of(storage, folder, number) for number in segment_numbers(storage, folder)}
    return {number: found.header.first for number, found in headers.items() if isinstance(found, Opened)}


def _lines_in(storage: Storage, folder: Path, number: int, positions: Collection[int]) -> dict[int, Line]:
    fd, opened = open_segment(storage, folder, number)
    try:
        walk = Walk(storage, fd, opened.start)
        lines = (line for batch in walk.batches() for line in batch)
        found = {line.head.seq: line for line in _up_to(lines, max(positions)) if line.head.seq in positions}
    finally:
        storage.close(fd)
    if len(found) < len(positions):
        rest = walk.rest
        problem = rest.problem if rest else "a record that should be here is missing"
        offset = rest.offset if rest else walk.place.offset
        raise LogCorruptError(segment_name(number), offset, problem, after=walk.place.seq)
    return found


def _up_to(lines: Iterator[Line], position: int) -> Iterator[Line]:
    for line in lines:
        yield line
        if line.head.seq >= position:
            return


def plan(
    storage: Storage, folder: Path, positions: Sequence[int], head: int, reason: str, user: str, ids: Iterable[str]
) -> Intent:
    """Check that these payloads can be removed.

    Raises:
        RedactionError: one cannot.
        LogCorruptError: the log is damaged there.
    """
    for position in positions:
        if not 1 <= position <= head:
            raise RedactionError(position, f"the log ends at position {head}", "`consist-es log` lists the events.")
    lines = find_lines(storage, folder, positions)
    for position in positions:
        check_line(position, lines[position])
    targets = [target_of(lines[position], reason, user, own) for position, own in zip(positions, ids, strict=True)]
    _check_blobs(storage, folder, targets)
    for number in _segments_of(storage, folder, positions):
        list(_given_up_before(storage, folder, number))
    return Intent(head, targets)


def check_line(position: int, line: Line) -> None:
    """Refuse to redact an event of the log itself, or one without a payload.

    Raises:
        RedactionError: with the reason.
    """
    if line.head.type in OWN_TYPES:
        what = f"it is a {line.head.type} event of the log itself"
        raise RedactionError(position, what, "It holds nothing from a step, its config or its metadata.")
    if redacted_digest(line.data) is not None:
        raise RedactionError(position, "it is redacted already", "`consist-es log` shows when and why.")
    if len(line.data) < ROOM:
        what = f"its payload has {len(line.data)} bytes, and the digest that takes its place {ROOM}"
        raise RedactionError(position, what, "Only versions before 0.1 wrote such short ones.")


def target_of(line: Line, reason: str, user: str, own_id: str) -> Target:
    """The payload of a line, as one to remove; `own_id`: of the event that records it."""
    event = PayloadRedacted(
        position=line.head.seq,
        event=line.head.type,
        digest=payload_digest(line.data).hex(),
        size=len(line.data),
        reason=reason,
        user=user,
        status=_status(line),
        source=_source(line),
    )
    blob = blob_name(line.data) if line.data.startswith(BLOB_START) else None
    return Target(event, own_id, line.head.scenario, line.head.run, blob)


def _status(line: Line) -> str | None:
    """The run's status, so that it does not look like running. One of a few words, never a secret."""
    if line.head.type not in ("scenario_exited", "step_failed") or line.data.startswith(BLOB_START):
        return None
    status = getattr(decode_event(line.head.type, line.head.v, line.data), "status", None)
    return status if status in ("completed", "failed", "interrupted") else None


def _source(line: Line) -> str | None:
    """The digest that a source text was recorded under. It is made from the text without its comments, and stands in
    the runs' identities anyway."""
    if line.head.type != SourceRecorded.TYPE or line.data.startswith(BLOB_START):
        return None
    event = decode_event(line.head.type, line.head.v, line.data)
    return event.digest if isinstance(event, SourceRecorded) else None


def _check_blobs(storage: Storage, folder: Path, targets: list[Target]) -> None:
    """Refuse to remove a blob that another event still uses."""
    going = {target.blob: target.event.position for target in targets if target.blob is not None}
    if not going:
        return
    positions = {target.event.position for target in targets}
    for _segment, line in read_lines(storage, folder, Cursor()):
        seq = line.head.seq
        if seq not in positions and line.data.startswith(BLOB_START) and (name := blob_name(line.data)) in going:
            problem = f"position {seq} has the same payload, which is kept once for both"
            raise RedactionError(going[name], problem, f"Name both: `consist-es redact {going[name]} {seq}`.")


# ---------------------------------------------------------------- the file


def write_intent(storage: Storage, folder: Path, intent: Intent) -> None:
    """Write the plan; from then on the redaction is certain. It is not if this raises OSError."""
    part = folder / REDACTION_PART
    fd = storage.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        write_all(storage, fd, msgspec.json.encode(intent) + b"\n", 0)
        storage.datasync(fd)
    finally:
        storage.close(fd)
    storage.rename(part, folder / REDACTION)
    storage.sync_folder(folder)


def read_intent(storage: Storage, folder: Path) -> Intent | None:
    """The redaction that is under way, or that a killed writer left, or None. May raise OSError.

    Raises:
        LogCorruptError: the file is damaged.
    """
    try:
        fd = storage.open(folder / REDACTION, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(storage.read_at(fd, storage.size(fd), 0), type=Intent)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise LogCorruptError(REDACTION, 0, f"what is to be redacted cannot be read: {error}") from error
    finally:
        storage.close(fd)


def forget_intent(storage: Storage, folder: Path) -> None:
    """Remove the finished plan. May raise OSError."""
    storage.unlink(folder / REDACTION)
    storage.sync_folder(folder)


# ---------------------------------------------------------------- carrying out


def carry_out(storage: Storage, folder: Path, intent: Intent) -> None:
    """Remove the remaining payloads: from segments with their superseded parts, and blobs. Under the lock.

    May raise OSError; can be repeated.

    Raises:
        LogCorruptError: a line changed since the redaction was planned.
    """
    digests = {target.event.position: target.event.digest for target in intent.targets}
    for number, positions in _segments_of(storage, folder, digests).items():
        _redact_in(storage, folder, number, positions, digests)
        for copy, end in _given_up_before(storage, folder, number):
            _replace(storage, folder / segment_name(copy), [], end)
    for target in intent.targets:
        if target.blob is not None:
            with contextlib.suppress(FileNotFoundError):
                storage.unlink(folder / BLOB_FOLDER / target.blob)
            storage.sync_folder(folder / BLOB_FOLDER)


def _given_up_before(storage: Storage, folder: Path, number: int) -> Iterator[tuple[int, int]]:
    """Superseded segments before `number`, each with the offset from which it is dead (after a failed sync or a
    repair).

    The live part of such an end was copied to a later segment. The end may be damaged and so cannot be redacted line by
    line: all of it is cut. The search stops at a sealed segment that the next one continues.
    """
    firsts, unreadable = _firsts(storage, folder), list[int]()
    for segment in reversed([there for there in segment_numbers(storage, folder) if there < number]):
        if segment not in firsts:
            unreadable.append(segment)
            continue
        limit, _ = replacement(segment, firsts) or (0, 0)
        fd, opened = open_segment(storage, folder, segment)
        try:
            size = storage.size(fd)
            if (
                is_sealed(storage, fd)
                and limit == firsts.get(segment + 1)
                and limit == place_before(storage, fd, opened, size).seq + 1  # a repair goes on from before its end
            ):
                return
            end = _end_before(storage, fd, opened, limit)
        finally:
            storage.close(fd)
        yield from ((other, 0) for other in unreadable)  # a later segment goes on behind them
        unreadable = []
        if end < size:
            yield segment, end
    if unreadable and min(firsts.values()) > 1:
        raise LogCorruptError(segment_name(1), 0, "its header cannot be read")
    yield from ((other, 0) for other in unreadable)


def _end_before(storage: Storage, fd: int, opened: Opened, position: int) -> int:
    """Offset at which `position` would begin.

    Raises:
        LogCorruptError: a line before it is not whole.
    """
    walk = Walk(storage, fd, opened.start)
    if walk.place.seq >= position - 1:  # the whole segment is superseded
        return walk.place.offset
    for _ in walk.batches():
        if walk.place.seq >= position - 1:
            break
    if walk.place.seq == position - 1:
        return walk.place.offset
    rest = walk.rest or Rest(walk.place.offset, f"the record before position {position} is missing", False, b"")
    raise LogCorruptError(segment_name(opened.header.segment), rest.offset, rest.problem, after=walk.place.seq)


def _redact_in(
    storage: Storage, folder: Path, number: int, positions: Collection[int], digests: dict[int, str]
) -> None:
    lines = _lines_in(storage, folder, number, positions)
    lines = {position: line for position, line in lines.items() if line.head.type != RecordLost.TYPE}
    for position, line in lines.items():  # without those a repair found to be lost meanwhile
        if payload_digest(line.data).hex() != digests[position]:
            problem = f"position {position} is not the event whose redaction was decided"
            raise LogCorruptError(segment_name(number), line.offset, problem)
    if due := [line for line in lines.values() if redacted_digest(line.data) is None]:
        _replace(storage, folder / segment_name(number), due)


def _replace(storage: Storage, path: Path, lines: list[Line], end: int | None = None) -> None:
    """Replace the segment by a copy without these payloads, safe on disk before: of the same size, or up to `end`, and
    of the same mode."""
    part = copy_of(path)
    source = storage.open(path, os.O_RDONLY)
    try:
        target = storage.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            storage.set_mode(target, storage.mode(path))
            _copy(storage, source, target)
            if end is not None:
                storage.truncate(target, end)
            for line in lines:
                offset = line.offset + line.size - TAIL_LENGTH - len(line.data)
                write_all(storage, target, redacted_form(line.data), offset)
            storage.datasync(target)
        finally:
            storage.close(target)
    finally:
        storage.close(source)
    storage.rename(part, path)
    storage.sync_folder(path.parent)


def _copy(storage: Storage, source: int, target: int) -> None:
    offset = 0
    while data := storage.read_at(source, _CHUNK, offset):
        write_all(storage, target, data, offset)
        offset += len(data)


# ---------------------------------------------------------------- checking


class Account:
    """Compares, on a walk through the log, missing payloads with the events that explain them."""

    def __init__(self) -> None:
        self.gone: dict[int, tuple[str, int]] = {}
        """Position -> digest and size of the missing payload."""
        self._said: dict[int, tuple[str, int]] = {}
        self._elsewhere: dict[int, str] = {}
        """Position -> digest of a missing payload of a merged record."""
        self._said_elsewhere: set[str] = set()
        """Digests of payloads that were redacted in the logs that were merged: positions there say nothing here."""
        self._lost: dict[int, str | None] = {}
        """Position of a lost record -> its event type, if known."""

    def see(self, line: Line) -> None:
        """Take in one line.

        Raises:
            BadRecord: a `payload_redacted` or `record_lost` that does not decode.
        """
        if line.head.type == RecordLost.TYPE:
            lost = decode_event(line.head.type, line.head.v, line.data)
            self._lost[line.head.seq] = lost.said if isinstance(lost, RecordLost) else None
        if (digest := redacted_digest(line.data)) is not None:
            self.gone[line.head.seq] = (digest, len(line.data))
            if line.head.of is not None:
                self._elsewhere[line.head.seq] = digest
        elif line.head.type == PayloadRedacted.TYPE:
            event = decode_event(line.head.type, line.head.v, line.data)
            if isinstance(event, PayloadRedacted) and line.head.of is not None:
                self._said_elsewhere.add(event.digest)
            elif isinstance(event, PayloadRedacted):
                self._said[event.position] = (event.digest, event.size)

    def problems(self, pending: Intent | None, since: int) -> Iterator[tuple[int, str]]:
        """(position, problem) for each disagreement. Lines up to `since` were not seen."""
        expected = {t.event.position: (t.event.digest, t.event.size) for t in pending.targets} if pending else {}
        for position, what in self.gone.items():
            said = self._said.get(position) or expected.get(position)
            if said is None and (self._may_have_said(position) or self._was_gone(position)):
                continue
            if said is None:
                yield position, "its payload is gone, and no event says that it was redacted"
            elif said != what:
                yield position, "its payload is gone, and another one was redacted"
        for position in self._said:
            if position > since and position not in self.gone and position not in self._lost:
                yield position, "its payload was redacted, and is there again"

    def _may_have_said(self, position: int) -> bool:
        """True if the `payload_redacted` event for this position may itself be lost."""
        kinds = (None, PayloadRedacted.TYPE)
        return any(other > position and said in kinds for other, said in self._lost.items())

    def _was_gone(self, position: int) -> bool:
        """True if it was redacted in the log that it was merged from."""
        return self._elsewhere.get(position) in self._said_elsewhere

    @property
    def positions(self) -> list[int]:
        """All redacted positions."""
        return sorted({*self.gone, *self._said})


def unaccounted(storage: Storage, folder: Path, account: Account, since: int) -> list[tuple[int, str]]:
    """Problems that a second walk confirms: payloads may be redacted during the first.

    May raise OSError and LogError.
    """
    if not (found := list(account.problems(read_intent(storage, folder), since))):
        return []
    again = Account()
    try:
        for _segment, line in read_lines(storage, folder, Cursor()):
            again.see(line)
    except (LogError, BadRecord):
        return found
    return list(again.problems(read_intent(storage, folder), 0))
