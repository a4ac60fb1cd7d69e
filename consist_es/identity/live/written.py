"""Finds attributes that a method only writes: their earlier values are not inputs.

An attribute of the object that the step is bound to counts, unless the step's method, and every method of the object
that it reaches, surely stores it before loading it. If anything cannot be followed, all attributes count.
"""

import ast
import functools
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from consist_es.identity.live.objects import state_of
from consist_es.identity.live.owners import Reach, is_own
from consist_es.identity.text.mentions import mentions
from consist_es.identity.text.source import Function, load_source
from consist_es.identity.text.usage import MAKERS

_HIDING = {"super", "locals", "vars", "eval", "exec", "globals", "dir", "__class__"}
"""Names by which a method can reach its object indirectly."""
_CUSTOM = ("__getattr__", "__getattribute__", "__setattr__", "__delattr__")
_Stored = frozenset[str] | None
"""Attributes surely stored at a point; None after a return, where anything may be assumed."""


class Written(NamedTuple):
    """The attributes that a step's method only writes."""

    owner: Any
    """The object; None if there are no such attributes."""
    names: frozenset[str]
    always: frozenset[str]
    """Those written on every path."""


NOTHING = Written(None, frozenset(), frozenset())


class _Escaped(Exception):
    """The object escapes the analysis: all its attributes count."""


class _Summary(NamedTuple):
    """Effects of a method on the attributes of its object."""

    read: frozenset[str]
    """Loaded before the method surely stored them."""
    written: frozenset[str]
    always: frozenset[str]
    """Stored at every return."""


def only_written(fn: Any, given: Mapping[str, Any]) -> Written:
    """The attributes that a step's method only writes. `given`: the step's other arguments."""
    while isinstance(fn, functools.partial):
        given = {**given, **{str(place): item for place, item in enumerate(fn.args)}, **fn.keywords}
        fn = fn.func
    if not isinstance(fn, types.MethodType) or not isinstance(fn.__func__, types.FunctionType):
        return NOTHING
    target, kind = fn.__self__, type(fn.__self__)
    if isinstance(target, type) or not is_own(kind) or any(_is_custom(kind, name) for name in _CUSTOM):
        return NOTHING
    try:
        methods = _Methods(kind)
        found = methods.summary(fn.__func__)
        names = found.written - found.read
        if names and not _is_met(target, names, [*methods.done], given):
            return Written(target, names, found.always & names)
    except _Escaped:
        pass
    return NOTHING


def may_write(fn: Any) -> list[tuple[Any, str]]:
    """Objects and modules that a step's function may bind names in, with the names."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    found = [(item.__globals__, name) for item in Reach(fn, {}).functions for name in mentions(item.__code__).stores]
    if not isinstance(fn, types.MethodType) or isinstance(fn.__self__, type) or not is_own(type(fn.__self__)):
        return found
    try:
        if not isinstance(fn.__func__, types.FunctionType):
            raise _Escaped
        names = _Methods(type(fn.__self__)).summary(fn.__func__).written
    except _Escaped:  # any method may be called
        methods = [item for base in type(fn.__self__).__mro__ for item in vars(base).values()]
        code = [item for item in methods if isinstance(item, types.FunctionType) and item.__name__ not in MAKERS]
        names = frozenset().union(*(mentions(item.__code__).sets for item in code))
    return [*found, *((fn.__self__, name) for name in names)]


def without(plain: Any, names: frozenset[str]) -> Any:
    """The plain form of an object with fields, less these attributes."""
    match plain:
        case {"$object": [cls, dict(fields), *more]}:
            state = {"state": _less(fields["state"], names)} if "" in fields and "state" in fields else {}
            return {"$object": [cls, {**_less(fields, names), **state}, *more]}
    return plain


def _less(fields: Any, names: frozenset[str]) -> Any:
    return {name: item for name, item in fields.items() if name not in names} if isinstance(fields, dict) else fields


def _is_custom(kind: type, name: str) -> bool:
    return getattr(kind, name, None) is not getattr(object, name, None)


def _is_met(target: Any, names: frozenset[str], functions: Sequence[Any], given: Mapping[str, Any]) -> bool:
    """True if the methods can reach their object by a variable, an argument or an object that refers to it."""
    state = {name: value for name, value in state_of(target).items() if name not in names}
    reach = Reach(None, {"functions": list(functions), "state": state, **given}, wanted=target, thorough=True)
    return reach.found or reach.over or reach.computes


class _Methods:
    """The methods of a class that are reached from one of them."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.done: dict[types.FunctionType, _Summary | None] = {}

    def summary(self, fn: types.FunctionType) -> _Summary:
        """Summary of a method. Raises `_Escaped` if it cannot be analysed, or calls itself."""
        if fn not in self.done:
            self.done[fn] = None
            source = load_source(fn.__code__.co_filename)
            node = None if source is None or hasattr(fn, "__wrapped__") else source.find(fn.__code__)
            if node is None:
                raise _Escaped
            self.done[fn] = _Method(node, _class_in(fn.__qualname__), self).summary()
        found = self.done[fn]
        if found is None:
            raise _Escaped
        return found

    def loaded(self, name: str) -> types.FunctionType | None:
        """The method or getter that runs if this attribute is loaded or called; None for a plain attribute."""
        found = inspect.getattr_static(self._kind, name, None)
        if isinstance(found, property | functools.cached_property):
            found = found.fget if isinstance(found, property) else found.func
        if isinstance(found, types.FunctionType):
            return found
        if isinstance(found, staticmethod | classmethod | types.MemberDescriptorType) or not hasattr(found, "__get__"):
            return None
        raise _Escaped

    def stored(self, name: str) -> None:
        """Raise `_Escaped` unless it is a plain attribute (not a property or method)."""
        found = inspect.getattr_static(self._kind, name, None)
        if (hasattr(found, "__get__") or hasattr(found, "__set__")) and not isinstance(
            found, types.MemberDescriptorType
        ):
            raise _Escaped


