"""Recovery copies of outputs: archiving them, registering those of others, and putting outputs back from them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from consist_es.artifacts.artifact import Artifact
from consist_es.checks import folders
from consist_es.errors import MissingKeyError, NoActiveRunError, UsageTypeError

if TYPE_CHECKING:
    from pathlib import Path

    from consist_es.artifacts.materialize import Copier
    from consist_es.execution.active import ActiveRun
    from consist_es.execution.engine import Engine
    from consist_es.project.project import Project
    from consist_es.runs.archiving import Archivist
    from consist_es.runs.hydrating import Hydrator
    from consist_es.runs.queries import Queries
    from consist_es.runs.recovery_results import (
        ArchivedOutputs,
        ArtifactRecoveryCopyRegistration,
        HydratedRunOutput,
        HydratedRunOutputsResult,
        MaterializationResult,
        MaterializedArtifact,
        RunOutputRecoveryCopiesRegistration,
    )
    from consist_es.runs.run import Run

Place = str | os.PathLike[str]


class Recovery:
    """The part of `Tracker` that keeps outputs apart from where later steps write; see docs/recovery.md."""

    _engine: Engine
    _project: Project

    if TYPE_CHECKING:  # of the other bases of `Tracker`

        @property
        def _queries(self) -> Queries: ...
        def _check_writable(self, call: str) -> None: ...
        def _active_or_none(self) -> ActiveRun | None: ...

    # ------------------------------------------------------------ making copies

    def archive_run_outputs(
        self,
        run_id: str | Run,
        archive_root: Place,
        *,
        keys: Sequence[str] | None = None,
        mode: str = "copy",
        append: bool = True,
    ) -> ArchivedOutputs:
        """Copy outputs of a run below a folder, check the copies and record them: later hits may be read from there.

        Args:
            archive_root: an output lies there as below the run directory or its mount; beside another version, which
                is never touched, under a name with a part of its digest.
            keys: the outputs; None for all.
            mode: ``copy``; ``move``, which removes the file once its copy is recorded; or ``hardlink``, which is no
                copy for a program that writes into the file in place.
            append: False makes the copies in other archives no longer count.

        Raises:
            MissingKeyError: no such run or output. ArtifactMissingError: no place has the recorded bytes.
            MaterializeError: a copy cannot be made; those before it are recorded.
        """
        self._check_writable("archive_run_outputs()")
        return self._archived(self._outputs(run_id, keys), archive_root, mode, append)

    def archive_current_run_outputs(
        self,
        archive_root: Place,
        *,
        keys: Sequence[str] | None = None,
        mode: str = "copy",
        append: bool = True,
    ) -> ArchivedOutputs:
        """`archive_run_outputs` of the executing step: of what it has logged so far.

        Raises:
            NoActiveRunError: no step is executing.
        """
        from consist_es.runs.archiving import chosen

        self._check_writable("archive_current_run_outputs()")
        active = self._active_or_none()
        if active is None:
            raise NoActiveRunError("archive_current_run_outputs()")
        logged = {key: item.artifact for key, item in active.outputs.items()}
        return self._archived(chosen(logged, keys, active.id), archive_root, mode, append)

    def archive_artifact(
        self, artifact: Artifact, archive_root: Place, *, mode: str = "copy", append: bool = True
    ) -> Path:
        """`archive_run_outputs` of one artifact; gives the place of the copy."""
        self._check_writable("archive_artifact()")
        return self._archivist().archive(_artifact(artifact), archive_root, mode=mode, append=append)

    def _archived(self, outputs: Mapping[str, Artifact], root: Place, mode: str, append: bool) -> ArchivedOutputs:
        from consist_es.observe.hook import quiet
        from consist_es.runs.recovery_results import ArchivedOutputs

        archivist = self._archivist()
        with quiet():  # in a step, these are none of its reads
            places = {
                key: archivist.archive(artifact, root, mode=mode, append=append) for key, artifact in outputs.items()
            }
        return ArchivedOutputs(places, outputs)

    # ------------------------------------------------------------ copies that others made

    def register_artifact_recovery_copy(
        self,
        artifact: Artifact,
        recovery_root: Place,
        *,
        verify: bool = True,
        content_hash: str | None = None,
        append: bool = True,
    ) -> ArtifactRecoveryCopyRegistration:
        """Record the copy of an artifact that another program, such as rsync, put below a folder.

        Args:
            recovery_root: the copy lies there as below the run directory or the mount.
            verify: digest it now. False records where to look; it is digested before it is used in either case.
            content_hash: SHA-256 (64 hex digits) or BLAKE3 (``b3:…``) that the copy must have besides the recorded one.
            append: False makes the copies in other archives no longer count.
        """
        self._check_writable("register_artifact_recovery_copy()")
        archivist = self._archivist()
        return archivist.register(
            _artifact(artifact), recovery_root, verify=verify, content_hash=content_hash, append=append
        )

    def register_run_output_recovery_copies(
        self,
        run_id: str | Run,
        recovery_root: Place,
        *,
        keys: Sequence[str] | None = None,
        verify: bool = True,
        append: bool = True,
        content_hashes: Mapping[str, str] | None = None,
    ) -> RunOutputRecoveryCopiesRegistration:
        """`register_artifact_recovery_copy` for outputs of a run; gives a status for each key.

        Raises:
            MissingKeyError: no such run or output.
        """
        from consist_es.runs.recovery_results import RunOutputRecoveryCopiesRegistration

        self._check_writable("register_run_output_recovery_copies()")
        outputs, claims = self._outputs(run_id, keys), dict(content_hashes or {})
        if unknown := sorted(claims.keys() - outputs.keys()):
            raise MissingKeyError("output in content_hashes", unknown[0], outputs)
        archivist = self._archivist()
        return RunOutputRecoveryCopiesRegistration(
            {
                key: archivist.register(
                    artifact, recovery_root, verify=verify, content_hash=claims.get(key), append=append
                )
                for key, artifact in outputs.items()
            }
        )

    def set_artifact_recovery_roots(
        self, artifact: Artifact, roots: Place | Sequence[Place], *, append: bool = False
    ) -> Artifact:
        """Say below which folders copies of an artifact are to be looked for; nothing is copied or looked at now.

        A copy is digested before it is used, so that a wrong folder does no harm. `append` False makes other copies no
        longer count.
        """
        self._check_writable("set_artifact_recovery_roots()")
        self._archivist().claim(_artifact(artifact), folders(roots, "roots"), append=append)
        return artifact

    # ------------------------------------------------------------ putting outputs somewhere

    def hydrate_run_outputs(
        self,
        run_id: str | Run,
        *,
        target_root: Place,
        source_root: Place | None = None,
        keys: Sequence[str] | None = None,
        preserve_existing: bool = True,
        on_missing: str = "warn",
        db_fallback: str = "if_ingested",
    ) -> HydratedRunOutputsResult:
        """Copy outputs of a run below a folder, from their own places or recovery copies; gives a status for each key.

        Args:
            target_root: below the run directory or a mount; else `allow_external_paths` is needed.
            source_root: a folder to look in first, laid out as an archive.
            keys: the outputs; None for all.
            preserve_existing: True leaves another file at a target alone, and the output is ``failed``; False renames
                it.
            on_missing: ``raise`` stops at the first output that cannot be put in place.
            db_fallback: for compatibility; data is kept in files only.

        Raises:
            MissingKeyError: no such run or output. PathError: a target that may not be written to.
        """
        from consist_es.artifacts.uris import given_folder
        from consist_es.runs.hydrating import below

        self._check_writable("hydrate_run_outputs()")
        hydrator = self._hydrator(source_root, preserve_existing, on_missing, db_fallback)
        targets = below(self._outputs(run_id, keys), given_folder(target_root, "target_root"))
        return self._hydrated(run_id, hydrator, targets)

    def hydrate_run_outputs_to_destinations(
        self,
        run_id: str | Run,
        *,
        destinations_by_key: Mapping[str, Place],
        source_root: Place | None = None,
        preserve_existing: bool = True,
        on_missing: str = "warn",
        db_fallback: str = "if_ingested",
    ) -> HydratedRunOutputsResult:
        """`hydrate_run_outputs` to a path of its own for each key."""
        if not isinstance(destinations_by_key, Mapping):
            raise UsageTypeError(
                f"destinations_by_key takes a mapping of key to path, not {type(destinations_by_key).__name__}."
            )
        self._check_writable("hydrate_run_outputs_to_destinations()")
        hydrator = self._hydrator(source_root, preserve_existing, on_missing, db_fallback)
        outputs = self._outputs(run_id, list(destinations_by_key))
        uris = self._engine.uris
        targets = [(key, outputs[key], uris.resolve_given(place)) for key, place in destinations_by_key.items()]
        return self._hydrated(run_id, hydrator, targets)

    def materialize_run_outputs(
        self,
        run_id: str | Run,
        *,
        target_root: Place,
        source_root: Place | None = None,
        keys: Sequence[str] | None = None,
        preserve_existing: bool = True,
        on_missing: str = "warn",
        db_fallback: str = "if_ingested",
    ) -> MaterializationResult:
        """`hydrate_run_outputs`, with the keys in lists by status."""
        from consist_es.runs.recovery_results import in_lists

        found = self.hydrate_run_outputs(
            run_id,
            target_root=target_root,
            source_root=source_root,
            keys=keys,
            preserve_existing=preserve_existing,
            on_missing=on_missing,
            db_fallback=db_fallback,
        )
        return in_lists(found)

    def materialize_artifact(
        self,
        artifact: Artifact,
        *,
        target_root: Place,
        source_root: Place | None = None,
        preserve_existing: bool = True,
        on_missing: str = "warn",
    ) -> MaterializedArtifact:
        """`hydrate_run_outputs` of one artifact."""
        from consist_es.artifacts.uris import given_folder
        from consist_es.runs.hydrating import below

        self._check_writable("materialize_artifact()")
        hydrator = self._hydrator(source_root, preserve_existing, on_missing, "never")
        key = _artifact(artifact).key
        return hydrator.put_all(below({key: artifact}, given_folder(target_root, "target_root")))[key]

    def _hydrated(
        self, run_id: str | Run, hydrator: Hydrator, targets: list[tuple[str, Artifact, Path]]
    ) -> HydratedRunOutputsResult:
        from consist_es.runs.recovery_results import HydratedRunOutput, HydratedRunOutputsResult

        done = hydrator.put_all(targets)
        rows: dict[str, HydratedRunOutput] = {
            key: HydratedRunOutput(key, row.artifact, row.path, row.status, row.message, row.resolvable)
            for key, row in done.items()
        }
        return HydratedRunOutputsResult(rows, run_id if isinstance(run_id, str) else run_id.id)

    # ------------------------------------------------------------ what they work with

    def _outputs(self, run_id: str | Run, keys: Sequence[str] | None) -> dict[str, Artifact]:
        from consist_es.runs.archiving import chosen

        return chosen(self._queries.outputs(run_id), keys, str(run_id))

    def _archivist(self) -> Archivist:
        from consist_es.runs.archiving import Archivist  # few processes archive anything

        return Archivist(self._project, self._copier())

    def _hydrator(
        self, source_root: Place | None, preserve_existing: bool, on_missing: str, db_fallback: str
    ) -> Hydrator:
        from consist_es.runs.hydrating import hydrator

        return hydrator(
            self._project,
            self._copier(),
            source_root=source_root,
            preserve_existing=preserve_existing,
            on_missing=on_missing,
            db_fallback=db_fallback,
        )

    def _copier(self) -> Copier:
        from consist_es.artifacts.materialize import Copier

        engine = self._engine
        return Copier(engine.uris, engine.digester, engine.allow_external_paths)


def _artifact(value: object) -> Artifact:
    if not isinstance(value, Artifact):
        raise UsageTypeError(f"An Artifact is expected, not {type(value).__name__}: {value!r}.")
    return value
