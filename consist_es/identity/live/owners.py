"""Finds the project's objects that a function can reach: those it is bound to, given, or finds by name.

Walks live objects. Functions are followed by the names in their code, objects of first-party classes by their
attributes, builtin containers by their items. Objects of other packages are not looked into.
"""

import collections
import enum
import functools
import gc
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.environment import environment_form
from consist_es.identity.live.left_out_values import NONE, LeftOut
from consist_es.identity.live.modules import file_of, is_ours
from consist_es.identity.live.objects import (
    class_file,
    content_of,
    is_data,
    known_form,
    state_of,
)
from consist_es.identity.text.mentions import Mentions, mentions
from consist_es.values.whole import SCALARS

LIMIT = 10_000
"""How many objects to look at."""
_ATOMS = frozenset({type(None), bool, int, float, str, bytes, complex})
CONTAINERS: tuple[type, ...] = (list, dict, set, tuple, frozenset, collections.deque)
_FIXED = frozenset({tuple, frozenset})
MUTABLE = (list, dict, set, collections.deque)
_CALLS = (types.FunctionType, types.MethodType, functools.partial, functools.partialmethod, staticmethod, classmethod)
_COMPUTED = frozenset({
    "globals", "eval", "exec", "__import__", "import_module", "modules", "_getframe", "currentframe", "inspect",
    "get_objects", "get_referrers", "getclosurevars", "__globals__", "__closure__",
})  # fmt: skip
"""Names that let code reach things it does not mention."""


Root = tuple["Owner", str]
"""An attribute or variable: its owner, and its name."""


class Owner:
    """A holder of values by name: an object, a class, a module's variables, a closure, or a container."""

    def __init__(self, kind: str, path: str, value: Any, root: Root | None = None, *, foreign: bool = False) -> None:
        self.kind = kind
        """``object``, ``class``, ``module``, ``cell`` or ``container``."""
        self.path = path
        self.value = value
        self.root = root
        """The attribute or variable that it lies in, if any."""
        self.foreign: bool = foreign or (root is not None and root[0].foreign)
        """True if it is held by another module than the step function's."""
        self.names: set[str] = set()
        """For a module: the variables to look at."""
        self.code: dict[str, list[types.FunctionType]] = {}
        """For a module or closure: variable -> functions that mention it."""

    def slots(self) -> dict[str, Any]:
        """Its present values, by name; {} for a container."""
        match self.kind:
            case "object":
                cached = _cached_names(type(self.value))
                return {name: value for name, value in state_of(self.value).items() if name not in cached}
            case "class":
                return {name: value for name, value in vars(self.value).items() if _is_class_data(self.value, name)}
            case "module":
                return {name: self.value[name] for name in self.names if name in self.value}
            case "cell":
                return {name: content_of(cell) for name, cell in self.value.items()}
        return {}

    def takes(self, name: str) -> bool:
        """True if `put` can bind this name."""
        if self.kind == "object":
            return hasattr(self.value, "__dict__") or name in _slot_names(type(self.value))
        return name in self.value if self.kind == "cell" else self.kind in ("class", "module")

    def put(self, name: str, value: Any) -> None:
        """Bind a name, past properties and `__setattr__`: the state itself is compared."""
        match self.kind:
            case "object":
                object.__setattr__(self.value, name, value) if name in _slot_names(type(self.value)) else vars(
                    self.value
                ).__setitem__(name, value)
            case "class":
                type.__setattr__(self.value, name, value)
            case "module":
                self.value[name] = value
            case _:
                self.value[name].cell_contents = value

    def drop(self, name: str) -> None:
        """Unbind a name."""
        match self.kind:
            case "object":
                object.__delattr__(self.value, name)
            case "class":
                type.__delattr__(self.value, name)
            case "module":
                del self.value[name]
            case _:
                del self.value[name].cell_contents


def _find_cached(kind: type) -> frozenset[str]:
    """Attributes that follow from the others: results of cached properties."""
    found = ((name, item) for base in kind.__mro__ for name, item in vars(base).items())
    return frozenset(name for name, item in found if isinstance(item, functools.cached_property))


_cached_names: Callable[[type], frozenset[str]] = functools.lru_cache(maxsize=1024)(_find_cached)


def _slot_names(kind: type) -> frozenset[str]:
    return frozenset(
        name
        for base in kind.__mro__
        for name, item in vars(base).items()
        if isinstance(item, types.MemberDescriptorType) and item.__objclass__ is base
    )


def _is_class_data(kind: type, name: str) -> bool:
    value = vars(kind)[name]
    return is_data(kind, name, value) and not isinstance(value, (*_CALLS, type))


