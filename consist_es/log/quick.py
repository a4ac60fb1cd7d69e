"""Checks the lines of a segment many at a time, as long as nothing about them is wrong.

At the first wrong line it stops, behind the last whole batch before it. What is wrong there, `Walk` in `log/segment.py`
finds out: this module only has to notice.
"""

import binascii
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from blake3 import blake3

from consist_es.events import Recorded
from consist_es.log.record import (
    CHAIN_LENGTH,
    DECODERS,
    LINE_TAG,
    MAX_DEPTH,
    SEPARATOR,
    TAIL_END,
    TAIL_LENGTH,
    TAIL_START,
    URL_SAFE,
    Head,
    payload_digest,
)
from consist_es.log.segment import CLOSED, LINE_CAP, SEALED, Line, Place
from consist_es.system.storage import Storage

FIRST = 64 << 10
"""Bytes of the first read: mostly only a few lines are new."""
CHUNK = 1 << 20
"""Bytes of the later ones."""

_TAIL = TAIL_LENGTH - 1  # lines are without their newlines here
_END = TAIL_END[:-1]
_CHAIN = slice(-_TAIL + len(TAIL_START), -len(_END))
_HEADS = msgspec.json.Decoder(list[Head])
_BETWEEN = b"},\n"  # a string in JSON holds no newline, so no head can reach into the next one


class Checked(NamedTuple):
    """Lines that form whole batches, checked."""

    lines: Sequence[bytes]
    """Without their newlines."""
    heads: Sequence[Head]
    cuts: Sequence[int]
    """Length of the head of each line."""
    start: int
    """First byte of the first line."""
    place: Place
    """After the last one."""

    def line(self, index: int) -> Line:
        """One line with all that can be said of it, but for the input of its chain value."""
        text = self.lines[index]
        offset = self.start + sum(map(len, self.lines[:index])) + index
        data = text[self.cuts[index] + len(SEPARATOR) : -_TAIL]
        return Line(self.heads[index], data, text[_CHAIN], offset, len(text) + 1, b"")

    def events(self) -> Iterator[Recorded | Line]:
        """The events; of a line whose payload is elsewhere, gone or does not decode, the line."""
        segment, offset = self.place.segment, self.start
        decoders, after, new = DECODERS, len(SEPARATOR), Recorded
        for index, (head, line, cut) in enumerate(zip(self.heads, self.lines, self.cuts, strict=True)):
            data = line[cut + after : -_TAIL]
            decoder = decoders.get((head.type, head.v))
            size = len(line) + 1
            # Few have so many brackets, and most of those are not nested deep: see `decode_event`.
            if decoder is None or data[2:3] == b"$" or data.count(b"[") + data.count(b"{") > MAX_DEPTH:
                yield self.line(index)
            else:
                try:
                    event = decoder.decode(data)
                except (msgspec.DecodeError, ValueError, RecursionError):
                    yield self.line(index)
                else:
                    about = (head.seq, head.end, head.id, head.at, head.by, head.type, head.v, head.scenario, head.run)
                    yield new(*about, event, line[_CHAIN].decode(), segment, offset, size, head.of)
            offset += size


def is_ordinary(line: bytes, cut: int) -> bool:
    """True if the line has its payload itself: it is neither in a blob nor redacted."""
    return line[cut + len(SEPARATOR) + 2 : cut + len(SEPARATOR) + 3] != b"$"


class Quick:
    """Walks the whole batches of a segment from a known place on.

    After `checked` is exhausted, `place` is behind the last batch that was yielded, and `ended` is True if the file
    ends there.
    """

    def __init__(self, storage: Storage, fd: int, place: Place) -> None:
        self.place = place
        self.ended = False
        self._storage, self._fd = storage, fd

    def checked(self) -> Iterator[Checked]:
        """Yield the batches of one read after the other."""
        size = FIRST
        while size <= LINE_CAP:
            data = self._storage.read_at(self._fd, size, self.place.offset)
            if not data:
                self.ended = True
                return
            lines = data.split(b"\n")[:-1]
            cuts = follow(lines, self.place.chain)
            heads = _heads(lines, cuts, self.place.seq)
            if (found := _whole(lines, cuts, heads, self.place)) is not None:
                self.place = found.place
                yield found
            if len(heads) < len(lines) or (found is None and len(data) < size):
                return
            size = CHUNK if found is not None else size * 4  # a batch may be longer than that


def follow(lines: Sequence[bytes], chain: bytes) -> list[int]:
    """Check lines, without their newlines, that follow a chain value; length of the head of each up to the first wrong
    one."""
    # The same as `split_line` and `chain_of` of `log/record.py`, without a call and an object for each line.
    encode, new, tag, separator = binascii.b2a_base64, blake3, LINE_TAG, SEPARATOR
    front, back, table, after = TAIL_START, _END, URL_SAFE, len(SEPARATOR)
    cuts: list[int] = []
    for line in lines:
        cut = line.find(separator)
        if cut < 0:
            break
        data = line[cut + after : -_TAIL]
        digest = payload_digest(data) if data[2:3] == b"$" else new(data).digest()
        what = tag + chain + cut.to_bytes(8, "little") + line[:cut] + digest
        chain = encode(new(what).digest(), newline=False)[:CHAIN_LENGTH].translate(table)
        if line[-_TAIL:] != front + chain + back:
            break
        cuts.append(cut)
    return cuts


def _heads(lines: Sequence[bytes], cuts: Sequence[int], before: int) -> list[Head]:
    """The envelopes of the lines after a position; none if one of them does not decode or fit."""
    texts = [line[:cut] for line, cut in zip(lines, cuts, strict=False)]
    try:
        heads = _HEADS.decode(b"[%b}]" % _BETWEEN.join(texts)) if texts else []
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []
    expected = range(before + 1, before + 1 + len(cuts))
    return heads if [head.seq for head in heads] == list(expected) else []


def _whole(lines: list[bytes], cuts: list[int], heads: list[Head], here: Place) -> Checked | None:
    """Those of the lines after a place that form whole batches."""
    count = len(heads)
    while count and not heads[count - 1].end:
        count -= 1
    if not count:
        return None
    lines, last = lines[:count], heads[count - 1]
    stop = here.offset + sum(map(len, lines)) + count
    chain = lines[-1][_CHAIN]
    place = Place(here.segment, stop, last.seq, chain, last.at, last.type == SEALED, last.type == CLOSED)
    return Checked(lines, heads[:count], cuts[:count], here.offset, place)
