"""Parts of the line that describes an event."""

from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.cli.units import short_digest
from consist_es.events import ArtifactMaterialized, CopyForgotten, CopyRecorded
from consist_es.text import shortened

_LONGEST_VALUE = 200


def cut(text: str) -> str:
    """A text, shortened if it is long."""
    return shortened(text, _LONGEST_VALUE)


def value(plain: Any) -> str:
    """The repr of a value, shortened if it is long."""
    return cut(repr(plain))


def pairs(values: Any) -> str:
    """``growth=1.1, widen=None`` for a mapping; the repr of any other value."""
    if not isinstance(values, Mapping):
        return value(values)
    return ", ".join(f"{key}={value(item)}" for key, item in values.items())


def listed(items: Iterable[str]) -> str:
    """The items, separated by commas, or ``none``."""
    return ", ".join(items) or "none"


def parts(*parts: tuple[str, Any]) -> str:
    """The non-empty parts, each after its heading."""
    return "; ".join(f"{heading} {text}" for heading, text in parts if text)


def after_colon(text: str) -> str:
    """A text after a colon, or nothing if it is empty."""
    return f": {text}" if text else ""


def materialized(event: ArtifactMaterialized) -> str:
    """What was copied, where, and why."""
    return f"copied {event.key} {short_digest(event.digest)} to {event.uri} from {event.source_uri}: {event.reason}"


_COPIED = {
    "claimed": "a copy is to be looked for at",
    "found": "a copy was found at",
    "linked": "linked at",
    "moved": "moved to",
    "set_aside": "kept at",
}
"""How a copy was made -> words; others were archived."""


def copied(event: CopyRecorded) -> str:
    """What a recovery copy is, and where."""
    return f"{event.key} {short_digest(event.digest)}: {_COPIED.get(event.how, 'archived at')} {event.uri}"


def forgotten(event: CopyForgotten) -> str:
    """Which recovery copy no longer counts, and why."""
    return f"{event.key}: the copy at {event.uri} no longer counts: {event.reason}"
