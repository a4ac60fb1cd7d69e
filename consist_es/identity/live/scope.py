"""Evaluates names in a running or finished module or function, and tells how far it has come."""

import ast
import builtins
import functools
import os
import re
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live import harmless
from consist_es.identity.live.loaded import captures
from consist_es.identity.live.modules import file_of
from consist_es.identity.live.objects import WRAPPING_NOTHING, class_file, wrapped_by
from consist_es.identity.text.once import Once
from consist_es.identity.text.source import Source, load_source
from consist_es.identity.text.statements import Body, Piece, binding, pieces
from consist_es.identity.text.toplevel import TopLevel

_CELL = re.compile(r"<(cell|ipython-input|python-input|stdin)")
"""File names of typed-in code; other names in angle brackets are generated."""
MISSING: Any = object()
"""Value of a missing name or attribute."""


class Scope(NamedTuple):
    """The body of a module or function, with the values of its names."""

    source: Source | TopLevel
    body: Body
    namespace: Mapping[str, Any]
    """Variables of the module."""
    local: Mapping[str, Any] | None
    """Variables of the running function, captured ones included; None at module level."""
    line: int | None
    """Line that is running; None if all of it has run."""

    @property
    def whole(self) -> Source | None:
        """The source, to take digests from."""
        return self.source if isinstance(self.source, Source) else load_source(self.source.filename)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(filter(self._has_run, pieces(self.body)))

    def _has_run(self, piece: Piece) -> bool:
        if piece.guarded and self.namespace.get("__name__") != "__main__":
            return False
        here = self.line
        if piece.span is not None:
            return here in piece.span if here is not None else False
        return here is None or piece.line <= here or any(here in lines for lines, _ in piece.loops)

    def heads(self, piece: Piece) -> list[ast.expr]:
        """The conditions of a statement, and what the finished loops around it iterate over."""
        loops = [
            head for lines, head in piece.loops if head is not None and (self.line is None or self.line not in lines)
        ]
        return [*loops, *piece.heads]

    def bound(self, name: str) -> tuple[Piece, ...]:
        """The statements that bind a name."""
        return binding(self.body).get(name, ())

    def value(self, name: str) -> Any:
        """Value of a name; `MISSING` if unknown."""
        if self.local is not None:
            if name in self.local:
                return self.local[name]
            if name in binding(self.body) or name in _parameters(self.body):
                return MISSING
        if name in self.namespace:
            return self.namespace[name]
        return getattr(builtins, name, MISSING)

    def imported(self, name: str) -> str:
        """The installed top-level package that a name was imported from, "" for other names."""
        found = _imported(self.body).get(name) or _imported(self.source.tree).get(name, "")
        return "" if not found or _is_own(found) else found


class Names:
    """The names of a scope, and what they lead to. Each is looked up once: make one for each look at a step."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.value = Once[str, Any](scope.value)
        self.imported = Once[str, str](scope.imported)
        self.is_ours = Once[str, bool](lambda name: harmless.is_of_ours(self.value[name]))
        self.function = Once[tuple[str, ...], types.FunctionType | None](self._function)
        """Name and attributes -> the project's function there."""
        self.package = Once[str, str | None](self._package)
        """Name -> the package by which to judge what is done with it; None if that can set up nothing."""

    def _function(self, path: tuple[str, ...]) -> types.FunctionType | None:
        value = self.value[path[0]]
        return function_of(resolve(value, path[1:]) if len(path) > 1 else value)

    def _package(self, name: str) -> str | None:
        if found := self.imported[name]:
            return found
        value = self.value[name]
        silent = value is MISSING or is_own(value) or harmless.is_data(value)
        return None if silent else harmless.package_of_value(value)


def module_scope(
    source: Source | TopLevel, namespace: Mapping[str, Any], frames: Mapping[Any, types.FrameType]
) -> Scope:
    """Scope of a loaded or running module."""
    frame = frames.get(source.filename)
    same = frame is not None and frame.f_globals.get("__name__") == namespace.get("__name__")
    line = frame.f_lineno if frame is not None and same else None
    return Scope(source, source.tree, namespace, None, line)


def function_scope(fn: types.FunctionType, frames: Mapping[Any, types.FrameType]) -> Scope | None:
    """Scope of a function of the project, which may be running."""
    source = load_source(fn.__code__.co_filename)
    node = None if source is None else source.find(fn.__code__)
    if source is None or node is None:
        return None
    frame = frames.get(fn.__code__)
    local = {**dict(captures(fn)), **(frame.f_locals if frame is not None else {})}
    return Scope(source, node, fn.__globals__, local, None if frame is None else frame.f_lineno)


