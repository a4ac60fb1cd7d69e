"""A chain of three steps, whose outputs are evicted in tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import consist_es
from consist_es import ExecutionOptions, RunResult, Tracker
from consist_es.views.file import query

PATHS = ExecutionOptions(input_binding="paths")


def zones() -> Path:
    out = consist_es.output_path("zones", ext="txt")
    out.write_text("zone\n" * 400)
    return out


def trips(zones: Path, growth: float) -> Path:
    out = consist_es.output_path("trips", ext="txt")
    out.write_text(f"{growth}\n{zones.read_text()}" * 10)
    return out


def report(trips: Path) -> Path:
    out = consist_es.output_path("report", ext="txt")
    out.write_text(trips.read_text()[:100])
    return out


def opened(folder: Path, **more: Any) -> Tracker:
    return Tracker(folder / "runs", capture_log=False, **more)


def chain(tracker: Tracker, growth: float = 1.0, name: str = "base") -> dict[str, RunResult]:
    """Run all three steps in a scenario."""
    with tracker.scenario(name) as sc:
        made = sc.run(zones, outputs=["zones"])
        moved = sc.run(
            trips, inputs={"zones": made}, config={"growth": growth}, outputs=["trips"], execution_options=PATHS
        )
        told = sc.run(report, inputs={"trips": moved}, outputs=["report"], execution_options=PATHS)
    return {"zones": made, "trips": moved, "report": told}


def hits(results: Mapping[str, RunResult]) -> dict[str, bool]:
    return {name: result.cache_hit for name, result in results.items()}


def files(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file of outputs."""
    top = folder / "runs" / "outputs"
    return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
_NEW = ("evictions", "audit_index", "checkpoint", "meta", "writers")
"""Tables that an eviction adds to."""


def facts(tracker: Tracker, without: tuple[str, ...] = _NEW) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of all views, without those that an eviction adds to."""
    conn = tracker.project.connection()
    tables = [table for (table,) in query(conn, _TABLES) if table not in without]
    return {table: query(conn, f'SELECT * FROM "{table}"') for table in tables}
