"""A table of keys and values in a file without a name, for what may be larger than the memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Any


class Scratch:
    """Keys with values, in the order in which they were put; SQLite spills them to a file that it removes itself."""

    def __init__(self) -> None:
        self._conn = sqlite3.connect("", isolation_level=None)
        self._conn.execute("PRAGMA journal_mode = OFF")
        self._conn.execute("CREATE TABLE kept (key TEXT, place INTEGER, value TEXT, PRIMARY KEY (key, place))")
        self._conn.execute("BEGIN")

    def put(self, items: Iterable[tuple[str, int, str]]) -> None:
        """Keep values, each under a key and a place."""
        self._conn.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", items)

    def get(self, key: str) -> str | None:
        """The value of a key at its last place, or None."""
        return self._one("SELECT value FROM kept WHERE key = ? ORDER BY place DESC LIMIT 1", (key,))

    def before(self, key: str, place: int) -> str | None:
        """The value of a key at its last place before this one, or else at its first."""
        sql = "SELECT value FROM kept WHERE key = ? AND place < ? ORDER BY place DESC LIMIT 1"
        found = self._one(sql, (key, place))
        return found or self._one("SELECT value FROM kept WHERE key = ? ORDER BY place LIMIT 1", (key,))

    def _one(self, sql: str, values: tuple[Any, ...]) -> str | None:
        found = self._conn.execute(sql, values).fetchone()
        return None if found is None else str(found[0])

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._conn.close()
