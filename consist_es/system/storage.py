"""All file I/O, time and randomness of the log and the views, behind one small interface.

Nothing else in `consist_es.log` touches the disk or a clock, so a test double of `Storage` can fail a call, lose power
or move the clock. Differences between systems (flock, fdatasync, folder sync) are handled here; modules that exist only
on POSIX are imported inside functions.
"""

import contextlib
import errno
import os
import sys
import threading
import time
import warnings
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from consist_es.errors import ConsistWarning, LogLockError
from consist_es.system import machine
from consist_es.system.seam import Storage as Storage
from consist_es.system.with_block import WithBlock

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Error numbers for no room (disk, quota, file size limit)."""
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""Error numbers for a place that cannot be written."""


NO_HARD_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Error numbers of file systems without hard links (FAT, some network file systems)."""


class LocalStorage:
    """The real operating system."""

    def open(self, path: Path, flags: int) -> int:
        """Open without following a link to a writable file, and without waiting for a FIFO."""
        flags |= getattr(os, "O_NONBLOCK", 0)
        if flags & (os.O_WRONLY | os.O_RDWR):
            flags |= getattr(os, "O_NOFOLLOW", 0)
        return os.open(path, flags, 0o666)

    def close(self, fd: int) -> None:
        os.close(fd)

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        data = os.pread(fd, size, offset)
        while data and len(data) < size and (more := os.pread(fd, size - len(data), offset + len(data))):
            data += more
        return data

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def datasync(self, fd: int) -> None:
        if sys.platform == "darwin":  # fsync there stops at the drive's cache
            import fcntl

            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.replace(target)

    def rename_new(self, source: Path, target: Path) -> None:
        if _rename_noreplace(source, target):
            return
        try:
            target.hardlink_to(source)
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
            source.rename(target)
        else:
            source.unlink()

    def symlink(self, target: Path, path: Path) -> None:
        path.symlink_to(target)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def listdir(self, folder: Path) -> list[str]:
        return os.listdir(folder)  # noqa: PTH208 (names, not paths)

    def mkdir(self, folder: Path) -> None:
        folder.mkdir()

    def inode(self, where: Path | int) -> tuple[int, int]:
        info = os.fstat(where) if isinstance(where, int) else where.lstat()
        return info.st_dev, info.st_ino

    def mode(self, path: Path) -> int:
        return path.stat().st_mode & 0o7777

    def set_mode(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def flock(self, fd: int, *, blocking: bool) -> bool:
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_EX if blocking else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def flock_within(self, fd: int, seconds: float) -> bool:
        """Polls, because flock(2) has no timeout."""
        deadline, pause = self.monotonic() + seconds, 0.0002
        while not self.flock(fd, blocking=False):
            if self.monotonic() > deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.002)
        return True

    def is_locked(self, fd: int) -> bool:
        """Uses a shared lock, so that several processes can ask at once."""
        import fcntl

        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(fd, fcntl.LOCK_UN)
        return False

    def lock_holder(self, fd: int) -> str:
        return machine.lock_holder(fd)

    def unlock(self, fd: int) -> None:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_UN)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def token(self, count: int) -> bytes:
        return os.urandom(count)

    def pid(self) -> int:
        return os.getpid()

    def pid_started(self, pid: int) -> str:
        return machine.pid_started(pid)

    def boot(self) -> str:
        return machine.boot()

    def machine(self) -> str:
        return machine.machine()

    def pid_namespace(self) -> str:
        return machine.pid_namespace()

    def is_local(self, path: Path) -> bool:
        return machine.is_local(path)

    def host(self) -> str:
        import platform

        return platform.node()

    def user(self) -> str:
        return machine.user()


_NOREPLACE = 1
_HERE = -100
"""RENAME_NOREPLACE and AT_FDCWD of renameat2(2)."""


def _rename_noreplace(source: Path, target: Path) -> bool:
    """Rename to a free name in one step; False if this system or file system has no such call."""
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    if call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))


def make_folder(storage: Storage, folder: Path) -> bool:
    """Create a folder and its missing parents, surviving a power cut; False if it existed."""
    try:
        storage.inode(folder)
    except FileNotFoundError:
        make_folder(storage, folder.parent)
    else:
        return False
    with contextlib.suppress(FileExistsError):  # another process was quicker
        storage.mkdir(folder)
    storage.sync_folder(folder.parent)
    return True


def is_at(storage: Storage, fd: int, path: Path) -> bool:
    """True if the open file is the one at this path. May raise FileNotFoundError."""
    return storage.inode(path) == storage.inode(fd)


def read_end(storage: Storage, fd: int, most: int) -> tuple[int, bytes]:
    """Offset of the last `most` bytes of a file, and the bytes."""
    size = storage.size(fd)
    begin = max(size - most, 0)
    return begin, storage.read_at(fd, size - begin, begin)


def read_part(storage: Storage, path: Path, size: int, offset: int) -> bytes:
    """Read some bytes of a file by path."""
    fd = storage.open(path, os.O_RDONLY)
    try:
        return storage.read_at(fd, size, offset)
    finally:
        storage.close(fd)


def write_all(storage: Storage, fd: int, data: bytes, offset: int) -> None:
    """Write everything; after a short write the next one continues or raises."""
    done = storage.write_at(fd, data, offset)
    while done < len(data):
        more = storage.write_at(fd, data[done:], offset + done)
        if more == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done += more


class _Forked(Protocol):
    def after_fork(self) -> None:
        """Runs in the child of a fork, in its only thread."""


_FORKED: "weakref.WeakSet[_Forked]" = weakref.WeakSet()


def on_fork(this: _Forked) -> None:
    """Call `this.after_fork()` in every later fork's child."""
    _FORKED.add(this)


