"""Copies that land where they were meant to, also in a folder that others may change meanwhile.

A path that was checked can lead elsewhere by the time it is used: somebody swaps a folder for a link. So the folder is
opened first, part by part from its root and through no link, and everything after that goes through the open folder.
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
"""Where the system shows a process's open folders as paths; without it paths are used as they are."""
_STEP = getattr(os, "O_PATH", 0) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_CHUNK = 1 << 20
_LINKED = frozenset({errno.ELOOP, errno.ENOTDIR})
"""What the system says of a link, or of a file, where a folder is wanted."""


def root_of(path: Path, roots: Sequence[str]) -> tuple[str, str] | None:
    """The first root that the path lies in once links are resolved, and its way from there; None outside all of them.

    The root itself is resolved too.
    """
    real = real_path(path)
    found = ((root, below(real, root)) for root in map(real_path, roots))
    return next(((root, rel) for root, rel in found if rel is not None), None)


@contextmanager
def held(folder: Path, roots: Sequence[str]) -> Iterator[Path]:
    """The folder, made where it is missing, as a path that leads to it whatever happens to its own path meanwhile.

    Raises:
        PathError: it lies outside the roots, or is a link by now.
        OSError: it cannot be made or opened.
    """
    found = root_of(folder, roots)
    if found is None:
        raise PathError(f"{folder} lies outside {', '.join(roots)}.")
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
    """One folder further down; the one above is closed."""
    try:
        try:
            following = os.open(part, _STEP, dir_fd=fd)
        except FileNotFoundError:
            _make(part, fd)
            following = os.open(part, _STEP, dir_fd=fd)
    except OSError as error:
        if error.errno not in _LINKED:
            raise
        problem = f"{part!r} in it is a link by now, or no folder"
        raise PathError(
            f"{folder} cannot be written to: {problem}. Nothing was written: see who changes it."
        ) from error
    os.close(fd)
    return following


def _make(name: str, fd: int) -> None:
    try:
        os.mkdir(name, dir_fd=fd)
    except FileExistsError:  # another process was quicker
        return


def copy_path(source: Path, target: Path) -> None:
    """Copy a file or folder to where nothing is: bytes, modification times, and whether a file can be executed.

    Owner and other rights are those of a new file. The copy of a folder has its digest: links inside it are copied as
    links, and those that lead out as what they lead to. May raise OSError.
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
    """Copy one regular file to where nothing is. May raise OSError."""
    # Should the path have become a FIFO, opening it must not wait for a writer.
    with os.fdopen(os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as reader:
        found = os.fstat(reader.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no regular file", os.fspath(source))
        # Rights are not copied: a file of somebody else's that runs with its owner's rights would then be ours.
        mode = 0o777 if found.st_mode & stat.S_IXUSR else 0o666
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as writer:
            _copy_bytes(reader, writer, found)
            writer.flush()
            os.utime(writer.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))  # a fast digest covers it
            if sync:
                os.fsync(writer.fileno())


def _copy_bytes(reader: BinaryIO, writer: BinaryIO, found: os.stat_result) -> None:
    """Copy a file's content; parts that take no room on the disk are left out, and read as zeros again."""
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
    """The parts of a file that are no holes; all of it if the system does not tell."""
    if not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    stop = 0
    while stop < size:
        try:
            start = os.lseek(descriptor, stop, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says that nothing but a hole follows
                yield stop, size
            return
        yield start, min(stop, size)
