"""``consist-es why``: why a step was computed or reused."""

from pathlib import Path

import click
import msgspec

from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.output import emit, emit_json
from consist_es.projections.run_names import run_named
from consist_es.runs.why import why as account


@click.command()
@click.argument("run")
@json_option
@project_option
def why(run: str, as_json: bool, db_path: Path) -> None:
    """Explain why RUN was computed or reused.

    RUN is the id of a step's run, as `runs` lists it: its latest attempt, or prepare#2 for an earlier one. For a
    computed step: the nearest earlier run and the differences, down to the key, file or function. For a reused one: the
    run that answered, how its outputs were checked, and the time saved.
    """
    with opened(db_path) as project:
        views = project.connection()
        found = account(views, run_named(views, run), project.masker)
    if as_json:
        emit_json(msgspec.to_builtins(found))
        return
    for line in str(found).splitlines():
        emit(line)
