"""The cache index: which runs may answer for a later one, by fingerprint."""

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.events import FingerprintInfo, OutputLink, Recorded, StepCompleted
from consist_es.projections import lineage
from consist_es.projections.lineage import ArtifactRow
from consist_es.projections.plumbing import run_of, to_text
from consist_es.projections.run_table import RunRow, run_row
from consist_es.projector import Statement
from consist_es.view_file import query

if TYPE_CHECKING:
    import sqlite_utils

name = "cache_index"
version = 1
tables: tuple[str, ...] = ("cache_index",)

NEAR = 20
"""How many earlier runs `nearest` looks at."""


class CacheCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier run that may answer, with what it gave its caller and all that it logged, by key and in order."""

    run_key: str
    seq: int
    """Position of its `StepCompleted`."""
    outputs: dict[str, ArtifactRow]
    all_outputs: dict[str, ArtifactRow]


def create(db: "sqlite_utils.Database") -> None:
    """Make the table."""
    columns: dict[str, type] = {"run_key": str, "fingerprint": str, "seq": int, "outputs": str, "all_outputs": str}
    db.create_table("cache_index", columns, pk="run_key")


def index(db: "sqlite_utils.Database") -> None:
    """Make the index by fingerprint."""
    db.table("cache_index").create_index(["fingerprint", "seq"], "cache_index_by_fingerprint")


_INSERT = "INSERT INTO cache_index (run_key, fingerprint, seq, outputs, all_outputs) VALUES (?, ?, ?, ?, ?)"


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.folding.Projection`."""
    event = recorded.event
    if not isinstance(event, StepCompleted) or not event.reusable or event.fingerprint is None:
        return ()
    links = (to_text(event.outputs), to_text(event.all_outputs))
    return ((_INSERT, (run_of(recorded), event.fingerprint, recorded.seq, *links)),)


_LINKS = msgspec.json.Decoder(list[OutputLink])


def candidates(conn: sqlite3.Connection, fingerprint: str) -> list[CacheCandidate]:
    """Runs with this fingerprint that may answer, newest first.

    A run with an output that the views do not hold is none of them: what cannot be checked is not served.
    """
    sql = "SELECT run_key, seq, outputs, all_outputs FROM cache_index WHERE fingerprint = ? ORDER BY seq DESC"
    found = []
    for run_key, seq, given, logged in query(conn, sql, (fingerprint,)):
        outputs, all_outputs = _LINKS.decode(given), _LINKS.decode(logged)
        wanted = {link.artifact for link in (*outputs, *all_outputs)}
        rows = lineage.by_ids(conn, sorted(wanted))
        if rows.keys() == wanted:
            found.append(
                CacheCandidate(
                    run_key=run_key,
                    seq=seq,
                    outputs={link.key: rows[link.artifact] for link in outputs},
                    all_outputs={link.key: rows[link.artifact] for link in all_outputs},
                )
            )
    return found


_NEWEST_OF_MODEL = """
SELECT * FROM runs WHERE model = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit'
ORDER BY started_seq DESC LIMIT ?
"""
_NEWEST_OF_NAME = """
SELECT * FROM runs WHERE name = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit'
ORDER BY started_seq DESC LIMIT ?
"""


def nearest(conn: sqlite3.Connection, *, model: str, name: str, info: FingerprintInfo) -> RunRow | None:
    """The earlier run that a miss is explained by, or None.

    Among the newest `NEAR` runs of the same model (else of the same name) that completed and were no hits, the one
    that shares most of the parts code, config, inputs and labels; the newest of equals.
    """
    rows = query(conn, _NEWEST_OF_MODEL, (model, NEAR)) or query(conn, _NEWEST_OF_NAME, (name, NEAR))
    return max(map(run_row, rows), key=lambda run: _shared(run, info), default=None)


def _shared(run: RunRow, info: FingerprintInfo) -> int:
    pairs: tuple[tuple[Any, str], ...] = (
        (run.code_digest, info.code),
        (run.config_digest, info.config),
        (run.inputs_digest, info.inputs),
        (run.labels_digest, info.labels),
    )
    return sum(mine == theirs for mine, theirs in pairs)
