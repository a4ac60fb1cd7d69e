"""The files and tables of a report, each once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.projections import keeping, lineage, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.keeping import Evicted
from consist_es.report.sharing import Sharing
from consist_es.report.tables import Keys, Texts
from consist_es.values.digests import CONTENT

_DIGITS = 12
"""Digits of a digest that are shown."""


class Files:
    """Numbers artifacts, and makes their rows. `steps`: key of a run -> its number in the report."""

    def __init__(
        self, conn: sqlite3.Connection, texts: Texts, digests: Keys, sharing: Sharing, steps: Mapping[str, int]
    ) -> None:
        self.rows: list[dict[str, Any]] = []
        self._conn = conn
        self._texts = texts
        self._digests = digests
        self._sharing = sharing
        self._steps = steps
        self._numbers: dict[str, int] = {}
        self._known: dict[str, ArtifactRow] = {}
        self._evicted: dict[str, Evicted] = {}

    def know(self, artifacts: Iterable[str]) -> None:
        """Read the rows of these artifacts, with one question."""
        if new := [item for item in artifacts if item not in self._known]:
            self._known |= lineage.by_ids(self._conn, new)
            self._evicted |= keeping.evicted(self._conn, new)

    def __call__(self, artifact: str) -> int:
        """The number of an artifact."""
        if (number := self._numbers.get(artifact)) is None:
            number = self._numbers[artifact] = len(self.rows)
            self.rows.append(self._row(artifact))
        return number

    def _row(self, artifact: str) -> dict[str, Any]:
        self.know([artifact])
        row = self._known.get(artifact)
        if row is None:
            return {"k": self._texts("(not recorded)")}
        short = None if row.digest is None else row.digest.removeprefix(CONTENT)[:_DIGITS]
        return {
            "k": self._texts(row.key),
            "u": self._texts(self._sharing.uri(row.uri)),
            "tp": self._texts(row.table_path or row.array_path),
            "g": self._digests(row.digest),
            "h": self._texts(short),
            "z": row.size,
            "r": row.rows,
            "f": self._texts(row.driver),
            "c": self._columns(row.schema),
            "ev": self._texts(self._evicted[artifact].day if artifact in self._evicted else None),
            **self._maker(row),
        }

    def _maker(self, row: ArtifactRow) -> dict[str, Any]:
        """The step that made it: by number, or by its id if it is not in the report."""
        if row.producer_key is None:
            return {}
        if (number := self._steps.get(row.producer_key)) is not None:
            return {"by": number}
        return {"byx": self._texts(run_table.id_of(self._conn, row.producer_key))}

    def _columns(self, schema: Any) -> int | None:
        if not isinstance(schema, dict) or not schema:
            return None
        return self._texts("\n".join(f"{name}: {kind}" for name, kind in schema.items()))