class Reach:
    """One walk, past captured values in `left_out`. `thorough` also enters objects of other packages, to be sure that
    `wanted` is not in there."""

    def __init__(
        self,
        fn: Any,
        given: Mapping[str, Any],
        *,
        limit: int = LIMIT,
        wanted: Any = None,
        thorough: bool = False,
        left_out: LeftOut = NONE,
    ) -> None:
        self._left_out = left_out
        self.owners: dict[str, Owner] = {}
        """Path -> owner."""
        self.functions: list[types.FunctionType] = []
        self.over = False
        """True if there was more than the limit."""
        self.computes = False
        """True if reached code gets at things by computed names."""
        self.found = False
        """True if `wanted` was met."""
        self.shared: set[int] = set()
        """Ids of values held by two attributes, variables or items."""
        self._space: dict[str, Any] | None = _space_of(fn)
        """Variables of the function's own module."""
        self._wanted, self._thorough, self._left = wanted, thorough, limit
        self._seen: dict[int, tuple[Any, str, bool]] = {}
        """Id -> the visited object, which keeps the id from being reused; its path; True if it is held."""
        self._modules: set[tuple[int, types.CodeType]] = set()
        self._waiting: collections.deque[tuple[Any, str, Root | None]] = collections.deque()
        self._add(fn, "the step" if isinstance(fn, _CALLS) else "self", None)
        self._walk()
        for name, value in given.items():  # last, so that objects the project holds too get the project's path
            self._add(value, name, None)
        self._walk()

    def path_of(self, value: Any) -> str | None:
        """Path at which a value was met, None if it was not."""
        met = self._seen.get(id(value))
        return None if met is None else met[1]

    def _add(self, value: Any, path: str, root: Root | None) -> None:
        """Queue a value. `root`: the attribute or variable it lies in, None if it was only passed."""
        kind = type(value)
        if kind in _ATOMS or kind in SCALARS or (kind in _FIXED and _ATOMS.issuperset(map(type, value))):
            return
        if environment_form(value) is not None:
            return  # the watch for variables replaces functions in it while a step runs
        if value is self._wanted:
            self.found = True
        met, held = self._seen.get(id(value)), root is not None
        if met is not None and met[2] and held:
            self.shared.add(id(value))
        if met is None or (held and not met[2]):
            again = met is not None and not isinstance(value, CONTAINERS)
            self._seen[id(value)] = (value, met[1] if again and met is not None else path, held)
            if not again:
                self._waiting.append((value, path, root))

    def _walk(self) -> None:
        while self._waiting and not self.over:
            self._left -= 1
            self.over = self._left < 0
            self._visit(*self._waiting.popleft())

    def _visit(self, value: Any, path: str, root: Root | None) -> None:
        kind = type(value)
        if isinstance(value, _CALLS):
            self._callable(value, path)
        elif isinstance(value, CONTAINERS):
            self._container(value, path, root)
            if kind not in CONTAINERS:
                self._object(value, path, root)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            return
        elif isinstance(value, property):
            for item in (value.fget, value.fset, value.fdel):
                self._add(item, path, None)
        elif is_ours(kind.__module__):
            return
        else:
            self._object(value, path, root)

    # ------------------------------------------------------------ code

    def _callable(self, value: Any, path: str) -> None:
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._add(value.__self__, "self" if path == "the step" else f"{path}.__self__", None)
            self._add(value.__func__, path, None)
        elif isinstance(value, functools.partial | functools.partialmethod):
            self._add(value.func, path, None)
            for name, item in [*enumerate(value.args), *value.keywords.items()]:
                self._add(item, str(name), None)
        else:
            self._add(value.__func__, path, None)

    def _function(self, fn: types.FunctionType) -> None:
        filename = fn.__code__.co_filename
        own = not is_ours(fn.__module__) and (is_first_party(filename) or filename.startswith("<"))
        if own and not filename.startswith("<frozen"):
            self.functions.append(fn)
            said = mentions(fn.__code__)
            self.computes |= not said.names.isdisjoint(_COMPUTED)
            space = fn.__globals__
            for name in said.loads:
                if name in space:
                    self._variable(space, name, fn, said)
            for name in said.stores:
                self._slot(space, name, fn)
            for name in said.imports:
                for module in (sys.modules.get(name), sys.modules.get(f"{space.get('__package__')}.{name}")):
                    if module is not None:
                        self._module(module, fn, said)
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            self._cell(fn, name, cell, own=own)
        for item in (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values(), vars(fn).get("__wrapped__")):
            self._add(item, f"default of {fn.__qualname__}", None)

    def _cell(self, fn: types.FunctionType, name: str, cell: types.CellType, *, own: bool) -> None:
        if self._left_out.leaves(cell) is not None:
            return
        value = content_of(cell)
        path = f"{fn.__qualname__.rpartition('.<locals>')[0] or fn.__qualname__}"
        if own and not isinstance(value, (*_CALLS, type, types.ModuleType)):
            owner = self.owners.setdefault(path, Owner("cell", path, {}))
            if owner.value.setdefault(name, cell) is cell:
                users = owner.code.setdefault(name, [])
                if not users:
                    self._add(value, f"{path}.{name}", (owner, name))
                users.append(fn)
                return
        self._add(value, f"{path}.{name}", None)

    def _variable(self, space: dict[str, Any], name: str, fn: types.FunctionType, said: Mentions) -> None:
        value = space[name]
        if isinstance(value, types.ModuleType):
            self._module(value, fn, said)
        elif isinstance(value, (*_CALLS, type)):
            self._add(value, f"{_label(space)}.{name}", None)
        else:
            self._slot(space, name, fn)

    def _module(self, module: types.ModuleType, fn: types.FunctionType, said: Mentions) -> None:
        """Visit a module that a function mentions, with the variables of it that the function mentions too."""
        key = (id(module), fn.__code__)
        if key in self._modules or is_ours(module.__name__) or not is_first_party(file_of(module) or ""):
            return
        self._modules.add(key)
        for name in said.names & vars(module).keys():
            self._variable(vars(module), name, fn, said)
        for name in said.sets:
            self._slot(vars(module), name, fn)

    def _slot(self, space: dict[str, Any], name: str, fn: types.FunctionType) -> None:
        label = _label(space)
        owner = self.owners.setdefault(label, Owner("module", label, space, foreign=space is not self._space))
        if owner.value is not space or name.startswith("__"):
            return
        if name not in owner.names:
            owner.names.add(name)
            self._add(space.get(name), f"{label}.{name}", (owner, name))
        owner.code.setdefault(name, []).append(fn)

    # ------------------------------------------------------------ objects

    def _class(self, kind: type) -> None:
        if not is_own(kind):
            return
        path = f"{_label(vars(sys.modules.get(kind.__module__, types)))}.{kind.__qualname__}"
        if not issubclass(kind, enum.Enum):
            space = getattr(sys.modules.get(kind.__module__), "__dict__", None)
            self._own(Owner("class", path, kind, foreign=space is not self._space), path)
        for item in vars(kind).values():
            if isinstance(item, (*_CALLS, property)):
                self._add(item, path, None)
        for base in kind.__bases__:
            self._add(base, path, None)

    def _object(self, value: Any, path: str, root: Root | None) -> None:
        kind = type(value)
        if is_own(kind):
            if not isinstance(value, enum.Enum):
                self._own(Owner("object", path, value, root), path)
            self._add(kind, path, None)
        elif isinstance(value, weakref.ref):
            self._add(value(), path, None)
        elif self._thorough and known_form(value) is None:
            for item in gc.get_referents(value):
                if not isinstance(item, type | types.ModuleType):
                    self._add(item, path, None)

    def _own(self, owner: Owner, path: str) -> None:
        if self.owners.setdefault(path, owner) is not owner:
            return  # two of one name: neither can be found again for certain
        for name, item in owner.slots().items():
            self._add(item, f"{path}.{name}", (owner, name))

    def _container(self, value: Any, path: str, root: Root | None) -> None:
        if root is not None and isinstance(value, MUTABLE):
            self.owners.setdefault(path, Owner("container", path, value, root))
        items: Iterable[Any] = dict.values(value) if isinstance(value, dict) else elements(value)
        if _ATOMS.issuperset(map(type, items)):
            self._left -= len(value) // 1000
        else:
            for inner, item in _named(value, path):
                self._add(item, inner, root)
        if isinstance(value, dict) and not _ATOMS.issuperset(map(type, dict.keys(value))):
            for key in dict.keys(value):
                self._add(key, f"{path} key", None)


