"""Sweeps in words: their events for auditors, and one line about a whole one."""

from collections.abc import Callable
from typing import Any

from consist_es.cli.line import BAD, GOOD, Line
from consist_es.cli.names import Names
from consist_es.cli.units import duration
from consist_es.events import SweepEnded, SweepStarted
from consist_es.text import counted


def _started(event: SweepStarted, _names: Names) -> Line:
    where = f" on {event.executor}" if event.executor else ""
    return Line(f"sweep {event.name} started: {counted(event.rows, 'row')}{where}", "bold")


def _ended(event: SweepEnded, _names: Names) -> Line:
    counts = {name: getattr(event, name) for name in ("computed", "hits", "failed", "lost", "waiting")}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    after = f": {said}" if said else ""
    return Line(f"sweep ended in {duration(event.seconds)}{after}", BAD if event.failed + event.lost else GOOD)


WORDS: dict[type, Callable[[Any, Names], Line]] = {SweepEnded: _ended, SweepStarted: _started}
"""Event type -> its words."""
