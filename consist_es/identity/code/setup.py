"""Finds what the script, the step's file and their imports set up for all code: seeds, options, registrations.

The workflow part of a script is excluded: statements that reach a tracker or scenario of ours, and their results.
Functions of the workflow are searched, since they may set something up on the way.
"""

import ast
import builtins
import functools
import os
import re
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from consist_es.identity.code.settings_made import settings_made
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live import harmless
from consist_es.identity.live.loaded import captures
from consist_es.identity.live.modules import file_of, loaded_modules
from consist_es.identity.live.objects import attributes_in, names_in, package_of
from consist_es.identity.live.scope import (
    MISSING,
    Names,
    Scope,
    function_of,
    function_scope,
    is_own,
    is_own_file,
    module_scope,
    resolve,
    running,
)
from consist_es.identity.text.bytecode import global_names
from consist_es.identity.text.cells import cells
from consist_es.identity.text.source import load_source
from consist_es.identity.text.statements import CALL, DECORATOR, INNER, TARGET, Act, Piece, act_of, acts, chain
from consist_es.identity.text.toplevel import TopLevel, computes_imports, top_imports, top_level

_WORKFLOW = {
    "Tracker", "NoopTracker", "create_tracker", "noop_scenario", "run", "scenario", "use_tracker",
    "set_current_tracker", "current_tracker",
}  # fmt: skip
"""Names of ours used only by workflows."""
_AGAIN = re.compile(r"seed|^set|option|^update$", re.IGNORECASE)
"""Calls that replace an earlier call of the same kind."""
_MODULES: dict[str, tuple[TopLevel, types.ModuleType, list["SetUp"], list[types.ModuleType]]] = {}
"""File -> its loaded module, what it set up, and the modules it imports."""
_FILLING = {"add", "append", "extend", "insert", "setdefault", "update"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DEEP = 12
"""Depth of calls to search."""


class SetUp(NamedTuple):
    """A statement that sets something up for other code."""

    title: str
    nodes: tuple[ast.AST, ...]
    scope: Scope


class Finder:
    """Finds such statements; remembers the functions it has searched."""

    def __init__(self, frames: Mapping[Any, types.FrameType]) -> None:
        self._frames = frames
        self._seen: set[Any] = set()
        self._workflow: dict[Any, bool] = {}
        self._effects: dict[Any, bool] = {}

    def find(self, scope: Scope) -> Iterator[SetUp]:
        """Search a body, and the workflow functions that it calls."""
        if scope.body in self._seen:
            return
        self._seen.add(scope.body)
        names, results = Names(scope), set[str]()
        """Names bound to results of the workflow."""
        blocks = _traced(names)
        for piece in scope.pieces:
            if isinstance(piece.node, (ast.Import, ast.ImportFrom)):
                continue
            told = _told(piece.node)
            called = [fn for path in told.calls if (fn := names.function[path]) is not None] if told.calls else []
            workflow = _names_workflow(told, names, results) or any(map(self._is_workflow, called))
            if workflow:
                results |= piece.binds | told.filled
            for fn in called if workflow else []:
                inner = function_scope(fn, self._frames)
                if inner is not None:
                    yield from self.find(inner)
            for act in _lasting(piece, names, blocks):
                if self._sets(act, names, meant=not workflow) or (piece.span and self._is_context(act, names)):
                    yield SetUp(_title(act), _nodes(piece, names, results), scope)
                    break
            else:
                if isinstance(piece.node, ast.ClassDef) and self._is_registered(names.value[piece.node.name]):
                    yield SetUp(piece.node.name, _nodes(piece, names, results), scope)

    def _sets(self, act: Act, names: Names, *, meant: bool) -> bool:
        """True if an act may change what other code does."""
        root, path = act.root, act.path
        if not root or names.is_ours[root] or (not act.names and harmless.is_getter(names.value[root])):
            return False
        fn = None if act.broken or act.kind == TARGET else names.function[path]
        if fn is not None:
            if act.kind == DECORATOR:
                return self._enters(fn, called=isinstance(act.node, ast.Call))
            return meant and not self._is_workflow(fn) and self._has_effects(fn)
        if (package := names.package[root]) is None:
            return False
        if act.kind == DECORATOR:
            if isinstance(act.node, ast.Call) and act.node.args and path[-1] == "partial":
                return self._sets(act_of(DECORATOR, act.node.args[0]), names, meant=meant)
            return not harmless.is_harmless_decorator(package, path)
        of_environment = package == "os" and not {"environ", "putenv"}.isdisjoint(path)
        if of_environment and not harmless.sets_library_variable(_keys(act.node)):
            return False
        return harmless.sets_something(package, path, meant=meant and act.kind in (CALL, TARGET))

    def _is_context(self, act: Act, names: Names) -> bool:
        """True if a `with` block sets an option of an installed package while it lasts."""
        if not isinstance(act.node, ast.Call) or act.broken or not act.root:
            return False
        value = names.value[act.root]
        if value is MISSING or names.is_ours[act.root]:
            return False
        if (fn := names.function[act.path]) is not None:
            return self._has_effects(fn)
        package = names.imported[act.root] or harmless.package_of_value(value)
        return package not in harmless.SILENT and harmless.holds_option(act.path)

    # ------------------------------------------------------------ functions of the project

    def _has_effects(self, fn: types.FunctionType, depth: int = 0) -> bool:
        """True if calling a function of the project sets something up."""
        code = fn.__code__
        if code not in self._effects:
            self._effects[code] = False  # for recursion, until the result is known
            scope = function_scope(fn, {}) if depth < _DEEP else None
            names = None if scope is None else Names(scope)
            self._effects[code] = names is None or any(
                self._sets(act, names, meant=True) for piece in names.scope.pieces for act in acts(piece.node)
            )
        return self._effects[code]

    def _enters(self, fn: types.FunctionType, *, called: bool) -> bool:
        """True if a decorator of the project passes what it decorates to an installed package.

        If the project itself keeps it, it is found through the container.
        """
        scope = function_scope(fn, {})
        if scope is None:
            return True
        bodies: list[Any] = [scope.body]
        if called:
            bodies += [piece.node for piece in scope.pieces if isinstance(piece.node, ast.FunctionDef)]
        return any(self._hands_on(body, Names(scope._replace(body=body))) for body in bodies)

    def _hands_on(self, body: Any, names: Names) -> bool:
        parameters = {item.arg for item in ast.walk(body.args) if isinstance(item, ast.arg)}
        for piece in names.scope.pieces:
            if isinstance(piece.node, _DEFINITIONS):
                if any(self._sets(act, names, meant=True) for act in acts(piece.node)):
                    return True
                continue
            for act in acts(piece.node):
                given = act.node.args if isinstance(act.node, ast.Call) else []
                handed = any(getattr(item, "id", None) in parameters for item in given)
                if handed and self._sets(act._replace(kind=DECORATOR), names, meant=True):
                    return True
                if act.kind == TARGET and self._sets(act, names, meant=True):
                    return True
        return False

    def _is_registered(self, cls: Any) -> bool:
        return isinstance(cls, type) and harmless.registers_subclasses(cls, _is_own_package)

    # ------------------------------------------------------------ the workflow

    def _is_workflow(self, fn: types.FunctionType, depth: int = 0) -> bool:
        """True if a function of the project reaches a tracker or scenario of ours."""
        code = fn.__code__
        if code not in self._workflow:
            self._workflow[code] = code in self._frames  # a running function has come to a tracker
            self._workflow[code] |= depth < _DEEP and any(
                self._leads_to_workflow(value, code, depth) for value in _named(fn)
            )
        return self._workflow[code]

    def _leads_to_workflow(self, value: Any, code: types.CodeType, depth: int) -> bool:
        if harmless.is_of_ours(value) and _is_workflow_value(value, not _WORKFLOW.isdisjoint(_attributes(code))):
            return True
        if isinstance(value, types.ModuleType):
            inner = [resolve(value, [attribute]) for attribute in _attributes(code)] if is_own(value) else []
        else:
            inner = [value]
            if is_own(value) and not isinstance(value, (type, types.FunctionType)):
                held = [resolve(value, [attribute]) for attribute in _attributes(code)]
                inner += held
        functions = [fn for item in inner if item is not MISSING and (fn := function_of(item)) is not None]
        return any(map(harmless.is_of_ours, inner[1:])) or any(self._is_workflow(fn, depth + 1) for fn in functions)


class _Told(NamedTuple):
    """What the text of a statement or head says by itself."""

    calls: tuple[tuple[str, ...], ...]
    """Name and attributes of each thing that it calls."""
    filled: frozenset[str]
    """Names of containers that it puts something into."""
    names: tuple[str, ...]
    """Those that may lead to the workflow: none of definitions and imports."""
    of_workflow: bool
    """True if it has an attribute that only workflows use."""


@functools.lru_cache(maxsize=65536)
def _told(node: ast.AST) -> _Told:
    made = [act for act in acts(node) if isinstance(act.node, ast.Call)]
    calls = [act.path for act in made if act.kind != DECORATOR and act.root and not act.broken]
    filling = [act for act in made if getattr(act.node.func, "attr", "") in _FILLING]  # type: ignore[attr-defined]
    filled = frozenset(act.root for act in (*filling, *(act for act in acts(node) if act.kind == TARGET)))
    names = () if isinstance(node, (*_DEFINITIONS, ast.Import, ast.ImportFrom)) else names_in(node)
    return _Told(tuple(dict.fromkeys(calls)), filled, names, not _WORKFLOW.isdisjoint(attributes_in(node)))


def _names_workflow(told: _Told, names: Names, results: set[str]) -> bool:
    if not results.isdisjoint(told.names):
        return True
    ours = [name for name in told.names if names.is_ours[name]]
    return bool(ours) and any(_is_workflow_value(names.value[name], told.of_workflow) for name in ours)


def _nodes(piece: Piece, names: Names, results: set[str]) -> tuple[ast.AST, ...]:
    """The statement, and the conditions around it that do not depend on the workflow."""
    heads = names.scope.heads(piece)
    return (*(head for head in heads if not _names_workflow(_told(head), names, results)), piece.node)


def _lasting(piece: Piece, names: Names, blocks: Collection[int]) -> Sequence[Act]:
    """The acts of a statement, without calls that only compute something under a condition in a trace block (`blocks`:
    their lines): whether these run depends on a hit, and what they give is the block's own affair."""
    found = acts(piece.node)
    if not blocks or not any(head.lineno in blocks for head in piece.heads):
        return found
    return [act for act in found if act.kind != INNER or any(settings_made(act, names, perhaps=True))]


def _traced(names: Names) -> set[int]:
    """Lines inside trace blocks."""
    return {line for root, lines in _traces(names.scope.body) if names.is_ours[root] for line in lines}


@functools.lru_cache(maxsize=4096)
def _traces(body: ast.AST) -> tuple[tuple[str, range], ...]:
    """Name and lines of each block that may be a trace."""
    withs = [node for node in ast.walk(body) if isinstance(node, ast.With | ast.AsyncWith)]
    found = [(node, chain(item.context_expr)) for node in withs for item in node.items]
    return tuple(
        (root, range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1))
        for node, (root, names, _) in found
        if names[-1:] == ("trace",)
    )


