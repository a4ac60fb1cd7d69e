"""The end of the log: the active segment, followed, checked, repaired and replaced under the lock."""

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from consist_es.errors import LogCorruptError, LogMismatchError, LogWriteError
from consist_es.events import LogRepaired
from consist_es.log.files import create_segment, quarantine, remove_leftovers
from consist_es.log.record import TAIL_LENGTH, BadRecord, chain_before, decode_event, genesis
from consist_es.log.salvage import survivors_after
from consist_es.log.segment import (
    CHUNK,
    FORMAT,
    VERSION,
    Header,
    Line,
    Opened,
    Place,
    Rest,
    Walk,
    open_segment,
    place_before,
    segment_name,
    segment_numbers,
)
from consist_es.log.watermark import Watermark, read_watermark, write_watermark
from consist_es.system.storage import Storage, is_at, write_all
from consist_es.version import __version__

STALE = 1.0
"""Seconds to wait for a writer that holds the newest segment under a lock file that was deleted."""


class Active:
    """The segment being written: its open file and the place of the next line."""

    def __init__(self, fd: int, folder: Path, opened: Opened, place: Place, *, name_safe: bool = False) -> None:
        number = opened.header.segment
        self.path, self.following = (folder / segment_name(each) for each in (number, number + 1))
        """Paths of this segment and the next."""
        self.fd, self.header, self.start, self.place = fd, opened.header, opened.start, place
        self.name_safe = name_safe
        """True once this process made the file's name survive a power cut."""
        self.adopted = name_safe
        """True if this process's syncs cover the whole file, see `Tail.adopt`."""


