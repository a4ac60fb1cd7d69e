"""Files that appear in a folder while a block runs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec

from consist_es.artifacts.uris import require_path
from consist_es.errors import PathError


class Snapshot(msgspec.Struct, frozen=True):
    """The files of a folder that match a pattern, with what changes when they are rewritten."""

    folder: Path
    pattern: str
    recursive: bool
    files: dict[Path, tuple[int, int, int]]

    @classmethod
    def take(cls, folder: Path, pattern: str, *, recursive: bool = False) -> Snapshot:
        """Look now; the folder is made where it is missing."""
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise PathError(f"capture pattern {pattern!a} leaves the folder: use a pattern like '*.csv' or '**/*.csv'.")
        if not Path(require_path(pattern, "capture pattern")).parts:
            raise PathError(f"capture pattern {pattern!a} names no file: use a pattern like '*.csv' or '**/*.csv'.")
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, pattern, recursive, _files(folder, pattern, recursive))

    def appeared(self) -> list[Path]:
        """Files that are new or rewritten since, sorted."""
        now = _files(self.folder, self.pattern, self.recursive)
        return sorted(path for path, state in now.items() if self.files.get(path) != state)


def _files(folder: Path, pattern: str, recursive: bool) -> dict[Path, tuple[int, int, int]]:
    found = folder.rglob(pattern) if recursive else folder.glob(pattern)
    stats = {path: path.stat() for path in found if path.is_file()}
    return {path: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats.items()}


def capture_keys(folder: Path, paths: list[Path]) -> dict[str, Path]:
    """A key for every captured file: its relative path without suffix, made valid.

    Files that would share a key keep their suffix in it (``a.csv`` and ``a.txt`` give ``a.csv``, ``a.txt``);
    what still collides is numbered. No file is dropped.
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
    cleaned = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9_./\-]", "_", text))
    return re.sub(r"^[^A-Za-z0-9_]", "_", cleaned)
