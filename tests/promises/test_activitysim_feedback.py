"""examples/activitysim_feedback.py with a stand-in for ActivitySim: iterations, feedback, hits, another coefficient.

`python3 tools/dev.py external model` runs it with ActivitySim itself.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker

pytest.importorskip("yaml")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "activitysim_feedback.py"
STAND_IN = f"""#!{sys.executable}
import csv, pathlib, sys
words = sys.argv[1:]
assert words[:3] == ["-m", "activitysim", "run"], words
given = {{option: [words[i + 1] for i, word in enumerate(words) if word == option] for option in ("-c", "-d", "-o")}}
def first(option, name):
    return next(path for folder in given[option] if (path := pathlib.Path(folder) / name).exists())
zones = list(csv.DictReader(first("-d", "land_use.csv").open()))
rows = list(csv.DictReader(first("-c", "auto_ownership_coefficients.csv").open()))
weight = abs(float(rows[0]["value"]))
out = pathlib.Path(given["-o"][0])
lines = [zone["TAZ"] for zone in zones for _ in range(int(float(zone["RETEMPN"]) * weight) % 7 + 1)]
(out / "final_trips.csv").write_text("destination\\n" + "".join(line + "\\n" for line in lines))
(out / "final_households.csv").write_text("household_id\\n1\\n")
"""


@pytest.fixture
def model(here: Path) -> Path:
    source = here / "prototype_mtc"
    (source / "configs").mkdir(parents=True)
    (source / "data").mkdir()
    (source / "configs" / "settings.yaml").write_text("households_sample_size: 100\nchunk_size: 0\noutput_tables: {}\n")
    (source / "configs" / "auto_ownership_coefficients.csv").write_text(
        "coefficient_name,value,constrain\ncoef_cars2_asc,-1.1,F\n"
    )
    (source / "data" / "land_use.csv").write_text("TAZ,RETEMPN\n1,10\n2,25\n3,31\n")
    stand_in = here / "python"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    return source


def run(model: Path, *arguments: str) -> list[tuple[str, int | None, str]]:
    """Run the example; name, iteration and outcome of its steps."""
    spec = importlib.util.spec_from_file_location("activitysim_feedback", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = example
    spec.loader.exec_module(example)
    project = model.parent / "project"
    before = len(steps(project))
    example.main([str(model), str(project), "--python", str(model.parent / "python"), *arguments])
    del sys.modules[spec.name]
    return [(step.name, step.iteration, step.outcome) for step in steps(project)[before:]]


def steps(project: Path) -> list[Any]:
    """Every step so far, oldest first."""
    if not (project / "provenance.db").exists():
        return []
    with Tracker(run_dir=project / "runs", db_path=project / "provenance.db", access_mode="read_only") as tracker:
        return [step for step in reversed(tracker.find_runs(limit=100)) if step.kind == "run"]


def test_the_example_reuses_what_is_the_same_and_runs_again_what_depends_on_a_change(model: Path) -> None:
    each = [("simulate", 0), ("move_jobs", 0), ("simulate", 1), ("move_jobs", 1)]
    computed, hits = ([(*step, outcome) for step in each] for outcome in ("computed", "hit"))
    assert run(model) == [*computed, *computed]
    assert run(model) == [*hits, *hits]
    settings = model / "configs" / "settings.yaml"
    settings.write_text(settings.read_text().replace("chunk_size: 0", "chunk_size: 1").replace("size: 100", "size: 50"))
    assert run(model) == [*hits, *hits]
    assert run(model, "--coefficient", "-2.5") == [*hits, *computed]
    table = model / "data" / "land_use.csv"
    table.write_text(table.read_text().replace("3,31", "3,32"))
    assert run(model, "--coefficient", "-2.5") == [*computed, *computed]
