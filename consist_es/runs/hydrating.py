"""Puts the outputs of an earlier run somewhere: from their own places, then from recovery copies."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.placing import Placing
from consist_es.artifacts.uris import given_folder
from consist_es.checks import check_option
from consist_es.errors import ArtifactMissingError, MaterializeError, warn
from consist_es.events import ArtifactMaterialized, Draft
from consist_es.project.project import Project
from consist_es.projections import lineage
from consist_es.runs.artifacts import artifact_of_row
from consist_es.runs.recovery_results import FAILED, HYDRATED, MISSING, PRESERVED, MaterializedArtifact

ON_MISSING = ("warn", "raise")


class Hydrator(msgspec.Struct, frozen=True):
    """Puts artifacts in places. Every byte is digested, also of a file that is there already."""

    project: Project
    copier: Copier
    source_root: Path | None = None
    """A folder to look in first, laid out as an archive."""
    preserve_existing: bool = True
    """False: another file in the place is renamed first; True: it is left alone, and the artifact is not put there."""
    on_missing: str = "warn"

    def put_all(self, targets: Iterable[tuple[str, Artifact, Path]]) -> dict[str, MaterializedArtifact]:
        """Put artifacts (key, artifact, target) in place and record the copies, also if one cannot be.

        Raises:
            PathError: a target outside the run directory and the mounts; nothing was copied.
            ArtifactMissingError, MaterializeError: with `on_missing` ``raise``.
        """
        wanted = list(targets)
        for _, _, target in wanted:
            self.copier.check_place(target)
        done: dict[str, MaterializedArtifact] = {}
        events: list[ArtifactMaterialized] = []
        try:
            for key, artifact, target in wanted:
                done[key] = self._put(key, artifact, target, events)
        finally:
            if events:
                self.project.record([Draft(event) for event in events], commit=True)
        for row in done.values():
            if not row.resolvable:
                warn(f"Output {row.key!r} is not at {row.target_path}: {row.message}")
        return done

    def _put(
        self, key: str, artifact: Artifact, target: Path, events: list[ArtifactMaterialized]
    ) -> MaterializedArtifact:
        there = artifact.hash is not None and self._has(artifact, target)
        source: Path | None = None
        try:
            if not there:
                source = self._source(artifact)
                events += self._copied(artifact, source, target)
        except (ArtifactMissingError, MaterializeError) as error:
            if self.on_missing == "raise":
                raise
            return self._failed(key, artifact, target, error)
        moved = dataclasses.replace(artifact, container_uri=self.copier.uris.uri(target), root=self.copier.uris.root)
        status = PRESERVED if there else HYDRATED
        return MaterializedArtifact(moved, key, target, source, target, status, resolvable=True)

    def _failed(
        self, key: str, artifact: Artifact, target: Path, error: ArtifactMissingError | MaterializeError
    ) -> MaterializedArtifact:
        status = MISSING if isinstance(error, ArtifactMissingError) else FAILED
        path = None if os.path.lexists(target) else target
        return MaterializedArtifact(artifact, key, path, None, target, status, str(error))

    def _has(self, artifact: Artifact, place: Path, content: str | None = None) -> bool:
        """True if the artifact's bytes are there."""
        known = (None,) if content is not None else (None, recovery.UNCHECKED)
        return recovery.fault(artifact, place, self.copier.digester, content=content) in known

    def _source(self, artifact: Artifact) -> Path:
        if artifact.hash is None:
            raise ArtifactMissingError(f"Artifact {artifact.key!r} was missing when it was recorded: it has no bytes.")
        if self.source_root is not None:
            place = recovery.expected_place(artifact, self.source_root)
            if self._has(artifact, place):
                return place
        return self.copier.source_of(artifact)

    def _copied(self, artifact: Artifact, source: Path, target: Path) -> list[ArtifactMaterialized]:
        if artifact.driver != SET_DRIVER:
            return [self._copy(artifact, source, target)]
        members = lineage.find_artifacts(self.project.connection(), parent=str(artifact.id), limit=None)
        done = []
        for row in members:  # the folder may have other files, here and there
            member = artifact_of_row(row, self.copier.uris, run_id=artifact.run_id)
            rel = str(row.meta.get("member", ""))
            found = source / rel if self._has(member, source / rel) else self._source(member)
            done.append(self._copy(member, found, target / rel))
        if not self._has(artifact, target):
            raise MaterializeError(artifact.key, target, "its folder lacks some of its files. Give an empty folder")
        return done

    def _copy(self, artifact: Artifact, source: Path, target: Path) -> ArtifactMaterialized:
        if not os.path.lexists(target):
            placing = Placing(artifact, source, target, self.copier.roots, self.copier.digester)
            placing.prepare()
            placing.place(replace=False)
        return self.copier.copy(
            artifact, target, reason="hydrated", replace=not self.preserve_existing, source=source
        )  # leaves what is in place


def hydrator(
    project: Project, copier: Copier, *, source_root: object, preserve_existing: bool, on_missing: str, db_fallback: str
) -> Hydrator:
    """A hydrator with these options, checked. `db_fallback` has no effect: data is kept in files only."""
    check_option("on_missing", on_missing, ON_MISSING, optional=False)
    check_option("db_fallback", db_fallback, ("never", "if_ingested"), optional=False)
    root = None if source_root is None else given_folder(source_root, "source_root")
    return Hydrator(project, copier, root, bool(preserve_existing), on_missing)


def below(outputs: Mapping[str, Artifact], root: Path) -> list[tuple[str, Artifact, Path]]:
    """Where outputs go below a folder: as below the run directory or mount; of two for one place, one below its key.

    Raises:
        PathError: a recorded URI leads out of the folder.
    """
    found: list[tuple[str, Artifact, Path]] = []
    taken: dict[Path, str | None] = {}
    for key, artifact in outputs.items():
        place = recovery.expected_place(artifact, root)
        if taken.setdefault(place, artifact.hash) != artifact.hash:
            place = recovery.expected_place(artifact, root / key.replace("/", "_").replace("..", "_"))
        found.append((key, artifact, place))
    return found
