"""Runs a sweep: looks every row up, records the hits, sends the rest to workers, and collects what came of it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.checks import safe_name
from consist_es.errors import ConsistError, UsageError, UsageTypeError
from consist_es.events import Draft, SweepEnded, SweepStarted
from consist_es.execution.engine import Engine
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.sweeps.lanes import Work, lane, name_of, results, shares_memory
from consist_es.sweeps.perform import Told, here, in_words, told_of
from consist_es.sweeps.rows import COMPUTED, FAILED, HIT, LOST, WAITING, SweepResult, SweepRow
from consist_es.sweeps.telling import Telling

_CHUNK = 64
"""Rows that are looked up, and whose hits are recorded, together."""
_PATIENCE = 2.0
"""Seconds to wait for the system to report lost workers as ended."""


class Kind(Protocol):
    """What a row is: a step, or a scenario of its own."""

    def look_up(self, rows: Sequence[SweepRow]) -> Iterator[SweepRow]:
        """Settle the rows that need no worker, and give the others, each as soon as it is known."""

    def task(self, row: SweepRow) -> Any:
        """A row for a worker, or for a script.

        Raises:
            UsageTypeError: it cannot be sent.
        """

    def perform(self, row: SweepRow) -> bool:
        """Run a row in this process; True if it was a hit."""

    def outputs(self, conn: sqlite3.Connection, run: RunRow) -> dict[str, Artifact]:
        """What a row gave, by key."""


class Plan(msgspec.Struct, frozen=True):
    """A sweep to be run."""

    key: str
    name: str
    scenario: str
    """Key of the scenario's header run."""
    rows: list[SweepRow]
    executor: Any = None
    window: int | None = None
    """Most rows that are with workers at a time; None for no limit."""
    work: Work | None = None
    """What workers call with a `Task`."""
    write: Callable[[list[Any]], object] | None = None
    """Writes a script for the rows that are left, instead of running them."""
    on_stderr: bool = False
    """Tell on stderr how far it is."""


def key_of(engine: Engine, name: str) -> str:
    """A key for a new sweep."""
    return f"{safe_name(name, 80)}-{engine.project.storage.token(6).hex()}"


class Sweep:
    """One sweep."""

    def __init__(self, engine: Engine, plan: Plan, kind: Kind) -> None:
        self._engine, self._plan, self._kind = engine, plan, kind
        self._rows = {row.id: row for row in plan.rows}
        self._telling = Telling(plan.name, len(plan.rows), on_stderr=plan.on_stderr)

    def run(self) -> SweepResult:
        """Run it. Every row has an outcome afterwards, unless this process is interrupted."""
        plan, began = self._plan, time.monotonic()
        for row in plan.rows:
            row._read = self._engine.queries.run_by_key
        ids = [row.id for row in plan.rows]
        how = "script" if plan.write is not None else name_of(plan.executor)
        self._record(SweepStarted(sweep=plan.key, name=plan.name, rows=len(ids), ids=ids, executor=how))
        if plan.write is not None:
            self._write(plan.write)
        elif plan.executor is None:
            for row in self._left():
                self._take([(row.id, self._perform(row))])
        else:
            self._send()
        self._settle()
        result = SweepResult(plan.name, plan.rows)
        counts = {status: result.count(status) for status in (COMPUTED, FAILED, LOST, WAITING)}
        ended = SweepEnded(sweep=plan.key, hits=result.hits, seconds=time.monotonic() - began, **counts)
        self._record(ended, commit=True)
        self._telling.end(result.told())
        return result

    def _record(self, event: SweepStarted | SweepEnded, *, commit: bool = False) -> None:
        self._engine.project.record([Draft(event, scenario=self._plan.scenario)], commit=commit)

    # ------------------------------------------------------------ rows on their way

    def _left(self) -> Iterator[SweepRow]:
        """The rows that nothing answers yet."""
        rows = self._plan.rows
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            yield from self._kind.look_up(some)
            for row in some:
                if row.status in (HIT, FAILED):
                    self._telling.ended(row.status)

    def _perform(self, row: SweepRow) -> Told:
        return told_of(lambda: self._kind.perform(row), self._engine.project.masker.error)

    def _write(self, write: Callable[[list[Any]], object]) -> None:
        tasks = [task for row in self._left() if (task := self._task(row)) is not None]
        write(tasks)

    def _send(self) -> None:
        plan, way = self._plan, lane(self._plan.executor)
        try:
            for row in self._left():
                if shares_memory(plan.executor):
                    way.send(row.id, self._perform, row)
                elif plan.work is not None and (task := self._task(row)) is not None:
                    way.send(row.id, plan.work, task)
                self._take(way.ended(block=False))
                while plan.window is not None and way.under_way >= plan.window:
                    self._take(way.ended(block=True))
            self._take(results(way))
        except BaseException:
            way.cancel()
            raise

    def _task(self, row: SweepRow) -> Any:
        """The task of a row; None if it cannot be sent, which is its outcome then."""
        try:
            return self._kind.task(row)
        except (UsageError, UsageTypeError) as error:
            self._take([(row.id, Told(FAILED, in_words(error), 0.0, here()))])
            return None

    def _take(self, found: Iterable[tuple[str, Told]]) -> None:
        for row_id, told in found:
            row = self._rows[row_id]
            row.ended(told.status, told.error)
            row.seconds, row.worker = told.seconds, told.worker
            self._telling.ended(told.status)

    # ------------------------------------------------------------ what came of them

    def _settle(self) -> None:
        """Read the rows' runs from the record, which knows more than their workers told."""
        conn, runs = self._runs()
        if missing := [row for row in self._plan.rows if row.status == LOST]:
            deadline = time.monotonic() + _PATIENCE
            while any(_is_open(runs.get(row.id)) for row in missing) and time.monotonic() < deadline:
                self._engine.project.look_for_dead()
                conn, runs = self._runs()
                time.sleep(0.02)
        elsewhere = self._plan.executor is not None and not shares_memory(self._plan.executor)
        for row in self._plan.rows:
            if row.key is None and (run := runs.get(row.id)) is not None:
                self._read(conn, row, run)
                if elsewhere:
                    self._call_hooks(row)

    def _runs(self) -> tuple[sqlite3.Connection, dict[str, RunRow]]:
        conn = self._engine.project.connection()
        return conn, {run.sweep_row or "": run for run in run_table.of_sweep(conn, self._plan.key)}

    def _read(self, conn: sqlite3.Connection, row: SweepRow, run: RunRow) -> None:
        row.key = run.key
        if row.status == LOST and run.status == "completed":  # only the news of it was lost
            row.ended(HIT if run.cache == "hit" else COMPUTED)
            row.seconds = run.seconds
        elif row.status == LOST and run.status != "running":
            row.error = f"{row.error or 'worker lost'}; run {run.id!r} is recorded as {run.status}"
        if row.status in (HIT, COMPUTED):
            row.outputs = self._kind.outputs(conn, run)

    def _call_hooks(self, row: SweepRow) -> None:
        """Call the tracker's hooks for a run of a worker, which has none."""
        hooks = self._engine.hooks
        if not (hooks.on_start or hooks.on_complete or hooks.on_failed):
            return
        run = row.run
        hooks.started(run)
        if row.status in (HIT, COMPUTED):
            hooks.completed(run, row.outputs)
        else:
            hooks.failed(run, ConsistError(row.error or row.status))


def _is_open(run: RunRow | None) -> bool:
    return run is not None and run.status == "running"
