"""Names whose values are not those of a real run once a block was left early, as far as other code can see them.

Judged on entry, from the block's text and the values that it names. In doubt a name is listed: then forecasts of later
steps stay open, which is never wrong.
"""

from __future__ import annotations

import ast
import itertools
import types
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.identity.code.block import Block, entered_blocks
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.live.owners import Reach
from consist_es.identity.text.exposed import surely_bound_first
from consist_es.identity.text.mentions import mentions
from consist_es.steps.pending import Pending

_FIXED = (str, bytes, int, float, complex, bool, type(None), type(...), PurePath, range, slice, Artifact, Pending)
_LEAVES = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.YieldFrom, ast.Await)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class LeftBehind:
    """What the rest of a block may do to the code around it."""

    def __init__(self, frame: types.FrameType, root: Path) -> None:
        blocks = entered_blocks(frame, root)
        self._block: Block | None = blocks[0] if len(blocks) == 1 and blocks[0].statements else None
        self._changed = [] if self._block is None else _changeable(self._block)

    def names(self) -> list[str]:
        """The names; ``…`` if they cannot be told."""
        block = self._block
        if block is None or any(isinstance(node, _LEAVES) for node in _nodes(block.statements)):
            return ["…"]
        bound = {*block.given, *(name for node in _nodes(block.statements) for name in _bound(node))}
        return sorted({*self._changed, *(name for name in bound if _is_read_outside(name, block))})


def _nodes(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    return itertools.chain.from_iterable(map(ast.walk, statements))


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.ExceptHandler(name=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            yield from ((item.asname or item.name).partition(".")[0] for item in names)


# ---------------------------------------------------------------- values that the block may change


def _changeable(block: Block) -> list[str]:
    scope = {**block.frame.f_globals, **block.frame.f_locals}
    return [name for name in sorted(block.names() & scope.keys()) if not _is_safe(scope[name])]


def _is_safe(value: Any) -> bool:
    """True if nothing that code does with the value can be seen by others."""
    if isinstance(value, _FIXED):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(_is_safe, value))
    if isinstance(value, types.ModuleType):
        return not is_first_party(file_of(value) or "")
    if is_ours(type(value).__module__) or is_ours(getattr(value, "__module__", None) or ""):
        return True  # the tracker, the scenario, its coupler: what is set in those is forecast
    if isinstance(value, types.FunctionType):
        return _is_pure(value)
    return isinstance(value, type | types.BuiltinFunctionType | types.BuiltinMethodType)


def _is_pure(fn: types.FunctionType) -> bool:
    """True if a function, and what it calls, names nothing that it could change."""
    reach = Reach(fn, {})
    if any(mentions(item.__code__).stores or mentions(item.__code__).sets for item in reach.functions):
        return False
    return not reach.over and all(owner.kind == "module" for owner in reach.owners.values())


# ---------------------------------------------------------------- reads of what the block binds


def _is_read_outside(name: str, block: Block) -> bool:
    assert block.source is not None  # it has statements
    first, last = block.statements[0].lineno, block.statements[-1].end_lineno or 0
    return any(not first <= line <= last for line in _reads(name, block.source.tree))


def _reads(name: str, node: ast.AST) -> Iterator[int]:
    """Lines that load the name, but for those where it has surely been bound just before: in a function that binds it
    itself, or in the block of another ``with``."""
    if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Store):
        yield node.lineno
    if isinstance(node, ast.With):
        given = {item.id for each in node.items for item in ast.walk(each) if isinstance(item, ast.Name)}
        if name in surely_bound_first(node.body, given) and not any(_reads_in_heads(name, node)):
            return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS) and _is_own(name, child):
            continue
        yield from _reads(name, child)


def _reads_in_heads(name: str, node: ast.With) -> Iterator[int]:
    return itertools.chain.from_iterable(_reads(name, item.context_expr) for item in node.items)


def _is_own(name: str, fn: ast.AST) -> bool:
    """True if a function binds the name itself before it reads it."""
    assert isinstance(fn, _FUNCTIONS)
    every = [*fn.args.posonlyargs, *fn.args.args, *fn.args.kwonlyargs, *filter(None, (fn.args.vararg, fn.args.kwarg))]
    if name in {item.arg for item in every}:
        return True
    if isinstance(fn, ast.Lambda) or any(
        isinstance(n, ast.Global | ast.Nonlocal) and name in n.names for n in ast.walk(fn)
    ):
        return False
    return name in surely_bound_first(fn.body, ())
