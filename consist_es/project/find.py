"""Finds a project's log folder and its database."""

import json
import os
from pathlib import Path

from consist_es.errors import ProjectNotFoundError
from consist_es.log.engine import require_path
from consist_es.views.file import NOTHING, OURS, identify

_HINT_CAP = 8192
HINT = "database"
"""File in the log folder: name of the last used database. Only a hint."""


def log_folder(db_path: Path) -> Path:
    """The log folder of the views at `db_path`: beside them, same stem, ``.events``."""
    return db_path.with_name(f"{db_path.stem}.events")


def remember_database(folder: Path, db_path: Path) -> None:
    """Store the database's name in the log folder, so that the command line rebuilds it under the same name."""
    hint = folder / HINT
    text = json.dumps(os.path.relpath(db_path, folder)) + "\n"
    if _read(hint) == text.encode():
        return
    part = folder / f"{HINT}.{os.getpid()}"
    part.write_text(text)
    part.replace(hint)


def database_of(folder: Path) -> Path:
    """The database of the log in `folder`: the one last used, else ``<stem>.db`` beside it."""
    default = folder.with_suffix(".db")
    try:
        name = json.loads(_read(folder / HINT))
    except (ValueError, RecursionError):
        return default
    if not isinstance(name, str) or not name.isprintable():
        return default
    path = Path(os.path.normpath(folder / name))
    # A copied or edited hint must not point at somebody else's file, nor at the log itself.
    return path if path.parent == folder.parent and log_folder(path) == folder != path else default


def _read(hint: Path) -> bytes:
    """The first bytes of the file, empty if there is none; does not wait for a FIFO."""
    try:
        fd = os.open(hint, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        return os.read(fd, _HINT_CAP)
    except OSError:
        return b""
    finally:
        os.close(fd)


def find_project(given: str | os.PathLike[str] | None, working: Path) -> Path:
    """The database path of a command's project.

    `given` names the log folder, the database, or a folder with one project; without it, `working` is that folder.

    Raises:
        ProjectNotFoundError: no project there, or more than one. LogPlaceError: `given` is a URL.
    """
    if given is not None:
        require_path(given)
        path = Path(os.path.abspath(given))
        if path.suffix == ".events" and path.is_dir():
            return database_of(path)
        if (folder := log_folder(path)).is_dir():
            if path != database_of(folder) and (what := identify(path)) not in (NOTHING, OURS):
                raise ProjectNotFoundError(f"{path} is {what}, not a consist-es database. Name the log: {folder}.")
            return path
        if path.is_dir():
            return _only_project(path, "Name its log folder or database.")
        raise ProjectNotFoundError(f"No project at {path}: neither a log folder (*.events) nor a database beside one.")
    return _only_project(working, "Name it with --project PATH or CONSIST_ES_PROJECT.")


def _only_project(folder: Path, hint: str) -> Path:
    found = sorted(path for path in folder.glob("*.events") if path.is_dir())
    if len(found) == 1:
        return database_of(found[0])
    if not found:
        raise ProjectNotFoundError(f"No *.events folder in {folder}. {hint}")
    raise ProjectNotFoundError(f"Several projects in {folder}: {', '.join(path.name for path in found)}. {hint}")
