"""Python source as identity sees it: normalised syntax trees, and which node a code object came from.

Comments, formatting and docstrings do not count (docstrings do where the file mentions ``__doc__``). The normal
form is our own walk over the tree, not `ast.dump`, whose text differs between Python versions.
"""

import ast
import linecache
import os
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from blake3 import blake3

from consist_es.identity.archives import lines_of
from consist_es.plain import frame, to_plain

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SKIPPED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
_STAMPED: dict[str, tuple[Any, "Source | None"]] = {}
"""File name -> what it looked like when it was parsed, and the result."""


class ImportRef:
    """One imported module: its dotted name as written, with leading dots, and the names it binds."""

    def __init__(self, name: str, bound: set[str], eager: bool) -> None:
        self.name, self.bound, self.eager = name, bound, eager


class Source:
    """One parsed file (or notebook cell)."""

    def __init__(self, filename: str, text: str) -> None:
        self.filename, self.text = filename, text
        self.tree = ast.parse(text)
        self.keep_docstrings = "__doc__" in text
        self._codes: dict[tuple[int, str], list[types.CodeType]] | None = None
        self._digests: dict[tuple[ast.AST, ...], str] = {}
        """Of nodes that were asked for: every run of a step asks for the same ones again."""
        self.functions: dict[tuple[int, str], list[Function]] = {}
        self.classes: dict[str, list[ast.ClassDef]] = {}
        self._index(self.tree, "")
        self.imports = list(imports_of(self.tree))
        self.effects = list(_effects(self.tree.body))
        self.dynamic = bool(self.computed_imports(self.tree))

    def _index(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, Function):
                name = getattr(child, "name", "<lambda>")
                lines = [child.lineno, *(item.lineno for item in getattr(child, "decorator_list", []))]
                self.functions.setdefault((min(lines), name), []).append(child)
                inner = f"{prefix}{name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                self.classes.setdefault(prefix + child.name, []).append(child)
                inner = f"{prefix}{child.name}."
            self._index(child, inner)

    @property
    def digest(self) -> str:
        """Over the normal form of the whole file."""
        return self.digest_of(self.tree)

    def digest_of(self, *nodes: ast.AST) -> str:
        """Over the normal form of some of the source's own nodes."""
        if nodes not in self._digests:
            plain = [normal(node, keep_docstrings=self.keep_docstrings) for node in nodes]
            self._digests[nodes] = digest_plain(plain)
        return self._digests[nodes]

    def find(self, code: types.CodeType) -> Function | None:
        """The node that `code` was compiled from; None where the file no longer says what is loaded."""
        key = (code.co_firstlineno, code.co_name)
        nodes = self.functions.get(key, [])
        if len(nodes) > 1:
            nodes = [node for node in nodes if isinstance(node, ast.Lambda) and _body_range(node) == _code_range(code)]
        if len(nodes) != 1 or code not in self._compiled().get(key, []):
            return None
        return nodes[0]

    def _compiled(self) -> dict[tuple[int, str], list[types.CodeType]]:
        if self._codes is None:
            self._codes = {}
            for code in _nested(compile(self.text, self.filename, "exec", dont_inherit=True)):
                self._codes.setdefault((code.co_firstlineno, code.co_name), []).append(code)
        return self._codes

    def has(self, code: types.CodeType) -> bool:
        """Whether loaded code is what this text compiles to."""
        return code in self.namesakes(code)

    def namesakes(self, code: types.CodeType) -> list[types.CodeType]:
        """What this text compiles to at the place of loaded code, and under its name."""
        return self._compiled().get((code.co_firstlineno, code.co_name), [])

    @staticmethod
    def computed_imports(node: ast.AST) -> list[ast.Call]:
        """Calls that import a module whose name is not written there."""
        return [call for call in _import_calls(node) if _constant_name(call) is None]


def load_source(filename: str) -> Source | None:
    """The parsed source of a file or notebook cell; None where there is none or it does not parse.

    Parsed once per version of the file (by size, times and inode).
    """
    try:
        found = os.stat(filename)  # noqa: PTH116
        stamp: Any = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        lines = None
    except (OSError, ValueError):
        lines = lines_of(filename) or linecache.getlines(filename)
        stamp = "".join(lines)
    known = _STAMPED.get(filename)
    if known is not None and known[0] == stamp:
        return known[1]
    try:
        text = stamp if lines is not None else read(Path(filename))
        source = None if lines == [] else Source(filename, text)
    except (OSError, SyntaxError, ValueError, RecursionError):
        source = None
    _STAMPED[filename] = (stamp, source)
    return source


