"""Walks a whole log and reports its faults. Reads only, and never stops at the first fault."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from consist_es.errors import LogError
from consist_es.events import RecordLost
from consist_es.log.blobs import BLOB_FOLDER, resolve
from consist_es.log.files import REDACTION
from consist_es.log.looking import Looking
from consist_es.log.parts import Part, Parts, special
from consist_es.log.quick import Quick
from consist_es.log.record import (
    BLOB_START,
    TAIL_LENGTH,
    BadRecord,
    chain_before,
)
from consist_es.log.redaction import Account, read_intent, unaccounted
from consist_es.log.report import VerifyReport
from consist_es.log.salvage import chain_between, position_of, stated_chain
from consist_es.log.segment import (
    Line,
    Opened,
    Place,
    Rest,
    Walk,
    header_of,
    line_at,
    place_before,
    replacement,
    segment_name,
)
from consist_es.log.unended import OpenRuns
from consist_es.log.watermark import HEAD_FILE, SLOT, VERIFIED_FILE, Watermark, read_watermark, write_watermark
from consist_es.system.storage import LocalStorage, Storage

Progress = Callable[[int, int], None]
"""Called with (bytes checked, bytes in all)."""


def verify(folder: Path, storage: Storage | None = None, progress: Progress | None = None) -> VerifyReport:
    """Check every line of a log against its chain, and the files beside it. Damage is reported, never raised.

    The chain detects bit rot, reordering, and edits and deletions in the middle, but not a rewrite of the whole log,
    nor the loss of a tail above the watermark.
    """
    return _Check(Path(folder), storage or LocalStorage(), progress).report()


def verify_again(
    folder: Path, storage: Storage | None = None, progress: Progress | None = None, *, full: bool = False
) -> VerifyReport:
    """The same, but only from the place up to which the last clean walk noted everything as whole and synced.

    The note is the file ``verified``. If the chain differs at its place, that is a problem: something synced and
    verified is gone. What lies before the note is trusted; only a walk with `full` finds later damage there.
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
    elif report.problems and check.note_holds:  # the note claims too much now; one that does not hold is evidence
        with contextlib.suppress(OSError):
            storage.unlink(folder / VERIFIED_FILE)
    return report


