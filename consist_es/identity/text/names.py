"""Reads the names in the source of a module or class."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.text.imports import statements_in
from consist_es.identity.text.nodes import nodes_in
from consist_es.identity.text.source import Fact, Parsed
from consist_es.values.plain import to_plain


class Body(msgspec.Struct, frozen=True):
    """The namespace of a module or class, as its source defines it."""

    constants: dict[str, Any]
    """Variables -> type and plain form of the literal that is their one assignment, else None."""
    bound: frozenset[str]
    """Every name bound in any way."""
    definitions: tuple["Definition", ...]
    imports: tuple[tuple[str, str, str], ...] = ()
    """For a module: (origin, with leading dots; name there; name here)."""


class Definition(msgspec.Struct, frozen=True):
    """A function or class that a body defines, also under conditions."""

    name: str
    decorated: bool
    inside: Body | None
    """For a class."""


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class _Namespace(NamedTuple):
    """What a module's or class's own statements bind."""

    constants: dict[str, Any]
    """Variables -> type and plain form of the literal that is their one assignment, else None."""
    bound: frozenset[str]


def constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """Variables bound in a body -> type and plain form of the literal that is their one assignment, else None."""
    found = parsed.once(_namespace, node).constants
    return {name: item for name, item in found.items() if not name.startswith("__")}


def hidden_constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """The same for names that begin with two underscores."""
    found = parsed.once(_namespace, node).constants
    return {name: item for name, item in found.items() if name.startswith("__")}


def bound_names(parsed: Parsed, node: ast.Module | ast.ClassDef) -> frozenset[str]:
    """Every name that a module's or class's own statements bind in any way."""
    return parsed.once(_namespace, node).bound


def literal_of(value: ast.expr) -> Any:
    """Type and plain form of a literal, None for any other expression."""
    try:
        return plain_literal(value.value if isinstance(value, ast.Constant) else ast.literal_eval(value))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def plain_literal(literal: Any) -> Any:
    """Type and plain form of a literal's value, None if it has none."""
    try:
        return [type(literal).__name__, to_plain(literal)]
    except (ValueError, TypeError, RecursionError, MemoryError, ConfigTypeError, ConfigValueError):
        return None


def _namespace(node: ast.Module | ast.ClassDef) -> _Namespace:
    """One walk over all that a body does outside of functions and classes."""
    found: dict[str, Any] = {}
    bound: set[str] = set()
    values: dict[int, ast.expr | None] = {}
    """Ids of targets -> what they are plainly assigned."""
    waiting: list[Any] = list(node.body)
    while waiting:
        item = waiting.pop()
        kind, name = item.__class__, None
        if kind is ast.Name:
            bound.add(item.id)
            name = item.id if item.ctx.__class__ is ast.Store else None
        elif kind in _DEFINITIONS:
            bound.add(item.name)
            continue
        elif kind is ast.comprehension:
            bound.update(inner.id for inner in ast.walk(item.target) if isinstance(inner, ast.Name))
            waiting += [item.iter, *item.ifs]
            continue
        elif kind is ast.Lambda:
            continue
        elif kind is ast.Assign:
            values |= {id(target): item.value for target in item.targets}
        elif kind is ast.AnnAssign:
            values[id(item.target)] = item.value
        elif kind is ast.Import or kind is ast.ImportFrom:
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in item.names}
        elif kind is ast.ExceptHandler and item.name:
            bound.add(item.name)
        elif kind is ast.MatchAs or kind is ast.MatchStar:
            name = item.name
        elif kind is ast.MatchMapping:
            name = item.rest
        if name:
            value = None if name in found else values.get(id(item))
            found[name] = None if value is None else literal_of(value)
            if kind is not ast.MatchMapping:
                bound.add(name)
        waiting += nodes_in(item)
    return _Namespace(found, frozenset(bound))


def definitions(node: ast.Module | ast.ClassDef) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, ...]:
    """The functions and classes that a body defines, also under conditions."""
    return tuple(item for item in statements(node.body) if isinstance(item, _DEFINITIONS))


def statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The statements of a body and of its branches, the last first."""
    waiting = list(body)
    while waiting:
        item = waiting.pop()
        yield item
        if not isinstance(item, _DEFINITIONS):
            waiting += statements_in(item)


def _imports(node: ast.Module) -> Iterator[tuple[str, str, str]]:
    for item in statements(node.body):
        if isinstance(item, ast.ImportFrom):
            origin = "." * item.level + (item.module or "")
            yield from ((origin, alias.name, alias.asname or alias.name) for alias in item.names)


def _body(parsed: Parsed, node: ast.Module | ast.ClassDef) -> Body:
    defined = tuple(
        Definition(
            item.name, bool(item.decorator_list), _body(parsed, item) if isinstance(item, ast.ClassDef) else None
        )
        for item in parsed.once(definitions, node)
    )
    imports = _imports(node) if isinstance(node, ast.Module) else ()
    return Body(constants(parsed, node), bound_names(parsed, node), defined, tuple(imports))


BODY: Fact[Body] = Fact("body", Body, lambda parsed: _body(parsed, parsed.tree))
