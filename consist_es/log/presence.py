"""Tells whether the process that wrote to a log still lives. It counts as dead only if that is certain.

Every writer holds a lock of its own, on a file in ``writers/`` below the log's folder, from before its first event
until it ends. The kernel drops the lock when the process ends or is killed, a reboot drops all. If such a lock can be
taken, on a file system that only this machine has open, its writer is gone. Within one PID namespace of one boot the
process table is asked instead: a child of a killed writer may still have the lock's file open.

A missing or replaced lock file proves nothing: people delete such files, and copy whole projects.
"""

import contextlib
import os
import re
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from consist_es.events import WriterAttached
from consist_es.system import machine
from consist_es.system.storage import Storage, make_folder, on_fork
from consist_es.version import __version__

FOLDER = "writers"
"""Folder of the writers' lock files, below the log's folder."""
_NAME = re.compile(r"[0-9]+\.[0-9a-f]+")
_WAIT = 0.5
"""Seconds to wait for another process that sweeps while a writer makes its file."""


class Marks(Protocol):
    """Identity of a process, as in `writer_attached`."""

    @property
    def writer(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def boot(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def pid_started(self) -> str: ...
    @property
    def machine(self) -> str: ...
    @property
    def pid_namespace(self) -> str: ...
    @property
    def lock(self) -> str: ...


# ---------------------------------------------------------------- asking


def is_gone(storage: Storage, folder: Path, writer: Marks) -> bool:
    """True if this writer of the log in this folder is certainly gone."""
    if shares_numbers(storage, writer):
        return not still_runs(storage, writer)
    return _lock_is(False, storage, folder, writer)


def still_runs(storage: Storage, writer: Marks) -> bool:
    """True if its pid, which `shares_numbers` with ours, is still the same process."""
    started = storage.pid_started(writer.pid)
    told = started != "" and writer.pid_started != ""
    return started != "ended" and (started == writer.pid_started if told else _exists(writer.pid))


def is_seen(storage: Storage, folder: Path, writer: Marks) -> bool:
    """True if it certainly lives: its pid is the same process, or its lock is held."""
    if shares_numbers(storage, writer):
        return still_runs(storage, writer)
    return _lock_is(True, storage, folder, writer)


def shares_numbers(storage: Storage, writer: Marks) -> bool:
    """True if its pid means the same process here as in its own namespace."""
    if not writer.boot or writer.boot != storage.boot():
        return False
    if writer.machine and storage.machine() not in ("", writer.machine):
        return False  # two copies of one virtual machine can have one boot id
    ours = storage.pid_namespace()
    if writer.pid_namespace:
        return writer.pid_namespace == ours != machine.UNKNOWN
    # Recorded by a version without namespaces: the same host name means ours, unless we are in a container.
    return writer.host == storage.host() and ours in (machine.INITIAL_NAMESPACE, machine.NO_NAMESPACES)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the log may hold any number
        return False
    except OSError:
        pass
    return True


def is_same_machine(storage: Storage, writer: Marks) -> bool:
    """True if boot or machine id match. Containers often have no machine id, but one boot is one kernel."""
    same_boot = writer.boot != "" and writer.boot == storage.boot()
    return same_boot or (writer.machine != "" and writer.machine == storage.machine())


def _lock_is(held: bool, storage: Storage, folder: Path, writer: Marks) -> bool:
    """True if the writer's lock is in the state `held`; False also if that cannot be told."""
    name, _, inode = writer.lock.partition(":")
    if not _NAME.fullmatch(name) or not inode.isdecimal():
        return False
    if not is_same_machine(storage, writer) or not storage.is_local(folder):
        return False
    try:
        fd = storage.open(folder / FOLDER / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return storage.inode(fd)[1] == int(inode) and storage.is_locked(fd) == held
    except OSError:  # no locks here
        return False
    finally:
        storage.close(fd)


# ---------------------------------------------------------------- being there


class _Held:
    """The open file, kept apart from `Presence` so that a finalizer can close it."""

    def __init__(self) -> None:
        self.fd: int | None = None
        self.path: Path | None = None
        self.pid = 0


class Presence:
    """The lock that shows that this writer lives. Without locks, work goes on."""

    def __init__(self, folder: Path, storage: Storage) -> None:
        self._folder = folder / FOLDER
        self._storage = storage
        self._held = _Held()
        self._lock = ""
        self.left = False
        """True if a lock that the log names was released: take another one before writing."""
        on_fork(self)
        weakref.finalize(self, _leave, storage, self._held)

    def hold(self, name: str) -> str:
        """Take the lock; return the lock file's name and inode for others to find it by, or "" if there is none.

        `name`: the writer's; its last two parts, pid and random part, become the file name.
        """
        self.left = False
        if self._held.fd is None:
            self._lock = ""
            path = self._folder / ".".join(name.split(".")[-2:])
            try:
                if self._storage.is_local(self._folder.parent):
                    make_folder(self._storage, self._folder)
                    self._lock = self._taken(path)
            except OSError:
                _close(self._storage, self._held)
        return self._lock

    def _taken(self, path: Path) -> str:
        held, storage = self._held, self._storage
        for _ in range(3):  # a sweep may take a new file for a dead writer's
            _close(storage, held)
            held.pid, held.path = storage.pid(), path
            held.fd = storage.open(path, os.O_RDWR | os.O_CREAT)
            if storage.flock_within(held.fd, _WAIT):
                with contextlib.suppress(FileNotFoundError):
                    if (inode := storage.inode(held.fd)) == storage.inode(path):
                        return f"{path.name}:{inode[1]}"
        _close(storage, held)
        return ""

    def sync(self) -> None:
        """Make the file survive a power cut, like the event that names it."""
        if self._held.fd is not None:
            with contextlib.suppress(OSError):
                self._storage.sync_folder(self._folder)

    def release(self) -> None:
        """Remove the file: the writer ends or pauses."""
        self.left |= self._held.fd is not None
        _leave(self._storage, self._held)

    def after_fork(self) -> None:
        """Drop the parent's lock: a child that outlives it must not hold it. The child is a writer of its own."""
        _close(self._storage, self._held)
        self.left = False


def _leave(storage: Storage, held: _Held) -> None:
    """Close the file, and remove it first unless it belongs to the process that this one was forked from."""
    # Removed before it is closed: nobody ever finds the file of a living writer without its lock.
    if held.fd is not None and held.path is not None and held.pid == storage.pid():
        with contextlib.suppress(OSError):
            if storage.inode(held.path) == storage.inode(held.fd):
                storage.unlink(held.path)
    _close(storage, held)


def _close(storage: Storage, held: _Held) -> None:
    fd, held.fd = held.fd, None
    if fd is not None:
        with contextlib.suppress(OSError):
            storage.close(fd)


def introduction(storage: Storage, name: str, lock: str) -> WriterAttached:
    """The `writer_attached` event of this process; `lock`: the result of `Presence.hold`."""
    import platform

    return WriterAttached(
        writer=name,
        host=storage.host(),
        boot=storage.boot(),
        pid=storage.pid(),
        pid_started=storage.pid_started(storage.pid()),
        user=storage.user(),
        library=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        machine=storage.machine(),
        pid_namespace=storage.pid_namespace(),
        lock=lock,
    )


# ---------------------------------------------------------------- tidying up


def sweep(storage: Storage, folder: Path, needed: Collection[str]) -> None:
    """Remove the lock files of gone writers, except those in `needed`.

    `needed`: the results of `Presence.hold` for runs without an end, which may still be looked up.
    """
    kept = {lock.partition(":")[0] for lock in needed}
    try:
        names = storage.listdir(folder / FOLDER) if storage.is_local(folder) else []
    except OSError:
        return
    for name in names:
        if name not in kept and _NAME.fullmatch(name):
            with contextlib.suppress(OSError):
                _remove_if_free(storage, folder / FOLDER / name)


def _remove_if_free(storage: Storage, path: Path) -> None:
    fd = storage.open(path, os.O_RDWR)
    try:
        if storage.flock(fd, blocking=False) and storage.inode(path) == storage.inode(fd):
            storage.unlink(path)
    finally:
        storage.close(fd)
