"""Values that code reaches: what of an object counts, wherever it is held, and what does not."""

import ast
import contextvars
import dataclasses
import datetime
import functools
import importlib
import logging
import operator
import sys
import threading
import types
import typing
import zoneinfo
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from consist_es.errors import CodeIdentityUnavailableError
from consist_es.identity.code import modes as code_module
from consist_es.identity.code.modes import CodeIdentity, code_identity, with_parts
from consist_es.identity.git import GitState
from consist_es.identity.installed.places import is_first_party
from consist_es.identity.live import left_behind
from consist_es.identity.live.modules import Modules, portable_or_none
from consist_es.identity.live.objects import (
    content_of,
    holds_function,
    is_data,
    is_simple,
    keeps_results,
    known_form,
    objects_in,
    present_in,
    state_of,
)
from consist_es.identity.text.imports import computed_imports
from consist_es.identity.text.readers import Readers, keeps
from consist_es.identity.text.source import Source, load_source
from consist_es.identity.text.usage import ATTRIBUTE, CLEAR, NAME, OWN, READ, usage
from consist_es.identity.text.writes import only_written
from tests.identity.code.test_code_identity import Code

M, H = "model.py", "helper.py"


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Code(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def after(code: Code, *changes: str, by_step: Container[str] = (), **options: Any) -> list[CodeIdentity]:
    """The identity of the step as it is loaded, and after each of these statements, run in `helper` or else `model`,
    outside of steps but for those in `by_step`."""
    step = code.load().step
    namespace = vars(sys.modules.get("helper") or sys.modules["model"])
    found = [code_identity(step, project_root=code.root, **options)]
    for change in changes:
        running = left_behind.Running()
        if change in by_step:
            running.begin()
        exec(change, namespace)
        running.end()
        found.append(code_identity(step, project_root=code.root, **options))
    return found


# ---------------------------------------------------------------- objects that a module holds

SETTINGS = """
import functools
class Settings:
    def __init__(self, rate):
        self.rate = rate
        self.seen = {}
    def value(self):
        return self.rate
    def note(self, key):
        if key not in self.seen: self.seen[key] = self.rate
        return self.seen[key]
    @functools.cached_property
    def twice(self):
        return 2 * self.rate
S, T = Settings(1), Settings(2)
"""


READING = """
import os
class Settings:
    def __init__(self): self.seen = {}
    def note(self, key):
        if key not in self.seen: self.seen[key] = os.environ.get(key, "0")
        return self.seen[key]
S = Settings()
"""


def test_what_a_cache_has_read_counts_if_code_outside_of_steps_filled_it(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.S.note('x')\n", H: READING})
    start, noted, more, emptied = after(code, "S.note('x')", "S.note('y')", "S.seen.clear()")
    assert len({start.digest, noted.digest, more.digest}) == 3
    assert emptied.digest == start.digest


def test_what_was_filled_outside_counts_as_it_was_then_whatever_a_step_adds(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.S.note('x')\n", H: READING})
    _, filled, added, changed = after(code, "S.note('x')", "S.note('y')", "S.note('z')", by_step=["S.note('y')"])
    assert filled.digest == added.digest != changed.digest


def test_what_a_cache_has_computed_counts_once_it_may_be_stale(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.rate('a')\n", H: COMPUTING})
    start, computed, changed, stale = after(code, "rate('b')", "K.clear(); SCALE = 3", "rate('a'); SCALE = 4")
    assert start.digest == computed.digest
    (fresh,) = after(code, "SCALE = 4")[1:]
    assert changed.digest != stale.digest != fresh.digest


COMPUTING = """
SCALE = 2
K = {}
def rate(mode):
    if mode not in K: K[mode] = len(mode) * SCALE
    return K[mode]
"""


def test_of_an_object_that_a_module_holds_the_settings_count_and_its_caches_do_not(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.S.note(1), helper.S.twice, helper.T.rate\n", H: SETTINGS})
    start, noted, worked_out, changed = after(code, "S.note('x')", "S.twice", "S.rate = 2")
    assert start.digest == noted.digest == worked_out.digest != changed.digest
    assert start.unstable == changed.unstable == []


@pytest.mark.parametrize("read", ["helper.R.random()", "helper.O.rng.random()"])
def test_a_random_generator_of_a_module_that_the_step_draws_from_makes_it_unstable(code: Code, read: str) -> None:
    text = "import random\nR = random.Random(1)\nclass C:\n    rng = R\nO = C()\n"
    code.write({M: f"import helper\ndef step(): return {read}\n", H: text})
    (start,) = after(code)
    assert "each draw changes what later ones give" in start.unstable[0]


def test_a_cache_of_an_object_that_other_code_reads_counts(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.S.seen\n", H: SETTINGS})
    start, noted = after(code, "S.note('x')")
    assert start.digest != noted.digest


def test_what_has_no_form_in_an_object_of_a_module_does_not_keep_a_step_from_reuse(code: Code) -> None:
    text = "import random\nclass C:\n    def __init__(self):\n        self.rng, self.n = random.Random(1), 1\nS = C()\n"
    code.write({M: "import helper\ndef step(): return helper.S.n\n", H: text})
    start, changed = after(code, "S.n = 2")
    assert start.unstable == []
    assert start.digest != changed.digest


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("R = {'a': len}", "R['a'] = sum"),
        ("R = {}\ndef add(f): R[f.__name__] = f\n", "R['a'] = len"),
        ("R = (1, 2)", "R = object()"),
        ("import math\nR = math", "import cmath\nR = cmath"),
    ],
)
def test_a_registry_or_value_of_a_module_that_was_replaced_counts(code: Code, text: str, change: str) -> None:
    code.write({M: "import helper\ndef step(): return helper.R\n", H: text})
    start, changed = after(code, change)
    assert (start.digest != changed.digest) or text.startswith("import math")  # which module, its reader says
    assert start.unstable == changed.unstable == []


def test_a_module_of_the_project_that_another_one_is_handed_counts_by_its_source(code: Code) -> None:
    code.write({M: "import helper\ndef step(): return helper.chosen.K\n", H: "chosen = None\n", "other.py": "K = 1\n"})
    start, chosen = after(code, "import other as chosen")
    code.write({"other.py": "K = 2\n"})
    edited = after(code, "import other as chosen")[1]
    assert len({start.digest, chosen.digest, edited.digest}) == 3


def test_the_modules_of_a_package_without_a_file_count_where_they_are_read(code: Code) -> None:
    code.write({M: "import pack.a\nimport pack\ndef step(): return pack.a.K\n", "pack/a.py": "K = 1\n"})
    one = after(code)[0]
    code.write({"pack/a.py": "K = 2\n"})
    sys.modules.pop("pack", None)
    assert after(code)[0].digest != one.digest


def test_a_module_that_imports_by_computed_names_is_named_until_a_file_is_declared(code: Code) -> None:
    text = "import importlib\ndef load(name): return importlib.import_module(name)\n"
    code.write({M: "import helper\ndef step(): return helper.load('x')\n", H: text})
    (problem,) = code.identity().unstable
    assert problem.startswith("helper.py imports a module whose name is computed")
    assert code.identity(extra_deps=["helper.py"]).unstable == []


# ---------------------------------------------------------------- what a step reaches by itself


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("import contextvars\nV = contextvars.ContextVar('v', default=1)\ndef step(): return V.get()\n", "V.set(2)"),
        ("def make():\n    n = 1\n    def step(): return n\n    return step\nstep = make()\n", "step.rate = 2"),
        ("import types\nN = types.SimpleNamespace(a=1)\ndef step(): return N.a\n", "N.a = 2"),
        ("class C:\n    __slots__ = ('a',)\nN = C()\nN.a = 1\ndef step(): return N.a\n", "N.a = 2"),
        ("N = [[]]\ndef step(): return N\nN[0] = N\n", "N.append(1)"),
        (
            "def a(): return 1\ndef b(): return 2\ndef step(): return 1\nstep.__wrapped__ = a\n",
            "step.__wrapped__ = b",
        ),
        ("import re\nN = slice(1, 2)\ndef step(): return N\n", "N = slice(1, 3)"),
        ("class C:\n    a = 1\n    @property\n    def b(self): return 1\ndef step(): return C.a\n", "C.a = 2"),
        (
            "import functools\nclass C:\n    @functools.cached_property\n    def b(self): return 1\n"
            "def step(): return C().b\n",
            "C.b.func = len",
        ),
    ],
)
def test_the_present_value_of_what_a_step_reads_counts(code: Code, text: str, change: str) -> None:
    code.write({M: text})
    code.load()
    with ContextRestored():
        start, changed = after(code, change)
    assert start.digest != changed.digest
    assert start.unstable == changed.unstable == []


class ContextRestored:
    """Nothing is set beyond the block."""

    def __enter__(self) -> None:
        self.before = contextvars.copy_context()

    def __exit__(self, *_: object) -> None:
        for variable in contextvars.copy_context():
            if variable in self.before:
                variable.set(self.before[variable])


def test_the_class_of_a_value_counts_however_the_value_came_to_the_step(code: Code) -> None:
    conf = "import dataclasses\n@dataclasses.dataclass\nclass C:\n    n: int = 1\n    def k(self): return 1\n"
    model = "import helper\nCONF = helper.make()\ndef step(): return CONF.k()\n"
    code.write({M: model, H: "import conf\ndef make(): return conf.C()\n", "conf.py": conf})
    found = [after(code)[0].digest]
    code.write({"conf.py": conf.replace("return 1", "return 2")})
    assert after(code)[0].digest not in found


def test_a_name_that_is_not_bound_yet_and_a_variable_that_is_not_set_stand_for_nothing() -> None:
    def make() -> Callable[[], Any]:
        def inner() -> Any:
            return later

        if inner is None:
            later: int = 1
        return inner

    (cell,) = make().__closure__ or ()
    assert content_of(cell) is None
    assert content_of(types.CellType(3)) == 3
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    assert present_in(variable) is None
    token = variable.set(3)
    assert present_in(variable) == 3
    variable.reset(token)


def test_marks_of_this_library_and_of_pytest_on_a_function_do_not_count(code: Code) -> None:
    code.write({M: "def step(): return 1\n"})
    found = after(code, "step.__consist_x = 1", "step._consist_y = 1", "step.pytestmark = 1", "step.mine = 1")
    assert len({item.digest for item in found[:4]}) == 1
    assert found[4].digest != found[0].digest


def test_what_a_memoising_wrapper_of_another_file_has_kept_does_not_count_and_a_setting_in_it_does(code: Code) -> None:
    text = (
        "import functools\ndef memo(f, by=1):\n    known, n = {}, [by]\n    @functools.wraps(f)\n    def inner(x):\n"
        "        if x not in known: known[x] = f(x) * n[0]\n        return known[x]\n    return inner\n"
    )
    code.write({H: text, M: "from helper import memo\n@memo\ndef work(x): return x\ndef step(): return work(1)\n"})
    step = code.load().step
    work = sys.modules["model"].work
    found = [code_identity(step, project_root=code.root).digest]
    work(1)
    found.append(code_identity(step, project_root=code.root).digest)
    work.__closure__[work.__code__.co_freevars.index("n")].cell_contents[0] = 2
    found.append(code_identity(step, project_root=code.root).digest)
    assert found[0] == found[1] != found[2]


def test_code_without_source_that_runs_code_by_name_is_never_reused(code: Code) -> None:
    namespace: dict[str, Any] = {"__name__": "made"}
    exec("def step(): return eval('1')", namespace)
    (problem,) = code_identity(namespace["step"], project_root=code.root).unstable
    assert problem.endswith("step runs code by name, and has no source file")
    found = code_identity(namespace["step"], project_root=code.root, mode="callable_source")
    assert found.unstable == []


def test_a_class_as_a_step_counts_by_its_own_file(code: Code) -> None:
    code.write({M: "class step:\n    def __init__(self): self.a = 1\n"})
    step = code.load().step
    parts = code_identity(step, mode="callable_module", project_root=code.root).parts
    assert "file model.py" in parts
    step.__module__ = "nowhere"
    with pytest.raises(CodeIdentityUnavailableError):
        code_identity(step, mode="callable_module", project_root=code.root)


def test_data_that_methods_of_a_class_in_another_file_write_to_does_not_count(code: Code) -> None:
    text = "class C:\n    n, rate = 0, 1\n    def f(self):\n        C.n += 1\n        return self.rate\n"
    code.write({H: text, M: "from helper import C\nclass D(C): pass\ndef step(): return D().f()\n"})
    start, counted, changed = after(code, "C.n = 7", "C.rate = 2")
    assert start.digest == counted.digest != changed.digest


def test_without_a_function_the_repository_and_what_is_declared_count(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity() -> str:
        return code_identity(None, mode="repo_git", extra_deps=["x"], project_root=code.root).digest

    found = []
    for commit, dirty, text in (("1", None, "a"), ("2", None, "a"), ("2", "b3:1", "a"), ("2", "b3:1", "b")):
        state = GitState(commit, dirty)
        monkeypatch.setattr(code_module, "git_state", lambda _folder, state=state: state)
        code.write({"x": text})
        found.append(identity())
        assert identity() == found[-1]
    assert len(set(found)) == 4


def test_parts_that_are_replaced_make_another_identity(code: Code) -> None:
    found = code.identity({M: "def step(): return 1\n"})
    assert with_parts(found, {}) == found
    changed = with_parts(found, {"callable": "other"})
    assert (changed.digest != found.digest, changed.parts["callable"]) == (True, "other")


# ---------------------------------------------------------------- objects whose type is known


class Pair(NamedTuple):
    first: int


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (CodeIdentity("b3:1", "imports", {}, []), {"$ours": "b3:1"}),
        (list[int], {"$repr": "list[int]"}),
        (int | None, {"$repr": "int | None"}),
        (typing.TypeVar("T"), {"$repr": "~T"}),
        (operator.itemgetter(1), {"$repr": "operator.itemgetter(1)"}),
        (datetime.UTC, {"$zone": "datetime.timezone.utc"}),
        (zoneinfo.ZoneInfo("UTC"), {"$zone": "zoneinfo.ZoneInfo(key='UTC')"}),
        (vars(Pair)["first"], {"$field": 0}),
        (logging.getLogger("x"), {"$ignored": "logging.Logger"}),
        (threading.Lock(), {"$ignored": "_thread.lock"}),
        (np.add, {"$builtin": "numpy.add"}),
        (object(), None),
        (1, None),
    ],
)
def test_an_object_of_a_known_type_has_a_form_of_its_own(value: Any, form: Any) -> None:
    assert known_form(value) == form


def test_a_result_counts_by_what_its_outputs_hold() -> None:
    class Result:
        def __init__(self) -> None:
            self.outputs = {"a": CodeIdentity("b3:1", "imports", {}, []), "b": object()}

    Result.__module__ = "consist_es.runs.run"
    assert known_form(Result()) == {"$ours": {"a": "b3:1", "b": None}}


class Simple:
    pass


class Reduced:
    def __reduce__(self) -> Any:
        return (Reduced, ())


class Installed(ast.NodeVisitor):
    pass


@pytest.mark.parametrize(
    ("kind", "simple"),
    [(Simple, True), (types.SimpleNamespace, True), (Reduced, False), (Installed, False), (Path, False), (dict, False)],
)
def test_an_object_is_its_attributes_only_where_its_whole_class_is_the_projects(kind: type, simple: bool) -> None:
    assert is_simple(kind) is simple


def test_the_state_of_an_object_holds_its_slots_too() -> None:
    class Slotted:
        __slots__ = ("a", "b")
        a: int

    class Both(Slotted):
        pass

    one, both, none = Slotted(), Both(), Slotted()
    one.a = both.a = 1
    both.c = 2  # type: ignore[attr-defined]
    assert (state_of(one), state_of(both), state_of(none)) == ({"a": 1}, {"a": 1, "c": 2}, {})
    assert state_of(1) == {}


def test_the_classes_in_a_value_are_found_each_time_they_are_another_object() -> None:
    @dataclasses.dataclass
    class Rate:
        n: Any

    rate = Rate([1, None, "x"])
    loop: list[Any] = [rate, rate]
    loop.append(loop)
    found = [type(item) for item, before in objects_in({"a": loop, Pair(1): {2}}) if before]
    assert found in ([Rate, Pair], [Pair, Rate])
    assert list(objects_in([1, None, "x"])) == []


@pytest.mark.parametrize(
    ("value", "found"),
    [(len, False), (1, False), ({"a": [1]}, False), (operator.itemgetter(1), False),
     (operator, False), (known_form, True), ({"a": [(known_form,)]}, True), (functools.partial(len), True)],
)  # fmt: skip
def test_functions_are_found_in_containers(value: Any, found: bool) -> None:
    assert holds_function(value) is found


def test_a_cached_property_is_told_from_other_attributes() -> None:
    class Base:
        @functools.cached_property
        def found(self) -> int:
            return 1

    class Below(Base):
        other = 1

    assert keeps_results(Below, "found")
    assert not keeps_results(Below, "other")
    assert not keeps_results(Below, "absent")
    assert is_data(Below, "other", 1)
    assert not is_data(Below, "__doc__", None)


# ---------------------------------------------------------------- names, files and sources


@pytest.mark.parametrize(
    ("name", "ours"),
    [("", False), ("<stdin>", False), ("/a/site-packages/x.py", False), ("/a/dist-packages/x.py", False),
     (ast.__file__, False), (load_source.__code__.co_filename, False), (__file__, True)],
)  # fmt: skip
def test_a_file_belongs_to_the_project_unless_it_is_installed_or_of_this_library(name: str, ours: bool) -> None:
    assert is_first_party(name) is ours


def test_an_extension_module_of_the_project_counts_by_its_bytes(code: Code) -> None:
    code.write({M: "def step():\n    import fast\n    return fast\n"})
    (code.root / "fast.so").write_bytes(b"1")
    found = []
    for content in (b"1", b"2"):
        suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
        (code.root / f"fast{suffix}").write_bytes(content)
        found.append(code.identity().digest)
    assert found[0] != found[1]


def test_a_value_counts_as_constant_only_where_it_is_immutable_and_has_a_form(tmp_path: Path) -> None:
    assert portable_or_none((1, "a"), tmp_path) == ["tuple", {"$tuple": [1, "a"]}]
    assert portable_or_none([1], tmp_path) is None
    assert portable_or_none((object(),), tmp_path) is None


@pytest.mark.parametrize("name", ["nothing_there", "ast.below", "nothing_there.below", "xml.nothing_there"])
def test_a_module_that_is_nowhere_is_no_part(tmp_path: Path, name: str) -> None:
    modules = Modules(tmp_path, Readers())
    modules.follow([import_ref(name)], "")
    assert (modules.parts, modules.unstable) == ({}, [])


def import_ref(name: str) -> Any:
    (ref,) = Source("m.py", f"import {name}").imports
    return ref


def test_a_finder_that_fails_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", fails)
    modules = Modules(tmp_path, Readers())
    modules.follow([import_ref("never_asked_for_before")], "")
    assert modules.parts == {}


@pytest.mark.parametrize("content", [b"def f(:", b"\xff\xfe", b"# coding: nothing\n", b"a = 1\0"])
def test_a_file_that_is_no_source_gives_none_until_it_is_mended(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.py"
    path.write_bytes(content)
    assert load_source(str(path)) is None
    assert load_source(str(path)) is None
    path.write_text("a = 1\n# mended")
    assert load_source(str(path)) is not None


def test_a_source_is_parsed_once_for_each_version_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("a = 1")
    first = load_source(str(path))
    assert load_source(str(path)) is first
    path.write_text("a = 22")
    assert load_source(str(path)) is not first
    path.unlink()
    assert load_source(str(path)) is None


def test_functions_that_start_on_one_line_are_told_apart_only_where_they_are_lambdas() -> None:
    text = "a, b = lambda: 1, lambda: 2\n"
    source, namespace = Source("m.py", text), dict[str, Any]()
    exec(compile(text, "m.py", "exec"), namespace)
    nodes = [source.find(namespace[name].__code__) for name in "ab"]
    assert [ast.unparse(node) for node in nodes if node] == ["lambda: 1", "lambda: 2"]
    stripped = namespace["a"].__code__.replace(co_linetable=b"")
    assert source.find(stripped) is None


def test_functions_of_one_name_on_one_line_are_not_guessed() -> None:
    text = "if True: f = [lambda: 1, lambda: 1]\n"
    source, namespace = Source("m.py", text), dict[str, Any]()
    exec(compile(text, "m.py", "exec"), namespace)
    assert source.find(namespace["f"][1].__code__) is not None
    assert Source("m.py", "x = 1").find(namespace["f"][0].__code__) is None


@pytest.mark.parametrize(
    ("text", "computed"),
    [
        ("import_module('a')", 0),
        ("importlib.import_module(name)", 1),
        ("__import__()", 1),
        ("runpy.run_path('a.py')", 1),
        ("spec_from_file_location('a', p)", 1),
        ("other(name)", 0),
    ],
)
def test_an_import_by_a_name_that_is_not_written_is_found(text: str, computed: int) -> None:
    assert len(computed_imports(ast.parse(text))) == computed


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("np.random.seed(3)", ["np"]),
        ("a.b[0].c = 1", ["a"]),
        ("a.b += 1", ["a"]),
        ("a.b: int = 1", ["a"]),
        ("del a.b, c[0]", ["a", "c"]),
        ("if x:\n a.b()\nelse:\n c.d()", ["a", "c"]),
        ("try:\n a.b()\nexcept E:\n c.d()\nfinally:\n e.f()", ["a", "e", "c"]),
        ("a = b.c()", []),
        ("a += 1", []),
        ("a: int = 1", []),
        ("(lambda: 1)()", []),
        ("def f(): a.b()", []),
        ("x.y", []),
    ],
)
def test_a_statement_that_changes_a_thing_is_found_by_the_things_name(text: str, roots: list[str]) -> None:
    assert [root for root, _ in Source("m.py", text).effects] == roots


