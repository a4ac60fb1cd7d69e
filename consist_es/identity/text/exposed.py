"""Finds names that statements may read before they bind them: only those names' earlier values count.

The usual analysis of upward-exposed uses, on the syntax tree. In doubt a read counts as exposed: that costs a run at
most, while a value left out would make a hit wrong.
"""

import ast
from collections.abc import Iterable, Sequence

_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def surely_bound_first(statements: Sequence[ast.stmt], given: Iterable[str]) -> set[str]:
    """Names that the statements store to and never read before that. `given` are bound from the beginning.

    Leaves out imported and defined names: they are code, and are followed as such.
    """
    walk = _Walk()
    walk.block(statements, set(given))
    stored = {name.id for item in statements for name in _names(item, ast.Store)}
    return (stored | set(given)) - walk.exposed - walk.defined


class _Walk:
    """Goes through statements in order, with the names surely bound at each point."""

    def __init__(self) -> None:
        self.exposed: set[str] = set()
        self.defined: set[str] = set()
        """Names bound by imports, functions and classes."""

    def block(self, statements: Sequence[ast.stmt], bound: set[str]) -> set[str]:
        """Names surely bound after the statements."""
        for statement in statements:
            bound = self.statement(statement, bound)
        return bound

    def statement(self, node: ast.stmt, bound: set[str]) -> set[str]:
        match node:
            case ast.If():
                self.reads(node.test, bound)
                return self.either(bound, node.body, node.orelse)
            case ast.For() | ast.AsyncFor():
                self.reads(node.iter, bound)
                self.block(node.body, bound | self.targets([node.target], bound))
                self.block(node.orelse, bound)
                return bound
            case ast.While():
                self.reads(node.test, bound)
                self.block(node.body, bound)
                self.block(node.orelse, bound)
                return bound
            case ast.With() | ast.AsyncWith():
                return self.with_block(node, bound)
            case ast.Try() | ast.TryStar():
                return self.try_block(node, bound)
            case ast.Match():
                self.reads(node, bound)
                return bound
            case _:
                return self.simple(node, bound)

    def simple(self, node: ast.stmt, bound: set[str]) -> set[str]:
        """A statement without inner statements that run now."""
        self.reads(node, bound)
        match node:
            case ast.Assign():
                return bound | self.targets(node.targets, bound)
            case ast.AnnAssign() if node.value is not None:
                return bound | self.targets([node.target], bound)
            case ast.AugAssign(target=ast.Name(id=name)) if name not in bound:
                self.exposed.add(name)
            case ast.Import() | ast.ImportFrom():
                return bound | self.define({(item.asname or item.name).partition(".")[0] for item in node.names})
            case ast.Delete():
                return bound - {name.id for name in _names(node, ast.Del)}
            case _ if isinstance(node, _DEFINES):
                return bound | self.define({node.name})
        return bound

    def with_block(self, node: ast.With | ast.AsyncWith, bound: set[str]) -> set[str]:
        """Names bound in its body may be unbound after it: a context manager can swallow an exception."""
        for item in node.items:
            self.reads(item.context_expr, bound)
            bound = bound | self.targets([item.optional_vars] if item.optional_vars else [], bound)
        self.block(node.body, bound)
        return bound

    def try_block(self, node: ast.Try | ast.TryStar, bound: set[str]) -> set[str]:
        after = self.block(node.orelse, self.block(node.body, bound))
        for handler in node.handlers:
            if handler.type is not None:
                self.reads(handler.type, bound)
            named = {handler.name} if handler.name else set()
            caught = self.block(handler.body, bound | self.define(named)) - named
            after = after if _leaves(handler.body) else after & caught
        return after | self.block(node.finalbody, bound)

    def either(self, bound: set[str], one: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> set[str]:
        first, second = self.block(one, bound), self.block(other, bound)
        if _leaves(one):
            return second
        return first if _leaves(other) else first & second

    def targets(self, nodes: Sequence[ast.expr], bound: set[str]) -> set[str]:
        """Names stored to; notes the reads in the targets."""
        for node in nodes:
            self.reads(node, bound)
        return {name.id for node in nodes for name in _names(node, ast.Store)}

    def define(self, names: set[str]) -> set[str]:
        self.defined |= names
        return names

    def reads(self, node: ast.AST, bound: set[str]) -> None:
        """Note every read in a node, functions in it included, of a name that is not surely bound."""
        self.exposed |= {name.id for name in _names(node, ast.Load)} - bound


def _leaves(statements: Sequence[ast.stmt]) -> bool:
    return bool(statements) and isinstance(statements[-1], _LEAVES)


def _names(node: ast.AST, context: type[ast.expr_context]) -> list[ast.Name]:
    return [item for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, context)]
