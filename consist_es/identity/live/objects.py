"""Inspects live objects for the code identity."""

import ast
import collections
import contextvars
import datetime
import enum
import functools
import inspect
import sys
import types
import typing
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from consist_es.identity.config import said_of
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.environment import environment_form
from consist_es.identity.live.loaded import captures
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.live.states import is_ignored, known_name
from consist_es.identity.text.bytecode import essence
from consist_es.identity.text.readers import keeps
from consist_es.identity.text.source import Function, Source, digest_plain, load_source
from consist_es.system.tee import original
from consist_es.values.plain import module_name, object_fields, type_name

CONTAINERS = (list, tuple, dict, collections.defaultdict, set, frozenset)
_TYPING = (types.GenericAlias, types.UnionType, typing.TypeVar, typing.ParamSpec, typing.NewType)
_TUPLE_FIELD: Any = type(vars(collections.namedtuple("_Sample", "field"))["field"])
"""Descriptor of a named tuple's field, by its number."""
_ATOMS = frozenset({bool, int, float, str, bytes, type(None)})
WRAPPING_NOTHING = _ATOMS | {list, tuple, dict, set, frozenset, types.BuiltinFunctionType}
"""Types with objects that have no attributes of their own."""
_BASES = vars(type)["__mro__"].__get__
_NAMES = vars(type)["__dict__"].__get__
"""Bases and attributes of a class, whatever its own class answers."""
_DICT = vars(types.FunctionType)["__dict__"]
"""How a class says that its objects have attributes of their own."""
_HEAP_TYPE = 1 << 9
"""Flag of a class that is not built into a compiled module."""
_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType, functools.cached_property, property)


def innermost(fn: Any) -> Any:
    """The function that the user wrote, below partials, methods and wrappers."""
    seen: set[int] = set()
    while id(fn) not in seen:
        seen.add(id(fn))
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif wrapped_by(fn) is not None:
            fn = wrapped_by(fn)
    if isinstance(fn, type) or hasattr(fn, "__code__"):
        return fn
    return type(fn).__call__ if callable(fn) else fn


def function_digest(fn: types.FunctionType, source: Source | None, node: Function | None) -> str:
    """Digest of the function's source if it was found, else of its instructions."""
    if source is not None and node is not None:
        return source.digest_of(node)
    return digest_plain(essence(fn.__code__))


def content_of(cell: types.CellType) -> Any:
    """Content of a closure cell, None if it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not bound yet, for instance a function that names itself


def present_in(variable: contextvars.ContextVar[Any]) -> Any:
    """Value of a context variable here, None without one."""
    try:
        return variable.get()
    except LookupError:
        return None


def wrapped_by(value: Any) -> Any:
    """The callable in ``__wrapped__`` (`functools.wraps`), found without running the object's attribute access."""
    kind = type(value)
    if kind in WRAPPING_NOTHING:
        return None
    if kind is types.FunctionType or kind is types.ModuleType:  # `getattr_static` finds the same, in 20 times the time
        found = vars(value).get("__wrapped__")
    elif not _may_have(value, "__wrapped__"):
        return None
    else:
        found = inspect.getattr_static(value, "__wrapped__", None)
    return found if callable(found) else None


def _may_have(value: Any, name: str) -> bool:
    """False if `inspect.getattr_static` would not find an attribute, which it says in ten times the time."""
    if isinstance(value, type):
        return any(name in _NAMES(base) for cls in (value, type(value)) for base in _BASES(cls))
    for base in _BASES(type(value)):
        names = _NAMES(base)
        if name in names or type(names.get("__dict__", _DICT)) is not types.GetSetDescriptorType:
            return True
    try:
        return name in object.__getattribute__(value, "__dict__")
    except AttributeError:
        return False


