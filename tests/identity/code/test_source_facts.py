"""What follows from the text of a file: the same digests as ever, from whatever process and cache they come."""

import ast
import gc
import inspect
import textwrap
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.identity.code.text_names import names_in_file, names_in_texts
from consist_es.identity.text.names import BODY
from consist_es.identity.text.nodes import nodes_in
from consist_es.identity.text.normal import Survey
from consist_es.identity.text.source import Source, digest_plain
from consist_es.values.plain import to_plain

# Digests that version 1 of the fingerprint gave: a run that was recorded with them must be found for ever.
PINNED = [
    (
        "",
        "b3:d83d09873196883854adc2c2625f6bbd",
    ),
    (
        '"""Only a docstring."""',
        "b3:53f16842fb42393f650750c6ffb79154",
    ),
    (
        "x = 1\n",
        "b3:85c86890ead77369cc0de31612908a55",
    ),
    (
        "def f(a, /, b: int = 2, *c, d=None, **e) -> str:\n    '''Doc.'''\n    return f'{a!r:>{b}} {d}'\n",
        "b3:2426bee2c50fabfcd73427e0c4eea610",
    ),
    (
        "class C(Base, metaclass=M):\n    '''Doc.'''\n    x: int = 0\n    @property\n    def p(self): return self.x\n",
        "b3:9a1544b49de3ea91de93818030779923",
    ),
    (
        "print(__doc__)\ndef f():\n    '''Counts here.'''\n",
        "b3:9061435e831d49ab2fb442e1bb04ba60",
    ),
    (
        "import a.b as c\nfrom ..d import e as f, g\nfrom . import *\n",
        "b3:4401762aa76e519158f206ded5bfa86a",
    ),
    (
        "t = (1, 2.5, -0.0, 1e400, 3j, True, None, ..., b'\\xff', '\\ud800', 10**30, 99999999999999999999)\n",
        "b3:87c94d0f40250a14cfd20dbff0e25063",
    ),
    (
        "for i, *j in {**k, 'l': [m for n in o if p async for q in r]}:\n    del s[1:2, ::t], u.v\nelse:\n    w @= x\n",
        "b3:42fc297d9b8ef25804034c180963ddc5",
    ),
    (
        "match a:\n    case {'b': [1, *_], **c} | D(e=None) if f: pass\n    case -1 | True: raise g from h\n",
        "b3:1b952e01efe922cd92ad79139bfc1191",
    ),
    (
        "async def f():\n    async with a as b, c: await d\n"
        "    try: yield\n    except* E as e: return\n    finally: global g\n",
        "b3:7874c4a04ef51b4b5f5d7d559dd4e5a7",
    ),
    (
        "lambda a, *b, c=1: (d := a) if not b else a < b <= c is not d and ~a or a // b\n",
        "b3:bc605b2d57af6e3c9cbb5e137fc8d0cf",
    ),
]


@pytest.mark.parametrize(("text", "digest"), PINNED)
def test_the_digest_of_a_source_is_the_one_that_it_has_always_been(text: str, digest: str) -> None:
    source = Source("m.py", text)
    assert source.digest == digest
    assert source.digest_of(source.tree) == digest


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def plain_tree(node: Any, keep_docstrings: bool) -> Any:
    """The normal form as a tree: what the bytes that are hashed say."""
    if isinstance(node, list):
        return [plain_tree(item, keep_docstrings) for item in node]
    if isinstance(node, ast.Constant):
        value = node.value.encode("utf-8", "surrogatepass") if isinstance(node.value, str) else node.value
        return [type(node.value).__name__, value.hex() if isinstance(value, bytes) else to_plain(value)]
    if not isinstance(node, ast.AST):
        return node
    fields: list[Any] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "kind", "type_comment", "type_ignores") or value is None or value == []:
            continue
        if (
            name == "body"
            and not keep_docstrings
            and isinstance(node, DOCUMENTED)
            and ast.get_docstring(node) is not None
        ):
            value = value[1:]
        fields += [name, plain_tree(value, keep_docstrings)]
    return fields


