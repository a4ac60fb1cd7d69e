"""What a report says of the record's own state: whether the log is whole, and what was taken out of it."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from consist_es.errors import ConsistError
from consist_es.log.engine import Progress
from consist_es.log.evidence.tree_heads import SIGNATURE, kept_heads
from consist_es.log.report import VerifyReport
from consist_es.project.project import Project
from consist_es.reading.accepted import accepted
from consist_es.text import counted
from consist_es.views.folding import dead_letters
from consist_es.views.tables import reached

_LISTED = 20
_PATIENCE = 0.3


class Integrity(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a record at the time of the report."""

    ok: bool
    """True if every event was checked against the chain and nothing is wrong."""
    problems: list[str]
    events: int
    position: int
    """Position of the last event that the report shows."""
    chain: str
    """Its chain value."""
    synced: int | None
    redacted: int
    lost: int
    quarantined: int
    unfolded: int
    """Events that the views could not take in."""
    accepted: int
    """Changes that were accepted as harmless."""
    head: str | None
    """The newest tree head below the log's folder."""
    signed: bool


def integrity(project: Project, conn: sqlite3.Connection, progress: Progress | None = None) -> Integrity:
    """Check the whole log, and gather what the views say of it."""
    report = _checked(project, progress)
    cursor, letters = reached(conn), dead_letters(conn)
    head, signed = _newest_head(project)
    return Integrity(
        ok=report.ok and not report.unread and not letters and not report.lost,
        problems=[*_problems(report), *(f"event {item.seq} is in no view: {item.error}" for item in letters[:_LISTED])],
        events=report.events,
        position=cursor.seq,
        chain=cursor.chain,
        synced=report.watermark,
        redacted=len(report.redacted),
        lost=len(report.lost),
        quarantined=len(report.quarantined),
        unfolded=len(letters),
        accepted=accepted(conn),
        head=head,
        signed=signed,
    )


def _checked(project: Project, progress: Progress | None) -> VerifyReport:
    report = project.log.verify(progress, full=True)
    if not report.torn_bytes or report.problems:
        return report
    time.sleep(_PATIENCE)  # a writer may be writing just now: then these bytes are whole, or others
    again = project.log.verify(progress, full=True)
    is_moving = (again.torn_offset, again.head) != (report.torn_offset, report.head)
    return msgspec.structs.replace(again, ok=True, torn_bytes=0) if is_moving and not again.redacting else again


def _problems(report: VerifyReport) -> list[str]:
    found = [f"{item.file}, byte {item.offset}: {item.what}" for item in report.problems[:_LISTED]]
    if len(report.problems) > _LISTED:
        found.append(f"and {len(report.problems) - _LISTED} more")
    if report.torn_bytes:
        found.append(f"an incomplete last record, {counted(report.torn_bytes, 'byte')}: a writer was killed, or writes")
    if report.redacting:
        found.append("a redaction is not finished")
    if report.unread:
        found.append("something could not be read, so it was not checked")
    if report.lost:
        found.append(f"an earlier repair left {counted(len(report.lost), 'damaged record')} out")
    return found


def _newest_head(project: Project) -> tuple[str | None, bool]:
    if project.log.folder is None:
        return None, False
    try:
        kept = kept_heads(project.storage, project.log.folder)
    except ConsistError:  # a damaged head is no evidence; `verify --against` tells about it
        return None, False
    if not kept:
        return None, False
    path = kept[-1].path
    return kept[-1].head.text, path.with_name(path.name + SIGNATURE).exists()
