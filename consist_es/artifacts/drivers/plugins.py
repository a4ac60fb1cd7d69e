"""Loads drivers of other packages, found through the entry point group ``consist_es.drivers``.

The entry point's name is the driver's name, so ``xlsx`` serves files ``*.xlsx``. It names a `Driver`, or a function
that takes the path first and options as keywords. Built-in drivers cannot be replaced: installing a package must not
change what a step receives.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, check_options, keywords_of
from consist_es.errors import ConsistWarning

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "consist_es.drivers"


@cache
def third_party(name: str) -> Driver | None:
    """The driver of that name from an installed package; loaded once. If loading fails, a warning, and None."""
    if not _may_be_offered():
        return None
    from importlib.metadata import entry_points  # heavy

    found = sorted(entry_points(group=GROUP, name=name), key=lambda entry: (_owner(entry), entry.value))
    if not found:
        return None
    first, *others = found
    if others:
        shadowed = ", ".join(sorted({_owner(entry) for entry in others}))
        _warn(f"Driver {name!r} of {_owner(first)} is used; that of {shadowed} has the same name and is not.")
    return _load(first)


def _may_be_offered() -> bool:
    """False if no installed package has an entry point of the group, as `importlib.metadata` would find it: importing
    that and parsing all that is installed takes longer than the rest of a first step."""
    if [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")] != [PathFinder]:
        return True
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 (names, not paths)
        except OSError:
            if os.path.exists(folder):  # noqa: PTH110 (an archive)
                return True
            continue
        if folder.lower().rstrip(os.sep).endswith(".egg"):
            return True
        if any(
            _names_group(Path(folder, name)) for name in names if name.lower().endswith((".dist-info", ".egg-info"))
        ):
            return True
    return False


def _names_group(place: Path) -> bool:
    try:
        return GROUP.encode() in Path(place, "entry_points.txt").read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return False
    except OSError:
        return True  # importlib is the one to say


def _load(entry: EntryPoint) -> Driver | None:
    who = f"Driver {entry.name!r} of {_owner(entry)} ({entry.value})"
    try:
        value = entry.load()
    except Exception as error:  # noqa: BLE001  the import runs the other package's code
        _warn(f"{who} cannot be used: {type(error).__name__}: {error}")
        return None
    if isinstance(value, Driver):
        return msgspec.structs.replace(value, name=entry.name)
    if callable(value):
        return Driver(entry.name, _calling(entry.name, value))
    _warn(f"{who} cannot be used: it is {type(value).__name__}, neither a Driver nor a function.")
    return None


def _calling(name: str, function: Callable[..., Any]) -> Callable[[Path, Artifact, dict[str, Any]], Any]:
    def load(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
        check_options(name, options, keywords_of(function))
        return function(path, **options)

    return load


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown package"


def _warn(message: str) -> None:
    warnings.warn(message, ConsistWarning, stacklevel=2)
