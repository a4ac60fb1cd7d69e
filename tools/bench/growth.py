"""How cost grows with the number of earlier runs: CPU of steps and queries on logs of several lengths.

``python -m tools.bench growth 100 10000 100000``, and ``1000000`` where 8 GB are free. Steps have the name of all
earlier runs, a name that is new, or the work of many earlier runs. The last column means more than the figures.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from bench import biglog  # noqa: E402
from consist_es import CacheOptions, ExecutionOptions, Tracker, output_path  # noqa: E402

LENGTHS = (100, 10_000, 100_000)
"""Earlier runs."""
BUILT = "all views built"
EVENTS_A_RUN = 4.1
LEAST, TIMES = 3, 15
"""How often a thing is measured: the least if it is slow."""
ENOUGH = 2.0
"""Seconds after which a thing was measured long enough."""


class Row(NamedTuple):
    """One thing on one log."""

    name: str
    cpu: float
    """Seconds, the median of several times."""


def median(work: Callable[[], Any], *, warm: int = 1) -> float:
    """Seconds of CPU for the work, of several times, after it was done `warm` times."""
    took: list[float] = []
    for _ in range(warm):
        work()
    while len(took) < TIMES and (len(took) < LEAST or sum(took) < ENOUGH):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return statistics.median(took)


def assign(demand: Path, number: int) -> Path:
    """A step that does next to nothing."""
    path = output_path("flows", "csv")
    path.write_text(f"{number}\n")
    return path


class Bench:
    """Real steps on top of a log of `biglog`."""

    def __init__(self, tracker: Tracker, demand: Path) -> None:
        self._tracker, self._demand, self._number = tracker, demand, 0

    def step(self, number: int, name: str, mode: str = "reuse") -> bool:
        """True if it was a hit."""
        result = self._tracker.run(
            assign,
            name=name,
            model=name,
            inputs={"demand": self._demand},
            config={"number": number},
            outputs=["flows"],
            execution_options=ExecutionOptions(input_binding="paths", runtime_kwargs={"number": number}),
            cache_options=CacheOptions(code_identity="callable_source", cache_mode=mode),
        )
        return result.cache_hit

    def miss(self, name: str) -> Callable[[], None]:
        """A step of that name that was never computed before."""

        def work() -> None:
            self._number += 1
            assert not self.step(self._number, name)

        return work

    def new_name(self) -> None:
        """The first step of a name."""
        self._number += 1
        assert not self.step(self._number, f"new-{self._number}")

    def hit(self, name: str) -> None:
        """One that was computed before."""
        assert self.step(1, name)

    def steps(self, repeated: int) -> Iterator[Row]:
        """Misses and hits; the last with many earlier runs of one fingerprint."""
        yield Row("miss, same name", median(self.miss("assign"), warm=2))
        yield Row("miss, new name", median(self.new_name))
        self.step(1, "other")
        yield Row("hit", median(lambda: self.hit("other")))
        for _ in range(repeated):
            self.step(1, "assign", "overwrite")
        yield Row(f"hit, {repeated:,} earlier runs of its fingerprint", median(lambda: self.hit("assign")))


def queries(tracker: Tracker, scenario: str) -> Iterator[Row]:
    """What can be asked of runs and artifacts, seldom and often matched."""
    asked: dict[str, Callable[[], Any]] = {
        "find_runs()": tracker.find_runs,
        "find_runs(year=) of none": lambda: tracker.find_runs(year=1999),
        "find_runs(year=) of all": lambda: tracker.find_runs(year=2030),
        "find_runs(stage=) of none": lambda: tracker.find_runs(stage="none"),
        "find_runs(tags=) of none": lambda: tracker.find_runs(tags=["none"]),
        "find_runs(tags=) of all": lambda: tracker.find_runs(tags=["bench"]),
        "find_runs(facet=) of none": lambda: tracker.find_runs(facet={"lanes": 3}),
        "find_runs(facet=) of all": lambda: tracker.find_runs(facet={"mode": "car"}),
        "find_runs(metadata=) of none": lambda: tracker.find_runs(metadata={"by": "none"}),
        "find_runs(metadata=) of all": lambda: tracker.find_runs(metadata={"by": "bench"}),
        "find_runs(year=, tags=), one of them of none": lambda: tracker.find_runs(year=2030, tags=["none"]),
        "find_artifacts()": tracker.find_artifacts,
        "find_artifacts(driver=) of none": lambda: tracker.find_artifacts(driver="none"),
        "find_artifacts(driver=) of all": lambda: tracker.find_artifacts(driver="csv"),
        "find_artifacts(kind=) of none": lambda: tracker.find_artifacts(kind="none"),
        "find_artifacts(key=) of all": lambda: tracker.find_artifacts(key="flows"),
        f"get_run() of a scenario of {biglog.STEPS} steps": lambda: tracker.get_run(scenario),
    }
    for name, work in asked.items():
        yield Row(name, median(work))


def measured(folder: Path, runs: int, repeated: int) -> Iterator[Row]:
    """Everything on a log of so many runs."""
    biglog.write(folder / "provenance.events", int(runs * EVENTS_A_RUN), repeated=repeated)
    demand = folder / "demand.csv"
    demand.write_text("zone,trips\n1,2\n")
    os.utime(demand, (time.time() - 1000,) * 2)
    began = time.process_time()
    with Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db", sync="os") as tracker:
        tracker.find_runs(limit=1)
        yield Row(BUILT, time.process_time() - began)
        yield from queries(tracker, "scenario-" + "0" * 12)
        yield from Bench(tracker, demand).steps(repeated)

    def opened() -> None:
        with Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db", sync="os") as again:
            again.find_runs(limit=1)

    yield Row("project opened, to the first answer", median(opened))


def grow(lengths: list[int], repeated: int, folder: Path | None) -> dict[str, list[float]]:
    """Row -> milliseconds of CPU on a log of each length."""
    table: dict[str, list[float]] = {}
    warnings.simplefilter("ignore")  # that views were missing, or that there are more runs than are shown
    for runs in lengths:
        with tempfile.TemporaryDirectory(prefix="growth-", dir=folder) as name:
            for row in measured(Path(name), runs, repeated):
                table.setdefault(row.name, []).append(round(row.cpu * 1e3, 3))
        print(f"{runs:,} runs measured, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    return table


def table_of(lengths: list[int], grown: dict[str, list[float]]) -> list[str]:
    """Lines of a Markdown table: milliseconds, and the ratio of the longest log to the shortest."""
    lines = ["| CPU, ms | " + " | ".join(f"{runs:,} runs" for runs in lengths) + " | longest to shortest |"]
    lines.append("|---|" + "---:|" * (len(lengths) + 1))
    for name, took in grown.items():
        cells = [f"{ms:,.2f}" for ms in took]
        # The work of building all views is as long as the log.
        cells.append("" if name == BUILT else f"{took[-1] / max(took[0], 1e-6):.1f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def options(parser: argparse.ArgumentParser) -> None:
    """Options of this measurement."""
    parser.add_argument("--repeated", type=int, default=1000, help="earlier runs of one fingerprint")


def main(arguments: list[str]) -> int:
    """Everything in a folder that is removed afterwards; a log of a million runs takes 8 GB there."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench growth", description=__doc__)
    parser.add_argument("runs", type=int, nargs="*", default=list(LENGTHS), help="lengths of the logs")
    options(parser)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    asked = parser.parse_args(arguments)
    lengths = sorted(asked.runs)
    print("\n".join(table_of(lengths, grow(lengths, asked.repeated, asked.folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
