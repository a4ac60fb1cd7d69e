"""A record with everything an export can meet: hits, misses, failures, runs that were killed, and one that runs."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import consist_es as consist
from consist_es import Tracker
from consist_es.views.file import connect
from tests.support.api import made
from tests.support.children import fork

SECRET = "s3cret-of-anna"
HOSTILE = 'quo"te <script>alert(1)</script> & \\back ]]> --> ü 100%'
LICENCE = "CC-BY-4.0"
SCENARIOS = ("baseline", "baseline#2", "edited", "failing", "killed", "running", HOSTILE)
GROWTH = {2025: 1.0, 2030: float("nan")}


def prepare(zones: Path, token: str = "") -> Path:
    return made("people", zones.read_text(), "csv")


def grow(people: Path, growth: Any = 1.0, rate: Any = None) -> Path:
    return made("grown", f"{people.read_text()}9,{growth}\n", "csv")


def report(grown: Path, note: str = "") -> Path:
    return made("report", f"{len(grown.read_text())}\n")


def break_down(grown: Path) -> None:
    raise ValueError('no zone <b>"7"</b>')


def die(grown: Path) -> None:
    os._exit(0)


def wait(grown: Path) -> None:
    signal.pause()


def tracker(folder: Path) -> Tracker:
    """A tracker of the record in that folder."""
    mounts = {"inputs": folder / "inputs"}
    return Tracker(folder / "runs", folder / "provenance.db", mounts, project_root=folder, sync="os")


def play(tracker: Tracker, name: str, *, last: Any = report, note: str = "") -> None:
    """A scenario of three steps in a year and an iteration."""
    zones = tracker.db_path.parent / "inputs" / "zones.csv"
    settings = {"growth": GROWTH, "note": note, "token": SECRET}
    with tracker.scenario(name, config=settings, description=f"How {name} goes", tags=["tried"]) as sc:
        first = sc.run(prepare, inputs={"zones": zones}, config={"token": SECRET}, outputs=["people"])
        inputs: dict[str, Any] = {"people": consist.ref(first)}
        config = {"growth": 1.5, "rate": GROWTH}
        grown = sc.run(grow, inputs=inputs, year=2030, iteration=1, config=config, outputs=["grown"])
        more: dict[str, Any] = {"config": {"note": note}, "outputs": ["report"]} if last is report else {}
        sc.run(last, inputs={"grown": consist.ref(grown)}, year=2030, phase="am", tags=["slow"], **more)


def _in_child(folder: Path, name: str, last: Any) -> int:
    def work() -> None:
        with tracker(folder) as own:
            play(own, name, last=last)

    return fork(work)


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[Path]:
    """Record `SCENARIOS` and a step outside of them in a folder; `running` goes on until the block ends."""
    (folder / "inputs").mkdir(parents=True)
    (folder / "inputs" / "zones.csv").write_text("zone,people\n1,20\n2,30\n")
    with tracker(folder) as own:
        play(own, "baseline")
        play(own, "baseline")
        play(own, "edited", note="another note, and the same report")
        with contextlib.suppress(ValueError):
            play(own, "failing", last=break_down)
        play(own, HOSTILE)
        own.run(prepare, inputs={"zones": folder / "inputs" / "zones.csv"}, outputs=["people"])
    os.waitpid(_in_child(folder, "killed", die), 0)
    child = _in_child(folder, "running", wait)
    try:
        while not _runs(folder):
            time.sleep(0.05)
        yield folder
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _runs(folder: Path) -> bool:
    """True once the last step of `running` has begun, and the killed one is known to be over."""
    with tracker(folder) as own:
        own.project.attach()
        running = {run.name for run in own.find_runs(status="running", limit=None)}
    return running == {"running", "wait"}


def crate_options(folder: Path) -> dict[str, Any]:
    """What a RO-Crate is given: the script, and a licence."""
    script = folder / "model.py"
    if not script.exists():
        script.write_text("print('a model')\n")
    return {"script": script, "license": LICENCE}


def lines(path: Path) -> list[Any]:
    """The JSON values of a file, one to a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


_MORE_RUNS = """
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
INSERT INTO runs SELECT {columns} FROM number JOIN runs r ON r.id = 'edited_report'
"""
_MORE_LINKS = """
INSERT INTO links SELECT m.key, l.direction, l.name, l.artifact_id, l.position, l.via, l.result, l.seq
FROM runs m JOIN runs r ON r.id = 'edited_report' JOIN links l ON l.run_key = r.key WHERE m.key LIKE 'more-%'
"""
_OTHER = {
    "key": "'more-' || n",
    "run_id": "'more'",
    "attempt": "n",
    "id": "'more#' || n",
    "iteration": "n",
    "started_at": "strftime('%Y-%m-%dT%H:%M:%S.000000Z', '2030-01-01', n || ' seconds')",
    "ended_at": "strftime('%Y-%m-%dT%H:%M:%S.900000Z', '2030-01-01', n || ' seconds')",
    "started_seq": "1000000 + 2 * n",
    "ended_seq": "1000001 + 2 * n",
}


def multiplied(views: Path, copy: Path, steps: int) -> sqlite3.Connection:
    """A copy of a project's views with so many more steps in scenario `edited`, each with its links."""
    with contextlib.closing(sqlite3.connect(views)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        columns = [row[1] for row in target.execute("PRAGMA table_info(runs)")]
        shown = ", ".join(_OTHER.get(column, f"r.{column}") for column in columns)
        target.execute(_MORE_RUNS.format(columns=shown), (steps,))
        target.execute(_MORE_LINKS)
        target.commit()
    return connect(copy)
