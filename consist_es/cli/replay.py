"""``consist-es replay``: rebuild the views from the log."""

import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from consist_es.cli.common import NEGATIVE, json_option, opened, project_option, short
from consist_es.cli.output import emit, emit_json, note, table
from consist_es.cli.wording import duration
from consist_es.errors import NotOurDatabaseError, UsageError
from consist_es.project.find import log_folder
from consist_es.project.project import Project
from consist_es.system.bar import Bar
from consist_es.text import counted
from consist_es.views import file as view_file
from consist_es.views.compare import Difference, counts, keys

_TRIES = 10
_ROWS_SHOWN = 5

_Differences = dict[str, list[Difference]]


@click.command()
@click.option(
    "--until", metavar="POSITION|TIME", help="Stop after this position or time, such as 2026-11-22T08:13:00Z."
)
@click.option("--db", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write another database, FILE.")
@click.option("--check", is_flag=True, help="Change nothing: rebuild beside the live views and compare.")
@json_option
@project_option
def replay(until: str | None, target: Path | None, check: bool, as_json: bool, db_path: Path) -> None:
    """Rebuild the database from the log.

    Without options the live views are replaced atomically, under the name they have (or had, if the database was
    deleted). With --db another file is written; with --until it shows the project as it was then. With --check the exit
    code is 1 if the live views differ from the log, and the differing tables are printed.
    """
    if check and (until or target):
        raise click.UsageError("--check compares the live views: it takes neither --until nor --db.")
    if until and target is None:
        raise click.UsageError("--until needs --db FILE: the live views always follow the whole log.")
    with opened(db_path) as project:
        if check:
            _check(project, as_json)
        elif target is not None:
            _write(project, target.absolute(), until, as_json)
        else:
            _rebuild(project, as_json)


# ---------------------------------------------------------------- rebuilding


def _rebuild(project: Project, as_json: bool) -> None:
    began = time.monotonic()
    with Bar("Replaying") as bar:
        events = project.views.rebuild(progress=bar)
    seconds = time.monotonic() - began
    _report(project.views.path, events, seconds, counts(project.connection()), as_json)


def _write(project: Project, target: Path, until: str | None, as_json: bool) -> None:
    """Write a separate database to `target`."""
    if log_folder(target).is_dir():
        raise UsageError(
            f"--db {target}: the log {log_folder(target).name} lies beside it, so a database of that name is a live "
            "view. Give another name."
        )
    moment = _moment(until, project)
    began = time.monotonic()
    try:
        with Bar("Replaying") as bar:
            events = project.views.rebuild(target=target, until=moment, progress=bar)
    except NotOurDatabaseError as error:
        raise UsageError(
            f"--db {target}: there is {error.what}, not a consist-es database. It was left untouched: give "
            "another name, or move the file away."
        ) from error
    with view_file.translated(target), closing(view_file.connect(target)) as conn:
        _report(target, events, time.monotonic() - began, counts(conn), as_json)


def _moment(until: str | None, project: Project) -> int | str | None:
    """A position or a time."""
    if until is None or not until.strip().isdecimal():
        return until
    position, head = int(until), project.log.head().seq
    if position > head:
        raise UsageError(f"--until {position}: the log ends at position {head}.")
    return position


def _report(path: Path, events: int, seconds: float, rows: dict[str, int], as_json: bool) -> None:
    """Report the rebuilt database: a note on stderr, or JSON on stdout."""
    if as_json:
        emit_json({"database": str(path), "events": events, "seconds": seconds, "rows": rows})
        return
    note(f"Built {short(path)} from {counted(events, 'event')} in {duration(seconds)}.")
    table(("table", "rows"), sorted(rows.items()), to=sys.stderr)


# ---------------------------------------------------------------- checking


def _check(project: Project, as_json: bool) -> None:
    if view_file.identify(project.db_path) == view_file.NOTHING:
        note(f"There is no database {short(project.db_path)} to check: `consist-es replay` builds it.")
        sys.exit(NEGATIVE)
    project.connection()
    live = project.views.path  # in another folder if theirs is read-only
    # Beside the live views, as there is room for them; in a new folder, so that no other file is in the way.
    with tempfile.TemporaryDirectory(prefix=f"{live.name}.check-", dir=live.parent) as folder:
        rebuilt = Path(folder) / "rebuilt.db"
        events, found = _compare(project, rebuilt)
        with closing(view_file.connect(rebuilt)) as conn:
            _print_differences(conn, found, as_json)
            number = len(counts(conn))
    if found:
        note(f"{short(live)} is not what the log says. `consist-es replay` puts it right.", "red")
        sys.exit(NEGATIVE)
    note(f"{short(live)} is what the log says: {counted(events, 'event')}, {counted(number, 'table')}, row for row.")


def _compare(project: Project, rebuilt: Path) -> tuple[int, _Differences]:
    """Rebuild and compare; repeat if events were recorded in between."""
    for _ in range(_TRIES):
        with Bar("Replaying") as bar:
            events = project.views.rebuild(target=rebuilt, progress=bar)
        found = project.views.compare(rebuilt)
        if not found or project.views.checkpoint().seq == events:
            break
    return events, found


def _print_differences(conn: sqlite3.Connection, found: _Differences, as_json: bool) -> None:
    for name, rows in found.items():
        columns, key = keys(conn, name)
        described = list(_described(columns, key, rows))
        if as_json:
            emit_json({"table": name, "differences": described})
            continue
        emit(f"{name}: {counted(len(described), 'row')} differ" + ("s" if len(described) == 1 else ""), "red")
        for row in described[:_ROWS_SHOWN]:
            emit(f"  {_in_words(row)}")
        if len(described) > _ROWS_SHOWN:
            emit(f"  … and {len(described) - _ROWS_SHOWN} more")


def _described(columns: list[str], key: list[str], rows: list[Difference]) -> Iterator[dict[str, Any]]:
    """Per differing row: its key, and the live and rebuilt values of each differing column."""
    sides: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for side, values in rows:
        row = dict(zip(columns, values, strict=True))
        sides.setdefault(tuple(row[name] for name in key), {})[side] = row
    for identity, pair in sides.items():
        said: dict[str, Any] = {"key": dict(zip(key, identity, strict=True))}
        if len(pair) == 1:
            said["only_in"] = "live" if "live" in pair else "log"
        else:
            live, other = pair["live"], pair["other"]
            said["columns"] = {
                name: {"live": live[name], "log": other[name]}
                for name in columns
                if repr(live[name]) != repr(other[name])  # 1 and 1.0 are equal, but differ here
            }
        yield said


def _in_words(row: dict[str, Any]) -> str:
    which = ", ".join(f"{name}={value!r}" for name, value in row["key"].items())
    if "only_in" in row:
        return f"{which}: " + ("not in the log" if row["only_in"] == "live" else "missing from the live views")
    changed = (f"{name} is {pair['live']!r}, the log says {pair['log']!r}" for name, pair in row["columns"].items())
    return f"{which}: {'; '.join(changed)}"
