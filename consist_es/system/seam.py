"""The interface between this library and the operating system; tests replace it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

WATCHERS: list[Callable[[], bool]] = []
"""Each says whether a step is watched now: what a child process reads would count as read by the step."""


class Stamp(NamedTuple):
    """State of a file. Equal ones mean the same file with the same content, as far as the system notes changes."""

    device: int
    inode: int
    size: int
    changed: int
    """Time of its last change, in nanoseconds and in the system's steps of a few milliseconds."""


class Storage(Protocol):
    """The operating system as the log and the views see it. Every method may raise OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file; a new one gets the umask's mode."""

    def close(self, fd: int) -> None: ...

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        """One write; the number of bytes written may be short."""

    def truncate(self, fd: int, size: int) -> None: ...

    def size(self, fd: int) -> int: ...

    def datasync(self, fd: int) -> None:
        """Return once the file's bytes and size survive a power cut."""

    def sync_folder(self, folder: Path) -> None:
        """Return once the folder's entries survive a power cut."""

    def rename(self, source: Path, target: Path) -> None:
        """Replace `target` atomically."""

    def rename_new(self, source: Path, target: Path) -> None:
        """Rename to a name that must be free; FileExistsError if it is not."""

    def symlink(self, target: Path, path: Path) -> None:
        """Make `path` a link to `target`."""

    def unlink(self, path: Path) -> None: ...

    def listdir(self, folder: Path) -> list[str]: ...

    def mkdir(self, folder: Path) -> None: ...

    def inode(self, where: Path | int) -> tuple[int, int]:
        """(device, inode) of a path, not following a link at its end, or of an open file."""

    def stamp(self, where: Path | int) -> Stamp | None:
        """State of a path, not following a link at its end, or of an open file; None if there is no such path."""

    def mode(self, path: Path) -> int:
        """Permission bits."""

    def set_mode(self, fd: int, mode: int) -> None:
        """Give an open file these permission bits."""

    def flock(self, fd: int, *, blocking: bool) -> bool:
        """Take the exclusive lock of an open file; False if another process holds it and `blocking` is False."""

    def flock_within(self, fd: int, seconds: float) -> bool:
        """Take the exclusive lock of an open file; False if it was not free within `seconds`."""

    def is_locked(self, fd: int) -> bool:
        """True if the exclusive lock of this file is held through another open file. Blocks nobody."""

    def lock_holder(self, fd: int) -> str:
        """Description of the holder of an open file's exclusive lock."""

    def unlock(self, fd: int) -> None: ...

    def now(self) -> datetime:
        """The wall clock, UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never jumps."""

    def token(self, count: int) -> bytes:
        """`count` random bytes."""

    def pid(self) -> int: ...

    def pid_started(self, pid: int) -> str:
        """Start time of a process in the system's own terms; "" if there is none or it is unknown."""

    def boot(self) -> str:
        """Identity of this boot of the machine; "" if unknown."""

    def machine(self) -> str:
        """Identity of the installed system, the same after a reboot; "" if unknown."""

    def pid_namespace(self) -> str:
        """The PID namespace of this process, see `consist_es.system.machine`."""

    def is_local(self, path: Path) -> bool:
        """True if a lock on a file there is seen by every process with the file open: only one machine has the file
        system."""

    def host(self) -> str: ...

    def user(self) -> str: ...
