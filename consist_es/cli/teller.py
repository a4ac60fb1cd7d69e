"""Prints events one by one, as lines or as JSON."""

import sys
from typing import Any

from consist_es.cli import wording
from consist_es.cli.names import Names
from consist_es.cli.output import emit, emit_json, entry, to_json
from consist_es.events import Recorded


class Teller:
    """Prints events; for one JSON document, between `__enter__` and `__exit__`, for a log may be longer than memory.

    On a terminal the date is printed once a day, to save room. `form`: ``json``, ``nl`` or None.
    """

    def __init__(self, names: Names, form: str | None) -> None:
        self.as_json = form is not None
        self._is_document = form == "json"
        self._names = names
        self._short = sys.stdout.isatty()
        self._day = ""
        self._between = "["

    def __enter__(self) -> "Teller":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._is_document and error is None:
            sys.stdout.write("]\n" if self._between == "," else "[]\n")

    def tell(self, recorded: Recorded) -> None:
        """Print one event."""
        if self.as_json:
            self.tell_json(wording.as_json(recorded, self._names))
            return
        line = wording.line_of(recorded, self._names)
        entry((f"{recorded.seq:>5}", self._time(recorded.time)), line.text, line.style)

    def tell_json(self, value: Any) -> None:
        """Print one item of the document, or one line."""
        if not self._is_document:
            emit_json(value)
            return
        sys.stdout.write(self._between + to_json(value))
        self._between = ","

    def _time(self, at: str) -> str:
        moment = wording.moment(at)
        if not self._short:
            return moment
        day, _, time = moment.partition("T")
        if day != self._day:
            emit(day, wording.QUIET)
            self._day = day
        return time
