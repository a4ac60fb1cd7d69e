"""A segment file: its header line, and the walk that checks its lines in order."""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from consist_es.errors import LogCorruptError, LogError, LogFormatError
from consist_es.log.record import (
    TAIL_END,
    TAIL_LENGTH,
    TAIL_START,
    BadRecord,
    Head,
    chain_before,
    chain_of,
    decode_head,
    follows,
    genesis,
    header_check,
    split_line,
)
from consist_es.system.storage import Storage

FORMAT = "consist-es log"
VERSION = 1
SEGMENT_SIZE = 64 << 20
"""Bytes after which a new segment is begun."""
CHUNK = 256 << 10
LINE_CAP = 16 << 20
"""Longest line in bytes. A longer one is not ours: a foreign file must not fill the memory."""
SEALED = "segment_sealed"
CLOSED = "log_closed"

_CHECK = b',"check":"'
_NAME = re.compile(r"[0-9]{8}\.jsonl")


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where the next line of a log begins, and what came before it."""

    segment: int
    offset: int
    seq: int
    """Position of the last event before it."""
    chain: bytes
    at: str
    sealed: bool = False
    """True if that event was a `segment_sealed`."""
    closed: bool = False
    """True if it was a `log_closed`."""


def _ends(type: str) -> tuple[bool, bool]:
    """`Place.sealed` and `Place.closed` behind an event of this type."""
    return type == SEALED, type == CLOSED


class Header(msgspec.Struct, frozen=True):
    """The first line of a segment."""

    format: str
    version: int
    project: str
    segment: int
    first: int
    """Position of the segment's first event."""
    at: str
    """Time of the last event before the segment; for the first segment, of its creation."""
    hash: str
    library: str


class Opened(NamedTuple):
    """A segment's header, and the place of its first event."""

    header: Header
    start: Place


class Line(NamedTuple):
    """A checked line."""

    head: Head
    data: bytes
    chain: bytes
    offset: int
    size: int
    covered: bytes
    """Input of the chain value, see `consist_es.log.record.covered`."""


class Rest(NamedTuple):
    """The bytes after the last whole batch of a segment."""

    offset: int
    """Start of the first wrong line."""
    problem: str
    torn: bool
    """True for the remains of a killed writer or a power cut, False for damage."""
    line: bytes
    """The line itself, to compare with a second read."""
    position: int = 0
    """Position of the event that should be there."""


def segment_name(number: int) -> str:
    """File name of a segment."""
    return f"{number:08d}.jsonl"


def segment_numbers(storage: Storage, folder: Path) -> list[int]:
    """The existing segments, in order; empty if the folder is missing."""
    try:
        names = storage.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(name[:8]) for name in names if _NAME.fullmatch(name))


def replacement(number: int, firsts: Mapping[int, int]) -> tuple[int, int] | None:
    """Where a later segment supersedes this one: (first superseded position, that segment's number), or None.

    Mostly the start of the next segment; earlier if this one could not be synced or was damaged. Of the later segments
    the one with the lowest first position counts, of several such the last.

    Args:
        firsts: Number of each segment -> position of its first event.
    """
    later = [(first, -other) for other, first in firsts.items() if other > number]
    if not later:
        return None
    first, other = min(later)
    return first, -other


# ---------------------------------------------------------------- header


def encode_header(header: Header, previous: bytes) -> bytes:
    """The header line. It ends like every other line, with the chain value that the next one builds on."""
    front = msgspec.json.encode(header)[:-1]
    check = header_check(front, previous)
    return front + _CHECK + check + b'"' + TAIL_START + previous + TAIL_END


def read_header(storage: Storage, fd: int, path: Path) -> Opened:
    """Read and check the header.

    Raises:
        LogFormatError: not a segment of ours, or of a newer version.
        LogCorruptError: the header is damaged.
    """
    return _parse_header(line_at(storage, fd, 0), path)