class _Check(Looking):
    def __init__(
        self,
        folder: Path,
        storage: Storage,
        progress: Progress | None,
        noted: Watermark | None = None,
        *,
        full: bool = True,
    ) -> None:
        super().__init__(folder, storage)
        self._progress = progress
        self._noted, self._full = noted, full
        self.mark: Watermark | None = None
        """The watermark before the walk."""
        self._events = 0
        self._done = 0
        self._total = 0
        self._torn = (0, 0)
        self._floor = 0
        self._project: str | None = None
        self._firsts: dict[int, int] = {}
        """Segment -> position of its first event, if its header can be read."""
        self._lost: list[int] = []
        self._open_runs = OpenRuns()
        self._before: int | None = None
        self.note_holds = False
        """True if the record that an earlier walk ended with is there."""
        self._account = Account()
        self._place: Place | None = None
        """End of the last checked segment."""
        self._parts: Parts | None = None
        self._asked: dict[int, Place] = {}
        """Segment -> place that a child checks it from."""

    def report(self) -> VerifyReport:
        mark = self.mark = self._watermark()
        self._floor = mark.seq if mark else 0
        numbers = self._numbers()
        opened = {number: self._open(number) for number in numbers}
        self._firsts = {number: found.header.first for number, found in opened.items() if isinstance(found, Opened)}
        self._total = sum(self._size(number) for number in numbers)
        start = self._start(opened)
        due = start.segment if start else self._earliest()
        self._asked = self._askable(opened, start, due)
        size = self._total - self._done
        with Parts(self._storage, self._folder, list(self._asked.values()), size, self._advance) as self._parts:
            for number in numbers:
                if number >= due:  # superseded ones are skipped
                    due = self._segment(number, opened, start)
                elif number + 1 not in opened and not self._is_replaced(number):
                    self._next(number, opened)
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
            before=self._before,
            lost=self._lost,
            unread=self._unread,
            unended=self._open_runs.found(),
            since=start.seq if start else 0,
        )

    def _askable(self, opened: dict[int, Opened | str], start: Place | None, due: int) -> dict[int, Place]:
        """Where the segments begin that are to be checked."""
        begins = {number: found.start for number, found in opened.items() if isinstance(found, Opened)}
        if start is not None:
            begins[start.segment] = start
        return {number: place for number, place in begins.items() if number >= due}

    def _is_replaced(self, number: int) -> bool:
        """True if the segment that supersedes this one begins at its end or before."""
        limit, _ = replacement(number, self._firsts) or (0, 0)
        data = self._read(self._folder / segment_name(number), self._size(number))
        return limit <= (position_of(data[data.rfind(b"\n", 0, -1) + 1 :]) or limit) + 1

    def _earliest(self) -> int:
        """The segment with position 1."""
        first, number = replacement(0, self._firsts) or (0, 1)
        return number if first == 1 else 1

    def _start(self, opened: dict[int, Opened | str]) -> Place | None:
        """The place that an earlier walk noted, or None to begin at the start."""
        noted = self._noted
        if noted is None or (place := self._noted_place(noted, opened)) is None or self._full:
            return None
        segment, (limit, _) = opened[place.segment], replacement(place.segment, self._firsts) or (0, 0)
        if isinstance(segment, str) or 0 < limit <= place.seq:
            return None  # its events were copied to a later segment since
        self._events, self._place = place.seq, segment.start
        self._done = place.offset + sum(self._size(number) for number in opened if number < place.segment)
        return place

    def _noted_place(self, noted: Watermark, opened: dict[int, Opened | str]) -> Place | None:
        segment = opened.get(noted.segment)
        try:
            fd = self._storage.open(self._folder / segment_name(noted.segment), os.O_RDONLY)
            try:
                place = place_before(self._storage, fd, segment, noted.offset) if isinstance(segment, Opened) else None
            finally:
                self._storage.close(fd)
            if place is None or (place.seq, place.chain) == (noted.seq, noted.chain.encode()):
                self.note_holds = place is not None
                return place
            problem = "the record there is another"
        except (BadRecord, OSError) as error:
            problem = str(error)
        what = f"an earlier check found it whole and synced, but {problem}"
        name = segment_name(noted.segment)
        self._problem(name, noted.offset, noted.seq, f"{what} (if that was intended, remove {VERIFIED_FILE!r})")
        return None

    # ------------------------------------------------------------ files

    def _watermark(self) -> Watermark | None:
        try:
            found = self._read(self._folder / HEAD_FILE, 2 * SLOT)  # first: a writer may be making the file now
            mark = read_watermark(self._storage, self._folder)
            if mark is None and len(found) >= SLOT:  # less was left by a writer killed while making the file
                self._problem(HEAD_FILE, 0, None, "no slot of the watermark matches its checksum")
        except OSError as error:
            self._unreadable(HEAD_FILE, error)
            return None
        return mark

    def _check_watermark(self, mark: Watermark, head: int) -> None:
        """Check that the last synced event is still there, unchanged."""
        name = segment_name(mark.segment)
        if head < mark.seq:
            self._problem(name, mark.offset, mark.seq, f"it was synced, but the log ends at position {head}")
            return
        limit, _ = replacement(mark.segment, self._firsts) or (0, 0)
        if 0 < limit <= mark.seq:
            return  # a repair was killed before it moved the mark
        try:
            tail = self._read(self._folder / name, TAIL_LENGTH, max(mark.offset - TAIL_LENGTH, 0))
            if chain_before(tail) != mark.chain.encode():
                raise BadRecord("the record there is another")
        except (BadRecord, OSError) as error:
            self._problem(name, mark.offset, mark.seq, f"it was synced, but {error}")

    # ------------------------------------------------------------ segments

    def _segment(self, number: int, all_opened: dict[int, Opened | str], start: Place | None) -> int:
        """Check one segment; return the next one that counts."""
        opened, last = all_opened[number], number == max(all_opened)
        limit, following = replacement(number, self._firsts) or (None, number + 1)
        if isinstance(opened, str):
            self._problem(segment_name(number), 0, None, opened)
            self._place = None
            return self._next(number, all_opened)
        self._check_start(number, opened)
        try:
            fd = self._storage.open(self._folder / segment_name(number), os.O_RDONLY)
            try:
                begin = start if start is not None and start.segment == number else opened.start
                self._lines(fd, begin, limit, last)
            finally:
                self._storage.close(fd)
        except OSError as error:
            self._unreadable(segment_name(number), error)
        if limit is not None and self._place is not None and limit <= self._place.seq + 1:
            return following
        return self._next(number, all_opened)

    def _next(self, number: int, all_opened: dict[int, Opened | str]) -> int:
        if number != max(all_opened) and number + 1 not in all_opened:
            self._problem(segment_name(number + 1), 0, None, "the segment is missing")
        return number + 1

    def _check_start(self, number: int, opened: Opened) -> None:
        name, start, place = segment_name(number), opened.start, self._place
        if self._project not in (None, opened.header.project):
            self._problem(name, 0, None, f"it belongs to another project, {opened.header.project}")
        self._project = opened.header.project
        if place is None:
            if start.seq and not self._problems:
                self._problem(segment_name(1), 0, 1, "the segment is missing")
        elif (start.seq, start.chain) != (place.seq, place.chain):
            self._problem(
                name, 0, start.seq + 1, f"it does not go on after position {place.seq}, where the one before it ended"
            )

    def _lines(self, fd: int, begin: Place, limit: int | None, last: bool) -> None:
        place: Place | None = begin
        before: Rest | None = None
        while place is not None:
            rest = self._walk(fd, place, limit)
            reached = self._place
            if rest is None or reached is None or (limit is not None and reached.seq >= limit - 1):
                return  # the rest is superseded by the next segment
            if rest.torn and last and reached.seq >= self._floor:
                place = self._look_again(fd, reached)
            elif rest != before:
                before, place = rest, reached  # a writer may just have cut an unfinished batch and written over it
            elif last and self._given_up_since(reached):
                return
            else:
                place = self._skip(fd, reached, rest)

    def _given_up_since(self, reached: Place) -> bool:
        """True if a segment made since this check began has the next position."""
        found = header_of(self._storage, self._folder, reached.segment + 1)
        return isinstance(found, Opened) and found.header.first <= reached.seq + 1

    def _walk(self, fd: int, place: Place, limit: int | None) -> Rest | None:
        self._place = place
        part = self._part(place, limit)
        quick = Quick(self._storage, fd, place if part is None else part.place)
        if part is not None:
            self._take(part)
            if part.ended:
                return None
        for found in quick.checked():
            if limit is not None and found.place.seq >= limit:
                break
            for head in found.heads:
                self._open_runs.see_head(head)
            self._reach(found.place, len(found.lines), special(found))
            self._advance(found.place.offset - found.start)
        else:
            if quick.ended:
                return None
        walk = Walk(self._storage, fd, self._place)
        for batch in walk.batches():
            if limit is not None and batch[0].head.seq >= limit:
                return None
            self._place = walk.place
            self._events += len(batch)
            for line in batch:
                self._open_runs.see_head(line.head)
                self._look_into(line, place.segment)
            self._advance(batch[-1].size + batch[-1].offset - batch[0].offset)
        return walk.rest

    def _advance(self, count: int) -> None:
        before, self._done = self._done, self._done + count
        if self._progress is not None and before >> 20 != self._done >> 20:
            self._progress(min(self._done, self._total), self._total)  # a part may have been checked twice

    def _part(self, place: Place, limit: int | None) -> Part | None:
        """What a child says of the lines from this place on."""
        if self._parts is None or place != self._asked.pop(place.segment, None):
            return None
        part = self._parts.take(place.segment)
        return None if part is None or (limit is not None and part.place.seq >= limit) else part

    def _take(self, part: Part) -> None:
        self._open_runs.go_on(part.closed, part.open)
        self._reach(part.place, part.events, part.lines())

    def _reach(self, place: Place, events: int, lines: list[Line]) -> None:
        """Whole lines up to a place were checked; these of them have to be looked into."""
        self._place = place
        self._events += events
        for line in lines:
            self._look_into(line, place.segment)

    def _look_into(self, line: Line, segment: int) -> None:
        try:
            self._account.see(line)
        except BadRecord as error:
            self._problem(segment_name(segment), line.offset, line.head.seq, str(error))
        self._open_runs.see_writer(line)
        if line.head.type == RecordLost.TYPE:
            self._lost.append(line.head.seq)
        if not line.data.startswith(BLOB_START):
            return
        try:
            resolve(self._storage, self._folder, line.data)
        except (BadRecord, OSError) as error:
            self._unread = self._unread or isinstance(error, PermissionError)
            self._problem(BLOB_FOLDER, 0, line.head.seq, str(error))

    def _check_redactions(self, since: int) -> bool:
        """Check that every missing payload is accounted for; return True if a redaction is unfinished."""
        try:
            for position, what in unaccounted(self._storage, self._folder, self._account, since):
                self._problem("", 0, position, what)
            return read_intent(self._storage, self._folder) is not None
        except (LogError, OSError) as error:
            self._problem(REDACTION, 0, None, str(error))
            return True

    def _look_again(self, fd: int, reached: Place) -> Place | None:
        """Read the unfinished batch at the end again: it is no damage, and a writer may be at work."""
        size = self._storage.size(fd)
        walk = Walk(self._storage, fd, reached).run()
        if walk.place != reached:
            return reached
        self._torn = (reached.offset, size - reached.offset)
        return None

    def _skip(self, fd: int, reached: Place, rest: Rest) -> Place | None:
        """Report the first wrong line, and return the place behind it."""
        name = segment_name(reached.segment)
        self._before = self._events if self._before is None else self._before
        self._problem(name, rest.offset, rest.position, rest.problem)
        if not rest.line.endswith(b"\n"):
            return None
        offset = rest.offset + len(rest.line)
        following = line_at(self._storage, fd, offset)
        before = stated_chain(self._storage.read_at(fd, TAIL_LENGTH, max(rest.offset - TAIL_LENGTH, 0)))
        chain = chain_between(before, rest.line, following)
        seq = position_of(following)
        return Place(reached.segment, offset, rest.position if seq is None else seq - 1, chain, reached.at)
