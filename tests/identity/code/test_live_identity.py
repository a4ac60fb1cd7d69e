"""Live objects in the code identity: what they are made of, and what of a loaded module was replaced."""

import collections
import decimal
import enum
import functools
import hashlib
import io
import json
import operator
import os
import random
import sqlite3
import struct
import sys
import threading
import types
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es import Tracker
from consist_es.identity.code.modes import CodeIdentity, changed_objects, code_identity
from consist_es.identity.live.objects import objects_in
from consist_es.identity.live.present import mangled, patched_in
from consist_es.identity.live.states import is_by_name, is_ignored, known_name, reduced_state, why_never
from consist_es.values.encoding import is_same
from consist_es.values.plain import frame
from tests.identity.code.test_code_identity import Code

M, H = "model.py", "helper.py"
READS = "import helper\ndef step(): return helper.rate()\n"


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Code]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Code(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def around(code: Code, change: str, helper: str, step: str = READS) -> tuple[CodeIdentity, CodeIdentity]:
    """The identity of the step before and after a statement is run in ``helper``, or in ``model`` without one."""
    code.write({M: step, H: helper})
    fn = code.load().step
    first = code_identity(fn, project_root=code.root)
    exec(change, vars(sys.modules.get("helper") or sys.modules["model"]))
    return first, code_identity(fn, project_root=code.root)


# ---------------------------------------------------------------- what was replaced

CLASS = """
class Base: pass
class Other: pass
class Model(Base):
    k, _k, __k = 1, 1, 1
    @property
    def size(self): return 1
    @classmethod
    def make(cls): return 1
    def rate(self, x=1): return x
def rate(): return Model().rate(), Model.make(), Model().size, Model._k
"""


@pytest.mark.parametrize(
    "change",
    [
        "Model.size = property(lambda self: 2)",
        "Model.make = classmethod(lambda cls: 2)",
        "Model.rate.__defaults__ = (2,)",
        "Model._k = 2",
        "Model._Model__k = 2",
        "Model.__call__ = lambda self: 1",
        "Model.__bases__ = (Other,)",
        "Model.rate.factor = 2",
        "Model = type('Model', (Model,), {})",
        "rate.__code__ = (lambda: 2).__code__",
        "del Model.rate",
        "__getattr__ = lambda name: 2",
    ],
)
def test_whatever_is_replaced_in_a_class_or_module_counts(code: Code, change: str) -> None:
    first, second = around(code, change, CLASS)
    assert first.digest != second.digest
    assert first.unstable == second.unstable == []


def test_a_module_as_its_source_says_needs_no_parts_of_its_own(code: Code) -> None:
    first, second = around(code, "rate(); Model().rate(5)", CLASS)
    assert first.digest == second.digest
    assert not any(name.startswith(("present", "defaults", "attribute")) for name in first.parts)


@pytest.mark.parametrize(
    "text",
    [
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    a: int = 1\ndef rate(): return P().a",
        "import enum\nclass E(enum.Flag):\n    A = enum.auto()\n    B = enum.auto()\ndef rate(): return E.A | E.B",
        "import typing\nclass P(typing.NamedTuple):\n    a: int = 1\ndef rate(): return P().a",
        "import typing\nT = typing.TypeVar('T')\nclass P(typing.Generic[T]):\n    a = 1\ndef rate(): return P[int]().a",
        "import abc\nclass P(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n"
        "class Q(P):\n    def f(self): return 1\ndef rate(): return isinstance(Q(), P)",
        "import functools\n@functools.singledispatch\ndef call(x=1): return 1\n"
        "@call.register\ndef _(x: str): return 2\ndef rate(): return call(1)",
        "import attr\n@attr.s(auto_attribs=True, slots=True)\nclass P:\n    a: int = 1\ndef rate(): return P().a",
        "import pydantic\nclass P(pydantic.BaseModel):\n    a: int = 1\ndef rate(): return P().a",
    ],
)  # fmt: skip
def test_what_frameworks_add_to_classes_does_not_change_when_they_are_used(code: Code, text: str) -> None:
    first, second = around(code, "rate(); rate()", text)
    assert first.parts == second.parts
    assert first.unstable == []


def test_a_replacement_counts_with_all_that_it_reaches(code: Code) -> None:
    code.write({"patch.py": "def value(): return 1\ndef rate(): return value()\n"})
    _, first = around(code, "import patch\nrate = patch.rate", "def rate(): return 0\n")
    assert "patch.py" in first.parts


def test_functions_that_first_party_code_put_into_installed_modules_count(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    import string
    import textwrap

    helper = (
        "import textwrap\nfrom string import capwords\ndef rate(): return textwrap.TextWrapper().fill(capwords('a'))\n"
    )
    monkeypatch.setattr(string, "capwords", string.capwords)
    monkeypatch.setattr(textwrap.TextWrapper, "fill", textwrap.TextWrapper.fill)
    first, second = around(code, "import string\ndef f(text): return ''\nstring.capwords = f", helper)
    assert first.digest != second.digest
    exec("textwrap.TextWrapper.fill = lambda self, text: ''", vars(sys.modules["helper"]))
    third = code_identity(sys.modules["model"].step, project_root=code.root)
    assert len({first.digest, second.digest, third.digest}) == 3
    assert list(patched_in(["string"])) == ["string.capwords"]


def test_code_that_python_took_from_a_stale_cache_is_never_taken_for_the_source(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    text = "import functools\nPlace = print(1)\n@functools.cache\ndef rate(): return 1\n"
    code.write({M: READS, H: text})
    first = code_identity(code.load().step, project_root=code.root)
    path = code.root / H
    before = path.stat()
    for edited in (text.replace("return 1", "return 2"), text.replace("print(1)", "print(2)")):
        path.write_text(edited)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        del sys.modules["helper"]
        stale = code_identity(code.load().step, project_root=code.root)
        assert sys.modules["helper"].rate() == 1
        assert any(name.startswith("loaded code") for name in stale.added)
        fresh = code_identity(_fresh(code), project_root=code.root)
        assert len({first.digest, stale.digest, fresh.digest}) == 3
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        _fresh(code)


def _fresh(code: Code) -> Any:
    """The step, from modules that were compiled anew."""
    for file in (code.root / "__pycache__").iterdir():
        file.unlink()
    sys.modules.pop("helper", None)
    return code.load().step


def test_private_names_are_those_that_python_makes_of_them() -> None:
    class _Model:
        __k = 1

    assert mangled("__k", "_Model") in vars(_Model)
    assert [mangled("__k__", "C"), mangled("_k", "C"), mangled("__k", ""), mangled("__k", "_")] == [
        "__k__",
        "_k",
        "__k",
        "__k",
    ]


# ---------------------------------------------------------------- compared by bytes

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 1.0, "1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(PLAIN, PLAIN)
def test_two_plain_forms_are_the_same_only_if_their_bytes_are(one: Any, other: Any) -> None:
    assert is_same(one, one)
    assert is_same(one, other) == (frame(one) == frame(other))


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0.0, -0.0), ([0], [False]), ({"a": 1}, {"a": 1.0})])
def test_what_python_calls_equal_is_not_the_same(one: Any, other: Any) -> None:
    assert one == other
    assert not is_same(one, other)


