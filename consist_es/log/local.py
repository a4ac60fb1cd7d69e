"""The log of a project: a folder, shared by the processes of one machine."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from consist_es.errors import LogCorruptError, LogError, LogReadError, LogReadOnlyError, OptionError, RedactionError
from consist_es.events import Cursor, Draft, Recorded
from consist_es.log.blobs import BLOB_FOLDER, resolve
from consist_es.log.claims import FileClaim, holder
from consist_es.log.files import new_ids, refuse_links
from consist_es.log.places import read_places
from consist_es.log.presence import Marks, is_gone, is_seen, sweep
from consist_es.log.reader import find, read, read_at, read_head, read_lines
from consist_es.log.record import BadRecord, Prepared, prepare_all
from consist_es.log.repair import Damage, Gap, find_damage
from consist_es.log.segment import SEGMENT_SIZE, Line, Opened, header_of, segment_numbers
from consist_es.log.writer import Writer
from consist_es.system.storage import LocalStorage, Storage
from consist_es.values.masking import kept_key, key_file

if TYPE_CHECKING:
    from consist_es.log.report import VerifyReport

SYNC_POLICIES = ("commit", "always", "os")


class LocalLog:
    """Append events and read them back: the engine of `consist_es.log.engine` for files.

    An acknowledged event (`append` has returned) survives the death of the process; the sync policy decides whether it
    survives a power cut. An unacknowledged batch is visible whole or not at all.

    Args:
        folder: Made with the first append. A missing folder reads as an empty log.
        sync: ``commit``: appends with ``commit=True`` are safe on disk when they return, and with them everything
            before. ``always``: every append. ``os``: none; the system decides when.
        storage: The operating system, or a test double.
        read_only: Refuse `append`.
        segment_size: Bytes after which a new segment file is begun.

    Raises:
        OptionError: an unknown sync policy.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sync: str = "commit",
        storage: Storage | None = None,
        read_only: bool = False,
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        if sync not in SYNC_POLICIES:
            raise OptionError("sync", sync, SYNC_POLICIES)
        self.folder = Path(folder).absolute()
        self.sync = sync
        self.read_only = read_only
        self.storage: Storage = storage or LocalStorage()
        self._writer = Writer(self.folder, self.storage, segment_size)
        self._project_id: str | None = None

    can = frozenset({"archive", "checkpoint", "doctor", "prove", "redact", "repair", "verify --against"})

    @property
    def place(self) -> str:
        """The folder's path."""
        return str(self.folder)

    @property
    def writer(self) -> str:
        """This process's writer id, the `Recorded.by` of its events."""
        return self._writer.name

    @property
    def project_id(self) -> str | None:
        """The project's identity, made with the first segment; None while the log is empty.

        Raises:
            LogFormatError, LogCorruptError, LogReadError: the first segment cannot be read.
        """
        if self._project_id is None:
            self._project_id = self._read_project_id()
        return self._project_id

    def _read_project_id(self) -> str | None:
        try:
            numbers = segment_numbers(self.storage, self.folder)
            headers = [header_of(self.storage, self.folder, number) for number in numbers]
        except OSError as error:
            raise LogReadError(self.folder, error) from error
        fault: LogError | None = None
        for found in headers:  # an unreadable one may be superseded
            if isinstance(found, Opened):
                return found.header.project
            fault = fault or found
        if fault is not None:
            raise fault
        return None

    def append(self, drafts: Sequence[Draft], *, commit: bool = False, since: int | None = None) -> list[int]:
        """Append events as one batch and return their positions, once the sync policy is met.

        Args:
            drafts: Become visible together.
            commit: Sync now under the policy ``commit``: a run's end, a cache publication, a scenario's exit.
            since: For a retry after a failed or interrupted append. An event with an id that was already appended after
                this position is not appended again; its position is returned.

        Raises:
            UsageTypeError, LimitError: an event cannot be encoded; nothing was written.
            LogFullError: no room; nothing of the batch is visible.
            LogWriteError: any other failure. If only the sync failed, the batch may be visible all the same; a
                retry with the same ids and `since` is safe.
            LogReadOnlyError: the log was opened for reading, or the file system is read-only.
            LogCorruptError, LogFormatError: the log cannot be written to; nothing was written.
            LogMismatchError: the folder was removed or swapped while the log was open.
            LogLockError: there is no flock on this file system.
        """
        if self.read_only:
            raise LogReadOnlyError(self.folder)
        if not drafts:
            return []
        items = prepare_all(drafts, new_ids(self.storage, len(drafts)))
        must_sync = self.sync == "always" or (self.sync == "commit" and commit)
        return self._writer.append(items, sync=must_sync, since=since)

    def graft(self, items: Sequence[Prepared], after: int) -> int:
        """Append records that are made already, as one batch, if the log ends at position `after`, and return the last
        position. Otherwise nothing is written, and it returns 0. Safe on disk unless the policy is ``os``.

        Raises as `append`.
        """
        if self.read_only:
            raise LogReadOnlyError(self.folder)
        return self._writer.graft(list(items), after, sync=self.sync != "os")

    def redact(self, positions: Sequence[int], reason: str, user: str = "") -> None:
        """Remove the payloads of these events from the log for good; record who did it, why, and the digests.

        The payload's digest stays in its place, so the chain, the Merkle tree and all offsets stay valid. If the
        process dies on the way, the next writer finishes it. Safe on disk when it returns.

        Raises:
            RedactionError: no such event, one of the log's own, or one that shares its blob with another.
            LogReadOnlyError, LogFullError, LogWriteError, LogCorruptError, LogFormatError, LogMismatchError,
            LogLockError: as for `append`.
        """
        if self.read_only:
            raise LogReadOnlyError(self.folder)
        wanted = sorted(set(positions))
        if wanted and self.project_id is None:
            raise RedactionError(wanted[0], f"there is no event in {self.folder}", "")
        if wanted:
            self._writer.redact(wanted, reason, user)

    def damage(self) -> Damage | None:
        """The first damaged place, or None. Takes no lock, writes nothing.

        Raises:
            LogFormatError: written by a newer library, or not a log of ours.
            LogCorruptError: no segment has a readable header.
            LogReadError: the operating system refused, or the disk of an archived segment is absent.
        """
        try:
            return find_damage(self.storage, self.folder)
        except OSError as error:
            raise LogReadError(self.folder, error) from error

    def repair(self) -> list[Gap]:
        """Go on without the damaged records if no copy of them is left. Nothing is cut: see `consist_es.log.repair`.
        Does nothing if the log is whole. Safe on disk when it returns.

        Raises:
            LogReadOnlyError, LogFullError, LogWriteError, LogLockError: as for `append`; nothing was changed.
            LogFormatError, LogCorruptError, LogReadError: as for `damage`.
        """
        if self.read_only:
            raise LogReadOnlyError(self.folder)
        return self._writer.repair()

    def tidy(self) -> None:
        """Finish the work of a killed writer at the end of the log, as the next append would. The log must exist.

        Raises:
            LogCorruptError, LogFormatError, LogMismatchError, LogWriteError, LogLockError: see `append`.
            LogReadOnlyError: the log was opened for reading, or the file system is.
        """
        if self.read_only:
            raise LogReadOnlyError(self.folder)
        self._writer.tidy()

    def read(self, after: Cursor | None = None) -> Iterator[Recorded]:
        """Every event after `after` in order, up to the last whole batch there is. Takes no lock, writes nothing.

        The chain is checked on the way. An unfinished batch at the end is skipped silently, unless it lies below the
        watermark: then something was lost that had been safe.

        Raises:
            LogCorruptError: damage; all events before it were yielded.
            LogMismatchError: the event of `after` is not in this log (any more).
            LogFormatError: written by a newer library.
            LogReadError: the operating system refused.
        """
        return read(self.storage, self.folder, after or Cursor())

    def lines(self, after: Cursor | None = None) -> Iterator[Line]:
        """The same as checked lines, as they are kept: payloads not decoded, and large ones not resolved. Raises as
        `read`."""
        return (line for _, line in read_lines(self.storage, self.folder, after or Cursor()))

    def payload(self, data: bytes) -> bytes:
        """The payload of a line: its data, or that of the blob they refer to.

        Raises:
            LogCorruptError: the blob is missing or damaged. LogReadError: the operating system refused.
        """
        try:
            return resolve(self.storage, self.folder, data)
        except BadRecord as error:
            raise LogCorruptError(BLOB_FOLDER, 0, str(error)) from error
        except OSError as error:
            raise LogReadError(self.folder, error) from error

    @staticmethod
    def cursor_after(event: Recorded) -> Cursor:
        """Cursor to go on reading after this event."""
        return Cursor(seq=event.seq, segment=event.segment, offset=event.offset + event.size, chain=event.chain)

    def moved(self, cursor: Cursor) -> bool:
        """True if the event of `cursor` moved: a sync failed, and a new segment holds a copy of it.

        Raises:
            LogFormatError: a later segment is of a newer version. LogReadError: the operating system refused.
        """
        try:
            later = [other for other in segment_numbers(self.storage, self.folder) if other > cursor.segment]
            headers = [header_of(self.storage, self.folder, number) for number in later]
            return any(isinstance(found, Opened) and found.header.first <= cursor.seq for found in headers)
        except OSError as error:
            raise LogReadError(self.folder, error) from error

    def head(self, *, fresh: bool = True) -> Cursor:
        """The end of the log, after the last whole batch. Two calls where it is as this process saw or left it last,
        else a read of the end of the last segment.

        With `fresh` False: the end as this process saw or left it last, if it did.

        Raises:
            LogFormatError, LogCorruptError, LogReadError: the last segment cannot be read.
        """
        seen = self._writer.end
        if seen is None or (fresh and not seen.holds(self.storage)):
            found = read_head(self.storage, self.folder)
            if self._writer.end is seen:  # else another thread appended meanwhile, and knows a later one
                self._writer.end = found
            seen = found
        return seen.cursor

    def at(self, position: int, hint: tuple[int, int]) -> Recorded:
        """The event at this position, checked against the line before it.

        `hint`: the segment and offset where its line begins. If another one begins there, the log is searched: the
        hint comes from the views, and programs can change those.

        Raises:
            LogMismatchError: there is no such position. LogCorruptError, LogReadError: as `read`.
        """
        with suppress(LogCorruptError, LogReadError, ValueError, OverflowError):  # a place may be any number
            event = self.read_at(*hint)
            if event.seq == position:
                return event
        return find(self.storage, self.folder, position)

    def read_at(self, segment: int, offset: int) -> Recorded:
        """The event at this place, checked against the line before it.

        Raises:
            LogCorruptError: no whole, unchanged line begins there.
            LogReadError: the operating system refused.
        """
        return read_at(self.storage, self.folder, segment, offset)

    def read_places(self, places: Iterable[tuple[int, int]]) -> list[Recorded]:
        """The events at these places, (segment, offset), in log order: as `read_at`, with one read for neighbours.

        Raises:
            LogCorruptError, LogReadError: as `read_at`.
        """
        return read_places(self.storage, self.folder, places)

    # ------------------------------------------------------------ processes that share it

    def claim(
        self, work: str, who: str, *, step: str, is_dead: Callable[[str], bool] = lambda _who: False
    ) -> FileClaim:
        """A claim on `work`, see `consist_es.log.claims`. Nothing happens before it is taken."""
        return FileClaim(self.folder, work, self.storage, who=who, step=step, is_dead=is_dead)

    def holder(self, work: str) -> str | None:
        """The `who` of the claim on `work` that is held now, or None. Blocks nobody."""
        return holder(self.folder, work, self.storage)

    def alive(self, writer: Marks) -> bool | None:
        """Whether a writer's process lives, see `consist_es.log.presence`; None if that cannot be told from here."""
        if is_gone(self.storage, self.folder, writer):
            return False
        return True if is_seen(self.storage, self.folder, writer) else None

    def sweep(self, needed: Collection[str]) -> None:
        """Remove the lock files of gone writers, except those in `needed`."""
        sweep(self.storage, self.folder, needed)

    def mask_key(self) -> bytes:
        """The project's key for masking secrets, in a file beside the folder; made when it is first asked for.

        Raises:
            OSError: it cannot be read or made.
        """
        return kept_key(key_file(self.folder))

    def refuse_links(self) -> None:
        """Refuse links among the writable files, see `consist_es.log.files`.

        Raises:
            LogFormatError: names the link.
        """
        refuse_links(self.storage, self.folder)

    def verify(self, progress: Callable[[int, int], None] | None = None, *, full: bool) -> "VerifyReport":
        """Check the log, see `consist_es.log.verify`; without `full`, from where the last check without findings
        ended."""
        from consist_es.log.verify import verify_again

        return verify_again(self.folder, self.storage, progress, full=full)

    def close(self) -> None:
        """Close the files. They are opened again on the next use."""
        self._writer.close()
