"""Finds variables and attributes that are caches: each reader first checks whether it is filled, and fills it.

Judged by name, from all loaded code of the project: if two share a name, both must be caches.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ASKING = {"get", "setdefault", "__contains__"}
"""Methods of a dict that accept a missing key."""


class Thing(NamedTuple):
    """A variable or attribute."""

    name: str
    items: bool
    """True if the items of the container are meant: then storing a key fills it."""


def is_cache(thing: Thing, trees: Iterable[ast.Module]) -> bool:
    """True if some code reads it, and all such code fills it first if need be."""
    readers = [part for tree in trees for part in _parts(tree) if _loads(thing, part)]
    return bool(readers) and all(
        isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and _fills_first(thing, part.body) for part in readers
    )


def is_read_by_functions(thing: Thing, trees: Iterable[ast.Module]) -> bool:
    """True if any function takes something out of it, rather than only append to it or count in it."""
    return any(
        _loads(thing, part) and not _only_called(thing, part)
        for tree in trees
        for part in _parts(tree)
        if isinstance(part, _FUNCTIONS)
    )


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The functions of a module and its classes, and each statement outside of them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.If | ast.Try | ast.With):
            yield from _parts(child)
        else:
            yield child


def _is_named(thing: Thing, node: ast.AST) -> bool:
    return thing.name == (getattr(node, "id", None) if isinstance(node, ast.Name) else getattr(node, "attr", None))


def _stored(thing: Thing, node: ast.AST) -> list[ast.AST]:
    """The nodes that store into it."""
    targets = [target for item in ast.walk(node) if isinstance(item, ast.Assign) for target in item.targets]
    return [item for target in targets if _is_named(thing, item := _below(target) if thing.items else target)]


def _below(target: ast.expr) -> ast.expr:
    return target.value if isinstance(target, ast.Subscript) else target


def _loads(thing: Thing, node: ast.AST) -> list[ast.AST]:
    """The nodes that read it, count in it, or mention its name as a string."""
    stored = set(map(id, _stored(thing, node)))
    found = []
    for item in ast.walk(node):
        plain = _is_named(thing, item) and isinstance(getattr(item, "ctx", None), ast.Load) and id(item) not in stored
        counted = isinstance(item, ast.AugAssign) and _is_named(thing, _below(item.target))
        if plain or counted or (isinstance(item, ast.Constant) and item.value == thing.name):
            found.append(item)
    return found


def _only_called(thing: Thing, node: ast.AST) -> bool:
    """True if every mention is a call without use of its result, or counts in it: ``calls.append(1)``."""
    calls = [item.value for item in ast.walk(node) if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call)]
    quiet = {id(call.func.value) for call in calls if isinstance(call.func, ast.Attribute)}
    quiet |= {id(_below(item.target)) for item in ast.walk(node) if isinstance(item, ast.AugAssign)}
    return all(id(item) in quiet or isinstance(item, ast.AugAssign) for item in _loads(thing, node))


# ---------------------------------------------------------------- filled before it is read


def _fills_first(thing: Thing, body: Iterable[ast.stmt]) -> bool:
    """True if the statements fill it, or check whether it is filled, before they read it."""
    asked = False
    for statement in body:
        if not _loads(thing, statement) and not _stored(thing, statement):
            continue
        fills = _fills(thing, statement, asked=asked)
        if fills is not None:
            return fills
        asked = True
    return False


def _fills(thing: Thing, statement: ast.stmt, *, asked: bool) -> bool | None:
    """True if a statement fills it before reading it; None if it only checks whether it is filled."""
    loads, stored = _loads(thing, statement), _stored(thing, statement)
    match statement:
        case ast.With() | ast.AsyncWith():
            return _fills_first(thing, statement.body)  # under a lock
        case ast.Assign() | ast.Return() | ast.Expr():
            asking = {id(item): call for item, call in _questions(thing, statement)}
            if all(id(item) in asking for item in loads):
                return True if stored or "setdefault" in asking.values() else None
        case ast.If():
            tested = _loads(thing, statement.test)
            asks = {id(item) for item, _ in _questions(thing, statement.test)}
            if (tested or (asked and asks)) and all(id(item) in asks for item in tested):
                return True if stored else None if isinstance(statement.body[-1], ast.Return) else False
        case ast.Try() if thing.items:
            return any(_stored(thing, item) for item in statement.handlers)
    return False


def _questions(thing: Thing, node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes that only check for presence, and how: ``x is None``, ``not x``, ``key in x``, ``x.get(key)``."""
    if _is_named(thing, node):
        yield node, "truth"
    for item in ast.walk(node):
        match item:
            case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _ASKING and thing.items:
                yield value, name
            case ast.Call(func=ast.Name(id="hasattr"), args=[_, name]):
                yield name, "hasattr"
            case ast.UnaryOp(op=ast.Not(), operand=value):
                yield value, "truth"
            case ast.BoolOp(op=ast.Or(), values=values):
                yield from ((value, "truth") for value in values)
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
                yield left, "none"
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[right]) if thing.items:
                yield right, "in"
            case ast.BoolOp(op=ast.And()):
                return  # another condition may keep it from being filled
