"""Finds values in a loaded module that its source does not show: computed at import, changed or replaced since.

Whether such a value counts, and how, depends on the code that reads it: see `consist_es.identity.live.settings`.
"""

import enum
import functools
import importlib.util
import itertools
import operator
import sys
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.environment import environment_form
from consist_es.identity.text.names import BODY, Body, Definition
from consist_es.identity.text.readers import keeps
from consist_es.identity.text.source import Function, Source, digest_plain, load_source
from consist_es.values.encoding import IN_ORDER, by_frame
from consist_es.values.plain import module_name, to_plain


class Held(NamedTuple):
    """A value in a module, in a class of it or in an object in it."""

    label: str
    where: str
    """Its path; paths of the values inside begin with it."""
    name: str
    value: Any
    literal: Any
    """Type and plain form of the literal in the source; None if there is none or it is computed."""
    added: bool
    """True if the source does not even name it."""
    sources: tuple[Source, ...]
    """The files with functions that may write to it as to their own."""
    attribute: bool
    instance: bool = False
    surely: bool = False
    """True if it counts whoever reads it, because the source has something else in its place."""
    made: int = 0
    """Levels of containers made here to hold the value: no other code can change these."""
    never: bool = False
    """True if the value is known to have no plain form."""


class Batch:
    """Values of a module that stay the same until one of them is replaced, and are judged together."""

    def __init__(self, held: list[Held]) -> None:
        self.held = held


def loaded_parts(
    source: Source, namespace: Mapping[str, Any], label: str, *, only_changed: bool
) -> tuple[dict[str, str], list[Held]]:
    """What differs from a module's source or is computed there: replaced functions, and values to judge.

    `only_changed` leaves out what the source computes: in a module that may not be loaded yet, it would count in one
    run and not in the next.
    """
    parts: dict[str, str] = {}
    held: list[Held] = []
    for item in _differing(BODY.of(source), namespace, "", source, label, only_changed):
        if isinstance(item, Held):
            held.append(item)
        else:
            parts[f"{item[0]} of {label}"] = digest_plain(item[1])
    return parts, held


def _differing(
    body: Body,
    namespace: Mapping[str, Any],
    prefix: str,
    source: Source,
    label: str,
    only_changed: bool,
    *,
    several: bool = False,
) -> Iterator[Held | tuple[str, Any]]:
    """What may differ in a module's or class's namespace: values, and functions with their plain form.

    `several`: the source defines this class more than once, under conditions, so that it does not show which one it is.
    """
    for name, literal, added in _variables(body, namespace, source, only_changed):
        if not (added and prefix and name.startswith("_")):  # decorators and base classes leave such names
            title, where = f"value {prefix}{name} of {label}", f"{label}:{prefix}{name}"
            yield Held(title, where, name, namespace[name], literal, added, (source,), attribute=bool(prefix))
    times = Counter(item.name for item in body.definitions)
    for item in body.definitions:
        value = namespace.get(item.name)
        chosen = not only_changed and (several or times[item.name] > 1)
        if item.inside is None:
            if not (only_changed and dispatches_here(value, source)):
                yield from _function(item, value, prefix, source, label, chosen)
            if item.decorated and not only_changed:
                yield from captured(value, f"{label}:{prefix}{item.name}", source)
        elif isinstance(value, type) and not isinstance(value, enum.EnumMeta):
            inner = f"{prefix}{item.name}."
            yield from subclasses(value, f"{label}:{prefix}{item.name}", source)
            yield from _differing(item.inside, vars(value), inner, source, label, only_changed, several=chosen)


def _variables(
    body: Body, namespace: Mapping[str, Any], source: Source, only_changed: bool
) -> Iterator[tuple[str, Any, bool]]:
    """Name and literal of each bound variable, and True if the source does not name it."""
    for name, literal in body.constants.items():
        if name in namespace and not (only_changed and literal is None):
            yield name, literal, False
    for name in sorted(namespace.keys() - body.bound):
        if not name.startswith("__") and not _is_imported_by_star(name, namespace, source):
            yield name, None, True
    yield from ((name, None, True) for name in _rebound_imports(body, namespace))


