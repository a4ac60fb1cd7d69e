"""Prints events one by one, as lines or as JSON."""

import sys

from consist_es.cli import wording
from consist_es.cli.names import Names
from consist_es.cli.output import emit, emit_json, entry
from consist_es.events import Recorded


class Teller:
    """Prints events. On a terminal the date is printed once a day, to save room."""

    def __init__(self, names: Names, as_json: bool) -> None:
        self.as_json = as_json
        self._names = names
        self._short = sys.stdout.isatty()
        self._day = ""

    def tell(self, recorded: Recorded) -> None:
        """Print one event."""
        if self.as_json:
            emit_json(wording.as_json(recorded, self._names))
            return
        line = wording.line_of(recorded, self._names)
        entry((f"{recorded.seq:>5}", self._time(recorded.at)), line.text, line.style)

    def _time(self, at: str) -> str:
        moment = wording.moment(at)
        if not self._short:
            return moment
        day, _, time = moment.partition("T")
        if day != self._day:
            emit(day, wording.QUIET)
            self._day = day
        return time
