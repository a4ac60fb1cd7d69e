"""The subset of HOCON: what is read from it, what does not count, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.adapters import FolderAdapter
from consist_es.adapters.hocon import Source, read_hocon
from consist_es.errors import ConfigFileError


def read(text: str) -> dict[str, Any]:
    def include(name: str) -> Source:
        raise AssertionError(f"nothing includes {name}")

    return read_hocon(Source("m.conf", text, include))


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", {}),
        ("# only a comment", {}),
        ("a = 1", {"a": 1}),
        ("{ a : 1 }", {"a": 1}),
        ("a.b.c = 1", {"a": {"b": {"c": 1}}}),
        ('"a.b".c = 1', {"a.b": {"c": 1}}),
        ('a"x.y"b.c = 1', {"ax.yb": {"c": 1}}),
        ('a."".b = 1', {"a": {"": {"b": 1}}}),
        ("a b c = 1", {"a b c": 1}),
        ("3.14 = 1", {"3": {"14": 1}}),
        ("a { b = 1 }\na { c = 2 }", {"a": {"b": 1, "c": 2}}),
        ("a = { b = 1 } { c = 2 }", {"a": {"b": 1, "c": 2}}),
        ("a = 1, b = 2,", {"a": 1, "b": 2}),
        ("a = 1\r\nb = 2\r\n", {"a": 1, "b": 2}),
        ("a =\n  1", {"a": 1}),
        ("a = [1, 2\n 3\n]", {"a": [1, 2, 3]}),
        ("a = [1] [2]", {"a": [1, 2]}),
        ("a = [{x = 1}\n{x = 2}]", {"a": [{"x": 1}, {"x": 2}]}),
        ("a = {}\nb = []", {"a": {}, "b": []}),
        ("a = x  y # note\nb = z // note", {"a": "x  y", "b": "z"}),
        ('a = "# no note" // note', {"a": "# no note"}),
        ('a = "tab\\tA\\u00e9"', {"a": "tab\tAé"}),
        ('a = """one\n"two"""""', {"a": 'one\n"two""'}),
        ("a = true\nb = false\nc = null", {"a": True, "b": False, "c": None}),
        ('a = "true"', {"a": "true"}),
        ("a = true x", {"a": "true x"}),
        ("a = 1.5\nb = -3", {"a": 1.5, "b": -3}),
        ("a = 1.50", {"a": ("number", "1.50")}),
        ("a = 007", {"a": ("number", "007")}),
        ("a = 10kb", {"a": ("number", "10kb")}),
        ('a = "10kb"', {"a": "10kb"}),
        ("a = include", {"a": "include"}),
        ("a = 1\na = 2", {"a": 2}),
        ("a = { x = 1 }\na = null\na = { y = 2 }", {"a": {"y": 2}}),
        ("a = { x = 1 }\na = 2", {"a": 2}),
    ],
)
def test_what_is_read_from_a_text(text: str, data: dict[str, Any]) -> None:
    assert repr(read(text)) == repr(data)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a += 1", "a = ${?a} [1]"),
        ("a = ${b}\nb = 1", "b = 1, a = ${b}"),
        ("a = ${b} { y = 2 }\nb = { x = 1 }", "b.x = 1\na = ${b}{y:2}"),
        ("a.x = 1\na.y = ${a.x}\na.z = 3", "a { z = 3, x = 1\n y = ${a.x} }"),
        ('a = ${b}" text"', "a = ${b} text"),
    ],
)
def test_two_ways_to_write_a_substitution_are_one(one: str, other: str) -> None:
    assert repr(_sorted(read(one))) == repr(_sorted(read(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a = ${b}\nb = 1", "a = ${b}\nb = 2"),
        ("a = ${b}", "a = ${?b}"),
        ("a = 1\na = ${?b}", "a = 2\na = ${?b}"),
        ("a = [1]\na = ${a} [2]", "a = [1]\na = [2] ${a}"),
        ("a = ${b}${c}", "a = ${b} ${c}"),
        ("a = ${x.y}", 'a = ${"x.y"}'),
        ("a = 1", 'a = "1"'),
        ("a = 1.", 'a = "1."'),
        ("a.b = 1", '"a.b" = 1'),
        ("a = null", ""),
        ("a = x", "a = x\x85"),
    ],
)
def test_texts_that_may_be_read_differently_differ(one: str, other: str) -> None:
    assert repr(read(one)) != repr(read(other))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1\n}", 2, "'}' where a key is expected"),
        ("{ a = 1", 1, "without its closing brace"),
        ("a = 1\nb = [1", 2, "without its closing bracket"),
        ("a", 1, "one of = : += { is expected"),
        ("a =", 1, "where a value is expected"),
        ("a..b = 1", 1, "empty segment"),
        (".a = 1", 1, "empty segment"),
        ("a. = 1", 1, "ends in a dot"),
        ("a . b = 1", 1, "whitespace beside the dot"),
        ("a = http://x", 1, "a comma or a new line is expected"),
        ("a = 1,, b = 2", 1, "a comma too many"),
        ("a = 1 b = 2", 1, "a comma or a new line is expected"),
        ("[1]", 1, "an array at the root"),
        ("{} x", 1, "after the end of the root object"),
        ('\n\na = "x', 3, "quoted text without its end"),
        ('a = """x', 1, "quoted text without its end"),
        ('a = "\\q"', 1, "not valid"),
        ("a = x [1]", 1, "do not mix"),
        ("a = [1] {b = 2}", 1, "do not mix"),
        ("a = [{ b += 1 }]", 1, "+= inside an array"),
        ("a = ${b", 1, "only ${path} and ${?path}"),
        ("a = ${b[]}", 1, "only ${path} and ${?path}"),
        ("a = ${}", 1, "where a key is expected"),
        ("a = $b", 1, "where a value is expected"),
        ("x = 1\na = { y = ${a} }", 2, "depends on itself"),
        ("a = ${b}\nb = ${a}", 2, "depends on itself"),
        ("a = { y = ${b} }\na = { x = 1 }\nb = ${a}", 3, "depends on itself"),
        ('include "x.properties"', 1, "only names of .conf"),
        ('include "http://x/y.conf"', 1, "only names of .conf"),
        ('include file("x.conf")', 1, 'only include "file"'),
        ('include required("x.conf")', 1, 'only include "file"'),
        ("include = 1", 1, 'only include "file"'),
        ('a { include "x.conf" }', 1, "an include inside an object"),
        ("a = " + "[" * 200, 1, "nested more than"),
        (".".join("abc" * 200) + " = 1", 1, "nested more than"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(text)
    if "depends" not in problem:
        assert caught.value.line == line
    assert problem in str(caught.value)
    assert "formats={'m.conf': 'bytes'}" in str(caught.value)


def test_a_substitution_that_no_path_sets_counts_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSIST_TEST_X", raising=False)
    text = "a = ${?CONSIST_TEST_X}"
    unset = read(text)
    monkeypatch.setenv("CONSIST_TEST_X", "secret one")
    one = read(text)
    monkeypatch.setenv("CONSIST_TEST_X", "secret two")
    two = read(text)
    assert unset != one != two
    assert "secret" not in repr((one, two))
    assert read(f"{text}\nCONSIST_TEST_X = 1")["a"] == unset["a"]
    assert read(f"{text}\nCONSIST_TEST_X = ${{?b}}")["a"] == two["a"]  # it may be unset in the file after all


def test_a_path_below_a_substitution_may_be_unset_and_counts_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("up.x", "1")
    assert len(read("a = ${up.x}\nup { x = 1 }")["a"]) == 3
    assert len(read("a = ${up.x}\nup { y = 1 }")["a"]) == 4
    assert len(read("a = ${up.x}\nup { x = 1 }\nup = ${?b}")["a"]) == 4


# ---------------------------------------------------------------- includes


def data_of(folder: Path) -> Any:
    return FolderAdapter(folder, include="main.conf").canonicalize(folder).data["main.conf"]


def test_an_include_is_as_if_its_text_stood_there(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "base.conf").write_text('include "deep.json"\na = 1\nb { x = 1 }')
    (tmp_path / "sub" / "deep.json").write_text('{"deep": [1]}')
    (tmp_path / "main.conf").write_text('a = 0\ninclude "sub/base.conf"\nb.y = 2')
    assert data_of(tmp_path) == {"deep": [1], "a": 1, "b": {"x": 1, "y": 2}}
    result = FolderAdapter(tmp_path / "main.conf").canonicalize(tmp_path)
    assert [Path(getattr(item, "path", "")).name for item in result.references] == [
        "main.conf",
        "base.conf",
        "deep.json",
    ]


def cause(folder: Path) -> str:
    with pytest.raises(ConfigFileError) as caught:
        data_of(folder)
    return str(caught.value)


def test_an_include_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text('include "gone.conf"')
    assert "include 'gone.conf' cannot be read" in cause(tmp_path)


def test_an_include_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text('include "b.conf"')
    (tmp_path / "b.conf").write_text(f'include "../{tmp_path.name}/main.conf"')
    assert "includes itself" in cause(tmp_path)


def test_a_fault_in_an_included_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "main.conf").write_text('\n\ninclude "b.conf"')
    (tmp_path / "b.conf").write_text("x = 1\n]")
    assert "b.conf, line 2:" in cause(tmp_path)


