"""Which functions of a file read a variable or attribute, and which write to it, as its source says.

The unit is a function of a module or class with all that is nested in it. Code outside of functions is one unit more.
"""

import ast
import functools
from collections.abc import Iterable, Iterator

import msgspec

from consist_es.identity.source import Fact, Parsed, Source
from consist_es.identity.usage_walk import (
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
_MAKERS = ("__init__", "__new__", "__post_init__", "__setstate__")
_BLOCKS = (
    ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.ExceptHandler, ast.Match,
    ast.match_case,
)  # fmt: skip
_CALLED_BY_OTHERS = {
    "read", "readline", "readlines", "write", "flush", "close", "seek", "keys", "values", "items", "get", "run", "emit",
    "fit", "predict", "transform", "score", "send",
}  # fmt: skip
"""Methods that installed packages call on whatever object they are given."""


class Unit(msgspec.Struct, array_like=True, eq=False):
    """One function, or what is outside of functions."""

    name: str | None
    plain: bool
    """Whether it only ever runs where something names it: neither decorated nor called by other means."""
    computes: bool
    """Whether it looks things up by computed names."""
    mentions: str
    """Every name that it mentions, with spaces between."""

    @property
    def makes(self) -> bool:
        """Whether it makes objects."""
        return self.name in _MAKERS


class Usage(msgspec.Struct, eq=False):
    """The units of some code, found by what they use."""

    units: list[Unit]
    imported: frozenset[str]
    """Names that it takes from other modules; ``*`` for all."""
    found: dict[str, msgspec.Raw]
    """Kind and name of a thing -> encoded numbers of the units that use it, and how. Few of them are ever asked for."""

    def uses(self, kind: str, name: str) -> list[tuple[Unit, Uses]]:
        """The units that use a thing, and how."""
        data = self.found.get(f"{kind} {name}")
        return [] if data is None else [(self.units[number], uses) for number, uses in _USES.decode(data)]


_USES = msgspec.msgpack.Decoder(list[tuple[int, Uses]])


@functools.lru_cache(maxsize=4096)
def usage(*nodes: ast.AST) -> Usage:
    """Of the code below some nodes: functions and classes, or a whole module."""
    below = [item for node in nodes for item in ast.walk(node)]
    froms = [item for item in below if isinstance(item, ast.ImportFrom)]
    return _usage(nodes, froms, clocks=any(isinstance(item, ast.Call) and is_clock(item.func) for item in below))


def file_usage(source: Source) -> Usage:
    """Of a whole file."""
    return _USAGE.of(source)


def _of_file(parsed: Parsed) -> Usage:
    clocks = any(is_clock(call.func) for call in parsed.nodes[ast.Call])
    return _usage([parsed.tree], parsed.nodes[ast.ImportFrom], clocks=clocks)


_USAGE: Fact[Usage] = Fact("usage", Usage, _of_file)


def _usage(nodes: Iterable[ast.AST], froms: Iterable[ast.ImportFrom], *, clocks: bool) -> Usage:
    outside, walks = Walk(None, plain=False, outside=True, clocks=clocks), []
    for node in nodes:
        for body, owner in _parts(node):
            if body is None:
                outside.visit(owner, frozenset())
            else:
                walk = Walk(getattr(body, "name", None), plain=_is_plain(body, owner), outside=False, clocks=clocks)
                walk.visit(body, frozenset())
                walks.append(walk)
    walks.append(outside)
    found: dict[str, list[tuple[int, Uses]]] = {}
    for number, walk in enumerate(walks):
        for (kind, name), uses in walk.uses.items():
            found.setdefault(f"{kind} {name}", []).append((number, uses))
    units = [Unit(walk.name, walk.plain, walk.computes, " ".join(sorted(walk.mentions))) for walk in walks]
    encoded = {key: msgspec.Raw(msgspec.msgpack.encode(uses)) for key, uses in found.items()}
    return Usage(units, frozenset(alias.name for item in froms for alias in item.names), encoded)


def _parts(node: ast.AST, owner: ast.AST | None = None) -> Iterator[tuple[ast.AST | None, ast.AST]]:
    """Functions with what they lie in, and (None, node) for everything that is outside of functions."""
    if isinstance(node, FUNCTIONS):
        yield node, owner or node
    elif isinstance(node, (ast.Module, *_BLOCKS)):
        for child in ast.iter_child_nodes(node):
            yield from _parts(child, node)
    elif not _is_list_of_names(node):
        yield None, node


def _is_plain(function: ast.AST, owner: ast.AST) -> bool:
    name = getattr(function, "name", None)
    if name is None or getattr(function, "decorator_list", None):
        return False
    if not isinstance(owner, ast.ClassDef):
        return True
    inherited = owner.bases or owner.keywords or owner.decorator_list
    return not (inherited or name.startswith("__") or name in _CALLED_BY_OTHERS)


def _is_list_of_names(node: ast.AST) -> bool:
    """Whether it is ``__all__``, which uses nothing."""
    return isinstance(node, ast.Assign) and any(getattr(item, "id", "") == "__all__" for item in node.targets)
