"""Pins: bytes that a user wants to keep, whatever is evicted."""

from __future__ import annotations

from consist_es.errors import UsageError, UsageTypeError
from consist_es.events import BytesPinned, Draft, PinRemoved
from consist_es.project.project import Project
from consist_es.projections import keeping, run_table
from consist_es.projections.keeping import Pin
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.reading.select import SelectedArtifact


def pin(project: Project, what: str, reason: str) -> BytesPinned:
    """Record that the bytes of a run's or scenario's outputs, or of an artifact, are to be kept.

    Raises:
        MissingKeyError: there is no such thing. UsageError: the reason is blank.
    """
    if not isinstance(reason, str):
        raise UsageTypeError(f"reason takes a str, not {type(reason).__name__}: {reason!r}.")
    if not reason.strip():
        raise UsageError("The reason is blank: say what the bytes are kept for, such as 'figure 3 of the paper'.")
    artifact, name, run = _named(project, what)
    event = BytesPinned(artifact=artifact, name=name, reason=reason.strip(), user=project.storage.user())
    project.record([_draft(event, run)], commit=True)
    return event


def unpin(project: Project, what: str, reason: str | None = None) -> PinRemoved:
    """Take back all pins of a run, scenario or artifact.

    Raises:
        MissingKeyError: there is no such thing. UsageError: it is not pinned.
    """
    artifact, name, run = _named(project, what)
    key = None if run is None else run.key
    held = pins(project)
    if not any(item.artifact_id == artifact and (artifact or item.run_key == key) for item in held):
        known = ", ".join(dict.fromkeys(repr(item.name) for item in held)) or "nothing"
        raise UsageError(f"{what!r} is not pinned. Pinned: {known}.")
    event = PinRemoved(artifact=artifact, name=name, reason=reason, user=project.storage.user())
    project.record([_draft(event, run)], commit=True)
    return event


def pins(project: Project) -> list[Pin]:
    """All pins that hold, oldest first."""
    return keeping.pins(project.connection())


def _named(project: Project, what: object) -> tuple[str | None, str, RunRow | None]:
    """Artifact id or None, readable name, and the run: that of the pin, or the one that made the artifact."""
    if not isinstance(what, str):
        raise UsageTypeError(f"A run, scenario or artifact is expected, not {type(what).__name__}: {what!r}.")
    conn = project.connection()
    found = select.anything(conn, what)
    if not isinstance(found, SelectedArtifact):
        return None, found.run.id, found.run
    row = found.artifact
    maker = None if row.producer_key is None else run_table.by_key(conn, row.producer_key)
    return row.artifact_id, row.key, maker


def _draft(event: BytesPinned | PinRemoved, run: RunRow | None) -> Draft:
    return Draft(event, scenario=None if run is None else run.scenario_key, run=None if run is None else run.key)
