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
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.reading.found import find_steps
from consist_es.reading.same_bytes import computed_for_nothing
from consist_es.reading.sums import Sum, sums, total
from consist_es.text import counted


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
    docs/step-logs.md. A table ends with the sums, and names a step that was computed to the same bytes as before.
    """
    with opened(db_path) as project:
        views = project.connection()
        header = None if scenario is None else select.scenario(views, scenario)
        found = sums(views, None if header is None else header.key)
        for_people = form == "table" or (form is None and sys.stdout.isatty())
        rows = find_steps(views) if header is None else run_table.steps(views, header.key)
        same = computed_for_nothing(views, rows) if for_people else []
    if not found:
        note("No step has run yet.")
    told = [_row(item) for item in ([*found, total(found)] if found and for_people else found)]
    print_rows(_COLUMNS, told, form)
    _tell_same(same)


def _tell_same(found: list[tuple[RunRow, RunRow]]) -> None:
    """Name a step that was computed for nothing, with the command that accepts the change."""
    if not found:
        return
    row, before = found[0]
    seconds = sum(row.seconds or 0.0 for row, _ in found)
    steps = counted(len(found), "step")
    note(
        f"{steps} came out to the same bytes as before, in {took(seconds)}. If the change is harmless: "
        f"consist-es accept {row.id} --as {before.id} --reason …"
    )


def _row(item: Sum) -> dict[str, Any]:
    return {**msgspec.structs.asdict(item), "mean": item.mean}
