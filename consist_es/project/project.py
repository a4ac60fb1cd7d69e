"""A project: one log and its views. `record` is the only write, `connection` the only read."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path

from consist_es.artifacts.copies import held
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.errors import PathError
from consist_es.events import Draft, EnvironmentRecorded, StepAbandoned
from consist_es.identity.shared_values import apart
from consist_es.log.engine import EventLog, open_log
from consist_es.log.presence import is_same_machine
from consist_es.project.environment import environment, with_variables
from consist_es.project.find import log_folder, remember_database, server_of, state_folder
from consist_es.projections import BUILTIN, origins, run_table, shared_values
from consist_es.projections.run_rows import RunRow
from consist_es.system.storage import LocalStorage, Storage
from consist_es.text import readable
from consist_es.values.masking import Masker
from consist_es.views.building import Log, Made
from consist_es.views.projector import Projector

_RUN_KEY = re.compile(r"-[0-9a-f]{12}$")
"""End of every run key, and so of its folder's name."""


def _ahead(log: Log) -> Generator[Made, None, None]:
    """See `consist_es.projections.ahead`, which only a rebuild needs."""
    from consist_es.projections.ahead import ahead

    return ahead(log)


class Project:
    """One log, its views at `db_path`, and its cache of file digests.

    Nothing is written before the first event. Threads may share a project; a forked child may keep using it. `roots`:
    folders of ours, below which partial outputs of dead runs are set aside; the log's parent is always one.
    `mask_keys`: names of further keys with secret values. `record_env`: environment variables to record.
    """

    def __init__(
        self,
        db_path: Path,
        *,
        sync: str = "commit",
        read_only: bool = False,
        roots: Sequence[str] = (),
        mask_keys: Sequence[str] = (),
        record_env: Sequence[str] = (),
        storage: Storage | None = None,
    ) -> None:
        self.db_path = db_path
        server = server_of(db_path)
        self.folder = log_folder(db_path) if server is None else state_folder(db_path)
        """What this machine keeps of the project: beside the views, with the log if that is in files."""
        self._roots = (str(self.folder.parent), *roots)
        self.storage = storage or LocalStorage()
        self.log: EventLog = open_log(server or self.folder, sync=sync, read_only=read_only, storage=self.storage)
        self.views = Projector(db_path, self.log, BUILTIN, storage=self.storage)
        self.views.builder.ahead = _ahead
        self.digests = DigestCache(self.folder / _digests())
        self.mask_keys = tuple(mask_keys)
        self.masker = Masker(self.log.mask_key, mask_keys)
        self.record_env = tuple(record_env)
        self._attached: int | None = None
        self._attaching = threading.Lock()

    def record(
        self, drafts: Sequence[Draft], *, commit: bool = False, tidy: bool = True, since: int | None = None
    ) -> int:
        """Append events as one batch, and return the position of the first once they are safe: from a killed process
        always, from a power cut as the sync policy says (`commit` marks ends of runs).

        Anything that looks like a secret in user data is masked here, on the only way into the log. `tidy`: look for
        runs of dead processes first, once per process; a worker of a step leaves that to others. `since`: as for
        `EventLog.append`, for events that another process may be recording.

        Raises:
            LogWriteError, LogFullError: nothing was recorded.
        """
        if tidy:
            self.attach()
        # The views may lag: recording a known value once more is harmless.
        drafts = apart(self.masker.drafts(drafts), lambda digest: shared_values.known(self.views_as_seen(), digest))
        first = next(iter(self.log.append(drafts, commit=commit, since=since)), 0)
        self.views.expect_more()
        return first

    def redact(self, positions: Sequence[int], reason: str) -> bool:
        """Remove the payloads of these events from the log and the views; for starts of runs also the large values that
        no other run refers to, see `with_values`.

        Returns False if another program is reading the views: the removed data may still be in their file.

        Raises:
            RedactionError: a payload that cannot be redacted. LogError: as for `EventLog.redact`.
        """
        self.attach()
        self.log.redact(self.with_values(positions), reason, self.storage.user())
        self.views.rebuild()
        return self.views.settle()

    def with_values(self, positions: Sequence[int]) -> list[int]:
        """The positions, with those of the large values recorded for these events alone."""
        alone = shared_values.referred_to(self.connection(), positions, by_others=False)
        return sorted({*positions, *alone})

    def connection(self) -> sqlite3.Connection:
        """The views, caught up with the log."""
        return self.views.catch_up()

    def views_as_seen(self) -> sqlite3.Connection:
        """The views as this thread last saw them; caught up if it never did."""
        return self.views.as_seen()

    def environment(self, project_root: Path, conn: sqlite3.Connection | None = None) -> tuple[str, list[Draft]]:
        """Digest of the software environment, and the event to record it if the views do not have it yet. They may lag:
        recording it once more is harmless."""
        event: EnvironmentRecorded = environment(project_root)
        if self.record_env:
            variables = self.masker.variables({name: _variable(name) for name in self.record_env})
            event = with_variables(event, variables)
        known = origins.environment_known(conn or self.views_as_seen(), event.digest)
        return event.digest, [] if known else [Draft(event)]

    def show_bars(self) -> None:
        """Show a bar on a terminal while views are built, or more than 1 GB is read for digests, after a second."""
        from consist_es.system.bar import Bar  # most processes show none

        self.digests.meter = Bar
        self.views.builder.meter = Bar

    def close(self) -> None:
        """Release files and locks. The next use reopens them."""
        self.views.close()
        self.digests.close()
        self.log.close()

    def attach(self) -> None:
        """Once per process, before its first event: store the database's name, and record the end of abandoned runs."""
        if self._attached == self.storage.pid():
            return
        with self._attaching:
            if self._attached == self.storage.pid():
                return
            self._end_of_the_dead()
            self._attached = self.storage.pid()
            with suppress(OSError):  # only a hint; the append reports a read-only place
                self.folder.mkdir(parents=True, exist_ok=True)
                if self.log.folder is not None:
                    remember_database(self.folder, self.db_path)

    def look_for_dead(self) -> None:
        """Record the end of runs of dead processes now, as `attach` does once per process."""
        with self._attaching:
            self._end_of_the_dead()

    def _end_of_the_dead(self) -> None:
        """Record the end of runs of dead processes, and remove their leftovers."""
        running = run_table.running(self.connection())
        dead = [row for row in running if self.is_gone(row)]
        if dead:
            # several processes may find the same runs: `since` and the events' ids record each once
            self.log.append([self._abandoned(row) for row in dead], since=min(row.started_seq for row in dead))
        left = {row.writer for row in running} - {row.writer for row in dead}
        writers = [origins.writer_details(self.connection(), name) for name in left]
        self.log.sweep({writer.lock for writer in writers if writer is not None})

    def is_gone(self, row: RunRow) -> bool:
        """True if the process that started the run is certainly gone."""
        writer = origins.writer_details(self.connection(), row.writer)
        return writer is not None and self.log.alive(writer) is False

    def _is_here(self, row: RunRow) -> bool:
        """True if the run's process was on this machine: what it left on another one may not be what is here."""
        writer = origins.writer_details(self.connection(), row.writer)
        return writer is not None and is_same_machine(self.storage, writer)

    def abandon(self, rows: Sequence[RunRow]) -> None:
        """Record these runs as abandoned because a user says so; their folders stay.

        A run that ends after all gets its end.

        Raises:
            LogError: as for `record`.
        """
        self.attach()
        reason = f"declared over by {self.storage.user() or 'somebody'} on {self.storage.host()}"
        drafts = [_abandonment(row, StepAbandoned(reason=reason)) for row in rows]
        self.log.append(drafts, commit=True, since=min((row.started_seq for row in rows), default=0))

    def _abandoned(self, row: RunRow) -> Draft:
        event = StepAbandoned(
            reason=f"process {row.writer} is gone and recorded no end",
            set_aside=_set_aside(row, self._roots) if self._is_here(row) else None,
        )
        return _abandonment(row, event)


