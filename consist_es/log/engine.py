"""What a log can do, whatever keeps its events. Everything outside `consist_es.log` holds an `EventLog`.

There are two engines: files in a folder (`consist_es.log.local`), and a PostgreSQL database
(`consist_es.log.postgres`). What every engine promises is held by one suite, `tests/log/test_engine_conformance.py`.
What only some engines can do is named in `EventLog.can`.
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consist_es.errors import LogEngineError, LogPlaceError
from consist_es.events import Cursor, Draft, Recorded
from consist_es.log.local import LocalLog
from consist_es.log.presence import Marks
from consist_es.log.record import Prepared
from consist_es.log.segment import Line
from consist_es.system.storage import Storage

if TYPE_CHECKING:
    from consist_es.log.report import VerifyReport

Progress = Callable[[int, int], None]
"""Called with what is done and what there is in all."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""At least two letters: ``C://`` is a drive."""
_SERVERS = ("postgresql", "postgres")


class Claim(Protocol):
    """The right to do one piece of work, which others wait for."""

    def take(self) -> None:
        """Wait for it. Returns without it if the place has no locks: then two may do the work, neither is wrong."""

    async def atake(self) -> None:
        """As `take`, without blocking other tasks."""

    def end(self) -> None:
        """Give it back; may be called again."""


class EventLog(Protocol):
    """A project's events, in one order that everybody sees.

    Positions are gapless and in the order of commits, a batch is visible whole or not at all, and a reader never passes
    an event that appears later. Cursors belong to their engine; callers only keep and compare them.
    """

    @property
    def place(self) -> str:
        """Where it is, for people; never with a password."""

    @property
    def folder(self) -> Path | None:
        """Folder of this machine with its files; None for a log elsewhere."""

    @property
    def can(self) -> frozenset[str]:
        """What this engine can do beyond this protocol, see `files_of`."""

    @property
    def sync(self) -> str: ...

    @property
    def writer(self) -> str:
        """This process's writer id, the `Recorded.by` of its events."""

    @property
    def project_id(self) -> str | None:
        """The project's identity; None before the first event."""

    def append(self, drafts: Sequence[Draft], *, commit: bool = False, since: int | None = None) -> list[int]:
        """Append events as one batch and return their positions. `commit`: they survive whatever the sync policy says.
        `since`: for a retry; events whose ids were appended after this position are not appended again."""

    def graft(self, items: Sequence[Prepared], after: int) -> int:
        """Append records that are made already as one batch, if the log ends at position `after`, and return the
        position of the last one; otherwise append nothing, and return 0. They survive as with ``commit=True``."""

    def read(self, after: Cursor | None = None) -> Iterator[Recorded]:
        """Every event after the cursor, in order, whole batches only.

        Raises:
            LogMismatchError: the cursor's event is not in this log.
        """

    def lines(self, after: Cursor | None = None) -> Iterator[Line]:
        """The same as checked lines, as they are kept: payloads not decoded, and large ones not resolved."""

    def payload(self, data: bytes) -> bytes:
        """The payload of a line: its data, or what they refer to.

        Raises:
            LogCorruptError: that is missing or damaged.
        """

    def head(self, *, fresh: bool = True) -> Cursor:
        """The end, after the last whole batch. With `fresh` False the newest end that this process has seen, without a
        look if it has seen one: where the answer only has to be recent."""

    def at(self, position: int, hint: tuple[int, int]) -> Recorded:
        """The event at this position. `hint`: its segment and offset, as recorded with it."""

    def read_places(self, places: Iterable[tuple[int, int]]) -> list[Recorded]:
        """The events at these segments and offsets, in log order."""

    def cursor_after(self, event: Recorded) -> Cursor:
        """Cursor to go on reading after this event."""

    def moved(self, cursor: Cursor) -> bool:
        """True if the cursor's event has got another place."""

    def claim(self, work: str, who: str, *, step: str, is_dead: Callable[[str], bool]) -> Claim:
        """A claim on `work`. `who` is told to those who wait, `step` names the work for them; `is_dead` tells whether
        the holder with that `who` is certainly gone."""

    def holder(self, work: str) -> str | None:
        """The `who` of the claim on `work` that is held now, or None. Blocks nobody."""

    def alive(self, writer: Marks) -> bool | None:
        """Whether a writer's process lives; None if that cannot be told with certainty from here."""

    def sweep(self, needed: Collection[str]) -> None:
        """Remove what gone writers left of their locks, except `needed`: `WriterAttached.lock` of those whose runs have
        no end."""

    def mask_key(self) -> bytes:
        """The project's key for masking secrets, of 32 bytes; made when it is first asked for.

        Raises:
            OSError, LogError: it cannot be read or made.
        """

    def redact(self, positions: Sequence[int], reason: str, user: str = "") -> None:
        """Remove the payloads of these events for good, and record that."""

    def verify(self, progress: Progress | None = None, *, full: bool) -> "VerifyReport":
        """Check everything against the chain; without `full`, from where the last check without findings ended."""

    def close(self) -> None:
        """Release files and connections; they are opened again on the next use."""


def open_log(
    where: str | os.PathLike[str], *, sync: str = "commit", read_only: bool = False, storage: Storage | None = None
) -> EventLog:
    """The log at a path: a folder, made with the first append; or on a server,
    ``postgresql://host/database#project``. Nothing is read or written yet.

    Raises:
        LogPlaceError: `where` is another URL. ServerAddressError: it names no project, or holds a password.
        OptionError: an unknown sync policy. MissingExtraError: the client of the server is not installed.
        LogFormatError: it is to be written, and there are links among its files.
    """
    if isinstance(where, str) and is_server(where):
        from consist_es.log.postgres.address import address_of  # most processes need no client of a server
        from consist_es.log.postgres.log import PostgresLog

        return PostgresLog(address_of(where), sync=sync, storage=storage, read_only=read_only)
    require_path(where)
    log = LocalLog(Path(where), sync=sync, storage=storage, read_only=read_only)
    if not read_only:
        log.refuse_links()
    return log


def is_server(where: str) -> bool:
    """True for the URL of a log on a server."""
    found = _URL.match(where)
    return found is not None and found[1].lower() in _SERVERS


def require_path(where: object) -> None:
    """Refuse a URL.

    Raises:
        LogPlaceError: names the kind of place, not the URL, which may hold a password.
    """
    if isinstance(where, str) and (found := _URL.match(where)):
        raise LogPlaceError(found[1].lower())


def files_of(log: EventLog, task: str) -> LocalLog:
    """The log as a folder of files, for a task of such logs only.

    Raises:
        LogEngineError: its engine cannot do that.
    """
    if isinstance(log, LocalLog) and task in log.can:
        return log
    raise LogEngineError(log.place, task)
