"""Marks, colours and durations of steps on the command line."""

import sys

from consist_es.cli.units import duration

STYLES = {
    "hit": "green",
    "computed": "blue",
    "demoted": "magenta",
    "failed": "bold red",
    "interrupted": "red",
    "abandoned": "red",
    "running": "yellow",
    "imported": "cyan",
}
_MARKS = {
    "hit": "↺",
    "computed": "●",
    "demoted": "◐",
    "failed": "✕",
    "interrupted": "■",
    "abandoned": "?",
    "running": "…",
    "imported": "⇥",
}
_LETTERS = {name: name[0].upper() for name in _MARKS} | {"computed": "C", "imported": "M"}


def mark(outcome: str) -> str:
    """One character for an outcome; a letter if the output cannot show the sign."""
    sign = _MARKS.get(outcome, "?")
    try:
        sign.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return _LETTERS.get(outcome, "?")
    return sign


def marked(outcome: str | None) -> str:
    """An outcome with its mark: ``● computed``."""
    return "" if outcome is None else f"{mark(outcome)} {outcome}"


def style(outcome: str | None) -> str:
    """The colour of an outcome."""
    return STYLES.get(outcome or "", "")


def took(seconds: float | None) -> str:
    """A duration, "" if unknown."""
    return "" if seconds is None else duration(seconds)


def size(count: int | None) -> str:
    """A number of bytes in decimal units (IEC 80000-13: 1 kB is 1,000 bytes)."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
