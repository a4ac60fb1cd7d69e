"""Finds what code outside of steps left in variables that functions of a module fill and read: caches, counters.

Such state does not count where a step filled it: what the step read for it is known, and later steps inherit these
reads (`consist_es.observe.keeping`). So a step has the same identity whether an earlier one was computed or reused.
What other code filled it with, nobody saw being read: that counts by its value.
"""

from __future__ import annotations

import collections
import functools
import inspect
import marshal
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.live.cache_basis import basis_of
from consist_es.identity.live.cached_results import may_read
from consist_es.identity.live.compared import Compared
from consist_es.identity.live.loaded import captured_state, captures
from consist_es.identity.live.objects import class_sources, state_of
from consist_es.identity.live.owners import CONTAINERS, elements, is_own
from consist_es.identity.text.names import BODY, Body
from consist_es.identity.text.readers import may_be_state
from consist_es.identity.text.source import Source, digest_plain
from consist_es.identity.text.usage import ATTRIBUTE, MAKERS, NAME
from consist_es.values.digests import digest_of
from consist_es.values.encoding import by_frame, is_same
from consist_es.values.plain import to_plain, type_name

LEFT = "value left in "
"""Begin of the names of parts of the identity."""
_DEEPEST = 6
_MOST = 10_000
"""Objects looked at in one value, and roots in one module."""
_FUNCTIONS = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Holder(NamedTuple):
    """A module, class, object, function or closure with state."""

    where: str
    kind: str
    """`NAME` or `ATTRIBUTE`."""
    names: frozenset[str] | None
    """The variables that may be state; None for all."""
    slots: Callable[[], Mapping[str, Any]]
    functions: Callable[[], Iterable[types.FunctionType]]
    """Those that may fill it."""
    source: Source
    literals: Mapping[str, Any]
    """Variable -> type and plain form of its literal in the source."""
    instance: bool = False
    kept: frozenset[str] | None = frozenset()
    """Those that are state whoever reads them; None for all."""

    def keeps(self, name: str) -> bool:
        """True if a variable is state whoever reads it."""
        return self.kept is None or name in self.kept

    def values(self) -> dict[str, Any]:
        """The values that are not as they were made, by name."""
        slots = self.slots()
        names = slots.keys() if self.names is None else slots.keys() & self.names
        return {name: slots[name] for name in sorted(names) if not self._is_as_made(name, slots[name])}

    def is_computed(self, name: str) -> bool:
        """True if the functions that fill a variable can only compute, so that it holds the same whoever fills it."""
        found = [fn for fn in self.functions() if name in _mentioned(fn.__code__)]
        plain = frozenset(key for key, value in self.slots().items() if _is_data(value)) | {name}
        return bool(found) and not any(may_read(fn, set(), plain) for fn in found)

    def basis_of(self, name: str) -> tuple[str, bool]:
        """Digest of what it is computed from, and True if that is as the source has it."""
        fillers = [fn for fn in self.functions() if name in _mentioned(fn.__code__)]
        found = [basis_of(fn, name) for fn in fillers]
        used = set[str]().union(*(_mentioned(fn.__code__) for fn in fillers)) - {name} if self.instance else set()
        own = {key: _digest(value) for key, value in self.slots().items() if key in used}
        return digest_plain([[digest for digest, _ in found], own]), all(as_written for _, as_written in found)

    def _is_as_made(self, name: str, value: Any) -> bool:
        if value is None or isinstance(value, _FUNCTIONS) or _is_empty(value) or _has_not_begun(value):
            return True
        literal = self.literals.get(name)
        return literal is not None and is_same(_Form(exact=True).of(value), literal)


class _Seen(NamedTuple):
    """A value as it was at the last look."""

    form: Any
    inside: list[Any]
    """Weak references, or else the objects, to those that the form names by their ids."""

    def is_still(self, other: _Seen) -> bool:
        alive = all(not isinstance(item, weakref.ref) or item() is not None for item in self.inside)
        return alive and is_same(self.form, other.form)


