"""What a loaded module holds that its source does not say: values computed at import, changed or replaced since.

Variables that the module's own functions write to are state, such as a cache that they fill: counting those would
make a step miss for what happened to run before it.
"""

import ast
import enum
import functools
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.source import Source, digest_plain
from consist_es.identity.writes import Written, written
from consist_es.plain import to_plain


def loaded_parts(
    source: Source, namespace: Mapping[str, Any], label: str, root: Path, *, only_changed: bool
) -> dict[str, str]:
    """Name -> digest of everything in a module that is other than its source says, or that the source computes.

    `only_changed` leaves out what the source computes: of a module that may not be loaded yet, it would count in
    one run and not in the next.
    """
    held = written(source.tree)
    found = dict(_differing(source.tree.body, namespace, "", source, root, held, only_changed))
    return {f"{what} of {label}": digest_plain(plain) for what, plain in found.items()}


def _differing(
    body: list[ast.stmt],
    namespace: Mapping[str, Any],
    prefix: str,
    source: Source,
    root: Path,
    held: Written,
    only_changed: bool,
) -> Iterator[tuple[str, Any]]:
    """What differs in a module's or class's namespace: a name for it, and its plain form."""
    state = held.attributes if prefix else held.names
    for name, literal in _constants(body).items():
        if name in namespace and name not in state and not (only_changed and literal is None):
            plain = _plain(namespace[name], root)
            if plain is not None and plain != literal:
                yield f"value {prefix}{name}", plain
    for statement in body:
        value = namespace.get(getattr(statement, "name", ""))
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not statement.decorator_list:
            if (plain := _replaced(source, value)) is not None:
                yield f"replaced function {prefix}{statement.name}", plain
        elif isinstance(statement, ast.ClassDef) and isinstance(value, type) and not isinstance(value, enum.EnumMeta):
            inner = f"{prefix}{statement.name}."
            yield from _differing(statement.body, vars(value), inner, source, root, held, only_changed)


def _replaced(source: Source, value: Any) -> Any:
    """What stands in a function's place, None where it is the one that the source defines."""
    from consist_es.identity.bytecode import essence

    if not isinstance(value, types.FunctionType):
        return type(value).__name__
    return None if source.has(value.__code__) else essence(value.__code__)


def _plain(value: Any, root: Path) -> Any:
    """Type and plain form of a value; None for functions, objects in use and everything else without one."""
    try:
        return [type(value).__name__, portable(value, root)]
    except (ConfigTypeError, ConfigValueError):
        return None


# ---------------------------------------------------------------- values that name places


def portable(value: Any, root: Path) -> Any:
    """Plain form; a path below `root`, also as text, counts relative to it: moving a project changes nothing."""
    return _relative(to_plain(value), str(root))


def _relative(plain: Any, root: str) -> Any:
    if isinstance(plain, str):
        below = plain == root or plain.startswith(f"{root}/")
        return {"$project_path": plain[len(root) + 1 :]} if below else plain
    if isinstance(plain, list):
        return [_relative(item, root) for item in plain]
    if isinstance(plain, dict):
        return {key: _relative(item, root) for key, item in plain.items()}
    return plain


# ---------------------------------------------------------------- constants in source


def _constants(body: list[ast.stmt]) -> dict[str, Any]:
    """Variables assigned in a body -> type and plain form of the literal that is their one assignment, else None."""
    found: dict[str, Any] = {}
    for statement in _statements(body):
        for name, value in _assigned(statement):
            if not name.startswith("__"):
                found[name] = None if name in found or value is None else _literal(value)
    return found


@functools.lru_cache(maxsize=16384)
def _literal(value: ast.expr) -> Any:
    try:
        literal = ast.literal_eval(value)
        return [type(literal).__name__, to_plain(literal)]
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, ConfigTypeError, ConfigValueError):
        return None


def _statements(body: list[ast.stmt]) -> Iterable[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For)):
            for field in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, field, []))


def _assigned(statement: ast.stmt) -> list[tuple[str, ast.expr | None]]:
    targets: list[ast.expr]
    value: ast.expr | None = None
    if isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
        value = statement.value if isinstance(statement, ast.AnnAssign) else None
    else:
        return []
    names = [
        node.id
        for target in targets
        for node in ast.walk(target)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return [(name, value if isinstance(targets[0], ast.Name) else None) for name in names]
