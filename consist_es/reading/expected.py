"""How long the rest of a scenario may take, by its last whole attempt."""

from __future__ import annotations

import sqlite3
from collections import defaultdict, deque

from consist_es.views.file import query

Place = tuple[str, int | None, int | None, str | None]
"""Name, year, iteration and phase of a step."""
_LAST_WHOLE = """
SELECT key FROM runs WHERE kind = 'scenario' AND name = ? AND status = 'completed' ORDER BY started_seq DESC LIMIT 1
"""
_STEPS = """
SELECT r.name, r.year, r.iteration, r.phase, r.seconds, CASE WHEN r.cache = 'hit' THEN q.seconds ELSE r.seconds END
FROM runs r LEFT JOIN runs q ON q.key = r.cache_source_key
WHERE r.scenario_key = ? AND r.kind <> 'scenario' ORDER BY r.started_seq
"""


class Expected:
    """Steps of the last completed attempt at a scenario, less those that ended in this one."""

    def __init__(self, conn: sqlite3.Connection, scenario: str) -> None:
        """`scenario`: the name; nothing is expected of one that never completed."""
        self._left: dict[Place, deque[tuple[float, float]]] = defaultdict(deque)
        self._seconds = self._computing = 0.0
        self.steps = 0
        """Number of steps of that attempt."""
        for (last,) in query(conn, _LAST_WHOLE, (scenario,)):
            for name, year, iteration, phase, took, computing in query(conn, _STEPS, (last,)):
                seconds = took or 0.0, computing or took or 0.0
                self._left[name, year, iteration, phase].append(seconds)
                self._add(seconds, 1)
                self.steps += 1

    def ended(self, place: Place) -> None:
        """Count a step as over."""
        if same := self._left.get(place):
            self._add(same.popleft(), -1)

    def rest(self, *, computing: bool) -> float:
        """Seconds of the steps that are left; with `computing`, as if all of them were computed."""
        return max(0.0, self._computing if computing else self._seconds)

    def of(self, place: Place, *, computing: bool) -> float:
        """Seconds of the next step of this place; 0 if none is expected."""
        same = self._left.get(place)
        return same[0][computing] if same else 0.0

    def _add(self, seconds: tuple[float, float], times: int) -> None:
        self._seconds += times * seconds[0]
        self._computing += times * seconds[1]
