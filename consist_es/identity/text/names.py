"""Reads the names in the source of a module or class."""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.text.imports import statements_in
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


def constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """Variables bound in a body -> type and plain form of the literal that is their one assignment, else None."""
    return {name: item for name, item in parsed.once(_constants, node).items() if not name.startswith("__")}


def hidden_constants(parsed: Parsed, node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    """The same for names that begin with two underscores."""
    return {name: item for name, item in parsed.once(_constants, node).items() if name.startswith("__")}


def _constants(node: ast.Module | ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _bound(node.body):
        found[name] = None if name in found or value is None else literal_of(value)
    return found


def literal_of(value: ast.expr) -> Any:
    """Type and plain form of a literal, None for any other expression."""
    try:
        literal = ast.literal_eval(value)
        return [type(literal).__name__, to_plain(literal)]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, ConfigTypeError, ConfigValueError):
        return None


def _bound(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr | None]]:
    """Each binding of a name to a value in a body, with the value if it is a plain assignment."""
    values: dict[int, ast.expr | None] = {}
    for item in outside_functions(body):
        if isinstance(item, ast.Assign):
            values |= {id(target): item.value for target in item.targets}
        elif isinstance(item, ast.AnnAssign):
            values[id(item.target)] = item.value
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            yield item.id, values.get(id(item))
        elif isinstance(item, (ast.MatchAs, ast.MatchStar)) and item.name:
            yield item.name, None
        elif isinstance(item, ast.MatchMapping) and item.rest:
            yield item.rest, None


def outside_functions(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of a body, parents first; skips insides of functions and classes, targets of comprehensions."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        item = waiting.pop()
        yield item
        if isinstance(item, ast.comprehension):
            waiting += [item.iter, *item.ifs]
        elif not isinstance(item, (*_DEFINITIONS, ast.Lambda)):
            waiting += ast.iter_child_nodes(item)


def bound_names(node: ast.Module | ast.ClassDef) -> frozenset[str]:
    """Every name that a module's or class's own statements bind in any way."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        item = waiting.pop()
        if isinstance(item, _DEFINITIONS):
            found.add(item.name)
            continue
        if isinstance(item, ast.Name):
            found.add(item.id)
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and item.name:
            found.add(item.name)
        if not isinstance(item, ast.Lambda):
            waiting += ast.iter_child_nodes(item)
    return frozenset(found)


def definitions(node: ast.Module | ast.ClassDef) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, ...]:
    """The functions and classes that a body defines, also under conditions."""
    return tuple(item for item in statements(node.body) if isinstance(item, _DEFINITIONS))


def statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The statements of a body and of its branches, in the order of `outside_functions`."""
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
    return Body(constants(parsed, node), parsed.once(bound_names, node), defined, tuple(imports))


BODY: Fact[Body] = Fact("body", Body, lambda parsed: _body(parsed, parsed.tree))
