"""Where the time went, and what the cache saved."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from consist_es.views.file import query


class Sum(msgspec.Struct, frozen=True):
    """Steps of one name, or all of them."""

    step: str
    computed: int
    """Runs of the function, failed ones too."""
    hits: int
    failed: int
    """Failed, interrupted or abandoned."""
    running: int
    seconds: float
    """Spent on computing."""
    saved_seconds: float
    """What the runs that answered had taken, less what the hits took."""
    cpu_s: float | None = None
    """Of the computations that it is known of; None if of none."""
    peak_memory_bytes: int | None = None
    """Most that one of them took."""
    read_bytes: int | None = None
    written_bytes: int | None = None

    @property
    def mean(self) -> float | None:
        """Seconds of one computation; None without any."""
        return self.seconds / self.computed if self.computed else None


_SUMS = """
SELECT r.name,
    count(*) FILTER (WHERE r.cache IS NOT 'hit'), count(*) FILTER (WHERE r.cache = 'hit'),
    count(*) FILTER (WHERE r.status IN ('failed', 'interrupted', 'abandoned')),
    count(*) FILTER (WHERE r.status = 'running'),
    total(r.seconds) FILTER (WHERE r.cache IS NOT 'hit'),
    total(max(0.0, q.seconds - r.seconds)) FILTER (WHERE r.cache = 'hit'),
    sum(r.cpu_s), max(r.peak_memory_bytes),
    sum(r.read_bytes), sum(r.written_bytes)
FROM runs r LEFT JOIN runs q ON q.key = r.cache_source_key
WHERE r.kind <> 'scenario' AND (? IS NULL OR r.scenario_key = ?) GROUP BY r.name ORDER BY 6 DESC, 1
"""


def sums(conn: sqlite3.Connection, scenario: str | None = None) -> list[Sum]:
    """One sum per name of a step, the most expensive first; of all scenarios, or of the one with this key."""
    return [Sum(*row) for row in query(conn, _SUMS, (scenario, scenario))]


_Number = TypeVar("_Number", int, float)


def _of_known(together: Callable[[list[_Number]], _Number], found: Iterable[_Number | None]) -> _Number | None:
    known = [number for number in found if number is not None]
    return together(known) if known else None


def total(found: list[Sum]) -> Sum:
    """All of them as one."""
    return Sum(
        step="all",
        computed=sum(item.computed for item in found),
        hits=sum(item.hits for item in found),
        failed=sum(item.failed for item in found),
        running=sum(item.running for item in found),
        seconds=sum(item.seconds for item in found),
        saved_seconds=sum(item.saved_seconds for item in found),
        cpu_s=_of_known(sum, (item.cpu_s for item in found)),
        peak_memory_bytes=_of_known(max, (item.peak_memory_bytes for item in found)),
        read_bytes=_of_known(sum, (item.read_bytes for item in found)),
        written_bytes=_of_known(sum, (item.written_bytes for item in found)),
    )
