"""Removes payloads from the log of a database: the removal and the events that record it, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consist_es.errors import RedactionError
from consist_es.events import Draft
from consist_es.log.files import new_ids
from consist_es.log.record import BLOB_START, Prepared, join_line, prepare, redacted_form, split_line
from consist_es.log.redaction import check_line, target_of
from consist_es.log.segment import Line

if TYPE_CHECKING:
    import psycopg

    from consist_es.log.postgres.log import PostgresLog

REDACT = "SELECT consist_es.redact(%s, %s::bigint[], %s::text[], %s::text[])"
_LINES = "SELECT line FROM consist_es.event WHERE project = %s AND seq = ANY (%s::bigint[]) ORDER BY seq"
_USERS = """
SELECT seq FROM consist_es.event
WHERE project = %s AND strpos(line, %s) > 0 AND NOT seq = ANY (%s::bigint[]) ORDER BY seq LIMIT 1
"""


class Redaction:
    """The payloads to remove: checked, then removed with the lock held."""

    def __init__(self, log: PostgresLog, lines: Sequence[Line], reason: str, user: str) -> None:
        self._log = log
        self.positions = [line.head.seq for line in lines]
        for line in lines:
            check_line(line.head.seq, line)
        ids = new_ids(log.storage, len(lines))
        self._targets = [target_of(line, reason, user, own) for line, own in zip(lines, ids, strict=True)]
        self._require_unshared()

    @property
    def items(self) -> list[Prepared]:
        """The events that record it."""
        return [prepare(Draft(item.event, item.scenario, item.run), item.id) for item in self._targets]

    def _require_unshared(self) -> None:
        """Refuse to remove a blob that another event still uses."""
        for target in self._targets:
            if target.blob is None:
                continue
            named = BLOB_START.decode() + target.blob
            if users := self._log.server.ask(_USERS, (self._log.number(), named, self.positions)):
                first, other = target.event.position, users[0][0]
                problem = f"position {other} has the same payload, which is kept once for both"
                raise RedactionError(first, problem, f"Name both: `consist-es redact {first} {other}`.")

    def carry_out(self, conn: psycopg.Connection[Any], number: int) -> None:
        """Replace the payloads by their digests. The lock is held."""
        rows = self._log.server.rows(conn, _LINES, (number, self.positions))
        lines = [_without_payload(text) for (text,) in rows]
        blobs = [target.blob for target in self._targets if target.blob is not None]
        self._log.server.rows(conn, REDACT, (number, self.positions, lines, blobs))


def _without_payload(text: str) -> str:
    head, data, chain = split_line(text.encode() + b"\n")
    return join_line(head, redacted_form(data), chain)[:-1].decode()
