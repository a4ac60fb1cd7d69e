"""Reads single events by place; events close together with one read."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from consist_es.errors import LogCorruptError, LogReadError
from consist_es.events import Recorded
from consist_es.log.blobs import resolve
from consist_es.log.record import TAIL_LENGTH, BadRecord, chain_before, chain_of, decode_head, recorded, split_line
from consist_es.log.segment import line_at, segment_name
from consist_es.system.storage import Storage

NEAR = 64 << 10
"""Largest distance in bytes between two events read together: reading the gap is cheaper than another call."""
LINE = 4 << 10
"""Bytes read at first for the last event of a group."""


def read_places(storage: Storage, folder: Path, places: Iterable[tuple[int, int]]) -> list[Recorded]:
    """The events at these places, (segment, offset), in log order. Each is checked against the line before it.

    Raises:
        LogCorruptError: no whole, unchanged line begins there. LogReadError: the operating system refused.
    """
    found: list[Recorded] = []
    wanted: dict[int, set[int]] = {}
    for segment, offset in places:
        wanted.setdefault(segment, set()).add(offset)
    for segment in sorted(wanted):
        try:
            found += _of_segment(storage, folder, segment, sorted(wanted[segment]))
        except (OSError, ValueError, OverflowError) as error:  # a place may be any number
            raise LogReadError(folder / segment_name(segment), error) from error
    return found


def _of_segment(storage: Storage, folder: Path, segment: int, offsets: list[int]) -> Iterator[Recorded]:
    fd = storage.open(folder / segment_name(segment), os.O_RDONLY)
    try:
        for group in _groups(offsets):
            start = max(group[0] - TAIL_LENGTH, 0)
            data = storage.read_at(fd, group[-1] + LINE - start, start)
            for offset in group:
                try:
                    yield _event(storage, folder, segment, offset, _line(storage, fd, offset, data, start))
                except BadRecord as error:
                    raise LogCorruptError(segment_name(segment), offset, str(error)) from error
    finally:
        storage.close(fd)


def _groups(offsets: list[int]) -> Iterator[list[int]]:
    group: list[int] = []
    for offset in offsets:
        if group and offset - group[-1] > NEAR:
            yield group
            group = []
        group.append(offset)
    yield group


def _line(storage: Storage, fd: int, offset: int, data: bytes, start: int) -> tuple[bytes, bytes]:
    """The end of the bytes before a line, and the line."""
    at = offset - start
    end = data.find(b"\n", at)
    line = data[at : end + 1] if end >= 0 else line_at(storage, fd, offset)
    return data[max(at - TAIL_LENGTH, 0) : at], line


def _event(storage: Storage, folder: Path, segment: int, offset: int, parts: tuple[bytes, bytes]) -> Recorded:
    tail, line = parts
    head_bytes, payload, chain = split_line(line)
    if chain != chain_of(chain_before(tail), head_bytes, payload):
        raise BadRecord("the chain value does not match the record and the one before it")
    return recorded(decode_head(head_bytes), resolve(storage, folder, payload), chain, segment, offset, len(line))
