"""The `Driver`: how files of one format become data in memory."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import LoadError, MissingExtraError

Loader = Callable[[Path, Artifact, dict[str, Any]], Any]


class Driver(msgspec.Struct, frozen=True):
    """Loader of one format. `load(path, artifact, options)` gives the data."""

    name: str
    load: Loader
    options: frozenset[str] | None = None
    """Keywords that `load` takes; None if it checks them itself."""


def need(package: str, extra: str, artifact: Artifact) -> Any:
    """Import a package that an extra installs, to load an artifact.

    Raises:
        MissingExtraError: it is not installed; names the extra.
    """
    return need_for(package, extra, f"Loading {artifact.key!r} ({artifact.driver})")


def need_for(package: str, extra: str, what: str) -> Any:
    """The same for any purpose; `what` begins the message."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(what, package, extra) from error


def check_options(driver: str, given: Iterable[str], allowed: frozenset[str] | None) -> None:
    """Refuse keywords outside `allowed`; None allows all.

    Raises:
        LoadError: lists the allowed ones.
    """
    if allowed is not None and (unknown := sorted(set(given) - allowed)):
        listed = ", ".join(sorted(allowed)) or "no keywords"
        raise LoadError(f"Driver {driver!r} does not take {', '.join(map(repr, unknown))}. It takes: {listed}.")


def keywords_of(function: Callable[..., Any]) -> frozenset[str] | None:
    """The keywords that a reader takes besides the path, its first parameter; None if it takes any."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(parameter.name for parameter in parameters if parameter.kind in named)
