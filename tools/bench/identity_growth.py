"""How the code identity of a step grows with the code it reaches. ``python tools/bench/identity_growth.py [LINES ...]``

For each size a package is written (see `bench.model_code`), and looked at by the first process that ever sees it and by
a second one. Times are CPU seconds, beside those that Python itself takes in the same process to parse and compile the
same text: their ratio says more on a busy machine. What was parsed, compiled and read is counted.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from bench.model_code import write  # noqa: E402

PACKAGE = "bench_model"
STEPS = 30


class Look(NamedTuple):
    """What one process found."""

    first: float
    """CPU seconds of the first step, less those of a step that reaches nothing."""
    again: float
    """Of the median step after it, likewise."""
    python: float
    """CPU seconds that Python takes to parse and compile the package."""
    parsed: int
    compiled: int
    """How often something was, during the first step."""
    parsed_again: int
    """During all the steps after it."""
    parts: int
    memory: float
    """Growth of the resident size by the first step, MB."""


def look(folder: Path) -> Look:
    """In a process of its own: run a step that reaches the package, and then again and again."""
    from consist_es import Tracker
    from consist_es.identity.code.modes import code_identity

    sys.path.insert(0, str(folder))
    step = importlib.import_module(f"{PACKAGE}_step").step
    counts = _counted()
    with tempfile.TemporaryDirectory() as place, Tracker(place, Path(place) / "p.db", sync="os") as tracker:
        small = [_seconds(lambda: tracker.run(_nothing)) for _ in range(STEPS)]
        counts.update(parse=0, compile=0)
        before = _resident()
        first = _seconds(lambda: tracker.run(step))
        memory = _resident() - before
        seen = dict(counts)
        again = [_seconds(lambda: tracker.run(step)) for _ in range(STEPS)]
        parsed_again = counts["parse"] - seen["parse"]
        parts = len(code_identity(step, project_root=folder).parts)
    typical = sorted(small)[STEPS // 2]
    return Look(
        first - typical, sorted(again)[STEPS // 2] - typical, _seconds(lambda: _python(folder)), seen["parse"],
        seen["compile"], parsed_again, parts, memory,
    )  # fmt: skip


def _nothing() -> None:
    """A step that reaches nothing."""


def _counted() -> dict[str, int]:
    """Counts calls of `ast.parse`, and of `compile` for anything but a tree."""
    counts = {"parse": 0, "compile": 0}
    parse, compiles = ast.parse, builtins.compile

    def parsing(*args: Any, **options: Any) -> Any:
        counts["parse"] += 1
        return parse(*args, **options)

    def compiling(*args: Any, **options: Any) -> Any:
        counts["compile"] += not (len(args) > 3 and args[3] & ast.PyCF_ONLY_AST)
        return compiles(*args, **options)

    ast.parse, builtins.compile = parsing, compiling
    return counts


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _python(folder: Path) -> None:
    gc.disable()
    for path in (folder / PACKAGE).glob("*.py"):
        text = path.read_text()
        ast.parse(text)
        compile(text, str(path), "exec")


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def in_process(folder: Path, cache: Path) -> Look:
    """A new process with this cache."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--look", str(folder)],
        capture_output=True, text=True, check=True, env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    return Look(*json.loads(done.stdout))


def measured(lines: int) -> Iterator[str]:
    """The rows of the table for one size."""
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "model", Path(place) / "cache"
        count = write(folder, PACKAGE, lines)
        files = len([*(folder / PACKAGE).glob("*.py")])
        for name in ("first", "second"):
            found = in_process(folder, cache)
            kept = sum(path.stat().st_size for path in cache.rglob("*.sqlite")) / 2**20
            yield (
                f"{count:7,} {files:5} {name:7} {found.first:8.3f} {found.first / found.python:8.2f}"
                f" {found.first / count * 1e6:8.1f} {found.again * 1e3:8.2f} {found.parsed:7} {found.compiled:8}"
                f" {found.parsed_again:7} {found.parts:6} {found.memory:7.1f} {kept:6.1f}"
            )


def main() -> None:
    """Print the table, or one process's figures for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.look is not None:
        print(json.dumps(look(asked.look)))
        return
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("                      first step, CPU  per line   again,  parsed compiled  parsed         memory   disk")
    print("  lines files process        s  /Python       µs       ms   first    first   again  parts      MB     MB")
    for lines in asked.lines:
        for row in measured(lines):
            print(row, flush=True)


if __name__ == "__main__":
    main()
