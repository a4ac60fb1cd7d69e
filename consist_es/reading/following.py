"""Follows scenarios while they run: by the log's new events, without a lock and without writing anything."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from consist_es.events import (
    CacheHit,
    Cursor,
    HitDemoted,
    Recorded,
    ScenarioExited,
    ScenarioStarted,
    StepAbandoned,
    StepCompleted,
    StepFailed,
    StepStarted,
)
from consist_es.log.engine import EventLog
from consist_es.projections import origins, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading.expected import Expected, Place
from consist_es.reading.labels import label
from consist_es.runs.labels import outcome_of
from consist_es.views.file import query
from consist_es.views.snapshot import Snapshot
from consist_es.views.tables import reached

ENDED = 8
"""How many scenarios that ended are kept."""
_MARKS = 200
GONE = "gone"
"""Status of a scenario if its process certainly is gone, and nothing has recorded that yet."""
_STEPS = """
SELECT key, name, year, iteration, phase, started_at, status, cache, seconds FROM runs
WHERE scenario_key = ? AND kind <> 'scenario' ORDER BY started_seq
"""
_OUTSIDE = """
SELECT key, name, year, iteration, phase, started_at, status, cache, seconds FROM runs
WHERE status = 'running' AND scenario_key IS NULL AND kind <> 'scenario' ORDER BY started_seq
"""


class Step(msgspec.Struct):
    """A step that was seen."""

    key: str
    name: str
    year: int | None
    iteration: int | None
    phase: str | None
    since: str
    """Time of its start, as in the log."""
    status: str = "running"
    cache: str | None = None
    seconds: float | None = None

    @property
    def place(self) -> Place:
        """By what the same step of another attempt is found."""
        return self.name, self.year, self.iteration, self.phase


class Watched(msgspec.Struct):
    """A scenario that is followed, or the steps outside scenarios, which have no id."""

    key: str
    id: str
    run_id: str
    name: str
    writer: str
    since: str
    expected: Expected | None = None
    status: str = "running"
    seconds: float | None = None
    ended: int = 0
    """Steps that are over; of these some were `reused`, `computed` or `failed`."""
    reused: int = 0
    computed: int = 0
    failed: int = 0
    running: dict[str, Step] = {}
    outcomes: deque[str] = msgspec.field(default_factory=lambda: deque(maxlen=_MARKS))
    """Outcomes of the last steps, in the order in which they ended."""

    @property
    def total(self) -> int | None:
        """Number of steps of the last whole attempt; None if there is none, or this one has more."""
        steps = 0 if self.expected is None else self.expected.steps
        return steps if steps and steps >= self.ended + len(self.running) else None

    def left(self, now: datetime) -> float | None:
        """Seconds that the rest may take; None if nothing is known of it."""
        if self.status != "running" or self.expected is None or self.total is None:
            return None
        computing = self.computed > 0  # what changed, changes what follows
        rest = self.expected.rest(computing=computing)
        for step in self.running.values():
            rest -= min(since(step.since, now), self.expected.of(step.place, computing=computing))
        return max(0.0, rest)

    def add(self, step: Step) -> None:
        """Count a step, which may be over."""
        self.running[step.key] = step
        if step.status != "running":
            self.end(step)

    def end(self, step: Step) -> None:
        """Count a step as over."""
        self.running.pop(step.key, None)
        outcome = outcome_of(step.status, step.cache)
        self.ended += 1
        self.reused += outcome == "hit"
        self.computed += outcome in ("computed", "demoted")
        self.failed += outcome in ("failed", "interrupted", "abandoned")
        self.outcomes.append(outcome)
        if self.expected is not None:
            self.expected.ended(step.place)


class Change(NamedTuple):
    """What happened to a scenario (`step` is None) or a step."""

    at: str
    scenario: Watched
    step: Step | None
    what: str
    """``running``, the outcome, or `GONE`."""
    ended: int
    reused: int
    """Of the steps until then."""
    total: int | None

    @classmethod
    def of(cls, at: str, scenario: Watched, step: Step | None, what: str) -> Change:
        """A change that the scenario has taken in already."""
        return cls(at, scenario, step, what, scenario.ended, scenario.reused, scenario.total)

    @property
    def label(self) -> str:
        """Name of the step with its year, iteration and phase; "" for a scenario."""
        return "" if self.step is None else label(self.step)


class Follower:
    """What runs, and what ended last. Asks the views once, and then only the log for its new events."""

    def __init__(
        self, log: EventLog, views: Callable[[], sqlite3.Connection], conn: sqlite3.Connection, only: str | None = None
    ) -> None:
        """`conn`: the views, caught up. `views` gives them as they are later, which may be behind. `only`: name of the
        one scenario to follow."""
        self._log, self._views, self._only = log, views, only
        self.scenarios: dict[str, Watched] = {}
        """By key, those that run last."""
        self._outside = Watched("", "", "", "", "", "")
        with Snapshot(conn):
            self._reached: Cursor = reached(conn)
            self._begin(conn)

    def look(self) -> list[Change]:
        """What happened since the last look. A step that began and ended in between has its end alone."""
        found: list[Change] = []
        if self._log.head().seq == self._reached.seq:
            return found
        for recorded in self._log.read(self._reached if self._reached.seq else None):
            self._reached = self._log.cursor_after(recorded)
            found += self._take(recorded)
        self._forget()
        over = {change.step.key for change in found if change.step is not None and change.what != "running"}
        return [item for item in found if item.what != "running" or item.step is None or item.step.key not in over]

    def missing(self) -> list[Change]:
        """Scenarios whose process went away since the last call without recording their end."""
        found = []
        for scenario in self.scenarios.values():
            if scenario.status == "running" and self._is_gone(scenario.writer):
                scenario.status = GONE
                found.append(Change.of(scenario.since, scenario, None, GONE))
        return found

    def shown(self) -> list[Watched]:
        """Running scenarios first, each group the newest first; steps outside scenarios if any runs."""
        newest = list(reversed(self.scenarios.values()))
        running = [item for item in newest if item.status == "running"]
        outside = [self._outside] if self._outside.running else []
        return [*running, *outside, *(item for item in newest if item.status != "running")]

    # ------------------------------------------------------------ the beginning

    def _begin(self, conn: sqlite3.Connection) -> None:
        running = [row for row in run_table.running(conn) if row.kind == "scenario"]
        known = {row.key for row in running}
        filters = {} if self._only is None else {"name": self._only}
        newest = run_table.find(conn, kind="scenario", limit=ENDED + len(running), **filters)
        ended = [row for row in newest if row.key not in known][:ENDED]
        for row in [*reversed(ended), *running]:
            if self._is_asked(row.name):
                self._add(conn, row)
        if self._only is None:
            for step in query(conn, _OUTSIDE, ()):
                self._outside.add(Step(*step))

    def _add(self, conn: sqlite3.Connection, row: RunRow) -> None:
        found = Watched(row.key, row.id, row.run_id, row.name, row.writer, row.started_at)
        if row.status == "running":
            found.expected = Expected(conn, row.name)
        else:
            found.status, found.seconds = row.status, row.seconds
        self.scenarios[row.key] = found
        for step in query(conn, _STEPS, (row.key,)):
            found.add(Step(*step))

    def _is_asked(self, name: str) -> bool:
        return self._only is None or name == self._only

    # ------------------------------------------------------------ events

    def _take(self, recorded: Recorded) -> Iterable[Change]:
        event: Any = recorded.event
        about = recorded.run or recorded.scenario or ""
        if isinstance(event, ScenarioStarted):
            return self._entered(recorded, event, about)
        if (scenario := self.scenarios.get(about)) is not None:
            return self._left(recorded, event, scenario)
        above = self._outside if recorded.scenario is None else self.scenarios.get(recorded.scenario)
        if above is None or (above is self._outside and self._only is not None):
            return ()
        if isinstance(event, StepStarted):
            step = Step(about, event.name, event.year, event.iteration, event.phase, recorded.time)
            above.add(step)
            return (Change.of(recorded.time, above, step, "running"),)
        seen = above.running.get(about)
        return () if seen is None else self._step(recorded, event, above, seen)

    def _entered(self, recorded: Recorded, event: ScenarioStarted, key: str) -> Iterable[Change]:
        if not self._is_asked(event.name):
            return ()
        conn = self._views()
        name = self._id(conn, key, event.run_id)
        found = Watched(key, name, event.run_id, event.name, recorded.by, recorded.time, Expected(conn, event.name))
        self.scenarios[key] = found
        return (Change.of(recorded.time, found, None, "running"),)

    def _id(self, conn: sqlite3.Connection, key: str, run_id: str) -> str:
        """The readable id of an attempt, which the views may not have yet."""
        if (row := run_table.by_key(conn, key)) is not None:
            return row.id
        earlier = {row.key for row in run_table.attempts(conn, run_id)}
        earlier |= {other.key for other in self.scenarios.values() if other.run_id == run_id}
        return f"{run_id}#{len(earlier) + 1}" if earlier or run_table.NUMBERED.search(run_id) else run_id

    def _left(self, recorded: Recorded, event: Any, scenario: Watched) -> Iterable[Change]:
        if isinstance(event, ScenarioExited):
            scenario.status, scenario.seconds = event.status, event.seconds
        elif isinstance(event, StepAbandoned) and scenario.status in ("running", GONE):
            scenario.status = "abandoned"
        else:
            return ()
        self.scenarios[scenario.key] = self.scenarios.pop(scenario.key)  # what ended last is shown first
        return (Change.of(recorded.time, scenario, None, scenario.status),)

    def _step(self, recorded: Recorded, event: Any, above: Watched, step: Step) -> Iterable[Change]:
        if isinstance(event, CacheHit | HitDemoted):
            step.cache = "hit" if isinstance(event, CacheHit) else "demoted"
            return ()
        if isinstance(event, StepCompleted | StepFailed):
            step.status = "completed" if isinstance(event, StepCompleted) else event.status
            step.seconds = event.seconds
        elif isinstance(event, StepAbandoned):
            step.status = "abandoned"
        else:
            return ()
        above.end(step)
        return (Change.of(recorded.time, above, step, outcome_of(step.status, step.cache)),)

    def _forget(self) -> None:
        ended = [key for key, item in self.scenarios.items() if item.status != "running"]
        for key in ended[:-ENDED]:
            del self.scenarios[key]

    def _is_gone(self, writer: str) -> bool:
        found = origins.writer_details(self._views(), writer)
        return found is not None and self._log.alive(found) is False


def since(at: str, now: datetime) -> float:
    """Seconds from a time of the log until now; 0 if it is none, for anybody may have written it."""
    try:
        return max(0.0, (now - datetime.fromisoformat(at)).total_seconds())
    except (ValueError, TypeError):
        return 0.0
