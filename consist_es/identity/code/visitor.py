"""Walks the live objects that a callable reaches, and labels each in the code identity."""

import ast
import collections
import functools
import sys
import types
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

from consist_es.identity.code.reach import Code, Reach, namespace_of
from consist_es.identity.code.text_names import looks_up_computed
from consist_es.identity.code.values import Values
from consist_es.identity.installed.packages import spot_of
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live.left_out_values import NONE
from consist_es.identity.live.loaded import Held, subclasses
from consist_es.identity.live.modules import (
    file_label,
    file_of,
    is_ours,
    loaded_as,
)
from consist_es.identity.live.objects import (
    class_file,
    content_of,
    factory_state,
    function_digest,
    holds_function,
    is_data,
    is_generated,
    is_own,
    known_form,
    package_of,
    reads_modules,
    wrapped_by,
)
from consist_es.identity.live.present import patched_in
from consist_es.identity.live.states import is_by_name
from consist_es.identity.live.written import NOTHING, Written
from consist_es.identity.text import writes
from consist_es.identity.text.bytecode import essence, global_names, imported_names
from consist_es.identity.text.imports import ImportRef, computed_imports, imports_of
from consist_es.identity.text.readers import keeps, writes_to
from consist_es.identity.text.source import Function, Source, digest_plain, load_source
from consist_es.identity.text.usage import ATTRIBUTE, file_usage
from consist_es.identity.text.variables import named_parts
from consist_es.values.plain import module_name, type_name

_DYNAMIC = {"globals", "eval", "exec", "__import__", "importlib", "import_module"}


