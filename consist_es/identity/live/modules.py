"""Follows the first-party modules that a piece of code imports."""

import datetime
import decimal
import enum
import functools
import os
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import Any

from consist_es.artifacts.digest import digest_path
from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.installed.archives import member_of
from consist_es.identity.installed.finding import Finding, Place, generated_file, generated_name
from consist_es.identity.installed.packages import spot_of
from consist_es.identity.installed.places import is_first_party, package_part
from consist_es.identity.live.compared import Compared, Comparing
from consist_es.identity.live.loaded import Batch, Held, portable, submodules
from consist_es.identity.live.patched import is_patched
from consist_es.identity.text.imports import ImportRef
from consist_es.identity.text.once import Once
from consist_es.identity.text.readers import Readers
from consist_es.identity.text.source import Source, digest_plain, load_source
from consist_es.identity.text.variables import variable_digest, variables_in
from consist_es.values.masking import VARIABLE

_SEEN: dict[str, tuple[str, Any]] = {}
"""File -> digest of its source and spec of its module, when this process first looked."""
_READY: dict[str, bool] = {}
"""File -> True if its module was loaded when this process first looked: then the script loads it."""
_PACKAGE = tuple(f"{separator}__init__.py" for separator in {os.sep, os.altsep or os.sep})
_SIMPLE = (
    int, float, complex, str, bytes, tuple, frozenset, type(None), Path, datetime.date, decimal.Decimal, enum.Enum,
)  # fmt: skip


def is_ours(module: str | None) -> bool:
    """True if a module name belongs to this library."""
    return module is not None and (module == "consist_es" or module.startswith("consist_es."))


def file_of(module: object) -> str | None:
    """File of a loaded module."""
    # most modules: of one without a file, `getattr` takes long to say so
    quick = type(module) is types.ModuleType and "__getattr__" not in (names := vars(module))
    found = names.get("__file__") if quick else getattr(module, "__file__", None)
    return found if isinstance(found, str) else None


