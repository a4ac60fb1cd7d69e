"""``consist-es accept``: vouch that a change leaves results equal."""

from pathlib import Path

import click
import msgspec

from consist_es import acceptance
from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.names import Names
from consist_es.cli.output import emit, emit_json


@click.command()
@click.argument("run")
@click.option("--as", "as_run", metavar="RUN", help="The earlier run whose results still hold.")
@click.option("--reason", metavar="TEXT", help="Why the change leaves the results equal.")
@click.option("--revoke", "taken_back", is_flag=True, help="Take back what was accepted for RUN.")
@json_option
@project_option
def accept(run: str, as_run: str | None, reason: str | None, taken_back: bool, as_json: bool, db_path: Path) -> None:
    """Accept a harmless change: RUN would give what an earlier run gave.

    After a refactoring, start the model, see the miss, interrupt it, accept, and start again: what has the same
    identity as RUN is answered by the earlier run, and says so. RUN may have any status; only what is exactly the same
    work as RUN follows, and the earlier run's outputs are checked now and on every hit.
    """
    if taken_back == (as_run is not None) or (as_run is not None and reason is None):
        raise click.UsageError("Give --as RUN and --reason TEXT, or --revoke.")
    with opened(db_path, read_only=False) as project:
        event: msgspec.Struct
        if as_run is None:
            event = acceptance.revoke(project, run, reason)
            said = f"{run} and what is the same work is no longer answered by an accepted run."
        else:
            event = accepted = acceptance.accept(project, run, as_run, reason or "")
            named = Names(project.connection).run(accepted.as_run)
            said = f"From now on {named} answers for {run} and what is the same work."
            said = "\n".join([said, *(f"  {line}" for line in accepted.differs)])
    if as_json:
        emit_json(msgspec.to_builtins(event))
        return
    for line in said.splitlines():
        emit(line)
