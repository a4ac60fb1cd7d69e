"""``consist-es copy``: copy a whole log to another place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import click

from consist_es.cli.common import json_option, place_of
from consist_es.cli.output import emit, emit_json
from consist_es.cli.wording import GOOD
from consist_es.errors import UsageError
from consist_es.log.copying import copy_log, move_log
from consist_es.log.engine import EventLog, is_server, open_log
from consist_es.project.find import find_project, log_folder, server_of
from consist_es.system.bar import Bar
from consist_es.text import counted


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--move", is_flag=True, help="Close FROM: nothing is recorded there any more.")
@json_option
def copy(source: str, target: str, move: bool, as_json: bool) -> None:
    """Copy a whole log: folder to server, or back.

    FROM is a project's log folder or database, or a log on a server, as for --project. TO is a new folder NAME.events,
    or postgresql://host/database#project. Lines, chain and identity stay as they are, byte for byte, and so does the
    key that masks secrets. To copy again adds what is new, if nobody wrote to the copy. With --move, FROM ends with a
    record that says where it went, and who goes on writing there is told.
    """
    with opened(source, read_only=not move) as log, receiving(target) as other:
        done = (move_log if move else copy_log)(log, other, Bar("copying"))
        said = {"from": place_of(log), "to": place_of(other), "events": done.events, "there": done.there}
    if as_json:
        emit_json(said)
    else:
        there = f", {counted(done.there, 'event')} were there already" if done.there else ""
        emit(f"{'Moved' if move else 'Copied'} {counted(done.events, 'event')} to {said['to']}{there}.", GOOD)


@contextlib.contextmanager
def opened(where: str, *, read_only: bool = True) -> Iterator[EventLog]:
    """The log of a project that is named as for --project."""
    database = find_project(where, Path.cwd())
    with contextlib.closing(open_log(server_of(database) or log_folder(database), read_only=read_only)) as log:
        yield log


@contextlib.contextmanager
def receiving(where: str) -> Iterator[EventLog]:
    """The log at a place where there may be none yet."""
    if not is_server(where) and not where.rstrip("/").endswith(".events"):
        raise UsageError(f"TO is {where}: a log is a folder NAME.events, or postgresql://host/database#project.")
    with contextlib.closing(open_log(where if is_server(where) else os.path.abspath(where))) as log:
        yield log
