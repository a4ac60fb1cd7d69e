"""Folds the log into the views, exactly once, and rebuilds them whenever they cannot be trusted.

The log is the truth and the views are only its shape for queries. So the checkpoint (how far the views got) is
written in the transaction of what was folded, and a view file that does not fit its log is not argued with: it is
rebuilt from the first event.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from consist_es.errors import (
    LogCorruptError,
    LogMismatchError,
    NotOurDatabaseError,
    UsageError,
    ViewAccessError,
    ViewRoomError,
)
from consist_es.events import Cursor, PayloadRedacted
from consist_es.system.storage import LocalStorage, Storage, on_fork
from consist_es.views import file as view_file
from consist_es.views import places as view_places
from consist_es.views.building import Builder, Log, Progress
from consist_es.views.changes import (
    CHANGED,
    LOST,
    OBJECTS,
    SCHEMA,
    Seen,
    lost_rows,
    other_schema,
)
from consist_es.views.compare import Difference, acts_by_itself, compared, tables
from consist_es.views.folding import BATCH, Projection, Statement, whole
from consist_es.views.notices import Notices
from consist_es.views.tables import BEHIND, LEVEL, OUTDATED, OWN, reached, same_place

if TYPE_CHECKING:
    pass

__all__ = ["Log", "Projection", "Projector", "Statement"]

DISAGREE = "did not say what the log says"
BY_OTHERS = (CHANGED, LOST, DISAGREE)
"""Reasons that somebody may want to act upon: other programs wrote to the views."""

ANOTHER_VERSION = "were made by another version of consist-es, or changed"

_T = TypeVar("_T")


class _Open(NamedTuple):
    conn: sqlite3.Connection
    file: tuple[int, int] | None
    seen: Seen


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
        self._builder = Builder(log, self._projections, self._storage)
        self._notices = Notices()
        self._mutex = threading.RLock()
        self._connections: dict[int, _Open] = {}
        self._is_local = False
        self._moves = iter(view_places.ELSEWHERE)
        """Where else the views may go, of what was not tried yet."""
        self._counted: tuple[int, int] | None = None
        """The file whose rows this process has counted."""
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
        held, is_level = self._own(), None
        if held is not None:
            is_level = False if held.seen.is_behind else self._is_level(held)
            if is_level:
                return held.conn
        conn = self._somewhere(lambda: self._advance(is_behind=is_level is False))
        self._notices.tell()
        return conn

    def expect_more(self) -> None:
        """This thread has recorded something: its next `catch_up` need not look whether there is anything to fold."""
        held = self._connections.get(threading.get_ident())
        if held is not None:
            held.seen.is_behind = True

    def as_seen(self) -> sqlite3.Connection:
        """This thread's connection as `catch_up` last left it, without a look at the log."""
        held = self._own()
        with suppress(sqlite3.Error):  # the slow way finds out what is wrong
            if held is not None and not held.seen.suspicious(held.conn, reached(held.conn).seq):
                return held.conn
        return self.catch_up()

    def distrust(self, problem: str) -> sqlite3.Connection:
        """Rebuild views that do not say what their log says, tell it in a warning, and return this thread's
        connection.

        Raises:
            LogError, ViewError: they cannot be rebuilt; they stay as they are.
        """
        self._somewhere(lambda: self._made_again(f"{DISAGREE}: {problem}"))
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
            done = self._somewhere(lambda: self._rebuild_live(progress), moves=False)
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

        See `consist_es.views.compare.compared`. Equal files give an empty dict.
        """
        conn = self.catch_up()
        names = sorted({name for projection in self._projections for name in projection.tables})
        with view_file.translated(other), closing(view_file.connect(other)) as theirs:
            return compared(conn, theirs, ("checkpoint", "dead_letter", *names))

    def checkpoint(self) -> Cursor:
        """How far the views are, after catching up."""
        return reached(self.catch_up())

    def standing(self) -> str:
        """How the file stands to the log, without changing it: `LEVEL`, `BEHIND`, `OUTDATED`, or what else lies there
        (`consist_es.views.file.identify`).

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

    def _own(self) -> _Open | None:
        """This thread's connection, unless the file was replaced or removed since it was opened."""
        held = self._connections.get(threading.get_ident())
        if held is None:
            return None
        if held.file == view_file.file_at(self.path):
            if held.conn.in_transaction:  # an interrupt left it open: what is in it was never there
                held.conn.rollback()
            return held
        self._forget()
        return None

    def _forget(self) -> None:
        held = self._connections.pop(threading.get_ident(), None)
        if held is not None:
            held.conn.close()

    def _hold(self) -> _Open:
        """Open a connection for this thread, and close those of threads that have ended."""
        self._forget()
        alive = {threading.current_thread().ident, *(thread.ident for thread in threading.enumerate())}
        for ident in self._connections.keys() - alive:
            self._connections.pop(ident).conn.close()
        held = _Open(view_file.connect(self.path), view_file.file_at(self.path), Seen())
        self._connections[threading.get_ident()] = held
        return held

    def _is_level(self, held: _Open) -> bool | None:
        """Whether the file has every event; None where something is wrong with it."""
        # The checkpoint first: the log may grow between the two, but never shrinks.
        try:
            at = reached(held.conn)
            if held.seen.suspicious(held.conn, at.seq):
                return None
        except sqlite3.Error:
            return None  # the slow way finds out what is wrong
        return same_place(at, self._log.head())

    # ------------------------------------------------------------ where the file is

    def _move(self, path: Path) -> None:
        self.path = path
        self._lock = view_file.ViewLock(path, self._storage, None if self._is_local else self._log.folder)

    def _somewhere(self, work: Callable[[], _T], *, moves: bool = True) -> _T:
        """Do the work alone, where the file should be; if that cannot be written, at a node-local file from then on,
        and unless it `moves`, also where there is no room."""
        if self._shares_locks:
            self._shares_locks = False
            self._go_local(view_places.own_to_process)
        elif not self._is_local and not view_places.writable(self.path):
            self._moved()
        while True:
            try:
                return self._alone(work)
            except (ViewAccessError, ViewRoomError) as error:
                if not moves if isinstance(error, ViewRoomError) else self._is_local:
                    raise
                if not self._moved():
                    raise
                self._notices.warn(f"{error} Until this process ends, its views are kept elsewhere: {self.path}.")

    def _moved(self) -> bool:
        """Whether there was another place for the views to go."""
        for place in self._moves:
            try:
                self._go_local(place)
            except OSError:  # not even a folder can be made there
                continue
            return True
        return False

    def _go_local(self, place: Callable[[str, Path], Path]) -> None:
        self.close()
        self._is_local = True
        self._move(place(self._log.project_id or "new", self._log.folder))

    def _alone(self, act: Callable[[], _T]) -> _T:
        """Act as the only writer of the file, among threads and processes."""
        with self._mutex, view_file.translated(self.path), self._lock:
            return act()

    # ------------------------------------------------------------ catching up

    def _advance(self, *, is_behind: bool = False) -> sqlite3.Connection:
        try:
            held = self._own() or self._opened()
            conn = held.conn
            if not held.seen.is_untouched(conn):
                with suppress(sqlite3.OperationalError):  # without its checkpoint it is of another version
                    if held.seen.suspicious(conn, reached(conn).seq):
                        self._counted = None
                reason = self._outdated(conn)
                if reason is None:
                    reason = self._lost(held)
                if reason is not None:
                    self._made_again(reason)
            while self._fold_some(conn, is_behind):
                is_behind = False
            held.seen.note(conn, reached(conn).seq)
        except LogCorruptError:
            # It may be the place that the file says it got to, which is not in the log: a rebuild tells.
            self._made_again(CHANGED)
            conn = (self._own() or self._hold()).conn
        except LogMismatchError as error:
            # The view may know events that the log has lost: it is no longer a view, but it may be evidence.
            return self._start_over("orphaned", f"does not fit its log ({error.problem})")
        except sqlite3.DatabaseError as error:
            if not view_file.is_damage(error):
                raise
            return self._start_over("damaged", f"was damaged ({error})")
        return conn

    def _opened(self) -> _Open:
        view_file.discard(
            view_file.built_for(self.path)
        )  # of a rebuild that was killed: the lock is held, so none is going on
        what = view_file.identify(self.path)
        if what == view_file.NOTHING:
            self._made_again("were not there")
        elif what != view_file.OURS:
            self._refuse_without_log(what)
            self._replace(self.path, why="damaged", problem=f"was {what}")
        return self._hold()

    def _refuse_without_log(self, what: str) -> None:
        if what == view_file.FOLDER or self._log.head().seq == 0:  # a folder is never set aside: it may hold anything
            raise NotOurDatabaseError(self.path, self._log.folder, what)

    def _made_again(self, reason: str) -> None:
        """Build the file from the log and, if there is a reason that somebody may wonder about, say so in one line.

        Not of the first views of a new log, nor of those that a process has to itself or that stand in for others.
        """
        done = self._replace(self.path)
        if not reason or not done:
            return
        if reason.startswith(BY_OTHERS):
            self._notices.changed(self.path, reason, done)
        elif not self._is_local:
            self._notices.made_again(self.path, reason, done)

    def _start_over(self, why: str, problem: str) -> sqlite3.Connection:
        """Rebuild into a new file and keep the old one under another name."""
        self._replace(self.path, why=why, problem=problem)
        return self._hold().conn

    def _outdated(self, conn: sqlite3.Connection) -> str | None:
        """Why the file must be made again, "" where it held no event; `LogMismatchError` where another log made it."""
        wanted = OWN.union(*(view.tables for view in self._projections))
        if acts_by_itself(conn):
            return "held statements that act by themselves"
        if not wanted <= tables(conn) or (at := reached(conn)).seq < 0:
            return ANOTHER_VERSION
        found, expected = dict(view_file.query(conn, "SELECT key, value FROM meta")), self._builder.meta()
        if found.get("project", expected["project"]) != expected["project"] and at.seq:
            raise LogMismatchError(self._log.folder, "the views are of another project")
        schema = {key: found.pop(key) for key in (SCHEMA, OBJECTS) if key in found}
        if found != expected:
            return ANOTHER_VERSION if at.seq else ""
        return CHANGED if other_schema(conn, schema) else None

    def _lost(self, held: _Open) -> str | None:
        """What is missing from the file, in words; counted once per process, and again on suspicion."""
        if held.file is not None and self._counted == held.file:
            return None
        self._counted = held.file
        return lost_rows(held.conn)

    def _fold_some(self, conn: sqlite3.Connection, is_behind: bool) -> bool:
        """Fold one batch after the checkpoint, in one transaction with it; False where it reached the head.

        What was redacted, or copied to another segment, was folded before, so then everything is folded anew.
        """
        with view_file.Transaction(conn, guarded=True):
            at = reached(conn)
            if not is_behind and same_place(at, self._log.head()):
                return False
            events = whole(self._log.read(at if at.seq else None))
            if not events:
                return False
            anew = any(isinstance(recorded.event, PayloadRedacted) for recorded in events) or self._log.moved(at)
            if not anew:
                self._builder.apply(conn, events)
        if anew:
            self._replace(self.path)
        return anew or len(events) >= BATCH

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
            done = self._builder.build(built, until, progress)
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


# ---------------------------------------------------------------- fork

_PROJECTORS: "weakref.WeakSet[Projector]" = weakref.WeakSet()
_PARENTS: list[sqlite3.Connection] = []
"""Connections that a child inherited: kept, for closing one would act on the parent's files."""


def _before_fork() -> None:
    for projector in list(_PROJECTORS):
        projector.before_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_before_fork)
