"""Caches facts about sources by content, for this user's other processes, so that they need not parse them.

Rows are keyed by the digest of the file's bytes, the version of Python, and the digest of this package's own code:
facts of another version of ours are never used.
"""

import functools
import sqlite3
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
from blake3 import blake3

from consist_es.system.keyed_file import KeyedFile
from consist_es.system.keyfile import key_place

_TABLE = "CREATE TABLE sources_1 (source TEXT PRIMARY KEY, day INTEGER, facts BLOB, mark BLOB) WITHOUT ROWID"
_LARGEST = 128 << 20
"""Size of the file, in bytes, above which the least recently used rows are dropped."""
_DAY = 86400


_WAITING: "dict[SourceCache, None]" = {}
"""Those with rows to be written."""


class SourceCache(KeyedFile):
    """Digest of the source -> encoded facts, see `consist_es.identity.text.source.Fact`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _TABLE)
        self._found: dict[str, bytes] = {}
        """Rows to be written."""
        self._used: set[str] = set()
        """Rows read on a later day than before."""

    def lookup(self, content: str) -> dict[str, bytes]:
        """Fact -> its encoded form, for a file with this digest; empty if nothing is known."""
        name = _name(content)
        try:
            with self._guard:
                return self._lookup(name)
        except (sqlite3.Error, OSError) as problem:
            self._give_up(problem)
        except msgspec.MsgspecError:
            pass
        return {}

    def add(self, content: str, facts: Mapping[str, bytes]) -> None:
        """Queue facts for `flush`."""
        self._found[_name(content)] = msgspec.msgpack.encode(facts)
        _WAITING[self] = None

    def flush(self) -> None:
        """Write the queued rows, in one transaction."""
        found, self._found, used, self._used = self._found, {}, self._used, set()
        if (key := self._own_key(make=True)) is None:
            return
        rows = [(name, _today(), data, _mark(key, name, data)) for name, data in found.items()]
        try:
            with self._guard, self._open() as connection:
                connection.executemany("INSERT OR REPLACE INTO sources_1 VALUES (?, ?, ?, ?)", rows)
                touched = [(_today(), name) for name in used]
                connection.executemany("UPDATE sources_1 SET day = ? WHERE source = ?", touched)
                _make_room(connection)
        except (sqlite3.Error, OSError) as problem:
            self._give_up(problem)

    def _lookup(self, name: str) -> dict[str, bytes]:
        if not self.path.exists() or (key := self._own_key(make=False)) is None:
            return {}
        row = self._open().execute("SELECT day, facts, mark FROM sources_1 WHERE source = ?", [name]).fetchone()
        if row is None or not isinstance(row[1], bytes) or row[2] != _mark(key, name, row[1]):
            return {}
        if row[0] != _today():
            self._used.add(name)
            _WAITING[self] = None
        return msgspec.msgpack.decode(row[1], type=dict[str, bytes])


def source_cache() -> SourceCache | None:
    """This user's cache; None if the environment names no place for one, or our own code cannot be read."""
    place = key_place()
    return None if place is None or _versions() is None else _at(place.with_name("sources.sqlite"))


def flush_caches() -> None:
    """Write all queued rows."""
    for cache in list(_WAITING):
        _WAITING.pop(cache, None)
        cache.flush()


@functools.lru_cache(maxsize=8)
def _at(path: Path) -> SourceCache:
    return SourceCache(path)


@functools.cache
def _versions() -> str | None:
    """Digest of all that a row depends on besides the source, such as the optimisation level of compiled code."""
    own = Path(__file__).parent.parent
    hasher, paths = blake3(), sorted([*own.rglob("*.py"), *own.parent.joinpath("values").glob("*.py")])
    if Path(__file__).parent.joinpath("source.py") not in paths:  # from a zip file, or without sources
        return None
    try:
        for path in paths:
            data = path.read_bytes()
            hasher.update(b"%d:%b" % (len(data), data))
    except OSError:
        return None
    python = f"{sys.implementation.cache_tag} {sys.hexversion:x} {sys.flags.optimize}"
    return f"{python} {hasher.hexdigest(length=16)}"


def _name(content: str) -> str:
    return f"{content} {_versions()}"


def _mark(key: bytes, name: str, data: bytes) -> bytes:
    return blake3(b"%d:%b%b" % (len(name.encode()), name.encode(), data), key=key).digest(length=16)


def _today() -> int:
    return int(time.time() // _DAY)


def _make_room(connection: sqlite3.Connection) -> None:
    """Drop a quarter of the rows, the least recently used, if the file is too large."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if (pages - free) * size > _LARGEST:
        connection.execute(
            "DELETE FROM sources_1 WHERE source IN (SELECT source FROM sources_1 ORDER BY day"
            " LIMIT (SELECT count(*) / 4 + 1 FROM sources_1))"
        )
