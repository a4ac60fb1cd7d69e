"""What a function with a cache computes its results from: the values that it and the functions that it calls name.

If one of them is set after a result was cached, the result is stale: it is not what the function would give now.
"""

import functools
import types
from collections.abc import Iterator
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.text.bytecode import global_names
from consist_es.identity.text.names import BODY
from consist_es.identity.text.source import digest_plain, load_source
from consist_es.values.encoding import is_same
from consist_es.values.plain import to_plain, type_name

WRAPPER = type(functools.lru_cache(len))
"""Type of functions with a cache."""


def basis_of(wrapper: Any, without: str = "") -> tuple[str, bool]:
    """Digest of the values, and True if none of them differs from the literal that its module gives it.

    `without`: name of the variable that is the cache.
    """
    found = [item for item in _values(wrapper, set()) if item[1].partition(" ")[0] != without]
    as_written = all(_is_as_written(fn, name, form) for fn, name, form in found)
    return digest_plain([[fn.__module__ or "", fn.__qualname__, name, form] for fn, name, form in found]), as_written


def _values(value: Any, seen: set[int]) -> Iterator[tuple[types.FunctionType, str, Any]]:
    """Function, name and form of each value, of those functions that are reached by names."""
    fn = getattr(value, "__wrapped__", value) if type(value) is WRAPPER else value
    if not isinstance(fn, types.FunctionType) or id(fn) in seen:
        return
    seen.add(id(fn))
    names = sorted(fn.__globals__.keys() & set(global_names(fn.__code__)))
    cells = zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False)
    held = [*((name, fn.__globals__[name]) for name in names)]
    held += [(f"{name} of the closure", cell.cell_contents) for name, cell in cells if cell != types.CellType()]
    held += [("defaults", [list(fn.__defaults__ or ()), dict(fn.__kwdefaults__ or {})])]
    for name, item in held:
        if isinstance(item, types.FunctionType) or type(item) is WRAPPER:
            yield from _values(item, seen)
        elif not isinstance(item, (types.ModuleType, types.BuiltinFunctionType, type)):
            yield fn, name, _form(item)


def _form(value: Any) -> list[Any]:
    """Type and plain form of a value; the type alone if it has no plain form."""
    try:
        return [type(value).__name__, to_plain(value, ordered=True)]
    except (ConfigTypeError, ConfigValueError):
        return [type_name(type(value))]


def _is_as_written(fn: types.FunctionType, name: str, form: Any) -> bool:
    source = load_source(fn.__code__.co_filename)
    literal = None if source is None else BODY.of(source).constants.get(name)
    return literal is None or is_same(form, literal)