class Modules:
    """The first-party modules that one piece of code imports, with a digest for each."""

    def __init__(self, root: Path, readers: Readers) -> None:
        self.root, self._readers = root, readers
        self._search = tuple(sys.path)
        self._variables = Once[str, str](variable_digest)
        self.held: list[Held | Batch] = []
        """Values of loaded modules still to be judged."""
        self.parts: dict[str, str] = {}
        self.added: dict[str, str] = {}
        """The parts of version 2: installed models of one's own, zip files, generated modules."""
        self.installed: set[str] = set()
        """Files of imported third-party modules; their packages count by version."""
        self.unstable: list[str] = []
        self.computed: list[str] = []
        """Files that import modules by computed names."""
        self.loaded: list[tuple[str, Source, types.ModuleType]] = []
        """Label, source and module of those that are loaded whenever this code runs."""
        self.caches: list[tuple[str, Any]] = []
        """Label of a module, and one of its functions that keep results."""
        self.present: list[Compared] = []
        """All modules that are loaded."""
        self.foreign: set[str] = set()
        """Names of third-party modules, as first-party code imports them."""
        self._taken: dict[str, tuple[str, Source, bool]] = {}
        """File -> label, source, and True if it is surely loaded; not yet compared with the loaded module."""
        self._loaded: dict[str, types.ModuleType] = {}
        """File -> the module that is loaded from it, when so many were loaded:"""
        self._counted = 0
        self.comparing = Comparing(root)
        self._labels: dict[str, str] = {}
        self._finding = Finding()
        self._done: dict[str, bool] = {}
        """File -> True if it was followed as surely loaded."""
        self._asked: set[tuple[str, bool]] = set()
        """Names already followed: modules import the same ones again and again."""

    @property
    def followed(self) -> frozenset[str]:
        """Files that count as a whole."""
        return frozenset(self._done)

    def follow(self, refs: Iterable[ImportRef], package: str) -> None:
        """Add the modules that `refs` name, seen from `package`, and everything they import in turn."""
        waiting = [(name, ref.eager) for ref in refs for name in _absolute(ref.name, package)]
        while waiting:
            name, eager = item = waiting.pop()
            if not name or item in self._asked or is_ours(name):
                continue
            self._asked.add(item)
            module = sys.modules.get(name)
            found = None if module is None else file_of(module)
            if not found:
                if (place := self._finding.place(name)) is None:
                    continue
                found = place.file or self._generated(name, place)
            if found is not None and (found.startswith("<") or is_first_party(found)):
                waiting += self._take(name, found, eager) if self._is_new(found, eager) else []
                continue
            self.foreign.add(name)
            if found is not None and found not in self.installed:
                self.installed.add(found)
                self.added |= package_part(found)

    def _generated(self, name: str, place: Place) -> str | None:
        """Stand-in file of a module without one, if its loader shows a source; else its values are queued to be
        judged."""
        module, kind = sys.modules.get(name), place.loader if isinstance(place.loader, type) else type(place.loader)
        if kind in (BuiltinImporter, FrozenImporter):
            return None
        if place.path is None and (file := generated_file(name, place.loader)) is not None:
            return file
        self.held += submodules(module)
        if place.path is None and (
            place.loader is None or is_first_party(file_of(sys.modules.get(kind.__module__)) or "")
        ):
            if module is None:
                self.unstable.append(
                    f"module {name} has no source until it is imported; import it before the step runs"
                )
            self.held += [
                Held(f"{key} of {name}", name, key, value, None, True, (), False)
                for key, value in getattr(module, "__dict__", {}).items()
                if key[:2] != "__"
            ]
        return None

    def follow_loaded(self, name: str, filename: str, *, eager: bool = True) -> None:
        """Add a loaded module by name and file; an import of the name need not lead there any more."""
        if self._done.get(filename) or (filename in self._done and not eager):
            return  # including the packages it lies in
        package = name.rpartition(".")[0]
        self.follow([ImportRef(package, frozenset(), eager)] if package else [], "")
        if is_first_party(filename) and self._is_new(filename, eager):
            for full, inner in self._take(name, filename, eager):
                self.follow([ImportRef(full, frozenset(), inner)], "")

    @property
    def files(self) -> frozenset[str]:
        """Files of all followed modules."""
        return frozenset(self._done)

    def _is_new(self, filename: str, eager: bool) -> bool:
        """True if a file was not followed yet, or only as one that may not be loaded."""
        if filename in self._done and (self._done[filename] or not eager):
            return False
        self._done[filename] = eager
        return True

    def _take(self, name: str, filename: str, eager: bool) -> Sequence[tuple[str, bool]]:
        label = self._label(filename)
        source = load_source(filename) if filename.endswith((".py", ">")) else None
        is_file = Path(filename).is_file() if source is None else bool(source.content)
        # version 1 of the fingerprint knew only files outside the folders of packages
        parts = self.parts if is_file and spot_of(filename) is None else self.added
        if source is None:
            place = self._finding.place(name)
            gone = not os.path.lexists(filename) and member_of(filename) is None
            if gone and (made := generated_file(name, None if place is None else place.loader)) is not None:
                return self._take(name, made, eager)  # only its loader can read that file
            parts[label] = self._content(filename, label)
            return []
        parts[label] = source.digest
        for variable in variables_in(source):
            parts[f"{VARIABLE}{variable}"] = self._variables[variable]
        self._readers.add_file(source)
        if source.dynamic and (whole := package_part(filename)):
            self.added |= whole  # it may load any of its own modules
        elif source.dynamic:
            self.computed.append(label)
        module = sys.modules.get(name)
        loaded = module is not None and filename in (file_of(module), generated_name(name))
        ready = _READY.setdefault(filename, loaded)
        self._taken[filename] = (label, source, eager or ready)
        if module is not None and loaded:
            parts |= self._check_loaded(label, source, module, eager or ready)
        package = name if filename.endswith(_PACKAGE) else name.rpartition(".")[0]
        return _imported(source, package, eager)

    def _content(self, filename: str, label: str) -> str:
        """Digest of a module without source: compiled code, or a file that cannot be read directly."""
        if os.path.lexists(filename):
            return digest_path(filename).value
        content = member_of(filename)
        if content is None:
            self.unstable.append(f"{label} was loaded from a file that is not there any more")
        return digest_plain(None if content is None else content.hex())

    def take_present(self) -> bool:
        """Compare modules followed since the last call with their source; False if none of them is loaded."""
        taken, self._taken = self._taken, {}
        if not taken:
            return False
        if self._counted != len(sys.modules):  # without `file_of`: there may be thousands of modules
            self._counted = len(sys.modules)
            named = ((getattr(module, "__file__", None), module) for module in list(sys.modules.values()))
            self._loaded = {file: module for file, module in named if type(file) is str}
        loaded = False
        for name, (label, source, sure) in taken.items():
            if (module := self._loaded.get(name)) is not None:
                found = self.comparing.compared(source, module, label, certain=sure)
                self.held += found.present
                self.present.append(found)
                loaded = True
        return loaded

    def _label(self, filename: str) -> str:
        """A unique label: two files of one name get two, so that neither hides the other."""
        made = filename.startswith("<module ")
        label = filename[1:-1] if made else _file_label(filename, self.root, self._search)
        unique, count = label, 1
        while self._labels.setdefault(unique, filename) != filename:
            count += 1
            unique = f"{label} #{count}"
        return unique

    def _check_loaded(self, label: str, source: Source, module: types.ModuleType, eager: bool) -> dict[str, str]:
        """Compare a loaded module with its file; returns the parts that differ."""
        spec = getattr(module, "__spec__", None)
        now = source.digest
        digest, seen = _SEEN.setdefault(source.filename, (now, spec))
        if digest != now and seen is spec and not is_patched(module.__name__, source.filename):
            self.unstable.append(f"{label} was edited after it was imported; reload it or start Python again")
        elif digest != now:
            _SEEN[source.filename] = (now, spec)
        if eager:
            self.loaded.append((label, source, module))
        found = self.comparing.compared(source, module, label, certain=eager)
        self.held += found.held
        self.caches += [(label, cached) for cached in found.caches]
        return found.parts


