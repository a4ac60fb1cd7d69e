"""Follows what code reaches beyond the names in its instructions: names in statements and texts, fields of classes, and
the statements that made the values it reads or set something up for it."""

import ast
import collections
import functools
import itertools
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.identity.code.setup import SetUp
from consist_es.identity.code.text_names import (
    Names,
    loose_names,
    names_in_annotations,
    names_in_texts,
    names_in_value,
    texts_in,
    texts_of,
)
from consist_es.identity.live import harmless
from consist_es.identity.live.modules import file_label, file_of
from consist_es.identity.live.named_modules import modules_named
from consist_es.identity.live.objects import reads_modules
from consist_es.identity.live.scope import MISSING, Scope, is_own, resolve
from consist_es.identity.text.fields import field_values
from consist_es.identity.text.source import Source, digest_plain
from consist_es.identity.text.statements import Access, accesses, binding, mentioned, outer_names
from consist_es.identity.text.variables import named_parts

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_DEEP = 5
_VOLATILE = {
    "TemporaryDirectory", "getcwd", "getpid", "gettempdir", "getuser", "gethostname", "mkdtemp", "mkstemp", "monotonic",
    "now", "perf_counter", "time", "time_ns", "today", "token_hex", "urandom", "utcnow", "uuid1", "uuid4",
}  # fmt: skip
"""Calls that give another value in each process; no result worth keeping depends on them."""


class Code(NamedTuple):
    """Reached code, with the namespace that its names are looked up in."""

    label: str
    nodes: tuple[ast.AST, ...]
    source: Source | None
    namespace: Mapping[str, Any]
    names: frozenset[str]
    """Names that it reads and that are counted already."""


class Reach:
    """Adds parts for what code reaches beyond its instructions."""

    def __init__(
        self,
        root: Path,
        parts: dict[str, str],
        refer: Callable[[Any, str], Any],
        read: Callable[[set[str], Mapping[str, Any], str, Source | None], None],
        follow: Callable[[types.ModuleType], None],
    ) -> None:
        self.given: list[Any] = []
        """Values that the step is passed or its code holds, besides variables: texts in them may be run as code."""
        self._root, self._parts, self._refer, self._read, self._follow = root, parts, refer, read, follow
        self._waiting: collections.deque[Code] = collections.deque()
        self._taken: list[Code] = []
        self._open = Names()
        """Its flags say whether any code runs texts written elsewhere."""
        self._handed_to = self._named = Names()
        self._looked_at = 0
        """How many values of `given` are searched; `_named` has the names found."""
        self._read_of: dict[str, set[str]] = {}
        """Label of code -> names that it reads besides those of its instructions."""
        self._classes: dict[type, str] = {}

    def add(self, code: Code) -> None:
        """Queue code for `take`."""
        self._waiting.append(code)

    def add_class(self, cls: type, label: str) -> None:
        """Queue a class; its fields count."""
        self._classes.setdefault(cls, label)

    def take(self) -> bool:
        """Count what the queued code reaches; False if there was none."""
        if not self._waiting and not self._classes:
            return False
        while self._waiting:
            code = self._waiting.popleft()
            self._taken.append(code)
            before = self._open
            self._take(code)
            if self._open != before:  # texts in the code taken so far may be run by this code
                self._waiting.extend(self._taken)
                self._taken.clear()
        classes, self._classes = self._classes, {}
        for cls, label in classes.items():
            if values := field_values(cls):
                self._parts[f"fields of {label}"] = digest_plain(self._refer(values, f"field of {label}"))
        return True

    def _take(self, code: Code) -> None:
        texts, found = Names(), set[str]()
        for node in code.nodes:
            texts = texts.with_(names_in_texts(node))
            if isinstance(node, ast.ClassDef):
                found |= mentioned(node) | names_in_annotations(node)
            else:
                found |= outer_names(node)
        self._open = Names(code=self._open.code or texts.code, query=self._open.query or texts.query)
        if self._open.code or self._open.query:
            for node in code.nodes:
                texts = texts.with_(loose_names(node, code=self._open.code, query=self._open.query))
        for name in code.names & code.namespace.keys():
            texts = texts.with_(names_in_value(code.namespace[name], self._open))
        self._follow_named(code)
        found |= texts.with_(self._handed()).bound_in(code.namespace)
        new = (found & code.namespace.keys()) - code.names - self._read_of.setdefault(code.label, set())
        if new:
            self._read_of[code.label] |= new
            self._read(new, code.namespace, code.label, code.source)
        if code.source is not None:
            for name in sorted(code.names & code.namespace.keys()):
                self._made(name, code.namespace, code.source)

    def _follow_named(self, code: Code) -> None:
        """Follow the modules that texts name: those in the code, in values that it reads, and in what it is given."""
        values = [code.namespace[name] for name in code.names & code.namespace.keys()]
        for module in modules_named(
            itertools.chain(*map(texts_in, code.nodes), *map(texts_of, (*values, *self.given))),
            alone=any(map(reads_modules, code.nodes)),
        ):
            self._follow(module)

    def _handed(self) -> Names:
        """Names in the texts of `given`."""
        if self._handed_to != self._open:
            self._handed_to, self._looked_at, self._named = self._open, 0, Names()
        for value in self.given[self._looked_at :]:
            self._named = self._named.with_(names_in_value(value, self._open))
        self._looked_at = len(self.given)
        return self._named

    def _made(self, name: str, namespace: Mapping[str, Any], source: Source) -> None:
        """Count the statement that made a value, if the value does not show everything that it is made of."""
        label = f"statement {name} in {file_label(source.filename, self._root)}"
        if label in self._parts or not _hides_something(namespace[name]):
            return
        nodes = [piece.node for piece in binding(source.tree).get(name, ())]
        if not nodes or any(isinstance(node, (*_IMPORTS, ast.ClassDef)) or _is_bare(node) for node in nodes):
            return
        self._parts[label] = source.digest_of(*nodes)
        names = {found for node in nodes for found in mentioned(node)} & namespace.keys()
        self._read({found for found in names if not harmless.is_of_ours(namespace[found])}, namespace, label, source)

    # ------------------------------------------------------------ set-up

    def set_up(self, found: SetUp, number: int, label: str) -> None:
        """Count a statement that sets something up as the `number`th, and the values it uses."""
        scope, source, values = found.scope, found.scope.whole, dict[str, Any]()
        if source is None:
            return
        nodes: dict[ast.AST, None] = {}
        waiting = list(found.nodes)
        while waiting:
            node = waiting.pop()
            if node in nodes:
                continue
            nodes[node] = None
            for access in accesses(node):
                waiting += self._given(access, scope, values)
            if isinstance(node, _DEFINITIONS) and is_own(value := scope.value(node.name)):
                values[node.name] = self._refer(value, node.name)
        self._parts[label] = digest_plain([number, source.digest_of(*nodes), values])
        self._parts |= named_parts(source, *nodes)

    def _given(self, access: Access, scope: Scope, values: dict[str, Any]) -> list[ast.AST]:
        """Note the value that a statement reads; returns the statements that made it if it does not say enough."""
        made = [piece.node for piece in scope.bound(access.root) if not isinstance(piece.node, _IMPORTS)]
        value = _value_at(access, scope)
        if value is MISSING or access.root.startswith("__"):
            return made if scope.local is None or access.root not in scope.local else []
        if harmless.is_of_ours(value):
            return []
        own = is_own(value)
        if not own and (isinstance(value, types.ModuleType) or scope.imported(access.root)):
            return []
        if not own and not harmless.is_data(value):
            return [] if isinstance(value, type) else made
        if not any(_is_volatile(node, scope) for node in made):
            place = "".join(f".{key}" for _, key in access.path)
            values[access.root + place] = self._refer(value, access.root + place)
        return []


