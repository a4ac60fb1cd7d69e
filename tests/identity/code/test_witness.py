"""A module that was compared with its source is compared again as soon as anything in it is replaced."""

import gc
import importlib
import itertools
import sys
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consist_es.identity.code.modes import CodeIdentity, code_identity
from consist_es.identity.live import compared
from consist_es.identity.live.witness import Witness

OTHER = "LIMIT = 3\nTABLE = {'a': 1}\ndef near(): return LIMIT\nclass Foreign: pass\nclass Inner: pass\n"
HELPER = """
import dataclasses, enum, functools, logging, pathlib
import witness_other
from witness_other import LIMIT, TABLE, near
from witness_other import *

logger = logging.getLogger(__name__)
HERE = pathlib.Path("a")
RATE = 1.5
MADE = [n for n in range(3)]
DEEP = {"a": [1, {"b": (2, 3)}], "c": {"d": {1, 2}}}
SET = {1, 2}
BIG = {"a": 1, "b": 2, "c": 3, "d": 4}
WHAT = None

def keep(times):
    def around(fn):
        @functools.wraps(fn)
        def inner(*args): return [fn(*args)] * times
        return inner
    return around

class Base:
    class Inner: pass
Base.Inner = witness_other.Inner

class Stand: pass
Stand = witness_other.Foreign

class Other: pass

class Colour(enum.Enum):
    RED = 1
    BLUE = 2

class Model(Base):
    share = 0.5
    rows = [1, 2]
    def __init__(self): self.x = 1
    @property
    def size(self): return self.share
    @staticmethod
    def fixed(a=1): return a
    @classmethod
    def made(cls, *, b=2): return b
    @functools.cached_property
    def late(self): return 1

@dataclasses.dataclass
class Plan:
    years: int = 5
    names: list = dataclasses.field(default_factory=list)

class Counter:
    def __init__(self, fn): self.fn = fn
    def __call__(self): return self.fn()

def plain(a, b=1, *, c=2): return a + b + c + RATE + len(MADE)

@keep(2)
def kept(): return plain(1)

@functools.singledispatch
def chosen(x): return 0

@functools.lru_cache
def cached(): return 1

@Counter
def counted(): return 2

part = functools.partial(plain, 1, b=2)
REGISTRY = {"plain": plain}

def everything():
    return (near, LIMIT, TABLE, DEEP, SET, BIG, WHAT, HERE, Colour, Model, kept, chosen, cached, counted, part,
            REGISTRY, Other, Stand, Plan, Plan.__init__, logger, witness_other)
"""
STEP = "import witness_helper\ndef step(): return witness_helper.everything()\n"


def _fill(fn: Any, value: Any) -> None:
    fn.__closure__[0].cell_contents = value


