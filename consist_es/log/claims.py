"""Claims on work: processes that reach the same step at the same time take turns.

The first computes; the others wait, then hit its result. If the first dies, a waiting one takes over, because the
kernel drops a dead process's lock. There is one lock file per fingerprint, below the log's folder, removed after use; a
process that locks a removed file notices by the inode and tries again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from consist_es.system.storage import Storage, is_at, on_fork

log = logging.getLogger("consist_es")

FOLDER = "turns"
"""Folder of the lock files, below the log's folder."""
PAUSE = 0.05
"""Seconds between two attempts of a waiting task."""
LOOK = 1.0
"""Seconds between two checks that the computing process still lives."""


def holder(folder: Path, work: str, storage: Storage) -> str | None:
    """Who does this work now, or None. Changes nothing, blocks nobody."""
    try:
        fd = storage.open(_place(folder, work), os.O_RDWR)
    except OSError:
        return None
    try:
        if storage.flock(fd, blocking=False):
            return None
        return storage.read_at(fd, 400, 0).decode("utf-8", "replace") or "another process"
    except OSError:
        return None
    finally:
        storage.close(fd)


def _place(folder: Path, work: str) -> Path:
    return folder / FOLDER / work.replace(":", "-")


class FileClaim:
    """The right to do one piece of work, as a lock on a file; held until `end`."""

    def __init__(
        self,
        folder: Path,
        work: str,
        storage: Storage,
        *,
        who: str,
        step: str,
        is_dead: Callable[[str], bool] = lambda _who: False,
    ) -> None:
        """`folder`: the log's. `step`: name of the work for people. `is_dead`: True if the process that wrote this
        `who` is certainly gone. A daemon it left behind may still hold its lock, and must block nobody."""
        self._path = _place(folder, work)
        self._storage = storage
        self._who = who
        self._step = step
        self._is_dead = is_dead
        self._said = False
        self._looked = float("-inf")
        self._fd: int | None = None
        on_fork(self)

    def take(self) -> None:
        """Wait for the turn; log its holder once. Returns without it if the place has no locks."""
        while not self._tried(blocking=True):
            pass

    async def atake(self) -> None:
        """As `take`, without blocking other tasks."""
        import asyncio  # heavy, and loaded where somebody awaits

        while not self._tried(blocking=False):
            await asyncio.sleep(PAUSE)

    def end(self) -> None:
        """End it."""
        fd = self._fd
        if fd is None:
            return
        with suppress(OSError):  # can be repeated after an interrupt
            if is_at(self._storage, fd, self._path):
                self._storage.unlink(self._path)
        with suppress(OSError):
            self._storage.unlock(fd)
        self._fd = None
        self._storage.close(fd)

    def after_fork(self) -> None:
        """Drop the parent's claim: a child that outlives it must not hold it."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._storage.close(fd)

    def _tried(self, *, blocking: bool) -> bool:
        """Try to take the lock. True if taken, or if locking is impossible here."""
        try:
            fd = self._opened()
        except OSError as error:  # a place that cannot be written: two may compute, neither is wrong
            log.debug("no turns at %s: %s", self._path, error)
            return True
        try:
            if self._locked(fd, blocking):
                self._fd = fd
                self._storage.truncate(fd, 0)
                self._storage.write_at(fd, self._who.encode("utf-8", "replace"), 0)
        except OSError as error:  # no flock here
            log.debug("no turns at %s: %s", self._path, error)
            return True
        finally:
            if self._fd is None:
                self._storage.close(fd)
        return self._fd is not None

    def _opened(self) -> int:
        try:
            return self._storage.open(self._path, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # the first claim here
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return self._storage.open(self._path, os.O_RDWR | os.O_CREAT)

    def _locked(self, fd: int, blocking: bool) -> bool:
        if not self._storage.flock(fd, blocking=False):
            self._tell(fd)
            if self._given_up(fd) or not blocking:
                return False
            if not self._storage.flock_within(fd, LOOK):
                return False
        try:
            return is_at(self._storage, fd, self._path)
        except FileNotFoundError:
            return False

    def _given_up(self, fd: int) -> bool:
        """True if the process that holds it is dead; its lock file is removed, and the next attempt makes another."""
        now = self._storage.monotonic()
        if now - self._looked < LOOK:
            return False
        self._looked = now
        if not self._is_dead(self._storage.read_at(fd, 400, 0).decode("utf-8", "replace")):
            return False
        with suppress(OSError):
            if is_at(self._storage, fd, self._path):
                self._storage.unlink(self._path)
        return True

    def _tell(self, fd: int) -> None:
        if not self._said:
            holder = self._storage.read_at(fd, 400, 0).decode("utf-8", "replace")
            log.warning("step %r is being computed by %s: waiting for its result", self._step, ascii(holder))
        self._said = True
