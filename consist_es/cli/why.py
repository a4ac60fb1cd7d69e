"""``consist-es why``: why a step was computed or reused."""

import sqlite3
from pathlib import Path

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import json_document, opened, project_option
from consist_es.cli.output import emit, emit_json, note
from consist_es.cli.show import plain_causes, plain_differences, plain_step
from consist_es.cli.tell import tell_causes, tell_step, where_it_came_in
from consist_es.projections import run_table
from consist_es.projections.run_rows import RunRow
from consist_es.reading import account, select
from consist_es.reading.labels import label, place
from consist_es.runs.why import ranked
from consist_es.runs.why import why as account_of


@click.command()
@click.argument("run", shell_complete=complete.sides)
@click.option(
    "--against", metavar="SCENARIO", shell_complete=complete.sides,
    help="Compare with the same step of this scenario, or with this run.",
)  # fmt: skip
@json_document
@project_option
def why(run: str, against: str | None, as_json: bool, db_path: Path) -> None:
    """Explain why RUN was computed or reused.

    RUN is a step, such as baseline/demand@2030.1, or its run id. For a computed step: the nearest earlier run, the
    differences from it, down to the key, file or function, and the first cause: where that came in, if other steps had
    made its inputs anew. For a reused one: the run that answered, how its outputs were checked, and the time saved. Of
    a scenario: the first causes of its computed steps.
    """
    with opened(db_path) as project:
        views = project.connection()
        if against is None and (header := select.scenario_or_none(views, run)) is not None:
            _of_scenario(account.of_scenario(views, header), as_json)
            return
        found = select.step(views, run)
        if found.others:
            note(f"{run!r} may be one of {found.others + 1} runs: the newest was taken, {found.run.id!r}.")
        if against is not None:
            told = account.of_step(views, found.run, _same_step(views, found.run, against))
            if as_json:
                emit_json(plain_step(told))
            else:
                tell_step(told, whole=False)
            return
        text = account_of(views, found.run, project.masker)
        told = account.of_step(views, ranked(views, found.run, project.masker))
    if as_json:
        emit_json({**msgspec.to_builtins(text), **plain_differences(told), **plain_causes(told)})
        return
    for line in str(text).splitlines():
        emit(line)
    for line in where_it_came_in(told):
        emit(f"  first cause: {line}", "bold")


def _of_scenario(found: account.ScenarioAccount, as_json: bool) -> None:
    if as_json:
        causes = [{"what": what, "steps": count} for what, count in found.causes]
        emit_json({"scenario": found.header.id, "outcomes": found.outcomes, "first_causes": causes})
        return
    emit(f"{found.header.id}: {', '.join(f'{count} {name}' for name, count in found.outcomes.items()) or 'no steps'}")
    tell_causes(found)


def _same_step(views: sqlite3.Connection, row: RunRow, against: str) -> RunRow:
    """The step of another scenario with the same name, year, iteration and phase; or the run that is named."""
    header = select.scenario_or_none(views, against)
    if header is None:
        return select.step(views, against).run
    same = [item for item in run_table.steps(views, header.key) if place(item) == place(row)]
    if not same:
        raise click.UsageError(f"scenario {header.id!r} has no step {label(row)!r}")
    return same[-1]
