"""Every operation of the API that records, as a small program, and what must hold after one of them was disturbed."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import consist_es as consist
from consist_es import CacheOptions, Tracker
from consist_es.events import MetaLogged, StepStarted
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.system.storage import Storage
from torture.invariants import check_events
from torture.trial import require

Acknowledge = Callable[[str], None]


def made(key: str = "o", text: str = "x\n") -> Path:
    """A file in the folder of the step that is executing."""
    path = consist.output_path(key, "txt")
    path.write_text(text)
    return path


_NUMBERS = itertools.count()


def fresh() -> str:
    """A value that no process has had before: a step with it is computed."""
    return f"{os.getpid()}.{next(_NUMBERS)}"


def step(n: int | str = 0) -> Path:
    """A step with one output."""
    return made("o", f"{n}\n")


async def astep(n: int | str = 0) -> Path:
    """The same, awaited."""
    await asyncio.sleep(0)
    return made("o", f"{n}\n")


def logging_step() -> None:
    """A step that logs everything that can be logged."""
    consist.log_input(Path("input.txt"), "i")
    consist.log_output(made("first"), "first")
    consist.log_meta(progress=0.5)
    with consist.capture_outputs(Path("captured")):
        Path("captured/found.csv").write_text("a\n1\n")


def failing_step() -> None:
    """A step that fails."""
    raise ValueError("on purpose")


def run_miss(tracker: Tracker, ack: Acknowledge) -> None:
    ack(tracker.run(step, outputs=["o"], config={"n": fresh()}).run.id)


def run_hit(tracker: Tracker, ack: Acknowledge) -> None:
    ack(tracker.run(step, outputs=["o"], config={"n": 0}).run.id)


def run_copied(tracker: Tracker, ack: Acknowledge) -> None:
    """A hit whose outputs are copied into the new run's folder."""
    options = CacheOptions(cache_hydration="outputs-all")
    ack(tracker.run(step, outputs=["o"], config={"n": 0}, cache_options=options).run.id)


def arun(tracker: Tracker, ack: Acknowledge) -> None:
    ack(asyncio.run(tracker.arun(astep, outputs=["o"], config={"n": fresh()})).run.id)


def trace(tracker: Tracker, ack: Acknowledge) -> None:
    with tracker.trace("block", outputs=["b"]):
        consist.log_output(made("b"), "b")
    ack(tracker.find_latest_run(name="block").id)


def scenario(tracker: Tracker, ack: Acknowledge) -> None:
    with tracker.scenario("s") as sc:
        ack(sc.run(step, outputs=["o"], config={"n": fresh()}).run.id)
        ack(sc.run(step, name="second", outputs=["o"], inputs=["o"]).run.id)
    ack(tracker.find_latest_run(name="s").id)


def log_all(tracker: Tracker, ack: Acknowledge) -> None:
    ack(tracker.run(logging_step, cache_options=CacheOptions(cache_mode="overwrite")).run.id)


def failure(tracker: Tracker, ack: Acknowledge) -> None:
    try:
        tracker.run(failing_step)
    except ValueError as error:
        if not getattr(error, "__notes__", None):  # a note says that the failure could not be recorded
            ack(tracker.find_latest_run(name="failing_step").id)


def replay(tracker: Tracker, ack: Acknowledge) -> None:
    tracker.project.views.rebuild()


def redacted(tracker: Tracker, ack: Acknowledge) -> None:
    """What a step said of itself is taken out of the log again."""
    ack(tracker.run(logging_step, name="redacted", cache_options=CacheOptions(cache_mode="overwrite")).run.id)
    said = max(event.seq for event in tracker.project.log.read() if isinstance(event.event, MetaLogged))
    tracker.project.redact([said], "on purpose")


OPERATIONS: dict[str, Callable[[Tracker, Acknowledge], None]] = {
    "run": run_miss,
    "run, a hit": run_hit,
    "run, outputs copied": run_copied,
    "arun": arun,
    "trace": trace,
    "scenario": scenario,
    "log_*": log_all,
    "failure": failure,
    "replay": replay,
    "redact": redacted,
}


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def opened(storage: Storage | None = None, sync: str = "commit") -> Tracker:
    """A tracker of the project in the working directory, on this storage."""
    if storage is None:
        return Tracker(run_dir="runs", db_path="p.db", sync=sync)
    with mock.patch("consist_es.project.project.LocalStorage", return_value=storage):
        return Tracker(run_dir="runs", db_path="p.db", sync=sync)


def prepare(folder: Path) -> None:
    """A project with one completed step."""
    folder.mkdir(parents=True)
    (folder / "captured").mkdir()
    (folder / "input.txt").write_text("in\n")
    with inside(folder), opened(sync="os") as tracker:
        tracker.run(step, outputs=["o"], config={"n": 0})


def warm(folder: Path) -> None:
    """Call every verb once, so that children that are forked later need not find out about their code."""
    prepare(folder)
    with inside(folder), warnings.catch_warnings(), opened(sync="os") as tracker:
        warnings.simplefilter("ignore")
        for verb in OPERATIONS.values():
            verb(tracker, lambda _run: None)


def copied(template: Path, folder: Path) -> None:
    """The same project, elsewhere."""
    shutil.copytree(template, folder)


# ---------------------------------------------------------------- afterwards


def check_project(acknowledged: Collection[str] = (), *, ended: bool = True) -> None:
    """In the working directory: the next process goes on, and everything is as it was promised.

    Acknowledged runs are there with an end; none is still running; every output that was recorded has the bytes
    that were; the views are what a rebuild makes; the log is whole; nothing lies about.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with opened() as tracker:
            again = tracker.run(step, outputs=["o"], config={"n": "after"})
            require(again.outputs["o"].path.read_text() == "after\n", "the next step has not its output")
            runs = {run.id: run.status for run in tracker.find_runs(limit=None)}
            running = [name for name, status in runs.items() if status == "running"]
            require(not running or not ended, f"still running: {running}")
            lost = [name for name in acknowledged if runs.get(name) not in ("completed", "failed", "interrupted")]
            require(not lost, f"acknowledged, and now {[(name, runs.get(name)) for name in lost]}")
            _check_views(tracker)
            _check_events(tracker)
    _check_strays()


def _check_views(tracker: Tracker) -> None:
    tracker.project.views.rebuild(target=Path("rebuilt.db"))
    different = tracker.project.views.compare(Path("rebuilt.db"))
    require(different == {}, f"the views differ from a rebuild: {str(different)[:300]}")


def _check_events(tracker: Tracker) -> None:
    events = list(tracker.project.log.read())
    check_events(events)
    started = [event.run for event in events if isinstance(event.event, StepStarted)]
    require(len(set(started)) == len(started), "a run began twice")
    report = verify(tracker.project.folder)
    require(report.ok, lambda: f"verify: {report.problems[:3]}, torn {report.torn_bytes}")


def _check_strays() -> None:
    folder = Path("p.events")
    names = [path.name for path in (*folder.iterdir(), *Path().glob("*.rebuild*"), *Path("runs").rglob("*.part-*"))]
    strays = [name for name in names if name.endswith((".tmp", ".rebuild")) or ".part-" in name or "database." in name]
    require(not strays, f"left behind: {strays}")


def reads_as(folder: Path) -> list[str]:
    """Statuses of all runs, as a reader sees them who is no writer."""
    with inside(folder), Tracker(run_dir="runs", db_path="p.db", access_mode="read_only") as tracker:
        return [run.status for run in tracker.find_runs()]


def events_of(folder: Path) -> int:
    """How many events a project has."""
    return LocalLog(folder / "p.events").head().seq
