"""Values that a loaded module holds beyond its source, and environment variables that code names."""

import ast
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

from consist_es.identity.live.loaded import loaded_parts, portable, subclasses, submodules
from consist_es.identity.live.settings import HeldValues
from consist_es.identity.text.readers import Readers
from consist_es.identity.text.source import Source, digest_plain
from consist_es.identity.text.variables import variable_parts

ROOT = Path("/project")


def parts(text: str, change: str = "", *, only_changed: bool = False, step: str = "") -> list[str]:
    """Names of the parts of a module with this source, after some statements were run in it and read by `step`."""
    namespace: dict[str, Any] = {"__name__": "helper", "__package__": ""}
    source = Source("helper.py", text)
    exec(compile(text, "helper.py", "exec"), namespace)
    exec(change, namespace)
    found, held = loaded_parts(source, namespace, "helper.py", only_changed=only_changed)
    readers = Readers()
    readers.add(source.tree)
    readers.add(ast.parse(step))
    judge = HeldValues(ROOT, readers, lambda item: None, lambda value: None)
    judge.add(held)
    judge.count(found)
    return sorted(found)


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


FILLS = [
    "if 1 not in A: A[1] = g()\n return A[1]",
    "return A.setdefault('b', g())",
    "global A\n if not A: A = g()\n return A",
    "if A.get(1) is None: A.update(g())\n return A",
]
SETS = ["A['a'] = x", "A.update(a=x)", "A.update(x)", "A['a']['b'] = g(x)", "global A\n A = g(x)", "A['a'] = float(x)"]
SILENT = ["A['a'] += 1", "del A['a']", "A.clear()", "A['b'] = 1"]
READS = ["return A['a']", "return g(A)", "B = A\n B['a'] = 1", "return lambda: A"]


def function(body: str, name: str = "f") -> str:
    return f"def {name}(x):\n {body}\n"


@pytest.mark.parametrize("body", [*FILLS, *SILENT])
def test_a_variable_that_only_the_functions_that_fill_it_read_is_state(body: str) -> None:
    text = "A = {'a': 1}\n" + function(body) + function("A.clear()", "reset")
    assert parts(text, "A['a'] = 3", step="f()") == []


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("body", [*FILLS, *SETS, *SILENT])
def test_a_variable_that_another_function_reads_counts(body: str, read: str) -> None:
    text = "A = {'a': 1}\n" + function(body) + function(read, "get")
    assert parts(text, "A['a'] = 3", step="helper.get()") == ["value A of helper.py"]


@pytest.mark.parametrize("body", [*FILLS, *SETS, *SILENT])
@pytest.mark.parametrize("step", ["helper.A['a']", "getattr(helper, 'A')", "from helper import A", "vars(helper)['A']"])
def test_a_variable_that_other_code_reads_counts(body: str, step: str) -> None:
    assert parts("A = {'a': 1}\n" + function(body), "A['a'] = 3", step=step) == ["value A of helper.py"]


@pytest.mark.parametrize("body", [*SETS, *SILENT])
def test_a_reader_that_nothing_names_reads_nothing(body: str) -> None:
    text = "A = {'a': 1}\n" + function(body) + function("return A", "report")
    assert parts(text, "A['a'] = 3", step="helper.f(1)") == []


@pytest.mark.parametrize(
    "body", ["A['a'] = x\n return A", "A['a'] = float(x)\n return A['a']", "global A\n A = x\n return A"]
)
def test_a_function_that_keeps_what_it_was_handed_sets_a_setting(body: str) -> None:
    assert parts("A = {'a': 1}\n" + function(body), "A = {'a': 3}", step="f()") == ["value A of helper.py"]


@pytest.mark.parametrize(
    "body",
    [
        "A = {}\n A['a'] = 2",
        "return A['a']",
        "for A in []:\n  A.update(a=2)",
        "self.A = 1",
        "return lambda A: A.clear()",
    ],
)
def test_a_variable_of_the_same_name_within_a_function_is_another(body: str) -> None:
    assert parts("A = {'a': 1}\n" + function(body), "A['a'] = 3") == ["value A of helper.py"]