# ---------------------------------------------------------------- states


class Handle:
    """A class of the project."""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (struct.Struct("<i"), struct.Struct("<d")),
        (hashlib.md5(b"a"), hashlib.md5(b"b")),
        (operator.itemgetter([1].__len__), operator.itemgetter([].__len__)),
        (decimal.Context(prec=3), decimal.Context(prec=4)),
        (io.StringIO("a"), io.StringIO("b")),
        (types.MappingProxyType({"a": 1}), types.MappingProxyType({"a": 2})),
        (collections.ChainMap({"a": 1}), collections.ChainMap({"a": 2})),
        (functools.lru_cache(maxsize=1)(len), functools.lru_cache(maxsize=2)(len)),
        (memoryview(b"a"), memoryview(b"b")),
        (property(len), property(max)),
    ],
)
def test_objects_that_differ_have_states_that_differ(one: Any, other: Any) -> None:
    assert reduced_state(one) is not None
    assert reduced_state(one) == reduced_state(one)
    assert reduced_state(one) != reduced_state(other)


def test_an_object_that_refuses_or_fails_has_no_state() -> None:
    assert reduced_state(sqlite3.connect(":memory:")) is None
    assert reduced_state(i for i in [1]) is None

    class Asked(Handle):
        def __getstate__(self) -> dict[str, Any]:
            raise AssertionError("a class of the project is never asked")

    assert reduced_state(Asked()) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [(random.Random(1), "draw"), (iter([1]), "uses it up"), (sqlite3.connect(":memory:"), "connection")],
)
def test_what_can_never_be_told_by_its_state_says_why(value: Any, word: str) -> None:
    assert word in (why_never(value) or "")
    assert why_never(io.StringIO()) is None


