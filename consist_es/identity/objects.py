"""Questions about live objects that the code identity asks."""

import ast
import enum
import functools
import inspect
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

from consist_es.identity.bytecode import essence
from consist_es.identity.modules import file_of, is_first_party
from consist_es.identity.source import Function, Source, digest_plain
from consist_es.plain import object_fields

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
    """Of the function's source where it was found, else of its instructions."""
    if source is not None and node is not None:
        return source.digest_of(node)
    return digest_plain(essence(fn.__code__))


def content_of(cell: types.CellType) -> Any:
    """What a closure cell holds."""
    try:
        return cell.cell_contents
    except ValueError:
        return None  # not bound yet, for instance a function that names itself


def wrapped_by(value: Any) -> Any:
    """What `functools.wraps` says is inside; looked up without running the object's own attribute access."""
    found = inspect.getattr_static(value, "__wrapped__", None)
    return found if callable(found) else None


def holds_function(value: Any) -> bool:
    """Whether it is a function, or a container with one in it."""
    if isinstance(value, (dict, list, tuple)):
        return any(holds_function(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, (types.FunctionType, functools.partial, types.MethodType))


@functools.lru_cache(maxsize=4096)
def names_in(node: ast.AST) -> tuple[str, ...]:
    """Every name below a node, sorted."""
    return tuple(sorted({item.id for item in ast.walk(node) if isinstance(item, ast.Name)}))


@functools.lru_cache(maxsize=4096)
def reads_modules(node: ast.AST) -> bool:
    """Whether ``sys.modules`` is mentioned."""
    return any(isinstance(item, ast.Attribute) and item.attr == "modules" for item in ast.walk(node))


def package_of(namespace: Mapping[str, Any]) -> str:
    """Package that relative imports in a module start from."""
    package = namespace.get("__package__")
    return package if isinstance(package, str) else ""


def artifact_content(value: Any) -> Any:
    """Content of an artifact, or of the artifacts of a result; None for the rest of this library's objects."""
    digest = getattr(value, "digest", None)
    if isinstance(digest, str):
        return digest
    outputs = getattr(value, "outputs", None)
    return {str(key): artifact_content(item) for key, item in outputs.items()} if isinstance(outputs, Mapping) else None


def class_file(cls: type) -> str:
    """File of the module that a class says it is from, "" without one."""
    module = sys.modules.get(cls.__module__)
    return file_of(module) or "" if module is not None else ""


def is_plain_base(base: type) -> bool:
    """Whether a base class adds no state of its own."""
    return base.__module__ in ("abc", "typing", "collections.abc") or base.__qualname__ in ("Protocol", "Generic")


def state_of(value: Any) -> dict[str, Any]:
    """All attributes of an object, slots included."""
    state = object.__getstate__(value)
    if isinstance(state, tuple):
        return {**(state[0] or {}), **state[1]}
    return dict(state) if isinstance(state, dict) else {}


def classes_of(value: Any) -> Iterator[type]:
    """Classes of the objects and enum members in a config or captured value."""
    waiting, seen = [value], {}
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item  # kept alive, so that no id is used twice
        if isinstance(item, enum.Enum):
            yield type(item)
        elif isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)) and not hasattr(item, "_fields"):
            waiting += item
        elif (fields := object_fields(item)) is not None:
            yield type(item)
            waiting += fields.values()


def is_data(cls: type, name: str, value: Any) -> bool:
    """Whether a class attribute is data that the class's code may read."""
    hidden = name.startswith(("__", "_abc_")) or (issubclass(cls, enum.Enum) and name.startswith("_"))
    return not hidden and not isinstance(value, _DESCRIPTORS) and not type(value).__module__.startswith("msgspec")


def is_generated(item: Any) -> bool:
    """Whether a method was made by a decorator such as `dataclass`, from what the class's source says."""
    code = getattr(getattr(item, "__func__", item), "__code__", None)
    return isinstance(code, types.CodeType) and not is_first_party(code.co_filename)
