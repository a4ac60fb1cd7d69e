"""Finds files that appear in a folder while a block runs."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from consist_es.artifacts.uris import require_path
from consist_es.checks import MAX_NAME
from consist_es.errors import PathError

State = tuple[int, ...]
"""Inode, size, modification time and change time of a file; a tool that keeps the others still changes the last one."""


class Snapshot(msgspec.Struct, frozen=True):
    """The files of a folder that match a pattern, with state that changes when they are rewritten."""

    folder: Path
    pattern: str
    recursive: bool
    files: dict[Path, State]

    @classmethod
    def take(cls, folder: Path, pattern: str, *, recursive: bool = False) -> Snapshot:
        """Take it now; makes the folder if it is missing."""
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise PathError(f"capture pattern {pattern!a} leaves the folder: use a pattern like '*.csv' or '**/*.csv'.")
        if not Path(require_path(pattern, "capture pattern")).parts:
            raise PathError(f"capture pattern {pattern!a} names no file: use a pattern like '*.csv' or '**/*.csv'.")
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, pattern, recursive, _files(folder, pattern, recursive))

    def has_files_below(self) -> bool:
        """True if there are files in folders below this one, outside the pattern's reach."""
        if self.recursive or "**" in Path(self.pattern).parts:
            return False
        return any(path.parent != self.folder and path.is_file() for path in _matching(self.folder, ("**", "*")))

    def appeared(self) -> list[Path]:
        """Files that are new or rewritten since, sorted."""
        now = _files(self.folder, self.pattern, self.recursive)
        return sorted(path for path, state in now.items() if self.files.get(path) != state)


def state_of(path: Path) -> State | None:
    """Inode, size and times of the file at `path`; None for a folder, and if there is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _files(folder: Path, pattern: str, recursive: bool) -> dict[Path, State]:
    parts = (("**",) if recursive else ()) + Path(pattern).parts
    states = {path: state_of(path) for path in _matching(folder, parts)}
    return {path: state for path, state in states.items() if state is not None}


def _matching(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Paths below a folder that a glob pattern matches, some of them twice.

    Unlike `Path.glob`, raises nothing if somebody removes a file or folder meanwhile.
    """
    if not parts:
        yield folder
        return
    head, rest = parts[0], parts[1:]
    if head == "**":
        yield from _matching(folder, rest)
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _matching(folder / entry.name, parts)
    elif not any(sign in head for sign in "*?["):
        yield from _matching(folder / head, rest)
    else:
        for entry in _entries(folder):
            if fnmatch.fnmatchcase(entry.name, head):
                yield from _matching(folder / entry.name, rest)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def capture_keys(folder: Path, paths: list[Path]) -> dict[str, Path]:
    """A key for every captured file: its relative path without suffix, made valid.

    Files that would share a key keep their suffix in it (``a.csv`` and ``a.txt`` give ``a.csv``, ``a.txt``); remaining
    collisions are numbered. No file is dropped.
    """
    short = {path: _clean(path.relative_to(folder).with_suffix("").as_posix()) for path in paths}
    counts = Counter(short.values())
    keys: dict[str, Path] = {}
    for path in paths:
        key = short[path] if counts[short[path]] == 1 else _clean(path.relative_to(folder).as_posix())
        unique, number = key, 1
        while unique in keys:
            number += 1
            unique = f"{key}_{number}"
        keys[unique] = path
    return keys


def _clean(text: str) -> str:
    """A valid key. One that would be too long is cut, and made unique by a digest of all of it."""
    cleaned = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_./\-]", "_", text))
    key = re.sub(r"^[^A-Za-z0-9_]", "_", cleaned)
    longest = MAX_NAME - 16  # a number may follow
    if len(key) <= longest:
        return key
    import hashlib  # loads OpenSSL

    return f"{key[: longest - 17]}_{hashlib.sha256(os.fsencode(text)).hexdigest()[:16]}"