def test_class_attributes_that_methods_fill_and_read_are_state_and_those_of_self_are_not() -> None:
    text = "class C:\n a, b, c, d = {}, {}, {}, 1\n def f(self):\n"
    text += "  self.a = 1\n  if not self.b: self.b[1] = 1\n  C.c[1] = 1\n  return self.b, C.c, self.d\n"
    change = "for name in 'abcd': setattr(C, name, {5: 5})"
    assert parts(text, change) == ["value C.a of helper.py", "value C.d of helper.py"]


@pytest.mark.parametrize(
    "body",
    ["A[x] = time.time()", "t = perf_counter()\n g()\n d = perf_counter() - t\n A[x] = d", "A.append(time.monotonic())",
     "global A\n A = datetime.datetime.now()", "A[x] += time.time_ns()"],
)  # fmt: skip
def test_what_a_clock_said_is_no_setting_whoever_reads_it(body: str) -> None:
    text = "A = {'a': 1}\n" + function(body) + function("A.clear()", "reset") + function("return A", "report")
    assert parts(text, "A['a'] = 3", step="report()") == []
    assert parts(text + function("A['b'] = x", "set"), "A['a'] = 3", step="report()") == ["value A of helper.py"]


@pytest.mark.parametrize("body", ["A[x] = model.time()", "A[x] = time.sleep(1)", "t = time.time()\n A[x] = load()"])
def test_what_is_no_clocks_word_is_a_setting(body: str) -> None:
    text = "A = {'a': 1}\n" + function(body) + function("return A", "report")
    assert parts(text, "A['a'] = 3", step="report()") == ["value A of helper.py"]


@pytest.mark.parametrize(
    ("method", "head", "step", "counts"),
    [
        ("dump", "C:", "", False),
        ("dump", "C:", "c.dump()", True),
        ("dump", "C(Base):", "", True),
        ("read", "C:", "", True),
        ("__len__", "C:", "", True),
    ],
)
def test_a_method_that_nothing_names_reads_nothing(method: str, head: str, step: str, counts: bool) -> None:
    text = f"Base = list\nclass {head}\n lines = []\n def say(self, x): C.lines.append(x)\n"
    text += f" def {method}(self): return len(C.lines)\n"
    found = [part for part in parts(text, "C.lines.append(1)", step=step) if "lines" in part]
    assert found == (["value C.lines of helper.py"] if counts else [])


def test_a_variable_that_the_source_does_not_name_counts_where_it_is_read() -> None:
    assert parts("", "A = 1", step="helper.A") == ["value A of helper.py"]
    assert parts("class C: pass", "C.a = 1", step="helper.C.a") == ["value C.a of helper.py"]
    assert parts("", "A = 1", step="helper.B") == []


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


@pytest.mark.parametrize(
    "text",
    [
        "d = {}\nd['A']",
        "d.get('A')",
        "import os\nos.environ[name]",
        "environ['A']",
        "import os\nos.environ['']",
        "import os\nos.environ.get(3)",
        "import os\nos.environ.clear()",
    ],
)
def test_other_look_ups_name_no_variable(text: str) -> None:
    source = Source("m.py", text + "\n# environ")
    assert variable_parts(source, source.tree) == {}


COMPUTED = {
    "under match": "match 1:\n case 1:\n  A = g()",
    "under while": "while True:\n A = g()\n break",
    "in a handler": "try:\n raise OSError\nexcept OSError:\n A = g()",
    "in a handler of a group": "try:\n raise OSError\nexcept* OSError:\n A = g()",
    "in a test": "if (A := g()): pass",
    "by a loop": "for A in [g()]: pass",
    "by with": "import contextlib\nwith contextlib.nullcontext(g()) as A: pass",
    "by a pattern": "match g():\n case A: pass",
    "by a part of a pattern": "match [1, g()]:\n case [1, *A]: pass",
    "by the rest of a pattern": "match {1: g()}:\n case {**A}: pass",
    "in a comprehension": "[A := g() for _ in [1]]",
    "with its type": "A: int = g()",
    "with another": "A, B = g(), 1",
    "twice": "A = 1\nA = g()",
    "by adding": "A = 1\nA += g()",
}


