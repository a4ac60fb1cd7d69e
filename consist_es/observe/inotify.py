"""Receives opens in watched folders if fanotify is refused. Events do not name the process, so this only warns."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator
from typing import Any

from consist_es.observe.fanotify import CREATE, MOVED_TO, OPEN, OVERFLOW, Told

_NONBLOCK_CLOEXEC = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 18


class Inotify:
    """The watches of one process, kept from run to run."""

    name, most = "inotify", 8_000

    def __init__(self) -> None:
        """Raises OSError if the system has no inotify, or refuses it."""
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "only Linux has inotify")
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify was refused")
        self._folders: dict[int, str] = {}

    def mark(self, folder: str) -> None:
        """Watch events in a folder, but not below. Raises OSError if that is refused."""
        number: int = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), OPEN | CREATE | MOVED_TO)
        if number < 0:
            raise OSError(ctypes.get_errno(), "inotify was refused", folder)
        self._folders[number] = folder

    def events(self) -> list[Told | None]:
        """Events since the last call; None for each gap."""
        return list(self._read())

    def _read(self) -> Iterator[Told | None]:
        more = True
        while more:
            try:
                data = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return
            more = len(data) > _BUFFER // 2  # else a busy process could keep us here
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                name = os.fsdecode(data[at + _EVENT.size : at + _EVENT.size + length].split(b"\0")[0])
                at += _EVENT.size + length
                if mask & OVERFLOW:
                    yield None
                elif (folder := self._folders.get(number)) is not None:
                    yield Told(os.path.join(folder, name) if name else folder, mask, False)

    def close(self) -> None:
        """Drop the watches."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
