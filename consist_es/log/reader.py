"""Reads the log: without a lock, without writing, whole batches only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from consist_es.errors import LogCorruptError, LogError, LogMismatchError, LogReadError
from consist_es.events import Cursor, Recorded
from consist_es.log.blobs import resolve
from consist_es.log.quick import Checked, Quick
from consist_es.log.record import (
    BLOB_START,
    TAIL_LENGTH,
    BadRecord,
    chain_before,
    chain_of,
    decode_head,
    last_end,
    recorded,
    split_line,
)
from consist_es.log.salvage import survivors_after
from consist_es.log.segment import (
    Line,
    Opened,
    Place,
    Rest,
    Walk,
    header_of,
    line_at,
    lines_back,
    open_segment,
    replacement,
    segment_name,
    segment_numbers,
)
from consist_es.log.watermark import read_watermark
from consist_es.system.seam import Stamp
from consist_es.system.storage import Storage, read_end, read_part

_END = 16 << 10
"""Bytes that mostly contain a segment's last batch."""


def read(storage: Storage, folder: Path, after: Cursor) -> Iterator[Recorded]:
    """Every event after the cursor, up to the last whole batch; see `LocalLog.read`."""
    for segment, found in _found(storage, folder, after, quick=True):
        for item in (found,) if isinstance(found, Line) else found.events():
            yield _recorded(storage, folder, segment, item) if isinstance(item, Line) else item


def read_lines(storage: Storage, folder: Path, after: Cursor) -> Iterator[tuple[int, Line]]:
    """The same as checked lines with their segments, payloads not decoded; raises as `read`."""
    for segment, found in _found(storage, folder, after, quick=False):
        if isinstance(found, Line):
            yield segment, found


def _found(storage: Storage, folder: Path, after: Cursor, *, quick: bool) -> Iterator[tuple[int, Line | Checked]]:
    try:
        watermark = read_watermark(storage, folder)  # read first: the log holds at least this much
        yield from _Tour(storage, folder, after, watermark.seq if watermark else 0, quick=quick).lines()
    except OSError as error:
        raise LogReadError(folder, error) from error


def _recorded(storage: Storage, folder: Path, segment: int, line: Line) -> Recorded:
    try:
        data = resolve(storage, folder, line.data) if line.data.startswith(BLOB_START) else line.data
        return recorded(line.head, data, line.chain, segment, line.offset, line.size)
    except BadRecord as error:
        try:
            return _read_at(storage, folder, segment, line.offset)  # its blob may have been redacted since
        except (BadRecord, OSError):
            seq = line.head.seq
            name, remedy = segment_name(segment), f"Or give it up: `consist-es redact {seq} --reason TEXT`."
            raise LogCorruptError(name, line.offset, str(error), after=seq - 1, remedy=remedy) from error
    except OSError as error:
        raise LogReadError(folder, error) from error


