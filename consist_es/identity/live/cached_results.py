"""Reads the results that functions with a cache hold from before a step: what they were made from, nobody saw.

A function that can only compute gives the same result whoever asks: its code counts, and its results are left out,
unless a value that it computes from has been set since: then they may be stale. Left out is also a result that was
cached while a step ran: what the step read for it is known, and a later step inherits these reads
(`consist_es.observe.keeping`). So a step has the same identity whether an earlier one was computed or reused.
"""

import functools
import gc
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.live.cache_basis import WRAPPER, basis_of
from consist_es.identity.text.bytecode import global_names, imported_names
from consist_es.identity.text.source import digest_plain
from consist_es.values.encoding import is_itself
from consist_es.values.plain import MAX_KEY, MAX_KEYS, to_plain, type_name

_OPENING = frozenset({"__import__", "compile", "eval", "exec", "globals", "input", "open", "vars"})
_COMPUTING = ("collections", "decimal", "fractions", "functools", "itertools", "math", "operator", "re", "statistics")
"""Modules that read nothing."""
_KNOWN = (bool, bytes, complex, dict, float, frozenset, int, list, range, set, slice, str, tuple)
"""Types with methods that read nothing."""
_MOST = 10_000
"""Results looked at; a function with more keeps single values of a computation, not data."""


class _Seen:
    """Which entries of one cache were there before a step, and which were filled by one: id of the key -> key, so that
    no id comes back."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.within: dict[int, Any] = {}
        self.basis: str | None = None
        """Of what they were computed; None if that is not known yet."""
        self.stale = False
        """True if that changed since."""


_seen: "weakref.WeakKeyDictionary[Any, _Seen]" = weakref.WeakKeyDictionary()


def results_from_before(wrapper: Any, *, is_own: Callable[[Any], bool]) -> list[Any]:
    """Plain forms of results, and objects of the project's classes, in an order that use does not change. Other objects
    are left out, as no form of them says what they hold."""
    if is_empty(wrapper):  # most are, and whether one may read takes long to say
        return []
    if not may_read(wrapper, set()) and not _is_stale(wrapper):
        return []
    seen = _seen.setdefault(wrapper, _Seen())
    if seen.stale:
        seen.within = {}
    entries = {id(key): (key, result) for key, result in _entries(wrapper)}
    seen.within = {number: key for number, key in seen.within.items() if number in entries}
    seen.before = {number: key for number, (key, _) in entries.items() if number not in seen.within}
    found: list[tuple[str, Any]] = []
    for number in seen.before:
        key, result = entries[number]
        if (form := _form(result)) is not None:
            found.append((digest_plain([_form(key), form]), form))
        elif is_own(type(result)):
            found.append((digest_plain([_form(key), type_name(type(result))]), result))
    return [form for _, form in sorted(found, key=lambda item: item[0])]


def _is_stale(wrapper: Any) -> bool:
    """True if a value that the results were computed from has been set since, as far as that can be told."""
    seen = _seen.get(wrapper)
    basis, is_as_written = basis_of(wrapper)
    if seen is None:
        seen = _seen[wrapper] = _Seen()
        seen.stale = not is_as_written  # filled before the first step
    elif seen.basis not in (None, basis):
        seen.stale = True
    seen.basis = basis
    return seen.stale


def is_empty(wrapper: Any) -> bool:
    """True if a function has no result yet; those that it gets from now on are from within a step."""
    if empty := not wrapper.cache_info().currsize:
        _seen[wrapper] = _Seen()
    return empty


def step_ended() -> None:
    """Note that what was cached since the step's identity was taken, was cached by it."""
    for wrapper, seen in list(_seen.items()):
        seen.within = {id(key): key for key, _ in _entries(wrapper) if id(key) not in seen.before}
        if seen.within and seen.basis is None:
            seen.basis, _ = basis_of(wrapper)


def may_read(value: Any, seen: set[int], harmless: frozenset[str] = frozenset()) -> bool:
    """True unless all that a function names, and calls in turn, can only compute.

    `harmless`: names of attributes that hold plain data.
    """
    fn = getattr(value, "__wrapped__", value) if type(value) is WRAPPER else value
    if not isinstance(fn, types.FunctionType):
        return _is_open(value)
    if id(fn) in seen:
        return False
    seen.add(id(fn))
    named = set(global_names(fn.__code__))
    if not (_attributes(fn.__code__) - named - harmless <= _harmless()) or set(imported_names(fn.__code__)) - {
        *_COMPUTING
    }:
        return True
    names = fn.__globals__.keys() & named
    given = [*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values()]
    held = [*(fn.__globals__[name] for name in names), *given]
    held += [cell.cell_contents for cell in fn.__closure__ or () if cell != types.CellType()]
    return not _OPENING.isdisjoint(named) or any(may_read(item, seen, harmless) for item in held)


def _is_open(value: Any) -> bool:
    """True for a value, other than a function, that may lead to a file: all but modules that compute, and plain
    data."""
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0] not in _COMPUTING
    if isinstance(value, types.BuiltinFunctionType):
        return value.__name__ in _OPENING
    return not _is_plain(value) and _form(value) is None


def _is_plain(value: Any, left: int = 4) -> bool:
    """True if it is quickly shown that a value has a plain form."""
    kind = type(value)
    if kind is dict and left and len(value) <= MAX_KEYS:
        named = all(type(key) is str and len(key) <= MAX_KEY and key.isascii() for key in value)
        return named and all(_is_plain(item, left - 1) for item in value.values())
    if kind in (list, tuple) and left:
        return all(_is_plain(item, left - 1) for item in value)
    return is_itself(value)


@functools.cache
def _harmless() -> frozenset[str]:
    """Attributes of values and modules that read nothing."""
    modules = [sys.modules[name] for name in _COMPUTING if name in sys.modules]
    return frozenset(name for item in (*_KNOWN, *modules) for name in dir(item) if name[:2] != "__")


def _attributes(code: types.CodeType) -> set[str]:
    inner = [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return {*code.co_names}.union(*map(_attributes, inner))


def _form(value: Any) -> Any:
    """The plain form of a value in a list, None if it has none."""
    try:
        return [to_plain(value, ordered=True)]
    except (ConfigTypeError, ConfigValueError):
        return None


def _entries(wrapper: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and results. Only the garbage collector can reach them: the dictionary of keys, and, if the cache has a
    limit, each key followed by its result."""
    count = wrapper.cache_info().currsize
    if not 0 < count <= _MOST:
        return
    held = gc.get_referents(wrapper)
    is_limited = wrapper.cache_parameters()["maxsize"] is not None
    cache = next((item for item in held if type(item) is dict and _is_cache(item, wrapper, is_limited)), {})
    if not is_limited:
        yield from list(cache.items())
        return
    keys, at = {id(key) for key in cache}, 0
    while at < len(held) - 1:
        if id(held[at]) in keys:
            yield held[at], held[at + 1]
            at += 1  # a result may be the key of another one
        at += 1


def _is_cache(found: dict[Any, Any], wrapper: Any, is_limited: bool) -> bool:
    """True for the dictionary of keys. A result may be a dictionary of the same size, but only that of a cache with a
    limit holds links; a cache without one shows no results beside it."""
    if is_limited:
        return all(type(item).__name__ == "_lru_list_elem" for item in found.values()) and bool(found)
    return found is not vars(wrapper)
