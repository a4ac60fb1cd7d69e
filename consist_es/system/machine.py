"""Facts about this machine, its processes and its file systems.

Only the machine and PID namespace of a process can tell that it is gone: see `consist_es.log.presence`. Read here:
proc_pid_stat(5), proc_pid_mountinfo(5), pid_namespaces(7), machine-id(5).
"""

import contextlib
import functools
import os
import re
import sys
from pathlib import Path

from blake3 import blake3

UNKNOWN = "unknown"
"""An unknown PID namespace."""
NO_NAMESPACES = "none"
"""The PID namespace on a system without namespaces."""
INITIAL_NAMESPACE = "pid:[4026531836]"
"""The kernel's first one, which sees all processes."""

_LOCAL = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "f2fs", "jfs", "bcachefs", "ramfs"}
    | {"vfat", "exfat", "ntfs3", "fuseblk"}
)
"""File systems that only one kernel has open, so its locks are complete. Other types may be shared with another
machine."""
_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_PURPOSE = "consist-es 2026-11-30: which machine wrote to a log"


def boot() -> str:
    """Identity of this boot of the machine; "" if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return _boot_session() if sys.platform == "darwin" else ""


def _boot_session() -> str:
    """macOS's boot session id (sysctlbyname(3))."""
    import ctypes

    call = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    room = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(room))
    if call is None or call(b"kern.bootsessionuuid", room, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return ""
    return room.value.decode("ascii", "replace")


def machine() -> str:
    """Identity of the installed system, the same after a reboot; "" if it has none, as in most containers.

    Derived for this purpose: the id itself is confidential (machine-id(5)).
    """
    for path in _IDS:
        try:
            found = path.read_bytes().strip()
        except OSError:
            continue
        if re.fullmatch(rb"[0-9a-f]{32}", found):
            return blake3(found, derive_key_context=_PURPOSE).hexdigest()[:32]
    return ""


def pid_namespace() -> str:
    """The PID namespace of this process; `UNKNOWN` if it cannot be told."""
    if sys.platform != "linux":
        return NO_NAMESPACES
    try:
        # Without a /proc of its own, a namespace sees another one's numbers there.
        if os.readlink("/proc/self") != str(os.getpid()):  # noqa: PTH115
            return UNKNOWN
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        return UNKNOWN


def pid_started(pid: int) -> str:
    """Field 22 of /proc/<pid>/stat: clock ticks after boot. ``ended`` for a dead process.

    A dead process keeps its number until its parent waits for it, which one without a proper init never does.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat[stat.rfind(b")") + 1 :].split()  # the name before may hold blanks and brackets
    if len(fields) <= 19:
        return ""
    state, threads = fields[0], int(fields[17])
    # The state is the first thread's alone: if only that one ended, others still run.
    return "ended" if state in (b"Z", b"X") and threads <= 1 else fields[19].decode("ascii")


def user() -> str:
    """Name of this process's user."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without an entry
        return ""


def lock_holder(fd: int) -> str:
    """Description of the holder of an open file's exclusive lock, from proc_locks(5) if available."""
    info = os.fstat(fd)
    place = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/locks").read_text("ascii").splitlines():
            words = line.split()
            if words[1] == "FLOCK" and words[5] == place and int(words[4]) > 0:
                state = Path(f"/proc/{words[4]}/stat").read_bytes().rpartition(b")")[2].split()[0]
                return f"process {words[4]}{', which is stopped,' if state in (b'T', b't') else ''}"
    return "another process"


def filesystem_of(path: Path, mounts: str | None = None) -> str:
    """Type of the file system of `path`, "" if unknown. `mounts`: text of mountinfo."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return ""
    real, best, kind = os.path.realpath(path), "", ""
    for line in mounts.splitlines():
        front, _, back = line.partition(" - ")
        fields = front.split(" ")
        if len(fields) < 5 or not back:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        below = real == point or real.startswith(point.rstrip("/") + "/")
        if below and len(point) >= len(best):  # of two mounts at one point, the later one is visible
            best, kind = point, back.split(" ")[0]
    return kind


def is_local(path: Path) -> bool:
    """True if certainly only this machine has the file system of `path` open."""
    try:
        return _kind(path, path.stat().st_dev) in _LOCAL
    except OSError:
        return False


@functools.lru_cache(maxsize=64)
def _kind(path: Path, _device: int) -> str:
    return filesystem_of(path)
