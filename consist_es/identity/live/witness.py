"""Tells cheaply that nothing was replaced in a loaded module since it was last compared with its source.

Comparing takes milliseconds for each module, and a step may reach hundreds that nobody ever touches. So what was there
is noted: every object by identity, with a reference of our own, for an id alone may come back with another object.
What was found out is found out again as soon as one of them is another one. Too much noted costs time at most; what a
comparison looks at and is not noted here would make a hit wrong.
"""

import dataclasses
import datetime
import decimal
import enum
import functools
import gc
import operator
import sys
import types
from collections.abc import Callable, Collection, Container, Iterable, Mapping
from contextlib import suppress
from itertools import chain, repeat
from pathlib import Path, PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeGuard

_ATOMS: frozenset[type] = frozenset({
    int, float, complex, bool, str, bytes, type(None), type(...), Path, PosixPath, WindowsPath, PurePosixPath,
    PureWindowsPath, datetime.date, datetime.timedelta, decimal.Decimal, range,
})  # fmt: skip
"""Types of which an object never changes, and holds nothing that does."""
FACTORIES = _ATOMS | {type(getattr(dataclasses, "_HAS_DEFAULT_FACTORY", None))}
"""These, and what stands for a default of a dataclass that a factory makes."""
_DEEPEST = 20
_CHANGEABLE = 1 << 9
"""Flag of classes that Python code made; of others nothing can be replaced."""
_FEW = 3
_MISSING = object()
_VALUES = operator.methodcaller("values")
_BASES, _ALL_BASES, _QUALNAME = map(operator.attrgetter, ("__bases__", "__mro__", "__qualname__"))
_BELOW: Callable[[type], list[type]] = type.__subclasses__
_HOLDERS = (enum.Enum, functools.cached_property, functools.partialmethod, functools.singledispatchmethod)


