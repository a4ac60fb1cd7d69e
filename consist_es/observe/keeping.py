"""Finds reads that a later run of the same process inherits, because a function kept the content.

A function with a cache, or one that fills a global, reads a file once; the next step that calls it gets the content
without opening the file. So for each read, the project's functions on the stack are remembered, if they may keep
something: they are decorated, or write to more than their own variables, or are a module's own code.
"""

from __future__ import annotations

import ast
import functools
import inspect
import os
from collections.abc import Callable, Iterable
from types import CodeType

import msgspec

from consist_es.identity.text.source import Function, load_source
from consist_es.observe.reads import Listing

_STORING = frozenset(
    {"append", "add", "setdefault", "update", "extend", "insert", "put", "set", "write", "__setitem__"}
)
_PURE = frozenset({"staticmethod", "classmethod", "property", "contextmanager"})


_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Flags of functions that keep their variables between two calls."""


class Kept(msgspec.Struct):
    """Reads that some functions may have kept: what was there when they read, even if it has changed since."""

    files: dict[str, str | None] = {}
    folders: dict[str, Listing] = {}
    variables: dict[str, str | None] = {}

    def add(self, other: Kept) -> None:
        """Add other reads."""
        self.files.update(other.files)
        self.folders.update(other.folders)
        self.variables.update(other.variables)


class Stack(msgspec.Struct):
    """The project's code on one stack, and what was first read, looked for, listed and asked for under it."""

    codes: tuple[CodeType, ...]
    paths: list[str] = []
    variables: list[str] = []


_kept: dict[tuple[str, str], Kept] = {}
"""By file and qualified name of the function."""


Declared = Callable[[str], tuple[str, str] | None]
"""Own place and digest of what is read at a path, if it is a declared input."""


def keep(stacks: Iterable[Stack], reads: Kept, declared: Declared) -> None:
    """Remember the reads of functions that may keep them."""
    for stack in stacks:
        keepers = [code for code in stack.codes if may_keep(code)]
        if keepers:
            found = _under(stack, reads, declared)
            for code in keepers:
                hand_on(code, found)


def hand_on(code: CodeType, reads: Kept) -> None:
    """Have later runs that reach a function inherit reads."""
    _kept.setdefault((code.co_filename, code.co_qualname), Kept()).add(reads)


def _under(stack: Stack, reads: Kept, declared: Declared) -> Kept:
    found = Kept(variables={name: reads.variables[name] for name in stack.variables if name in reads.variables})
    for path in stack.paths:
        if path in reads.folders:
            found.folders[path] = reads.folders[path]
        if (holder := _holder(path, reads.files)) is not None:
            found.files[holder] = reads.files[holder]
        elif (given := declared(path)) is not None:
            found.files[given[0]] = given[1]
    return found


def _holder(path: str, files: dict[str, str | None]) -> str | None:
    """The path, or the folder of the store that stands for it."""
    while path not in files:
        path, below = os.path.dirname(path), path
        if path == below:
            return None
    return path


def inherited(reaches: Callable[[str, str], bool]) -> Kept:
    """Earlier reads in this process by functions that a run `reaches` (by file and qualified name)."""
    found = Kept()
    for (file, name), reads in _kept.items():
        if reaches(file, name):
            found.add(reads)
    return found


@functools.lru_cache(maxsize=4096)
def may_keep(code: CodeType) -> bool:
    """True if a function may keep its reads for a later call."""
    if code.co_name == "<module>" or code.co_flags & _SUSPENDED:
        return True
    source = load_source(code.co_filename)
    node = source.find(code) if source is not None else None
    if node is None:
        return True  # source unknown
    return _is_decorated(node) or _has_mutable_default(node) or _writes_outside(node)


def _is_decorated(node: Function) -> bool:
    names = [_last_name(item) for item in getattr(node, "decorator_list", [])]
    return any(name not in _PURE for name in names)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _has_mutable_default(node: Function) -> bool:
    defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    return any(not isinstance(default, (ast.Constant, ast.UnaryOp, ast.Name, ast.Attribute)) for default in defaults)


def _writes_outside(node: Function) -> bool:
    """True if it assigns to globals, or fills or assigns to parts of objects that it did not make."""
    body = node.body if isinstance(node.body, list) else [node.body]
    items = [item for statement in body for item in ast.walk(statement)]
    own = {item.id for item in items if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    for item in items:
        if isinstance(item, (ast.Global, ast.Nonlocal)):
            return True
        target: ast.expr | None = None
        if isinstance(item, (ast.Attribute, ast.Subscript)) and isinstance(item.ctx, ast.Store):
            target = item.value
        elif isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in _STORING:
            target = item.func.value
        elif isinstance(item, ast.Call) and getattr(item.func, "id", "") == "setattr":
            return True
        if target is not None and _base_name(target) not in own:
            return True
    return False


def _base_name(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
