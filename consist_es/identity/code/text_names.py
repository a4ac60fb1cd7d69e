"""Finds names in texts that are code: ``query``, ``eval``, numexpr, SQL and formulas look them up.

A name counts only if the module binds it. Docstrings, messages, keys of dicts and items are not code.
"""

import ast
import functools
import itertools
import re
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from consist_es.identity.live.objects import state_of
from consist_es.identity.live.scope import is_own
from consist_es.identity.text.normal import Scope
from consist_es.identity.text.source import Fact, Parsed, Source
from consist_es.identity.text.statements import chain

_CODE = {"eval", "exec", "evaluate", "re_evaluate", "sympify", "parse_expr", "lambdify", "timeit"}
_QUERY = {
    "sql", "execute", "executemany", "executescript", "read_sql", "read_sql_query", "query", "from_query", "query_df",
    "sqldf", "sql_expr",
}  # fmt: skip
_FORMULAS = {
    "dmatrices", "dmatrix", "from_formula", "glm", "gls", "glsar", "logit", "mixedlm", "mnlogit", "model_matrix",
    "negativebinomial", "ols", "poisson", "probit", "quantreg", "rlm", "wls",
}  # fmt: skip
"""Calls with formulas as texts; their functions and data may be the module's."""
_FRAMES = {"pd", "pandas", "ne", "numexpr"}
"""Modules whose `eval` looks bare names up in its caller; in a table's `eval` they are columns."""
_SPACES = {"globals", "vars", "locals"}
_NEUTRAL = {
    "print", "debug", "info", "warning", "warn", "error", "critical", "exception", "log", "getLogger", "add_argument",
    "run", "scenario", "add_input", "output_path", "output_dir", "log_artifact", "log_input", "log_output", "log_meta",
    "log_dataframe", "Path", "open",
}  # fmt: skip
"""Calls with texts that are messages, file names, or names in our own API."""
_MODULE_SPACES = ("__globals__", "f_globals")
"""Attributes that hold the names of a module."""
_LOUD = frozenset({*_CODE, *_QUERY, *_FORMULAS, *_SPACES, *_MODULE_SPACES, "__dict__", "modules"})
"""In a function without these names, only the form of a text can show that it names something."""
_TIDY = {"cleandoc", "dedent", "format", "lower", "strip"}
_AT = re.compile(r"(?<![\w.@`'\"])@\s*([^\W\d]\w*)")
_NAME = re.compile(r"(?<![\w.\"'])([^\W\d]\w*)")
_CALLED = re.compile(r"(?<![\w.\"'])([^\W\d]\w*)\s*[(.]")
_WORD = re.compile(r"[^\W\d]\w*")
_SQL = re.compile(
    r"[\s(]*(select|with|from|insert|create|update|delete|copy|describe|summarize|pivot|unpivot|explain|show|merge)\b",
    re.IGNORECASE,
)
_TABLES = re.compile(
    r"\b(?:from|join|using|describe|summarize|pivot|unpivot|into|table|show|update)\b"
    r"(?=([\s(]+\"?\w+\"?(?:\s+(?:as\s+)?\w+)?(?:\s*,\s*\"?\w+\"?(?:\s+(?:as\s+)?\w+)?)*))",
    re.IGNORECASE,
)
_FORMULA = re.compile(r"[\w\s.()*/+-]+~\s*[\w(]")
_ITEMS = 2000
"""How many parts of a value are searched for texts."""


class Names(NamedTuple):
    """Names in texts."""

    sure: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()
    """Names that may be columns or tables: they can mean data only, never functions and modules."""
    code: bool = False
    """True if a text from elsewhere is run as code."""
    query: bool = False
    """True if a text from elsewhere is run as a query; then a text may be a table's name."""

    def with_(self, other: "Names") -> "Names":
        return Names(self.sure | other.sure, self.data | other.data, self.code or other.code, self.query or other.query)

    def bound_in(self, namespace: Mapping[str, Any]) -> set[str]:
        """The names that the namespace binds."""
        found = {name for name in self.sure if name in namespace}
        return found | {name for name in self.data if name in namespace and _is_data(namespace[name])}


def _is_data(value: Any) -> bool:
    return not callable(value) and not isinstance(value, types.ModuleType)


def names_in_texts(node: ast.AST) -> Names:
    """Names in the texts below a node."""
    return _walked(node).found


