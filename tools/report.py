"""The long form of the report's tests: ``python3 tools/dev.py external report``.

Installs what `web/package-lock.json` names into a copy of `web/`, builds the page, and compares it with the committed
one. Then records two projects, of some 1,150 and 11,500 steps, and looks at their reports in a browser: sizes, counts,
the console, what axe-core says, and that no graph of more than 250 boxes is laid out. Times are printed, never judged.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import consist_es as consist
from consist_es.project.project import Project
from consist_es.report.making import make_report, write_report
from consist_es.report.page import built
from tests.report.browser import opened, visited

ROOT = Path(__file__).resolve().parent.parent
YEARS = (2020, 2025, 2030, 2035, 2040)
ITERATIONS = (0, 1)
STEPS = 41
SMALL, LARGE = 28, 281
"""Numbers of scenarios."""
MOST_BYTES = {SMALL: 1_500_000, LARGE: 3_000_000}
MOST_BOXES = 250
VIEWS = (
    "#/overview",
    "#/timeline",
    "#/timeline?sc=3",
    "#/lineage",
    "#/lineage?focus=600&far=all",
    "#/steps?q=assign&step=700",
)
COMPARED = ("#/compare?a=0", "#/compare?a=0&b=7")


def main() -> int:
    """Give 0 if all is as it should be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        check_build(folder / "web")
        for scenarios in (SMALL, LARGE):
            check_report(folder / str(scenarios), scenarios)
    return 0


def check_build(folder: Path) -> None:
    """Build the page from nothing but the sources and the lock file."""
    shutil.copytree(ROOT / "web", folder, ignore=shutil.ignore_patterns("node_modules"))
    for command in (("npm", "ci", "--silent"), ("node", "build.mjs", str(folder))):
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    for name in ("report.js", "report.css", "THIRD-PARTY.txt"):
        assert (folder / name).read_text(encoding="utf-8") == built(name), f"{name} is not what the sources give"
    print("build: the same bytes")


def check_report(folder: Path, scenarios: int) -> None:
    """Record a project, make its report, and look at it."""
    folder.mkdir()
    record(folder, scenarios)
    file = folder / "report.html"
    project = Project(folder / "p.db", read_only=True)
    began = time.process_time()
    made = make_report(project)
    took = time.process_time() - began
    project.close()
    write_report(file, made)
    size = file.stat().st_size
    assert (made.ok, made.scenarios, made.steps) == (True, scenarios, scenarios * STEPS)
    assert size < MOST_BYTES[scenarios], f"{size} bytes"
    text, noise = opened(file, "#/steps?sc=2&q=assign")
    assert f"{len(YEARS) * len(ITERATIONS)} of {made.steps}" in text
    assert noise == []
    views = (*VIEWS, *COMPARED)
    seen = visited(file, [(view, theme, scenarios == SMALL) for theme in ("light", "dark") for view in views])
    assert [visit.problems for visit in seen.found if visit.problems] == []
    assert max(visit.boxes for visit in seen.found) <= MOST_BOXES
    assert [name for name in seen.resources if not name.startswith("data:")] == []
    print(f"report: {made.steps} steps, {size / 1e6:.2f} MB, read in {took:.1f} s of CPU, {len(seen.found)} views")


# ---------------------------------------------------------------- a synthetic model


def _made(text: str) -> Path:
    path = consist.output_path("out", "txt")
    path.write_text(text)
    return path


def prepare(base: float) -> Path:
    """The zones."""
    return _made(f"{base}\n")


def land_use(zones: Path, skims: Path | None = None, growth: float = 0.0, year: int = 0) -> Path:
    """Where people live and work."""
    return _made(f"{zones.read_text()}{skims and skims.read_text()[:60]}{growth} {year}\n"[-400:])


def population(zones: Path, seed: int, year: int) -> Path:
    """Who they are."""
    return _made(f"{zones.read_text()}{seed} {year}\n"[-400:])


def demand(persons: Path, skims: Path | None = None, price: float = 0.0) -> Path:
    """Their trips."""
    return _made(f"{persons.read_text()}{skims and skims.read_text()[:60]}{price}\n"[-400:])


def assign(trips: Path, capacity: float) -> Path:
    """The trips on the network."""
    return _made(f"{trips.read_text()}{capacity}\n"[-400:])


def summary(skims: Path, share: float) -> Path:
    """A table for a report."""
    return _made(f"{skims.read_text()}{share}\n"[-400:])


def record(folder: Path, scenarios: int) -> None:
    """So many scenarios of 41 steps, each of which differs from the first in one of six keys."""
    with consist.Tracker(run_dir=folder / "runs", db_path=folder / "p.db", project_root=folder, sync="os") as tracker:
        for number in range(scenarios):
            config = {"growth": 0.01, "seed": 7, "price": 0.0, "capacity": 1.0, "share": 0.1, "final": 0}
            key = list(config)[number % len(config)]
            config[key] += number
            _play(tracker, f"scenario_{number}", config)


Made = consist.RunResult | None


def _play(tracker: consist.Tracker, name: str, config: dict[str, float]) -> None:
    with tracker.scenario(name, config=config, description=f"number {name.rpartition('_')[2]}") as sc:

        def run(
            function: Callable[..., Path], year: int | None, config: dict[str, float], iteration: int | None = None,
            **inputs: Made,
        ) -> consist.RunResult:  # fmt: skip
            given = {role: consist.ref(made) for role, made in inputs.items() if made is not None}
            return sc.run(
                function, year=year, iteration=iteration, config=config, inputs=given, outputs=["out"],
                execution_options=consist.ExecutionOptions(input_binding="paths"),
            )  # fmt: skip

        zones = run(prepare, None, {"base": 1.0})
        skims: Made = None
        for year in YEARS:
            zones = run(land_use, year, {"growth": config["growth"], "year": year}, zones=zones, skims=skims)
            persons = run(population, year, {"seed": config["seed"], "year": year}, zones=zones)
            for iteration in ITERATIONS:
                trips = run(demand, year, {"price": config["price"]}, iteration, persons=persons, skims=skims)
                skims = run(assign, year, {"capacity": config["capacity"]}, iteration, trips=trips)
            for share in ("share", "final"):
                run(summary, year, {"share": config[share]}, skims=skims)


if __name__ == "__main__":
    sys.exit(main())
