"""Measures what a step takes: time, memory, bytes read and written, with the children it waits for."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.events import Resources

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_MOVED = re.compile(rb"rchar: (\d+)\nwchar: (\d+)")
_KB = 1024
_IO, _STATUS, _CLEAR_REFS = map(Path, ("/proc/self/io", "/proc/self/status", "/proc/self/clear_refs"))
_RESET_PEAK = b"5"
"""What makes Linux begin anew with the most resident memory of a process."""


class Reading(msgspec.Struct, frozen=True):
    """The counters of this process at one moment; None where the system has none."""

    wall: float
    cpu: float | None
    children_peak: int | None
    """Most resident memory of any child waited for so far."""
    children_faults: int
    """Changes whenever a child was waited for."""


def now() -> Reading:
    """A reading. Opens nothing, for an opened file is noted while a step is watched."""
    if resource is None:
        return Reading(time.monotonic(), None, None, 0)
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return Reading(time.monotonic(), cpu, children.ru_maxrss * _KB, children.ru_minflt)


Moved = tuple[int, int]
"""Bytes read and written, by read and write calls, also those of children that were waited for."""


def moved() -> Moved | None:
    """How many bytes this process has moved so far."""
    found = _MOVED.search(_read(_IO))
    return (int(found[1]), int(found[2])) if found else None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read()
    except OSError:  # not Linux, or not allowed
        return b""


def begin_peak() -> bool:
    """Have the system begin anew with the most resident memory of this process; False if it cannot."""
    try:
        with _CLEAR_REFS.open("wb", buffering=0) as file:
            file.write(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_and_faults(usage: Any) -> tuple[int, int]:
    """What `_peak` needs of a child, from the rusage struct that `os.wait4` gave."""
    return usage.ru_maxrss * _KB, usage.ru_minflt


def between(
    before: Reading, after: Reading, began: Moved | None, children: Sequence[tuple[int, int]], *, with_peak: bool
) -> Resources:
    """What was taken between two readings. `began`: what `moved` gave at the first; `with_peak`: `begin_peak` had
    succeeded then; `children`: `peak_and_faults` of those that are known by themselves."""
    ended = None if began is None else moved()
    cpu = None if before.cpu is None or after.cpu is None else round(after.cpu - before.cpu, 6)
    return Resources(
        wall_s=wall(before, after),
        cpu_s=cpu,
        peak_memory_bytes=_peak(before, after, children) if with_peak else None,
        read_bytes=None if began is None or ended is None else ended[0] - began[0],
        written_bytes=None if began is None or ended is None else ended[1] - began[1],
    )


def wall(before: Reading, after: Reading) -> float:
    """Seconds between two readings."""
    return round(after.wall - before.wall, 6)


def _peak(before: Reading, after: Reading, children: Sequence[tuple[int, int]]) -> int | None:
    """The largest of this process and the children waited for; None if one may have been larger than is known.

    The system has one number for all children of the process so far, which says something only if it has grown.
    """
    found = _PEAK.search(_read(_STATUS))
    if found is None or after.children_peak is None:
        return None
    own, faults = int(found[1]) * _KB, after.children_faults - before.children_faults
    if after.children_peak != before.children_peak:
        return max(own, after.children_peak)
    if faults == sum(each for _, each in children):
        return max((own, *(peak for peak, _ in children)))
    return own if after.children_peak <= own else None
