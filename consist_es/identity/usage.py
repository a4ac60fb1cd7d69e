"""Which functions of a file read a variable or attribute, and which write to it, as its source says.

The unit is a function of a module or class with all that is nested in it. Code outside of functions is one unit more.
"""

import ast
import functools
from collections.abc import Iterable, Iterator

READ = 1
FILL = 2
"""Writes something that it finds out itself."""
SET = 4
"""Writes what it was handed."""
CLEAR = 8
"""Empties it."""
CLOCK = 16
"""Writes what a clock says."""
WRITES = FILL | SET | CLEAR | CLOCK

NAME, ATTRIBUTE, OWN = "name", "attribute", "own"
"""Kinds of things: a variable of the module; an attribute; an attribute that ``self.x = ...`` binds anew."""
MAKERS = ("__init__", "__new__", "__post_init__", "__setstate__")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_BLOCKS = (
    ast.ClassDef, ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.ExceptHandler, ast.Match,
    ast.match_case,
)  # fmt: skip
_CALLED_BY_OTHERS = {
    "read", "readline", "readlines", "write", "flush", "close", "seek", "keys", "values", "items", "get", "run", "emit",
    "fit", "predict", "transform", "score", "send",
}  # fmt: skip
"""Methods that installed packages call on whatever object they are given."""
_CLOCKS = {
    f"{word}{unit}" for word in ("time", "perf_counter", "monotonic", "process_time") for unit in ("", "_ns")
} | {"default_timer", "now", "utcnow"}
_CLOCK_OWNERS = {"time", "timeit", "datetime", "dt"}
_LOOK_UPS = {"__dict__", "attrgetter", "dir", "eval", "exec", "getmembers", "globals", "methodcaller", "vars"}
_SELVES = ("self", "cls")
_CONVERSIONS = {"float", "int", "str", "bool", "dict", "list", "tuple", "set", "Path", "copy", "deepcopy"}
_EMPTY = {"dict", "list", "set", "tuple", "OrderedDict", "defaultdict", "deque", "Counter"}
_CLEARING = {"clear", "pop", "popitem", "popleft", "remove", "discard", "__delitem__"}
_GIVING = {"pop", "popitem", "popleft", "setdefault"}
"""Methods that change a thing and give some of it back."""
_CHANGING = _CLEARING | _GIVING | {
    "add", "append", "appendleft", "difference_update", "extend", "extendleft", "insert", "intersection_update",
    "reverse", "rotate", "sort", "symmetric_difference_update", "update", "__setitem__",
}  # fmt: skip


class Unit:
    """One function: what it does to what, and every name that it mentions."""

    def __init__(self, name: str | None, *, plain: bool, outside: bool = False) -> None:
        self.name = name
        self.plain = plain
        """Whether it only ever runs where something names it: neither decorated nor called by other means."""
        self.makes = name in MAKERS
        self.outside = outside
        self.uses: dict[tuple[str, str], dict[str, int]] = {}
        """Kind and name of a thing -> what the thing is looked up in, as text -> how it is used."""
        self.mentions: set[str] = set()
        self.computes = False
        """Whether it looks things up by computed names."""

    def add(self, kind: str, name: str, receiver: str, how: int) -> None:
        found = self.uses.setdefault((kind, name), {})
        found[receiver] = found.get(receiver, 0) | how


class Usage:
    """The units of some code, found by what they use."""

    def __init__(self, units: Iterable[Unit], imported: Iterable[str]) -> None:
        self.all = list(units)
        self.units: dict[tuple[str, str], list[Unit]] = {}
        for unit in self.all:
            for key in unit.uses:
                self.units.setdefault(key, []).append(unit)
        self.imported = frozenset(imported)
        """Names that it takes from other modules; ``*`` for all."""


@functools.lru_cache(maxsize=4096)
def usage(*nodes: ast.AST) -> Usage:
    """Of the code below some nodes: a module, or functions and classes of one."""
    outside, units = Unit(None, plain=False, outside=True), []
    for node in nodes:
        for body, owner in _parts(node):
            if body is None:
                _Walk(outside).visit(owner, frozenset())
            else:
                unit = Unit(getattr(body, "name", None), plain=_is_plain(body, owner))
                _Walk(unit).visit(body, frozenset())
                units.append(unit)
    froms = [item for node in nodes for item in ast.walk(node) if isinstance(item, ast.ImportFrom)]
    return Usage([*units, outside], {alias.name for item in froms for alias in item.names})


