"""Large start values of runs, each stored once, and the runs that refer to them: part of the run table.

They are filled in when a start is folded, so `runs` shows them as part of the start. Values that are redacted or lost
by then stay unknown to that run.
"""

import sqlite3
from collections.abc import Collection
from typing import Any

from consist_es.events import Recorded, ScenarioStarted, StepStarted, ValuesRecorded
from consist_es.identity.shared_values import CONFIG
from consist_es.projections.plumbing import from_text, run_of, to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

TABLES = ("shared_values", "shared_parts")


def create(db: Database) -> None:
    """Make the tables, with the index that the fold needs."""
    create_table(db, "shared_values", {"seq": int, "digest": str, "value": str}, pk="seq")
    create_index(db, "shared_values", ["digest", "seq"], "shared_values_by_digest")
    create_table(db, "shared_parts", {"run_key": str, "part": str, "digest": str, "seq": int}, pk=("run_key", "part"))


def index(db: Database) -> None:
    """Make the index that only queries need."""
    create_index(db, "shared_parts", ["digest"], "shared_parts_by_digest")


_INSERT = "INSERT INTO shared_values (seq, digest, value) VALUES (?, ?, ?)"
_REFER = "INSERT INTO shared_parts (run_key, part, digest, seq) VALUES (?, ?, ?, ?)"
_CONFIG = """
UPDATE runs SET config = (SELECT value FROM shared_values WHERE digest = ? ORDER BY seq LIMIT 1) WHERE key = ?
"""
_FINGERPRINT = """
UPDATE runs SET fingerprint_info =
    json_fill(fingerprint_info, ?, (SELECT value FROM shared_values WHERE digest = ? ORDER BY seq LIMIT 1))
WHERE key = ?
"""


def recorded_apart(recorded: Recorded, event: ValuesRecorded) -> list[Statement]:
    """Store the values for the runs that refer to them."""
    return [(_INSERT, (recorded.seq, event.digest, to_text(event.values)))]


def filled_in(recorded: Recorded, event: ScenarioStarted | StepStarted) -> list[Statement]:
    """Fill the values that a start refers to into its run's row."""
    key, statements = run_of(recorded), list[Statement]()
    for part, digest in event.shared.items():
        statements.append((_REFER, (key, part, digest, recorded.seq)))
        statements.append((_CONFIG, (digest, key)) if part == CONFIG else (_FINGERPRINT, (part, digest, key)))
    return statements


# ---------------------------------------------------------------- queries

_ALONE = """
SELECT v.seq FROM shared_values v
WHERE v.digest IN (SELECT digest FROM shared_parts WHERE seq IN (SELECT value FROM json_each(?)))
AND (EXISTS (
    SELECT 1 FROM shared_parts r WHERE r.digest = v.digest AND r.seq NOT IN (SELECT value FROM json_each(?)))) = ?
ORDER BY v.seq
"""


def known(conn: sqlite3.Connection, digest: str) -> bool:
    """True if values with this digest are recorded."""
    return bool(query(conn, "SELECT 1 FROM shared_values WHERE digest = ? LIMIT 1", (digest,)))


def values_of(conn: sqlite3.Connection, digest: str) -> Any:
    """The values with this digest, or None if they are no longer recorded."""
    found = query(conn, "SELECT value FROM shared_values WHERE digest = ? ORDER BY seq LIMIT 1", (digest,))
    return from_text(found[0][0]) if found else None


def positions(conn: sqlite3.Connection, digest: str) -> list[int]:
    """Positions of the values with this digest."""
    return [seq for (seq,) in query(conn, "SELECT seq FROM shared_values WHERE digest = ? ORDER BY seq", (digest,))]


def referred_to(conn: sqlite3.Connection, starts: Collection[int], *, by_others: bool) -> list[int]:
    """Positions of the values that these starts refer to: those that other runs also refer to, or the others."""
    wanted = to_text(sorted(starts))
    return [seq for (seq,) in query(conn, _ALONE, (wanted, wanted, by_others))]
