"""Walks the live objects that a callable reaches, and gives each a place in the code identity."""

import collections
import datetime
import functools
import logging
import threading
import types
import typing
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity import writes
from consist_es.identity.bytecode import essence, global_names
from consist_es.identity.loaded import portable
from consist_es.identity.modules import (
    Modules,
    file_label,
    file_of,
    is_first_party,
    is_ours,
    portable_or_none,
)
from consist_es.identity.objects import (
    artifact_content,
    class_file,
    classes_of,
    content_of,
    function_digest,
    holds_function,
    is_data,
    is_generated,
    is_plain_base,
    names_in,
    package_of,
    reads_modules,
    state_of,
    wrapped_by,
)
from consist_es.identity.source import Function, Source, digest_plain, imports_of, load_source
from consist_es.identity.variables import variable_parts
from consist_es.plain import type_name

_C_CALLABLES = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType,
)  # fmt: skip
_TYPING = (types.GenericAlias, types.UnionType, typing.TypeVar, typing.ParamSpec, typing.NewType)
_HARMLESS = (logging.Logger, logging.LoggerAdapter, type(threading.Lock()), type(threading.RLock()), threading.Event)
_TUPLE_FIELD: Any = type(vars(collections.namedtuple("_Sample", "field"))["field"])
"""What reads a field of a named tuple, by its number."""
_NESTED = 20
"""How deep containers that hold functions may be nested, well within our stack."""
_CONTAINERS = (list, tuple, dict, collections.defaultdict, set, frozenset)
_DYNAMIC = {"globals", "eval", "exec", "__import__", "importlib", "import_module"}


