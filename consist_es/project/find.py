"""Finds a project's log and its database.

The log of the views at ``NAME.db`` is the folder ``NAME.events`` beside them; or it is on a server, and the file
``NAME.server`` holds its address.
"""

import json
import os
import zlib
from pathlib import Path

from consist_es.errors import PathError, ProjectNotFoundError
from consist_es.log.engine import is_server, require_path
from consist_es.views.file import NOTHING, OURS, identify

_HINT_CAP = 8192
_SERVER = ".server"
HINT = "database"
"""File in the log folder: name of the last used database. Only a hint."""


def log_folder(db_path: Path) -> Path:
    """The log folder of the views at `db_path`: beside them, same stem, ``.events``."""
    return db_path.with_name(f"{db_path.stem}.events")


def server_of(db_path: Path) -> str | None:
    """The URL of the log on a server whose views are at `db_path`; None if it is in files beside them."""
    url = _read(db_path.with_suffix(_SERVER)).decode(errors="replace").strip()
    return url if is_server(url) else None


def state_folder(db_path: Path) -> Path:
    """What a machine keeps beside the views of a log on a server, such as digests of files."""
    return db_path.with_suffix(".state")


def server_database(url: str) -> Path:
    """The views of a log on a server: in this user's cache on this machine, at a place made from the address.

    Raises:
        ServerAddressError: the URL names no project, or holds a password. PathError: the cache cannot be written.
    """
    from consist_es.log.postgres.address import address_of  # most projects are in files

    address = address_of(url)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{address.name}-{zlib.crc32(address.shown.encode()):08x}"
    return remember_server(base / "consist-es" / name / "views.db", url)


def remember_server(db_path: Path, url: str) -> Path:
    """Store beside the views where their log is, and return their path.

    Raises:
        ServerAddressError: as for `server_database`. PathError: that cannot be written, or the views belong to another
        log.
    """
    from consist_es.log.postgres.address import address_of

    address = address_of(url)
    file, text = db_path.with_suffix(_SERVER), f"{address.url}\n"
    if (found := server_of(db_path)) is not None and address_of(found).shown != address.shown:
        raise PathError(f"{db_path} has the views of {address_of(found).shown}, not of {address.shown}. Give another.")
    if log_folder(db_path).is_dir():
        raise PathError(f"{db_path} has the views of the log {log_folder(db_path)} beside it. Give another db_path.")
    if found is None or found + "\n" != text:
        try:
            db_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = file.with_name(f"{file.name}.{os.getpid()}")
            part.write_text(text)
            part.replace(file)
        except OSError as error:
            raise PathError(f"{file} cannot be written: {error.strerror}. Give db_path another folder.") from error
    return db_path


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

    `given` names the log folder, the database, a folder with one project, or a log on a server by its URL; without it,
    `working` is that folder.

    Raises:
        ProjectNotFoundError: no project there, or more than one. LogPlaceError: `given` is a URL.
    """
    if given is not None:
        if isinstance(given, str) and is_server(given):
            return server_database(given)
        require_path(given)
        path = Path(os.path.abspath(given))
        if server_of(path) is not None:
            return path
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
