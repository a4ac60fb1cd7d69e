"""What a step printed, as its run's file has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from consist_es.artifacts.uris import UriMap, inside, quote, unquote
from consist_es.errors import PathError, StepLogMissingError
from consist_es.events import StepLogInfo
from consist_es.projections.run_rows import RunRow
from consist_es.text import shortened

FOLDER = "step_logs"
"""Folder of these files below the run directory."""
_LONGEST = 400
"""Characters of a line shown of the end."""
_MAY_HAVE_MORE = ("running", "abandoned", "interrupted", "failed")
"""States of runs whose file may be there although nothing of it is recorded."""


@dataclass(frozen=True, slots=True)
class StepLog:
    """The file with what a step printed."""

    run: str
    """Id of the run."""
    path: Path
    recorded: StepLogInfo | None = None
    """What was recorded of it; None for a run without an end."""

    def text(self) -> str:
        """The text: the first and the last 512 kB, without secrets.

        Raises:
            StepLogMissingError: the file is not there any more.
        """
        try:
            return self.path.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise StepLogMissingError(self.run, self.path, error.strerror or str(error)) from error

    def tail(self, lines: int = 10) -> str:
        """The last lines, of long ones the beginning; "" if the file is not there any more."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(self.path.stat().st_size - _LONGEST * lines * 4, 0))
                began_within = file.tell() > 0
                found = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        if began_within and found:
            found = found[1:] or [f"…{found[0][1 - _LONGEST :]}"]
        return "\n".join(shortened(text, _LONGEST) for text in found[-lines:])


def uri_of(key: str) -> str:
    """Portable URI of the file of a run's key, in its run directory."""
    return f"./{FOLDER}/{quote(key)}.log"


def place_of(run_dir: str, key: str) -> Path:
    """The file of a run."""
    return Path(run_dir, FOLDER, f"{key}.log")


def outside_logs(run_dir: str, paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that are no such file."""
    return [path for path in paths if path.parent != Path(run_dir, FOLDER)]


def step_log(row: RunRow, uris: UriMap | None = None, project: Path | None = None) -> StepLog | None:
    """What a run printed; None if nothing, or if it was not kept.

    Below the run directory of `uris`; with the folder of the log of a `project`, wherever the run directory is now.
    """
    found = row.log
    if found is None and (row.kind == "scenario" or row.status not in _MAY_HAVE_MORE):
        return None
    uri = found.uri if found is not None else uri_of(row.key)
    root = unquote(row.run_dir)
    if project is not None:
        from consist_es.artifacts.moved import root_now  # no step looks for a moved project

        root = root_now(root, project, [uri])
    elif uris is not None and not row.run_dir:
        root = uris.run_dir
    try:  # another place is no file of ours
        path = inside(root, unquote(uri.removeprefix("./")), uri) if uri.startswith(f"./{FOLDER}/") and root else None
    except PathError:
        path = None
    return StepLog(row.id, path, found) if path is not None and (found is not None or path.exists()) else None
