"""The engines that run containers, behind one small protocol. Each is a program, found on PATH."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from blake3 import blake3

from consist_es.containers.container import Mount
from consist_es.errors import ContainerError, ImageMissingError, UsageError

RUN, PROJECT = "consist_es.run", "consist_es.project"
"""Labels of our containers: the key of the run, and whose log it is in."""
_PATIENCE = 120
"""Seconds that an engine may take for an answer about images and containers."""
_ABSENT = ("no such image", "image not known", "no such object", "unable to find")
_READ = 1_048_576


class Launch(msgspec.Struct, frozen=True):
    """One start of a container, with all that an engine has to know."""

    name: str
    """For the engine, so that the container can be stopped."""
    image: str
    """What `Engine.resolve` gave: never a name that may mean another image by now."""
    place: str
    """The image as the user names it."""
    command: list[str]
    mounts: list[Mount]
    env: dict[str, str]
    hidden: frozenset[str]
    """Names of variables that stand in no command line."""
    workdir: str | None
    user: str | None
    options: list[str]
    labels: dict[str, str]


class Engine(Protocol):
    """One kind of engine."""

    name: str
    is_parent: bool
    """True if the program in the container is a child of the engine's, and is measured and killed as such."""

    def resolve(self, image: str) -> str:
        """Digest of the image of this name, as it is here now. Nothing is pulled.

        Raises:
            ImageMissingError: says how to get it. ContainerError: the engine is not there, or does not answer.
        """

    def command(self, launch: Launch) -> tuple[list[str], dict[str, str]]:
        """The program with its arguments, and the variables that it needs in its own environment."""

    def left(self, project: str) -> dict[str, str]:
        """Name of each running container of this project -> the key of its run."""

    def remove(self, name: str) -> str | None:
        """Stop the container of this name, if there is one; gives the problem if that does not work."""


def engine_of(name: str) -> Engine:
    """The engine of this name."""
    return Apptainer() if name == "apptainer" else Docker(name)


class Docker:
    """Docker, and Podman, which has the same command line."""

    is_parent = False

    def __init__(self, name: str) -> None:
        self.name = name

    def resolve(self, image: str) -> str:
        """See `Engine`. The digest is the image's id, that of its configuration, which names all of its layers."""
        done = _asked([self.name, "image", "inspect", "--format", "{{.Id}}", image], self.name)
        if done.returncode:
            problem = done.stderr.strip() or f"exit code {done.returncode}"
            if any(sign in problem.lower() for sign in _ABSENT):
                raise ImageMissingError(image, self.name, f"{self.name} pull {image}")
            raise ContainerError(
                f"{self.name} cannot say which image {image!r} is: {problem}. See whether "
                f"`{self.name} image inspect {image}` works."
            )
        digest = done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
        if not digest:
            raise ContainerError(
                f"{self.name} gave no digest for image {image!r}: `{self.name} image inspect` is empty."
            )
        return digest if ":" in digest else f"sha256:{digest}"

    def command(self, launch: Launch) -> tuple[list[str], dict[str, str]]:
        """See `Engine`."""
        words = [self.name, "run", "--rm", "--pull", "never", "--name", launch.name]
        for label, value in launch.labels.items():
            words += ["--label", f"{label}={value}"]
        for mount in launch.mounts:
            words += ["--mount", _csv(mount)]
        for name, value in launch.env.items():
            words += ["--env", name if name in launch.hidden else f"{name}={value}"]
        if launch.workdir is not None:
            words += ["--workdir", launch.workdir]
        if launch.user is not None:
            words += ["--user", launch.user]
        words += [*launch.options, launch.image, *launch.command]
        return words, {name: launch.env[name] for name in launch.hidden}

    def left(self, project: str) -> dict[str, str]:
        """See `Engine`."""
        done = _asked([self.name, "ps", "--quiet", "--filter", f"label={PROJECT}={project}"], self.name)
        ids = [] if done.returncode else done.stdout.split()
        found: dict[str, str] = {}
        for one in ids:  # one by one: any of them may end meanwhile
            shown = _asked([self.name, "inspect", "--format", "{{.Name}}\n{{json .Config.Labels}}", one], self.name)
            name, _, labels = shown.stdout.strip().partition("\n")
            if not shown.returncode and labels.startswith("{"):
                found[name.removeprefix("/")] = str(json.loads(labels).get(RUN, ""))
        return found

    def remove(self, name: str) -> str | None:
        """See `Engine`."""
        at_once = ["--time", "0"] if self.name == "podman" else []  # which waits 10 s for a program to end, else
        done = _asked([self.name, "rm", "--force", *at_once, name], self.name)
        problem = done.stderr.strip()
        return None if not done.returncode or "no such container" in problem.lower() else problem