class Tail:
    """The end of the log. Except for `failed` and `repairs`, its state is a copy of what is on disk."""

    def __init__(self, folder: Path, storage: Storage, writer: str = "") -> None:
        self.folder, self._storage = folder, storage
        self.writer = writer
        """Id of this process's writer."""
        self.introduced = False
        """True if the log has this writer's `writer_attached`."""
        self.repairs: list[LogRepaired] = []
        """Repairs not in the log yet."""
        self.project: str | None = None
        self.redacting = False
        """True if this process saw an unfinished redaction."""
        self._active: Active | None = None
        self._failed: tuple[int, Watermark | None] | None = None
        """Segment with a failed sync, and the watermark before it."""

    def current(self, now: Callable[[], str]) -> Active:
        """The active segment, after checking and following the lines of other writers. `now`: the time.

        Raises:
            LogCorruptError, LogFormatError: it cannot be written to.
            LogMismatchError: it is not the log that was opened.
        """
        active = self._held(now)
        self._catch_up(active)
        return self._without_failed(active)

    @property
    def place(self) -> Place | None:
        """The end of the log as this writer last saw it, None if it has nothing open."""
        return None if self._active is None else self._active.place

    def _catch_up(self, active: Active, *, mine: bool = True) -> None:
        size = self._storage.size(active.fd)
        if size < active.place.offset:
            problem = f"the file has {size} bytes, but {active.place.offset} were written"
            raise LogCorruptError(segment_name(active.place.segment), size, problem)
        if size > active.place.offset:
            self._take_in(active, mine=mine)

    def _held(self, now: Callable[[], str]) -> Active:
        """The newest segment, followed and locked: the lock file may have been deleted while a writer held it.

        That writer cannot be stopped. After `STALE` seconds the log goes on in a new segment, and readers ignore later
        writes to the old one. The writer sees after its write that its lock file is gone, and appends again.
        """
        while True:
            active = self._active = self._follow(self._active) if self._active else self._open_last(now)
            if self._storage.flock(active.fd, blocking=False):
                return active
            if not self._storage.flock_within(active.fd, STALE):
                self._catch_up(active, mine=False)
                return self.begin_next(active)
            self._storage.unlock(active.fd)  # its holder may have begun another segment: look again

    def release(self) -> None:
        """Unlock the segment."""
        if self._active is not None:
            self._storage.unlock(self._active.fd)

    def forget(self) -> None:
        """Close the file; `current` starts afresh."""
        active, self._active = self._active, None
        if active is not None:
            with contextlib.suppress(OSError):
                self._storage.close(active.fd)

    def mark(self, place: Place) -> None:
        """Move the watermark to `place`: everything up to there is safe on disk."""
        mark = Watermark(place.seq, place.segment, place.offset, place.chain.decode())
        write_watermark(self._storage, self.folder, mark)

    def adopt(self, active: Active) -> None:
        """Make this process's next sync cover the lines of other writers: under the lock, once per segment.

        A failed sync marks the bytes as clean, and only processes that have the file open learn of it. If they die
        before copying them, a later sync by another process succeeds without these bytes. So everything above the
        watermark is written again: the same bytes at the same place.
        """
        if active.adopted:
            return
        mark = read_watermark(self._storage, self.folder)
        offset = self._safe_place(active.fd, Opened(active.header, active.start), mark).offset
        while offset < active.place.offset:
            lines = self._storage.read_at(active.fd, min(CHUNK, active.place.offset - offset), offset)
            write_all(self._storage, active.fd, lines, offset)
            offset += len(lines)
        active.adopted = True

    def settle(self, place: Place) -> None:
        """Make everything up to `place` safe on disk, for a repair that goes on from there. Under the lock.

        A segment with a successor was synced before that was made.
        """
        mark = read_watermark(self._storage, self.folder)
        newest = segment_numbers(self._storage, self.folder)[-1]
        if place.segment != newest or (mark is not None and mark.seq >= place.seq):
            return
        fd, opened = open_segment(self._storage, self.folder, newest, os.O_RDWR)
        try:
            self.adopt(Active(fd, self.folder, opened, place))
            self._storage.datasync(fd)
        finally:
            self._storage.close(fd)

    def sync_failed(self, segment: int, safe: Watermark | None) -> None:
        """Never write to this segment again; `current` copies the unsynced lines to a new one."""
        self._failed = (segment, safe)

    # ------------------------------------------------------------ opening

    def _open_last(self, now: Callable[[], str]) -> Active:
        self.redacting = remove_leftovers(self._storage, self.folder)
        numbers = segment_numbers(self._storage, self.folder)
        mark = read_watermark(self._storage, self.folder)
        if mark is not None and (not numbers or mark.segment > numbers[-1]):
            problem = f"the segment is missing, but position {mark.seq} in it was synced"
            raise LogCorruptError(segment_name(mark.segment), 0, problem)
        if not numbers:
            return self._create_first(now())
        fd, opened = open_segment(self._storage, self.folder, numbers[-1], os.O_RDWR)
        try:
            self._check_project(opened.header.project)
            return Active(fd, self.folder, opened, self._safe_place(fd, opened, mark))
        except BaseException:
            self._storage.close(fd)
            raise

    def _check_project(self, project: str) -> None:
        if self.project not in (None, project):
            raise LogMismatchError(self.folder, f"it holds project {project} now, not {self.project}")
        self.project = project

    def _safe_place(self, fd: int, opened: Opened, mark: Watermark | None) -> Place:
        """The watermark's place, or the segment's start if the watermark is in an earlier segment."""
        if mark is None or mark.segment != opened.header.segment:
            return opened.start
        name = segment_name(mark.segment)
        try:
            place = place_before(self._storage, fd, opened, mark.offset)
        except BadRecord as error:
            raise LogCorruptError(name, mark.offset, f"position {mark.seq} was synced, but {error}") from error
        if (place.seq, place.chain) != (mark.seq, mark.chain.encode()):
            raise LogCorruptError(name, mark.offset, f"position {mark.seq} is not the event that was synced")
        return place

    def _create_first(self, now: str) -> Active:
        if self.project is not None:
            raise LogMismatchError(self.folder, "its segments are gone")
        project = self._storage.token(16).hex()
        active = self._begin(project, Place(0, 0, 0, genesis(project), now))
        self.project = project
        return active

    def _begin(self, project: str, before: Place, lines: Iterable[bytes] = ()) -> Active:
        """Create the segment that goes on after `before`, and begins with `lines`."""
        number = before.segment + 1
        header = Header(FORMAT, VERSION, project, number, before.seq + 1, before.at, "blake3", __version__)
        fd, opened = create_segment(self._storage, self.folder, header, before.chain, lines)
        return Active(fd, self.folder, opened, opened.start, name_safe=True)

    # ------------------------------------------------------------ following

    def _follow(self, active: Active) -> Active:
        """Follow to the newest segment. Only that one is opened for writing: earlier ones may be read-only or
        archived."""
        newest = self._newest(active)
        if newest == active.place.segment:
            same = is_at(self._storage, active.fd, active.path)
            return active if same else self._opened_again(active, active.path)
        fd, opened = open_segment(self._storage, self.folder, newest, os.O_RDWR)
        self.forget()
        self._active = active = Active(fd, self.folder, opened, opened.start)
        self._check_project(opened.header.project)
        return active

    def _newest(self, active: Active) -> int:
        """The newest segment, if this one was it before."""
        try:
            self._storage.inode(active.following)
        except FileNotFoundError:
            return active.place.segment
        return segment_numbers(self._storage, self.folder)[-1]

    def _opened_again(self, active: Active, path: Path) -> Active:
        """Open the segment's new file: valid if it is the same log up to here, as after a redaction."""
        place = active.place
        fd, opened = open_segment(self._storage, self.folder, place.segment, os.O_RDWR)
        try:
            before = self._storage.read_at(fd, TAIL_LENGTH, place.offset - TAIL_LENGTH)
            if opened.header != active.header or chain_before(before) != place.chain:
                raise BadRecord("another history")
        except BadRecord as error:
            self._storage.close(fd)
            self._check_project(opened.header.project)
            raise LogMismatchError(path, "another file is in its place") from error
        self.forget()
        self._active = Active(fd, self.folder, opened, place)
        return self._active

    def _take_in(self, active: Active, *, mine: bool) -> None:
        """Check and follow the lines of other writers. Repair an unfinished batch if the segment is `mine`: nobody
        writes it."""
        walk = Walk(self._storage, active.fd, active.place)
        for batch in walk.batches():
            for line in batch:
                if line.head.by == self.writer:
                    self._recall(line)
        active.place = walk.place
        if walk.rest is not None and (mine or not walk.rest.torn):
            self._repair(active, walk.rest)

    def _recall(self, line: Line) -> None:
        """Take in a line of this writer, from an append interrupted after its write."""
        self.introduced = True
        event = decode_event(line.head.type, line.head.v, line.data) if self.repairs else None
        if isinstance(event, LogRepaired):
            self.repairs = [repair for repair in self.repairs if repair != event]

    def _repair(self, active: Active, rest: Rest) -> None:
        """Cut off an unfinished batch. The lock is held, so no living process is writing it."""
        place, name = active.place, segment_name(active.place.segment)
        if not rest.torn:
            beyond = survivors_after(self._storage, active.fd, rest.offset)
            raise LogCorruptError(name, rest.offset, rest.problem, after=place.seq, beyond=beyond)
        mark = read_watermark(self._storage, self.folder)  # another writer may have synced more
        if mark is not None and mark.seq > place.seq:
            problem = f"the log ends here, but position {mark.seq} was synced"
            raise LogCorruptError(name, place.offset, problem, after=place.seq)
        name, length = quarantine(self._storage, self.folder, active.fd, place.segment, place.offset)
        self.cut(active)
        repair = LogRepaired(
            segment=place.segment, offset=place.offset, length=length, quarantine=name, reason=rest.problem
        )
        self.repairs.append(repair)

    def cut(self, active: Active) -> None:
        """Cut off the bytes after the last whole batch, synced before anything is written there: a power cut must not
        mix old and new bytes, which would look like damage."""
        self._storage.truncate(active.fd, active.place.offset)
        safe = read_watermark(self._storage, self.folder)
        try:
            self._storage.datasync(active.fd)
        except OSError:
            self.sync_failed(active.place.segment, safe)

    # ------------------------------------------------------------ leaving a segment

    def begin_next(self, active: Active) -> Active:
        """Create the segment after a sealed one."""
        self._keep_name(active)
        self.adopt(active)
        safe = read_watermark(self._storage, self.folder)
        try:
            self._storage.datasync(active.fd)
        except OSError:
            self.sync_failed(active.place.segment, safe)
            return self._without_failed(active)
        following = self._begin(active.header.project, active.place)
        self._switch(following)
        return following

    def _keep_name(self, active: Active) -> None:
        """Make the segment's name survive a power cut before it gets a successor: else there could be a gap."""
        if not active.name_safe:
            self._storage.sync_folder(self.folder)
            active.name_safe = True

    def _switch(self, active: Active) -> None:
        self.forget()
        self._active = active
        self.mark(active.place)

    def _without_failed(self, active: Active) -> Active:
        """The active segment, or, if its last sync failed, a new one with everything since the watermark.

        The system may have dropped the bytes and would report the next sync of that file as a success, so it is never
        retried. The lines are copied unchanged; readers ignore the old ones from the new segment's first position on.
        """
        if self._failed is None or self._failed[0] != active.place.segment:
            self._failed = None
            return active
        start, end = self._safe_place(active.fd, Opened(active.header, active.start), self._failed[1]), active.place
        lines = self._storage.read_at(active.fd, end.offset - start.offset, start.offset)
        if Walk(self._storage, active.fd, start).run().place != end:
            raise LogWriteError(self.folder, "events that could not be synced cannot be read back either")
        self._keep_name(active)
        following = self._begin(active.header.project, start, [lines])
        segment, offset = following.place.segment, following.place.offset + len(lines)
        following.place = Place(segment, offset, end.seq, end.chain, end.at, end.sealed, end.closed)
        self._failed = None
        self._switch(following)
        return following
