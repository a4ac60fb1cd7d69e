"""Records the source text of a computed step's code, once per digest, so that later differences show their lines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from consist_es.events import SourceRecorded
from consist_es.identity.code.source_text import texts_of
from consist_es.projections import source_texts
from consist_es.steps.step import Step

LONGEST = 200_000
"""Longest text that is recorded, in characters: longer files are made by programs."""
MOST = 4_000_000
"""Characters recorded with one run."""


class SourceKeeper:
    """Remembers which digests need no look: they are recorded, or have no text."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    @classmethod
    def if_asked(cls, asked: bool | None, *, by_default: bool) -> SourceKeeper | None:
        """One if source texts are to be recorded, else None."""
        return cls() if (by_default if asked is None else asked) else None

    def fresh(self, conn: sqlite3.Connection, step: Step, root: Path) -> Iterator[SourceRecorded]:
        """The texts of a step's code below `root` that the views in `conn` lack."""
        parts = {digest: label for label, digest in step.code.parts.items() if digest not in self._seen}
        if not parts:
            return
        self._seen.update(parts)
        known, room = source_texts.texts(conn, parts), MOST
        for digest, text in texts_of(step.code, parts.keys() - known.keys(), root):
            room -= len(text) if len(text) <= LONGEST else 0
            if len(text) <= LONGEST and room >= 0:
                yield SourceRecorded(digest=digest, part=parts[digest], text=text)
