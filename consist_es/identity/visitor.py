"""Walks the live objects that a callable reaches, and gives each a place in the code identity."""

import ast
import collections
import contextvars
import functools
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity import writes
from consist_es.identity.bytecode import essence, global_names
from consist_es.identity.held import HeldValues
from consist_es.identity.imports import computed_imports, imports_of
from consist_es.identity.loaded import Held, portable, subclasses, submodules
from consist_es.identity.modules import (
    Modules,
    file_label,
    file_of,
    is_ours,
    portable_or_none,
)
from consist_es.identity.objects import (
    CONTAINERS,
    class_file,
    classes_of,
    content_of,
    function_digest,
    holds_function,
    is_data,
    is_generated,
    is_simple,
    known_form,
    names_in,
    package_of,
    present_in,
    reads_modules,
    state_of,
    wrapped_by,
)
from consist_es.identity.places import is_first_party
from consist_es.identity.readers import Readers, keeps, writes_to
from consist_es.identity.source import Function, Source, digest_plain, load_source
from consist_es.identity.usage import ATTRIBUTE, file_usage
from consist_es.identity.variables import named_parts
from consist_es.plain import type_name

_C_CALLABLES = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.MethodWrapperType, types.ClassMethodDescriptorType,
)  # fmt: skip
_NESTED = 20
"""How deep containers that hold functions may be nested, well within our stack."""
_DYNAMIC = {"globals", "eval", "exec", "__import__", "importlib", "import_module"}


