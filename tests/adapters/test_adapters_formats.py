"""What each format gives as data: layout does not show, what a program could tell apart does."""

import configparser
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.adapters.formats import MAX_BYTES, read_data
from consist_es.adapters.numbers import exact
from consist_es.errors import ConfigFileError, MissingExtraError


def read(kind: str, text: str | bytes) -> Any:
    content = text.encode() if isinstance(text, str) else text
    return read_data(Path(f"conf/settings.{kind}"), kind, lambda _: content)


def read_yaml(text: str) -> Any:
    pytest.importorskip("yaml")
    return read("yaml", text)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("1e3", "1000.0"), ("0.1", "1e-1")])
def test_one_number_written_twice_is_one(one: str, other: str) -> None:
    assert repr(exact(one)) == repr(exact(other))


@pytest.mark.parametrize(
    "text", ["0.10000000000000000000001", "1e400", "123456789012345678.9", "nan", "inf", "1e99999999999999999999"]
)
def test_a_number_that_no_float_is_stays_text(text: str) -> None:
    assert exact(text) == ("number", text)


def test_a_very_long_number_stays_text() -> None:
    assert exact("1" * 5000, whole=True)[0] == "number"


# ---------------------------------------------------------------- json


def test_json_is_read_with_whole_numbers_and_floats_apart() -> None:
    assert repr(read("json", '\ufeff{"a": 1, "b": 1.0, "c": [true, null, "x"]}')) == repr(
        {"a": 1, "b": 1.0, "c": [True, None, "x"]}
    )


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('{"a": 1,\n "b": }', 2, "not valid JSON"),
        ('{"a": 1} x', 1, "not valid JSON"),
        ("", 1, "not valid JSON"),
        ('{"a": 1,\n\n"a": 2}', 3, "the key 'a' is there twice"),
        ("[" * 200_000, None, "nested too deep"),
    ],
)
def test_json_that_cannot_be_read_is_refused(text: str, line: int | None, problem: str) -> None:
    check_refused("json", text, line, problem)


def check_refused(kind: str, text: str | bytes, line: int | None, problem: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        read(kind, text)
    assert (caught.value.line, str(caught.value.path)) == (line, f"conf/settings.{kind}")
    assert problem in str(caught.value)
    assert f"formats={{'settings.{kind}': 'bytes'}}" in str(caught.value)


def test_the_lines_of_a_key_that_is_there_three_times_are_listed() -> None:
    check_refused("json", '{"a": {"k": 1},\n"b": {"k": 1,\n"k": 2}}', None, "lines with that key: 1, 2, 3")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), st.lists))
def test_json_says_what_pythons_parser_says(value: Any) -> None:
    text = json.dumps(value)
    assert _numbers(read("json", text)) == repr(json.loads(text))


def _numbers(value: Any) -> str:
    """The value with numbers that are kept as text turned into floats or ints."""

    def back(item: Any) -> Any:
        if isinstance(item, tuple):
            return float(item[1]) if set(item[1]) & set(".eE") else int(item[1])
        return [back(inner) for inner in item] if isinstance(item, list) else item

    return repr(back(value))


# ---------------------------------------------------------------- toml


def test_toml_is_read() -> None:
    text = "# note\nrate = 1.10\n[a.b]\nc = [1, 2]  # note\nd = 2030-01-01\n"
    assert read("toml", text) == read("toml", "a.b.d = 2030-01-01\na.b.c = [1,2]\nrate = 1.1")
    assert read("toml", text) != read("toml", text.replace("2030", "2031"))


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = ", 2), ("a = 1\na = 2", 2), ("a = [", 1)])
def test_toml_that_cannot_be_read_is_refused(text: str, line: int) -> None:
    with pytest.raises(ConfigFileError, match="not valid TOML") as caught:
        read("toml", text)
    assert caught.value.line in (line, None)  # TOML's parser says "at end of document" for some


# ---------------------------------------------------------------- ini


def test_ini_is_read_as_python_reads_it_with_case_kept() -> None:
    text = "; note\n[run]\nYears = 2020\n  2030\nflag\nempty =\npath: %(home)s/x\n[DEFAULT]\nhome = h\n"
    assert read("ini", text) == {
        "run": {"Years": "2020\n2030", "flag": None, "empty": "", "path": "%(home)s/x"},
        "DEFAULT": {"home": "h"},
    }
    parser = configparser.RawConfigParser(allow_no_value=True)
    parser.read_string(text)
    assert parser["run"]["years"] == "2020\n2030"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1", 1, "no section headers"),
        ("[s]\na = 1\na = 2", 3, "already exists"),
        ("[s]\n[t]\n[s]", 3, "already exists"),
        ("[s]\n= 1", 2, "parsing errors"),
    ],
)
def test_ini_that_cannot_be_read_is_refused(text: str, line: int, problem: str) -> None:
    check_refused("ini", text, line, problem)


# ---------------------------------------------------------------- yaml