class Noted:
    """Objects, and what they hold: in few long lists, since going through many short ones takes longer."""

    def __init__(self) -> None:
        self.mappings: list[Mapping[Any, Any]] = []
        self.lengths: list[int] = []
        self.keys: list[Any] = []
        self.values: list[Any] = []
        """Of all these, one after the other."""
        self.small: list[Mapping[Any, Any]] = []
        """Those with a few names: each of them is looked up, which is quicker than to go through so many."""
        self.small_lengths: list[int] = []
        self.spaces: list[Mapping[Any, Any]] = []
        self.names: list[str] = []
        self.named: list[Any] = []
        """Mapping, name and value of each name in those."""
        self.empty: list[Mapping[Any, Any]] = []
        self.collections: list[Collection[Any]] = []
        self.sizes: list[int] = []
        self.items: list[Any] = []
        """Of all these, one after the other."""
        self.functions: list[types.FunctionType] = []
        self.inside: list[Any] = []
        """What each refers to, one after the other: its code, defaults, closure and more."""
        self.cells: list[tuple[types.CellType, Any]] = []
        self.classes: list[type] = []
        self.bases: list[Any] = []
        self.all_bases: list[Any] = []
        self.meta: list[type] = []
        """Bases of each, all of them, and its own class."""
        self.bases_meta: list[type] = []
        """Classes of all the bases."""
        self.renamable: list[type] = []
        self.qualnames: list[str] = []
        """Those that Python code made, and their names."""
        self.objects: list[Any] = []
        """All others, with their classes."""
        self.kinds: list[type] = []
        self.above: list[type] = []
        self.counts: list[int] = []
        self.below: list[type] = []
        """Classes, how many inherit from each, and these, one after the other."""
        self.modules: list[str] = []
        self.loaded: list[Any] = []
        self.origins: list[Callable[[str, Any], Any]] = []
        self.asked: list[str] = []
        self.answers: list[Any] = []
        """Methods that look names up, with the names and what they led to."""

    def add(self, other: "Noted") -> None:
        """Take in what another one has."""
        for name, noted in vars(self).items():
            noted += getattr(other, name)

    def mapping(self, mapping: Mapping[Any, Any], *, ordered: bool = False) -> None:
        """Note what a mapping holds; if it is `ordered`, in which order too."""
        if not mapping:
            self.empty.append(mapping)
        elif not ordered and len(mapping) <= _FEW and all(type(name) is str for name in mapping):
            self.small.append(mapping)
            self.small_lengths.append(len(mapping))
            self.spaces += [mapping] * len(mapping)
            self.names += mapping
            self.named += mapping.values()
        else:
            self.mappings.append(mapping)
            self.lengths.append(len(mapping))
            self.keys += mapping
            self.values += mapping.values()

    def collection(self, items: Collection[Any]) -> None:
        self.collections.append(items)
        self.sizes.append(len(items))
        self.items += items

    def function(self, fn: types.FunctionType) -> None:
        vars(fn)  # makes the dictionary that it refers to
        self.functions.append(fn)
        self.inside += gc.get_referents(fn)

    def cls(self, cls: type) -> None:
        self.classes.append(cls)
        self.bases.append(cls.__bases__)
        self.all_bases.append(cls.__mro__)
        self.meta.append(type(cls))
        self.bases_meta += map(type, cls.__bases__)
        if cls.__flags__ & _CHANGEABLE:  # of others the name is another text each time
            self.renamable.append(cls)
            self.qualnames.append(cls.__qualname__)

    def subclasses(self, cls: type) -> list[type]:
        """Note the classes that inherit from one directly."""
        found = _BELOW(cls)
        self.above.append(cls)
        self.counts.append(len(found))
        self.below += found
        return found

    def origin(self, namespace: Mapping[str, Any], name: str) -> None:
        """Note what a name leads to."""
        self.origins.append(namespace.get)
        self.asked.append(name)
        self.answers.append(namespace.get(name, _MISSING))

    def holds(self) -> bool:
        """Whether everything is as it was."""
        try:
            return self._holds()
        except (KeyError, RuntimeError):  # a name is gone; another thread is just changing a mapping
            return False

    def _holds(self) -> bool:
        same, flat = operator.is_, chain.from_iterable
        return (
            [*map(len, self.mappings)] == self.lengths
            and all(map(same, flat(self.mappings), self.keys))
            and all(map(same, flat(map(_VALUES, self.mappings)), self.values))
            and [*map(len, self.small)] == self.small_lengths
            and all(map(same, map(operator.getitem, self.spaces, self.names), self.named))
            and not any(self.empty)
            and [*map(len, self.collections)] == self.sizes
            and all(map(same, flat(self.collections), self.items))
            # each `__code__` and `__defaults__` that is read raises an audit event; this is one for all
            and _same(gc.get_referents(*self.functions), self.inside)
            and all(map(same, map(type, self.objects), self.kinds))
            and all(map(same, map(_BASES, self.classes), self.bases))
            and all(map(same, map(_ALL_BASES, self.classes), self.all_bases))
            and all(map(same, map(type, self.classes), self.meta))
            and all(map(same, map(type, flat(self.bases)), self.bases_meta))
            and all(map(same, map(_QUALNAME, self.renamable), self.qualnames))
            and all(_content_of(cell) is content for cell, content in self.cells)
            and all(map(same, map(sys.modules.get, self.modules), self.loaded))
            and all(map(same, map(operator.call, self.origins, self.asked, repeat(_MISSING)), self.answers))
            and self._inherit()
        )

    def _inherit(self) -> bool:
        """Whether the same classes inherit from those noted."""
        found = [*map(_BELOW, self.above)]
        return [*map(len, found)] == self.counts and all(map(operator.is_, chain.from_iterable(found), self.below))


