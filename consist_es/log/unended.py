"""Runs and scenarios without an end, seen on a walk through the log."""

import contextlib
from collections.abc import Iterable, Mapping

import msgspec

from consist_es.events import (
    ScenarioExited,
    ScenarioStarted,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepStarted,
    WriterAttached,
)
from consist_es.log.record import BadRecord, Head, decode_event
from consist_es.log.segment import Line

_BEGIN = frozenset({ScenarioStarted.TYPE, StepStarted.TYPE})
_END = frozenset({ScenarioExited.TYPE, StepCompleted.TYPE, StepFailed.TYPE, StepAbandoned.TYPE})


class Unended(msgspec.Struct, frozen=True):
    """A run without an end."""

    position: int
    """Position of its first event."""
    run: str
    writer: WriterAttached | None
    """The process that runs or ran it, or None if this walk did not see its `writer_attached`."""


class OpenRuns:
    """The runs that are open at the current place of a walk."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[int, str]] = {}
        """Run -> position and writer of its beginning."""
        self._writers: dict[str, WriterAttached] = {}

    def see_head(self, head: Head) -> str | None:
        """Take in an envelope; return the run that ended, if one did."""
        if head.type in _BEGIN:
            self.open[head.run or head.scenario or ""] = head.seq, head.by
        elif head.type in _END:
            key = head.run or head.scenario or ""
            self.open.pop(key, None)
            return key
        return None

    def see(self, line: Line) -> None:
        """Take in one line."""
        self.see_head(line.head)
        self.see_writer(line)

    def see_writer(self, line: Line) -> None:
        """Take in a line that may be a `writer_attached`."""
        if line.head.type == WriterAttached.TYPE:
            with contextlib.suppress(BadRecord):
                event = decode_event(line.head.type, line.head.v, line.data)
                if isinstance(event, WriterAttached):
                    self._writers[event.writer] = event

    def go_on(self, closed: Iterable[str], begun: Mapping[str, tuple[int, str]]) -> None:
        """Take in many lines: the runs that ended in them, and those that began and did not."""
        for key in closed:
            self.open.pop(key, None)
        self.open.update(begun)

    def found(self) -> list[Unended]:
        """The open ones, in the order of their beginnings."""
        return [Unended(seq, run, self._writers.get(by)) for run, (seq, by) in self.open.items()]
