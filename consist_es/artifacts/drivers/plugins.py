"""Loads drivers of other packages, found through the entry point group ``consist_es.drivers``.

The entry point's name is the driver's name, so ``xlsx`` serves files ``*.xlsx``. It names a `Driver`, or a function
that takes the path first and options as keywords. Built-in drivers cannot be replaced: installing a package must not
change what a step receives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
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
    from importlib.metadata import entry_points  # heavy

    found = sorted(entry_points(group=GROUP, name=name), key=lambda entry: (_owner(entry), entry.value))
    if not found:
        return None
    first, *others = found
    if others:
        shadowed = ", ".join(sorted({_owner(entry) for entry in others}))
        _warn(f"Driver {name!r} of {_owner(first)} is used; that of {shadowed} has the same name and is not.")
    return _load(first)


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
