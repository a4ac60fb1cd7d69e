"""The normal form of syntax, as hashed bytes: without positions, contexts, empty fields and docstrings.

Walks the tree itself, because the text of `ast.dump` differs between Python versions. The bytes are those of
`consist_es.values.plain.frame` over a plain tree, in which a node is a list of its class name and its fields by name.
The form is part of every fingerprint: changing it changes them all.
"""

import ast
import collections
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from consist_es.values.plain import frame, to_plain

_SKIPPED = {"ctx", "kind", "type_comment", "type_ignores"}
_SCOPED = {ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.arguments, ast.Assign}
_DOCUMENTED = {ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef}
_SHAPES: dict[type, tuple[bytes, tuple[tuple[str, bytes], ...]]] = {}
"""Class of nodes -> its framed name, and the names of its fields as they are and framed."""


def normal_form(nodes: Sequence[ast.AST], *, keep_docstrings: bool) -> bytes:
    """Bytes that are equal exactly if the nodes' normal forms are.

    Raises `RecursionError` for code that is nested as deep as Python's stack.
    """
    return Survey(nodes, keep_docstrings=keep_docstrings).form


class Scope:
    """Nodes of one function or class, or outside of both, without those of functions and classes inside."""

    __slots__ = ("head", "inside", "names", "node", "nodes", "texts")

    def __init__(self, node: Any = None) -> None:
        self.node = node
        """The function or class, None outside."""
        self.names: list[ast.Name] = []
        self.texts: list[str] = []
        """String constants, docstrings included."""
        self.nodes: dict[type, list[Any]] = collections.defaultdict(list)
        """All other nodes by class."""
        self.inside: list[Scope] = []
        self.head: Scope | None = None
        """Decorators and default values of a function: they run outside of it."""


class Survey:
    """Makes the normal form and lists all nodes by scope and class, in one walk, as slow as parsing."""

    def __init__(self, nodes: Sequence[ast.AST], *, keep_docstrings: bool) -> None:
        self._keep_docstrings = keep_docstrings
        self._out: list[bytes] = []
        self._framed = _Once(frame)
        self._named = _Once(lambda name: b"l3:s4:Names2:id" + frame(name))
        self._function = Scope()
        self._ignored = Scope()
        """Annotations of functions, and lists of public names: they use nothing."""
        self.scopes = [self._ignored]
        """All scopes."""
        self.outside = self._scope = self._new()
        self.functions: dict[ast.AST, Scope] = {}
        self._items(list(nodes))
        self.form = b"".join(self._out)

    def nodes(self, *kinds: type) -> Iterator[Any]:
        """All nodes of some classes; not for names and constants."""
        return (node for scope in self.scopes for kind in kinds for node in scope.nodes.get(kind, ()))

    def _new(self, node: Any = None) -> Scope:
        self.scopes.append(scope := Scope(node))
        return scope

    def _items(self, items: list[Any]) -> None:
        out, scope = self._out, self._scope
        out.append(b"l%d:" % len(items))
        for item in items:
            kind = item.__class__
            if kind is ast.Name:
                scope.names.append(item)
                out.append(self._named[item.id])
            elif kind is ast.Constant:
                out.append(_constant(item, scope))
            elif (leaf := _LEAVES.get(kind)) is not None:
                out.append(leaf(item))
            else:
                self._node(item, kind)

    def _node(self, node: ast.AST, kind: type) -> None:
        before = scope = self._scope
        scope.nodes[kind].append(node)
        places = self._places(node, kind) if kind in _SCOPED else None
        head, fields = _SHAPES.get(kind) or _shape(kind)
        out, framed, named = self._out, self._framed, self._named
        place, count = len(out), 1
        out.append(b"")  # placeholder for the head, which has the number of fields
        found = node.__dict__.get
        for name, title in fields:
            value = found(name)
            inner = value.__class__
            if value is None or (inner is list and not value):
                continue
            count += 2
            if places is not None:
                self._scope = scope = places.get(name, before)
            if inner is ast.Name:
                scope.names.append(value)
                out += (title, named[value.id])
            elif inner is list:
                out.append(title)
                self._items(value if name != "body" else self._without_docstring(value, kind))
            elif inner is str:
                out += (title, framed[value])
            elif inner is ast.Constant:
                out += (title, _constant(value, scope))
            elif (leaf := _LEAVES.get(inner)) is not None:
                out += (title, leaf(value))
            else:
                out.append(title)
                self._node(value, inner)
        out[place] = b"l%d:%b" % (count, head)
        self._scope = before

    def _without_docstring(self, body: list[Any], kind: type) -> list[Any]:
        if self._keep_docstrings or kind not in _DOCUMENTED or not _documents(body[0]):
            return body
        self._scope.texts.append(body[0].value.value)
        return body[1:]

    def _places(self, node: Any, kind: type) -> dict[str, Scope] | None:
        """Field -> its scope, for nodes with fields in several scopes; None for others."""
        if kind is ast.Assign:
            is_list = self._scope is self.outside and is_list_of_names(node)
            return dict.fromkeys(node._fields, self._ignored) if is_list else None
        if kind is ast.arguments:
            head = self._function.head or self._ignored
            return {**dict.fromkeys(node._fields, self._ignored), "defaults": head, "kw_defaults": head}
        scope = self._new(node)
        self._scope.inside.append(scope)
        if kind is ast.ClassDef:
            return dict.fromkeys(node._fields, scope)
        scope.head = self._new()
        self._function = self.functions[node] = scope
        ignored = dict.fromkeys(("returns", "type_params"), self._ignored)
        return {"body": scope, "decorator_list": scope.head, **ignored}


def is_list_of_names(node: ast.AST) -> bool:
    """True for an assignment of ``__all__``, which uses nothing."""
    return isinstance(node, ast.Assign) and any(getattr(item, "id", "") == "__all__" for item in node.targets)


class _Once(dict[str, bytes]):
    """Text -> its bytes, cached: the same names come again and again."""

    def __init__(self, write: Callable[[str], bytes]) -> None:
        self._write = write

    def __missing__(self, text: str) -> bytes:
        self[text] = written = self._write(text)
        return written


def _shape(kind: type) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    fields = tuple((name, frame(name)) for name in names if name not in _SKIPPED)
    return _SHAPES.setdefault(kind, (frame(kind.__name__), fields))


def _documents(statement: ast.AST) -> bool:
    """True if a statement, the first of its body, is a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


_SMALL = range(-(2**31), 2**31)


def _constant(node: ast.Constant, scope: Scope) -> bytes:
    value = node.value
    if isinstance(value, str):
        scope.texts.append(value)
        data = value.encode("utf-8", "surrogatepass").hex().encode()
        return b"l2:s3:strs%d:%b" % (len(data), data)
    if value.__class__ is int and value in _SMALL:
        return b"l2:s3:inti%d;" % value
    plain = value.hex() if isinstance(value, bytes) else to_plain(value)
    return frame([type(value).__name__, plain])


_LEAVES: dict[type, Callable[[Any], bytes]] = {
    str: frame,
    int: frame,
    bool: frame,
    type(None): frame,
}
"""Leaf type -> function that writes it."""