@pytest.mark.parametrize("text", COMPUTED.values(), ids=COMPUTED)
def test_a_value_counts_however_the_source_binds_it(text: str) -> None:
    define = "def g(): return 1\n"
    assert "value A of helper.py" in parts(define + text, step="helper.A")
    inside = "class C:\n" + textwrap.indent(text, " ")
    if "A := g() for" not in text:  # which a class may not hold
        assert "value C.A of helper.py" in parts(define + inside, step="helper.C.A")


@pytest.mark.parametrize(
    "text", ["B = [A for A in [1]]", "B = lambda: (A := 1)", "def f(): A = 1", "import os as A", "__A = 1"]
)
def test_names_that_a_body_does_not_bind_to_a_value_are_none_of_its_values(text: str) -> None:
    assert [part for part in parts(text, "B = 1", step="helper.A") if "value A" in part] == []


CHOSEN = "if {}:\n def f(): return 1\nelse:\n def f(): return 2"


def test_which_of_several_functions_of_a_name_is_loaded_counts() -> None:
    assert parts("def f(): return 1") == []
    assert digests(CHOSEN.format("g()"), "1") != digests(CHOSEN.format("g()"), "0")
    assert digests(CHOSEN.format("g()"), "1").keys() == {"chosen function f of helper.py"}
    assert parts("g = lambda: 1\n" + CHOSEN.format("g()"), only_changed=True) == []


def test_which_of_several_classes_of_a_name_is_loaded_counts() -> None:
    for one, other in (
        ("def f(self): return 1", "def f(self): return 2"),
        ("a = 1", "a = 2"),
        ("def f(self): 1", "pass"),
    ):
        text = f"if g():\n class C:\n  {one}\nelse:\n class C:\n  {other}"
        assert digests(text, "1") != digests(text, "0")


def test_a_function_in_place_of_one_that_the_source_defines_under_a_condition_counts() -> None:
    assert parts("if True:\n def f(): return 1", "f = lambda: 2") == ["replaced function f of helper.py"]
    assert parts("if True:\n class C:\n  def f(self): pass", "C.f = None") == ["replaced function C.f of helper.py"]


def digests(text: str, condition: str) -> dict[str, str]:
    """Parts of a module whose condition, which the source does not show, is this."""
    namespace: dict[str, Any] = {"__name__": "helper", "g": lambda: eval(condition)}
    source = Source("helper.py", text)
    exec(compile(text, "helper.py", "exec"), namespace)
    found, held = loaded_parts(source, namespace, "helper.py", only_changed=False)
    judge = HeldValues(ROOT, Readers(), lambda item: None, lambda value: None)
    judge.add(item for item in held if item.name != "g")
    judge.count(found)
    return found


def test_an_imported_name_that_was_set_to_something_else_counts_where_it_is_read() -> None:
    text = "from math import pi as A, e\n"
    assert parts(text, step="helper.A") == []
    assert parts(text, "A = 3", step="helper.A") == ["value A of helper.py"]
    assert parts(text, "A = 3", step="helper.e") == []
    assert parts(text, "del A", step="helper.A") == []


def test_names_that_all_are_imported_count_only_where_they_were_set_to_something_else() -> None:
    assert parts("from math import *", step="helper.pi") == []
    assert parts("from math import *", "pi = 3", step="helper.pi") == ["value pi of helper.py"]


@pytest.mark.parametrize("name", ["A", "*"])
def test_a_relative_import_that_another_one_took_the_place_of_is_no_error(name: str) -> None:
    text = f"try:\n from .near import {name}\nexcept ImportError:\n A = 1"
    assert parts(text, step="helper.A") == []
    assert parts(text, "A = 2", step="helper.A") == ["value A of helper.py"]


def test_an_import_of_a_module_that_is_not_loaded_is_no_error() -> None:
    assert parts("try:\n from nowhere_at_all import A\nexcept ImportError:\n A = 1", step="helper.A") == []


