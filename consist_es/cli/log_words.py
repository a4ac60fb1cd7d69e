"""Events of the log itself in words: segments, merges, and where it went."""

from collections.abc import Callable
from typing import Any

from consist_es.cli.line import ODD, QUIET, Line
from consist_es.cli.names import Names
from consist_es.events import LogClosed, LogMerged, SegmentSealed
from consist_es.text import counted


def _sealed(event: SegmentSealed, _names: Names) -> Line:
    return Line(f"segment {event.segment} sealed at {event.size} bytes", QUIET)


def _merged(event: LogMerged, _names: Names) -> Line:
    fork = "" if event.forked_at is None else f", a copy of this log that forked behind position {event.forked_at}"
    what = f"merged {counted(event.events, 'event')} of log {event.log}{fork}, up to position {event.upto} there"
    return Line(what, QUIET if event.forked_at is None else ODD)


def _closed(event: LogClosed, _names: Names) -> Line:
    return Line(f"log closed: it was moved to {event.to}", ODD)


WORDS: dict[type, Callable[[Any, Names], Line]] = {LogClosed: _closed, LogMerged: _merged, SegmentSealed: _sealed}
"""Event type -> its words."""
