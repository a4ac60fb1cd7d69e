"""Sweeps on one executor: rows.py EXECUTOR ROWS. Every kind of function has its serial fingerprint; prints times."""

from __future__ import annotations

import os
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import consist_es as consist

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pools
import steps

EXTRA = 2


def in_script(n: int) -> Path:
    """A function of the script."""
    path = consist.output_path("out", "txt")
    path.write_text(str(n + EXTRA))
    return path


def made(extra: int) -> Any:
    """A closure of the script."""

    def inner(n: int) -> Path:
        path = consist.output_path("out", "txt")
        path.write_text(str(n + extra + EXTRA))
        return path

    return inner


class Model:
    """An object of the script."""

    def __init__(self, extra: int) -> None:
        self.extra = extra

    def method(self, n: int) -> Path:
        """A bound method."""
        path = consist.output_path("out", "txt")
        path.write_text(str(n + self.extra))
        return path


def check(sc: Any, tracker: Any, pool: Any) -> None:
    """Each kind of function: computed on the executor, then hits for a serial run and for another sweep."""
    functions = {"module": steps.step, "script": in_script, "closure": made(2), "method": Model(3).method}
    rows = [{"n": n} for n in range(2)]
    for name, fn in {**functions, "closure of a module": steps.made(2)}.items():
        found = sc.map(fn, rows, executor=pool, name=name, outputs=["out"])
        assert found.computed == 2, (name, found, [row.error for row in found])
        assert all(sc.run(fn, name=name, config=row, outputs=["out"]).cache_hit for row in rows), name
        assert sc.map(fn, rows, executor=pool, name=name, outputs=["out"]).hits == 2, name
    assert len(tracker.map_scenarios(steps.policy, rows, executor=pool)) == 2


def alone(pool: Any, count: int, folder: str) -> float:
    """Seconds a row that the executor takes for the work alone."""
    began = time.perf_counter()
    if hasattr(pool, "map_array"):
        jobs = pool.map_array(steps.bare, list(range(count)), [folder] * count)
    else:
        jobs = [pool.submit(steps.bare, n, folder) for n in range(count)]
    for job in jobs:
        job.result()
    return (time.perf_counter() - began) / count


def main(name: str, count: int) -> None:
    """Check one executor, and time it."""
    warnings.simplefilter("ignore")
    here = Path(tempfile.mkdtemp())
    with ExitStack() as stack, consist.Tracker(run_dir=here / "runs", db_path=here / "p.db") as tracker:
        pool = pools.make(name, stack)
        with tracker.scenario("check") as sc:
            check(sc, tracker, pool)
        rows = [{"n": n} for n in range(100, 100 + count)]
        bare = alone(pool, count, str(here))
        with tracker.scenario("timed") as sc:
            times = []
            for expected in ((count, 0), (0, count)):
                began = time.perf_counter()
                found = sc.map(steps.step, rows, executor=pool, outputs=["out"])
                times.append((time.perf_counter() - began) / count)
                assert (found.computed, found.hits) == expected, found
    said = ", ".join(f"{what} {seconds * 1e3:.1f}" for what, seconds in zip(("computed", "hit"), times, strict=True))
    print(f"{name}: ok; ms a row: alone {bare * 1e3:.1f}, {said}; load {os.getloadavg()[0]:.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
