"""The SQLite view file: identifying it, opening it, and replacing it.

A view file can always be rebuilt from the log, so it is never repaired. A file that another program may have written is
never deleted or overwritten, but set aside under another name.

The file is in WAL mode. If a new file were renamed over it, the old ``-wal`` would stay and SQLite would apply it to
the new file. So a rebuilt file replaces a live one page by page in one transaction (SQLite's backup); it is renamed
only to a free path.
"""

import codecs
import errno
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from consist_es.errors import LogLockError, UsageError, ViewAccessError, ViewError, ViewRoomError
from consist_es.system.storage import Lock, Storage
from consist_es.system.with_block import WithBlock

APPLICATION_ID = 0x636F6E73
"""``PRAGMA application_id`` of our files: "cons" in ASCII."""

NOTHING = "nothing"
OURS = "a consist-es database"
FOLDER = "a folder"

BUSY_SECONDS = 5.0
"""Seconds to wait for another program's write transaction."""

STALE = 5.0
"""Seconds to wait for a process that uses the views under a deleted lock file."""

_ANOTHERS = "a SQLite database of another program"
_SIGNATURES = (
    (0, b"SQLite format 3\0", _ANOTHERS),
    (8, b"DUCK", "a DuckDB database"),
    (0, b"PAR1", "a Parquet file"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip file"),
)
_SIDE_FILES = ("-wal", "-shm", "-journal")


def identify(path: Path) -> str:
    """The kind of file at `path`: `NOTHING` (also for an empty file), `OURS`, or a description."""
    if path.is_dir():
        return FOLDER
    try:
        if path.stat().st_size == 0:
            return NOTHING
        if (number := _application_id(path)) is not None:
            return OURS if number == APPLICATION_ID else _ANOTHERS
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError:
        return NOTHING
    except OSError as error:
        raise ViewError(f"{path} cannot be read: {error}. Give db_path another name.") from error
    # Bytes 68 to 71 of an SQLite header are its application id, big-endian (sqlite.org/fileformat2.html).
    if start.startswith(b"SQLite format 3\0") and start[68:72] == APPLICATION_ID.to_bytes(4, "big"):
        return OURS
    for offset, magic, name in _SIGNATURES:
        if start[offset : offset + len(magic)] == magic:
            return name
    return "a text file" if _is_text(start) else "a file of an unknown kind"


def _application_id(path: Path) -> int | None:
    """The application id of an SQLite database; None if SQLite cannot read it."""
    # Asked through SQLite, though the number is at a known offset: if a process closes a file that it opened without
    # SQLite, the system drops the locks of all its connections to that file, and another process may remove their
    # ``-wal`` (section 2.2 of sqlite.org/howtocorrupt.html).
    try:
        with closing(sqlite3.connect(f"{_uri(path)}?mode=ro&immutable=1", uri=True)) as conn:
            return int(conn.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.Error:
        return None


def _uri(path: Path) -> str:
    return f"file:{quote(os.fsencode(path))}"


def _is_text(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut off
    except UnicodeDecodeError:
        return False
    return b"\0" not in start


def connect(path: Path, *, writes: bool = False) -> sqlite3.Connection:
    """Open an existing view file, for queries only unless it `writes`."""
    conn = sqlite3.connect(
        f"{_uri(path)}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _prepare(conn)
        conn.execute("PRAGMA synchronous = NORMAL")
        # What a savepoint needs to be undone would take 50 system calls a fold in a temporary file.
        conn.execute("PRAGMA temp_store = MEMORY" if writes else "PRAGMA query_only = ON")
    except sqlite3.Error:
        conn.close()
        raise
    return conn


def create(path: Path) -> sqlite3.Connection:
    """Open a new file for building, after removing one that a killed build left."""
    discard(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite itself would create it as 0644, without the group's write permission under an umask of 002.
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    _prepare(conn)
    # An unfinished file is worthless; savepoints still need a journal, in memory.
    conn.execute("PRAGMA journal_mode = MEMORY")
    conn.execute("PRAGMA synchronous = OFF")
    conn.execute("PRAGMA locking_mode = EXCLUSIVE")
    conn.execute("PRAGMA cache_size = -65536")
    conn.execute(_SET_APPLICATION_ID)
    return conn


_SET_APPLICATION_ID = "PRAGMA application_id = 0x636F6E73"  # a PRAGMA takes no parameters


def _prepare(conn: sqlite3.Connection) -> None:
    conn.create_function("json_merge", 2, _json_merge, deterministic=True)
    conn.create_function("json_fill", 3, _json_fill, deterministic=True)
    conn.execute("PRAGMA trusted_schema = OFF")  # the file may be anybody's: see sqlite.org/security.html
    conn.execute("SELECT count(*) FROM sqlite_master").fetchone()  # reads the file, so that damage shows here


def _json_merge(old: str | None, new: str) -> str:
    """Merge two JSON objects, the new values winning key by key. SQLite's json_patch would drop nulls."""
    return msgspec.json.encode(msgspec.json.decode(old or "{}") | msgspec.json.decode(new)).decode()


def _json_fill(text: str | None, name: str, value: str | None) -> str | None:
    """Add entries to the object under `name` in a JSON object; unchanged if there are none."""
    if text is None or value is None:
        return text
    whole = msgspec.json.decode(text)
    whole[name] = (whole.get(name) or {}) | msgspec.json.decode(value)
    return msgspec.json.encode(whole).decode()


class Transaction(WithBlock[None]):
    """An all-or-nothing transaction of the only writer."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def _begin(self) -> None:
        if self._conn.in_transaction:  # an interrupt can strike anywhere, also in the rollback
            self._conn.execute("ROLLBACK")
        self._conn.execute("BEGIN IMMEDIATE")

    def _end(self, error: BaseException | None) -> None:
        try:
            if error is None:
                self._conn.execute("COMMIT")
        finally:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")


class ViewLock(Lock):
    """Write lock of a view file: on a file beside it, and on the folder of its log.

    If people delete the file, another process could lock a new one while the first still works; the folder cannot be
    deleted alone. `log`: that folder; None for views that no other process uses.
    """

    def __init__(self, view: Path, storage: Storage, log: Path | None) -> None:
        super().__init__(view.with_name(view.name + ".lock"), storage)
        self._view = view
        self._log = None if log is None else _FolderLock(log, storage)

    def _begin(self) -> Lock:
        try:
            try:
                self.acquire()
            except FileNotFoundError:
                self._view.parent.mkdir(parents=True, exist_ok=True)
                self.acquire()
        except (OSError, LogLockError) as error:
            raise ViewAccessError(self._view, error) from error
        if self._log is not None and (holder := self._log.refused()):
            problem = f"{holder} works on it, though the lock file {self.path.name} was deleted"
            raise ViewAccessError(self._view, problem, "let that process finish, or end it")
        return self

    def _end(self, error: BaseException | None) -> None:
        try:
            if self._log is not None:
                self._log.release()
        finally:
            super()._end(error)

    def close(self) -> None:
        """Close both files."""
        if self._log is not None:
            self._log.close()
        super().close()


class _FolderLock(Lock):
    """The lock of a folder. Waits `STALE` seconds at most."""

    _FLAGS = os.O_RDONLY

    def refused(self) -> str:
        """Take the lock; return a description of its holder if it cannot be taken. Returns "" if the folder is missing
        or its file system has no such locks."""
        try:
            return "" if self.acquire() else self._storage.lock_holder(self._fd or 0)
        except (OSError, LogLockError):
            return ""

    def _waited(self, fd: int) -> bool:
        return self._storage.flock_within(fd, STALE)


def finish(conn: sqlite3.Connection, path: Path, storage: Storage) -> None:
    """Close a built file: in WAL mode, with every byte on disk."""
    conn.execute("PRAGMA locking_mode = NORMAL")
    conn.execute("PRAGMA journal_mode = WAL")
    conn.close()
    descriptor = storage.open(path, os.O_RDWR)
    try:
        storage.datasync(descriptor)
    finally:
        storage.close(descriptor)


def install(built: Path, place: Path, storage: Storage) -> None:
    """Put a finished file in its place. Readers see the old one or the new one, never a part."""
    if identify(place) == OURS:
        with closing(connect(built)) as source, closing(connect(place, writes=True)) as target:
            _copy(source, target, place)
        discard(built)
        return
    discard(place)
    storage.rename(built, place)
    storage.sync_folder(place.parent)


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, place: Path) -> None:
    deadline = time.monotonic() + BUSY_SECONDS

    def give_up(status: int, _remaining: int, _total: int) -> None:
        # Called after each try; Python itself would retry forever.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise ViewAccessError(place, "another program is writing to it")

    source.backup(target, progress=give_up)
    target.execute("PRAGMA busy_timeout = 0")  # a reader may keep the WAL; that is no error
    target.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def checkpointed(conn: sqlite3.Connection) -> bool:
    """Checkpoint the WAL into the file and truncate it; False if a reader prevents that."""
    return not conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]


def built_for(place: Path) -> Path:
    """Path to build the new file for `place` at."""
    return place.with_name(place.name + ".rebuild")


def file_at(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at a path, or None."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def discard(path: Path) -> None:
    """Remove an empty or unfinished file, with SQLite's side files."""
    for name in (path, *side_files(path)):
        name.unlink(missing_ok=True)


def side_files(path: Path) -> list[Path]:
    """Paths of SQLite's side files (WAL, shared memory, journal)."""
    return [path.with_name(path.name + suffix) for suffix in _SIDE_FILES]


def set_aside(path: Path, why: str) -> Path:
    """Rename a file, with SQLite's side files, to ``<name>.<why>-<n>``, the first free one."""
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}.{why}-{number}")):
        number += 1
    path.rename(kept)
    for old, new in zip(side_files(path), side_files(kept), strict=True):
        if old.exists():
            old.rename(new)
    return kept


# ---------------------------------------------------------------- errors


def code_of(error: sqlite3.Error) -> int | None:
    """The primary result code (sqlite.org/rescode.html); None if Python raised the error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """True if the file itself is broken."""
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


_REFUSALS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_NOT_SHARED = (
    sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMLOCK,
    sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK, sqlite3.SQLITE_IOERR_UNLOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOLFS,
)  # fmt: skip
"""Errors of file systems without shared locks or mapped memory (WAL's ``-shm``), such as network file systems. The
views then go to this machine's temporary files."""

_FAILED = (
    sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC,
)  # fmt: skip
"""Errors of a used-up quota, a file size limit, or a failing disk."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

NOT_SHARED = "the file system lacks the locks or the shared memory that SQLite needs"
LOCAL_DISK = "give db_path a folder on a disk of this machine"


def lacks_sharing(error: sqlite3.Error) -> bool:
    """True if the file is fine, but SQLite cannot use it on its file system."""
    return getattr(error, "sqlite_errorcode", None) in _NOT_SHARED


def is_refused(error: sqlite3.Error) -> bool:
    """True if the file is fine, but this process may not use it, or not now."""
    return code_of(error) in _REFUSALS


def is_full(error: sqlite3.Error) -> bool:
    """True if there was no room (SQLite needs some beside the file even to read it), or the disk failed."""
    return getattr(error, "sqlite_errorcode", None) in _FAILED or code_of(error) == sqlite3.SQLITE_FULL


@contextmanager
def translated(where: object) -> Iterator[None]:
    """Raise errors of SQLite and the system as `ViewError`, those about access as `ViewAccessError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _translation(where, error) from error


def _translation(where: object, error: sqlite3.Error | OSError) -> ViewError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if isinstance(error, OSError):
        return _unusable(where, error, name, full=error.errno in _NO_ROOM)
    if is_refused(error):
        return ViewAccessError(where, error)
    if lacks_sharing(error):
        return ViewAccessError(where, f"{NOT_SHARED} ({error}, {name})", LOCAL_DISK)
    return _unusable(where, error, name, full=is_full(error))


def _unusable(where: object, error: Exception, name: str, *, full: bool) -> ViewError:
    return (ViewRoomError if full else ViewError)(
        f"The views in {where} cannot be used: {error} ({name}). The log is unharmed: "
        "make room if the disk is full, or rebuild the views with `consist-es replay`."
    )


def query(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query, as plain tuples.

    Raises:
        ViewError: SQLite could not answer. UsageError: a value that cannot have been recorded.
    """
    try:
        cursor = conn.cursor()
        cursor.row_factory = None
        return cursor.execute(sql, values).fetchall()
    except (UnicodeEncodeError, OverflowError) as error:
        raise UsageError(f"No recorded value can equal what is asked for: {error}.") from error
    except (sqlite3.Error, OSError) as error:
        raise _translation("this project", error) from error


def streamed(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """As `query`, but one row at a time, on a connection of its own: for queries whose answer may be larger than the
    memory. Until the last row, that connection sees the file as it is now."""
    with translated("this project"):
        cursor = conn.cursor()
        cursor.row_factory = None
        yield from cursor.execute(sql, values)


@contextmanager
def snapshot(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """The file of a connection as it is now, however it grows meanwhile: a connection of its own, for queries."""
    with translated("this project"):
        (place,) = (row[2] for row in query(conn, "PRAGMA database_list") if row[1] == "main")
        own = connect(Path(place))
    try:
        query(own, "BEGIN")
        query(own, "SELECT count(*) FROM sqlite_master")  # a transaction begins with its first look at the file
        yield own
    finally:
        own.close()


_AFTER_ALL = b"\xff"
"""What SQLite sorts behind every position, even behind a text that stands where a position should."""
_PAGES = (2, 64)
"""Rows of the first page, and of the longest."""


def paged(conn: sqlite3.Connection, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, newest first, read in pages as they are needed: mostly the first is enough.

    The query's first column is its position, and it ends with ``position < ? ORDER BY position DESC LIMIT ?``.
    """
    last: Any = _AFTER_ALL
    size, longest = _PAGES
    while rows := query(conn, sql, (*values, last, size)):
        yield from rows
        if len(rows) < size:
            return
        last, size = rows[-1][0], min(4 * size, longest)
