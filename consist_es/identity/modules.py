"""Which modules are ours, and which of them a piece of code pulls in."""

import datetime
import decimal
import enum
import functools
import importlib.machinery
import os
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.digest import digest_path
from consist_es.identity.imports import ImportRef
from consist_es.identity.loaded import Batch, Held, compared, portable, submodules
from consist_es.identity.places import is_first_party
from consist_es.identity.readers import Readers
from consist_es.identity.source import Source, load_source
from consist_es.identity.variables import variable_parts

_SEEN: dict[str, tuple[str, Any]] = {}
"""File -> digest of its source and the spec of the module loaded from it, when this process first looked."""
_READY: dict[str, bool] = {}
"""File -> whether its module was loaded when this process first looked: then it is the script that loads it."""
_PACKAGE = tuple(f"{separator}__init__.py" for separator in {os.sep, os.altsep or os.sep})
_SIMPLE = (
    int, float, complex, str, bytes, tuple, frozenset, type(None), Path, datetime.date, decimal.Decimal, enum.Enum,
)  # fmt: skip


def is_ours(module: str | None) -> bool:
    """Whether a module name belongs to this library."""
    return module is not None and (module == "consist_es" or module.startswith("consist_es."))


def file_of(module: object) -> str | None:
    """File that a loaded module came from."""
    found = getattr(module, "__file__", None)
    return found if isinstance(found, str) else None


class Modules:
    """The first-party modules that one piece of code pulls in, with a digest for each."""

    def __init__(self, root: Path, readers: Readers) -> None:
        self.root, self._readers = root, readers
        self.held: list[Held | Batch] = []
        """Values of loaded modules that are still to be judged."""
        self.parts: dict[str, str] = {}
        self.unstable: list[str] = []
        self.computed: list[str] = []
        """Files that import modules by computed names."""
        self._labels: dict[str, str] = {}
        self._done: dict[str, bool] = {}
        """File -> whether it was followed as one that is certainly loaded."""
        self._asked: set[tuple[str, bool]] = set()
        """Names that were followed: modules import the same ones again and again."""

    def follow(self, refs: Iterable[ImportRef], package: str) -> None:
        """Take in the modules that `refs` name, seen from `package`, and all they import in turn."""
        waiting = [(name, ref.eager) for ref in refs for name in _absolute(ref.name, package)]
        while waiting:
            name, eager = item = waiting.pop()
            if not name or item in self._asked or is_ours(name):
                continue
            self._asked.add(item)
            found = _locate(name)
            if found is None:
                self.held += submodules(sys.modules.get(name))
            elif is_first_party(found) and self._is_new(found, eager):
                waiting += self._take(name, found, eager)

    def follow_loaded(self, name: str, filename: str, *, eager: bool = True) -> None:
        """Take in a module that is loaded, by name and file; its name need not lead there any more."""
        if self._done.get(filename) or (filename in self._done and not eager):
            return  # with the packages that it lies in
        package = name.rpartition(".")[0]
        self.follow([ImportRef(package, frozenset(), eager)] if package else [], "")
        if is_first_party(filename) and self._is_new(filename, eager):
            for full, inner in self._take(name, filename, eager):
                self.follow([ImportRef(full, frozenset(), inner)], "")

    def _is_new(self, filename: str, eager: bool) -> bool:
        """Whether a file has not been followed yet, or only as one that may not be loaded."""
        if filename in self._done and (self._done[filename] or not eager):
            return False
        self._done[filename] = eager
        return True

    def _take(self, name: str, filename: str, eager: bool) -> Sequence[tuple[str, bool]]:
        label = self._label(filename)
        source = load_source(filename) if filename.endswith(".py") else None
        if source is None:
            self.parts[label] = digest_path(filename).value
            return []
        self.parts[label] = source.digest
        if variables := variable_parts(source):
            self.parts |= variables
        self._readers.add_file(source)
        if source.dynamic:
            self.computed.append(label)
        module = sys.modules.get(name)
        loaded = module is not None and file_of(module) == filename
        ready = _READY.setdefault(filename, loaded)
        if module is not None and loaded:
            self._check_loaded(label, source, module, eager or ready)
        package = name if filename.endswith(_PACKAGE) else name.rpartition(".")[0]
        return _imported(source, package, eager)

    def _label(self, filename: str) -> str:
        """Two files that are named alike get two labels, so that neither hides the other."""
        label, count = file_label(filename, self.root), 1
        unique = label
        while self._labels.setdefault(unique, filename) != filename:
            count += 1
            unique = f"{label} #{count}"
        return unique

    def _check_loaded(self, label: str, source: Source, module: types.ModuleType, eager: bool) -> None:
        """What is loaded counts too, where it is more or other than what the file says."""
        spec = getattr(module, "__spec__", None)
        digest, seen = _SEEN.setdefault(source.filename, (source.digest, spec))
        if digest != source.digest and seen is spec:
            self.unstable.append(f"{label} was edited after it was imported; reload it or start Python again")
        elif digest != source.digest:
            _SEEN[source.filename] = (source.digest, spec)
        found = compared(source, module, label, self.root, only_changed=not eager)
        self.parts |= found.parts
        self.held += found.held


