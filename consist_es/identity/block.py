"""The code of a ``with`` block: its statements, and what they read from around them."""

import ast
import dis
import types
from collections.abc import Iterable, Iterator
from typing import Any

from consist_es.identity.bytecode import essence, global_names
from consist_es.identity.exposed import surely_bound_first
from consist_es.identity.modules import file_label
from consist_es.identity.source import Source, digest_plain, load_source
from consist_es.identity.variables import variable_parts
from consist_es.identity.visitor import Visitor

_READS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS")


def visit_block(visitor: Visitor, frame: types.FrameType) -> Any:
    """Visit the block that `frame` is about to enter; its plain reference."""
    code = frame.f_code
    source = load_source(code.co_filename)
    node = None if source is None else _with_at(source, frame.f_lineno)
    label = f"{file_label(code.co_filename, visitor.root)}:{code.co_qualname}"
    if source is None or node is None or not source.has(code):
        # the same code may hold several blocks: where in it the frame stands tells them apart
        visitor.parts[label] = digest_plain([essence(code), frame.f_lasti])
        names = set(global_names(code)) | set(code.co_freevars)
        block: ast.AST | None = None
    else:
        label = f"block in {label}"
        block = ast.Module(body=node.body, type_ignores=[])
        visitor.parts[label] = source.digest_of(*node.body)
        visitor.parts |= variable_parts(source, *node.body)
        last = node.body[-1].end_lineno or node.lineno
        names = set(_read(code, node.body[0].lineno, last)) - _bound_first(node)
    local = {name: value for name, value in frame.f_locals.items() if name in names}
    visitor.read_names(names, {**frame.f_globals, **local}, label, block, source)
    return {"$block": label}


def _with_at(source: Source, line: int) -> ast.With | ast.AsyncWith | None:
    """The innermost ``with`` whose head holds this line."""
    found = None
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.With, ast.AsyncWith)):
            head = max(item.context_expr.end_lineno or 0 for item in node.items)
            if node.lineno <= line <= head:
                found = node
    return found


def _read(code: types.CodeType, first: int, last: int) -> Iterator[str]:
    """Names that the instructions of some lines read, with those of functions and comprehensions made there."""
    for item in dis.get_instructions(code):
        line = item.positions.lineno if item.positions is not None else None
        if line is None or not first <= line <= last:
            continue
        if item.opname.startswith(_READS):
            yield from _names(item.argval)
        elif isinstance(item.argval, types.CodeType):
            yield from global_names(item.argval)
            yield from item.argval.co_freevars


def _names(argument: Any) -> Iterable[str]:
    return argument if isinstance(argument, tuple) else (str(argument),)


def _bound_first(node: ast.With | ast.AsyncWith) -> set[str]:
    """Names that the block surely binds before it reads them: what they were before does not count."""
    heads = [item.optional_vars for item in node.items if item.optional_vars]
    given = {name.id for head in heads for name in ast.walk(head) if isinstance(name, ast.Name)}
    return surely_bound_first(node.body, given)
