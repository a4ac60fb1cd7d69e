"""Messages about the views: rebuilt, set aside, or moved elsewhere."""

import logging
import warnings
from pathlib import Path

from consist_es.errors import ConsistWarning
from consist_es.text import shown

LOGGER = "consist_es"
"""Logger for messages that need no action. Goes to stderr unless logging is configured."""


class Notices:
    """Collects messages during the work and emits them after it: if warnings are errors, nothing is left half done."""

    def __init__(self) -> None:
        self._warnings: list[str] = []
        self._said: list[str] = []
        self.waiting = False
        """True if there are messages."""

    def warn(self, text: str) -> None:
        """Add a message that may need action."""
        self._warnings.append(text)
        self.waiting = True

    def set_aside(self, place: Path, problem: str, events: int, kept: Path) -> None:
        """Add: a file was rebuilt from the log, and the old one kept."""
        rebuilt = f"it was rebuilt from the log ({_events(events)}), and the old file kept as {kept.name}"
        self.warn(f"{place} {problem}: {rebuilt}.")

    def changed(self, place: Path, reason: str, events: int) -> None:
        """Add: a file was rebuilt from the log, because another program had written to it."""
        self.warn(
            f"The views in {place} {reason}. They were rebuilt from the log ({_events(events)}). Write to a copy of "
            "the file: changes made in it by SQL are not recorded and do not stay."
        )

    def made_again(self, place: Path, reason: str, events: int) -> None:
        """Add: a file was rebuilt from the log, and nothing is lost."""
        self._said.append(f"The views in {place} {reason}: rebuilt from the log ({_events(events)}).")
        self.waiting = True

    def tell(self) -> None:
        """Emit each message once."""
        self.waiting = False
        said, self._said = self._said, []
        for text in said:
            logging.getLogger(LOGGER).warning("%s", shown(text))
        notices, self._warnings = self._warnings, []
        for notice in notices:
            warnings.warn(notice, ConsistWarning, stacklevel=4)


def _events(number: int) -> str:
    return "1 event" if number == 1 else f"{number:,} events"
