"""Rows that are scenarios of their own, for `Tracker.map_scenarios`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import WorkerDiffersError
from consist_es.events import FingerprintInfo
from consist_es.execution.current import Frame, Pushed
from consist_es.identity.code.modes import code_identity
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.steps.step import StepDefaults
from consist_es.sweeps.agree import Asked, asked_for, require_same
from consist_es.sweeps.parcel import Parcel, packed
from consist_es.sweeps.perform import Task, here, loaded
from consist_es.sweeps.rows import SweepRow
from consist_es.sweeps.sweep import Plan

if TYPE_CHECKING:
    from consist_es.api.scenario import ScenarioContext
    from consist_es.api.tracker import Tracker

_ASKED = msgspec.json.Decoder(Asked)


class ScenarioRows:
    """Sends every row: a scenario is never cached, its steps are."""

    def __init__(self, tracker: Tracker, header: ScenarioContext, plan: Plan, fn: Callable[..., object]) -> None:
        self._tracker, self._header, self._plan, self._fn = tracker, header, plan, fn
        self._sent: tuple[Any, bytes] | None = None

    def look_up(self, rows: Sequence[SweepRow]) -> Iterator[SweepRow]:
        """See `consist_es.sweeps.sweep.Kind`."""
        yield from rows

    def task(self, row: SweepRow) -> Task:
        """See `Kind`."""
        plan, what = self._plan, f"Row {row.id!r} of sweep {self._plan.name!r}"
        if self._sent is None:
            defaults = self._header._defaults
            asked = asked_for(self._fn, _info(self._fn, defaults), defaults.label_root or defaults.project_root)
            self._sent = packed(self._fn, f"The function of sweep {plan.name!r}"), msgspec.json.encode(asked)
        fn, asked_bytes = self._sent
        parcel = Parcel(fn, packed(row.values, what))
        return Task(self._header.handle, plan.key, row.id, plan.name, parcel, asked_bytes, is_scenario=True)

    def perform(self, row: SweepRow) -> bool:
        """See `Kind`."""
        return _scenario(self._tracker, self._header, self._fn, row.values, (self._plan.key, row.id))

    def outputs(self, conn: sqlite3.Connection, run: RunRow) -> dict[str, Artifact]:
        """What the row's scenario has in its coupler."""
        return self._tracker._engine.queries.collected(run.key)


def _info(fn: Callable[..., object], defaults: StepDefaults) -> FingerprintInfo:
    """The identity of the function's code."""
    found = code_identity(
        fn, project_root=defaults.project_root, label_root=defaults.label_root, ignored=defaults.packages.ignore
    )
    return FingerprintInfo(
        version=0,
        digest=None,
        code=found.digest,
        config="",
        inputs="",
        labels="",
        code_mode=found.mode,
        code_parts=found.parts,
    )


def perform_scenario(sc: ScenarioContext, task: Task) -> bool:
    """Run the scenario of a task in a worker; `sc` is the header's.

    Raises:
        WorkerDiffersError: this worker has other code. Whatever the function raises.
    """
    asked = _ASKED.decode(task.asked)
    try:
        fn, values = _checked(sc, task, asked, by_value=False)
    except WorkerDiffersError:
        if not task.parcel.has_values:
            raise
        fn, values = _checked(sc, task, asked, by_value=True)
    return _scenario(sc.tracker, sc, fn, values, (task.sweep, task.row))


def _checked(sc: ScenarioContext, task: Task, asked: Asked, *, by_value: bool) -> tuple[Any, Any]:
    fn, values, anew = loaded(task, by_value=by_value)
    require_same(_info(fn, sc._defaults), asked, task.name, by_value=anew, where=here())
    return fn, values


def _scenario(
    tracker: Tracker, header: ScenarioContext, fn: Callable[..., object], values: dict[str, Any], place: tuple[str, str]
) -> bool:
    """Enter the row's scenario and call the function; True if all its steps were hits."""
    own = tracker.scenario(f"{header.name}_{place[1]}", config=values)
    own._row = place
    with Pushed(Frame(tracker, None, header._key)), own as sc:  # a thread of an executor is in no scenario
        fn(sc, dict(values))
    counts = run_table.counts(tracker._engine.queries.conn, sc._key)
    return 0 < counts.steps == counts.hits
