"""Checks of the views, and of the runs in them."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from consist_es.doctor.finding import ERROR, NOTE, OK, WARNING, Finding, listed
from consist_es.errors import LogMismatchError, ViewAccessError
from consist_es.log.presence import is_seen
from consist_es.project.project import Project
from consist_es.projections import origins, run_table
from consist_es.projections.run_rows import RunRow, in_words
from consist_es.text import counted
from consist_es.views import file as view_file
from consist_es.views.building import Progress
from consist_es.views.compare import Difference
from consist_es.views.folding import dead_letters
from consist_es.views.tables import BEHIND, LEVEL, ORPHANED, OUTDATED

_TRIES = 10
_REBUILD = "`consist-es replay`, or doctor --fix, rebuilds them from the log."


def check_views(project: Project) -> Iterator[Finding]:
    """State of the database against the log, before anything catches up. Call it first."""
    path = project.db_path
    try:
        standing = project.views.standing()
    except sqlite3.Error as error:
        yield _not_read(path, error)
        return
    except LogMismatchError as error:
        yield Finding(ERROR, "views", f"{ORPHANED}: {error.problem}", str(path), _REBUILD, mends=True)
        return
    match standing:
        case view_file.NOTHING:
            yield Finding(NOTE, "views", "there is no database", str(path), "The next use builds it from the log.")
        case _ if standing == OUTDATED:
            yield Finding(NOTE, "views", standing, str(path), "The next use rebuilds them from the log.")
        case _ if standing in (LEVEL, BEHIND):  # the next use folds what is missing
            yield Finding(OK, "views", standing, str(path))
        case _:
            yield _stranger(path, standing)


def _not_read(path: Path, error: sqlite3.Error) -> Finding:
    """Finding for an SQLite error: damage only if nothing else explains it."""
    if view_file.lacks_sharing(error):
        kept = f"{view_file.NOT_SHARED}, so every process keeps views elsewhere"
        return Finding(NOTE, "views", kept, str(path), f"Best {view_file.LOCAL_DISK}.")
    if view_file.is_refused(error):
        kept = f"the database cannot be used by this process ({error}), which keeps views elsewhere"
        return Finding(NOTE, "views", kept, str(path), f"To share it, {ViewAccessError.ACTION}.")
    if view_file.is_full(error):
        return Finding(ERROR, "views", f"no room to open the database: {error}", str(path), "Make room.")
    return Finding(ERROR, "views", f"the database is damaged: {error}", str(path), _REBUILD, mends=True)


def _stranger(path: Path, what: str) -> Finding:
    """Finding for another file in the database's place. Only a folder is not set aside."""
    said = f"in place of the database there is {what}"
    if what == view_file.FOLDER:
        return Finding(
            ERROR, "views", said, str(path), "Move it away: the next use then rebuilds the views from the log."
        )
    todo = "Move it away if it is yours. The next use sets it aside under another name and rebuilds the views."
    return Finding(ERROR, "views", said, str(path), todo, mends=True)


def check_dead_letters(conn: sqlite3.Connection) -> Iterator[Finding]:
    """Events that a view could not take."""
    found = (
        Finding(
            WARNING,
            "dead letters",
            f"{letter.projection} could not take {letter.type}: {letter.error}",
            f"position {letter.seq}",
            "Report it. The event is safe in the log; what this view says about it is incomplete.",
        )
        for letter in dead_letters(conn)
    )
    yield from listed(found, Finding(OK, "dead letters", "no event was refused by a view"))


def check_rows(project: Project, progress: Progress | None = None) -> Iterator[Finding]:
    """Build the views anew beside the live ones and compare them, row for row."""
    project.connection()
    live = project.views.path
    with tempfile.TemporaryDirectory(prefix=f"{live.name}.doctor-", dir=live.parent) as folder:
        found = _differences(project, Path(folder) / "rebuilt.db", progress)
    for table, rows in sorted(found.items()):
        what = f"table {table} differs from the log in at least {counted(_least(rows), 'row')}"
        todo = f"{_REBUILD} `consist-es replay --check` shows the rows."
        yield Finding(ERROR, "rows", what, str(live), todo, mends=True)
    if not found:
        yield Finding(OK, "rows", "the views agree with the log, row for row", str(live))


def _least(found: list[Difference]) -> int:
    """Least number of differing rows: a changed row appears on both sides."""
    live = sum(side == "live" for side, _ in found)
    return max(live, len(found) - live)


def _differences(project: Project, rebuilt: Path, progress: Progress | None) -> dict[str, list[Difference]]:
    """Compare; repeat if events were recorded meanwhile."""
    for _ in range(_TRIES):
        events = project.views.rebuild(target=rebuilt, progress=progress)
        found = project.views.compare(rebuilt)
        if not found or project.views.checkpoint().seq == events:
            break
    return found


# ---------------------------------------------------------------- runs


def check_runs(project: Project) -> Iterator[Finding]:
    """Running runs and scenarios."""
    found = (_of_run(project, row) for row in run_table.running(project.connection()))
    yield from listed(found, Finding(OK, "runs", "every run has its end"))


def _of_run(project: Project, row: RunRow) -> Finding:
    noun = "scenario" if row.kind == "scenario" else "run"
    if project.is_gone(row):
        what = f"{noun} left running: process {row.writer} is gone and recorded no end"
        todo = "The next writer, or doctor --fix, records it as abandoned."
        return Finding(WARNING, "runs", what, row.id, todo, mends=True)
    writer = origins.writer_details(project.connection(), row.writer)
    who = f"process {row.writer}" if writer is None else in_words(writer)
    what = f"{noun} without an end since {row.started_at}, by {who}"
    if writer is not None and is_seen(project.storage, project.folder, writer):
        return Finding(NOTE, "runs", f"{what}, which is alive", row.id)
    host = "an unknown host" if writer is None else writer.host
    todo = f"Look there, on {host}. If it is over, doctor --abandon {row.id} records that."
    return Finding(NOTE, "runs", f"{what}: it cannot be seen from here if that is alive", row.id, todo)


# ---------------------------------------------------------------- facts for other checks


def hosts(conn: sqlite3.Connection) -> list[str]:
    """Hosts of all writers."""
    return [str(host) for (host,) in view_file.query(conn, "SELECT DISTINCT host FROM writers")]


def newest_time(conn: sqlite3.Connection) -> str | None:
    """Time of the last event."""
    found = view_file.query(conn, "SELECT at FROM audit_index ORDER BY seq DESC LIMIT 1")
    return str(found[0][0]) if found else None
