"""A machine in memory: files, folders, locks and a power switch, behind the interface of `consist_es.system.storage`.

It keeps what a real disk would be allowed to forget. Since the last sync of a file, every version of each of its
sectors and every size it had may be what a power cut leaves, independently of each other; since the last sync of a
folder, the same is true of every name in it. A failed sync marks the bytes as clean, as Linux does: a later sync
that succeeds does not write them.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from consist_es.system.seam import Stamp

SECTOR = 512
STATES = ("drop", "keep", "zero", "reorder", "tear", "mix")
"""What happens to that which was not synced: gone; all there; sizes without bytes; some of it; any of it; any mix."""


def fault(number: int) -> OSError:
    """The error of the operating system with this number."""
    return OSError(number, os.strerror(number))


_CHANGES = itertools.count(1)


class File:
    """Bytes, and which of them a power cut may undo."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.sizes = [len(data)]
        self.changed = next(_CHANGES)
        """Number of its last change: no two changes of a disk have the same time."""
        self.dirty: dict[int, list[bytes]] = {}
        """Sector -> its versions since the last sync, the safe one first."""
        self.stuck: dict[int, list[bytes]] = {}
        """The same for sectors whose sync failed: marked clean, never written."""
        self.open: set[tuple[object, int]] = set()
        """Processes and their descriptors."""
        self.unaware: set[tuple[object, int]] = set()
        """Those of them that have not been told of a failed sync; Linux tells each once (errseq_t)."""

    def _sector(self, number: int) -> bytes:
        return bytes(self.data[number * SECTOR : (number + 1) * SECTOR]).ljust(SECTOR, b"\0")

    def write(self, data: bytes, offset: int) -> None:
        """As pwrite."""
        numbers = range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1) if data else range(0)
        for number in numbers:
            if number not in self.dirty:
                self.dirty[number] = self.stuck.pop(number, [self._sector(number)])
        if len(self.data) < offset:
            self.data.extend(bytes(offset - len(self.data)))
        self.data[offset : offset + len(data)] = data
        for number in numbers:
            self.dirty[number].append(self._sector(number))
        self._sized()

    def truncate(self, size: int) -> None:
        """As ftruncate."""
        number = size // SECTOR
        if size % SECTOR and number not in self.dirty:
            self.dirty[number] = self.stuck.pop(number, [self._sector(number)])
        if size <= len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))
        if size % SECTOR:
            self.dirty[number].append(self._sector(number))
        self._sized()

    def _sized(self) -> None:
        self.changed = next(_CHANGES)
        if self.sizes[-1] != len(self.data):
            self.sizes.append(len(self.data))

    def sync(self) -> None:
        """As fdatasync."""
        self.dirty.clear()
        self.sizes = [len(self.data)]

    def sync_failed(self) -> None:
        """The system gives up on what it could not write, and says so once."""
        self.stuck |= self.dirty
        self.dirty = {}

    def left(self, how: str, chance: random.Random) -> bytes:
        """What a power cut leaves."""
        loose = {**self.stuck, **self.dirty}
        size = {"drop": self.sizes[0], "tear": chance.choice(self.sizes), "mix": chance.choice(self.sizes)}
        end = size.get(how, self.sizes[-1])
        found = bytearray(end)
        found[: min(end, len(self.data))] = self.data[:end]
        for number, versions in loose.items():
            start = number * SECTOR
            if start < end:
                found[start : start + SECTOR] = _version(versions, how, chance)[: end - start]
        return bytes(found)


def _version(versions: list[bytes], how: str, chance: random.Random) -> bytes:
    if how in ("drop", "zero"):
        return versions[0]
    if how == "keep":
        return versions[-1]
    if how == "mix":
        return chance.choice(versions)
    return versions[-1] if chance.random() < 0.6 else versions[0]


