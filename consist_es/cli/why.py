"""``consist-es why``: why a step was computed or reused."""

import sqlite3
from pathlib import Path

import click
import msgspec

from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.output import emit_json, note
from consist_es.cli.show import plain_step
from consist_es.cli.tell import line, tell_causes, tell_step
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading import account, select
from consist_es.reading.labels import label, place
from consist_es.runs.why import REUSED_OVER, Why
from consist_es.runs.why import why as account_of


@click.command(short_help="Explain why a step was computed or reused.")
@click.argument("run")
@click.option("--against", metavar="SCENARIO", help="Compare with the same step of this scenario, or with this run.")
@json_document
@project_option
def why(run: str, against: str | None, as_json: bool, db_path: Path) -> None:
    """Explain why RUN was computed or reused.

    RUN is a step, such as baseline/demand@2030.1, or its run id. For a computed step: the nearest earlier run, the
    differences from it, down to the key, file or function, and the first cause: where that came in, if other steps had
    made its inputs anew. For a reused one: the run that answered, and the time saved. Of a scenario: the first causes
    of its computed steps, by how many there are.
    """
    with opened(db_path) as project:
        views = project.connection()
        header = None if against is not None else select.scenario_or_none(views, run)
        if header is not None:
            scenario = account.of_scenario(views, header)
            if as_json:
                emit_json({"scenario": header.id, "first_causes": dict(scenario.causes), "outcomes": scenario.outcomes})
                return
            counts = ", ".join(f"{count} {name}" for name, count in scenario.outcomes.items())
            line(header.id, counts or "no steps")
            tell_causes(scenario)
            return
        found = select.step(views, run)
        if found.others:
            note(f"{run!r} may be one of {found.others + 1} runs: the newest was taken, {found.run.id!r}.")
        other = None if against is None else _same_step(views, found.run, against)
        told = account.of_step(views, found.run, other)
        if as_json:
            emit_json({**plain_step(told), "why": msgspec.to_builtins(account_of(views, found.run))})
        else:
            tell_step(told, whole=False)
            for text in _notes(account_of(views, found.run)):
                line("", text)


def _same_step(views: sqlite3.Connection, row: RunRow, against: str) -> RunRow:
    """The step of another scenario with the same name, year, iteration and phase; or the run that is named."""
    header = select.scenario_or_none(views, against)
    if header is None:
        return select.step(views, against).run
    same = [item for item in run_table.steps(views, header.key) if place(item) == place(row)]
    if not same:
        raise click.UsageError(f"scenario {header.id!r} has no step {label(row)!r}")
    return same[-1]


def _notes(found: Why) -> list[str]:
    """What a reader should know of a hit besides."""
    packages = [f"{REUSED_OVER}{', '.join(found.packages)}"] if found.packages else []
    return [*found.accepted, *found.notes, *packages, *(f"put back: {path}" for path in found.put_back)]
