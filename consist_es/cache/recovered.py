"""Lets recovery copies stand in for outputs of an earlier run whose own files are gone or changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.elsewhere import FoundCopy
from consist_es.artifacts.uris import UriMap
from consist_es.cache.verdict import Miss, evicted, invalid
from consist_es.errors import PathError


class Recovered(msgspec.Struct, frozen=True):
    """An output whose own file fails, and the copy that has its bytes."""

    own: Artifact
    """As it was recorded."""
    there: Artifact | None
    """The same at its copy; None for a set of files without one."""
    copy: Path | None
    by_members: bool = False
    """True for a set of files that is whole again once its members are."""

    @property
    def own_place(self) -> Path | None:
        """Where it is put back; None if its mount is not here."""
        try:
            return self.own.own_places[0]
        except PathError:
            return None


Again = Callable[[Sequence[str], Mapping[str, Artifact]], Miss | None]
"""`consist_es.cache.lookup.refusal` of some of a candidate's outputs."""


def from_copies(
    problem: Miss, outputs: Mapping[str, Artifact], again: Again, uris: UriMap, *, fresh: bool
) -> tuple[Miss | None, dict[str, Recovered]]:
    """The recovery copies that make up for a miss on a run's outputs, or why it is refused all the same."""
    found, left = _stand_ins(problem.details["outputs"], outputs, uris, fresh=fresh)
    whole = {key: item for key, item in outputs.items() if key not in found}
    if left and (days := _days(left, outputs, uris)).keys() == left.keys():
        return evicted(problem.nearest or "", days), found
    return invalid(problem.nearest or "", left) if left else again([], whole), found


def _days(keys: Iterable[str], outputs: Mapping[str, Artifact], uris: UriMap) -> dict[str, str]:
    """Key -> the day of its eviction, for those that were evicted and are not there."""
    days: dict[str, str] = {}
    for key in keys:
        day = None if uris.elsewhere is None else uris.elsewhere.evicted(outputs[key])
        with suppress(PathError):
            if day is not None and not os.path.lexists(outputs[key].own_path):
                days[key] = day
    return days


def at_copies(recovered: Mapping[str, Recovered], outputs: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """The outputs, those that were recovered at their copies."""
    there = {item.own.id: item.there for item in recovered.values() if item.there is not None}
    return {key: there.get(artifact.id, artifact) for key, artifact in outputs.items()}


def _stand_ins(
    bad: Mapping[str, str], outputs: Mapping[str, Artifact], uris: UriMap, *, fresh: bool
) -> tuple[dict[str, Recovered], dict[str, str]]:
    """For outputs with a fault (key -> fault): the copies that stand in, and the faults of those without one."""
    if uris.elsewhere is None:
        return {}, dict(bad)
    found: dict[str, Recovered] = {}
    left: dict[str, str] = {}
    for key, said in bad.items():
        artifact = outputs[key]
        copy = uris.elsewhere.look(artifact, fresh=fresh)
        if copy.path is not None:
            found[key] = Recovered(artifact, _at(artifact, copy), copy.path)
        else:
            left[key] = "; ".join((said, *copy.faults))
    for key, artifact in ((key, outputs[key]) for key in bad if outputs[key].driver == SET_DRIVER):
        members = [name for name, item in outputs.items() if item.parent_artifact_id == artifact.id]
        if members and not any(name in left for name in members):
            at_copy = found.get(key) or Recovered(artifact, None, None)
            found[key] = msgspec.structs.replace(at_copy, by_members=True)
            left.pop(key, None)
    return found, left


def _at(artifact: Artifact, copy: FoundCopy) -> Artifact:
    return dataclasses.replace(artifact, container_uri=copy.uri, root=copy.root)
