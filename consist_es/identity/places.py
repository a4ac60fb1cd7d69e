"""Whose a source file is."""

import functools
import sysconfig
from pathlib import Path

_OURS = Path(__file__).resolve().parent.parent


@functools.lru_cache(maxsize=4096)
def is_first_party(filename: str) -> bool:
    """Whether a source file belongs to the project: neither the standard library, nor installed, nor ours."""
    if not filename or filename.startswith("<"):
        return False
    path = Path(filename)
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    if any(path.is_relative_to(folder) for folder in _library_folders()):
        return False
    return not path.resolve().is_relative_to(_OURS)


@functools.cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    found = {Path(paths[name]) for name in ("stdlib", "platstdlib")}
    return tuple(found | {path.resolve() for path in found})
