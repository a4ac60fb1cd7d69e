"""The normal form of syntax, as hashed bytes: without positions, contexts, empty fields and docstrings.

Walks the tree itself, because the text of `ast.dump` differs between Python versions. The bytes are those of
`consist_es.values.plain.frame` over a plain tree, in which a node is a list of its class name and its fields by name.
The form is part of every fingerprint: changing it changes them all.
"""

import ast
import collections
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from consist_es.identity.text.once import Once
from consist_es.values.plain import frame, to_plain

_SKIPPED = {"ctx", "kind", "type_comment", "type_ignores"}
_SCOPED = {ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.arguments}
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
        """Nodes of the classes in `LISTED`."""
        self.inside: list[Scope] = []
        self.head: Scope | None = None
        """Decorators and default values of a function: they run outside of it."""


LISTED = frozenset({
    ast.AnnAssign, ast.Assign, ast.Attribute, ast.AugAssign, ast.BinOp, ast.Call, ast.ClassDef, ast.Compare, ast.Delete,
    ast.Expr, ast.Global, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Nonlocal, ast.Subscript,
})  # fmt: skip
"""Classes of nodes that are looked for."""


class Survey:
    """Makes the normal form and lists all nodes by scope and class, in one walk, quicker than parsing.

    The commonest classes of nodes are written without a loop over their fields.
    """

    def __init__(self, nodes: Sequence[ast.AST], *, keep_docstrings: bool) -> None:
        self._keep_docstrings = keep_docstrings
        self._out: list[bytes] = []
        self._framed = Once[str, bytes](frame)
        self._named = Once[str, bytes](lambda name: b"l3:s4:Names2:id" + frame(name))
        self._texts = Once[str, bytes](_text)
        self._write: dict[type, Callable[[Any, Scope], None]] = {
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.BinOp: self._operation,
            ast.Subscript: self._subscript,
            ast.Compare: self._comparison,
            ast.Expr: self._expression,
            ast.Assign: self._assignment,
            ast.arg: self._argument,
            ast.Tuple: self._tuple,
        }
        self._function = Scope()
        self._ignored = Scope()
        """Annotations of functions, and lists of public names: they use nothing."""
        self.scopes = [self._ignored]
        """All scopes."""
        self.outside = self._new()
        self.functions: dict[ast.AST, Scope] = {}
        self._items(list(nodes), self.outside)
        self.form = b"".join(self._out)
        self._write.clear()  # else the tree would stay until the garbage collector comes

    def nodes(self, *kinds: type) -> Iterator[Any]:
        """All nodes of some of the classes in `LISTED`."""
        return (node for scope in self.scopes for kind in kinds for node in scope.nodes.get(kind, ()))

    def _new(self, node: Any = None) -> Scope:
        self.scopes.append(scope := Scope(node))
        return scope

    # ------------------------------------------------------------ any node

    def _items(self, items: list[Any], scope: Scope) -> None:
        out = self._out
        count = len(items)
        out.append(_COUNTS[count] if count < _MANY else b"l%d:" % count)
        for item in items:
            kind = item.__class__
            if kind is _NAME:
                scope.names.append(item)
                out.append(self._named[item.id])
            else:
                (self._write.get(kind) or self._other)(item, scope)

    def _other(self, item: Any, scope: Scope) -> None:
        """Anything without a method of its own: also a text, or None."""
        kind = item.__class__
        if (bare := _BARE.get(kind)) is not None:
            self._out.append(bare)
        elif (leaf := _LEAVES.get(kind)) is not None:
            self._out.append(leaf(item))
        else:
            self._node(item, scope)

    def _node(self, node: Any, scope: Scope) -> None:
        kind = node.__class__
        if kind in LISTED:
            scope.nodes[kind].append(node)
        places = self._places(node, kind, scope) if kind in _SCOPED else None
        head, fields = _SHAPES.get(kind) or _shape(kind)
        out, write = self._out, self._write
        place, count, before = len(out), 1, scope
        out.append(b"")  # placeholder for the head, which has the number of fields
        found = node.__dict__.get
        for name, title in fields:
            value = found(name)
            inner = value.__class__
            if value is None or (inner is list and not value):
                continue
            count += 2
            if places is not None:
                scope = places.get(name, before)
            out.append(title)
            if inner is list:
                self._items(value if name != "body" else self._without_docstring(value, kind, scope), scope)
            elif inner is str:
                out.append(self._framed[value])
            else:
                (write.get(inner) or self._other)(value, scope)
        out[place] = _COUNTS[count] + head

    def _without_docstring(self, body: list[Any], kind: type, scope: Scope) -> list[Any]:
        if self._keep_docstrings or kind not in _DOCUMENTED or not _documents(body[0]):
            return body
        scope.texts.append(body[0].value.value)
        return body[1:]

    def _places(self, node: Any, kind: type, scope: Scope) -> dict[str, Scope] | None:
        """Field -> its scope, for nodes with fields in several scopes; None for others."""
        if kind is ast.arguments:
            head = self._function.head or self._ignored
            return {**dict.fromkeys(node._fields, self._ignored), "defaults": head, "kw_defaults": head}
        own = self._new(node)
        scope.inside.append(own)
        if kind is ast.ClassDef:
            return dict.fromkeys(node._fields, own)
        own.head = self._new()
        self._function = self.functions[node] = own
        ignored = dict.fromkeys(("returns", "type_params"), self._ignored)
        return {"body": own, "decorator_list": own.head, **ignored}

    # ------------------------------------------------------------ the commonest classes

    def _name(self, node: ast.Name, scope: Scope) -> None:
        scope.names.append(node)
        self._out.append(self._named[node.id])

    def _constant(self, node: ast.Constant, scope: Scope) -> None:
        value: Any = node.value
        kind = value.__class__
        if kind is str:
            scope.texts.append(value)
            self._out.append(self._texts[value])
        elif kind is int and value in _SMALL:
            self._out.append(b"l2:s3:inti%d;" % value)
        else:
            self._out.append(_constant(value))

    def _one(self, title: bytes, node: Any, scope: Scope) -> None:
        self._out.append(title)
        (self._write.get(node.__class__) or self._other)(node, scope)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> None:
        scope.nodes[ast.Attribute].append(node)
        self._one(b"l5:s9:Attributes5:value", node.value, scope)
        self._out += (b"s4:attr", self._framed[node.attr])

    def _call(self, node: ast.Call, scope: Scope) -> None:
        scope.nodes[ast.Call].append(node)
        args, keywords = node.args, node.keywords
        self._one(_CALLS[bool(args), bool(keywords)], node.func, scope)
        if args:
            self._out.append(b"s4:args")
            self._items(args, scope)
        if keywords:
            self._out.append(b"s8:keywords")
            self._items(keywords, scope)

    def _operation(self, node: ast.BinOp, scope: Scope) -> None:
        scope.nodes[ast.BinOp].append(node)
        self._one(b"l7:s5:BinOps4:left", node.left, scope)
        self._one(b"s2:op", node.op, scope)
        self._one(b"s5:right", node.right, scope)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> None:
        scope.nodes[ast.Subscript].append(node)
        self._one(b"l5:s9:Subscripts5:value", node.value, scope)
        self._one(b"s5:slice", node.slice, scope)

    def _comparison(self, node: ast.Compare, scope: Scope) -> None:
        scope.nodes[ast.Compare].append(node)
        self._one(b"l7:s7:Compares4:left", node.left, scope)
        self._out.append(b"s3:ops")
        self._items(node.ops, scope)
        self._out.append(b"s11:comparators")
        self._items(node.comparators, scope)

    def _expression(self, node: ast.Expr, scope: Scope) -> None:
        scope.nodes[ast.Expr].append(node)
        self._one(b"l3:s4:Exprs5:value", node.value, scope)

    def _assignment(self, node: ast.Assign, scope: Scope) -> None:
        scope.nodes[ast.Assign].append(node)
        if scope is self.outside and is_list_of_names(node):
            scope = self._ignored
        self._out.append(b"l5:s6:Assigns7:targets")
        self._items(node.targets, scope)
        self._one(b"s5:value", node.value, scope)

    def _argument(self, node: ast.arg, scope: Scope) -> None:
        if node.annotation is None:
            self._out += (b"l3:s3:args3:arg", self._framed[node.arg])
        else:
            self._out += (b"l5:s3:args3:arg", self._framed[node.arg])
            self._one(b"s10:annotation", node.annotation, scope)

    def _tuple(self, node: ast.Tuple, scope: Scope) -> None:
        if node.elts:
            self._out.append(b"l3:s5:Tuples4:elts")
            self._items(node.elts, scope)
        else:
            self._out.append(b"l1:s5:Tuple")


