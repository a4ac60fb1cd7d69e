"""The key that marks a user's own rows in a digest cache, apart from everybody else's.

One small file per user, below `XDG_CACHE_HOME` or ``~/.cache`` (basedir-spec of freedesktop.org), and not in a project,
which is shared, copied and packed. The owner is checked on the open file, so the folders above may be writable by
others: nobody can make a file that belongs to somebody else.
"""

import os
import stat
from pathlib import Path

_KIND = b"consist-es digest key 1\n"
_SIZE = 32


def key_place() -> Path | None:
    """Path of this user's key; None if the environment names no place."""
    # Texts and not paths, because each step asks several times.
    given = [os.environ.get(name, "") for name in ("XDG_CACHE_HOME", "LOCALAPPDATA")]
    home = os.path.expanduser("~")  # noqa: PTH111
    for base in (*given, os.path.join(home, ".cache")):  # noqa: PTH118
        if os.path.isabs(base):  # noqa: PTH117
            return Path(base, "consist-es", "digests.key")
    return None


def own_key(*, make: bool) -> bytes | None:
    """The user's key; None if there is none, or none can be stored (no home, or a read-only one).

    `make`: make one if it is missing. Two processes doing so at once may get two keys, and one is lost with its
    process: the cache then loses some rows, and accepts no wrong one.
    """
    place = key_place()
    if place is None:
        return None
    try:
        key = _read(place)
        if key is None and make:
            _make(place)
            key = _read(place)
    except OSError:  # another owner, a link, no folder, no room: the cache is optional
        return None
    return key


def _read(place: Path) -> bytes | None:
    """The key, or None if missing or incomplete; `PermissionError` if the file is not ours alone."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        fd = os.open(place, flags)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(fd)
        others = stat.S_IRWXG | stat.S_IRWXO
        if not stat.S_ISREG(found.st_mode) or (_keeps_owners() and (not _is_ours(found) or found.st_mode & others)):
            raise PermissionError(f"{place} is not a file of this user only")
        text = os.read(fd, len(_KIND) + _SIZE + 1)
    finally:
        os.close(fd)
    return text[len(_KIND) :] if text.startswith(_KIND) and len(text) == len(_KIND) + _SIZE else None


def _make(place: Path) -> None:
    """Write a new key, whole; not into the home of another user whose environment was inherited."""
    folder = place.parent
    above = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if _keeps_owners() and not _is_ours(above.stat()):
        raise PermissionError(f"{above} belongs to another user")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.urandom(8).hex()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        try:
            os.write(fd, _KIND + os.urandom(_SIZE))
        finally:
            os.close(fd)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _keeps_owners() -> bool:
    return hasattr(os, "geteuid")


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid == os.geteuid()
