"""What a step read by itself: put into words for the log, and compared before a later hit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.artifacts.uris import UriMap, below, inside, quote, unquote
from consist_es.errors import InputError, PathError
from consist_es.events import ObservedRead, ReadsObserved
from consist_es.plain import frame

Digest = Callable[[Path], str]
NOT_THERE = "is not there any more"
WORKING_DIRECTORY = "working directory"


class ReadPlaces(msgspec.Struct, frozen=True):
    """Names of places that stay the same when a project is moved."""

    root: str
    """The project's folder, absolute."""
    uris: UriMap

    def name(self, path: str) -> str:
        """A portable URI below a mount or the run directory, else relative to the project, else absolute."""
        uri = self.uris.uri(path)
        relative = below(path, self.root)
        return uri if relative is None or not uri.startswith("/") else quote(relative)

    def path(self, name: str) -> Path:
        """The place that a name stands for here.

        Raises:
            PathError: its mount is missing, or it leaves the project's folder.
        """
        if name.startswith(("/", "./")) or "://" in name:
            return self.uris.resolve(name)
        return inside(self.root, unquote(name), name)


def listing(reads: Iterable[ObservedRead]) -> ReadsObserved | None:
    """The event that records a list of reads, sorted; None for an empty one."""
    rows = sorted(reads, key=lambda read: (read.kind, read.name))
    if not rows:
        return None
    content = ["consist-es reads 1", msgspec.to_builtins(rows)]
    return ReadsObserved(digest=f"b3:{blake3(frame(content)).hexdigest()}", reads=rows)


class ReadsNow:
    """Compares recorded reads with the present; each thing is looked at once."""

    def __init__(self, places: ReadPlaces, looks: dict[str, Callable[[ObservedRead, Path | None], str | None]]) -> None:
        self._places, self._looks = places, looks
        self._known: dict[tuple[str, str, tuple[str, ...]], str | None] = {}

    def problem(self, read: ObservedRead) -> str | None:
        """What is another now, in words; None if it is what it was."""
        look = self._looks.get(read.kind)
        if look is None:
            return f"{_named(read)}: this version of consist-es cannot compare it"
        try:
            now = self._now(read, look)
        except (InputError, PathError, OSError) as error:
            return f"{_named(read)}: it cannot be compared: {error}"
        if now == read.digest:
            return None
        if now is None:
            return f"{_named(read)}: it {NOT_THERE}"
        return f"{_named(read)}: {'it was not there then' if read.digest is None else _differs(read)}"

    def _now(self, read: ObservedRead, look: Callable[[ObservedRead, Path | None], str | None]) -> str | None:
        key = (read.kind, read.name, tuple(read.without))
        if key not in self._known:
            path = self._places.path(read.name) if read.kind in ("file", "folder", "module") else None
            self._known[key] = look(read, path)
        return self._known[key]


def _named(read: ObservedRead) -> str:
    match read.kind:
        case "file":
            return f"{read.name}, which the step read without declaring it"
        case "folder":
            return f"folder {read.name}, which the step listed without declaring it"
        case "module":
            return f"{read.name}, which the step imported while it ran"
        case "variable":
            return f"environment variable {read.name}, which the step read"
        case "program":
            return f"program {read.name}, which the step started"
        case "random":
            return f"the global random generator of {read.name}, which the step drew from"
        case "working directory":
            return "the working directory, which a path of the step is relative to"
        case _:
            return f"{read.kind} {read.name}"


def _differs(read: ObservedRead) -> str:
    return {
        "file": "content differs",
        "folder": "other names are in it",
        "module": "its code differs",
        "variable": "its value differs",
        "program": "it is another one",
        "random": "it starts from another state",
    }.get(read.kind, "it is another one")


def working_directory(places: ReadPlaces) -> str:
    """The working directory now, by its portable name."""
    return places.name(str(Path.cwd()))
