"""What a walk through a whole log found."""

import msgspec

from consist_es.log.unended import Unended


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it should be."""

    file: str
    """Path below the log's folder."""
    offset: int
    position: int | None
    """Position of the event that is concerned, as far as it can be told."""
    what: str


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` found."""

    events: int
    """Whole events that are in their place, those up to `since` included."""
    segments: int
    bytes: int
    """Bytes of all segments."""
    head: int
    """Position of the last event of the last whole batch."""
    ok: bool
    """No problem, no incomplete batch at the end, and no unfinished redaction."""
    problems: list[Problem]
    torn_bytes: int
    """Bytes after the last whole batch: of a writer that was killed, or that is writing. The next append cuts them."""
    torn_offset: int
    """Where they begin in the last segment."""
    quarantined: list[str]
    """Files in the quarantine folder: what earlier repairs cut off."""
    watermark: int | None
    """Position up to which the log was synced; None where that is not known."""
    redacted: list[int] = []
    """Positions whose payload was taken out, as far as this walk saw them or the events that say so."""
    redacting: bool = False
    """A redaction was begun and not finished: it is under way, or the next writer finishes it."""
    lost: list[int] = []
    """Positions whose record was damaged, and that a repair went on without, as far as this walk saw them."""
    unread: bool = False
    """Something could not be read at all, so that nothing can be said of it: permissions, or the disk."""
    unended: list[Unended] = []
    """Runs and scenarios that began and have no end, as far as this walk saw them."""
    before: int | None = None
    """Of `events`, how many lie before the first place where the chain breaks within a segment; None where it does not.
    The others lie behind it."""
    since: int = 0
    """Position up to which an earlier walk found everything whole, and this one did not look again."""
