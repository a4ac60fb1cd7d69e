"""Receives the Linux kernel's events for opened files in watched folders, also by compiled code and other processes.

Unprivileged fanotify (Linux 5.13): a mark on each folder, events with the folder's handle and the name in it. An event
shows whether this process caused it; others come as process 0, or with their number if we are privileged.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

ACCESS, MODIFY, OPEN, CREATE, DELETE = 0x1, 0x2, 0x20, 0x100, 0x200
MOVED_FROM, MOVED_TO, OVERFLOW, FOLDER = 0x40, 0x80, 0x4000, 0x40000000
_ON_CHILD = 0x08000000
_MASK = ACCESS | MODIFY | OPEN | CREATE | DELETE | MOVED_FROM | MOVED_TO | FOLDER | _ON_CHILD
_REPORT_FOLDER_AND_NAME, _CLOEXEC_NONBLOCK = 0xC00, 0x3
_MARK_ADD, _HERE = 1, -100
_HANDLE_FOR_EVENTS, _FOLLOW = 0x200, 0x400
_EVENT, _HEAD = struct.Struct("=IBBHQii"), struct.Struct("=BBHQIi")
_HANDLE = struct.Struct("Ii")
_BUFFER = 1 << 18


class Told(msgspec.Struct, frozen=True):
    """One event."""

    path: str
    mask: int
    own: bool


class Fanotify:
    """The marks of one process, kept from run to run, because making them anew takes milliseconds."""

    name, most = "fanotify", 20_000
    """`most`: number of folders to watch below one root."""

    def __init__(self) -> None:
        """Raises OSError if the system has no fanotify, or refuses it."""
        if not sys.platform.startswith("linux"):
            raise OSError(errno.ENOSYS, "only Linux has fanotify")
        self._libc: Any = ctypes.CDLL(None, use_errno=True)
        if not all(hasattr(self._libc, name) for name in ("fanotify_init", "fanotify_mark", "name_to_handle_at")):
            raise OSError(errno.ENOSYS, "the C library has no fanotify")
        self._fd: int = self._libc.fanotify_init(_REPORT_FOLDER_AND_NAME | _CLOEXEC_NONBLOCK, os.O_RDONLY)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "fanotify was refused")
        self._pid = os.getpid()
        self._folders: dict[bytes, str] = {}
        self._flag = _HANDLE_FOR_EVENTS

    def mark(self, folder: str) -> None:
        """Watch events in a folder, but not below. Raises OSError if that is refused."""
        raw = os.fsencode(folder)
        if self._libc.fanotify_mark(self._fd, _MARK_ADD, ctypes.c_uint64(_MASK), _HERE, raw):
            raise OSError(ctypes.get_errno(), "fanotify was refused", folder)
        self._folders[self._handle(raw)] = folder

    def _handle(self, raw: bytes) -> bytes:
        """Key of a folder in events: its file system, and its handle there."""
        buffer = ctypes.create_string_buffer(_HANDLE.pack(128, 0), _HANDLE.size + 128)
        mount = ctypes.c_int()
        refused = self._libc.name_to_handle_at(_HERE, raw, buffer, ctypes.byref(mount), self._flag | _FOLLOW)
        if refused and self._flag and ctypes.get_errno() == errno.EINVAL:  # before Linux 6.5
            self._flag = 0
            return self._handle(raw)
        if refused:
            raise OSError(ctypes.get_errno(), "folders have no handles", os.fsdecode(raw))
        size, kind = _HANDLE.unpack_from(buffer.raw)
        place = os.statvfs(raw).f_fsid & (1 << 64) - 1
        return _key(place, kind, buffer.raw[_HANDLE.size : _HANDLE.size + size])

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
                length, _, _, skip, mask, _, pid = _EVENT.unpack_from(data, at)
                told = None if mask & OVERFLOW else self._told(data[at + skip : at + length], mask, pid)
                if told is not None or not mask & FOLDER:  # folders send events on themselves, also unwatched ones
                    yield told
                at += length

    def _told(self, info: bytes, mask: int, pid: int) -> Told | None:
        _, _, length, place, size, kind = _HEAD.unpack_from(info)
        start = _HEAD.size + size
        folder = self._folders.get(_key(place, kind, info[_HEAD.size : start]))
        if folder is None:
            return None
        name = os.fsdecode(info[start:length].split(b"\0")[0])
        path = folder if name in ("", ".") else os.path.join(folder, name)
        return Told(path, mask, pid == self._pid)

    def close(self) -> None:
        """Drop the marks; a forked child only closes its copy of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _key(place: int, kind: int, handle: bytes) -> bytes:
    return struct.pack("Qi", place, kind) + handle


def folders_below(root: str, wanted: Callable[[str], bool], aliases: dict[str, str]) -> Iterator[str]:
    """The folder and those below it, parents first.

    Follows links. If one leads to a file, that file's folder is given too, and its path noted in `aliases`.
    """
    waiting, seen = [root], {os.path.realpath(root)}
    for folder in waiting:
        yield folder
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if entry.is_symlink() or entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for entry in found:
            if not entry.is_symlink():
                if wanted(entry.path):
                    waiting.append(entry.path)
                continue
            real = os.path.realpath(entry.path)
            if os.path.isdir(real):
                if real not in seen and wanted(entry.path) and not root.startswith(real):
                    seen.add(real)
                    waiting.append(entry.path)
            elif os.path.exists(real):
                aliases.setdefault(real, entry.path)
                if (parent := os.path.dirname(real)) not in seen:
                    seen.add(parent)
                    yield parent
