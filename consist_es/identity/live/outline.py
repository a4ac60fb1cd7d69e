"""Outlines a file's source: everything that can be replaced once it is loaded (definitions, bases, defaults)."""

import ast
from typing import Any

import msgspec

from consist_es.identity.text.names import (
    bound_names,
    constants,
    definitions,
    hidden_constants,
    literal_of,
    plain_literal,
    statements,
)
from consist_es.identity.text.source import Fact, Parsed, Source
from consist_es.values.encoding import is_same

NO_DEFAULTS = ["list", [[], {}]]


class Definition(msgspec.Struct, frozen=True):
    """A definition of a function."""

    line: int
    """The first line, decorators included, as in code objects."""
    decorators: int
    defaults: Any
    """Type and plain form of the defaults of positional and keyword parameters, None if they are not literals."""


class Expression(msgspec.Struct, frozen=True):
    """A base class or metaclass, as written."""

    names: tuple[str, ...]
    """The names of ``a.b``; empty if computed."""
    indexed: bool
    """True for ``a.b[...]``."""


class Class(msgspec.Struct, frozen=True):
    """A definition of a class."""

    bases: tuple[Expression, ...]
    metaclass: Expression | None
    decorated: bool
    keywords: bool
    body: "Body"

    @property
    def is_made(self) -> bool:
        """True if other code may have added members while the class was made."""
        return bool(self.decorated or self.bases or self.keywords)


class Body(msgspec.Struct, frozen=True):
    """A module's or class's own statements."""

    functions: dict[str, tuple[Definition, ...]]
    classes: dict[str, tuple[Class, ...]]
    constants: dict[str, Any]
    """Variables, each with type and plain form of its literal, or None."""
    hidden: dict[str, Any]
    """The same for names that begin with two underscores."""
    bound: frozenset[str]
    """All names bound in any way."""
    imports: tuple[tuple[str, str], ...] = ()
    """Names bound to imported modules, with the full names of these."""


def outline(source: Source) -> Body:
    """Outline of a whole file."""
    return _OUTLINE.of(source)


_OUTLINE: Fact[Body] = Fact("outline", Body, lambda parsed: _body(parsed, parsed.tree))


def _body(parsed: Parsed, node: ast.Module | ast.ClassDef) -> Body:
    functions: dict[str, list[Definition]] = {}
    classes: dict[str, list[Class]] = {}
    for item in parsed.once(definitions, node):
        if isinstance(item, ast.ClassDef):
            classes.setdefault(item.name, []).append(_class(parsed, item))
        else:
            functions.setdefault(item.name, []).append(_function(item))
    imported = [alias for item in statements(node.body) if isinstance(item, ast.Import) for alias in item.names]
    return Body(
        {name: tuple(items) for name, items in functions.items()},
        {name: tuple(items) for name, items in classes.items()},
        constants(parsed, node),
        hidden_constants(parsed, node),
        bound_names(parsed, node),
        tuple((item.asname, item.name) if item.asname else (item.name.partition(".")[0],) * 2 for item in imported),
    )


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Definition:
    line = min([node.lineno, *(item.lineno for item in node.decorator_list)])
    return Definition(line, len(node.decorator_list), _defaults(node.args))


def _defaults(arguments: ast.arguments) -> Any:
    if not (arguments.defaults or arguments.kw_defaults):
        return NO_DEFAULTS
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    given = [(item.arg, value) for item, value in named if value is not None]
    if all(isinstance(item, ast.Constant) for item in (*arguments.defaults, *(value for _, value in given))):
        values = [getattr(item, "value", None) for item in arguments.defaults]
        return plain_literal([values, {name: getattr(value, "value", None) for name, value in given}])
    keywords = ast.Dict([ast.Constant(name) for name, _ in given], [value for _, value in given])
    return literal_of(ast.List([ast.List(arguments.defaults, ast.Load()), keywords], ast.Load()))


def _class(parsed: Parsed, node: ast.ClassDef) -> Class:
    meta = [_expression(item.value) for item in node.keywords if item.arg == "metaclass"]
    return Class(
        tuple(map(_expression, node.bases)),
        meta[0] if meta else None,
        bool(node.decorator_list),
        bool(node.keywords),
        _body(parsed, node),
    )


def _expression(node: ast.expr) -> Expression:
    indexed = isinstance(node, ast.Subscript)
    current: ast.AST = node.value if isinstance(node, ast.Subscript) else node
    names: list[str] = []
    while isinstance(current, ast.Attribute):
        names.append(current.attr)
        current = current.value
    if not isinstance(current, ast.Name):
        return Expression((), indexed)
    return Expression((current.id, *reversed(names)), indexed)


def are_settled(defaults: tuple[Any, ...] | None, keywords: dict[str, Any], literal: Any) -> bool:
    """True if all defaults equal those in the source, and none can change or may name a place in the project."""
    if literal is None or not is_same([list(defaults or ()), keywords], literal[1]):
        return False
    return all(
        type(item) in _NUMBERS or (type(item) is str and "/" not in item and "\\" not in item)
        for item in (*(defaults or ()), *keywords.values())
    )


_NUMBERS = (int, float, bool, type(None))