def portable_or_none(value: Any, root: Path) -> Any:
    """Type and plain form of an immutable value; None for state, functions and everything else."""
    if not isinstance(value, _SIMPLE):
        return None
    try:
        return [type(value).__name__, portable(value, root)]
    except (ConfigTypeError, ConfigValueError):
        return None


def label_root(given: str | os.PathLike[str], log_folder: Path) -> Path:
    """The folder that files of code are named from: the project's own, if one is `given`.

    Without one (``.``) it is the folder that holds the log, or the one above, if the script lies in there: so it is
    the same whatever folder the script is started from. Otherwise it is the current folder. Every script that
    shares a log finds the same folder, so that none of their files share a name.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if os.fspath(given) == "." and isinstance(script, str):
        place = Path(os.path.abspath(script)).parent
        folder = Path(os.path.abspath(log_folder))
        for base in (folder, folder.parent):
            if base != Path(base.anchor) and any(spot.is_relative_to(base) for spot in (place, place.resolve())):
                return base
    return Path(os.path.abspath(given))


def file_label(filename: str, root: Path) -> str:
    """Name of a source file that is the same on another machine."""
    return _file_label(filename, root, tuple(sys.path))


@functools.lru_cache(maxsize=4096)
def _file_label(filename: str, root: Path, search: tuple[str, ...]) -> str:
    path = Path(filename)
    if filename.startswith("<") or not path.is_file():
        return "<interactive>"  # the names that notebooks give their cells differ from session to session
    for base in [root, *map(Path, search)]:
        for spot in (path, path.resolve()):
            if base.is_absolute() and spot.is_relative_to(base):
                return spot.relative_to(base).as_posix()
    return path.name


# ---------------------------------------------------------------- names to files


def _absolute(name: str, package: str) -> list[str]:
    """A module and the packages it lies in: importing it runs them all."""
    level = len(name) - len(name.lstrip("."))
    if level:
        parents = package.split(".")[: len(package.split(".")) - (level - 1)] if package else []
        name = ".".join([*parents, *filter(None, [name.lstrip(".")])])
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


@functools.lru_cache(maxsize=4096)
def _imported(source: Source, package: str, eager: bool) -> tuple[tuple[str, bool], ...]:
    """Full names of what a module imports, the last of equal ones kept, and whether that surely happens."""
    found = [(full, eager and ref.eager) for ref in source.imports for full in _absolute(ref.name, package)]
    return tuple(reversed(dict.fromkeys(reversed(found))))


def _locate(name: str) -> str | None:
    module = sys.modules.get(name)
    if module is not None:
        return file_of(module)
    return _search(name, tuple(map(str, sys.path)))


@functools.lru_cache(maxsize=4096)
def _search(name: str, path: tuple[str, ...]) -> str | None:
    """File of a module that is not loaded, found without running anything."""
    where: list[str] | None = list(path)
    parts = name.split(".")
    spec = None
    for count in range(len(parts)):
        if where is None:
            return None
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: count + 1]), where)
        except (ImportError, ValueError, OSError):
            return None
        if spec is None:
            return None
        where = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    return spec.origin if spec is not None and spec.has_location else None