@pytest.mark.parametrize("module", [ast, inspect, digest_plain, st.integers, pytest.Config, given])
def test_the_bytes_that_are_hashed_are_those_of_the_plain_tree(module: Any) -> None:
    text = Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8")
    source = Source("m.py", text)
    assert source.digest == digest_plain([plain_tree(ast.parse(text), "__doc__" in text)])


@pytest.mark.parametrize("module", [ast, inspect, st.integers])
def test_a_walk_leaves_out_operators_and_contexts_alone(module: Any) -> None:
    tree = ast.parse(Path(inspect.getsourcefile(module) or "").read_text(encoding="utf-8"))
    others = (ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context)
    for node in ast.walk(tree):
        assert nodes_in(node) == [item for item in ast.iter_child_nodes(node) if not isinstance(item, others)]


def test_a_survey_and_its_tree_are_let_go_of_without_the_garbage_collector() -> None:
    survey = Survey([ast.parse("@a\ndef f(x: int = 1):\n    class A: y = lambda: x\n")], keep_docstrings=False)
    there = weakref.ref(survey)
    gc.disable()
    try:
        del survey
        assert there() is None
    finally:
        gc.enable()


def test_what_statements_bind_is_found_wherever_they_bind_it() -> None:
    text = """
        A = 1
        B: int = -2
        C = C = 3
        D = [E := 4, [F for F in (G := 5,)], lambda: (H := 6)]
        if A:
            import a.b, c as d
            from e import f as g
            try: I = "i"
            except ValueError as h: J, *K = 7, 8
        match A:
            case {"a": L, **M} | [L, *M] as N: __O = {"o": None}
        for P.q in A: A[0] = 1
        def r(s=1): t = 2
        class U(V): w = 3
        """
    body = BODY.of(Source("a.py", textwrap.dedent(text)))
    assert body.constants == {
        "A": ["int", 1], "B": ["int", -2], "C": None, "D": None, "E": None, "G": None, "I": ["str", "i"], "J": None,
        "K": None, "L": None, "M": None, "N": None,
    }  # fmt: skip
    assert body.bound == {*"ABCDEFGIJKLMNP", "ValueError", "int", "__O", "a", "d", "g", "h", "r", "U"}


LOUD = [
    "def f():\n    return frame.query('x > @LIMIT')\n",
    "def f():\n    return frame.filter('x > ' + '@LIMIT')\n",
    "def f():\n    return table(f'select * from {name} join OTHER')\n",
    "def f():\n    'Doc.'\n    return table('sele' + 'ct * from OTHER')\n",
    "def f(*, x, y='a @LIMIT', **z: 'b @OTHER'):\n    return x\n",
    "def f():\n    return connection.sql('x from OTHER')\n",
    "def f(x='y ~ LIMIT + @OTHER'):\n    return x\n",
    "@decorated('a @LIMIT')\ndef f():\n    return 1\n",
    "def f(x: 'a @LIMIT') -> 'b @OTHER':\n    return 1\n",
    "def f():\n    return globals()['LIMIT']\n",
    "def f():\n    return thing.__dict__['LIMIT']\n",
    "def f():\n    import sys\n    return getattr(sys.modules[__name__], NAME).LIMIT\n",
    "def f():\n    def inner(): return eval('LIMIT')\n    return inner\n",
    "def f():\n    class A:\n        x = eval('LIMIT')\n    return A\n",
    "def f():\n    return [lambda: eval('LIMIT')]\n",
    "class A:\n    async def f(self):\n        return smf.ols('y ~ LIMIT(x)')\n",
    "def f():\n    return 1\n\ndef g():\n    return pd.read_sql('x from LIMIT')\n",
]


@pytest.mark.parametrize("text", LOUD)
def test_no_text_that_names_something_is_passed_over(text: str) -> None:
    found = names_in_file(Source("a.py", text))
    assert found == names_in_texts(ast.parse(text))
    assert found.sure | found.data or found.code
