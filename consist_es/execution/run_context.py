"""The context that a step's function can ask for: its run, folder, inputs and logging, without a global tracker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consist_es.adapters.protocol import CanonicalizationSnapshot
from consist_es.artifacts.artifact import Artifact
from consist_es.errors import UsageTypeError
from consist_es.execution.active import ActiveRun
from consist_es.execution.log_calls import LogCalls
from consist_es.runs.run import Run


class RunContext(LogCalls):
    """The run that a step's function executes in. Refuses every use after the run ended."""

    def __init__(self, active: ActiveRun) -> None:
        self._active = active

    @property
    def run(self) -> Run:
        """The run's record."""
        return self._active.run

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._active.id

    @property
    def run_dir(self) -> Path:
        """The run's own folder, for its outputs; created if missing."""
        return self._active.output_dir()

    @property
    def config(self) -> Any:
        """The step's configuration as it was passed."""
        return self._active.config

    @property
    def canonicalization(self) -> CanonicalizationSnapshot | None:
        """Result of the step's config adapter: its name and version, the identity and the files it read; or None."""
        return self._active.canonicalization

    @property
    def inputs(self) -> dict[str, Artifact]:
        """Input artifacts by binding name (unnamed ones by key)."""
        return self._active.inputs

    def output_dir(self, namespace: str | None = None) -> Path:
        """The run's own folder, or a folder below it; created if missing.

        Raises:
            PathError: `namespace` leaves the run's folder.
        """
        return self._active.output_dir(namespace)

    def output_path(self, key: str, ext: str = "parquet") -> Path:
        """``<run_dir>/<key>.<ext>``, absolute; creates its folder.

        Raises:
            PathError: `key` leaves the run's folder.
        """
        return self._active.output_path(key, ext)

    def load(self, key_or_artifact: str | Artifact) -> Any:
        """Load an input by name, or any artifact; see `consist_es.load`.

        Raises:
            MissingKeyError: no input of that name; lists the inputs.
        """
        from consist_es.artifacts.drivers.loading import load  # with all drivers

        self._active.check_open("load()")
        if isinstance(key_or_artifact, Artifact):
            return load(key_or_artifact)
        if not isinstance(key_or_artifact, str):
            raise UsageTypeError(f"load() takes an input's name or an Artifact, not {type(key_or_artifact).__name__}.")
        return load(self._active.input_named(key_or_artifact))

    def _logging(self, call: str) -> ActiveRun:
        return self._active
