"""``consist-es import``: take over what another program recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli.common import json_option, opened, short
from consist_es.cli.output import emit, emit_json, note, shown
from consist_es.cli.wording import GOOD
from consist_es.errors import ProjectNotFoundError
from consist_es.project.find import find_project
from consist_es.text import counted

_SHOWN = 20
"""Problems shown unless JSON is asked for."""


@click.group(name="import")
def import_() -> None:
    """Take over what another program recorded."""


def _place(_ctx: Any, _param: Any, given: str | None) -> Path:
    """The database of the project; one that is named and not there is made by the first event."""
    try:
        return find_project(given, Path.cwd())
    except ProjectNotFoundError:
        path = Path(given or "")
        if path.suffix not in (".db", ".events"):
            raise
        return path.absolute().with_suffix(".db")


@import_.command()
@click.argument("store", metavar="FILE|RUN_DIR", type=click.Path(path_type=Path))
@click.option(
    "--project",
    "db_path",
    metavar="PATH",
    envvar="CONSIST_ES_PROJECT",
    show_envvar=True,
    callback=_place,
    help="Log folder or database of the project; a new one is made.  [default: the only *.events folder here]",
)
@json_option
def consist(store: Path, as_json: bool, db_path: Path) -> None:
    """Import what LBNL's consist recorded: runs, files, lineage, facets.

    From its DuckDB file, or from a run directory. Imported runs are marked, and never answer for another run. A second
    import brings what is new since. Files that still have the recorded bytes are known by them from then on.
    """
    from consist_es.imports.importing import import_consist  # not for help
    from consist_es.system.bar import Bar

    with opened(db_path, read_only=False) as project:
        done = import_consist(project, store, Bar("importing"))
    if as_json:
        emit_json(msgspec.to_builtins(done))
        return
    there = f", {counted(done.there, 'run')} were there already" if done.there else ""
    files = f"{counted(done.artifacts, 'artifact')}, {done.verified} of them with the recorded bytes"
    emit(f"Imported {counted(done.runs, 'run')} and {files}, into {short(db_path)}{there}.", GOOD)
    for problem in done.problems[:_SHOWN]:
        note(f"Note: {shown(problem)}", "yellow")
    if len(done.problems) > _SHOWN:
        note(f"There are {len(done.problems) - _SHOWN} more notes: give --json to see all.")
    if done.left_out:
        tables = ", ".join(f"{name} ({counted(rows, 'row')})" for name, rows in done.left_out.items())
        note(f"Tables that are not imported: {shown(tables)}.")
