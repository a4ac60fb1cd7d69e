"""Names a function only writes to, such as a list that it appends to; their values are not inputs."""

import ast
import collections
import functools
import types
from typing import Any

from consist_es.identity.text.source import load_source

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
FILLING = frozenset().union(*_SILENT.values()) | {
    "remove", "pop", "popitem", "setdefault", "discard", "popleft", "extendleft", "rotate", "subtract",
    "difference_update", "intersection_update", "symmetric_difference_update",
}  # fmt: skip
"""Methods that change the content of a builtin container."""
_TAKING = frozenset({"get", "keys", "values", "items", "copy", "index", "count", "union", "issubset", "issuperset"})
_READING = frozenset({
    "len", "sum", "min", "max", "any", "all", "sorted", "list", "tuple", "set", "frozenset", "dict", "enumerate", "zip",
    "str", "repr", "print", "bool", "iter", "reversed",
})  # fmt: skip


@functools.lru_cache(maxsize=4096)
def only_written(name: str, kind: type, node: ast.AST) -> bool:
    """True if every mention of `name` below `node` writes to it and lets nothing of it out.

    Holds for calls such as ``calls.append(1)`` on containers of exactly the builtin types, for ``calls["n"] += 1`` and
    ``seen[key] = value``, and for a declared global or nonlocal number in ``n += 1``.
    """
    if kind not in _SILENT and kind not in _COUNTERS:
        return False
    mentions = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    silent = {id(target) for item in ast.walk(node) for target in _written(item, kind)}
    return bool(mentions) and all(id(item) in silent for item in mentions)


Chain = tuple[str, ...]
"""The attributes from a variable to the one that is set."""


@functools.lru_cache(maxsize=4096)
def set_chains(name: str, node: ast.AST) -> frozenset[Chain]:
    """The attributes that code sets on a variable; empty if it mentions it in any other way."""
    roots: dict[int, Chain] = {}
    for item in ast.walk(node):
        for target in _targets(item):
            root, chain = _chain(target)
            if chain and isinstance(root, ast.Name) and root.id == name:
                roots[id(root)] = chain
    mentions = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    return frozenset(roots.values()) if all(id(item) in roots for item in mentions) else frozenset()


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [node.target]
    return node.targets if isinstance(node, ast.Assign) else []


def _chain(target: ast.AST) -> tuple[ast.AST, Chain]:
    """The variable that a target begins with, and the attributes from there."""
    way: list[str] = []
    while isinstance(target, ast.Attribute):
        way.append(target.attr)
        target = target.value
    return target, tuple(reversed(way))


def only_set(name: str, value: Any, node: ast.AST) -> bool:
    """True if code only sets attributes of an object, ``holder.done = x``, and never looks at it.

    Holds for objects whose class stores attributes as Python does by itself. Items do not: what a hit puts back into a
    container depends on what it holds.
    """
    chains = set_chains(name, node)
    return bool(chains) and all(_stores(value, chain) for chain in chains)


def _stores(value: Any, chain: Chain) -> bool:
    for name in chain[:-1]:
        held = getattr(value, "__dict__", None)
        if not _is_plain(value, name) or type(held) is not dict or name not in held:
            return False
        value = held[name]
    return _is_plain(value, chain[-1])


def _is_plain(value: Any, name: str) -> bool:
    """True if setting this attribute runs no code of the object's class."""
    kind: Any = type(value)
    if not hasattr(value, "__dict__") or isinstance(value, type | types.ModuleType | types.FunctionType):
        return False
    return kind.__setattr__ is object.__setattr__ and not any(name in vars(base) for base in kind.__mro__)


def _written(node: ast.AST, kind: type) -> list[Any]:
    """The nodes that this node itself only writes to."""
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


@functools.lru_cache(maxsize=4096)
def only_read(name: str, node: ast.AST) -> bool:
    """True if every mention of a container below `node` only reads from it."""
    mentions = [item for item in ast.walk(node) if isinstance(item, ast.Name) and item.id == name]
    reading = {id(item) for each in ast.walk(node) for item in _looked_at(each)}
    return bool(mentions) and all(isinstance(item.ctx, ast.Load) and id(item) in reading for item in mentions)


def _looked_at(node: ast.AST) -> list[ast.AST]:
    """The nodes that this node itself only reads."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in _TAKING:
            return [value]
        case ast.Call(func=ast.Name(id=function), args=args) if function in _READING:
            return list(args)
        case ast.Subscript(value=value, ctx=ast.Load()) | ast.FormattedValue(value=value):
            return [value]
        case ast.Compare(comparators=values):
            return list(values)
        case ast.For(iter=value) | ast.comprehension(iter=value):
            return [value]
    return []


def node_of_function(fn: types.FunctionType) -> ast.AST | None:
    """The syntax tree of a function; None if it is not known."""
    source = load_source(fn.__code__.co_filename)
    node = None if source is None else source.find(fn.__code__)
    if node is None and source is not None:
        from consist_es.identity.text.rewritten import node_of  # few functions are not as in their file

        node = node_of(source, fn.__code__)
    return node