def read(path: Path) -> str:
    """The text of a source file, in the encoding that it says."""
    from importlib.util import decode_source

    return decode_source(path.read_bytes())


def digest_plain(plain: Any) -> str:
    """Digest over a plain tree."""
    return f"b3:{blake3(frame(plain)).hexdigest(length=16)}"


def normal(node: Any, *, keep_docstrings: bool = False) -> Any:
    """Plain tree of a syntax node without positions, contexts, empty fields and docstrings."""
    if isinstance(node, list):
        return [normal(item, keep_docstrings=keep_docstrings) for item in node]
    if not isinstance(node, ast.AST):
        return node if isinstance(node, (str, int)) else to_plain(node)
    if isinstance(node, ast.Constant):
        return [type(node.value).__name__, _constant(node.value)]
    fields: list[Any] = [type(node).__name__]
    for name in node._fields:
        value = getattr(node, name, None)
        if name in _SKIPPED_FIELDS or value is None or value == []:
            continue
        if name == "body" and not keep_docstrings:
            value = _without_docstring(node, value)
        fields += [name, normal(value, keep_docstrings=keep_docstrings)]
    return fields


def _constant(value: Any) -> Any:
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    return value.hex() if isinstance(value, bytes) else to_plain(value)


def _without_docstring(node: ast.AST, body: Any) -> Any:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or not body:
        return body
    first = body[0]
    value = first.value if isinstance(first, ast.Expr) else None
    return body[1:] if isinstance(value, ast.Constant) and isinstance(value.value, str) else body


# ---------------------------------------------------------------- positions


def _nested(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def _body_range(node: ast.Lambda) -> tuple[int, int, int, int]:
    body = node.body
    return body.lineno, body.col_offset, body.end_lineno or 0, body.end_col_offset or 0


def _code_range(code: types.CodeType) -> tuple[int, int, int, int] | None:
    """From the first to the last character that a lambda's instructions came from."""
    spots = [spot for spot in code.co_positions() if None not in spot and spot[2:] != (0, 0)]
    if not spots:
        return None
    first = min((spot[0], spot[2]) for spot in spots)
    last = max((spot[1], spot[3]) for spot in spots)
    return first[0], first[1], last[0], last[1]  # type: ignore[return-value]


# ---------------------------------------------------------------- imports and effects


def imports_of(node: ast.AST, *, eager: bool = True) -> Iterator[ImportRef]:
    """Every module that the code below `node` imports, also through `import_module` with a written name.

    ``eager`` are those that run when the file itself is run: not inside functions, not under a condition.
    """
    waiting: list[tuple[ast.AST, bool]] = [(node, eager)]
    while waiting:
        current, eager = waiting.pop()
        if isinstance(current, ast.Import):
            for alias in current.names:
                yield ImportRef(alias.name, {alias.asname or alias.name.partition(".")[0]}, eager)
        elif isinstance(current, ast.ImportFrom):
            yield from _from_import(current, eager)
        elif isinstance(current, ast.Call) and _is_import_call(current):
            name = _constant_name(current)
            if name:
                yield ImportRef(name, set(), False)
        inner = eager and not isinstance(current, (*_FUNCTIONS, ast.If, ast.Try))
        waiting += [(child, inner) for child in ast.iter_child_nodes(current)]


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _from_import(node: ast.ImportFrom, eager: bool) -> Iterator[ImportRef]:
    base = "." * node.level + (node.module or "")
    bound = {alias.asname or alias.name for alias in node.names}
    yield ImportRef(base, bound, eager)
    for alias in node.names:
        if alias.name != "*":  # the name may be a submodule
            joined = base + alias.name if base.endswith(".") else f"{base}.{alias.name}"
            yield ImportRef(joined, {alias.asname or alias.name}, eager)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_import_call(node: ast.Call) -> bool:
    return _called(node) in ("import_module", "__import__", "run_module", "run_path", "spec_from_file_location")


def _import_calls(node: ast.AST) -> list[ast.Call]:
    return [item for item in ast.walk(node) if isinstance(item, ast.Call) and _is_import_call(item)]


def _constant_name(call: ast.Call) -> str | None:
    """The module name, where the call spells one."""
    if _called(call) not in ("import_module", "__import__"):
        return None
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _effects(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Statements at module level that change a thing they name: the name, and the statement."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        inner = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
        handlers = [handler.body for handler in getattr(statement, "handlers", [])]
        for block in [*inner, *handlers]:
            yield from _effects(block)
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
