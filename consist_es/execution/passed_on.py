"""Finds outputs of a step that another run wrote: a cached function returns the paths of an earlier call."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from consist_es.artifacts.artifact import Artifact
from consist_es.execution.active import CAPTURED, ActiveRun
from consist_es.projections import lineage, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.steps.step import Step


def passed_on(conn: sqlite3.Connection, step: Step, active: ActiveRun) -> dict[str, str]:
    """Output key -> id of the other run that wrote the file, unchanged since. Inputs may be passed on.

    A run of the same work does not count: it wrote what this one would have written. Nor do captured files and those
    of `output_paths`: they are outputs only if they were written, also by a tool that keeps file times.
    """
    given = {item.path for item in (*step.inputs, *active.late_inputs)}
    found: dict[str, str] = {}
    for key, logged in active.outputs.items():
        written = key in step.output_paths or logged.artifact.meta.get(CAPTURED)
        if not written and given.isdisjoint((logged.path, *logged.path.parents)):
            writer = _writer(conn, logged.artifact)
            if writer is not None and writer.key != active.key and writer.fingerprint != step.fingerprint.digest:
                found[key] = writer.id
    return found


def listed(old: Mapping[str, str]) -> str:
    """The result of `passed_on` as text."""
    return ", ".join(f"{key!r} is a file of run {run!r}" for key, run in old.items())


def _writer(conn: sqlite3.Connection, artifact: Artifact) -> RunRow | None:
    """The run that first recorded the file as it is now, or None."""
    for row in reversed(lineage.by_uri(conn, artifact.container_uri)):
        same = (row.root, row.digest, row.mtime_ns) == (artifact.root or "", artifact.hash, artifact.mtime_ns)
        if same and artifact.hash is not None and row.producer_key is not None:
            return run_table.by_key(conn, row.producer_key)
    return None
