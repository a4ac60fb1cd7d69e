"""Notebooks: classes of cells, modules that autoreload edits in place, compiled functions imported by name."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api import ROOT

KERNEL = r"""
import linecache, sys, warnings
warnings.simplefilter("ignore")
def cell(text, numbers=iter(range(1000))):  # as ipykernel does it: a file name that does not exist, and linecache
    name = f"/ipykernel_99/{next(numbers)}.py"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    exec(compile(text, name, "exec"), globals())
def edit(name, text):
    open(name, "w").write(text)
"""
SHELL = r"""
import os, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, os.getcwd())
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
def cell(text):
    done = shell.run_cell(text, store_history=True)
    done.raise_error()
def edit(name, text, times=iter(range(1, 1000))):
    open(name, "w").write(text)
    at = os.stat(name).st_mtime + next(times)  # autoreload looks at whole seconds
    os.utime(name, (at, at))
"""
START = """
import consist_es as consist
from consist_es import Tracker
tr = Tracker(run_dir="runs", db_path="p.db", sync="os", observe="off")
def W(x):
    out = consist.output_path("out", ext="txt"); out.write_text(str(x)); return out
def show(fn, **given):
    r = tr.run(fn, **given); print("hit" if r.cache_hit else "ran", r.output.path.read_text())
"""
KINDS = [
    KERNEL,
    pytest.param(SHELL, marks=pytest.mark.skipif(importlib.util.find_spec("IPython") is None, reason="needs IPython")),
]


def played(here: Path, kind: str, *cells: str | tuple[str, str]) -> list[str]:
    """What cells print, in one session; a pair is a file and its new text."""
    calls = [f"edit({cell[0]!r}, {cell[1]!r})" if isinstance(cell, tuple) else f"cell({cell!r})" for cell in cells]
    session = "\n".join([kind, f"cell({START!r})", *calls])  # in no file, for a kernel's own code is not the user's
    done = subprocess.run(
        [sys.executable, "-c", session],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(here / "ipython")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith(("hit", "ran"))]


MODEL = """
class Model:
    def __init__(self, rate): self.rate = rate
    def run(self): return W(self.rate{})
"""


@pytest.mark.parametrize("kind", KINDS)
def test_classes_of_cells_count_by_what_they_say(here: Path, kind: str) -> None:
    call = "show(Model(2).run)"
    plain, edited = MODEL.format(""), MODEL.format(" * 10")
    found = played(here, kind, plain, call, call, edited, call, plain, call, "show(Model(3).run)")
    assert found == ["ran 2", "hit 2", "ran 20", "hit 2", "ran 3"]
    assert played(here, kind, plain, call) == ["hit 2"]


@pytest.mark.parametrize("kind", KINDS)
def test_dataclasses_enums_and_subclasses_of_cells(here: Path, kind: str) -> None:
    classes = """
import dataclasses, enum
@dataclasses.dataclass
class Conf:
    rate: int = 2
    def total(self): return self.rate * 2
class Kind(enum.Enum):
    A = 1
class Base:
    def f(self): return 1
class Sub(Base):
    def g(self): return super().f() + 1
def total(config): return W(config.total())
def kind(config): return W(config["k"].value)
def subs(): return W(Sub().g())
"""
    calls = ["show(total, config=Conf())", "show(kind, config={'k': Kind.A})", "show(subs)"]
    assert played(here, kind, classes, *calls, *calls) == ["ran 4", "ran 1", "ran 2", "hit 4", "hit 1", "hit 2"]
    other = classes.replace("self.rate * 2", "self.rate * 3").replace("return 1", "return 5").replace("A = 1", "A = 7")
    assert played(here, kind, other, *calls) == ["ran 6", "ran 7", "ran 6"]


HELPER = """
RATE = {rate}
def double(x): return x * {factor}
COMPUTED = double(RATE)
class Thing:
    def go(self): return RATE * {more}
