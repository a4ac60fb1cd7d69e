"""Runs the program of a container step: starts it, passes on what it prints, and says how it ended."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from consist_es.containers.container import INPUTS, OUTPUTS, Mount, is_inside
from consist_es.containers.engines import PROJECT, RUN, Engine, Launch, engine_of, environment
from consist_es.errors import ConsistWarning
from consist_es.execution.active import ActiveRun
from consist_es.execution.call import ProgramExitError, call
from consist_es.execution.witness import measured_elsewhere
from consist_es.project.project import Project
from consist_es.projections import run_table
from consist_es.steps.container import MODE, Inside
from consist_es.steps.step import Step
from consist_es.text import shown

_ENDS = {
    125: "the engine could not start it",
    126: "its program cannot be executed",
    127: "its program, or something that it needs to start, was not found",
    137: "it was killed, most often because memory ran out",
    139: "its program crashed",
    143: "it was stopped",
}
"""Exit codes that engines give a meaning to."""
_told: set[tuple[str, str]] = set()
"""Steps and their writable mounts that were warned of."""


def program_of(step: Step, active: ActiveRun, project: Project) -> Callable[..., None]:
    """What runs as the body of a container step; it takes the inputs' paths by role."""
    inside = step.inside
    if inside is None:
        raise RuntimeError(f"step {step.name!r} has no container")  # a bug of ours, never the caller's mistake

    def program(**places: str) -> None:
        image = str(step.code.said[MODE]["image"])
        named = [item.path for item in step.inputs] + [Path(path) for path in active.found]
        _warn_of_folders(step.name, inside, named)
        run_inside(inside, image, places, key=active.key, directory=active.directory, project=project)

    return program


def run_inside(
    inside: Inside, image: str, places: Mapping[str, str], *, key: str, directory: Path | None, project: Project
) -> None:
    """Run a container and wait for its end.

    Args:
        image: its digest.
        places: role of an input -> its path here.
        key: of the run that it belongs to.
        directory: folder here that it sees as ``/outputs``.

    Raises:
        ProgramError: it ended with another exit code than 0. ContainerError: the engine is not there.
    """
    engine = engine_of(inside.container.engine)
    _stop_left(engine, project)
    container, mounts = inside.container, list(inside.mounts)
    for mount in mounts:
        if mount.writable and not Path(mount.source).exists():
            Path(mount.source).mkdir(parents=True, exist_ok=True)  # an engine would make it, as root
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        mounts.append(Mount(str(directory), OUTPUTS, True))
    for role, place in inside.inputs.items():
        if is_inside(place, INPUTS):
            mounts.append(Mount(os.path.abspath(places[role]), place, False))
    launch = Launch(
        name=f"consist-es-{project.storage.token(8).hex()}",
        image=image,
        place=container.image,
        command=inside.command,
        mounts=sorted(mounts, key=lambda mount: mount.target.count("/")),
        env=inside.env,
        hidden=inside.hidden,
        workdir=container.workdir,
        user=container.user,
        options=list(map(os.fsdecode, container.options)),
        labels={RUN: key, PROJECT: _project_label(project)},
    )
    _run(engine, launch)


def _project_label(project: Project) -> str:
    return blake3(str(project.folder).encode("utf-8", "surrogateescape")).hexdigest(8)


def _run(engine: Engine, launch: Launch) -> None:
    """Start the container and wait for it; whatever interrupts this stops the container, too."""
    words, extra = engine.command(launch)
    if not engine.is_parent:
        measured_elsewhere()
    try:
        done = call(words, env=environment(extra), check=False)
    except BaseException:
        _stop(engine, launch.name)
        raise
    if done.returncode < 0:  # the engine's program was killed, which need not be the end of the container
        _stop(engine, launch.name)
    if done.returncode:
        raise _failed(launch, words, done.returncode, done.tail)


def _stop(engine: Engine, name: str) -> None:
    """Stop a container, or say that it may go on."""
    if (problem := engine.remove(name)) is not None:
        _warn(f"Container {name} may still be running: {engine.name} could not stop it ({problem}).")


def _failed(launch: Launch, words: list[str], code: int, tail: str) -> ProgramExitError:
    command = shlex.join(launch.command) or "(the image's own command)"
    meaning = f" ({_ENDS[code]})" if code in _ENDS else ""
    where = f"in a container of image {launch.place!r} ({launch.image})"
    ended = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    error = ProgramExitError(command, f"{ended}{meaning} {where}", tail)
    error.returncode, error.cmd, error.output, error.stderr = code, words, tail, None
    return error


def _stop_left(engine: Engine, project: Project) -> None:
    """Stop containers of dead runs of this project: they may still write where this step reads."""
    for name, key in engine.left(_project_label(project)).items():
        row = run_table.by_key(project.connection(), key)
        if row is None or (row.status == "running" and not project.is_gone(row)):
            continue
        problem = engine.remove(name)
        what = f"stopped container {name}" if problem is None else f"could not stop container {name} ({problem})"
        _warn(f"Run {row.id!r} ended while its program went on: {what}, which it had left running.")


def _warn_of_folders(step: str, inside: Inside, named: Sequence[Path]) -> None:
    """Say once what a container can read that does not count: it is not observed what it reads."""
    for mount in inside.mounts:
        if not mount.writable or (step, mount.source) in _told:
            continue
        if (beside := _undeclared(Path(mount.source), named)) is not None:
            _told.add((step, mount.source))
            _warn(
                f"Step {step!r}: the container can read {str(beside)!r}, mounted at {mount.target} to be written "
                "to, and what lies there does not count. Give what the program needs as inputs, or mount it read-only."
            )


def _undeclared(folder: Path, named: Sequence[Path]) -> Path | None:
    """A file in a folder, or the folder itself if it is one, that is none of those named."""
    try:
        entries = [folder] if folder.is_file() else sorted(folder.iterdir())
    except OSError:
        return None
    for entry in entries:
        if any(entry == path or entry in path.parents or path in entry.parents for path in named):
            continue
        return entry
    return None


def _warn(text: str) -> None:
    warnings.warn(shown(text), ConsistWarning, stacklevel=2)