def test_an_open_file_says_why_it_is_not_told_by_its_state(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file:
        assert "open file" in (why_never(file) or "")


def test_loggers_and_locks_are_ignored_but_not_those_of_the_project(code: Code) -> None:
    import logging

    assert is_ignored(threading.Lock())
    assert is_ignored(logging.getLogger("x"))
    text = "import logging\nclass L(logging.LoggerAdapter):\n    k = 1\nlog = L(logging.getLogger('x'), {})\n"
    first, second = around(code, "log.k = 2", text + "def rate(): return log.k\n")
    assert not is_ignored(sys.modules["helper"].log)
    assert first.digest != second.digest


def test_known_things_are_known_by_identity() -> None:
    import numpy as np

    assert known_name(np.add) == "numpy.add"
    assert known_name(np.frompyfunc(len, 1, 1)) is None
    impostor = np.frompyfunc(len, 1, 1)
    assert impostor.__name__ != "add"
    assert known_name(sys.stdout) == "sys.stdout"
    assert known_name(io.StringIO()) is None


def test_an_installed_function_is_known_by_name_only_where_it_is_found_under_it() -> None:
    assert is_by_name(json.dumps)
    clone = types.FunctionType(json.dumps.__code__, json.dumps.__globals__, "dumps")
    clone.__module__, clone.__qualname__ = "json", "dumps"
    assert not is_by_name(clone)
    assert not is_by_name(Handle)


# ---------------------------------------------------------------- classes of values


class Rate(float):
    """A number of the project's own."""


class Mode(enum.Enum):
    CAR = Rate(1)


class Settings(Mapping[str, Any]):
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class Bag(dict[str, Any]):
    def __init__(self) -> None:
        self.rate = Rate(1)


@pytest.mark.parametrize(
    "value",
    [[Rate(1)], {"a": (Rate(1),)}, {Rate(1)}, {Rate(1): 1}, collections.deque([Rate(1)]), Mode.CAR, Bag(),
     Settings({"a": [Rate(1)]}), types.MappingProxyType({"a": Rate(1)}), collections.OrderedDict(a=Rate(1))],
)  # fmt: skip
def test_the_class_of_a_value_is_found_wherever_it_lies(value: Any) -> None:
    assert Rate in [type(item) for item, _ in objects_in(value)]


@given(
    st.recursive(
        st.just(Rate(1)), lambda inner: st.lists(inner, min_size=1, max_size=2) | st.tuples(inner), max_leaves=4
    )
)
def test_the_class_of_a_value_is_found_at_any_depth(value: Any) -> None:
    assert Rate in [type(item) for item, _ in objects_in(value)]


def test_what_version_1_counted_is_left_as_it_was(code: Code) -> None:
    code.write(
        {M: "from kinds import Bag\ndef step(config): return config\n", "kinds.py": "class Bag(dict):\n    pass\n"}
    )
    step = code.load().step
    bag = sys.modules["kinds"].Bag(a=1)
    plain, counted = (code_identity(step, project_root=code.root, uses=uses) for uses in (None, bag))
    assert counted.digest != plain.digest
    assert counted.before == plain.before
    assert counted.added


# ---------------------------------------------------------------- objects that a step changes

LIB = "class Model:\n    def __init__(self): self.found = None\n    def fit(self, x): self.found = x\n"


def test_a_run_that_changed_an_installed_object_is_never_reused(code: Code, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    site.mkdir()
    (site / "fitlib.py").write_text(LIB)
    (site / "fitlib-1.dist-info").mkdir()
    (site / "fitlib-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fitlib\nVersion: 1\n")
    (site / "fitlib-1.dist-info" / "RECORD").write_text("fitlib.py,,\n")
    sys.path.insert(0, str(site))
    try:
        code.write({M: "import fitlib\nmodel = fitlib.Model()\ndef fit(x): model.fit(x)\ndef look(x): model.found\n"})
        model = code.load()
        with Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "p.db") as tracker:
            assert not tracker.run(fn=model.fit, config={"x": 1}).cache_hit
            model.model.found = None
            assert not tracker.run(fn=model.fit, config={"x": 1}).cache_hit
            assert not tracker.run(fn=model.look, config={"x": 1}).cache_hit
            assert tracker.run(fn=model.look, config={"x": 1}).cache_hit
    finally:
        sys.path.remove(str(site))


def test_an_object_that_changed_is_named(code: Code) -> None:
    code.write(
        {M: "import collections, types\nM = types.SimpleNamespace(q=collections.deque([len]))\ndef step(): return M\n"}
    )
    model = code.load()
    found = code_identity(model.step, project_root=code.root)
    assert changed_objects(found, code.root) == []
    model.M.q.append(max)
    assert changed_objects(found, code.root) == ["variable 'M' of model.py:step.q"]


def test_a_weak_reference_counts_by_what_it_leads_to(code: Code) -> None:
    helper = "import weakref\nclass K:\n    n = 1\nk = K()\nr = weakref.ref(k)\ndef rate(): return r().n\n"
    first, second = around(code, "k.n = 2", helper)
    assert first.digest != second.digest
    assert isinstance(sys.modules["helper"].r, weakref.ref)
