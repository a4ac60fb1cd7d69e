"""Names and outcomes of runs in short, as people say them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from consist_es.text import shortened, shown

LONGEST = 200
"""Most characters of a part of a `repr`."""


class Labelled(Protocol):
    """A run, or its row."""

    @property
    def name(self) -> str: ...
    @property
    def year(self) -> int | None: ...
    @property
    def iteration(self) -> int | None: ...
    @property
    def phase(self) -> str | None: ...


OUTCOMES = ("hit", "computed", "demoted", "failed", "interrupted", "abandoned", "running", "imported")
"""Every outcome of a step. A ``demoted`` trace had hit, and then made an output of its own; an ``imported`` run is from
another program's record."""


def outcome_of(status: str, cache: str | None) -> str:
    """One of `OUTCOMES`."""
    if status != "completed":
        return status
    return cache if cache in ("hit", "demoted", "imported") else "computed"


def moment(row: Labelled) -> str:
    """Year and iteration: ``2030·1``, ``2030``, or ``·1`` without a year."""
    iteration = "" if row.iteration is None else f"·{row.iteration}"
    return f"{'' if row.year is None else row.year}{iteration}"


def label(row: Labelled) -> str:
    """Name of a step with its year, iteration and phase: ``demand 2030·1 am``."""
    return " ".join(filter(None, (row.name, moment(row), row.phase)))


def brief(text: str) -> str:
    """A text on one line of a `repr`, shortened."""
    return shown(shortened(text, LONGEST))


def tally(words: Iterable[str]) -> str:
    """Numbers of equal words: ``3 computed, 2 hit``; outcomes first, in the order of `OUTCOMES`."""
    found = Counter(words)
    ordered = [word for word in OUTCOMES if word in found] + [word for word in found if word not in OUTCOMES]
    return ", ".join(f"{found[word]:,} {word}" for word in ordered)
