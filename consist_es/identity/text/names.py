"""Reads the names in the source of a module or class."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

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


class _Bindings:
    """What a module's or class's own statements bind."""

    def __init__(self) -> None:
        self.constants: dict[str, Any] = {}
        """Variables -> type and plain form of the literal that is their one assignment, else None."""
        self.bound: set[str] = set()
        self._values: dict[ast.AST, ast.expr | None] = {}
        """Targets -> what they are plainly assigned."""

    def bind(self, node: ast.AST, name: str | None) -> None:
        if name:
            value = None if name in self.constants else self._values.get(node)
            self.constants[name] = None if value is None else literal_of(value)

    def assignment(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._values[target] = node.value

    def annotated(self, node: ast.AnnAssign) -> None:
        self._values[node.target] = node.value

    def imported(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}

    def caught(self, node: ast.ExceptHandler) -> None:
        self.bound |= {node.name} if node.name else set()

    def matched(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.bound |= {node.name} if node.name else set()
        self.bind(node, node.name)

    def rest(self, node: ast.MatchMapping) -> None:
        self.bind(node, node.rest)


_BINDING: dict[type, Callable[[_Bindings, Any], None]] = {
    ast.Assign: _Bindings.assignment,
    ast.AnnAssign: _Bindings.annotated,
    ast.Import: _Bindings.imported,
    ast.ImportFrom: _Bindings.imported,
    ast.ExceptHandler: _Bindings.caught,
    ast.MatchAs: _Bindings.matched,
    ast.MatchStar: _Bindings.matched,
    ast.MatchMapping: _Bindings.rest,
}


def constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """Variables bound in a body -> type and plain form of the literal that is their one assignment, else None."""
    found = parsed.once(_bindings, node).constants
    return {name: item for name, item in found.items() if not name.startswith("__")}


def hidden_constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """The same for names that begin with two underscores."""
    found = parsed.once(_bindings, node).constants
    return {name: item for name, item in found.items() if name.startswith("__")}


def bound_names(parsed: Parsed, node: ast.Module | ast.ClassDef) -> frozenset[str]:
    """Every name that a module's or class's own statements bind in any way."""
    return frozenset(parsed.once(_bindings, node).bound)


def literal_of(value: ast.expr) -> Any:
    """Type and plain form of a literal, None for any other expression."""
    try:
        return plain_literal(value.value if isinstance(value, ast.Constant) else ast.literal_eval(value))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def plain_literal(literal: Any) -> Any:
    """Type and plain form of a literal's value, None if it has none."""
    try:
        return [type(literal).__name__, to_plain(literal, ordered=True)]
    except (ValueError, TypeError, RecursionError, MemoryError, ConfigTypeError, ConfigValueError):
        return None


def _bindings(node: ast.Module | ast.ClassDef) -> _Bindings:
    """One walk over all that a body does outside of functions and classes."""
    found = _Bindings()
    waiting: list[Any] = list(node.body)
    while waiting:
        item = waiting.pop()
        kind = item.__class__
        if kind is ast.Name:
            found.bound.add(item.id)
            if item.ctx.__class__ is ast.Store:
                found.bind(item, item.id)
        elif kind in _DEFINITIONS:
            found.bound.add(item.name)
        elif kind is ast.comprehension:  # its variables live in it alone
            found.bound.update(inner.id for inner in ast.walk(item.target) if isinstance(inner, ast.Name))
            waiting += [item.iter, *item.ifs]
        elif kind is not ast.Lambda:
            if (note := _BINDING.get(kind)) is not None:
                note(found, item)
            waiting += nodes_in(item)
    return found


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
