"""Any storage, with a plan of what goes wrong at which call."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from consist_es.system.seam import Stamp
from consist_es.system.storage import Storage
from torture.memory_disk import Memory, fault

T = TypeVar("T")

WRITES = frozenset(
    {"open", "write_at", "truncate", "datasync", "sync_folder", "rename", "rename_new", "symlink", "unlink", "mkdir"}
    | {"set_mode", "flock"}
)
"""Calls that change something, or that decide who may."""
READS = frozenset({"read_at", "size", "listdir", "inode", "stamp", "mode"})
ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EINTR, errno.ENOLCK, errno.EROFS, errno.EACCES)
"""What R8 asks for; a short write is `Plan.short`."""


class Died(BaseException):
    """The process is gone: nothing that it does from here on has an effect."""


def kill() -> None:
    """End this very process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # it does not come to this


class Plan:
    """What goes wrong: at the `at`-th of the calls that count, `deed` or `error`, once or from then on.

    `after`: the call has its effect, and only then fails. `short`: of a write, half happens first.
    """

    def __init__(
        self,
        at: int = 0,
        error: int | None = None,
        *,
        lasting: bool = False,
        after: bool = False,
        short: bool = False,
        deed: Callable[[], None] | None = None,
        among: frozenset[str] = WRITES | READS,
    ) -> None:
        self.at, self.error, self.lasting, self.after, self.short = at, error, lasting, after, short
        self.deed = deed
        self.among = among
        self.calls = 0
        self.reached = False
        self.dead = False
        self.name = ""
        """The call that it happened to."""

    def due(self, name: str) -> bool:
        """Whether this call is one that goes wrong; counts it."""
        if name not in self.among:
            return False
        self.calls += 1
        if self.calls == self.at:
            self.reached, self.name = True, name
            return True
        return self.reached and self.lasting

    def strike(self) -> None:
        """Let it go wrong."""
        if self.deed is not None:
            self.deed()
        if self.error is not None:
            raise fault(self.error)

    def die(self) -> None:
        """As a deed: the process is gone, as far as a storage in memory can tell."""
        self.dead = True
        raise Died

    def lift(self) -> None:
        """From now on all is well."""
        self.at, self.lasting, self.reached = 0, False, False


class Chances(Plan):
    """Something goes wrong now and then: one call in `rate`."""

    def __init__(self, chance: random.Random, rate: int, *, deaths: bool = True) -> None:
        super().__init__()
        self._chance, self._rate, self._deaths = chance, rate, deaths

    def due(self, name: str) -> bool:
        if not self._rate or name not in self.among or self._chance.random() * self._rate > 1:
            return False
        deadly = self._deaths and self._chance.random() < 0.3
        self.deed = self.die if deadly else None
        self.error = None if deadly else self._chance.choice(ERRORS)
        self.after, self.short = self._chance.random() < 0.3, self._chance.random() < 0.5
        self.reached, self.name = True, name
        return True

    def lift(self) -> None:
        self._rate = 0


class FaultyStorage:
    """A storage that follows a plan; `pause` is called before every call."""

    def __init__(self, inner: Storage, plan: Plan | None = None, *, pause: Callable[[], None] | None = None) -> None:
        self.inner = inner
        self.plan = plan or Plan()
        self._pause = pause

    def _call(self, name: str, perform: Callable[[], T], partly: Callable[[], Any] | None = None) -> T:
        if self.plan.dead:
            raise Died
        if self._pause is not None:
            self._pause()
        if not self.plan.due(name):
            return perform()
        if self.plan.after:
            perform()
        elif partly is not None and (self.plan.short or name == "datasync"):
            partly()
        self.plan.strike()
        return perform()

    def open(self, path: Path, flags: int) -> int:
        if self.plan.dead:
            raise Died
        if self._pause is not None:
            self._pause()
        if self.plan.due("open"):
            self.plan.strike()  # never `after`: an open that fails gives no number to close
        return self.inner.open(path, flags)

    def close(self, fd: int) -> None:
        if not self.plan.dead:
            self.inner.close(fd)

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        return self._call("read_at", lambda: self.inner.read_at(fd, size, offset))

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        half = len(data) // 2
        return self._call(
            "write_at",
            lambda: self.inner.write_at(fd, data, offset),
            lambda: self.inner.write_at(fd, data[:half], offset),
        )

    def truncate(self, fd: int, size: int) -> None:
        self._call("truncate", lambda: self.inner.truncate(fd, size))

    def size(self, fd: int) -> int:
        return self._call("size", lambda: self.inner.size(fd))

    def datasync(self, fd: int) -> None:
        def partly() -> None:
            if isinstance(self.inner, Memory) and self.plan.error is not None:
                self.inner.datasync_failed(fd)

        self._call("datasync", lambda: self.inner.datasync(fd), partly)

    def sync_folder(self, folder: Path) -> None:
        self._call("sync_folder", lambda: self.inner.sync_folder(folder))

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", lambda: self.inner.rename(source, target))

    def rename_new(self, source: Path, target: Path) -> None:
        self._call("rename_new", lambda: self.inner.rename_new(source, target))

    def symlink(self, target: Path, path: Path) -> None:
        self._call("symlink", lambda: self.inner.symlink(target, path))

    def unlink(self, path: Path) -> None:
        self._call("unlink", lambda: self.inner.unlink(path))

    def listdir(self, folder: Path) -> list[str]:
        return self._call("listdir", lambda: self.inner.listdir(folder))

    def mkdir(self, folder: Path) -> None:
        self._call("mkdir", lambda: self.inner.mkdir(folder))

    def inode(self, where: Path | int) -> tuple[int, int]:
        return self._call("inode", lambda: self.inner.inode(where))

    def stamp(self, where: Path | int) -> Stamp | None:
        return self._call("stamp", lambda: self.inner.stamp(where))

    def mode(self, path: Path) -> int:
        return self._call("mode", lambda: self.inner.mode(path))

    def set_mode(self, fd: int, mode: int) -> None:
        self._call("set_mode", lambda: self.inner.set_mode(fd, mode))

    def flock(self, fd: int, *, blocking: bool) -> bool:
        return self._call("flock", lambda: self.inner.flock(fd, blocking=blocking))

    def flock_within(self, fd: int, seconds: float) -> bool:
        return self._call("flock", lambda: self.inner.flock_within(fd, seconds))

    def is_locked(self, fd: int) -> bool:
        return self._call("flock", lambda: self.inner.is_locked(fd))

    def lock_holder(self, fd: int) -> str:
        return self.inner.lock_holder(fd)

    def unlock(self, fd: int) -> None:
        if not self.plan.dead:
            self.inner.unlock(fd)

    def now(self) -> datetime:
        return self.inner.now()

    def monotonic(self) -> float:
        return self.inner.monotonic()

    def token(self, count: int) -> bytes:
        return self.inner.token(count)

    def pid(self) -> int:
        return self.inner.pid()

    def pid_started(self, pid: int) -> str:
        return self.inner.pid_started(pid)

    def boot(self) -> str:
        return self.inner.boot()

    def machine(self) -> str:
        return self.inner.machine()

    def pid_namespace(self) -> str:
        return self.inner.pid_namespace()

    def is_local(self, path: Path) -> bool:
        return self.inner.is_local(path)

    def host(self) -> str:
        return self.inner.host()

    def user(self) -> str:
        return self.inner.user()
