"""``consist-es merge``: append what other logs have."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import click

from consist_es.cli.common import json_option, place_of
from consist_es.cli.copy import opened, receiving
from consist_es.cli.output import emit, emit_json
from consist_es.cli.wording import GOOD
from consist_es.log.engine import is_server
from consist_es.log.merging import merge_logs
from consist_es.system.bar import Bar
from consist_es.text import counted


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--project",
    "target",
    metavar="TARGET",
    required=True,
    help="The project that takes them in; a new folder NAME.events is made.",
)
@json_option
def merge(sources: Sequence[str], target: str, as_json: bool) -> None:
    """Append what other logs have to the log of TARGET.

    Each SOURCE is a project's log folder or database, or a log on a server; they stay as they are. Every record is
    appended once, in its order, with its log and position there. To merge again adds what is new, also after a merge
    that was killed. Of a copy of TARGET that was written on, what TARGET has not is appended, and where they forked
    is told.
    """
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(opened(source)) for source in sources]
        is_place = is_server(target) or target.rstrip("/").endswith(".events")
        into = stack.enter_context(receiving(target) if is_place else opened(target, read_only=False))
        done = merge_logs(logs, into, Bar("merging"))
        places, to = [place_of(log) for log in logs], place_of(into)
    if as_json:
        rows = [{"from": place, **found._asdict()} for place, found in zip(places, done, strict=True)]
        emit_json([{key: value for key, value in row.items() if key != "place"} for row in rows])
        return
    for place, found in zip(places, done, strict=True):
        forked = "" if found.forked_at is None else f" It is a copy of that log from position {found.forked_at} on."
        emit(f"Merged {counted(found.events, 'event')} of {place} into {to}.{forked}", GOOD)
