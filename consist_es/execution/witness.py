"""Witnesses a step while it runs: keeps what it prints, and measures what it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from consist_es.events import Resources, StepLogInfo
from consist_es.execution.active import ActiveRun
from consist_es.execution.current import company, frames_of_thread, top
from consist_es.execution.resources import Moved, Reading, begin_peak, between, moved, now, wall
from consist_es.execution.step_log import StepLog
from consist_es.system.storage import on_fork
from consist_es.system.tee import Sink, Tees


class Witness:
    """Of one run. `place`: file for what it prints; None keeps nothing."""

    def __init__(self, active: ActiveRun, place: Path | None, mask: Callable[[str], str]) -> None:
        self.log: StepLogInfo | None = None
        self.taken: Resources | None = None
        self._active = active
        self._file = None if place is None else StepLog(place, active.key, mask)
        self._before: Reading | None = None
        self._after: Reading | None = None
        self._alone = self._with_peak = self._told = False
        self._begun = 0
        self._moved: Moved | None = None

    def prepare(self) -> None:
        """Begin what has to open files: before the step's reads are observed, but once its run is the current one."""
        running, self._begun = company()
        if running == 1:
            self._alone, self._with_peak, self._moved = True, begin_peak(), moved()
        if self._file is not None:
            self._active.printed = self._file
            self._told = True
            _tees.begin()

    def begin(self) -> None:
        """Begin, right before the function is called."""
        self._before = now()

    def stop(self) -> None:
        """Stop, right after the function has returned."""
        if self._before is not None and self._after is None:
            self._after = now()

    def end(self, uri: Callable[[Path], str]) -> None:
        """End it; later calls do nothing."""
        before, self._before = self._before, None
        if before is not None and self._after is not None:
            if self._alone and company()[1] == self._begun:
                self.taken = between(before, self._after, self._moved, with_peak=self._with_peak)
            else:
                self.taken = Resources(wall_s=wall(before, self._after), shared=True)
        if self._told:
            self._told = False
            _tees.end()
        if (file := self._file) is not None:
            self._file = None
            self.log = file.close(uri)


def _sink() -> Sink | None:
    """Where the work of this thread or task goes."""
    if (frame := top()) is not None and frame.run is not None:
        return frame.run.printed
    frames = frames_of_thread()
    return frames[0].run.printed if len(frames) == 1 and frames[0].run is not None else None


_tees = Tees(_sink)
on_fork(_tees)
