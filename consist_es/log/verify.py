"""Walk a whole log and say what is wrong with it. Reads only, and never stops at the first fault."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from consist_es.errors import LogError
from consist_es.log.blobs import BLOB_FOLDER, resolve
from consist_es.log.files import QUARANTINE, REDACTION
from consist_es.log.head import HEAD_FILE, SLOT, VERIFIED_FILE, Watermark, read_watermark, write_watermark
from consist_es.log.record import (
    BLOB_START,
    CHAIN_LENGTH,
    TAIL_LENGTH,
    TAIL_START,
    BadRecord,
    chain_before,
    chain_of,
    decode_head,
    split_line,
)
from consist_es.log.redaction import Account, read_intent, unaccounted
from consist_es.log.segment import (
    Line,
    Opened,
    Place,
    Rest,
    Walk,
    line_at,
    open_segment,
    place_before,
    segment_name,
    segment_numbers,
)
from consist_es.storage import LocalStorage, Storage

MOST_PROBLEMS = 1000
"""Problems that a report lists at most; one more line says that there are others."""

Progress = Callable[[int, int], None]
"""Called with (bytes checked, bytes in all)."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it should be."""

    file: str
    """Path below the log's folder."""
    offset: int
    position: int | None
    """Position of the event that is concerned, as far as it can be told."""
    what: str


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found."""

    events: int
    """Whole events that are in their place, those up to `since` included."""
    segments: int
    bytes: int
    """Bytes of all segments."""
    head: int
    """Position of the last event of the last whole batch."""
    ok: bool
    """No problem, no incomplete batch at the end, and no unfinished redaction."""
    problems: list[Problem]
    torn_bytes: int
    """Bytes after the last whole batch: of a writer that was killed, or that is writing. The next append cuts them."""
    torn_offset: int
    """Where they begin in the last segment."""
    quarantined: list[str]
    """Files in the quarantine folder: what earlier repairs cut off."""
    watermark: int | None
    """Position up to which the log was synced; None where that is not known."""
    redacted: list[int] = []
    """Positions whose payload was taken out, as far as this walk saw them or the events that say so."""
    redacting: bool = False
    """A redaction was begun and not finished: it is under way, or the next writer finishes it."""
    since: int = 0
    """Position up to which an earlier walk found everything whole, and this one did not look again."""


def verify(folder: Path, storage: Storage | None = None, progress: Progress | None = None) -> VerifyReport:
    """Check every line of a log against its chain, and the files beside it. Never raises on damage.

    The chain finds bit rot, reordering, and edits and deletions in the middle. It cannot find a rewrite of the whole
    log, nor a tail that was cut off above the watermark.
    """
    return _Check(Path(folder), storage or LocalStorage(), progress).report()


def verify_again(
    folder: Path, storage: Storage | None = None, progress: Progress | None = None, *, full: bool = False
) -> VerifyReport:
    """The same, but only from where the last such walk that found no fault noted that everything is whole and synced.

    The note is the file ``verified``; it is used only where the chain at its place is still the same, and it is a
    problem where it is not: what was synced and found whole is gone. `full` walks everything all the same. What lies
    before the note is taken on trust: damage that came later is found by a full walk alone.
    """
    folder, storage = Path(folder), storage or LocalStorage()
    try:
        noted = read_watermark(storage, folder, VERIFIED_FILE)
    except OSError:
        noted = None
    check = _Check(folder, storage, progress, noted, full=full)
    report = check.report()
    if report.ok and check.mark is not None:
        write_watermark(storage, folder, check.mark, VERIFIED_FILE)
    return report


class _Check:
    def __init__(
        self,
        folder: Path,
        storage: Storage,
        progress: Progress | None,
        noted: Watermark | None = None,
        *,
        full: bool = True,
    ) -> None:
        self._folder, self._storage, self._progress = folder, storage, progress
        self._noted, self._full = noted, full
        self.mark: Watermark | None = None
        """The watermark before the walk."""
        self._problems: list[Problem] = []
        self._events = 0
        self._done = 0
        self._total = 0
        self._torn = (0, 0)
        self._floor = 0
        self._project: str | None = None
        self._account = Account()
        self._place: Place | None = None
        """Where the last segment that was checked ended."""

    def report(self) -> VerifyReport:
        mark = self.mark = self._watermark()
        self._floor = mark.seq if mark else 0
        numbers = self._numbers()
        opened = {number: self._open(number) for number in numbers}
        self._total = sum(self._size(number) for number in numbers)
        start = self._start(opened)
        for number in numbers:
            if number != max(numbers) and number + 1 not in opened:
                self._problem(segment_name(number + 1), 0, None, "the segment is missing")
            if start is None or number >= start.segment:
                self._segment(number, opened, start)
        head = self._place.seq if self._place else 0
        if mark is not None:
            self._check_watermark(mark, head)
        redacting = self._check_redactions(start.seq if start else 0)
        return VerifyReport(
            events=self._events,
            segments=len(numbers),
            bytes=self._total,
            head=head,
            ok=not self._problems and not self._torn[1] and not redacting,
            problems=self._problems,
            torn_offset=self._torn[0],
            torn_bytes=self._torn[1],
            quarantined=self._quarantined(),
            watermark=mark.seq if mark else None,
            redacted=self._account.positions,
            redacting=redacting,
            since=start.seq if start else 0,
        )

    def _start(self, opened: dict[int, Opened | None]) -> Place | None:
        """The place that an earlier walk noted; None to begin at the beginning."""
        noted = self._noted
        if noted is None or (place := self._noted_place(noted, opened)) is None or self._full:
            return None
        segment, following = opened[place.segment], opened.get(place.segment + 1)
        if segment is None or (following is not None and following.header.first <= place.seq):
            return None  # its events were copied to the next segment since
        self._events, self._place = place.seq, segment.start
        self._done = place.offset + sum(self._size(number) for number in opened if number < place.segment)
        return place

    def _noted_place(self, noted: Watermark, opened: dict[int, Opened | None]) -> Place | None:
        segment = opened.get(noted.segment)
        try:
            fd = self._storage.open(self._folder / segment_name(noted.segment), os.O_RDONLY)
            try:
                place = None if segment is None else place_before(self._storage, fd, segment, noted.offset)
            finally:
                self._storage.close(fd)
            if place is None or (place.seq, place.chain) == (noted.seq, noted.chain.encode()):
                return place
            problem = "the record there is another"
        except (BadRecord, OSError) as error:
            problem = str(error)
        what = f"an earlier check found it whole and synced, but {problem}"
        name = segment_name(noted.segment)
        self._problem(name, noted.offset, noted.seq, f"{what} (if that was meant to be, remove {VERIFIED_FILE!r})")
        return None

    def _problem(self, file: str, offset: int, position: int | None, what: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(Problem(file, offset, position, what))
        elif len(self._problems) == MOST_PROBLEMS:
            self._problems.append(Problem(file, offset, position, "and more, which are not listed"))

    # ------------------------------------------------------------ files

    def _watermark(self) -> Watermark | None:
        try:
            found = self._read(self._folder / HEAD_FILE, 2 * SLOT)  # first: a writer may be making the file just now
            mark = read_watermark(self._storage, self._folder)
            if mark is None and len(found) >= SLOT:  # less is of a writer that was killed when it made the file
                self._problem(HEAD_FILE, 0, None, "no slot of the watermark matches its checksum")
        except OSError as error:
            self._problem(HEAD_FILE, 0, None, f"cannot be read: {error}")
            return None
        return mark

    def _check_watermark(self, mark: Watermark, head: int) -> None:
        """What was synced is still there, and is what it was."""
        name = segment_name(mark.segment)
        if head < mark.seq:
            self._problem(name, mark.offset, mark.seq, f"it was synced, but the log ends at position {head}")
            return
        try:
            tail = self._read(self._folder / name, TAIL_LENGTH, max(mark.offset - TAIL_LENGTH, 0))
            if chain_before(tail) != mark.chain.encode():
                raise BadRecord("the record there is another")
        except (BadRecord, OSError) as error:
            self._problem(name, mark.offset, mark.seq, f"it was synced, but {error}")

    def _read(self, path: Path, size: int, offset: int = 0) -> bytes:
        try:
            fd = self._storage.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return b""
        try:
            return self._storage.read_at(fd, size, offset)
        finally:
            self._storage.close(fd)

    def _numbers(self) -> list[int]:
        try:
            return segment_numbers(self._storage, self._folder)
        except OSError as error:
            self._problem("", 0, None, f"the folder cannot be read: {error}")
            return []

    def _size(self, number: int) -> int:
        try:
            fd = self._storage.open(self._folder / segment_name(number), os.O_RDONLY)
        except OSError:
            return 0
        try:
            return self._storage.size(fd)
        finally:
            self._storage.close(fd)

    def _open(self, number: int) -> Opened | None:
        try:
            fd, opened = open_segment(self._storage, self._folder, number)
        except (LogError, OSError) as error:
            self._problem(segment_name(number), 0, None, str(error))
            return None
        self._storage.close(fd)
        return opened

    def _quarantined(self) -> list[str]:
        try:
            return sorted(self._storage.listdir(self._folder / QUARANTINE))
        except OSError:
            return []

    # ------------------------------------------------------------ segments

    def _segment(self, number: int, all_opened: dict[int, Opened | None], start: Place | None) -> None:
        opened = all_opened[number]
        last = number == max(all_opened)
        following = all_opened.get(number + 1)
        if opened is None:
            self._place = None
            return
        self._check_start(number, opened)
        limit = following.header.first if following else None
        try:
            fd = self._storage.open(self._folder / segment_name(number), os.O_RDONLY)
            try:
                begin = start if start is not None and start.segment == number else opened.start
                self._lines(fd, begin, limit, last)
            finally:
                self._storage.close(fd)
        except OSError as error:
            self._problem(segment_name(number), 0, None, f"cannot be read: {error}")

    def _check_start(self, number: int, opened: Opened) -> None:
        name, start, place = segment_name(number), opened.start, self._place
        if self._project not in (None, opened.header.project):
            self._problem(name, 0, None, f"it belongs to another project, {opened.header.project}")
        self._project = opened.header.project
        if place is None:
            if number != 1 and not self._problems:
                self._problem(segment_name(1), 0, 1, "the segment is missing")
        elif (start.seq, start.chain) != (place.seq, place.chain):
            self._problem(name, 0, start.seq + 1, f"it does not go on after position {place.seq}, where the last ended")

    def _lines(self, fd: int, begin: Place, limit: int | None, last: bool) -> None:
        place: Place | None = begin
        while place is not None:
            rest = self._walk(fd, place, limit)
            reached = self._place
            if rest is None or reached is None or (limit is not None and reached.seq >= limit - 1):
                return  # what follows in a segment that was given up is in the next one
            if rest.torn and last and reached.seq >= self._floor:
                place = self._look_again(fd, reached)
            else:
                place = self._skip(fd, reached, rest)

    def _walk(self, fd: int, place: Place, limit: int | None) -> Rest | None:
        walk = Walk(self._storage, fd, place)
        self._place = place
        for batch in walk.batches():
            if limit is not None and batch[0].head.seq >= limit:
                return None
            self._place = walk.place
            self._events += len(batch)
            for line in batch:
                self._look_into(line, place.segment)
            self._advance(batch[-1].size + batch[-1].offset - batch[0].offset)
        return walk.rest

    def _advance(self, count: int) -> None:
        before, self._done = self._done, self._done + count
        if self._progress is not None and before >> 20 != self._done >> 20:
            self._progress(self._done, self._total)

    def _look_into(self, line: Line, segment: int) -> None:
        try:
            self._account.see(line)
        except BadRecord as error:
            self._problem(segment_name(segment), line.offset, line.head.seq, str(error))
        if not line.data.startswith(BLOB_START):
            return
        try:
            resolve(self._storage, self._folder, line.data)
        except (BadRecord, OSError) as error:
            self._problem(BLOB_FOLDER, 0, line.head.seq, str(error))

    def _check_redactions(self, since: int) -> bool:
        """Every payload that is gone is accounted for; whether there is a redaction to be finished."""
        try:
            for position, what in unaccounted(self._storage, self._folder, self._account, since):
                self._problem("", 0, position, what)
            return read_intent(self._storage, self._folder) is not None
        except (LogError, OSError) as error:
            self._problem(REDACTION, 0, None, str(error))
            return True

    def _look_again(self, fd: int, reached: Place) -> Place | None:
        """An unfinished batch at the very end is no damage, and somebody may be writing it just now."""
        size = self._storage.size(fd)
        walk = Walk(self._storage, fd, reached).run()
        if walk.place != reached:
            return reached
        self._torn = (reached.offset, size - reached.offset)
        return None

    def _skip(self, fd: int, reached: Place, rest: Rest) -> Place | None:
        """Report the first line that is wrong, and find the place behind it."""
        name = segment_name(reached.segment)
        self._problem(name, rest.offset, rest.position, rest.problem)
        if not rest.line.endswith(b"\n"):
            return None
        offset = rest.offset + len(rest.line)
        following = line_at(self._storage, fd, offset)
        before = _stated_chain(self._storage.read_at(fd, TAIL_LENGTH, max(rest.offset - TAIL_LENGTH, 0)))
        chain = _chain_between(before, rest.line, following)
        seq = _position(following)
        return Place(reached.segment, offset, rest.position if seq is None else seq - 1, chain, reached.at)


def _position(line: bytes) -> int | None:
    try:
        return decode_head(split_line(line)[0]).seq
    except BadRecord:
        return None


def _stated_chain(line: bytes) -> bytes:
    return line[-TAIL_LENGTH:][len(TAIL_START) : len(TAIL_START) + CHAIN_LENGTH]


def _chain_between(before: bytes, line: bytes, following: bytes) -> bytes:
    """Chain value after a wrong line: what it says or what it should say, whichever the next line was made from."""
    try:
        head, data, stated = split_line(line)
        next_head, next_data, next_chain = split_line(following)
    except BadRecord:
        return _stated_chain(line)
    computed = chain_of(before, head, data)
    return computed if next_chain == chain_of(computed, next_head, next_data) else stated
