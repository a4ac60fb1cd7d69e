"""Builds plain forms of the live values that code can reach, down to functions, classes and constants."""

import collections
import contextvars
import functools
import types
import typing
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.loaded import Held, portable, submodules, without_order
from consist_es.identity.live.modules import Modules, file_of, is_ours
from consist_es.identity.live.objects import (
    CONTAINERS,
    class_file,
    is_own,
    is_simple,
    known_form,
    objects_in,
    present_in,
    state_of,
    unsaid_state,
    wrapped_by,
)
from consist_es.identity.live.settings import HeldValues
from consist_es.identity.live.states import is_by_name, is_fixed, is_global_random, is_random, reduced_state, why_never
from consist_es.identity.live.written import NOTHING, Written, without
from consist_es.identity.text.readers import Readers, handed
from consist_es.identity.text.source import digest_plain
from consist_es.identity.text.usage import ATTRIBUTE, file_usage
from consist_es.values.plain import type_name

_C_CALLABLES = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType,
)  # fmt: skip
_NESTED = 20
"""Deepest nesting of containers to look into, well within our stack."""
_MOST = 20_000
"""Number of labelled functions, classes and objects after which no more objects are looked into."""


class Values(ABC):
    """Gives values their plain forms; functions and classes in them become parts of their own."""

    def __init__(self, root: Path, *, follow: bool, unread: Written = NOTHING) -> None:
        self.root, self.follow = root, follow
        self._unread = unread
        self.parts: dict[str, str] = {}
        """The parts of version 1 of the fingerprint, under its labels: they find the runs of that version."""
        self.added: dict[str, str] = {}
        """The parts added since version 2."""
        self.unstable: list[str] = []
        self.objects: list[tuple[str, Any]] = []
        """(path, object) of installed packages' objects that count by their state: a step may change them."""
        self._within = False
        """True inside such an object."""
        self._readers = Readers()
        self.modules = Modules(root, self._readers)
        self._held = HeldValues(root, self._readers, self._held_value, self.classes_in)
        self._lenient = False
        """True if values without a canonical form are left out: a used module may hold unused ones."""
        self._since: collections.deque[tuple[Callable[[], object], bool, int]] | None = collections.deque()
        """Visits of version 2, delayed until all that version 1 knew was visited; None from then on."""
        self._filled = False
        """True for an attribute that methods fill themselves: a handle or a cache, unless it is plain."""
        self._depth = 0
        self._labels: dict[int, str] = {}
        self._taken: set[str] = set()
        self._alive: list[Any] = []
        """Keeps visited objects alive, so that no id is reused."""

    @abstractmethod
    def function(self, fn: types.FunctionType) -> str:
        """Visit a function; returns the label of its parts."""

    @abstractmethod
    def cls(self, cls: type) -> str:
        """Visit a class; returns the label of its parts."""

    def newly(self, visit: Callable[[], object]) -> None:
        """Visit something of version 2, after all that version 1 knew."""
        if self._since is None:
            visit()
        else:
            self._since.append((visit, self._lenient, self._depth))

    def _note(self, label: str, plain: Any) -> None:
        """Add a part of version 2."""
        self.added[self._unique(label)] = digest_plain(plain)

    def _held_value(self, held: Held) -> Any:
        """Plain form of a value that a module holds."""
        if isinstance(held.value, types.ModuleType):
            self.modules.follow_loaded(held.value.__name__, file_of(held.value) or "", eager=False)
            return {"$module": held.value.__name__}
        self._filled = held.instance and not handed(held.name, map(file_usage, held.sources))
        try:
            return self.reference(held.value, held.where)
        finally:
            self._filled = False

    # ------------------------------------------------------------ any value

    def reference(self, value: Any, where: str) -> Any:
        """Plain form of a value that code can reach; functions and classes become parts of their own."""
        if type(value) in (weakref.ProxyType, weakref.CallableProxyType):
            return self._opaque(value, where, "it is a weak proxy; use the object itself")
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, types.FunctionType):
            return {"$function": self.function(value)}
        if isinstance(value, types.MethodType):
            return {
                "$method": [self.reference(value.__self__, f"self of {where}"), self.reference(value.__func__, where)]
            }
        if isinstance(value, (functools.partial, functools.partialmethod)):
            return self._partial(value, where)
        if isinstance(value, _C_CALLABLES):
            return self._builtin(value, where)
        if isinstance(value, type):
            return {"$class": self.cls(value)}
        if isinstance(value, functools.singledispatchmethod):
            return {"$dispatch": [self.reference(item, where) for item in (value.func, value.dispatcher)]}
        if isinstance(value, (staticmethod, classmethod)):
            return {type(value).__name__: self.reference(value.__func__, where)}
        return self._instance(value, where)

    def _partial(self, value: Any, where: str) -> Any:
        if not (type(value) is functools.partialmethod or (type(value) is functools.partial and not vars(value))):
            self.newly(lambda: self._note(f"state of {where}", [self.cls(type(value)), self._state(value, where)]))
        inside = [value.func, value.args, dict(value.keywords)]
        return {"$partial": [self.reference(item, f"partial of {where}") for item in inside]}

    def _instance(self, value: Any, where: str) -> Any:
        if (known := known_form(value)) is not None:
            if arguments := typing.get_args(value):
                self.newly(lambda: self._note(f"arguments of {where}", self.reference(list(arguments), where)))
            return known
        if isinstance(value, slice):
            return {"$slice": [self.reference(item, where) for item in (value.start, value.stop, value.step)]}
        if isinstance(value, contextvars.ContextVar):
            return {"$variable": [value.name, self.reference(present_in(value), where)]}
        if wrapped_by(value) is not None and not is_first_party(class_file(type(value))):
            if not is_by_name(value):
                self.newly(lambda: self._note(f"state of {where}", self._by_state(value, where)))
            return {"$wrapper": [type_name(type(value)), self.reference(wrapped_by(value), where)]}
        try:
            plain = portable(value, self.root, where)
        except (ConfigTypeError, ConfigValueError):
            return self._inside(value, where)
        self.classes_in(value)
        plain = plain if value is not self._unread.owner else without(plain, self._unread.names)
        bare = without_order(plain)
        if bare is not plain:
            self.newly(lambda: self._note(f"order of {where}", plain))
        return bare

    def _inside(self, value: Any, where: str) -> Any:
        """A value without a plain form: containers and simple objects by their content; the rest is unstable."""
        if id(value) in self._labels:
            return {"$again": self._labels[id(value)]}
        if self._depth < _NESTED and (type(value) in CONTAINERS or is_simple(type(value))):
            self._label(value, where)
            self._depth += 1
            try:
                return self._parts_of(value, where)
            finally:
                self._depth -= 1
        if self._lenient and self._filled:
            return None
        if self._lenient and self._since is not None:
            self.newly(lambda: self._note(f"state of {where}", self._by_state(value, where)))
            return None
        return self._by_state(value, where)

    def _by_state(self, value: Any, where: str) -> Any:
        """An object of an installed or builtin class, by its state."""
        if id(value) in self._labels:
            return {"$again": self._labels[id(value)]}
        if self._depth and is_global_random(value):
            return {"$builtin": "random"}
        never = why_never(value)
        room = self._depth < _NESTED and len(self._labels) < _MOST
        state = reduced_state(value) if never is None and room else None
        if state is None:
            return self._opaque(value, where, never)
        self._label(value, where)
        if not (self._within or is_fixed(value)):
            self.objects.append((where, value))
        self._within, within = True, self._within
        self._depth += 1
        try:
            kind = self.cls(type(value)) if is_own(type(value)) else type_name(type(value))
            return {"$state": [kind, *(self._piece(item, where) for item in state)]}
        finally:
            self._depth -= 1
            self._within = within

    def _piece(self, value: Any, where: str) -> Any:
        """A part of a state. Its items are taken one by one, since most of them have a plain form."""
        if type(value) is dict and all(type(key) is str for key in value):
            return {"$parts": [[key, self.reference(item, f"{where}.{key}")] for key, item in sorted(value.items())]}
        if type(value) is list:
            return [self._piece(item, where) for item in value]
        return self.reference(value, where)

    def _opaque(self, value: Any, where: str, never: str | None) -> Any:
        """An object without a readable state. Unstable, unless a used module merely holds it and nothing calls it."""
        read = not self._depth or self._readers.reads(ATTRIBUTE, where.rpartition(".")[2], ())
        if self._lenient and not (read and (is_random(value) or (callable(value) and never is None))):
            return None
        why = never or "pass it as config or make it inside the step"
        self.unstable.append(f"{where}: {type_name(type(value))} has no canonical form; {why}")
        return {"$unstable": type_name(type(value))}

    def _parts_of(self, value: Any, where: str) -> Any:
        """A container or simple object, by its content."""
        name, items = type_name(type(value)), self._items(value, where)
        if type(value) is collections.defaultdict:
            return {name: [self.reference(value.default_factory, f"default of {where}"), items]}
        if type(value) in CONTAINERS:
            return {name: items}
        return {"$instance": [self.cls(type(value)), self._state(value, where), *([] if items is None else [items])]}

    def _items(self, value: Any, where: str) -> Any:
        """Items of a container, None for anything else."""
        if isinstance(value, dict):
            pairs = [[self.reference(k, where), self.reference(v, _item(where, k))] for k, v in dict.items(value)]
            ascending = sorted(pairs, key=digest_plain)
            if pairs != ascending:
                self.newly(lambda: self._note(f"order of {where}", pairs))
            return ascending
        if not isinstance(value, CONTAINERS):
            return None
        base: Any = next(base for base in CONTAINERS if isinstance(value, base))
        items = [self.reference(item, f"{where}[{i}]") for i, item in enumerate(base.__iter__(value))]
        return items if isinstance(value, (list, tuple)) else sorted(items, key=digest_plain)

    def _state(self, value: Any, where: str) -> dict[str, Any]:
        """The attributes of an object; if a module holds it, those that methods write are judged separately."""
        state = state_of(value)
        if value is self._unread.owner:
            state = {name: item for name, item in state.items() if name not in self._unread.names}
        if self._lenient:
            state, alone = self._held.split(type(value), state, where)
            self.modules.held += alone
        found = {name: self.reference(item, f"{where}.{name}") for name, item in sorted(state.items())}
        return {name: plain for name, plain in found.items() if plain is not None or not self._lenient}

    def classes_in(self, value: Any) -> None:
        """Count the classes of objects in a config or captured value as code: their properties and methods."""
        for item, before in objects_in(value):
            if isinstance(item, (type, types.FunctionType)):
                self.newly(functools.partial(self.reference, item, "default factory"))
            elif before:
                self.cls(type(item))
            else:
                self.newly(functools.partial(self._own_object, item))

    def _own_object(self, value: Any) -> None:
        """Count a class of version 2, and the attributes that its instance's plain form leaves out."""
        label = self.cls(type(value))
        if state := unsaid_state(value):
            where = f"attributes of {label}"
            self._note(where, self._piece(state, where))

    def _module(self, module: types.ModuleType) -> Any:
        if self.follow and not is_ours(module.__name__) and is_first_party(file_of(module) or ""):
            self.modules.follow_loaded(module.__name__, file_of(module) or "")
        elif self.follow and file_of(module) is None:
            self.modules.held += submodules(module)
        return {"$module": module.__name__}

    def _builtin(self, value: Any, where: str) -> Any:
        owner = getattr(value, "__self__", None)
        name = f"{getattr(value, '__module__', None)}.{value.__qualname__}"
        if owner is None or isinstance(owner, types.ModuleType):
            return {"$builtin": name}
        return {"$builtin": [name, self.reference(owner, f"self of {where}")]}

    # ------------------------------------------------------------ labels

    def _label(self, value: Any, label: str) -> str:
        """A unique label for this object: two functions of one name get two."""
        unique = self._unique(label)
        self._labels[id(value)] = unique
        self._alive.append(value)
        return unique

    def _unique(self, label: str) -> str:
        unique, count = label, 1
        while unique in self._taken:
            count += 1
            unique = f"{label} #{count}"
        self._taken.add(unique)
        return unique


def _item(where: str, key: Any) -> str:
    """Label of a dictionary's item; the repr of other keys may differ between processes."""
    return f"{where}[{key!r}]" if type(key) in (str, int, float, bool, bytes) else f"{where}[{type(key).__name__}]"
