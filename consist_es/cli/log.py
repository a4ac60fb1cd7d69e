"""``consist-es log``: the events of a project."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import click

from consist_es.cli import complete
from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.names import Names
from consist_es.cli.output import note
from consist_es.cli.teller import Teller
from consist_es.events import REGISTRY, Cursor, Recorded
from consist_es.log.engine import EventLog

_PAUSE = 0.2
"""Seconds between two reads of the log."""


@click.command()
@click.option("--follow", is_flag=True, help="Keep printing new events, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only events after position N.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete.types,
    help="Only events of this type; may be repeated.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the last N of these.")
@json_option
@project_option
def log(follow: bool, after: int, types: tuple[str, ...], limit: int | None, as_json: bool, db_path: Path) -> None:
    """Print the events of the project, oldest first."""
    with opened(db_path) as project:
        teller = Teller(Names(project.connection), as_json)
        tail = _Tail(project.log)
        wanted = (event for event in tail.read() if event.seq > after and (not types or event.type in types))
        shown = 0
        for event in wanted if limit is None else deque(wanted, maxlen=limit):
            teller.tell(event)
            shown += 1
        if not shown and not follow:
            note(f"No events of {_unknown(types)}." if types else "No events.")
        while follow:
            sys.stdout.flush()
            time.sleep(_PAUSE)
            for event in tail.read():
                if event.seq > after and (not types or event.type in types):
                    teller.tell(event)


class _Tail:
    """Reads a log, and later its new events."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._reached = Cursor()

    def read(self) -> Iterator[Recorded]:
        """The events since the last call."""
        for event in self._log.read(self._reached):
            self._reached = self._log.cursor_after(event)
            yield event


def _unknown(types: tuple[str, ...]) -> str:
    """The types that were asked for; with the known types if one is unknown."""
    known = sorted({name for name, _version in REGISTRY})
    listed = " or ".join(types)
    strangers = [name for name in types if name not in known]
    return f"type {listed}" + (f"; known types are {', '.join(known)}" if strangers else "")
