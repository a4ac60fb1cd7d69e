"""Reads the state of objects without a plain form: installed packages' and Python's own.

Nothing is restored from a state. An object of an installed class gives what `copy` and `pickle` would get, because its
author leaves out caches and locks there. A class of the project is not asked: it may leave out something that a step
reads (see `consist_es.identity.live.objects.state_of`).
"""

import decimal
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

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.cached_results import is_empty, results_from_before
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.text.bytecode import essence
from consist_es.system.tee import original
from consist_es.values.plain import module_name, to_plain, type_name

_IGNORED = (
    logging.Logger, logging.LoggerAdapter, logging.Handler, logging.Filter, type(threading.Lock()),
    type(threading.RLock()), threading.Event, threading.Condition, threading.Semaphore,
)  # fmt: skip
"""Types that no result depends on."""
_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_CUSTOM = ("__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
_JIT = ("fun", "static_argnums", "static_argnames")
_NUMBA_FUNCTIONS = {"py_func", "_pyfunc", "_dispatcher", "gufunc_builder"}
_NUMBA = (
    *sorted(_NUMBA_FUNCTIONS), "targetoptions", "locals", "_can_compile", "_frozen", "_identity", "_is_dynamic", "_sig",
    "identity", "reorderable", "signature", "writable_args",
)  # fmt: skip
_KEPT = ("_cache", "_item_cache", "_cacher", "_hash")
"""Attributes in which installed classes cache results."""
_ATTRIBUTES = {
    "_json.Scanner": ("strict", "object_hook", "object_pairs_hook", "parse_float", "parse_int", "parse_constant"),
    "msgspec.json.Encoder": ("enc_hook", "decimal_format", "uuid_format", "order"),
    "msgspec.json.Decoder": ("type", "strict", "dec_hook", "float_hook"),
    "msgspec.msgpack.Encoder": ("enc_hook", "decimal_format", "uuid_format", "order"),
    "msgspec.msgpack.Decoder": ("type", "strict", "dec_hook", "ext_hook"),
}
"""Types with state in compiled code -> the attributes that show it."""
_FIXED = ("functools", "jax", "jaxlib", "numba", "operator", "_struct", "string", "types", "typing")
_HASHES = ("_hashlib", "_blake2", "_md5", "_sha1", "_sha2", "_sha3", "_sha256", "_sha512")


def is_ignored(value: Any) -> bool:
    """True for loggers, locks and the like. A class of the project may do more, so it counts."""
    return isinstance(value, _IGNORED) and not is_first_party(file_of(sys.modules.get(module_name(type(value)))) or "")


def known_name(value: Any) -> str | None:
    """Name of an object known by identity: a standard stream, a ufunc of numpy or scipy."""
    streams = {id(original(stream)): name for name in _STREAMS if (stream := getattr(sys, name, None)) is not None}
    if (number := id(original(value))) in streams:  # while another step runs, a proxy stands for it
        return f"sys.{streams[number]}"
    if type_name(type(value)) != "numpy.ufunc":
        return None
    here = [getattr(sys.modules.get(module), value.__name__, None) for module in ("numpy", "scipy.special")]
    return f"numpy.{value.__name__}" if any(item is value for item in here) else None


def is_fixed(value: Any) -> bool:
    """True for objects that never change: functions compiled or wrapped by a package, text, types."""
    return type_name(type(value)) in _BY_TYPE_NAME or module_name(type(value)).partition(".")[0] in _FIXED


def is_by_name(value: Any) -> bool:
    """True if an installed module has exactly this function, class or callable under its own name."""
    name, qualname = _asked(lambda: value.__module__), _asked(lambda: value.__qualname__)
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
        module_name(kind).startswith("numpy.random") and kind.__name__ != "SeedSequence"
    )


def why_never(value: Any) -> str | None:
    """Why an object cannot be identified by its state, or None if it may be tried."""
    kind = type(value)
    if is_random(value):
        return "each draw changes what later ones give; make it inside the step, from a seed in the config"
    if isinstance(value, (io.StringIO, io.BytesIO)):
        return None
    if isinstance(value, io.IOBase):
        return "it is an open file; open it inside the step"
    if hasattr(kind, "__next__") or isinstance(value, (types.CoroutineType, types.AsyncGeneratorType)):
        return "reading uses it up; make it inside the step or use a list"
    if module_name(kind) in ("sqlite3", "_sqlite3"):
        return "it is a connection; open it inside the step and declare the file as an input"
    return None


