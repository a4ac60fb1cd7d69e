"""Artifacts from rows of the views."""

from __future__ import annotations

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import artifact_of
from consist_es.artifacts.uris import UriMap
from consist_es.projections.lineage import ArtifactRow
from consist_es.runs.run import moment_of


def artifact_of_row(row: ArtifactRow, uris: UriMap | None, *, run_id: str | None) -> Artifact:
    """The artifact of a row of the artifacts table; without `uris` it has no path, only its description."""
    return artifact_of(row, uris, row.artifact_id, row.parent_id, row.producer_key, run_id, moment_of(row.created_at))
