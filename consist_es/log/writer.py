"""Appending: one batch, one write, under the lock; the protocol is in docs/log-format.md."""

import contextlib
import errno
import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from consist_es.errors import (
    ConsistWarning,
    LogClosedError,
    LogError,
    LogFullError,
    LogLockError,
    LogMismatchError,
    LogReadOnlyError,
    LogWriteError,
)
from consist_es.events import Cursor, Draft, Event, LogClosed, SegmentSealed
from consist_es.log.blobs import write_blob
from consist_es.log.files import new_id, remove_leftovers
from consist_es.log.lookback import heads_back
from consist_es.log.presence import Presence, introduction
from consist_es.log.reader import Ending, ending
from consist_es.log.record import DATA_CAP, Prepared, decode_line, encode_lines, prepare
from consist_es.log.redaction import Intent, carry_out, forget_intent, plan, read_intent, write_intent
from consist_es.log.repair import Gap, find_damage, take_over, told
from consist_es.log.segment import CLOSED, SEALED, Place, lines_back
from consist_es.log.tail import Active, Tail
from consist_es.log.watermark import Watermark, read_watermark, write_watermark
from consist_es.system.storage import FULL, READ_ONLY, Lock, Storage, make_folder, on_fork, write_all
from consist_es.system.with_block import WithBlock

LOCK_FILE = "lock"
_T = TypeVar("_T")
_TRIES = 20
"""Attempts per append while the lock file keeps being deleted."""


class _LockLost(Exception):
    """The lock file was deleted while this writer held it: what it wrote last may not count."""

    def __init__(self, after: int | None) -> None:
        super().__init__("the lock file was deleted repeatedly")
        self.after = after
        """Position of the last event before the write; None if there was none."""


class _Hold(WithBlock[None]):
    """Holds the lock file and, after `Tail.current`, the newest segment."""

    def __init__(self, lock: Lock, tail: Tail) -> None:
        self._lock, self._tail = lock, tail

    def _begin(self) -> None:
        self._lock.acquire()

    def _end(self, error: BaseException | None) -> None:
        try:
            self._tail.release()
        finally:
            self._lock.release()


