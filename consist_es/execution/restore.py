"""Puts outputs of a hit back in their own places, from recovery copies.

After a hit the files are as the step would have left them. Another version that lies in such a place is kept first, if
no verified copy has it already. The copies are made and checked before the hit is recorded, and renamed to their places
after that: a run that writes to such a place meanwhile finds this one in the log.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.placing import Placing
from consist_es.artifacts.uris import overlap, real_path
from consist_es.cache.lookup import INVALID, Hit, Miss
from consist_es.cache.recovered import Recovered
from consist_es.errors import InputError, MaterializeError, PathError, warn
from consist_es.events import ArtifactMaterialized, Draft
from consist_es.execution.contested import Rival
from consist_es.execution.settings import Settings
from consist_es.project.project import Project
from consist_es.projections import lineage, run_table
from consist_es.runs.set_aside import keep

RESTORED = "restored"
"""Reason in `ArtifactMaterialized` of a file that was put back."""


class Restoring:
    """Copies that are ready to be put in place, by output key."""

    def __init__(self, project: Project, copier: Copier) -> None:
        self._project, self._copier = project, copier
        self.placings: dict[str, Placing] = {}
        self.events: list[ArtifactMaterialized] = []

    @property
    def targets(self) -> dict[str, Path]:
        """Output key -> the place that it will have its bytes in."""
        return {key: placing.target for key, placing in self.placings.items()}

    def of(self, hit: Hit | None) -> Restoring | None:
        """Itself if there is something to put in place; dropped if the hit has become a miss since."""
        if hit is None:
            self.drop()
        return self if self.placings else None

    def place(self, own: str, since: int) -> None:
        """Put them in place, now that the log says so, for the run `own`; `since`: how far its look-up had read.

        Raises:
            MaterializeError, PathError: one cannot be; the others are dropped.
        """
        try:
            for placing in self.placings.values():
                placing.place(replace=True)
            if doubts := self._doubts(own, since):
                self._project.record(doubts)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove those that are not in place."""
        for placing in self.placings.values():
            placing.drop()
        self.placings, self.events = {}, []

    def _doubts(self, own: str, since: int) -> list[Draft]:
        """Events that make runs not reusable which recorded such a place as theirs since the look-up: whose bytes they
        digested is unknown."""
        conn, places = self._project.connection(), {key: real_path(path) for key, path in self.targets.items()}
        found: dict[str, Rival] = {}
        for run, uri, root, _driver in lineage.places_since(conn, since):
            try:
                there = real_path(self._copier.uris.resolve(uri, run_dir=root or None))
            except PathError:  # of a mount that only the other tracker has
                continue
            hit = {key: self.targets[key] for key, place in places.items() if overlap(place, there)}
            if run != own and hit and (row := run_table.by_key(conn, run)) is not None:
                found[run] = Rival(row, hit, recorded=True)
        return [draft for rival in found.values() for draft in rival.doubt(own)]


def prepare(hit: Hit, settings: Settings, *, leave: bool) -> tuple[Hit | Miss, Restoring]:
    """Make the copies. Gives the hit with all outputs in their own places, as they will be, and the copies.

    `leave`: put nothing back, as ``cache_hydration="metadata"`` asks for: the outputs are given at their copies. So is
    one that can not be put back, if nothing lies in its place; else the hit does not count.
    """
    copier = Copier(settings.uris, settings.digester, settings.allow_external_paths)
    ready = Restoring(settings.project, copier)
    at_copy: set[str] = set()
    problem: str | None = None
    for key, item in hit.recovered.items():
        if item.by_members and not (leave and item.there is not None):
            continue
        taken = item.own_place is not None and os.path.lexists(item.own_place)
        if leave and taken:
            there = f"{item.own_place} has another version"
            warn(f"Output {key!r} is at {item.copy}: {there}. Use the artifact, not its old path.")
        try:
            if not leave:
                target = copier.uris.resolve(item.own.container_uri)
                ready.placings[key] = _made(item, target, copier, settings.project)
                ready.events.append(_event(item, target, copier))
                continue
        except (MaterializeError, PathError, InputError) as error:
            if taken:
                problem = f"output {key!r} has a copy, {item.copy}, that cannot be put back: {error}"
                break
            warn(f"Output {key!r} stays at its copy, {item.copy}: {error}")
        at_copy.add(key)
    if problem := problem or _torn_set(hit, at_copy):
        ready.drop()
        return Miss(INVALID, hit.source, [problem]), ready
    sets = {key for key, item in hit.recovered.items() if item.by_members} - at_copy
    return _in_place(hit, sets | set(ready.placings)), ready


def _made(item: Recovered, target: Path, copier: Copier, project: Project) -> Placing:
    """A copy, ready to be put in place; what lies there is kept."""
    copier.check_place(target)
    if item.own.driver == SET_DRIVER and os.path.lexists(target):
        raise MaterializeError(item.own.key, target, "its folder may have other files: archive its files too")
    source = item.copy or target
    placing = Placing(item.own, source, target, copier.roots, copier.digester)
    placing.prepare()
    try:
        if os.path.lexists(target):
            keep(target, item.own.container_uri, project, copier)
    except BaseException:
        placing.drop()
        raise
    return placing


def _event(item: Recovered, target: Path, copier: Copier) -> ArtifactMaterialized:
    own = item.own
    return ArtifactMaterialized(
        artifact=str(own.id),
        key=own.key,
        uri=copier.uris.uri(target),
        root=copier.uris.root,
        source_uri=copier.uris.uri(item.copy or target),
        digest=own.hash or "",
        reason=RESTORED,
    )


def _torn_set(hit: Hit, at_copy: set[str]) -> str | None:
    """Why a set of files will not be whole: one of its members stays at its copy."""
    for key, item in hit.recovered.items():
        if item.by_members and key not in at_copy and (torn := sorted(at_copy & _members(hit, item.own))):
            return f"output {key!r} is a set of files, and {torn[0]!r} of them is not in its place"
    return None


def _members(hit: Hit, whole: Artifact) -> set[str]:
    return {key for key, item in hit.recovered.items() if item.own.parent_artifact_id == whole.id}


def _in_place(hit: Hit, keys: set[str]) -> Hit:
    own = {item.own.id: item.own for key, item in hit.recovered.items() if key in keys}
    outputs, every = (
        {key: own.get(item.id, item) for key, item in each.items()} for each in (hit.outputs, hit.all_outputs)
    )
    return msgspec.structs.replace(hit, outputs=outputs, all_outputs=every)