_NAME = ast.Name
_MANY = 64
_COUNTS = tuple(b"l%d:" % count for count in range(_MANY))
"""How lists of so many items begin; no class of nodes has as many fields."""
_CALLS = {
    (args, keywords): b"l%d:s4:Calls4:func" % (3 + 2 * (args + keywords))
    for args in (False, True)
    for keywords in (False, True)
}
"""Whether a call has arguments, and those by name -> how it begins."""
_BARE = {
    kind: b"l1:" + frame(kind.__name__)
    for base in (ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
    for kind in base.__subclasses__()
}
"""Classes of operators, which have no fields -> how one is written."""


def is_list_of_names(node: ast.AST) -> bool:
    """True for an assignment of ``__all__``, which uses nothing."""
    return isinstance(node, ast.Assign) and any(getattr(item, "id", "") == "__all__" for item in node.targets)


def _shape(kind: type) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    fields = tuple((name, frame(name)) for name in names if name not in _SKIPPED)
    return _SHAPES.setdefault(kind, (frame(kind.__name__), fields))


def _documents(statement: ast.AST) -> bool:
    """True if a statement, the first of its body, is a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


_SMALL = range(-(2**31), 2**31)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass").hex().encode()
    return b"l2:s3:strs%d:%b" % (len(data), data)


def _constant(value: Any) -> bytes:
    if value.__class__ is float and math.isfinite(value):
        return b"l2:s5:floatd" + struct.pack(">d", value)
    plain = value.hex() if isinstance(value, bytes) else to_plain(value)
    return frame([type(value).__name__, plain])


_LEAVES: dict[type, Callable[[Any], bytes]] = {
    str: frame,
    int: frame,
    bool: frame,
    type(None): frame,
}
"""Leaf type -> function that writes it."""
