"""Tells how far a sweep is: to `logging`, and on stderr if the tracker tells its progress there."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter

from consist_es.execution.summary import duration
from consist_es.sweeps.rows import HIT, told
from consist_es.text import fitted, shown

log = logging.getLogger("consist_es")
_EVERY = 2.0
"""Seconds between two lines."""


class Telling:
    """Counts the rows of one sweep as they end."""

    def __init__(self, name: str, rows: int, *, on_stderr: bool) -> None:
        self._name, self._rows, self._on_stderr = name, rows, on_stderr
        self._counts: Counter[str] = Counter()
        self._began = self._said = time.monotonic()

    def ended(self, status: str) -> None:
        """Count a row, and tell how far the sweep is if that was long ago."""
        self._counts[status] += 1
        now = time.monotonic()
        if now - self._said >= _EVERY:
            self._said = now
            self._say(f"{self._done()} of {told(self._rows, self._counts)}{self._rest(now)}")

    def end(self, counts: str) -> None:
        """Tell what became of them all."""
        self._say(f"{counts} in {duration(time.monotonic() - self._began)}")

    def _done(self) -> int:
        return self._counts.total()

    def _rest(self, now: float) -> str:
        """How long the rest may take, by the rows that were no hits."""
        ran = self._done() - self._counts[HIT]
        left = (self._rows - self._done()) * (now - self._began) / ran if ran else 0.0
        return f", about {duration(left)} left" if left >= 1 else ""

    def _say(self, line: str) -> None:
        text = shown(f"sweep {self._name}: {line}")
        log.info("%s", text)
        if self._on_stderr:
            print(fitted(text, sys.stderr), file=sys.stderr, flush=True)
