"""Times a merge beside a copy of the same lines, which reads, checks and writes each once.

python -m tools.merging 100000
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from consist_es.events import Draft, StepAbandoned
from consist_es.log.copying import copy_log
from consist_es.log.local import LocalLog
from consist_es.log.merging import merge_logs

BATCH = 100


def timed(act: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def main(count: int) -> None:
    """Make a log of so many events, copy and merge it, and print how long each took."""
    folder = Path(tempfile.mkdtemp())
    try:
        source = LocalLog(folder / "source.events", sync="os")
        for number in range(count // BATCH):
            source.append([Draft(StepAbandoned(reason=f"{number} {'x' * 300}"), "s", "r") for _ in range(BATCH)])
        copied = timed(lambda: copy_log(source, LocalLog(folder / "copy.events")))
        merged = timed(lambda: merge_logs([source], LocalLog(folder / "merged.events")))
        again = timed(lambda: merge_logs([source], LocalLog(folder / "merged.events")))
        print(
            f"{source.head().seq} events: copied in {copied:.2f} s, merged in {merged:.2f} s "
            f"({merged / copied:.2f}), merged again in {again:.2f} s"
        )
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
