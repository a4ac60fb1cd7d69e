"""Splits a module or function into simple statements: what each binds, what it names, and what it may change.

Compound statements are taken apart, since their parts need not belong together: a script's whole workflow may be in one
``with`` block.
"""

import ast
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from consist_es.identity.text.bytecode import global_names

Body = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)

CALL = "call"
"""The call in an expression statement: its value is unused, so it must do something."""
INNER = "inner call"
"""A call with a value that is used: it need not be meant to do anything."""
TARGET = "target"
"""An attribute or item that is set or deleted."""
DECORATOR = "decorator"


class Piece(NamedTuple):
    """A simple statement, or the head of a compound one."""

    node: ast.AST
    heads: tuple[ast.expr, ...]
    """The conditions that it runs under."""
    binds: frozenset[str]
    line: int
    loops: tuple[tuple[range, ast.expr | None], ...]
    """Lines of the loops around it, with what they iterate over."""
    guarded: bool
    """True if it only runs in a file run as a script."""
    span: range | None = None
    """For the head of a `with` block: the lines of the block; it has no effect outside."""


class Access(NamedTuple):
    """A value that is read: the name it is looked up from, and the attributes and literal keys on the way."""

    root: str
    path: tuple[tuple[str, Any], ...]


class Act(NamedTuple):
    """One possible effect of a statement: `node` may do something."""

    kind: str
    node: ast.expr
    root: str
    names: tuple[str, ...]
    broken: bool
    """These three as `chain` gives them, of a call for what is called."""
    path: tuple[str, ...]
    """Root and names."""


@functools.lru_cache(maxsize=65536)
def pieces(body: Body) -> tuple[Piece, ...]:
    """The statements of a body in order, without code for type checkers only."""
    if isinstance(body, ast.Lambda):
        statements: Sequence[ast.stmt] = [ast.copy_location(ast.Expr(body.body), body.body)]
    else:
        statements = body.body
    return tuple(_pieces(statements, Piece(body, (), frozenset(), 0, (), guarded=False)))


@functools.lru_cache(maxsize=65536)
def binding(body: Body) -> dict[str, tuple[Piece, ...]]:
    """Name -> the statements of a body that bind it."""
    found: dict[str, tuple[Piece, ...]] = {}
    for piece in pieces(body):
        for name in piece.binds:
            found[name] = (*found.get(name, ()), piece)
    return found


def _pieces(statements: Sequence[ast.stmt], around: Piece) -> Iterator[Piece]:
    for node in statements:
        here = around._replace(node=node, binds=frozenset(), line=node.lineno)
        if isinstance(node, ast.If):
            yield from _branches(node, here)
        elif isinstance(node, _LOOPS):
            head = node.test if isinstance(node, ast.While) else node.iter
            targets = [] if isinstance(node, ast.While) else [node.target]
            inner = here._replace(loops=(*here.loops, (_lines(node), head if targets else None)))
            yield from _headed(inner, head, targets, node.body, holds=not targets)
            yield from _pieces(node.orelse, here)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                targets = [item.optional_vars] if item.optional_vars else []
                yield from _headed(here._replace(span=_lines(node)), item.context_expr, targets, [], holds=False)
            yield from _pieces(node.body, here)
        elif isinstance(node, (ast.Try, ast.TryStar)):
            handled = [statement for handler in node.handlers for statement in handler.body]
            yield from _pieces([*node.body, *handled, *node.orelse, *node.finalbody], here)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                yield from _headed(here, node.subject, [case.pattern], case.body)
        else:
            yield here._replace(binds=_binds(node))


def _branches(node: ast.If, here: Piece) -> Iterator[Piece]:
    named = {getattr(item, "id", getattr(item, "attr", "")) for item in ast.walk(node.test)}
    if "TYPE_CHECKING" not in named:
        guards = "__name__" in named
        inner = here._replace(guarded=True) if guards else here
        yield from _headed(inner, None if guards else node.test, [], node.body)
        here = here if guards else here._replace(heads=(*here.heads, node.test))
    yield from _pieces(node.orelse, here)


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _headed(
    here: Piece, head: ast.expr | None, targets: Sequence[ast.AST], body: Sequence[ast.stmt], *, holds: bool = True
) -> Iterator[Piece]:
    """The head of a compound statement, and its body; if it `holds`, the head is a condition of the body."""
    if head is None:
        yield from _pieces(body, here)
        return
    yield here._replace(node=head, binds=frozenset().union(*map(_binds, targets)))
    yield from _pieces(body, here._replace(heads=(*here.heads, head)) if holds else here)


def _binds(node: ast.AST) -> frozenset[str]:
    if isinstance(node, _DEFINITIONS):
        return frozenset({node.name})
    found: set[str] = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            found.add(item.id)
        elif isinstance(item, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, (ast.MatchAs, ast.MatchStar)) and item.name:
            found.add(item.name)
    return frozenset(found)