REPLACED = {
    "a number": "m.RATE = 2.5",
    "a number by an equal one of another type": "m.WHAT = 0",
    "a new name": "m.NEW = 1",
    "a name that is gone": "del m.SET",
    "a list, by an item": "m.MADE.append(7)",
    "a list, by an equal item of another type": "m.MADE[1] = True",
    "a dict, by an item": "m.DEEP['z'] = 1",
    "a dict, deep inside": "m.DEEP['a'][1]['b'] = 5",
    "a dict, deep inside, by an equal value of another type": "m.DEEP['a'][0] = True",
    "a dict, by the order of its items": "m.DEEP['a'] = m.DEEP.pop('a')",
    "a dict, by a key": "m.DEEP['x'] = m.DEEP.pop('c')",
    "a dict, by the name of its last item": "m.BIG['z'] = m.BIG.pop('d')",
    "the last name of a module": "m.renamed = vars(m).pop('everything')",
    "a set": "m.SET.add(9)",
    "a set deep inside": "m.DEEP['c']['d'].add(9)",
    "a function": "m.plain = lambda a: a",
    "a function's code": "m.plain.__code__ = (lambda a, b=1, *, c=2: 5).__code__",
    "a function's defaults": "m.plain.__defaults__ = (7,)",
    "a function's defaults by keyword": "m.plain.__kwdefaults__ = {'c': 9}",
    "a default by keyword, in place": "m.plain.__kwdefaults__['c'] = 9",
    "a function's attribute": "m.plain.unit = 'km'",
    "a class attribute": "m.Model.share = 0.75",
    "a class attribute, in place": "m.Model.rows.append(3)",
    "a new member": "m.Model.more = 1",
    "a method": "m.Model.__init__ = lambda self: None",
    "a property": "m.Model.size = property(lambda self: 2)",
    "a static method": "m.Model.fixed = staticmethod(lambda a=2: a)",
    "a static method's defaults": "m.Model.fixed.__defaults__ = (3,)",
    "a class method's defaults": "vars(m.Model)['made'].__func__.__kwdefaults__['b'] = 3",
    "a cached property's function": "vars(m.Model)['late'].func = lambda self: 2",
    "the bases of a class": "m.Model.__bases__ = (m.Other,)",
    "a class": "m.Other = o.Foreign",
    "a class from elsewhere that stands in its place, by an attribute": "m.Stand.share = 1",
    "a class from elsewhere inside of one, by an attribute": "m.Base.Inner.share = 1",
    "a class below": "m.kept_class = type('Below', (m.Model,), {})",
    "a class below one below": "m.kept_too = type('Lower', (m.kept_class,), {}) if hasattr(m, 'kept_class') else 0",
    "an enum member's value": "m.Colour.RED._value_ = 7",
    "an enum member's attribute": "m.Colour.RED.hue = 7",
    "what a decorator's function holds": "fill(m.kept, m.cached)",
    "the function in an object": "m.counted.fn = m.cached",
    "what a function is chosen by": "m.chosen.register(int, m.plain)",
    "a factory of a dataclass": "m.Plan.__init__.__defaults__ = (5, m.plain)",
    "a plain default beside a factory": "m.Plan.__init__.__defaults__ = (6, *m.Plan.__init__.__defaults__[1:])",
    "a logger": "m.logger = m.Other()",
    "a logger, by one function": "m.logger = m.plain",
    "a partial's keywords": "m.part.keywords['b'] = 5",
    "a name of the module that it is imported from": "o.LIMIT = 4",
    "a new name there": "o.FRESH = 4",
    "a function there": "o.near = m.plain",
    "the module that is imported from": "sys.modules['witness_other'] = type(sys)('witness_other')",
}


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module with a step, and its helpers, newly imported."""
    yield from _step(tmp_path, monkeypatch)


def _step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    for name, text in (("witness_other", OTHER), ("witness_helper", HELPER), ("witness_step", STEP)):
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    yield importlib.import_module("witness_step")
    for name in ("witness_other", "witness_helper", "witness_step"):
        sys.modules.pop(name, None)


def change(statement: str) -> None:
    names = {
        "__name__": "changing",
        "m": sys.modules["witness_helper"],
        "o": sys.modules["witness_other"],
        "sys": sys,
        "fill": _fill,
    }
    exec(statement, names)


@pytest.mark.parametrize("what", REPLACED)
def test_a_witness_sees_what_is_replaced(what: str, step: types.ModuleType) -> None:
    module = step.witness_helper
    if what == "a class below one below":
        change(REPLACED["a class below"])
    witness = Witness(module, ["Stand", "Model"])
    witness.imports(["witness_other"])
    for name in ("LIMIT", "near", "*"):
        witness.origin(vars(module.witness_other), name)
    assert all(
        witness.content(getattr(module, name)) for name in ("RATE", "MADE", "DEEP", "SET", "BIG", "WHAT", "HERE")
    )
    assert witness.content(module.Model.rows)
    assert witness.holds()
    change(REPLACED[what])
    assert not witness.holds(), what


def test_a_witness_sees_what_is_replaced_where_a_name_came_from(step: types.ModuleType) -> None:
    for statement in ("o.LIMIT = 4", "del o.LIMIT"):
        witness = Witness(step.witness_helper)
        witness.origin(vars(step.witness_helper.witness_other), "LIMIT")
        assert witness.holds()
        change("o.unheard_of = 1")
        assert witness.holds()
        change(statement)
        assert not witness.holds()


def test_a_witness_does_not_vouch_for_what_holds_more_than_constants(step: types.ModuleType) -> None:
    module = step.witness_helper
    witness = Witness(module)
    loop: list[Any] = []
    loop.append(loop)
    values: list[Any] = [
        module.REGISTRY,
        [module.Model()],
        {"a": {"b": [object()]}},
        loop,
        types.SimpleNamespace(),
        [float],
    ]
    assert [witness.content(value) for value in values] == [False] * len(values)


def identity(step: types.ModuleType) -> CodeIdentity:
    return code_identity(step.step, project_root=Path(str(step.__file__)).parent)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.sampled_from(sorted(REPLACED)), min_size=1, max_size=4))
def test_the_identity_is_as_if_all_had_been_compared_anew(
    changes: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for step in itertools.islice(_step(tmp_path_factory.mktemp("witness"), patch), 1):
            assert identity(step) == identity(step)
            for what in changes:
                try:
                    change(REPLACED[what])
                except (AttributeError, KeyError, TypeError, IndexError):
                    continue  # an earlier change made it impossible
                kept = identity(step)
                compared._COMPARED.clear()
                assert kept == identity(step), what
        for name in ("witness_other", "witness_helper", "witness_step"):
            sys.modules.pop(name, None)


DISTRIBUTION = """
def keep(times):
    def around(fn):
        def inner(): return [fn()] * times
        return inner
    return around
"""
USER = "from scope_dist import keep\n@keep(len('abc'))\ndef kept(): return 1\n"


def test_what_counts_as_ones_own_is_part_of_what_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "site-packages" / "scope_dist-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: scope-dist\nVersion: 1.0\n")
    (record / "RECORD").write_text("scope_dist.py,,\n")
    (record / "direct_url.json").write_text('{"url": "file:///nowhere", "dir_info": {}}')
    (record.parent / "scope_dist.py").write_text(DISTRIBUTION)
    (tmp_path / "scope_user.py").write_text(USER)
    (tmp_path / "scope_step.py").write_text("import scope_user\ndef step(): return scope_user.kept()\n")
    monkeypatch.syspath_prepend(record.parent)
    monkeypatch.syspath_prepend(tmp_path)
    step = importlib.import_module("scope_step").step

    def found(ignored: list[str]) -> CodeIdentity:
        return code_identity(step, project_root=tmp_path, ignored=ignored)

    try:
        own, ignored = found([]), found(["scope-dist"])
        assert own != ignored
        for _ in range(2):
            assert (own, ignored) == (found([]), found(["scope-dist"]))
        compared._COMPARED.clear()
        assert (ignored, own) == (found(["scope-dist"]), found([]))
    finally:
        for name in ("scope_dist", "scope_user", "scope_step"):
            sys.modules.pop(name, None)


class Large:
    """Something that a module holds for a while."""


def test_what_a_module_held_once_is_not_kept_for_ever(step: types.ModuleType) -> None:
    module = step.witness_helper
    kept: list[weakref.ref[Large]] = []
    for _ in range(5):
        module.HELD = Large()
        kept.append(weakref.ref(module.HELD))
        identity(step)
        identity(step)
    gc.collect()
    assert [ref() is None for ref in kept] == [True] * 4 + [False]
