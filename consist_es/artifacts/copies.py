"""Makes copies that land in the intended folder, even if others change the path meanwhile.

A checked path can lead elsewhere by the time it is used, if somebody swaps a folder for a link. So the folder is opened
first, part by part from its root and through no link, and all further work goes through the open folder.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from consist_es.artifacts.tree import walk
from consist_es.artifacts.uris import below, real_path
from consist_es.errors import InputError, PathError

_OPEN_FOLDERS = Path("/proc/self/fd")
"""Here the system shows a process's open folders as paths; without it, paths are used directly."""
_STEP = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_CHUNK = 1 << 20
_LINKED = frozenset({errno.ELOOP, errno.ENOTDIR})
"""Errors for a link, or a file, in place of a folder."""


def root_of(path: Path, roots: Sequence[str]) -> tuple[str, str] | None:
    """(root, relative path) for the first root that the path lies in once links are resolved; None outside all of them.

    The root itself is resolved too.
    """
    real = real_path(path)
    found = ((root, below(real, root)) for root in map(real_path, roots))
    return next(((root, rel) for root, rel in found if rel is not None), None)


@contextmanager
def held(folder: Path, roots: Sequence[str]) -> Iterator[Path]:
    """The folder, made if missing, as a path that stays valid if its own path changes meanwhile.

    Raises:
        PathError: it lies outside the roots, or has become a link.
        OSError: it cannot be made or opened.
    """
    found = root_of(folder, roots)
    if found is None:
        raise PathError(f"{folder} lies outside {', '.join(roots)}. Give a folder below one of them.")
    if not _OPEN_FOLDERS.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    root, rel = found
    Path(root).mkdir(parents=True, exist_ok=True)
    fd = os.open(root, _STEP)
    try:
        for part in rel.split("/"):
            fd = _step(fd, part, folder)
        yield _OPEN_FOLDERS / str(fd)
    finally:
        os.close(fd)


def _step(fd: int, part: str, folder: Path) -> int:
    """Open one folder further down; closes the one above."""
    try:
        try:
            following = os.open(part, _STEP, dir_fd=fd)
        except FileNotFoundError:
            _make(part, fd)
            following = os.open(part, _STEP, dir_fd=fd)
    except OSError as error:
        if error.errno not in _LINKED:
            raise
        problem = f"{part!r} in it is now a link, or not a folder"
        raise PathError(
            f"{folder} cannot be written to: {problem}. Nothing was written: find out what changes it."
        ) from error
    os.close(fd)
    return following


def _make(name: str, fd: int) -> None:
    try:
        os.mkdir(name, dir_fd=fd)
    except FileExistsError:  # another process was quicker
        return


def copy_path(source: Path, target: Path) -> None:
    """Copy a file or folder to a free path: bytes, modification times, and whether a file is executable.

    Owner and other rights are those of a new file. The copy of a folder has its digest: links inside it are copied as
    links, links that lead out are replaced by their targets. May raise OSError.
    """
    if not source.is_dir():
        copy_file(source, target, sync=True)
        return
    target.mkdir()
    try:
        for entry in walk(os.fsencode(source), []):
            place = target / os.fsdecode(entry.name)
            if stat.S_ISLNK(entry.stat.st_mode):
                place.symlink_to(os.fsdecode(entry.target))
            elif stat.S_ISDIR(entry.stat.st_mode):
                place.mkdir()
            else:
                copy_file(Path(os.fsdecode(entry.path)), place)
    except InputError as error:
        raise OSError(errno.EIO, str(error)) from error


def copy_file(source: Path, target: Path, *, sync: bool = False) -> None:
    """Copy one regular file to a free path. May raise OSError."""
    # if the path has become a FIFO, opening it must not wait for a writer
    with os.fdopen(os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as reader:
        found = os.fstat(reader.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(source))
        # rights are not copied: somebody else's setuid file would become ours
        mode = 0o777 if found.st_mode & stat.S_IXUSR else 0o666
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as writer:
            _copy_bytes(reader, writer, found)
            writer.flush()
            os.utime(writer.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))  # a fast digest covers it
            if sync:
                os.fsync(writer.fileno())


def _copy_bytes(reader: BinaryIO, writer: BinaryIO, found: os.stat_result) -> None:
    """Copy a file's content; holes are skipped, and read as zeros again."""
    if found.st_blocks * 512 >= found.st_size:
        shutil.copyfileobj(reader, writer, _CHUNK)
        return
    for start, stop in _filled(reader.fileno(), found.st_size):
        reader.seek(start)
        writer.seek(start)
        while start < stop and (data := reader.read(min(_CHUNK, stop - start))):
            writer.write(data)
            start += len(data)
    writer.truncate(found.st_size)


def _filled(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file outside holes; all of it if the system cannot tell."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    stop = 0
    while stop < size:
        try:
            start = os.lseek(descriptor, stop, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: only a hole follows
                yield stop, size
            return
        yield start, min(stop, size)
