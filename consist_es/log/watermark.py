"""The file `head`, the watermark: the position up to which the log is known to be safe on disk.

Two slots of 256 bytes, each a line of JSON with its own checksum, padded with blanks. Each sync rewrites the older one
in place, so a torn write leaves the other. The file is neither synced nor locked: of two concurrent writers' marks one
may be lost. So the watermark may lag, never lead; after a lag, a cut tail looks like an unfinished write.
"""

import contextlib
import functools
import os
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.log.record import text_of
from consist_es.system.storage import Storage, read_part

HEAD_FILE = "head"
VERIFIED_FILE = "verified"
"""A file of the same form: the watermark when `consist_es.log.verify` last found the log whole."""
SLOT = 256
_TAG = b"consist-es log 1 watermark\n"


class Watermark(msgspec.Struct, frozen=True, gc=False):
    """Everything up to this event survives a power cut."""

    seq: int
    segment: int
    offset: int
    """First byte after the event's line."""
    chain: str


class _Slot(msgspec.Struct, frozen=True, gc=False):
    mark: Watermark
    check: str


def _check(mark: Watermark) -> str:
    return text_of(blake3(_TAG + msgspec.json.encode(mark)).digest()).decode()


@functools.lru_cache(maxsize=64)
def _parse(slot: bytes) -> Watermark | None:
    # Cached: every fold and every sync reads the same slots.
    try:
        found = msgspec.json.decode(slot, type=_Slot)
        return found.mark if found.check == _check(found.mark) and _is_sound(found.mark) else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _is_sound(mark: Watermark) -> bool:
    """True if the numbers are in range: the checksum alone proves nothing, anybody can compute one."""
    return mark.seq >= 0 and 0 < mark.segment < 10**8 and 0 <= mark.offset < 1 << 62


def parse_slots(data: bytes) -> list[Watermark | None]:
    """The watermark in each slot, None if it is blank or fails its checksum."""
    return [_parse(data[:SLOT]), _parse(data[SLOT : 2 * SLOT])]


def _newest(slots: list[Watermark | None]) -> Watermark | None:
    return max((mark for mark in slots if mark), key=lambda mark: mark.seq, default=None)


def read_watermark(storage: Storage, folder: Path, name: str = HEAD_FILE) -> Watermark | None:
    """The newest valid slot, or None."""
    try:
        return _newest(parse_slots(read_part(storage, folder / name, 2 * SLOT, 0)))
    except FileNotFoundError:
        return None


def write_watermark(storage: Storage, folder: Path, mark: Watermark, name: str = HEAD_FILE) -> None:
    """Move the watermark forward. Errors are ignored: the old mark stays true."""
    with contextlib.suppress(OSError):
        fd = storage.open(folder / name, os.O_RDWR | os.O_CREAT)
        try:
            _rewrite(storage, fd, mark)
        finally:
            storage.close(fd)


def _rewrite(storage: Storage, fd: int, mark: Watermark) -> None:
    slots = parse_slots(storage.read_at(fd, 2 * SLOT, 0))
    newest = _newest(slots)
    if newest is not None and newest.seq >= mark.seq and newest.segment >= mark.segment:
        return
    index = 1 if newest is not None and slots[0] == newest else 0
    line = msgspec.json.encode(_Slot(mark, _check(mark)))
    storage.write_at(fd, line.ljust(SLOT - 1) + b"\n", index * SLOT)
