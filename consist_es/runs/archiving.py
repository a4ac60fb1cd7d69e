"""Makes recovery copies, and registers those that other programs made."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER
from consist_es.artifacts.elsewhere import RecoveryCopy
from consist_es.artifacts.formats import bundle_members
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.placing import Placing, tidy
from consist_es.artifacts.uris import UriMap, given_folder, real_path
from consist_es.checks import check_option
from consist_es.errors import (
    ArtifactMissingError,
    InputError,
    MaterializeError,
    MissingKeyError,
    PathError,
    UsageError,
    UsageTypeError,
)
from consist_es.events import CopyForgotten, CopyRecorded, Draft, Event
from consist_es.project.project import Project
from consist_es.projections import copies, lineage, run_table
from consist_es.runs.artifacts import artifact_of_row
from consist_es.runs.recovery_results import FAILED, REGISTERED, ArtifactRecoveryCopyRegistration

_HEX = frozenset("0123456789abcdef")


class Archivist(msgspec.Struct, frozen=True):
    """Archives artifacts of a project, and registers their copies. Every copy is recorded once it was digested."""

    project: Project
    copier: Copier

    # ------------------------------------------------------------ making copies

    def archive(self, artifact: Artifact, archive_root: object, *, mode: str, append: bool) -> Path:
        """Copy an artifact below a folder, check the copy, and record it; gives its place.

        If it is killed anywhere, the record says nothing false, no bytes are lost, and doing it again completes it.

        Raises:
            UsageError: no bytes were recorded, or the folder is its own. ArtifactMissingError: no place has them.
            MaterializeError: the copy cannot be made. OptionError: no such mode.
        """
        check_option("mode", mode, recovery.MODES, optional=False)
        root = given_folder(archive_root, "archive_root")
        if artifact.hash is None:
            raise UsageError(f"Artifact {artifact.key!r} has no recorded bytes to archive: it was missing.")
        for member in self._members(artifact):
            self.archive(member, root, mode="copy" if mode == "move" else mode, append=append)
        source = self.copier.source_of(artifact)
        content = self._content(artifact, source)
        place, there = recovery.free_place(artifact, root, self.copier.digester, content)
        own = [real_path(path) for path in artifact.own_places]
        if real_path(place) in own:
            raise UsageError(f"{place} is the place of {artifact.key!r} itself. Archive it below another folder.")
        if there:
            tidy(place.parent)
        else:
            placing = Placing(artifact, source, place, (str(root),), self.copier.digester)
            placing.prepare(link=mode == "hardlink", content=content)
            placing.place(replace=False)
        how = "copied" if there and mode == "hardlink" else recovery.HOW[mode]
        self._record(artifact, place, root, how=how, content=content, append=append)
        if mode == "move":
            self._remove(artifact, place)
        return place

    def _members(self, artifact: Artifact) -> list[Artifact]:
        """The artifacts of the files of a set; none for others."""
        if artifact.driver != SET_DRIVER:
            return []
        rows = lineage.find_artifacts(self.project.connection(), parent=str(artifact.id), limit=None)
        return [artifact_of_row(row, self.copier.uris, run_id=artifact.run_id) for row in rows]

    def _content(self, artifact: Artifact, place: Path) -> str | None:
        try:
            return recovery.content_of(artifact, place, self.copier.digester)
        except InputError as error:
            raise ArtifactMissingError(f"Artifact {artifact.key!r} cannot be read: {error}") from error

    def _remove(self, artifact: Artifact, place: Path) -> None:
        """Remove an artifact's own file, now that the log knows its copy; what was changed meanwhile stays."""
        for own in artifact.own_places:
            unchanged = recovery.fault(artifact, own, self.copier.digester, content=None) in (None, recovery.UNCHECKED)
            if not unchanged or real_path(own) == real_path(place):
                continue
            self.copier.check_place(own)
            try:
                for path in self._files(artifact, own):
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            except OSError as error:
                problem = f"the copy is in place and recorded, and the file cannot be removed: {error.strerror}"
                raise MaterializeError(artifact.key, own, problem) from error

    def _files(self, artifact: Artifact, own: Path) -> list[Path]:
        if artifact.driver == SET_DRIVER:  # the folder has other files too
            return [own / rel for rel in artifact.meta.get("members", ()) if (own / rel).is_file()]
        return bundle_members(own)

    # ------------------------------------------------------------ registering copies of others

    def register(
        self, artifact: Artifact, recovery_root: object, *, verify: bool, content_hash: str | None, append: bool
    ) -> ArtifactRecoveryCopyRegistration:
        """Record the copy that another program put below a folder, if it has the artifact's bytes."""
        root = given_folder(recovery_root, "recovery_root")
        if content_hash is not None and not isinstance(content_hash, str):
            raise UsageTypeError(f"content_hash takes a digest as str, not {type(content_hash).__name__}.")
        place: Path | None = None
        try:
            place = recovery.expected_place(artifact, root)
            problem, content = self._problem(artifact, place, content_hash, verify=verify)
        except (PathError, InputError) as error:
            problem, content = (FAILED, str(error)), None
        if problem is None and place is not None:
            self._record(artifact, place, root, how="found" if verify else "claimed", content=content, append=append)
            problem = (REGISTERED, None)
        status, message = problem or (FAILED, None)
        return ArtifactRecoveryCopyRegistration(
            artifact=artifact,
            key=artifact.key,
            artifact_id=str(artifact.id),
            recovery_root=root,
            expected_path=place,
            status=status,
            message=message,
            metadata_updated=status == REGISTERED,
            verification_succeeded=status == REGISTERED and verify,
        )

    def _problem(
        self, artifact: Artifact, place: Path, claim: str | None, *, verify: bool
    ) -> tuple[tuple[str, str | None] | None, str | None]:
        """(status, words) if it cannot be registered, and the digest of its content if that is not the artifact's."""
        if real_path(place) in [real_path(path) for path in artifact.own_places]:
            return (FAILED, f"{place} is the place of the artifact itself, and no copy of it."), None
        if not verify:
            return None, None
        if place.is_symlink():
            return ("symlink_destination", f"{place} is a link: a link is no copy. Copy what it leads to."), None
        if not place.exists():
            return ("missing_copy", f"There is no copy at {place}. Copy it there first."), None
        content = self._content(artifact, place)
        problem = recovery.fault(artifact, place, self.copier.digester, content=content, fresh=True)
        if problem is not None:
            return ("hash_mismatch", f"{place} {problem}"), None
        if claim is not None and not _is_digest_of(claim, place, self.copier):
            return ("hash_mismatch", f"{place} does not have the given content_hash."), None
        if content is not None and claim is None and content != self._own_content(artifact):
            said = "Only sizes and times were recorded, and its own file is changed or gone: give its content_hash."
            return ("unverifiable_hash", said), None
        return None, content

    def _own_content(self, artifact: Artifact) -> str | None:
        for own in artifact.own_places:
            if recovery.fault(artifact, own, self.copier.digester, content=None) == recovery.UNCHECKED:
                return self._content(artifact, own)
        return None

    def claim(self, artifact: Artifact, roots: Sequence[object], *, append: bool) -> None:
        """Record folders below which copies are to be looked for; each copy is digested before it is used."""
        new = claims(artifact, roots, self.copier.uris)
        known = [copy.uri for copy in self._known(artifact)]
        kept = [event.uri for event in new]
        events = [] if append else self._forgotten(artifact, kept=kept)
        self._append(artifact, [*events, *(event for event in new if event.uri not in known)])

    # ------------------------------------------------------------ the record

    def _record(
        self, artifact: Artifact, place: Path, root: Path, *, how: str, content: str | None, append: bool
    ) -> None:
        """Record a copy, unless it is recorded already."""
        uri = self.copier.uris.uri(place)
        event = copy_event(artifact, place, root, self.copier.uris, how=how, content=content)
        said = (event.digest, event.content, event.recovery_root, how == "claimed")
        known = {copy.uri: copy for copy in self._known(artifact)}
        before = known.get(uri)
        events: list[Event] = [] if append else self._forgotten(artifact, kept=(uri,))
        if before is None or (before.digest, before.content, before.recovery_root, before.how == "claimed") != said:
            events.append(event)
        self._append(artifact, events)

    def _known(self, artifact: Artifact) -> list[RecoveryCopy]:
        return copies.of_artifacts(self.project.connection(), [str(artifact.id)])

    def _forgotten(self, artifact: Artifact, kept: Sequence[str]) -> list[Event]:
        """Events that make the other copies no longer count; those that the library made for itself stay."""
        return [
            CopyForgotten(artifact=copy.artifact, key=copy.key, uri=copy.uri, reason="other recovery roots were given")
            for copy in self._known(artifact)
            if copy.recovery_root and copy.uri not in kept
        ]

    def _append(self, artifact: Artifact, events: Sequence[Event]) -> None:
        row = None if artifact.producer is None else run_table.by_key(self.project.connection(), artifact.producer)
        scenario, run = (None, None) if row is None else (row.scenario_key, row.key)
        if events:
            self.project.record([Draft(event, scenario=scenario, run=run) for event in events], commit=True)