def set_ups(own: str, namespace: Mapping[str, Any], followed: Collection[str]) -> list[SetUp]:
    """Set-ups of the script, of the file `own` (its functions look names up in `namespace`), and of what both import.

    Skips the files in `followed`, which count as a whole already.
    """
    frames = running()
    finder = Finder(frames)
    waiting: list[Scope] = []
    script = sys.modules.get("__main__")
    for file, held in ((file_of(script) or "", vars(script) if script is not None else {}), (own, namespace)):
        is_file = os.path.isfile(file)  # noqa: PTH113 - asked at each step
        if is_file and is_first_party(file):
            source = load_source(file)
            waiting += [] if source is None else [module_scope(source, held, frames)]
        elif not is_file and is_own_file(file):
            waiting += [module_scope(source, held, frames if now else {}) for source, now in cells(file, held)]
    latest: dict[Any, SetUp] = {}
    modules: list[types.ModuleType] = []
    for scope in waiting:
        _note(latest, finder.find(scope))
        modules += loaded_modules(top_imports(scope.source.tree), package_of(scope.namespace))
        if computes_imports(scope.source.tree):
            modules += [held for _, held in sorted(sys.modules.items()) if is_own(held)]
    seen = {*followed, *(scope.source.filename for scope in waiting)}
    for module in modules:  # grows
        file = file_of(module) or ""
        if file not in seen and file.endswith(".py") and (top := top_level(file)) is not None:
            sets, imports = _of_module(top, module, finder, frames)
            _note(latest, sets)
            modules += imports
        seen.add(file)
    return list(latest.values())


