"""Observed reads of a step: their form in the log, and their comparison before a later hit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from consist_es.artifacts.uris import UriMap, below, inside, quote, unquote
from consist_es.errors import InputError, PathError
from consist_es.events import ObservedRead, ReadsObserved
from consist_es.identity.installed.started import package_now
from consist_es.observe import now
from consist_es.observe.notes import ValueDigest
from consist_es.observe.reads import THERE, Hasher, Listing, Reads
from consist_es.observe.scope import Scope
from consist_es.values.digests import digest_of

WORKING_DIRECTORY = "working directory"
PLACES = ("file", "made", "folder", "module")
"""Kinds of reads named by a path."""


class ReadPlaces(msgspec.Struct, frozen=True):
    """Portable names of paths, which stay the same when a project is moved."""

    root: str
    """The project's folder, absolute."""
    uris: UriMap

    def name(self, path: str) -> str:
        """A portable URI below a mount or the run directory, else relative to the project, else absolute."""
        uri = self.uris.uri(path)
        relative = below(path, self.root)
        return uri if relative is None or not uri.startswith("/") else quote(relative)

    def path(self, name: str) -> Path:
        """The path of a name here.

        Raises:
            PathError: its mount is missing, or it leaves the project's folder.
        """
        if name.startswith(("/", "./")) or "://" in name:
            return self.uris.resolve(name)
        return inside(self.root, unquote(name), name)

    def working_directory(self) -> str:
        """The name of the working directory."""
        return self.name(str(Path.cwd()))


def listing(reads: Iterable[ObservedRead]) -> ReadsObserved | None:
    """The event that records a list of reads, sorted; None for an empty one."""
    rows = sorted(reads, key=lambda read: (read.kind, read.name))
    if not rows:
        return None
    content = ["consist-es reads 1", rows]
    return ReadsObserved(digest=digest_of(msgspec.json.encode(content)), reads=rows)


def as_read(found: Reads, places: ReadPlaces) -> list[ObservedRead]:
    """The reads that were observed, with portable names."""
    name = places.name
    reads = [ObservedRead(kind="file", name=name(path), digest=digest) for path, digest in found.files.items()]
    reads += [ObservedRead(kind="made", name=name(path), digest=digest) for path, digest in found.made.items()]
    reads += [
        ObservedRead(kind="folder", name=name(path), digest=row.names, without=[quote(own) for own in row.own])
        for path, row in found.folders.items()
    ]
    reads += [ObservedRead(kind="variable", name=key, digest=digest) for key, digest in found.variables.items()]
    reads += [ObservedRead(kind="module", name=name(path), digest=digest) for path, digest in found.modules.items()]
    reads += [
        ObservedRead(kind="random", name=key, digest=move.before, after=move.after)
        for key, move in found.random.items()
        if move.seeded and not move.seeded_within
    ]
    origins = {repr(origin): origin for program in found.programs for origin in program.origins}
    reads += [
        ObservedRead(
            kind="program",
            name=name(origin.path) if Path(origin.path).is_absolute() else origin.path,
            digest=origin.package,
            arguments=[name(word) if Path(word).is_absolute() else word for word in origin.arguments],
        )
        for origin in origins.values()
    ]
    if found.relative:
        reads.append(ObservedRead(kind=WORKING_DIRECTORY, name=".", digest=places.working_directory()))
    return reads


def random_states(reads: Iterable[ObservedRead]) -> dict[str, str]:
    """The states of the global random generators after a step."""
    return {read.name: read.after for read in reads if read.kind == "random" and read.after is not None}


class ReadsNow:
    """Compares recorded reads with the present; looks at each thing once."""

    def __init__(
        self, places: ReadPlaces, scope: Callable[[], Scope], hasher: Hasher, value_digest: ValueDigest
    ) -> None:
        """`scope` is only asked for where a folder was listed."""
        self._places, self._scope, self._hasher, self._value_digest = places, scope, hasher, value_digest
        self._known: dict[tuple[str | None, ...], str | None] = {}

    def problem(self, read: ObservedRead) -> str | None:
        """Description of the change, or None."""
        try:
            found = self._now(read)
        except (InputError, PathError, OSError) as error:
            return f"{_named(read)}: it cannot be compared: {error}"
        if found == read.digest or (read.kind == "made" and found is None):
            return None
        if found is None:
            return f"{_named(read)}: it does not exist any more"
        return f"{_named(read)}: {'it was not there then' if read.digest is None else _differs(read)}"

    def package(self, read: ObservedRead) -> str | None:
        """Package of a started program now; None if it is not installed, or identified by its path alone.

        Raises:
            PathError: its place is not mounted here.
        """
        if read.digest is None:
            return None
        path = str(self._places.path(read.name)) if "/" in read.name else read.name
        told = [str(self._places.path(word)) if "/" in word else word for word in read.arguments]
        return package_now(path, told)

    def _now(self, read: ObservedRead) -> str | None:
        key = (read.kind, read.name, read.digest, *read.without, *read.arguments)
        if key not in self._known:
            self._known[key] = self._look(read)
        return self._known[key]

    def _look(self, read: ObservedRead) -> str | None:
        match read.kind:
            case "file" | "made":
                return now.file_now(str(self._places.path(read.name)), read.digest, self._hasher)
            case "folder":
                listing = Listing(read.digest or "", [unquote(name) for name in read.without])
                return now.listing_now(str(self._places.path(read.name)), listing, self._scope())
            case "module":
                return now.module_now(str(self._places.path(read.name)))
            case "variable":
                return now.variable_now(read.name, self._value_digest)
            case "random":
                return now.random_now(read.name)
            case "working directory":
                return self._places.working_directory()
            case "program":
                return self.package(read)
        raise InputError(f"a read of kind {read.kind!r}, which this version of consist-es does not know")


def _named(read: ObservedRead) -> str:
    match read.kind:
        case "file" | "made":
            return f"{read.name}, which the step read without declaring it"
        case "folder":
            return f"folder {read.name}, which the step listed without declaring it"
        case "module":
            return f"{read.name}, which the step imported while it ran"
        case "variable":
            return f"environment variable {read.name}, which the step read"
        case "program":
            return f"program {' '.join((read.name, *read.arguments))}, which the step started"
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
        "program": "it has changed",
        "random": "it starts from another state",
    }.get(read.kind, "it has changed")


def warning(step: str, reads: Iterable[ObservedRead]) -> str | None:
    """The warning about undeclared files of a step, or None."""
    names = [read.name for read in reads if read.kind in ("file", "folder") and not _is_look(read)]
    if not names:
        return None
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"Step {step!r} read {', '.join(names[:_SHOWN])}{more} without declaring it. It counts: if it changes, the "
        "step runs again. Declare it with inputs={...} to have it in the lineage, or leave it out with "
        "ignore_reads=[...]."
    )


def _is_look(read: ObservedRead) -> bool:
    """True if it was only checked for existence."""
    return read.digest is None or read.digest.startswith(THERE)


_SHOWN = 5