def claims(artifact: Artifact, roots: Iterable[object], uris: UriMap) -> list[CopyRecorded]:
    """Events that name folders below which copies of an artifact are to be looked for."""
    wanted = [given_folder(root, "recovery_roots") for root in roots]
    return [copy_event(artifact, recovery.expected_place(artifact, root), root, uris, how="claimed") for root in wanted]


def copy_event(
    artifact: Artifact, place: Path, root: Path, uris: UriMap, *, how: str, content: str | None = None
) -> CopyRecorded:
    """The event that records a copy below a recovery root."""
    return CopyRecorded(
        artifact=str(artifact.id),
        key=artifact.key,
        uri=uris.uri(place),
        root=uris.root,
        recovery_root=uris.uri(root),
        digest=artifact.hash or "",
        content=content,
        how=how,
    )


def _is_digest_of(claim: str, place: Path, copier: Copier) -> bool:
    """True if a caller's digest, SHA-256 or ours, is that of the file."""
    kind, _, digits = claim.strip().lower().rpartition(":")
    if kind == "b3":
        return copier.digester.digest(place, method="full").value == f"b3:{digits}"
    if len(digits) != 64 or not _HEX.issuperset(digits) or not place.is_file():
        return False
    with os.fdopen(os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == digits


def chosen(outputs: Mapping[str, Artifact], keys: object, run: str) -> dict[str, Artifact]:
    """The outputs of these keys; all for None.

    Raises:
        UsageTypeError: keys is a str. MissingKeyError: no such output.
    """
    if keys is None:
        return dict(outputs)
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence | set | frozenset):
        raise UsageTypeError(f"keys takes a list of str, not {type(keys).__name__}: {keys!r}.")
    for key in keys:
        if key not in outputs:
            raise MissingKeyError("output", key, outputs, f"These are the outputs of run {run!r}.")
    return {key: outputs[key] for key in keys}
