"""Archives finished segments: makes them read-only and moves them to another folder.

A segment is copied, the copy read back and compared, and only then a link replaces the segment. If the process is
killed, either the segment or the link is in place; running it again continues from there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blake3 import blake3

from consist_es.errors import ArchiveError, LogReadError
from consist_es.log.files import copy_of
from consist_es.log.segment import segment_name, segment_numbers
from consist_es.log.writer import LOCK_FILE
from consist_es.system.storage import Lock, Storage, write_all

_CHUNK = 4 << 20
_WRITABLE = 0o222


def archive(storage: Storage, folder: Path, target: Path | None = None) -> Iterator[Path]:
    """Make every segment but the newest read-only, and move it to `target` if given; yield each one's path.

    The caller must have verified the log, so that no damage is archived as good. Writers wait for one segment at a
    time.

    Raises:
        ArchiveError: a segment cannot be moved; it stays where it was, and so do those after it.
        LogReadError: the log's folder cannot be listed.
        LogLockError: there is no flock on this file system.
    """
    place = None if target is None else target.resolve()
    if place is not None and not place.is_dir():
        raise ArchiveError(segment_name(1), place, "it does not exist; name another folder")
    try:
        numbers = segment_numbers(storage, folder)[:-1]
    except OSError as error:
        raise LogReadError(folder, error) from error
    for number in numbers:
        with _told(number, place or folder), Lock(folder / LOCK_FILE, storage):
            path = folder / segment_name(number)
            if place is None or _is_link(storage, path):
                _protect(storage, path)
            else:
                _move(storage, path, place / path.name)
        yield path.resolve()


@contextmanager
def _told(number: int, place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(segment_name(number), place, str(error)) from error


def _is_link(storage: Storage, path: Path) -> bool:
    fd = storage.open(path, os.O_RDONLY)
    try:
        return storage.inode(path) != storage.inode(fd)
    finally:
        storage.close(fd)


def _protect(storage: Storage, path: Path) -> None:
    mode = storage.mode(path)
    if not mode & _WRITABLE:
        return
    fd = storage.open(path, os.O_RDONLY)
    try:
        storage.set_mode(fd, mode & ~_WRITABLE)
    finally:
        storage.close(fd)


def _move(storage: Storage, path: Path, target: Path) -> None:
    try:
        there = storage.inode(target)
    except FileNotFoundError:
        _copy(storage, path, target)
    else:
        if there == storage.inode(path) or _is_link(storage, target):
            raise ArchiveError(
                path.name, target.parent, "what is there is a link, or the segment itself; name another folder"
            )
    if _digest(storage, target) != _digest(storage, path):
        raise ArchiveError(path.name, target.parent, "another file of that name is there; name an empty folder")
    _protect(storage, target)
    link = copy_of(path)
    with suppress(FileNotFoundError):
        storage.unlink(link)
    storage.symlink(target, link)
    storage.rename(link, path)
    storage.sync_folder(path.parent)


def _copy(storage: Storage, path: Path, target: Path) -> None:
    """Copy under another name first, so that half a copy never looks whole."""
    part = copy_of(target)
    with suppress(FileNotFoundError):
        storage.unlink(part)  # left by a killed attempt
    fd = storage.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        storage.set_mode(fd, storage.mode(path))  # before the first byte: no wider access than to the original
        offset = 0
        for data in _chunks(storage, path):
            write_all(storage, fd, data, offset)
            offset += len(data)
        storage.datasync(fd)
    finally:
        storage.close(fd)
    storage.rename(part, target)
    storage.sync_folder(target.parent)


def _digest(storage: Storage, path: Path) -> bytes:
    hasher = blake3()
    for data in _chunks(storage, path):
        hasher.update(data)
    return hasher.digest()


def _chunks(storage: Storage, path: Path) -> Iterator[bytes]:
    fd = storage.open(path, os.O_RDONLY)
    try:
        offset = 0
        while data := storage.read_at(fd, _CHUNK, offset):
            yield data
            offset += len(data)
    finally:
        storage.close(fd)
