"""What there is to say of the views: that they were made again, set aside, or lie elsewhere."""

import logging
import warnings
from pathlib import Path

from consist_es.errors import ConsistWarning
from consist_es.text import shown

LOGGER = "consist_es"
"""Where it is said what nobody has to do anything about; shown on stderr where logging is not set up otherwise."""


class Notices:
    """Collected while the work is done and said after it: where warnings are errors, nothing is left half done."""

    def __init__(self) -> None:
        self._warnings: list[str] = []
        self._said: list[str] = []

    def warn(self, text: str) -> None:
        """Something that somebody may want to act upon."""
        self._warnings.append(text)

    def set_aside(self, place: Path, problem: str, events: int, kept: Path) -> None:
        """A file was made again from the log, and the old one kept."""
        rebuilt = f"it was rebuilt from the log ({_events(events)}), and the old file kept as {kept.name}"
        self.warn(f"{place} {problem}: {rebuilt}.")

    def changed(self, place: Path, reason: str, events: int) -> None:
        """A file was made again from the log, for another program had written to it."""
        self.warn(
            f"The views in {place} {reason}. They were rebuilt from the log ({_events(events)}). Write to a copy of "
            "the file: what is changed in it by SQL is no record, and does not stay."
        )

    def made_again(self, place: Path, reason: str, events: int) -> None:
        """A file was made again from the log, and nothing is lost."""
        self._said.append(f"The views in {place} {reason}: rebuilt from the log ({_events(events)}).")

    def tell(self) -> None:
        """Say everything, each once."""
        said, self._said = self._said, []
        for text in said:
            logging.getLogger(LOGGER).warning("%s", shown(text))
        notices, self._warnings = self._warnings, []
        for notice in notices:
            warnings.warn(notice, ConsistWarning, stacklevel=4)


def _events(number: int) -> str:
    return "1 event" if number == 1 else f"{number:,} events"
