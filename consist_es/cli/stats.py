"""``consist-es stats``: where the time went, and what the cache saved."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import opened, project_option
from consist_es.cli.forms import Column, forms_option, print_rows
from consist_es.cli.marks import size, style, took
from consist_es.cli.output import note
from consist_es.reading import select
from consist_es.reading.sums import Sum, sums, total


def _count(value: int | None) -> str:
    return "" if not value else str(value)


_COLUMNS = (
    Column("step"),
    Column("computed", right=True),
    Column("hits", right=True),
    Column("failed", _count, lambda _: style("failed"), right=True),
    Column("running", _count, lambda _: style("running"), right=True),
    Column("seconds", took, right=True),
    Column("mean", took, right=True),
    Column("saved_seconds", took, right=True),
    Column("cpu_s", took, right=True),
    Column("peak_memory_bytes", size, right=True),
    Column("read_bytes", size, right=True),
    Column("written_bytes", size, right=True),
)


@click.command()
@click.argument("scenario", required=False, shell_complete=complete.scenarios)
@forms_option
@project_option
def stats(scenario: str | None, form: str | None, db_path: Path) -> None:
    """Show where the time went, and what the cache saved, by step.

    Of all scenarios, or of SCENARIO: its latest attempt, or NAME#2 for an earlier one. "seconds" is the time spent on
    computing; "saved_seconds" what the runs that answered had taken, less what the hits took. CPU time, most
    memory of one process, and bytes read and written are of computed steps whose resources are recorded; see
    docs/step-logs.md. A table ends with the sums.
    """
    with opened(db_path) as project:
        views = project.connection()
        found = sums(views, None if scenario is None else select.scenario(views, scenario).key)
    if not found:
        note("No step has run yet.")
    for_people = form == "table" or (form is None and sys.stdout.isatty())
    rows = [_row(item) for item in ([*found, total(found)] if found and for_people else found)]
    print_rows(_COLUMNS, rows, form)


def _row(item: Sum) -> dict[str, Any]:
    return {**msgspec.structs.asdict(item), "mean": item.mean}
