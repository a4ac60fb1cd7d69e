"""Compares what loaded modules define with their source: everything that can be replaced at run time, by identity.

`consist_es.identity.live.loaded` compares variables; this module compares functions with their defaults and attributes,
classes with their bases, members with hidden names, enum members and imported modules.
"""

import contextlib
import enum
import functools
import importlib.machinery
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from consist_es.identity.installed.places import is_first_party, standing
from consist_es.identity.live.loaded import Held, captures, dispatches_here
from consist_es.identity.live.outline import NO_DEFAULTS, Body, Class, Definition, Expression, are_settled, outline
from consist_es.identity.live.witness import Noted
from consist_es.identity.text.bytecode import essence
from consist_es.identity.text.source import Source
from consist_es.values.encoding import is_same
from consist_es.values.plain import module_name, to_plain

_AUTOMATIC = frozenset({
    "__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__", "__builtins__",
    "__path__", "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__",
    "__conditional_annotations__", "__warningregistry__", "__module__", "__qualname__", "__dict__", "__weakref__",
    "__firstlineno__", "__static_attributes__", "__slotnames__", "__abstractmethods__", "__orig_bases__",
    "__parameters__", "__hash__", "__classcell__", "__classdictcell__", "__type_params__",
})  # fmt: skip
"""Names set by Python itself."""
_ENUM = ("_value_", "_name_", "__objclass__", "_sort_order_")
_MOST = 200
"""How many objects to search for the function passed to a decorator."""
_MISSING = object()
_COMPARED: dict[int, tuple[types.CodeType, Source, bool]] = {}
"""Id of loaded code -> the code, a source, and True if the source compiles to it."""
_MOST_COMPARED = 100_000
_SETTLED: dict[int, tuple[Any, Any]] = {}
"""Id of a tuple of defaults -> the tuple, and a plain form found equal to it; neither ever changes."""
_CACHE = type(functools.lru_cache(len))
_CACHE_NAMES = vars(functools.lru_cache(lambda: None)).keys()
_CACHES = ({"maxsize": 128, "typed": False}, {"maxsize": None, "typed": False})
_ATOMS = (type(None), bool, int, float, str, bytes)
_CONTEXT = contextlib.contextmanager(lambda: iter(())).__code__


class _Place:
    """A module to compare."""

    def __init__(self, label: str, source: Source, module: types.ModuleType, certain: bool) -> None:
        self.label, self.source, self.namespace, self.certain = label, source, vars(module), certain

    def held(
        self,
        what: str,
        path: str,
        value: Any,
        *,
        literal: Any = None,
        added: bool = True,
        surely: bool = False,
        made: int = 0,
    ) -> Held:
        prefix, _, name = path.rpartition(".")
        title, where = f"{what} {path} of {self.label}", f"{self.label}:{path}"
        return Held(title, where, name, value, literal, added, (self.source,), bool(prefix), False, surely, made)

    def value(self, expression: Expression) -> Any:
        """Present value of a base class as written in the module; `_MISSING` if the expression is computed."""
        if not expression.names:
            return _MISSING
        first, *others = expression.names
        found = self.namespace.get(first, _names(self.namespace.get("__builtins__", {})).get(first, _MISSING))
        for name in others:
            found = _names(found).get(name, _MISSING)
        return found

    def defines(self, fn: types.FunctionType, name: str, defined: Iterable[Definition]) -> Definition | None:
        """The definition, out of `defined`, that a function was made from, or None."""
        code = fn.__code__
        known = _COMPARED.get(id(code))
        if known is None or known[0] is not code or known[1] is not self.source:
            if len(_COMPARED) >= _MOST_COMPARED:
                _COMPARED.clear()
            _COMPARED[id(code)] = known = (code, self.source, self.source.has(code))
        if code.co_name != name or not known[2]:
            return None
        return next((item for item in defined if item.line == code.co_firstlineno), None)


def present(label: str, source: Source, module: types.ModuleType, certain: bool) -> Iterator[Held]:
    """Values that a module holds other than its source says.

    Unless the module is `certain` to be loaded, computed values are left out: they would count in one run and not in
    the next.
    """
    place, body = _Place(label, source, module, certain), outline(source)
    if (loaded := _stale(source, module)) is not None:
        yield place.held("loaded code", "module", loaded, surely=True)
    yield from _body([body], vars(module), "", place, made=False)
    for name, full in body.imports:
        imported = sys.modules.get(full)
        value = vars(module).get(name, imported)
        if imported is not None and value is not imported and not isinstance(value, types.ModuleType):
            yield place.held("present", name, value)


def _names(thing: Any) -> Mapping[str, Any]:
    """An object's own attributes, looked up without running code of its class."""
    if isinstance(thing, dict):
        return thing
    return vars(thing) if isinstance(thing, (types.ModuleType, type)) else {}


