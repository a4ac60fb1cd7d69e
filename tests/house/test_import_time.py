"""`import consist_es` stays cheap: what it must not pull in. Counted in modules, for seconds are not reproducible."""

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
