"""Walks one function and notes its reads and writes, see `consist_es.identity.text.usage`."""

import ast
from collections.abc import Container, Iterator
from typing import Any

from consist_es.identity.text.normal import Scope

READ = 1
FILL = 2
"""Writes a value that it computes itself."""
SET = 4
"""Writes a value that it was passed."""
CLEAR = 8
"""Empties it."""
CLOCK = 16
"""Writes a clock's time."""
WRITES = FILL | SET | CLEAR | CLOCK

NAME, ATTRIBUTE, OWN = "name", "attribute", "own"
"""Kinds: a variable of the module; an attribute; an attribute that ``self.x = ...`` binds anew."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CLOCKS = {
    f"{word}{unit}" for word in ("time", "perf_counter", "monotonic", "process_time") for unit in ("", "_ns")
} | {"default_timer", "now", "utcnow"}
_CLOCK_OWNERS = {"time", "timeit", "datetime", "dt"}
_LOOK_UPS = {"__dict__", "attrgetter", "dir", "eval", "exec", "getmembers", "globals", "methodcaller", "vars"}
_SELVES = frozenset({"self", "cls"})
_CONVERSIONS = {"float", "int", "str", "bool", "dict", "list", "tuple", "set", "Path", "copy", "deepcopy"}
_EMPTY = {"dict", "list", "set", "tuple", "OrderedDict", "defaultdict", "deque", "Counter"}
_CLEARING = {"clear", "pop", "popitem", "popleft", "remove", "discard", "__delitem__"}
_GIVING = {"pop", "popitem", "popleft", "setdefault"}
"""Methods that change an object and return part of it."""
_CHANGING = _CLEARING | _GIVING | {
    "add", "append", "appendleft", "difference_update", "extend", "extendleft", "insert", "intersection_update",
    "reverse", "rotate", "sort", "symmetric_difference_update", "update", "__setitem__",
}  # fmt: skip


Uses = dict[str, int]
"""Text of the expression that holds it -> flags of the use."""


class Walk:
    """Goes through the scopes of a unit with the names that are local in each."""

    def __init__(self, name: str | None, *, plain: bool, clocks: bool) -> None:
        self.name, self.plain = name, plain
        self.uses: dict[tuple[str, str], Uses] = {}
        """Kind and name -> how it is used."""
        self.mentions: set[str] = set()
        self.computes = False
        self._clocks = clocks
        """True if anything in the file reads a clock."""
        self._outside = False
        self._given: frozenset[str] = frozenset()
        self._clocked: frozenset[str] = frozenset()
        """Local names with a clock's time."""
        self._silent: set[ast.AST] = set()
        """Nodes that are only written to. Themselves, since each call of `id` raises an audit event."""
        self._nameless: dict[ast.AST, int] = {}

    def outside(self, scope: Scope, functions: Container[ast.AST]) -> None:
        """Walk the code outside of functions, including those `functions` in it that are not units."""
        self._outside = True
        self._scope(scope, frozenset(), functions)

    def function(self, scope: Scope, local: frozenset[str]) -> None:
        """Walk a function; the names in `local` belong to functions around it."""
        head = scope.head or Scope()
        self._scope(head, local)
        around = self._given, self._clocked
        parameters = _parameters(scope.node.args, lambdas=bool(head.inside))
        names = [*head.names, *scope.names]
        stored = {item.id for item in names if item.ctx.__class__ is not ast.Load}
        named = {getattr(item.node, "name", "") for item in (*head.inside, *scope.inside)}
        shared = {name for item in scope.nodes.get(ast.Global, ()) for name in item.names}
        outer = shared | {name for item in scope.nodes.get(ast.Nonlocal, ()) for name in item.names}
        self._given = (self._given | parameters) - stored - _SELVES
        if self._clocks:
            for _ in range(2):  # twice: the end of a span is taken from its beginning
                self._clocked |= {
                    target.id
                    for item in scope.nodes.get(ast.Assign, ())
                    if self._is_clocked(item.value)
                    for target in item.targets
                    if isinstance(target, ast.Name)
                }
        self._scope(scope, frozenset(((local - shared) | parameters | stored | named) - (outer - local) - shared))
        self._given, self._clocked = around

    def _scope(self, scope: Scope, local: frozenset[str], functions: Container[ast.AST] | None = None) -> None:
        """Walk a scope: first the writes, since nodes that are only written to are not read."""
        nodes = scope.nodes
        self._silent |= {item.value for item in nodes.get(ast.Expr, ()) if _is_change(item.value)}
        for item in nodes.get(ast.Call, ()):
            self._call(item, local)
        for kind in _ASSIGNMENTS:
            for item in nodes.get(kind, ()):
                self._assignment(item, local)
        for item in nodes.get(ast.Subscript, ()):
            if item.value.__class__ in _HOLDING:
                self._look_up(_looked_up(item))
        imports = (*nodes.get(ast.Import, ()), *nodes.get(ast.ImportFrom, ()))
        self.mentions |= {alias.name for item in imports for alias in item.names}
        self.mentions.update(filter(str.isidentifier, scope.texts))
        self._read(scope, local)
        for inner in scope.inside:
            if isinstance(inner.node, ast.ClassDef):
                self._scope(inner, local, functions)
            elif functions is None or inner.node in functions:
                self.function(inner, local)

    def _read(self, scope: Scope, local: frozenset[str]) -> None:
        silent, load = self._silent, ast.Load
        found = {item.id for item in scope.names}
        other = found - local
        names = [item for item in scope.names if item.id in other and item.ctx.__class__ is load]
        for name in {item.id for item in names if item not in silent}:
            self._add(NAME, name, "", READ)
        for item in scope.nodes.get(ast.Attribute, ()):
            found.add(item.attr)
            if item.ctx.__class__ is load and item not in silent:
                self._add(ATTRIBUTE, item.attr, self._text(item.value), READ)
        self.mentions |= found
        self.computes |= not found.isdisjoint(_LOOK_UPS)

    def _add(self, kind: str, name: str, receiver: str, how: int) -> None:
        found = self.uses.setdefault((kind, name), {})
        found[receiver] = found.get(receiver, 0) | how

    # ------------------------------------------------------------ one node each

    def _call(self, node: ast.Call, local: frozenset[str]) -> None:
        function: Any = node.func
        if function.__class__ is ast.Attribute:
            if function.attr in _CHANGING:
                self._change(node, local)
        elif function.__class__ is ast.Name and function.id in _GETTING:
            if (text := _looked_up(node)) is not None:
                self._look_up(text)
            elif function.id == "getattr":
                self.computes = True

    def _look_up(self, text: str | None) -> None:
        if text is not None:
            self._add(NAME, text, "", READ)
            self._add(ATTRIBUTE, text, "?", READ)

    def _assignment(self, node: Any, local: frozenset[str]) -> None:
        targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
        how: int | None = None
        for target in targets:
            for leaf in _targets(target):
                if self._is_own(leaf, local):
                    continue
                if how is None:
                    how = self._how_assigned(node)
                self._target(leaf, how, local)

    def _is_own(self, target: Any, local: frozenset[str]) -> bool:
        """True if only local variables (or, outside of functions, names) are stored to; most stores are."""
        if target.__class__ is ast.Name:
            return self._outside or target.id in local
        while target.__class__ is ast.Subscript:
            target = target.value
        return target.__class__ is ast.Name and target.id in local

    # ------------------------------------------------------------ what is written

    def _change(self, call: Any, local: frozenset[str]) -> None:
        """Note ``thing.append(x)``, ``thing.clear()``."""
        function: ast.Attribute = call.func
        how = CLEAR if function.attr in _CLEARING else FILL
        values = [*call.args, *(item.value for item in call.keywords)]
        if how == FILL and values and self._is_clocked(values[-1]):
            how = CLOCK
        elif function.attr == "update" and any(self._how(value) == SET for value in values):
            how = SET
        if call not in self._silent or function.attr in _GIVING:
            how |= READ
        self._chain(function.value, how, local)

    def _target(self, target: ast.expr, how: int, local: frozenset[str]) -> None:
        if isinstance(target, ast.Subscript):
            self._chain(target.value, how, local)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self._add(OWN, target.attr, "self", how)
        elif isinstance(target, ast.Attribute):
            self._chain(target, how, local)
        elif isinstance(target, ast.Name):
            self._add(NAME, target.id, "", how)

    def _chain(self, thing: ast.AST, how: int, local: frozenset[str]) -> None:
        """Note a write to an object, and to everything that it is looked up in."""
        while isinstance(thing, (ast.Attribute, ast.Subscript)):
            self._silent.add(thing)
            if isinstance(thing, ast.Attribute):
                self._add(ATTRIBUTE, thing.attr, self._text(thing.value), how)
            thing = thing.value
        if isinstance(thing, ast.Name) and thing.id not in local:
            self._silent.add(thing)
            self._add(NAME, thing.id, "", how)

    def _is_clocked(self, value: ast.expr) -> bool:
        """True if a value comes from a clock: it differs each time, so nothing reproducible depends on it."""
        if self._clocks:
            for item in ast.walk(value):
                if isinstance(item, ast.Name) and item.id in self._clocked:
                    return True
                if isinstance(item, ast.Call) and is_clock(item.func):
                    return True
        return False

    def _how_assigned(self, node: Any) -> int:
        how = CLEAR if isinstance(node, ast.Delete) else self._how(node.value)
        return FILL if isinstance(node, ast.AugAssign) and how != CLOCK else how

    def _how(self, value: ast.expr | None) -> int:
        """Flag for storing this value."""
        if value is None:
            return 0
        if self._is_clocked(value):
            return CLOCK
        if _is_empty(value):
            return CLEAR
        below = list(ast.walk(value))
        calls = [item for item in below if isinstance(item, ast.Call)]
        converted = all(isinstance(call.func, ast.Name) and call.func.id in _CONVERSIONS for call in calls)
        names = {item.id for item in below if isinstance(item, ast.Name)}
        return SET if converted and names & self._given else FILL

    def _text(self, node: Any) -> str:
        """Text of the holding expression: equal for two places only if it is a plain chain of names."""
        if node.__class__ is ast.Name:
            return str(node.id)
        if node.__class__ is ast.Attribute:
            return f"{self._text(node.value)}.{node.attr}"
        return f"?{self._nameless.setdefault(node, len(self._nameless))}"


