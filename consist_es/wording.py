"""Words that messages share."""

import re
from collections.abc import Iterable


def counted(number: int, noun: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


NEAR = 0.8
"""Ratio of `difflib` from which one name may be meant for another: ``grwoth`` and ``growth`` have 0.83."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that this one may be meant for; one with another number is another name."""
    import difflib

    found = difflib.get_close_matches(name, [other for other in names if _numbers(other) == _numbers(name)], 1, NEAR)
    return found[0] if found else None


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)
