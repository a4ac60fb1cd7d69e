"""Runs and scenarios without an end, seen on a walk through the log."""

import contextlib

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
from consist_es.log.record import BadRecord, decode_event
from consist_es.log.segment import Line

_BEGIN = (ScenarioStarted.TYPE, StepStarted.TYPE)
_END = (ScenarioExited.TYPE, StepCompleted.TYPE, StepFailed.TYPE, StepAbandoned.TYPE)


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
        self._open: dict[str, tuple[int, str]] = {}
        self._writers: dict[str, WriterAttached] = {}

    def see(self, line: Line) -> None:
        """Take in one line."""
        head = line.head
        key = head.run or head.scenario or ""
        if head.type in _BEGIN:
            self._open[key] = head.seq, head.by
        elif head.type in _END:
            self._open.pop(key, None)
        elif head.type == WriterAttached.TYPE:
            with contextlib.suppress(BadRecord):
                event = decode_event(head.type, head.v, line.data)
                if isinstance(event, WriterAttached):
                    self._writers[event.writer] = event

    def found(self) -> list[Unended]:
        """The open ones, in the order of their beginnings."""
        return [Unended(seq, run, self._writers.get(by)) for run, (seq, by) in self._open.items()]
