"""Translates the keys in events to readable names."""

import sqlite3
from collections.abc import Callable
from typing import Any

from consist_es.errors import UsageError
from consist_es.projections import lineage, origins, redactions, run_table, shared_values
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.redactions import Redaction
from consist_es.projections.run_names import no_run
from consist_es.projections.run_rows import RunRow, in_words
from consist_es.reading.labels import moment


class Names:
    """Looks up runs and artifacts, each once. `views` gives a connection that is caught up with the log."""

    def __init__(self, views: Callable[[], sqlite3.Connection]) -> None:
        self._views = views
        self._runs: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._artifacts: dict[str, ArtifactRow] = {}

    def run(self, key: str) -> str:
        """The id of a run, or its key if the views lack it."""
        if key not in self._runs:
            row = run_table.by_key(self._views(), key)
            if row is None:
                return key
            self._runs[key] = row.id
        return self._runs[key]

    def labelled(self, key: str) -> str:
        """The id of a run, with its year and iteration, which the id does not have: ``base_demand#3 2030·1``."""
        if key not in self._labels:
            row = run_table.by_key(self._views(), key)
            if row is None:
                return key
            self._labels[key] = f"{row.id} {moment(row)}".rstrip()
        return self._labels[key]

    def artifact(self, artifact_id: str) -> ArtifactRow | None:
        """The row of an artifact, or None if the views lack it."""
        if artifact_id not in self._artifacts:
            row = lineage.artifact(self._views(), artifact_id)
            if row is None:
                return None
            self._artifacts[artifact_id] = row
        return self._artifacts[artifact_id]

    def writer(self, name: str) -> str:
        """User, host and process of a writer, or its name if the views lack it."""
        row = origins.writer_details(self._views(), name)
        return name if row is None else in_words(row)

    def values(self, digest: str) -> Any:
        """The values that a run's start refers to, or None if they are gone."""
        return shared_values.values_of(self._views(), digest)

    def redaction(self, position: int) -> Redaction | None:
        """The redaction of an event's payload, or None if the views lack it."""
        return redactions.redaction(self._views(), position)


def scenario_named(conn: sqlite3.Connection, name: str) -> RunRow:
    """The header run of a scenario, by its id (the latest attempt), ``id#n``, or name.

    Raises:
        MissingKeyError: there is none; lists some scenarios. UsageError: it is a run of another kind.
    """
    row = run_table.get(conn, name)
    if row is not None and row.kind == "scenario":
        return row
    if found := run_table.find(conn, kind="scenario", name=name, limit=1):
        return found[0]
    if row is None:
        raise no_run(conn, "scenario", name, kind="scenario")
    above = None if row.scenario_key is None else run_table.by_key(conn, row.scenario_key)
    where = f"It belongs to scenario {above.id!r}: name that." if above else "It ran outside any scenario."
    raise UsageError(f"{name!r} is a run of step {row.name!r}, not a scenario. {where}")
