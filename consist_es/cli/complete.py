"""Completes names of a project on the command line: scenarios, steps, artifacts, columns.

It reads the views as they are, and says nothing at all if they are not there, broken, or another version's: a shell
prints what a completion prints in the middle of what is being typed.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, add_completion_class, split_arg_string

from consist_es.cli.output import shown
from consist_es.errors import ConsistError
from consist_es.events import REGISTRY
from consist_es.views import file as view_file
from consist_es.views.file import query

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_MOST = 200
"""Names offered at once."""
_AFTER = "\U0010ffff"
"""Behind all texts that begin alike."""
_IDS = """
SELECT DISTINCT run_id FROM runs WHERE run_id >= ? AND run_id < ? AND (kind = 'scenario') = ? LIMIT ?
"""
_ATTEMPTS = """
SELECT r.run_id || '#' || r.attempt FROM runs r WHERE run_id = ? AND kind = 'scenario' ORDER BY attempt
"""
_STEPS = """
SELECT DISTINCT r.name, r.year, r.iteration FROM runs r WHERE r.kind <> 'scenario' AND r.scenario_key = (
    SELECT key FROM runs WHERE run_id = ? AND kind = 'scenario' AND (? IS NULL OR attempt = ?)
    ORDER BY attempt DESC LIMIT 1
) ORDER BY r.started_seq
"""
_NAMES = "SELECT DISTINCT name FROM runs WHERE kind <> 'scenario' AND name >= ? AND name < ? LIMIT ?"
_MODELS = "SELECT DISTINCT model FROM runs WHERE kind <> 'scenario' AND model >= ? AND model < ? LIMIT ?"
_KEYS = "SELECT DISTINCT key FROM artifacts WHERE key >= ? AND key < ? LIMIT ?"
_FORMATS = "SELECT DISTINCT driver FROM artifacts WHERE driver >= ? AND driver < ? LIMIT ?"


# ---------------------------------------------------------------- what is completed


def _beginning(sql: str) -> Callable[[sqlite3.Connection, str], Iterator[str]]:
    """Texts of one query that begin with what was typed."""

    def found(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
        for (text,) in query(conn, sql, (typed, typed + _AFTER, _MOST)):
            yield text

    return found


def _scenarios(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    name, numbered, _ = typed.rpartition("#")
    if numbered:
        yield from (text for (text,) in query(conn, _ATTEMPTS, (name,)))
    for (text,) in query(conn, _IDS, (typed, typed + _AFTER, True, _MOST)):
        yield text


def _steps(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """``baseline/demand@2030.1`` behind a slash; before one, run ids and names of steps."""
    for place in [found.start() for found in re.finditer("/", typed)]:
        scenario = typed[:place]
        for name, year, iteration in query(conn, _STEPS, _attempt(scenario)):
            when = f"{'' if year is None else year}{'' if iteration is None else f'.{iteration}'}"
            yield f"{scenario}/{name}{f'@{when}' if when else ''}"
    for (text,) in query(conn, _IDS, (typed, typed + _AFTER, False, _MOST)):
        yield text
    yield from _beginning(_NAMES)(conn, typed)


def _attempt(scenario: str) -> tuple[str, int | None, int | None]:
    name, _, number = scenario.rpartition("#")
    attempt = int(number) if name and number.isdecimal() and len(number) < 10 else None
    return (scenario if attempt is None else name), attempt, attempt


def _sides(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    """Scenarios, then what leads to their steps."""
    yield from _scenarios(conn, typed)
    yield from _steps(conn, typed)


def _anything(conn: sqlite3.Connection, typed: str) -> Iterator[str]:
    yield from _sides(conn, typed)
    yield from _beginning(_KEYS)(conn, typed)


# ---------------------------------------------------------------- completers


def _completer(*sources: Callable[[sqlite3.Connection, str], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
        try:
            return _items(_found(ctx.params.get("db_path"), sources, typed), typed)
        except (ConsistError, OSError, sqlite3.Error, ValueError):
            return []

    return complete


def _found(
    db_path: Any, sources: Iterable[Callable[[sqlite3.Connection, str], Iterable[str]]], typed: str
) -> list[str]:
    if not isinstance(db_path, Path) or view_file.identify(db_path) != view_file.OURS:
        return []
    with closing(view_file.connect(db_path)) as conn:
        return [text for source in sources for text in source(conn, typed)]


def _items(texts: Iterable[object], typed: str) -> list[CompletionItem]:
    """Texts that begin with what was typed, each once; none that a shell or terminal may take for something else."""
    wanted = [text for text in dict.fromkeys(texts) if isinstance(text, str) and text.startswith(typed)]
    safe = [text for text in wanted if text and shown(text) == text and not text.startswith("-")]
    return [CompletionItem(text) for text in safe[:_MOST]]


scenarios = _completer(_scenarios)
steps = _completer(_steps)
sides = _completer(_sides)
anything = _completer(_anything)
names = _completer(_beginning(_NAMES))
models = _completer(_beginning(_MODELS))
keys = _completer(_beginning(_KEYS))
formats = _completer(_beginning(_FORMATS))


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
