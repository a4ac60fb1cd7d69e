"""Writes scenarios, or the whole project, in a format of others."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from consist_es.checks import check_option
from consist_es.errors import ExportError
from consist_es.exports import crate, dot, mermaid, openlineage, prov, target, trace
from consist_es.exports.about import About
from consist_es.projections.run_rows import RunRow
from consist_es.reading import select
from consist_es.reading.walk import Walk, walk
from consist_es.views.file import side_files

Tick = Callable[[], None]
Progress = Callable[[int, int], None]

FILES: dict[str, Callable[[Walk, BinaryIO, Tick], None]] = {
    "openlineage": openlineage.write,
    "prov": prov.write,
    "trace": trace.write,
    "mermaid": mermaid.write,
    "dot": dot.write,
}
"""Format -> what writes it to a file."""
FOLDERS = ("ro-crate", "parquet")
FORMATS = ("openlineage", "prov", "ro-crate", "parquet", "trace", "mermaid", "dot")


class Exported(NamedTuple):
    """What an export wrote."""

    path: str
    runs: int
    notices: list[str]
    """What the user should know of it."""


def export(
    conn: sqlite3.Connection,
    format: str,
    path: str | os.PathLike[str] | BinaryIO,
    scenarios: Iterable[str] = (),
    *,
    ours: tuple[Path, ...] = (),
    force: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write the scenarios, or everything if none is named.

    `path`: a file or, for RO-Crate and Parquet, a folder; or a stream for bytes. `ours`: the project's log and views,
    which are never written to. `about`: fields of `About`, of RO-Crates alone.

    Raises:
        OptionError: a format that does not exist. MissingKeyError: a scenario that does not. ExportError: the place is
        taken, or a RO-Crate lacks what only people know.
    """
    check_option("format", format, FORMATS, optional=False)
    said = About.of(format, about or {})
    headers = [*{row.key: row for row in (select.scenario(conn, name) for name in scenarios)}.values()]
    with walk(conn, headers or None) as found:
        count = _Count(len(found), progress)
        notices: list[str] = []
        if not isinstance(path, str | os.PathLike):
            if format in FOLDERS:
                raise ExportError("-", f"{format} is a folder, which is no stream. Give a path")
            FILES[format](found, path, count)
            return Exported("-", count.total, _of_graph(format, found, notices))
        place = Path(os.path.abspath(path))
        target.check(place, force=force, folder=format in FOLDERS, ours=ours)
        if format == "parquet":
            from consist_es.exports import parquet  # pyarrow is slow to import

            with target.folder_at(place, parquet.strange) as folder:
                parquet.write(found, folder, count)
        elif format == "ro-crate":
            header = _only(headers, found)
            with target.folder_at(place, crate.strange) as folder:
                notices += crate.write(found, header, said, folder, count)
        else:
            with target.file_at(place) as file:
                FILES[format](found, file, count)
        return Exported(str(place), count.total, _of_graph(format, found, notices))


def own_places(log: Path, views: Path) -> tuple[Path, ...]:
    """Where a project lies: its log, its views, and the files beside those."""
    return (log, views, *side_files(views), views.with_name(f"{views.name}.lock"))


class _Count:
    """Counts the runs that were written."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.total, self._done, self._progress = total, 0, progress

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self.total)


def _only(headers: list[RunRow], found: Walk) -> RunRow:
    """The one scenario of a crate."""
    several = headers or [row for row, _ in zip(found.scenarios(), range(2), strict=False)]
    if len(several) != 1:
        what = "the project has none" if not several else "a crate is of one scenario"
        raise ExportError("ro-crate", f"{what}: name one, as in `consist-es export ro-crate baseline -o crate`")
    return several[0]


def _of_graph(format: str, found: Walk, notices: list[str]) -> list[str]:
    if format == "mermaid" and (edges := sum(1 for _ in found.links("input"))) > mermaid.EDGES:
        notices.append(
            f"The chart has about {edges} edges, and Mermaid draws {mermaid.EDGES} unless its setting maxEdges is "
            "raised. Name one scenario, or export dot."
        )
    return notices
