"""Gives the processes below a clock, a user and a machine of their own, so that what they record is the same each time.

Python imports it by its name from PYTHONPATH. The environment variable STEADY_CLOCK says when a process begins.
"""

import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from consist_es.api import scenario
from consist_es.events import Resources
from consist_es.execution import attempt, witness
from consist_es.system.storage import LocalStorage

BEGAN = datetime(2026, 11, 30, 9, 14, 7, tzinfo=UTC)
STEP = 0.37
"""Seconds by which the clock goes on each time that a step or scenario looks at it."""


class Clock:
    """Stands still while nobody looks at it."""

    seconds = float(os.environ.get("STEADY_CLOCK", "0"))

    def monotonic(self) -> float:
        self.seconds += STEP
        return self.seconds


CLOCK = Clock()
vars(scenario)["time"] = vars(attempt)["time"] = SimpleNamespace(monotonic=CLOCK.monotonic)
TAKEN = Resources(wall_s=STEP, cpu_s=0.31, peak_memory_bytes=70_000_000, read_bytes=20_000, written_bytes=3_000)
vars(witness)["between"] = lambda *_readings, **_known: TAKEN
LocalStorage.now = lambda _self: BEGAN + timedelta(seconds=CLOCK.seconds)  # type: ignore[assignment, method-assign]
LocalStorage.user = lambda _self: "anna"  # type: ignore[assignment, method-assign]
LocalStorage.host = lambda _self: "big"  # type: ignore[assignment, method-assign]
