"""The code of a ``with`` block: its statements, and what they read from around them.

A block is found by the instruction that enters it. If a trace is entered by other means, such as
``ExitStack.enter_context``, or its block yields to unknown code, the run is never reused.
"""

import ast
import contextlib
import dis
import functools
import inspect
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.identity.code.visitor import Visitor
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.left_out_values import is_object
from consist_es.identity.live.modules import file_label
from consist_es.identity.text.bytecode import essence, global_names
from consist_es.identity.text.exposed import surely_bound_first
from consist_es.identity.text.source import Source, digest_plain, load_source
from consist_es.identity.text.variables import named_parts

_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS")
_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_MANAGER_ENTERS = contextlib._GeneratorContextManager.__enter__.__code__
Spot = tuple[int | None, int | None, int | None, int | None]
"""First line, first column, last line, last column."""


class Block:
    """A block that a frame is about to enter."""

    def __init__(self, frame: types.FrameType, root: Path) -> None:
        self.frame, self.code = frame, frame.f_code
        self.source = load_source(self.code.co_filename)
        self.place = _place(self.code, root)
        self.statements: tuple[ast.stmt, ...] = ()
        """The statements inside it; empty if the source differs from the loaded code."""
        self.given: set[str] = set()
        """Names bound by entering it."""
        enters = _enters(self.code, frame.f_lasti)
        self.is_with = bool(enters)
        """True if a ``with`` statement enters it."""
        if self.source is not None:
            self._find(self.source, enters)
            self.is_with = bool(self.statements) or (self.is_with and not self.source.has(self.code))

    def _find(self, source: Source, enters: Sequence[Spot]) -> None:
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.With) or (index := _entered_item(node, enters)) is None:
                continue
            target, statements = node.items[index].optional_vars, _inside(node, index)
            if source.has(self.code) or any(
                _is_same(self.code, code, statements) for code in source.namesakes(self.code)
            ):
                self.given = set() if target is None else _stored(target)
                self.statements = statements

    @property
    def yields(self) -> bool:
        """True if other code may run in the middle of it."""
        return any(map(_yields, self.statements)) if self.statements else bool(self.code.co_flags & _GENERATOR)

    def names(self) -> set[str]:
        """Names that it reads before it surely binds them; their values count."""
        read = {name for item in self.instructions() for name in _read(item)}
        return read - surely_bound_first(self.statements, self.given) if self.statements else read

    def instructions(self) -> list[dis.Instruction]:
        """Its instructions; without a source, all after the one that enters it."""
        if self.statements:
            return _instructions(self.code, self.statements)
        return [item for item in dis.get_instructions(self.code) if item.offset > self.frame.f_lasti]


class Around(NamedTuple):
    """Stands for a block that no ``with`` statement bounds, such as what follows ``begin_run()``."""

    frame: types.FrameType
    """The frame that begins it."""


Entry = types.FrameType | Around
"""Where a block is entered."""


class Rest(Block):
    """What a frame does from where it stands: such a block ends wherever its code says so."""

    def __init__(self, frame: types.FrameType, root: Path) -> None:
        self.frame, self.code = frame, frame.f_code
        self.source = load_source(self.code.co_filename)
        self.place = _place(self.code, root)
        self.statements, self.given, self.is_with = (), set(), True

    @property
    def yields(self) -> bool:
        return bool(self.code.co_flags & (_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE))

    def names(self) -> set[str]:
        """As of a block; local variables without a value are no variables of the module."""
        own = {*self.code.co_varnames, *self.code.co_cellvars, *self.code.co_freevars}
        return super().names() - (own - self.frame.f_locals.keys())


def blocks_at(entry: Entry, root: Path) -> list[Block]:
    """The blocks of `entered_blocks`; without a ``with`` statement, the rest of each frame of the project, outermost
    last: any of them may go on before the block ends."""
    if not isinstance(entry, Around):
        return entered_blocks(entry, root)
    found: list[Block] = []
    frame: types.FrameType | None = entry.frame
    while frame is not None and (not found or is_first_party(frame.f_code.co_filename)):
        found.append(Rest(frame, root))
        frame = frame.f_back
    return found


def entering_frame() -> types.FrameType:
    """The frame that enters the `WithBlock` calling this; three up, behind `_begin` and `__enter__`."""
    return sys._getframe(3)


def entered_blocks(frame: types.FrameType, root: Path) -> list[Block]:
    """The block that `frame` is about to enter. Inside a `contextlib.contextmanager` of the user, also the block that
    runs while that yields, and so on, outermost last."""
    found = [Block(frame, root)]
    while found[-1].is_with and found[-1].yields and (around := _managed(found[-1].frame)) is not None:
        found.append(Block(around, root))
    return found


def _managed(frame: types.FrameType) -> types.FrameType | None:
    """The frame that enters the context manager of this generator."""
    enter = frame.f_back
    return enter.f_back if enter is not None and enter.f_code is _MANAGER_ENTERS else None


def _place(code: types.CodeType, root: Path) -> str:
    return f"{file_label(code.co_filename, root)}:{code.co_qualname}"


def _user_code(frame: types.FrameType) -> types.CodeType:
    """The code that asked `contextlib` to enter something."""
    while frame.f_code.co_filename == contextlib.__file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code