def _body(
    bodies: list[Body], namespace: Mapping[str, Any], prefix: str, place: _Place, *, made: bool
) -> Iterator[Held]:
    """Compare a module or class; a class defined several times, under conditions, has several bodies."""
    owner = prefix.rstrip(".").rpartition(".")[2]
    seen: set[str] = set()
    for name in dict.fromkeys(name for body in bodies for name in (*body.functions, *body.classes)):
        key = mangled(name, owner)
        seen.add(key)
        if key not in namespace or name in _AUTOMATIC:
            continue
        functions = [item for body in bodies for item in body.functions.get(name, ())]
        classes = [item for body in bodies for item in body.classes.get(name, ())]
        if functions:
            yield from _function(functions, bool(classes), namespace[key], f"{prefix}{name}", place)
        else:
            yield from _class(classes, namespace[key], f"{prefix}{name}", place)
    literals = {mangled(key, owner): (key, item) for body in bodies for key, item in body.hidden.items()}
    bound = {mangled(name, owner) for body in bodies for name in body.bound}
    constants = {key: item for body in bodies for key, item in body.constants.items()}
    start, known = "_" if prefix else "__", _AUTOMATIC | seen
    for name in sorted(name for name in namespace if name.startswith(start) and name not in known):
        value = namespace[name]
        written, literal = literals.get(name, (name, None))
        if name in literals and (place.certain or literal is not None):
            yield place.held("value", f"{prefix}{written}", value, literal=literal, added=False)
        elif name not in bound and (place.certain or not made):
            yield from _added(name, value, prefix, place, constants)


def mangled(name: str, owner: str) -> str:
    """The name under which a class stores a private name of its source."""
    private = owner.strip("_") and name.startswith("__") and not name.endswith("__")
    return f"_{owner.lstrip('_')}{name}" if private else name


def _added(name: str, value: Any, prefix: str, place: _Place, constants: Mapping[str, Any]) -> Iterator[Held]:
    """A member that the source does not bind: set by a decorator, a base class or other code."""
    functions = own_functions(value)
    if functions and all(map(_is_generated, functions)):
        given = {key: item for fn in functions for key, item in _defaults(fn).items()}
        if place.certain and any(not _is_literal(item, constants.get(key)) for key, item in given.items()):
            yield place.held("defaults of", f"{prefix}{name}", given, added=False, made=1)
        return
    if name.startswith("_abc_") or (not functions and name.startswith("__") and not _is_callable(value)):
        return
    yield place.held("present", f"{prefix}{name}", value, surely=bool(functions) and name.endswith("__"))


def _defaults(fn: types.FunctionType) -> dict[str, Any]:
    """Parameter -> default, for the parameters with one."""
    positional, values = fn.__code__.co_varnames[: fn.__code__.co_argcount], fn.__defaults__ or ()
    named = zip(positional[len(positional) - len(values) :], values, strict=False)
    return {**dict(named), **(fn.__kwdefaults__ or {})}


def _is_literal(value: Any, literal: Any) -> bool:
    """True if a value equals a literal in the source."""
    return type(value) in _ATOMS and literal is not None and is_same([type(value).__name__, to_plain(value)], literal)


