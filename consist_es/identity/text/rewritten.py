"""Finds the text of functions in which pytest rewrote the asserts."""

import ast
import dis
import functools
import types
from typing import Any

from consist_es.identity.text.bytecode import essence
from consist_es.identity.text.source import Function, Source

_MARK = "@py"
"""Begins the names that pytest's rewritten asserts use."""


def node_of(source: Source, code: types.CodeType) -> Function | None:
    """The node that a function was compiled from, also if its asserts were rewritten since; None if the file no longer
    matches the loaded code."""
    return source.find(code) or _before_rewriting(source, code)


# cached: a step is looked at again and again
@functools.lru_cache(maxsize=1024)
def _before_rewriting(source: Source, code: types.CodeType) -> Function | None:
    if not is_rewritten(code):
        return None
    for other in source.namesakes(code):
        node = source.find(other)
        if node is not None and _said(code, node) == _said(other, node):
            return node
    return None


def _said(code: types.CodeType, node: ast.AST) -> list[Any]:
    """The instructions of a function, without those of its asserts."""
    asserts = {
        line
        for item in ast.walk(node)
        if isinstance(item, ast.Assert)
        for line in range(item.lineno, (item.end_lineno or item.lineno) + 1)
    }
    found: list[Any] = []
    for item in dis.get_instructions(code):
        line = item.positions.lineno if item.positions else None
        if line in asserts or item.opname in _NO_MATTER:
            continue
        value = None if item.opcode in dis.hasjrel or item.opcode in dis.hasjabs else item.argval
        found.append([item.opname, item.positions, _value(value)])
    return found


_NO_MATTER = frozenset({"NOP", "EXTENDED_ARG", "MAKE_CELL", "COPY_FREE_VARS", "RESUME"})


def _value(value: Any) -> Any:
    return essence(value) if isinstance(value, types.CodeType) else repr(value)


def is_rewritten(code: types.CodeType) -> bool:
    """True if pytest rewrote asserts of this function."""
    return any(name.startswith(_MARK) for name in (*code.co_names, *code.co_varnames))
