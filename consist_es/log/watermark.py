"""The file `head`: how far the log is known to be safe on disk (the watermark).

Two slots of 256 bytes, each a line of JSON with its own checksum, padded with blanks. The older one is rewritten in
place after each sync, so a torn write leaves the other. The file itself is neither synced nor locked: of two writers
at once one mark may be lost. So it may lag, never lead, and all that a lag costs is that a cut tail there looks like
an unfinished write.
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
"""A file of the same form: the watermark as it was when `consist_es.log.verify` last found everything whole."""
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
    # The same slots are read again and again: with every fold, and before and after every sync.
    try:
        found = msgspec.json.decode(slot, type=_Slot)
        return found.mark if found.check == _check(found.mark) and _is_sound(found.mark) else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _is_sound(mark: Watermark) -> bool:
    """Whether the numbers can be what they say; the checksum holds for whatever somebody writes with one."""
    return mark.seq >= 0 and 0 < mark.segment < 10**8 and 0 <= mark.offset < 1 << 62


def parse_slots(data: bytes) -> list[Watermark | None]:
    """The watermark in each slot, None where a slot is blank or does not match its checksum."""
    return [_parse(data[:SLOT]), _parse(data[SLOT : 2 * SLOT])]


def _newest(slots: list[Watermark | None]) -> Watermark | None:
    return max((mark for mark in slots if mark), key=lambda mark: mark.seq, default=None)


def read_watermark(storage: Storage, folder: Path, name: str = HEAD_FILE) -> Watermark | None:
    """The newest valid slot; None where there is none."""
    try:
        return _newest(parse_slots(read_part(storage, folder / name, 2 * SLOT, 0)))
    except FileNotFoundError:
        return None


def write_watermark(storage: Storage, folder: Path, mark: Watermark, name: str = HEAD_FILE) -> None:
    """Move the watermark forward. An error is of no consequence: the old mark stays true."""
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
