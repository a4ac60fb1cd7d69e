"""Bytes where they are wanted: verified copies of artifacts, never outside the places that may be written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.formats import bundle_members, member_suffix
from consist_es.artifacts.uris import UriMap, below
from consist_es.errors import ArtifactMissingError, InputError, MaterializeError, PathError
from consist_es.events import ArtifactMaterialized
from consist_es.recording import Digester


class Copier(msgspec.Struct, frozen=True):
    """Makes verified copies; knows where it may write."""

    uris: UriMap
    digester: Digester
    allow_external: bool = False

    def check_place(self, target: Path) -> None:
        """Refuse a target outside the run directory and the mounts, also by way of a link.

        Raises:
            PathError: names the ways to allow it.
        """
        if self.allow_external:
            return
        real = os.path.realpath(target)
        roots = [os.path.realpath(root) for root in (self.uris.run_dir, *self.uris.mounts.values())]
        if all(below(real, root) is None for root in roots):
            raise PathError(
                f"{target} lies outside the run directory ({self.uris.run_dir}) and the mounts. "
                "Copy below them, or open the tracker with allow_external_paths=True."
            )

    def copy(self, artifact: Artifact, target: Path, *, reason: str, replace: bool = False) -> ArtifactMaterialized:
        """Put the artifact's bytes at `target`, checked against its digest, and say so in an event.

        The same bytes already there are left alone. Other bytes are refused, or with `replace` set aside under
        another name first. The copy is made in a folder beside the target and renamed: no half of it is ever seen.

        Raises:
            MaterializeError: other bytes at the target, or the source is not as it was recorded.
            ArtifactMissingError: the source is gone. PathError: the target lies outside.
        """
        self.check_place(target)
        source = self.source_of(artifact)
        if os.path.lexists(target):
            if self._digest(target, artifact) == artifact.hash:
                return self._event(artifact, source, target, reason)
            if not replace:
                raise MaterializeError(artifact.key, target, "another file is there already; it was left alone")
            for member in bundle_members(target):
                member.rename(_free_name(member, "replaced"))
        target.parent.mkdir(parents=True, exist_ok=True)
        room = _free_name(target, "part")
        room.mkdir()
        try:
            for member in bundle_members(source):
                _copy(member, room / _renamed(member, source, target))
            if self._digest(room / target.name, artifact) != artifact.hash:
                raise MaterializeError(artifact.key, target, f"{source} is not what was recorded any more")
            for member in sorted(room.iterdir(), key=lambda path: path.name == target.name):  # the main file last
                member.replace(target.with_name(member.name))
        finally:
            shutil.rmtree(room, ignore_errors=True)
        return self._event(artifact, source, target, reason)

    def obstacle(self, artifact: Artifact, target: Path, placed: str | None = None) -> str | None:
        """Why `copy` would refuse to copy now, or None. `placed`: digest of what will lie at the target by then."""
        try:
            self.source_of(artifact)
        except ArtifactMissingError as error:
            return str(error)
        found = placed
        if placed is None and os.path.lexists(target):
            found = self._digest(target, artifact) or "unreadable"
        if found is None or found == artifact.hash:
            return None
        return str(MaterializeError(artifact.key, target, "another file is there already; it would be left alone"))

    def source_of(self, artifact: Artifact) -> Path:
        """The first place that holds the artifact's recorded bytes.

        Raises:
            ArtifactMissingError: none does.
        """
        for place in artifact.locations:
            if os.path.lexists(place) and self._digest(place, artifact) == artifact.hash:
                return place
        tried = ", ".join(str(place) for place in artifact.locations)
        raise ArtifactMissingError(
            f"Artifact {artifact.key!r} has its recorded bytes nowhere (looked at {tried}). "
            "Run the step that made it again, or restore the file."
        )

    def _digest(self, path: Path, artifact: Artifact) -> str | None:
        try:
            return self.digester.digest(path, method="fast" if is_fast(artifact) else "full").value
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


def is_fast(artifact: Artifact) -> bool:
    """Whether the artifact's digest is over size and time only."""
    return bool(artifact.hash and artifact.hash.startswith("fast:"))


def layout(artifacts: Iterable[tuple[str, Artifact]], old_folder: Path, new_folder: Path) -> dict[str, Path]:
    """Key -> place below `new_folder`, keeping each artifact's place below `old_folder`; others by file name."""
    places: dict[str, Path] = {}
    for key, artifact in artifacts:
        rel = below(os.path.abspath(artifact.path), os.path.abspath(old_folder)) or artifact.path.name
        taken = new_folder / rel in places.values()
        places[key] = new_folder / key / rel if taken else new_folder / rel
    return places


def _copy(source: Path, target: Path) -> None:
    try:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)  # with its time: a fast digest covers it
            with target.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise MaterializeError(source.name, target, str(error)) from error


def _renamed(member: Path, source: Path, target: Path) -> str:
    """The name of one file of a bundle when the bundle is called like `target`."""
    return target.name if member == source else target.stem + member_suffix(source, member)


def _free_name(path: Path, word: str) -> Path:
    number = 1
    while os.path.lexists(found := path.with_name(f"{path.name}.{word}-{os.getpid()}-{number}")):
        number += 1
    return found
