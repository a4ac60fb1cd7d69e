"""Gives the present values of recorded reads, for a lookup before a later run. No run needs to be open."""

from __future__ import annotations

import os
from collections.abc import Iterable

from consist_es.artifacts.digest import digest_path
from consist_es.errors import InputError
from consist_es.identity.text.source import load_source
from consist_es.observe import generators, variables
from consist_es.observe.notes import ValueDigest
from consist_es.observe.reads import THERE, Hasher, Listing, plain_hasher
from consist_es.observe.scope import Scope
from consist_es.values.digests import digest_of, method_of

UNREADABLE = "unreadable"
"""Value of a file that exists and cannot be hashed."""


def file_now(path: str, recorded: str | None, hasher: Hasher = plain_hasher) -> str | None:
    """Present value of a file or folder, of the same kind as `recorded`; None if it is absent."""
    if not os.path.lexists(path):
        return None
    if recorded is None or recorded.startswith(THERE):
        return _existence(path)
    try:
        return hasher(path, method_of(recorded))
    except (OSError, InputError):
        return UNREADABLE if os.path.exists(path) else None


def _existence(path: str) -> str | None:
    if os.path.isdir(path):
        return THERE + "folder"
    return THERE + "file" if os.path.exists(path) else None


def made_now(path: str, recorded: str, hasher: Hasher = plain_hasher) -> bool:
    """True if a file that the step made is absent again, or as the step left it."""
    return file_now(path, recorded, hasher) in (None, recorded)


def listing_now(folder: str, recorded: Listing, scope: Scope) -> str | None:
    """Digest of the folder's present names, less the step's own; None if it cannot be listed."""
    try:
        names = os.listdir(folder)
    except OSError:
        return None
    own = set(recorded.own)
    return names_digest(name for name in names if name not in own and scope.counts(os.path.join(folder, name)))


def names_digest(names: Iterable[str]) -> str:
    """Digest of the names in a folder."""
    text = b"".join(b"%d:%s" % (len(raw), raw) for raw in sorted(map(os.fsencode, names)))
    return digest_of(text, 16)


def variable_now(name: str, digest: ValueDigest) -> str | None:
    """Present digest of a variable, or for ``NAME*`` of all variables with that prefix."""
    if name.endswith("*"):
        return digest(name, variables.beginning_with(name[:-1], variables.all_now()))
    return digest(name, os.environ.get(name))


def module_now(file: str) -> str | None:
    """Digest of a module's normalised source: neither comments nor formatting count. None if it is gone.

    For a compiled module, digest of the file; for one in an archive, of the archive.
    """
    if file.endswith(".py") and os.path.exists(file):
        source = load_source(file)
        if source is not None:
            return source.digest
    place = file
    while not os.path.exists(place):
        place, last = os.path.dirname(place), place
        if place == last:
            return None
    try:
        return digest_path(place).value if os.path.isfile(place) else None
    except InputError:
        return None


def random_now(name: str) -> str | None:
    """Present digest of a generator's state; None if it is not loaded."""
    state = generators.state_of(name)
    return None if state is None else state.digest()
