"""Turns rows of the views into the objects of the API, for users and the engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.uris import UriMap
from consist_es.errors import MissingKeyError
from consist_es.project.project import Project
from consist_es.projections import coupler_state, lineage, run_table
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.run_names import run_named
from consist_es.projections.run_rows import RunRow
from consist_es.runs.artifacts import artifact_of_row
from consist_es.runs.run import Run, run_of_row, step_summary
from consist_es.runs.step_logs import step_log
from consist_es.runs.why import Why, why


@dataclass(slots=True)
class Queries:
    """Queries on a project's views as they are at the call: a method takes `conn` once, as each access catches up with
    the log."""

    project: Project
    uris: UriMap

    @property
    def conn(self) -> sqlite3.Connection:
        """The views, caught up with the log."""
        return self.project.connection()

    # ------------------------------------------------------------ runs

    def run_by_key(self, key: str) -> Run:
        """The run with this unique key.

        Raises:
            MissingKeyError: there is none.
        """
        conn = self.conn
        row = run_table.by_key(conn, key)
        if row is None:
            raise MissingKeyError("run", key, ())
        return self.run(conn, row)

    def is_open(self, key: str) -> bool:
        """True if the run has begun and no end is logged. An abandoned run counts as open: it may still be alive."""
        row = run_table.by_key(self.conn, key)
        return row is not None and row.status in ("running", "abandoned")

    def key_of(self, run_id: str | Run) -> str:
        """The unique key of the latest attempt of a run id, or of the n-th by ``id#n``.

        Raises:
            MissingKeyError: no such run; lists some runs.
        """
        return run_named(self.conn, ref(run_id)).key

    def run(self, conn: sqlite3.Connection, row: RunRow) -> Run:
        """The run of a row."""
        parent, source = _id(conn, row.parent_key), _id(conn, row.cache_source_key)
        above = None if row.scenario_key == row.key else row.scenario_key
        scenario = parent if above == row.parent_key else _id(conn, above)
        run = run_of_row(
            row,
            parent_id=parent,
            source_id=source,
            scenario_id=scenario,
            account=lambda: self.why(row.key),
            log=None if row.cache == "hit" else step_log(row, self.uris),
        )
        if row.kind == "scenario" and (steps := run_table.step_summaries(conn, row.key)):
            run.meta["steps"] = [step_summary(step) for step in steps]
        return run

    def why(self, key: str) -> Why:
        """Why the run of a unique key was a hit or a miss.

        Raises:
            MissingKeyError: there is none. UsageError: a scenario.
        """
        conn = self.conn
        return why(conn, run_named(conn, key), self.project.masker)

    # ------------------------------------------------------------ artifacts

    def artifact_with(self, uri: str, digest: str) -> Artifact | None:
        """The newest artifact recorded at `uri` with exactly these bytes."""
        conn = self.conn
        for row in lineage.by_uri(conn, uri):
            if row.digest == digest:
                return self.artifact(conn, row)
        return None

    def artifact(self, conn: sqlite3.Connection, row: ArtifactRow) -> Artifact:
        """The artifact of a row."""
        return artifact_of_row(row, self.uris, run_id=_id(conn, row.producer_key))

    def outputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Outputs of a run by key; of a scenario those of all its steps, the latest of each key."""
        conn = self.conn
        row = run_named(conn, ref(run_id))
        find = lineage.scenario_outputs if row.kind == "scenario" else lineage.outputs
        return self.artifacts(conn, find(conn, row.key))

    def collected(self, run_id: str | Run) -> dict[str, Artifact]:
        """The artifacts in a scenario's coupler by name; {} for other runs."""
        conn = self.conn
        return self.artifacts(conn, collected(conn, run_named(conn, ref(run_id)).key))

    def artifacts(self, conn: sqlite3.Connection, rows: Mapping[str, ArtifactRow]) -> dict[str, Artifact]:
        """The artifacts of rows, under the same names."""
        return {key: self.artifact(conn, row) for key, row in rows.items()}


def artifact_row(conn: sqlite3.Connection, key_or_id: str | UUID | Artifact, run_id: str | None = None) -> ArtifactRow:
    """The row of an artifact: by id, or the newest of a key, also one that only a coupler has; if `run_id` is given,
    of that run.

    Raises:
        MissingKeyError: there is none; lists the run's outputs or some recent keys.
    """
    wanted = key_or_id.id if isinstance(key_or_id, Artifact) else key_or_id
    if run_id is not None:
        row = run_named(conn, ref(run_id))
        named = _named(conn, row)
        if str(wanted) in named:
            return named[str(wanted)]
        raise MissingKeyError("artifact", wanted, named, f"These are the inputs and outputs of run {row.id!r}.")
    found = lineage.artifact(conn, str(wanted)) or lineage.latest_by_key(conn, str(wanted))
    if found is None and (collected := coupler_state.latest(conn, str(wanted))) is not None:
        found = lineage.artifact(conn, collected)
    if found is None:
        recent = {row.key for row in lineage.find_artifacts(conn, limit=50)}
        raise MissingKeyError("artifact", wanted, recent, "These are keys of the newest ones.")
    return found


def _named(conn: sqlite3.Connection, row: RunRow) -> dict[str, ArtifactRow]:
    """Artifacts of a run by name: its inputs and outputs; of a scenario also those that its coupler has."""
    if row.kind != "scenario":
        return {**lineage.inputs(conn, row.key), **lineage.outputs(conn, row.key)}
    return {
        **lineage.scenario_inputs(conn, row.key),
        **collected(conn, row.key),
        **lineage.scenario_outputs(conn, row.key),
    }


def collected(conn: sqlite3.Connection, scenario_key: str) -> dict[str, ArtifactRow]:
    """The artifacts in the coupler of a scenario, by name, as `collect_by_keys` and `set` put them there."""
    ids = {key: row.artifact_id for key, row in coupler_state.state(conn, scenario_key).items()}
    rows = lineage.by_ids(conn, filter(None, ids.values()))
    return {key: rows[artifact] for key, artifact in ids.items() if artifact in rows}


def _id(conn: sqlite3.Connection, key: str | None) -> str | None:
    return None if key is None else run_table.id_of(conn, key)


def ref(run: str | Run) -> str:
    """The name to look a run up by; a `Run` stands for itself, not for the latest attempt of its id."""
    return run.key if isinstance(run, Run) else run
