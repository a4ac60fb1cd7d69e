"""Accepted changes: a user declares that a change leaves results equal, and lookups follow it.

An acceptance leads from one fingerprint, the changed run's, to one other, the earlier run's, and no further: another
config or input has another fingerprint and runs. Outputs are checked as for any hit.
"""

from __future__ import annotations

import sqlite3

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.cache.lookup import artifacts_of, refusal
from consist_es.checks import checked_text
from consist_es.errors import AcceptanceError
from consist_es.events import AcceptanceRevoked, ChangeAccepted, Draft, Event
from consist_es.identity.differences import explain
from consist_es.project.project import Project
from consist_es.projections import cache_index, lineage, run_table
from consist_es.projections.run_names import run_named
from consist_es.projections.run_rows import RunRow
from consist_es.runs.differences import described
from consist_es.values.masking import Masker


def accept(project: Project, run: str, as_run: str, reason: str, *, uris: UriMap | None = None) -> ChangeAccepted:
    """Record that `run`, of any status, would return the results of `as_run`; lookups follow it from now on.

    A hit stands for its source run. `uris` locates files here; by default the recorded places count.

    Raises:
        MissingKeyError: no such run. AcceptanceError: a scenario, a run without fingerprint, the same work, an earlier
        run that did not complete or has missing or changed outputs, or no reason; nothing is recorded.
    """
    text = (checked_text("reason", reason) or "").strip()
    if not text:
        raise AcceptanceError(run, "no reason is given", "Say why the change leaves the results equal.")
    conn = project.connection()
    new, old = _step(conn, run, run), _source(conn, _step(conn, as_run, run))
    if new.fingerprint is None or new.fingerprint_info is None:
        problem = "; ".join(new.fingerprint_info.unstable) if new.fingerprint_info else "nothing was recorded of it"
        raise AcceptanceError(run, f"its work cannot be identified: {problem}", "Correct that first.")
    _check_reusable(run, old)
    if new.fingerprint == old.fingerprint:
        raise AcceptanceError(
            run, f"it is the same work as {old.id!r} already", f"See `consist-es why {new.id}` for why it ran."
        )
    _check_outputs(project, conn, run, new, old, uris)
    event = ChangeAccepted(
        fingerprint=new.fingerprint,
        as_fingerprint=old.fingerprint or "",
        as_run=old.key,
        reason=text,
        user=project.storage.user(),
        differs=_differs(conn, new, old, project.masker),
    )
    _record(project, event, new)
    return event


def revoke(project: Project, run: str, reason: str | None = None) -> AcceptanceRevoked:
    """Revoke every acceptance of `run`'s fingerprint; later lookups no longer follow it.

    Raises:
        MissingKeyError: no such run. AcceptanceError: a scenario, or nothing is accepted.
    """
    conn = project.connection()
    row = _step(conn, run, run)
    if row.fingerprint is None or not cache_index.acceptances(conn, row.fingerprint):
        raise AcceptanceError(run, "nothing is accepted for it", "Name the run that was accepted, not the earlier one.")
    event = AcceptanceRevoked(
        fingerprint=row.fingerprint, reason=checked_text("reason", reason), user=project.storage.user()
    )
    _record(project, event, row)
    return event


def _record(project: Project, event: Event, about: RunRow) -> None:
    project.record([Draft(event, scenario=about.scenario_key, run=about.key)], commit=True)


def _step(conn: sqlite3.Connection, ref: str, run: str) -> RunRow:
    row = run_named(conn, ref)
    if row.kind == "scenario":
        steps = ", ".join(step.id for step in run_table.step_summaries(conn, row.key)) or "none"
        raise AcceptanceError(run, f"{row.id!r} is a scenario", f"Name one of its steps: {steps}.")
    return row


def _source(conn: sqlite3.Connection, row: RunRow) -> RunRow:
    """The run that computed a run's results."""
    source = run_table.by_key(conn, row.cache_source_key) if row.cache == "hit" and row.cache_source_key else None
    return source or row


def _check_reusable(run: str, old: RunRow) -> None:
    if old.status == "completed" and old.reusable:
        return
    why = (old.not_reusable_reason or "it is not to be reused") if old.status == "completed" else f"it is {old.status}"
    raise AcceptanceError(run, f"run {old.id!r} cannot answer for it: {why}", "Name an earlier run that completed.")


def _check_outputs(
    project: Project, conn: sqlite3.Connection, run: str, new: RunRow, old: RunRow, uris: UriMap | None
) -> None:
    """Refuse an earlier run that could not be a hit now."""
    found = cache_index.candidate(conn, old.key, old.fingerprint or "")
    if found is None:
        raise AcceptanceError(run, f"outputs of run {old.id!r} are not recorded", "Name another earlier run.")
    uris = uris or _recorded_places(conn, old)
    outputs, late = artifacts_of(conn, found.all_outputs, uris), lineage.logged_inputs(conn, old.key)
    logged = [(role, artifacts_of(conn, {role: row}, uris)[role]) for role, row in late]
    digester = Digester("full", project.digests)
    if problem := refusal(old.key, new.declared, outputs, logged=logged, digester=digester, strict=True):
        said = "; ".join(problem.differs)
        raise AcceptanceError(run, f"run {old.id!r} cannot answer for it: {said}", "Restore it, or name another run.")


def _recorded_places(conn: sqlite3.Connection, row: RunRow) -> UriMap:
    header = None if row.scenario_key is None else run_table.by_key(conn, row.scenario_key)
    return UriMap(run_dir=unquote(row.run_dir), mounts={} if header is None else header.mounts)


def _differs(conn: sqlite3.Connection, new: RunRow, old: RunRow, hide: Masker) -> list[str]:
    if new.fingerprint_info is None or old.fingerprint_info is None:
        return []
    files = described(conn, (*new.inputs, *old.inputs))
    now, then = hide.fingerprint(new.fingerprint_info), hide.fingerprint(old.fingerprint_info)
    configs = (hide.plain(new.config), hide.plain(old.config))
    found = explain(now, then, *configs, new.inputs, old.inputs, files=files, mask=hide.plain)[1]
    return [difference.text for difference in found]
