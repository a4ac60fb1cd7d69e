"""A user's own SQLite file, which may vanish or break at any time, with rows that only this user can make."""

import errno
import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from consist_es.system.keyfile import own_key
from consist_es.system.storage import on_fork

_WAIT_SECONDS = 0.5
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PARENTS: list[sqlite3.Connection | None] = []
"""Connections that a child inherited: never closed."""


class KeyedFile:
    """One table in one file, made on first use; base of the caches.

    The file may be writable by others. Each row carries a mark over all its values that only this user can make, see
    `consist_es.system.keyfile`; other rows are ignored. Without a key, nothing is stored.

    Callers get no errors: a locked file is not used, a damaged one is made anew, and a row half written before a power
    cut has no valid mark. Safe to delete at any time, and to use from threads and after a fork.
    """

    def __init__(self, path: Path, table: str) -> None:
        self.path, self._table = path, table
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int, int] | None = None
        """Process, device and inode of the open connection's file."""
        self._key: bytes | None = None
        on_fork(self)

    def after_fork(self) -> None:
        """Start afresh: another thread of the parent may hold the guard. The child must not even close its
        connection."""
        self._guard = threading.Lock()
        _PARENTS.append(self._connection)
        self._connection, self._owner = None, None

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._guard:
            self._drop()

    def _own_key(self, *, make: bool) -> bytes | None:
        if self._key is None:
            self._key = own_key(make=make)
        return self._key

    def _open(self) -> sqlite3.Connection:
        """The connection, reopened after a fork or if the file at the path was replaced."""
        if self._connection is not None and self._owner == self._place():
            return self._connection
        self._drop()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connected()
        # The file may be anybody's: a query would run its triggers and views.
        if connection.execute("SELECT sql FROM sqlite_master LIMIT 2").fetchall() != [(self._table,)]:
            connection.close()
            self.path.unlink(missing_ok=True)
            connection = self._connected()
        self._connection, self._owner = connection, self._place()
        return connection

    def _connected(self) -> sqlite3.Connection:
        if self.path.is_symlink():  # SQLite would write through the link
            raise OSError(errno.ELOOP, "a link, not a cache", os.fspath(self.path))
        with suppress(FileExistsError):
            # SQLite itself would create it as 0644, without the group's write permission under an umask of 002.
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        connection = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            # in memory: a journal file of a deleted cache must not be taken for the new one's
            connection.execute("PRAGMA journal_mode=MEMORY")
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA trusted_schema=OFF")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                connection.execute(self._table)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _place(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return os.getpid(), found.st_dev, found.st_ino

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._owner is not None and self._owner[0] == os.getpid():
            with closing(connection):  # a forked child must not close its parent's
                pass

    def _give_up(self, problem: sqlite3.Error | OSError) -> None:
        """Close, and remove a damaged file, so that the next use makes a new one."""
        with self._guard:
            self._drop()
            if isinstance(problem, sqlite3.DatabaseError) and _code(problem) in _BROKEN:
                try:
                    self.path.unlink(missing_ok=True)
                except OSError:
                    return


def _code(problem: sqlite3.Error) -> int:
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF
