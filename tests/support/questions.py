"""A small model with two years, two iterations, a policy, a failure and an edit, recorded with a clock of its own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.api import ROOT

MODEL = '''\
"""Land use, demand and assignment of a region, in two years with two iterations each."""

from pathlib import Path

import consist_es as consist

GAP = 0.001


def table(key: str, *rows: object) -> Path:
    path = consist.output_path(key, "csv")
    path.write_text("zone,value\\n" + "".join(f"{zone},{row}\\n" for zone, row in enumerate(rows, 1)))
    return path


def values(path: Path) -> list[float]:
    return [float(line.split(",")[1]) for line in path.read_text().splitlines()[1:]]


def land_use(zones: Path, year: int, growth: float) -> Path:
    return table("land", *(value * growth ** (year - 2020) for value in values(zones)))


def demand(land: Path, price: float, skims: Path | None = None) -> Path:
    cost = price if skims is None else price + sum(values(skims))
    return table("trips", *(value * 3 - cost for value in values(land)))


def assign(trips: Path, capacity: float) -> Path:
    loads = [value / capacity for value in values(trips)]
    if max(loads) > 1e6:
        raise RuntimeError(f"no equilibrium: relative gap 0.031 > {GAP} after 200 iterations (load {max(loads):.0f})")
    return table("skims", *(1 + load**4 * 1e-12 for load in loads))


def report(trips: Path, skims: Path) -> Path:
    return table("report", sum(values(trips)), sum(values(skims)))


def play(tracker: consist.Tracker, name: str, growth: float, price: float) -> None:
    config = {"growth": growth, "price": price}
    with tracker.scenario(name, config=config, description=f"growth {growth}, price {price}") as sc:
        for year in (2030, 2040):
            inputs = {"zones": "zones.csv"}
            sc.run(land_use, year=year, inputs=inputs, config={"year": year, "growth": growth}, outputs=["land"])
            for iteration in range(2):
                keys = ["land"] if iteration == 0 else ["land", "skims"]
                when = {"year": year, "iteration": iteration}
                sc.run(demand, input_keys=keys, config={"price": price}, outputs=["trips"], **when)
                sc.run(assign, input_keys=["trips"], config={"capacity": 1.0}, outputs=["skims"], **when)
            sc.run(report, year=year, input_keys=["trips", "skims"], outputs=["report"])

'''
SCRIPT = """\
import sys

import consist_es as consist
from model import play

name, growth, price = sys.argv[1:]
with consist.Tracker("runs", "provenance.db") as tracker:
    play(tracker, name, float(growth), float(price))
"""
RUNS = (("baseline", 1.01, 0.0), ("pricing", 1.01, 2.0), ("boom", 3.0, 0.0), ("baseline", 1.01, 0.0))
"""Name, growth and price; the model is edited before the last one."""


def record_questions(folder: Path) -> None:
    """Record `baseline` twice, the second time after an edit of `assign`, `pricing`, and `boom`, which fails."""
    (folder / "zones.csv").write_text("zone,value\n" + "".join(f"{zone},{zone * 100}\n" for zone in range(1, 7)))
    (folder / "run.py").write_text(SCRIPT)
    model = folder / "model.py"
    model.write_text(MODEL)
    for number, values in enumerate(RUNS):
        if number == len(RUNS) - 1:
            model.write_text(MODEL.replace("load**4", "load**3"))
        done = subprocess.run(
            [sys.executable, "run.py", *map(str, values)],
            cwd=folder,
            env={
                # the variable is there if an earlier test watched a step: then its children tell what they read
                **{name: value for name, value in os.environ.items() if name != "CONSIST_ES_OBSERVE"},
                "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'support' / 'steady'}",
                "PYTHONDONTWRITEBYTECODE": "1",  # the edit leaves time and size as they may have been
                "STEADY_CLOCK": str(number * 320),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (values[0] == "boom"), done.stderr
