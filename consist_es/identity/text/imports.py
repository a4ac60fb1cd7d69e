"""Finds the imports in code, and module-level statements that set something up."""

import ast
from collections.abc import Container, Iterator

import msgspec

from consist_es.identity.text.normal import Scope

IMPORTERS = ("import_module", "__import__", "run_module", "run_path", "spec_from_file_location")
"""Functions that import a module by its name."""


class ImportRef(msgspec.Struct, frozen=True):
    """One imported module: its dotted name as written, with leading dots, and the names it binds."""

    name: str
    bound: frozenset[str]
    eager: bool


def imports_of(node: ast.AST, *, eager: bool = True, within: Container[ast.AST] | None = None) -> Iterator[ImportRef]:
    """Every module that the code below `node` imports, also by `import_module` with a literal name.

    ``eager`` imports run with the file itself: not inside functions, not under a condition. With `within`, functions
    that are not in it are not searched, nor are expressions: none of them calls one of `IMPORTERS`.
    """
    waiting: list[tuple[ast.AST, bool]] = [(node, eager)]
    while waiting:
        current, eager = waiting.pop()
        if isinstance(current, ast.Import):
            for alias in current.names:
                yield ImportRef(alias.name, frozenset({alias.asname or alias.name.partition(".")[0]}), eager)
        elif isinstance(current, ast.ImportFrom):
            yield from _from_import(current, eager)
        elif isinstance(current, ast.Call) and _is_import_call(current):
            name = _constant_name(current)
            if name:
                yield ImportRef(name, frozenset(), False)
        inner = eager and not isinstance(current, _PERHAPS)
        if within is None:
            waiting += [(child, inner) for child in ast.iter_child_nodes(current)]
        elif not isinstance(current, _FUNCTIONS) or current in within:
            waiting += [(child, inner) for child in statements_in(current)]


def importing(scope: Scope) -> set[ast.AST]:
    """Functions and classes with import statements, in a scope and those inside of it."""
    found = set().union(*map(importing, scope.inside))
    if scope.node is not None and (found or ast.Import in scope.nodes or ast.ImportFrom in scope.nodes):
        found.add(scope.node)
    return found


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_PERHAPS = (*_FUNCTIONS, ast.If, ast.Try)
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
_IN: dict[type, tuple[str, ...]] = {}
"""Class of nodes -> its fields with statements."""


def statements_in(node: ast.AST) -> list[ast.AST]:
    """The statements directly inside a node and its branches, in the order of the text."""
    kind = node.__class__
    if (names := _IN.get(kind)) is None:
        names = _IN[kind] = tuple(name for name in _BLOCKS if name in kind._fields)
    if not names:
        return []
    blocks = [node.__dict__.get(name) for name in names]
    return [item for block in blocks if isinstance(block, list) for item in block]


def _from_import(node: ast.ImportFrom, eager: bool) -> Iterator[ImportRef]:
    base = "." * node.level + (node.module or "")
    bound = frozenset(alias.asname or alias.name for alias in node.names)
    yield ImportRef(base, bound, eager)
    for alias in node.names:
        if alias.name != "*":  # the name may be a submodule
            joined = base + alias.name if base.endswith(".") else f"{base}.{alias.name}"
            yield ImportRef(joined, frozenset({alias.asname or alias.name}), eager)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_import_call(node: ast.Call) -> bool:
    return _called(node) in IMPORTERS


def computed_imports(node: ast.AST) -> list[ast.Call]:
    """Calls that import a module by a computed name."""
    return [call for call in _import_calls(node) if _constant_name(call) is None]


def _import_calls(node: ast.AST) -> list[ast.Call]:
    return [item for item in ast.walk(node) if isinstance(item, ast.Call) and _is_import_call(item)]


def _constant_name(call: ast.Call) -> str | None:
    """The module name, if it is a literal in the call."""
    if _called(call) not in ("import_module", "__import__"):
        return None
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def effects_of(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """(name, statement) for each module-level statement that changes the object of a name."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        inner = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
        handlers = [handler.body for handler in getattr(statement, "handlers", [])]
        for block in [*inner, *handlers]:
            yield from effects_of(block)
        for target in _changed(statement):
            root = _root(target)
            if root is not None:
                yield root, statement


def _changed(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return [statement.value.func]
    if isinstance(statement, (ast.Assign, ast.Delete)):
        return [target for target in statement.targets if not isinstance(target, ast.Name)]
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) and not isinstance(statement.target, ast.Name):
        return [statement.target]
    return []


def _root(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
