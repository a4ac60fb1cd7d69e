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


class Witness:
    """What was there when a module was compared with its source."""

    def __init__(self, module: types.ModuleType, defined: Iterable[str] = ()) -> None:
        """`defined` are names of functions and classes of the module's source: what stands there instead counts too."""
        self.module = module
        self._seen: dict[int, Any] = {}
        """Everything that was noted, so that nothing is noted twice."""
        self._waiting: list[Any] = []
        self._mappings: list[Mapping[Any, Any]] = []
        self._lengths: list[int] = []
        self._keys: list[Any] = []
        self._values: list[Any] = []
        """Of all these, one after the other."""
        self._small: list[Mapping[Any, Any]] = []
        """Those with a few names: each of them is looked up, which is quicker than to go through so many."""
        self._small_lengths: list[int] = []
        self._named: tuple[list[Mapping[Any, Any]], list[str], list[Any]] = ([], [], [])
        """Mapping, name and value."""
        self._empty: list[Mapping[Any, Any]] = []
        self._collections: list[tuple[Collection[Any], tuple[Any, ...]]] = []
        self.functions: list[types.FunctionType] = []
        self._of_functions: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        """Code, defaults and defaults by keyword of each."""
        self._cells: list[tuple[types.CellType, Any]] = []
        self.classes: list[type] = []
        self._of_classes: list[Any] = []
        """Bases of each, its name, its own class and those of its bases, one after the other."""
        self._objects: tuple[list[Any], list[type]] = ([], [])
        """All others, with their classes."""
        self._below: list[tuple[type, list[type]]] = []
        """Classes with those that inherit from them."""
        self._modules: dict[str, Any] = {}
        self._origins: list[tuple[Mapping[str, Any], str, Any]] = []
        for name in defined:
            if _is_class(value := vars(module).get(name)) and value.__flags__ & _CHANGEABLE:
                self._class(value)
            else:
                self._object(value)
        self._mapping(vars(module))
        while self._waiting:
            self._value(self._waiting.pop())

    # ------------------------------------------------------------ noting

    def imports(self, names: Iterable[str]) -> None:
        """Note which modules are loaded under these names."""
        self._modules |= {name: sys.modules.get(name) for name in names}

    def origin(self, namespace: Mapping[str, Any], name: str) -> None:
        """Note what another module calls by a name, or all that it has for ``*``."""
        if name == "*":
            self._note(namespace)
        else:
            self._origins.append((namespace, name, namespace.get(name, _MISSING)))

    def content(self, value: Any) -> bool:
        """Note all that a value holds. False, and nothing noted, if it holds anything but constants in containers of
        builtin types."""
        return _is_constant(value, 0) and self._content(value)

    def _content(self, value: Any) -> bool:
        kind = type(value)
        if kind is dict:
            self._note(value)
            for item in value.values():
                self._content(item)
        elif kind in (list, set, tuple, frozenset):
            if kind in (list, set):
                self._collections.append((value, tuple(value)))
            for item in value:
                self._content(item)
        return True

    def _note(self, mapping: Mapping[Any, Any]) -> None:
        if len(mapping) <= _FEW and all(type(name) is str for name in mapping):
            self._small.append(mapping)
            self._small_lengths.append(len(mapping))
            for noted, items in zip(self._named, ([mapping] * len(mapping), mapping, mapping.values()), strict=True):
                noted += items
            return
        self._mappings.append(mapping)
        self._lengths.append(len(mapping))
        self._keys += mapping
        self._values += mapping.values()

    def _mapping(self, mapping: Mapping[Any, Any]) -> None:
        if mapping:
            self._note(mapping)
            self._waiting += mapping.values()
        else:
            self._empty.append(mapping)

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
            for noted, found in zip(self._objects, (value, kind), strict=True):
                noted.append(found)
            self._inside(value)

    def _object(self, value: Any) -> None:
        """What stands where a function is defined: it may hold that function, whatever it is."""
        if type(value) not in _ATOMS and not isinstance(value, (types.FunctionType, types.ModuleType, type)):
            self._attributes(value)

    def _function(self, fn: types.FunctionType) -> None:
        self.functions.append(fn)
        for noted, found in zip(self._of_functions, (fn.__code__, fn.__defaults__, fn.__kwdefaults__), strict=True):
            noted.append(found)
        if fn.__kwdefaults__:
            self._mapping(fn.__kwdefaults__)
        self._mapping(vars(fn))
        for cell in fn.__closure__ or ():
            content = _content_of(cell)
            self._cells.append((cell, content))
            self._waiting.append(content)

    def _class(self, cls: type) -> None:
        self._seen[id(cls)] = cls
        self.classes.append(cls)
        self._of_classes += _of_class(cls)
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
            self._below.append((item, below))
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

    # ------------------------------------------------------------ comparing

    def holds(self) -> bool:
        """Whether everything is as it was."""
        try:
            return self._holds()
        except (KeyError, RuntimeError):  # a name is gone; another thread is just changing a mapping
            return False

    def _holds(self) -> bool:
        same, functions = operator.is_, self.functions
        codes, defaults, keywords = self._of_functions
        return (
            [*map(len, self._mappings)] == self._lengths
            and all(map(same, chain.from_iterable(self._mappings), self._keys))
            and all(map(same, chain.from_iterable(map(_VALUES, self._mappings)), self._values))
            and [*map(len, self._small)] == self._small_lengths
            and all(map(same, map(operator.getitem, *self._named[:2]), self._named[2]))
            and not any(self._empty)
            and all(map(same, [fn.__code__ for fn in functions], codes))
            and all(map(same, [fn.__defaults__ for fn in functions], defaults))
            and all(map(same, [fn.__kwdefaults__ for fn in functions], keywords))
            and all(_same(items, noted) for items, noted in self._collections)
            and all(_content_of(cell) is content for cell, content in self._cells)
            and all(map(same, map(sys.modules.get, self._modules), self._modules.values()))
            and all(namespace.get(name, _MISSING) is value for namespace, name, value in self._origins)
            and all(map(same, map(type, self._objects[0]), self._objects[1]))
            and all(map(same, chain.from_iterable(map(_of_class, self.classes)), self._of_classes))
            and all(_same(type.__subclasses__(cls), below) for cls, below in self._below)
        )


def _of_class(cls: type) -> tuple[Any, ...]:
    bases = cls.__bases__
    return bases, cls.__qualname__, type(cls), *map(type, bases)


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
    return len(items) == len(noted) and all(map(operator.is_, items, noted))


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _MISSING
