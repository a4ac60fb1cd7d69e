"""``consist-es log``: the events of a project."""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from consist_es.cli import complete
from consist_es.cli.common import json_forms, opened, project_option
from consist_es.cli.names import Names
from consist_es.cli.output import note
from consist_es.cli.teller import Teller
from consist_es.events import REGISTRY, Cursor, Recorded
from consist_es.project.project import Project
from consist_es.projections import audit_index
from consist_es.reading import select
from consist_es.system.bar import Bar
from consist_es.views.tables import reached

_PAUSE = 0.2
"""Seconds between two reads of the log."""
_FIRST = 10
"""Events that --follow begins with."""


class _Asked(NamedTuple):
    """Which events to print."""

    after: int
    types: tuple[str, ...]
    scenario: str | None
    """Key of the header run."""

    def has(self, event: Recorded) -> bool:
        """True if the event is among them."""
        is_type = not self.types or event.type in self.types
        return event.seq > self.after and is_type and self.scenario in (None, event.scenario)


@click.command()
@click.option("--follow", is_flag=True, help="Print the last 10 of these, and go on with new ones, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Only events after position N.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete.types,
    help="Only events of this type; may be repeated.",
)
@click.option(
    "--scenario", metavar="NAME", shell_complete=complete.scenarios, help="Only events of this attempt at a scenario."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the last N of these.")
@json_forms
@project_option
def log(
    follow: bool,
    after: int | None,
    types: tuple[str, ...],
    scenario: str | None,
    limit: int | None,
    form: str | None,
    db_path: Path,
) -> None:
    """Print the events of the project, oldest first.

    With --follow, --json prints one object to a line as --nl does, for what goes on cannot be one document. With
    --limit or --after, only that part of the log is read.
    """
    with opened(db_path) as project:
        views = project.connection()
        header = None if scenario is None else select.scenario(views, scenario).key
        asked = _Asked(after or 0, tuple(map(_plain, types)), header)
        if follow and after is None and limit is None:
            limit = _FIRST
        end, shown = reached(views), 0
        with Teller(Names(project.connection), "nl" if follow and form else form) as teller:
            for event in _so_far(project, asked, limit):
                teller.tell(event)
                shown += 1
            if not shown and not follow:
                note(f"No events of {_unknown(types)}." if types else "No events.")
            if follow:
                _go_on(project, asked, end, teller)


def _plain(text: str) -> str:
    """A text that can be compared with what is recorded; one that is no Unicode is the type of nothing."""
    return text.encode("utf-8", "backslashreplace").decode()


def _so_far(project: Project, asked: _Asked, limit: int | None) -> Iterator[Recorded]:
    """The events up to now; those of all or of the end of the log are found by the views, and read from the log."""
    with Bar("Reading the log") as bar:
        total = project.log.head().seq
        if asked == _Asked(0, (), None) and limit is None:
            for event in project.log.read():
                yield event
                _advance(bar, event.seq, total)
            return
        found = audit_index.newest(project.connection(), asked.after, asked.types, asked.scenario, limit)
        for number, (position, segment, offset) in enumerate(reversed(found), 1):
            yield project.log.at(position, (segment, offset))
            _advance(bar, number, len(found))


def _advance(bar: Bar, done: int, total: int) -> None:
    """Show how far it is if the events go to a file: on a terminal they show it themselves, and a pager has it."""
    with suppress(OSError, ValueError):  # no file at all
        if stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode):
            bar(done, total)


def _go_on(project: Project, asked: _Asked, end: Cursor, teller: Teller) -> None:
    """Print new events for ever."""
    while True:
        for event in project.log.read(end if end.seq else None):
            end = project.log.cursor_after(event)
            if asked.has(event):
                teller.tell(event)
        sys.stdout.flush()
        time.sleep(_PAUSE)


def _unknown(types: tuple[str, ...]) -> str:
    """The types that were asked for; with the known types if one is unknown."""
    known = sorted({name for name, _version in REGISTRY})
    listed = " or ".join(types)
    strangers = [name for name in types if name not in known]
    return f"type {listed}" + (f"; known types are {', '.join(known)}" if strangers else "")
