"""The log of a project on a PostgreSQL server: the engine for processes of many machines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from consist_es.errors import LogCorruptError, LogRightError, OptionError
from consist_es.events import Cursor, Draft, Recorded
from consist_es.log.files import new_ids
from consist_es.log.local import SYNC_POLICIES
from consist_es.log.postgres.address import Address
from consist_es.log.postgres.claims import Heart, ServerClaim, holder, is_heard_of
from consist_es.log.postgres.project import ServerProject
from consist_es.log.postgres.reading import Reading
from consist_es.log.postgres.redacting import Redaction
from consist_es.log.postgres.server import Server, require_psycopg
from consist_es.log.postgres.writing import Head, Writing
from consist_es.log.presence import Marks, shares_numbers, still_runs
from consist_es.log.record import BadRecord, Prepared, prepare_all
from consist_es.log.segment import Line
from consist_es.system.storage import LocalStorage, Storage

if TYPE_CHECKING:
    from consist_es.log.report import VerifyReport

_KEY = "SELECT consist_es.mask_key(%s, %s)"


class PostgresLog:
    """Append events and read them back: the engine of `consist_es.log.engine` for a database.

    An acknowledged event survives the death of the process and of the connection. The sync policy decides whether it
    survives a crash of the server: ``commit`` waits for the server's disk with appends of ``commit=True``, ``always``
    with each, ``os`` never; a crash then takes at most what was appended in the last second, and what it takes is the
    end of the log.

    Raises:
        OptionError: an unknown sync policy. MissingExtraError: psycopg is not installed.
    """

    folder = None
    can: frozenset[str] = frozenset()

    def __init__(
        self, address: Address, *, sync: str = "commit", storage: Storage | None = None, read_only: bool = False
    ) -> None:
        if sync not in SYNC_POLICIES:
            raise OptionError("sync", sync, SYNC_POLICIES)
        require_psycopg()
        self.address, self.sync, self.read_only = address, sync, read_only
        self.storage: Storage = storage or LocalStorage()
        self.server = Server(address)
        self.project = ServerProject(self.server, self.storage)
        self._writing = Writing(self.server, self.project, self.storage)
        self._reading = Reading(self.server, self.project, self._writing)
        self.heart = Heart(self)

    @property
    def place(self) -> str:
        """The URL, without user and options."""
        return self.address.shown

    @property
    def writer(self) -> str:
        """This process's writer id, the `Recorded.by` of its events."""
        return self._writing.name

    @property
    def project_id(self) -> str | None:
        """The project's identity; None before the first event."""
        return self.project.id if self._reading.number() is not None else None

    def number(self) -> int | None:
        """The project's number in the database; None before the first event."""
        return self._reading.number()

    def number_made(self) -> int:
        """The project's number in the database; makes the project if there is none."""
        return self.project.number or self.server.run(self.project.made, writes=True)

    # ------------------------------------------------------------ events

    def append(self, drafts: Sequence[Draft], *, commit: bool = False, since: int | None = None) -> list[int]:
        """Append events as one batch and return their positions, once the sync policy is met.

        If the connection is lost, it is made again for up to 60 s (``CONSIST_ES_PATIENCE``), and what may have been
        recorded is looked for before it is recorded again.

        Raises:
            UsageTypeError, LimitError: an event cannot be encoded; nothing was written.
            LogRightError: opened for reading, or the role may not append. LogFullError: no room on the server.
            LogWriteError: the server is away, or refuses.
        """
        if self.read_only:
            raise LogRightError(self.place, "it was opened for reading, which makes it read-only")
        if not drafts:
            return []
        items = prepare_all(drafts, new_ids(self.storage, len(drafts)))
        positions = self._writing.append(
            items, sync=self.sync == "always" or (self.sync == "commit" and commit), since=since
        )
        self.heart.start()
        return positions

    def graft(self, items: Sequence[Prepared], after: int) -> int:
        """Append records that are made already as one batch, if the log ends at position `after`; see the protocol."""
        if self.read_only:
            raise LogRightError(self.place, "it was opened for reading, which makes it read-only")
        return self._writing.graft(list(items), after)

    def read(self, after: Cursor | None = None) -> Iterator[Recorded]:
        """Every event after the cursor, in order. A batch is one transaction: what is visible is whole.

        Raises:
            LogMismatchError: the cursor's event is not in this log. LogCorruptError: damage; all events before it were
            yielded. LogServerError: the server is away, or refuses.
        """
        return self._reading.events(after or Cursor())

    def lines(self, after: Cursor | None = None) -> Iterator[Line]:
        """The same as checked lines, as they are kept: payloads not decoded, and large ones not resolved."""
        return self._reading.lines(after or Cursor(), fresh=True)

    def payload(self, data: bytes) -> bytes:
        """The payload of a line: its data, or that of the blob they refer to.

        Raises:
            LogCorruptError: the blob is missing or damaged.
        """
        try:
            return self._reading.payload(data)
        except BadRecord as error:
            raise LogCorruptError(self.place, 0, str(error)) from error

    def head(self, *, fresh: bool = True) -> Cursor:
        """The end of the log. With `fresh` False: as this process saw or left it last, if it did."""
        known = self._writing.head
        head = self._reading.head() if fresh or known is None else known
        return Cursor() if head is None or not head.seq else _cursor(head)

    def at(self, position: int, hint: tuple[int, int]) -> Recorded:
        """The event at this position, checked against the one before it."""
        return self._reading.at([position])[0]

    def read_places(self, places: Iterable[tuple[int, int]]) -> list[Recorded]:
        """The events at these places, in log order."""
        return self._reading.at(offset + 1 for _, offset in places)

    @staticmethod
    def cursor_after(event: Recorded) -> Cursor:
        """Cursor to go on reading after this event."""
        return Cursor(seq=event.seq, segment=0, offset=event.seq, chain=event.chain)

    def moved(self, cursor: Cursor) -> bool:
        """False: a position is a place."""
        return False

    # ------------------------------------------------------------ processes that share it

    def claim(
        self, work: str, who: str, *, step: str, is_dead: Callable[[str], bool] = lambda _who: False
    ) -> ServerClaim:
        """A claim on `work`, see `consist_es.log.postgres.claims`. Nothing happens before it is taken."""
        return ServerClaim(self, work, who, step, is_dead)

    def holder(self, work: str) -> str | None:
        """The `who` of the claim on `work` that is held now, or None."""
        return holder(self, work)

    def alive(self, writer: Marks) -> bool | None:
        """Whether a writer's process lives: by its pid on the same machine, elsewhere by its heartbeat."""
        if shares_numbers(self.storage, writer):
            return still_runs(self.storage, writer)
        return is_heard_of(self, writer.writer)

    def sweep(self, needed: Collection[str]) -> None:
        """Nothing: writers leave no locks."""

    def mask_key(self) -> bytes:
        """The key that masks secrets: one per project, for all who may append."""
        return bytes(self.server.ask(_KEY, (self.number_made(), self.storage.token(32)), writes=True)[0][0])

    # ------------------------------------------------------------ the whole

    def redact(self, positions: Sequence[int], reason: str, user: str = "") -> None:
        """Remove the payloads of these events for good, and record that.

        Old versions of the rows stay in the database until it is vacuumed, and in its backups and WAL.

        Raises:
            RedactionError: no such event, or one of the log's own. LogRightError: the role may not redact.
        """
        if self.read_only:
            raise LogRightError(self.place, "it was opened for reading, which makes it read-only")
        if positions:
            redaction = Redaction(self, self._reading.to_redact(sorted(set(positions))), reason, user)
            self._writing.append(redaction.items, sync=True, since=self.head().seq, also=redaction.carry_out)

    def verify(self, progress: Callable[[int, int], None] | None = None, *, full: bool) -> VerifyReport:
        """Check every event against the chain; the whole log each time."""
        from consist_es.log.postgres.checking import verify

        return verify(self, self._reading, progress)

    def close(self) -> None:
        """Close the connection. It is made again on the next use."""
        self.heart.stop()
        self.server.close()


def _cursor(head: Head) -> Cursor:
    return Cursor(seq=head.seq, segment=0, offset=head.seq, chain=head.chain)
