"""Decides which source files are the project's own; those count by content.

Own are files outside the folders of Python and its packages. Inside such a folder, own are distributions installed from
a folder, an archive or a repository, the distribution of the step's function, links that lead out of the folder, and
files of no distribution, which have no version.
"""

import contextlib
import functools
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from consist_es.identity.installed import packages
from consist_es.identity.installed.archives import member_of

_OURS = Path(__file__).resolve().parent.parent.parent
_STDLIB_ZIP = f"python{sys.version_info.major}{sys.version_info.minor}.zip"


class _Scope(NamedTuple):
    """Distributions that count by content, or never do, for the step being identified."""

    included: str | None = None
    ignored: frozenset[str] = frozenset()


_NOTHING = _Scope()
_SCOPE: ContextVar[_Scope] = ContextVar("consist_es_places", default=_NOTHING)


@contextlib.contextmanager
def counting(filename: str = "", ignored: Iterable[str] = ()) -> Iterator[None]:
    """In this block, the distribution of `filename` is the project's own, and those `ignored` are not.

    Notices installations since the last block.
    """
    packages.refresh()
    found = packages.distribution_of_file(filename) if filename else None
    token = _SCOPE.set(_Scope(None if found is None else found.name, frozenset(ignored)))
    try:
        yield
    finally:
        _SCOPE.reset(token)


def is_first_party(filename: str) -> bool:
    """True if a file, of code or of a package's data, belongs to the project, see above; false for this library."""
    return _judged(filename, _SCOPE.get(), packages.generation())


def standing() -> tuple[object, int]:
    """The state, besides the file, that `is_first_party` depends on."""
    return _SCOPE.get(), packages.generation()


def first_party_of(filename: str, ignored: Iterable[str] = ()) -> Callable[[str], bool]:
    """`is_first_party` as inside `counting`, for a step whose function is from this file; callable at any time."""
    found = packages.distribution_of_file(filename) if filename else None
    scope = _Scope(None if found is None else found.name, frozenset(ignored))
    return lambda path: _judged(path, scope, packages.generation())


@functools.lru_cache(maxsize=65536)
def _judged(filename: str, scope: _Scope, _generation: int) -> bool:
    if not filename or filename.startswith("<"):
        return False
    if (spot := packages.spot_of(filename)) is not None:
        return _is_own(filename, *spot, scope)
    path = Path(filename)
    if _STDLIB_ZIP in path.parts or any(path.is_relative_to(folder) for folder in _library_folders()):
        return False
    return not (path.is_relative_to(_OURS) or path.resolve().is_relative_to(_OURS))  # in a checkout parts are links


def _is_own(filename: str, folder: str, relative: str, scope: _Scope) -> bool:
    owner = packages.site_of(folder).owner(relative)
    if relative.startswith(f"{_OURS.name}/"):
        return False
    if owner is None:  # code compiled elsewhere names files that are not here
        return Path(filename).is_file() or member_of(filename) is not None
    if owner.name in scope.ignored:
        return False
    if owner.own or owner.name == scope.included:
        return not owner.is_large
    return _leads_out(filename, folder, "/" in relative)


def package_part(filename: str) -> dict[str, str]:
    """A part for the whole distribution of a file, if that one counts by content; else {}."""
    owner, scope = packages.distribution_of_file(filename), _SCOPE.get()
    if owner is None or owner.name in scope.ignored or not (owner.own or owner.name == scope.included):
        return {}
    return {f"package {owner.name}": owner.content}


def _leads_out(filename: str, folder: str, in_package: bool) -> bool:
    """True if a link to a folder, or to a single module, leads out of the folder of packages: then it is a checkout.

    Links to single files below a package do not count: some installers link all files to their store.
    """
    if not in_package:
        return Path(filename).is_symlink() and _is_outside(os.path.realpath(filename), folder)
    return _is_outside(_real(str(Path(filename).parent), packages.generation()), folder)


def _is_outside(real: str, folder: str) -> bool:
    inside = _real(folder, packages.generation())
    return not real.startswith((f"{inside}{os.sep}", f"{inside}/")) and packages.spot_of(f"{real}/") is None


@functools.lru_cache(maxsize=4096)
def _real(folder: str, _generation: int) -> str:
    return os.path.realpath(folder)


@functools.cache
def _library_folders() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    found = {Path(paths[name]) for name in ("stdlib", "platstdlib")}
    return tuple(found | {path.resolve() for path in found})
