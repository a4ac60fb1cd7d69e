"""``consist-es runs``, ``scenarios`` and ``artifacts``: lists of them."""

import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from consist_es.cli import complete
from consist_es.cli.common import opened, project_option
from consist_es.cli.forms import Column, chosen, forms_option, print_rows
from consist_es.cli.marks import marked, size, style, took
from consist_es.cli.output import note
from consist_es.errors import OptionError
from consist_es.projections import lineage, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.reading import select
from consist_es.reading.found import find_outputs, find_steps
from consist_es.reading.labels import OUTCOMES
from consist_es.reading.listing import ARTIFACT_COLUMNS, RUN_COLUMNS, SCENARIO_COLUMNS, Listing

_Command = TypeVar("_Command", bound=Callable[..., Any])
_STATUSES = ("running", "completed", "failed", "interrupted", "abandoned")
_ON_A_TERMINAL = 20
"""Rows shown on a terminal unless told otherwise."""


def list_options(known: Sequence[str]) -> Callable[[_Command], _Command]:
    """``--sort``, ``--columns``, ``--limit`` and the forms of a list with these columns."""

    def options(command: _Command) -> _Command:
        command = click.option(
            "--limit",
            metavar="N",
            type=click.IntRange(min=1),
            help="Show at most this many.  [default: 20 on a terminal, else all]",
        )(forms_option(command))
        command = click.option(
            "--columns", metavar="A,B", shell_complete=complete.columns(known), help="Show these columns, or all."
        )(command)
        return click.option(
            "--sort",
            metavar="COLUMN",
            shell_complete=complete.sorting(known),
            help="Sort by this column; -COLUMN the other way round.",
        )(command)

    return options


@click.command()
@click.option(
    "--scenario",
    metavar="NAME",
    shell_complete=complete.scenarios,
    help="Only this scenario: its latest attempt, or NAME#2 for an earlier one.",
)
@click.option("--name", metavar="NAME", shell_complete=complete.names, help="Only this step.")
@click.option("--year", type=int, help="Only this year.")
@click.option("--iteration", type=int, help="Only this iteration.")
@click.option("--outcome", type=click.Choice(OUTCOMES), help="Only with this outcome.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only with this status.")
@click.option("--model", metavar="NAME", shell_complete=complete.models, help="Only this model.")
@list_options(RUN_COLUMNS)
@project_option
def runs(
    scenario: str | None,
    sort: str | None,
    columns: str | None,
    limit: int | None,
    form: str | None,
    db_path: Path,
    **filters: Any,
) -> None:
    """List runs of steps: computed or reused, and why.

    The newest is first; with --scenario, the first that ran. "because" says what made a step run: followed back to
    where it came in, if other steps had made its inputs anew. Of a hit it is the run that answered.
    """
    with opened(db_path) as project:
        views = project.connection()
        header = None if scenario is None else select.scenario(views, scenario)
        most = None if sort is not None else _most(limit, form)
        found = find_steps(
            views, scenario=header, newest_first=header is None, limit=None if most is None else most + 1, **filters
        )
        lines = Listing(views, found)
        rows = [lines.run(row) for row in found]
    default = ("outcome", "step", *(() if scenario else ("scenario",)), "seconds", "because")
    _print(_RUN, default, columns, rows, sort, _most(limit, form), form, RUN_COLUMNS)


@click.command()
@list_options(SCENARIO_COLUMNS)
@project_option
def scenarios(sort: str | None, columns: str | None, limit: int | None, form: str | None, db_path: Path) -> None:
    """List scenarios with outcomes of their steps, newest first."""
    with opened(db_path) as project:
        views = project.connection()
        most = None if sort is not None else _most(limit, form)
        found = run_table.scenarios(views, limit=None if most is None else most + 1)
        lines = Listing(views)
        rows = [lines.scenario(row) for row in found]
    default = ("scenario", "status", "steps", "hits", "failed", "running", "seconds", "started", "description")
    _print(_SCENARIO, default, columns, rows, sort, _most(limit, form), form, SCENARIO_COLUMNS)