class Apptainer:
    """Apptainer, or Singularity where that is its name. An image is a file; it runs as a child of ours."""

    name = "apptainer"
    is_parent = True

    def resolve(self, image: str) -> str:
        """See `Engine`. The digest is that of the file."""
        self._program()
        if "://" in image:
            raise ImageMissingError(image, self.name, f"{self.name} pull model.sif {image}", "is not a file")
        path = Path(image)
        if path.is_dir():
            raise ContainerError(
                f"Image {image!r} is a folder, which may change at any time: build a .sif file of it "
                f"(`{self.name} build model.sif {image}`)."
            )
        digest = blake3()
        try:
            with path.open("rb") as file:
                while data := file.read(_READ):
                    digest.update(data)
        except FileNotFoundError as error:
            raise ImageMissingError(image, self.name, f"{self.name} pull {image} docker://NAME") from error
        except OSError as error:
            raise ContainerError(f"Image {image!r} cannot be read: {error.strerror}. Make it readable.") from error
        return f"blake3:{digest.hexdigest()}"

    def command(self, launch: Launch) -> tuple[list[str], dict[str, str]]:
        """See `Engine`. All variables go through the environment: its command line takes no commas in them."""
        words = [self._program(), "run", "--containall"]
        for mount in launch.mounts:
            if wrong := next((sign for sign in ":," if sign in mount.source or sign in mount.target), None):
                raise UsageError(
                    f"{mount.source!r} cannot be mounted at {mount.target!r}: apptainer takes no {wrong!r} in a path. "
                    "Rename it."
                )
            words += ["--bind", f"{mount.source}:{mount.target}:{'rw' if mount.writable else 'ro'}"]
        if launch.workdir is not None:
            words += ["--pwd", launch.workdir]
        words += [*launch.options, os.path.abspath(launch.place), *launch.command]
        return words, {f"APPTAINERENV_{name}": value for name, value in launch.env.items()}

    def left(self, project: str) -> dict[str, str]:
        """See `Engine`: it keeps no list."""
        return {}

    def remove(self, name: str) -> str | None:
        """See `Engine`: it ends with its parent."""
        return None

    def _program(self) -> str:
        found = next((each for each in ("apptainer", "singularity") if shutil.which(each)), None)
        if found is None:
            raise _no_program(self.name)
        return found


def _csv(mount: Mount) -> str:
    """A mount as the engines read it: a line of comma-separated values."""
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields if mount.writable else [*fields, "readonly"])
    return line.getvalue()


def _no_program(name: str) -> ContainerError:
    return ContainerError(
        f"There is no program {name!r} on PATH, and the step runs in a container of it. Install {name}, or choose "
        "another engine with Container(engine=...)."
    )


def _asked(words: Sequence[str], engine: str) -> subprocess.CompletedProcess[str]:
    """What an engine answers to a question."""
    try:
        return subprocess.run(  # noqa: S603 - the engine's own program
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise _no_program(engine) from error
    except subprocess.TimeoutExpired as error:
        raise ContainerError(
            f"{engine} did not answer `{' '.join(words[:3])}` within {_PATIENCE} s. See whether it works by hand."
        ) from error
    except OSError as error:
        raise ContainerError(f"{engine} cannot be started: {error.strerror}. See whether it works by hand.") from error


def environment(extra: Mapping[str, str]) -> dict[str, str] | None:
    """The environment for an engine's program; None for that of this process."""
    return {**os.environ, **extra} if extra else None
