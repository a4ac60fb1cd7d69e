"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the checkout: one new view, one new driver."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.api import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout to change."""
    unneeded = shutil.ignore_patterns("__pycache__")
    for name in ("consist_es", "projections", "docs", "tests"):
        shutil.copytree(ROOT / name, tmp_path / "copy" / name, symlinks=True, ignore=unneeded)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder to work in."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def recipe(name: str) -> str:
    """What the page says under "How to add …"."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    return page[page.index(f"**{name}.**") :].partition("\n\n")[0].replace("\n", " ")


def edit(copy: Path, told: str, file: str, old: str, new: str) -> None:
    """Change a file that the recipe names; to change another one would be to know better."""
    assert f"`{file}`" in told
    text = (copy / file).read_text("utf-8")
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1), "utf-8")


def python(checkout: Path, folder: Path, *arguments: str) -> str:
    """What Python prints in a folder, with the package of a checkout."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---------------------------------------------------------------- a view

GOLDEN = "tests.projections.test_projections_golden"
VIEW = '''"""How often each step began."""

import sqlite3
from collections.abc import Iterable

from consist_es.events import Recorded, StepStarted
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_table

name = "step_counts"
version = 1
tables: tuple[str, ...] = ("step_counts",)


def create(db: Database) -> None:
    create_table(db, "step_counts", {"step": str, "runs": int}, pk="step")


def index(db: Database) -> None:
    pass


_COUNT = "INSERT INTO step_counts (step, runs) VALUES (?, 1) ON CONFLICT (step) DO UPDATE SET runs = runs + 1"


def fold(recorded: Recorded) -> Iterable[Statement]:
    return [(_COUNT, (recorded.event.name,))] if isinstance(recorded.event, StepStarted) else []


def runs_of(conn: sqlite3.Connection, step: str) -> int:
    return sum(runs for (runs,) in query(conn, "SELECT runs FROM step_counts WHERE step = ?", (step,)))
'''
PAGE = "## `step_counts`\n\n| column | type | meaning |\n|---|---|---|\n| `step` | TEXT | |\n| `runs` | INTEGER | |\n\n"
RUN = """
import consist_es
tracker = consist_es.Tracker("runs", "p.db")
tracker.run(print, name="says", cache_options=consist_es.CacheOptions(cache_mode="overwrite"))
"""
ASK = """
from consist_es.projections import step_counts
print("runs:", step_counts.runs_of(tracker.project.connection(), "says"))
"""


def test_a_view_is_added_by_its_recipe(copy: Path, project: Path) -> None:
    told = recipe("a view")
    python(ROOT, project, "-c", RUN)
    assert "One new file in `projections/`" in told
    assert "`create_table`" in told
    (copy / "projections" / "step_counts.py").write_text(VIEW, "utf-8")
    edit(copy, told, "projections/__init__.py", "    sweeps,\n)", "    step_counts,\n    sweeps,\n)")
    edit(copy, told, "projections/__init__.py", '    sweeps,\n)\n"', '    sweeps,\n    step_counts,\n)\n"')
    edit(copy, told, "docs/views.md", "## Bookkeeping\n", f"{PAGE}## Bookkeeping\n")
    assert f"`python -m {GOLDEN}`" in told
    python(copy, copy, "-m", GOLDEN)
    gates = [f"tests/projections/test_projections_{name}.py" for name in ("docs", "golden")]
    python(copy, copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", *gates)
    assert "runs: 2" in python(copy, project, "-c", RUN + ASK), "the run from before the view counts as well"
    assert "`consist-es replay --check`" in told
    python(copy, project, "-m", "consist_es", "replay", "--check")


# ---------------------------------------------------------------- a driver

DRIVERS = "consist_es/artifacts/drivers"
DRIVER = '''"""A driver for one number in a file."""

from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, need


def _number(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    return need("decimal", "numbers", artifact).Decimal(path.read_text("utf-8"))


DRIVERS = (Driver("number", _number, frozenset()),)
'''
LOAD = """
import consist_es
from pathlib import Path

def make() -> Path:
    path = consist_es.output_path("growth", ext="num")
    path.write_text("1.10")
    return path

tracker = consist_es.Tracker("runs", "p.db")
growth = tracker.run(make, outputs=["growth"]).output
print(growth.driver, repr(consist_es.load(growth)))
"""


def test_a_driver_is_added_by_its_recipe(copy: Path, project: Path) -> None:
    told, formats, loading = recipe("a driver"), "consist_es/artifacts/formats.py", f"{DRIVERS}/loading.py"
    assert all(f"`{name}`" in told for name in ("DriverType", "_SUFFIXES", f"{DRIVERS}/", "DRIVERS", "BUILTIN", "need"))
    edit(copy, told, formats, "    OTHER =", '    NUMBER = "number"\n    OTHER =')
    edit(copy, told, formats, '    ".gpkg":', '    ".num": "number",\n    ".gpkg":')
    (copy / DRIVERS / "numbers.py").write_text(DRIVER, "utf-8")
    edit(copy, told, loading, "import plugins\n", "import numbers as number_drivers, plugins\n")
    edit(copy, told, loading, "hdf_drivers)\n", "hdf_drivers, number_drivers)\n")
    gate = "tests/artifacts/drivers/test_drivers.py"
    edit(copy, told, "docs/drivers.md", "| `csv` |", "| `number` | `.num` | Decimal | none | none |\n| `csv` |")
    python(copy, copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "every or guard", gate)
    assert "number Decimal('1.10')" in python(copy, project, "-c", LOAD)
