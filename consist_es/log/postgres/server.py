"""A connection to the server: made again while the server is away, with its errors as errors of the log."""

from __future__ import annotations

import json
import os
import random
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from consist_es.errors import (
    LogClosedError,
    LogError,
    LogFormatError,
    LogFullError,
    LogRightError,
    LogServerError,
    LogWriteError,
    MissingExtraError,
)
from consist_es.log.postgres.address import Address
from consist_es.system.storage import on_fork

if TYPE_CHECKING:
    import psycopg

FORMAT = 1
"""Version of the schema."""
_LOST = ("08", "57P", "25P03", "25P04")
"""Beginnings of SQLSTATEs that mean: the connection is gone. Errors of the client's side have no SQLSTATE."""
_CLOSED = """
SELECT e.line FROM consist_es.event e JOIN consist_es.project p ON p.no = e.project
WHERE p.name = %s AND e.type = 'log_closed' ORDER BY e.seq DESC LIMIT 1
"""
_T = TypeVar("_T")


class Lost(Exception):
    """The connection was lost in the middle: what was sent may have been done or not."""


def patience() -> float:
    """Seconds for which a server that was there before is waited for."""
    try:
        return float(os.environ.get("CONSIST_ES_PATIENCE", "60"))
    except ValueError:
        return 60.0


class Server:
    """One connection, for the threads of this process in turn. A forked child makes its own."""

    def __init__(self, address: Address, *, checked: bool = True) -> None:
        self.address, self._checked = address, checked
        self.mutex = threading.RLock()
        self.statements = 0
        """Round trips so far."""
        self.lost = 0
        """Times that the connection was lost; whoever knows something by it asks anew when this grows."""
        self._held = _Held()
        self._was_there = False
        weakref.finalize(self, _close, self._held)
        on_fork(self)

    def ask(self, text: str, values: tuple[Any, ...] = (), *, writes: bool = False) -> list[tuple[Any, ...]]:
        """The rows of one statement, in a transaction of its own; repeated if the connection is lost.

        Raises:
            LogError: see `run`.
        """
        return self.run(lambda conn: self.rows(conn, text, values), writes=writes)

    def rows(self, conn: psycopg.Connection[Any], text: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement on this connection."""
        self.statements += 1
        cursor = conn.execute(text.encode(), values, binary=True)
        return cursor.fetchall() if cursor.description is not None else []

    def script(self, text: str) -> None:
        """Run several statements in one transaction."""

        def act(conn: psycopg.Connection[Any]) -> None:
            with conn.transaction():
                conn.execute(text.encode())

        self.run(act, writes=True)

    def run(self, act: Callable[[psycopg.Connection[Any]], _T], *, writes: bool = False) -> _T:
        """Run `act`, and again on a new connection if the connection is lost; so it must be repeatable.

        Raises:
            LogWriteError (with `writes`), LogServerError: the server is away, or refuses.
            LogRightError: the role may not do that. LogFullError: the server's disk is full.
            LogFormatError: the database has no or another schema.
        """
        import psycopg

        with self.mutex:
            deadline, pause = None, 0.05
            while True:
                try:
                    return act(self._connected())
                except (psycopg.OperationalError, Lost) as error:
                    cause = error.__cause__ if isinstance(error, Lost) else error
                    if not (isinstance(cause, psycopg.OperationalError) and is_lost(cause)):
                        raise self._translated(cause or error, writes) from error
                    self._drop()
                    deadline = deadline or time.monotonic() + (patience() if self._was_there else 0)
                    if time.monotonic() >= deadline:
                        raise self._translated(cause, writes) from error
                except psycopg.Error as error:
                    self._drop()
                    raise self._translated(error, writes) from error
                except LogError:
                    raise
                except BaseException:  # an interrupt: the connection may be in the middle of anything
                    self._drop()
                    raise
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - so that not all come back at once
                pause = min(pause * 2, 2.0)

    def _connected(self) -> psycopg.Connection[Any]:
        if self._held.conn is not None and not self._held.conn.closed:
            return self._held.conn
        import psycopg

        conn = psycopg.connect(
            self.address.server,
            autocommit=True,
            connect_timeout=10,
            fallback_application_name="consist-es",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
        )
        # Nothing is set or prepared for the session: behind a pooler the next transaction may be another client's.
        conn.prepare_threshold = None
        self._held.conn = conn
        if self._checked and not self._was_there:
            self._require_format(conn)
        self._was_there = True
        return conn

    def _require_format(self, conn: psycopg.Connection[Any]) -> None:
        import psycopg

        try:
            found = self.rows(conn, "SELECT version FROM consist_es.format")
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise LogFormatError(
                f"The database {self.address.shown} has no tables of consist-es: its owner makes them with "
                f"`consist-es db init {self.address.shown.partition('#')[0]}`. Nothing was changed."
            ) from None
        version = found[0][0] if found else 0
        if version != FORMAT:
            raise LogFormatError(
                f"The database {self.address.shown} has tables of version {version}, and this version of consist-es "
                f"works with {FORMAT}. Nothing was changed. Use the version of consist-es that made them.",
                newer=version > FORMAT,
            )

    def _translated(self, error: BaseException, writes: bool) -> LogError:
        import psycopg

        said, place = " ".join(str(error).split()) or type(error).__name__, self.address.shown
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return LogRightError(place, said)
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return LogRightError(place, "the server takes no changes now: it is a replica, or read-only")
        if isinstance(error, psycopg.errors.ObjectNotInPrerequisiteState) and "log is closed" in said:
            return LogClosedError(place, self._closed_to())
        if isinstance(error, psycopg.errors.DiskFull):
            return LogFullError(place, 0, said)
        if writes:
            return LogWriteError(place, said, hint="Once the server answers, run it again.")
        return LogServerError(place, said)

    def _closed_to(self) -> str:
        """Where the log went, by its last event."""
        import psycopg

        with suppress(psycopg.Error, ValueError, KeyError):
            rows = self.rows(self._connected(), _CLOSED, (self.address.name,))
            return str(json.loads(rows[0][0])["data"]["to"])
        return "another place"

    def _drop(self) -> None:
        self.lost += 1
        _close(self._held)

    def close(self) -> None:
        """Close the connection; the next use makes another."""
        with self.mutex:
            self._drop()

    def after_fork(self) -> None:
        """Start afresh in a child: to close the parent's connection would say goodbye on its socket."""
        _PARENTS.append(self._held.conn)
        self._held.conn, self.mutex = None, threading.RLock()
        self.lost += 1


class _Held:
    """The connection, kept apart so that a finalizer can close it."""

    def __init__(self) -> None:
        self.conn: psycopg.Connection[Any] | None = None


def _close(held: _Held) -> None:
    conn, held.conn = held.conn, None
    if conn is not None:
        with suppress(Exception):
            conn.close()


_PARENTS: list[Any] = []


def is_lost(error: psycopg.OperationalError) -> bool:
    """True if the connection is gone, so that another may do."""
    if error.sqlstate is None:
        return "password authentication failed" not in str(error) and "does not exist" not in str(error)
    return error.sqlstate.startswith(_LOST)


def require_psycopg() -> None:
    """Refuse a URL of a server without its client.

    Raises:
        MissingExtraError: psycopg is not installed.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("A log on a PostgreSQL server", "psycopg", "postgres") from error
