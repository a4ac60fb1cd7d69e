"""The normal form of syntax, as the bytes that are hashed: positions, contexts, empty fields and docstrings left out.

It is our own walk over the tree, not `ast.dump`, whose text differs between Python versions. The bytes are those of
`consist_es.plain.frame` over a plain tree, in which a node is a list of its class name and its fields by name. The
form is part of every fingerprint: changing it changes them all.
"""

import ast
import collections
from collections.abc import Callable, Sequence
from typing import Any

from consist_es.plain import frame, to_plain

_SKIPPED = {"ctx", "kind", "type_comment", "type_ignores"}
_DOCUMENTED = {ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef}
_SHAPES: dict[type, tuple[bytes, tuple[tuple[str, bytes], ...]]] = {}
"""Class of nodes -> its framed name, and the names of its fields as they are and framed."""


def normal_form(nodes: Sequence[ast.AST], *, keep_docstrings: bool) -> bytes:
    """Bytes that are equal exactly where the nodes' normal forms are.

    Raises `RecursionError` for code that is nested as deep as Python's stack.
    """
    return form_and_nodes(nodes, keep_docstrings=keep_docstrings)[0]


def form_and_nodes(nodes: Sequence[ast.AST], *, keep_docstrings: bool) -> tuple[bytes, dict[type, list[Any]]]:
    """The same, and all nodes below by class, in the order of the text; names and constants alone are left out.

    One walk in Python over a large file takes as long as parsing it: who looks for some class needs none of its own.
    """
    writer = _Writer(keep_docstrings)
    writer.items(list(nodes))
    return b"".join(writer.out), writer.nodes


class _Writer:
    """Writes nodes in one pass, without a tree in between."""

    def __init__(self, keep_docstrings: bool) -> None:
        self._keep_docstrings = keep_docstrings
        self.out: list[bytes] = []
        self.nodes: dict[type, list[Any]] = collections.defaultdict(list)
        self._texts = _Texts()

    def items(self, items: list[Any]) -> None:
        self.out.append(b"l%d:" % len(items))
        for item in items:
            kind = item.__class__
            if kind is ast.Name:
                self.out += (b"l3:s4:Names2:id", self._texts[item.id])
            elif (leaf := _LEAVES.get(kind)) is not None:
                self.out.append(leaf(item))
            else:
                self._node(item, kind)

    def _node(self, node: ast.AST, kind: type) -> None:
        self.nodes[kind].append(node)
        head, fields = _SHAPES.get(kind) or _shape(kind)
        out, texts = self.out, self._texts
        place, count = len(out), 1
        out.append(b"")  # for the head, which says how many fields follow
        found = node.__dict__.get
        for name, framed in fields:
            value = found(name)
            inner = value.__class__
            if value is None or (inner is list and not value):
                continue
            count += 2
            if inner is ast.Name:
                out += (framed, b"l3:s4:Names2:id", texts[value.id])
            elif inner is list:
                out.append(framed)
                bare = name == "body" and not self._keep_docstrings and kind in _DOCUMENTED and _documents(value[0])
                self.items(value[1:] if bare else value)
            elif inner is str:
                out += (framed, texts[value])
            elif (leaf := _LEAVES.get(inner)) is not None:
                out += (framed, leaf(value))
            else:
                out.append(framed)
                self._node(value, inner)
        out[place] = b"l%d:%b" % (count, head)


class _Texts(dict[str, bytes]):
    """Framed texts: the same names come again and again."""

    def __missing__(self, text: str) -> bytes:
        self[text] = framed = frame(text)
        return framed


def _shape(kind: type) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    fields = tuple((name, frame(name)) for name in names if name not in _SKIPPED)
    return _SHAPES.setdefault(kind, (frame(kind.__name__), fields))


def _documents(statement: ast.AST) -> bool:
    """Whether a statement, the first of its body, is a docstring."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _constant(node: ast.Constant) -> bytes:
    value = node.value
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass").hex().encode()
        return b"l2:s3:strs%d:%b" % (len(data), data)
    plain = value.hex() if isinstance(value, bytes) else to_plain(value)
    return frame([type(value).__name__, plain])


_LEAVES: dict[type, Callable[[Any], bytes]] = {
    ast.Constant: _constant,
    str: frame,
    int: frame,
    bool: frame,
    type(None): frame,
}
"""What has nothing below it -> how it is written."""