class Writer:
    """Appends to the log for this process."""

    def __init__(self, folder: Path, storage: Storage, segment_size: int) -> None:
        self.folder = folder
        self._storage = storage
        self._segment_size = segment_size
        self._lock = Lock(folder / LOCK_FILE, storage)
        self._mutex = threading.Lock()
        self._tail = Tail(folder, storage)
        self._hold = _Hold(self._lock, self._tail)
        self._presence = Presence(folder, storage)
        self.end: Ending | None = None
        """The end of the log as this process saw or left it last."""
        self._folders_safe = False
        """True once the folder and those above it are synced."""
        on_fork(self)

    @property
    def name(self) -> str:
        """The writer id: host, pid and a random part."""
        if not self._tail.writer:
            storage = self._storage
            self._tail.writer = f"{storage.host()[:64]}.{storage.pid()}.{storage.token(8).hex()}"
        return self._tail.writer

    def append(self, items: list[Prepared], *, sync: bool, since: int | None) -> list[int]:
        """Append the items the log does not have yet; return the position of every item."""
        size = sum(len(item.data) for item in items)
        start = since

        def act() -> list[int]:
            return self._append(items, sync, start)

        def lost(after: int | None) -> None:
            nonlocal start
            start = after if start is None else start  # may count: do not append it twice

        return self._retried(act, size, lost)

    def graft(self, items: list[Prepared], after: int, *, sync: bool) -> int:
        """Append the items if the log ends at position `after`, and return the last position; 0 if it does not."""
        return max(self._retried(lambda: self._append(items, sync, None, after)), default=0)

    def redact(self, positions: Sequence[int], reason: str, user: str) -> None:
        """Remove the payloads of these events from the log and record it, safe on disk."""
        acts = [lambda: self._redact(positions, reason, user)]
        self._retried(lambda: acts[0](), lost=lambda _after: acts.insert(0, self._tidy))  # finishes that redaction

    def _redact(self, positions: Sequence[int], reason: str, user: str) -> None:
        with self._hold:
            active = self._current()
            self._require_open(active)
            ids = [new_id(self._storage) for _ in positions]
            intent = plan(self._storage, self.folder, positions, active.place.seq, reason, user, ids)
            write_intent(self._storage, self.folder, intent)
            self._finish_redaction(intent)

    def repair(self) -> list[Gap]:
        """Go on without the damaged records, safe on disk. Return the lost positions."""
        return self._retried(self._repair)

    def _repair(self) -> list[Gap]:
        with self._hold:
            self._tail.forget()
            # before anything is called lost: it may put a segment back
            self._tail.redacting = remove_leftovers(self._storage, self.folder)
            damage = find_damage(self._storage, self.folder)
            if damage is None:
                return []
            self._tail.settle(damage.before)

            def own(gaps: list[Gap]) -> list[Prepared]:
                return [self._prepared(told(damage, gaps)), *self._own()]

            make_id = functools.partial(new_id, self._storage)
            mark, gaps = take_over(self._storage, self.folder, damage, self.name, own, make_id)
            self._tail.introduced, self._tail.repairs = True, []
            write_watermark(self._storage, self.folder, mark)
            return gaps

    def _retried(
        self, act: Callable[[], _T], needed: int = 0, lost: Callable[[int | None], object] = lambda _after: None
    ) -> _T:
        """Run `act` again if the lock file was deleted meanwhile; `lost` gets the last position before the write."""
        for _ in range(_TRIES):
            try:
                return self._alone(act, needed)
            except _LockLost as error:
                lost(error.after)
        raise LogLockError(self._lock.path, "the file was deleted repeatedly", "Leave the lock file alone.")

    def _alone(self, act: Callable[[], _T], needed: int = 0) -> _T:
        """Run `act` under the mutex. On an error, forget the log's end and translate the error."""
        # No contextmanager around the mutex: an interrupt between its `yield` and the `with` would leave it locked,
        # and recording that interrupt would wait forever.
        with self._mutex:
            try:
                return act()
            except (OSError, LogError) as error:
                place, lost = self._tail.place, self._has_lost_lock()
                self._let_go()
                if lost:  # the error may come from another writer's work
                    raise _LockLost(None if place is None else place.seq) from error
                if isinstance(error, OSError):
                    raise self._translated(error, needed) from error
                raise
            except _LockLost:
                self._let_go()
                self._tail.introduced = False  # its `writer_attached` may be in lines that do not count
                raise
            except BaseException:
                self._let_go()
                raise

    def _has_lost_lock(self) -> bool:
        """True if the lock file was deleted; False also if the system does not answer."""
        with contextlib.suppress(OSError):
            return self._lock.is_lost()
        return False

    def _let_go(self) -> None:
        """Drop the state in memory: the next append reads it from disk."""
        self._lock.release()  # an interrupt between the lock and its `with` would leave it behind
        self._tail.forget()

    def close(self) -> None:
        """Close the files; the next append opens them again."""
        with self._mutex:
            self._tail.forget()
            self._lock.close()
            self._presence.release()

    def tidy(self) -> None:
        """Do the next append's first steps: cut off an unfinished batch, begin a segment after a sealed one, finish a
        redaction, remove unfinished files."""
        self._retried(self._tidy)

    def _tidy(self) -> None:
        with self._hold:
            active = self._roll_if_due(self._current())
            if self._tail.repairs:
                self._write(active, self._own())
            place = active.place
        self._sync(active, place)

    def after_fork(self) -> None:
        """Make the child a writer of its own that shares no open file with its parent."""
        self._mutex = threading.Lock()
        self._tail.forget()
        self._tail.writer, self._tail.introduced, self._tail.repairs = "", False, []

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, TypeError):  # the interpreter may be half gone
            self._tail.forget()

    def _append(self, items: list[Prepared], sync: bool, since: int | None, only_after: int | None = None) -> list[int]:
        if self._tail.project is None:
            make_folder(self._storage, self.folder)
            self._warn_if_open_to_all()
        is_bulky = any(len(item.data) > DATA_CAP for item in items)
        if is_bulky:  # most of the work before the lock
            self._without_bulk(items)
        with self._hold:
            active = self._current()
            if only_after not in (None, active.place.seq):
                return []
            self._require_open(active)
            if is_bulky:  # the blob of the same payload may have been redacted before we had the lock
                items = self._without_bulk(items)
            known = {} if since is None else self._known(active, {item.id for item in items}, since)
            fresh = [item for item in items if item.id not in known]
            if fresh:
                active = self._roll_if_due(active)
            if sync:
                self._tail.adopt(active)
            if fresh:
                self._write(active, self._own() + fresh)
            place = active.place
        if sync:
            self._sync(active, place)
        numbers = iter(range(place.seq - len(fresh) + 1, place.seq + 1))
        return [known[item.id] if item.id in known else next(numbers) for item in items]

    def _without_bulk(self, items: list[Prepared]) -> list[Prepared]:
        """The items, large payloads replaced by references to their blobs."""
        return [
            msgspec.structs.replace(item, data=write_blob(self._storage, self.folder, item.data))
            if len(item.data) > DATA_CAP
            else item
            for item in items
        ]

    def _warn_if_open_to_all(self) -> None:
        if self._storage.mode(self.folder) & 0o002:
            message = f"Every user of this machine can change the log {self.folder}: set a stricter umask, or chmod it."
            warnings.warn(message, ConsistWarning, stacklevel=5)

    def _translated(self, error: OSError, needed: int) -> Exception:
        if error.errno in FULL:
            return LogFullError(self.folder, needed, error)
        if error.errno in READ_ONLY:
            return LogReadOnlyError(self.folder)
        if error.errno == errno.ENOENT and self._tail.project is not None:
            return LogMismatchError(self.folder, f"it was removed while open ({error})")
        return LogWriteError(self.folder, error)

    # ------------------------------------------------------------ under the lock

    def _current(self) -> Active:
        """The active segment. Finishes first a redaction that a killed writer left."""
        active = self._tail.current(functools.partial(self._time, ""))
        if self._tail.redacting:
            if (intent := read_intent(self._storage, self.folder)) is not None:
                return self._finish_redaction(intent)
            self._tail.redacting = False
        return active

    def _require_open(self, active: Active) -> None:
        """Refuse to write behind the event that says where the log went."""
        if active.place.closed:
            start, line = next(lines_back(self._storage, active.fd, active.place.offset))
            event = decode_line(line, active.place.segment, start).event
            raise LogClosedError(self.folder, event.to if isinstance(event, LogClosed) else "another place")

    def _finish_redaction(self, intent: Intent) -> Active:
        """Do the rest of a planned redaction and record it."""
        carry_out(self._storage, self.folder, intent)
        self._tail.forget()  # the segment's file may have been replaced
        active = self._tail.current(functools.partial(self._time, ""))
        known = self._known(active, {target.id for target in intent.targets}, intent.since)
        items = [
            prepare(Draft(target.event, target.scenario, target.run), target.id)
            for target in intent.targets
            if target.id not in known
        ]
        if items:
            active = self._roll_if_due(active)
            self._tail.adopt(active)
            self._write(active, self._own() + items)
        self._make_names_safe(active)
        safe = read_watermark(self._storage, self.folder)
        try:
            self._storage.datasync(active.fd)
        except OSError:
            self._tail.sync_failed(active.place.segment, safe)
            raise
        self._tail.mark(active.place)
        forget_intent(self._storage, self.folder)
        self._tail.redacting = False
        return active

    def _known(self, active: Active, wanted: set[str], since: int) -> dict[str, int]:
        """Positions after `since` of the events with these ids, searched from the end of the log."""
        found: dict[str, int] = {}
        for head in heads_back(self._storage, self.folder, active.header.segment):
            if head.seq <= since:
                break
            if head.id in wanted:
                found[head.id] = head.seq
        return found

    def _own(self) -> list[Prepared]:
        """The log's own events to write with the next batch."""
        events: list[Event] = [*self._tail.repairs]
        if not self._tail.introduced or self._presence.left:
            events.append(introduction(self._storage, self.name, self._presence.hold(self.name)))
        return [self._prepared(event) for event in events]

    def _prepared(self, event: Event) -> Prepared:
        return prepare(Draft(event), new_id(self._storage))

    def _roll_if_due(self, active: Active) -> Active:
        if not active.place.sealed and active.place.offset >= self._segment_size:
            sealed = SegmentSealed(segment=active.place.segment, size=active.place.offset)
            self._write(active, [*self._own(), self._prepared(sealed)])
        while active.place.sealed:  # also if the writer that sealed it died before this
            active = self._tail.begin_next(active)
        return active

    def _write(self, active: Active, items: list[Prepared]) -> None:
        place = active.place
        at = self._time(place.at)
        batch, chain = encode_lines(items, place.seq, at, self.name, place.chain)
        try:
            write_all(self._storage, active.fd, batch, place.offset)
        except BaseException as error:
            if not self._has_lost_lock():  # else another writer may have read it as whole
                self._take_back(active, len(batch), isinstance(error, OSError))
            raise
        if self._lock.is_lost():
            raise _LockLost(place.seq)
        last, offset, seq = items[-1].type, place.offset + len(batch), place.seq + len(items)
        active.place = Place(place.segment, offset, seq, chain, at, last == SEALED, last == CLOSED)
        self._remember(active)
        self._tail.introduced, self._tail.repairs = True, []

    def _remember(self, active: Active) -> None:
        """Note the end that this append has made: nobody else writes meanwhile."""
        place = active.place
        try:
            stamp = self._storage.stamp(active.fd)
        except OSError:
            stamp = None  # the append is done; only the next look at the end reads it
        cursor = Cursor(place.seq, place.segment, place.offset, place.chain.decode())
        self.end = ending(cursor, active.path, active.following, stamp)

    def _take_back(self, active: Active, length: int, failed: bool) -> None:
        """Cut off a partly written batch. An interrupted batch that is already whole stays."""
        offset = active.place.offset
        with contextlib.suppress(OSError):  # then the next writer finds an unfinished batch and cuts it off
            if failed or self._storage.size(active.fd) != offset + length:
                self._tail.cut(active)

    def _time(self, last: str) -> str:
        """The wall clock's time, never earlier than the last event's."""
        now = self._storage.now().isoformat(timespec="microseconds")
        return max(now[:26] + "Z", last)

    # ------------------------------------------------------------ without the lock: others write meanwhile

    def _sync(self, active: Active, place: Place) -> None:
        """Return once everything up to `place` survives a power cut."""
        self._make_names_safe(active)
        safe = read_watermark(self._storage, self.folder)
        try:
            self._storage.datasync(active.fd)
        except OSError as error:
            self._recover(place, safe, error)
        else:
            self._tail.mark(place)

    def _make_names_safe(self, active: Active) -> None:
        """Sync the folders: the maker of the segment or of a folder may have died before its name was safe."""
        if not self._folders_safe:
            for folder in self.folder.parents:
                self._make_entries_safe(folder)
            self._presence.sync()
            self._folders_safe = True
        if not active.name_safe:
            self._storage.sync_folder(self.folder)
            active.name_safe = True

    def _make_entries_safe(self, folder: Path) -> None:
        """Sync a folder. One that we may not read is skipped: we cannot have made an entry in it."""
        try:
            self._storage.sync_folder(folder)
        except PermissionError as error:
            try:
                self._storage.listdir(folder)
            except PermissionError:
                return
            raise error from None  # the folder is readable: another fault

    def _recover(self, place: Place, safe: Watermark | None, error: OSError) -> None:
        self._tail.sync_failed(place.segment, safe)
        with self._hold:
            active = self._tail.current(functools.partial(self._time, ""))
        if active.header.first > place.seq:  # another writer has gone on without copying
            raise LogWriteError(self.folder, error)
