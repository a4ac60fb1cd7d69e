"""Values that a loaded module holds beyond its source, and environment variables that code names."""

import ast
from pathlib import Path
from typing import Any

import pytest

from consist_es.identity.loaded import loaded_parts, portable
from consist_es.identity.source import Source, digest_plain
from consist_es.identity.variables import variable_parts
from consist_es.identity.writes import written

ROOT = Path("/project")


def parts(text: str, change: str = "", *, only_changed: bool = False) -> list[str]:
    """Names of the parts of a module with this source, after some statements were run in it."""
    namespace: dict[str, Any] = {"__name__": "helper"}
    source = Source("helper.py", text)
    exec(compile(text, "helper.py", "exec"), namespace)
    exec(change, namespace)
    return sorted(loaded_parts(source, namespace, "helper.py", ROOT, only_changed=only_changed))


@pytest.mark.parametrize(
    "text",
    ["A = 1", "A = {'a': [1, -2.5]}", "class C:\n a = (1, 2)", "def f(): pass", "class C:\n def f(self): pass",
     "import enum\nclass E(enum.Enum):\n A = 1", "import logging\nlog = logging.getLogger('x')"],
)  # fmt: skip
def test_a_module_that_is_as_its_source_says_has_no_part(text: str) -> None:
    assert parts(text) == []


@pytest.mark.parametrize(
    ("text", "change", "part"),
    [
        ("A = 1", "A = 2", "value A"),
        ("A = 1", "A = True", "value A"),
        ("A = {'a': 1}", "A['a'] = 2", "value A"),
        ("class C:\n a = 1", "C.a = 2", "value C.a"),
        ("class C:\n class D:\n  a = [1]", "C.D.a.append(2)", "value C.D.a"),
        ("def f(): pass", "f = lambda: 2", "replaced function f"),
        ("async def f(): pass", "f = lambda: 2", "replaced function f"),
        ("class C:\n def f(self): return 1", "C.f = lambda self: 2", "replaced function C.f"),
    ],
)
@pytest.mark.parametrize("only_changed", [False, True])
def test_what_was_changed_since_is_a_part_of_its_own(text: str, change: str, part: str, only_changed: bool) -> None:
    assert parts(text, change, only_changed=only_changed) == [f"{part} of helper.py"]


def test_a_value_that_the_source_computes_counts_only_where_the_module_is_certainly_loaded() -> None:
    text = "A = dict(a=1)\nclass C:\n b = 1 + 1"
    assert parts(text) == ["value A of helper.py", "value C.b of helper.py"]
    assert parts(text, only_changed=True) == []


@pytest.mark.parametrize(
    "function",
    ["A['a'] = 2", "A.update(a=2)", "A['a']['b'] = 2", "A['a'] += 1", "del A['a']", "global A\n A = {}"],
)
def test_a_variable_that_the_modules_functions_write_is_state(function: str) -> None:
    assert parts(f"A = {{'a': 1}}\ndef f():\n {function}", "A['a'] = 3") == []


@pytest.mark.parametrize(
    "function",
    ["A = {}\n A['a'] = 2", "return A['a']", "for A in []:\n  A.update(a=2)", "self.A = 1"],
)
def test_a_variable_of_the_same_name_within_a_function_is_another(function: str) -> None:
    assert parts(f"A = {{'a': 1}}\ndef f(self):\n {function}", "A['a'] = 3") == ["value A of helper.py"]


def test_attributes_that_methods_write_into_are_state_and_those_of_self_are_not() -> None:
    found = written(ast.parse("class C:\n def f(self):\n  self.a = 1\n  self.b['x'] = 1\n  C.c = 2\n  C.d.append(1)"))
    assert found.attributes == {"b", "c", "d"}


@pytest.mark.parametrize("value", [ROOT / "data", "/project/data", {"a": [ROOT / "data"]}, "/project"])
def test_places_below_the_project_do_not_depend_on_where_it_lies(value: Any) -> None:
    moved = eval(repr(value).replace("/project", "/elsewhere"), {"PosixPath": Path})
    assert portable(value, ROOT) == portable(moved, Path("/elsewhere"))
    assert portable(value, ROOT) != portable(moved, ROOT)


@pytest.mark.parametrize("value", ["/project2/data", "see /project/data", {"$project_path": "data"}, "data"])
def test_other_texts_are_not_taken_for_places_of_the_project(value: Any) -> None:
    assert portable(value, ROOT) != portable(ROOT / "data", ROOT)
    assert portable(value, ROOT) == portable(value, Path("/elsewhere"))


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['A']",
        "import os as o\no.environ.get('A', '1')",
        "import os\nos.environ.get(key='A')",
        "import os\nos.getenv('A')",
        "import os\n'A' in os.environ",
        "from os import environ as e\ne['A']",
        "from os import getenv as g\ng('A')",
        "import os\nNAME = 'A'\nos.environ[NAME]",
    ],
)
def test_a_variable_that_code_names_counts_by_its_value(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("m.py", text)
    found = []
    for value in ("1", "2"):
        monkeypatch.setenv("A", value)
        found.append(variable_parts(source, source.tree))
    monkeypatch.delenv("A")
    found.append(variable_parts(source, source.tree))
    assert found == [{"environment variable A": digest_plain(value)} for value in ("1", "2", None)]


@pytest.mark.parametrize("text", ["d = {}\nd['A']", "d.get('A')", "import os\nos.environ[name]", "environ['A']"])
def test_other_look_ups_name_no_variable(text: str) -> None:
    source = Source("m.py", text + "\n# environ")
    assert variable_parts(source, source.tree) == {}
