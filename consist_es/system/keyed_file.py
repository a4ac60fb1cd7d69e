"""An SQLite file of a user's own that may vanish or break at any time, with rows that only this user can make."""

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
"""Connections that a child inherited, kept from being closed."""


class KeyedFile:
    """One table in one file that is made when first needed; base of the caches.

    The file may lie where others can write. Each row carries a mark that only this user can make, see
    `consist_es.system.keyfile`, over all that it says; other rows are not believed. Where there can be no key,
    nothing is kept.

    Never an error for the caller: a locked file is not used, a damaged one is made anew, and a row that a power cut
    left half written has no valid mark. Safe to delete at any time, and to use from threads and after a fork.
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
        """Another thread of the parent may have been inside; the child must not even close its connection."""
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
        """The connection, made anew after a fork or when the file at the path is another one."""
        if self._connection is not None and self._owner == self._place():
            return self._connection
        self._drop()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connected()
        # The file may come from anybody: a trigger or a view in it would be run by a query.
        if connection.execute("SELECT sql FROM sqlite_master LIMIT 2").fetchall() != [(self._table,)]:
            connection.close()
            self.path.unlink(missing_ok=True)
            connection = self._connected()
        self._connection, self._owner = connection, self._place()
        return connection

    def _connected(self) -> sqlite3.Connection:
        if self.path.is_symlink():  # SQLite would write into whatever it leads to
            raise OSError(errno.ELOOP, "a link, not a cache", os.fspath(self.path))
        with suppress(FileExistsError):
            # SQLite itself would create it as 0644 and so take the group's right to write that an umask of 002 gives.
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
        """Close, and remove the file if it is damaged, so that the next use makes a new one."""
        with self._guard:
            self._drop()
            if isinstance(problem, sqlite3.DatabaseError) and _code(problem) in _BROKEN:
                try:
                    self.path.unlink(missing_ok=True)
                except OSError:
                    return


def _code(problem: sqlite3.Error) -> int:
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF
