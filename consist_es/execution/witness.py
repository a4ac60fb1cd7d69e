"""Witnesses a step while it runs: keeps what it prints, and measures what it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from consist_es.errors import ProgramError
from consist_es.events import Resources, StepLogInfo
from consist_es.execution.active import ActiveRun
from consist_es.execution.current import company, frames_of_thread
from consist_es.execution.resources import Moved, Reading, begin_peak, between, moved, now, peak_and_faults, wall
from consist_es.execution.step_log import Printed
from consist_es.runs.step_logs import StepLog, uri_of
from consist_es.system.storage import on_fork
from consist_es.system.tee import Sink, Tees, mine
from consist_es.text import noted, shown


class Witness:
    """Of one run. `place`: file for what it prints; None keeps nothing."""

    def __init__(self, active: ActiveRun, place: Path | None, mask: Callable[[str], str]) -> None:
        self.log: StepLogInfo | None = None
        self.taken: Resources | None = None
        self._active = active
        self._place = place
        self._file = None if place is None else Printed(place, active.key, mask)
        self._before: Reading | None = None
        self._after: Reading | None = None
        self._alone = self._with_peak = self._told = False
        self._elsewhere = False
        """True if what it takes is taken by processes that are none of ours."""
        self._begun = 0
        self._children: list[tuple[int, int]] = []
        self._moved: Moved | None = None

    def prepare(self) -> None:
        """Begin what has to open files: before the step's reads are observed, but once its run is the current one."""
        running, self._begun = company()
        if running == 1:
            self._alone, self._with_peak, self._moved = True, begin_peak(), moved()
        _witnesses[self._active.key] = self
        if self._file is not None:
            self._told = True
            mine.set(self._file)
            _tees.begin()

    def begin(self) -> None:
        """Begin, right before the function is called."""
        self._before = now()

    def stop(self) -> None:
        """Stop, right after the function has returned."""
        if self._before is not None and self._after is None:
            self._after = now()

    def end(self) -> None:
        """End it; later calls do nothing."""
        _witnesses.pop(self._active.key, None)
        before, self._before = self._before, None
        if before is not None and self._after is not None:
            if self._elsewhere:
                self.taken = Resources(wall_s=wall(before, self._after))
            elif self._alone and company()[1] == self._begun:
                self.taken = between(before, self._after, self._moved, self._children, with_peak=self._with_peak)
            else:
                self.taken = Resources(wall_s=wall(before, self._after), shared=True)
        if self._told:
            self._told = False
            _tees.end()
            mine.set(None)
        if (file := self._file) is not None:
            self._file = None
            self.log = file.close(uri_of(self._active.key))

    def annotate(self, error: BaseException) -> None:
        """Add to the step's error what it printed last, unless that is in the message."""
        says_it = isinstance(error, ProgramError) or not isinstance(error, Exception)
        if self.log is None or self._place is None or says_it:
            return
        if tail := StepLog("", self._place).tail():
            lines = "\n".join(f"  {shown(line)}" for line in tail.splitlines())
            noted(error, f"The step printed last (all of it: {shown(self._place)}):\n{lines}")


_witnesses: dict[str, Witness] = {}
"""Those of the runs that execute in this process, by key."""


def sink_of_step() -> Sink | None:
    """Takes what this thread or task prints for its step; None outside one."""
    found = _present()
    return None if found is None else found._file


def measured_elsewhere() -> None:
    """Note for the step of this thread or task that its work is done by a process that is no child of ours: of what
    it takes, only the time is known."""
    if (found := _present()) is not None:
        found._elsewhere = True


def note_child(usage: Any) -> None:
    """Note for the step of this thread or task what `os.wait4` said of a program."""
    if (found := _present()) is not None:
        found._children.append(peak_and_faults(usage))


def _present() -> Witness | None:
    """That of the run that this thread or task works for; None if there is none, or if it may be one of several."""
    if not _witnesses:
        return None
    frames = frames_of_thread()
    run = frames[0].run if len(frames) == 1 and frames[0].dry is None else None
    return None if run is None else _witnesses.get(run.key)


_tees = Tees(sink_of_step)
on_fork(_tees)