def _function(
    statement: Definition, value: Any, prefix: str, source: Source, label: str, chosen: bool
) -> Iterator[Held | tuple[str, Any]]:
    """A function that was replaced, or `chosen` of several, and the registry of one that dispatches."""
    if not statement.decorated and (plain := _replaced(source, value)) is not None:
        yield f"replaced function {prefix}{statement.name}", plain
    elif not statement.decorated and chosen:
        node = source.find(value.__code__)
        yield f"chosen function {prefix}{statement.name}", None if node is None else source.digest_of(node)
    elif (registry := _dispatched(value)) is not None:
        title = f"registry of {label}:{prefix}{statement.name}"
        yield Held(title, title, statement.name, registry, None, True, (source,), attribute=bool(prefix))


def captured(value: Any, where: str, source: Source) -> Iterator[Held]:
    """Values in the closures around a decorated function: their decorators may have computed them at import."""
    times = Counter[str]()
    for fn, node, own in _closures(value, source):
        for name, content in captures(fn):
            if not callable(_bare(content)) and not keeps(node, name):
                times[name] += 1
                title = f"closure variable {name} of {where}" + (f" ({times[name]})" if times[name] > 1 else "")
                yield Held(title, title, name, content, None, False, (own,), attribute=False)


def captured_state(value: Any, source: Source) -> Iterator[tuple[int, types.FunctionType, frozenset[str], Source]]:
    """Number, function, names of the variables, and file of each closure around a decorated function that keeps
    something."""
    for number, (fn, node, own) in enumerate(_closures(value, source)):
        names = frozenset(name for name, content in captures(fn) if not callable(content) and keeps(node, name))
        if names:
            yield number, fn, names, own


def _closures(value: Any, source: Source) -> Iterator[tuple[types.FunctionType, Function, Source]]:
    """Functions with closures around a decorated function, each with its syntax tree and file."""
    waiting, seen = [value], set[int]()
    while waiting:
        fn = _bare(waiting.pop())
        if not isinstance(fn, types.FunctionType) or id(fn) in seen:
            continue
        seen.add(id(fn))
        if not fn.__closure__:
            continue
        own = source if source.has(fn.__code__) else _source_of(fn)
        node = None if own is None else own.find(fn.__code__)
        if own is not None and node is not None:
            yield fn, node, own
            waiting += [content for _, content in captures(fn) if callable(_bare(content))]