# ---------------------------------------------------------------- what statements name


@functools.lru_cache(maxsize=65536)
def mentioned(*nodes: ast.AST) -> frozenset[str]:
    """Every name that statements or expressions, or functions inside them, look up in their module.

    Leaves out names local to functions. Annotations count as if they ran.
    """
    body = [ast.copy_location(ast.Expr(node), node) if isinstance(node, ast.expr) else node for node in nodes]
    try:
        code = compile(ast.Module(body, []), "<statement>", "exec", dont_inherit=True)  # type: ignore[arg-type]
    except (SyntaxError, ValueError, TypeError):  # `return`, or a pattern: it is part of a function
        return frozenset(item.id for node in nodes for item in ast.walk(node) if isinstance(item, ast.Name))
    return frozenset(global_names(code))


def outer_names(function: ast.AST) -> frozenset[str]:
    """Names in a function's definition outside its body: decorators, and the annotations that they can see."""
    decorators: list[ast.expr] = getattr(function, "decorator_list", [])
    if not decorators:
        return frozenset()
    annotated = [item.annotation for item in ast.walk(function) if isinstance(item, ast.arg) and item.annotation]
    returns = getattr(function, "returns", None)
    return mentioned(*decorators, *annotated, *([returns] if returns else []))


# ---------------------------------------------------------------- what statements do


@functools.lru_cache(maxsize=65536)
def acts(node: ast.AST) -> tuple[Act, ...]:
    """Effects that a statement or head may have on the objects it names."""
    if isinstance(node, _DEFINITIONS):
        inner = [item for item in node.body if isinstance(item, _DEFINITIONS)] if isinstance(node, ast.ClassDef) else []
        return tuple(act_of(DECORATOR, item) for owner in (node, *inner) for item in owner.decorator_list)
    found: list[Act] = []
    outermost = _outermost(node)
    for item in _run_now(node):
        if isinstance(item, ast.Call):
            found.append(act_of(CALL if item in outermost else INNER, item))
        elif isinstance(item, (ast.Attribute, ast.Subscript)) and not isinstance(item.ctx, ast.Load):
            found.append(act_of(TARGET, item))
    return tuple(found)


def act_of(kind: str, node: ast.expr) -> Act:
    root, names, broken = chain(node.func if isinstance(node, ast.Call) else node)
    return Act(kind, node, root, names, broken, (root, *names))


def _outermost(node: ast.AST) -> list[ast.expr]:
    """The calls that a statement is made for, including those in a bare comprehension or condition."""
    if not isinstance(node, (ast.Expr, ast.Return)) or node.value is None:
        return []
    waiting: list[ast.expr] = [node.value]
    found: list[ast.expr] = []
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.Call):
            found.append(item)
        elif isinstance(item, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            waiting.append(item.elt)
        elif isinstance(item, (ast.DictComp, ast.Await, ast.YieldFrom)):
            waiting.append(item.value)
        elif isinstance(item, ast.BoolOp):
            waiting += item.values
        elif isinstance(item, ast.IfExp):
            waiting += [item.body, item.orelse]
        elif isinstance(item, (ast.Tuple, ast.List)):
            waiting += item.elts
    return found


def _run_now(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all nodes below, without the insides of lambdas."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Lambda):
            yield from _run_now(child)


@functools.lru_cache(maxsize=65536)
def chain(node: ast.AST) -> tuple[str, tuple[str, ...], bool]:
    """The name that an expression is looked up from, the attributes on the way, and True if there are calls or items.

    The name is "" if there is none. Attributes after a call are listed, too.
    """
    names: list[str] = []
    broken = False
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        else:
            broken = True
            node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else "", tuple(names[::-1]), broken


@functools.lru_cache(maxsize=65536)
def accesses(node: ast.AST) -> tuple[Access, ...]:
    """Values that a statement reads, each with as much of its path as is literal."""
    free = mentioned(node) if isinstance(node, (*_DEFINITIONS, ast.expr)) else None
    found: dict[Access, None] = {}
    waiting: list[ast.AST] = [node]
    while waiting:
        item = waiting.pop()
        access = _access(item)
        if access is None:
            waiting += ast.iter_child_nodes(item)
        elif free is None or access.root in free:
            found[access] = None
    return tuple(sorted(found, key=repr))


def _access(node: ast.AST) -> Access | None:
    path: list[tuple[str, Any]] = []
    while True:
        if isinstance(node, ast.Attribute):
            path.append(("attribute", node.attr))
            node = node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            path.append(("item", node.slice.value))
            node = node.value
        elif isinstance(node, ast.Name):
            return Access(node.id, tuple(path[::-1]))
        else:
            return None
