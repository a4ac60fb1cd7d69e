"""``consist-es forecast``: what a model would run now."""

import os
import subprocess
import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def forecast(command: tuple[str, ...]) -> None:
    """Show what a model would run now, and why; COMMAND starts it, such as: python model.py.

    What would run depends on the model's code and files as they are, so the record alone cannot tell: this starts
    COMMAND with CONSIST_ES_DRY_RUN=1 in its environment. Steps are forecast and nothing is recorded; other code of the
    model does run. The exit code is that of COMMAND.
    """
    sys.stdout.flush()
    try:
        done = subprocess.run(command, env={**os.environ, "CONSIST_ES_DRY_RUN": "1"}, check=False)  # noqa: S603
    except OSError as error:
        raise click.UsageError(f"{command[0]} cannot be started: {error.strerror}.") from error
    code = done.returncode
    sys.exit(128 - code if code < 0 else code)