def test_yaml_without_the_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(MissingExtraError, match=r"settings.yaml needs PyYAML: pip install 'consist-es\[yaml\]'"):
        read("yaml", "a: 1")


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1\nb: [x, 1.50, true, ~]", {"a": 1, "b": ["x", 1.5, True, None]}),
        ("a:\n  - x  # note\n  - 'y'\n", {"a": ["x", "y"]}),
        ("base: &b {x: 1}\nother: *b", {"base": {"x": 1}, "other": {"x": 1}}),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("a: yes", {"a": ("yaml", "yes", "bool")}),
        ("a: 'yes'", {"a": "yes"}),
        ("a: 010\nb: 1e3\nc: 1_000\nd: 0x1f\ne: 1:30\nf: y", None),
        ("a: 2030-01-01", {"a": ("yaml", "2030-01-01", "timestamp")}),
        ("a: !env HOME", {"a": ("yaml", "!!env HOME", "!env")}),
        ("a: !list [1]", {"a": {"(tag !list)": [1]}}),
        ("1: a\n'1': b\n'(1)': c\nyes: d", {"(1)": "a", "1": "b", "((1)": "c", "(yaml bool yes)": "d"}),
        ("a: {}\nb: []\nc:", {"a": {}, "b": [], "c": None}),
        ("", None),
    ],
)
def test_what_is_read_from_yaml(text: str, data: Any) -> None:
    found = read_yaml(text)
    if data is None and text:
        assert {value[0] for value in found.values()} == {"yaml"}
    elif text:
        assert repr(found) == repr(data)
    else:
        assert found == ("documents", "0 documents", [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a: 1\nb: 2", "b: 2\na: 1  # note"),
        ("a: [1, 2]", "a:\n- 1\n- 2"),
        ("a: 1.0", "a: 1.00"),
        ("a: word", "a: 'word'"),
        ("x: &x {k: 1}\ny: *x", "x: {k: 1}\ny: {k: 1}"),
    ],
)
def test_yaml_of_another_layout_is_the_same(one: str, other: str) -> None:
    assert _sorted(read_yaml(one)) == _sorted(read_yaml(other))


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a: yes", "a: true"),
        ("a: 010", "a: 8"),
        ("a: 010", "a: 10"),
        ("a: 1e3", "a: '1e3'"),
        ("a: 1", "a: '1'"),
        ("a: 1", "a: 1.0"),
        ("a: y", "a: 'y'"),
        ("a: ~", "a: '~'"),
        ("a: !x 1", "a: 1"),
        ("1: a", "'1': a"),
        ("- a", "--- a"),
        ("--- a\n--- b", "- a\n- b"),
        ("a: yes", "%YAML 1.2\n---\na: yes"),
        ("a: {<<: {b: 1}}", "a: {b: 1}"),
    ],
)
def test_yaml_that_some_program_reads_differently_differs(one: str, other: str) -> None:
    assert repr(read_yaml(one)) != repr(read_yaml(other))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: [1", 2, "not valid YAML"),
        ("a: 1\n\tb: 2", 2, "not valid YAML"),
        ("a: 1\nb: 2\na: 3", 3, "the key 'a' is there twice"),
        ("a: 1\n? [x]\n: 2", 2, "a key that is itself a list"),
        ("a: &x [*x]", 1, "an alias inside its own anchor"),
        ("a: *x", 1, "not valid YAML"),
        ("a: \x07", None, "not valid YAML"),
    ],
)
def test_yaml_that_cannot_be_read_is_refused(text: str, line: int | None, problem: str) -> None:
    pytest.importorskip("yaml")
    with pytest.raises(ConfigFileError) as caught:
        read("yaml", text)
    assert caught.value.line in (line, (line or 0) + 1)  # the end of an open bracket is on the next line
    assert problem in str(caught.value)


def test_yaml_constructs_nothing() -> None:
    assert read_yaml("!!python/object/apply:os.getcwd []") == {"(tag python/object/apply:os.getcwd)": []}


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigFileError, match="more than 1,000,000 values"):
        read_yaml("\n".join(lines))


# ---------------------------------------------------------------- every format


@pytest.mark.parametrize("kind", ["json", "toml", "ini", "hocon"])
def test_text_that_is_not_utf8_is_refused_with_its_line(kind: str) -> None:
    check_refused(kind, b"\n\n\xff", 3, "not UTF-8")


def test_a_file_too_large_for_a_configuration_is_refused() -> None:
    check_refused("json", b" " * (MAX_BYTES + 1), None, "16,777,217 bytes")


SETTINGS: dict[str, Callable[[dict[str, str]], str]] = {
    "json": lambda data: json.dumps({"s": data}),
    "toml": lambda data: "[s]\n" + "".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in data.items()),
    "hocon": lambda data: "s {\n" + "".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in data.items()) + "}",
    "ini": lambda data: "[s]\n" + "".join(f"{k} = {v}\n" for k, v in data.items()),
    "yaml": lambda data: "s:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in data.items()) + ("  {}" * (not data)),
}
WORDS = st.dictionaries(st.sampled_from(["growth", "years", "mode"]), st.text("abc xyz", min_size=1).map(str.strip))


@pytest.mark.parametrize("kind", SETTINGS)
@given(WORDS)
def test_every_format_says_the_same_of_the_same_settings(kind: str, data: dict[str, str]) -> None:
    if kind == "yaml":
        pytest.importorskip("yaml")
    assert read(kind, SETTINGS[kind](data)) == {"s": data}