def holds_function(value: Any) -> bool:
    """True for a function, or a container with one in it."""
    if isinstance(value, (dict, list, tuple)):
        return any(holds_function(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, (types.FunctionType, functools.partial, types.MethodType))


def factory_state(fn: types.FunctionType) -> dict[str, Any]:
    """Closure, defaults and attributes of a function made by an installed package.

    Leaves out what it fills by itself, such as a cache, and functions that count already.
    """
    if fn.__code__.co_filename == functools.__file__ and fn.__code__.co_name == "wrapper":
        return {}  # `singledispatch`: its registry counts, and the rest follows from it
    closure = {name: item for name, item in captures(fn) if not holds_function(item)}
    source = load_source(fn.__code__.co_filename) if closure else None
    node = None if source is None else source.find(fn.__code__)
    state: dict[str, Any] = {name: item for name, item in closure.items() if node is None or not keeps(node, name)}
    given = {"": list(fn.__defaults__ or ()), "*": dict(fn.__kwdefaults__ or {})}
    state |= {f"default {name}": item for name, item in given.items() if item}
    return state | {f"attribute {name}": item for name, item in vars(fn).items() if not name.startswith("__")}


@functools.lru_cache(maxsize=4096)
def names_in(node: ast.AST) -> tuple[str, ...]:
    """Every name below a node, sorted."""
    return tuple(sorted({item.id for item in ast.walk(node) if isinstance(item, ast.Name)}))


@functools.lru_cache(maxsize=4096)
def attributes_in(node: ast.AST) -> frozenset[str]:
    """Every attribute below a node."""
    return frozenset(item.attr for item in ast.walk(node) if isinstance(item, ast.Attribute))


_FINDERS = {"getmodule", "get_objects", "get_referrers", "modules"}
"""Attributes that lead to any module: those of `inspect`, `gc` and `sys`."""


@functools.lru_cache(maxsize=4096)
def reads_modules(node: ast.AST) -> bool:
    """True if ``sys.modules`` is mentioned, or a function that finds modules or their names otherwise."""
    return any(
        (isinstance(item, ast.Attribute) and item.attr in _FINDERS)
        or (isinstance(item, ast.Name) and item.id in ("getmodule", "get_objects", "get_referrers"))
        or (isinstance(item, ast.Constant) and item.value in ("__globals__", "f_globals", "globals"))
        for item in ast.walk(node)
    )


def package_of(namespace: Mapping[str, Any]) -> str:
    """Package that relative imports in a module start from."""
    package = namespace.get("__package__")
    return package if isinstance(package, str) else ""


def known_form(value: Any) -> Any:
    """Plain form of an object of a type we know; None for others."""
    value = original(value)
    if is_ours(module_name(type(value))):
        return {"$ours": artifact_content(value)}
    if (form := environment_form(value)) is not None:
        return form
    if isinstance(value, _TYPING) or module_name(type(value)) in ("typing", "typing_extensions") or _is_getter(value):
        return {"$repr": repr(value)}
    if type(value) is datetime.timezone or (type(value) is zoneinfo.ZoneInfo and value.key is not None):
        return {"$zone": repr(value)}
    if isinstance(value, _TUPLE_FIELD) and _TUPLE_FIELD is not property:  # in other Pythons the field is a property
        return {"$field": value.__reduce__()[1][0]}
    if is_ignored(value):
        return {"$ignored": type_name(type(value))}
    return None if (name := known_name(value)) is None else {"$builtin": name}


def _is_getter(value: Any) -> bool:
    """True for an `itemgetter`, `attrgetter` or `methodcaller` with arguments that are int or str only."""
    if module_name(type(value)) != "operator":
        return False
    make, arguments = value.__reduce__()
    given = [*arguments, *make.args, *make.keywords.values()] if isinstance(make, functools.partial) else arguments
    return all(type(item) in (int, str) for item in given)


def artifact_content(value: Any) -> Any:
    """Digest and description of an artifact, or of the artifacts of a result; None for our other objects."""
    digest = getattr(value, "digest", None)
    if isinstance(digest, str):
        return [digest, said_of(value)] if hasattr(value, "facet") else digest
    outputs = getattr(value, "outputs", None)
    return {str(key): artifact_content(item) for key, item in outputs.items()} if isinstance(outputs, Mapping) else None


def is_simple(kind: type) -> bool:
    """True if attributes and items are all of an object: pure Python classes of the project, namespaces."""
    if module_name(kind) in ("types", "argparse") and kind.__name__ in ("SimpleNamespace", "Namespace"):
        return True
    if not is_own(kind):
        return False
    known = (*CONTAINERS, collections.UserDict, collections.UserList, object)
    own = [base for base in kind.__mro__ if base not in known and not is_plain_base(base)]
    return all(map(is_own, own)) and not any(
        "__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in own
    )


def class_sources(kind: type) -> tuple[Source, ...]:
    """The project's files that define a class and its bases."""
    files = dict.fromkeys(class_file(base) for base in kind.__mro__)
    found = [load_source(name) for name in files if name.endswith(".py") and is_first_party(name)]
    return tuple(source for source in found if source is not None)


def is_own(cls: type) -> bool:
    """True for a class of the project, also one without a file: of a notebook, or made by `exec`."""
    if filename := class_file(cls):
        return is_first_party(filename)
    spec = getattr(sys.modules.get(module_name(cls)), "__spec__", None)
    made = bool(cls.__flags__ & _HEAP_TYPE) and module_name(cls) != "builtins" and not is_ours(module_name(cls))
    return made and getattr(spec, "origin", None) not in ("built-in", "frozen")


def class_file(cls: type) -> str:
    """File of the module that a class names, "" without one."""
    module = sys.modules.get(module_name(cls))
    return file_of(module) or "" if module is not None else ""


def is_plain_base(base: type) -> bool:
    """True if a base class adds no state of its own."""
    return module_name(base) in ("abc", "typing", "collections.abc") or base.__qualname__ in ("Protocol", "Generic")


def state_of(value: Any) -> dict[str, Any]:
    """All attributes of an object, slots included."""
    state = object.__getstate__(value)
    if isinstance(state, tuple):
        return {**(state[0] or {}), **state[1]}
    return dict(state) if isinstance(state, dict) else {}


def objects_in(value: Any) -> Iterator[tuple[Any, bool]]:
    """(object with a class that counts, True if version 1 of the fingerprint knew it) in a config or captured value."""
    waiting, since = [value], list[Any]()
    seen: dict[int, Any] = {}
    while waiting or since:
        before = bool(waiting)
        item = (waiting or since).pop()
        if type(item) in _ATOMS or id(item) in seen:
            continue
        seen[id(item)] = item  # kept alive, so that no id is reused
        fields: dict[str, Any] | None = None
        inside: Iterable[Any] = ()
        if isinstance(item, Mapping):
            inside = [*item.keys(), *item.values()]
            if isinstance(made_by := getattr(item, "default_factory", None), (type, types.FunctionType)):
                yield made_by, False
        elif isinstance(item, (list, tuple, set, frozenset)) and not hasattr(item, "_fields"):
            inside = item
        elif not isinstance(item, enum.Enum):
            fields = object_fields(item)
            inside = () if fields is None else fields.values()
        (waiting if before else since).extend(entry for entry in inside if type(entry) not in _ATOMS)
        if isinstance(item, enum.Enum) or fields is not None:
            yield item, before
        elif is_own(type(item)):
            yield item, False
        since += _further(item)


def _further(item: Any) -> list[Any]:
    """Values in an object besides its fields and items: attributes, the value of an enum member, elements."""
    if isinstance(item, collections.deque):
        return list(item)
    if isinstance(item, type):
        return []
    if is_own(type(item)):
        content = [item.value] if isinstance(item, enum.Enum) else []
        content += dict.values(item) if isinstance(item, dict) else ()
        return [*content, *state_of(item).values()]
    package = module_name(type(item)).partition(".")[0]
    if package == "numpy" and getattr(getattr(item, "dtype", None), "hasobject", False):
        return list(item.flat)
    return _cells(item) if package == "pandas" else []


def _cells(item: Any) -> list[Any]:
    """The objects in a frame's, series' or index's columns of mixed or unknown type."""
    pd = sys.modules["pandas"]
    if isinstance(item, pd.DataFrame):
        columns = [item.iloc[:, i] for i, kind in enumerate(item.dtypes) if str(kind) == "object"]
    else:
        columns = [item] if str(getattr(item, "dtype", "")) == "object" else []
    mixed = [column for column in columns if pd.api.types.infer_dtype(column).startswith(("mixed", "unknown"))]
    axes = getattr(item, "axes", [])
    return [cell for column in mixed for cell in column] + [axis for axis in axes if axis is not item]


def unsaid_state(value: Any) -> dict[str, Any]:
    """Attributes that the plain form leaves out: those of the project's own mappings."""
    if isinstance(value, Mapping) and not isinstance(value, dict) and object_fields(value) is None:
        return state_of(value)
    return {}


def keeps_results(cls: type, name: str) -> bool:
    """True if an attribute holds the result of a cached property."""
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in cls.__mro__)


def is_data(cls: type, name: str, value: Any) -> bool:
    """True if a class attribute is data that the class's code may read."""
    hidden = name.startswith(("__", "_abc_")) or (issubclass(cls, enum.Enum) and name.startswith("_"))
    return not hidden and not isinstance(value, _DESCRIPTORS) and not module_name(type(value)).startswith("msgspec")


def is_generated(item: Any) -> bool:
    """True if a decorator such as `dataclass` made a method from the class's source."""
    code = getattr(getattr(item, "__func__", item), "__code__", None)
    return isinstance(code, types.CodeType) and not is_first_party(code.co_filename)
