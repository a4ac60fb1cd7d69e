"""Turns files into artifacts: digests, describes and records them, and restores them from a row."""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.bundles import digest_members, digest_whole
from consist_es.artifacts.digest import Digest
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.artifacts.formats import driver_of
from consist_es.artifacts.tables import TableInfo, describe_table
from consist_es.artifacts.uris import UriMap
from consist_es.errors import ConsistWarning, InputError, PathError
from consist_es.events import ArtifactLogged
from consist_es.values.arrays import listed
from consist_es.values.digests import method_of
from consist_es.values.plain import from_plain, to_plain

SET_DRIVER = "artifact_set"
"""Driver of a folder of which only some files are recorded; its metadata names them."""
_SHOWN = 10
"""Most links to name."""
_TOLD: set[str] = set()
"""Notes on links that the user was already warned of."""


class ArtifactNotes(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's facts about an artifact, besides path and key."""

    driver: str | None = None
    table_path: str | None = None
    array_path: str | None = None
    parent: str | None = None
    facet: Any = None
    facet_schema_version: str | int | None = None
    meta: Mapping[str, Any] = {}
    claim: Any = None
    """The `Claim` of a digest that the caller makes; None if it makes none."""
    recovery_roots: Sequence[Any] = ()
    """Folders below which copies of it are to be looked for."""
    digest: Digest | None = None
    """The digest of the file, if it was taken a moment ago for another artifact in the same file."""


def notes_again(artifact: Artifact, renewed: Mapping[str, str]) -> ArtifactNotes:
    """What was said of an artifact whose file changed since; `renewed`: id of a container -> its id now."""
    meta, parent = dict(artifact.meta), artifact.parent_artifact_id
    if "parent_id" in meta:
        meta["parent_id"] = renewed.get(str(meta["parent_id"]), meta["parent_id"])
    return ArtifactNotes(
        driver=artifact.driver,
        table_path=artifact.table_path,
        array_path=artifact.array_path,
        parent=None if parent is None else renewed.get(str(parent), str(parent)),
        facet=artifact.facet,
        meta=meta,
    )


class Digester(msgspec.Struct, frozen=True):
    """Digests by one method, with one cache."""

    method: str
    cache: DigestCache | None

    def digest(self, path: Path, *, method: str | None = None, fresh: bool = False, at_once: bool = False) -> Digest:
        """The present digest of a file or folder; `fresh` reads the bytes even if nothing seems to have changed.

        `at_once` proves that a folder had all of it at one moment, for what is recorded; see `digest_path`.

        A file that keeps part of its data in others, see `bundle_members`, has one digest over all of them.

        Raises:
            InputError: it cannot be read, or a shapefile lacks its .shx or .dbf file.
        """
        cache = None if fresh else self.cache
        return digest_whole(path, method=method or self.method, cache=cache, at_once=at_once)

    def digest_as(self, artifact: Artifact, path: Path, *, fresh: bool = False) -> Digest:
        """The present digest at `path`, by the artifact's method; for a set, of its members alone.

        Raises:
            InputError, PathError: it cannot be read.
        """
        method = method_of(artifact.hash or "")
        members = artifact.meta.get("members") if artifact.driver == SET_DRIVER else None
        if isinstance(members, Mapping):
            with suppress(InputError, PathError):
                found = digest_members(path, members, method, None if fresh else self.cache)
                if found.value == artifact.hash:
                    return found  # else the set may have been recorded when its whole folder counted
        return self.digest(path, method=method, fresh=fresh)


def describe(
    path: Path,
    *,
    key: str,
    direction: str,
    uris: UriMap,
    digester: Digester,
    producer: str | None = None,
    role: str | None = None,
    notes: ArtifactNotes | None = None,
) -> ArtifactLogged:
    """The event that records the file or folder at `path`; ``missing`` if there is nothing.

    Raises:
        InputError: it exists and cannot be read. ContentHashError: it is not what the caller claims.
    """
    notes = notes or ArtifactNotes()
    there = os.path.lexists(path)
    driver = notes.driver or driver_of(path, folder=path.is_dir())
    digest = (notes.digest or _digest(path, driver, notes, digester)) if there else None
    if digest is not None:
        warn_of_links(f"{direction} {key!r}", digest)
    table = describe_table(path, driver, notes.table_path) if there else TableInfo()
    version = notes.facet_schema_version
    meta = {name: listed(value) for name, value in notes.meta.items()}
    if notes.claim is not None:
        meta |= notes.claim.compared(key, path, digest.value if digest else None)
    return ArtifactLogged(
        artifact=str(uuid.uuid4()),
        key=key,
        direction=direction,
        uri=uris.uri(path),
        root=uris.root,
        kind=digest.kind if digest else "missing",
        driver=driver,
        digest=digest.value if digest else None,
        digest_method=digest.method if digest else digester.method,
        size=digest.size if digest else None,
        mtime_ns=digest.mtime_ns if digest else None,
        producer=producer,
        role=role,
        table_path=notes.table_path,
        array_path=notes.array_path,
        parent=notes.parent,
        schema=table.schema,
        rows=table.rows,
        facet=None if notes.facet is None else to_plain(notes.facet, f"facet of {key!r}"),
        facet_schema_version=None if version is None else str(version),
        meta=to_plain(meta, f"metadata of {key!r}"),
        notes=_first(digest.notes) if digest else [],
    )


def _digest(path: Path, driver: str, notes: ArtifactNotes, digester: Digester) -> Digest:
    members = notes.meta.get("members")
    if driver == SET_DRIVER and isinstance(members, Mapping):
        return digest_members(path, members, digester.method, digester.cache)
    return digester.digest(path, at_once=True)


def warn_of_links(what: str, digest: Digest) -> None:
    """Warn of dangling links in a folder, once per link in this process."""
    new = [note for note in digest.notes if note not in _TOLD]
    _TOLD.update(new)
    if new:
        warnings.warn(
            f"{what} holds links that lead nowhere, which count by their text alone: {'; '.join(_first(new))}. "
            "Restore what they lead to, or remove them.",
            ConsistWarning,
            stacklevel=3,
        )


def _first(notes: Sequence[str]) -> list[str]:
    more = [f"and {len(notes) - _SHOWN} more"] if len(notes) > _SHOWN else []
    return [*notes[:_SHOWN], *more]


def same_artifact(event: ArtifactLogged, artifact: Artifact) -> ArtifactLogged:
    """The event of a file that holds what an artifact was recorded for: it is that artifact."""
    parent = artifact.parent_artifact_id
    return msgspec.structs.replace(
        event,
        artifact=str(artifact.id),
        producer=artifact.producer,
        driver=artifact.driver,
        parent=str(parent) if parent else None,
    )


def artifact_of_event(event: ArtifactLogged, uris: UriMap, *, run_id: str | None) -> Artifact:
    """The artifact that a fresh event records; `run_id` is the readable id of its producer.

    Its creation time is now; the log adds its own time a moment later.
    """
    return artifact_of(event, uris, event.artifact, event.parent, event.producer, run_id, datetime.now(UTC))


def artifact_of(
    source: Any,
    uris: UriMap | None,
    artifact_id: str,
    parent: str | None,
    producer: str | None,
    run_id: str | None,
    created: datetime | None,
) -> Artifact:
    return Artifact(
        id=_uuid(artifact_id),
        key=source.key,
        container_uri=source.uri,
        driver=source.driver,
        hash=source.digest,
        kind=source.kind,
        size=source.size,
        mtime_ns=source.mtime_ns,
        run_id=run_id,
        producer=producer,
        table_path=source.table_path,
        array_path=source.array_path,
        parent_artifact_id=_uuid(parent) if parent else None,
        schema=source.schema,
        rows=source.rows,
        facet=from_plain(source.facet),
        meta=from_plain(source.meta),
        created_at=created,
        uris=uris,
        root=source.root or None,
    )


def _uuid(text: str) -> uuid.UUID:
    """A recorded id; if it is not a UUID (not written by us), one made from the text."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, text)
