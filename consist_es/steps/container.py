"""Prepares a step whose body is a program in a container: what lies where in it, its command, and its identity."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.uris import real_path
from consist_es.containers.container import INPUTS, OUTPUTS, Container, Mount, container_of, is_inside
from consist_es.containers.engines import engine_of
from consist_es.containers.filling import Names
from consist_es.errors import UsageError
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.text.source import digest_plain
from consist_es.steps.call import CallPlan, Form
from consist_es.steps.inputs import BoundInput, Sources
from consist_es.steps.options import StepArguments
from consist_es.steps.outputs import declared_path, output_paths_of
from consist_es.text import readable
from consist_es.values.masking import Masker
from consist_es.values.plain import to_plain

MODE = "container"
_DOMAIN = "consist-es container 1"
_OWN = Path(os.path.abspath(os.sep), "the run's own folder, which nobody has a mount for")


class Inside(msgspec.Struct, frozen=True):
    """A container step, checked: what it sees, and what it is called with."""

    container: Container
    mounts: list[Mount]
    """Those declared."""
    inputs: dict[str, str]
    """Role -> path in the container."""
    outputs: dict[str, str]
    command: list[str]
    env: dict[str, str]
    hidden: frozenset[str]
    """Names of variables with secrets."""

    def plan(self, items: list[BoundInput]) -> CallPlan:
        """The call: the inputs' paths here, by role."""
        return CallPlan({}, {item.role: (item, Form.TEXT) for item in items if item.role in self.inputs}, None)

    def given(self, masker: Masker) -> dict[str, Any]:
        """What counts, besides the image: nothing of where files lie on this machine."""
        container = self.container
        said = {
            "command": list(map(os.fsdecode, container.command)),
            "env": dict(container.env),
            "engine": container.engine,
            "workdir": container.workdir,
            "user": container.user,
            "options": list(map(os.fsdecode, container.options)),
            "inputs": self.inputs,
            "outputs": self.outputs,
            "mounts": {mount.target: "rw" if mount.writable else "ro" for mount in self.mounts},
        }
        return dict(masker.plain({name: to_plain(value, f"container {name}") for name, value in said.items()}))

    def identity(self, masker: Masker) -> CodeIdentity:
        """The identity, with the digest that the image has now.

        Raises:
            ContainerError: the engine or the image is not there.
        """
        image = engine_of(self.container.engine).resolve(self.container.image)
        said = {"image": image, **self.given(masker)}
        whole = digest_plain([_DOMAIN, said])
        return CodeIdentity(whole, MODE, {"callable": whole}, [], said={MODE: said})


def in_container(
    args: StepArguments, name: str, items: list[BoundInput], sources: Sources, masker: Masker, config: Mapping[str, Any]
) -> tuple[StepArguments, Inside]:
    """Check a container step. Its arguments come back with what read-only mounts hold as identity inputs.

    Raises:
        UsageError: arguments that a container cannot have, and paths that it does not see.
    """
    container = container_of(args.execution_options.container)
    _check_arguments(args, name)
    mounts = container.mounted()
    staged = args.execution_options.input_paths or {}
    places = {
        item.role: os.path.abspath(staged.get(item.role, item.path)) for item in items if item.via != "depends_on"
    }
    _check_names([*places.values(), *(mount.source for mount in mounts)], name)
    inputs = {role: _input_place(role, path, mounts) for role, path in places.items()}
    outputs = {
        key: _output_place(key, declared_path(key, spec, _OWN, sources.uris, sources.coupler), mounts, name)
        for key, spec in output_paths_of(args.output_paths).items()
    }
    labels = {label: getattr(args, label) for label in ("year", "iteration", "phase", "stage")}

    def hides(entry: str, value: Any) -> bool:
        plain = {entry: to_plain(value, f"config {entry}")}
        return bool(masker.plain(plain) != plain)

    names = Names(inputs, outputs, config, labels, hides)
    command = [_argument(os.fsdecode(word), names, name) for word in container.command]
    env, hidden = {}, set()
    given = masker.revealed(container.env)
    for variable, value in given.items():
        is_secret = given[variable] is not container.env[variable] or hides(variable, value)
        env[variable], holds = (value, True) if is_secret else names.fill(value, f"Step {name!r}, env {variable}")
        if holds:
            hidden.add(variable)
    counted = [mount for mount in mounts if not mount.writable and not _is_given(mount.source, places.values())]
    extra = [(f"mounted at {mount.target}", Path(mount.source)) for mount in counted]
    if container.engine == "apptainer":
        extra.append(("image file", Path(os.path.abspath(container.image))))
    if extra:
        args = _with_identity(args, extra)
    return args, Inside(container, mounts, inputs, outputs, command, env, frozenset(hidden))


