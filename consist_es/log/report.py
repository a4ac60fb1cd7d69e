"""Result of a walk through a whole log."""

import msgspec

from consist_es.log.unended import Unended


class Problem(msgspec.Struct, frozen=True):
    """One fault in a log."""

    file: str
    """Path below the log's folder."""
    offset: int
    position: int | None
    """Position of the affected event, if known."""
    what: str


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `verify`."""

    events: int
    """Whole events in their place, including those up to `since`."""
    segments: int
    bytes: int
    """Bytes of all segments."""
    head: int
    """Position of the last event of the last whole batch."""
    ok: bool
    """No problem, no incomplete batch at the end, and no unfinished redaction."""
    problems: list[Problem]
    torn_bytes: int
    """Bytes after the last whole batch, of a killed or a running writer. The next append cuts them."""
    torn_offset: int
    """Their offset in the last segment."""
    quarantined: list[str]
    """Files in the quarantine folder: bytes cut off by earlier repairs."""
    watermark: int | None
    """Position up to which the log was synced, or None if unknown."""
    redacted: list[int] = []
    """Positions of redacted payloads, as seen on this walk or named by its events."""
    redacting: bool = False
    """A redaction is unfinished: it is under way, or the next writer finishes it."""
    lost: list[int] = []
    """Positions of damaged records that a repair left out, as seen on this walk."""
    unread: bool = False
    """True if something could not be read at all: permissions, or the disk."""
    unended: list[Unended] = []
    """Runs and scenarios without an end, as seen on this walk."""
    before: int | None = None
    """Number of `events` before the first break of the chain within a segment; None without a break."""
    since: int = 0
    """Position up to which an earlier walk found everything whole; not checked again."""
