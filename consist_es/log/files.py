"""Files of a log besides its lines, and the ids it makes."""

import contextlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from consist_es.errors import LogFormatError
from consist_es.log.segment import CHUNK, Header, Opened, encode_header, read_header, segment_name, segment_numbers
from consist_es.system.storage import Storage, make_folder, write_all

QUARANTINE = "quarantine"
REDACTION = "redaction"
"""The planned redaction, see `consist_es.log.redaction`."""
REDACTION_PART = f"{REDACTION}.tmp"
_TEMPORARY = ".jsonl.tmp"
_COPY = ".copy.jsonl.tmp"


def temporary_of(path: Path, token: str) -> Path:
    """Temporary path of a new segment. The token keeps two writers apart that both believe they hold the lock, after
    somebody deleted its file."""
    return path.with_suffix(f".{token}{_TEMPORARY}")


def copy_of(path: Path) -> Path:
    """Temporary path of a segment's replacement, with a suffix of its own."""
    return path.with_suffix(_COPY)


def create_segment(
    storage: Storage, folder: Path, header: Header, previous: bytes, lines: Iterable[bytes] = ()
) -> tuple[int, Opened]:
    """Create a segment, whole and safe on disk before it gets its name; returned open for reading and writing, and
    locked.

    Raises:
        FileExistsError: another writer has made this segment meanwhile.
    """
    path = folder / segment_name(header.segment)
    temporary = temporary_of(path, storage.token(4).hex())
    fd = storage.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        storage.flock(fd, blocking=False)  # before it has a name: nobody else can be first
        _write(storage, fd, itertools.chain([encode_header(header, previous)], lines))
        storage.datasync(fd)
        storage.rename_new(temporary, path)
        storage.sync_folder(folder)
        return fd, read_header(storage, fd, path)
    except BaseException:
        storage.close(fd)
        with contextlib.suppress(OSError):
            storage.unlink(temporary)
        raise


def _write(storage: Storage, fd: int, lines: Iterable[bytes]) -> None:
    offset, kept = 0, b""
    for line in lines:
        kept += line
        if len(kept) > CHUNK:
            write_all(storage, fd, kept, offset)
            offset, kept = offset + len(kept), b""
    if kept:
        write_all(storage, fd, kept, offset)


def remove_leftovers(storage: Storage, folder: Path) -> bool:
    """Remove the files that a killed writer left unfinished. Under the lock: nobody else is making one.

    A replacement is renamed into place if its segment is gone: some file systems lose the old file if a rename fails,
    and the replacement was whole before.

    Return True if a killed writer left a redaction to be finished.
    """
    try:
        listed = storage.listdir(folder)
    except FileNotFoundError:
        return False
    for name in listed:
        if not name.endswith(_TEMPORARY):
            continue
        segment = name.removesuffix(_COPY) + ".jsonl"
        if name.endswith(_COPY) and segment not in listed:
            storage.rename(folder / name, folder / segment)
            storage.sync_folder(folder)
        else:
            storage.unlink(folder / name)
    if REDACTION_PART in listed:
        storage.unlink(folder / REDACTION_PART)
    return REDACTION in listed


def refuse_links(storage: Storage, folder: Path) -> None:
    """Refuse links among the writable files of a log's folder: in a stranger's folder they could lead anywhere.

    Segments before the newest may be links to an archive: they are only read.

    Raises:
        LogFormatError: names the link.
    """
    try:
        archived = set(map(segment_name, segment_numbers(storage, folder)[:-1]))
        links = sorted(path for path in folder.iterdir() if path.is_symlink() and path.name not in archived)
    except OSError:
        return
    if links:
        raise LogFormatError(
            f"{links[0]} is a link, and only segments before the newest one may be links: what is written there "
            f"would end up at {links[0].resolve()}. Nothing was changed. Remove the link, or put the file in its place."
        )


def quarantine(storage: Storage, folder: Path, fd: int, segment: int, offset: int) -> tuple[str, int]:
    """Copy the segment's bytes from `offset` on, safe on disk; return the copy's name and size."""
    data = storage.read_at(fd, storage.size(fd) - offset, offset)
    name = f"{segment:08d}-{offset}-{storage.token(4).hex()}"
    make_folder(storage, folder / QUARANTINE)
    copy = storage.open(folder / QUARANTINE / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        write_all(storage, copy, data, 0)
        storage.datasync(copy)
    finally:
        storage.close(copy)
    storage.sync_folder(folder / QUARANTINE)
    return name, len(data)


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""Hexadecimal digit -> the one with its lower two bits that RFC 9562 asks for."""


def new_ids(storage: Storage, count: int) -> list[str]:
    """UUIDs of version 7 (RFC 9562): milliseconds since 1970, then 74 random bits."""
    milliseconds = max(int(storage.now().timestamp() * 1000), 0) & ((1 << 48) - 1)
    time, random = f"{milliseconds:012x}", storage.token(10 * count).hex()
    return [_id(time, random[start : start + 20]) for start in range(0, 20 * count, 20)]


def new_id(storage: Storage) -> str:
    """One of `new_ids`."""
    return new_ids(storage, 1)[0]


def _id(time: str, random: str) -> str:
    """An id from 12 and 20 hexadecimal digits."""
    return f"{time[:8]}-{time[8:]}-7{random[:3]}-{_VARIANT[random[3]]}{random[4:7]}-{random[8:]}"
