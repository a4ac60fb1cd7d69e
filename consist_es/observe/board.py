"""Shows child processes which runs this process has open, and receives their messages about them.

Beside the file of `consist_es.observe.children` lies a page of shared memory: the open runs, as JSON. A child looks up
there which run its work belongs to, whenever the child was started. Before it works for a run it appends a message to a
second file; so the first process knows, without reading anything, whether children had a part in a run. A child holds a
shared lock while it records, and the first process takes it exclusively for a moment when it closes a run: later
records are refused, and nothing falls between the two.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.observe import children
from consist_es.observe.scope import PREFIX
from consist_es.system.storage import LocalStorage, on_fork
from consist_es.system.with_block import WithBlock

SIZE = 1 << 20
PATIENCE = 5.0
"""Seconds that a run's end waits for a child that is recording; a child stopped there must not block it for ever."""
_HEAD = struct.Struct("<QI")
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_PAGE, _TOLD = "runs", "told"

Posted = dict[str, dict[str, Any]]
"""Key of a run -> facts for its children."""


class _Open(NamedTuple):
    """An open run: facts for children, and the size of the message file when it began."""

    about: dict[str, Any]
    since: int


class Board:
    """The shared page of this process's runs."""

    def __init__(self) -> None:
        self.folder = Path(children.channel().folder)
        self._fd = os.open(self.folder / _PAGE, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        os.ftruncate(self._fd, SIZE)
        self._map = mmap.mmap(self._fd, SIZE)
        self._told = os.open(self.folder / _TOLD, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        self._runs: dict[str, _Open] = {}
        self._number = 0
        self._mutex = threading.Lock()

    def post(self, run: str, about: dict[str, Any]) -> None:
        """Add an open run."""
        with self._mutex:
            self._runs[run] = _Open(about, os.fstat(self._told).st_size)
            self._write()

    def withdraw(self, run: str) -> list[dict[str, Any]]:
        """Remove a run; returns the messages of children about it."""
        with self._mutex:
            if (opened := self._runs.pop(run, None)) is None:
                return []
            since, size = opened.since, os.fstat(self._told).st_size
            alone = _locked_within(self._fd, PATIENCE)
            try:
                self._write()
                size = os.fstat(self._told).st_size
            finally:
                if alone:
                    LocalStorage().unlock(self._fd)
            data = os.pread(self._told, size - since, since) if size > since else b""
        return [told for told in map(_decoded, data.splitlines()) if told.get("run") == run]

    def _write(self) -> None:
        posted = {run: opened.about for run, opened in self._runs.items()}
        while len(text := _encoded(posted)) > SIZE - _HEAD.size:  # they do not fit: the oldest cannot be joined
            posted.pop(next(iter(posted)))
        self._number += 2
        _HEAD.pack_into(self._map, 0, self._number - 1, len(text))  # an odd number marks a write in progress
        self._map[_HEAD.size : _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._map, 0, self._number, len(text))


def _encoded(plain: Any) -> bytes:
    """As ASCII JSON with escapes: file names need not be UTF-8, so msgspec cannot encode them."""
    return json.dumps(plain).encode("ascii")


def _decoded(text: bytes) -> dict[str, Any]:
    with suppress(ValueError):  # half written, or by another program
        if isinstance(found := json.loads(text), dict):
            return found
    return {}


def _locked_within(fd: int, seconds: float) -> bool:
    with suppress(OSError):  # no locks here: then waiting is impossible
        return LocalStorage().flock_within(fd, seconds)
    return False


def _share(fd: int) -> None:
    import fcntl

    with suppress(OSError):  # no locks here
        fcntl.flock(fd, fcntl.LOCK_SH)


class _Process:
    def __init__(self) -> None:
        self.board: Board | None = None
        self.mutex = threading.Lock()
        on_fork(self)

    def after_fork(self) -> None:
        self.board, self.mutex = None, threading.Lock()


_process = _Process()


def board() -> Board:
    """The page of this process, made when it is first needed."""
    if (found := _process.board) is None:
        with _process.mutex:  # threads may open their first runs at once
            found = _process.board = _process.board or Board()
    return found


def is_made() -> bool:
    """True if this process has runs, or had."""
    return _process.board is not None


# ---------------------------------------------------------------- in a child


def posted() -> Posted:
    """The open runs of the process that started this one."""
    folder = _folder()
    if folder is None:
        return {}
    try:
        fd = os.open(folder / _PAGE, os.O_RDONLY | _FLAGS)
    except OSError:
        return {}
    try:
        return _read(fd)
    finally:
        os.close(fd)


def _read(fd: int) -> Posted:
    for _ in range(1000):
        number, length = _HEAD.unpack(os.pread(fd, _HEAD.size, 0))
        text = os.pread(fd, length, _HEAD.size)
        if number % 2 == 0 and _HEAD.unpack(os.pread(fd, _HEAD.size, 0))[0] == number:
            return _decoded(text)
        time.sleep(0.0001)
    return {}


def _folder() -> Path | None:
    path = os.environ.get(children.VARIABLE)
    if path and not is_made():
        return Path(path).parent
    return None if is_made() else _of_parent()


def _of_parent() -> Path | None:
    """The folder of the process that asked a `multiprocessing` server for this one: the server may be older than its
    first run, and then the environment does not name the folder."""
    # A process that such a server made has imported the module.
    asked = getattr(sys.modules.get("multiprocessing.process"), "parent_process", None)
    parent = None if asked is None else asked()
    if parent is None or parent.pid is None:
        return None
    links = Path("/proc", str(parent.pid), "fd")
    with suppress(OSError):
        for link in links.iterdir():
            with suppress(OSError):
                target = link.readlink()
                if target.name == _PAGE and target.parent.name.startswith(PREFIX):
                    return target.parent
    return None


def tell(run: str, **about: Any) -> None:
    """Send a message about a run to its process, before the work is done."""
    folder = _folder()
    if folder is None:
        return
    with suppress(OSError):  # that process is gone
        fd = os.open(folder / _TOLD, os.O_WRONLY | os.O_APPEND | _FLAGS)
        try:
            os.write(fd, _encoded({"run": run, **about}) + b"\n")
        finally:
            os.close(fd)


class Joined(WithBlock[bool]):
    """Block in which a child records something of a run; True if the run is open, and then it stays open until the
    block ends."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._fd: int | None = None

    def _begin(self) -> bool:
        folder = _folder()
        if folder is None:
            return False
        try:
            self._fd = os.open(folder / _PAGE, os.O_RDWR | _FLAGS)
            _share(self._fd)
        except OSError:
            return False
        if self._run not in _read(self._fd):
            return False
        tell(self._run)
        return True

    def _end(self, error: BaseException | None) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
