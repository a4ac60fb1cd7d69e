"""Finds files that were open before the step began: reading on fires no event."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

import msgspec

from consist_es.artifacts.digest import OURS
from consist_es.observe.notes import Stamp
from consist_es.observe.scope import Scope

_FOLDER = "/proc/self/fd"


class Handle(msgspec.Struct, frozen=True):
    """A readable descriptor of a regular file."""

    fd: int
    path: str
    place: int
    stamp: Stamp


def open_handles(scope: Scope) -> list[Handle]:
    """Handles of files in the roots that are open for reading; [] if the system does not list them."""
    try:
        names = os.listdir(_FOLDER)
    except OSError:
        return []
    paths: dict[str, str] = {}
    for name in names:
        try:
            path = os.readlink(f"{_FOLDER}/{name}")
        except OSError:  # the descriptor of the listing, or one that another thread closed
            continue
        if path.startswith("/") and not path.endswith(" (deleted)"):
            paths[name] = path
    wanted = scope.watched(paths.values())
    found = []
    for name, path in paths.items():
        with suppress(OSError):
            if path in wanted and (handle := _handle(int(name), path)) is not None:
                found.append(handle)
    return found


def _handle(fd: int, path: str) -> Handle | None:
    import fcntl

    state, flags = os.fstat(fd), fcntl.fcntl(fd, fcntl.F_GETFL)
    if not stat.S_ISREG(state.st_mode) or flags & os.O_ACCMODE == os.O_WRONLY:
        return None
    if flags & OURS == OURS and not flags & os.O_ACCMODE:  # another thread's digest, or one that was interrupted
        return None
    place = os.lseek(fd, 0, os.SEEK_CUR)
    return Handle(fd, path, place, (state.st_size, state.st_mtime_ns, state.st_ino, state.st_dev))


def has_moved(handle: Handle) -> bool:
    """True if something may have been read through the handle since: its position changed, or it was closed."""
    try:
        now = _handle(handle.fd, handle.path)
    except OSError:
        return True
    return now is None or now.stamp[2:] != handle.stamp[2:] or now.place != handle.place
