"""Completes names of a project on the command line: scenarios, steps, artifacts, columns.

It reads the views as they are, and says nothing at all if they are not there, broken, or another version's: a shell
prints what a completion prints in the middle of what is being typed.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, add_completion_class, split_arg_string

from consist_es.cli.output import shown
from consist_es.errors import ConsistError
from consist_es.events import REGISTRY
from consist_es.reading import beginnings
from consist_es.views import file as view_file

Source = Callable[[sqlite3.Connection, str], Iterable[str]]
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
# ---------------------------------------------------------------- completers


def _completer(*sources: Source) -> Completer:
    def complete(ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return _items(_found(ctx.params.get("db_path"), sources, typed), typed)
        except (ConsistError, OSError, sqlite3.Error, ValueError):
            return []

    return complete


def _found(db_path: Any, sources: Iterable[Source], typed: str) -> list[str]:
    if not isinstance(db_path, Path) or view_file.identify(db_path) != view_file.OURS:
        return []
    with closing(view_file.connect(db_path)) as conn:
        return [text for source in sources for text in source(conn, typed)]


def _items(texts: Iterable[object], typed: str) -> list[CompletionItem]:
    """Texts that begin with what was typed, each once; none that a shell or terminal may take for something else."""
    wanted = [text for text in dict.fromkeys(texts) if isinstance(text, str) and text.startswith(typed)]
    safe = [text for text in wanted if text and shown(text) == text and not text.startswith("-")]
    return [CompletionItem(text) for text in safe[: beginnings.MOST]]


scenarios = _completer(beginnings.scenarios)
steps = _completer(beginnings.steps)
sides = _completer(beginnings.sides)
anything = _completer(beginnings.anything)
names = _completer(beginnings.names)
models = _completer(beginnings.models)
keys = _completer(beginnings.keys)
formats = _completer(beginnings.formats)


def columns(known: Sequence[str]) -> Completer:
    """For ``--columns a,b``: the last one is completed."""

    def complete(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
        before, comma, _ = typed.rpartition(",")
        fresh = [name for name in known if name not in before.split(",")]
        return _items([f"{before}{comma}{name}" for name in [*fresh, *([] if comma else ["all"])]], typed)

    return complete


def sorting(known: Sequence[str]) -> Completer:
    """For ``--sort -a``."""

    def complete(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
        sign = "-" if typed.startswith("-") else ""
        return [CompletionItem(f"{sign}{name}") for name in known if f"{sign}{name}".startswith(typed)]

    return complete


def types(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Types of events."""
    return _items(sorted({name for name, _version in REGISTRY}), typed)


# ---------------------------------------------------------------- shells


class Bash(BashComplete):
    """As click's, but readline breaks words at ``@``, ``:`` and ``=``, and names may have to be quoted."""

    source_template = """\
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" type name
    local word="${line##*[[:space:]]}"
    local tail="${word##*[@:=]}"
    COMPREPLY=()
    while IFS=, read -r type name; do
        case "$type" in
            "") ;;
            file) compopt -o default ;;
            dir) compopt -o dirnames ;;
            *)
                name="${name#"${word%%"$tail"}"}"
                [[ "$name" == *[!A-Za-z0-9_.,/@:=+%%-]* ]] && printf -v name %%q "$name"
                COMPREPLY+=("$name")
                ;;
        esac
    done < <(COMP_WORDS="$line" %(complete_var)s=bash_complete "$1")
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is typed, and that one."""
        line = os.environ.get("COMP_WORDS", "")
        words = split_arg_string(line)[1:]
        return (words, "") if line[-1:].isspace() or not words else (words[:-1], words[-1])


class Fish(FishComplete):
    """As click's, which takes what stands behind a comma in a name for another field."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


add_completion_class(Bash)
add_completion_class(Fish)