class _Marks:
    """What is known of one holder's values."""

    def __init__(self, holder: Holder, module: types.ModuleType) -> None:
        self.holder, self.module = holder, module
        self.last: dict[str, _Seen] = {}
        self.outside: dict[str, tuple[_Seen, str]] = {}
        """Name -> what code outside of steps left there, and its digest."""
        self._bases: dict[str, str | None] = {}
        """Name -> digest of what a computed value was computed from; None once that has changed."""

    def look(self, *, outside: bool) -> None:
        """Compare with the last look. `outside`: what is new since, no step did."""
        values = self.holder.values()
        now = {name: _seen(value) for name, value in values.items()}
        for name in self.outside.keys() - now.keys():
            del self.outside[name]
            self._bases.pop(name, None)
        for name, seen in now.items() if outside else ():
            if name not in self.last or not self.last[name].is_still(seen):
                self.outside[name] = (seen, _digest(values[name]))
        self.last = now

    def digests(self) -> dict[str, str]:
        """Name -> digest of what code outside of steps left there; a table may have been changed in place since."""
        for name, (left, _) in self.outside.items():
            if left.inside and left.is_still(self.last[name]):
                self.outside[name] = (left, _digest(self.holder.slots().get(name)))
        return {name: digest for name, (_, digest) in self.outside.items() if not self._is_computed(name)}

    def _is_computed(self, name: str) -> bool:
        """True if a step would compute the same value itself."""
        if not self.holder.is_computed(name):
            return False
        basis, as_written = self.holder.basis_of(name)
        if self._bases.setdefault(name, basis if as_written else None) != basis:
            self._bases[name] = None  # it may be stale
        return self._bases[name] is not None


_known: dict[tuple[str, str], _Marks] = {}
"""By file and place."""
_running: set[Running] = set()
_within: set[str] = set()
"""Files of modules that a step loaded: what they hold, a step left there."""
_looked: dict[str, int] = {}
"""File of a module -> how many steps had ended when it was looked at: what came since, one of them may have left."""
_ended = [0]
_loaded: set[str] = set()
"""Names of the modules when the first of the running steps began."""


class Running:
    """The time while a step runs, or while the changes of a reused one are made."""

    def begin(self) -> None:
        """Note that what changes from now on, a step may change."""
        if not _running:
            _look_at_all(outside=True)
            _loaded.clear()
            _loaded.update(sys.modules)
        _running.add(self)

    def end(self) -> None:
        """Note what the step left; nothing happens if it has not begun, or has ended."""
        if self not in _running:
            return
        _running.discard(self)
        _ended[0] += 1
        for name in sys.modules.keys() - _loaded:
            if isinstance(file := getattr(sys.modules.get(name), "__file__", None), str):
                _within.add(file)
        _look_at_all(outside=False)


def left_outside(compared: Compared) -> Iterator[tuple[Holder, dict[str, str]]]:
    """For each holder of a module: name -> digest of what code outside of steps left in its variables."""
    file = compared.source.filename
    is_new = file not in _within if file not in _looked else _looked[file] == _ended[0]
    _looked[file] = _ended[0]
    for holder in _holders(compared):
        key = (file, holder.where)
        marks, outside = _known.get(key), not _running
        if marks is None:
            marks = _known[key] = _Marks(holder, compared.module)
            outside = outside and is_new
        marks.holder, marks.module = holder, compared.module
        marks.look(outside=outside)
        yield holder, marks.digests()


def _look_at_all(*, outside: bool) -> None:
    for key, marks in list(_known.items()):
        if sys.modules.get(marks.module.__name__) is marks.module:
            marks.look(outside=outside)
        else:
            _known.pop(key, None)


