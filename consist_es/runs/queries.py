"""Reads: from rows of the views to what model code sees."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.uris import UriMap
from consist_es.checks import checked_limit
from consist_es.errors import MissingKeyError, UsageError, UsageTypeError
from consist_es.project.project import Project
from consist_es.projections import lineage, lineage_tree, run_table
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.run_names import run_named
from consist_es.projections.run_table import RunRow
from consist_es.runs.artifacts import artifact_of_row
from consist_es.runs.run import Run, RunResult, run_of_row, step_summary
from consist_es.runs.why import Why, why


@dataclass(slots=True)
class Queries:
    """Questions about a project, answered from its views as they are when the question is asked: a method takes the
    connection once, for each taking catches up with the log."""

    project: Project
    uris: UriMap

    @property
    def _conn(self) -> sqlite3.Connection:
        return self.project.connection()

    # ------------------------------------------------------------ runs

    def run_by_key(self, key: str) -> Run:
        """The run of a unique key.

        Raises:
            MissingKeyError: there is none.
        """
        conn = self._conn
        row = run_table.by_key(conn, key)
        if row is None:
            raise MissingKeyError("run", key, ())
        return self._run(conn, row)

    def is_open(self, key: str) -> bool:
        """Whether the run of this key has begun and nobody has seen its end: one that was declared abandoned may have
        lived all the time."""
        row = run_table.by_key(self._conn, key)
        return row is not None and row.status in ("running", "abandoned")

    def get_run(self, run_id: str | Run) -> Run | None:
        """The latest attempt of a run id, or the n-th by ``id#n``; None where there is none."""
        conn = self._conn
        row = run_table.get(conn, _ref(run_id))
        return None if row is None else self._run(conn, row)

    def key_of(self, run_id: str | Run) -> str:
        """The unique key of `get_run`.

        Raises:
            MissingKeyError: no such run.
        """
        return self.row_of(run_id).key

    def row_of(self, run_id: str | Run) -> RunRow:
        """The row of `get_run`.

        Raises:
            MissingKeyError: no such run; lists some that there are.
        """
        return run_named(self._conn, _ref(run_id))

    def find_runs(self, *, limit: int | None = 100, parent_id: str | None = None, **filters: Any) -> list[Run]:
        """Runs that match all filters, newest first; see `Tracker.find_runs`."""
        if parent_id is not None:
            filters["parent"] = parent_id
        for name in ("facet", "metadata"):
            if not isinstance(filters.get(name) or {}, Mapping):
                raise UsageTypeError(f"{name} takes a mapping of key to value, not {type(filters[name]).__name__}.")
        conn = self._conn
        return [self._run(conn, row) for row in run_table.find(conn, limit=checked_limit(limit), **filters)]

    def _run(self, conn: sqlite3.Connection, row: RunRow) -> Run:
        ids = (_id(conn, row.parent_key), _id(conn, row.cache_source_key))
        run = run_of_row(row, parent_id=ids[0], source_id=ids[1], account=lambda: self.why(row.key))
        if row.kind == "scenario" and (steps := run_table.steps(conn, row.key)):
            run.meta["steps"] = [step_summary(step) for step in steps]
        return run

    def why(self, key: str) -> Why:
        """Why the run of a unique key was a hit or a miss.

        Raises:
            MissingKeyError: there is none. UsageError: a scenario.
        """
        conn = self._conn
        return why(conn, run_named(conn, key))

    # ------------------------------------------------------------ artifacts

    def artifact_with(self, uri: str, digest: str) -> Artifact | None:
        """The newest artifact recorded at `uri` with exactly these bytes."""
        conn = self._conn
        for row in lineage.by_uri(conn, uri):
            if row.digest == digest:
                return self._artifact(conn, row)
        return None

    def find_artifact(self, key_or_id: str | UUID | Artifact, run_id: str | None = None) -> Artifact:
        """The artifact of `artifact_row`.

        Raises:
            MissingKeyError: there is none.
        """
        conn = self._conn
        return self._artifact(conn, artifact_row(conn, key_or_id, run_id))

    def _artifact(self, conn: sqlite3.Connection, row: ArtifactRow) -> Artifact:
        return artifact_of_row(row, self.uris, run_id=_id(conn, row.producer_key))

    def outputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Outputs of a run by key; of a scenario those of all its steps, the latest of each key."""
        conn = self._conn
        row = run_named(conn, _ref(run_id))
        find = lineage.scenario_outputs if row.kind == "scenario" else lineage.outputs
        return self._artifacts(conn, find(conn, row.key))

    def inputs(self, run_id: str | Run) -> dict[str, Artifact]:
        """Inputs of a run by role; of a scenario those that none of its steps made."""
        conn = self._conn
        row = run_named(conn, _ref(run_id))
        find = lineage.scenario_inputs if row.kind == "scenario" else lineage.inputs
        return self._artifacts(conn, find(conn, row.key))

    def _artifacts(self, conn: sqlite3.Connection, rows: Mapping[str, ArtifactRow]) -> dict[str, Artifact]:
        return {key: self._artifact(conn, row) for key, row in rows.items()}

    def result(self, run_id: str | Run, keys: Iterable[str] | None = None) -> RunResult:
        """The result of an earlier run, as its caller received it.

        Raises:
            MissingKeyError: no such run, or no such output.
        """
        conn = self._conn
        row = run_named(conn, _ref(run_id))
        outputs = self._artifacts(conn, lineage.results(conn, row.key))
        if keys is not None:
            for key in (wanted := list(keys)):
                if key not in outputs:
                    raise MissingKeyError("output", key, outputs, f"These are the results of run {row.id!r}.")
            outputs = {key: outputs[key] for key in wanted}
        return RunResult(self._run(conn, row), outputs, cache_hit=row.cache == "hit")

    # ------------------------------------------------------------ one of many

    def find_run(self, run_id: str | Run | None = None, **filters: Any) -> Run:
        """The only run that matches.

        Raises:
            UsageError: none, or several. MissingKeyError: no run of that id.
        """
        if run_id is not None:
            conn = self._conn
            return self._run(conn, run_named(conn, _ref(run_id)))
        runs = self.find_runs(**filters)
        if len(runs) != 1:
            listed = ", ".join(run.id for run in runs[:5]) or "none"
            raise UsageError(
                f"find_run({_shown(filters)}) needs exactly one run and found {len(runs)}: {listed}. "
                "Filter further, or ask find_latest_run() or find_runs()."
            )
        return runs[0]

    def find_latest_run(self, **filters: Any) -> Run:
        """Of the runs that match, the one of the highest iteration, and of these the newest.

        Raises:
            UsageError: none matches.
        """
        runs = self.find_runs(limit=None, **filters)
        if not runs:
            raise UsageError(f"find_latest_run({_shown(filters)}): no run matches.")
        return max(runs, key=lambda run: -1 if run.iteration is None else run.iteration)

    def find_artifacts(
        self, *, creator: str | None = None, consumer: str | None = None, limit: int | None = 100, **filters: Any
    ) -> list[Artifact]:
        """Artifacts that match, newest first: key, digest, uri, driver, kind, and runs by id that made or used them."""
        runs = {
            name: self.key_of(ref) for name, ref in (("creator", creator), ("consumer", consumer)) if ref is not None
        }
        conn = self._conn
        rows = lineage.find_artifacts(conn, limit=checked_limit(limit), **runs, **filters)
        return [self._artifact(conn, row) for row in rows]

    # ------------------------------------------------------------ lineage

    def tree(self, key_or_id: str | UUID | Artifact, *, up: bool, max_depth: int | None) -> dict[str, Any]:
        """Where an artifact comes from (`up`), or what was made of it, as nested plain dicts.

        ``{"artifact": Artifact, "runs": [{"run": Run, "inputs" or "outputs": {name: …the same again}}]}``; something
        that stands elsewhere in the tree already has ``"repeated": True`` and is not opened again.
        """
        conn = self._conn
        row = artifact_row(conn, key_or_id)
        node = (lineage_tree.upstream if up else lineage_tree.downstream)(conn, row.artifact_id, max_depth)
        if node is None:
            raise MissingKeyError("artifact", key_or_id, ())
        return self._node(conn, node, "inputs" if up else "outputs")

    def _node(self, conn: sqlite3.Connection, node: lineage_tree.ArtifactNode, below: str) -> dict[str, Any]:
        runs = [
            {
                "run": self._run(conn, child.run),
                below: {item.name: self._node(conn, item, below) for item in child.artifacts},
                **({"repeated": True} if child.repeated else {}),
            }
            for child in node.runs
        ]
        return {
            "artifact": self._artifact(conn, node.artifact),
            "runs": runs,
            **({"repeated": True} if node.repeated else {}),
        }


def artifact_row(conn: sqlite3.Connection, key_or_id: str | UUID | Artifact, run_id: str | None = None) -> ArtifactRow:
    """The row of an artifact: by id, or the newest of a key, of one run where `run_id` is given.

    Raises:
        MissingKeyError: there is none; lists the run's outputs or some recent keys.
    """
    wanted = key_or_id.id if isinstance(key_or_id, Artifact) else key_or_id
    if run_id is not None:
        row = run_named(conn, _ref(run_id))
        named = {**lineage.inputs(conn, row.key), **lineage.outputs(conn, row.key)}
        if str(wanted) in named:
            return named[str(wanted)]
        raise MissingKeyError("artifact", wanted, named, f"These are the inputs and outputs of run {row.id!r}.")
    found = lineage.artifact(conn, str(wanted)) or lineage.latest_by_key(conn, str(wanted))
    if found is None:
        recent = {row.key for row in lineage.find_artifacts(conn, limit=50)}
        raise MissingKeyError("artifact", wanted, recent, "These are keys of the newest ones.")
    return found


def _id(conn: sqlite3.Connection, key: str | None) -> str | None:
    return None if key is None else run_table.id_of(conn, key)


def _ref(run: str | Run) -> str:
    """What names a run in a look-up; a `Run` names itself, not the latest attempt of its id."""
    return run.key if isinstance(run, Run) else run


def _shown(filters: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in filters.items())