class _Tour:
    """One walk through the segments, from a cursor to the end."""

    def __init__(self, storage: Storage, folder: Path, seen: Cursor, floor: int, *, quick: bool) -> None:
        self._storage, self._folder, self._quick = storage, folder, quick
        self._seen = seen
        """Cursor up to which the caller has the events."""
        self._floor = floor
        """Position the log must reach."""
        self._place: Place | None = None
        self._headers: dict[int, Opened] = {}
        self._fault: LogError | None = None
        """Why a later segment cannot be read. Ignored if a still later one supersedes it."""

    def lines(self) -> Iterator[tuple[int, Line | Checked]]:
        place = self._start()
        while place is not None:
            following = self._following(place.segment)  # before the lines: once it exists, they are complete
            if following is None or following.start.seq > place.seq:
                self._place = place
                for found in self._segment(place, following):
                    yield place.segment, found
                place = self._place
            if following is None and self._fault is not None:
                raise self._fault
            place = self._next(place, following)
        self._finish()

    def _start(self) -> Place | None:
        seen = self._seen
        if seen.seq == 0:
            return self._first()
        if self._chain_at(seen) != seen.chain.encode():
            following = self._following(seen.segment)
            if following is None or following.start.seq >= seen.seq:  # else its header does not matter
                _require_header(self._storage, self._folder, seen.segment)
            raise LogMismatchError(self._folder, f"position {seen.seq} is not the event that it was")
        return Place(seen.segment, seen.offset, seen.seq, seen.chain.encode(), "")

    def _first(self) -> Place | None:
        if not segment_numbers(self._storage, self._folder):
            return None
        opened = self._following(0)
        if opened is None or opened.start.seq:
            raise self._fault or LogCorruptError(segment_name(1), 0, "the segment is missing")
        return opened.start

    def _chain_at(self, cursor: Cursor) -> bytes | None:
        path = self._folder / segment_name(cursor.segment)
        try:
            return chain_before(read_part(self._storage, path, TAIL_LENGTH, max(cursor.offset - TAIL_LENGTH, 0)))
        except FileNotFoundError as error:
            raise LogMismatchError(self._folder, f"{path.name} is missing") from error
        except BadRecord:
            return None

    def _following(self, number: int) -> Opened | None:
        """The segment that goes on after this one; None after the last, or if it cannot be read."""
        later: dict[int, Opened] = {}
        self._fault = None
        before = number
        for other in segment_numbers(self._storage, self._folder):
            if other <= number:
                continue
            if other > before + 1:
                self._fault = self._fault or LogCorruptError(segment_name(before + 1), 0, "the segment is missing")
            before = other
            opened = self._headers.get(other) or header_of(self._storage, self._folder, other)
            if isinstance(opened, LogError):
                self._fault = self._fault or opened
            else:
                later[other] = self._headers[other] = opened
        found = replacement(number, {other: opened.header.first for other, opened in later.items()})
        return None if found is None else later[found[1]]

    def _segment(self, place: Place, following: Opened | None) -> Iterator[Line | Checked]:
        fd, _ = open_segment(self._storage, self._folder, place.segment)
        limit = following.header.first if following else None
        try:
            quick = Quick(self._storage, fd, place)
            if self._quick and place.seq >= self._seen.seq:  # else a line of what was seen has to be compared
                for found in quick.checked():
                    if limit is not None and found.place.seq >= limit:
                        break
                    self._place = place = found.place
                    yield found
            if not (quick.ended and self._is_all(place, limit)):
                yield from self._lines(fd, place, limit)
        finally:
            self._storage.close(fd)

    def _is_all(self, place: Place, limit: int | None) -> bool:
        """True if nothing is missing in a segment that ends at this place."""
        return place.seq == limit - 1 if limit is not None else self._damage(place, None, None) is None

    def _lines(self, fd: int, place: Place, limit: int | None) -> Iterator[Line]:
        """Yield new lines before position `limit`."""
        # Damage is read twice: a writer may just have cut an unfinished batch and written over it.
        before: Rest | None = None
        while True:
            walk = Walk(self._storage, fd, place)
            for batch in walk.batches():
                if limit is not None and batch[0].head.seq >= limit:
                    return
                self._place = place = walk.place
                yield from (line for line in batch if self._is_new(line))
            if limit is not None and place.seq == limit - 1:
                return  # the next segment has copies of the rest
            damage = self._damage(place, walk.rest, limit)
            if damage is None:
                return
            if damage == before:
                raise (self._fault if walk.rest is None else None) or self._corrupt(fd, place, damage)
            before = damage

    def _corrupt(self, fd: int, place: Place, damage: Rest) -> LogCorruptError:
        beyond = survivors_after(self._storage, fd, damage.offset)
        name = segment_name(place.segment)
        return LogCorruptError(name, damage.offset, damage.problem, after=place.seq, beyond=beyond)

    def _damage(self, place: Place, rest: Rest | None, limit: int | None) -> Rest | None:
        if rest is not None and not rest.torn:
            return rest
        if limit is not None:
            return rest or Rest(place.offset, f"positions {place.seq + 1} to {limit - 1} are missing", False, b"")
        if place.seq < self._floor:
            return rest or Rest(place.offset, f"the log ends here, but position {self._floor} was synced", False, b"")
        return None

    def _is_new(self, line: Line) -> bool:
        seen = self._seen
        if line.head.seq == seen.seq and line.chain != seen.chain.encode():
            raise LogMismatchError(self._folder, f"position {seen.seq} is not the event that it was")
        return line.head.seq > seen.seq

    def _next(self, place: Place, following: Opened | None) -> Place | None:
        self._place = place
        if following is None:
            return None
        start = following.start
        if start.seq > place.seq or (start.seq == place.seq and start.chain != place.chain):
            problem = "the segment does not go on where the one before it ended"
            raise self._fault or LogCorruptError(segment_name(start.segment), 0, problem)
        if self._seen.seq < place.seq and start.seq < place.seq:  # a repair restarted before the last yielded event
            self._seen = Cursor(place.seq, place.segment, place.offset, place.chain.decode())
        return start

    def _finish(self) -> None:
        if self._place is None:
            if self._floor:
                raise LogCorruptError(segment_name(1), 0, f"the log is empty, but position {self._floor} was synced")
        elif self._place.seq < self._seen.seq:
            raise LogMismatchError(self._folder, f"positions {self._place.seq + 1} to {self._seen.seq} are gone")


