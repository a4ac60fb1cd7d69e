"""Lists a folder's entries, links resolved: one walk for digests and for copies, so that a copy has the same digest.

A link counts by its target. If that is inside the folder, it is another entry, so the link stays a link, by its text. A
target outside takes the link's place, as if it had been copied there: a file, or a folder with everything in it, by the
same rules. A dangling link counts by its text alone.
"""
# Names need not be UTF-8, so paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH115, PTH116, PTH117, PTH118, PTH120

import errno
import operator
import os
import stat
from collections.abc import Iterator
from typing import NoReturn

import msgspec

from consist_es.errors import InputError
from consist_es.text import readable

_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NULL = os.fsencode(os.devnull)
_NAME = operator.itemgetter(0)
_IS_LINK, _IS_FOLDER, _IS_FILE = stat.S_ISLNK, stat.S_ISDIR, stat.S_ISREG


class Entry(msgspec.Struct, frozen=True):
    """One file, folder or link below a folder."""

    name: bytes
    """Path relative to the folder."""
    path: bytes
    """Path of its content: beyond the link, if there is one that leads out."""
    stat: os.stat_result
    """Of the content; of the link itself if that counts by its text."""
    target: bytes = b""
    """Text of a link that stays a link."""
    via: bytes = b""
    """The link that led out to it, if one did."""


def walk(root: bytes, notes: list[str]) -> Iterator[Entry]:
    """Everything below `root`, each folder before its entries. Adds a note for each link that leads nowhere.

    Raises:
        InputError: something cannot be read, is neither file nor folder, or is a link that leads in a circle.
    """
    outermost: tuple[bytes, ...] = (os.path.realpath(root),)
    waiting = [(b"", root, outermost)]
    while waiting:
        below, folder, trail = waiting.pop()
        front = below + b"/" if below else b""
        for name, path, found in _list(folder):
            entry, mode = Entry(front + name, path, found), found.st_mode
            if _IS_LINK(mode):
                entry = _resolved(entry, trail, notes)
                mode = entry.stat.st_mode
            if _IS_FOLDER(mode):
                waiting.append((entry.name, entry.path, (*trail, entry.path) if entry.via else trail))
            elif not _IS_FILE(mode) and not _IS_LINK(mode):
                require_regular(entry.path, entry.stat)
            yield entry


def is_still(entry: Entry) -> bool:
    """True if a link that led out to this entry still does."""
    return not entry.via or os.path.realpath(entry.via) == entry.path


def _resolved(link: Entry, trail: tuple[bytes, ...], notes: list[str]) -> Entry:
    """The entry that a link counts as. `trail`: the folders that led here, from the outermost to the one around it."""
    text = _target(link.path)
    try:
        found = os.stat(link.path)
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            _circle(link.path)
        if problem.errno not in _NOWHERE:
            refuse(link.path, problem)
        notes.append(f"{shown(link.path)} leads nowhere ({shown(text)} is missing)")
        return msgspec.structs.replace(link, target=text)
    real = os.path.realpath(link.path)
    if real == _NULL:
        return msgspec.structs.replace(link, target=text)
    if _is_inside(real, trail[-1]):
        return msgspec.structs.replace(link, target=_text_inside(link.path, text, real, trail[-1]))
    if any(_is_inside(folder, real) for folder in trail):
        _circle(link.path)
    return Entry(link.name, real, found, via=link.path)


def _text_inside(link: bytes, text: bytes, real: bytes, root: bytes) -> bytes:
    """Text of a link within its folder; if it leads through the outside, which no copy can keep, the way inside."""
    parts = text.split(b"/")
    ways = [os.path.join(os.path.dirname(link), *parts[:end]) for end in range(1, len(parts))]
    if os.path.isabs(text) or not all(_is_inside(os.path.realpath(way), root) for way in ways):
        return os.path.relpath(real, os.path.realpath(os.path.dirname(link)))
    return text


def _is_inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def _list(folder: bytes) -> list[tuple[bytes, bytes, os.stat_result]]:
    """Name, path and stat result of everything in a folder, by name."""
    path = folder
    try:
        with os.scandir(folder) as entries:
            found = []
            for entry in entries:
                path = entry.path
                found.append((entry.name, path, entry.stat(follow_symlinks=False)))
            path = folder
    except OSError as problem:
        refuse(path, problem)
    found.sort(key=_NAME)
    return found


def _target(link: bytes) -> bytes:
    try:
        return os.readlink(link)
    except OSError as problem:
        refuse(link, problem)


# ---------------------------------------------------------------- checks and messages


def stat_of(path: bytes, *, follow: bool) -> os.stat_result:
    """The system's stat result for a path.

    Raises:
        InputError: it cannot be reached.
    """
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError) as problem:
        refuse(path, problem)


def require_regular(path: bytes, found: os.stat_result) -> None:
    """Refuse devices, FIFOs and sockets."""
    if not stat.S_ISREG(found.st_mode):
        kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
        kind = kinds.get(stat.S_IFMT(found.st_mode), "of an unknown kind")
        raise InputError(f"Cannot hash {shown(path)}: it is {kind}. Inputs must be regular files or folders.")


def refuse(path: bytes, problem: OSError | ValueError) -> NoReturn:
    """Raise the error for a path that the system cannot read."""
    cause = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
    raise InputError(f"Cannot hash {shown(path)}: {cause}. Check the path and its permissions.") from problem


def _circle(link: bytes) -> NoReturn:
    raise InputError(
        f"Cannot hash {shown(link)}: the link leads in a circle, back to itself or to a folder that it lies in. "
        "Remove it, or let it lead elsewhere."
    )


def shown(path: bytes) -> str:
    """A path as text for people."""
    return readable(os.fsdecode(path))
