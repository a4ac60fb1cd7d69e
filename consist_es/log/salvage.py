"""Recovers lines after damage.

Each line stores its chain value, so a line is trusted if it matches the value stored by its predecessor, even if the
chain up to there is broken.
"""

from collections.abc import Iterator
from typing import NamedTuple

from consist_es.log.record import (
    CHAIN_LENGTH,
    TAIL_LENGTH,
    TAIL_START,
    BadRecord,
    Head,
    chain_of,
    decode_head,
    split_line,
)
from consist_es.log.segment import raw_lines
from consist_es.system.storage import Storage


class Survivor(NamedTuple):
    """A line that the chain proves."""

    head: Head
    head_bytes: bytes
    data: bytes


class Lost(NamedTuple):
    """Bytes up to a newline that are not such a line."""

    offset: int
    size: int
    head: Head | None
    """Its envelope, if readable; unproven."""
    whole: bool
    """True if it ends like a line and holds no zeros: neither a killed writer nor a power cut leaves that."""


class _Read(NamedTuple):
    """A parsed line, with the chain value it should have after the line before it."""

    offset: int
    survivor: Survivor
    stated: bytes
    computed: bytes


def survivors(storage: Storage, fd: int, offset: int, chain: bytes) -> Iterator[Survivor | Lost]:
    """Every line from `offset` on; `chain` is the value stored on the line before it.

    If only a line's chain value is damaged, the next line proves it: its value was made from the right one.
    """
    doubtful: _Read | None = None
    for raw in raw_lines(storage, fd, offset):
        found = _read(raw, offset, chain)
        if found is not None and doubtful is not None and _follows(found, doubtful.computed):
            yield doubtful.survivor
            doubtful, found = None, found._replace(computed=found.stated)
        if doubtful is not None:
            yield Lost(doubtful.offset, offset - doubtful.offset, doubtful.survivor.head, whole=True)
            doubtful = None
        if found is None:
            yield Lost(offset, len(raw), _envelope(raw), raw.endswith(b"\n") and b"\0" not in raw)
        elif found.stated == found.computed:
            yield found.survivor
        else:
            doubtful = found
        offset, chain = offset + len(raw), stated_chain(raw)
    if doubtful is not None:
        yield Lost(doubtful.offset, offset - doubtful.offset, doubtful.survivor.head, whole=True)


def stated_chain(line: bytes) -> bytes:
    """The chain value stored on a line, unchecked."""
    return line[-TAIL_LENGTH:][len(TAIL_START) : len(TAIL_START) + CHAIN_LENGTH]


def survivors_after(storage: Storage, fd: int, offset: int) -> int:
    """Number of readable lines in the same file behind the damaged one at `offset`."""
    before = storage.read_at(fd, TAIL_LENGTH, max(offset - TAIL_LENGTH, 0))
    return sum(isinstance(found, Survivor) for found in survivors(storage, fd, offset, stated_chain(before)))


def _read(raw: bytes, offset: int, chain: bytes) -> _Read | None:
    try:
        head_bytes, data, stated = split_line(raw)
        survivor = Survivor(decode_head(head_bytes), head_bytes, data)
    except BadRecord:
        return None
    return _Read(offset, survivor, stated, chain_of(chain, head_bytes, data))


def _follows(found: _Read, chain: bytes) -> bool:
    return found.stated == chain_of(chain, found.survivor.head_bytes, found.survivor.data)


def _envelope(raw: bytes) -> Head | None:
    try:
        return decode_head(raw.partition(b',"data":')[0])
    except BadRecord:
        return None


def position_of(line: bytes) -> int | None:
    """The position stored on a line, or None if it cannot be read."""
    try:
        return decode_head(split_line(line)[0]).seq
    except BadRecord:
        return None


def chain_between(before: bytes, line: bytes, following: bytes) -> bytes:
    """Chain value after a wrong line: the stored or the computed one, whichever the next line was made from."""
    try:
        head, data, stated = split_line(line)
        next_head, next_data, next_chain = split_line(following)
    except BadRecord:
        return stated_chain(line)
    computed = chain_of(before, head, data)
    return computed if next_chain == chain_of(computed, next_head, next_data) else stated
