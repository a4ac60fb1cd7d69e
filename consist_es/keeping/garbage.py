"""Collects what nothing needs: partial outputs of dead runs, views that were set aside, and copies cut off midway."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from consist_es.artifacts.copies import root_of
from consist_es.artifacts.placing import discard, is_left_behind
from consist_es.artifacts.uris import real_path
from consist_es.errors import PathError
from consist_es.keeping.policy import Left, in_bytes
from consist_es.keeping.survey import Survey, UrisOf
from consist_es.project.project import Project
from consist_es.projections import run_table
from consist_es.runs.set_aside import FOLDER
from consist_es.text import counted, readable, shown
from consist_es.views.file import OURS, identify, side_files

ABANDONED, VIEWS, PART, CACHE = "partial outputs", "old views", "unfinished copy", "cache"
_WHY = {
    ABANDONED: "a run that was killed left them; no run has them as outputs",
    VIEWS: "set aside when the views were built anew from the log",
    PART: "a process that is gone was making it",
    CACHE: "digests of files: they are taken again when they are needed",
}
_LISTED = 50


class Garbage(msgspec.Struct, frozen=True):
    """A file or folder that nothing needs."""

    kind: str
    """``partial outputs``, ``old views``, ``unfinished copy`` or ``cache``."""
    place: Path
    size: int
    """Bytes of it."""

    def __str__(self) -> str:
        return f"{self.kind}, {in_bytes(self.size)}: {readable(str(self.place))} ({_WHY[self.kind]})"


class Collection(msgspec.Struct, kw_only=True):
    """What nothing needs, or what was deleted of it; `str()` gives readable text."""

    items: list[Garbage]
    left: list[Left] = []
    """What could not be deleted, and why."""
    done: bool = False
    """False for a plan: nothing was deleted."""

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(item.size for item in self.items)

    def lines(self) -> list[str]:
        """What it is, in words."""
        things = counted(len(self.items), "thing")
        if self.done and not self.items:
            first = "Nothing was deleted."
        elif self.done:
            first = f"Deleted {things}: {in_bytes(self.size)} are free."
        elif self.items:
            first = f"Would delete {things} that nothing needs, and free {in_bytes(self.size)}:"
        else:
            first = "There is nothing that nobody needs."
        more = len(self.items) - _LISTED
        found = [f"  {item}" for item in self.items[:_LISTED]] + ([f"  … and {more} more"] if more > 0 else [])
        return [first, *found, *(f"  left: {item.name}: {item.why}" for item in self.left)]

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines()))


def garbage(project: Project, uris_of: UrisOf, *, caches: bool = False) -> Collection:
    """What nothing needs. `caches`: also what would only have to be computed again. Changes nothing."""
    survey = Survey(project, uris_of)
    needed = {real_path(place) for place in _recorded(survey)}
    above = {parent for place in needed for parent in map(str, Path(place).parents)}
    found = [*_abandoned(project, survey), *_views(project), *_parts(survey, needed)]
    if caches and not run_table.running(survey.conn):
        found += [Garbage(CACHE, path, _size(path)) for path in [project.digests.path] if path.is_file()]
    items = {item.place: item for item in found if real_path(item.place) not in needed | above}
    return Collection(items=list(items.values()))


def collect(project: Project, uris_of: UrisOf, *, caches: bool = False) -> Collection:
    """Delete what nothing needs.

    Raises:
        LogError: as for `Project.record`.
    """
    project.attach()  # the end of runs whose process is gone is recorded first
    found = garbage(project, uris_of, caches=caches)
    items: list[Garbage] = []
    left: list[Left] = []
    for item in found.items:
        try:
            _delete(item, project)
            items.append(item)
        except FileNotFoundError:  # another process was quicker
            continue
        except (OSError, PathError) as error:
            said = (error.strerror if isinstance(error, OSError) else None) or str(error)
            left.append(Left(readable(str(item.place)), f"it cannot be deleted: {said}"))
    return Collection(items=items, left=left, done=True)


def _delete(item: Garbage, project: Project) -> None:
    if item.kind == CACHE:
        project.digests.close()
    if item.kind in (CACHE, VIEWS):
        item.place.unlink()
    elif item.kind == PART:
        shutil.rmtree(item.place)
    else:
        discard([item.place], (str(item.place.parent),))


def _recorded(survey: Survey) -> Iterator[Path]:
    """Every place of an artifact or a copy."""
    for row in survey.rows.values():
        place = survey.place(row)
        if place is not None and row.digest is not None:
            yield place
    yield from survey.copy_places()


def _abandoned(project: Project, survey: Survey) -> Iterator[Garbage]:
    """Folders of runs whose process is certainly gone, which were renamed when that was recorded."""
    for facts in survey.runs.values():
        row = run_table.by_key(survey.conn, facts.key) if facts.status == "abandoned" and facts.folder else None
        if row is None or not project.is_gone(row):
            continue
        uris = survey.uris_of(row.run_dir)
        with suppress(PathError, OSError):
            own = uris.resolve(row.artifact_dir)
            folder = own.with_name(f"{own.name}.abandoned")
            roots = (uris.run_dir, *uris.mounts.values())
            if own.name == row.key and folder.is_dir() and not folder.is_symlink() and root_of(folder, roots):
                yield Garbage(ABANDONED, folder, _size(folder))


def _views(project: Project) -> Iterator[Garbage]:
    """Databases of ours that were set aside, because they were damaged or of another log, with SQLite's files beside
    them. What anybody else had put in the place of the views was set aside in the same way, and stays."""
    database = project.db_path
    for why in ("damaged", "orphaned"):
        for path in sorted(database.parent.glob(f"{_literal(database.name)}.{why}-*[0-9]")):
            if path.is_file() and not path.is_symlink() and identify(path) == OURS:
                beside = [side for side in side_files(path) if side.is_file() and not side.is_symlink()]
                yield from (Garbage(VIEWS, each, _size(each)) for each in (*beside, path))


def _literal(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _parts(survey: Survey, needed: set[str]) -> Iterator[Garbage]:
    """Folders that killed processes of this machine left beside artifacts and copies."""
    folders = {os.path.dirname(place) for place in needed}  # noqa: PTH120 (a text)
    roots = {survey.uris_of(row.root).run_dir for row in survey.rows.values()}
    for run_dir in sorted(roots):
        folders |= {top for name in ("outputs", FOLDER) for top, _, _ in os.walk(Path(run_dir, name))}
    for folder in sorted(folders):
        for path in _entries(folder):
            if is_left_behind(path.name) and not path.is_symlink() and path.is_dir():
                yield Garbage(PART, path, _size(path))


def _entries(folder: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries)
    except OSError:
        return []


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
    except OSError:
        return 0
    return sum(_size(inside) for inside in _entries(str(path)))
