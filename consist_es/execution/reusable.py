"""Why a completed run must not answer for a later one."""

from __future__ import annotations

from collections.abc import Sequence

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import real_path
from consist_es.execution.active import ActiveRun
from consist_es.identity.code.modes import changed_objects
from consist_es.steps.inputs import changed_since, identity_changed
from consist_es.steps.options import NOT_KEPT
from consist_es.steps.step import Step


def not_reusable(step: Step, active: ActiveRun, missing: Sequence[str], digester: Digester) -> str | None:
    """Why a completed run must not answer for a later one, or None."""
    if step.fingerprint.digest is None:
        return "its identity is not known: " + "; ".join(step.fingerprint.unstable)
    if step.cache_mode in NOT_KEPT:
        return f"cache_mode={step.cache_mode!r} keeps nothing"
    if missing:
        return f"declared outputs are missing: {', '.join(missing)}"
    if active.captured_nothing:
        return "capture_dir captured nothing"
    if absent := [item.key for item in active.outputs.values() if item.artifact.hash is None]:
        return f"outputs were logged that are not there: {', '.join(absent)}"
    if absent := [item.role for item in active.late_inputs if not item.digest]:
        return f"inputs were logged that are not there: {', '.join(absent)}"
    if beside := active.observations.beside:
        return f"it read {', '.join(beside)} while it ran: give it what it needs as inputs or config"
    return _changed(step, active, digester)


def _is_kept(role: str, step: Step, active: ActiveRun) -> bool:
    """True if the step itself wrote its output over the input, and a recovery copy has what it had read."""
    made = {real_path(item.path) for item in active.outputs.values() if item.artifact.producer == active.key}
    for item in step.inputs:
        if item.role == role:
            elsewhere = active.journal.uris.elsewhere
            known = item.artifact.hash == item.digest and elsewhere is not None and real_path(item.path) in made
            return known and elsewhere is not None and elsewhere.look(item.artifact).path is not None
    return False


def _changed(step: Step, active: ActiveRun, digester: Digester) -> str | None:
    """What changed while a step ran, so that the run must not answer for a later one; or None."""
    if changed := changed_objects(step.code, step.project_root):
        return f"it changed {', '.join(changed)}, which a hit would not: make it inside the step, or return it"
    if changed := changed_since((*step.inputs, *active.late_inputs), digester):
        changed = [role for role in changed if not _is_kept(role, step, active)]
    if changed:
        return f"inputs changed while the step ran: {', '.join(changed)}"
    known, given = step.fingerprint.identity_inputs, step.args.identity_inputs
    if changed := identity_changed(known, given, step.project_root, digester):
        return f"identity inputs changed while the step ran: {', '.join(changed)}"
    if step.adapter is not None and (changed := step.adapter.changes()):
        return f"config files changed while the step ran: {', '.join(changed)}"
    return None
