"""``consist-es pin``: keep the bytes of a run, scenario or artifact."""

from pathlib import Path

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.output import emit, emit_json, table
from consist_es.keeping import pins
from consist_es.projections.keeping import Pin


@click.command()
@click.argument("what", required=False, shell_complete=complete.anything)
@click.option("--reason", metavar="TEXT", help="What they are kept for, such as 'figure 3 of the paper'.")
@click.option("--remove", is_flag=True, help="Take back all pins of WHAT.")
@json_option
@project_option
def pin(what: str | None, reason: str | None, remove: bool, as_json: bool, db_path: Path) -> None:
    """Keep the bytes of WHAT, whatever is evicted: a scenario, a step's run, or an artifact.

    Of a scenario or run: the outputs that it has, those too that were reused in it. Without WHAT, list the pins.
    """
    if what is None:
        if remove or reason is not None:
            raise click.UsageError("Name what to pin: a scenario, a step or an artifact.")
        with opened(db_path) as project:
            _list(pins.pins(project), as_json)
        return
    if not remove and reason is None:
        raise click.UsageError("Give --reason TEXT: what are the bytes kept for? Or --remove.")
    with opened(db_path, read_only=False) as project:
        event = pins.unpin(project, what, reason) if remove else pins.pin(project, what, reason or "")
    if as_json:
        emit_json(msgspec.to_builtins(event))
    elif remove:
        emit(f"{event.name} is no longer pinned.")
    else:
        emit(f"The bytes of {event.name} are kept, whatever is evicted.")


def _list(found: list[Pin], as_json: bool) -> None:
    if as_json:
        for item in found:
            emit_json(msgspec.structs.asdict(item))
        return
    table(("pinned", "since", "by", "reason"), [(item.name, item.at[:10], item.user, item.reason) for item in found])
