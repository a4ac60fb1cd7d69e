"""The recovery copies of a project, for its artifacts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.elsewhere import Elsewhere, FoundCopy, RecoveryCopy
from consist_es.artifacts.uris import UriMap
from consist_es.errors import PathError
from consist_es.events import CopyRecorded
from consist_es.projections import copies, keeping

if TYPE_CHECKING:
    from consist_es.project.project import Project


class Trusted(Protocol):
    """Says which writers are trusted."""

    def admits(self, conn: sqlite3.Connection, writer: str) -> bool: ...


class KnownCopies(Elsewhere):
    """Looks copies up in a project's views. With `trust`, those that others recorded do not count."""

    def __init__(self, project: Project, digester: Digester, trust: Trusted | None = None) -> None:
        self._project, self._digester, self._trust = project, digester, trust
        self._uris: UriMap | None = None

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return _nothing, ()  # in another process, an artifact is a description with its own place

    def at(self, uris: UriMap) -> UriMap:
        """The roots, which ask this object about copies."""
        self._uris = UriMap(run_dir=uris.run_dir, mounts=uris.mounts, elsewhere=self)
        return self._uris

    @property
    def _roots(self) -> UriMap:
        if self._uris is None:
            raise RuntimeError("at() was not called")  # a bug of ours
        return self._uris

    def of(self, artifact: Artifact) -> list[RecoveryCopy]:
        """The copies made of the artifact itself."""
        return copies.of_artifacts(self._project.connection(), [str(artifact.id)])

    def look(self, artifact: Artifact, *, fresh: bool = False) -> FoundCopy:
        from consist_es.artifacts.recovery import look  # few processes look for copies

        conn = self._project.connection()
        found = copies.with_bytes_of(conn, str(artifact.id), artifact.hash)
        if (trust := self._trust) is not None:
            found = [copy for copy in found if trust.admits(conn, copy.writer)]
        return look(found, artifact, self._roots, self._digester, fresh=fresh)

    def evicted(self, artifact: Artifact) -> str | None:
        found = keeping.evicted(self._project.connection(), [str(artifact.id)]).get(str(artifact.id))
        return None if found is None else found.day

    def roots(self, artifact: Artifact) -> Sequence[str]:
        found: dict[str, None] = {}
        for copy in self.of(artifact):
            with suppress(PathError):  # of a mount that is not here
                if copy.recovery_root:
                    found[str(self._roots.resolve(copy.recovery_root, run_dir=copy.root or None))] = None
        return list(found)

    def places(self, artifact: Artifact) -> Sequence[Path]:
        from consist_es.artifacts.recovery import places_of

        found: list[Path] = []
        for copy in self.of(artifact):
            with suppress(PathError):
                found += places_of(copy, self._roots)
        return found


def claimed(artifact: Artifact, roots: Sequence[object], uris: UriMap) -> Sequence[CopyRecorded]:
    """Events that name folders below which copies of an artifact are to be looked for; none if it was missing."""
    if not roots or artifact.hash is None:
        return ()
    from consist_es.runs.archiving import claims  # few steps name any

    return claims(artifact, roots, uris)


def _nothing() -> None:
    """Give what an unpickled artifact knows of copies."""
