"""``consist-es watch``: what runs now, how far it is, and how long it may take."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Group

from consist_es.cli import complete
from consist_es.cli.common import opened, project_option
from consist_es.cli.forms import Column, table_lines
from consist_es.cli.marks import mark, style, took
from consist_es.cli.output import console_of, emit_json, shown
from consist_es.reading import select
from consist_es.reading.following import GONE, Change, Follower, Watched, since
from consist_es.reading.labels import label

_PAUSE = 0.25
"""Seconds between two looks."""
_MISSING_EVERY = 8
"""Looks between two questions whether the processes are still there."""
_HEADINGS = ("at", "scenario", "step", "what", "seconds", "steps", "of", "reused", "left")
_OUTSIDE = "(no scenario)"
_MARKS = 16
"""Outcomes of a scenario's last steps that are shown."""


@click.command()
@click.argument("scenario", required=False, shell_complete=complete.scenarios)
@click.option("--nl", "as_json", is_flag=True, help="Print JSON, one object for each change.")
@click.option("--json", "as_json", is_flag=True, help="The same: what goes on cannot be one document.")
@project_option
def watch(scenario: str | None, as_json: bool, db_path: Path) -> None:
    """Watch scenarios while they run; Ctrl-C ends it.

    Running scenarios come first: how many steps are over, of those that the last whole attempt had; how many were
    reused; the step that runs and for how long; and how long the rest may take, going by that attempt. With SCENARIO
    only attempts at this one.

    In a pipe, or with --nl, there is a line for each change, beginning with what runs already. It reads the log and
    takes no lock, so that no model waits for it.
    """
    with opened(db_path) as project:
        views = project.connection()
        only = None if scenario is None else select.scenario(views, scenario).name
        follower = Follower(project.log, project.views_as_seen, views, only)
        if not as_json and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
            _live(follower)
        else:
            _lines(follower, as_json)


# ---------------------------------------------------------------- in a pipe


def _lines(follower: Follower, as_json: bool) -> None:
    if not as_json:
        sys.stdout.write("\t".join(_HEADINGS) + "\n")
    tell: Callable[[Change], None] = _tell_json if as_json else _tell_text
    for item in [item for item in reversed(follower.shown()) if item.status == "running"]:
        for change in [Change.of(item.since, item, None, "running")] if item.id else []:
            tell(change)
        for step in item.running.values():
            tell(Change.of(step.since, item, step, "running"))
    for number in _forever():
        for change in follower.look():
            tell(change)
        if number % _MISSING_EVERY == 0:
            for change in follower.missing():
                tell(change)
        sys.stdout.flush()


def _forever() -> Iterator[int]:
    """Numbers from 0, one for each look."""
    number = 0
    while True:
        yield number
        number += 1
        time.sleep(_PAUSE)


def _row(change: Change) -> dict[str, Any]:
    scenario, step = change.scenario, change.step
    return {
        "at": change.at,
        "scenario": scenario.id or None,
        "step": change.label or None,
        "what": change.what,
        "seconds": (scenario if step is None else step).seconds,
        "steps": change.ended,
        "of": change.total,
        "reused": change.reused,
        "left": scenario.left(datetime.now(UTC)),
    }


def _tell_json(change: Change) -> None:
    emit_json(_row(change))


def _tell_text(change: Change) -> None:
    row = _row(change)
    row |= {"at": f"{change.at[:19]}Z", "seconds": took(row["seconds"]), "left": took(row["left"])}
    sys.stdout.write("\t".join("" if row[name] is None else shown(row[name]) for name in _HEADINGS) + "\n")


# ---------------------------------------------------------------- on a terminal


def _live(follower: Follower) -> None:
    """Draw the table again and again, in the same place."""
    from rich.live import Live

    with Live(console=console_of(sys.stdout), auto_refresh=False) as live:
        for number in _forever():
            follower.look()
            if number % _MISSING_EVERY == 0:
                follower.missing()
            live.update(_picture(follower), refresh=True)


def _picture(follower: Follower) -> Group:
    size = shutil.get_terminal_size((80, 24))
    now = datetime.now(UTC)
    rows = [_cells(item, now) for item in follower.shown()[: max(1, size.lines - 2)]]
    if not rows:
        return Group("Nothing has run yet.")
    return Group(*table_lines(_COLUMNS, rows, size.columns))


def _cells(item: Watched, now: datetime) -> dict[str, Any]:
    running = list(item.running.values())
    step = running[-1] if running else None
    more = f" (+{len(running) - 1})" if len(running) > 1 else ""
    runs = item.status == "running" or not item.id
    time = since(item.since if step is None else step.since, now) if runs else item.seconds
    of = f" of {item.total}" if runs and item.total else ""
    return {
        "scenario": item.id or _OUTSIDE,
        "steps": f"{item.ended}{of}" if item.id else "",
        "reused": item.reused or None,
        "failed": item.failed or None,
        "now": f"{label(step)}{more}" if step is not None and runs else item.status,
        "for": time,
        "left": item.left(now),
        "last": "".join(map(mark, list(item.outcomes)[-_MARKS:])),
    }


def _style(now: str | None) -> str:
    return style({"completed": "hit", GONE: "abandoned"}.get(now or "", now))


_COLUMNS = (
    Column("scenario", flexible=True),
    Column("steps", right=True),
    Column("reused", right=True),
    Column("failed", style=lambda _: style("failed"), right=True),
    Column("now", style=_style, flexible=True),
    Column("for", took, right=True),
    Column("left", lambda seconds: "" if seconds is None else f"~{took(seconds)}", right=True),
    Column("last"),
)