def _after_fork() -> None:
    for this in list(_FORKED):
        this.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


SLOW, PATIENCE = 10.0, 600.0
"""Seconds until a wait for a lock is reported, and until it is an error."""


class Lock(WithBlock["Lock"]):
    """A lock between processes and threads: flock on a file that is created once and never deleted.

    The kernel drops it when its holder dies, so a killed process never stalls the others. Not reentrant. If the file
    was deleted or replaced, the lock on the old inode is worthless; so after locking, the inode is compared with the
    path's, and the file reopened until they match.

    If an interrupt (Ctrl-C) strikes between `acquire` and its caller, the lock may stay held; a `with` block releases
    it. The mutex is reentrant, so a lock left held never blocks its own thread, and that thread's next `release` clears
    it.
    """

    _FLAGS = os.O_RDWR | os.O_CREAT

    def __init__(self, path: Path, storage: Storage | None = None) -> None:
        self.path = path
        self._storage: Storage = storage or LocalStorage()
        self._mutex = threading.RLock()
        self._fd: int | None = None
        on_fork(self)

    def acquire(self, *, blocking: bool = True) -> bool:
        """Take the lock; False if another process or thread holds it and `blocking` is False.

        Raises:
            LogLockError: the file system has no flock, or another process has held the lock for `PATIENCE` seconds.
            OSError: the lock file cannot be opened.
        """
        if not self._mutex.acquire(blocking):
            return False
        taken = False
        try:
            taken = self._take(blocking)
        finally:
            if not taken:
                self.release()
        return taken

    def _take(self, blocking: bool) -> bool:
        while True:
            if self._fd is None:
                self._fd = self._storage.open(self.path, self._FLAGS)
            try:
                if not (self._waited(self._fd) if blocking else self._storage.flock(self._fd, blocking=False)):
                    return False
            except OSError as error:
                raise LogLockError(self.path, error) from error
            if not self.is_lost():
                return True
            self._drop()

    def _waited(self, fd: int) -> bool:
        if self._storage.flock_within(fd, SLOW):
            return True
        holder = self._storage.lock_holder(fd)
        warnings.warn(f"Waiting for {self.path}: {holder} has held it for {SLOW:g} s.", ConsistWarning, stacklevel=7)
        if self._storage.flock_within(fd, PATIENCE - SLOW):
            return True
        problem = f"{self._storage.lock_holder(fd)} on {self._storage.host()} has held it for {PATIENCE:g} s"
        raise LogLockError(self.path, problem, "Let that process finish, or end it, and try again.")

    def is_lost(self) -> bool:
        """True if the open file was deleted or replaced: another process may lock the new one."""
        try:
            return self._fd is not None and not is_at(self._storage, self._fd, self.path)
        except FileNotFoundError:
            return True

    def release(self) -> None:
        """Release the lock. Does nothing if this thread does not hold it."""
        if not self._mutex.acquire(blocking=False):
            return  # another thread does
        try:
            if self._fd is not None:
                self._storage.unlock(self._fd)
        finally:
            with contextlib.suppress(RuntimeError):  # until it is no longer held
                while True:
                    self._mutex.release()

    def close(self) -> None:
        """Close the file; the next `acquire` opens it again."""
        self._drop()

    def _drop(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._storage.close(fd)

    def after_fork(self) -> None:
        """Reset: the open file and its lock are shared with the parent, and the child needs its own."""
        self._mutex = threading.RLock()
        self._drop()

    def _begin(self) -> "Lock":
        self.acquire()
        return self

    def _end(self, error: BaseException | None) -> None:
        self.release()

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError, TypeError):  # the interpreter may be half gone
            self._drop()
