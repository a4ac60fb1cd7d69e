"""Sweeps and imported runs in words: their events for auditors."""

from collections.abc import Callable
from typing import Any

from consist_es.cli.line import BAD, GOOD, Line
from consist_es.cli.names import Names
from consist_es.cli.units import duration
from consist_es.events import RunImported, SweepEnded, SweepStarted
from consist_es.text import counted


def _started(event: SweepStarted, _names: Names) -> Line:
    where = f" on {event.executor}" if event.executor else ""
    return Line(f"sweep {event.name} started: {counted(event.rows, 'row')}{where}", "bold")


def _ended(event: SweepEnded, _names: Names) -> Line:
    counts = {name: getattr(event, name) for name in ("computed", "hits", "failed", "lost", "waiting")}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    after = f": {said}" if said else ""
    return Line(f"sweep ended in {duration(event.seconds)}{after}", BAD if event.failed + event.lost else GOOD)


def _imported(event: RunImported, _names: Names) -> Line:
    used, made = [link.role for link in event.inputs], [link.key for link in event.outputs]
    files = f"{', '.join(used) or 'nothing'} -> {', '.join(made) or 'nothing'}"
    failed = f": {event.error.message}" if event.error else ""
    said = f"imported from the record of {event.program} in {event.store}: {event.status}{failed}; {files}"
    return Line(said, BAD if event.status == "failed" else "")


WORDS: dict[type, Callable[[Any, Names], Line]] = {
    RunImported: _imported,
    SweepEnded: _ended,
    SweepStarted: _started,
}
"""Event type -> its words."""
