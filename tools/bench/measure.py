"""What is measured: each function gives one or more figures, with their units."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench import biglog
from consist_es import CacheOptions, Tracker, output_path
from consist_es.events import Draft, MetaLogged
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify_again
from consist_es.project.project import Project

TOOLS = Path(__file__).resolve().parent.parent
HITS = 500


class Figure(NamedTuple):
    """One number with its name and unit."""

    name: str
    value: float
    unit: str


class Took(NamedTuple):
    """How long something took."""

    wall: float
    cpu: float
    """Of this process; on a busy machine the figure that means something."""


def timed(work: Callable[[], Any]) -> Took:
    """Do it once."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def peak_memory() -> float:
    """Largest resident size of this process so far, in MB; of Linux alone, see proc_pid_status(5)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not say how much memory a process has")


# ---------------------------------------------------------------- small


def appends(folder: Path, count: int) -> Iterator[Figure]:
    """One event per append, synced and not, and in batches of a hundred."""
    draft = Draft(MetaLogged(values={"growth": 1.1, "name": "a" * 100}), run="r", scenario="s")
    for name, sync, size, repeats in (
        ("append, not synced", "os", 1, count),
        ("append, synced", "always", 1, count // 10),
        ("append of 100 events, not synced", "os", 100, count // 100),
    ):
        log = LocalLog(folder / f"{sync}-{size}.events", sync=sync)
        log.append([draft])
        began = time.perf_counter()
        for _ in range(repeats):
            log.append([draft] * size)
        yield Figure(name, (time.perf_counter() - began) / repeats * 1e6, "µs")
        log.close()


def step(number: int) -> Path:
    """A step that does next to nothing."""
    path = output_path("o", "txt")
    path.write_text(f"{number}\n")
    return path


def steps(folder: Path, count: int) -> Iterator[Figure]:
    """What the library adds to a step: bare, computed, and answered from the cache."""
    (folder / "bare").mkdir(parents=True)
    bare = timed(lambda: [(folder / "bare" / f"{n}.txt").write_text("1\n") for n in range(count)])
    yield Figure("a step's own work", bare.wall / count * 1e3, "ms")
    for sync in ("commit", "os"):
        with Tracker(run_dir=folder / sync, db_path=folder / f"{sync}.db", sync=sync) as tracker:
            yield from _both(f"a computed step, sync={sync}", tracker, count, "overwrite")
            yield from _both(f"a cache hit, sync={sync}", tracker, HITS, "reuse")


def _both(name: str, tracker: Tracker, count: int, mode: str) -> Iterator[Figure]:
    def run() -> None:
        for number in range(count):
            options = CacheOptions(cache_mode=mode)
            tracker.run(step, config={"number": number % 20}, outputs=["o"], cache_options=options)

    took = timed(run)
    yield Figure(name, took.wall / count * 1e3, "ms")
    yield Figure(f"{name}, CPU", took.cpu / count * 1e3, "ms")


# ---------------------------------------------------------------- large


def big(folder: Path, count: int) -> Iterator[Figure]:
    """A log of so many events: verified, replayed, opened, appended to; each in a process of its own."""
    log = folder / "big.events"
    began = time.perf_counter()
    made = biglog.write(log, count)
    took = time.perf_counter() - began
    yield Figure("events in the big log", made, "")
    yield Figure("bytes per event in the log", sum(path.stat().st_size for path in log.glob("*.jsonl")) / made, "B")
    yield Figure("written by the generator", made / took, "events/s")
    for what in WORK:
        done, peak = in_process(what, log)
        if what in ("verify", "replay"):
            yield Figure(what, made / done.wall, "events/s")
            yield Figure(f"{what}, per second of CPU", made / done.cpu, "events/s")
        else:
            yield Figure(what, done.wall * 1e3, "ms")
        yield Figure(f"{what}, peak memory", peak, "MB")
    yield Figure("bytes per event in the views", log.with_suffix(".db").stat().st_size / made, "B")


def in_process(what: str, log: Path) -> tuple[Took, float]:
    """One piece of work in a fresh interpreter: its time, without starting up, and its peak memory in MB."""
    command = [sys.executable, str(Path(__file__).resolve()), what, str(log)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(TOOLS.parent), str(TOOLS)))}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall, cpu, peak = map(float, done.stdout.split())
    return Took(wall, cpu), peak


def _append(log: Path) -> None:
    opened = LocalLog(log)
    opened.append([Draft(MetaLogged(values={}), run="r")], commit=True)
    opened.close()


def _open(log: Path) -> None:
    """From nothing to the first answer."""
    project = Project(log.with_suffix(".db"))
    project.connection().execute("SELECT count(*) FROM meta").fetchone()
    project.close()


WORK: dict[str, Callable[[Path], Any]] = {
    "verify": verify_again,  # the first time everything, and it leaves the note that the next one goes on from
    "verify again": verify_again,
    "replay": lambda log: Project(log.with_suffix(".db")).views.rebuild(),
    "open": _open,
    "append": _append,
    "catch up": _open,
}


def main(what: str, log: Path) -> None:
    """One piece of work, for `in_process`."""
    took = timed(lambda: WORK[what](log))
    print(took.wall, took.cpu, peak_memory())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
