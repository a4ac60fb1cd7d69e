"""Other places for a project's views, if their own cannot be written or has no room."""

import atexit
import os
import tempfile
import zlib
from pathlib import Path

from consist_es.views.file import discard


def writable(path: Path) -> bool:
    """True if the file and its folder can be written; SQLite needs both."""
    folder = path.parent
    if os.access(folder, os.W_OK) and os.access(path, os.W_OK):
        return True
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def node_local(project_id: str, log_place: str, base: Path | None = None) -> Path:
    """Path of a project's views in this machine's temporary files."""
    folder = (base or Path(tempfile.gettempdir())) / f"consist-es-{_user()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
        # The name can be guessed: the folder may be somebody else's.
        folder = Path(tempfile.mkdtemp(prefix="consist-es-", dir=base))
    # Copies of a log share the project id, but need separate views.
    copy = zlib.crc32(os.fsencode(os.path.realpath(log_place)))
    return folder / f"{project_id}-{copy:08x}.db"


def own_to_process(project_id: str, log_place: str, base: Path | None = None) -> Path:
    """Path of views for this process alone. Removes those of dead processes."""
    place = node_local(project_id, log_place, base)
    for left in place.parent.glob(f"{place.stem}-*.db*"):
        pid = left.name[len(place.stem) + 1 :].partition(".")[0]
        if pid.isdecimal() and not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
            left.unlink(missing_ok=True)
    return place.with_name(f"{place.stem}-{os.getpid()}.db")


MEMORY = Path("/dev/shm")  # noqa: S108  what Linux has of disks in memory


def in_memory(project_id: str, log_place: str) -> Path:
    """Path of views for this process alone in memory, for when no disk has room; removed when it ends.

    Raises:
        OSError: there is no such place.
    """
    place, pid = own_to_process(project_id, log_place, MEMORY), os.getpid()
    atexit.register(lambda: discard(place) if os.getpid() == pid else None)
    return place


ELSEWHERE = (node_local, in_memory)
"""Other places for the views, tried in order."""


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "views"
