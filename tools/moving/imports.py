"""Imports records that LBNL's consist made itself: ``python -m tools.moving.imports [--checkout FOLDER]``.

Installs consist from the package registry into an environment of its own, for the time of the run, and has it make
records there: by the example of its README, by a script of ours in its own calls, and with a checkout of its repository
by its example scripts. Each record is imported, and every run compared with the rows of the database: one in a hundred
may be missing or other.
"""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from consist_es.imports.importing import import_consist
from consist_es.project.project import Project
from consist_es.projections import lineage, run_table

VERSION = "0.3.5"
NEEDED = 0.99
PREPARE = """
import pandas as pd
pd.DataFrame({"value": [0.1, 0.6, 0.9]}).to_parquet("raw.parquet")
"""
OURS = """
from pathlib import Path

import consist
from consist import ExecutionOptions, Tracker

Path("in").mkdir(exist_ok=True)
Path("in/zones.csv").write_text("zone,jobs\\n1,100\\n")
tracker = Tracker(run_dir="runs", db_path="ours.duckdb", mounts={"inputs": "in"}, project_root=".")


def scale(zones: Path, factor: int) -> dict:
    out = Path(f"runs/scaled_{factor}.csv")
    out.write_text(zones.read_text() * factor)
    return {"scaled": out}


with consist.use_tracker(tracker):
    for name in ("base", "policy"):
        with consist.scenario(name, config={"name": name}, tags=["study"]) as sc:
            for year in range(2020, 2045):
                given = {"zones": Path("in/zones.csv")}
                options = ExecutionOptions(input_binding="paths", runtime_kwargs={"factor": year % 3 + 1})
                sc.run(fn=scale, inputs=given, year=year, config={"factor": year % 3 + 1}, outputs=["scaled"],
                       facet={"factor": year % 3 + 1}, execution_options=options)
            with sc.trace("summary", year=2045, config={"n": 1}) as t:
                path = Path(f"runs/{name}.csv")
                path.write_text("metric,value\\nvmt,1\\n")
                consist.log_output(path, key="summary", facet={"unit": "km"})
    for number in range(3):
        try:
            with tracker.start_run(f"broken_{number}", model="broken"):
                raise ValueError("no zone 7")
        except ValueError:
            pass
"""


def made(folder: Path, checkout: Path | None) -> Iterator[Path]:
    """The databases of the records, each made by consist."""
    environment = folder / "env"
    venv.create(environment, with_pip=True)
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = [f"consist[git,zarr,netcdf]=={VERSION}"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    (readme,) = environment.rglob(f"consist-{VERSION}.dist-info/METADATA")
    example = re.search(r"## Quick Example\n+```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    scripts = {"ours.py": OURS}
    if example is not None:
        scripts["readme.py"] = PREPARE + example[1]
    project = folder / "project"
    project.mkdir()
    for path in sorted((checkout / "examples" / "scripts").glob("*.py")) if checkout is not None else ():
        scripts[path.name] = path.read_text(encoding="utf-8")
    data = project / "examples" / "data"
    inputs = project / "data" / "raw_inputs"
    for place, name in ((data, "raw_data.csv"), (inputs, "land_use.csv"), (inputs, "rail_network_v2.gpkg")):
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("zone,jobs\n1,100\n")
    for name, text in scripts.items():
        (project / name).write_text(text, encoding="utf-8")
    as_somebody = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    for arguments in (["init", "--quiet"], ["add", "*.py"], [*as_somebody, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *arguments], cwd=project, check=True)
    for name in scripts:
        done = subprocess.run([python, name], cwd=project, capture_output=True, text=True, check=False)
        print(f"{name:40}{'ran' if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:100]}")
    yield from sorted(project.rglob("*.duckdb"))


def rows(conn: Any, sql: str) -> list[dict[str, Any]]:
    result = conn.execute(sql)
    names = [item[0] for item in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def compared(database: Path) -> tuple[int, int]:
    """How many runs came along as they are in the database, and how many there are."""
    with duckdb.connect(str(database), read_only=True) as conn:
        runs = rows(conn, "SELECT id, status, model_name, year, epoch_us(started_at) AS at, parent_run_id FROM run")
        links = rows(conn, "SELECT run_id, artifact_id, direction FROM run_artifact_link")
    project = Project(database.with_name(f"{database.stem}_imported.db"))
    done = import_consist(project, database)
    views, right = project.connection(), 0
    for run in runs:
        found = run_table.get(views, run["id"])
        sides = {
            side: {link["artifact_id"] for link in links if (link["run_id"], link["direction"]) == (run["id"], side)}
            for side in ("input", "output")
        }
        if found is None:
            print(f"  missing: {run['id']}")
            continue
        ours = {
            "input": {row.artifact_id for row in lineage.inputs(views, found.key).values()},
            "output": {row.artifact_id for row in lineage.outputs(views, found.key).values()},
        }
        parent = None if found.parent_key is None else run_table.id_of(views, found.parent_key)
        same = (found.status, found.model, found.year, parent, ours) == (
            *(run[name] for name in ("status", "model_name", "year", "parent_run_id")), sides,
        )  # fmt: skip
        right += same
        if not same:
            print(f"  other: {run['id']}")
    again = import_consist(project, database)
    project.close()
    for problem in done.problems:
        print(f"  note: {problem}")
    print(
        f"{database.name:40}{right} of {len(runs)} runs as they were, {done.artifacts} artifacts, "
        f"{done.verified} with the recorded bytes; again: {again.runs} runs; tables left out: {done.left_out}"
    )
    return right if again.runs == 0 else 0, len(runs)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.moving.imports", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkout", type=Path, help="a checkout of the repository of consist, with its examples")
    given = parser.parse_args()
    print(f"DuckDB {importlib.metadata.version('duckdb')} reads what consist {VERSION} wrote")
    with tempfile.TemporaryDirectory() as folder:
        counts = [compared(database) for database in made(Path(folder), given.checkout)]
    right, there = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    print(f"import: {right} of {there} runs")
    return 0 if there and right >= NEEDED * there else 1


if __name__ == "__main__":
    sys.exit(main())