def portable_or_none(value: Any, root: Path) -> Any:
    """Type and plain form of an immutable value; None for state, functions and everything else."""
    if not isinstance(value, _SIMPLE):
        return None
    try:
        return [type(value).__name__, portable(value, root)]
    except (ConfigTypeError, ConfigValueError):
        return None


def loaded_modules(refs: Sequence[ImportRef], package: str) -> Iterator[types.ModuleType]:
    """The project's loaded modules among the imported ones, and the packages around them."""
    for name in _absolute_names(tuple(refs), package):
        module = sys.modules.get(name)
        if module is not None and is_first_party(file_of(module) or ""):
            yield module


@functools.lru_cache(maxsize=4096)
def _absolute_names(refs: tuple[ImportRef, ...], package: str) -> tuple[str, ...]:
    """The modules of some imports and the packages around them, but for ours."""
    names = dict.fromkeys(name for ref in refs for name in _absolute(ref.name, package))
    return tuple(name for name in names if not is_ours(name))


def imported_files(file: str) -> set[str]:
    """A file of a loaded module of the project, and the files of the project's loaded modules that it imports, and so
    on."""
    found, waiting, packages = {file}, [file], _packages_by_file()
    while waiting:
        source = load_source(waiting.pop())
        if source is None:
            continue
        package = packages.get(source.filename, "")
        inner = {file_of(module) or "" for module in loaded_modules(source.imports, package)} - found
        found |= inner
        waiting += inner
    return found - {""}


def _packages_by_file() -> dict[str, str]:
    """File of each loaded module of the project -> package that its relative imports start from."""
    return {
        file: name if file.endswith(_PACKAGE) else name.rpartition(".")[0]
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None)) is not None
    }


def loaded_as(name: str, package: str) -> types.ModuleType | None:
    """The loaded module of a name as it is written in an import, seen from `package`."""
    return sys.modules.get((_absolute(name, package) or [""])[-1])


def label_root(given: str | os.PathLike[str], log_folder: Path) -> Path:
    """The folder that names of code files are relative to: the project's own, if one is `given`.

    Without one (``.``) it is the folder of the log, or the one above, if the script lies in there: so it does not
    depend on where the script is started. Otherwise it is the current folder. All scripts that share a log find the
    same folder, so that no two of their files share a name.
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
    if (installed := spot_of(filename)) is not None:
        return installed[1]  # wherever that folder lies
    if filename.startswith("<") or not (path.is_file() or member_of(filename) is not None):
        return "<interactive>"  # notebooks name their cells differently in each session
    for base in [root, *map(Path, search)]:
        for spot in (path, path.resolve()):
            if base.is_absolute() and spot.is_relative_to(base):
                return spot.relative_to(base).as_posix()
    return path.name


# ---------------------------------------------------------------- names to files


def _absolute(name: str, package: str) -> list[str]:
    """A module and the packages around it: an import runs them all."""
    level = len(name) - len(name.lstrip("."))
    if level:
        parents = package.split(".")[: len(package.split(".")) - (level - 1)] if package else []
        name = ".".join([*parents, *filter(None, [name.lstrip(".")])])
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


@functools.lru_cache(maxsize=4096)
def _imported(source: Source, package: str, eager: bool) -> tuple[tuple[str, bool], ...]:
    """Full names of a module's imports (the last of equal ones), and True if the import surely runs."""
    found = [(full, eager and ref.eager) for ref in source.imports for full in _absolute(ref.name, package)]
    return tuple(reversed(dict.fromkeys(reversed(found))))
