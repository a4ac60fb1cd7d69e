"""The interface between this library and the operating system: what a test double stands in for."""

from datetime import datetime
from pathlib import Path
from typing import Protocol


class Storage(Protocol):
    """The operating system as the log and the views see it. Every method may raise OSError."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file; one that is created gets the mode that the umask allows."""

    def close(self, fd: int) -> None: ...

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        """One write; the number of bytes written may be short."""

    def truncate(self, fd: int, size: int) -> None: ...

    def size(self, fd: int) -> int: ...

    def datasync(self, fd: int) -> None:
        """Return once the file's bytes and size would survive a power cut."""

    def sync_folder(self, folder: Path) -> None:
        """Return once the folder's entries would survive a power cut."""

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

    def mode(self, path: Path) -> int:
        """Permission bits."""

    def set_mode(self, fd: int, mode: int) -> None:
        """Give an open file these permission bits."""

    def flock(self, fd: int, *, blocking: bool) -> bool:
        """Take the exclusive lock of an open file; False where another holds it and `blocking` is False."""

    def flock_within(self, fd: int, seconds: float) -> bool:
        """Take the exclusive lock of an open file; False where another has held it all the time."""

    def is_locked(self, fd: int) -> bool:
        """Whether the exclusive lock of this file is held through another opening of it. Holds nobody up."""

    def lock_holder(self, fd: int) -> str:
        """Who holds the exclusive lock of an open file, in words."""

    def unlock(self, fd: int) -> None: ...

    def now(self) -> datetime:
        """The wall clock, UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment; never jumps."""

    def token(self, count: int) -> bytes:
        """`count` random bytes."""

    def pid(self) -> int: ...

    def pid_started(self, pid: int) -> str:
        """When that process started, in the system's own terms; "" where there is none or it cannot be told."""

    def boot(self) -> str:
        """Identity of this boot of the machine; "" where it cannot be told."""

    def machine(self) -> str:
        """Identity of the installed system, the same after a reboot; "" where it cannot be told."""

    def pid_namespace(self) -> str:
        """Which numbers of processes mean the same as here, see `consist_es.system.machine`."""

    def is_local(self, path: Path) -> bool:
        """Whether a lock on a file there is seen by everybody who can have the file open: one machine alone can."""

    def host(self) -> str: ...

    def user(self) -> str: ...