@click.command()
@click.option("--key", metavar="KEY", shell_complete=complete.keys, help="Only with this key.")
@click.option("--run", metavar="RUN", shell_complete=complete.steps, help="Only inputs and outputs of this step.")
@click.option("--scenario", metavar="NAME", shell_complete=complete.scenarios, help="Only outputs of this scenario.")
@click.option("--year", type=int, help="Only outputs of steps of this year.")
@click.option("--iteration", type=int, help="Only outputs of steps of this iteration.")
@click.option(
    "--format", "driver", metavar="NAME", shell_complete=complete.formats, help="Only this format, such as parquet."
)
@list_options(ARTIFACT_COLUMNS)
@project_option
def artifacts(
    sort: str | None, columns: str | None, limit: int | None, form: str | None, db_path: Path, **filters: Any
) -> None:
    """List files and tables, newest first: where they are, which step made them, and how many steps used them.

    With --scenario, --year or --iteration, outputs of these steps, those too that were reused there.
    """
    with opened(db_path) as project:
        views = project.connection()
        most = None if sort is not None else _most(limit, form)
        found = _files(views, filters, None if most is None else most + 1)
        lines = Listing(views)
        rows = [lines.artifact(row) for row in found]
    default = ("key", "format", "rows", "size", "made_by", "used_by", "uri")
    _print(_ARTIFACT, default, columns, rows, sort, _most(limit, form), form, ARTIFACT_COLUMNS)


def _files(views: sqlite3.Connection, filters: dict[str, Any], most: int | None) -> list[ArtifactRow]:
    run, scenario, driver = filters["run"], filters["scenario"], filters["driver"]
    of_run = None if run is None else select.step(views, run).run.key
    if scenario is None and filters["year"] is None and filters["iteration"] is None:
        return lineage.find_artifacts(views, key=filters["key"], run=of_run, driver=driver, limit=most)
    header = None if scenario is None else select.scenario(views, scenario)
    found = find_outputs(views, filters["key"], scenario=header, year=filters["year"], iteration=filters["iteration"])
    ours = None if of_run is None else {row.artifact_id for row in lineage.find_artifacts(views, run=of_run)}
    wanted = [row for row in found if driver in (None, row.driver) and (ours is None or row.artifact_id in ours)]
    return wanted[:most]


# ---------------------------------------------------------------- printing


def _second(at: str | None) -> str:
    return "" if at is None else f"{at[:10]} {at[11:16]}Z"


def _count(value: int | None) -> str:
    return "" if not value else str(value)


_RUN = tuple(
    {
        "outcome": Column("outcome", marked, style),
        "seconds": Column("seconds", took, right=True),
        "saved_seconds": Column("saved_seconds", took, right=True),
        "because": Column("because", flexible=True),
        "started": Column("started", _second),
        "ended": Column("ended", _second),
    }.get(name, Column(name))
    for name in RUN_COLUMNS
)
_SCENARIO = tuple(
    {
        "status": Column("status", style=lambda status: style("hit" if status == "completed" else status)),
        "steps": Column("steps", right=True),
        "hits": Column("hits", right=True),
        "failed": Column("failed", _count, lambda _: style("failed"), right=True),
        "running": Column("running", _count, lambda _: style("running"), right=True),
        "seconds": Column("seconds", took, right=True),
        "started": Column("started", _second),
        "ended": Column("ended", _second),
        "description": Column("description", flexible=True),
    }.get(name, Column(name))
    for name in SCENARIO_COLUMNS
)
_ARTIFACT = tuple(
    {
        "rows": Column("rows", right=True),
        "size": Column("size", size, right=True),
        "used_by": Column("used_by", right=True),
        "uri": Column("uri", flexible=True),
        "created": Column("created", _second),
    }.get(name, Column(name))
    for name in ARTIFACT_COLUMNS
)


def _most(limit: int | None, form: str | None) -> int | None:
    """How many rows to show; None for all."""
    return limit or (_ON_A_TERMINAL if form is None and sys.stdout.isatty() else None)


def _print(
    known: Sequence[Column],
    default: Sequence[str],
    wanted: str | None,
    rows: list[dict[str, Any]],
    sort: str | None,
    most: int | None,
    form: str | None,
    every: Sequence[str],
) -> None:
    columns = chosen(known, default, wanted)
    shown = _sorted(rows, sort, [column.name for column in known])[:most]
    if rows or form is not None:
        names = every if wanted is None else [column.name for column in columns]
        print_rows(columns, shown, form, every=names)
    if not rows:
        note("None found.")
    elif len(shown) < len(rows):
        note(f"There are more than these {len(shown)}: give a higher --limit.")


def _sorted(rows: list[dict[str, Any]], sort: str | None, known: Sequence[str]) -> list[dict[str, Any]]:
    if sort is None:
        return rows
    name = sort.removeprefix("-")
    if name not in known:
        raise OptionError("sort", name, known)
    return sorted(rows, key=lambda row: _rank(row, name), reverse=sort.startswith("-"))


def _rank(row: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """None before all values."""
    value = row[name]
    return value is not None, "" if value is None else value
