"""Source texts behind parts of steps' code, each once: they show which lines changed."""

import sqlite3
from collections.abc import Collection, Iterable

from consist_es.events import PayloadRedacted, Recorded, SourceRecorded
from consist_es.projections.plumbing import to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_table

name = "source_texts"
version = 1
tables: tuple[str, ...] = ("source_texts",)
TAKES = frozenset({SourceRecorded, PayloadRedacted})


def create(db: Database) -> None:
    """Make the table."""
    create_table(db, "source_texts", {"digest": str, "part": str, "text": str}, pk="digest")


def index(db: Database) -> None:
    """No index: the primary key is enough."""


_INSERT = "INSERT INTO source_texts (digest, part, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_REDACT = """
INSERT INTO source_texts (digest, part, text) VALUES (?, NULL, NULL)
ON CONFLICT (digest) DO UPDATE SET part = NULL, text = NULL
"""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    event = recorded.event
    if isinstance(event, SourceRecorded):
        return ((_INSERT, (event.digest, event.part, event.text)),)
    if isinstance(event, PayloadRedacted) and event.source is not None:
        return ((_REDACT, (event.source,)),)
    return ()


_KNOWN = "SELECT digest, text FROM source_texts WHERE digest IN (SELECT value FROM json_each(?))"


def texts(conn: sqlite3.Connection, digests: Collection[str]) -> dict[str, str | None]:
    """Digest -> its text, None if that was redacted; nothing for a digest that was never recorded."""
    return dict(query(conn, _KNOWN, (to_text(sorted(digests)),)))
