"""Reads code objects for identity, if a function's source is gone or differs from the loaded code."""

import dis
import functools
import struct
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from blake3 import blake3

from consist_es.values.plain import to_plain

_OUTER = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL"}


def essence(code: types.CodeType) -> list[Any]:
    """Plain form of what the code does, without names of files and positions.

    It holds the instructions and tag of this Python version: another version gives another identity.
    """
    constants = [essence(item) if isinstance(item, types.CodeType) else to_plain(item) for item in code.co_consts]
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    tables = [code.co_code.hex(), code.co_exceptiontable.hex()]
    return [sys.implementation.cache_tag, code.co_name, counts, tables, [list(item) for item in names], constants]


@functools.lru_cache(maxsize=4096)
def global_names(code: types.CodeType) -> tuple[str, ...]:
    """Names that the code and its nested code take from the module or builtins; sorted."""
    return tuple(sorted(_names(code)))


def _names(code: types.CodeType) -> set[str]:
    found = {str(item.argval) for item in dis.get_instructions(code) if item.opname in _OUTER}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found - {"__name__", "__qualname__", "__module__"}


def nested_codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """A code object and all nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested_codes(constant)


def code_digest(code: types.CodeType, all_digests: list[tuple[types.CodeType, bytes]] | None = None) -> bytes:
    """Digest that two code objects of one version of Python share exactly if they are equal, in any process.

    Adds the digests of the code and all nested code to `all_digests`.
    """
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_firstlineno)
    names = (code.co_name, code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
    spots = [number for number, item in enumerate(code.co_consts) if isinstance(item, types.CodeType)]
    inner = [code_digest(code.co_consts[number], all_digests) for number in spots]
    rest = [None if isinstance(item, types.CodeType) else item for item in code.co_consts] if spots else code.co_consts
    parts = [repr((counts, names, spots)).encode("utf-8", "surrogatepass"), code.co_code, code.co_linetable]
    parts += [code.co_exceptiontable, *inner, _constants(rest)]
    lengths = ",".join([str(len(part)) for part in parts]).encode()
    digest: bytes = blake3(b";".join([lengths, *parts])).digest(length=16)
    if all_digests is not None:
        all_digests.append((code, digest))
    return digest


_PLAIN = {int, float, bool, str, bytes, type(None), type(...)}


def _constants(values: Sequence[Any]) -> bytes:
    """Bytes for constants, types included."""
    if all(type(item) in _PLAIN or (type(item) is tuple and _PLAIN.issuperset(map(type, item))) for item in values):
        return repr(list(values)).encode("utf-8", "surrogatepass")  # repr tells all these apart
    return _constant(tuple(values))


def _constant(value: Any) -> bytes:
    """Bytes for a constant, type included."""
    kind = type(value)
    if kind is types.CodeType:
        return code_digest(value)
    if kind is tuple or kind is frozenset:
        parts = [_constant(item) for item in value]
        if kind is frozenset:
            parts.sort()  # their order differs between processes
        lengths = [str(len(part)) for part in parts]
        return b"%b%b;%b" % (kind.__name__.encode(), ",".join(lengths).encode(), b"".join(parts))
    if kind is complex:  # repr does not always show the signs of zeros
        return struct.pack(">dd", value.real, value.imag) + b"complex"
    return f"{kind.__name__} {value!r}".encode("utf-8", "surrogatepass")


@functools.lru_cache(maxsize=4096)
def imported_names(code: types.CodeType) -> tuple[str, ...]:
    """Modules that the code and its nested code import, as written, with leading dots; also possible ones."""
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
