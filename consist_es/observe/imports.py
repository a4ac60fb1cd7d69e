"""Notes imports that run while a run is open, also of modules that an earlier run loaded.

A step that imports a helper inside its body loads it in a fresh process, but only finds it loaded if another step of
the same process came first. So that both record the same, modules first loaded during some run are remembered, and an
import of one of them counts like loading it, together with its own imports.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from consist_es.observe import hook

_late: set[str] = set()
"""Files of the project's modules first loaded during some run of this process."""
_needs: dict[str, set[str]] = {}
"""File -> files of the project's modules that its code imported during some run."""
_settled: set[tuple[object, ...]] = set()
"""Imports of modules outside the project."""
_plain_import: Callable[..., Any] = builtins.__import__
_plain_import_module: Callable[..., Any] = importlib.import_module
_after_import: list[Callable[[], None]] = []


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Any = (),
    level: int = 0,
) -> Any:
    known = len(sys.modules)
    found = _plain_import(name, globals, locals, fromlist, level)
    if sinks := hook.current():
        if len(sys.modules) != known:
            for also in _after_import:
                also()
        hook.guarded(sinks, "import", _noted, name, globals, fromlist, level)
    return found


# Warnings at import point past the import system, which is recognised by this file name, to the importing line; and
# tracebacks leave its frames out.
_import.__code__ = _import.__code__.replace(co_filename="<frozen importlib._bootstrap>")


def _import_module(name: str, package: str | None = None) -> Any:
    found = _plain_import_module(name, package)
    if sinks := hook.current():
        hook.guarded(sinks, "import", _noted, getattr(found, "__name__", name), sys._getframe(1).f_globals, (), 0)
    return found


_import_module.__code__ = _import_module.__code__.replace(co_filename="<frozen importlib._bootstrap>")


def _absolute(name: str, globals: Mapping[str, object] | None, level: int) -> str:
    if level == 0 or not globals:
        return name
    package = globals.get("__package__") or str(globals.get("__name__", "")).rpartition(".")[0]
    base = str(package).rsplit(".", level - 1)[0]
    return f"{base}.{name}" if name else base


def _noted(sinks: hook.Sinks, name: str, globals: Mapping[str, object] | None, fromlist: Any, level: int) -> None:
    """Note an import of a module and names from it; `globals` are those of the importing code."""
    importer = globals.get("__file__") if globals else None
    fromlist = tuple(fromlist or ())
    key = name, level, fromlist, importer
    if key in _settled:
        return
    full = _absolute(name, globals, level)
    items = tuple(item for item in fromlist if isinstance(item, str))
    parts = full.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))] + [f"{full}.{item}" for item in items]
    files = [file for each in names if (file := file_of(sys.modules.get(each))) is not None]
    theirs = False
    for sink in sinks:
        for file in filter(sink.is_first_party, files):
            theirs = True
            _needs.setdefault(str(importer), set()).add(file)
            for needed in _with_needs(file):
                sink.imported(needed)
    if not theirs:
        _settled.add(key)


def _with_needs(file: str) -> list[str]:
    """The file and those it needs in turn, if they were loaded late."""
    if file not in _late:
        return []
    waiting, found = [file], {file: None}
    while waiting:
        for needed in _needs.get(waiting.pop(), ()):
            if needed in _late and needed not in found:
                found[needed] = None
                waiting.append(needed)
    return list(found)


def loaded_late(files: list[str]) -> None:
    """Remember modules that a run loaded."""
    _late.update(files)


def file_of(module: Any) -> str | None:
    """File of a loaded module."""
    found = getattr(module, "__file__", None) if module is not None else None
    return found if isinstance(found, str) else None


def after_import(call: Callable[[], None]) -> None:
    """Call `call` after each import that loaded something."""
    _after_import[:] = [call]


def put_in() -> None:
    """Put the stand-ins in place."""
    global _plain_import
    if builtins.__import__ is not _import:
        _plain_import = builtins.__import__
        builtins.__import__ = _import
    if importlib.import_module is _plain_import_module:
        importlib.import_module = _import_module


def take_out() -> None:
    """Put the originals back, unless other code has replaced them meanwhile."""
    if builtins.__import__ is _import:
        builtins.__import__ = _plain_import
    if importlib.import_module is _import_module:
        importlib.import_module = _plain_import_module
