"""What is to be watched, and what was read: plain values, in and out of `Watch`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from consist_es.artifacts.bundles import digest_whole
from consist_es.identity.installed.started import Origin

Hasher = Callable[[str, str], str]
"""Digest of a file or folder by a method of `digest_path`; raises OSError or InputError."""
THERE = "there:"
"""Begins the recorded value of a path that was only looked for: ``there:file`` or ``there:folder``."""


def plain_hasher(path: str, method: str) -> str:
    """Digest without a cache."""
    return digest_whole(Path(path), method=method).value


class Places(msgspec.Struct, frozen=True):
    """Which paths count. The longest of these folders that a path lies in decides."""

    roots: tuple[str, ...] = ()
    """Absolute folders that count and are watched: the project, mounts, the current folder at the start."""
    skipped: tuple[str, ...] = ()
    """Absolute files or folders that never count: log, views (with what SQLite keeps beside), lock, run folders."""
    ignored: tuple[str, ...] = ()
    """Globs of the user, for absolute paths, paths relative to a root, or names."""
    declared: tuple[str, ...] = ()
    """Declared inputs, files or folders: they count already."""


class Limits(msgspec.Struct, frozen=True):
    """Up to where content is hashed; above, sizes and times stand for it."""

    files: int = 1000
    size: int = 1 << 30
    """Bytes of one run."""
    share: float = 0.1
    """Part of the run's time that hashing may take."""
    speed: int = 1 << 30
    """Bytes a second that hashing is taken to manage."""
    free: int = 64 << 20
    """Bytes that are hashed however short the run was."""


class Listing(msgspec.Struct, frozen=True):
    """The names in a folder that was listed."""

    names: str
    """Digest of the names, less `own`."""
    own: list[str] = []
    """Names that the step itself made or removed; they are left out later as well."""


class Program(msgspec.Struct, frozen=True):
    """A program that was started."""

    path: str
    arguments: list[str]
    inputs: list[str] = []
    """Arguments that are files or folders which count, as absolute paths."""
    origins: list[Origin] = []
    """The programs behind the command, with the versions that they had when it was started."""


class RandomMove(msgspec.Struct, frozen=True):
    """A global random generator whose state the step changed."""

    before: str
    """Digest of the state that the step started from."""
    after: str | None
    """The state that it left, for `restore_random`; None if it cannot be put back."""
    seeded: bool = False
    """True if somebody seeded the generator in this process before the step: then `before` counts."""
    seeded_within: bool = False
    """True if the step seeded it before it drew anything: then `before` does not count."""


class Reads(msgspec.Struct, frozen=True):
    """What a run read without being given it."""

    files: dict[str, str | None] = {}
    """Path -> digest: ``b3:`` of the content (of a store: the folder's), ``fast:`` above the limits, ``there:file`` or
    ``there:folder`` if it was only looked for, None if it was absent."""
    made: dict[str, str] = {}
    """Files that were looked for, were absent, and were then made by the step: what it left. A later run may find
    them absent or like this; anything else is another input. Outputs of the run are not among them."""
    folders: dict[str, Listing] = {}
    variables: dict[str, str | None] = {}
    """Environment variable -> digest of its value, None if unset. A name that ends in ``*`` stands for all variables
    that begin so."""
    modules: dict[str, str] = {}
    """File of a first-party module that was loaded within -> digest of its normalised source."""
    programs: list[Program] = []
    random: dict[str, RandomMove] = {}
    relative: bool = False
    """True if a path was asked for relative to the working directory."""
    unsure: list[str] = []
    """Why the run must never answer for another one."""
    unseen: list[str] = []
    """What could not be watched, and what to do about it."""
    watched_by: str = ""
    """What saw the reads of compiled code: ``fanotify``, ``inotify`` or ``wrappers``."""