def _check_arguments(args: StepArguments, name: str) -> None:
    cache, execution = args.cache_options, args.execution_options
    wrong = {
        "fn": args.fn is not None,
        f"code_identity={cache.code_identity!r}": cache.code_identity is not None,
        "code_identity_extra_deps": bool(cache.code_identity_extra_deps),
        "runtime_kwargs": bool(execution.runtime_kwargs),
        "inject_context": bool(execution.inject_context),
        f"input_binding={execution.binding!r}": execution.binding not in (None, "none", "paths"),
    }
    if given := [what for what, is_wrong in wrong.items() if is_wrong]:
        raise UsageError(
            f"Step {name!r} runs in a container, which has no Python function: {given[0]} does not go with it. Leave "
            "it out; what the program needs stands in the container's command and env."
        )
    declared = output_paths_of(args.output_paths)
    if isinstance(args.outputs, str) or args.outputs:
        names = [args.outputs] if isinstance(args.outputs, str) else list(args.outputs)
        if homeless := [key for key in names if key not in declared]:
            raise UsageError(
                f"Step {name!r} runs in a container, which returns nothing: say where it writes {homeless[0]!r}, with "
                f"output_paths={{{homeless[0]!r}: 'a path'}}."
            )


def _check_names(paths: Iterable[str], step: str) -> None:
    for path in paths:
        if (text := readable(path)) != path:
            raise UsageError(
                f"Step {step!r}: {text!r} cannot be shown to a container, because engines take names in UTF-8 alone. "
                "Rename it."
            )


def _argument(word: str, names: Names, step: str) -> str:
    text, secret = names.fill(word, f"Step {step!r}, command {word!r}")
    if secret:
        raise UsageError(
            f"Step {step!r}: {word!r} puts a secret into the command, which every process of the machine can read. "
            "Give it to the container's env."
        )
    return text


def _is_given(source: str, inputs: Iterable[str]) -> bool:
    """True if an input has all that a mount shows."""
    return any(is_inside(source, path) or is_inside(real_path(source), real_path(path)) for path in inputs)


def _place(path: str, mounts: list[Mount]) -> tuple[str, Mount] | None:
    """Where a path of this machine is in the container, and by which mount; None if no mount shows it."""
    shown = [mount for mount in mounts if is_inside(path, mount.source)]
    if not shown:
        return None
    mount = max(shown, key=lambda each: len(each.source))
    rest = os.path.relpath(path, mount.source)
    place = mount.target if rest == "." else f"{mount.target}/{Path(rest).as_posix()}"
    covering = max((each for each in mounts if is_inside(place, each.target)), key=lambda each: len(each.target))
    return (place, mount) if covering is mount else None


def _input_place(role: str, path: str, mounts: list[Mount]) -> str:
    found = _place(path, mounts)
    return f"{INPUTS}/{role}/{Path(path).name}" if found is None else found[0]


def _output_place(key: str, path: Path, mounts: list[Mount], step: str) -> str:
    if is_inside(str(path), str(_OWN)):
        rest = path.relative_to(_OWN).as_posix()
        return OUTPUTS if rest == "." else f"{OUTPUTS}/{rest}"
    found = _place(os.path.abspath(path), mounts)
    if found is None or not found[1].writable:
        shown = "in a mount that is read-only" if found is not None else "where the container sees nothing"
        raise UsageError(
            f"Step {step!r}: output_paths[{key!r}] is {str(path)!r}, {shown}. Give a path relative to the run's own "
            f"folder, or Container(mounts={{{str(path.parent)!r}: '/results:rw'}})."
        )
    return found[0]


def _with_identity(args: StepArguments, extra: list[tuple[str, Path]]) -> StepArguments:
    """The arguments with further identity inputs. A list of another form is refused where it is read."""
    given = args.identity_inputs
    if given is not None and not isinstance(given, list | tuple):
        return args
    return dataclasses.replace(args, identity_inputs=[*(given or ()), *extra])
