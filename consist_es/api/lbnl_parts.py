"""The parts of a tracker that code written for LBNL's consist reaches for: `fs`, `settings`, `identity`, `persistence`,
and copies of the whole record. They look at what the tracker has anyway."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.artifacts.uris import given_path
from consist_es.errors import CopyError, UsageError
from consist_es.execution.observed import observations
from consist_es.log.copying import copy_log
from consist_es.log.engine import open_log
from consist_es.project.find import log_folder
from consist_es.project.project import Project


class TrackerSettings(NamedTuple):
    """What is done with tables that are logged; there is nothing to switch."""

    schema_profile_enabled: bool = True
    """Columns and types are recorded with every table."""
    schema_sample_rows: int | None = None
    """None: they are those that the file declares, or those of all rows."""


class TrackerFiles:
    """``tracker.fs``: paths and portable URIs."""

    def __init__(self, tracker: Any) -> None:
        self._uris = tracker._engine.uris
        self.run_dir: Path = tracker.run_dir
        self.mounts: dict[str, str] = tracker.mounts

    def virtualize_path(self, path: str | os.PathLike[str]) -> str:
        """The portable URI of a path, which need not exist."""
        uri: str = self._uris.uri(self._uris.resolve_given(path))
        return uri

    def resolve_uri(self, uri: str) -> str:
        """The path of a portable URI, as text."""
        return str(self._uris.resolve(uri))


class TrackerIdentity:
    """``tracker.identity``: how files are digested."""

    def __init__(self, tracker: Any) -> None:
        self._digester, self._uris = tracker._engine.digester, tracker._engine.uris

    @property
    def hashing_strategy(self) -> str:
        """``full`` or ``fast``."""
        method: str = self._digester.method
        return method

    def compute_file_checksum(self, path: str | os.PathLike[str]) -> str:
        """The digest that an artifact of this file or folder gets now (`Artifact.hash`).

        Raises:
            InputError: it cannot be read. UsageError: a step is executing, which would depend on the file unnoticed.
        """
        if observations():
            raise UsageError(
                f"compute_file_checksum({os.fspath(path)!r}) inside a step: the file would not count for the step. "
                "Pass it to the step as an input, and take the artifact's hash."
            )
        digest: str = self._digester.digest(self._uris.resolve_given(path), fresh=True).value
        return digest


class TrackerPersistence:
    """``tracker.persistence``: artifacts need not be gathered into batches here."""

    @contextmanager
    def batch_artifact_writes(self) -> Iterator[None]:
        """Does nothing: what a run logged is recorded by one write at its end."""
        yield


def snapshot(project: Project, given: str | os.PathLike[str]) -> Path:
    """Copy the log to beside `given` and make its views there; returns `given` as an absolute path.

    Raises:
        CopyError: there is no event yet, or something is at that place.
    """
    target = given_path(given, "dest_path")
    if os.path.lexists(target):
        raise CopyError(project.log.place, target, "that file exists")
    if log_folder(target) == target:
        raise CopyError(project.log.place, target, "a log folder has that ending; name the database, such as copy.db")
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(open_log(log_folder(target))) as other:
        copy_log(project.log, other)
    with contextlib.closing(Project(target, read_only=True)) as made:
        made.connection()
    return target