_GETTING = ("getattr", "attrgetter")
_HOLDING = (ast.Call, ast.Attribute)
_ASSIGNMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)


def _parameters(arguments: ast.arguments, *, lambdas: bool) -> set[str]:
    """Names of all parameters, and of the parameters of lambdas in their default values."""
    if lambdas:
        return {item.arg for item in ast.walk(arguments) if isinstance(item, ast.arg)}
    more = filter(None, (arguments.vararg, arguments.kwarg))
    return {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *more)}


def is_clock(function: ast.expr) -> bool:
    if function.__class__ is ast.Name:
        return function.id in _CLOCKS
    if not isinstance(function, ast.Attribute) or function.attr not in _CLOCKS:
        return False
    owner = function.value
    last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return last in _CLOCK_OWNERS


def _is_change(node: Any) -> bool:
    return node.__class__ is ast.Call and node.func.__class__ is ast.Attribute and node.func.attr in _CHANGING


def _targets(target: ast.expr) -> Iterator[ast.expr]:
    if target.__class__ is ast.Name:
        yield target
    elif isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _targets(item)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def _is_empty(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return value.value is None or value.value is False
    if isinstance(value, ast.Call):
        return not value.args and not value.keywords and getattr(value.func, "id", "") in _EMPTY
    return isinstance(value, (ast.List, ast.Dict, ast.Tuple)) and not (
        value.keys if isinstance(value, ast.Dict) else value.elts
    )


def _looked_up(node: ast.AST) -> str | None:
    """The text in ``getattr(thing, "x")``, ``vars(thing)["x"]`` and ``thing.__dict__["x"]``."""
    found: ast.AST | None = None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _GETTING and node.args:
        found = node.args[-1 if len(node.args) == 1 else 1]
    elif isinstance(node, ast.Subscript) and (
        (isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") in ("vars", "globals"))
        or (isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__")
    ):
        found = node.slice
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else None
