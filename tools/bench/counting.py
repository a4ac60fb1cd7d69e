"""Counts what a step, an opened project and a query do, exactly: ``python tools/bench/counting.py`` prints JSON.

Run in a process of its own: modules that others loaded, or a collection of garbage, would be counted too. Clocks
that tell how long something took stand still, so that nothing is done because a second has passed.
"""

from __future__ import annotations

import gc
import io
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

WARM, TIMES = 6, 5
"""Steps before the ones that are counted, and how many are counted: the median one is reported."""

COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>"})
"""Calls in Python 3.11, none from 3.12 on."""
SYSTEM = {
    "open": "opens",
    "stat": "stats", "lstat": "stats", "fstat": "stats", "access": "stats", "readlink": "stats",
    "read": "reads", "pread": "reads", "readinto": "reads", "readall": "reads", "readline": "reads",
    "readlines": "reads",
    "write": "writes", "pwrite": "writes", "writelines": "writes", "ftruncate": "writes", "truncate": "writes",
    "fsync": "syncs", "fdatasync": "syncs",
    "listdir": "listings", "scandir": "listings",
    "flock": "locks", "lockf": "locks", "fcntl": "locks",
    "mkdir": "names", "unlink": "names", "remove": "names", "rmdir": "names", "rename": "names", "replace": "names",
    "link": "names", "symlink": "names",
}  # fmt: skip
"""Function of the operating system -> what it counts as."""
MODULES = frozenset({"posix", "io", "_io", "fcntl"})
REALPATH = os.path.realpath.__code__
FILES = (io.FileIO, io.BufferedIOBase, io.TextIOBase)
IN_MEMORY = (io.BytesIO, io.StringIO)
EXPLAINED = {
    "calls": "calls of Python functions of this library, without `observe/`; a generator counts each time it goes on",
    "watching": "the same in `observe/`: the watch for what a step reads",
    "sql": "statements that SQLite starts, transactions and triggers among them",
    "opens": "files opened by Python; what SQLite opens is not seen, here and below",
    "stats": "looks at a file's state (stat, lstat, fstat, access, readlink), without those of `os.path.realpath`",
    "resolved": "calls of `os.path.realpath`, which looks at each folder above a path",
    "reads": "reads of files",
    "writes": "writes to files, and changes of their length",
    "syncs": "fsync and fdatasync",
    "listings": "folders listed",
    "locks": "calls of flock and fcntl",
    "names": "folders made, files renamed, linked or removed",
}
"""What is counted: kind -> of what."""
KINDS = tuple(EXPLAINED)

_statements = 0


def _note_statement(_: str) -> None:
    global _statements
    _statements += 1


def _count_statements() -> None:
    """Have each connection that is opened from now on count its statements."""
    connect = sqlite3.connect

    def counted(*given: Any, **named: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*given, **named)
        connection.set_trace_callback(_note_statement)
        return connection

    sqlite3.connect = counted  # type: ignore[assignment]


class Counting:
    """Profile function that counts calls, by kind."""

    def __init__(self, package: Path) -> None:
        self._roots = (f"{package}{os.sep}", f"{(package / 'projections').resolve()}{os.sep}")
        self._watch = f"{package / 'observe'}{os.sep}"
        self._of: dict[str, str | None] = {}
        self.counts: Counter[str] = Counter()

    def take(self, work: Callable[[], object]) -> Counter[str]:
        """Counts of this work."""
        self.counts = Counter()
        before = _statements
        gc.collect()
        sys.setprofile(self._note)
        try:
            work()
        finally:
            sys.setprofile(None)
        self.counts["sql"] = _statements - before
        return self.counts

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            kind = self._kind_of(code.co_filename)
            if kind is not None and code.co_name not in COMPREHENSIONS:
                self.counts[kind] += 1
            elif code is REALPATH:
                self.counts["resolved"] += 1
        elif event == "c_call" and (kind := SYSTEM.get(argument.__name__)) is not None and is_system(argument):
            # How many folders lie above the one that is worked in must not count.
            is_walk_up = code.co_filename == REALPATH.co_filename and "realpath" in code.co_name
            if not (kind == "stats" and is_walk_up):
                self.counts[kind] += 1

    def _kind_of(self, file: str) -> str | None:
        if file not in self._of:
            ours = file.startswith(self._roots)
            self._of[file] = ("watching" if file.startswith(self._watch) else "calls") if ours else None
        return self._of[file]


