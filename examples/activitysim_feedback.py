"""ActivitySim with feedback to land use: two scenarios of two iterations, on ActivitySim's own 25-zone example.

In every iteration ActivitySim simulates the travel of a day; then a small step lets retail jobs follow the trips, and
the next iteration begins with that land use. The second scenario has one other coefficient. Run it as
``python activitysim_feedback.py MODEL FOLDER``, with MODEL the folder ``prototype_mtc`` (``activitysim create -e
prototype_mtc -d .`` makes it), and compare the scenarios with ``consist-es diff`` or ``consist-es report``.
"""

import argparse
import csv
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import consist_es as consist
from consist_es import ExecutionOptions
from consist_es.adapters.activitysim import ActivitySimAdapter
from consist_es.adapters.overrides import changed_activitysim

LAND_USE = "land_use.csv"
OUTPUT = {"action": "include", "prefix": "final_", "sort": True, "tables": ["trips", "households"]}


def simulate(land_use: Path, model: ActivitySimAdapter, python: str) -> dict[str, Path]:
    """Run ActivitySim with this land use. `model` has the folders; what is in them counts by way of the adapter."""
    near, out = consist.output_dir("data"), consist.output_dir("activitysim")
    shutil.copyfile(land_use, near / LAND_USE)
    consist.call([python, "-m", "activitysim", "run", "-d", str(near), *model.arguments(), "-o", str(out)])
    return {
        "trips": out / "final_trips.csv",
        "households": out / "final_households.csv",
        "settings-used": model.write_settings(consist.output_path("settings-used", ext="yaml")),
    }


def move_jobs(land_use: Path, trips: Path, rate: float) -> Path:
    """Land use in which retail jobs went where the trips go."""
    ends = Counter(row["destination"] for row in rows(trips))
    zones = rows(land_use)
    jobs, total = sum(float(zone["RETEMPN"]) for zone in zones), sum(ends.values())
    for zone in zones:
        wanted = jobs * ends[zone["TAZ"]] / total
        zone["RETEMPN"] = f"{(1 - rate) * float(zone['RETEMPN']) + rate * wanted:.1f}"
    out = consist.output_path("land_use", ext="csv")
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, zones[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(zones)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(
    tracker: Any, scenario: str, model: ActivitySimAdapter, land_use: Path, *, iterations: int, python: str
) -> None:
    """All iterations of one scenario."""
    with tracker.scenario(scenario) as sc:
        for iteration in range(iterations):
            sc.run(
                simulate,
                inputs={"land_use": sc.coupler.get("land_use", land_use)},
                adapter=model,
                execution_options=ExecutionOptions(runtime_kwargs={"model": model, "python": python}),
                iteration=iteration,
                outputs=["trips", "households", "settings-used"],
            )
            sc.run(
                move_jobs,
                inputs={"land_use": sc.coupler.get("land_use", land_use), "trips": "trips"},
                config={"rate": 0.2},
                iteration=iteration,
                outputs=["land_use"],
            )


def main(arguments: list[str]) -> None:
    """Run both scenarios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--households", type=int, default=50)
    parser.add_argument("--coefficient", default="-3.0", help="value of coef_cars2_asc in the second scenario")
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, help="one that has ActivitySim")
    given = parser.parse_args(arguments)
    source = given.model.absolute()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(given.folder)
    with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        whole = ActivitySimAdapter(source / "configs", source / "data", inputs=[LAND_USE])
        for scenario, coefficients in (("base", {}), ("fewer-cars", {"coef_cars2_asc": given.coefficient})):
            model = changed_activitysim(
                whole,
                Path("configs") / scenario,
                settings={"settings.yaml": {"households_sample_size": given.households, "output_tables": OUTPUT}},
                coefficients={"auto_ownership_coefficients.csv": coefficients} if coefficients else {},
            )
            run(
                tracker,
                scenario,
                model,
                source / "data" / LAND_USE,
                iterations=given.iterations,
                python=given.python,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
