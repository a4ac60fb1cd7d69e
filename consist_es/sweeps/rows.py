"""The result of a sweep: every row, with what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import MissingKeyError, StateError
from consist_es.runs.run import Run, RunResult
from consist_es.text import counted, shown

HIT, COMPUTED, FAILED, LOST, WAITING = "hit", "computed", "failed", "lost", "waiting"
OUTCOMES = (COMPUTED, HIT, FAILED, LOST, WAITING)


@dataclass(slots=True)
class SweepRow:
    """One row of a sweep."""

    id: str
    values: dict[str, Any]
    status: str = WAITING
    """``computed``, ``hit``, ``failed``, ``lost`` (its worker ended without a result), or ``waiting``: for its turn, or
    for the script that was written."""
    error: str | None = None
    """Type and message of the exception, as text; None if there was none."""
    seconds: float | None = None
    """From its start to its result, in the worker; None for a hit."""
    worker: str = ""
    """Host and process that ran it; "" for a hit."""
    key: str | None = None
    """Key of its run; None if none was recorded."""
    outputs: dict[str, Artifact] = field(default_factory=dict)
    _read: Callable[[str], Run] | None = field(default=None, repr=False, compare=False)

    @property
    def run(self) -> Run:
        """The record of its run.

        Raises:
            StateError: none was recorded.
        """
        if self.key is None or self._read is None:
            raise StateError(f"Row {self.id!r} has no run: it is {self.status}. {self.error or ''}".rstrip())
        return self._read(self.key)

    @property
    def result(self) -> RunResult:
        """The result of its step, as `run` gives it.

        Raises:
            StateError: it has none.
        """
        if self.status not in (HIT, COMPUTED):
            raise StateError(f"Row {self.id!r} has no result: it is {self.status}. {self.error or ''}".rstrip())
        return RunResult(self.run, dict(self.outputs), cache_hit=self.status == HIT)

    def ended(self, status: str, error: str | None = None) -> None:
        """Set the outcome."""
        self.status, self.error = status, error

    def __reduce__(self) -> tuple[Any, ...]:
        told = (self.id, self.values, self.status, self.error, self.seconds, self.worker, self.key, self.outputs)
        return type(self), told  # without the views, which are of this process


class SweepResult:
    """All rows of a sweep, in their order: iterate over them, or take one by its id."""

    def __init__(self, name: str, rows: list[SweepRow]) -> None:
        self.name, self.rows = name, rows

    def __iter__(self) -> Iterator[SweepRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row_id: str) -> SweepRow:
        """The row with this id.

        Raises:
            MissingKeyError: there is none.
        """
        found = next((row for row in self.rows if row.id == row_id), None)
        if found is None:
            raise MissingKeyError("row", row_id, [row.id for row in self.rows])
        return found

    def count(self, status: str) -> int:
        """The number of rows with this status."""
        return sum(row.status == status for row in self.rows)

    @property
    def hits(self) -> int:
        """The number of rows that the cache answered."""
        return self.count(HIT)

    @property
    def computed(self) -> int:
        """The number of rows that were computed."""
        return self.count(COMPUTED)

    @property
    def failed(self) -> list[SweepRow]:
        """The rows with an exception."""
        return [row for row in self.rows if row.status == FAILED]

    @property
    def lost(self) -> list[SweepRow]:
        """The rows whose workers ended without a result."""
        return [row for row in self.rows if row.status == LOST]

    @property
    def waiting(self) -> list[SweepRow]:
        """The rows that are left to the script that was written."""
        return [row for row in self.rows if row.status == WAITING]

    @property
    def outputs(self) -> dict[str, dict[str, Artifact]]:
        """Id of each row that has a result -> its outputs by key."""
        return {row.id: row.outputs for row in self.rows if row.status in (HIT, COMPUTED)}

    def __repr__(self) -> str:
        return f"<SweepResult {shown(self.name)}: {self.told()}>"

    def told(self) -> str:
        """The counts in words: ``120 rows: 100 computed, 20 hit``."""
        return told(len(self.rows), Counter(row.status for row in self.rows))


def told(rows: int, counts: Mapping[str, int]) -> str:
    """Counts of rows in words."""
    listed = ", ".join(f"{counts[status]} {status}" for status in OUTCOMES if counts.get(status))
    return f"{counted(rows, 'row')}{': ' if listed else ''}{listed}"
