"""What a loaded module holds that its source does not say: values computed at import, changed or replaced since.

Whether such a value counts, and how, depends on the code that reads it: see `consist_es.identity.held`.
"""

import ast
import enum
import functools
import importlib.util
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.identity.source import Source, digest_plain
from consist_es.plain import to_plain


class Held(NamedTuple):
    """A value that a module, a class of it or an object in it holds."""

    label: str
    where: str
    """Where it is found, for what it holds in turn."""
    name: str
    value: Any
    literal: Any
    """Type and plain form of what the source says, None where it says nothing or computes it."""
    added: bool
    """Whether the source does not even name it."""
    sources: tuple[Source, ...]
    """The files whose functions may write to it as to their own."""
    attribute: bool
    instance: bool = False


def loaded_parts(
    source: Source, namespace: Mapping[str, Any], label: str, *, only_changed: bool
) -> tuple[dict[str, str], list[Held]]:
    """What in a module is other than its source says, or computed there: replaced functions, and values to judge.

    `only_changed` leaves out what the source computes: of a module that may not be loaded yet, it would count in
    one run and not in the next.
    """
    parts: dict[str, str] = {}
    held: list[Held] = []
    for item in _differing(source.tree, namespace, "", source, label, only_changed):
        if isinstance(item, Held):
            held.append(item)
        else:
            parts[f"{item[0]} of {label}"] = digest_plain(item[1])
    return parts, held


def _differing(
    node: ast.Module | ast.ClassDef,
    namespace: Mapping[str, Any],
    prefix: str,
    source: Source,
    label: str,
    only_changed: bool,
) -> Iterator[Held | tuple[str, Any]]:
    """What may differ in a module's or class's namespace: values, and functions with their plain form."""
    for name, literal, added in _variables(node, namespace, source, only_changed):
        if not (added and prefix and name.startswith("_")):  # decorators and base classes leave such things
            title, where = f"value {prefix}{name} of {label}", f"{label}:{prefix}{name}"
            yield Held(title, where, name, namespace[name], literal, added, (source,), attribute=bool(prefix))
    for statement in node.body:
        value = namespace.get(getattr(statement, "name", ""))
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _function(statement, value, prefix, source, label)
        elif isinstance(statement, ast.ClassDef) and isinstance(value, type) and not isinstance(value, enum.EnumMeta):
            inner = f"{prefix}{statement.name}."
            yield from subclasses(value, f"{label}:{prefix}{statement.name}", source)
            yield from _differing(statement, vars(value), inner, source, label, only_changed)


def _variables(
    node: ast.Module | ast.ClassDef, namespace: Mapping[str, Any], source: Source, only_changed: bool
) -> Iterator[tuple[str, Any, bool]]:
    """Name and literal of each variable that is there, and whether it was added to what the source names."""
    for name, literal in constants(node).items():
        if name in namespace and not (only_changed and literal is None):
            yield name, literal, False
    for name in sorted(namespace.keys() - bound_names(node)):
        if not name.startswith("__") and not _is_imported_by_star(name, namespace, source):
            yield name, None, True


def _function(
    statement: ast.FunctionDef | ast.AsyncFunctionDef, value: Any, prefix: str, source: Source, label: str
) -> Iterator[Held | tuple[str, Any]]:
    """A function that was replaced, and what was registered with one that dispatches."""
    if not statement.decorator_list and (plain := _replaced(source, value)) is not None:
        yield f"replaced function {prefix}{statement.name}", plain
    elif (registry := _dispatched(value)) is not None:
        title = f"registry of {label}:{prefix}{statement.name}"
        yield Held(title, title, statement.name, registry, None, True, (source,), attribute=bool(prefix))


def _replaced(source: Source, value: Any) -> Any:
    """What stands in a function's place, None where it is the one that the source defines."""
    from consist_es.identity.bytecode import essence

    if not isinstance(value, types.FunctionType):
        return type(value).__name__
    return None if source.has(value.__code__) else essence(value.__code__)


def _dispatched(value: Any) -> dict[str, Any] | None:
    """The functions that a single-dispatch function or method chooses from."""
    if isinstance(value, functools.singledispatchmethod):
        value = value.dispatcher
    registry = vars(value).get("registry") if isinstance(value, types.FunctionType) else None
    if not isinstance(registry, types.MappingProxyType):
        return None
    return {f"{kind.__module__}.{kind.__qualname__}": function for kind, function in registry.items()}


def subclasses(cls: type, label: str, source: Source) -> list[Held]:
    """The classes below a class, for code that asks for ``__subclasses__()``."""
    found: dict[int, type] = {}
    waiting: list[type] = type.__subclasses__(cls)
    while waiting:
        item = waiting.pop()
        if id(item) not in found:
            found[id(item)] = item
            waiting += type.__subclasses__(item)
    below = sorted(found.values(), key=lambda item: (item.__module__, item.__qualname__))
    title = f"subclasses of {label}"
    return [Held(title, title, "__subclasses__", below, None, True, (source,), True)] if below else []


def submodules(package: types.ModuleType | None) -> list[Held]:
    """The loaded modules of a package that has no file of its own."""
    if package is None or not hasattr(package, "__path__"):
        return []
    found = {name: value for name, value in vars(package).items() if isinstance(value, types.ModuleType)}
    name = package.__name__
    return [Held(f"{key} of {name}", name, key, value, None, True, (), False) for key, value in sorted(found.items())]


def plain_or_none(value: Any, root: Path) -> Any:
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


@functools.lru_cache(maxsize=4096)
def constants(node: ast.Module | ast.ClassDef) -> Mapping[str, Any]:
    """Variables assigned in a body -> type and plain form of the literal that is their one assignment, else None."""
    found: dict[str, Any] = {}
    for statement in _statements(node.body):
        for name, value in _assigned(statement):
            if not name.startswith("__"):
                found[name] = None if name in found or value is None else _literal(value)
    return found


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


@functools.lru_cache(maxsize=4096)
def bound_names(node: ast.Module | ast.ClassDef) -> frozenset[str]:
    """Every name that a module's or class's own statements bind in some way."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        item = waiting.pop()
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(item.name)
            continue
        if isinstance(item, ast.Name):
            found.add(item.id)
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and item.name:
            found.add(item.name)
        if not isinstance(item, ast.Lambda):
            waiting += ast.iter_child_nodes(item)
    return frozenset(found)


def _is_imported_by_star(name: str, namespace: Mapping[str, Any], source: Source) -> bool:
    """Whether a name is just as in a module that all names are imported from."""
    for ref in source.imports:
        if "*" in ref.bound:
            full = importlib.util.resolve_name(ref.name, namespace.get("__package__") or "")
            module = sys.modules.get(full)
            if module is not None and vars(module).get(name, source) is namespace[name]:
                return True
    return False
