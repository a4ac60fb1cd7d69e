"""Digests files that keep part of their data in others: shapefiles, and databases with a journal."""

import os
from collections.abc import Iterable
from pathlib import Path

from blake3 import blake3

from consist_es.artifacts.digest import Digest, digest_path
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.artifacts.formats import bundle_members, member_suffix, missing_sidecars
from consist_es.artifacts.uris import inside
from consist_es.errors import InputError


def digest_whole(path: Path, *, method: str = "full", cache: DigestCache | None = None, at_once: bool = True) -> Digest:
    """Digest of a file or folder as by `digest_path`; for a bundle, one digest over all of its files.

    Raises:
        InputError: it cannot be read, or a shapefile lacks its .shx or .dbf file.
    """
    members = _members(path)
    if len(members) == 1:
        return digest_path(path, method=method, cache=cache, at_once=at_once)
    return _digest_bundle(path, members, method, cache)


def _members(path: Path) -> list[Path]:
    try:
        missing, members = missing_sidecars(path), bundle_members(path)
    except OSError as error:
        raise InputError(
            f"Cannot hash {path}: the files beside it cannot be listed: {error}. Check the folder and its permissions."
        ) from error
    if missing:
        raise InputError(f"{path} is incomplete: beside it there is no {' and no '.join(missing)} file. Add it.")
    return members


def _digest_bundle(path: Path, members: list[Path], method: str, cache: DigestCache | None) -> Digest:
    """BLAKE3 in key derivation mode over suffix and digest of each member; the bundle's own name does not count."""
    found = [(member_suffix(path, member), digest_path(member, method=method, cache=cache)) for member in members]
    parts = sorted(found, key=lambda part: (part[0], part[1].value))
    if _members(path) != members:
        raise InputError(
            f"Cannot hash {path}: files beside it were added or removed. Run again once nothing writes to it."
        )
    hasher = blake3(derive_key_context=f"consist-es bundle digest 1 {method}")
    for suffix, part in parts:
        hasher.update(b"%d:%s%d:%s" % (len(suffix), suffix.encode(), len(part.value), part.value.encode()))
    return Digest(
        value=f"{'b3' if method == 'full' else 'fast'}:{hasher.hexdigest()}",
        kind="file",
        method=method,
        size=sum(part.size for _, part in parts),
        mtime_ns=max(part.mtime_ns for _, part in parts),
        files=len(parts),
    )


def digest_members(folder: Path, members: Iterable[str], method: str, cache: DigestCache | None) -> Digest:
    """The digest of some files below a folder, by their relative paths; nothing else in it counts.

    Raises:
        InputError: one is missing, or cannot be read. PathError: one leads out of the folder.
    """
    found = [(rel, digest_path(inside(folder, rel, rel), method=method, cache=cache)) for rel in sorted(members)]
    hasher = blake3(derive_key_context=f"consist-es set digest 1 {method}")
    for rel, part in found:
        name = os.fsencode(rel)
        hasher.update(b"%d:%s%d:%s" % (len(name), name, len(part.value), part.value.encode()))
    return Digest(
        value=f"{'b3' if method == 'full' else 'fast'}:{hasher.hexdigest()}",
        kind="folder",
        method=method,
        size=sum(part.size for _, part in found),
        mtime_ns=max((part.mtime_ns for _, part in found), default=0),
        files=len(found),
    )
