"""Examines a whole project: what is well, what is wrong, and what to do. `mend` repairs what cannot lose anything."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from consist_es.doctor.copies import check_copies
from consist_es.doctor.finding import ERROR, NOTE, Finding
from consist_es.doctor.log import (
    check_chain,
    check_clock,
    check_filesystem,
    check_hosts,
    check_leftovers,
    check_permissions,
    check_quarantine,
    check_redaction,
    check_sqlite,
    check_tail,
    leftovers,
    now_of,
)
from consist_es.doctor.outputs import Roots, check_orphans, check_outputs
from consist_es.doctor.views import check_dead_letters, check_rows, check_runs, check_views, hosts, newest_time
from consist_es.errors import LogError, UsageError, ViewError
from consist_es.log.engine import Progress, files_of
from consist_es.log.local import LocalLog
from consist_es.log.report import VerifyReport
from consist_es.project.project import Project
from consist_es.projections import run_table
from consist_es.projections.run_names import run_named
from consist_es.projections.run_rows import RunRow
from consist_es.system.machine import filesystem_of
from consist_es.text import counted

_NOT_SEEN = "so runs, outputs and dead letters were not looked at"


def examine(project: Project, *, deep: bool = False, progress: Progress | None = None) -> Iterator[Finding]:
    """All findings about a project. Changes neither log nor outputs; views without a fault catch up.

    `deep`: check the chain from the first event, read every output, and compare the views row for row.
    """
    report = project.log.verify(progress, full=deep)
    yield from check_chain(report)
    yield from check_tail(report)
    yield from check_redaction(report)
    if "doctor" in project.log.can:
        yield from _look_at_files(files_of(project.log, "doctor"), report)
    yield from check_permissions([project.db_path], project.storage)
    yield from check_filesystem(project.db_path.parent, "the views lie", filesystem_of(project.db_path.parent))
    yield from check_sqlite(sqlite3.sqlite_version_info)
    try:
        views = list(check_views(project))
        yield from views
        if any(finding.is_wrong for finding in views):
            yield Finding(NOTE, "views", f"the views cannot be trusted, {_NOT_SEEN}", str(project.db_path))
        else:
            yield from _look_inside(project, deep=deep, progress=progress)
    except (LogError, ViewError) as error:
        yield Finding(ERROR, "views", f"the views cannot follow the log, {_NOT_SEEN}: {error}", str(project.db_path))


def _look_at_files(log: LocalLog, report: VerifyReport) -> Iterator[Finding]:
    """Findings about the files of a log that is kept in files."""
    folder, storage = log.folder, log.storage
    yield from check_quarantine(folder, report)
    if not report.problems:
        yield from check_leftovers(folder, storage)
    segments = sorted(folder.glob("*.jsonl"))
    yield from check_permissions([folder, *segments, folder / "head", folder / "lock"], storage)
    yield from check_filesystem(folder, "the log lies", filesystem_of(folder))


def _look_inside(project: Project, *, deep: bool, progress: Progress | None) -> Iterator[Finding]:
    """Findings from the views, after they caught up."""
    conn = project.connection()
    yield from check_dead_letters(conn)
    if deep:
        yield from check_rows(project, progress)
    yield from check_clock(newest_time(conn), now_of(project.storage))
    folder = project.log.folder
    yield from check_hosts(hosts(conn), "" if folder is None else filesystem_of(folder))
    yield from check_runs(project)
    roots = Roots(conn, project.folder.parent)
    yield from check_outputs(conn, project.digests, roots, deep=deep)
    yield from check_copies(conn, project.digests, roots, deep=deep)
    yield from check_orphans(conn, roots)


def derive_again(project: Project, progress: Progress | None = None) -> Iterator[Finding]:
    """Check that the views match the log, row for row, and that every output has its recorded bytes."""
    yield from check_rows(project, progress)
    conn = project.connection()
    yield from check_outputs(conn, project.digests, Roots(conn, project.folder.parent), deep=True)


def mend(project: Project, findings: list[Finding]) -> list[str]:
    """Do the repairs in these findings that cannot lose anything; return descriptions of them.

    Nothing is done to a damaged log.

    Raises:
        LogError, ViewError: something could not be done; what was done before stays.
    """
    if any(finding.check == "log" and finding.level == ERROR for finding in findings):
        return []
    wanted = {finding.check for finding in findings if finding.mends}
    done = []
    if wanted & {"tail", "leftovers", "redaction"}:
        done += _tidy(project)
    if wanted & {"views", "rows"}:
        done.append(f"rebuilt the views from {counted(project.views.rebuild(), 'event')}")
    if "runs" in wanted:
        project.attach()
        done.append("recorded the end of runs whose process is gone")
    return done


def abandon(project: Project, refs: Sequence[str]) -> list[str]:
    """Record the named runs as abandoned, with the running steps of a scenario; return the ids of the runs recorded.

    Raises:
        MissingKeyError: there is no such run. UsageError: it has ended. LogError: as for `Project.record`.
    """
    project.attach()  # certainly dead runs are recorded first
    conn = project.connection()
    rows: dict[str, RunRow] = {}
    for ref in refs:
        row = run_named(conn, ref)
        if row.status not in ("running", "abandoned"):
            raise UsageError(f"{ref!r} is not running: it is {row.status}. Nothing was recorded.")
        inside = run_table.steps(conn, row.key) if row.kind == "scenario" else []
        rows |= {each.key: each for each in (row, *inside) if each.status == "running"}
    if rows:
        project.abandon(list(rows.values()))
    return [row.id for row in rows.values()]


def _tidy(project: Project) -> list[str]:
    """Let the log do its next writer's first steps, and remove abandoned temporary files."""
    log = files_of(project.log, "doctor")
    begun: list[Path] = leftovers(log.folder, log.storage)
    log.tidy()
    for path in begun:
        path.unlink(missing_ok=True)
    removed = [f"removed {path.relative_to(log.folder)}" for path in begun]
    return ["finished what a killed writer left at the end of the log", *removed]
