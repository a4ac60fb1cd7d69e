"""What a step changes on objects that outlive it is there after a hit too, or the step is never reused."""

import collections
import datetime as dt
import decimal
import importlib.util
import itertools
import math
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es import ConsistWarning, ExecutionOptions, Tracker
from consist_es.values.masking import Masker
from consist_es.values.plain import to_plain
from consist_es.values.whole import restored, whole
from tests.support.api import ROOT, made

START = """
import consist_es as consist
import dataclasses, sys
from pathlib import Path
tracker = consist.Tracker(run_dir="runs", db_path="p.db", sync="os")
hits = []
def write(value):
    path = consist.output_path("o", "txt")
    path.write_text(repr(value))
    return path
def run(fn, *args, **more):
    result = tracker.run(fn, outputs=["o"], **more)
    hits.append("hit" if result.cache_hit else "miss")
    print(result.output.path.read_text())
"""
END = """
print(*hits, file=sys.stderr)
"""


def process(folder: Path, text: str, *, warns: bool = False) -> tuple[str, list[str]]:
    """What the program prints in a process of its own, and whether each of its steps was a hit."""
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(START + text + END, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *([] if warns else ["-W", "error"]), "main.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()[-1].split()


PROGRAMS = {
    "attribute": """
class Model:
    def __init__(self): self.pop = None
    def synth(self):
        self.pop = 20.5
        return write("made")
    def trips(self): return write(self.pop * 2)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "attribute that was not there": """
class Model:
    def synth(self):
        self.pop = {2: ["b"], 1: ("a", {3})}
        return write("made")
    def trips(self): return write(self.pop)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "attribute of a base class's method": """
class Base:
    pop = None
    def keep(self, pop): self.pop = pop
class Model(Base):
    def synth(self):
        self.keep([1, 2])
        return write("made")
    def trips(self): return write(self.pop)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "attribute that is deleted": """
class Model:
    def __init__(self): self.pop = 1
    def synth(self):
        del self.pop
        return write("made")
    def trips(self): return write(hasattr(self, "pop"))
m = Model()
run(m.synth); run(m.trips); print(vars(m))
""",
    "attribute behind a property": """
class Model:
    _pop = None
    @property
    def pop(self): return self._pop
    @pop.setter
    def pop(self, value): self._pop = value
    def synth(self):
        self.pop = 3
        return write("made")
    def trips(self): return write(self.pop)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "slot": """
class Model:
    __slots__ = ("pop", "__dict__")
    def synth(self):
        self.pop = 3
        return write("made")
    def trips(self): return write(self.pop)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "field of a frozen dataclass": """
@dataclasses.dataclass(frozen=True)
class Model:
    pop: int = 0
    def synth(self):
        object.__setattr__(self, "pop", 4)
        return write("made")
    def trips(self): return write(self.pop)
m = Model()
run(m.synth); run(m.trips); print(m.pop)
""",
    "counter": """
class Model:
    def __init__(self): self.n = 0
    def step(self):
        self.n += 1
        return write(self.n)
m = Model()
run(m.step); run(m.step); run(m.step); print(m.n)
""",
    "object below": """
class Zone:
    def __init__(self): self.pop = 0
class Model:
    def __init__(self): self.zones = {"a": [Zone(), Zone()]}
    def synth(self):
        self.zones["a"][1].pop = 7
        return write("made")
    def trips(self): return write([zone.pop for zone in self.zones["a"]])
m = Model()
run(m.synth); run(m.trips); print(m.zones["a"][1].pop)
""",
    "items of containers": """
class Model:
    def __init__(self): self.table, self.seen, self.log = {"a": {"b": 1}}, {1}, [1]
    def synth(self):
        self.table["a"]["c"] = [2]
        self.seen.add(5)
        self.log.append("x")
        return write("made")
    def trips(self): return write([self.table, self.seen, self.log])
m = Model()
inner = m.table["a"]
run(m.synth); run(m.trips); print(m.table, inner, m.seen, m.log)
""",
    "array in place": """
import numpy as np
class Model:
    def __init__(self): self.pop = np.zeros((2, 3))
    def synth(self):
        self.pop[1] = 5
        return write("made")
    def trips(self): return write(self.pop.tolist())
m = Model()
same = m.pop
run(m.synth); run(m.trips); print(same)
""",
    "table": """
import pandas as pd
class Model:
    def synth(self):
        self.pop = pd.DataFrame({"zone": [1, 2], "kind": ["a", None], "day": pd.to_datetime(["2020-01-01"] * 2)})
        self.pop["cat"] = self.pop["kind"].astype("category")
        return write("made")
    def trips(self): return write(self.pop.assign(trips=self.pop.zone * 2))
m = Model()
run(m.synth); run(m.trips); print(m.pop, m.pop.dtypes)
""",
    "variable": """
POP = None
def synth():
    global POP
    POP = 12
    return write("made")
def trips(): return write(POP * 2)
run(synth); run(trips); print(POP)
""",
    "variable of another module": """
import sys, types
Path("helper.py").write_text("POP = None\\ndef make():\\n    global POP\\n    POP = 5\\ndef two(): return POP * 2\\n")
sys.path.insert(0, "")
import helper
def synth():
    helper.make()
    return write("made")
def other():
    helper.POP = 9
    return write("other")
def trips(): return write(helper.two())
run(synth); run(trips); run(other); run(trips); print(helper.POP)
""",
    "attribute of an object in a variable": """
class State:
    pop = None
STATE = State()
def fill(): STATE.pop = [1, 2]
def synth():
    fill()
    return write("made")
def trips(): return write(STATE.pop)
run(synth); run(trips); print(STATE.pop)
""",
    "class attribute": """
class Model:
    pop = None
    @classmethod
    def synth(cls):
        cls.pop = 5
        return write("made")
    @classmethod
    def trips(cls): return write(cls.pop)
run(Model.synth); run(Model.trips); print(Model.pop)
""",
    "items of a dict in a variable": """
STATE = {}
def synth():
    STATE["pop"] = 5
    return write("made")
def more():
    STATE["more"] = 6
    return write("made")
def trips(): return write(sorted(STATE))
run(synth); run(more); run(trips); print(STATE)
""",
    "list in a variable that another function reads": """
FOUND = []
def synth():
    FOUND.append(5)
    return write("made")
def more():
    FOUND.append(6)
    return write("made")
def trips(): return write(sum(FOUND))
run(synth); run(more); run(trips); print(FOUND)
""",
    "dict in a variable that is updated": """
STATE = {"a": 1}
def synth():
    STATE.update(pop=5)
    return write("made")
def trips(): return write(sorted(STATE))
run(synth); run(trips); print(STATE)
""",
    "member of an enum": """
import enum
class Mode(enum.Enum):
    FAST = 1
class Model:
    mode = None
    def synth(self):
        self.mode = [Mode.FAST]
        return write("made")
    def trips(self): return write(self.mode[0] is Mode.FAST)
m = Model()
run(m.synth); run(m.trips)
""",
    "variable of an enclosing function": """
def model():
    pop = None
    def synth():
        nonlocal pop
        pop = 6
        return write("made")
    def trips(): return write(pop)
    return synth, trips
synth, trips = model()
run(synth); run(trips)
""",
    "config": """
@dataclasses.dataclass
class Config:
    rate: int = 2
    pop: int = 0
def synth(config):
    config.pop = 8
    return write("made")
def trips(config): return write(config.pop * config.rate)
config = Config()
run(synth, config=config); run(trips, config=config); print(config)
""",
    "runtime argument": """
class Model:
    pop = 0
def synth(model):
    model.pop = 8
    return write("made")
model = Model()
handed = consist.ExecutionOptions(runtime_kwargs={"model": model})
run(synth, execution_options=handed); print(model.pop)
""",
    "callable object": """
class Model:
    pop = 0
    def __call__(self):
        self.pop = 4
        return write("made")
m = Model()
run(m, name="m"); print(m.pop)
""",
    "with asyncio": """
import asyncio
class Model:
    pop = 0
    async def synth(self):
        self.pop = 4
        return write("made")
m = Model()
hits.append("hit" if asyncio.run(tracker.arun(m.synth, outputs=["o"])).cache_hit else "miss"); print(m.pop)
""",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=list(PROGRAMS))
def test_a_hit_leaves_what_the_run_left(tmp_path: Path, program: str) -> None:
    first, missed = process(tmp_path / "project", program)
    again, hit = process(tmp_path / "project", program)
    assert again == first
    assert (set(missed), set(hit)) == ({"miss"}, {"hit"})


LOST = {
    "large table": ("self.pop (DataFrame)", "pd.DataFrame({'x': range(20_000)})"),
    "object of a class": ("self.pop (Zone)", "Zone()"),
    "list of objects": ("self.pop (list)", "[Zone()]"),
    "generator": ("self.pop (Generator)", "np.random.default_rng(1)"),
    "list that something else holds": ("self.pop (list)", "self.zones"),
}


@pytest.mark.parametrize(("said", "value"), LOST.values(), ids=list(LOST))
def test_what_cannot_be_put_back_is_made_again_each_time(tmp_path: Path, said: str, value: str) -> None:
    program = f"""
import pandas as pd, numpy as np
class Zone:
    x = 1
class Model:
    def __init__(self): self.zones, self.pop = [1], None
    def synth(self):
        self.pop = {value}
        return write("made")
    def trips(self): return write(type(self.pop).__name__)
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    m = Model()
    run(m.synth); run(m.synth); run(m.trips)
print(*{{str(item.message) for item in caught if "trips" not in str(item.message)}}, sep="|")
"""
    first, _ = process(tmp_path / "project", program)
    again, hits = process(tmp_path / "project", program)
    assert again == first
    assert hits[0] == "miss"
    told = first.splitlines()[-1]
    assert told == (
        f"Step 'synth' will be computed every time, because it keeps {said} for later: "
        "return it as an output instead, or make it in the step that needs it."
    )


def test_a_table_that_is_changed_in_place_is_never_put_back(tmp_path: Path) -> None:
    """Somebody else may hold the same table."""
    program = """
import pandas as pd
class Model:
    def __init__(self): self.pop = pd.DataFrame({"x": [1]}); self.tables = {"y": pd.DataFrame({"y": [1]})}
    def synth(self):
        self.pop["z"] = 2
        return write("made")
    def other(self):
        self.tables["y"]["z"] = 2
        return write("made")
    def trips(self): return write([list(self.pop), list(self.tables["y"])])
m = Model()
run(m.synth); run(m.other); run(m.trips)
"""
    first, _ = process(tmp_path / "project", program, warns=True)
    again, hits = process(tmp_path / "project", program, warns=True)
    assert again == first
    assert hits[:2] == ["miss", "miss"]


@pytest.mark.parametrize(
    "later",
    [
        "self.pop = self.pop.assign(y=1); pop = self.pop",
        "pop = self.pop; self.pop = None",
        "pop = self.pop if self.pop is not None else []",
        "self.pop['z'] = 1; pop = self.pop",
        "pop = getattr(self, 'pop')",
        "if self.pop is None and Model.pop is None: self.pop = []\n        pop = self.pop",
        "f = lambda: self.pop\n        if self.pop is None: pass\n        pop = f()",
    ],
)
def test_what_a_later_step_reads_before_it_fills_it_is_no_cache(tmp_path: Path, later: str) -> None:
    program = f"""
import pandas as pd
class Model:
    pop = None
    def synth(self):
        self.pop = pd.DataFrame({{"x": range(20_000)}})
        return write("made")
    def trips(self):
        {later}
        return write(len(pop))
m = Model()
run(m.synth); run(m.trips)
"""
    first, _ = process(tmp_path / "project", program, warns=True)
    again, hits = process(tmp_path / "project", program, warns=True)
    assert again == first
    assert hits[0] == "miss"


CACHES = {
    "attribute with an early return": """
class Model:
    table = None
    def look(self):
        if self.table is not None:
            return self.table
        self.table = pd.DataFrame({"x": range(20_000)})
        return self.table
    def step(self): return write(len(self.look()))
m = Model()
step = m.step
""",
    "dict that is asked": """
CACHE = {}
def look(n):
    found = CACHE.get(n)
    if found is None:
        found = CACHE[n] = pd.DataFrame({"x": range(n)})
    return found
def step(): return write(len(look(20_000)))
""",
    "dict that is tried": """
CACHE = {}
def look(n):
    try:
        return CACHE[n]
    except KeyError:
        CACHE[n] = pd.DataFrame({"x": range(n)})
    return CACHE[n]
def step(): return write(len(look(20_000)))
""",
    "attribute": """
class Model:
    table = None
    def look(self):
        if self.table is None:
            self.table = pd.DataFrame({"x": range(20_000)})
        return self.table
    def step(self): return write(len(self.look()))
m = Model()
step = m.step
""",
    "attribute for itself": """
class Model:
    def step(self):
        self.table = pd.DataFrame({"x": range(20_000)})
        return write(len(self.table))
m = Model()
step = m.step
""",
    "variable": """
TABLE = None
def look():
    global TABLE
    if TABLE is None:
        TABLE = pd.DataFrame({"x": range(20_000)})
    return TABLE
def step(): return write(len(look()))
""",
    "dict": """
CACHE = {}
def look(n):
    if n not in CACHE:
        CACHE[n] = pd.DataFrame({"x": range(n)})
    return CACHE[n]
def step(): return write(len(look(20_000)))
""",
}


@pytest.mark.parametrize("program", CACHES.values(), ids=list(CACHES))
def test_a_cache_that_whoever_reads_it_fills_is_nobodys_business(tmp_path: Path, program: str) -> None:
    text = f"import pandas as pd\n{program}\nrun(step)"
    process(tmp_path / "project", text)
    assert process(tmp_path / "project", text)[1] == ["hit"]


def test_a_log_that_is_appended_to_stays_as_it_is(tracker: Tracker) -> None:
    calls: list[int] = []

    def step(number: int) -> Path:
        calls.append(number)
        return made()

    for number in (1, 2, 1):
        tracker.run(step, config={"number": number}, outputs=["o"])
    assert calls == [1, 2]


# ---------------------------------------------------------------- attributes that are only written

WRITTEN = {
    "stored": "self.x = self.rate * 2",
    "stored and loaded": "self.x = [self.rate]; self.x.append(1); rate = self.x[0]",
    "annotated": "self.x: int = 1",
    "in every branch": "if self.rate: self.x = 1\n        else: self.x = 2\n        rate = self.x",
    "by a method": "self.fill(); rate = self.x",
    "by a tuple": "self.x, self.y = 1, 2; rate = self.x",
    "with an open file": "with open(__file__) as file: self.x = file.read()\n        len(self.x)",
    "private": "self.__x = 1; self.x = self.__x",
}
COUNTED = {
    "loaded before": "y = self.x; self.x = 2",
    "loaded by what is stored": "self.x = self.x or 2",
    "counted up": "self.x += 1",
    "in one branch": "if self.rate > 5: self.x = 1\n        y = self.x",
    "in a loop": "for _ in range(self.rate - 2): self.x = 1\n        y = self.x",
    "when nothing fails": "try: self.x = int('x')\n        except ValueError: pass\n        y = self.x",
    "unless errors are swallowed": "with contextlib.suppress(ValueError): self.x = int('x')\n        y = self.x",
    "item": "self.x[0] = 1",
    "nested": "self.x.y = 1",
    "getattr": "y = getattr(self, 'x'); self.x = 1",
    "computed name": "y = getattr(self, 'X'.lower()); self.x = 1",
    "vars": "y = vars(self)['x']; self.x = 1",
    "dict": "y = self.__dict__['x']; self.x = 1",
    "setattr": "setattr(self, 'x', 1)",
    "deleted": "del self.x; self.x = 1",
    "by a property": "y = self.half; self.x = 1",
    "by a cached property": "y = self.third; self.x = 1",
    "by a method": "y = self.look(); self.x = 1",
    "by a method of a subclass": "y = self.own(); self.x = 1",
    "by super": "y = super().look(); self.x = 1",
    "by a function that is handed it": "y = outside(self); self.x = 1",
    "by a function that knows it": "y = by_name(); self.x = 1",
    "by a function that imports it": "y = by_import(); self.x = 1",
    "by an object that knows it": "y = self.child.look(); self.x = 1",
    "by a stored method": "y = self.stored(); self.x = 1",
    "by a lambda": "f = lambda: self.x\n        y = f(); self.x = 1",
    "by a nested function": "def f(): return self.x\n        y = f(); self.x = 1",
    "by another name": "me = self; y = me.x; self.x = 1",
    "by a bound method": "y = list(map(self.add, [1])); self.x = 1",
    "by its text": "y = f'{self}'; self.x = 1",
    "by locals": "y = locals()['self'].x; self.x = 1",
    "by a decorated method": "y = self.decorated(); self.x = 1",
    "by a class": "y = type(self).look(self); self.x = 1",
    "by a weak reference": "y = REF().x; self.x = 1",
}
MODEL = """
import consist_es as consist
import contextlib, functools, weakref
def outside(model): return model.x
def by_name(): return model.x
def by_import():
    import model_of_the_case
    return model_of_the_case.model.x
def decorate(fn):
    @functools.wraps(fn)
    def inner(*args): return fn(*args)
    return inner
class Child:
    def __init__(self, parent): self.parent = parent
    def look(self): return self.parent.x
class Root:
    def look(self): return self.x
class Base(Root):
    def __init__(self):
        self.rate, self.x, self.y = 2, [0], 0
    @property
    def half(self): return self.x
    @functools.cached_property
    def third(self): return self.x
    @decorate
    def decorated(self): return self.x
    def own(self): return 0
    def add(self, n): return [self.x, n]
    def fill(self): self.x = 3
    def step(self):
        BODY
        path = consist.output_path("o", "txt")
        path.write_text(str(self.rate))
        return path
class Model(Base):
    def __str__(self): return str(self.x)
    def own(self): return self.x
model = Model()
REF = weakref.ref(model)
def change(model):
    model.x = {int: 5, Child: Child(1)}.get(type(model.x), [5])
    vars(model).pop("third", None)
MORE
"""


def hits(tracker: Tracker, folder: Path, body: str, more: str = "") -> list[bool]:
    """Whether a step was a hit when it ran, and when it ran again after the attribute was changed."""
    source = folder / "model_of_the_case.py"
    source.write_text(MODEL.replace("BODY", body).replace("MORE", more), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("model_of_the_case", source)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["model_of_the_case"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        found = [tracker.run(module.model.step, outputs=["o"]).cache_hit]
        module.change(module.model)
        return [*found, tracker.run(module.model.step, outputs=["o"]).cache_hit]
    finally:
        del sys.modules["model_of_the_case"]


@pytest.mark.parametrize("body", WRITTEN.values(), ids=list(WRITTEN))
def test_an_attribute_that_is_only_written_is_no_input(tracker: Tracker, here: Path, body: str) -> None:
    assert hits(tracker, here, body) == [False, True]


@pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
@pytest.mark.parametrize("body", COUNTED.values(), ids=list(COUNTED))
def test_an_attribute_that_may_be_read_counts(tracker: Tracker, here: Path, body: str) -> None:
    more = {"child": "model.child = Child(model)", "stored": "model.stored = model.look", ".x.y": "model.x = Child(0)"}
    more["x +="] = "model.x = 0"
    chosen = next((text for word, text in more.items() if word in body), "")
    assert hits(tracker, here, body, chosen) == [False, False]


# ---------------------------------------------------------------- what is put back


class Keeper:
    """Keeps a value."""

    kept: Any = None

    def keep(self, value: Any) -> Path:
        self.kept = value
        return made()


NUMBERS = itertools.count()
KEYS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False) | st.binary(max_size=3)
)
ATOMS = st.one_of(
    KEYS,
    st.floats(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(timezones=st.just(dt.UTC) | st.none()),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
    st.text(max_size=5).map(lambda text: Path(f"x{text}".replace("\0", ""))),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.sets(KEYS, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 5)),
        st.dictionaries(KEYS, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(KEYS, inner, max_size=3).map(lambda items: collections.defaultdict(list, items)),
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Whether nobody can tell two values apart: types, order, signs of zeros and all."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        pairs = zip(one.items(), other.items(), strict=False)
        return len(one) == len(other) and all(same(a, c) and same(b, d) for (a, b), (c, d) in pairs)
    if isinstance(one, list | tuple | collections.deque):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or repr(one) == repr(other)
    if isinstance(one, set | frozenset):
        return bool(one == other) and sorted(map(type_and_text, one)) == sorted(map(type_and_text, other))
    return repr(one) == repr(other)


def type_and_text(value: Any) -> tuple[str, str]:
    return type(value).__name__, repr(value)


@given(VALUES)
def test_a_whole_form_gives_the_value_back(value: Any) -> None:
    form = whole(value)
    assert form is None or same(restored(form), value)


@given(ATOMS | st.lists(ATOMS, max_size=3) | st.dictionaries(KEYS, ATOMS, max_size=3))
def test_simple_values_have_a_whole_form(value: Any) -> None:
    assert whole(value) is not None


@pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
@settings(max_examples=40)
@given(VALUES)
def test_a_hit_puts_back_exactly_what_was_there(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("exact")
    results = []
    for handed in (value, "another one"):
        with Tracker(run_dir=folder / "runs", db_path=folder / "p.db", sync="os") as tracker:
            keeper = Keeper()
            options = ExecutionOptions(runtime_kwargs={"value": handed})
            results.append((tracker.run(keeper.keep, outputs=["o"], execution_options=options), keeper))
    (first, _), (second, keeper) = results
    assert not first.cache_hit
    if second.cache_hit:
        assert same(keeper.kept, value)
    else:
        assert whole(value) is None or may_be_secret(value)


def may_be_secret(value: Any) -> bool:
    plain = to_plain(value)
    return bool(Masker(Path("no key")).plain(plain) != plain)


def test_what_may_be_a_secret_is_not_recorded_and_so_not_put_back(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
        for _ in range(2):
            keeper, options = Keeper(), ExecutionOptions(runtime_kwargs={"value": {"password": "x"}})
            assert not tracker.run(keeper.keep, outputs=["o"], execution_options=options).cache_hit


@pytest.mark.parametrize(
    "value",
    [
        (lambda shared: [shared, shared])([]),
        type("L", (list,), {})([1]),
        decimal.Context(),
        "x" * (64 * 1024),
        list(range(70_000)),
        collections.defaultdict(lambda: 1),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
    ],
    ids=["one list twice", "subclass", "object", "large text", "large list", "factory", "named zone"],
)
def test_other_values_have_no_whole_form(value: Any) -> None:
    assert whole(value) is None


# ---------------------------------------------------------------- obstacles and reports


class Counts:
    """A model with state of all kinds."""

    total: int
    rows: Any = None

    def step(self) -> Path:
        self.total = 5
        return made()

    def read(self) -> Path:
        return made("o", f"{self.total}\n")


def test_slots_are_put_back(tracker: Tracker) -> None:
    class Slots:
        __slots__ = ("rows",)
        rows: list[int]

        def step(self) -> Path:
            self.rows.append(2)
            return made()

    one = Slots()
    one.rows = [1]
    assert not tracker.run(one.step, outputs=["o"]).cache_hit
    other = Slots()
    other.rows = [1]
    assert tracker.run(other.step, outputs=["o"]).cache_hit
    assert other.rows == [1, 2]


def test_what_the_audit_and_why_say(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(Counts().step, outputs=["o"])
    model = Counts()
    with tracker.scenario("s") as sc:
        result = sc.run(model.step, outputs=["o"])
    assert (result.cache_hit, model.total) == (True, 5)
    why = result.run.why()
    assert why.put_back == ["self.total"]
    assert "put back: self.total" in str(why)
    done = subprocess.run(
        [sys.executable, "-m", "consist_es", "audit", "s", "--all"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "put back: self.total" in done.stdout, done.stdout + done.stderr
    assert "changed self.total" in done.stdout


def test_nothing_is_put_back_before_a_trace_block(tracker: Tracker) -> None:
    model = Counts()
    for _ in range(2):
        with tracker.trace("block"):
            model.total = 5
    assert model.total == 5


def test_the_views_are_rebuilt_with_what_is_put_back(tracker: Tracker, here: Path) -> None:
    tracker.run(Counts().step, outputs=["o"])
    tracker.close()
    for path in here.glob("project.db*"):
        if path.is_file():
            path.unlink()
    model = Counts()
    with Tracker(run_dir="runs", db_path="project.db") as again:
        assert again.run(model.step, outputs=["o"]).cache_hit
    assert model.total == 5


def test_a_secret_is_not_kept_for_a_hit(tracker: Tracker, here: Path) -> None:
    class Login:
        password = ""

        def step(self) -> Path:
            self.password = "hunter2-hunter2"
            self.session = {"password": "hunter2-hunter2"}
            return made()

    with pytest.warns(ConsistWarning, match="session"):
        tracker.run(Login().step, outputs=["o"])
    tracker.close()
    assert not [path for path in here.rglob("*.jsonl") if b"hunter2" in path.read_bytes()]


STARTED, SET = threading.Event(), threading.Event()


class Slow:
    total = 0

    def one(self) -> Path:
        self.total = 1
        SET.set()
        return made()

    def other(self) -> Path:
        STARTED.set()
        assert SET.wait(60)
        return made("p")


def test_steps_at_the_same_time_are_not_told_apart(tracker: Tracker) -> None:
    model = Slow()
    with ThreadPoolExecutor(1) as pool:
        handed = ExecutionOptions(runtime_kwargs={})
        other = pool.submit(tracker.run, model.other, execution_options=handed)
        assert STARTED.wait(60)
        tracker.run(model.one)
        other.result()
    reasons = [row.not_reusable_reason or "" for row in rows(tracker)]
    assert len([text for text in reasons if "self.total changed while other steps ran" in text]) == 2, reasons


def rows(tracker: Tracker) -> list[Any]:
    from consist_es.projections import run_table

    return list(run_table.find(tracker._engine.project.connection(), kind="run"))


# ---------------------------------------------------------------- forecasts


def test_a_forecast_waits_for_what_a_hit_will_put_back(tracker: Tracker) -> None:
    def steps(model: Counts) -> list[Any]:
        return [model.step, model.read]

    with tracker.scenario("s") as sc:
        for fn in steps(Counts()):
            sc.run(fn, outputs=["o"])
    model = Counts()
    with tracker.scenario("s") as sc:
        told = [sc.forecast(fn, outputs=["o"]) for fn in steps(model)]
        assert [item.verdict for item in told] == ["hit", "open"]
        assert told[1].waits_for == ["step"]
        hits = [sc.run(fn, outputs=["o"]).cache_hit for fn in steps(model)]
        assert hits == [True, True]
        assert [sc.forecast(fn, outputs=["o"]).verdict for fn in steps(model)] == ["hit", "hit"]


def test_a_forecast_waits_for_what_a_step_that_will_run_sets(tracker: Tracker) -> None:
    model = Counts()
    model.total = 5
    with tracker.scenario("s") as sc:
        sc.run(model.read, outputs=["o"])
        model.total = 5
        assert [sc.forecast(fn, outputs=["o"]).verdict for fn in (model.step, model.read)] == ["miss", "open"]
