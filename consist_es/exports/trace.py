"""Chrome's trace format, for ui.perfetto.dev, speedscope and chrome://tracing: a process for each scenario, a slice for
each step, and arrows where a step used what another had made.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, BinaryIO

import msgspec

from consist_es.exports.naming import as_text, settings
from consist_es.exports.scratch import Scratch
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import label, outcome
from consist_es.reading.walk import Walk

_NO_SCENARIO = "outside scenarios"


def write(walk: Walk, out: BinaryIO, tick: Callable[[], None]) -> None:
    """Write the events, scenario by scenario."""
    before = b'{"displayTimeUnit":"ms","otherData":' + msgspec.json.encode({"project": walk.project})
    before += b',"traceEvents":[\n'
    for number, header in enumerate(walk.places(), 1):
        for event in _scenario(walk, number, header, tick):
            out.write(before + msgspec.json.encode(event))
            before = b",\n"
    out.write((b"" if before == b",\n" else before) + b"]}\n")


def _moment(text: str) -> int:
    """Microseconds since 1970."""
    at = datetime.fromisoformat(text)
    return int(at.timestamp()) * 1_000_000 + at.microsecond


class _Slice(msgspec.Struct):
    """Where a run is drawn."""

    lane: int
    begin: int
    duration: int | None
    """None if its end is unknown."""


def _drawn(row: RunRow, lane: int) -> _Slice:
    known = None if row.seconds is None else max(1, round(row.seconds * 1e6))
    return _Slice(lane, _moment(row.started_at), known)


def _scenario(walk: Walk, number: int, header: RunRow | None, tick: Callable[[], None]) -> Iterator[dict[str, Any]]:
    name = _NO_SCENARIO if header is None else header.id
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "args": {"sort_index": number}}
    if header is not None:
        yield _event(number, _drawn(header, 0), name, header.status, _about(walk, header))
        tick()
    with Scratch() as slices, Scratch() as makers:
        _lay_out(walk, header, slices)
        for artifact, run, seq in walk.made_in(header):
            makers.put([(artifact, seq, run)])
        for row in walk.steps(header):
            drawn = _slice(slices, row.key)
            yield _event(number, drawn, label(row), outcome(row), _about(walk, row))
            yield from _arrows(walk, number, row, drawn, slices, makers)
            tick()


class _Lanes:
    """Lanes from 1 on; each has one step at a time."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        """Lane -> when its last step ended."""
        self._busy: list[tuple[float, int]] = []
        self._free: list[int] = []

    def take(self, begin: int, duration: int | None) -> int:
        """The first lane that is free from there on; a step whose end is unknown keeps it."""
        while self._busy and self._busy[0][0] <= begin:
            heappush(self._free, heappop(self._busy)[1])
        if self._free and self._ends[self._free[0]] <= begin:  # clocks of processes may differ a little
            lane = heappop(self._free)
        else:
            lane = len(self._ends)
            self._ends.append(0)
        self._ends[lane] = math.inf if duration is None else begin + duration
        heappush(self._busy, (self._ends[lane], lane))
        return lane + 1


def _lay_out(walk: Walk, header: RunRow | None, slices: Scratch) -> None:
    """Give steps that overlap a lane each."""
    lanes = _Lanes()
    for row in walk.steps(header):
        drawn = _drawn(row, 0)
        drawn.lane = lanes.take(drawn.begin, drawn.duration)
        slices.put([(row.key, 0, msgspec.json.encode(drawn).decode())])


def _slice(slices: Scratch, run: str) -> _Slice:
    return msgspec.json.decode(slices.get(run) or "", type=_Slice)


def _event(number: int, drawn: _Slice, name: str, kind: str, args: dict[str, Any]) -> dict[str, Any]:
    """A slice; one that has only a begin if no end is recorded."""
    place = {"cat": kind, "pid": number, "tid": drawn.lane, "ts": drawn.begin}
    length = {"ph": "B"} if drawn.duration is None else {"ph": "X", "dur": drawn.duration}
    return {"name": name, **length, **place, "args": args}


def _about(walk: Walk, row: RunRow) -> dict[str, Any]:
    said = {
        "run": row.id,
        "status": row.status,
        "description": row.description,
        "reason": row.cache_reason,
        "differs": "; ".join(row.cache_differs) or None,
        "source": None if row.cache_source_key is None else walk.id_of(row.cache_source_key),
        "error": row.error_message,
        **{f"config.{key}": as_text(value) for key, value in settings(row.config)},
    }
    return {key: value for key, value in said.items() if value is not None}


def _arrows(
    walk: Walk, number: int, row: RunRow, drawn: _Slice, slices: Scratch, makers: Scratch
) -> Iterator[dict[str, Any]]:
    for role, item in walk.inputs(row.key):
        made = makers.before(item.artifact_id, row.started_seq)
        if made is None or made == row.key:
            continue
        source = _slice(slices, made)
        end = source.begin + max(0, (source.duration or 1) - 1)
        both = {"cat": "file", "name": item.key, "id": f"{made} {row.key} {role}", "pid": number}
        yield {"ph": "s", **both, "tid": source.lane, "ts": min(end, drawn.begin)}
        yield {"ph": "f", "bp": "e", **both, "tid": drawn.lane, "ts": drawn.begin}
