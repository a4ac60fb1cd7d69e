"""Names whose values are not those of a real run once a block was left early, as far as other code can see them.

Judged on entry, from the block's text and the values that it names. In doubt a name is listed: then forecasts of later
steps stay open, which is never wrong.
"""

from __future__ import annotations

import ast
import itertools
import types
from collections.abc import Iterable, Iterator, Sequence
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
        bound = {*block.given, *itertools.chain.from_iterable(map(_bound, _nodes(block.statements)))}
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
    if block.source is None:
        return True
    inside = range(block.statements[0].lineno, (block.statements[-1].end_lineno or 0) + 1)
    return any(line not in inside for line in _reads(name, block.source.tree, inside))


def _reads(name: str, node: ast.AST, inside: range) -> Iterator[int]:
    """Lines that load the name, but for those before which it has surely been bound: in another function that binds it
    itself, or in another ``with`` block. `inside`: the lines of the block in question."""
    if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Store):
        yield node.lineno
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.With) and not _holds(node, inside):
        targets = [item.optional_vars for item in node.items if item.optional_vars is not None]
        if name in surely_bound_first(node.body, {bound for each in targets for bound in _bound_in(each)}):
            children = node.items
    for child in children:
        if not isinstance(child, _FUNCTIONS) or _holds(child, inside) or not _is_own(name, child):
            yield from _reads(name, child, inside)


def _holds(node: ast.stmt | ast.expr, inside: range) -> bool:
    return node.lineno <= inside.start and inside.stop - 1 <= (node.end_lineno or 0)


def _bound_in(node: ast.AST) -> Iterator[str]:
    return itertools.chain.from_iterable(map(_bound, ast.walk(node)))


def _is_own(name: str, fn: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """True if a function binds the name itself before it reads it."""
    every = [*fn.args.posonlyargs, *fn.args.args, *fn.args.kwonlyargs, *filter(None, (fn.args.vararg, fn.args.kwarg))]
    if name in {item.arg for item in every}:
        return True
    outer = (item for item in ast.walk(fn) if isinstance(item, ast.Global | ast.Nonlocal))
    if isinstance(fn, ast.Lambda) or any(name in item.names for item in outer):
        return False
    return name in surely_bound_first(fn.body, ())