class _Form:
    """Makes the form of one value: type and plain form; of containers and the project's objects by what they hold."""

    def __init__(self, *, exact: bool) -> None:
        """Unless `exact`, objects of other packages, such as tables, are named by their ids."""
        self._exact, self._left = exact, _MOST
        self.inside: list[Any] = []

    def of(self, value: Any, depth: int = _DEEPEST) -> Any:
        kind, self._left = type(value), self._left - 1
        name = type_name(kind) if is_own(kind) else kind.__name__
        if kind in _ATOMS or (self._exact and not isinstance(value, CONTAINERS)):
            with suppress(ConfigTypeError, ConfigValueError):
                return [name, to_plain(value, ordered=True)]
        if depth and self._left > 0 and isinstance(value, dict):
            return [name, [[self.of(key, 0), self.of(item, depth - 1)] for key, item in list(dict.items(value))]]
        if depth and self._left > 0 and isinstance(value, CONTAINERS):
            items = [self.of(item, depth - 1) for item in elements(value)]
            return [name, items if isinstance(value, list | tuple | collections.deque) else by_frame(items)]
        if depth and self._left > 0 and is_own(kind) and not isinstance(value, type):
            return [name, [[key, self.of(item, depth - 1)] for key, item in sorted(state_of(value).items())]]
        if isinstance(value, types.GeneratorType):
            frame = value.gi_frame
            inside = [] if frame is None else sorted(frame.f_locals.items())
            return [name, frame and frame.f_lasti, [[key, self.of(item, depth - 1)] for key, item in inside if depth]]
        if self._exact:
            return [name]
        try:
            self.inside.append(weakref.ref(value))
        except TypeError:
            self.inside.append(value)
        return [name, id(value)]


def _is_empty(value: Any) -> bool:
    base: Any = next((base for base in CONTAINERS if isinstance(value, base)), None)
    return base is not None and not base.__len__(value)


def _has_not_begun(value: Any) -> bool:
    return isinstance(value, types.GeneratorType) and inspect.getgeneratorstate(value) == inspect.GEN_CREATED


def _seen(value: Any) -> _Seen:
    with suppress(ValueError):  # most caches hold plain data: of that, this is quick and exact
        return _Seen(digest_of(marshal.dumps(value, 2)), [])
    made = _Form(exact=False)
    return _Seen(made.of(value), made.inside)


def _digest(value: Any) -> str:
    return digest_plain(_Form(exact=True).of(value))


# ---------------------------------------------------------------- the holders of a module


class _Lasting(NamedTuple):
    """What stays the same as long as nothing in a module is replaced."""

    holders: list[Holder]
    roots: list[tuple[str, Any]]
    """Place and value of the variables that may lead to objects of the project."""


_lasting: weakref.WeakKeyDictionary[Compared, _Lasting] = weakref.WeakKeyDictionary()


def _holders(compared: Compared) -> list[Holder]:
    """All that may hold state in a loaded module: itself, its classes, functions, closures and objects."""
    source, module, label = compared.source, compared.module, compared.label
    lasting = _lasting.get(compared)
    if lasting is None:
        names, _ = may_be_state(source)
        roots = [(f"{label}:{name}", value) for name, value in _data(module) if name not in names]
        lasting = _lasting[compared] = _Lasting(list(_in_module(source, module, label)), roots)
    return [*lasting.holders, *_objects(lasting.roots)] if lasting.roots else lasting.holders


# A class, function or variable that has no such name yet gets a holder once the name is there: that is a change of the
# module, so it is compared anew.
def _in_module(source: Source, module: types.ModuleType, label: str) -> Iterator[Holder]:
    names, attributes = may_be_state(source)
    body, slots = BODY.of(source), functools.partial(vars, module)
    suspended = frozenset(name for name, value in list(vars(module).items()) if type(value) is types.GeneratorType)
    if not (names := names | suspended).isdisjoint(vars(module)):
        functions = functools.partial(_functions_of, module)
        yield Holder(label, NAME, names, slots, functions, source, body.constants, kept=suspended)
    yield from _inside(body, vars(module), label, "", source, attributes)