class Folder:
    """Names, and which of them a power cut may undo."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.dirty: dict[str, list[int | None]] = {}

    def put(self, name: str, inode: int | None) -> None:
        """Give a name to something, or take it away."""
        self.dirty.setdefault(name, [self.names.get(name)]).append(inode)
        if inode is None:
            self.names.pop(name, None)
        else:
            self.names[name] = inode

    def left(self, how: str, chance: random.Random) -> dict[str, int]:
        """What a power cut leaves."""
        found: dict[str, int | None] = dict(self.names)
        for name, versions in self.dirty.items():
            keep = how in ("keep", "zero") or (how in ("tear", "reorder", "mix") and chance.random() < 0.5)
            found[name] = chance.choice(versions) if how == "mix" else versions[-1 if keep else 0]
        return {name: inode for name, inode in found.items() if inode is not None}


class Disk:
    """Everything below one folder, `/m`."""

    ROOT = Path("/m")

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.folders: dict[Path, Folder] = {self.ROOT: Folder()}
        self.locks: dict[int, object] = {}
        """Inode -> whoever holds its lock."""
        self.boot = "boot-1"
        self.clock = datetime(2026, 11, 22, tzinfo=UTC)
        self.pids = itertools.count(1000)
        self._inodes = itertools.count(10)

    def new(self, parent: Path, name: str) -> int:
        """A new empty file."""
        inode = next(self._inodes)
        self.files[inode] = File()
        self.folders[parent].put(name, inode)
        return inode

    def new_folder(self, path: Path) -> None:
        """A new empty folder."""
        self.folders[path.parent].put(path.name, next(self._inodes))
        self.folders[path] = Folder()

    def tick(self) -> datetime:
        """The wall clock: a millisecond per look."""
        self.clock += timedelta(milliseconds=1)
        return self.clock

    def cut(self, how: str, chance: random.Random) -> Disk:
        """The machine after a power cut, booted again."""
        after = Disk()
        after.boot = f"boot-{chance.getrandbits(32):x}"
        after.clock, after.pids = self.clock, self.pids
        self._keep(after, self.ROOT, how, chance)
        return after

    def _keep(self, after: Disk, path: Path, how: str, chance: random.Random) -> None:
        for name, inode in self.folders[path].left(how, chance).items():
            if path / name in self.folders:
                after.new_folder(path / name)
                self._keep(after, path / name, how, chance)
            else:
                number = after.new(path, name)
                after.files[number] = File(self.files[inode].left(how, chance))
        after.folders[path].dirty.clear()

    def copy(self) -> Disk:
        """The same files on another disk, all of them safe."""
        return self.cut("keep", random.Random(0))

    def bytes_of(self, path: Path) -> bytes:
        """A file's content."""
        return bytes(self.files[self.folders[path.parent].names[path.name]].data)

    def overwrite(self, path: Path, data: bytes) -> None:
        """Give a file another content, safe on disk, behind everybody's back."""
        names = self.folders[path.parent].names
        inode = names[path.name] if path.name in names else self.new(path.parent, path.name)
        self.files[inode] = File(data)

    def names(self, folder: Path) -> list[str]:
        """What a folder holds; nothing where it is missing."""
        found = self.folders.get(folder)
        return [] if found is None else list(found.names)


