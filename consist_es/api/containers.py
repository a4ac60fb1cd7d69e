"""`run_container` of LBNL's consist: a container as a run of its own, or within the run that is executing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.copies import root_of
from consist_es.checks import check_option, check_run_id
from consist_es.containers.container import Container, theirs
from consist_es.errors import UsageError, UsageTypeError
from consist_es.execution.container import run_inside
from consist_es.execution.current import active_run_or_none
from consist_es.projections import run_table
from consist_es.steps.container import MODE, in_container
from consist_es.steps.inputs import Sources, resolve_inputs
from consist_es.steps.options import CacheOptions, ExecutionOptions, OutputPolicyOptions, StepArguments
from consist_es.steps.outputs import declared_path, output_paths_of

if TYPE_CHECKING:
    from consist_es.api.tracker import Tracker

Place = str | os.PathLike[str]
_MODEL = "container_step"
_LINEAGE = ("full", "none")
_WITHIN = (
    "a container that run_container started inside it, whose image does not count here (to reuse it, make it a step "
    "with ExecutionOptions(container=...))"
)


@dataclass(frozen=True)
class ContainerResult:
    """What `run_container` gives."""

    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """The outputs, by key."""
    cache_hit: bool = False
    """True if no container was started."""
    cache_source: str | None = None
    """Id of the run that answered."""
    manifest: dict[str, Any] = field(default_factory=dict)
    """What counts of the container; secrets as keyed hashes."""
    manifest_hash: str | None = None
    image_digest: str | None = None

    @property
    def output(self) -> Artifact | None:
        """The first output, or None."""
        return next(iter(self.artifacts.values()), None)


def run_container(
    tracker: Tracker,
    run_id: str,
    image: str,
    command: str | Sequence[str],
    volumes: Mapping[str, Any],
    inputs: Sequence[Any],
    outputs: Sequence[Place] | Mapping[str, Place],
    environment: Mapping[str, str] | None = None,
    working_dir: str | None = None,
    backend_type: str = "docker",
    pull_latest: bool = False,
    lineage_mode: str = "full",
    strict_mounts: bool = True,
    output_log_kwargs: Mapping[str, Any] | None = None,
) -> ContainerResult:
    """Run a container as a step of its own, or reuse an earlier run of it; with the arguments of LBNL's consist.

    For new code use `Tracker.run` with ``ExecutionOptions(container=Container(...))``. Inside of a run that is
    executing, the container belongs to that run: its files are logged there, and neither is ever a hit.

    Args:
        volumes: path here -> path in the container; written to, unless it ends with ``:ro``.
        inputs: paths or artifacts here.
        outputs: paths here, below volumes; by key, or named after the files.
        backend_type: ``docker``, ``podman``, ``singularity`` or ``apptainer``.
        pull_latest: must be False: nothing is pulled.
        lineage_mode: ``none`` only runs it; nothing is recorded.
        strict_mounts: True refuses volumes outside of the run directory and the mounts.
        output_log_kwargs: must be None or empty.

    Raises:
        UsageError, UsageTypeError: nothing was started. ContainerError: the engine or image is not there.
        ProgramError: the program ended with another exit code than 0.
    """
    check_option("lineage_mode", lineage_mode, _LINEAGE, optional=False)
    check_option("backend_type", backend_type, ("docker", "podman", "singularity", "apptainer"), optional=False)
    if pull_latest:
        raise UsageError("run_container() pulls nothing: pull the image before, and leave pull_latest out.")
    if output_log_kwargs:
        raise UsageError("run_container() takes no output_log_kwargs: use output_paths of a step for more of a file.")
    container = theirs(
        image,
        command,
        volumes=volumes,
        environment=environment,
        working_dir=working_dir,
        backend=backend_type,
    )
    if strict_mounts:
        _check_places(tracker, container)
    arguments = _arguments(run_id, container, inputs, outputs)
    if lineage_mode == "full" and active_run_or_none() is None:
        return _as_step(tracker, arguments)
    return _within(tracker, arguments, recorded=lineage_mode == "full")


def _check_places(tracker: Tracker, container: Container) -> None:
    uris = tracker._engine.uris
    roots = (uris.run_dir, *uris.mounts.values())
    for mount in container.mounted():
        if root_of(Path(mount.source), roots) is None:
            raise UsageError(
                f"run_container(): volume {mount.source!r} is neither below the run directory nor below a mount of the "
                "tracker. Add the mount, or pass strict_mounts=False."
            )


def _arguments(run_id: str, container: Container, inputs: Any, outputs: Any) -> StepArguments:
    if isinstance(outputs, str | os.PathLike) or not isinstance(outputs, Sequence | Mapping):
        raise UsageTypeError(f"run_container(): outputs takes a list of paths, or paths by key, not {outputs!r}.")
    named = dict(outputs) if isinstance(outputs, Mapping) else {Path(path).name: path for path in outputs}
    if len(named) < len(outputs):
        raise UsageError("run_container(): two outputs have one file name. Give them as {key: path}.")
    places = {str(key): Path(os.path.abspath(path)) for key, path in named.items()}
    return StepArguments(
        name=check_run_id(run_id),
        run_id=run_id,
        model=_MODEL,
        inputs=[item if is_like_artifact(item) else Path(item) for item in inputs],
        output_paths=places,
        cache_options=CacheOptions(cache_hydration="outputs-requested"),
        output_policy=OutputPolicyOptions(output_missing="warn"),
        execution_options=ExecutionOptions(container=container),
    )


def _as_step(tracker: Tracker, args: StepArguments) -> ContainerResult:
    given = ("name", "run_id", "model", "inputs", "output_paths", "cache_options", "output_policy", "execution_options")
    result = tracker.run(**{name: getattr(args, name) for name in given})
    row = run_table.by_key(tracker._engine.queries.conn, result.run.key)
    info = None if row is None else row.fingerprint_info
    said: dict[str, Any] = {} if info is None else info.code_values.get(MODE, {})
    return ContainerResult(
        artifacts=dict(result.outputs),
        cache_hit=result.cache_hit,
        cache_source=result.run.meta.get("cache_source"),
        manifest=said,
        manifest_hash=result.run.git_hash,
        image_digest=said.get("image"),
    )


def _within(tracker: Tracker, args: StepArguments, *, recorded: bool) -> ContainerResult:
    """Run the container now; in the executing run, if it is to be recorded."""
    if (dry := tracker._rehearsal()) is not None:
        raise dry.stop("run_container() would start a container, and a dry run runs nothing")
    engine, active = tracker._engine, active_run_or_none()
    sources = Sources(engine.uris, engine.digester, engine.queries.artifact_with, None)
    items = resolve_inputs(args, sources)
    masker = engine.project.masker
    _, inside = in_container(args, args.name or "", items, sources, masker, {})
    code = inside.identity(masker)
    specs = output_paths_of(args.output_paths)
    outputs = {name: declared_path(name, spec, Path(), engine.uris, None) for name, spec in specs.items()}
    if recorded and active is not None:
        active.observations.other(_WITHIN)
        for item in items:
            active.log(item.artifact, item.artifact.key, "input")
    places = {item.role: str(item.path) for item in items}
    said, key = code.said[MODE], "" if active is None else active.key
    run_inside(inside, said["image"], places, key=key, directory=None, project=engine.project)
    made: dict[str, Artifact] = {}
    if recorded and active is not None:
        made = {name: active.log(path, name, "output") for name, path in outputs.items() if os.path.lexists(path)}
    return ContainerResult(made, manifest=said, manifest_hash=code.digest, image_digest=said["image"])