def _of_module(
    source: TopLevel, module: types.ModuleType, finder: Finder, frames: Mapping[Any, types.FrameType]
) -> tuple[list[SetUp], list[types.ModuleType]]:
    """The set-ups of an imported module, and the modules it imports. Cached once the module has run."""
    known = _MODULES.get(source.filename)
    if known is not None and known[0] is source and known[1] is module:
        return known[2], known[3]
    scope = module_scope(source, vars(module), frames)
    found = list(finder.find(scope))
    imports = list(loaded_modules(source.imports, package_of(scope.namespace)))
    if computes_imports(source.tree):
        imports += [held for name, held in list(sys.modules.items()) if name.startswith(f"{module.__name__}.")]
    elif scope.line is None and all(item.scope.local is None for item in found):
        _MODULES[source.filename] = (source, module, found, imports)
    return found, imports


def _note(latest: dict[Any, SetUp], found: Iterable[SetUp]) -> None:
    """Add in the order of running; a set-up that replaces an earlier one takes the later position."""
    for item in found:
        key = _key(item)
        latest.pop(key, None)
        latest[key] = item


def _key(found: SetUp) -> Any:
    """Key of a set-up; equal for two if the later one replaces the earlier."""
    node, file = found.nodes[-1], found.scope.source.filename
    cell = not os.path.isfile(file)  # noqa: PTH113 - asked for each set-up of each step
    place = None if cell else file
    if len(found.nodes) > 1:
        return node
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(acts(node)[0].node, ast.Attribute):
        return place, found.title
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and _AGAIN.search(found.title.rpartition(".")[2]):
        first = call.args[0] if len(call.args) > 1 else None
        return place, found.title, first.value if isinstance(first, ast.Constant) else None
    whole = found.scope.whole if cell else None
    return node if whole is None else whole.digest_of(node)  # a cell run twice is listed twice


def _named(fn: types.FunctionType) -> Iterable[Any]:
    """Values that a function uses but does not make itself."""
    for name in global_names(fn.__code__):
        yield fn.__globals__.get(name, getattr(builtins, name, MISSING))
    yield from (value for _, value in captures(fn))


@functools.lru_cache(maxsize=4096)
def _attributes(code: types.CodeType) -> tuple[str, ...]:
    inner = [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return (*code.co_names, *(name for item in inner for name in _attributes(item)))


def _is_workflow_value(value: Any, of_workflow: bool) -> bool:
    """True if a value of ours is used only by workflows; `of_workflow` if it is looked up an attribute that only these
    have."""
    if isinstance(value, types.ModuleType):
        return of_workflow
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__.rpartition(".")[2] in _WORKFLOW
    return True


def _is_own_package(package: str) -> bool:
    module = sys.modules.get(package)
    return module is not None and is_own(module)


@functools.lru_cache(maxsize=4096)
def _keys(node: ast.expr) -> tuple[str, ...]:
    """The environment variables that a statement sets, if written as literals."""
    if isinstance(node, ast.Call):
        firsts = [key for item in node.args[:1] for key in (item.keys if isinstance(item, ast.Dict) else [item])]
        found = [item.value for item in firsts if isinstance(item, ast.Constant)]
        return (*map(str, found), *(item.arg for item in node.keywords if item.arg))
    return tuple(str(item.value) for item in ast.walk(node) if isinstance(item, ast.Constant))


def _title(act: Act) -> str:
    return ".".join(act.path)
