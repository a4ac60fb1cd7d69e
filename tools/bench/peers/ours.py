"""consist-es, or LBNL's consist, whose names these are: a scenario with one step for each number.

``ours.py N FOLDER [MODULE [SYNC]]``: MODULE is ``consist_es`` or ``consist``.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.peers.timing import Step, compete, count_and_folder, make_input

count, folder = count_and_folder()
raw = make_input(folder)
MODULE, SYNC = [*sys.argv[3:5], "consist_es", ""][:2] if len(sys.argv) != 4 else (sys.argv[3], "")
library: Any = importlib.import_module(MODULE)
if MODULE == "consist_es" and not library.__file__.startswith(os.environ["LIBRARY"]):
    sys.exit(f"{library.__file__} is not the library in {os.environ['LIBRARY']}")
for name in ("Tracker", "ExecutionOptions", "CacheOptions", "output_path"):
    getattr(library, name)  # loaded when it is first asked for; imports of the others are not measured either
OTHERS = MODULE == "consist"


def work(raw: Path, k: int) -> dict[str, Path]:
    """Write one small file."""
    out: Path = library.output_path("out", ext="txt")
    out.write_text(f"{k}\n")
    return {"out": out}


@contextmanager
def opened(name: str) -> Iterator[Step]:
    """A tracker of its own, and a scenario in it."""
    db = folder / ("provenance.duckdb" if OTHERS else "provenance.db")
    tracker = library.Tracker(run_dir=folder / "runs", db_path=db, **({"sync": SYNC} if SYNC else {}))
    with tracker.scenario(name) as scenario:

        def step(k: int) -> bool:
            result = scenario.run(
                fn=work,
                name="work",
                inputs={"raw": raw},
                config={"k": k},
                outputs=["out"],
                execution_options=library.ExecutionOptions(input_binding="paths", runtime_kwargs={"k": k}),
                cache_options=library.CacheOptions(code_identity="callable_source"),
            )
            return bool(result.cache_hit)

        yield step
    if hasattr(tracker, "close"):
        tracker.close()


compete(opened, count, version("consist") if OTHERS else library.__version__)
