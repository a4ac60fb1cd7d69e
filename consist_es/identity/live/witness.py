"""Tells cheaply that nothing was replaced in a loaded module since it was last compared with its source.

Comparing takes milliseconds for each module, and a step may reach hundreds that nobody ever touches. So what was there
is noted: every object by identity, with a reference of our own, for an id alone may come back with another object.
What was found out is found out again as soon as one of them is another one. Too much noted costs time at most; what a
comparison looks at and is not noted here would make a hit wrong.
"""

import datetime
import decimal
import enum
import functools
import gc
import operator
import sys
import types
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path, PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any, TypeGuard

_ATOMS = frozenset({
    int, float, complex, bool, str, bytes, type(None), type(...), Path, PosixPath, WindowsPath, PurePosixPath,
    PureWindowsPath, datetime.date, datetime.timedelta, decimal.Decimal, range,
})  # fmt: skip
"""Types of which an object never changes, and holds nothing that does."""
_DEEPEST = 20
_CHANGEABLE = 1 << 9
"""Flag of classes that Python code made; of others nothing can be replaced."""
_FEW = 3
_MISSING = object()
_VALUES = operator.methodcaller("values")
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
        self.of_classes: list[Any] = []
        """Bases of each, all of them, its name, its own class and those of its bases, one after the other."""
        self.objects: list[Any] = []
        """All others, with their classes."""
        self.kinds: list[type] = []
        self.below: list[tuple[type, list[type]]] = []
        """Classes with those that inherit from them."""
        self.modules: list[str] = []
        self.loaded: list[Any] = []
        self.origins: list[tuple[Mapping[str, Any], str, Any]] = []

    def add(self, other: "Noted") -> None:
        """Take in what another one has."""
        for name, noted in vars(self).items():
            noted += getattr(other, name)

    def mapping(self, mapping: Mapping[Any, Any]) -> None:
        if not mapping:
            self.empty.append(mapping)
        elif len(mapping) <= _FEW and all(type(name) is str for name in mapping):
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
        self.of_classes += _of_class(cls)

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
            and all(map(same, flat(map(_of_class, self.classes)), self.of_classes))
            and all(_content_of(cell) is content for cell, content in self.cells)
            and all(map(same, map(sys.modules.get, self.modules), self.loaded))
            and all(namespace.get(name, _MISSING) is value for namespace, name, value in self.origins)
            and all(_same(type.__subclasses__(cls), below) for cls, below in self.below)
        )


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
            self.noted.origins.append((namespace, name, namespace.get(name, _MISSING)))

    def content(self, value: Any, made: int = 0) -> bool:
        """Note all that a value holds, but for so many levels of containers that nobody else has. False, and nothing
        noted, if it holds anything but constants in containers of builtin types."""
        return _is_constant(value, 0) and self._content(value, made)

    def _content(self, value: Any, made: int) -> bool:
        kind = type(value)
        if kind is dict:
            if made <= 0:
                self.noted.mapping(value)
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
            item = waiting.pop()
            below: list[type] = type.__subclasses__(item)
            self.noted.below.append((item, below))
            waiting += below

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


def _of_class(cls: type) -> tuple[Any, ...]:
    bases = cls.__bases__
    name = cls.__qualname__ if cls.__flags__ & _CHANGEABLE else None  # of others it is another text each time
    return bases, cls.__mro__, name, type(cls), *map(type, bases)


def _is_class(value: object) -> TypeGuard[type]:
    return issubclass(type(value), type)  # `isinstance` would believe what an object says of itself


def _is_constant(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    if depth > _DEEPEST or kind not in (dict, list, set, tuple, frozenset):
        return False
    inner = chain(value, value.values()) if kind is dict else value
    return all(_is_constant(item, depth + 1) for item in inner)


def _same(items: Collection[Any], noted: Collection[Any]) -> bool:
    """True if these are the same objects in the same order."""
    return len(items) == len(noted) and all(map(operator.is_, items, noted))


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING
