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
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.identity.code.settings_made import settings_made
from consist_es.identity.live import harmless
from consist_es.identity.live.loaded import captures
from consist_es.identity.live.modules import file_of, loaded_modules
from consist_es.identity.live.objects import attributes_in, names_in, package_of
from consist_es.identity.live.scope import (
    MISSING,
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
from consist_es.identity.text.statements import CALL, DECORATOR, INNER, TARGET, Act, Piece, acts, chain
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
        results: set[str] = set()
        """Names bound to results of the workflow."""
        blocks = _traced(scope)
        for piece in scope.pieces:
            if isinstance(piece.node, (ast.Import, ast.ImportFrom)):
                continue
            called = list(self._called(piece, scope))
            workflow = self._names_workflow(piece.node, scope, results) or any(map(self._is_workflow, called))
            if workflow:
                results |= piece.binds | _filled(piece.node)
            for fn in called if workflow else []:
                inner = function_scope(fn, self._frames)
                if inner is not None:
                    yield from self.find(inner)
            for act in _lasting(piece, scope, blocks):
                if self._sets(act, scope, meant=not workflow) or (piece.span and self._is_context(act, scope)):
                    yield SetUp(_title(act), self._nodes(piece, scope, results), scope)
                    break
            else:
                if isinstance(piece.node, ast.ClassDef) and self._is_registered(scope.value(piece.node.name)):
                    yield SetUp(piece.node.name, self._nodes(piece, scope, results), scope)

    def _nodes(self, piece: Piece, scope: Scope, results: set[str]) -> tuple[ast.AST, ...]:
        """The statement, and the conditions around it that do not depend on the workflow."""
        return (*(head for head in scope.heads(piece) if not self._names_workflow(head, scope, results)), piece.node)

    def _sets(self, act: Act, scope: Scope, *, meant: bool) -> bool:
        """True if an act may change what other code does."""
        node = act.node.func if isinstance(act.node, ast.Call) else act.node
        root, names, broken = chain(node)
        value = scope.value(root) if root else MISSING
        package = scope.imported(root) if root else ""
        if not root or harmless.is_of_ours(value) or (not names and harmless.is_getter(value)):
            return False
        target = MISSING if broken or act.kind == TARGET else resolve(value, names)
        if (fn := function_of(target)) is not None:
            if act.kind == DECORATOR:
                return self._enters(fn, called=isinstance(act.node, ast.Call))
            return meant and not self._is_workflow(fn) and self._has_effects(fn)
        if not package:
            if value is MISSING or is_own(value) or harmless.is_data(value):
                return False
            package = harmless.package_of_value(value)
        if act.kind == DECORATOR:
            if isinstance(act.node, ast.Call) and act.node.args and [root, *names][-1] == "partial":
                return self._sets(Act(DECORATOR, act.node.args[0]), scope, meant=meant)
            return not harmless.is_harmless_decorator(package, [root, *names])
        if (
            package == "os"
            and {root, *names} & {"environ", "putenv"}
            and not harmless.sets_library_variable(_keys(act.node))
        ):
            return False
        return harmless.sets_something(package, [root, *names], meant=meant and act.kind in (CALL, TARGET))

    def _is_context(self, act: Act, scope: Scope) -> bool:
        """True if a `with` block sets an option of an installed package while it lasts."""
        root, names, broken = chain(act.node.func) if isinstance(act.node, ast.Call) else ("", (), False)
        value = scope.value(root) if root else MISSING
        if value is MISSING or broken or harmless.is_of_ours(value):
            return False
        if (fn := function_of(resolve(value, names))) is not None:
            return self._has_effects(fn)
        package = scope.imported(root) or harmless.package_of_value(value)
        return package not in harmless.SILENT and harmless.holds_option([root, *names])

    # ------------------------------------------------------------ functions of the project

    def _called(self, piece: Piece, scope: Scope) -> Iterator[types.FunctionType]:
        for act in acts(piece.node):
            if isinstance(act.node, ast.Call) and act.kind != DECORATOR:
                root, names, broken = chain(act.node.func)
                fn = None if broken or not root else function_of(resolve(scope.value(root), names))
                if fn is not None:
                    yield fn

    def _has_effects(self, fn: types.FunctionType, depth: int = 0) -> bool:
        """True if calling a function of the project sets something up."""
        code = fn.__code__
        if code not in self._effects:
            self._effects[code] = False  # for recursion, until the result is known
            scope = function_scope(fn, {}) if depth < _DEEP else None
            self._effects[code] = scope is None or any(
                self._sets(act, scope, meant=True) for piece in scope.pieces for act in acts(piece.node)
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
        return any(self._hands_on(body, scope._replace(body=body)) for body in bodies)

    def _hands_on(self, body: Any, scope: Scope) -> bool:
        parameters = {item.arg for item in ast.walk(body.args) if isinstance(item, ast.arg)}
        for piece in scope.pieces:
            if isinstance(piece.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                if any(self._sets(act, scope, meant=True) for act in acts(piece.node)):
                    return True
                continue
            for act in acts(piece.node):
                given = act.node.args if isinstance(act.node, ast.Call) else []
                handed = any(getattr(item, "id", None) in parameters for item in given)
                if handed and self._sets(act._replace(kind=DECORATOR), scope, meant=True):
                    return True
                if act.kind == TARGET and self._sets(act, scope, meant=True):
                    return True
        return False

    def _is_registered(self, cls: Any) -> bool:
        return isinstance(cls, type) and harmless.registers_subclasses(cls, _is_own_package)

    # ------------------------------------------------------------ the workflow

    def _names_workflow(self, node: ast.AST, scope: Scope, results: set[str]) -> bool:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            return False
        names = names_in(node)
        if not results.isdisjoint(names):
            return True
        return any(_is_workflow_value(scope.value(name), name, attributes_in(node)) for name in names)

    def _is_workflow(self, fn: types.FunctionType, depth: int = 0) -> bool:
        """True if a function of the project reaches a tracker or scenario of ours."""
        code = fn.__code__
        if code not in self._workflow:
            self._workflow[code] = code in self._frames  # a running function has come to a tracker
            self._workflow[code] |= depth < _DEEP and any(
                self._leads_to_workflow(value, name, code, depth) for name, value in _named(fn)
            )
        return self._workflow[code]

    def _leads_to_workflow(self, value: Any, name: str, code: types.CodeType, depth: int) -> bool:
        if _is_workflow_value(value, name, frozenset(_attributes(code))):
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


def _lasting(piece: Piece, scope: Scope, blocks: Collection[int]) -> list[Act]:
    """The acts of a statement, without calls that only compute something under a condition in a trace block (`blocks`:
    their lines): whether these run depends on a hit, and what they give is the block's own affair."""
    skipped = any(head.lineno in blocks for head in piece.heads)
    return [
        act
        for act in acts(piece.node)
        if not skipped or act.kind != INNER or any(settings_made(act, scope, perhaps=True))
    ]


def _traced(scope: Scope) -> set[int]:
    """Lines inside trace blocks."""
    lines: set[int] = set()
    for node in _withs(scope.body):
        for item in node.items:
            root, names, _ = chain(item.context_expr)
            if names[-1:] == ("trace",) and harmless.is_of_ours(scope.value(root)):
                lines |= {*range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)}
    return lines


@functools.lru_cache(maxsize=4096)
def _withs(body: ast.AST) -> tuple[ast.With | ast.AsyncWith, ...]:
    return tuple(node for node in ast.walk(body) if isinstance(node, ast.With | ast.AsyncWith))


def _filled(node: ast.AST) -> set[str]:
    """Names of containers that a statement puts something into."""
    return {
        chain(act.node.func if isinstance(act.node, ast.Call) else act.node)[0]
        for act in acts(node)
        if act.kind == TARGET or (isinstance(act.node, ast.Call) and getattr(act.node.func, "attr", "") in _FILLING)
    }


def set_ups(own: str, namespace: Mapping[str, Any], followed: Collection[str]) -> list[SetUp]:
    """Set-ups of the script, of the file `own` (its functions look names up in `namespace`), and of what both import.

    Skips the files in `followed`, which count as a whole already.
    """
    frames = running()
    finder = Finder(frames)
    waiting: list[Scope] = []
    script = sys.modules.get("__main__")
    for file, held in ((file_of(script) or "", vars(script) if script is not None else {}), (own, namespace)):
        if is_own_file(file) and Path(file).is_file():
            source = load_source(file)
            waiting += [] if source is None else [module_scope(source, held, frames)]
        elif is_own_file(file):
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


def _named(fn: types.FunctionType) -> Iterable[tuple[str, Any]]:
    """(name, value) of what a function uses but does not make itself."""
    for name in global_names(fn.__code__):
        yield name, fn.__globals__.get(name, getattr(builtins, name, MISSING))
    yield from captures(fn)


@functools.lru_cache(maxsize=4096)
def _attributes(code: types.CodeType) -> tuple[str, ...]:
    inner = [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return (*code.co_names, *(name for item in inner for name in _attributes(item)))


def _is_workflow_value(value: Any, name: str, attributes: Set[str]) -> bool:
    if value is MISSING or not harmless.is_of_ours(value):
        return False
    if isinstance(value, types.ModuleType):
        return bool(_WORKFLOW & attributes)
    if callable(value) and hasattr(value, "__qualname__"):
        return value.__qualname__.rpartition(".")[2] in _WORKFLOW
    return True


def _is_own_package(package: str) -> bool:
    module = sys.modules.get(package)
    return module is not None and is_own(module)


def _keys(node: ast.expr) -> list[str]:
    """The environment variables that a statement sets, if written as literals."""
    if isinstance(node, ast.Call):
        firsts = [key for item in node.args[:1] for key in (item.keys if isinstance(item, ast.Dict) else [item])]
        found = [item.value for item in firsts if isinstance(item, ast.Constant)]
        return [*map(str, found), *(item.arg for item in node.keywords if item.arg)]
    return [str(item.value) for item in ast.walk(node) if isinstance(item, ast.Constant)]


def _title(act: Act) -> str:
    root, names, _ = chain(act.node.func if isinstance(act.node, ast.Call) else act.node)
    return ".".join([root, *names])
