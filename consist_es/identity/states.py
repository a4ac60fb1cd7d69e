"""What stands for an object that has no plain form: an installed package's, or one of Python's own.

Nothing is restored from a state. An installed class is asked what it would give to `copy` and `pickle`, since that is
what its author takes an object to be, without caches and locks; a class of the project is never asked, for it may
leave out what a step reads (see `consist_es.identity.objects.state_of`).
"""

import functools
import gc
import io
import logging
import random
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

from consist_es.identity.bytecode import essence
from consist_es.identity.modules import file_of, is_ours
from consist_es.identity.places import is_first_party
from consist_es.plain import type_name

_IGNORED = (
    logging.Logger, logging.LoggerAdapter, logging.Handler, logging.Filter, type(threading.Lock()),
    type(threading.RLock()), threading.Event, threading.Condition, threading.Semaphore, threading.local,
)  # fmt: skip
"""What no result depends on."""
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_CUSTOM = ("__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
_JIT = ("fun", "static_argnums", "static_argnames")
_NUMBA_FUNCTIONS = {"py_func", "_pyfunc", "_dispatcher", "gufunc_builder"}
_NUMBA = (
    *sorted(_NUMBA_FUNCTIONS), "targetoptions", "locals", "_can_compile", "_frozen", "_identity", "_is_dynamic", "_sig",
    "identity", "reorderable", "signature", "writable_args",
)  # fmt: skip
_HASHES = ("_hashlib", "_blake2", "_md5", "_sha1", "_sha2", "_sha3", "_sha256", "_sha512")


def is_ignored(value: Any) -> bool:
    """True for loggers, locks and the like. A class of the project's own may do more, so that it counts."""
    return isinstance(value, _IGNORED) and not is_first_party(file_of(sys.modules.get(type(value).__module__)) or "")


def known_name(value: Any) -> str | None:
    """Name of an object that is known by identity: a standard stream, a ufunc of numpy or scipy."""
    streams = {id(stream): name for name in _STREAMS if (stream := getattr(sys, name, None)) is not None}
    if id(value) in streams:
        return f"sys.{streams[id(value)]}"
    if type_name(type(value)) != "numpy.ufunc":
        return None
    here = [getattr(sys.modules.get(module), value.__name__, None) for module in ("numpy", "scipy.special")]
    return f"numpy.{value.__name__}" if any(item is value for item in here) else None


def is_by_name(value: Any) -> bool:
    """True if an installed module has exactly this function, class or callable under its own name."""
    name, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    module = sys.modules.get(name) if isinstance(name, str) else None
    if module is None or name == "__main__" or not isinstance(qualname, str) or is_first_party(file_of(module) or ""):
        return False
    found: Any = module
    for part in qualname.split("."):
        try:
            found = vars(found).get(part)
        except TypeError:
            return False
    return getattr(found, "__func__", found) is value


def is_global_random(value: Any) -> bool:
    """True for the generators behind the functions of `random` and `numpy.random`."""
    numpy = getattr(sys.modules.get("numpy.random"), "mtrand", None)
    return value is getattr(random, "_inst", None) or (numpy is not None and value is getattr(numpy, "_rand", None))


def is_random(value: Any) -> bool:
    """True for a generator of random numbers."""
    kind = type(value)
    return isinstance(value, random.Random) or (
        kind.__module__.startswith("numpy.random") and kind.__name__ != "SeedSequence"
    )


def why_never(value: Any) -> str | None:
    """Why an object cannot be told by its state, None if that may be tried."""
    kind = type(value)
    if is_random(value):
        return "each draw changes what later ones give; make it inside the step, from a seed in the config"
    if isinstance(value, (io.StringIO, io.BytesIO)):
        return None
    if isinstance(value, io.IOBase):
        return "it is an open file; open it inside the step"
    if hasattr(kind, "__next__") or isinstance(value, (types.CoroutineType, types.AsyncGeneratorType)):
        return "reading uses it up; make it inside the step or use a list"
    if kind.__module__ in ("sqlite3", "_sqlite3"):
        return "it is a connection; open it inside the step and declare the file as an input"
    return None


def reduced_state(value: Any) -> list[Any] | None:
    """What an object is made of, for `Visitor.reference`; None if that cannot be had."""
    if (special := _special(value)) is not None:
        return special
    if any(set(_CUSTOM) & vars(base).keys() for base in type(value).__mro__ if _is_unasked(base)):
        return None
    try:
        reduced = value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001  the package's own code may raise anything
        return None
    if isinstance(reduced, str):
        return [getattr(value, "__module__", type(value).__module__), reduced]
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    return [make, list(arguments), state, list(items or ()), [list(pair) for pair in pairs or ()]]


def _is_unasked(base: type) -> bool:
    module = sys.modules.get(base.__module__)
    return base.__module__ == "__main__" or is_ours(base.__module__) or is_first_party(file_of(module) or "")


def _special(value: Any) -> list[Any] | None:
    """The state of types that do not tell it themselves, or that tell what only follows from use."""
    name, root = type_name(type(value)), type(value).__module__.partition(".")[0]
    for kinds, state in _STATES.items():
        if isinstance(value, kinds):
            return [name, *state(value)]
    if name in _BY_TYPE_NAME:
        return [name, *_BY_TYPE_NAME[name](value)]
    if root == "numba":
        return _numba(name, value)
    if root in _HASHES and hasattr(value, "digest"):
        return [name, value.name, value.copy().digest()]
    return None


def _lru_cache(value: Any) -> list[Any]:
    """Options and attributes; what it keeps follows from use."""
    own = {name: item for name, item in vars(value).items() if name not in ("__wrapped__", "cache_parameters")}
    return [value.__wrapped__, value.cache_parameters(), {name: own[name] for name in own if name[:2] != "__"}]


def _jit(value: Any) -> list[Any]:
    """A function compiled by jax: without its caches."""
    state = value.__getstate__()
    key = state.get("global_cache_key")
    options = {name: getattr(key, name) for name in dir(key) if not name.startswith("_")}
    shown = {name: repr(item) if "leaves" in name or "treedef" in name else item for name, item in options.items()}
    return [{name: state.get(name) for name in _JIT}, shown]


def _ufunc(value: Any) -> list[Any]:
    """`np.frompyfunc` keeps its function where only the garbage collector finds it."""
    inside = [item for item in gc.get_referents(value) if callable(item)]
    return [value.__name__, value.nin, value.nout, list(value.types), value.identity, inside]


def _numba(name: str, value: Any) -> list[Any] | None:
    """A function compiled by numba, by what it was declared with: compiled code and signatures follow from use."""
    declared = {part: getattr(value, part) for part in _NUMBA if hasattr(value, part)}
    if _NUMBA_FUNCTIONS & declared.keys():
        fixed = getattr(value, "_frozen", False) or not getattr(value, "_can_compile", True)
        signatures: Any = getattr(value, "overloads", None) or getattr(value, "types", ())
        return [name, declared, [str(item) for item in signatures] if fixed else []]
    return [name, str(value)] if ".types" in name or ".typing" in name else None


_STATES: dict[Any, Callable[[Any], list[Any]]] = {
    types.MappingProxyType: lambda value: [dict(value)],
    types.CodeType: lambda value: [essence(value)],
    (types.MemberDescriptorType, types.GetSetDescriptorType): lambda value: [value.__objclass__, value.__name__],
    property: lambda value: [value.fget, value.fset, value.fdel],
    functools.cached_property: lambda value: [value.func],
    weakref.ref: lambda value: [value()],
    weakref.WeakSet: lambda value: [set(value)],
    (weakref.WeakKeyDictionary, weakref.WeakValueDictionary): lambda value: [dict(value)],
    memoryview: lambda value: [value.format, value.shape, value.tobytes()],
}
_BY_TYPE_NAME: dict[str, Callable[[Any], list[Any]]] = {
    "functools._lru_cache_wrapper": _lru_cache,
    "functools.KeyWrapper": lambda value: [[item for item in gc.get_referents(value) if item is not type(value)]],
    "numpy.ufunc": _ufunc,
    "_struct.Struct": lambda value: [value.format],
    "jaxlib._jax.PjitFunction": _jit,
    "builtins.dict_keys": lambda value: [list(value)],
    "builtins.dict_values": lambda value: [list(value)],
    "builtins.dict_items": lambda value: [[list(item) for item in value]],
}
