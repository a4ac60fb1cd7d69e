"""The audit index: the place of every event, of known and unknown types."""

import sqlite3
from collections.abc import Iterable

from consist_es.events import Recorded
from consist_es.projections.plumbing import Grouped, to_text
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

name = "audit_index"
version = 2
tables: tuple[str, ...] = ("audit_index",)

_INSERT = """
INSERT INTO audit_index (seq, scenario_key, run_key, type, at, writer, segment, offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""


def create(db: Database) -> None:
    """Make the table."""
    about: dict[str, type] = {"seq": int, "scenario_key": str, "run_key": str, "type": str, "at": str, "writer": str}
    create_table(db, "audit_index", {**about, "segment": int, "offset": int}, pk="seq")


REVOCATIONS_INDEX = """
CREATE INDEX audit_index_of_revocations ON audit_index (type, seq)
    WHERE type IN ('acceptance_revoked', 'packages_revoked')
"""
"""For a hit that rests on an accepted change: the revocations, of all later events."""


def index(db: Database) -> None:
    """Make the indexes."""
    create_index(db, "audit_index", ["scenario_key", "seq"], "audit_index_by_scenario")
    create_index(db, "audit_index", ["run_key", "seq"], "audit_index_by_run")
    db.execute(REVOCATIONS_INDEX)


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    return [(sql, values) for sql, rows in fold_group([recorded]) for values in rows]


def fold_group(events: Iterable[Recorded]) -> Grouped:
    """See `consist_es.views.folding.Projection`."""
    rows = [(e.seq, e.scenario, e.run, e.type, e.at, e.by, e.segment, e.offset) for e in events]
    return Grouped([(_INSERT, rows)])


def positions(conn: sqlite3.Connection, scenario_key: str) -> list[tuple[int, int, int]]:
    """(position, segment, offset) of every event of a scenario, in order."""
    sql = "SELECT seq, segment, offset FROM audit_index WHERE scenario_key = ? ORDER BY seq"
    return [(seq, segment, offset) for seq, segment, offset in query(conn, sql, (scenario_key,))]


_NEWEST = """
SELECT seq, segment, offset FROM audit_index WHERE seq > ? AND (? OR type IN (SELECT value FROM json_each(?)))
ORDER BY seq DESC LIMIT ?
"""
_NEWEST_OF = """
SELECT seq, segment, offset FROM audit_index
WHERE scenario_key = ? AND seq > ? AND (? OR type IN (SELECT value FROM json_each(?))) ORDER BY seq DESC LIMIT ?
"""


def newest(
    conn: sqlite3.Connection, after: int, types: Iterable[str], scenario_key: str | None, limit: int | None
) -> list[tuple[int, int, int]]:
    """(position, segment, offset) of events, the newest first; of all types if `types` is empty."""
    wanted = list(types)
    values = (after, not wanted, to_text(wanted), -1 if limit is None else limit)
    if scenario_key is None:
        return [(seq, segment, offset) for seq, segment, offset in query(conn, _NEWEST, values)]
    return [(seq, segment, offset) for seq, segment, offset in query(conn, _NEWEST_OF, (scenario_key, *values))]


def places(conn: sqlite3.Connection, positions: Iterable[int]) -> dict[int, list[int]]:
    """Position -> segment and offset of the event, for existing ones."""
    sql = "SELECT seq, segment, offset FROM audit_index WHERE seq IN (SELECT value FROM json_each(?))"
    found = query(conn, sql, (to_text(sorted(positions)),))
    return {seq: place for seq, *place in found if [type(number) for number in place] == [int, int] and min(place) >= 0}


def begins(conn: sqlite3.Connection, run_key: str) -> bool:
    """True if this run's start is in the log."""
    sql = "SELECT 1 FROM audit_index WHERE run_key = ? AND type = 'step_started' LIMIT 1"
    return bool(query(conn, sql, (run_key,)))


_REVOCATIONS = """
SELECT seq FROM audit_index INDEXED BY audit_index_of_revocations
WHERE seq > ? AND type = ? AND type IN ('acceptance_revoked', 'packages_revoked')
"""


def revocations(conn: sqlite3.Connection, name: str, after: int) -> list[int]:
    """Positions of the revocations of a type, ``acceptance_revoked`` or ``packages_revoked``, after a position."""
    return [seq for (seq,) in query(conn, _REVOCATIONS, (after, name))]


def count(conn: sqlite3.Connection) -> int:
    """The number of events."""
    ((number,),) = query(conn, "SELECT count(*) FROM audit_index")
    return int(number)