class Visitor(Values):
    """Collects the parts of one code identity."""

    def __init__(self, root: Path, *, follow: bool, declared: bool, own: str, unread: Written = NOTHING) -> None:
        super().__init__(root, follow=follow, unread=unread)
        self.declared, self.own = declared, own
        self.left_out = NONE
        """Captured values that do not count."""
        self._waiting: collections.deque[tuple[Callable[[], None], bool]] = collections.deque()
        """Functions and classes still to visit; a queue, since call chains may be longer than our stack."""
        self._namespace: Mapping[str, Any] = {}
        self._own_namespace: Mapping[str, Any] = {}
        """Namespace of the callable's module."""
        self._reached: dict[str, Any] = {}
        """Names in the callable's own file that its functions read -> present value."""
        self.reach = Reach(root, self.added, self.reference, self._read_more, self._follow_named)
        self._script = file_of(sys.modules.get("__main__")) or ""
        self._setting_up = False
        """True while set-ups are followed: then only the reached part of any file counts."""

    def _read_more(self, names: set[str], namespace: Mapping[str, Any], label: str, source: Source | None) -> None:
        """Count names that code reaches other than by its instructions."""
        self._lenient = True
        self.read_names(names, namespace, label, None, source)

    def _follow_named(self, module: types.ModuleType) -> None:
        """Count a module that a text names, wholly: what of it is asked for is not known."""
        file = file_of(module) or ""
        if file not in (self.own, self._script):
            self.modules.follow_loaded(module.__name__, file, eager=False)
        elif (source := load_source(file)) is not None:
            self.parts[f"whole {file_label(file, self.root)}"] = source.digest

    def _is_own(self, filename: str) -> bool:
        """True if only the reached part of a file counts, not all of it."""
        return filename in (self.own, self._script) or self._setting_up

    def _visit_all(self) -> None:
        """Visit everything queued, and what that leads to."""
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

    def _visit_since(self) -> None:
        waiting, self._since = self._since or collections.deque(), None
        for visit, self._lenient, self._depth in waiting:
            visit()
        self._depth = 0
        self._visit_all()
        self._visit_present()

    def _visit_present(self) -> None:
        """Compare loaded modules with their source, for all that were followed."""
        while self.follow and self.modules.take_present():
            self._visit_all()

    def _visit_patched(self) -> None:
        """Count what the project set in modules of installed packages."""
        if self.follow and (patched := patched_in(self.modules.foreign)):
            self._lenient = True
            self._note("replaced in installed modules", self.reference(patched, "installed modules"))
            self._visit_all()

    def _later(self, visit: Callable[[], None], filename: str) -> None:
        """Queue a visit. Code of the callable's own file must be identified in full, a distribution's only as far as
        possible: the code that made it counts."""
        foreign = filename != self.own and (self._lenient or spot_of(filename) is not None)
        self._waiting.append((visit, foreign or (self._lenient and self._setting_up)))

    def _instance(self, value: Any, where: str) -> Any:
        if known_form(value) is None:
            self.reach.given.append(value)  # texts in it may be run as code
        return super()._instance(value, where)

    # ------------------------------------------------------------ functions

    def function(self, fn: types.FunctionType) -> str:
        """Visit a function; returns the label of its parts."""
        if id(fn) in self._labels:
            return self._labels[id(fn)]
        filename = fn.__code__.co_filename
        if is_ours(fn.__module__) or filename.startswith("<frozen"):
            return type_name(fn)
        if not is_first_party(filename) and Path(filename).is_file():
            return self._installed(fn)
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
        known = node
        if node is None and source is not None and fn.__closure__:
            from consist_es.identity.text.rewritten import node_of  # few functions are not as in their file

            known = node_of(source, fn.__code__)
        self._captured(fn, label, known)
        if self.follow:
            if self._is_own(filename) or not Path(filename).is_file():
                self._globals(fn, label, node, source)
            else:
                self.modules.follow_loaded(fn.__module__ or "", filename)
                if vars(sys.modules.get(fn.__module__ or "", fn)) is not fn.__globals__:
                    self.newly(lambda: self._globals(fn, label, node, source))

    def _installed(self, fn: types.FunctionType) -> str:
        """A function of an installed package: by name, with the project's functions that it wraps."""
        label = self._label(fn, f"{fn.__module__}.{fn.__qualname__}")
        captured = [wrapped_by(fn), *(content_of(cell) for cell in fn.__closure__ or ())]
        ours = [value for value in captured if holds_function(value)]
        if ours:
            self.parts[f"wrapped by {label}"] = digest_plain([self.reference(item, label) for item in ours])
        if not is_by_name(fn) and (state := factory_state(fn)):
            self.newly(lambda: self._note(f"state of {label}", self._piece(state, label)))
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
            if (why := self.left_out.leaves(cell)) is not None:
                self.code_of(content_of(cell), f"{why} {name} of {label}")
            elif node is None or fn.__code__.co_filename == self.own or not keeps(node, name):
                self._closed_over(fn, name, content_of(cell), label, node)
        for name, value in sorted(vars(fn).items()):
            if name != "__wrapped__" and not name.startswith(("__consist", "_consist")) and name != "pytestmark":
                self._value(name, value, "attribute", label, node)
        wrapped = wrapped_by(fn)
        if wrapped is not None:
            self.parts[f"wrapped by {label}"] = digest_plain(self.reference(wrapped, f"wrapped by {label}"))

    def code_of(self, value: Any, title: str) -> None:
        """Count the class of a value that does not count itself."""
        kind = type(value)
        self.parts[title] = digest_plain(self.cls(kind) if is_own(kind) else type_name(kind))

    def _closed_over(self, fn: types.FunctionType, name: str, value: Any, label: str, node: Function | None) -> None:
        source = load_source(fn.__code__.co_filename) if self._since is None and self._lenient else None
        if source is None or callable(value) or holds_function(value):
            self._value(name, value, "closure variable", label, node)
        else:
            title = f"closure variable {name} of {label}"
            self.modules.held.append(Held(title, title, name, value, None, False, (source,), attribute=False))

    def _value(self, name: str, value: Any, what: str, label: str, node: Function | None) -> None:
        kind: Any = type(value)
        if node is not None and (writes.only_written(name, kind, node) or writes.only_set(name, value, node)):
            return
        self.parts[f"{what} {name} of {label}"] = digest_plain(self.reference(value, f"{what} {name!r} of {label}"))

    def _globals(self, fn: types.FunctionType, label: str, node: Function | None, source: Source | None) -> None:
        names = set(global_names(fn.__code__))
        self.read_names(names, fn.__globals__, label, node, source)
        if node is None:
            imports = [ImportRef(name, frozenset(), False) for name in imported_names(fn.__code__)]
            self.modules.follow(imports, package_of(fn.__globals__))

    def read_names(
        self, names: set[str], namespace: Mapping[str, Any], label: str, node: Any, source: Source | None
    ) -> None:
        """Count what some code takes from its module: present values, imports, and the whole file if it is dynamic."""
        package = package_of(namespace)
        self._namespace = namespace
        if source is not None and source.filename == self.own:
            self._own_namespace = namespace
        self.reach.add(Code(label, () if node is None else (node,), source, namespace, frozenset(names)))
        if node is None:
            self._readers.names |= names
        else:
            self._readers.add(*(node.body if isinstance(node, ast.Module) else [node]))
        for name in sorted(names & namespace.keys()):
            self._reached[name] = namespace[name]
            if name not in ("__file__", "__builtins__", "__doc__", "__spec__", "__package__", "__loader__"):
                self._value(name, namespace[name], "variable", label, node)
        if node is not None:
            self.modules.follow(_imports_in(node), package)
            if _computes_imports(node):
                self.modules.computed.append(label)
        if source is not None:
            self.modules.follow([ref for ref in source.imports if _gives(ref, names, package)], package)
        if _is_dynamic(names & _DYNAMIC, node):
            self._dynamic(label, source, package)

    def _dynamic(self, label: str, source: Source | None, package: str) -> None:
        """Count the whole file, since the code can reach anything in it."""
        if source is None:
            self.unstable.append(f"{label} runs code by name, and has no source file")
            return
        self.parts[f"whole {file_label(source.filename, self.root)}"] = source.digest
        self.parts |= named_parts(source, source.tree)
        self.modules.follow(source.imports, package)

    # ------------------------------------------------------------ classes

    def cls(self, cls: type) -> str:
        """Visit a class; returns the label of its parts."""
        filename = class_file(cls)
        if is_ours(module_name(cls)) or not (is_first_party(filename) or filename.startswith("<") or not filename):
            if id(cls) not in self._labels and not is_by_name(cls):
                self.newly(functools.partial(self._made_class, cls))
            return type_name(cls)
        if module_name(cls) == "builtins":
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
        followed = self.follow and bool(filename) and not self._is_own(filename)
        self.reach.add_class(cls, label)
        if followed:
            self.modules.follow_loaded(module_name(cls), filename)
        elif source is not None and nodes:
            self._readers.add(*nodes)
            self.modules.held += subclasses(cls, label, source)
            self.reach.add(Code(label, tuple(nodes), source, namespace_of(cls, filename), frozenset()))
        judged = source if followed and nodes and "<locals>" not in cls.__qualname__ else None
        if judged is None or not self._lenient:  # else everything in its module has been counted
            self._members(cls, label, generated=bool(nodes), judged=judged)
        bases = [base for base in (*cls.__bases__, type(cls)) if base not in (object, type)]
        if bases:
            self.parts[f"bases of {label}"] = digest_plain([self.cls(base) for base in bases])

    def _made_class(self, cls: type) -> None:
        """Count a class made by a function of an installed package, by its members and bases."""
        label, before = self._label(cls, type_name(cls)), self._lenient
        self._lenient = True
        self._members(cls, label, generated=True, judged=None)
        self._note(f"bases of {label}", [self.reference(base, f"base of {label}") for base in cls.__bases__])
        self._lenient = before

    def _members(self, cls: type, label: str, *, generated: bool, judged: Source | None) -> None:
        """Count methods and data of a class, except data that methods in its module (`judged`) write to."""
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


def _is_dynamic(found: set[str], node: ast.AST | None) -> bool:
    """True if code with these names of `_DYNAMIC` may reach anything in its file."""
    if node is None:
        return bool(found)
    # names that it spells out are found in its texts
    return bool(found - {"globals"}) or looks_up_computed(node) or reads_modules(node)


def _gives(ref: ImportRef, names: Set[str], package: str) -> bool:
    """True if an import may bind one of these names; of a star import, the loaded module tells."""
    if "*" not in ref.bound:
        return not ref.bound.isdisjoint(names)
    module = loaded_as(ref.name, package)
    # a module with `__getattr__` makes names up as they are asked for
    if module is None or "__getattr__" in vars(module):
        return True
    listed = getattr(module, "__all__", ())
    return any(name in vars(module) and (name[:1] != "_" or name in listed) for name in names)


# cached: a step is looked at again and again
@functools.lru_cache(maxsize=4096)
def _imports_in(node: ast.AST) -> tuple[ImportRef, ...]:
    return tuple(imports_of(node, eager=False))


@functools.lru_cache(maxsize=4096)
def _computes_imports(node: ast.AST) -> bool:
    return bool(computed_imports(node))
