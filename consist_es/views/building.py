"""Turns events into rows: the only way views grow, live or rebuilt."""

import itertools
import sqlite3
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from consist_es.events import Cursor, Recorded
from consist_es.system.storage import Storage
from consist_es.views import file as view_file
from consist_es.views.changes import count_on, describe_schema
from consist_es.views.folding import BATCH, FOLD_ERRORS, NoCollector, Projection, cut, fold_all, run
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


class Made(NamedTuple):
    """A batch of events, folded elsewhere."""

    cursor: Cursor
    """After the last of them."""
    groups: Iterable[tuple[str, Iterable[Any]]]
    """Statements, see `consist_es.views.folding.groups_of`."""


Ahead = Callable[[Log], Generator[Made, None, None]]
"""Folds a log from its beginning in another process, as far as it can; see `consist_es.projections.ahead`."""

LONG = 100_000
"""Events of a log from which on another process pays."""

_SAY_PROJECT = "UPDATE meta SET value = ? WHERE key = 'project'"


class Builder:
    """Builds view files from a log, and adds events to existing ones."""

    def __init__(self, log: Log, projections: Sequence[Projection], storage: Storage) -> None:
        self._log, self._projections, self._storage = log, projections, storage
        self.meter: Meter | None = None
        """Makes the bar for whoever passes no `progress`; None for none."""
        self.ahead: Ahead | None = None
        """Folds for a rebuild of these views; None to do it here."""

    def meta(self) -> dict[str, str]:
        """The content of a file's table ``meta``, without the schema."""
        versions = {f"view {projection.name}": str(projection.version) for projection in self._projections}
        return {"project": self._log.project_id or "", "format": str(FORMAT), **versions}

    def apply(self, conn: sqlite3.Connection, events: list[Recorded]) -> None:
        """Fold events and move the checkpoint, within the caller's transaction."""
        grown = fold_all(conn, self._projections, events)
        if events:
            self._reach(conn, grown, self._log.cursor_after(events[-1]))

    def _reach(self, conn: sqlite3.Connection, grown: Mapping[str, int], at: Cursor) -> None:
        conn.execute(SET_CHECKPOINT, (at.seq, at.segment, at.offset, at.chain))
        count_on(conn, grown)

    def say_project(self, conn: sqlite3.Connection) -> None:
        """Note whose log it is: an empty one is nobody's yet."""
        conn.execute(_SAY_PROJECT, (self.meta()["project"],))

    def build(self, path: Path, until: int | str | None, progress: Progress | None) -> int:
        """Fold the whole log, or its beginning, into a new file; return the last folded position."""
        if progress is None and self.meter is not None:
            with self.meter("Building the views", "") as bar:
                return self.build(path, until, bar)
        head = self._log.head(fresh=False).seq  # only for the progress
        with closing(view_file.create(path)) as conn, NoCollector():
            db = Making(conn)
            create_own(conn, self.meta())
            for projection in self._projections:
                projection.create(db)
            at = self._ahead(conn, head, progress) if until is None else None
            done = at.seq if at is not None else 0
            events = cut(self._log.read(at), until)
            while batch := list(itertools.islice(events, BATCH)):
                with view_file.Transaction(conn):
                    self.apply(conn, batch)
                done = batch[-1].seq
                if progress is not None:
                    progress(done, max(done, head))
            for projection in self._projections:
                projection.index(db)
            self.say_project(conn)  # it may have begun since
            conn.executemany(ADD_META, describe_schema(conn).items())
            view_file.finish(conn, path, self._storage)
        return done

    def _ahead(self, conn: sqlite3.Connection, head: int, progress: Progress | None) -> Cursor | None:
        """Fold as much as another process makes of it; return the place after that."""
        at: Cursor | None = None
        if self.ahead is None or head < LONG:
            return None
        with closing(self.ahead(self._log)) as batches, suppress(sqlite3.Error, *FOLD_ERRORS):
            for made in batches:
                with view_file.Transaction(conn):
                    self._reach(conn, run(conn, made.groups), made.cursor)
                at = made.cursor
                if progress is not None:
                    progress(at.seq, max(at.seq, head))
        return at