def is_system(function: Any) -> bool:
    """True for functions of the operating system, and for methods of files that are none in memory."""
    if function.__module__ in MODULES:
        return True
    owner = function.__self__
    return isinstance(owner, (*FILES, os.DirEntry)) and not isinstance(owner, IN_MEMORY)


def median(taken: list[Counter[str]]) -> dict[str, int]:
    """The median one, by its calls."""
    row = sorted(taken, key=lambda counts: (counts["calls"], sorted(counts.items())))[len(taken) // 2]
    return {kind: row[kind] for kind in KINDS}


def counted(folder: Path) -> dict[str, dict[str, int]]:
    """Counts of each piece of work, in this folder."""
    import consist_es  # after `sqlite3.connect` and the clock were replaced
    from bench import work

    counting = Counting(Path(str(consist_es.__file__)).parent)
    numbers = range(WARM + TIMES)
    model = work.Model(folder)

    def sweep(scenario: str, kind: work.Kind, *, hit: bool) -> dict[str, int]:
        taken: list[Counter[str]] = []
        hits: list[bool] = []
        with model.scenario(f"{scenario}_{kind.name}") as sc:
            for k in numbers:
                if k < WARM:
                    hits.append(model.run(sc, k, kind))
                else:
                    taken.append(counting.take(partial(model.run, sc, k, kind)))
        if hits != [hit] * WARM:
            raise SystemExit(f"error: in scenario {scenario} the hits were {hits}")
        return median(taken)

    kinds = {"": work.PLAIN, ", all code it reaches": work.DEFAULT, ", not watched": work.UNWATCHED}
    kinds = {name: kind for name, kind in kinds.items() if work.can(kind)}
    time.sleep(work.AGE)  # nobody can set a file's change time, which has to be of some age
    rows = {f"miss{name}": sweep("first", kind, hit=False) for name, kind in kinds.items()}
    kinds.pop(", not watched", None)  # hits never are
    time.sleep(work.AGE)
    for name, kind in kinds.items():
        sweep("second", kind, hit=True)  # digests of the outputs are kept from here on
        rows[f"hit{name}"] = sweep("third", kind, hit=True)

    def whole_scenario() -> None:
        with model.scenario("fourth") as sc:
            for k in numbers:
                model.run(sc, k)

    rows[f"scenario of {len(numbers)} hits, entered and left"] = dict(counting.take(whole_scenario))
    rows |= queries(counting, model.tracker)
    model.tracker.close()
    opened = [counting.take(lambda: work.open_tracker(folder).find_runs(limit=1)) for _ in range(TIMES)]
    rows["project opened, to the first answer"] = median(opened)
    return {name: {kind: row.get(kind, 0) for kind in KINDS} for name, row in rows.items()}


def queries(counting: Counting, tracker: Any) -> dict[str, dict[str, int]]:
    """One question each, asked again."""
    last = tracker.find_runs(limit=1)[0].id
    asked: dict[str, Callable[[], object]] = {
        "find_runs(limit=10)": lambda: tracker.find_runs(limit=10),
        "get_run() of a step": lambda: tracker.get_run(last),
        "find_artifacts(limit=10)": lambda: tracker.find_artifacts(limit=10),
    }
    rows = {}
    for name, ask in asked.items():
        ask()
        rows[name] = median([counting.take(ask) for _ in range(TIMES)])
    return rows


def main() -> None:
    """Print the counts as JSON, made in a folder that is removed afterwards."""
    gc.disable()
    _count_statements()
    stopped = time.monotonic()
    time.monotonic = lambda: stopped
    with tempfile.TemporaryDirectory(prefix="counts-") as name, tempfile.TemporaryDirectory() as caches:
        os.chdir(name)
        os.environ["XDG_CACHE_HOME"] = caches  # not below the folder where reads of steps are looked for
        rows = counted(Path(name))
        os.chdir("/")
    print(json.dumps({"library": str(sys.modules["consist_es"].__file__), "rows": rows}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