class Visitor:
    """Collects the parts of one code identity."""

    def __init__(self, root: Path, *, follow: bool, declared: bool, own: str) -> None:
        self.root, self.follow, self.declared, self.own = root, follow, declared, own
        self.parts: dict[str, str] = {}
        """What version 1 of the fingerprint counted, under the same labels: it finds the runs of that version."""
        self.added: dict[str, str] = {}
        """What counts since version 2."""
        self.unstable: list[str] = []
        self._readers = Readers()
        self.modules = Modules(root, self._readers)
        self._held = HeldValues(root, self._readers, self._held_value, self.classes_in)
        self._lenient = False
        """Whether what has no canonical form is left out: a module that is used need not use all that it holds."""
        self._waiting: collections.deque[tuple[Callable[[], None], bool]] = collections.deque()
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
        more = True
        while more:
            while self._waiting:
                visit, self._lenient = self._waiting.popleft()
                visit()
            self._lenient = True
            held, self.modules.held = self.modules.held, []
            self._held.add(held)
            more = self.follow and self._held.count(self.parts)
        self._lenient = False
        if self.follow:
            self._effects()
            if self.modules.computed and not self.declared:
                files = ", ".join(sorted(self.modules.computed))
                self.unstable.append(
                    f"{files} imports a module whose name is computed; name its file in code_identity_extra_deps"
                )
        self.unstable += self.modules.unstable
        return {**self.parts, **self.modules.parts}

    def _later(self, visit: Callable[[], None], filename: str) -> None:
        """Visit something in its turn; what is of the callable's own file must be identified in full."""
        self._waiting.append((visit, self._lenient and filename != self.own))

    def _held_value(self, held: Held) -> Any:
        """Plain form of what a module holds."""
        if isinstance(held.value, types.ModuleType):
            self.modules.follow_loaded(held.value.__name__, file_of(held.value) or "", eager=False)
            return {"$module": held.value.__name__}
        return self.reference(held.value, held.where)

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
        if isinstance(value, functools.singledispatchmethod):
            return {"$dispatch": [self.reference(item, where) for item in (value.func, value.dispatcher)]}
        if isinstance(value, (staticmethod, classmethod)):
            return {type(value).__name__: self.reference(value.__func__, where)}
        return self._instance(value, where)

    def _instance(self, value: Any, where: str) -> Any:
        if (known := known_form(value)) is not None:
            return known
        if isinstance(value, slice):
            return {"$slice": [self.reference(item, where) for item in (value.start, value.stop, value.step)]}
        if isinstance(value, contextvars.ContextVar):
            return {"$variable": [value.name, self.reference(present_in(value), where)]}
        if wrapped_by(value) is not None and not is_first_party(class_file(type(value))):
            return {"$wrapper": [type_name(type(value)), self.reference(wrapped_by(value), where)]}
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
        if self._depth < _NESTED and (type(value) in CONTAINERS or is_simple(type(value))):
            self._label(value, where)
            self._depth += 1
            try:
                return self._parts_of(value, where)
            finally:
                self._depth -= 1
        if self._lenient:
            return None
        self.unstable.append(
            f"{where}: {type_name(type(value))} has no canonical form; pass it as config or make it inside the step"
        )
        return {"$unstable": type_name(type(value))}

    def _parts_of(self, value: Any, where: str) -> Any:
        """A container or simple object, by what it holds."""
        name, items = type_name(type(value)), self._items(value, where)
        if type(value) is collections.defaultdict:
            return {name: [self.reference(value.default_factory, f"default of {where}"), items]}
        if type(value) in CONTAINERS:
            return {name: items}
        return {"$instance": [self.cls(type(value)), self._state(value, where), *([] if items is None else [items])]}

    def _items(self, value: Any, where: str) -> Any:
        """What a container holds, None for anything else."""
        if isinstance(value, dict):
            pairs = [[self.reference(k, where), self.reference(v, f"{where}[{k!r}]")] for k, v in dict.items(value)]
            return sorted(pairs, key=digest_plain)
        if not isinstance(value, CONTAINERS):
            return None
        base: Any = next(base for base in CONTAINERS if isinstance(value, base))
        items = [self.reference(item, f"{where}[{i}]") for i, item in enumerate(base.__iter__(value))]
        return items if isinstance(value, (list, tuple)) else sorted(items, key=digest_plain)

    def _state(self, value: Any, where: str) -> dict[str, Any]:
        """The attributes of an object; of one that a module holds, those that methods write are judged alone."""
        state = state_of(value)
        if self._lenient:
            state, alone = self._held.split(type(value), state, where)
            self.modules.held += alone
        found = {name: self.reference(item, f"{where}.{name}") for name, item in sorted(state.items())}
        return {name: plain for name, plain in found.items() if plain is not None or not self._lenient}

    def classes_in(self, value: Any) -> None:
        """Count the classes of objects in a config or captured value as code: their properties and methods."""
        for cls in classes_of(value):
            self.cls(cls)

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
        self._later(lambda: self._visit_function(fn, label, source), filename)
        return label

    def _visit_function(self, fn: types.FunctionType, label: str, source: Source | None) -> None:
        filename = fn.__code__.co_filename
        self._readers.functions.add(fn.__name__)
        node = None if source is None else source.find(fn.__code__)
        self.parts[label] = function_digest(fn, source, node)
        if source is not None and node is not None:
            self.parts |= named_parts(source, node)
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
        self._later(lambda: self._visit_sourceless(fn, label), "")
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
            if node is None or fn.__code__.co_filename == self.own or not keeps(node, name):
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
        if node is None:
            self._readers.names |= names
        else:
            self._readers.add(*(node.body if isinstance(node, ast.Module) else [node]))
        for name in sorted(names & namespace.keys()):
            self._reached[name] = namespace[name]
            if name not in ("__file__", "__builtins__", "__doc__", "__spec__", "__package__", "__loader__"):
                self._value(name, namespace[name], "variable", label, node)
        if node is not None:
            self.modules.follow(imports_of(node, eager=False), package)
            if computed_imports(node):
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
        self.parts |= named_parts(source, source.tree)
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
        self._later(lambda: self._visit_class(cls, label, filename), filename)
        return label

    def _visit_class(self, cls: type, label: str, filename: str) -> None:
        source = load_source(filename) if filename else None
        nodes = source.classes.get(cls.__qualname__, []) if source is not None else []
        if source is not None and nodes:
            self.parts[label] = source.digest_of(*nodes)
            self.parts |= named_parts(source, *nodes)
        followed = self.follow and bool(filename) and filename != self.own
        if followed:
            self.modules.follow_loaded(cls.__module__, filename)
        elif source is not None and nodes:
            self._readers.add(*nodes)
            self.modules.held += subclasses(cls, label, source)
        judged = source if followed and nodes and "<locals>" not in cls.__qualname__ else None
        if judged is None or not self._lenient:  # else all that there is in its module has been seen to
            self._members(cls, label, generated=bool(nodes), judged=judged)
        bases = [base for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
        if bases:
            self.parts[f"bases of {label}"] = digest_plain([self.cls(base) for base in bases])

    def _members(self, cls: type, label: str, *, generated: bool, judged: Source | None) -> None:
        """Methods and data of a class; not the data that methods in its module, which is `judged`, write to."""
        for name, value in sorted(vars(cls).items()):
            if judged is not None and writes_to(ATTRIBUTE, name, [file_usage(judged)]):
                continue
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
