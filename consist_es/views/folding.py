"""From events to rows: the `Projection` protocol, and the execution of its statements."""

import functools
import gc
import itertools
import operator
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from consist_es.errors import UsageError
from consist_es.events import Recorded
from consist_es.system.with_block import WithBlock
from consist_es.views import file as view_file

Statement = tuple[str, Sequence[Any]]
"""SQL text (always a constant) and its parameters."""

BATCH = 5000
"""Events per transaction, and per `executemany`."""

# Errors of a fold that does not fit its event. Others say nothing about the event.
FOLD_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
    sqlite3.Error,
)
# SQLite's errors about the statement (sqlite.org/rescode.html); Python's own have no code.
_STATEMENT_CODES = (
    None,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
)


class Projection(Protocol):
    """One view: its tables and how events change them."""

    name: str
    version: int
    """Changing it rebuilds the views."""
    tables: tuple[str, ...]
    """All tables it makes; no other projection's statements may touch them."""

    # Optional set `TAKES`: classes of the events that change the view; others are not handed to it.

    # Optional `fold_group(events)`: the statements for events in their order, as pairs of an SQL text and the values of
    # one or more rows. It leaves the rows that `fold` leaves, one event after the other, with fewer statements.

    # `db` has all that `sqlite_utils.Database` has, see `consist_es.views.tables.Making`.

    def create(self, db: Any) -> None:
        """Make the tables, with the indexes that folding itself needs."""

    def index(self, db: Any) -> None:
        """Make the other indexes and the SQL views; a rebuild does this last."""

    def fold(self, recorded: Recorded) -> Iterable[Statement]:
        """The statements for one event: a pure function of it, without clock, disk or randomness."""


_DEAD_LETTER = "INSERT INTO dead_letter (seq, projection, type, error) VALUES (?, ?, ?, ?)"


def fold(conn: sqlite3.Connection, projection: Projection, events: list[Recorded]) -> Counter[str]:
    """Fold events into one view; events it cannot take become dead letters. Returns table -> net number of added rows.

    First all at once; if one fails, one by one, so that only the failing event's rows are missing.
    """
    grown: Counter[str] = Counter()
    conn.execute("SAVEPOINT fold")
    try:
        grown = _execute(conn, projection, events)
    except FOLD_ERRORS as error:
        if isinstance(error, sqlite3.Error) and view_file.code_of(error) not in _STATEMENT_CODES:
            raise
        conn.execute("ROLLBACK TO fold")
        if _was_struck(conn, projection, events, error):
            raise KeyboardInterrupt from None
        if len(events) == 1:
            text = f"{type(error).__name__}: {error}"
            conn.execute(_DEAD_LETTER, (events[0].seq, projection.name, events[0].type, text))
        else:
            for recorded in events:
                grown.update(fold(conn, projection, [recorded]))
    conn.execute("RELEASE fold")
    return grown


def fold_all(conn: sqlite3.Connection, projections: Sequence[Projection], events: list[Recorded]) -> Counter[str]:
    """Fold events into each view; returns the numbers of `fold` for all tables."""
    shares = _shared_out(projections, events)
    grown: Counter[str] = Counter()
    conn.execute("SAVEPOINT fold")
    for projection, taken in shares:
        try:
            _grow(grown, _execute(conn, projection, taken))
        except FOLD_ERRORS as error:
            if isinstance(error, sqlite3.Error) and view_file.code_of(error) not in _STATEMENT_CODES:
                raise
            conn.execute("ROLLBACK TO fold")
            if _was_struck(conn, projection, taken, error):
                raise KeyboardInterrupt from None
            break
    else:
        conn.execute("RELEASE fold")
        return grown
    conn.execute("RELEASE fold")
    grown = Counter()
    for projection, taken in shares:  # one of them does not fit: view by view, so that the others lose nothing
        _grow(grown, fold(conn, projection, taken))
    return grown


def _shared_out(projections: Sequence[Projection], events: list[Recorded]) -> list[tuple[Projection, list[Recorded]]]:
    """Each view that takes any of the events, with those."""
    shares: list[list[Recorded]] = [[] for _ in projections]
    takers: dict[type, list[Callable[[Recorded], None]]] = {}
    for recorded in events:
        kind = type(recorded.event)
        if (adding := takers.get(kind)) is None:
            wants = [getattr(projection, "TAKES", None) for projection in projections]
            adding = takers[kind] = [
                share.append for share, takes in zip(shares, wants, strict=True) if takes is None or kind in takes
            ]
        for add in adding:
            add(recorded)
    return [(projection, share) for projection, share in zip(projections, shares, strict=True) if share]


def _grow(grown: Counter[str], more: dict[str, int]) -> None:
    for table, rows in more.items():  # `Counter.update` takes a microsecond for each call
        grown[table] += rows