class Memory:
    """One process on that machine; implements `consist_es.system.storage.Storage`."""

    def __init__(self, disk: Disk, *, chance: random.Random | None = None, host: str = "machine") -> None:
        self.disk = disk
        self._fds: dict[int, tuple[int, int]] = {}
        self._numbers = itertools.count(3)
        self._pid = next(disk.pids)
        self._chance = chance or random.Random(self._pid)
        self._host = host
        self.wait: Callable[[], None] | None = None
        """What a process does while another one holds the lock."""

    def end(self) -> None:
        """The process is gone, and with it its open files and locks."""
        for fd in list(self._fds):
            self.close(fd)

    # ------------------------------------------------------------ files

    def open(self, path: Path, flags: int) -> int:
        folder = self.disk.folders.get(path.parent)
        if folder is None:
            raise fault(errno.ENOENT)
        inode = folder.names.get(path.name)
        if inode is None:
            if not flags & os.O_CREAT:
                raise fault(errno.ENOENT)
            inode = self.disk.new(path.parent, path.name)
        elif flags & os.O_EXCL:
            raise fault(errno.EEXIST)
        if flags & os.O_TRUNC and self.disk.files[inode].data:
            self.disk.files[inode].truncate(0)
        fd = next(self._numbers)
        self._fds[fd] = (inode, flags)
        self.disk.files[inode].open.add((self, fd))
        return fd

    def close(self, fd: int) -> None:
        if fd not in self._fds:
            raise fault(errno.EBADF)
        inode, _ = self._fds.pop(fd)
        self.disk.files[inode].open.discard((self, fd))
        if self.disk.locks.get(inode) == (self, fd):
            del self.disk.locks[inode]

    def _file(self, fd: int) -> File:
        if fd not in self._fds:
            raise fault(errno.EBADF)
        return self.disk.files[self._fds[fd][0]]

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        return bytes(self._file(fd).data[offset : offset + size])

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        self._file(fd).write(data, offset)
        return len(data)

    def truncate(self, fd: int, size: int) -> None:
        self._file(fd).truncate(size)

    def size(self, fd: int) -> int:
        return len(self._file(fd).data)

    def datasync(self, fd: int) -> None:
        file = self._file(fd)
        if (self, fd) in file.unaware:
            file.unaware.discard((self, fd))
            file.sync_failed()
            raise fault(errno.EIO)
        file.sync()

    def datasync_failed(self, fd: int) -> None:
        """What the system does when it cannot write a file's bytes."""
        file = self._file(fd)
        file.sync_failed()
        file.unaware = file.open - {(self, fd)}

    # ------------------------------------------------------------ names

    def _folder(self, path: Path) -> Folder:
        folder = self.disk.folders.get(path)
        if folder is None:
            raise fault(errno.ENOENT)
        return folder

    def sync_folder(self, folder: Path) -> None:
        if folder != self.disk.ROOT.parent:
            self._folder(folder).dirty.clear()

    def rename(self, source: Path, target: Path) -> None:
        inode = self._folder(source.parent).names.get(source.name)
        if inode is None:
            raise fault(errno.ENOENT)
        self._folder(target.parent).put(target.name, inode)
        self._folder(source.parent).put(source.name, None)

    def rename_new(self, source: Path, target: Path) -> None:
        if target.name in self._folder(target.parent).names:
            raise fault(errno.EEXIST)
        self.rename(source, target)

    def symlink(self, target: Path, path: Path) -> None:
        raise fault(errno.EPERM)

    def unlink(self, path: Path) -> None:
        if path.name not in self._folder(path.parent).names:
            raise fault(errno.ENOENT)
        self._folder(path.parent).put(path.name, None)

    def listdir(self, folder: Path) -> list[str]:
        return list(self._folder(folder).names)

    def mkdir(self, folder: Path) -> None:
        if folder.name in self._folder(folder.parent).names:
            raise fault(errno.EEXIST)
        self.disk.new_folder(folder)

    def inode(self, where: Path | int) -> tuple[int, int]:
        if isinstance(where, int):
            return 1, self._fds[where][0]
        if where == self.disk.ROOT:
            return 1, 1
        found = self._folder(where.parent).names.get(where.name)
        if found is None:
            raise fault(errno.ENOENT)
        return 1, found

    def stamp(self, where: Path | int) -> Stamp | None:
        try:
            device, inode = self.inode(where)
        except FileNotFoundError:
            return None
        file = self.disk.files[inode]
        return Stamp(device, inode, len(file.data), file.changed)

    def mode(self, path: Path) -> int:
        return 0o755

    def set_mode(self, fd: int, mode: int) -> None:
        self._file(fd)

    # ------------------------------------------------------------ locks, time, identity

    def flock(self, fd: int, *, blocking: bool) -> bool:
        inode = self._fds[fd][0]
        while self.disk.locks.get(inode, (self, fd)) != (self, fd):
            if not blocking:
                return False
            if self.wait is None:
                raise RuntimeError("a lock is held for ever")
            self.wait()
        self.disk.locks[inode] = (self, fd)
        return True

    def flock_within(self, fd: int, seconds: float) -> bool:
        return self.flock(fd, blocking=True)

    def is_locked(self, fd: int) -> bool:
        return self._fds[fd][0] in self.disk.locks

    def lock_holder(self, fd: int) -> str:
        return "another process"

    def unlock(self, fd: int) -> None:
        if fd not in self._fds:
            raise fault(errno.EBADF)
        inode = self._fds[fd][0]
        if self.disk.locks.get(inode) == (self, fd):
            del self.disk.locks[inode]

    def now(self) -> datetime:
        return self.disk.tick()

    def monotonic(self) -> float:
        return self.disk.clock.timestamp()

    def token(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def pid(self) -> int:
        return self._pid

    def pid_started(self, pid: int) -> str:
        return str(pid)

    def boot(self) -> str:
        return self.disk.boot

    def machine(self) -> str:
        return ""

    def pid_namespace(self) -> str:
        return "memory"

    def is_local(self, path: Path) -> bool:
        """A disk that is cut off and goes on under other processes is nobody's own."""
        return False

    def host(self) -> str:
        return self._host

    def user(self) -> str:
        return "somebody"
