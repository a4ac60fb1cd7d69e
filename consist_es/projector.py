"""Folds the log into the views, exactly once, and rebuilds them whenever they cannot be trusted.

The log is the truth and the views are only its shape for queries. So the checkpoint (how far the views got) is
written in the transaction of what was folded, and a view file that does not fit its log is not argued with: it is
rebuilt from the first event.
"""

import itertools
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from consist_es import view_file
from consist_es.errors import (
    LogMismatchError,
    NotOurDatabaseError,
    UsageError,
    ViewAccessError,
)
from consist_es.events import Cursor, PayloadRedacted, Recorded
from consist_es.folding import BATCH, NoCollector, Projection, Statement, cut, fold, whole
from consist_es.storage import LocalStorage, Storage, on_fork
from consist_es.view_diff import Difference, acts_by_itself, differences, dump, tables
from consist_es.view_notices import Notices
from consist_es.view_tables import BEHIND, LEVEL, OUTDATED, OWN, create_own, reached, same_place

if TYPE_CHECKING:
    import sqlite_utils

__all__ = ["Log", "Projection", "Projector", "Statement"]

Progress = Callable[[int, int], None]

FORMAT = 1
"""Version of the tables that the projector itself keeps."""

ANOTHER_VERSION = "were made by another version of consist-es, or changed"

DIFFERENCES = 100
"""How many differing rows `compare` lists per table."""

_T = TypeVar("_T")
_SET_CHECKPOINT = "UPDATE checkpoint SET seq = ?, segment = ?, offset = ?, chain = ? WHERE id = 1"


class Log(Protocol):
    """What the projector needs of a log."""

    @property
    def project_id(self) -> str | None:
        """None before the first event."""

    @property
    def folder(self) -> Path: ...

    def read(self, after: Cursor | None) -> Iterator[Recorded]:
        """Whole batches after the cursor; `LogMismatchError` where the cursor belongs to another past."""

    def head(self) -> Cursor: ...

    def moved(self, cursor: Cursor, /) -> bool:
        """Whether the event of the cursor lies elsewhere now."""

    def cursor_after(self, recorded: Recorded, /) -> Cursor: ...


class _Open(NamedTuple):
    conn: sqlite3.Connection
    file: tuple[int, int] | None


