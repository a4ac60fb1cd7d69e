"""Finds steps that were computed to the same bytes as before: what changed may be accepted as harmless."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading.causes import differences
from consist_es.reading.outputs import outputs_of


class SameBytes:
    """Finds steps that were computed, with the same inputs, to the same bytes as the nearest earlier run."""

    def __init__(self, conn: sqlite3.Connection, rows: Sequence[RunRow]) -> None:
        found = [row for row in rows if row.status == "completed" and row.cache_source_key is not None]
        keys = {key for row in found for key in (row.key, row.cache_source_key) if key is not None}
        self._conn = conn
        self._outputs = outputs_of(conn, keys)

    def __call__(self, row: RunRow) -> bool:
        """True if it did; such a change may be accepted as harmless."""
        mine, theirs = (self._digests(key) for key in (row.key, row.cache_source_key))
        if not mine or mine != theirs or None in mine.values():
            return False
        return all(item.kind != "input" for item in differences(self._conn, row))

    def _digests(self, key: str | None) -> dict[str, str | None]:
        outputs = {} if key is None else self._outputs.get(key, {})
        return {name: item.digest for name, item in outputs.items()}


def computed_for_nothing(conn: sqlite3.Connection, rows: Iterable[RunRow]) -> list[tuple[RunRow, RunRow]]:
    """Steps that were computed to the same bytes, with the nearest earlier run of each."""
    missed = [row for row in rows if row.cache == "missed"]
    same, found = SameBytes(conn, missed), list[tuple[RunRow, RunRow]]()
    for row in missed:
        if row.cache_source_key is not None and same(row):
            before = run_table.by_key(conn, row.cache_source_key)
            found += [] if before is None else [(row, before)]
    return found