@functools.lru_cache(maxsize=64)
def _parse_header(line: bytes, path: Path) -> Opened:
    # Cached: a process reads the same few headers before every query.
    try:
        plain: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        plain = {}
    if plain.get("format") != FORMAT:
        if path.name != segment_name(1):  # the first segment shows that the log is ours
            raise LogCorruptError(path.name, 0, "the segment's header is not valid")
        raise LogFormatError(
            f"{path} does not begin like a segment of a {FORMAT}. Nothing was changed. If it was one, restore it from "
            "a copy; if further segments are whole, `consist-es repair` shows what can be kept."
        )
    version = plain.get("version")
    if version != VERSION:
        raise LogFormatError(
            f"{path} has format version {version!r}; this library knows {VERSION}. Install a newer consist-es. "
            "Nothing was changed.",
            newer=type(version) is int and version > VERSION,
        )
    try:
        return _check_header(line, path)
    except (BadRecord, msgspec.ValidationError) as error:
        raise LogCorruptError(path.name, 0, f"the segment's header: {error}") from error


def _check_header(line: bytes, path: Path) -> Opened:
    previous = chain_before(line)
    front, found, check = line.partition(_CHECK)
    if not found or check != header_check(front, previous) + b'"' + TAIL_START + previous + TAIL_END:
        raise BadRecord("its checksum does not match")
    header = msgspec.json.decode(front + b"}", type=Header)
    if segment_name(header.segment) != path.name:
        raise BadRecord(f"it belongs to segment {header.segment}")
    if (header.segment == 1 and header.first != 1) or (header.first == 1) != (previous == genesis(header.project)):
        raise BadRecord("its first position does not fit its chain value")
    return Opened(header, Place(header.segment, len(line), header.first - 1, previous, header.at))


def open_segment(storage: Storage, folder: Path, number: int, flags: int = os.O_RDONLY) -> tuple[int, Opened]:
    """Open a segment and read its header; the caller closes the file.

    Raises:
        FileNotFoundError: there is no such segment.
        LogFormatError, LogCorruptError: see `read_header`.
    """
    path = folder / segment_name(number)
    fd = storage.open(path, flags)
    try:
        return fd, read_header(storage, fd, path)
    except BaseException:
        storage.close(fd)
        raise


def header_of(storage: Storage, folder: Path, number: int) -> Opened | LogError:
    """The header of a segment, or why it cannot be read: a later segment may supersede this one.

    Raises:
        LogFormatError: it is of a newer version.
    """
    try:
        fd, opened = open_segment(storage, folder, number)
        storage.close(fd)
    except FileNotFoundError:
        return LogCorruptError(segment_name(number), 0, "the segment is missing")
    except LogFormatError as error:
        if error.newer:
            raise
        return error
    except LogCorruptError as error:
        return error
    return opened


# ---------------------------------------------------------------- lines


def line_at(storage: Storage, fd: int, offset: int, size: int = 4096) -> bytes:
    """The bytes from `offset` through the next newline, or to the end of the file, or to `LINE_CAP`."""
    data = b""
    while b"\n" not in data:
        more = storage.read_at(fd, size, offset + len(data)) if len(data) < LINE_CAP else b""
        if not more:
            return data
        data += more
        size = min(size * 4, 1 << 22)
    return data[: data.index(b"\n") + 1]


def check_line(line: bytes, place: Place) -> Line:
    """The parts of the line at `place`.

    Raises:
        BadRecord: it does not follow the line before it.
    """
    head, data, chain, what = follows(line, place.chain)
    if head.seq != place.seq + 1:
        raise BadRecord(f"position {head.seq} follows {place.seq}")
    return Line(head, data, chain, place.offset, len(line), what)


def raw_lines(storage: Storage, fd: int, offset: int) -> Iterator[bytes]:
    """The lines from `offset` on, each with its newline if it has one."""
    kept = b""
    while chunk := storage.read_at(fd, CHUNK, offset):
        offset += len(chunk)
        lines = (kept + chunk).split(b"\n")  # not splitlines: that splits at carriage returns too
        kept = lines.pop()
        for line in lines:
            yield line + b"\n"
        if len(kept) > LINE_CAP:
            kept += b"\n" if _goes_on(storage, fd, offset) else b""
            break
    if kept:
        yield kept