class Projector:
    """Keeps the views of one log in one SQLite file.

    May be used by several threads and by forked children: every thread has a connection of its own, and a fork closes
    that of the forking thread. Where the file cannot be written, the views live in a node-local file instead; `path`
    says where.
    """

    def __init__(
        self, db_path: Path, log: Log, projections: Sequence[Projection], *, storage: Storage | None = None
    ) -> None:
        self._log = log
        self._projections = tuple(projections)
        self._storage = storage or LocalStorage()
        self._notices = Notices()
        self._mutex = threading.RLock()
        self._connections: dict[int, _Open] = {}
        self._is_local = False
        self._shares_locks = False
        """Whether this is a child that was forked while other threads had the file open. What SQLite knows of its locks
        it knows per process and file, so it would take its parent's for its own: such a child makes another file."""
        self._move(Path(db_path))
        on_fork(self)
        _PROJECTORS.add(self)

    # ------------------------------------------------------------ public

    def catch_up(self) -> sqlite3.Connection:
        """Fold what the log has gained since, and return this thread's connection, for queries only.

        Raises:
            NotOurDatabaseError: the file is somebody else's and there is no log; it is left untouched.
            ViewError: SQLite cannot use the file.
        """
        conn = self._own()
        if conn is None or not self._is_level(conn):
            conn = self._somewhere(self._advance)
            self._notices.tell()
        return conn

    def as_seen(self) -> sqlite3.Connection:
        """This thread's connection as `catch_up` last left it, without a look at the log."""
        conn = self._own()
        with suppress(sqlite3.Error):  # the slow way finds out what is wrong
            if conn is not None and reached(conn).seq >= 0:
                return conn
        return self.catch_up()

    def rebuild(
        self, *, target: Path | None = None, until: int | str | None = None, progress: Progress | None = None
    ) -> int:
        """Build the views from the first event; return the last position that is in them.

        `target`: write a file of its own there and leave the live views alone. `until`: stop after this position
        or this RFC 3339 time (only with `target`: live views always follow the log). `progress` is called with the
        positions done and in all.

        Raises:
            UsageError: `until` without `target` or no such thing, or `target` is the live file.
            NotOurDatabaseError: `target` is somebody else's file.
        """
        if target is None:
            if until is not None:
                raise UsageError("until= needs target=: the live views always follow the whole log.")
            done = self._somewhere(lambda: self._rebuild_live(progress))
            self._notices.tell()
            return done
        if os.path.realpath(target) == os.path.realpath(self.path):
            raise UsageError(f"target={target} is the live view file: leave target out to rebuild it.")
        with view_file.translated(target):
            if (what := view_file.identify(target)) not in (view_file.NOTHING, view_file.OURS):
                raise NotOurDatabaseError(target, self._log.folder, what)
            return self._replace(target, until=until, progress=progress)

    def compare(self, other: Path) -> dict[str, list[Difference]]:
        """Tables that differ between the live views and another file, row for row.

        Each difference is ``("live", row)`` or ``("other", row)``: a row that only this one has; at most
        `DIFFERENCES` per table. Equal files give an empty dict.
        """
        conn = self.catch_up()
        names = sorted({name for projection in self._projections for name in projection.tables})
        found = {}
        with view_file.translated(other), closing(view_file.connect(other)) as theirs:
            for table in ("checkpoint", "dead_letter", *names):
                pairs = differences(dump(conn, table), dump(theirs, table))
                if different := list(itertools.islice(pairs, DIFFERENCES)):
                    found[table] = different
        return found

    def checkpoint(self) -> Cursor:
        """How far the views are, after catching up."""
        return reached(self.catch_up())

    def standing(self) -> str:
        """How the file stands to the log, without changing it: `LEVEL`, `BEHIND`, `OUTDATED`, or what else lies there
        (`consist_es.view_file.identify`).

        Raises:
            LogMismatchError: the file knows events that the log does not have.
            sqlite3.Error: the file is damaged.
        """
        if (what := view_file.identify(self.path)) != view_file.OURS:
            return what
        with closing(view_file.connect(self.path)) as conn:
            if self._outdated(conn) is not None:
                return OUTDATED
            at = reached(conn)
            if same_place(at, self._log.head()):
                return LEVEL
            next(self._log.read(at if at.seq else None), None)  # raises where that event is not in the log
            return BEHIND

    def settle(self) -> bool:
        """Leave nothing of former rows in the file or beside it; False where another program is reading meanwhile."""
        conn = self.catch_up()
        with view_file.translated(self.path):
            return view_file.checkpointed(conn)

    def close(self) -> None:
        """Close the connections of all threads. A later call opens them again."""
        with self._mutex:
            for held in self._connections.values():
                held.conn.close()
            self._connections.clear()
            self._lock.close()

    def __enter__(self) -> "Projector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ fork

    def before_fork(self) -> None:
        """Close the forking thread's connection: SQLite's locks do not survive in a child, its beliefs do."""
        self._forget()

    def after_fork(self) -> None:
        """Start afresh in a child; connections of the parent's other threads must not even be closed here."""
        _PARENTS.extend(held.conn for held in self._connections.values())
        self._shares_locks = bool(self._connections)
        self._connections = {}
        self._mutex = threading.RLock()

    # ------------------------------------------------------------ connections

    def _own(self) -> sqlite3.Connection | None:
        """This thread's connection, unless the file was replaced or removed since it was opened."""
        held = self._connections.get(threading.get_ident())
        if held is None:
            return None
        if held.file == view_file.file_at(self.path):
            return held.conn
        self._forget()
        return None

    def _forget(self) -> None:
        held = self._connections.pop(threading.get_ident(), None)
        if held is not None:
            held.conn.close()

    def _hold(self) -> sqlite3.Connection:
        """Open a connection for this thread, and close those of threads that have ended."""
        self._forget()
        alive = {threading.current_thread().ident, *(thread.ident for thread in threading.enumerate())}
        for ident in self._connections.keys() - alive:
            self._connections.pop(ident).conn.close()
        conn = view_file.connect(self.path)
        self._connections[threading.get_ident()] = _Open(conn, view_file.file_at(self.path))
        return conn

    def _is_level(self, conn: sqlite3.Connection) -> bool:
        # The checkpoint first: the log may grow between the two, but never shrinks.
        try:
            at = reached(conn)
        except sqlite3.Error:
            return False  # the slow way finds out what is wrong
        return same_place(at, self._log.head())

    # ------------------------------------------------------------ where the file is

    def _move(self, path: Path) -> None:
        self.path = path
        self._lock = view_file.ViewLock(path, self._storage)

    def _somewhere(self, work: Callable[[], _T]) -> _T:
        """Do the work alone, where the file should be; if that cannot be written, at a node-local file from then on."""
        if self._shares_locks:
            self._shares_locks = False
            self._go_local(view_file.own_to_process)
        elif not self._is_local and not view_file.writable(self.path):
            self._go_local()
        try:
            return self._alone(work)
        except ViewAccessError as error:
            if self._is_local:
                raise
            self._notices.warn(f"{error} Until this process ends, its views are kept elsewhere.")
            self._go_local()
            return self._alone(work)

    def _go_local(self, place: Callable[[str, Path], Path] = view_file.node_local) -> None:
        self.close()
        self._is_local = True
        self._move(place(self._log.project_id or "new", self._log.folder))

    def _alone(self, act: Callable[[], _T]) -> _T:
        """Act as the only writer of the file, among threads and processes."""
        with self._mutex, view_file.translated(self.path), self._lock:
            return act()

    # ------------------------------------------------------------ catching up

    def _advance(self) -> sqlite3.Connection:
        try:
            conn = self._own() or self._opened()
            if (reason := self._outdated(conn)) is not None:
                self._made_again(reason)
            while self._fold_some(conn):
                pass
        except LogMismatchError as error:
            # The view may know events that the log has lost: it is no longer a view, but it may be evidence.
            return self._start_over("orphaned", f"does not fit its log ({error.problem})")
        except sqlite3.DatabaseError as error:
            if not view_file.is_damage(error):
                raise
            return self._start_over("damaged", f"was damaged ({error})")
        return conn

    def _opened(self) -> sqlite3.Connection:
        view_file.discard(
            view_file.built_for(self.path)
        )  # of a rebuild that was killed: the lock is held, so none is going on
        what = view_file.identify(self.path)
        if what == view_file.NOTHING:
            self._made_again("were not there")
        elif what != view_file.OURS:
            self._refuse_without_log(what)
            return self._start_over("damaged", f"was {what}")
        return self._hold()

    def _refuse_without_log(self, what: str) -> None:
        if what == view_file.FOLDER or self._log.head().seq == 0:  # a folder is never set aside: it may hold anything
            raise NotOurDatabaseError(self.path, self._log.folder, what)

    def _made_again(self, reason: str) -> None:
        """Build the file from the log and, if there is a reason that somebody may wonder about, say so in one line.

        Not of the first views of a new log, nor of those that a process has to itself or that stand in for others.
        """
        done = self._replace(self.path)
        if reason and done and not self._is_local:
            self._notices.made_again(self.path, reason, done)

    def _start_over(self, why: str, problem: str) -> sqlite3.Connection:
        """Rebuild into a new file and keep the old one under another name."""
        self._replace(self.path, why=why, problem=problem)
        return self._hold()

    def _outdated(self, conn: sqlite3.Connection) -> str | None:
        """Why the file must be made again, "" where it held no event; `LogMismatchError` where another log made it."""
        wanted = OWN.union(*(view.tables for view in self._projections))
        if acts_by_itself(conn):
            return "held statements that act by themselves"
        if not wanted <= tables(conn) or (at := reached(conn)).seq < 0:
            return ANOTHER_VERSION
        found, expected = dict(view_file.query(conn, "SELECT key, value FROM meta")), self._meta()
        if found.get("project", expected["project"]) != expected["project"] and at.seq:
            raise LogMismatchError(self._log.folder, "the views are of another project")
        if found == expected:
            return None
        return ANOTHER_VERSION if at.seq else ""

    def _meta(self) -> dict[str, str]:
        versions = {f"view {projection.name}": str(projection.version) for projection in self._projections}
        return {"project": self._log.project_id or "", "format": str(FORMAT), **versions}

    def _fold_some(self, conn: sqlite3.Connection) -> bool:
        """Fold one batch after the checkpoint, in one transaction with it; False where it reached the head.

        What was redacted, or copied to another segment, was folded before, so then everything is folded anew.
        """
        with view_file.Transaction(conn, guarded=True):
            at = reached(conn)
            if same_place(at, self._log.head()):
                return False
            events = whole(self._log.read(at if at.seq else None))
            anew = any(isinstance(recorded.event, PayloadRedacted) for recorded in events) or self._log.moved(at)
            if not anew:
                self._apply(conn, events)
        if anew:
            self._replace(self.path)
        return anew or len(events) >= BATCH

    def _apply(self, conn: sqlite3.Connection, events: list[Recorded]) -> None:
        for projection in self._projections:
            fold(conn, projection, events)
        if events:
            at = self._log.cursor_after(events[-1])
            conn.execute(_SET_CHECKPOINT, (at.seq, at.segment, at.offset, at.chain))

    # ------------------------------------------------------------ building

    def _rebuild_live(self, progress: Progress | None) -> int:
        what = view_file.identify(self.path)
        if what in (view_file.NOTHING, view_file.OURS):
            return self._replace(self.path, progress=progress)
        self._refuse_without_log(what)
        return self._replace(self.path, progress=progress, why="damaged", problem=f"was {what}")

    def _replace(
        self,
        place: Path,
        *,
        until: int | str | None = None,
        progress: Progress | None = None,
        why: str = "",
        problem: str = "",
    ) -> int:
        """Build a new file and put it at `place`; with `why`, what lies there is set aside."""
        built = view_file.built_for(place)
        try:
            done = self._build(built, until, progress)
            if why:
                self._set_aside(place, why, problem, done)
            try:
                view_file.install(built, place, self._storage)
            except sqlite3.DatabaseError as error:
                if not view_file.is_damage(error):
                    raise
                self._set_aside(place, "damaged", f"was damaged ({error})", done)
                view_file.install(built, place, self._storage)
        finally:
            view_file.discard(built)
        return done

    def _set_aside(self, place: Path, why: str, problem: str, done: int) -> None:
        self._forget()
        self._notices.set_aside(place, problem, done, view_file.set_aside(place, why))

    def _build(self, path: Path, until: int | str | None, progress: Progress | None) -> int:
        """Fold the whole log, or its beginning, into a new file."""
        import sqlite_utils

        head = self._log.head().seq
        events = cut(self._log.read(None), until)
        with closing(view_file.create(path)) as conn, NoCollector():
            db = sqlite_utils.Database(conn)
            self._create(db)
            done = 0
            while batch := list(itertools.islice(events, BATCH)):
                with view_file.Transaction(conn):
                    self._apply(conn, batch)
                done = batch[-1].seq
                if progress is not None:
                    progress(done, max(done, head))
            for projection in self._projections:
                projection.index(db)
            view_file.finish(conn, path, self._storage)
        return done

    def _create(self, db: "sqlite_utils.Database") -> None:
        create_own(db, self._meta())
        for projection in self._projections:
            projection.create(db)


# ---------------------------------------------------------------- fork

_PROJECTORS: "weakref.WeakSet[Projector]" = weakref.WeakSet()
_PARENTS: list[sqlite3.Connection] = []
"""Connections that a child inherited: kept, for closing one would act on the parent's files."""


def _before_fork() -> None:
    for projector in list(_PROJECTORS):
        projector.before_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_before_fork)
