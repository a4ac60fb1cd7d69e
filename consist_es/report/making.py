"""Makes a report of a project: one state of its views, and the state of its log."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection
from tempfile import TemporaryDirectory

import msgspec

from consist_es.errors import LogCorruptError, UsageError
from consist_es.project.project import Project
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.report.extract import Progress, extract
from consist_es.report.integrity import integrity
from consist_es.report.page import GENERATOR, page
from consist_es.report.sharing import Sharing
from consist_es.text import shown
from consist_es.version import __version__
from consist_es.views.file import connect

_BEGINNING = 4096
"""Bytes in which the mark of a report stands."""


class Report(msgspec.Struct, frozen=True):
    """A report that was made."""

    text: str
    ok: bool
    """False if the log is damaged or could not be checked."""
    problems: list[str]
    scenarios: int
    steps: int
    position: int
    """Position of the last event that it shows."""
    ended: bool
    """True if none of its scenarios and steps was running."""


def make_report(
    project: Project,
    names: Sequence[str] = (),
    *,
    sharing: Sharing | None = None,
    title: str | None = None,
    every: float | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Report:
    """A report of these scenarios, of all without any.

    `every`: how often the file is written again, in seconds; the page loads it as often.

    Raises:
        MissingKeyError: there is no such scenario.
    """
    with _one_state(project) as conn:
        headers = [select.scenario(conn, name) for name in names] if names else None
        data = extract(
            conn,
            _each_once(headers),
            masker=project.masker,
            sharing=sharing or Sharing(),
            folder=project.folder,
            progress=progress,
        )
        state = integrity(project, conn)
    payload = {
        **data,
        "project": shown(title or project.db_path.stem),
        "made": round(datetime.now(UTC).timestamp() * 1000),
        "version": __version__,
        "integrity": msgspec.structs.asdict(state),
        "every": every,
    }
    statuses = [data["texts"][number] for number in data["scenarios"].get("st", ()) if number is not None]
    outcomes = {data["outcomes"][number] for number in data["steps"].get("o", ())}
    return Report(
        text=page(payload),
        ok=state.ok,
        problems=state.problems,
        scenarios=len(statuses),
        steps=len(data["steps"].get("id", ())),
        position=state.position,
        ended="running" not in {*statuses, *outcomes},
    )


def require_report(path: Path) -> None:
    """Refuse to overwrite anything but a report.

    Raises:
        UsageError: there is another file of that name, or no such folder.
    """
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: folder {path.parent} does not exist. Make it, or give another one.")
    if path.is_dir():
        raise UsageError(f"-o {path}: that is a folder. Give the name of a file.")
    if path.exists() and GENERATOR.encode() not in _beginning(path):
        raise UsageError(f"-o {path}: there is a file of that name that is no report. Give another name, or move it.")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_BEGINNING)


def write_report(path: Path, report: Report) -> None:
    """Write the file whole or not at all: whoever opens it meanwhile has the one before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(report.text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _each_once(headers: list[RunRow] | None) -> list[RunRow] | None:
    if headers is None:
        return None
    return sorted({row.key: row for row in headers}.values(), key=lambda row: row.started_seq)


@contextmanager
def _one_state(project: Project) -> Iterator[Connection]:
    """The views, caught up, and the same for all questions whatever is written meanwhile.

    Of a damaged log that the views cannot follow: views of what lies before the damage, in a folder of their own.
    """
    with ExitStack() as stack:
        try:
            conn = project.connection()
        except LogCorruptError as error:
            if not error.after:
                raise
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="consist-es-report-")))
            project.views.rebuild(target=folder / "good.db", until=error.after)
            conn = stack.enter_context(closing(connect(folder / "good.db")))
        conn.execute("BEGIN")
        try:
            yield conn
        finally:
            conn.execute("ROLLBACK")
