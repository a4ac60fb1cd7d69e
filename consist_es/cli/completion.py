"""``consist-es completion``: the line that makes a shell complete commands and names."""

import os
from pathlib import PurePath

import click

from consist_es.cli.output import emit, note

_LINES = {
    "bash": ('eval "$(_CONSIST_ES_COMPLETE=bash_source consist-es)"', "~/.bashrc"),
    "zsh": ('eval "$(_CONSIST_ES_COMPLETE=zsh_source consist-es)"', "~/.zshrc, after compinit"),
    "fish": ("_CONSIST_ES_COMPLETE=fish_source consist-es | source", "~/.config/fish/config.fish"),
}
"""Shell -> the line, and where it belongs."""


@click.command()
@click.argument("shell", required=False, type=click.Choice(list(_LINES)))
def completion(shell: str | None) -> None:
    """Print the line to add to the start-up file of a shell, so that the Tab key completes commands and names.

    Names of scenarios, steps, runs, artifacts and columns are completed from the project that the command would take.
    Without SHELL it is the one in the environment variable SHELL.
    """
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    if name not in _LINES:
        raise click.UsageError(f"SHELL is {name or 'not set'}: name one of {', '.join(_LINES)}.")
    line, place = _LINES[name]
    emit(line)
    note(f"Add this line to {place}, and open a new shell.")