def _goes_on(storage: Storage, fd: int, offset: int) -> bool:
    """True if there is a newline at or after `offset`: then no killed writer left the bytes before it."""
    while chunk := storage.read_at(fd, CHUNK, offset):
        if b"\n" in chunk:
            return True
        offset += len(chunk)
    return False


class Walk:
    """Walks the whole batches of one segment from a known place on, and checks every line against its predecessor.

    After `batches` is exhausted, `place` is behind the last whole batch; `rest` is what follows it, or None at the end
    of the file.
    """

    def __init__(self, storage: Storage, fd: int, place: Place) -> None:
        self.place = place
        self.rest: Rest | None = None
        self._storage, self._fd = storage, fd

    def batches(self) -> Iterator[list[Line]]:
        """Yield batch by batch."""
        batch: list[Line] = []
        here = self.place
        for raw in raw_lines(self._storage, self._fd, here.offset):
            try:
                line = check_line(raw, here)
            except BadRecord as error:
                self.rest = self._judge(raw, here, str(error))
                return
            batch.append(line)
            head = line.head
            here = Place(here.segment, here.offset + line.size, head.seq, line.chain, head.at, *_ends(head.type))
            if head.end:
                self.place = here
                yield batch
                batch = []
        if batch:
            self.rest = Rest(here.offset, "a batch without its last record", True, b"", here.seq + 1)

    def run(self) -> "Walk":
        """Check everything, keep nothing."""
        for _ in self.batches():
            pass
        return self

    def _judge(self, raw: bytes, here: Place, problem: str) -> Rest:
        """Tell unfinished writes from damage."""
        # A killed writer leaves a line without its newline, a power cut zeros in a page that was not written.
        # JSON text holds no zero byte, and neither leaves a whole line that does not fit.
        if not raw.endswith(b"\n"):
            return Rest(here.offset, f"an incomplete last record, {len(raw)} bytes", True, raw, here.seq + 1)
        if b"\0" in raw:
            what = "zeros where records were not written before a power cut"
            return Rest(here.offset, what, True, raw, here.seq + 1)
        return Rest(here.offset, problem, False, raw, here.seq + 1)


def lines_back(storage: Storage, fd: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, line) backwards from the last line that ends at or before `stop`; the header comes last."""
    data = b""
    begin, size, started = stop, 16 << 10, False
    while begin > 0:
        size = min(size * 2, 4 << 20, begin)
        begin -= size
        data = storage.read_at(fd, size, begin) + data
        if not started:
            data = data[: data.rfind(b"\n") + 1]
            started = bool(data)
        position = begin + len(data)
        lines = data.split(b"\n")[:-1]
        if begin > 0:  # the start of the first one is not known yet
            lines = lines[1:]
        for line in reversed(lines):
            position -= len(line) + 1
            yield position, line + b"\n"
        data = data[: position - begin]
        if len(data) > LINE_CAP:
            return


def is_sealed(storage: Storage, fd: int) -> bool:
    """True if the segment ends with `segment_sealed`."""
    size = storage.size(fd)
    start, line = next(lines_back(storage, fd, size), (0, b""))
    try:
        return start > 0 and start + len(line) == size and decode_head(split_line(line)[0]).type == SEALED
    except BadRecord:
        return False


def place_before(storage: Storage, fd: int, opened: Opened, offset: int) -> Place:
    """The place at `offset`, from the line that ends there.

    Raises:
        BadRecord: no line ends there, or one that is not whole.
    """
    start, line = next(lines_back(storage, fd, offset), (0, b""))
    if start + len(line) != offset:
        raise BadRecord("no record ends here")
    if start == 0:
        return opened.start
    head_bytes, data, chain = split_line(line)
    if chain != chain_of(chain_before(storage.read_at(fd, TAIL_LENGTH, max(start - TAIL_LENGTH, 0))), head_bytes, data):
        raise BadRecord("the chain value does not match the record and the one before it")
    head = decode_head(head_bytes)
    return Place(opened.header.segment, offset, head.seq, chain, head.at, *_ends(head.type))
