"""Remembers the content of files before a program starts, to tell rewritten files from appended ones."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from blake3 import blake3

ours: set[str] = set()
"""Paths that we are reading: kernel events on them are not the step's reads."""
drains: list[Callable[[], None]] = []
"""Functions that process the kernel's events so far."""
_COUNT = 500
_ROOM = 32 << 20
_END, _SHORTEST = 64, 8


class _State(NamedTuple):
    size: int
    digest: str
    end: bytes
    """Its last bytes; empty if the file is too short for them to prove anything."""


class Earlier:
    """Content of the files passed to programs of one run, if they are few and small."""

    def __init__(self) -> None:
        self._known: dict[str, _State] = {}
        """Path -> state before the first program that it was passed to."""
        self._room, self._seen = _ROOM, set[str]()

    def look(self, given: Iterable[str], counts: Callable[[str], bool], *, before: int) -> None:
        """Keep the state of these files, and of those in these folders. Files changed since `before` (ns) are left
        out."""
        places = [path for path in given if path not in self._seen]
        self._seen.update(places)
        if not places:
            return
        found = [path for place in places for path in _below(place)][: _COUNT + 1]
        if len(found) > _COUNT:
            return
        _drain()
        ours.update(found)
        try:
            for path in found:
                if path not in self._known and counts(path) and (state := self._state(path, before)) is not None:
                    self._known[path] = state
        finally:
            _drain()
            ours.difference_update(found)

    def _state(self, path: str, before: int) -> _State | None:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_mtime_ns >= before or found.st_size > self._room:
            return None
        self._room -= found.st_size
        return _State(found.st_size, *_read(path, found.st_size))

    def verdict(self, path: str) -> str:
        """``anew`` if the earlier content is gone, ``same`` if the file still holds exactly that, else ``unknown``.

        Unknown if it begins with the earlier content, or still has the end of it in the same place.
        """
        known = self._known.get(path)
        if known is None:
            return "unknown"
        try:
            size = os.stat(path).st_size
            digest, end = _read(path, known.size)
        except OSError:
            return "unknown"
        if size >= known.size and digest == known.digest:
            return "same" if size == known.size else "unknown"
        return "unknown" if size >= known.size and end and end == known.end else "anew"


def _below(place: str) -> Iterator[str]:
    """A file itself; for a folder, all files in it. Our listing of the folder does not count as a read."""
    if not os.path.isdir(place):
        yield place
        return
    folders = [place]
    for folder in folders:
        _drain()
        ours.add(folder)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        yield entry.path
        except OSError:
            continue
        finally:
            _drain()
            ours.discard(folder)
        if len(folders) > _COUNT:
            return


def _drain() -> None:
    for drain in drains:
        drain()


def _read(path: str, size: int) -> tuple[str, bytes]:
    """Digest of a file's first `size` bytes, and the end of these."""
    with open(path, "rb") as file:
        content = file.read(size)
    count = min(_END, size // 2)
    return blake3(content).hexdigest(), content[-count:] if count >= _SHORTEST else b""
