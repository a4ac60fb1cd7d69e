"""``consist-es runs`` and ``consist-es scenarios``: lists of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.names import Names, scenario_named
from consist_es.cli.output import emit_json, note, table
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow, ScenarioRow
from consist_es.runs.why import in_words

_STATUSES = ("running", "completed", "failed", "interrupted", "abandoned")

limit_option = click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="Show at most this many."
)


@click.command()
@click.option(
    "--scenario", metavar="NAME", help="Only of this scenario: the latest attempt, or NAME#2 for an earlier one."
)
@click.option("--status", type=click.Choice(_STATUSES), help="Only with this status.")
@click.option("--model", metavar="NAME", help="Only of this model.")
@limit_option
@json_option
@project_option
def runs(scenario: str | None, status: str | None, model: str | None, limit: int, as_json: bool, db_path: Path) -> None:
    """List runs, newest first: computed or reused, and why.

    Scenarios have runs of their own (kind "scenario"), which --scenario leaves out.
    """
    with opened(db_path) as project:
        views = project.connection()
        names = Names(project.connection)
        key = None if scenario is None else scenario_named(views, scenario).key
        found = run_table.find(views, scenario=key, status=status, model=model, limit=limit + 1)
        _print(_RUN_COLUMNS, [_run_cells(run, names) for run in found], found, limit, as_json)


@click.command()
@limit_option
@json_option
@project_option
def scenarios(limit: int, as_json: bool, db_path: Path) -> None:
    """List scenarios, newest first, with outcomes of their steps."""
    with opened(db_path) as project:
        found = run_table.scenarios(project.connection(), limit=limit + 1)
        _print(_SCENARIO_COLUMNS, [_scenario_cells(row) for row in found], found, limit, as_json)


_RUN_COLUMNS = ("run", "model", "year", "status", "started", "seconds", "cache", "why")
_SCENARIO_COLUMNS = ("scenario", "status", "started", "seconds", "steps", "reused", "failed", "running", "description")


def _print(
    columns: Sequence[str], cells: list[tuple[Any, ...]], rows: Sequence[msgspec.Struct], limit: int, as_json: bool
) -> None:
    if as_json:
        for row in rows[:limit]:
            emit_json(msgspec.to_builtins(row))
    elif rows:
        table(columns, cells[:limit])
    if not rows:
        note("None found.")
    elif len(rows) > limit:
        note(f"There are more than these {limit}: give a higher --limit.")


def _run_cells(run: RunRow, names: Names) -> tuple[Any, ...]:
    when = (_second(run.started_at), _seconds(run.seconds))
    cache = {"hit": "hit", "missed": "miss", "demoted": "hit, demoted"}.get(run.cache or "")
    return (run.id, run.model, run.year, run.status, *when, cache, _why(run, names))


def _why(run: RunRow, names: Names) -> str:
    if run.error_message is not None:
        return f"{run.error_type}: {run.error_message}" if run.error_type else run.error_message
    if run.cache == "hit" and run.cache_source_key:
        return f"reused {names.run(run.cache_source_key)}"
    if run.status == "running":
        return f"by {names.writer(run.writer)}"
    if run.cache_reason is None:
        return ""
    return ": ".join([in_words(run.cache_reason), *(["; ".join(run.cache_differs)] if run.cache_differs else [])])


def _scenario_cells(row: ScenarioRow) -> tuple[Any, ...]:
    header = row.header
    when = (_second(header.started_at), _seconds(header.seconds))
    return (header.id, header.status, *when, row.steps, row.hits, row.failed, row.running, header.description)


def _second(at: str) -> str:
    return f"{at[:10]} {at[11:19]}Z"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"
