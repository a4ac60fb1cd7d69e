"""A cache of file digests, shared by a user's processes: a convenience that may vanish or break at any time."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.identity.digest_key import own_key
from consist_es.storage import on_fork

_RACY_NS = 3_000_000_000
_WAIT_SECONDS = 0.5
_BATCH = 500
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLE = "CREATE TABLE digests_1 (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT, mark BLOB) WITHOUT ROWID"


_PARENTS: list[sqlite3.Connection | None] = []
"""Connections that a child inherited, kept from being closed."""


class Stamp(msgspec.Struct, frozen=True):
    """What changes when a file does. The change time cannot be set back by hand, unlike the modification time."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp in a stat result."""
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


class DigestCache:
    """Digests by absolute path and stamp, in one SQLite file that is made when first needed.

    The racy-timestamp rule, after git: file times come in ticks (2 s on FAT, some 10 ms elsewhere), so a file
    that is edited twice within one may carry the same stamp for two contents. An entry is therefore kept only if
    the file's times were at least 3 s older than the moment the hashing began; a younger file is hashed again
    each time until it has come of age. Clocks of network file systems must agree with ours to within a second.

    The file may lie where others can write. Each row carries a mark that only this user can make, see
    `consist_es.identity.digest_key`, over all that it says; other rows are not believed. Where there can be no key,
    nothing is kept.

    Never an error for the caller: a locked file is not used, a damaged one is made anew, and a row that a power cut
    left half written has no valid mark. Safe to delete at any time, and to use from threads and after a fork.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
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

    def lookup(self, stamps: Mapping[bytes, Stamp]) -> dict[bytes, str]:
        """Digests of those files whose stamp is the recorded one."""
        try:
            with self._guard:
                return self._lookup(stamps)
        except (sqlite3.Error, OSError) as problem:
            self._give_up(problem)
            return {}

    def record(self, entries: Mapping[bytes, tuple[Stamp, str, int]]) -> None:
        """Keep digests: path -> stamp, digest, and when hashing began (wall clock, ns). Young files are left out."""
        kept = [
            (path, _text(stamp), digest)
            for path, (stamp, digest, began) in entries.items()
            if began - max(stamp.mtime_ns, stamp.ctime_ns) >= _RACY_NS
        ]
        if not kept or (key := self._own_key(make=True)) is None:
            return
        rows = [(*row, _mark(key, *row)) for row in kept]
        try:
            with self._guard, self._open() as connection:
                connection.executemany("INSERT OR REPLACE INTO digests_1 VALUES (?, ?, ?, ?)", rows)
        except (sqlite3.Error, OSError) as problem:
            self._give_up(problem)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._guard:
            self._drop()

    def _lookup(self, stamps: Mapping[bytes, Stamp]) -> dict[bytes, str]:
        if not stamps or not self.path.exists() or (key := self._own_key(make=False)) is None:
            return {}
        found: dict[bytes, str] = {}
        paths = list(stamps)
        for start in range(0, len(paths), _BATCH):
            some = paths[start : start + _BATCH]
            marks = ",".join("?" * len(some))
            query = f"SELECT path, stamp, digest, mark FROM digests_1 WHERE path IN ({marks})"  # noqa: S608
            rows = self._open().execute(query, some).fetchall()
            found |= {
                path: digest
                for path, stamp, digest, mark in rows
                if stamp == _text(stamps[path])
                and isinstance(digest, str)  # others may have put anything there
                and mark == _mark(key, path, stamp, digest)
            }
        return found

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
        if connection.execute("SELECT sql FROM sqlite_master LIMIT 2").fetchall() != [(_TABLE,)]:
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
                connection.execute(_TABLE)
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


def now_ns() -> int:
    """The wall clock that file times are compared with."""
    return time.time_ns()


def _code(problem: sqlite3.Error) -> int:
    return int(getattr(problem, "sqlite_errorcode", 0)) & 0xFF


def _text(stamp: Stamp) -> str:
    return f"{stamp.size} {stamp.mtime_ns} {stamp.ctime_ns} {stamp.inode} {stamp.device}"


def _mark(key: bytes, path: bytes, stamp: str, digest: str) -> bytes:
    said = b"%d:%s%d:%s%s" % (len(path), path, len(stamp), stamp.encode(), digest.encode())
    return blake3(said, key=key).digest(length=16)