def names_in_file(source: Source) -> Names:
    """Names in the texts of a file."""
    return _NAMED.of(source)


@functools.lru_cache(maxsize=65536)
def loose_names(node: ast.AST, *, code: bool, query: bool) -> Names:
    """Names in the texts below a node, if code elsewhere runs texts that it is passed."""
    found, walk = Names(code=code, query=query), _walked(node)
    texts = [*walk.texts, *(walk.keys if code else [])]
    return functools.reduce(lambda names, text: names.with_(_loose(text, found)), texts, Names())


def names_in_value(value: Any, code: Names) -> Names:
    """Names in the texts of a variable or config, which `code` may run."""
    found = Names()
    for text in texts_of(value):
        found = found.with_(_names(text, sql=False)).with_(_loose(text, code))
    return found


@functools.lru_cache(maxsize=65536)
def _walked(node: ast.AST) -> "_Walk":
    return _Walk(node)


@functools.lru_cache(maxsize=4096)
def looks_up_computed(node: ast.AST) -> bool:
    """True if code uses the names of a module, as ``globals()`` gives them, for more than those that it spells out."""
    nodes = list(ast.walk(node))
    spelt = {id(space) for item in nodes if (space := _spelt_out(item)) is not None}
    return any(_is_module_space(item) and id(item) not in spelt for item in nodes)


def _spelt_out(node: ast.AST) -> ast.AST | None:
    """The ``globals`` in ``globals()["X"]`` and ``globals().get("X")``, if the name is wholly literal."""
    if isinstance(node, ast.Subscript):
        space: ast.AST | None = node.value if isinstance(node.ctx, ast.Load) and _is_spelt(node.slice) else None
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        space = node.func.value if node.args and _is_spelt(node.args[0]) else None
    else:
        return None
    return space.func if isinstance(space, ast.Call) and not space.args else space


def _is_module_space(node: ast.AST) -> bool:
    """True for ``globals``, ``__globals__`` of a function and ``f_globals`` of a frame."""
    return (isinstance(node, ast.Name) and node.id == "globals") or (
        isinstance(node, ast.Attribute) and node.attr in _MODULE_SPACES
    )


def _is_spelt(node: ast.AST) -> bool:
    """True for a text that is wholly literal, also in pieces."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _is_spelt(node.left) and _is_spelt(node.right)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@functools.lru_cache(maxsize=65536)
def names_in_annotations(node: ast.AST) -> frozenset[str]:
    """Names in a class's annotations written as text: frameworks evaluate them."""
    annotated = [item.annotation for item in ast.walk(node) if isinstance(item, ast.AnnAssign)]
    texts = [_text(part) or "" for item in annotated for part in ast.walk(item) if isinstance(part, ast.Constant)]
    return frozenset(name for text in texts for name in _NAME.findall(text))


def texts_in(node: ast.AST) -> list[str]:
    """The texts below a node that may be run, or name something."""
    return [*_walked(node).texts, *_walked(node).keys]


def texts_of(value: Any) -> Iterator[str]:
    """The texts in a value, as far as `_ITEMS` parts of it reach."""
    waiting, left = [value], _ITEMS
    while waiting and left:
        item, left = waiting.pop(), left - 1
        if isinstance(item, str):
            yield item
        elif isinstance(item, Mapping):
            waiting += itertools.islice(item.values(), left)
        elif isinstance(item, (list, tuple, set, frozenset)):
            waiting += itertools.islice(item, left)
        elif not isinstance(item, (types.ModuleType, types.FunctionType, type)) and is_own(item):
            waiting += state_of(item).values()


def _names(text: str, *, sql: bool) -> Names:
    """Names that the form of a text shows, wherever it stands; `sql` if it is known to be part of a query."""
    sure = frozenset(_AT.findall(text)) if "@" in text else frozenset[str]()
    data: set[str] = set()
    if sql or _SQL.match(text):
        for tables in _TABLES.findall(text):
            data.update(part for table in tables.split(",") for part in _WORD.findall(table)[:1])
    if "~" in text and _FORMULA.match(text):
        return _formula(text).with_(Names(sure, frozenset(data)))
    return Names(sure, frozenset(data))


def _formula(text: str) -> Names:
    return Names(frozenset(_CALLED.findall(text)), frozenset(_NAME.findall(text)))


def _loose(text: str, code: Names) -> Names:
    """Names in a text if it is run by code that gets texts from elsewhere."""
    if code.code:
        return Names(frozenset(_NAME.findall(text)))
    return Names(data=frozenset({text})) if code.query and text.isidentifier() else Names()


class _Walk:
    """Collects the names in the texts of some code, without a function call for the many nodes that have none."""

    def __init__(self, node: ast.AST, silent: Collection[ast.AST] = ()) -> None:
        """Skips the bodies of `silent` functions, which name nothing."""
        self._whole, self._silent = node, silent
        self._sure: set[str] = set()
        self._data: set[str] = set()
        self._code = self._query = False
        self.texts: list[str] = []
        self.keys: list[str] = []
        """Texts used as item keys: the container may come from ``globals()``."""
        self._waiting: list[tuple[Any, bool]] = [(node, False)]
        """Nodes, with True if they are known to be parts of a query."""
        while self._waiting:
            self._visit(*self._waiting.pop())
        self.found = Names(frozenset(self._sure), frozenset(self._data), self._code, self._query)

    def _add(self, names: Names) -> None:
        self._sure |= names.sure
        self._data |= names.data
        self._code |= names.code
        self._query |= names.query

    def _visit(self, node: Any, sql: bool) -> None:
        kind = node.__class__
        if kind is ast.Constant:
            if isinstance(node.value, str):
                self._text(node.value, sql)
        elif kind is ast.Name:
            self._code |= node.id in _SPACES and isinstance(node.ctx, ast.Load)
        elif kind is ast.Call:
            self._call(node, sql)
        elif kind is ast.Subscript:
            self._item(node, sql)
        elif kind is ast.Dict:
            self._all([*(item for item in node.keys if item and _text(item) is None), *node.values], sql)
        elif kind is ast.BinOp or kind is ast.JoinedStr:
            self._joined(node, sql)
        elif kind is ast.Attribute:
            self._attribute(node, sql)
        elif kind is not ast.Raise and not (kind is ast.Expr and node.value.__class__ is ast.Constant):
            self._below(node, sql)

    def _attribute(self, node: ast.Attribute, sql: bool) -> None:
        if node.attr == "modules" and getattr(node.value, "id", "") == "sys":
            # lookups in ``sys.modules[__name__]`` use the attributes of this code
            self._sure |= {item.attr for item in ast.walk(self._whole) if isinstance(item, ast.Attribute)}
            self._code = True
            return
        self._code |= node.attr in _MODULE_SPACES
        self._below(node, sql)

    def _text(self, text: str, sql: bool) -> None:
        self.texts.append(text)
        if sql or "@" in text or "~" in text or _SQL.match(text):
            self._add(_names(text, sql=sql))

    def _joined(self, node: ast.BinOp | ast.JoinedStr, sql: bool) -> None:
        if (text := _text(node)) is None:
            self._below(node, sql)
            return
        self._text(text, sql)
        self._all([item for item in ast.iter_child_nodes(node) if _text(item) is None], sql)

    def _below(self, node: ast.AST, sql: bool) -> None:
        kind, found, waiting = node.__class__, node.__dict__, self._waiting
        names = _FIELDS.get(kind) or _fields(kind)
        if node in self._silent:
            names = tuple(name for name in names if name != "body")
        for name in names:
            value = found.get(name)
            if value.__class__ is list:
                for item in value:
                    if isinstance(item, ast.AST) and not (item.__class__ is ast.arg and item.annotation is None):
                        waiting.append((item, sql))
            elif isinstance(value, ast.AST):
                waiting.append((value, sql))

    def _all(self, nodes: Iterable[ast.AST], sql: bool) -> None:
        self._waiting += [(node, sql) for node in nodes]

    def _call(self, call: ast.Call, sql: bool) -> None:
        root, names, broken = chain(call.func)
        name = names[-1] if names else root
        values = [*call.args, *(item.value for item in call.keywords)]
        if isinstance(call.func, ast.Attribute) and _is_space(call.func):  # globals().get("X")
            self._add(Names(frozenset(_texts_in(values)[:1]), code=_computes_first(values)))
            return
        if not names and name in _SPACES and call.args:  # vars(thing): attributes
            self._all(values, sql)
            return
        if name in _CODE and not (name == "eval" and names and (broken or root not in _FRAMES)):
            sure = frozenset(found for text in _texts_in(values) for found in _NAME.findall(text))
            self._add(Names(sure, code=_computes_first(values)))
        elif name in _FORMULAS:
            for text in _texts_in(values):
                self._add(_formula(text))
        elif name in _QUERY:
            sql = True
            self._query |= _computes_first(values)
        elif name in _NEUTRAL:
            values = [value for value in values if _text(value) is None]
        self._all([call.func, *values], sql)

    def _item(self, node: ast.Subscript, sql: bool) -> None:
        text = _text(node.slice)
        if _is_space(node):
            self._add(Names(frozenset({text} if text else ()), code=text is None))
            return
        self.keys += [] if text is None else [text]
        self._all([node.value, *([node.slice] if text is None else [])], sql)


