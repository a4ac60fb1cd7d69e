"""Turns events into rows: the only way views grow, live or rebuilt."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consist_es.events import Cursor, Recorded
from consist_es.system.storage import Storage
from consist_es.views import file as view_file
from consist_es.views.changes import count_on, describe_schema
from consist_es.views.folding import BATCH, NoCollector, Projection, cut, fold_all
from consist_es.views.tables import ADD_META, SET_CHECKPOINT, Making, create_own

if TYPE_CHECKING:
    from consist_es.system.bar import Meter

Progress = Callable[[int, int], None]

FORMAT = 2
"""Version of the projector's own tables."""


class Log(Protocol):
    """The log as the projector needs it."""

    @property
    def project_id(self) -> str | None:
        """None before the first event."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def folder(self) -> Path | None:
        """Folder of this machine with its files; None for a log elsewhere."""

    def read(self, after: Cursor | None) -> Iterator[Recorded]:
        """Whole batches after the cursor; raises `LogMismatchError` if the cursor is not in this log."""

    def head(self, *, fresh: bool = True) -> Cursor:
        """The end of the log; with `fresh` False one that may be older."""

    def moved(self, cursor: Cursor, /) -> bool:
        """True if the cursor's event has moved."""

    def cursor_after(self, recorded: Recorded, /) -> Cursor: ...


_SAY_PROJECT = "UPDATE meta SET value = ? WHERE key = 'project'"


class Builder:
    """Builds view files from a log, and adds events to existing ones."""

    def __init__(self, log: Log, projections: Sequence[Projection], storage: Storage) -> None:
        self._log, self._projections, self._storage = log, projections, storage
        self.meter: Meter | None = None
        """Makes the bar for whoever passes no `progress`; None for none."""

    def meta(self) -> dict[str, str]:
        """The content of a file's table ``meta``, without the schema."""
        versions = {f"view {projection.name}": str(projection.version) for projection in self._projections}
        return {"project": self._log.project_id or "", "format": str(FORMAT), **versions}

    def apply(self, conn: sqlite3.Connection, events: list[Recorded]) -> None:
        """Fold events and move the checkpoint, within the caller's transaction."""
        grown = fold_all(conn, self._projections, events)
        if events:
            at = self._log.cursor_after(events[-1])
            conn.execute(SET_CHECKPOINT, (at.seq, at.segment, at.offset, at.chain))
            count_on(conn, grown)

    def build(self, path: Path, until: int | str | None, progress: Progress | None) -> int:
        """Fold the whole log, or its beginning, into a new file; return the last folded position."""
        if progress is None and self.meter is not None:
            with self.meter("Building the views", "") as bar:
                return self.build(path, until, bar)
        head = self._log.head(fresh=False).seq  # only for the progress
        events = cut(self._log.read(None), until)
        with closing(view_file.create(path)) as conn, NoCollector():
            db = Making(conn)
            create_own(conn, self.meta())
            for projection in self._projections:
                projection.create(db)
            done = 0
            while batch := list(itertools.islice(events, BATCH)):
                with view_file.Transaction(conn):
                    self.apply(conn, batch)
                done = batch[-1].seq
                if progress is not None:
                    progress(done, max(done, head))
            for projection in self._projections:
                projection.index(db)
            conn.execute(_SAY_PROJECT, (self.meta()["project"],))  # it may have begun since
            conn.executemany(ADD_META, describe_schema(conn).items())
            view_file.finish(conn, path, self._storage)
        return done
