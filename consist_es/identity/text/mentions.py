"""Collects the names in bytecode, by how they are used."""

import dis
import functools
import types
from typing import NamedTuple


class Mentions(NamedTuple):
    """The names in a code object and its nested code."""

    loads: frozenset[str]
    """Looked up in the module or the builtins."""
    stores: frozenset[str]
    """Bound in the module, by ``global``."""
    names: frozenset[str]
    """All of these, attributes and imported modules."""
    gets: frozenset[str]
    """Attributes that are read."""
    sets: frozenset[str]
    """Attributes that are bound or deleted."""
    imports: frozenset[str]
    """Modules, as written in the import statement."""
    cells: frozenset[str]
    """Variables of enclosing functions, bound or deleted by ``nonlocal``."""


@functools.lru_cache(maxsize=4096)
def mentions(code: types.CodeType) -> Mentions:
    """The names in some code."""
    found: dict[str, set[str]] = {name: set() for name in Mentions._fields}
    for item in dis.get_instructions(code):
        if (field := _FIELDS.get(item.opname)) is not None:
            found[field].add(str(item.argval))
    found["names"].update(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            for field, names in mentions(constant)._asdict().items():
                found[field] |= names
    return Mentions(**{field: frozenset(names) for field, names in found.items()})


_FIELDS = {
    "LOAD_GLOBAL": "loads", "LOAD_NAME": "loads", "LOAD_FROM_DICT_OR_GLOBALS": "loads", "STORE_GLOBAL": "stores",
    "DELETE_GLOBAL": "stores", "LOAD_ATTR": "gets", "LOAD_METHOD": "gets", "STORE_ATTR": "sets",
    "DELETE_ATTR": "sets", "STORE_DEREF": "cells", "DELETE_DEREF": "cells", "IMPORT_NAME": "imports",
}  # fmt: skip