# ---------------------------------------------------------------- properties

KEYS = st.sampled_from(["a", "b", "c", "long name", "x.y"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=6),
)
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)


def written(value: Any, draw: Callable[[list[str]], str]) -> str:
    """A HOCON text of some layout for a value."""
    import json

    gap = draw(["", " ", " # note\n ", "\n// note\n"])
    if isinstance(value, dict):
        fields = [f"{json.dumps(key)} {draw(['=', ':'])} {written(item, draw)}{gap}" for key, item in value.items()]
        return "{" + gap + draw([",", "\n", " ,\n"]).join(fields) + gap + "}"
    if isinstance(value, list):
        return "[" + gap + draw([",", "\n"]).join(written(item, draw) for item in value) + gap + "]"
    return json.dumps(value)


@given(TREES, st.data())
def test_layout_and_comments_do_not_show(tree: dict[str, Any], data: st.DataObject) -> None:
    def draw(choices: list[str]) -> str:
        return data.draw(st.sampled_from(choices))

    assert repr(_sorted(read(written(tree, draw)))) == repr(_sorted(read(written(tree, lambda choices: choices[0]))))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@given(TREES, TREES)
def test_two_trees_are_equal_only_if_they_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    def first(choices: list[str]) -> str:
        return choices[0]

    same = repr(_sorted(one)) == repr(_sorted(other))
    assert (repr(_sorted(read(written(one, first)))) == repr(_sorted(read(written(other, first))))) == same


@given(st.text(st.sampled_from('ab.={}[],:+$"\n #/?1 \\'), max_size=25))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert isinstance(read(text), dict)
    except ConfigFileError as error:
        assert error.line is not None  # noqa: PT017
