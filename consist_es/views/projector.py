"""Folds the log into the views, exactly once, and rebuilds them if they cannot be trusted.

The log is the truth, the views only serve queries. So the checkpoint is written in the transaction that folds the
events, and a view file that does not fit its log is rebuilt from the first event.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

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
from consist_es.views.changes import CHANGED, LOST, lost_rows, outdated
from consist_es.views.compare import Difference, compared
from consist_es.views.folding import BATCH, Projection, Statement, whole
from consist_es.views.notices import Notices
from consist_es.views.opened import Opened
from consist_es.views.tables import BEHIND, LEVEL, OUTDATED, OWN, reached, same_place

__all__ = ["Log", "Projection", "Projector", "Statement"]

DISAGREE = "did not say what the log says"
BY_OTHERS = (CHANGED, LOST, DISAGREE)
"""Reasons that may need action: another program wrote to the views."""

_T = TypeVar("_T")


class Projector:
    """Keeps the views of one log in one SQLite file.

    May be used by several threads and by forked children: every thread has a connection of its own, and a fork closes
    that of the forking thread. If the file cannot be written, the views move to a node-local file; `path` is the
    current one.
    """

    def __init__(
        self, db_path: Path, log: Log, projections: Sequence[Projection], *, storage: Storage | None = None
    ) -> None:
        self._log = log
        self._projections = tuple(projections)
        self._storage = storage or LocalStorage()
        self.builder = Builder(log, self._projections, self._storage)
        self._notices = Notices()
        self._mutex = threading.RLock()
        self._connections: dict[int, Opened] = {}
        self._is_local = False
        self._moves = iter(view_places.ELSEWHERE)
        """Places for the views that were not tried yet."""
        self._counted: tuple[int, int] | None = None
        """The file with rows counted by this process."""
        self._blank: tuple[int, int] | None = None
        """The file that this process made from an empty log."""
        self._shares_locks = False
        """True in a child forked while other threads had the file open. POSIX locks are per process, SQLite's record of
        them is not: the child would assume locks it does not hold, so it opens a file of its own."""
        self._move(Path(db_path))
        on_fork(self)
        _PROJECTORS.add(self)

    # ------------------------------------------------------------ public

    def catch_up(self) -> sqlite3.Connection:
        """Fold the log's new events, and return this thread's connection, for queries only.

        Raises:
            NotOurDatabaseError: the file is another program's and the log is empty; it is left untouched.
            ViewError: SQLite cannot use the file.
        """
        held, is_level = self._own(), None
        if held is not None:
            is_level = False if held.seen.is_behind else self._is_level(held)
            if is_level:
                return held.conn
        conn = self._somewhere(lambda: self._advance(is_behind=is_level is False))
        if self._notices.waiting:
            self._notices.tell()
        return conn

    def expect_more(self) -> None:
        """Note that this thread recorded events: its next `catch_up` folds without looking for new ones first."""
        held = self._connections.get(threading.get_ident())
        if held is not None:
            held.seen.is_behind = True

    def as_seen(self) -> sqlite3.Connection:
        """This thread's connection as of the last `catch_up`, without a look at the log."""
        held = self._own()
        try:
            if held is not None and not held.seen.suspicious(held.conn):
                return held.conn
        except sqlite3.Error:  # the full check finds the fault
            pass
        return self.catch_up()

    def distrust(self, problem: str) -> sqlite3.Connection:
        """Rebuild views that contradict their log, with a warning, and return this thread's connection.

        Raises:
            LogError, ViewError: they cannot be rebuilt; they stay as they are.
        """
        self._somewhere(lambda: self._made_again(f"{DISAGREE}: {problem}"))
        return self.catch_up()

    def rebuild(
        self, *, target: Path | None = None, until: int | str | None = None, progress: Progress | None = None
    ) -> int:
        """Build the views from the first event; return the last folded position.

        `target`: write a separate file there and leave the live views alone. `until`: stop after this position or this
        RFC 3339 time (only with `target`: live views always follow the log). `progress` is called with the positions
        done and in all.

        Raises:
            UsageError: `until` without `target` or invalid, or `target` is the live file.
            NotOurDatabaseError: `target` is another program's file.
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
                raise NotOurDatabaseError(target, self._log.place, what)
            return self._replace(target, until=until, progress=progress)

    def compare(self, other: Path) -> dict[str, list[Difference]]:
        """Tables that differ between the live views and another file, row for row.

        See `consist_es.views.compare.compared`. Empty for equal files.
        """
        conn = self.catch_up()
        names = sorted({name for projection in self._projections for name in projection.tables})
        with view_file.translated(other), closing(view_file.connect(other)) as theirs:
            return compared(conn, theirs, ("checkpoint", "dead_letter", *names))

    def checkpoint(self) -> Cursor:
        """The views' checkpoint, after catching up."""
        return reached(self.catch_up())

    def standing(self) -> str:
        """State of the file against the log, without changing it: `LEVEL`, `BEHIND`, `OUTDATED`, or the kind of file
        found instead (`consist_es.views.file.identify`).

        Raises:
            LogMismatchError: the file has events that the log does not have.
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
            next(self._log.read(at if at.seq else None), None)  # raises if that event is not in the log
            return BEHIND

    def settle(self) -> bool:
        """Leave nothing of deleted rows in the file or beside it; False if another program is reading meanwhile."""
        conn = self.catch_up()
        with view_file.translated(self.path):
            return view_file.checkpointed(conn)

    def close(self) -> None:
        """Close the connections of all threads. A later call opens them again."""
        with self._mutex:
            for held in self._connections.values():
                held.close()
            self._connections.clear()
            self._lock.close()

    def __enter__(self) -> "Projector":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ fork

    def before_fork(self) -> None:
        """Close the forking thread's connection: SQLite's locks do not survive in a child, its record of them does."""
        self._forget()

    def after_fork(self) -> None:
        """Start afresh in a child. Connections of the parent's other threads must not even be closed here."""
        _PARENTS.extend(conn for held in self._connections.values() for conn in held.all)
        self._shares_locks = bool(self._connections)
        self._connections = {}
        self._mutex = threading.RLock()

    # ------------------------------------------------------------ connections

    def _own(self) -> Opened | None:
        """This thread's connection, unless the file was replaced or removed since it was opened."""
        held = self._connections.get(threading.get_ident())
        if held is None:
            return None
        if held.file == view_file.file_at(self.path):
            for conn in held.all:
                if conn.in_transaction:  # an interrupt left it open: undo it
                    conn.rollback()
            return held
        self._forget()
        return None

    def _forget(self) -> None:
        held = self._connections.pop(threading.get_ident(), None)
        if held is not None:
            held.close()

    def _hold(self) -> Opened:
        """Open a connection for this thread, and close those of threads that have ended."""
        self._forget()
        alive = {threading.current_thread().ident, *(thread.ident for thread in threading.enumerate())}
        for ident in self._connections.keys() - alive:
            self._connections.pop(ident).close()
        held = self._connections[threading.get_ident()] = Opened(self.path)
        return held

    def _is_level(self, held: Opened) -> bool | None:
        """True if the file has every event; None if something is wrong with it."""
        # The checkpoint first: between the two, the log may grow but not shrink.
        try:
            if held.seen.suspicious(held.conn):
                return None
        except sqlite3.Error:
            return None  # the full check finds the fault
        return same_place(held.seen.at, self._log.head())

    # ------------------------------------------------------------ place of the file

    def _move(self, path: Path) -> None:
        self.path = path
        self._lock = view_file.ViewLock(path, self._storage, None if self._is_local else self._log.folder)

    def _somewhere(self, work: Callable[[], _T], *, moves: bool = True) -> _T:
        """Do the work alone, in the configured place. If that cannot be written, move to a node-local file for good; if
        it has no room, only if `moves`."""
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
        """Move the views to the next other place; False if there is none."""
        for place in self._moves:
            try:
                self._go_local(place)
            except OSError:  # no folder can be made there
                continue
            return True
        return False

    def _go_local(self, place: Callable[[str, str], Path]) -> None:
        self.close()
        self._is_local = True
        self._move(place(self._log.project_id or "new", self._log.place))

    def _alone(self, act: Callable[[], _T]) -> _T:
        """Act as the only writer of the file, among threads and processes."""
        with self._mutex, view_file.translated(self.path), self._lock:
            return act()

    # ------------------------------------------------------------ catching up

    def _advance(self, *, is_behind: bool = False) -> sqlite3.Connection:
        try:
            held = self._sound(self._own() or self._opened())
            conn = held.conn
            if is_behind or not same_place(reached(conn), self._log.head()):
                while self._fold_some(held.folds, is_behind):
                    is_behind = False
            held.seen.note(conn)
        except LogCorruptError:
            # The checkpoint may be a place that is not in the log: rebuild.
            self._made_again(CHANGED)
            conn = (self._own() or self._hold()).conn
        except LogMismatchError as error:
            # The view may have events that the log lost: no longer a view, but perhaps evidence.
            return self._start_over("orphaned", f"does not fit its log ({error.problem})")
        except sqlite3.DatabaseError as error:
            if not view_file.is_damage(error):
                raise
            return self._start_over("damaged", f"was damaged ({error})")
        return conn

    def _sound(self, held: Opened) -> Opened:
        """The opened file, made again if it is not what its log makes it."""
        conn = held.conn
        # An empty log's file lacks the project, which is said with the first event. One made by others is made again.
        seq = held.seen.at.seq
        if (seq > 0 or (seq == 0 and held.file == self._blank)) and held.seen.is_untouched(conn):
            return held
        with suppress(sqlite3.OperationalError):  # no checkpoint: another version's file
            if held.seen.suspicious(conn):
                self._counted = None
        reason = self._outdated(conn)
        if reason is None:
            reason = self._lost(held)
        if reason is None:
            return held
        self._made_again(reason)
        return self._own() or self._hold()

    def _opened(self) -> Opened:
        view_file.discard(
            view_file.built_for(self.path)
        )  # left by a killed rebuild: the lock is held, so none is going on
        what = view_file.identify(self.path)
        if what == view_file.NOTHING:
            self._made_again("were not there")
        elif what != view_file.OURS:
            self._refuse_without_log(what)
            self._replace(self.path, why="damaged", problem=f"was {what}")
        return self._hold()

    def _refuse_without_log(self, what: str) -> None:
        if what == view_file.FOLDER or self._log.head().seq == 0:  # never set a folder aside: it may hold anything
            raise NotOurDatabaseError(self.path, self._log.place, what)

    def _made_again(self, reason: str) -> None:
        """Build the file from the log and, if the reason may surprise somebody, add one message.

        No message for the first views of a new log, nor for views of this process alone or stand-ins.
        """
        done = self._replace(self.path)
        if not reason or not done:
            return
        if reason.startswith(BY_OTHERS):
            self._notices.changed(self.path, reason, done)
        elif not self._is_local:
            self._notices.made_again(self.path, reason, done)

    def _start_over(self, why: str, problem: str) -> sqlite3.Connection:
        """Rebuild into a new file and set the old one aside."""
        self._replace(self.path, why=why, problem=problem)
        return self._hold().conn

    def _outdated(self, conn: sqlite3.Connection) -> str | None:
        wanted = OWN.union(*(view.tables for view in self._projections))
        return outdated(conn, wanted, self.builder.meta(), self._log.place)

    def _lost(self, held: Opened) -> str | None:
        """Description of missing rows, or None. Counted once per process, and again on suspicion."""
        if held.file is not None and self._counted == held.file:
            return None
        self._counted = held.file
        return lost_rows(held.conn)

    def _fold_some(self, conn: sqlite3.Connection, is_behind: bool) -> bool:
        """Fold one batch after the checkpoint, in one transaction with it; False if it reached the head.

        Redacted or moved events were folded before, so then everything is rebuilt.
        """
        with view_file.Transaction(conn):
            at = reached(conn)
            if not is_behind and same_place(at, self._log.head()):
                return False
            events = whole(self._log.read(at if at.seq else None))
            if not events:
                return False
            anew = any(isinstance(recorded.event, PayloadRedacted) for recorded in events) or self._log.moved(at)
            if not anew:
                self.builder.apply(conn, events)
                if at.seq == 0:
                    self.builder.say_project(conn)
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
        """Build a new file and put it at `place`; with `why`, the file there is set aside."""
        built = view_file.built_for(place)
        try:
            done = self.builder.build(built, until, progress)
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
        self._blank = view_file.file_at(place) if done == 0 else None
        return done

    def _set_aside(self, place: Path, why: str, problem: str, done: int) -> None:
        self._forget()
        self._notices.set_aside(place, problem, done, view_file.set_aside(place, why))


# ---------------------------------------------------------------- fork

_PROJECTORS: "weakref.WeakSet[Projector]" = weakref.WeakSet()
_PARENTS: list[sqlite3.Connection] = []
"""Connections that a child inherited: never closed, which would act on the parent's files."""


def _before_fork() -> None:
    for projector in list(_PROJECTORS):
        projector.before_fork()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(before=_before_fork)