def test_what_is_registered_with_a_function_that_dispatches_counts() -> None:
    text = "import functools\n@functools.singledispatch\ndef f(x): return 1\n"
    text += "class C:\n @functools.singledispatchmethod\n def g(self, x): return 1\n"
    text += "@functools.lru_cache\ndef h(): return 1\n"
    source, namespace = Source("helper.py", text), dict[str, Any](__name__="helper")
    exec(compile(text, "helper.py", "exec"), namespace)
    exec("f.register(int, len)\nC.g.register(str, len)", namespace)
    held = loaded_parts(source, namespace, "helper.py", only_changed=False)[1]
    found = {item.label: (set(item.value), item.attribute) for item in held if item.label.startswith("registry")}
    assert found == {
        "registry of helper.py:f": ({"builtins.object", "builtins.int"}, False),
        "registry of helper.py:C.g": ({"builtins.object", "builtins.str"}, True),
    }


def test_the_classes_below_a_class_are_held_each_once() -> None:
    namespace: dict[str, Any] = {"__name__": "helper"}
    exec("class A: pass\nclass B(A): pass\nclass C(A): pass\nclass D(B, C): pass", namespace)
    (held,) = subclasses(namespace["A"], "m.py:A", Source("m.py", ""))
    assert (held.label, held.name) == ("subclasses of m.py:A", "__subclasses__")
    assert [item.__name__ for item in held.value] == ["B", "C", "D"]
    assert subclasses(namespace["D"], "m.py:D", Source("m.py", "")) == []


def test_the_loaded_modules_of_a_package_without_a_file_are_held() -> None:
    package, inner = types.ModuleType("p"), types.ModuleType("p.inner")
    assert submodules(None) == submodules(package) == []
    package.__path__ = []
    vars(package).update(inner=inner, other=1)
    (held,) = submodules(package)
    assert (held.label, held.where, held.name, held.value) == ("inner of p", "p", "inner", inner)


def test_what_a_decorator_leaves_in_a_class_is_not_held() -> None:
    assert parts("class C: pass", "C._made = 1", step="helper.C._made") == []
    assert parts("class C: pass", "C.made = 1", step="helper.C.made") == ["value C.made of helper.py"]


WRAPPING = """
def scaled(rate):
    def decorate(fn):
        def inner(*args):
            return fn(*args) * rate
        return inner
    return decorate
"""
MEMO = """
def remembered(fn):
    cache = {}
    def inner(n):
        if n not in cache:
            cache[n] = fn(n)
        return cache[n]
    return inner
"""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("@scaled(float('1.5'))\ndef cost(x): return x", "cost"),
        ("class C:\n @scaled(float('1.5'))\n def cost(self): return 1", "C.cost"),
        ("class C:\n @staticmethod\n @scaled(float('1.5'))\n def cost(): return 1", "C.cost"),
        ("class C:\n @property\n @scaled(float('1.5'))\n def cost(self): return 1", "C.cost"),
        ("@scaled(float('1.5'))\n@scaled(float('2.5'))\ndef cost(x): return x", "cost"),
    ],
)
def test_what_a_decorator_computed_at_import_counts(text: str, part: str) -> None:
    assert f"closure variable rate of helper.py:{part}" in parts(WRAPPING + text)
    assert parts(WRAPPING + text, only_changed=True) == []


def test_each_of_several_decorators_counts() -> None:
    text = WRAPPING + "@scaled(float('1.5'))\n@scaled(float('2.5'))\ndef cost(x): return x"
    title = "closure variable rate of helper.py:cost"
    assert parts(text) == [title, f"{title} (2)"]


def test_what_a_memoising_decorator_keeps_does_not_count() -> None:
    text = MEMO + "@remembered\ndef cost(n): return n"
    assert parts(text) == parts(text, "cost(3)") == []


def test_a_decorator_that_gives_something_else_than_a_function_holds_nothing_here() -> None:
    assert parts("import functools\n@functools.lru_cache\ndef cost(n): return n") == []
    assert parts("def late(fn):\n def inner(): return inner\n return inner\n@late\ndef cost(): return 1") == []


def test_what_a_wrapper_captured_and_is_not_bound_yet_is_no_error() -> None:
    text = "def deco(fn):\n def inner(): return later\n if fn is None:\n  later = 1\n return inner\n"
    assert parts(text + "@deco\ndef cost(): return 1") == ["closure variable later of helper.py:cost"]
