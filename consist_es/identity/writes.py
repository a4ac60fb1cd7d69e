"""Variables that a function only writes to, such as a list that it appends to: their value is no input."""

import ast
import collections
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

# Methods that return None whatever the container holds.
_SILENT: dict[type, set[str]] = {
    list: {"append", "extend", "insert", "clear", "sort", "reverse"},
    collections.deque: {"append", "appendleft", "extend", "clear"},
    set: {"add", "update", "discard", "clear"},
    dict: {"update", "clear"},
    collections.Counter: {"update", "clear"},
    collections.defaultdict: {"update", "clear"},
}
_COUNTERS = (int, float)


@functools.lru_cache(maxsize=4096)
def only_written(name: str, kind: type, node: ast.AST) -> bool:
    """Whether every mention of `name` below `node` writes to it and lets nothing of it out.

    Holds for calls such as ``calls.append(1)`` on containers of exactly the builtin types, for ``calls["n"] += 1``
    and ``seen[key] = value``, and for a declared global or nonlocal number in ``n += 1``.
    """
    if kind not in _SILENT and kind not in _COUNTERS:
        return False
    mentions = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    silent = {id(target) for item in ast.walk(node) for target in _written(item, kind)}
    return bool(mentions) and all(id(item) in silent for item in mentions)


def _written(node: ast.AST, kind: type) -> list[Any]:
    """The names that this very node only writes to."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return [node.func.value] if node.func.attr in _SILENT.get(kind, set()) else []
    if isinstance(node, ast.AugAssign):
        target = node.target
        if isinstance(target, ast.Name):
            return [target] if kind in _COUNTERS else []
        return [target.value] if isinstance(target, ast.Subscript) and kind in _SILENT else []
    if isinstance(node, ast.Assign) and kind in _SILENT:
        return [target.value for target in node.targets if isinstance(target, ast.Subscript)]
    return []


# ---------------------------------------------------------------- a whole module

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CHANGING = {
    "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
    "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort",
    "symmetric_difference_update", "update", "__setitem__", "__delitem__",
}  # fmt: skip


class Written(NamedTuple):
    """Names and attribute names that a module's functions write to."""

    names: frozenset[str]
    attributes: frozenset[str]


@functools.lru_cache(maxsize=1024)
def written(tree: ast.Module) -> Written:
    """What the functions below `tree` write to: ``global`` names, and things changed by item, attribute or method.

    Plain attributes of ``self`` are the object's own. An alias of a thing is not seen, nor what another function
    does with it as an argument.
    """
    names: set[str] = set()
    attributes: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, _FUNCTIONS):
            continue
        nodes = list(ast.walk(function))
        declared = {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
        chains = [list(_chain(thing)) for node in nodes for thing in _changed_things(node)]
        roots = {item.id for chain in chains for item in chain if isinstance(item, ast.Name)}
        names |= declared | (roots - _locals(nodes))
        attributes |= {item.attr for chain in chains for item in chain if isinstance(item, ast.Attribute)}
    return Written(frozenset(names), frozenset(attributes))


def _locals(nodes: list[ast.AST]) -> set[str]:
    """Parameters and assigned variables."""
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.arg for node in nodes if isinstance(node, ast.arg)}


def _changed_things(node: ast.AST) -> list[ast.expr]:
    """The things that a node changes: ``a`` in ``a[0] = 1`` and ``a.append(1)``, ``a.b`` in ``a.b = 1``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
        return [node.func.value]
    targets: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    items = [target.value for target in targets if isinstance(target, ast.Subscript)]
    return items + [target for target in targets if isinstance(target, ast.Attribute) and not _is_self(target.value)]


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _chain(node: ast.AST) -> Iterator[ast.AST]:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        yield node
        node = node.value
    yield node