def _abandonment(row: RunRow, event: StepAbandoned) -> Draft:
    return Draft(event, scenario=row.scenario_key, run=row.key, id=f"abandoned-{row.key}")


def _digests() -> str:
    """File name of this user's digest cache. One per user, because entries are only trusted by their writer."""
    return f"digests-{os.geteuid()}.sqlite" if hasattr(os, "geteuid") else "digests.sqlite"


def _set_aside(row: RunRow, roots: Sequence[str]) -> str | None:
    """Rename the folder of a dead run's partial outputs, if it is the run's own; return its new URI, or None."""
    # The log may be anybody's: touch nothing outside the roots, and no folder that is not named like a run's.
    if not row.artifact_dir or not row.run_dir or not _RUN_KEY.search(row.key):
        return None
    mounts = {scheme: unquote(root) for scheme, root in row.mounts.items()}
    uris = UriMap(run_dir=unquote(row.run_dir), mounts=mounts)
    try:
        folder = uris.resolve(row.artifact_dir)
        if folder.name != row.key or not folder.is_dir() or folder.is_symlink():
            return None
        aside = folder.with_name(f"{folder.name}.abandoned")
        with held(folder.parent, roots) as place:
            (place / folder.name).rename(place / aside.name)
    except (PathError, OSError):  # on another machine, or not ours: it stays, unreferenced
        return None
    return uris.uri(aside)


def _variable(name: str) -> str | None:
    """The value of an environment variable, as recordable text."""
    value = os.environ.get(name)
    return None if value is None else readable(value)
