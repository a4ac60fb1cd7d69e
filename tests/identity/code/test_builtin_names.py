"""What somebody puts on `builtins` counts for the code that names it, in whichever module."""

import builtins
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es.identity.code.modes import code_identity
from consist_es.identity.live.builtin_names import put_on_builtins

HELPER = """
def plain(): return RATE
def nested():
    def inner(): return RATE
    return inner()
class Zone:
    def rate(self): return [RATE for _ in range(2)]
def by_name(): return eval("RATE")
def shout(): return ascii("x")
def other(): return 3
"""
STEP = """
import builtin_helper
from builtin_helper import Zone
def own(): return RATE
def plain(): return builtin_helper.plain()
def nested(): return builtin_helper.nested()
def method(): return Zone().rate()
def by_name(): return builtin_helper.by_name()
def attribute():
    import builtins
    return builtins.RATE
def shout(): return builtin_helper.shout()
"""
ALONE = "def alone(): return 3\n"


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    for name, text in (("builtin_helper", HELPER), ("builtin_step", STEP), ("builtin_alone", ALONE)):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("builtin_step")
    for name in ("builtin_helper", "builtin_step", "builtin_alone"):
        sys.modules.pop(name, None)


def digest(fn: Callable[..., Any]) -> str:
    found = code_identity(fn, project_root=Path(fn.__code__.co_filename).parent)
    assert not found.unstable
    return found.digest


@pytest.mark.parametrize("name", ["own", "plain", "nested", "method", "by_name", "attribute"])
def test_a_value_on_builtins_counts(name: str, step: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    fn = getattr(step, name)
    without = digest(fn)
    monkeypatch.setattr(builtins, "RATE", 6, raising=False)
    six = digest(fn)
    monkeypatch.setattr(builtins, "RATE", 2)
    two = digest(fn)
    monkeypatch.setattr(builtins, "RATE", 6)
    assert digest(fn) == six
    assert len({without, six, two}) == 3


def test_a_function_of_python_that_is_replaced_counts(step: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(step.shout)
    monkeypatch.setattr(builtins, "ascii", repr)
    replaced = digest(step.shout)
    monkeypatch.undo()
    assert (replaced != before, digest(step.shout)) == (True, before)


def test_what_the_code_does_not_name_does_not_count(step: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = importlib.import_module("builtin_alone").alone
    before = digest(alone)
    monkeypatch.setattr(builtins, "RATE", 6, raising=False)
    assert digest(alone) == before


def test_python_itself_has_put_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert put_on_builtins() == {}
    monkeypatch.setattr(builtins, "EnvironmentError", ValueError)
    monkeypatch.setattr(builtins, "ascii", repr)
    monkeypatch.setattr(builtins, "_", 3, raising=False)
    assert set(put_on_builtins()) == {"ascii", "EnvironmentError"}