def _was_struck(conn: sqlite3.Connection, projection: Projection, events: list[Recorded], error: Exception) -> bool:
    """True if Ctrl-C hit inside one of our SQL functions."""
    # sqlite3 reports that as a plain OperationalError. Retrying is right: skipping the event would lose it for good.
    if not (isinstance(error, sqlite3.OperationalError) and "user-defined function" in str(error)):
        return False
    try:
        _execute(conn, projection, events)
    except FOLD_ERRORS:
        return False
    finally:
        conn.execute("ROLLBACK TO fold")
    return True


def groups_of(projections: Sequence[Projection], events: list[Recorded]) -> Iterator[tuple[str, Iterable[Any]]]:
    """The statements of all views for events, as pairs of an SQL text and the values of one or more rows."""
    for projection, taken in _shared_out(projections, events):
        yield from _grouped(projection, taken)


def _execute(conn: sqlite3.Connection, projection: Projection, events: list[Recorded]) -> Counter[str]:
    """Run the statements in order; neighbours with the same text go to SQLite together."""
    return run(conn, _grouped(projection, events))


def run(conn: sqlite3.Connection, groups: Iterable[tuple[str, Iterable[Any]]]) -> Counter[str]:
    """Run statements in order. Returns table -> net number of added rows."""
    cursor = conn.cursor()
    grown: Counter[str] = Counter()
    for sql, rows in groups:
        cursor.executemany(sql, rows)
        table, sign = _changes(sql)
        if sign:
            grown[table] += sign * cursor.rowcount
    return grown


def _grouped(projection: Projection, events: list[Recorded]) -> Iterable[tuple[str, Iterable[Any]]]:
    together = getattr(projection, "fold_group", None)
    if together is not None:
        found: Iterable[tuple[str, Iterable[Any]]] = together(events)
        return found
    return _neighbours(projection, events)


def _neighbours(projection: Projection, events: list[Recorded]) -> Iterator[tuple[str, Iterable[Any]]]:
    takes = getattr(projection, "TAKES", None)
    wanted = events if takes is None else [recorded for recorded in events if type(recorded.event) in takes]
    statements = (statement for recorded in wanted for statement in projection.fold(recorded))
    for sql, group in itertools.groupby(statements, key=_TEXT):
        yield sql, map(_VALUES, group)


_CHANGES = re.compile(r"\s*(INSERT|DELETE)\s+(?:INTO|FROM)\s+(\w+)")


@functools.lru_cache(maxsize=256)
def _changes(sql: str) -> tuple[str, int]:
    """The table that a statement adds rows to (1) or removes rows from (-1); 0 if their number stays or cannot be
    told."""
    match = _CHANGES.match(sql)
    if match is None or "DO UPDATE" in sql:
        return "", 0
    return match[2], 1 if match[1] == "INSERT" else -1


_TEXT, _VALUES = operator.itemgetter(0), operator.itemgetter(1)


def whole(events: Iterator[Recorded]) -> list[Recorded]:
    """The next `BATCH` events or a few more, up to a batch's end: events recorded together become visible together."""
    taken: list[Recorded] = []
    for recorded in events:
        taken.append(recorded)
        if len(taken) >= BATCH and recorded.end:
            break
    return taken


def cut(events: Iterator[Recorded], until: int | str | None) -> Iterator[Recorded]:
    """Events up to a position or time, inclusive."""
    if until is None:
        return events
    if isinstance(until, int):
        return _up_to(until, events)
    try:
        moment = datetime.fromisoformat(until)
    except ValueError as error:
        raise UsageError(f"until={until!r} is neither a position nor a time like 2026-11-22T08:13:00Z.") from error
    if moment.tzinfo is None:
        raise UsageError(f"until={until!r} has no time zone: append Z for UTC, or an offset like +01:00.")
    last = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # the form of `Recorded.at`, so texts compare
    return itertools.takewhile(lambda recorded: recorded.at <= last, events)


def _up_to(position: int, events: Iterator[Recorded]) -> Iterator[Recorded]:
    for recorded in events:
        if recorded.seq <= position:
            yield recorded
        if recorded.seq >= position:  # what lies behind is not read: it may be damaged
            return


class NoCollector(WithBlock[None]):
    """Turns the garbage collector off for a rebuild: a million events, and no cycles in them."""

    def __init__(self) -> None:
        self._was_on = gc.isenabled()

    def _begin(self) -> None:
        gc.disable()

    def _end(self, error: BaseException | None) -> None:
        if self._was_on:
            gc.enable()


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a view could not take: its rows in that view are missing."""

    seq: int
    projection: str
    type: str
    error: str


def dead_letters(conn: sqlite3.Connection) -> list[DeadLetter]:
    """All dead letters, in log order."""
    sql = "SELECT seq, projection, type, error FROM dead_letter ORDER BY seq, projection"
    return [DeadLetter(*row) for row in view_file.query(conn, sql)]