def _inside(
    body: Body, namespace: Mapping[str, Any], label: str, prefix: str, source: Source, attributes: frozenset[str]
) -> Iterator[Holder]:
    """Classes and functions that a module or class defines."""
    for item in body.definitions:
        value, where = namespace.get(item.name), f"{label}:{prefix}{item.name}"
        if item.inside is not None and isinstance(value, type):
            if not attributes.isdisjoint(vars(value)):
                slots, functions = functools.partial(vars, value), functools.partial(_methods_of, value)
                yield Holder(where, ATTRIBUTE, attributes, slots, functions, source, item.inside.constants)
            yield from _inside(item.inside, vars(value), label, f"{prefix}{item.name}.", source, attributes)
        elif item.inside is None:
            if isinstance(value, types.FunctionType) and not attributes.isdisjoint(vars(value)):
                own, slots = functools.partial(_only, value), functools.partial(vars, value)
                yield Holder(where, ATTRIBUTE, attributes, slots, own, source, {})
            if item.decorated:
                for number, fn, kept, file in captured_state(value, source):
                    own, inside = functools.partial(_only, fn), functools.partial(_contents, fn)
                    yield Holder(f"closure {number} of {where}", NAME, kept, inside, own, file, {}, kept=None)


def _only(fn: types.FunctionType) -> Iterator[types.FunctionType]:
    yield fn


def _contents(fn: types.FunctionType) -> dict[str, Any]:
    return dict(captures(fn))


def _functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from _methods_of(value)
        elif isinstance(value, types.FunctionType):
            yield value


def _methods_of(kind: type) -> Iterator[types.FunctionType]:
    for base in kind.__mro__:
        for item in vars(base).values():
            inner = getattr(item, "func", getattr(item, "__func__", getattr(item, "fget", item)))
            if isinstance(inner, types.FunctionType) and inner.__name__ not in MAKERS:
                yield inner


def _mentioned(code: types.CodeType) -> set[str]:
    inner = [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return {code.co_name, *code.co_names, *code.co_freevars}.union(*map(_mentioned, inner))


def _is_data(value: Any) -> bool:
    return not callable(value) and type(value) in (*_ATOMS, dict, list, tuple, set, frozenset)


def _objects(roots: list[tuple[str, Any]]) -> list[Holder]:
    """The project's objects that a module's variables lead to, unless these are state themselves."""
    waiting = collections.deque(roots)
    found: list[Holder] = []
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        where, value = waiting.popleft()
        if id(value) in seen:
            continue
        if isinstance(value, dict):
            waiting += [(f"{where}[{_key(key)}]", item) for key, item in list(dict.items(value)) if _may_lead(item)]
        elif isinstance(value, list | tuple):
            waiting += [(f"{where}[{number}]", item) for number, item in enumerate(value) if _may_lead(item)]
        elif is_own(type(value)):
            attributes, kept, own = _attributes_of(type(value))
            if attributes and own is not None:
                state = functools.partial(state_of, value)
                functions = functools.partial(_methods_of, type(value))
                found.append(Holder(where, ATTRIBUTE, attributes, state, functions, own, {}, instance=True, kept=kept))
            inner = sorted(state_of(value).items())
            waiting += [(f"{where}.{name}", item) for name, item in inner if name not in attributes and _may_lead(item)]
        seen.add(id(value))
    return found


def _key(key: Any) -> str:
    return repr(key) if type(key) in (str, int, float, bool, bytes) else type(key).__name__


def _data(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in list(vars(module).items()) if name[:2] != "__" and _may_lead(value))


def _may_lead(value: Any) -> bool:
    """True for objects of the project, and containers that may hold some."""
    return (isinstance(value, (dict, list, tuple)) and len(value) > 0) or (
        not isinstance(value, (type, types.ModuleType, types.FunctionType)) and is_own(type(value))
    )


def _find_attributes(kind: type) -> tuple[frozenset[str], frozenset[str], Source | None]:
    """Attributes of a class's instances that may be state, those that keep what a property read, and its source."""
    sources = class_sources(kind)
    found = frozenset[str]().union(*(may_be_state(source, instance=True)[1] for source in sources))
    members = [(name, item) for base in kind.__mro__ for name, item in vars(base).items()]
    cached = {name: item for name, item in members if isinstance(item, functools.cached_property)}
    kept = frozenset(name for name, item in cached.items() if may_read(item.func, set()))
    return found | cached.keys(), kept, sources[0] if sources else None


_Attributes = tuple[frozenset[str], frozenset[str], Source | None]
_attributes_of: Callable[[type], _Attributes] = functools.lru_cache(maxsize=4096)(_find_attributes)
