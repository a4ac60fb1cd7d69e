"""Times the same work in any library; imports none.

A contestant is a script ``CONTESTANT.py N FOLDER``. It calls `compete` with a function that opens its library and gives
a step, which is called with 0 to N-1 and tells if it was a hit; all this twice. One line of JSON is printed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

Step = Callable[[int], bool]
AGE = 3.3
"""Seconds between the misses and the hits: libraries that keep digests of files do not trust younger ones."""


def count_and_folder() -> tuple[int, Path]:
    """How many steps, and the empty folder to work in."""
    folder = Path(sys.argv[2])
    os.chdir(folder)
    return int(sys.argv[1]), folder


def make_input(folder: Path) -> Path:
    """Input of all steps: a thousand lines, written some time ago."""
    raw = folder / "raw.csv"
    raw.write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(1000)))
    long_ago = time.time() - 1000
    os.utime(raw, (long_ago, long_ago))
    (folder / "outs").mkdir()
    return raw


def steps(step: Step, count: int) -> dict[str, object]:
    """CPU and wall microseconds of each step, and how many were hits."""
    cpu: list[float] = []
    hits = 0
    began = time.perf_counter()
    for k in range(count):
        before = time.process_time_ns()
        hits += bool(step(k))
        cpu.append((time.process_time_ns() - before) / 1000)
    return {"cpu": cpu, "wall": (time.perf_counter() - began) / count * 1e6, "hits": hits}


def compete(open_library: Callable[[str], AbstractContextManager[Step]], count: int, version: str) -> None:
    """Misses, then hits, each with a fresh object of the library."""
    rows: dict[str, object] = {"version": version}
    for kind in ("miss", "hit"):
        began = time.process_time_ns()
        with open_library(kind) as step:
            opened = time.process_time_ns()
            row = steps(step, count)
            left = time.process_time_ns()
        row["closing"] = (time.process_time_ns() - left) / 1000
        row["opening"] = (opened - began) / 1000
        rows[kind] = row
        if kind == "miss":
            time.sleep(AGE)
    print(json.dumps(rows))


def plain(make: Callable[[], Step]) -> Callable[[str], AbstractContextManager[Step]]:
    """For libraries without anything to close."""
    return lambda _: nullcontext(make())