def _is_callable(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _is_generated(fn: types.FunctionType) -> bool:
    """True for methods that `dataclass`, attrs and others generate from the class's source."""
    code, file = fn.__code__, fn.__code__.co_filename
    if not file.startswith("<"):
        return not is_first_party(file)
    return file.startswith("<attrs ") or code.co_qualname.startswith("__create_fn__")


# ---------------------------------------------------------------- functions


def _function(defined: list[Definition], several: bool, value: Any, path: str, place: _Place) -> Iterator[Held]:
    """Compare a function. `several`: the name is also defined as something else."""
    name, functions = path.rpartition(".")[2], own_functions(value)
    found = [place.defines(fn, name, defined) for fn in functions]
    if found and all(found):
        if any(fn.__globals__ is not place.namespace for fn in functions):
            yield place.held("present", path, value, surely=True)
        for fn, definition in zip(functions, found, strict=True):
            yield from _details(fn, definition, path, place)
        return
    if (usual := _usual(value, name, defined, place)) is not None:
        yield from _details(*usual, path, place)
        return
    decorators = 0 if several else max(item.decorators for item in defined)
    inside, layers = _wrapped(value, name, defined, place)
    replaced = not decorators or not inside or layers > decorators
    if place.certain or (replaced and not dispatches_here(value, place.source)):
        yield place.held("present", path, value, surely=replaced)


def own_functions(value: Any) -> list[types.FunctionType]:
    """The functions inside the builtin decorators; none inside any other."""
    if isinstance(value, property):
        found: list[Any] = [item for item in (value.fget, value.fset, value.fdel) if item is not None]
    elif isinstance(value, (staticmethod, classmethod)):
        found = [value.__func__]
    else:
        found = [value.func] if type(value) is functools.cached_property else [value]
    return found if all(isinstance(item, types.FunctionType) for item in found) else []


def _details(fn: types.FunctionType, definition: Definition | None, path: str, place: _Place) -> Iterator[Held]:
    """Defaults and attributes of a function that the source defines."""
    literal = None if definition is None else definition.defaults
    defaults, keywords = fn.__defaults__, fn.__kwdefaults__
    if are_settled(defaults, keywords, literal) if keywords else _is_settled(defaults, literal):
        pass
    elif (defaults or keywords or literal != NO_DEFAULTS) and (place.certain or literal is not None):
        given = [list(defaults or ()), dict(keywords or {})]
        yield place.held("defaults of", path, given, literal=literal, added=False, surely=True, made=2)
    for name, value in sorted(vars(fn).items()) if place.certain else ():
        if not name.startswith("__"):
            yield place.held("attribute", f"{path}.{name}", value, added=False)


def _is_settled(defaults: tuple[Any, ...] | None, literal: Any) -> bool:
    """True if positional defaults equal those in the source, and cannot change."""
    if defaults is None or literal is None:
        return bool(literal == NO_DEFAULTS)
    known = _SETTLED.get(id(defaults))
    if known is None or known[0] is not defaults or known[1] is not literal:
        if any(type(item) not in _ATOMS for item in defaults) or not is_same(
            ["list", [to_plain(list(defaults)), {}]], literal
        ):
            return False
        if len(_SETTLED) >= _MOST_COMPARED:
            _SETTLED.clear()
        _SETTLED[id(defaults)] = (defaults, literal)
    return True


def _usual(
    value: Any, name: str, defined: list[Definition], place: _Place
) -> tuple[types.FunctionType, Definition] | None:
    """The function that the source defines, if only a standard-library decorator without options is around it."""
    inside = getattr(value, "__wrapped__", None) if type(value) in (types.FunctionType, _CACHE) else None
    definition = place.defines(inside, name, defined) if isinstance(inside, types.FunctionType) else None
    if definition is None or inside is None or inside.__globals__ is not place.namespace:
        return None
    own = vars(value).keys() - vars(inside).keys()
    if type(value) is _CACHE:
        usual = own <= _CACHE_NAMES and value.cache_parameters() in _CACHES
    else:
        captured = [content for _, content in captures(value)]
        usual = value.__code__ is _CONTEXT and captured == [inside] and own == {"__wrapped__"}
    return (inside, definition) if usual else None


def _wrapped(value: Any, name: str, defined: list[Definition], place: _Place) -> tuple[bool, int]:
    """(True if one of the functions is somewhere inside a value, number of callables around it)."""
    waiting, seen = [value], dict[int, Any]()
    layers = 0
    while waiting and len(seen) < _MOST:
        item = waiting.pop(0)
        if id(item) in seen:
            continue
        seen[id(item)] = item
        if isinstance(item, types.FunctionType):
            if place.defines(item, name, defined):
                return True, layers
            waiting += [content for _, content in captures(item) if callable(content)]
        layers += callable(item)
        waiting += _callables_in(item)
    return False, layers


def _callables_in(item: Any) -> Iterator[Any]:
    if isinstance(item, property):
        yield from (item.fget, item.fset, item.fdel)
    elif isinstance(item, functools.partial):
        yield from (item.func, *item.args)
    elif isinstance(item, (staticmethod, classmethod, types.MethodType)):
        yield item.__func__
    elif not isinstance(item, type) and hasattr(item, "__dict__"):
        yield from (value for value in vars(item).values() if callable(value))


# ---------------------------------------------------------------- classes


def _class(defined: list[Class], value: Any, path: str, place: _Place) -> Iterator[Held]:
    decorated = any(item.decorated for item in defined)
    if not isinstance(value, type) or value.__qualname__ != path:
        if place.certain or not decorated:
            yield place.held("present", path, value, surely=not decorated)
        return
    if (explained := _other_bases(defined, value, place)) is not None and (place.certain or not explained):
        bases = [*value.__bases__, type(value)]
        yield place.held("present bases of", path, bases, surely=not explained)
    if not isinstance(value, enum.EnumMeta):
        made, bodies = any(item.is_made for item in defined), [item.body for item in defined]
        yield from _body(bodies, vars(value), f"{path}.", place, made=made)
    elif place.certain or all(len(item.bases) == 1 for item in defined):
        yield from _enum(defined, value, path, place)


def _other_bases(defined: list[Class], cls: type, place: _Place) -> bool | None:
    """None if a class has the bases that its source names; True if the source's expression may lead to other bases."""
    explained = False
    for item in defined:
        named = [place.value(base) for base in item.bases]
        meta = [] if item.metaclass is None else [place.value(item.metaclass)]
        inherited = type(cls) in [type, *map(type, cls.__bases__), *meta]
        if inherited and (named == [*cls.__bases__] or (not named and cls.__bases__ == (object,))):
            return None
        explained |= any(not isinstance(found, type) for found in [*named, *meta]) or item.decorated
        explained |= any(base.indexed for base in item.bases)
    return explained


def _enum(defined: list[Class], cls: enum.EnumMeta, path: str, place: _Place) -> Iterator[Held]:
    """Values and attributes of the members, and everything else in the class."""
    literals = {name: literal for item in defined for name, literal in item.body.constants.items()}
    members: Mapping[str, Any] = cls.__members__
    for name, member in members.items():
        literal = literals.get(name)
        if place.certain or literal is not None:
            yield place.held("value", f"{path}.{name}", member.value, literal=literal, added=name not in literals)
        more = {key: item for key, item in vars(member).items() if key not in _ENUM}
        if more and place.certain:
            yield place.held("attributes of", f"{path}.{name}", more, added=False, made=1)
    rest = {name: item for name, item in vars(cls).items() if name not in members}
    bodies = [item.body for item in defined]
    written = {name for body in bodies for name in (*body.functions, *body.classes)}
    code = {name: item for name, item in rest.items() if name in written or _is_own(item)}
    yield from _body(bodies, code, f"{path}.", place, made=not place.certain)
    for name, item in sorted(rest.items()):
        if name not in code and not name.startswith("_") and not hasattr(type(item), "__get__"):
            yield place.held("value", f"{path}.{name}", item)


def _is_own(value: Any) -> bool:
    """True for a function of the project, also one without a file."""
    return any(
        is_first_party(fn.__globals__.get("__file__") or fn.__code__.co_filename)
        or fn.__globals__.get("__name__") == "__main__"
        for fn in own_functions(value)
    )


# ---------------------------------------------------------------- what Python loaded, and what was patched


def _stale(source: Source, module: types.ModuleType) -> Any:
    """Code that Python took from its bytecode cache for a source edited without a new timestamp; else None."""
    spec = getattr(module, "__spec__", None)
    loader, cached = getattr(spec, "loader", None), getattr(spec, "cached", None)
    if type(loader) is not importlib.machinery.SourceFileLoader or not cached:
        return None
    try:
        if Path(source.filename).stat().st_ctime_ns < Path(cached).stat().st_mtime_ns:
            return None  # the cache was written from this very file
        code = loader.get_code(module.__name__)
    except (OSError, ImportError, SyntaxError, EOFError):
        return None
    if code is None or code == compile(source.text, source.filename, "exec", dont_inherit=True):
        return None
    return essence(code)


_PATCHED: dict[tuple[Any, ...], tuple[Noted, dict[str, Any]]] = {}
"""(module names, standing) -> the state that was checked, and the result."""
_MOST_PATCHED = 16


def patched_in(modules: Iterable[str]) -> dict[str, Any]:
    """Name -> object that first-party code set in installed modules and their classes."""
    key = (tuple(sorted(modules)), standing())
    known = _PATCHED.get(key)
    if known is None or not known[0].holds():
        noted = Noted()
        found = _patched_in(key[0], noted)
        if len(_PATCHED) >= _MOST_PATCHED:
            _PATCHED.clear()
        known = _PATCHED[key] = (noted, found)
    return known[1]


def _patched_in(modules: Iterable[str], noted: Noted) -> dict[str, Any]:
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for name in modules:
        module, root = sys.modules.get(name), name.partition(".")[0]
        noted.modules.append(name)
        noted.loaded.append(module)
        if not isinstance(module, types.ModuleType):
            continue
        noted.mapping(vars(module))
        found |= {f"{name}.{key}": item for key, item in vars(module).items() if _is_patch(item)}
        classes = [item for item in vars(module).values() if isinstance(item, type)]
        for item in classes:
            noted.cls(item)
        for cls in [base for item in classes for base in item.__mro__ if module_name(base).partition(".")[0] == root]:
            if id(cls) not in seen:
                seen.add(id(cls))
                noted.cls(cls)
                noted.mapping(vars(cls))
                owner = f"{module_name(cls)}.{cls.__qualname__}"
                found |= {f"{owner}.{key}": item for key, item in vars(cls).items() if _is_patch(item)}
    return found


def _is_patch(value: Any) -> bool:
    if isinstance(value, (types.FunctionType, property, staticmethod, classmethod, functools.cached_property)):
        return _is_own(value)
    if isinstance(value, functools.partial):
        return any(map(_is_patch, (value.func, *value.args)))
    return isinstance(value, types.MethodType) and _is_patch(value.__func__)
