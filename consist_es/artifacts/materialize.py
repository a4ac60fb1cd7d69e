"""Makes verified copies of artifacts, never outside the places that may be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.copies import copy_path, held, root_of
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.elsewhere import what_to_do
from consist_es.artifacts.formats import bundle_members, member_suffix
from consist_es.artifacts.uris import UriMap, below, inside, require_path
from consist_es.errors import ArtifactMissingError, InputError, MaterializeError, PathError
from consist_es.events import ArtifactMaterialized
from consist_es.system.with_block import WithBlock


class Copier(msgspec.Struct, frozen=True):
    """Makes verified copies, within the places it may write to."""

    uris: UriMap
    digester: Digester
    allow_external: bool = False

    def check_place(self, target: Path) -> None:
        """Refuse a target outside the run directory and the mounts, also by way of a link.

        Raises:
            PathError: names the ways to allow it.
        """
        require_path(str(target), "a target")
        if root_of(target, self.roots) is None:
            raise PathError(
                f"{target} lies outside the run directory ({self.uris.run_dir}) and the mounts. "
                "Copy below them, or open the tracker with allow_external_paths=True."
            )

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders that it may write to."""
        return (os.sep,) if self.allow_external else (self.uris.run_dir, *self.uris.mounts.values())

    def copy(
        self, artifact: Artifact, target: Path, *, reason: str, replace: bool = False, source: Path | None = None
    ) -> ArtifactMaterialized:
        """Copy the artifact's bytes to `target`, checked against its digest; returns the event to record. `source`: the
        place to take them from, if not `source_of`.

        The same bytes at the target are left alone. Other bytes are refused, or with `replace` renamed first. The copy
        is made in a folder beside the target and renamed: it never shows half-written. All of it happens in the checked
        folder, even if somebody swaps it for a link meanwhile.

        Raises:
            MaterializeError: other bytes at the target, or the source differs from its record.
            ArtifactMissingError: the source is gone. PathError: the target lies outside.
        """
        self.check_place(target)
        source = source or self.source_of(artifact)
        try:
            with held(target.parent, self.roots) as folder:
                self._place(artifact, source, target, folder / target.name, replace)
        except OSError as error:
            raise MaterializeError(artifact.key, target, error.strerror or str(error)) from error
        return self._event(artifact, source, target, reason)

    def _place(self, artifact: Artifact, source: Path, target: Path, place: Path, replace: bool) -> None:
        """Copy the bytes to `place`: the target, reached through its open folder."""
        if os.path.lexists(place):
            if self._digest(target, artifact) == artifact.hash:
                return
            if not replace:
                raise MaterializeError(
                    artifact.key,
                    target,
                    "another file is there already, and was left alone. Move it away, or give another target",
                )
            for member in bundle_members(place):
                member.rename(_free_name(member, "replaced"))
        with _Room(_free_name(place, "part")) as room:
            for member in bundle_members(source):
                copy_path(member, room / _renamed(member, source, place))
            if self._digest(room / place.name, artifact) != artifact.hash:
                raise MaterializeError(
                    artifact.key,
                    target,
                    f"{source} has changed since it was recorded. Restore it, or run its step again",
                )
            for member in sorted(room.iterdir(), key=lambda path: path.name == place.name):  # the main file last
                member.replace(place.with_name(member.name))

    def obstacle(self, artifact: Artifact, target: Path, placed: str | None = None) -> str | None:
        """Why `copy` would refuse now, or None. `placed`: digest of the content that the target will have by then."""
        try:
            self.source_of(artifact)
        except ArtifactMissingError as error:
            return str(error)
        found = placed
        if placed is None and os.path.lexists(target):
            found = self._digest(target, artifact) or "unreadable"
        if found is None or found == artifact.hash:
            return None
        return str(
            MaterializeError(
                artifact.key,
                target,
                "another file is there already, and would be left alone. Move it away, or give another target",
            )
        )

    def source_of(self, artifact: Artifact) -> Path:
        """The first place that holds the artifact's recorded bytes: its own, then recovery copies.

        Raises:
            ArtifactMissingError: there is none.
        """
        for place in artifact.own_places:
            if os.path.lexists(place) and self._digest(place, artifact) == artifact.hash:
                return place
        if self.uris.elsewhere is not None and (copy := self.uris.elsewhere.look(artifact).path) is not None:
            return copy
        tried = ", ".join(str(place) for place in artifact.locations)
        raise ArtifactMissingError(
            f"The recorded content of artifact {artifact.key!r} was not found (looked at {tried}). "
            f"{what_to_do(artifact, self.uris)}"
        )

    def _digest(self, path: Path, artifact: Artifact) -> str | None:
        try:
            return self.digester.digest_as(artifact, path).value
        except InputError:
            return None

    def _event(self, artifact: Artifact, source: Path, target: Path, reason: str) -> ArtifactMaterialized:
        return ArtifactMaterialized(
            artifact=str(artifact.id),
            key=artifact.key,
            uri=self.uris.uri(target),
            root=self.uris.root,
            source_uri=self.uris.uri(source),
            digest=artifact.hash or "",
            reason=reason,
        )


class _Room(WithBlock[Path]):
    """A private folder for a copy that is not checked yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _begin(self) -> Path:
        self._path.mkdir(mode=0o700)
        return self._path

    def _end(self, error: BaseException | None) -> None:
        shutil.rmtree(self._path, ignore_errors=True)


def layout(artifacts: Iterable[tuple[str, Artifact]], old_folder: Path, new_folder: Path) -> dict[str, Path]:
    """Key -> place below `new_folder`, keeping each artifact's place below `old_folder`; others by file name.

    Raises:
        PathError: a key leads out of the folder; no key recorded here does.
    """
    places: dict[str, Path] = {}
    for key, artifact in artifacts:
        rel = below(os.path.abspath(artifact.path), os.path.abspath(old_folder)) or artifact.path.name
        taken = new_folder / rel in places.values()
        places[key] = inside(new_folder, f"{key}/{rel}", key) if taken else new_folder / rel
    return places


def _renamed(member: Path, source: Path, target: Path) -> str:
    """The name of one file of a bundle if the bundle is renamed to `target`."""
    return target.name if member == source else target.stem + member_suffix(source, member)


def _free_name(path: Path, word: str) -> Path:
    number = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.{word}-{os.getpid()}-{number}")):
        number += 1
    return found