class Witness:
    """What was there when a module was compared with its source."""

    def __init__(self, module: types.ModuleType, defined: Iterable[str] = ()) -> None:
        """`defined` are names of functions and classes of the module's source: what stands there instead counts too."""
        self.module = module
        self._seen: dict[int, Any] = {}
        """Everything that was noted, so that nothing is noted twice."""
        self._waiting: list[Any] = []
        self.noted = Noted()
        for name in defined:
            if _is_class(value := vars(module).get(name)) and value.__flags__ & _CHANGEABLE:
                self._class(value)
            else:
                self._object(value)
        self._mapping(vars(module))
        while self._waiting:
            self._value(self._waiting.pop())

    # ------------------------------------------------------------ noting

    @property
    def functions(self) -> list[types.FunctionType]:
        """All functions that were noted."""
        return self.noted.functions

    @property
    def classes(self) -> list[type]:
        """All classes that were noted."""
        return self.noted.classes

    def imports(self, names: Iterable[str]) -> None:
        """Note which modules are loaded under these names."""
        for name in names:
            self.noted.modules.append(name)
            self.noted.loaded.append(sys.modules.get(name))

    def origin(self, namespace: Mapping[str, Any], name: str) -> None:
        """Note what another module calls by a name, or all that it has for ``*``."""
        if name == "*":
            self.noted.mapping(namespace)
        else:
            self.noted.origin(namespace, name)

    def content(self, value: Any, made: int = 0, *, atoms: Container[type] = _ATOMS) -> bool:
        """Note all that a value holds, but for so many levels of containers that nobody else has. False, and nothing
        noted, if it holds anything but constants, of the types in `atoms`, in containers of builtin types."""
        return _is_constant(value, atoms, 0) and self._content(value, made)

    def _content(self, value: Any, made: int) -> bool:
        kind = type(value)
        if kind is dict:
            if made <= 0:
                self.noted.mapping(value, ordered=True)
            for item in value.values():
                self._content(item, made - 1)
        elif kind in (list, set, tuple, frozenset):
            if kind in (list, set) and made <= 0:
                self.noted.collection(value)
            for item in value:
                self._content(item, made - 1)
        return True

    def _mapping(self, mapping: Mapping[Any, Any]) -> None:
        self.noted.mapping(mapping)
        self._waiting += mapping.values()

    def _value(self, value: Any) -> None:
        kind = type(value)
        if kind in _ATOMS or kind is types.ModuleType or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if kind is types.FunctionType:
            self._function(value)
        elif _is_class(value):
            if vars(value).get("__module__") == self.module.__name__:  # others are compared with their own modules
                self._class(value)
        elif isinstance(value, types.MappingProxyType):  # what `functools.singledispatch` chooses from
            self._mapping(value)
        else:
            self.noted.objects.append(value)
            self.noted.kinds.append(kind)
            self._inside(value)

    def _object(self, value: Any) -> None:
        """What stands where a function is defined: it may hold that function, whatever it is."""
        if type(value) not in _ATOMS and not isinstance(value, (types.FunctionType, types.ModuleType, type)):
            self._attributes(value)

    def _function(self, fn: types.FunctionType) -> None:
        self.noted.function(fn)
        if fn.__kwdefaults__:
            self._mapping(fn.__kwdefaults__)
        self._mapping(vars(fn))
        for cell in fn.__closure__ or ():
            content = _content_of(cell)
            self.noted.cells.append((cell, content))
            self._waiting.append(content)

    def _class(self, cls: type) -> None:
        self._seen[id(cls)] = cls
        self.noted.cls(cls)
        self._mapping(vars(cls))
        if issubclass(type(cls), enum.EnumMeta):
            self._mapping(vars(cls).get("_member_map_", {}))
        for name, value in vars(cls).items():
            if not name.startswith("__"):
                self._object(value)
        for inner in filter(_is_class, vars(cls).values()):
            if id(inner) not in self._seen and inner.__flags__ & _CHANGEABLE:
                self._class(inner)
        waiting = [cls]
        while waiting:
            waiting += self.noted.subclasses(waiting.pop())

    def _inside(self, value: Any) -> None:
        """What descriptors and callables hold."""
        if isinstance(value, property):
            self._waiting += (value.fget, value.fset, value.fdel)
        elif isinstance(value, (staticmethod, classmethod, types.MethodType)):
            self._waiting.append(value.__func__)
        elif isinstance(value, functools.partial):
            self._waiting += (value.func, *value.args)
            self._mapping(value.keywords)
        elif callable(value) or isinstance(value, _HOLDERS):
            self._attributes(value)

    def _attributes(self, value: Any) -> None:
        with suppress(AttributeError):
            self._mapping(object.__getattribute__(value, "__dict__"))

    def holds(self) -> bool:
        """Whether everything is as it was."""
        return self.noted.holds()


def _is_class(value: object) -> TypeGuard[type]:
    return issubclass(type(value), type)  # `isinstance` would believe what an object says of itself


def _is_constant(value: Any, atoms: Container[type], depth: int) -> bool:
    kind = type(value)
    if kind in atoms:
        return True
    if depth > _DEEPEST or kind not in (dict, list, set, tuple, frozenset):
        return False
    inner = chain(value, value.values()) if kind is dict else value
    return all(_is_constant(item, atoms, depth + 1) for item in inner)


def _same(items: Collection[Any], noted: Collection[Any]) -> bool:
    """True if these are the same objects in the same order."""
    return len(items) == len(noted) and all(map(operator.is_, items, noted))


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING
