"""Rows that are steps of one scenario."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Sequence

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import MissingKeyError, UsageError, UsageTypeError
from consist_es.execution.engine import Engine, Scope
from consist_es.projections import lineage
from consist_es.projections.run_rows import RunRow
from consist_es.steps.options import StepArguments
from consist_es.sweeps.agree import Asked, asked_for
from consist_es.sweeps.hits import Hits, is_plain
from consist_es.sweeps.parcel import Packed, Parcel, packed
from consist_es.sweeps.perform import Task, in_words
from consist_es.sweeps.rows import FAILED, SweepRow
from consist_es.sweeps.script import Writer, WrittenRow
from consist_es.sweeps.shared_code import SharedCode


class StepRows:
    """Looks rows up as steps, and makes tasks of those without an answer."""

    def __init__(
        self,
        engine: Engine,
        scope: Scope,
        name: str,
        handle: str,
        arguments: Callable[[SweepRow], StepArguments],
        writer: Writer | None = None,
    ) -> None:
        """`arguments`: gives a row's, anew for each call. `writer`: of a script, if the rows are not sent."""
        self._engine, self._scope, self._name, self._handle = engine, scope, name, handle
        self._arguments, self._writer = arguments, writer
        self._code = SharedCode()
        self._asked: dict[str, Asked] = {}
        """Id of a row without an answer -> its work."""
        self._fn: Packed | None = None

    def scope(self, row: SweepRow) -> Scope:
        """Where a row's step runs."""
        return msgspec.structs.replace(self._scope, row=row.id, sets_coupler=False)

    def look_up(self, rows: Sequence[SweepRow]) -> Iterator[SweepRow]:
        """See `Kind`."""
        engine, root = self._engine, self._scope.defaults.project_root
        named_from = self._scope.defaults.label_root or root
        environment, drafts = engine.project.environment(root)
        hits, left = Hits(engine, drafts, environment), []
        self._code.forget()
        for row in rows:
            try:
                attempt = engine.begin(self._arguments(row), self.scope(row), code=self._code)
            except (UsageError, UsageTypeError, MissingKeyError) as error:  # of this row's values
                row.ended(FAILED, in_words(error))
                continue
            if (hit := attempt.hit) is not None and is_plain(attempt.step, hit):
                hits.add(row, attempt, hit)
            else:
                self._asked[row.id] = asked_for(attempt.step.args.fn, attempt.step.fingerprint, named_from)
                left.append(row)
        hits.record()
        yield from left

    def check(self, row: SweepRow) -> None:
        """Raise what is wrong with the call, by its first row, before anything is recorded."""
        self._engine.begin(self._arguments(row), self.scope(row), code=self._code)

    def task(self, row: SweepRow) -> Task | WrittenRow:
        """See `Kind`."""
        args = self._arguments(row)
        if self._writer is not None:
            return self._writer.row(row.id, args, self._asked.pop(row.id))
        fn = self.packed_function(args)
        parcel = Parcel(fn, packed(dataclasses.replace(args, fn=None), f"Row {row.id!r} of sweep {self._name!r}"))
        asked = msgspec.json.encode(self._asked.pop(row.id))
        return Task(self._handle, self._scope.sweep or "", row.id, self._name, parcel, asked)

    def packed_function(self, args: StepArguments) -> Packed:
        """The function for workers.

        Raises:
            UsageTypeError: it cannot be sent.
        """
        if self._fn is None:
            self._fn = packed(args.fn, f"The function of sweep {self._name!r}")
        return self._fn

    def perform(self, row: SweepRow) -> bool:
        """See `Kind`."""
        self._asked.pop(row.id, None)
        return self._engine.run(self._arguments(row), self.scope(row)).cache_hit

    def outputs(self, conn: sqlite3.Connection, run: RunRow) -> dict[str, Artifact]:
        """See `Kind`."""
        return self._engine.queries.artifacts(conn, lineage.results(conn, run.key))
