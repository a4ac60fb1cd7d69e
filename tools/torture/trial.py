"""What every row of the matrix shares: counting, limits, seeds, and how a broken promise is noted."""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.errors import ConsistError

MOST_FAILURES = 20
"""Failures that are kept with their text; the others are only counted."""


class Row(NamedTuple):
    """One row of the matrix."""

    id: str
    promise: str
    run: Callable[[Trial], None]
    short: int
    night: int
    release: int
    alone: bool = False
    """It takes times, so nothing else must run beside it."""


class Trial:
    """One run of one row: how much to try, where, with which chances, and what came of it."""

    def __init__(self, count: int, folder: Path, seed: int, seconds: float = 3600.0, *, thorough: bool = False) -> None:
        self.count = count
        """How many cases are asked for."""
        self.folder = folder
        """Empty, and the row's own."""
        self.seed = seed
        self.thorough = thorough
        """A night or release form: what takes how long counts, and other interpreters are asked for."""
        self.random = random.Random(seed)
        self.tried: dict[str, int] = {}
        """What was tried, how often."""
        self.failures: list[str] = []
        self.failed = 0
        self.notes: dict[str, Any] = {}
        self.stopped: list[str] = []
        """What the time limit left untried."""
        self.lacking: list[str] = []
        """What the machine has not got, and what was not tried for want of it."""
        self.began = time.monotonic()
        self._deadline = self.began + seconds

    def cases(self, count: int | None = None) -> Iterator[int]:
        """0, 1, 2 … as many as asked for, or until the time is up, which leaves the row incomplete."""
        wanted = self.count if count is None else count
        for number in range(wanted):
            if time.monotonic() > self._deadline:
                self.stopped.append(f"stopped by the time limit at {number} of {wanted}")
                return
            yield number

    def lacks(self, what: str) -> None:
        """The machine has not got what a part of the row needs."""
        if what not in self.lacking:
            self.lacking.append(what)

    @property
    def incomplete(self) -> list[str]:
        """Why the row did not do all that it was asked for."""
        return self.stopped + self.lacking

    def interpreters(self) -> list[str]:
        """This one, and those that ``TORTURE_PYTHONS`` lists: of other versions, with what the library needs."""
        others = list(filter(None, os.environ.get("TORTURE_PYTHONS", "").split(os.pathsep)))
        if self.thorough and not others:
            self.lacks("no interpreter of another version: TORTURE_PYTHONS names none")
        return [sys.executable, *others]

    def tell(self, what: str, count: int = 1) -> None:
        """Count something that was tried."""
        self.tried[what] = self.tried.get(what, 0) + count

    def fail(self, what: str) -> None:
        """A promise was broken."""
        self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(what)

    @contextmanager
    def case(self, what: str, told: str | None = None) -> Iterator[None]:
        """One attempt to break something. What a check raises in it is a failure, and the row goes on."""
        self.tell(told or "cases")
        try:
            yield
        except (AssertionError, ConsistError, OSError, ValueError, LookupError, RuntimeError, TypeError) as error:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "require"]
            where = frames[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            self.fail(f"{what}: {type(error).__name__} at {place}: {str(error)[:600]}")

    def room(self, name: str) -> Path:
        """A new empty folder for one case."""
        path = self.folder / name
        path.mkdir(parents=True)
        return path

    @property
    def seconds(self) -> float:
        """Since the row began."""
        return time.monotonic() - self.began


def require(truth: object, what: object) -> None:
    """`assert`, also where Python runs with -O."""
    if not truth:
        raise AssertionError(what() if callable(what) else what)