def reduced_state(value: Any) -> list[Any] | None:
    """The parts of an object, for `Visitor.reference`; None if they cannot be read."""
    special: list[Any] | None = _asked(lambda: _special(value))
    if special is not None:
        return special
    if any(set(_CUSTOM) & vars(base).keys() for base in type(value).__mro__ if _is_unasked(base)):
        return None
    reduced = _asked(lambda: value.__reduce_ex__(4))
    if isinstance(reduced, str):
        return [_asked(lambda: value.__module__) or module_name(type(value)), reduced]
    if not isinstance(reduced, tuple):
        return None
    make, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    if type(state) is tuple and len(state) == 2 and all(type(item) in (dict, type(None)) for item in state):
        state = {**(state[0] or {}), **(state[1] or {})}  # attributes and slots
    if type(state) is dict:
        state = {name: item for name, item in state.items() if not _follows_from_use(type(value), name)}
        if module_name(type(value)).startswith("xarray."):  # None becomes {} once it was read
            state = {name: item for name, item in state.items() if item is not None}
            state = {name: item for name, item in state.items() if type(item) is not dict or item}
    return [make, list(arguments), state, list(items or ()), [list(pair) for pair in pairs or ()]]


def _asked(question: Callable[[], Any]) -> Any:
    """Call into an installed package; None if it raises anything."""
    try:
        return question()
    except Exception:  # noqa: BLE001  the package's own code may raise anything
        return None


def _follows_from_use(cls: type, name: str) -> bool:
    """True for an attribute that caches results from the others."""
    kept = any(isinstance(vars(base).get(name), functools.cached_property) for base in cls.__mro__)
    return kept or name in _KEPT or (name.startswith("_has_") and module_name(cls).startswith("scipy.sparse"))


def _is_unasked(base: type) -> bool:
    module = sys.modules.get(module_name(base))
    return module_name(base) == "__main__" or is_ours(module_name(base)) or is_first_party(file_of(module) or "")


def _special(value: Any) -> list[Any] | None:
    """State of types that do not give it themselves, or that include what only follows from use."""
    name, root = type_name(type(value)), module_name(type(value)).partition(".")[0]
    for kinds, state in _STATES.items():
        if isinstance(value, kinds):
            return [name, *state(value)]
    if name in _BY_TYPE_NAME:
        return [name, *_BY_TYPE_NAME[name](value)]
    if name in _ATTRIBUTES:
        return [name, {part: getattr(value, part, None) for part in _ATTRIBUTES[name]}]
    if root == "scipy" and hasattr(value, "_eval_args"):
        return [name, list(value._eval_args), value.ext]  # the rest of a spline holds uninitialised memory
    if root == "numba":
        return _numba(name, value)
    if root in _HASHES and hasattr(value, "digest"):
        return [name, value.name, value.copy().digest()]
    return None


def _lru_cache(value: Any) -> list[Any]:
    """Options and attributes, and the results that it holds from before any step."""
    own = {name: item for name, item in vars(value).items() if name not in ("__wrapped__", "cache_parameters")}
    shown = [value.__wrapped__, value.cache_parameters(), {name: own[name] for name in own if name[:2] != "__"}]
    held = kept_results(value)
    return [*shown, held] if held else shown


def kept_results(value: Any) -> list[Any]:
    """Results from before any step in the cache of a function of the project."""
    if is_empty(value) or not _is_unasked(value.__wrapped__):
        return []
    return results_from_before(value, is_own=_is_unasked)


def _shown(value: Any) -> Any:
    """A value that has a plain form or is an object of the project's; the type of any other, such as a connection."""
    if _is_unasked(type(value)):
        return value
    try:
        to_plain(value)
    except (ConfigTypeError, ConfigValueError):
        return type_name(type(value))
    return value


def _jit(value: Any) -> list[Any]:
    """A function compiled by jax, without its caches."""
    state = value.__getstate__()
    key = state.get("global_cache_key")
    options = {name: getattr(key, name) for name in dir(key) if not name.startswith("_")}
    shown = {name: repr(item) if "leaves" in name or "treedef" in name else item for name, item in options.items()}
    return [{name: state.get(name) for name in _JIT}, shown]


def _ufunc(value: Any) -> list[Any]:
    """The function inside `np.frompyfunc`, which only the garbage collector can reach."""
    inside = [item for item in gc.get_referents(value) if callable(item)]
    return [value.__name__, value.nin, value.nout, list(value.types), value.identity, inside]


def _numba(name: str, value: Any) -> list[Any] | None:
    """A function compiled by numba, by its declaration: compiled code and signatures follow from use."""
    declared = {part: getattr(value, part) for part in _NUMBA if hasattr(value, part)}
    if _NUMBA_FUNCTIONS & declared.keys():
        fixed = getattr(value, "_frozen", False) or not getattr(value, "_can_compile", True)
        signatures: Any = getattr(value, "overloads", None) or getattr(value, "types", ())
        return [name, declared, [str(item) for item in signatures] if fixed else []]
    if hasattr(value, "kernel_ir"):
        return [name, value.kernel_ir.func_id.func, value.mode, {key: str(item) for key, item in value.options.items()}]
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
    threading.local: lambda value: [{name: _shown(item) for name, item in vars(value).items()}],
    decimal.Context: lambda value: [  # without flags, which record past events
        value.prec,
        value.rounding,
        value.Emin,
        value.Emax,
        value.capitals,
        value.clamp,
        [[kind.__name__, on] for kind, on in value.traps.items()],
    ],
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
