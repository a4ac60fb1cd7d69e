"""Groups files that belong together: a store of many files is one dependency."""

from __future__ import annotations

import os
from collections.abc import Iterable

from consist_es.observe.scope import is_below

_MARKS = (".zgroup", ".zarray", "zarr.json", ".zmetadata", "_delta_log", "__tiledb_group.tdb", "__array_schema.tdb")
"""Names of entries that mark a folder as a store."""
_ENDINGS = (".zarr", ".gdb", ".n5", ".tiledb")
_FEWEST = 2


def gather(files: set[str], listed: set[str], roots: Iterable[str]) -> tuple[set[str], set[str]]:
    """Folders that stand for some of the files, and the files that are left.

    A store stands for its files as soon as one was read. Any other folder does if it was listed and everything in it
    was read: a table in many parts.
    """
    folders: set[str] = set()
    left: set[str] = set()
    known: dict[str, str | None] = {}
    bases = set(roots)
    for path in files:
        store = _store_of(os.path.dirname(path), bases, known)
        if store is None:
            left.add(path)
        else:
            folders.add(store)
    whole = _whole_folders(left, listed - bases)
    left = {path for path in left if not any(is_below(path, folder) for folder in _above(path, whole))}
    return folders | whole, left


def _store_of(folder: str, bases: set[str], known: dict[str, str | None]) -> str | None:
    """The outermost store around a folder, or None."""
    if folder in known:
        return known[folder]
    parent = os.path.dirname(folder)
    if folder in bases or parent == folder:
        return known.setdefault(folder, None)
    outer = _store_of(parent, bases, known)
    is_store = folder.endswith(_ENDINGS) or any(os.path.lexists(os.path.join(folder, mark)) for mark in _MARKS)
    return known.setdefault(folder, outer or (folder if is_store else None))


def _whole_folders(files: set[str], listed: set[str]) -> set[str]:
    """The outermost listed folders in which every file was read and every folder is whole."""
    whole: set[str] = set()
    for folder in sorted(listed, key=len, reverse=True):
        try:
            with os.scandir(folder) as entries:
                names = [entry.path for entry in entries]
        except OSError:
            continue
        read = [path for path in names if path in files]
        if len(read) + sum(path in whole for path in names) == len(names) and len(names) >= _FEWEST:
            whole = {path for path in whole if not is_below(path, folder)} | {folder}
    return whole


def _above(path: str, folders: set[str]) -> list[str]:
    found = []
    while (parent := os.path.dirname(path)) != path:
        path = parent
        if path in folders:
            found.append(path)
    return found


def size_of(folder: str) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.path.getsize(os.path.join(base, name))
            except OSError:
                continue
    return total
