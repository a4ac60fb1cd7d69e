"""Times, durations and digests in readable form."""

from consist_es.values.digests import CONTENT

_DIGEST_SHOWN = len(CONTENT) + 10


def moment(at: str) -> str:
    """A time of the log to the millisecond, UTC."""
    return f"{at[:23]}Z"


def duration(seconds: float) -> str:
    """A duration with its unit."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min {rest:02d} s" if hours else f"{minutes} min {rest:02d} s"


def short_digest(digest: str | None) -> str:
    """The beginning of a digest, enough to distinguish it."""
    if digest is None:
        return "no digest"
    return digest if len(digest) <= _DIGEST_SHOWN else f"{digest[:_DIGEST_SHOWN]}…"
