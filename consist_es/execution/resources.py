"""Measures what a step takes: time, memory, bytes read and written, with the children it waits for."""

from __future__ import annotations

import re
import time

import msgspec

from consist_es.events import Resources

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

_PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")
_MOVED = re.compile(rb"rchar: (\d+)\nwchar: (\d+)")
_KB = 1024
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
    found = _MOVED.search(_read("/proc/self/io"))
    return (int(found[1]), int(found[2])) if found else None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:  # not Linux, or not allowed
        return b""


def begin_peak() -> bool:
    """Have the system begin anew with the most resident memory of this process; False if it cannot."""
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(_RESET_PEAK)
    except OSError:
        return False
    return True


def between(before: Reading, after: Reading, began: Moved | None, *, with_peak: bool) -> Resources:
    """What was taken between two readings. `began`: what `moved` gave at the first; `with_peak`: `begin_peak` had
    succeeded then."""
    ended = None if began is None else moved()
    cpu = None if before.cpu is None or after.cpu is None else round(after.cpu - before.cpu, 6)
    return Resources(
        wall_s=wall(before, after),
        cpu_s=cpu,
        peak_memory_bytes=_peak(before, after) if with_peak else None,
        read_bytes=None if began is None or ended is None else ended[0] - began[0],
        written_bytes=None if began is None or ended is None else ended[1] - began[1],
    )


def wall(before: Reading, after: Reading) -> float:
    """Seconds between two readings."""
    return round(after.wall - before.wall, 6)


def _peak(before: Reading, after: Reading) -> int | None:
    """The largest of this process and the children waited for; None if a child may have been larger than is known."""
    found = _PEAK.search(_read("/proc/self/status"))
    own = int(found[1]) * _KB if found else None
    largest = after.children_peak
    if own is None or largest is None or after.children_faults == before.children_faults or largest <= own:
        return own
    return largest if largest != before.children_peak else None  # else it may be an earlier step's child
