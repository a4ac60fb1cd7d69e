"""Names a function only writes to, such as a list that it appends to; their values are not inputs."""

import ast
import collections
import functools
from typing import Any

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
