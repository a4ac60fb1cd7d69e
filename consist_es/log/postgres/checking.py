"""Checks a log on a server: every line against the chain, as `consist_es.log.verify` does for files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from consist_es.errors import LogCorruptError
from consist_es.events import Cursor, RecordLost
from consist_es.log.record import BadRecord
from consist_es.log.redaction import Account
from consist_es.log.report import Problem, VerifyReport
from consist_es.log.unended import OpenRuns

if TYPE_CHECKING:
    from consist_es.log.postgres.log import PostgresLog
    from consist_es.log.postgres.reading import Reading

_STEP = 2000


def verify(log: PostgresLog, reading: Reading, progress: Callable[[int, int], None] | None) -> VerifyReport:
    """Check the log as far as it goes: behind the first line that does not follow, nothing can be told."""
    end = log.head().seq
    account, open_runs, problems, lost = Account(), OpenRuns(), list[Problem](), list[int]()
    events, size = 0, 0
    try:
        for line in reading.lines(Cursor(), fresh=True):
            events, size = events + 1, size + len(line.data)
            open_runs.see(line)
            if line.head.type == RecordLost.TYPE:
                lost.append(line.head.seq)
            try:
                account.see(line)
                reading.payload(line.data)
            except BadRecord as error:
                problems.append(Problem("", line.offset, line.head.seq, str(error)))
            if progress is not None and events % _STEP == 0:
                progress(events, max(end, events))
    except LogCorruptError as error:
        problems.append(Problem("", error.offset, error.offset + 1, error.problem))
    problems += [Problem("", position - 1, position, what) for position, what in account.problems(None, 0)]
    return VerifyReport(
        events=events,
        segments=0,
        bytes=size,
        head=events,
        ok=not problems,
        problems=problems,
        torn_bytes=0,
        torn_offset=0,
        quarantined=[],
        watermark=None,
        redacted=account.positions,
        lost=lost,
        before=events if problems and events < end else None,
        unended=open_runs.found(),
    )
