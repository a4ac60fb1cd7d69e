"""Code objects as identity sees them, for functions whose source is gone or no longer says what is loaded."""

import dis
import functools
import sys
import types
from typing import Any

from consist_es.plain import to_plain

_OUTER = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL"}


def essence(code: types.CodeType) -> list[Any]:
    """Plain form of what the code does, without names of files and positions.

    It holds instructions of this Python version, and says so: another version gives another identity.
    """
    constants = [essence(item) if isinstance(item, types.CodeType) else to_plain(item) for item in code.co_consts]
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    tables = [code.co_code.hex(), code.co_exceptiontable.hex()]
    return [sys.implementation.cache_tag, code.co_name, counts, tables, [list(item) for item in names], constants]


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Names that the code, and what is nested in it, takes from its module or the builtins; sorted."""
    return tuple(sorted(_names(code)))


def _names(code: types.CodeType) -> set[str]:
    found = {str(item.argval) for item in dis.get_instructions(code) if item.opname in _OUTER}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found - {"__name__", "__qualname__", "__module__"}


@functools.lru_cache(maxsize=4096)
def imported_names(code: types.CodeType) -> tuple[str, ...]:
    """Modules that the code, and what is nested in it, imports, as written, with leading dots; and what may be one."""
    found: list[str] = []
    steps = [item for item in dis.get_instructions(code) if item.opname != "EXTENDED_ARG"]
    for place, item in enumerate(steps):
        if item.opname == "IMPORT_NAME":
            level, names = steps[place - 2].argval, steps[place - 1].argval
            base = "." * level + str(item.argval)
            found += [base, *(base + ("" if base.endswith(".") else ".") + name for name in names or () if name != "*")]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += imported_names(constant)
    return tuple(dict.fromkeys(found))
