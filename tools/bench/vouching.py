"""What it costs that a hit is read back from the log, and that rows are counted when views are opened.

``python tools/bench/vouching.py [--hits N] [--events N]``. CPU time; the ratios mean more than the figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOOLS.parent), str(TOOLS)]

from bench.biglog import write  # noqa: E402
from bench.measure import step  # noqa: E402
from consist_es import Tracker  # noqa: E402
from consist_es.cache.vouch import Voucher  # noqa: E402
from consist_es.log.local import LocalLog  # noqa: E402
from consist_es.projections import BUILTIN, cache_index, lineage, run_table  # noqa: E402
from consist_es.views import file as view_file  # noqa: E402
from consist_es.views.changes import lost_rows  # noqa: E402
from consist_es.views.projector import Projector  # noqa: E402

ROUNDS = 5


def best(work: Callable[[], object], count: int) -> float:
    """Microseconds of CPU for each, the least of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            work()
        took.append(time.process_time() - began)
    return min(took) / count * 1e6


def hits(folder: Path, count: int) -> None:
    """A hit of a step with one small output, and what of that is reading back."""
    with Tracker(run_dir=folder / "runs", db_path=folder / "p.db", sync="os") as tracker:
        project = tracker.project

        def hit() -> None:
            tracker.run(step, config={"number": 1}, outputs=["o"])

        hit()
        whole = best(hit, count)
        conn = project.connection()
        ((fingerprint,),) = conn.execute("SELECT fingerprint FROM cache_index").fetchall()
        (found,) = [*cache_index.candidates(conn, fingerprint)]
        source, late = run_table.by_key(conn, found.run_key), lineage.logged_inputs(conn, found.run_key)
        first = best(lambda: Voucher(project.log).candidate(conn, found, source, late, fingerprint), count)
        known = Voucher(project.log)
        known.candidate(conn, found, source, late, fingerprint)
        again = best(lambda: known.candidate(conn, found, source, late, fingerprint), count)
    print(f"a hit                                     {whole:10,.0f} µs", flush=True)
    print(f"of that, a candidate that is read back    {first:10,.0f} µs", flush=True)
    print(f"of that, the same one again               {again:10,.0f} µs", flush=True)


def opening(folder: Path, events: int) -> None:
    """Counting the rows of a project with many runs, once per process."""
    log = LocalLog(folder / "big.events", sync="os")
    write(log.folder, events)
    with Projector(folder / "big.db", log, BUILTIN) as views:
        views.rebuild()
    with closing(view_file.connect(folder / "big.db")) as conn:
        (found,) = conn.execute("SELECT count(*) FROM runs").fetchone()
        took = best(lambda: lost_rows(conn), 3)
    print(f"counting the rows of {found:,} runs {took / 1000:10,.2f} ms", flush=True)


def main() -> None:
    """Everything in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=200)
    parser.add_argument("--events", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        hits(Path(name), asked.hits)
        opening(Path(name), asked.events)


if __name__ == "__main__":
    main()
