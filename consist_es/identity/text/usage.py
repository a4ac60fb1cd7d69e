"""Finds the functions of a file that read or write a variable or attribute, from its source.

The unit is a function of a module or class with all functions inside. Code outside of functions is one more unit.
"""

import ast
import functools
from collections.abc import Iterable, Iterator

import msgspec

from consist_es.identity.text.normal import Survey
from consist_es.identity.text.source import Fact, Source
from consist_es.identity.text.usage_walk import (
    ATTRIBUTE,
    CLEAR,
    CLOCK,
    FILL,
    FUNCTIONS,
    NAME,
    OWN,
    READ,
    SET,
    WRITES,
    Uses,
    Walk,
    is_clock,
)

__all__ = [
    "ATTRIBUTE", "CLEAR", "CLOCK", "FILL", "NAME", "OWN", "READ", "SET", "WRITES",
    "Unit", "Usage", "Uses", "file_usage", "usage",
]  # fmt: skip
MAKERS = ("__init__", "__new__", "__post_init__", "__setstate__")
_BLOCKS = (
    ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.ExceptHandler, ast.Match,
    ast.match_case,
)  # fmt: skip
_CALLED_BY_OTHERS = {
    "read", "readline", "readlines", "write", "flush", "close", "seek", "keys", "values", "items", "get", "run", "emit",
    "fit", "predict", "transform", "score", "send",
}  # fmt: skip
"""Methods that installed packages call on any object they are given."""


class Unit(msgspec.Struct, array_like=True, eq=False):
    """One function, or the code outside of functions."""

    name: str | None
    plain: bool
    """True if it runs only when called by name (not decorated, not a hook or dunder)."""
    computes: bool
    """True if it looks things up by computed names."""
    mentions: str
    """Every name in it, separated by spaces."""

    @property
    def makes(self) -> bool:
        """True if it makes objects."""
        return self.name in MAKERS


class Usage(msgspec.Struct, eq=False):
    """The units of some code, indexed by what they use."""

    units: list[Unit]
    imported: frozenset[str]
    """Names imported from other modules; ``*`` for all."""
    found: dict[str, msgspec.Raw]
    """"kind name" -> encoded (number of unit, use) pairs; few are ever needed."""

    def uses(self, kind: str, name: str) -> list[tuple[Unit, Uses]]:
        """The units that use a variable or attribute, and how."""
        data = self.found.get(f"{kind} {name}")
        return [] if data is None else [(self.units[number], uses) for number, uses in _USES.decode(data)]


_USES = msgspec.msgpack.Decoder(list[tuple[int, Uses]])


@functools.lru_cache(maxsize=4096)
def usage(*nodes: ast.AST) -> Usage:
    """Usage of the code below some nodes: functions and classes, or a whole module."""
    return _usage(nodes, Survey(nodes, keep_docstrings=True))


def file_usage(source: Source) -> Usage:
    """Usage of a whole file."""
    return _USAGE.of(source)


_USAGE: Fact[Usage] = Fact("usage", Usage, lambda parsed: _usage([parsed.tree], parsed.survey))


def _usage(nodes: Iterable[ast.AST], survey: Survey) -> Usage:
    clocks = any(is_clock(call.func) for call in survey.nodes(ast.Call))
    walks, functions = [], dict(survey.functions)
    for function, owner in [found for node in nodes for found in _functions(node)]:
        walk = Walk(getattr(function, "name", None), plain=_is_plain(function, owner), clocks=clocks)
        walk.function(functions.pop(function), frozenset())
        walks.append(walk)
    walks.append(Walk(None, plain=False, clocks=clocks))
    walks[-1].outside(survey.outside, functions)
    found: dict[str, list[tuple[int, Uses]]] = {}
    for number, walk in enumerate(walks):
        for (kind, name), uses in walk.uses.items():
            found.setdefault(f"{kind} {name}", []).append((number, uses))
    units = [Unit(walk.name, walk.plain, walk.computes, " ".join(sorted(walk.mentions))) for walk in walks]
    encoded = {key: msgspec.Raw(msgspec.msgpack.encode(uses)) for key, uses in found.items()}
    imported = frozenset(alias.name for item in survey.nodes(ast.ImportFrom) for alias in item.names)
    return Usage(units, imported, encoded)


def _functions(node: ast.AST, owner: ast.AST | None = None) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(function, enclosing node), without functions inside other functions or expressions."""
    if isinstance(node, FUNCTIONS):
        yield node, owner or node
    elif isinstance(node, (ast.Module, *_BLOCKS)):
        for child in ast.iter_child_nodes(node):
            yield from _functions(child, node)


def _is_plain(function: ast.AST, owner: ast.AST) -> bool:
    name = getattr(function, "name", None)
    if name is None or getattr(function, "decorator_list", None):
        return False
    if not isinstance(owner, ast.ClassDef):
        return True
    inherited = owner.bases or owner.keywords or owner.decorator_list
    return not (inherited or name.startswith("__") or name in _CALLED_BY_OTHERS)
