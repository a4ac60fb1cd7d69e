"""Finds the file of a module by its name, as an import would, without running the module or its packages."""

import linecache
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Place(NamedTuple):
    """File, package folders and loader of a module."""

    file: str | None
    """None if it has no file: built in, a namespace, or made by a finder."""
    path: tuple[str, ...] | None
    """Folders searched for the modules of a package."""
    loader: Any = None


class Finding:
    """Finds modules, and caches the results; make one for each look at the code."""

    def __init__(self) -> None:
        self._known: dict[str, Place | None] = {}

    def place(self, name: str) -> Place | None:
        """Place of a module: of the loaded one, else by the finders of this process; None if not found."""
        if name not in self._known:
            module = sys.modules.get(name)
            self._known[name] = self._search(name) if module is None else _loaded(module)
        return self._known[name]

    def _search(self, name: str) -> Place | None:
        parent = name.rpartition(".")[0]
        if not parent:
            return _asked(name, None)
        around = self.place(parent)
        return None if around is None or around.path is None else _asked(name, around.path)


def _loaded(module: types.ModuleType) -> Place:
    file, path = getattr(module, "__file__", None), getattr(module, "__path__", None)
    spec = getattr(module, "__spec__", None)
    loader = getattr(spec, "loader", None) or getattr(module, "__loader__", None)
    return Place(file if isinstance(file, str) else None, None if path is None else _folders(path), loader)


def _asked(name: str, path: tuple[str, ...] | None) -> Place | None:
    for finder in list(sys.meta_path):
        find = getattr(finder, "find_spec", None)
        try:
            spec = None if find is None else _found(find, name, path)
        except Exception:  # noqa: BLE001  a finder may be anybody's code: an import would fail in the same way
            return None
        if spec is not None:
            locations = spec.submodule_search_locations
            found = None if locations is None else _folders(locations)
            return Place(spec.origin if spec.has_location else None, found, spec.loader)
    return None


def _found(find: Callable[..., Any], name: str, path: tuple[str, ...] | None) -> Any:
    try:
        return find(name, None if path is None else list(path))
    except KeyError:  # namespace in a namespace that is not loaded: asks that one for its folders
        return find(name.rpartition(".")[2], None if path is None else list(path))


def _folders(path: Iterable[Any]) -> tuple[str, ...]:
    try:
        return tuple(map(str, path))
    except (KeyError, TypeError):  # not loaded, and does not list folders
        return ()


def generated_file(name: str, loader: Any) -> str | None:
    """A name under which linecache has the source of a module without a file; None if its loader shows none."""
    read = getattr(loader, "get_source", None)
    try:
        text = None if read is None else read(name)
    except Exception:  # noqa: BLE001  a loader may be anybody's code
        return None
    if not isinstance(text, str):
        return None
    filename = generated_name(name)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return filename


def generated_name(name: str) -> str:
    """Stand-in for the file name of a module without a file."""
    return f"<module {name}>"