def _require_header(storage: Storage, folder: Path, number: int) -> None:
    fd, _ = open_segment(storage, folder, number)
    storage.close(fd)


class Ending(NamedTuple):
    """An end of the log that was seen, with the state of its files.

    A look at the end lists the folder, opens the newest segment, reads its last lines and checks their chain. Most
    looks find what the last one found. It still is the end while the segment is the same file, has the same size and
    time of change, and has no successor: a whole batch is never taken out of a segment but by a successor, so a
    segment's end only moves on, and then its size does.
    """

    cursor: Cursor
    path: Path
    """The segment with it."""
    following: Path
    """The segment after that, if there is one."""
    stamp: Stamp | None
    """State of the segment's file when it was seen; None if anything followed the last whole batch: the next writer
    cuts that off, and may write as many bytes."""

    def holds(self, storage: Storage) -> bool:
        """True if it certainly is the end."""
        try:
            return (
                self.stamp is not None
                and storage.stamp(self.path) == self.stamp
                and storage.stamp(self.following) is None
            )
        except OSError:  # the next look finds the fault
            return False


def ending(cursor: Cursor, path: Path, following: Path, stamp: Stamp | None) -> Ending:
    """An end that was seen. `stamp`: of its segment, from before the cursor was read or under the writers' lock."""
    whole = stamp is not None and stamp.size == cursor.offset
    return Ending(cursor, path, following, stamp if whole else None)


def read_head(storage: Storage, folder: Path) -> Ending:
    """The place after the last whole batch, found from the end of the last segment."""
    try:
        number = max(segment_numbers(storage, folder), default=0)
        path, following = folder / segment_name(number), folder / segment_name(number + 1)
        if not number:
            return ending(Cursor(), path, following, None)
        fd, opened = open_segment(storage, folder, number)
        try:
            stamp = storage.stamp(fd)  # before the lines: what comes meanwhile changes the size
            return ending(_last_end(storage, fd, opened), path, following, stamp)
        finally:
            storage.close(fd)
    except OSError as error:
        raise LogReadError(folder, error) from error


def _last_end(storage: Storage, fd: int, opened: Opened) -> Cursor:
    segment = opened.header.segment
    begin, data = read_end(storage, fd, _END)
    if (found := last_end(data)) is not None:
        seq, chain, stop = found
        return Cursor(seq=seq, segment=segment, offset=begin + stop, chain=chain.decode())
    for start, line in lines_back(storage, fd, storage.size(fd)):
        if start == 0:
            break
        try:
            head_bytes, data, chain = split_line(line)
            head = decode_head(head_bytes)
            if head.end and chain == chain_of(_chain_before(storage, fd, start), head_bytes, data):
                return Cursor(seq=head.seq, segment=segment, offset=start + len(line), chain=chain.decode())
        except BadRecord:
            continue
    place = opened.start
    if place.seq == 0:
        return Cursor()
    return Cursor(seq=place.seq, segment=segment, offset=place.offset, chain=place.chain.decode())


def _chain_before(storage: Storage, fd: int, offset: int) -> bytes:
    return chain_before(storage.read_at(fd, TAIL_LENGTH, max(offset - TAIL_LENGTH, 0)))


def find(storage: Storage, folder: Path, position: int) -> Recorded:
    """The event at this position, by a walk from the first one.

    Raises:
        LogMismatchError: there is none. LogCorruptError, LogReadError: as `read`.
    """
    for segment, line in read_lines(storage, folder, Cursor()):
        if line.head.seq == position:
            return _recorded(storage, folder, segment, line)
    raise LogMismatchError(folder, f"there is no event at position {position}")


def read_at(storage: Storage, folder: Path, segment: int, offset: int) -> Recorded:
    """The event at this place, checked against the line before it."""
    try:
        try:
            return _read_at(storage, folder, segment, offset)
        except BadRecord:
            return _read_at(storage, folder, segment, offset)  # its blob may just have been redacted
    except BadRecord as error:
        raise LogCorruptError(segment_name(segment), offset, str(error)) from error
    except OSError as error:
        raise LogReadError(folder, error) from error


def _read_at(storage: Storage, folder: Path, segment: int, offset: int) -> Recorded:
    fd = storage.open(folder / segment_name(segment), os.O_RDONLY)
    try:
        line = line_at(storage, fd, offset)
        head_bytes, payload, chain = split_line(line)
        if chain != chain_of(_chain_before(storage, fd, offset), head_bytes, payload):
            raise BadRecord("the chain value does not match the record and the one before it")
        payload = resolve(storage, folder, payload)
        return recorded(decode_head(head_bytes), payload, chain, segment, offset, len(line))
    finally:
        storage.close(fd)
