"""`import consist_es` stays cheap: what it must not pull in. Counted in modules, for seconds are not reproducible."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("pyarrow", "pandas", "numpy", "click", "rich", "sqlite_utils", "sqlite3", "asyncio", "multiprocessing")


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        # the variable is there if an earlier test watched a step: then its children tell what they read
        env={**{k: v for k, v in os.environ.items() if k != "CONSIST_ES_OBSERVE"}, "PYTHONPATH": str(ROOT)},
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def nothing() -> set[str]:
    return loaded_by("pass")


def test_the_probe_sees_a_heavy_module(nothing: set[str]) -> None:
    assert "sqlite3" in loaded_by("import sqlite3") - nothing


@pytest.mark.parametrize("statement", ["import consist_es", "import consist_es.errors, consist_es.events"])
def test_importing_the_package_loads_nothing_heavy(statement: str, nothing: set[str]) -> None:
    assert (loaded_by(statement) - nothing).isdisjoint(HEAVY)


def test_the_names_that_model_code_imports_load_no_table_library_and_no_command_line(nothing: set[str]) -> None:
    loaded = loaded_by("from consist_es import Tracker, CacheOptions, ExecutionOptions, BindingResult") - nothing
    assert loaded.isdisjoint({"pyarrow", "pandas", "numpy", "click", "rich"})


COLLECTOR = """
import gc, sys
{before}
state = lambda: (gc.isenabled(), gc.get_freeze_count() > 0)
before = state()
from consist_es import Tracker
assert state() == before
sys.modules["consist_es.runs.sets"] = None
try:
    from consist_es import RunSet
except ImportError:
    assert state() == before
else:
    raise AssertionError("the import was to fail")
"""


@pytest.mark.parametrize("before", ["", "gc.disable()", "gc.freeze()"])
def test_an_import_leaves_the_garbage_collector_as_it_was(before: str) -> None:
    assert "consist_es.api.tracker" in loaded_by(COLLECTOR.format(before=before))


# ---------------------------------------------------------------- a process with one miss and one hit

STEPS = """
from pathlib import Path
from consist_es import CacheOptions, Tracker

def grow(trips: Path, growth):
    (trips.parent / "grown.txt").write_text(trips.read_text() * growth)
    return {"grown": trips.parent / "grown.txt"}

Path("trips.txt").write_text("1,2,100")
tracker = Tracker(run_dir="runs", db_path="p.db")
for expected in (False, True):
    made = tracker.run(grow, inputs={"trips": "trips.txt"}, config={"growth": 2}, outputs=["grown"])
    assert made.cache_hit is expected
tracker.close()
"""
NOT_FOR_A_STEP = (
    *("pandas", "numpy", "pyarrow", "sqlite_utils", "click", "rich"),
    *("asyncio", "multiprocessing", "concurrent.futures", "importlib.metadata", "ssl", "hashlib", "zipfile", "email"),
)
OURS = 286
"""Most modules of ours for the first tracker, a miss and a hit: each costs 0.3 ms in every process. A step that needs a
new one raises this number; what only a command or a rare case needs is imported there instead. Five are for what a step
prints and takes, four know that recovery copies may exist, one holds verdicts, three are for sweeps, three read many
lines at once and put rows together, and three are for keywords of logging calls, runs begun by a call and captured
values that do not count, one opens projects, two know parts of files,
two know that bytes may be evicted, one sketches steps for forecasts, one finds what was left in caches and one puts
it back."""


@pytest.fixture(scope="module")
def by_steps(nothing: set[str], tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("steps")
    return loaded_by(f"import os\nos.chdir({str(folder)!r})\n{STEPS}") - nothing


def test_the_packages_that_a_step_does_without_are_installed() -> None:
    assert importlib.util.find_spec("pandas"), "sqlite_utils imports it where it is installed, so it must be here"
    assert importlib.util.find_spec("sqlite_utils")


@pytest.mark.parametrize("name", NOT_FOR_A_STEP)
def test_the_first_tracker_a_miss_and_a_hit_load_nothing_heavy(by_steps: set[str], name: str) -> None:
    assert name not in by_steps


def test_a_process_with_steps_loads_few_modules_of_ours(by_steps: set[str]) -> None:
    ours = sorted(name for name in by_steps if name.partition(".")[0] == "consist_es")
    assert len(ours) <= OURS, "\n".join(ours)
