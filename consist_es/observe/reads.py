"""What to watch, and what was read: plain values, in and out of `Watch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from consist_es.artifacts.bundles import digest_whole
from consist_es.identity.installed.started import Origin

Hasher = Callable[[str, str], str]
"""Digest of a file or folder by a method of `digest_path`; raises OSError or InputError."""
THERE = "there:"
"""Prefix for paths that were only looked for: ``there:file`` or ``there:folder``."""


def plain_hasher(path: str, method: str) -> str:
    """Digest without a cache."""
    return digest_whole(Path(path), method=method).value


class Places(msgspec.Struct, frozen=True):
    """Which paths count. The longest of these folders around a path decides."""

    roots: tuple[str, ...] = ()
    """Absolute folders that count and are watched: the project, mounts, the current folder at the start."""
    skipped: tuple[str, ...] = ()
    """Absolute files or folders that never count: log, views (with SQLite's files beside them), lock, run folders."""
    ignored: tuple[str, ...] = ()
    """Globs from the user, for absolute paths, paths relative to a root, or names."""
    declared: tuple[str, ...] = ()
    """Declared inputs, files or folders: they count already."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Where each of them is read, staged or not, and its own place."""
    beside: Callable[[], Iterable[str]] = tuple
    """Gives the folders of other runs of this process: what is open there before the step begins is theirs."""


class Limits(msgspec.Struct, frozen=True):
    """Limits up to which content is hashed; above, sizes and times are used."""

    files: int = 1000
    size: int = 1 << 30
    """Bytes of one run."""
    share: float = 0.1
    """Part of the run's time that hashing may take."""
    speed: int = 1 << 30
    """Assumed speed of hashing, in bytes per second."""
    free: int = 64 << 20
    """Bytes that are hashed even after a very short run."""


class Listing(msgspec.Struct, frozen=True):
    """The names in a listed folder."""

    names: str
    """Digest of the names, less `own`."""
    own: list[str] = []
    """Names that the step itself made or removed; a later check leaves them out as well."""


class Program(msgspec.Struct, frozen=True):
    """A program that was started."""

    path: str
    arguments: list[str]
    inputs: list[str] = []
    """Arguments that are files or folders which count, as absolute paths."""
    origins: list[Origin] = []
    """The programs behind the command, with their versions when it was started."""


class RandomMove(msgspec.Struct, frozen=True):
    """A change of a global random generator's state by the step."""

    before: str
    """Digest of the state before the step."""
    after: str | None
    """The state after it, for `restore_random`; None if it cannot be restored."""
    seeded: bool = False
    """True if the generator was seeded in this process before the step: then `before` counts."""
    seeded_within: bool = False
    """True if the step seeded it before it drew anything: then `before` does not count."""


class Reads(msgspec.Struct, frozen=True):
    """Everything a run read that was not passed to it."""

    files: dict[str, str | None] = {}
    """Path -> digest: ``b3:`` of the content (of a store: the folder's), ``fast:`` above the limits, ``there:file`` or
    ``there:folder`` if it was only looked for, None if it was absent."""
    made: dict[str, str] = {}
    """Files that the step looked for, found absent, and then made -> their digest afterwards. A later run may find them
    absent or like this; anything else is another input. Leaves out outputs of the run."""
    folders: dict[str, Listing] = {}
    variables: dict[str, str | None] = {}
    """Environment variable -> digest of its value, None if unset. A name that ends in ``*`` stands for all variables
    with that prefix."""
    modules: dict[str, str] = {}
    """File of a first-party module loaded within -> digest of its normalised source."""
    unpickled: list[tuple[str, str]] = []
    """File and name of each class and function of the project that a pickle named."""
    programs: list[Program] = []
    random: dict[str, RandomMove] = {}
    relative: bool = False
    """True if a path was written relative to the working directory."""
    unsure: list[str] = []
    """Why the run must never be reused."""
    unseen: list[str] = []
    """Reads that could not be watched, and what to do about it."""
    watched_by: str = ""
    """Source of the reads of compiled code: ``fanotify``, ``inotify`` or ``wrappers``."""