def _value_at(access: Access, scope: Scope) -> Any:
    """The value that is read, or its holder if reading it would run code."""
    value = scope.value(access.root)
    for kind, key in access.path:
        if kind == "item":
            inner = dict.get(value, key, MISSING) if type(value) is dict else MISSING
        elif isinstance(value, types.ModuleType) or type(value).__name__ in ("Namespace", "SimpleNamespace"):
            inner = resolve(value, [key])
        else:
            inner = MISSING
        if inner is MISSING:
            return value
        value = inner
    return value


def _hides_something(value: Any) -> bool:
    """True if a value may hold what cannot be seen from outside: results of calls into installed packages."""
    if harmless.is_of_ours(value) or (not callable(value) and (harmless.is_data(value) or is_own(value))):
        return False
    return not isinstance(value, types.ModuleType) and harmless.package_of_value(value) not in harmless.SILENT


def _is_bare(node: ast.AST) -> bool:
    """True if it defines an undecorated function, which counts as a function."""
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list


def _is_volatile(node: ast.AST, scope: Scope, depth: int = 0) -> bool:
    """True if a statement makes another value in each process."""
    names = _words(node)
    if not _VOLATILE.isdisjoint(names):
        return True
    made = [piece.node for name in names for piece in scope.bound(name) if isinstance(piece.node, ast.Assign)]
    return depth < _DEEP and any(inner is not node and _is_volatile(inner, scope, depth + 1) for inner in made)


@functools.lru_cache(maxsize=65536)
def _words(node: ast.AST) -> frozenset[str]:
    """Every name and attribute below a node."""
    return frozenset({getattr(item, "attr", getattr(item, "id", "")) for item in ast.walk(node)})


def namespace_of(cls: type, filename: str) -> Mapping[str, Any]:
    """The module namespace that a class from this file looks names up in."""
    module = sys.modules.get(cls.__module__)
    if module is not None and file_of(module) == filename:
        return vars(module)
    for value in vars(cls).values():
        if isinstance(value, types.FunctionType) and value.__code__.co_filename == filename:
            return value.__globals__
    return {} if module is None else vars(module)
