"""A project: one log and its views. `record` is the one write, `connection` the one read."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from consist_es.artifacts.uris import UriMap
from consist_es.errors import PathError
from consist_es.events import Draft, EnvironmentRecorded, StepAbandoned
from consist_es.identity.digest_cache import DigestCache
from consist_es.identity.environment import environment
from consist_es.log.local import LocalLog
from consist_es.project_file import log_folder, remember_database
from consist_es.projections import BUILTIN, run_table
from consist_es.projections.run_table import RunRow
from consist_es.projector import Projector
from consist_es.storage import LocalStorage, Storage


class Project:
    """One log, its views at `db_path`, and the digests of files that it knows.

    Nothing is written before the first event. Threads may share a project; a forked child may go on with it.
    """

    def __init__(
        self, db_path: Path, *, sync: str = "commit", read_only: bool = False, storage: Storage | None = None
    ) -> None:
        self.db_path = db_path
        self.folder = log_folder(db_path)
        self.storage = storage or LocalStorage()
        self.log = LocalLog(self.folder, sync=sync, storage=self.storage, read_only=read_only)
        self.views = Projector(db_path, self.log, BUILTIN, storage=self.storage)
        self.digests = DigestCache(self.folder / "digests.sqlite")
        self._attached: int | None = None
        self._attaching = threading.Lock()

    def record(self, drafts: Sequence[Draft], *, commit: bool = False) -> list[int]:
        """Append events as one batch and give their positions. Returns once they cannot be lost any more:
        to a killed process always, to a power cut as the sync policy says (`commit` marks ends of runs).

        Raises:
            LogWriteError, LogFullError: nothing was recorded.
        """
        self._attach()
        return self.log.append(drafts, commit=commit)

    def connection(self) -> sqlite3.Connection:
        """The views, caught up with the log."""
        return self.views.catch_up()

    def environment(self, project_root: Path) -> tuple[str, list[Draft]]:
        """Digest of the software environment, and the event to record it where the project has not seen it yet."""
        event: EnvironmentRecorded = environment(project_root)
        known = run_table.environment_known(self.connection(), event.digest)
        return event.digest, [] if known else [Draft(event)]

    def close(self) -> None:
        """Release files and locks. The project can be used again and reopens them."""
        self.views.close()
        self.log.close()

    def _attach(self) -> None:
        """Once per process, before its first event: note the database's name, close runs of dead processes."""
        if self._attached == self.storage.pid():
            return
        with self._attaching:
            if self._attached == self.storage.pid():
                return
            dead = [row for row in run_table.running(self.connection()) if self.is_gone(row)]
            if dead:
                # several processes may notice the same runs: `since` and the events' ids make it once for all
                self.log.append([_abandoned(row) for row in dead], since=min(row.started_seq for row in dead))
            self._attached = self.storage.pid()
            with suppress(OSError):  # the name is a hint; where nothing can be written, the append says so
                self.folder.mkdir(parents=True, exist_ok=True)
                remember_database(self.folder, self.db_path)

    def _abandon_dead(self) -> None:
        """Record the end of runs whose process is gone. Another process may do so at once: `since` keeps it to one."""
        seen = self.views.checkpoint().seq
        dead = [row for row in run_table.running(self.connection()) if self.is_gone(row)]
        if dead:
            self.log.append([_abandoned(row) for row in dead], since=seen)

    def is_gone(self, row: RunRow) -> bool:
        """Whether the process that wrote a run's start is certainly no longer there: same host only."""
        writer = run_table.writer_details(self.connection(), row.writer)
        if writer is None or writer.host != self.storage.host():
            return False
        if writer.boot != self.storage.boot():
            return True
        started = self.storage.pid_started(writer.pid)
        return started != writer.pid_started if started else not _exists(writer.pid)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _abandoned(row: RunRow) -> Draft:
    event = StepAbandoned(
        reason=f"process {row.writer} is gone and recorded no end",
        set_aside=_set_aside(row),
    )
    return Draft(event, scenario=row.scenario_key, run=row.key, id=f"abandoned-{row.key}")


def _set_aside(row: RunRow) -> str | None:
    """Rename the folder of a dead run's partial outputs, where it was the run's own; None where there is none."""
    if not row.artifact_dir or not row.run_dir:
        return None
    uris = UriMap(run_dir=row.run_dir, mounts=row.mounts)
    try:
        folder = uris.resolve(row.artifact_dir)
        if folder.name != row.key or not folder.is_dir():
            return None
        aside = folder.with_name(f"{folder.name}.abandoned")
        folder.rename(aside)
    except (PathError, OSError):  # on another machine, or not ours to rename: it stays, and nothing refers to it
        return None
    return uris.uri(aside)