def running() -> dict[Any, types.FrameType]:
    """The frames of this thread and the main one: code -> frame, and for modules file -> frame."""
    frames: dict[Any, types.FrameType] = {}
    waiting = [sys._getframe(1)]
    if (main := threading.main_thread().ident) != threading.get_ident():
        waiting += filter(None, [sys._current_frames().get(main or 0)])
    for start in waiting:
        frame: types.FrameType | None = start
        while frame is not None:
            code = frame.f_code
            name = code.co_name
            if name[0] == "<" and (name == "<module>" or name.startswith("<cell line")):
                frames.setdefault(code.co_filename, frame)
            else:
                frames.setdefault(code, frame)
            frame = frame.f_back
    return frames


def resolve(value: Any, names: Sequence[str]) -> Any:
    """The end of a chain of attributes, found without running code of the objects on the way."""
    for name in names:
        if value is MISSING:
            return MISSING
        value = _attribute(value, name)
    return value


def _attribute(value: Any, name: str) -> Any:
    inner = getattr(value, "__dict__", None) if isinstance(value, (type, types.ModuleType)) else _vars(value)
    if isinstance(inner, Mapping) and name in inner and not isinstance(value, type):
        return inner[name]
    kind = value if isinstance(value, type) else type(value)
    for base in kind.__mro__:
        if name in vars(base):
            found = vars(base)[name]
            return found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
    return MISSING


def _vars(value: Any) -> Any:
    try:
        return object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return None


def function_of(value: Any) -> types.FunctionType | None:
    """The project's function behind a callable: for a class, its ``__init__``."""
    if type(value) in WRAPPING_NOTHING or value is MISSING:  # most values; asked for each name of a script
        return None
    if isinstance(value, functools.partial):
        return function_of(value.func)
    if isinstance(value, types.MethodType):
        value = value.__func__
    if isinstance(value, types.FunctionType):
        return value if is_own_file(value.__code__.co_filename) else function_of(wrapped_by(value))
    if (inner := wrapped_by(value)) is not None:
        return function_of(inner)
    if isinstance(value, type):
        value = resolve(value, ["__init__"]) if is_first_party(class_file(value)) else MISSING
    elif not isinstance(value, types.ModuleType):
        value = resolve(value, ["__call__"]) if is_first_party(class_file(type(value))) else MISSING
    return value if isinstance(value, types.FunctionType) and is_own_file(value.__code__.co_filename) else None


def is_own_file(filename: str) -> bool:
    """True for a file of the project, or a cell of a notebook."""
    if is_first_party(filename):
        return os.path.isfile(filename) or load_source(filename) is not None  # noqa: PTH113 - asked very often
    return _CELL.match(filename) is not None and load_source(filename) is not None


def is_own(value: Any) -> bool:
    """True for a module, function, class or object of the project."""
    if isinstance(value, types.ModuleType):
        return is_first_party(file_of(value) or "")
    if isinstance(value, types.FunctionType):
        return is_own_file(value.__code__.co_filename)
    kind = value if isinstance(value, type) else type(value)
    return kind.__module__ == "__main__" or is_first_party(class_file(kind))


def _is_own(package: str) -> bool:
    module = sys.modules.get(package)
    if module is None:
        return False
    return is_first_party(file_of(module) or "") or (
        file_of(module) is None and hasattr(module, "__path__") and not _installed(module)
    )


def _installed(module: types.ModuleType) -> bool:
    return any(not is_first_party(f"{folder}/x.py") for folder in list(module.__path__))


@functools.lru_cache(maxsize=65536)
def _imported(body: Body) -> dict[str, str]:
    """Name -> top-level package that a statement of this body imports it from; "" for relative imports."""
    found: dict[str, str] = {}
    for piece in pieces(body):
        node = piece.node
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            package = "" if node.level else (node.module or "").partition(".")[0]
            found |= {alias.asname or alias.name: package for alias in node.names}
    return found


@functools.lru_cache(maxsize=65536)
def _parameters(body: Body) -> frozenset[str]:
    if isinstance(body, ast.Module):
        return frozenset()
    return frozenset(item.arg for item in ast.walk(body.args) if isinstance(item, ast.arg))
