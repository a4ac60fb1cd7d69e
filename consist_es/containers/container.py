"""What a user says of a container: its image, its command, and what it may see."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from consist_es.checks import check_option
from consist_es.errors import UsageError, UsageTypeError
from consist_es.text import readable
from consist_es.values.secret import Secret

_BRACES = re.compile(r"(?<!\$)\{[^\W\d][\w./-]*\}")
"""A name in braces, see `consist_es.containers.filling`."""
ENGINES = ("docker", "podman", "apptainer")
INPUTS, OUTPUTS = "/inputs", "/outputs"
"""Folders in the container: below the first lie inputs that no mount holds, the second is the run's own folder."""
_MODES = {":ro": False, ":rw": True}
_TAKEN = {
    "mounts": ("-v", "--volume", "--mount", "--volumes-from", "-B", "--bind", "--tmpfs"),
    "env": ("-e", "--env", "--env-file"),
    "user": ("-u", "--user"),
    "workdir": ("-w", "--workdir", "--pwd", "--cwd"),
    "": ("-d", "--detach", "--name", "--rm", "--pull", "-i", "-t", "-it", "--interactive", "--tty", "--cidfile"),
}
"""What says the same as an option of the engine; "" if it would get in our way."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine that a container sees."""

    source: str
    """Absolute path here."""
    target: str
    """Absolute path in the container."""
    writable: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A program in a container, as the body of a step. See docs/howto/containers.md.

    In `command` and in values of `env`, ``{name}`` is the path in the container of the input or output of that name,
    or a value of the step's config, or its `year`, `iteration`, `phase` or `stage`; ``{{name}}`` is ``{name}`` itself.

    Args:
        image: name of an image that the engine has, or the path of a ``.sif`` file for apptainer. Its digest counts.
        command: arguments for the image's entry point, or the program and its arguments if it has none.
        mounts: path here -> path in the container, with ``:rw`` at its end if the container writes there.
            What a read-only mount holds counts by its content.
        env: environment variables. Values with secrets count by a keyed hash, and stand in no command line.
        engine: ``docker``, ``podman`` or ``apptainer``.
        workdir: folder in the container that the program starts in; None for the image's.
        user: as the engine takes it; None for the engine's choice.
        options: further options for the engine's ``run``; they count.
    """

    image: str
    command: Sequence[str | os.PathLike[str]] = ()
    mounts: Mapping[str | os.PathLike[str], str] = field(default_factory=dict)
    env: Mapping[str, str | Secret[str]] = field(default_factory=dict)
    engine: str = "docker"
    workdir: str | None = None
    user: str | None = None
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_option("engine", self.engine, ENGINES, optional=False)
        if not isinstance(self.image, str):
            raise UsageTypeError(f"Container(image=...) takes a str, not {type(self.image).__name__}: {self.image!r}.")
        if not self.image or self.image.startswith("-") or self.image != self.image.strip() or "\0" in self.image:
            raise UsageError(f"Container(image={self.image!r}) is no name of an image. Give one like 'model:1.2'.")
        _check_words("command", self.command)
        _check_words("options", self.options)
        _check_texts(self.env)
        for name in ("workdir", "user"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value or "\0" in value):
                raise UsageTypeError(f"Container({name}=...) takes a text that is not empty, not {value!r}.")
        _check_workdir(self.workdir)
        _check_taken(self.options)
        if self.engine == "apptainer" and self.user is not None:
            raise UsageError("Container(user=...): apptainer runs programs as the user who starts it. Leave user out.")
        self.mounted()

    def described(self) -> dict[str, Any]:
        """What is recorded of it besides what counts: names, and where files lie on this machine."""
        mounts = {mount.target: readable(mount.source) for mount in self.mounted()}
        return {"image": self.image, "engine": self.engine, **({"mounts": mounts} if mounts else {})}

    def mounted(self) -> list[Mount]:
        """Its mounts, with paths of this machine made absolute.

        Raises:
            UsageError, UsageTypeError: a target that is no absolute path, is taken or given twice.
        """
        if not isinstance(self.mounts, Mapping):
            raise UsageTypeError(
                "Container(mounts=...) takes a mapping of a path here to a path in the container, not "
                f"{type(self.mounts).__name__}."
            )
        found: dict[str, Mount] = {}
        for source, target in self.mounts.items():
            mount = _mount(source, target)
            if (other := found.get(mount.target)) is not None:
                raise UsageError(
                    f"Container(mounts=...): {other.source!r} and {mount.source!r} are both mounted at "
                    f"{mount.target!r}. Give each a place of its own."
                )
            found[mount.target] = mount
        return list(found.values())


def container_of(given: Any) -> Container:
    """A container as it was given, or one of a mapping with the names of LBNL's consist.

    Raises:
        UsageError, UsageTypeError: another type, or a name that there is not.
    """
    if isinstance(given, Container):
        return given
    if not isinstance(given, Mapping):
        raise UsageTypeError(f"container takes Container(image=...), not {type(given).__name__}: {given!r}.")
    if unknown := [name for name in given if name not in _THEIRS]:
        raise UsageError(f"container has no {unknown[0]!r}. It takes {', '.join(_THEIRS)}.")
    for needed in ("image", "command"):
        if not given.get(needed):
            raise UsageError(f"container has no {needed!r}: give container={{'image': ..., 'command': [...]}}.")
    if given.get("pull_latest"):
        raise UsageError("container pulls nothing: pull the image before, and leave pull_latest out.")
    if given.get("lineage_mode", "full") != "full":
        raise UsageError("A step is always recorded: leave lineage_mode out, or call consist_es.run_container.")
    return theirs(
        given["image"],
        given["command"],
        volumes=given.get("volumes"),
        environment=given.get("environment"),
        working_dir=given.get("working_dir"),
        backend=given.get("backend") or "docker",
    )


_THEIRS = ("image", "command", "backend", "environment", "volumes", "working_dir", "pull_latest", "lineage_mode")


def theirs(
    image: str, command: Any, *, volumes: Any, environment: Any, working_dir: str | None, backend: str
) -> Container:
    """A container by the names of LBNL's consist. Volumes are written to unless they say ``ro``; braces stay braces.

    Raises:
        UsageError, UsageTypeError: as `Container` does.
    """
    words = command.split() if isinstance(command, str) else command
    _check_words("command", words)
    texts = {} if environment is None else environment
    _check_texts(texts)
    return Container(
        image=image,
        command=[_as_it_is(os.fsdecode(word)) for word in words],
        mounts=_volumes({} if volumes is None else volumes),
        env={name: _as_it_is(value) if isinstance(value, str) else value for name, value in texts.items()},
        engine="apptainer" if backend == "singularity" else backend,
        workdir=working_dir,
    )


def _as_it_is(text: str) -> str:
    """A text in which no name in braces is filled in."""
    return _BRACES.sub(r"{\g<0>}", text)


def _volumes(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given  # refused as mounts are
    found = {}
    for source, target in given.items():
        mode = "rw"
        if isinstance(target, Mapping):
            mode, target = target.get("mode", "rw"), target.get("bind")
        has_mode = isinstance(target, str) and target[-3:] in _MODES
        found[source] = target if has_mode or not isinstance(target, str) else f"{target}:{mode}"
    return found


def _mount(source: Any, target: Any) -> Mount:
    if not isinstance(source, str | os.PathLike) or not isinstance(target, str):
        raise UsageTypeError(
            f"Container(mounts=...) takes paths here and texts with paths in the container, not {source!r}: {target!r}."
        )
    path, writable = target, False
    if target[-3:] in _MODES:
        path, writable = target[:-3], _MODES[target[-3:]]
    here = os.fsdecode(source)
    where = f"Container(mounts={{{here!r}: {target!r}}})"
    if "\0" in path or "\0" in here or not here:
        raise UsageError(f"{where}: that is no path.")
    if ":" in path or not path.startswith("/"):
        raise UsageError(
            f"{where}: the path in the container is absolute, with ':ro' or ':rw' at its end, such as '/data:rw'."
        )
    path = posixpath.normpath("/" + path.lstrip("/"))
    if path == "/":
        raise UsageError(f"{where} would hide the whole image. Mount it at a folder, such as '/data'.")
    if any(is_inside(path, own) for own in (INPUTS, OUTPUTS)):
        raise UsageError(
            f"{where}: {INPUTS} and {OUTPUTS} are where a step's inputs and outputs are put. Take another folder."
        )
    return Mount(os.path.abspath(here), path, writable)


def is_inside(path: str, folder: str) -> bool:
    """True if a path is this folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _check_words(what: str, given: Any) -> None:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise UsageTypeError(
            f"Container({what}=...) takes a list of str, one for each argument, not {given!r}. For a command line "
            "use ['sh', '-c', 'the command line']."
        )
    for word in given:
        if not isinstance(word, str | os.PathLike):
            raise UsageTypeError(f"Container({what}=...) takes str, not {type(word).__name__}: {word!r}.")
        if "\0" in os.fsdecode(word):
            raise UsageError(f"Container({what}=...): no program can be given a null character: {word!r}.")


def _check_texts(env: Any) -> None:
    if not isinstance(env, Mapping):
        raise UsageTypeError(f"Container(env=...) takes a mapping of str to str, not {type(env).__name__}.")
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise UsageError(f"Container(env=...): {name!r} is no name of an environment variable.")
        text = value.value if isinstance(value, Secret) else value
        if not isinstance(text, str):
            raise UsageTypeError(f"Container(env=...): {name} takes a str, not {type(text).__name__}.")
        if "\0" in text:
            raise UsageError(f"Container(env=...): the value of {name} has a null character, which no variable can.")


def _check_workdir(workdir: str | None) -> None:
    if workdir is not None and not workdir.startswith("/"):
        raise UsageError(f"Container(workdir={workdir!r}) takes an absolute path in the container, such as '/model'.")


def _check_taken(options: Sequence[str]) -> None:
    for option in map(os.fsdecode, options):
        for instead, taken in _TAKEN.items():
            short = any(len(each) == 2 and option.startswith(each) and option[1:2] != "-" for each in taken)
            if option.partition("=")[0] in taken or short:
                remedy = f"Use {instead}= of the container" if instead else "Leave it out: the step sees to that"
                raise UsageError(f"Container(options=...): {option!r} is not taken. {remedy}.")