_FIELDS: dict[type, tuple[str, ...]] = {}
"""Class of nodes -> the fields to search."""
_NOT_SEARCHED = {"ctx", "op", "ops", "id", "attr", "kind", "type_comment", "type_ignores"}


def _fields(kind: type) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    return _FIELDS.setdefault(kind, tuple(name for name in names if name not in _NOT_SEARCHED))


def _texts_in(values: list[ast.expr]) -> list[str]:
    return [text for value in values if (text := _text(value)) is not None]


def _computes_first(values: list[ast.expr]) -> bool:
    return any(_is_computed(value) for value in values[:1])


def _is_space(node: ast.AST) -> bool:
    """True for a lookup by name in ``globals()``, ``vars()`` or ``__dict__``."""
    if not isinstance(node, (ast.Subscript, ast.Attribute)):
        return False
    inner = node.value
    if isinstance(inner, ast.Attribute):
        return inner.attr == "__dict__" or inner.attr in _MODULE_SPACES
    return isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in _SPACES


def _is_computed(node: ast.AST) -> bool:
    """True if a text is not wholly a literal."""
    return not isinstance(node, ast.Constant) and (_tidied(node) is None or _is_computed(_tidied(node) or node))


def _tidied(node: ast.AST) -> ast.AST | None:
    """The literal in ``dedent("...")`` or ``"...".strip()``."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute) and node.func.attr in _TIDY and _text(node.func.value) is not None:
        return node.func.value
    return node.args[0] if node.args and chain(node.func)[1][-1:] in (("dedent",), ("cleandoc",)) else None


def _text(node: Any) -> str | None:
    """A literal text; computed parts become a question mark."""
    kind = node.__class__
    if kind is ast.Constant:
        return node.value if isinstance(node.value, str) else None
    if kind is ast.JoinedStr:
        return "".join(_text(item) or " ? " for item in node.values)
    if kind is not ast.BinOp or node.op.__class__ not in _JOINING:
        return None
    left = _text(node.left)
    if node.op.__class__ is ast.Mod:
        return left
    right = _text(node.right)
    return None if left is None and right is None else f"{left or ' ? '}{right or ' ? '}"


_JOINING = {ast.Mod, ast.Add}
"""Operators that make texts."""


def _found_in_file(parsed: Parsed) -> Names:
    silent = [node for node, scope in parsed.survey.functions.items() if _is_silent(node, scope)]
    return _Walk(parsed.tree, frozenset(silent)).found


def _is_silent(node: ast.AST, scope: Scope) -> bool:
    """True if nothing in a function's body can name anything, so no walk is needed; its head may."""
    if scope.inside or isinstance(node, ast.Lambda) or not _LOUD.isdisjoint([item.id for item in scope.names]):
        return False
    if not _LOUD.isdisjoint([item.attr for item in scope.nodes.get(ast.Attribute, ())]):
        return False
    joined = [_text(item) or "" for item in scope.nodes.get(ast.JoinedStr, ())]
    if len(scope.texts) > bool(ast.get_docstring(node, clean=False)):  # type: ignore[arg-type]
        operations = [item for item in scope.nodes.get(ast.BinOp, ()) if item.op.__class__ in _JOINING]
        joined += [_text(item) or "" for item in operations]
    return not any("@" in text or "~" in text or _SQL.match(text) for text in (*scope.texts, *joined))


_NAMED: Fact[Names] = Fact("names in texts", Names, _found_in_file)
