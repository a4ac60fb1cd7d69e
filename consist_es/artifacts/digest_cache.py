"""A cache of file digests, shared by a user's processes; it may vanish or break at any time."""

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from blake3 import blake3

from consist_es.system.keyed_file import KeyedFile

if TYPE_CHECKING:
    from consist_es.system.bar import Meter

_T = TypeVar("_T")
_RACY_NS = 3_000_000_000
_BATCH = 500
_TABLE = "CREATE TABLE digests_1 (path BLOB PRIMARY KEY, stamp TEXT, digest TEXT, mark BLOB) WITHOUT ROWID"


class Stamp(msgspec.Struct, frozen=True):
    """Size, times, inode and device of a file. Unlike the others, the change time cannot be set by hand."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int


def stamp_of(found: os.stat_result) -> Stamp:
    """The stamp in a stat result."""
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


class DigestCache(KeyedFile):
    """Digests by absolute path and stamp, in one SQLite file that is made when first needed.

    The racy-timestamp rule, after git: file times come in ticks (2 s on FAT, some 10 ms elsewhere), so a file edited
    twice within one may carry the same stamp for two contents. An entry is therefore kept only if the file's times were
    at least 3 s older than the moment the hashing began; a younger file is hashed again each time until it has come of
    age. Clocks of network file systems must agree with ours to within a second.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLE)
        self.meter: Meter | None = None
        """Makes the bar for much to read; None for none."""

    def lookup(self, stamps: Mapping[bytes, Stamp]) -> dict[bytes, str]:
        """Digests of the files that still have the recorded stamp."""
        return self._with(lambda: self._lookup(stamps)) or {}

    def record(self, entries: Mapping[bytes, tuple[Stamp, str, int]]) -> None:
        """Keep digests: path -> stamp, digest, and when hashing began (wall clock, ns). Young files are left out."""
        kept = [
            (path, _text(stamp), digest) for path, (stamp, digest, began) in entries.items() if is_of_age(stamp, began)
        ]
        if not kept or (key := self._own_key(make=True)) is None:
            return
        rows = [(*row, _mark(key, *row)) for row in kept]
        self._with(lambda: self._write(rows))

    def folder(self, path: bytes, state: str) -> str | None:
        """Digest of a folder with files that are all as they were when it was recorded; `state` says how."""
        return self._with(lambda: self._folder(path, state))

    def record_folder(self, path: bytes, state: str, digest: str, changed: int, began: int) -> None:
        """Keep the digest of a folder. `changed`: the newest time of its files; `began`: when it was looked at (both
        wall clock, ns). One with a young file is left out."""
        if began - changed >= _RACY_NS and (key := self._own_key(make=True)) is not None:
            row = (_folder_name(path), state, digest)
            self._with(lambda: self._write([(*row, _mark(key, *row))]))

    def _with(self, work: Callable[[], _T]) -> _T | None:
        try:
            with self._guard:
                return work()
        except (sqlite3.Error, OSError) as problem:
            self._give_up(problem)
            return None

    def _write(self, rows: list[tuple[bytes, str, str, bytes]]) -> None:
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO digests_1 VALUES (?, ?, ?, ?)", rows)

    def _folder(self, path: bytes, state: str) -> str | None:
        if not self.path.exists() or (key := self._own_key(make=False)) is None:
            return None
        name = _folder_name(path)
        query = "SELECT digest, mark FROM digests_1 WHERE path = ? AND stamp = ?"
        for digest, mark in self._open().execute(query, (name, state)):
            if isinstance(digest, str) and mark == _mark(key, name, state, digest):
                return digest
        return None

    def _lookup(self, stamps: Mapping[bytes, Stamp]) -> dict[bytes, str]:
        if not stamps or (key := self._own_key(make=False)) is None:
            return {}
        if self._connection is None and not self.path.exists():
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


def is_of_age(stamp: Stamp, began: int) -> bool:
    """True if an edit since `began`, when reading began (wall clock, ns), would give the file another stamp."""
    return began - max(stamp.mtime_ns, stamp.ctime_ns) >= _RACY_NS


def _folder_name(path: bytes) -> bytes:
    """A folder's key among those of files, none of which ends like this."""
    return path + b"/"


def now_ns() -> int:
    """The wall clock that file times are compared with."""
    return time.time_ns()


def _text(stamp: Stamp) -> str:
    return f"{stamp.size} {stamp.mtime_ns} {stamp.ctime_ns} {stamp.inode} {stamp.device}"


def _mark(key: bytes, path: bytes, stamp: str, digest: str) -> bytes:
    said = b"%d:%s%d:%s%s" % (len(path), path, len(stamp), stamp.encode(), digest.encode())
    return blake3(said, key=key).digest(length=16)
