"""Redactions: the payloads removed from the log, by whom and why, and the remaining facts of their runs.

A run stays visible if its start was redacted, and stays ended if its end was.
"""

import re
import sqlite3
from collections.abc import Iterable

import msgspec

from consist_es.events import (
    FingerprintInfo,
    PayloadRedacted,
    Recorded,
    RedactedEvent,
    ScenarioStarted,
    StepStarted,
)
from consist_es.projections.plumbing import first, run_of
from consist_es.views.file import query
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_table

name = "redactions"
version = 1
tables: tuple[str, ...] = ("redactions",)
TAKES = frozenset({PayloadRedacted})

REDACTED = "(redacted)"
"""Placeholder for redacted values."""


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """A redacted payload."""

    position: int
    """Position of its event."""
    type: str
    digest: str
    size: int
    reason: str
    user: str
    at: str
    seq: int
    """Position of the `payload_redacted` event."""


def create(db: Database) -> None:
    """Make the table."""
    what: dict[str, type] = {"position": int, "type": str, "digest": str, "size": int, "reason": str, "user": str}
    create_table(db, "redactions", {**what, "at": str, "seq": int}, pk="position")


def index(db: Database) -> None:
    """No index: the primary key is enough."""


_INSERT = """
INSERT INTO redactions (position, type, digest, size, reason, user, at, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


def fold(recorded: Recorded) -> Iterable[Statement]:
    """See `consist_es.views.folding.Projection`."""
    event = recorded.event
    if isinstance(event, PayloadRedacted) and recorded.of is None:  # another log's positions say nothing here
        what = (event.position, event.event, event.digest, event.size, event.reason, event.user)
        return ((_INSERT, (*what, recorded.at, recorded.seq)),)
    return ()


def redaction(conn: sqlite3.Connection, position: int) -> Redaction | None:
    """The redaction of this event's payload, or None."""
    sql = "SELECT position, type, digest, size, reason, user, at, seq FROM redactions WHERE position = ?"
    rows = query(conn, sql, (position,))
    return first([Redaction(**dict(zip(Redaction.__struct_fields__, row, strict=True))) for row in rows])


# ---------------------------------------------------------------- for the run table

_RUN_KEY = re.compile(r"(.+)-[0-9a-f]{12}", re.DOTALL)
_ENDED = """
UPDATE runs SET status = ?, ended_at = ?, reusable = ?, not_reusable_reason = ?, error_message = ?, ended_seq = ?
WHERE key = ?
"""
_ABANDONED = """
UPDATE runs SET status = 'abandoned', error_message = ?, ended_seq = ? WHERE key = ? AND status = 'running'
"""
_CACHE = "UPDATE runs SET cache = ?, cache_reason = ? WHERE key = ?"
_STATUS = """
UPDATE runs SET status = ?, error_message = CASE ? WHEN 'completed' THEN NULL ELSE error_message END
WHERE key = ? AND ended_seq = ?
"""
_STATUS_MERGED = """
UPDATE runs SET status = ?, error_message = CASE ? WHEN 'completed' THEN NULL ELSE error_message END WHERE key = ?
"""
_DOUBTED = "UPDATE runs SET reusable = 0 * reusable, not_reusable_reason = ? WHERE key = ?"
_OUTCOMES = {"cache_hit": "hit", "cache_missed": "missed", "hit_demoted": "demoted"}


def start(recorded: Recorded) -> ScenarioStarted | StepStarted | None:
    """The start of a run with a redacted start, with its run id from its key. None for other events.

    Keys contain the run id (`consist_es.execution.engine`); any other key is used as the run id.
    """
    run_id = run_id_of(recorded.run or "")
    if recorded.type == ScenarioStarted.TYPE:
        return ScenarioStarted(run_id=run_id, name=run_id, model=REDACTED)
    if recorded.type == StepStarted.TYPE:
        unknown = FingerprintInfo(
            version=0, digest=None, code="", config="", inputs="", labels="", code_mode="", unstable=[REDACTED]
        )
        return StepStarted(run_id=run_id, name=REDACTED, model=REDACTED, parent=recorded.scenario, fingerprint=unknown)
    return None


def run_id_of(key: str) -> str:
    """The run id in a run's key."""
    match = _RUN_KEY.fullmatch(key)
    return match[1] if match else key


def outcome(recorded: Recorded, event: RedactedEvent) -> list[Statement]:
    """The remaining facts of a redacted event: that its run ended, or the cache's result in one word."""
    where = (recorded.seq, recorded.run)
    match event.type:
        case "step_completed":
            return [(_ENDED, ("completed", recorded.time, False, "the record of its end was redacted", None, *where))]
        case "step_failed" | "scenario_exited":
            return [(_ENDED, ("failed", recorded.time, None, None, REDACTED, *where))]
        case "step_abandoned":
            return [(_ABANDONED, (REDACTED, *where))]
        case "outputs_doubted":
            return [(_DOUBTED, (REDACTED, recorded.run))]
        case "cache_hit" | "cache_missed" | "hit_demoted":
            return [(_CACHE, (_OUTCOMES[event.type], REDACTED, recorded.run))]
    return []


def status(recorded: Recorded, event: PayloadRedacted) -> list[Statement]:
    """Set the status of a run with a redacted end."""
    if event.status is None:
        return []
    if recorded.of is not None:  # a run has one end: its position here need not be known
        return [(_STATUS_MERGED, (event.status, event.status, run_of(recorded)))]
    return [(_STATUS, (event.status, event.status, run_of(recorded), event.position))]