# ---------------------------------------------------------------- who uses what, and how


def uses(text: str, kind: str, name: str) -> int:
    """How the functions of a module use a thing, all flags together."""
    found = 0
    for _, uses in usage(ast.parse(text)).uses(kind, name):
        for how in uses.values():
            found |= how
    return found


def test_what_is_looked_up_by_a_written_name_is_read() -> None:
    for text in ("getattr(m, 'a')", "vars(m)['a']", "m.__dict__['a']", "attrgetter('a')(m)"):
        assert uses(f"def f(m): return {text}", ATTRIBUTE, "a") & READ, text
    (unit, _) = usage(ast.parse("def f(m, n): return getattr(m, n)")).units
    assert unit.computes


def test_a_thing_that_is_deleted_is_emptied_however_it_is_reached() -> None:
    assert uses("def f():\n global A\n del A", NAME, "A") == CLEAR
    assert uses("def f(o): del o.a", ATTRIBUTE, "a") == CLEAR
    assert uses("def f(o): del o.b.a", ATTRIBUTE, "a") == CLEAR
    assert uses("def f(self): del self.a", OWN, "a") == CLEAR
    assert uses("def f(): A.b.clear()", NAME, "A") == CLEAR


def test_a_list_of_public_names_uses_none_of_them() -> None:
    assert usage(ast.parse("__all__ = ['a']")).units[0].mentions == ""
    assert "a" in usage(ast.parse("names = ['a']")).units[0].mentions.split()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("def f(x):\n if x not in k: k[x] = g(x)\n return k[x]", True),
        ("def f(x): return k[x]", False),
        ("def f(x): k[0] = x\n", False),
        ("def f(x):\n k[0] = g()\n", True),
        ("def f(x): k.clear()", False),
    ],
)
def test_what_a_function_captured_is_its_own_state_if_it_reads_nothing_that_others_put_there(
    text: str, kept: bool
) -> None:
    assert keeps(ast.parse(text).body[0], "k") is kept


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("a.append(1)", list, True),
        ("a.append(1); a[0]", list, False),
        ("a.pop()", list, False),
        ("a['n'] += 1", dict, True),
        ("a['n'] = 1", dict, True),
        ("a[a['n']] = 1", dict, False),
        ("a += 1", int, True),
        ("a += [1]", list, False),
        ("a.b += 1", dict, False),
        ("a['n'] += 1", int, False),
        ("a['n'] = 1", int, False),
        ("x = a", dict, False),
        ("a.append(1)", tuple, False),
        ("pass", list, False),
    ],
)
def test_a_variable_is_no_input_only_where_every_mention_writes_to_it(text: str, kind: type, written: bool) -> None:
    assert only_written("a", kind, ast.parse(text)) is written
