"""``consist-es accept``: declare that a change leaves results equal."""

from pathlib import Path

import click
import msgspec

from consist_es.cli import complete
from consist_es.cli.common import json_option, opened, project_option
from consist_es.cli.names import Names
from consist_es.cli.output import emit, emit_json


@click.command()
@click.argument("run", required=False, shell_complete=complete.steps)
@click.option(
    "--as", "as_run", metavar="RUN", shell_complete=complete.steps, help="The earlier run whose results still hold."
)
@click.option("--reason", metavar="TEXT", help="Why the change leaves the results equal.")
@click.option("--packages", is_flag=True, help="Accept the versions of packages here, for all steps.")
@click.option("--revoke", "taken_back", is_flag=True, help="Revoke what was accepted for RUN, or for packages.")
@json_option
@project_option
def accept(
    run: str | None,
    as_run: str | None,
    reason: str | None,
    packages: bool,
    taken_back: bool,
    as_json: bool,
    db_path: Path,
) -> None:
    """Accept a harmless change: reuse an earlier run for RUN.

    After a refactoring, start the model, see the miss, interrupt it, accept, and start again: the earlier run answers
    for all steps with the same identity as RUN, and each hit reports it. RUN may have any status. The earlier run's
    outputs are checked now and on every hit.

    With --packages and no RUN: accept the versions of packages in this environment. Steps that were computed over the
    versions before are reused. The change is taken from the last run with other versions, and printed.
    """
    # imported here, for all other commands do without
    from consist_es.cache import accept as acceptance
    from consist_es.cache.packages import accept_packages, in_words, revoke_packages

    _check(run, as_run, reason, packages, taken_back)
    with opened(db_path, read_only=False) as project:
        event: msgspec.Struct
        if run is None and taken_back:
            event, said = revoke_packages(project, reason), "No change of packages is accepted any longer."
        elif run is None:
            event = upgrade = accept_packages(project, reason or "")
            said = "\n  ".join(["From now on all steps may be reused over these packages:", *in_words(upgrade)])
        elif as_run is None:
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


def _check(run: str | None, as_run: str | None, reason: str | None, packages: bool, taken_back: bool) -> None:
    if packages and (run is not None or as_run is not None):
        raise click.UsageError("--packages holds for all steps: give no RUN with it.")
    if packages and not taken_back and reason is None:
        raise click.UsageError("Give --packages and --reason TEXT, or --packages --revoke.")
    if not packages and (run is None or taken_back == (as_run is not None) or (as_run is not None and reason is None)):
        raise click.UsageError("Give --as RUN and --reason TEXT, or --revoke. For packages: --packages without RUN.")
