"""Makes returned values, declared files and captured files the outputs of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.describe import ArtifactNotes
from consist_es.artifacts.snapshot import Snapshot, state_of
from consist_es.artifacts.tables import is_table
from consist_es.artifacts.uris import UriMap
from consist_es.errors import UsageError
from consist_es.execution.active import ActiveRun
from consist_es.execution.log_notes import notes_of
from consist_es.steps.output_sets import DRIVER, OutputSet, folder_of
from consist_es.steps.outputs import declared_path, in_declared_order, miscounted, returned_outputs
from consist_es.steps.step import Step


def collect(
    step: Step, active: ActiveRun, snapshot: Snapshot | None, value: Any, coupler: Mapping[str, Any] | None
) -> dict[str, Artifact]:
    """Record all outputs, apply the output policies, and return the outputs for the caller.

    Order: declared keys as declared, then returned, captured and, if nothing is declared, all logged ones.

    Raises:
        OutputError: a policy says error. ReturnTypeError: a returned value that cannot be recorded.
    """
    if snapshot is not None and value is not None:
        raise UsageError(
            f"Step {step.name!r} has capture_dir and returned {type(value).__name__}: return None, or log the files "
            "with log_output instead of capturing them."
        )
    infer = not step.output_paths
    pairs = returned_outputs(value, step.outputs, fallback=_fallback(step), infer=infer, policies=step.policies)
    active.made += [path for _, item in pairs if (path := _path(item)) is not None]
    result = _declared_files(step, active, coupler)
    for key, item in pairs:
        if (artifact := _record(active, key, item)) is not None:
            result[key] = artifact
    result = result | _captured(active, snapshot) | result  # in that order, and what is there already stays
    for key, spec in step.output_sets.items():
        result[key] = log_set(active, key, spec, step.args.config)
    for key in active.relog_changed():
        result.pop(key, None)
    sets = {item.artifact.id for item in active.outputs.values() if item.artifact.driver == DRIVER}
    for key, logged in active.outputs.items():
        member = logged.artifact.parent_artifact_id in sets
        if key in result or key in step.declared or not (step.declared or member):
            result[key] = logged.artifact
    present = {key: artifact for key, artifact in result.items() if artifact.kind != "missing"}
    if active.is_cached:
        present = {**active.cached, **present}
    if active.captured_nothing and snapshot is not None:
        step.policies.captured_nothing(str(snapshot.folder), snapshot.pattern, snapshot.has_files_below())
    _check_missing(step, active, present, miscounted(value, step.outputs))
    return in_declared_order(present, step.declared)


def _captured(active: ActiveRun, snapshot: Snapshot | None) -> dict[str, Artifact]:
    if snapshot is None:
        return {}
    captured = active.log_captured(snapshot)
    active.captured_nothing = not captured and not active.is_cached
    return captured


def _fallback(step: Step) -> str:
    """Key of a single undeclared output: the function's name, or the step's for a lambda."""
    name = getattr(step.args.fn, "__name__", step.name)
    return step.name if name == "<lambda>" else name


def _path(item: Any) -> Path | None:
    """Path of a returned value; None for a table, which is still to be written."""
    if is_table(item):
        return None
    return item.path if is_like_artifact(item) else Path(os.path.abspath(item))


def _record(active: ActiveRun, key: str, item: Any) -> Artifact | None:
    if (path := _path(item)) is None:
        return active.log_table(item, key)
    if os.path.lexists(path):
        return active.log(item, key, "output")
    active.absent[key] = path
    return None


def _declared_files(step: Step, active: ActiveRun, coupler: Mapping[str, Any] | None) -> dict[str, Artifact]:
    found = {}
    uris = active.journal.uris
    places = {key: declared_path(key, spec, active.directory, uris, coupler) for key, spec in step.output_paths.items()}
    left = {path for path, state in active.found.items() if state == state_of(path)}
    written = {key: path for key, path in places.items() if os.path.lexists(path) and path not in left}
    active.made += written.values()
    for key, path in written.items():
        spec = step.output_paths[key]
        facet, version = spec.facet, spec.facet_schema_version
        notes = notes_of(
            spec.schema, driver=spec.driver, facet=facet, facet_schema_version=version, known=active.schemas
        )
        notes = msgspec.structs.replace(notes, meta={**notes.meta, **(spec.meta or {})})
        found[key] = active.log(path, key, "output", notes)
    return found


def found_before(step: Step, directory: Path, uris: UriMap, coupler: Mapping[str, Any] | None) -> dict[Path, Any]:
    """Files at declared output paths before the step runs, with state: outputs only if the step writes them."""
    paths = (declared_path(key, spec, directory, uris, coupler) for key, spec in step.output_paths.items())
    return {path: state for path in paths if (state := state_of(path)) is not None}


def _check_missing(step: Step, active: ActiveRun, present: Mapping[str, Artifact], problem: str | None) -> None:
    missing = [key for key in dict.fromkeys((*step.declared, *active.absent)) if key not in present]
    if problem is not None and any(key in step.outputs for key in missing):
        step.policies.absent(missing, f" It {problem}")
    else:
        step.policies.absent(missing, _hint(step, active, missing))


def _hint(step: Step, active: ActiveRun, missing: list[str]) -> str:
    if gone := [active.absent[key] for key in missing if key in active.absent]:
        return "".join(f" It returned {path}, which does not exist. Write it first." for path in gone)
    if active.found and any(key in step.output_paths for key in missing):
        left = ", ".join(str(path) for path in active.found if state_of(path) == active.found[path])
        return f" The step left {left} as it was before: only what it writes is its output."
    if any(key in step.output_paths for key in missing):
        return f" Relative output_paths lie in the run's own folder, {active.directory}; use absolute paths for others."
    return " Return it, write and log it, or declare what the step really makes."


def log_set(active: ActiveRun, key: str, spec: OutputSet, config: Any) -> Artifact:
    """Record a set: the folder as one artifact, and each member as an artifact that belongs to it.

    Raises:
        OutputSetError: see `OutputSet.members` and `OutputSet.check`.
    """
    folder = folder_of(spec, active.directory)
    members = spec.members(folder)
    spec.check(key, members, config)
    facets = {rel: _facet(spec, folder / rel, rel, parts, config) for rel, parts in members.items()}
    meta = {"members": facets, "count": len(members), "kind": spec.kind, "partition_key": spec.partition_key}
    artifact = active.log(folder, key, "output", ArtifactNotes(driver=DRIVER, facet=spec.facet, meta=meta))
    for number, rel in enumerate(members):
        notes = ArtifactNotes(parent=str(artifact.id), facet=facets[rel] or None, meta={"member": rel})
        active.log(folder / rel, f"{key}:{number}", "output", notes)
    return artifact


def _facet(spec: OutputSet, path: Path, rel: str, parts: Mapping[str, Any], config: Any) -> dict[str, Any]:
    more = spec.member_facets(path, rel, config) if spec.member_facets is not None else None
    return {**parts, **(more or {})}
