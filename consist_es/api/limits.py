"""The default limit of `find_runs` and `find_artifacts`: cuts only open questions, and says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from consist_es.checks import checked_limit
from consist_es.errors import warn

T = TypeVar("T")

DEFAULT = 100


def limited(
    what: str,
    filters: Mapping[str, Any],
    whole: Collection[str],
    found: Callable[[int | None], Sequence[T]],
    count: Callable[[], int],
    warned: set[tuple[str, int]],
) -> Sequence[T]:
    """What `found` gives for the limit asked for.

    Without one it is `DEFAULT`, or none if `filters` name a thing of which all is meant (`whole`). `warned` remembers
    the lines of code already warned: a loop asks thousands of times.
    """
    if "limit" in filters:
        return found(checked_limit(filters["limit"]))
    if any(filters.get(name) is not None for name in whole):
        return found(None)
    rows = found(DEFAULT + 1)  # one more shows whether there are more
    if len(rows) > DEFAULT and (line := _line_of_user()) not in warned:
        warned.add(line)
        warn(f"{what} gives the newest {DEFAULT} of {count():,}: pass limit=None for all, or limit=… for a number.")
    return rows[:DEFAULT]


def _line_of_user() -> tuple[str, int]:
    """File and line of the code that called this library."""
    frame = sys._getframe(1)
    package = str(Path(__file__).parents[1])
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
