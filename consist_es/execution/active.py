"""An executing run: its folder, its inputs, what it logs."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from consist_es.adapters.protocol import CanonicalizationSnapshot
from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.describe import (
    ArtifactNotes,
    Digester,
    artifact_of_event,
    describe,
    notes_again,
    same_artifact,
)
from consist_es.artifacts.snapshot import Snapshot, State, capture_keys, state_of
from consist_es.artifacts.tables import table_suffix, write_table
from consist_es.artifacts.uris import inside
from consist_es.checks import check_key, check_option, free_name
from consist_es.errors import (
    ClosedError,
    InputError,
    MissingKeyError,
    OptionError,
    PathError,
    UsageError,
    UsageTypeError,
    warn,
)
from consist_es.events import ArtifactLogged, HitDemoted, MetaLogged, OutputLink, Recorded
from consist_es.execution.current import FOLDERS
from consist_es.execution.journal import Begun, Journal, WorkersJournal
from consist_es.execution.observed import Observations
from consist_es.runs.copies import claimed
from consist_es.runs.run import Run, metadata
from consist_es.runs.step_logs import outside_logs
from consist_es.steps.inputs import BoundInput
from consist_es.system.with_block import WithBlock
from consist_es.values.arrays import listed
from consist_es.values.plain import to_plain

CAPTURED = "captured_automatically"
"""Metadata key that marks captured files."""


class Logged(msgspec.Struct, frozen=True):
    """One output of the run, as last logged under its key."""

    key: str
    artifact: Artifact
    path: Path
    state: State | None
    """`state_of` the file, taken before it was read; None for a folder."""


class OutputCapture:
    """Artifacts recorded by `capture_outputs`; filled when its block ends, also by an exception."""

    def __init__(self) -> None:
        self.artifacts: dict[str, Artifact] = {}


class ActiveRun:
    """A run with its function or trace block executing. Closed when it ends; then every use is refused."""

    def __init__(
        self,
        begun: Begun,
        *,
        journal: Journal,
        digester: Digester,
        directory: Path,
        inputs: Sequence[BoundInput],
        config: Any,
        cached: Mapping[str, Artifact] | None = None,
        canonicalization: CanonicalizationSnapshot | None = None,
    ) -> None:
        self.key, self.id, self.kind, self._read = begun.key, begun.id, begun.kind, begun.read
        self._run: Run | None = None
        self.journal = journal
        self.digester = digester
        self.directory = directory
        self.bound, self.config = tuple(inputs), config
        self.canonicalization = canonicalization
        self.cached: dict[str, Artifact] = dict(cached or {})
        self.is_cached = cached is not None
        self.outputs: dict[str, Logged] = {}
        self.found: dict[Path, Any] = {}
        """Files at declared output paths before the step ran, with their state."""
        self.absent: dict[str, Path] = {}
        """Returned output paths that do not exist, by key."""
        self.made: list[Path] = []
        """Paths of outputs, including those not recorded yet."""
        self.captured_nothing = False
        """True if `capture_dir` was given and no file in it is new or rewritten."""
        self.late_inputs: list[BoundInput] = []
        """Inputs that the run logged itself."""
        self.observations = Observations(None)
        self.schemas: Mapping[str, Any] = {}
        """Schemas that the tracker was given, by name and table."""
        self.told: list[dict[str, Any]] = []
        """Reports of child processes about this run."""
        self._lock, self._open, self._pid = threading.RLock(), True, os.getpid()
        FOLDERS[self.key] = directory

    # ------------------------------------------------------------ life

    @property
    def run(self) -> Run:
        """The run's record, read from the views on first use."""
        with self._lock:
            if self._run is None:
                self._run = self._read()
            return self._run

    def close(self) -> None:
        """Refuse every further use."""
        self._open = False
        FOLDERS.pop(self.key, None)

    @property
    def is_own(self) -> bool:
        """True if the run belongs to this process, not to the one it was forked from."""
        return self._pid == os.getpid()

    def join(self) -> None:
        """Make the run usable in a forked child; its records go to the parent's run."""
        if not self.is_own:
            journal = self.journal
            self.journal = WorkersJournal(journal.project, journal.uris, journal.scenario, journal.run)
            self._lock, self._pid = threading.RLock(), os.getpid()  # a thread of the parent may have held the lock

    def described(self) -> dict[str, Any]:
        """The facts that another process needs to record for this run."""
        journal, project = self.journal, self.journal.project
        return {
            "key": self.key,
            "id": self.id,
            "kind": self.kind,
            "scenario": journal.scenario,
            "db": str(project.db_path),
            "sync": project.log.sync,
            "mask": list(project.mask_keys),
            "run_dir": journal.uris.run_dir,
            "mounts": dict(journal.uris.mounts),
            "method": self.digester.method,
            "directory": str(self.directory),
            "cached": self.is_cached,
        }

    def take_in(self, events: Iterable[Recorded]) -> None:
        """Add what other processes recorded for this run; `events` are the log's since it began."""
        mine = {str(item.artifact.id): item for item in self.outputs.values()}
        known = {str(item.artifact.id) for item in (*self.bound, *self.late_inputs)}
        logged: dict[str, Logged] = {}
        for event in (each.event for each in events if each.run == self.key):
            if isinstance(event, ArtifactLogged) and event.direction == "output":
                logged[event.key] = mine.get(event.artifact) or self._of_child(event)
            elif isinstance(event, ArtifactLogged) and event.artifact not in known:
                item = self._of_child(event)
                digest = event.digest or ""
                self.late_inputs.append(BoundInput(event.role or event.key, item.artifact, item.path, digest, "logged"))
            elif isinstance(event, MetaLogged):
                self._note_meta(metadata(event.values))
            elif isinstance(event, HitDemoted):
                self.is_cached, self.cached = False, {}
        self.outputs = {**logged, **{key: item for key, item in self.outputs.items() if key not in logged}}
        self.made += [item.path for item in self.outputs.values()]

    def _of_child(self, event: ArtifactLogged) -> Logged:
        run_id = self.id if event.producer == self.key else None
        artifact = artifact_of_event(event, self.journal.uris, run_id=run_id)
        return Logged(event.key, artifact, artifact.path, None)  # no state: compared again when the run ends

    def check_open(self, call: str) -> None:
        """Raise `ClosedError` once the run has ended."""
        if not self._open:
            raise ClosedError(
                f"{call}: run {self.id!r} has ended. Use its context only inside the step's function or block."
            )

    @property
    def inputs(self) -> dict[str, Artifact]:
        """Inputs by binding name (unnamed ones by key), including those the run logged itself."""
        self.check_open("inputs")
        found = {item.role: item.artifact for item in self.bound if item.named}
        for item in self.bound:
            if not item.named:
                found[free_name(item.artifact.key, found)] = item.artifact
        return {**found, **{item.role: item.artifact for item in self.late_inputs}}

    # ------------------------------------------------------------ places

    def output_dir(self, namespace: str | None = None) -> Path:
        """The run's own folder, or one below it; created if missing."""
        self.check_open("output_dir()")
        if namespace is not None and not isinstance(namespace, str):
            raise UsageTypeError(f"output_dir(): namespace must be a str, not {type(namespace).__name__}.")
        name = (namespace or "").strip()
        folder = inside(self.directory, name, namespace) if name else self.directory
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def output_path(self, key: str, ext: str = "parquet") -> Path:
        """Path to write an output to, ``<folder of the run>/<key>.<ext>``; creates the folder, not the file."""
        self.check_open("output_path()")
        if not isinstance(key, str) or not isinstance(ext, str):
            raise UsageTypeError("output_path(): key and ext must be str.")
        stem, suffix = key.strip(), ext.strip().lstrip(".").lower()
        if not stem or not suffix:
            raise UsageError(f"output_path(): key={key!r}, ext={ext!r}: neither may be blank.")
        path = inside(self.directory, f"{stem}.{suffix}", f"{stem}.{suffix}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    # ------------------------------------------------------------ logging

    def log(self, value: Any, key: str | None, direction: str, notes: ArtifactNotes | None = None) -> Artifact:
        """Record a file, folder or artifact as an input or output of this run.

        Raises:
            UsageError: a path without a key; OptionError: no such direction; KeyNameError: a bad key.
            InputError: the file is there and cannot be read.
        """
        self.check_open("log_artifact()")
        if direction not in ("input", "output"):
            raise OptionError("direction", direction, ("input", "output"))
        if isinstance(value, Artifact):
            key = key or value.key
        elif key is None:
            raise UsageError(f"log_artifact({value!r}): a path needs key=, the name of the artifact.")
        check_key(key, "artifact key")
        path = self._path(value)
        with self._lock:
            if direction == "output" and self.is_cached:
                if known := self._as_cached(key, path):
                    return known
                self._demote(key)
            return self._record(value, path, key, direction, notes)

    def _path(self, value: Any) -> Path:
        if is_like_artifact(value):
            return value.path
        return self.journal.uris.resolve_given(value)

    def _record(self, value: Any, path: Path, key: str, direction: str, notes: ArtifactNotes | None) -> Artifact:
        state = state_of(path)
        event = describe(
            path,
            key=key,
            direction=direction,
            uris=self.journal.uris,
            digester=self.digester,
            producer=self.key if direction == "output" else None,
            role=None,
            notes=notes,
        )
        if direction == "input":
            event = msgspec.structs.replace(event, role=self._free_role(key, event))
        if isinstance(value, Artifact) and value.hash == event.digest:
            event = same_artifact(event, value)
            artifact = value
        else:
            run_id = self.id if direction == "output" else None
            artifact = artifact_of_event(event, self.journal.uris, run_id=run_id)
        if event.kind == "missing":
            warn(f"{direction} {key!r} of run {self.id!r} is not at {path}. Write it first, or correct the path.")
        if direction == "output":
            self.made.append(path)
        named = () if notes is None else notes.recovery_roots
        self.journal.record(event, *claimed(artifact, named, self.journal.uris))
        if direction == "output":
            self.outputs[key] = Logged(key, artifact, path, state)
        else:
            self.late_inputs.append(BoundInput(event.role or key, artifact, path, event.digest or "", "logged"))
        return artifact

    def _free_role(self, key: str, event: ArtifactLogged) -> str:
        """The key, numbered if another file or other bytes have that role: a hit checks each one."""
        taken = {
            item.role
            for item in (*self.bound, *self.late_inputs)
            if (item.artifact.container_uri, item.digest) != (event.uri, event.digest or "")
        }
        return free_name(key, taken)

    def log_table(self, table: Any, key: str, notes: ArtifactNotes | None = None) -> Artifact:
        """Write a table into the run's folder in its type's format (see `write_table`), and record it."""
        path = self.output_path(check_key(key, "output key"), table_suffix(table))
        if path.is_symlink():
            raise PathError(f"{path} is a link: a table is never written through one. Remove it.")
        write_table(table, path, key)
        return self.log(path, key, "output", notes)

    def relog_changed(self) -> list[str]:
        """Record outputs again if they changed or vanished since they were logged.

        Gives the keys of captured files that vanished: they were temporary, not outputs.
        """
        dropped = []
        renewed: dict[str, str] = {}  # ids of containers: their tables belong to what is in the file now
        for item in list(self.outputs.values()):
            artifact = item.artifact
            if artifact.producer != self.key or (item.state and state_of(item.path) == item.state):
                continue
            now = self._digest_now(artifact, item.path)
            if now is None and artifact.meta.get(CAPTURED):
                del self.outputs[item.key]
                dropped.append(item.key)
            elif now != artifact.hash:
                again = self._record(item.path, item.path, item.key, "output", notes_again(artifact, renewed))
                renewed[str(artifact.id)] = str(again.id)
        return dropped

    def _digest_now(self, artifact: Artifact, path: Path) -> str | None:
        """None if the file is gone."""
        try:
            return self.digester.digest_as(artifact, path).value
        except InputError:
            if os.path.lexists(path):
                raise
            return None

    def log_meta(self, values: Mapping[str, Any]) -> None:
        """Merge metadata into the run's record; later values win key by key."""
        self.check_open("log_meta()")
        plain = to_plain({name: listed(value) for name, value in values.items()}, "meta")
        self.journal.record(MetaLogged(values=plain))
        self._note_meta(values)

    def _note_meta(self, values: Mapping[str, Any]) -> None:
        """Update the record if it was read already; a later read gets the values from the views."""
        with self._lock:
            if self._run is not None:
                self._run.meta.update(values)

    def capture_outputs(
        self, directory: Any, pattern: str = "*", *, recursive: bool = False
    ) -> AbstractContextManager[OutputCapture]:
        """Record the files that are new or rewritten in `directory` when the block ends."""
        return _Capturing(self, directory, pattern, recursive)

    def log_captured(self, snapshot: Snapshot) -> dict[str, Artifact]:
        """Record the files that appeared since a snapshot, by key."""
        notes = ArtifactNotes(meta={CAPTURED: True})
        keys = capture_keys(snapshot.folder, outside_logs(self.journal.uris.run_dir, snapshot.appeared()))
        found = {key: self._log_if_there(path, key, notes) for key, path in keys.items()}
        return {key: artifact for key, artifact in found.items() if artifact is not None}

    def _log_if_there(self, path: Path, key: str, notes: ArtifactNotes) -> Artifact | None:
        """Record a captured file; None if it was removed since it was listed, as temporary files are."""
        if not os.path.lexists(path):
            return None
        try:
            artifact = self.log(path, key, "output", notes)
        except InputError:
            if os.path.lexists(path):
                raise
            return None
        if artifact.kind == "missing":
            del self.outputs[key]
            return None
        return artifact

    # ------------------------------------------------------------ a trace that had hit

    def cached_output(self, key: str | None = None) -> Artifact | None:
        """An output of the earlier run that this one hit: that of `key`, or the first."""
        return next(iter(self.cached.values()), None) if key is None else self.cached.get(key)

    def cached_artifacts(self, direction: str) -> dict[str, Artifact]:
        """On a hit the earlier run's outputs, or this run's inputs; otherwise empty."""
        if not self.is_cached:
            return {}
        check_option("direction", direction, ("input", "output"), optional=False)
        return dict(self.cached) if direction == "output" else self.inputs

    def _as_cached(self, key: str, path: Path) -> Artifact | None:
        """The cached artifact if `path` is that file unchanged or does not exist, else None."""
        cached = self.cached.get(key)
        if cached is None:
            return None
        if not os.path.lexists(path):
            return cached
        same_place = path == cached.path
        return cached if same_place and self.digester.digest_as(cached, path).value == cached.hash else None

    def _demote(self, key: str) -> None:
        reason = "unknown among the cached outputs" if key not in self.cached else "the block made another file"
        self.journal.record(HitDemoted(key=key, reason=reason))
        self.is_cached = False
        self.cached = {}
        warn(
            f"Run {self.id!r} was a cache hit, but its block logged output {key!r} of its own ({reason}): "
            "the hit no longer counts. Put what the block depends on into config, inputs or identity_inputs."
        )

    # ------------------------------------------------------------ for the end of the run

    def input_named(self, key: str) -> Artifact:
        """One input by name."""
        inputs = self.inputs
        if key not in inputs:
            raise MissingKeyError("input", key, inputs)
        return inputs[key]

    def output_links(self) -> list[OutputLink]:
        """Everything logged as an output, in order."""
        return [OutputLink(key=item.key, artifact=str(item.artifact.id)) for item in self.outputs.values()]


class _Capturing(WithBlock[OutputCapture]):
    def __init__(self, active: ActiveRun, directory: Any, pattern: str, recursive: bool) -> None:
        self._active, self._directory, self._pattern, self._recursive = active, directory, pattern, recursive
        self._snapshot: Snapshot | None = None
        self._capture = OutputCapture()

    def _begin(self) -> OutputCapture:
        self._active.check_open("capture_outputs()")
        folder = Path(os.path.abspath(self._directory))
        self._snapshot = Snapshot.take(folder, self._pattern, recursive=self._recursive)
        return self._capture

    def _end(self, error: BaseException | None) -> None:
        if self._snapshot is not None:
            self._capture.artifacts = self._active.log_captured(self._snapshot)
            self._snapshot = None