def _is_own(kind: type) -> bool:
    """True for a class of the project, or one that only holds attributes set by the project."""
    if kind.__module__ in ("types", "argparse") and kind.__name__ in ("SimpleNamespace", "Namespace"):
        return True
    filename = class_file(kind)
    notebook = kind.__module__ == "__main__" and not filename
    return not is_ours(kind.__module__) and (is_first_party(filename) or notebook)


is_own: Callable[[type], bool] = functools.lru_cache(maxsize=4096)(_is_own)


def _space_of(fn: Any) -> dict[str, Any] | None:
    """Variables of the module that a callable was written in."""
    while isinstance(fn, types.MethodType | functools.partial):
        fn = fn.__func__ if isinstance(fn, types.MethodType) else fn.func
    if not isinstance(fn, types.FunctionType):
        fn = getattr(type(fn), "__call__", None)  # noqa: B004  the function itself is wanted
    while (inner := getattr(fn, "__dict__", {}).get("__wrapped__")) is not None:
        fn = inner
    return getattr(fn, "__globals__", None)


def elements(value: Any) -> list[Any]:
    """Items of a container that is not a dict, past its own `__iter__`."""
    base: Any = next(base for base in CONTAINERS if isinstance(value, base))
    return list(base.__iter__(value))


def _named(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Items of a container with their paths; those of a set are not stable."""
    if isinstance(value, dict):
        for place, (key, item) in enumerate(dict.items(value)):
            yield f"{path}[{key!r}]" if type(key) in _ATOMS else f"{path}[#{place}]", item
    else:
        numbered = not isinstance(value, set | frozenset)
        for place, item in enumerate(elements(value)):
            yield f"{path}[{place}]" if numbered else f"{path}{{{place}}}", item


def _label(space: Mapping[str, Any]) -> str:
    """Name of a module; for one run as a script, the name it would be imported as."""
    name, filename = space.get("__name__"), space.get("__file__")
    return Path(filename).stem if name == "__main__" and isinstance(filename, str) else str(name)
