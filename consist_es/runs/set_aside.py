"""Keeps what lies in a place before another version is put there."""

from __future__ import annotations

import uuid
from pathlib import Path

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.placing import Placing, tidy
from consist_es.errors import warn
from consist_es.events import CopyRecorded, Draft
from consist_es.project.project import Project
from consist_es.projections import lineage, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.runs.artifacts import artifact_of_row
from consist_es.values.digests import method_of

FOLDER = "set_aside"
"""Folder of the run directory for versions that others replaced."""


def keep(place: Path, uri: str, project: Project, copier: Copier) -> None:
    """Copy what lies at `place` to the run directory, unless a verified recovery copy has it.

    If it is the recorded version of a file, the copy is recorded; else a warning names it.

    Raises:
        MaterializeError: it cannot be copied. InputError: it cannot be read.
    """
    conn = project.connection()
    known = _recorded(place, lineage.by_uri(conn, uri), copier)
    if known is not None and copier.uris.elsewhere is not None and copier.uris.elsewhere.look(known).path is not None:
        return
    digest = copier.digester.digest(place, method="full").value
    nobody = uuid.UUID(int=0)
    artifact = known or Artifact(id=nobody, key=place.name, container_uri=uri, driver="unknown", hash=digest)
    content = recovery.content_of(artifact, place, copier.digester)
    store = Path(copier.uris.run_dir) / FOLDER / digest.partition(":")[2][:32]
    target = store / place.name
    if recovery.fault(artifact, target, copier.digester, content=content) is not None:
        placing = Placing(artifact, place, target, (copier.uris.run_dir,), copier.digester)
        placing.prepare(content=content)
        placing.place(replace=True)
    tidy(store)
    if known is None:
        warn(f"{place} was changed by hand or by another program: that version is kept as {target}.")
        return
    row = None if known.producer is None else run_table.by_key(conn, known.producer)
    event = CopyRecorded(
        artifact=str(known.id),
        key=known.key,
        uri=copier.uris.uri(target),
        root=copier.uris.root,
        digest=known.hash or "",
        content=content,
        how="set_aside",
    )
    draft = Draft(event, scenario=None if row is None else row.scenario_key, run=None if row is None else row.key)
    project.record([draft], commit=True)


def _recorded(place: Path, rows: list[ArtifactRow], copier: Copier) -> Artifact | None:
    """The newest artifact that was recorded with these bytes here."""
    now: dict[str, str] = {}
    for row in rows:
        if row.digest is None or row.driver == SET_DRIVER:
            continue
        method = method_of(row.digest)
        if method not in now:
            now[method] = copier.digester.digest(place, method=method).value
        if now[method] == row.digest:
            return artifact_of_row(row, copier.uris, run_id=None)
    return None
