"""Pieces of a line that says what an event is."""

from collections.abc import Iterable, Mapping
from typing import Any

from consist_es.text import shortened

_LONGEST_VALUE = 200


def cut(text: str) -> str:
    """A text, or its beginning where it is long."""
    return shortened(text, _LONGEST_VALUE)


def value(plain: Any) -> str:
    """A value as Python writes it, cut where it is long."""
    return cut(repr(plain))


def pairs(values: Any) -> str:
    """``growth=1.1, widen=None`` of a mapping; any other value as it is."""
    if not isinstance(values, Mapping):
        return value(values)
    return ", ".join(f"{key}={value(item)}" for key, item in values.items())


def listed(items: Iterable[str]) -> str:
    """The items after each other, or ``none``."""
    return ", ".join(items) or "none"


def parts(*parts: tuple[str, Any]) -> str:
    """The parts that say something, each after its heading."""
    return "; ".join(f"{heading} {text}" for heading, text in parts if text)


def after_colon(text: str) -> str:
    """A text behind a colon; nothing where it is empty."""
    return f": {text}" if text else ""