def visit_blocks(visitor: Visitor, blocks: Sequence[Block]) -> Any:
    """Visit the blocks of `entered_blocks`; returns their plain reference."""
    for number, block in enumerate(blocks[:-1], start=1):
        _visit(visitor, block, f"manager {number}")
    label = _visit(visitor, blocks[-1], "block")
    if not blocks[-1].is_with:
        place = _place(_user_code(blocks[-1].frame), visitor.root)
        visitor.unstable.append(
            f"{place} enters trace() without a `with` statement around the block, so its code is not known; "
            "write `with tracker.trace(...):` there, or in a function made with contextlib.contextmanager"
        )
    elif blocks[-1].yields or any(isinstance(block, Rest) and block.yields for block in blocks):
        visitor.unstable.append(
            f"the {label} yields to code that is not known; leave the block before you yield, or write it in a "
            "function made with contextlib.contextmanager"
        )
    return {"$block": label}


def _visit(visitor: Visitor, block: Block, what: str) -> str:
    """Visit one block; returns the label of its parts."""
    code, frame, source, label = block.code, block.frame, block.source, f"{what} in {block.place}"
    if not block.is_with:
        visitor.parts[label] = digest_plain(essence(code))
        return label
    if source is None or not block.statements:
        # the same code may hold several blocks: the frame's position tells them apart
        visitor.parts[label] = digest_plain([essence(code), frame.f_lasti])
        node: ast.AST | None = None
    else:
        node = ast.Module(body=list(block.statements), type_ignores=[])
        visitor.parts[label] = source.digest_of(*block.statements)
        visitor.parts |= named_parts(source, *block.statements)
    if visitor.follow and code.co_filename != visitor.own:
        visitor.modules.follow_loaded(str(frame.f_globals.get("__name__", "")), code.co_filename)
    names = block.names()
    local = {name: value for name, value in frame.f_locals.items() if name in names}
    if visitor.left_out.objects:
        for name in [name for name, value in local.items() if is_object(value)]:
            visitor.code_of(local.pop(name), f"captured {name} of {label}")
            names.discard(name)
    visitor.read_names(names, {**frame.f_globals, **local}, label, node, source)
    return label


# ---------------------------------------------------------------- where a frame stands


def _enters(code: types.CodeType, at: int) -> list[Spot]:
    """Positions of the instructions up to `at` that enter a ``with`` block; empty if the last one enters none."""
    found: list[Spot] = []
    last, enters = "", False
    for item in dis.get_instructions(code):
        if item.offset > at:
            break
        # from Python 3.14 on, the method is loaded by one instruction and called by the next
        enters = item.opname == "BEFORE_WITH" or (item.opname == "CALL" and last == "LOAD_SPECIAL")
        last = item.opname
        if enters and (spot := item.positions) is not None:
            found.append((spot.lineno, spot.col_offset, spot.end_lineno, spot.end_col_offset))
    return found if enters else []


def _entered_item(node: ast.With, enters: Sequence[Spot]) -> int | None:
    """Index of the item of this statement that the last instruction enters. Up to Python 3.12 the position of each is
    the whole statement, so they are counted; a statement in a ``finally`` block is compiled more than once."""
    if enters and enters[-1] == _spot(node):
        return (enters.count(_spot(node)) - 1) % len(node.items)
    heads = [_spot(item.context_expr) for item in node.items]
    return heads.index(enters[-1]) if enters and enters[-1] in heads else None


def _spot(node: ast.stmt | ast.expr) -> Spot:
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


@functools.lru_cache(maxsize=1024)
def _inside(node: ast.With, index: int) -> tuple[ast.stmt, ...]:
    """The code inside an item of a ``with`` statement: the items after it, and the body."""
    items = node.items[index + 1 :]
    if not items:
        return tuple(node.body)
    first = items[0].context_expr
    rest = ast.With(items=items, body=node.body, lineno=first.lineno, col_offset=first.col_offset)
    rest.end_lineno = node.end_lineno
    return (rest,)


# ---------------------------------------------------------------- what a block reads


def _stored(target: ast.expr) -> set[str]:
    return {name.id for name in ast.walk(target) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


def _yields(node: ast.AST) -> bool:
    """True if a statement itself yields, not only a function that it defines."""
    if isinstance(node, (ast.Yield, ast.YieldFrom)):
        return True
    return not isinstance(node, _SCOPES) and any(map(_yields, ast.iter_child_nodes(node)))


def _instructions(code: types.CodeType, statements: Sequence[ast.stmt]) -> list[dis.Instruction]:
    """The instructions from the lines of `statements`."""
    lines = range(statements[0].lineno, (statements[-1].end_lineno or 0) + 1)
    found = [(item.positions.lineno if item.positions else None, item) for item in dis.get_instructions(code)]
    return [item for line, item in found if line in lines]


def _is_same(code: types.CodeType, other: types.CodeType, statements: Sequence[ast.stmt]) -> bool:
    """True if two codes do the same in the lines of `statements`; pytest rewrites functions around them."""
    one, two = ([_said(item) for item in _instructions(each, statements)] for each in (code, other))
    return one == two


def _said(item: dis.Instruction) -> list[Any]:
    value = item.argval
    if item.opcode in dis.hasjrel or item.opcode in dis.hasjabs:
        value = None  # a jump's target follows from the instructions there
    return [item.opname, item.positions, essence(value) if isinstance(value, types.CodeType) else repr(value)]


def _read(item: dis.Instruction) -> Iterable[str]:
    """Names that an instruction reads, including those of a function or comprehension that it makes."""
    if isinstance(item.argval, types.CodeType):
        return (*global_names(item.argval), *item.argval.co_freevars)
    if not item.opname.startswith(_READS):
        return ()
    return item.argval if isinstance(item.argval, tuple) else (str(item.argval),)
