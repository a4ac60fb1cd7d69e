"""Summarizes forecasts in one sentence: how much will run, how long it takes, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from consist_es.errors import UsageTypeError
from consist_es.execution.forecast import Forecast
from consist_es.text import counted

_PACKAGES = "packages: "


def forecast_summary(forecasts: Iterable[Forecast]) -> str:
    """Summarize forecasts: ``31 of 40 steps will run, about 9 h, because of pandas 2.2.1 -> 2.2.2``.

    The time is that of earlier runs. Steps that wait for others are counted as if they ran.

    Raises:
        UsageTypeError: an item that is not a forecast.
    """
    given = list(forecasts)
    for item in given:
        if not isinstance(item, Forecast):
            raise UsageTypeError(f"forecast_summary takes forecasts, not {type(item).__name__}: {item!r}.")
    ahead = [item for item in given if item.verdict != "hit"]
    if not ahead:
        return f"none of {counted(len(given), 'step')} will run{_reused(given)}"
    waiting = sum(item.verdict == "open" for item in ahead)
    said = f"{len(ahead)} of {counted(len(given), 'step')} will run, {_time(ahead)}{_cause(ahead)}"
    return said + (f"; {waiting} of them wait for others and may be reused" if waiting else "") + _reused(given)


def _reused(given: Iterable[Forecast]) -> str:
    over = sorted({text for item in given for text in item.packages})
    return f"; others are reused over {', '.join(over)}" if over else ""


def _cause(ahead: Iterable[Forecast]) -> str:
    misses = [item for item in ahead if item.verdict == "miss"]
    lines = {line.removeprefix(_PACKAGES) for item in misses for line in item.differs if line.startswith(_PACKAGES)}
    reasons = Counter(item.reason for item in misses if item.reason != "packages_changed")
    causes = [", ".join(sorted(lines))] if lines else []
    causes += [f"{reason} ({count})" for reason, count in reasons.most_common()]
    return f", because of {'; '.join(causes)}" if causes else ""


def _time(ahead: Iterable[Forecast]) -> str:
    known = [item.seconds for item in ahead if item.seconds is not None]
    if not known:
        return "for an unknown time"
    return f"about {duration(sum(known))}" if sum(known) >= 1 else duration(0)


def duration(seconds: float) -> str:
    """A rough duration with its unit: ``3.2 min``."""
    for name, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {name}"
    return "less than 1 s"
