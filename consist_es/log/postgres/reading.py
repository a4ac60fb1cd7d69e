"""Reading from the server, page by page: each page is a statement of its own, and each line is checked here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from blake3 import blake3

from consist_es.errors import LogCorruptError, LogMismatchError, RedactionError
from consist_es.events import Cursor, Recorded
from consist_es.log.blobs import blob_name
from consist_es.log.postgres.project import ServerProject
from consist_es.log.postgres.server import Server
from consist_es.log.postgres.writing import Head, Writing
from consist_es.log.record import (
    BLOB_START,
    BadRecord,
    follows,
    genesis,
    recorded,
    split_line,
)
from consist_es.log.segment import Line

PAGE = 2000
_PAGE = "SELECT seq, line FROM consist_es.event WHERE project = %s AND seq >= %s ORDER BY seq LIMIT %s"
_SOME = "SELECT seq, line FROM consist_es.event WHERE project = %s AND seq = ANY (%s::bigint[]) ORDER BY seq"
_HEAD = "SELECT * FROM consist_es.head(%s)"
_BLOB = "SELECT data FROM consist_es.blob WHERE project = %s AND digest = %s"
_RESTORE = (
    "Restore the database from a backup, or copy the part before it with `consist-es copy --until` into a folder."
)


class Reading:
    """Reads for this process. The event at position n has the place (0, n - 1)."""

    def __init__(self, server: Server, project: ServerProject, writing: Writing) -> None:
        self._server, self._project, self._writing = server, project, writing

    def number(self) -> int | None:
        """The project's number; None if there is none yet."""
        return self._project.number or self._server.run(self._project.found)

    # ------------------------------------------------------------ lines

    def lines(self, after: Cursor, *, fresh: bool = False) -> Iterator[Line]:
        """Checked lines after the cursor, payloads not decoded and blobs not resolved. `fresh`: all from the server,
        also what this process has appended itself."""
        number, seq, chain = self.number(), after.seq, after.chain.encode()
        if number is None:
            if seq:
                raise LogMismatchError(self._server.address.shown, f"positions 1 to {seq} are gone")
            return
        if seq == 0:
            chain = genesis(self._project.id or "")
        while True:
            page = None if fresh else self._kept(seq, chain)
            is_last = False
            if page is None:
                # The line before is read once more with each page, to see that it is still the same.
                rows: list[tuple[int, str]] = self._server.ask(_PAGE, (number, seq, PAGE))
                is_last = len(rows) < PAGE
                page = self._behind(rows, seq, chain) if seq else rows
            for at, text in page:
                line = self._checked(at, text, seq, chain)
                seq, chain = line.head.seq, line.chain
                yield line
            if is_last and not self._has_more(seq):
                return

    def _kept(self, seq: int, chain: bytes) -> list[tuple[int, str]] | None:
        for kept in self._writing.kept:
            if kept.after == seq and kept.chain == chain.decode() and kept.lost == self._server.lost:
                return [(seq + count, line) for count, line in enumerate(kept.lines, 1)]
        return None

    def _has_more(self, seq: int) -> bool:
        """True if this process appended while the last page was read."""
        head = self._writing.head
        return head is not None and head.seq > seq

    def _behind(self, page: list[tuple[int, str]], seq: int, chain: bytes) -> list[tuple[int, str]]:
        """The page without its first line, which must be the one at `seq`."""
        with suppress(BadRecord):
            if page and page[0][0] == seq and split_line(page[0][1].encode() + b"\n")[2] == chain:
                return page[1:]
        raise LogMismatchError(self._server.address.shown, f"position {seq} is not the event that it was")

    def _checked(self, at: int, text: str, seq: int, chain: bytes) -> Line:
        raw = text.encode() + b"\n"
        try:
            head, data, found, covered = follows(raw, chain)
            if not head.seq == at == seq + 1:
                raise BadRecord(f"position {head.seq} lies at {at}, after {seq}")
        except BadRecord as error:
            raise self._damaged(at, str(error), seq) from error
        return Line(head, data, found, at - 1, 1, covered)

    def _damaged(self, at: int, problem: str, after: int) -> LogCorruptError:
        place = f"{self._server.address.shown}, position {at}"
        return LogCorruptError(place, at - 1, problem, after=after, remedy=_RESTORE)

    # ------------------------------------------------------------ events

    def events(self, after: Cursor) -> Iterator[Recorded]:
        """The lines as events."""
        return map(self.event, self.lines(after))

    def event(self, line: Line) -> Recorded:
        """The event of a checked line."""
        try:
            return recorded(line.head, self.payload(line.data), line.chain, 0, line.offset, 1)
        except BadRecord as error:
            again = self._some([line.head.seq])  # its blob may have been redacted since
            if again and (found := split_line(again[0][1].encode() + b"\n")[1]) != line.data:
                return recorded(line.head, found, line.chain, 0, line.offset, 1)
            raise self._damaged(line.head.seq, str(error), line.head.seq - 1) from error

    def payload(self, data: bytes) -> bytes:
        """The payload of a line: its data, or the blob they refer to.

        Raises:
            BadRecord: the blob is missing or does not match the line.
        """
        if not data.startswith(BLOB_START):
            return data
        name = blob_name(data)
        rows = self._server.ask(_BLOB, (self._project.number, name))
        if not rows or blake3(rows[0][0]).hexdigest() != name:
            raise BadRecord(f"its payload {name} is missing or damaged")
        return bytes(rows[0][0])

    def _some(self, positions: list[int]) -> list[tuple[int, str]]:
        return self._server.ask(_SOME, (self.number(), positions))

    def at(self, positions: Iterable[int]) -> list[Recorded]:
        """The events at these positions in order, each checked against the one before it.

        Raises:
            LogMismatchError: no such position. LogCorruptError: a line that does not follow the one before it.
        """
        wanted = sorted(set(positions))
        rows = self._around(wanted)
        return [self.event(self._line(position, rows)) for position in wanted]

    def _around(self, positions: list[int]) -> dict[int, str]:
        """The lines at these positions, and those before them."""
        needed = sorted({seq for position in positions for seq in (position - 1, position) if 0 < seq < 1 << 63})
        return dict(self._some(needed)) if needed and self.number() is not None else {}

    def _line(self, position: int, rows: dict[int, str]) -> Line:
        if position not in rows or (position > 1 and position - 1 not in rows):
            raise LogMismatchError(self._server.address.shown, f"there is no event at position {position}")
        try:
            before = genesis(self._project.id or "")
            if position > 1:
                before = split_line(rows[position - 1].encode() + b"\n")[2]
        except BadRecord as error:
            raise self._damaged(position - 1, str(error), position - 2) from error
        return self._checked(position, rows[position], position - 1, before)

    def to_redact(self, positions: list[int]) -> list[Line]:
        """The checked lines at these positions, blobs not resolved.

        Raises:
            RedactionError: no such event.
        """
        head = self.head()
        end = 0 if head is None else head.seq
        for position in positions:
            if not 1 <= position <= end:
                raise RedactionError(position, f"the log ends at position {end}", "`consist-es log` lists the events.")
        return [self._line(position, self._around(positions)) for position in positions]

    # ------------------------------------------------------------ the end

    def head(self) -> Head | None:
        """The end of the log as it is now; None if it is empty."""
        number = self.number()
        if number is None:
            return None
        head = Head(*self._server.ask(_HEAD, (number,))[0])
        known = self._writing.head
        if known is None or head.seq >= known.seq or self._server.lost:
            self._writing.head = head
        return head if head.seq else None