class _Method:
    """Analyses one method: walks its statements with the attributes surely stored at each point."""

    def __init__(self, node: Function, owner: str, methods: _Methods) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args]
        if isinstance(node, ast.Lambda) or not arguments:
            raise _Escaped
        self._node, self._methods, self._self = node, methods, arguments[0].arg
        self._class = owner.lstrip("_")
        """Name of the defining class, for names with two underscores."""
        self._read: set[str] = set()
        self._written: set[str] = set()
        self._ends: list[_Stored] = []

    def summary(self) -> _Summary:
        """Walk the method."""
        last = self._block(self._node.body, frozenset())
        always = functools.reduce(_both, [*self._ends, last])
        suspends = any(isinstance(item, ast.Yield | ast.YieldFrom) for item in ast.walk(self._node))
        sure = frozenset() if always is None or suspends else always
        return _Summary(frozenset(self._read), frozenset(self._written), sure)

    # ------------------------------------------------------------ statements

    def _block(self, body: Iterable[ast.stmt], stored: _Stored) -> _Stored:
        for statement in body:
            stored = self._statement(statement, stored)
        return stored

    def _statement(self, node: ast.stmt, stored: _Stored) -> _Stored:
        handler: Callable[[Any, _Stored], _Stored] | None = getattr(self, f"_on_{type(node).__name__.lower()}", None)
        if handler is not None:
            return handler(node, stored)
        self._look(node, stored)
        return stored

    def _on_expr(self, node: ast.Expr, stored: _Stored) -> _Stored:
        return self._value(node.value, stored)

    def _on_return(self, node: ast.Return, stored: _Stored) -> _Stored:
        self._ends.append(self._value(node.value, stored))
        return None

    def _on_raise(self, node: ast.Raise, stored: _Stored) -> _Stored:
        self._look(node, stored)
        return None

    def _on_break(self, _node: ast.stmt, _stored: _Stored) -> _Stored:
        return None  # after a loop, only attributes stored before it count

    _on_continue = _on_break

    def _on_assign(self, node: ast.Assign, stored: _Stored) -> _Stored:
        stored = self._value(node.value, stored)
        for target in node.targets:
            stored = self._target(target, stored)
        return stored

    def _on_annassign(self, node: ast.AnnAssign, stored: _Stored) -> _Stored:
        if node.value is None:
            return stored
        return self._target(node.target, self._value(node.value, stored))

    def _on_delete(self, node: ast.Delete, stored: _Stored) -> _Stored:
        gone = {self._name(target) for target in node.targets if isinstance(target, ast.Attribute)}
        for target in node.targets:
            self._look(target, frozenset())
        return None if stored is None else stored - gone

    def _on_if(self, node: ast.If, stored: _Stored) -> _Stored:
        self._look(node.test, stored)
        return _both(self._block(node.body, stored), self._block(node.orelse, stored))

    def _on_for(self, node: ast.For | ast.AsyncFor | ast.While, stored: _Stored) -> _Stored:
        heads = [node.test] if isinstance(node, ast.While) else [node.iter, node.target]
        for head in heads:
            self._look(head, stored)
        self._block(node.body, stored)
        self._block(node.orelse, stored)
        return stored

    _on_asyncfor = _on_while = _on_for

    def _on_try(self, node: ast.Try | ast.TryStar, stored: _Stored) -> _Stored:
        after = self._block(node.orelse, self._block(node.body, stored))
        for handler in node.handlers:
            self._look(handler.type, stored)
            after = _both(after, self._block(handler.body, stored))
        self._block(node.finalbody, stored)
        return self._block(node.finalbody, after)

    _on_trystar = _on_try

    def _on_with(self, node: ast.With | ast.AsyncWith, stored: _Stored) -> _Stored:
        for item in node.items:
            self._look(item.context_expr, stored)
            self._look(item.optional_vars, stored)
        after = self._block(node.body, stored)
        return after if all(_is_open(item.context_expr) for item in node.items) else stored  # others may swallow errors

    _on_asyncwith = _on_with

    def _on_match(self, node: ast.Match, stored: _Stored) -> _Stored:
        self._look(node.subject, stored)
        for case in node.cases:
            self._look(case.pattern, stored)
            self._look(case.guard, stored)
            self._block(case.body, stored)
        return stored

    # ------------------------------------------------------------ expressions

    def _value(self, node: ast.expr | None, stored: _Stored) -> _Stored:
        """Look at a value; a call of a method adds the attributes that it always stores."""
        self._look(node, stored)
        call = node.value if isinstance(node, ast.Await) else node
        if stored is None or not (isinstance(call, ast.Call) and self._is_own(call.func)):
            return stored
        fn = self._methods.loaded(self._name(call.func))  # type: ignore[arg-type]
        waits = isinstance(node, ast.Await)
        if fn is None or inspect.iscoroutinefunction(fn) is not waits:
            return stored
        return stored | self._methods.summary(fn).always

    def _target(self, target: ast.expr, stored: _Stored) -> _Stored:
        if isinstance(target, ast.Tuple | ast.List):
            for item in target.elts:
                stored = self._target(item, stored)
            return stored
        self._look(target, stored)
        return stored if stored is None or not self._is_own(target) else stored | {self._name(target)}  # type: ignore[arg-type]

    def _is_own(self, node: ast.AST) -> bool:
        """True for an attribute of the method's own object."""
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == self._self

    def _look(self, node: ast.AST | None, stored: _Stored) -> None:
        """Note every use of the object below a node."""
        if node is None:
            return
        if isinstance(node, ast.AugAssign) and self._is_own(node.target):
            self._load(self._name(node.target), stored)  # type: ignore[arg-type]
        if self._is_own(node):
            self._attribute(node, stored)  # type: ignore[arg-type]
            return
        if isinstance(node, ast.Name) and (node.id == self._self or node.id in _HIDING):
            raise _Escaped
        for child in ast.iter_child_nodes(node):
            self._look(child, stored)

    def _attribute(self, node: ast.Attribute, stored: _Stored) -> None:
        if isinstance(node.ctx, ast.Load):
            self._load(self._name(node), stored)
            return
        self._methods.stored(self._name(node))
        self._written.add(self._name(node))
        if isinstance(node.ctx, ast.Del):
            self._read.add(self._name(node))

    def _name(self, node: ast.Attribute) -> str:
        """Name of an attribute in the object, mangled if private."""
        if not node.attr.startswith("__"):
            return node.attr
        if node.attr.endswith("__") or not self._class:
            raise _Escaped
        return f"_{self._class}{node.attr}"

    def _load(self, name: str, stored: _Stored) -> None:
        fn = self._methods.loaded(name)
        read = {name} if fn is None else self._methods.summary(fn).read
        self._read |= set() if stored is None else set(read) - stored
        if fn is not None:
            self._written |= self._methods.summary(fn).written


def _both(one: _Stored, other: _Stored) -> _Stored:
    """Attributes stored on both of two paths that meet."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _class_in(qualname: str) -> str:
    return qualname.rpartition(".")[0].rpartition(".")[2]


def _is_open(node: ast.expr) -> bool:
    """True if a ``with`` statement's object is an open file, which lets every error through."""
    if not isinstance(node, ast.Call):
        return False
    return (isinstance(node.func, ast.Name) and node.func.id == "open") or (
        isinstance(node.func, ast.Attribute) and node.func.attr == "open"
    )
