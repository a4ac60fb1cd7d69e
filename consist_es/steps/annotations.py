"""Evaluates the annotations of a function's parameters one by one.

`typing.get_type_hints` gives all or nothing: one name that only type checkers import, and it fails for all parameters.
Here an annotation that cannot be evaluated stays text; its names are looked up in the imports of the function's
module, including those for type checkers.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_UNIONS = frozenset({"typing.Union", "typing.Optional", "typing_extensions.Union", "typing_extensions.Optional"})
_FIRST_COUNTS = frozenset({"typing.Annotated", "typing_extensions.Annotated", "typing.Final", "typing.ClassVar"})
_EVALUATION_FAILS = (NameError, TypeError, AttributeError, SyntaxError, ValueError, LookupError, RecursionError)


def hints_of(fn: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Parameter -> its annotation, evaluated if possible."""
    raw = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    inner = _plain_function(fn)
    if inner is None or not any(isinstance(value, str) for value in raw.values()):
        return raw
    return {name: _evaluated(value, inner) if isinstance(value, str) else value for name, value in raw.items()}


def parts_of(annotation: Any, fn: Callable[..., Any]) -> Iterator[type | str]:
    """The types that an annotation allows, in order; resolves unions, `Annotated`, new types and aliases.

    A type that could not be evaluated is given as its qualified name, as far as the module's imports tell.
    """
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        inner = _plain_function(fn)
        yield from _named(annotation, {} if inner is None else _imports(inner.__module__))
        return
    inside = _inside(annotation)
    for part in inside:
        yield from parts_of(part, fn)
    kind = typing.get_origin(annotation) or annotation
    if not inside and isinstance(kind, type):
        yield kind


def _inside(annotation: Any) -> tuple[Any, ...]:
    """The types behind a union, wrapper, new type or alias; empty for a plain type."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    if origin in (typing.Annotated, typing.Final, typing.ClassVar):
        return typing.get_args(annotation)[:1]
    if isinstance(annotation, typing.TypeVar):
        return annotation.__constraints__ or (annotation.__bound__,)
    if isinstance(annotation, typing.NewType):
        return (annotation.__supertype__,)
    return (annotation.__value__,) if type(annotation).__name__ == "TypeAliasType" else ()


def _plain_function(fn: Any) -> types.FunctionType | None:
    """The Python function behind a partial, a method or a callable object; its text has the annotations."""
    while True:
        fn = inspect.unwrap(fn)
        if isinstance(fn, types.FunctionType):
            return fn
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif isinstance(fn, type):
            fn = vars(fn).get("__init__")
        elif isinstance(call := getattr(type(fn), "__call__", None), types.FunctionType):  # noqa: B004
            fn = call
        else:
            return None


def _evaluated(text: str, fn: types.FunctionType) -> Any:
    def asked() -> None:
        """Placeholder for the function, with one annotation."""

    asked.__annotations__ = {"it": text}
    try:
        return typing.get_type_hints(asked, fn.__globals__, _closure(fn), include_extras=True)["it"]
    except _EVALUATION_FAILS:
        return text


def _closure(fn: types.FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # an empty cell
            found[name] = cell.cell_contents
    return found


def _named(text: str, imported: Mapping[str, str]) -> Iterator[str]:
    """Qualified names of the types in an annotation's text."""
    try:
        yield from _names(ast.parse(text.strip(), mode="eval").body, imported)
    except (SyntaxError, ValueError, RecursionError):
        return


def _names(node: ast.expr, imported: Mapping[str, str]) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _named(node.value, imported)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _names(node.left, imported)
        yield from _names(node.right, imported)
    elif isinstance(node, ast.Subscript):
        name = _qualified(node.value, imported)
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name in _UNIONS or name in _FIRST_COUNTS:
            for part in inside if name in _UNIONS else inside[:1]:
                yield from _names(part, imported)
        else:
            yield name
    else:
        yield _qualified(node, imported)


def _qualified(node: ast.expr, imported: Mapping[str, str]) -> str:
    text = ast.unparse(node)
    first, dot, rest = text.partition(".")
    return imported.get(first, first) + dot + rest


@functools.lru_cache(maxsize=256)
def _imports(module: str) -> Mapping[str, str]:
    """Name in a module -> what it was imported as, also below ``if TYPE_CHECKING:``; empty if there is no source."""
    found: dict[str, str] = {}
    filename = getattr(sys.modules.get(module), "__file__", None)
    try:
        tree = ast.parse(Path(filename).read_bytes()) if filename else ast.Module([], [])
    except (OSError, SyntaxError, ValueError, RecursionError):
        return found
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(item.asname or item.name.partition(".")[0]): _source(item) for item in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {item.asname or item.name: f"{node.module or ''}.{item.name}" for item in node.names}
    return found


def _source(item: ast.alias) -> str:
    return item.name if item.asname else item.name.partition(".")[0]