def captures(fn: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Name and content of each captured variable; None if it is not bound yet."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            yield name, None


def _bare(value: Any) -> Any:
    """The function in a method or property."""
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    return value.fget if isinstance(value, property) else value


def _source_of(fn: types.FunctionType) -> Source | None:
    return load_source(fn.__code__.co_filename) if is_first_party(fn.__code__.co_filename) else None


def _replaced(source: Source, value: Any) -> Any:
    """Plain form of a function's replacement; None if the source defines this function."""
    from consist_es.identity.text.bytecode import essence

    if not isinstance(value, types.FunctionType):
        return type(value).__name__
    return None if source.has(value.__code__) else essence(value.__code__)


def _dispatched(value: Any) -> dict[str, Any] | None:
    """The functions that a single-dispatch function or method chooses from."""
    if isinstance(value, functools.singledispatchmethod):
        value = value.dispatcher
    registry = vars(value).get("registry") if isinstance(value, types.FunctionType) else None
    if not isinstance(registry, types.MappingProxyType):
        return None
    return {f"{module_name(kind)}.{kind.__qualname__}": function for kind, function in registry.items()}


def dispatches_here(value: Any, source: Source) -> bool:
    """True for a function that dispatches by type, to functions that its own file registers, each once."""
    registry = _dispatched(value)
    functions = [] if registry is None else [*registry.values()]
    if not functions or len(set(map(id, functions))) < len(functions):
        return False
    nodes = [source.find(fn.__code__) for fn in functions if isinstance(fn, types.FunctionType)]
    found = [node for node in nodes if getattr(node, "decorator_list", None)]
    return len(found) == len(functions)


def subclasses(cls: type, label: str, source: Source) -> list[Held]:
    """All subclasses of a class, for code that calls ``__subclasses__()``."""
    found: dict[int, type] = {}
    waiting: list[type] = type.__subclasses__(cls)
    while waiting:
        item = waiting.pop()
        if id(item) not in found:
            found[id(item)] = item
            waiting += type.__subclasses__(item)
    below = sorted(found.values(), key=lambda item: (module_name(item), item.__qualname__))
    title = f"subclasses of {label}"
    return [Held(title, title, "__subclasses__", below, None, True, (source,), True)] if below else []


def submodules(package: types.ModuleType | None) -> list[Held]:
    """The loaded modules of a package without a file of its own."""
    if package is None or not hasattr(package, "__path__"):
        return []
    found = {name: value for name, value in vars(package).items() if isinstance(value, types.ModuleType)}
    name = package.__name__
    return [Held(f"{key} of {name}", name, key, value, None, True, (), False) for key, value in sorted(found.items())]


def plain_or_none(value: Any, root: Path, where: str) -> Any:
    """Type and plain form of a value; None for functions, open handles and all else without one."""
    if (form := environment_form(value)) is not None:
        return [type(value).__name__, form]
    try:
        return [type(value).__name__, portable(value, root, where)]
    except (ConfigTypeError, ConfigValueError):
        return None


# ---------------------------------------------------------------- values that name places


def portable(value: Any, root: Path, where: str = "value") -> Any:
    """Plain form; a path below `root`, also as text, counts relative to it: moving a project changes nothing."""
    return _relative(to_plain(value, where, ordered=True), str(root))


def _relative(plain: Any, root: str) -> Any:
    if isinstance(plain, str):
        below = plain == root or plain.startswith(f"{root}/")
        return {"$project_path": plain[len(root) + 1 :]} if below else plain
    if isinstance(plain, list):
        return plain if _is_numbers(plain) else [_relative(item, root) for item in plain]
    if isinstance(plain, dict):
        return {key: _relative(item, root) for key, item in plain.items()}
    return plain


def without_order(plain: Any) -> Any:
    """The plain form without the order of keys, as version 1 had it; the same object if no order is noted in it."""
    if isinstance(plain, list):
        if _is_numbers(plain):
            return plain
        items = [without_order(item) for item in plain]
        return plain if all(map(operator.is_, items, plain)) else items
    if not isinstance(plain, dict):
        return plain
    if plain.keys() == {IN_ORDER}:
        pairs = without_order(plain[IN_ORDER])
        return dict(pairs) if all(isinstance(key, str) for key, _ in pairs) else {"$map": by_frame(pairs)}
    found = {key: without_order(item) for key, item in plain.items()}
    return plain if all(found[key] is item for key, item in plain.items()) else found


def _is_numbers(items: list[Any]) -> bool:
    """True if a list quickly shows that it holds no text: numbers, or rows of numbers."""
    kinds = set(map(type, items))
    if kinds == {list}:
        kinds = set(map(type, itertools.chain.from_iterable(items)))
    return kinds <= {int, float, bool}


# ---------------------------------------------------------------- imported names


def _rebound_imports(body: Body, namespace: Mapping[str, Any]) -> Iterator[str]:
    """Imported names that now differ from the same name in the module they came from."""
    for module, there, name in body.imports:
        if name in namespace:
            origin = imported_from(module, namespace)
            if there in origin and namespace[name] is not origin[there]:
                yield name


def imported_from(name: str, namespace: Mapping[str, Any]) -> Mapping[str, Any]:
    """Namespace of the module imported under this name, which may have leading dots; {} if it is not loaded."""
    module = next(map(sys.modules.get, resolved(name, namespace)), None)
    return {} if module is None else vars(module)


def resolved(name: str, namespace: Mapping[str, Any]) -> list[str]:
    """The absolute name of a module, in a list; empty if it cannot be resolved."""
    try:
        return [importlib.util.resolve_name(name, namespace.get("__package__") or "")]
    except ImportError:  # relative, in a module without a package: another import took its place
        return []


def _is_imported_by_star(name: str, namespace: Mapping[str, Any], source: Source) -> bool:
    """True if a name is still the object of that name in a star-imported module."""
    stars = (ref.name for ref in source.imports if "*" in ref.bound)
    return any(imported_from(star, namespace).get(name, source) is namespace[name] for star in stars)
