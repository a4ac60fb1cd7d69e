"""Instructions and system calls of a step: ``python -m tools.bench instructions``, where valgrind and strace are.

Instructions are those of the program, not of the kernel, as callgrind counts them: on a busy machine the same as on an
idle one, within a thousandth. System calls are also SQLite's, which `counts` does not see.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
ROOT = TOOLS.parent
WARM = 20
"""Steps before those that are counted."""
HEADER = Path("/usr/include/valgrind/callgrind.h")
MARK = "/mark-of-the-bench"
"""Name of no file: looking for it parts the lines of strace."""
REQUESTS = """
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(void) { CALLGRIND_DUMP_STATS; CALLGRIND_STOP_INSTRUMENTATION; }
"""
"""What a program asks of callgrind; from its headers, so that a C compiler is needed."""
_TOTAL = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)


def child(count: int, library: str) -> None:
    """Misses, then hits, with a mark before and after those that are counted."""
    sys.path[:0] = [str(TOOLS)]
    from bench import work

    begin, end = _marks(library)
    # The watch is told of files that other programs open, so its work is not the same twice.
    kind = work.UNWATCHED if work.can(work.UNWATCHED) else work.PLAIN
    with tempfile.TemporaryDirectory(prefix="instructions-") as name:
        os.chdir(name)
        work.make_input(Path(name))
        for scenario in ("miss", "second", "hit"):
            time.sleep(work.AGE)
            counted = scenario != "second"  # in which the digests of the outputs are kept for the next time
            with work.Model(Path(name)) as model, model.scenario(scenario) as sc:
                for k in range(WARM + count):
                    if k == WARM and counted:
                        begin()
                    model.run(sc, k, kind)
                if counted:
                    end()
        os.chdir("/")
    print(sys.modules["consist_es"].__file__)


def _marks(library: str) -> tuple[Callable[[], object], Callable[[], object]]:
    if not library:
        return lambda: os.access(MARK, os.F_OK), lambda: os.access(MARK, os.F_OK)
    requests = ctypes.CDLL(library)
    return requests.begin, requests.end


def instructions(tree: Path, count: int) -> dict[str, float]:
    """Instructions per miss and per hit."""
    with tempfile.TemporaryDirectory(prefix="callgrind-") as name:
        source, library = Path(name, "requests.c"), f"{name}/requests.so"
        source.write_text(REQUESTS)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True, capture_output=True)
        tool = ("valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={name}/out")
        _run(tool, tree, count, library)
        parts = sorted(Path(name).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        totals = [int(found[1]) for part in parts if (found := _TOTAL.search(part.read_text())) is not None]
    return {kind: totals[n] / count for n, kind in enumerate(("miss", "hit"))}


def system_calls(tree: Path, count: int) -> dict[str, float]:
    """System calls per miss and per hit, in all threads."""
    with tempfile.TemporaryDirectory(prefix="strace-") as name:
        _run(("strace", "-f", "-qq", "-o", f"{name}/out"), tree, count, "")
        parts = Path(name, "out").read_text(errors="replace").split(f'"{MARK}"')
    # The rest of the mark's own line is one more.
    return {kind: (parts[n].count("\n") - 1) / count for n, kind in ((1, "miss"), (3, "hit"))}


def _run(tool: tuple[str, ...], tree: Path, count: int, library: str) -> None:
    command = (*tool, sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--child", str(count), library)
    with tempfile.TemporaryDirectory(prefix="caches-") as caches:
        environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0", "XDG_CACHE_HOME": caches}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {tool[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    from bench.counts import check_library  # the child, which is this file too, does not find it

    check_library(done.stdout.strip(), tree)


def measure(tree: Path = ROOT, count: int = 40) -> dict[str, dict[str, float]]:
    """What the tools that are here can count."""
    found: dict[str, dict[str, float]] = {}
    if shutil.which("valgrind") and shutil.which("cc") and HEADER.exists():
        found["instructions"] = instructions(tree, count)
    if shutil.which("strace"):
        found["system calls"] = system_calls(tree, count)
    return found


def main(arguments: list[str]) -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench instructions", description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="steps that are counted; valgrind takes two minutes")
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout's library")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found = measure(asked.tree, asked.steps)
    if asked.json:
        print(json.dumps(found))
    for what, steps in found.items() if not asked.json else ():
        print(", ".join(f"{steps[kind]:,.0f} {what} a {kind}" for kind in steps))
    for tool, what in (("valgrind with its headers and a C compiler", "instructions"), ("strace", "system calls")):
        if what not in found:
            print(f"{what} are not counted: this needs {tool}", file=sys.stderr)
    return 0


if __name__ == "__main__" and sys.argv[1:2] == ["--child"]:
    child(int(sys.argv[2]), sys.argv[3])
