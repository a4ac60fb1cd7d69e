"""What watching costs: ``python -m tools.bench.observing``, from the root of a checkout. Ratios and figures of one run.

Times are of this process's CPU, the smallest of several rounds, so that a busy machine disturbs little.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from consist_es.identity.installed.places import is_first_party  # noqa: E402
from consist_es.observe.reads import Places  # noqa: E402
from consist_es.observe.watch import Watch  # noqa: E402

ROUNDS = 9


def fastest(work: Callable[[], object], count: int) -> float:
    """Microseconds of one of `count` things that `work` does."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times) / count * 1e6


def watch_of(root: Path) -> Watch:
    """A watch of one root, with plain digests of variables."""
    places = Places(roots=(str(root),))
    return Watch(places, is_first_party=is_first_party, value_digest=lambda _, value: value)


def opens(paths: list[str], repeats: int) -> Callable[[], None]:
    """Open and close files."""

    def work() -> None:
        for path in paths:
            for _ in range(repeats):
                os.close(os.open(path, os.O_RDONLY))

    return work


def row(name: str, before: float, after: float, unit: str = "µs") -> None:
    """One line of the table."""
    print(f"{name:46}{before:10.2f}{after:10.2f} {unit}   +{after - before:.2f}, x{after / before:.2f}", flush=True)


def main() -> None:
    """Everything in a folder that is removed afterwards."""
    logging.disable()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        many = [str(root / str(number)) for number in range(2000)]
        for path in many:
            Path(path).write_text(path)
        os.environ["OBSERVED_RATE"] = "1"
        works: dict[str, tuple[Callable[[], object], int]] = {
            "open again": (opens(many[:1], 20_000), 20_000),
            "open 2,000 files": (opens(many, 1), 2000),
            "an event that is none of ours": (lambda: [sys._getframe() for _ in range(20_000)], 20_000),
            "os.environ[...]": (lambda: [os.environ["OBSERVED_RATE"] for _ in range(20_000)], 20_000),
            "os.path.exists": (lambda: [os.path.exists(many[0]) for _ in range(20_000)], 20_000),  # noqa: PTH110
            "import in a function": (lambda: [imports() for _ in range(20_000)], 20_000),
            "a logging call": (say, 5000),
        }
        before = {name: fastest(*work) for name, work in works.items()}
        first = time.process_time()
        watch = watch_of(root)
        watch.begin()
        first = time.process_time() - first
        during = {name: fastest(*work) for name, work in works.items()}
        last = time.process_time()
        reads = watch.end()
        last = time.process_time() - last
        after = {name: fastest(*work) for name, work in works.items()}
        print(f"watched by {reads.watched_by}; {len(reads.files)} files noted\n")
        print(f"{'a run is open':46}{'before':>10}{'during':>10}")
        for name in works:
            row(name, before[name], during[name])
        print(f"\n{'no run is open any more':46}{'before':>10}{'after':>10}")
        for name in works:
            row(name, before[name], after[name])
        random.seed(1)
        empty = fastest(lambda: empty_runs(root), 100)
        print(f"\nan empty observation {empty:.0f} µs; the first begin {first * 1e3:.1f} ms")
        print(f"the end of the run with {len(reads.files)} files {last * 1e3:.0f} ms, digests included")
        costs = {name: during[name] - before[name] for name in works}
        print(f"as parts of one open of a file: a noted one {costs['open again'] / before['open again']:.2f}")


def imports() -> object:
    """Import what is loaded."""
    import json

    return json


def say() -> None:
    """Log what nobody hears."""
    for _ in range(5000):
        logging.getLogger("x").info("x")


def empty_runs(root: Path) -> None:
    """Begin and end a hundred times."""
    for _ in range(100):
        watch = watch_of(root)
        watch.begin()
        watch.end()


if __name__ == "__main__":
    main()