def _parts(node: ast.AST, owner: ast.AST | None = None) -> Iterator[tuple[ast.AST | None, ast.AST]]:
    """Functions with what they lie in, and (None, node) for everything that is outside of functions."""
    if isinstance(node, _FUNCTIONS):
        yield node, owner or node
    elif isinstance(node, (ast.Module, *_BLOCKS)):
        for child in ast.iter_child_nodes(node):
            yield from _parts(child, node)
    elif not _is_list_of_names(node):
        yield None, node


def _is_plain(function: ast.AST, owner: ast.AST) -> bool:
    name = getattr(function, "name", None)
    if name is None or getattr(function, "decorator_list", None):
        return False
    if not isinstance(owner, ast.ClassDef):
        return True
    inherited = owner.bases or owner.keywords or owner.decorator_list
    return not (inherited or name.startswith("__") or name in _CALLED_BY_OTHERS)


def _is_list_of_names(node: ast.AST) -> bool:
    """Whether it is ``__all__``, which uses nothing."""
    return isinstance(node, ast.Assign) and any(getattr(item, "id", "") == "__all__" for item in node.targets)


class _Walk:
    """Goes through a unit with the names that are local at each point."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.given: frozenset[str] = frozenset()
        self.clocked: frozenset[str] = frozenset()
        """Local names for what a clock said."""
        self.silent: set[int] = set()
        """Nodes that are only there to be written to."""

    def visit(self, node: ast.AST, local: frozenset[str]) -> None:
        if isinstance(node, _FUNCTIONS):
            self._function(node, local)
            return
        self._writes(node, local)
        self._reads(node, local)
        for child in ast.iter_child_nodes(node):
            self.visit(child, local)

    def _function(self, node: ast.AST, local: frozenset[str]) -> None:
        arguments: ast.arguments = node.args  # type: ignore[attr-defined]
        head = [*getattr(node, "decorator_list", []), *arguments.defaults, *filter(None, arguments.kw_defaults)]
        for item in head:
            self.visit(item, local)
        parameters = {item.arg for item in ast.walk(arguments) if isinstance(item, ast.arg)}
        own = list(_own_nodes(node))
        stored = {item.id for item in own if isinstance(item, ast.Name) and not isinstance(item.ctx, ast.Load)}
        named = {item.name for item in own if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))}
        outer = {name for item in own if isinstance(item, (ast.Global, ast.Nonlocal)) for name in item.names}
        shared = {name for item in own if isinstance(item, ast.Global) for name in item.names}
        before = self.given, self.clocked
        self.given = (self.given | parameters) - stored - set(_SELVES)
        for _ in range(2):  # the end of a span is taken from its beginning
            self.clocked |= {
                target.id
                for item in own
                if isinstance(item, ast.Assign) and self._is_clocked(item.value)
                for target in item.targets
                if isinstance(target, ast.Name)
            }
        inner = frozenset(((local - shared) | parameters | stored | named) - (outer - local) - shared)
        body = node.body  # type: ignore[attr-defined]
        for item in body if isinstance(body, list) else [body]:
            self.visit(item, inner)
        self.given, self.clocked = before

    def _reads(self, node: ast.AST, local: frozenset[str]) -> None:
        if isinstance(node, ast.Name):
            self.unit.mentions.add(node.id)
            if isinstance(node.ctx, ast.Load) and node.id not in local and id(node) not in self.silent:
                self.unit.add(NAME, node.id, "", READ)
            self.unit.computes |= node.id in _LOOK_UPS
        elif isinstance(node, ast.Attribute):
            self.unit.mentions.add(node.attr)
            self.unit.computes |= node.attr in _LOOK_UPS
            if isinstance(node.ctx, ast.Load) and id(node) not in self.silent:
                self.unit.add(ATTRIBUTE, node.attr, _text(node.value), READ)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            self.unit.mentions.add(node.value)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.unit.mentions |= {alias.name for alias in node.names}
        elif (text := _looked_up(node)) is not None:
            self.unit.add(NAME, text, "", READ)
            self.unit.add(ATTRIBUTE, text, "?", READ)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            self.unit.computes = True

    def _writes(self, node: ast.AST, local: frozenset[str]) -> None:
        if isinstance(node, ast.Expr) and _changing(node.value):
            self.silent.add(id(node.value))
        elif _changing(node):
            self._change(node, local)  # type: ignore[arg-type]
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete)):
            targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [node.target]
            how = CLEAR if isinstance(node, ast.Delete) else self._how(node.value)
            how = FILL if isinstance(node, ast.AugAssign) and how != CLOCK else how
            for target in targets:
                for leaf in _leaves(target):
                    self._target(leaf, how, local)

    def _change(self, call: ast.Call, local: frozenset[str]) -> None:
        """``thing.append(x)``, ``thing.clear()``."""
        function: ast.Attribute = call.func  # type: ignore[assignment]
        how = CLEAR if function.attr in _CLEARING else FILL
        values = [*call.args, *(item.value for item in call.keywords)]
        if how == FILL and values and self._is_clocked(values[-1]):
            how = CLOCK
        elif function.attr == "update" and any(self._how(value) == SET for value in values):
            how = SET
        if id(call) not in self.silent or function.attr in _GIVING:
            how |= READ
        self._chain(function.value, how, local)

    def _target(self, target: ast.expr, how: int, local: frozenset[str]) -> None:
        if isinstance(target, ast.Subscript):
            self._chain(target.value, how, local)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            self.unit.add(OWN, target.attr, "self", how)
        elif isinstance(target, ast.Attribute):
            self._chain(target, how, local)
        elif isinstance(target, ast.Name) and target.id not in local and not self.unit.outside:
            self.unit.add(NAME, target.id, "", how)

    def _chain(self, thing: ast.AST, how: int, local: frozenset[str]) -> None:
        """A thing that is written into, and everything that it is looked up in."""
        while isinstance(thing, (ast.Attribute, ast.Subscript)):
            self.silent.add(id(thing))
            if isinstance(thing, ast.Attribute):
                self.unit.add(ATTRIBUTE, thing.attr, _text(thing.value), how)
            thing = thing.value
        if isinstance(thing, ast.Name) and thing.id not in local:
            self.silent.add(id(thing))
            self.unit.add(NAME, thing.id, "", how)

    def _is_clocked(self, value: ast.expr) -> bool:
        """Whether a value comes from a clock: it differs each time, so that nothing reproducible depends on it."""
        for item in ast.walk(value):
            if isinstance(item, ast.Name) and item.id in self.clocked:
                return True
            if isinstance(item, ast.Call) and _is_clock(item.func):
                return True
        return False

    def _how(self, value: ast.expr | None) -> int:
        """What storing this value is."""
        if value is None:
            return 0
        if self._is_clocked(value):
            return CLOCK
        if _is_empty(value):
            return CLEAR
        calls = [item for item in ast.walk(value) if isinstance(item, ast.Call)]
        converted = all(isinstance(call.func, ast.Name) and call.func.id in _CONVERSIONS for call in calls)
        names = {item.id for item in ast.walk(value) if isinstance(item, ast.Name)}
        return SET if converted and names & self.given else FILL


def _is_clock(function: ast.expr) -> bool:
    if isinstance(function, ast.Name):
        return function.id in _CLOCKS
    if not isinstance(function, ast.Attribute) or function.attr not in _CLOCKS:
        return False
    return _text(function.value).rpartition(".")[2] in _CLOCK_OWNERS


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """All below a function but what lies in functions and classes in it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)


def _changing(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING


def _leaves(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _leaves(item)
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


def _text(node: ast.AST) -> str:
    """What a thing is looked up in: the same for two places only where it is a plain chain of names."""
    if isinstance(node, ast.Attribute):
        return f"{_text(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else f"?{id(node)}"


def _looked_up(node: ast.AST) -> str | None:
    """The text in ``getattr(thing, "x")``, ``vars(thing)["x"]`` and ``thing.__dict__["x"]``."""
    found: ast.AST | None = None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "attrgetter") and node.args:
        found = node.args[-1 if len(node.args) == 1 else 1]
    elif isinstance(node, ast.Subscript) and (
        (isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") in ("vars", "globals"))
        or (isinstance(node.value, ast.Attribute) and node.value.attr == "__dict__")
    ):
        found = node.slice
    return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else None
