"""Where exports are written: a new file or folder, which is there only once it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from consist_es.artifacts.uris import below, real_path
from consist_es.errors import ExportError


def check(path: Path, *, force: bool, folder: bool, ours: Sequence[Path]) -> None:
    """Refuse a place that is taken, or that is part of the project (`ours`: its log and its views).

    Raises:
        ExportError: what is in the way, and what to do.
    """
    if not path.name:
        raise ExportError(path, "it is the root of a file system. Give another path")
    place = real_path(path.parent) + os.sep + path.name
    for own in ours:
        if below(place, real_path(own)) is not None:
            raise ExportError(path, f"it is part of the project, as {own} is. Give another path")
    if not path.parent.is_dir():
        raise ExportError(path, f"folder {path.parent} does not exist. Make it, or give another path")
    if not os.path.lexists(path) or (folder and path.is_dir() and not any(path.iterdir())):
        return
    if path.is_dir() != folder or (folder and path.is_symlink()):
        kind = "is a folder, and a file is to be written" if path.is_dir() else "is a file, and a folder is to be made"
        raise ExportError(path, f"it {kind}. Give another path")
    if not force:
        raise ExportError(path, "it is there already. Give another path, or --force (force=True) to replace it")


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextmanager
def file_at(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when it is whole."""
    part = _part(path)
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def folder_at(path: Path, strange: Callable[[Path], Path | None]) -> Iterator[Path]:
    """A folder to fill, which takes its place when it is whole.

    `strange(folder)`: a file there that no export made, or None: only earlier exports are replaced.

    Raises:
        ExportError: there is such a file.
    """
    if path.is_dir() and (found := strange(path)) is not None:
        raise ExportError(path, f"no export made {found.relative_to(path)} in it. Give another path")
    part, old = _part(path), path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if path.is_dir():
            path.rename(old)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if old.is_dir() and path.is_dir():
            shutil.rmtree(old)
