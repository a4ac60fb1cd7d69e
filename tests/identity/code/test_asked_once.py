"""What a step's code says by itself is found once; what can change while the process runs is asked at each step."""

import ast
import enum
import functools
import importlib
import inspect
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker
from consist_es.identity.code.modes import code_identity
from consist_es.identity.live import cached_results
from consist_es.identity.live.objects import _may_have

SCRIPT = """
import functools, os, random
import numpy as np
from consist_es import Tracker
from asked_helper import Model, prepare, tool

np.random.seed(3)
os.environ["OMP_NUM_THREADS"] = "1"
RATES = {"a": 1.0}
RATES.update(b=2.0)
prepare(4)
tool.start(1)
Model(2)

def step():
    return RATES["a"]

def main(folder):
    with Tracker(folder, f"{folder}/p.db") as tracker:
        for year in range(2):
            if year:
                with tracker.scenario("s") as sc:
                    sc.run(step, name="a")
"""
HELPER = """
import random

class Tool:
    def start(self, n): return n

class Model:
    def __init__(self, n): self.n = n

def quiet(n): return n
def loud(n): random.seed(n)
def made(self, n): random.seed(n)

prepare = quiet
tool = Tool()
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    (tmp_path / "asked_script.py").write_text(SCRIPT)
    (tmp_path / "asked_helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("asked_script")
    for name in ("asked_script", "asked_helper"):
        sys.modules.pop(name, None)


def parts(script: types.ModuleType) -> dict[str, str]:
    return code_identity(script.step, project_root=Path(str(script.__file__)).parent).parts


def test_the_text_of_unchanged_files_is_walked_once(script: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    walks: Counter[str] = Counter()

    def counting(name: str, walk: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **more: Any) -> Any:
            walks[name] += 1
            return walk(*given, **more)

        return counted

    for name in ("walk", "iter_child_nodes", "parse"):
        monkeypatch.setattr(ast, name, counting(name, getattr(ast, name)))
    first = parts(script)
    assert walks["walk"] > 0
    assert walks["iter_child_nodes"] > 0
    walks.clear()
    assert parts(script) == first
    assert not walks


REPLACED: dict[str, Callable[[Any], None]] = {
    "a function that the script calls": lambda m: setattr(m, "prepare", sys.modules["asked_helper"].loud),
    "its code": lambda m: setattr(m.prepare, "__code__", sys.modules["asked_helper"].loud.__code__),
    "a method of an object that it calls": lambda m: setattr(type(m.tool), "start", sys.modules["asked_helper"].made),
    "an object that it calls": lambda m: setattr(m, "tool", m.random),
    "what a function wraps": lambda m: setattr(m, "prepare", functools.lru_cache(sys.modules["asked_helper"].loud)),
    "how a class makes its objects": lambda m: setattr(m.Model, "__init__", sys.modules["asked_helper"].made),
}


@pytest.mark.parametrize("what", REPLACED)
def test_what_a_script_calls_is_asked_at_each_step(what: str, script: types.ModuleType) -> None:
    before = parts(script)
    assert parts(script) == before
    REPLACED[what](script)
    after = parts(script)
    assert after != before
    assert parts(script) == after


# ---------------------------------------------------------------- an attribute that an object may have


class Plain:
    def go(self) -> None:
        """A method to look at."""


class Slots:
    __slots__ = ("a",)


class Wrapping:
    __wrapped__ = len


class Shadowed:
    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise AssertionError("the object's own code must not run")


class Meta(type):
    def __getattr__(cls, name: str) -> Any:
        raise AssertionError("the class's own code must not run")


class OfMeta(metaclass=Meta):
    pass


class WrappingMeta(type):
    __wrapped__ = len


class Colour(enum.Enum):
    RED = 1


def with_own(value: Any) -> Any:
    vars(value)["__wrapped__"] = len
    return value


OBJECTS: dict[str, Any] = {
    "an object": Plain(),
    "an object with one of its own": with_own(Plain()),
    "an object without a dictionary": Slots(),
    "an object of a class with one": Wrapping(),
    "a class with one": Wrapping,
    "a class": Plain,
    "an object that hides its dictionary": Shadowed(),
    "a class with a class of its own": OfMeta,
    "a class of a class with one": WrappingMeta("Made", (), {}),
    "an abstract class": Sized,
    "an enum": Colour,
    "a member": Colour.RED,
    "a function that keeps results": functools.lru_cache(len),
    "a namespace": types.SimpleNamespace(),
    "a namespace with one": types.SimpleNamespace(__wrapped__=len),
    "a method": Plain().go,
    "a slot": Slots.a,  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("what", OBJECTS)
def test_no_attribute_is_said_to_be_missing_that_would_be_found(what: str) -> None:
    missing = object()
    found = inspect.getattr_static(OBJECTS[what], "__wrapped__", missing)
    assert found is missing or _may_have(OBJECTS[what], "__wrapped__")


def test_most_objects_are_known_to_lack_an_attribute() -> None:
    assert not any(_may_have(OBJECTS[what], "__wrapped__") for what in ("an object", "a class", "an enum", "a member"))


# ---------------------------------------------------------------- results that functions keep


KEEPING = """
import functools
CHOICES = {"a": 1}

@functools.lru_cache
def read(path):
    with open(path) as file:
        return CHOICES["a"], file.read()
"""


def test_results_from_before_a_step_count_and_those_from_within_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked_keeping.py").write_text(KEEPING)
    (tmp_path / "asked_user.py").write_text("import asked_keeping\ndef step(path): return asked_keeping.read(path)\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("asked_user")
    (tmp_path / "a.txt").write_text("a")
    try:

        def look() -> dict[str, str]:
            return code_identity(module.step, project_root=tmp_path).parts

        empty = look()
        module.step(tmp_path / "a.txt")
        cached_results.step_ended()  # the first was a step
        assert look() == empty
        module.asked_keeping.read.cache_clear()
        assert look() == empty
        cached_results.step_ended()
        module.step(tmp_path / "a.txt")  # by the script itself
        assert look() != empty
    finally:
        for name in ("asked_keeping", "asked_user"):
            sys.modules.pop(name, None)


def test_a_step_of_a_tracker_leaves_out_what_it_made_its_functions_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked_keeping.py").write_text(KEEPING)
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("asked_keeping")
    try:
        with Tracker(tmp_path / "runs", tmp_path / "p.db", sync="os", project_root=tmp_path) as tracker:

            def step() -> None:
                module.read(str(tmp_path / "a.txt"))

            hits = [tracker.run(step, name="s").cache_hit for _ in range(3)]
        assert hits == [False, True, True]
    finally:
        sys.modules.pop("asked_keeping", None)
