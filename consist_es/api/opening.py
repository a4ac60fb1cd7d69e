"""Where a tracker's outputs, views and log are, and how its project is opened."""

import os
from pathlib import Path
from typing import Any

from consist_es.artifacts.uris import UriMap, given_folder, given_path
from consist_es.errors import PathError
from consist_es.log.engine import require_path
from consist_es.project.find import remember_server, server_database
from consist_es.project.project import Project


def opened(
    db_path: Path,
    uris: UriMap,
    sync: str,
    secrets: tuple[tuple[str, ...], tuple[str, ...]],
    access_mode: str,
    *,
    bars: bool,
) -> Project:
    """Open a project; refuses a `db_path` that is another program's file at once, not at the first step.

    `secrets`: names of keys to mask, and of environment variables to record.
    """
    roots, (mask_keys, record_env) = (uris.run_dir, *uris.mounts.values()), secrets
    given: dict[str, Any] = {"sync": sync, "roots": roots, "mask_keys": mask_keys, "record_env": record_env}
    project = Project(db_path, read_only=access_mode != "standard", **given)
    if bars:
        project.show_bars()
    project.connection()
    return project


def places_of(
    run_dir: str | os.PathLike[str], db_path: str | os.PathLike[str] | None, log: str | None
) -> tuple[Path, Path]:
    """The folder for outputs and the file of the views, checked."""
    require_path(run_dir if db_path is None else db_path)  # before a folder is made of a URL
    folder, log = given_folder(run_dir, "run_dir"), log or os.environ.get("CONSIST_ES_LOG") or None
    if log is not None and db_path is None:
        return folder, server_database(log)
    database = folder / "provenance.db" if db_path is None else given_path(db_path, "db_path")
    given_folder(database.parent, "the folder of db_path")
    return folder, database if log is None else remember_server(database, log)


def make_folder(run_dir: Path, *, dry: bool) -> None:
    """Make the folder for outputs, unless it is a `dry` run."""
    if dry:
        return
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(f"run_dir {run_dir} cannot be made: {error.strerror}. Give another folder.") from error