class Visitor:
    """Collects the parts of one code identity."""

    def __init__(self, root: Path, *, follow: bool, declared: bool, own: str) -> None:
        self.root, self.follow, self.declared, self.own = root, follow, declared, own
        self.parts: dict[str, str] = {}
        self.unstable: list[str] = []
        self.modules = Modules(root)
        self._waiting: collections.deque[Callable[[], None]] = collections.deque()
        """Functions and classes still to be visited; a queue, since call chains may be longer than our stack."""
        self._depth = 0
        self._labels: dict[int, str] = {}
        self._taken: set[str] = set()
        self._alive: list[Any] = []
        """Keeps visited objects, so that no id is used twice."""
        self._namespace: dict[str, Any] = {}
        self._reached: dict[str, Any] = {}
        """Names in the callable's own file that its functions read -> present value."""

    def finish(self) -> dict[str, str]:
        """All parts, once everything that was reached has been visited."""
        while self._waiting:
            self._waiting.popleft()()
        if self.follow:
            self._effects()
            if self.modules.computed and not self.declared:
                files = ", ".join(sorted(self.modules.computed))
                self.unstable.append(
                    f"{files} imports a module whose name is computed; name its file in code_identity_extra_deps"
                )
        self.unstable += self.modules.unstable
        return {**self.parts, **self.modules.parts}

    # ------------------------------------------------------------ any value

    def reference(self, value: Any, where: str) -> Any:
        """Plain form of a value that code can reach; functions and classes become parts of their own."""
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, types.FunctionType):
            return {"$function": self.function(value)}
        if isinstance(value, types.MethodType):
            return {
                "$method": [self.reference(value.__self__, f"self of {where}"), self.reference(value.__func__, where)]
            }
        if isinstance(value, (functools.partial, functools.partialmethod)):
            inside = [value.func, value.args, dict(value.keywords)]
            return {"$partial": [self.reference(item, f"partial of {where}") for item in inside]}
        if isinstance(value, _C_CALLABLES):
            return self._builtin(value, where)
        if isinstance(value, type):
            return {"$class": self.cls(value)}
        if isinstance(value, _TUPLE_FIELD) and _TUPLE_FIELD is not property:  # elsewhere than in CPython it is one
            return {"$field": value.__reduce__()[1][0]}
        if isinstance(value, functools.singledispatchmethod):
            return {"$dispatch": [self.reference(item, where) for item in (value.func, value.dispatcher)]}
        if isinstance(value, (staticmethod, classmethod)):
            return {type(value).__name__: self.reference(value.__func__, where)}
        return self._instance(value, where)

    def _instance(self, value: Any, where: str) -> Any:
        if is_ours(type(value).__module__):
            return {"$ours": artifact_content(value)}
        if isinstance(value, _TYPING) or type(value).__module__ in ("typing", "operator", "typing_extensions"):
            return {"$repr": repr(value)}
        if type(value) is datetime.timezone or (type(value) is zoneinfo.ZoneInfo and value.key is not None):
            return {"$zone": repr(value)}
        if isinstance(value, slice):
            return {"$slice": [self.reference(item, where) for item in (value.start, value.stop, value.step)]}
        if isinstance(value, _HARMLESS):
            return {"$ignored": type_name(type(value))}
        if wrapped_by(value) is not None and not is_first_party(class_file(type(value))):
            return {"$wrapper": [type_name(type(value)), self.reference(wrapped_by(value), where)]}
        if type(value).__module__ == "numpy" and type(value).__name__ == "ufunc":
            return {"$builtin": f"numpy.{value.__name__}"}
        try:
            plain = portable(value, self.root)
        except (ConfigTypeError, ConfigValueError):
            return self._inside(value, where)
        self.classes_in(value)
        return plain

    def _inside(self, value: Any, where: str) -> Any:
        """A value without a plain form: containers and simple objects by what they hold, the rest is unstable."""
        if id(value) in self._labels:
            return {"$again": self._labels[id(value)]}
        if self._depth < _NESTED and (type(value) in _CONTAINERS or self._is_simple_object(value)):
            self._label(value, where)
            self._depth += 1
            try:
                return self._parts_of(value, where)
            finally:
                self._depth -= 1
        self.unstable.append(
            f"{where}: {type_name(type(value))} has no canonical form; pass it as config or make it inside the step"
        )
        return {"$unstable": type_name(type(value))}

    def _parts_of(self, value: Any, where: str) -> Any:
        """A container or simple object, by what it holds."""
        name = type_name(type(value))
        if isinstance(value, dict):
            pairs = [[self.reference(k, where), self.reference(v, f"{where}[{k!r}]")] for k, v in value.items()]
            pairs.sort(key=digest_plain)
            if isinstance(value, collections.defaultdict):
                return {name: [self.reference(value.default_factory, f"default of {where}"), pairs]}
            return {name: pairs}
        if isinstance(value, _CONTAINERS):
            items = [self.reference(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return {name: items if isinstance(value, (list, tuple)) else sorted(items, key=digest_plain)}
        state = {name: self.reference(item, f"{where}.{name}") for name, item in sorted(state_of(value).items())}
        return {"$instance": [self.cls(type(value)), state]}

    def _is_simple_object(self, value: Any) -> bool:
        """Whether everything the object is lies in its attributes: pure Python classes of the project, namespaces."""
        kind = type(value)
        if kind.__module__ in ("types", "argparse") and kind.__name__ in ("SimpleNamespace", "Namespace"):
            return True
        return not any(
            "__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in kind.__mro__[:-1]
        ) and all(base is object or is_first_party(class_file(base)) or is_plain_base(base) for base in kind.__mro__)

    def classes_in(self, value: Any) -> None:
        """Count the classes of objects in a config or captured value as code: their properties and methods."""
        for cls in classes_of(value):
            self.cls(cls)

    def _module(self, module: types.ModuleType) -> Any:
        if self.follow and not is_ours(module.__name__) and is_first_party(file_of(module) or ""):
            self.modules.follow_loaded(module.__name__, file_of(module) or "")
        return {"$module": module.__name__}

    def _builtin(self, value: Any, where: str) -> Any:
        owner = getattr(value, "__self__", None)
        name = f"{getattr(value, '__module__', None)}.{value.__qualname__}"
        if owner is None or isinstance(owner, types.ModuleType):
            return {"$builtin": name}
        return {"$builtin": [name, self.reference(owner, f"self of {where}")]}

    # ------------------------------------------------------------ functions

    def function(self, fn: types.FunctionType) -> str:
        """Visit a function; the label that its parts are found under."""
        if id(fn) in self._labels:
            return self._labels[id(fn)]
        filename = fn.__code__.co_filename
        if is_ours(fn.__module__) or filename.startswith("<frozen"):
            return f"{fn.__module__}.{fn.__qualname__}"
        source = load_source(filename)
        if not is_first_party(filename) and (source is None or not filename.startswith("<")):
            return self._installed(fn) if source is not None else self._sourceless(fn)
        label = self._label(fn, f"{file_label(filename, self.root)}:{fn.__qualname__}")
        self._waiting.append(lambda: self._visit_function(fn, label, source))
        return label

    def _visit_function(self, fn: types.FunctionType, label: str, source: Source | None) -> None:
        filename = fn.__code__.co_filename
        node = None if source is None else source.find(fn.__code__)
        self.parts[label] = function_digest(fn, source, node)
        if source is not None and node is not None:
            self.parts |= variable_parts(source, node)
        self._captured(fn, label, node)
        if self.follow:
            if filename == self.own or not Path(filename).is_file():
                self._globals(fn, label, node, source)
            else:
                self.modules.follow_loaded(fn.__module__, filename)

    def _installed(self, fn: types.FunctionType) -> str:
        """A function of an installed package: by name, with the project's functions that it wraps."""
        label = self._label(fn, f"{fn.__module__}.{fn.__qualname__}")
        captured = [wrapped_by(fn), *(content_of(cell) for cell in fn.__closure__ or ())]
        ours = [value for value in captured if holds_function(value)]
        if ours:
            self.parts[f"wrapped by {label}"] = digest_plain([self.reference(item, label) for item in ours])
        return label

    def _sourceless(self, fn: types.FunctionType) -> str:
        """A function from `exec`, standard input or a lost file: by its instructions."""
        label = self._label(fn, f"{fn.__module__}:{fn.__qualname__}")
        self._waiting.append(lambda: self._visit_sourceless(fn, label))
        return label

    def _visit_sourceless(self, fn: types.FunctionType, label: str) -> None:
        self.parts[label] = digest_plain(essence(fn.__code__))
        self._captured(fn, label, None)
        if self.follow:
            self._globals(fn, label, None, None)

    def _captured(self, fn: types.FunctionType, label: str, node: Function | None) -> None:
        """Defaults, closure and attributes of a function."""
        if fn.__defaults__ or fn.__kwdefaults__:
            defaults = [list(fn.__defaults__ or ()), fn.__kwdefaults__ or {}]
            self.parts[f"defaults of {label}"] = digest_plain(self.reference(defaults, f"default value of {label}"))
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            self._value(name, content_of(cell), "closure variable", label, node)
        for name, value in sorted(vars(fn).items()):
            if name != "__wrapped__" and not name.startswith(("__consist", "_consist")) and name != "pytestmark":
                self._value(name, value, "attribute", label, node)
        wrapped = wrapped_by(fn)
        if wrapped is not None:
            self.parts[f"wrapped by {label}"] = digest_plain(self.reference(wrapped, f"wrapped by {label}"))

    def _value(self, name: str, value: Any, what: str, label: str, node: Function | None) -> None:
        kind: Any = type(value)
        if node is not None and writes.only_written(name, kind, node):
            return
        self.parts[f"{what} {name} of {label}"] = digest_plain(self.reference(value, f"{what} {name!r} of {label}"))

    def _globals(self, fn: types.FunctionType, label: str, node: Function | None, source: Source | None) -> None:
        names = set(global_names(fn.__code__))
        self.read_names(names, fn.__globals__, label, node, source)

    def read_names(
        self, names: set[str], namespace: dict[str, Any], label: str, node: Any, source: Source | None
    ) -> None:
        """Count what some code takes from its module: present values, imports, and everything if it is dynamic."""
        package = package_of(namespace)
        self._namespace = namespace
        for name in sorted(names & namespace.keys()):
            self._reached[name] = namespace[name]
            if name not in ("__file__", "__builtins__", "__doc__", "__spec__", "__package__", "__loader__"):
                self._value(name, namespace[name], "variable", label, node)
        if node is not None:
            self.modules.follow(imports_of(node, eager=False), package)
            if Source.computed_imports(node):
                self.modules.computed.append(label)
        if source is not None:
            self.modules.follow([ref for ref in source.imports if ref.bound & (names | {"*"})], package)
        if names & _DYNAMIC or (node is not None and reads_modules(node)):
            self._dynamic(label, source, package)

    def _dynamic(self, label: str, source: Source | None, package: str) -> None:
        """The code can reach anything in its file: all of it counts."""
        if source is None:
            self.unstable.append(f"{label} runs code by name, and has no source file")
            return
        self.parts[f"whole {file_label(source.filename, self.root)}"] = source.digest
        self.parts |= variable_parts(source, source.tree)
        self.modules.follow(source.imports, package)

    def _effects(self) -> None:
        """Statements at module level that set something up in a module that is used: ``np.random.seed(3)``."""
        source = load_source(self.own)
        for root, statement in [] if source is None else source.effects:
            module = self._reached.get(root)
            if isinstance(module, types.ModuleType) and not is_ours(module.__name__) and source is not None:
                label = f"statement {root} at {file_label(self.own, self.root)}"
                values = {n: portable_or_none(self._namespace.get(n), self.root) for n in names_in(statement)}
                self.parts[self._unique(label)] = digest_plain([source.digest_of(statement), values])

    # ------------------------------------------------------------ classes

    def cls(self, cls: type) -> str:
        """Visit a class; the label that its parts are found under."""
        filename = class_file(cls)
        if is_ours(cls.__module__) or not (is_first_party(filename) or filename.startswith("<") or not filename):
            return type_name(cls)
        if cls.__module__ == "builtins":
            return type_name(cls)
        if id(cls) in self._labels:
            return self._labels[id(cls)]
        label = self._label(
            cls, f"{file_label(filename, self.root)}:{cls.__qualname__}" if filename else type_name(cls)
        )
        self._waiting.append(lambda: self._visit_class(cls, label, filename))
        return label

    def _visit_class(self, cls: type, label: str, filename: str) -> None:
        source = load_source(filename) if filename else None
        nodes = source.classes.get(cls.__qualname__, []) if source is not None else []
        if source is not None and nodes:
            self.parts[label] = source.digest_of(*nodes)
            self.parts |= variable_parts(source, *nodes)
        if self.follow and filename and filename != self.own:
            self.modules.follow_loaded(cls.__module__, filename)
        self._members(cls, label, generated=bool(nodes))
        bases = [base for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
        if bases:
            self.parts[f"bases of {label}"] = digest_plain([self.cls(base) for base in bases])

    def _members(self, cls: type, label: str, *, generated: bool) -> None:
        for name, value in sorted(vars(cls).items()):
            if isinstance(value, property):
                found: list[Any] = [item for item in (value.fget, value.fset, value.fdel) if item is not None]
            elif isinstance(value, functools.cached_property):
                found = [value.func]
            elif isinstance(value, (types.FunctionType, staticmethod, classmethod)) or is_data(cls, name, value):
                found = [value]
            else:
                continue
            found = [item for item in found if not (generated and is_generated(item))]
            if found:
                self.parts[f"member {name} of {label}"] = digest_plain(
                    [self.reference(item, f"attribute {name!r} of {label}") for item in found]
                )

    # ------------------------------------------------------------ labels

    def _label(self, value: Any, label: str) -> str:
        """A label of this object's own: two functions of one name get two."""
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
