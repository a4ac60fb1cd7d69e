"""Which names a block reads before it binds them, against what the interpreter really reads."""

import ast
import contextlib
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.identity.text.exposed import surely_bound_first

BOUND: dict[str, str] = {
    "assigned": "x = 1\nprint(x)",
    "unpacked": "(x, *y), z.a = f()\nprint(x, y)",
    "under an if": "if cached:\n    x = 1\n    print(x)",
    "on both sides": "if a:\n    x = 1\nelse:\n    x = 2\nprint(x)",
    "or left": "if a:\n    x = 1\nelse:\n    raise E\nprint(x)",
    "looped": "for x in xs:\n    print(x)",
    "in a body of a loop": "for i in xs:\n    x = i\n    print(x)",
    "with": "with open(p) as x:\n    x.read()",
    "tried": "try:\n    x = f()\nexcept E:\n    x = 1\nprint(x)",
    "tried or left": "try:\n    x = f()\nexcept E:\n    raise\nelse:\n    y = x\nprint(x)",
    "left or on the other side": "if a:\n    raise E\nelse:\n    x = 1\nprint(x)",
    "tried, whatever is raised": "try:\n    x = f()\nexcept:\n    x = 1\nprint(x)",
    "finally": "try:\n    f()\nfinally:\n    x = 1\nprint(x)",
    "annotated": "x: int = 1\nprint(x)",
    "added to after": "x = 1\nx += 1\nprint(x)",
    "added to in a place": "x = []\nx[0] += 1",
    "in an asynchronous loop": "x = 1\nfor i in xs:\n    pass\nelse:\n    print(x)",
    "read in a function": "x = 1\ndef g():\n    return x\ng()",
}
EXPOSED: dict[str, str] = {
    "read first": "print(x)\nx = 1",
    "in its own value": "x = x + 1",
    "added to": "x += 1",
    "under an if only": "if a:\n    x = 1\nprint(x)",
    "in a loop only": "for i in xs:\n    x = i\nprint(x)",
    "its loop variable after": "for x in xs:\n    pass\nprint(x)",
    "carried from round to round": "for i in xs:\n    print(x)\n    x = i",
    "in a while only": "while a:\n    x = 1\nprint(x)",
    "before its handler": "try:\n    f()\n    x = 1\nexcept E:\n    pass\nprint(x)",
    "in its handler": "try:\n    x = f()\nexcept E:\n    print(x)\nx = 1",
    "in finally": "try:\n    x = f()\nfinally:\n    print(x)",
    "swallowed": "with suppress(E):\n    x = f()\nprint(x)",
    "annotated only": "x: int\nprint(x)\nx = 1",
    "in a function before": "def g():\n    return x\ng()\nx = 1",
    "in a lambda before": "g = lambda: x\nx = 1",
    "in the target": "x[0] = 1\nx = 2",
    "deleted": "x = 1\ndel x\nprint(x)",
    "deleted in a loop": "for i in xs:\n    x = i\n    del x\nx = 1\ndel x\nprint(x)",
    "added to in a branch": "if a:\n    x += 1\nx = 1",
    "matched": "match a:\n    case [x]:\n        pass\nprint(x)",
}


def found(text: str) -> set[str]:
    return surely_bound_first(ast.parse(text).body, ())


@pytest.mark.parametrize("text", BOUND.values(), ids=BOUND)
def test_a_name_that_is_bound_on_every_way_to_its_reads_is_found(text: str) -> None:
    assert "x" in found(text)


@pytest.mark.parametrize("text", EXPOSED.values(), ids=EXPOSED)
def test_a_name_whose_earlier_value_may_be_read_is_not(text: str) -> None:
    assert "x" not in found(text)


def test_what_is_imported_or_defined_is_code_and_no_such_name() -> None:
    assert found("from m import f\nimport a.b\ndef g():\n    pass\nx = f()") == {"x"}


def test_the_target_of_the_head_is_bound_from_the_beginning() -> None:
    assert surely_bound_first(ast.parse("t.log(x)").body, {"t"}) == {"t"}


# ---------------------------------------------------------------- against the interpreter


LEAF = st.sampled_from(["a = 1", "b = 1", "b = a", "a = b", "a += 1", "use(a)", "use(b)", "fail()", "fail()"])


def indent(text: str) -> str:
    return textwrap.indent(text, "    ")


def suites(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Some statements, each plain or one that has others in it."""
    pair = st.tuples(inner, inner)
    compound = st.one_of(
        pair.map(lambda two: f"if coin():\n{indent(two[0])}\nelse:\n{indent(two[1])}"),
        inner.map(lambda one: f"for a in some():\n{indent(one)}"),
        inner.map(lambda one: f"while coin():\n{indent(one)}"),
        pair.map(lambda two: f"try:\n{indent(two[0])}\nexcept Fail:\n{indent(two[1])}"),
        pair.map(lambda two: f"try:\n{indent(two[0])}\nfinally:\n{indent(two[1])}"),
        inner.map(lambda one: f"with quiet():\n{indent(one)}"),
    )
    return st.lists(st.one_of(LEAF, compound), min_size=1, max_size=4).map("\n".join)


class Names(dict[str, Any]):
    """A namespace that notes which earlier values are read; everything in it is there from an earlier round."""

    def __init__(self) -> None:
        super().__init__()
        self.stale: set[str] = set()

    def __missing__(self, name: str) -> Any:
        if name not in "ab":
            raise KeyError(name)
        self.stale.add(name)
        return 0


@settings(max_examples=500)
@given(suites(suites(LEAF)), st.lists(st.booleans(), min_size=1, max_size=12))
def test_no_earlier_value_of_such_a_name_is_ever_read(text: str, coins: list[bool]) -> None:
    flips = iter(coins)

    class Fail(Exception):
        pass

    class Quiet:
        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: Any, *_rest: object) -> bool:
            return kind is Fail

    def fail() -> None:
        if next(flips, False):
            raise Fail

    names = Names()
    names |= {"coin": lambda: next(flips, False), "some": lambda: [1] * next(flips, False), "use": lambda value: None}
    names |= {"fail": fail, "Fail": Fail, "quiet": Quiet}
    with contextlib.suppress(Fail):
        exec(text, {"__builtins__": {}}, names)
    assert not names.stale & found(text)
