"""Everything about one step, one scenario or one artifact, gathered for people."""

from __future__ import annotations

import sqlite3
from collections import Counter

import msgspec

from consist_es.artifacts.elsewhere import RecoveryCopy
from consist_es.events import Difference
from consist_es.projections import copies, lineage, run_table, sweeps
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.origins import writer_details
from consist_es.projections.run_rows import RunRow, WriterRow
from consist_es.projections.sweeps import Missing, SweepRow
from consist_es.reading.causes import Cause, Causes, differences, telling
from consist_es.reading.evicted import Gone, gone
from consist_es.reading.labels import outcome
from consist_es.reading.listing import users
from consist_es.reading.sums import Sum, total
from consist_es.reading.sums import sums as sums_of
from consist_es.runs.source_changes import SourceChange, source_changes

_MISSING = 5
"""Ids of rows without a result that are listed."""


class FirstCause(msgspec.Struct, frozen=True):
    """Why a step ran: what changed, and where that came in."""

    what: str
    first: RunRow
    """The first run with it."""
    later: int
    """How many later ones had it too."""


class StepAccount(msgspec.Struct, frozen=True):
    """A step's run, and why it was computed or reused."""

    row: RunRow
    scenario: RunRow | None
    nearest: RunRow | None
    """The run that answered, or on a miss the nearest earlier one; or the one it was to be compared with."""
    differences: list[Difference]
    causes: list[FirstCause]
    inputs: dict[str, ArtifactRow]
    outputs: dict[str, ArtifactRow]
    source_changes: list[SourceChange]
    """Lines of code that changed since `nearest`, as far as their texts are recorded."""
    evicted: dict[str, Gone]
    """Artifact id -> its eviction, for outputs that were evicted."""


class SweepAccount(msgspec.Struct, frozen=True):
    """A sweep of a scenario, with the rows that have no completed run."""

    row: SweepRow
    missing: Missing


class ScenarioAccount(msgspec.Struct, frozen=True):
    """A scenario, and what became of its steps."""

    header: RunRow
    attempts: int
    writer: WriterRow | None
    steps: list[RunRow]
    outcomes: dict[str, int]
    """Outcome -> number of steps, the most frequent first."""
    whole: Sum
    causes: list[tuple[str, int]]
    """First cause -> number of computed steps, the most frequent first."""
    sweeps: list[SweepAccount] = []


class ArtifactAccount(msgspec.Struct, frozen=True):
    """A file or table: what made it, and what used it or the same bytes."""

    row: ArtifactRow
    maker: RunRow | None
    users: list[RunRow]
    same_bytes: int
    """How many other records have the same bytes."""
    copies: list[RecoveryCopy]
    """Its recovery copies, as they were recorded."""
    evicted: Gone | None
    """Its eviction, if its bytes were evicted and not put back since."""


def of_step(conn: sqlite3.Connection, row: RunRow, against: RunRow | None = None) -> StepAccount:
    """An account of a step; `against` another run instead of the nearest one."""
    nearest = against
    if nearest is None and row.cache_source_key is not None:
        nearest = run_table.by_key(conn, row.cache_source_key)
    found = telling(differences(conn, row, against))
    causes = [] if against is not None else first_causes(conn, row)
    above = None if row.scenario_key is None else run_table.by_key(conn, row.scenario_key)
    changes = [] if row.cache == "hit" and against is None else source_changes(conn, row, nearest)
    inputs, outputs = lineage.inputs(conn, row.key), lineage.outputs(conn, row.key)
    evicted = gone(conn, outputs.values())
    return StepAccount(row, above, nearest, found, causes, inputs, outputs, changes, evicted)


def first_causes(conn: sqlite3.Connection, row: RunRow) -> list[FirstCause]:
    """First causes of a computed step, each with the first run that had it."""
    return [found for cause in Causes(conn).of(row) if (found := _first(conn, cause)) is not None]


def _first(conn: sqlite3.Connection, cause: Cause) -> FirstCause | None:
    rows = [row for key in cause.runs if (row := run_table.by_key(conn, key)) is not None]
    if not rows:
        return None
    return FirstCause(cause.what, min(rows, key=lambda row: row.started_seq), len(rows) - 1)


def of_scenario(conn: sqlite3.Connection, header: RunRow) -> ScenarioAccount:
    """An account of a scenario."""
    steps = run_table.steps(conn, header.key)
    causes = Causes(conn, steps)
    why = Counter(cause.what for row in steps for cause in causes.of(row))
    return ScenarioAccount(
        header=header,
        attempts=len(run_table.attempts(conn, header.run_id)),
        writer=writer_details(conn, header.writer),
        steps=steps,
        outcomes=dict(Counter(map(outcome, steps)).most_common()),
        whole=total(sums_of(conn, header.key)),
        causes=why.most_common(),
        sweeps=of_sweeps(conn, header),
    )


def of_sweeps(conn: sqlite3.Connection, header: RunRow) -> list[SweepAccount]:
    """Accounts of a scenario's sweeps, in their order."""
    return [SweepAccount(row, sweeps.missing(conn, row, _MISSING)) for row in sweeps.of_scenario(conn, header.key)]


def of_artifact(conn: sqlite3.Connection, row: ArtifactRow) -> ArtifactAccount:
    """An account of an artifact."""
    maker = None if row.producer_key is None else run_table.by_key(conn, row.producer_key)
    used = [run for key in users(conn, row) if (run := run_table.by_key(conn, key)) is not None]
    same = [] if row.digest is None else lineage.same_content(conn, row.digest)
    others = len([other for other in same if other.artifact_id != row.artifact_id])
    known = copies.of_artifacts(conn, [row.artifact_id])
    return ArtifactAccount(row, maker, used, others, known, gone(conn, [row]).get(row.artifact_id))
