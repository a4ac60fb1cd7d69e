"""Hydration modes and input staging: copies files to where a step or its caller wants them.

``metadata``: nothing. ``outputs-requested``: on a hit, every `output_paths` file to its path in the new run; if one
fails, the hit does not count. ``outputs-all``: on a hit, all outputs to the new run's folder. ``inputs-missing``: on a
miss, missing inputs back to their recorded path, from another path that holds their bytes; with
``validate_materialized_inputs`` also changed ones.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.materialize import Copier, layout
from consist_es.cache.lookup import Hit, Miss
from consist_es.errors import ArtifactMissingError, ConsistWarning, MaterializeError, PathError
from consist_es.events import ArtifactMaterialized
from consist_es.execution.settings import Settings
from consist_es.steps.outputs import declared_path
from consist_es.steps.step import Step


class Hydrated(msgspec.Struct, frozen=True):
    """The verdict after copying, and the events about the copies."""

    verdict: Hit | Miss
    events: list[ArtifactMaterialized] = []
    staged: dict[str, Path] = {}
    """Input role -> path of its staged copy."""


def hydrate(
    step: Step,
    verdict: Hit | Miss,
    settings: Settings,
    directory: Path,
    coupler: Mapping[str, Any] | None,
    restored: Mapping[str, Path],
) -> Hydrated:
    """Copy what the step's hydration mode and staging ask for; see the module's docstring.

    `directory`: the run's own folder. `restored`: outputs that are put back in these places in any case.

    Raises:
        PathError: a target outside the run directory and the mounts; nothing was copied.
        ArtifactMissingError, MaterializeError: an input cannot be staged.
    """
    copier = Copier(settings.uris, settings.digester, settings.allow_external_paths)
    if isinstance(verdict, Hit) and step.hydration == "outputs-requested":
        done = _requested(step, verdict, copier, directory, coupler, restored)
    elif isinstance(verdict, Hit) and step.hydration == "outputs-all":
        done = _all(verdict, copier, directory, _folder_of(verdict, settings))
    elif isinstance(verdict, Miss) and step.hydration == "inputs-missing":
        done = _inputs(step, verdict, copier)
    else:
        done = Hydrated(verdict)
    staged, events = _staged(step, copier)
    return Hydrated(done.verdict, [*done.events, *events], {**done.staged, **staged})


def _folder_of(hit: Hit, settings: Settings) -> Path | None:
    """The folder of the run that computed a hit's outputs, if it is known."""
    source = settings.queries.run_by_key(hit.source)
    with suppress(PathError):  # not mounted here, or unknown because the run's start was redacted
        return settings.uris.resolve(source.artifact_dir, run_dir=source.run_dir or None)
    return None


def relocated(artifact: Artifact, event: ArtifactMaterialized) -> Artifact:
    """The same artifact, at its copy."""
    return dataclasses.replace(artifact, container_uri=event.uri, root=event.root)


def _requested(
    step: Step,
    hit: Hit,
    copier: Copier,
    directory: Path,
    coupler: Mapping[str, Any] | None,
    restored: Mapping[str, Path],
) -> Hydrated:
    wanted = {key: declared_path(key, spec, directory, copier.uris, coupler) for key, spec in step.output_paths.items()}
    targets = {key: target for key, target in wanted.items() if restored.get(key) != target}
    for target in targets.values():
        copier.check_place(target)
    events: list[ArtifactMaterialized] = []
    for key, target in targets.items():
        try:
            events.append(copier.copy(hit.all_outputs[key], target, reason="outputs-requested"))
        except (MaterializeError, ArtifactMissingError) as error:
            if step.args.cache_options.cache_hydration_failure == "warn":
                warnings.warn(f"{error} The step runs instead of being reused.", ConsistWarning, stacklevel=2)
            return Hydrated(Miss("candidate_outputs_invalid", hit.source, [str(error)]), events)
    return Hydrated(_with_copies(hit, dict(zip(targets, events, strict=True))), events)


def _all(hit: Hit, copier: Copier, directory: Path, source_dir: Path | None) -> Hydrated:
    places = layout(hit.all_outputs.items(), source_dir or directory, directory)
    done: dict[str, ArtifactMaterialized] = {}
    for key, target in places.items():
        try:
            done[key] = copier.copy(hit.all_outputs[key], target, reason="outputs-all")
        except (MaterializeError, ArtifactMissingError, PathError) as error:
            warnings.warn(f"{error} The output stays where it is.", ConsistWarning, stacklevel=2)
    return Hydrated(_with_copies(hit, done), list(done.values()))


def _with_copies(hit: Hit, copies: Mapping[str, ArtifactMaterialized]) -> Hit:
    def moved(artifacts: Mapping[str, Artifact]) -> dict[str, Artifact]:
        return {
            key: relocated(artifact, copies[key]) if key in copies else artifact for key, artifact in artifacts.items()
        }

    return msgspec.structs.replace(hit, outputs=moved(hit.outputs), all_outputs=moved(hit.all_outputs))


def _inputs(step: Step, miss: Miss, copier: Copier) -> Hydrated:
    events, staged = [], {}
    for item in step.inputs:
        target = copier.uris.resolve(item.artifact.container_uri)
        if item.registration is not None:
            continue
        if not os.path.lexists(target):
            events.append(copier.copy(item.artifact, target, reason="inputs-missing"))
            staged[item.role] = target
        elif step.args.cache_options.validate_materialized_inputs and item.path not in item.artifact.own_places:
            events.append(copier.copy(item.artifact, target, reason="inputs-stale", replace=True, source=item.path))
            staged[item.role] = target
    return Hydrated(miss, events, staged)


def _staged(step: Step, copier: Copier) -> tuple[dict[str, Path], list[ArtifactMaterialized]]:
    places = {
        item.role: copier.uris.resolve_given(step.staging[item.role])
        for item in step.inputs
        if item.role in step.staging
    }
    for target in places.values():
        copier.check_place(target)
    bound = {item.role: item for item in step.inputs}
    events = [
        copier.copy(bound[role].artifact, target, reason="requested", replace=True) for role, target in places.items()
    ]
    return places, events