def work(): return Thing().go()
"""
STEPS = """
import helper
from helper import work
thing = helper.Thing()
def by_name(): return W(work())
def by_module(): return W(helper.work())
def by_object(): return W(thing.go())
def computed(): return W(helper.COMPUTED)
"""
CALLS = ["show(by_name)", "show(by_module)", "show(by_object)"]


def test_a_module_that_autoreload_edits_in_place_is_reused_again(here: Path) -> None:
    pytest.importorskip("IPython")
    first = HELPER.format(rate=2, factor=2, more=1)
    (here / "helper.py").write_text(first)
    on = "%load_ext autoreload\n%autoreload 2"
    rate = ("helper.py", HELPER.format(rate=3, factor=2, more=1))
    method = ("helper.py", HELPER.format(rate=3, factor=2, more=5))
    found = played(here, SHELL, on, STEPS, *CALLS, *CALLS, rate, *CALLS, *CALLS, method, *CALLS, *CALLS)
    sets = [found[start : start + 3] for start in range(0, len(found), 3)]
    assert sets == [[f"{how} {value}"] * 3 for value in (2, 3, 15) for how in ("ran", "hit")]
    assert played(here, SHELL, on, STEPS, *CALLS)[0] in ("hit 15", "ran 15")


def test_what_autoreload_leaves_as_it_was_is_never_served_to_a_fresh_session(here: Path) -> None:
    pytest.importorskip("IPython")
    (here / "helper.py").write_text(HELPER.format(rate=2, factor=2, more=1))
    on = "%load_ext autoreload\n%autoreload 2"
    edited = ("helper.py", HELPER.format(rate=2, factor=10, more=1))
    found = played(here, SHELL, on, STEPS, "show(computed)", edited, "show(computed)", "show(computed)")
    assert found[0] == "ran 4"
    fresh = played(here, SHELL, STEPS, "show(computed)")
    assert fresh in (["ran 20"], ["hit 20"])


def test_an_edit_that_autoreload_has_not_seen_yet_is_no_hit(here: Path) -> None:
    pytest.importorskip("IPython")
    (here / "helper.py").write_text(HELPER.format(rate=2, factor=2, more=1))
    on = "%load_ext autoreload\n%autoreload 2"
    text = HELPER.format(rate=3, factor=2, more=1)
    inside = f"open('helper.py', 'w').write({text!r})\nshow(by_name)\nshow(by_name)"
    found = played(here, SHELL, on, STEPS, "show(by_name)", inside)
    assert found == ["ran 2", "ran 2", "ran 2"]  # what is loaded is the old one still, and nobody may reuse that


COMPILED = """
import json
from bisect import bisect
from datetime import datetime
from itertools import accumulate
from math import exp, hypot
from operator import itemgetter
from re import sub
from zlib import crc32
def step(): return W(json.dumps([
    exp(0), hypot(3, 4), list(accumulate([1, 2])), itemgetter(0)([1]), bisect([1, 2], 1), datetime(2020, 1, 2).day,
    sub("a", "b", "aa"), crc32(b"x")]))
"""
ARRAYS = """
from numpy import array, dot, exp, interp, sin
from numpy.linalg import norm
from pandas import isna, to_numeric
def step(): return W(dot([1, 2], [3, 4]) + exp(0) + sin(0) + norm([3, 4]) + interp(1, [0, 2], [0, 2]) + isna(1)
    + to_numeric("1"))
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [COMPILED, ARRAYS])
def test_compiled_functions_imported_by_name_are_reused(here: Path, kind: str, text: str) -> None:
    if text is ARRAYS:
        pytest.importorskip("pandas")
    found = played(here, kind, text, "show(step)", "show(step)")
    assert [line[:3] for line in found] == ["ran", "hit"]
    assert found[0][3:] == found[1][3:]
    assert json.dumps(played(here, kind, text, "show(step)")[0][:3]) == '"hit"'


STATELESS = """
import logging
from string import Template
from sys import stdout
log = logging.getLogger("x")
T = Template("run $k")
def step():
    log.info("x"); stdout.write("")
    return W(T.substitute(k=1))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_stateless_objects_of_packages_are_reused(here: Path, kind: str) -> None:
    assert played(here, kind, STATELESS, "show(step)", "show(step)") == ["ran run 1", "hit run 1"]


FITTED = """
class Model:
    def __init__(self, rate): self.rate, self.trips = rate, None
    def run(self):
        self.trips = 100.0 * self.rate
        return W(self.trips)
model = Model(2)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_that_keeps_its_result_is_reused(here: Path, kind: str) -> None:
    found = played(here, kind, FITTED, *["show(model.run)"] * 3, "print('hit', model.trips)")
    assert found == ["ran 200.0", "hit 200.0", "hit 200.0", "hit 200.0"]
