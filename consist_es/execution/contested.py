"""Finds paths that two runs wrote at the same time: which one made the bytes is unknown, so neither is reusable.

A run logs at its start where it will write outside its own folder, and at its end what it wrote. So whichever of two
ends later finds the other.
"""

from __future__ import annotations

import fnmatch
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.uris import UriMap, below, quote, real_path, unquote
from consist_es.errors import PathError
from consist_es.events import Draft, OutputsDoubted
from consist_es.projections import lineage, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.steps.output_sets import DRIVER, folder_of
from consist_es.steps.outputs import declared_path
from consist_es.steps.step import Step
from consist_es.text import readable

WRITES = "writes"
"""Run option: the declared paths outside the run's own folder, absolute and quoted like URIs."""


class Rival(msgspec.Struct, frozen=True):
    """Another run that wrote, or declared to write, to a run's output paths."""

    run: RunRow
    outputs: dict[str, Path]
    """The run's outputs that it may have written, by key."""
    recorded: bool
    """True if it recorded them itself, so that it could answer for a later run."""

    def said(self) -> str:
        """Describe the conflict."""
        going_on = ", which has not ended," if self.run.status == "running" else ""
        what = f"{going_on} {'wrote' if self.recorded else 'was to write'} the same place at the same time"
        places = ", ".join(f"{key!r} at {path}" for key, path in self.outputs.items())
        return readable(f"run {self.run.id!r}{what} ({places}): whose bytes are there is unknown")

    def doubt(self, by: str) -> list[Draft]:
        """The event that makes the other run not reusable; empty if it is not anyway."""
        answers = self.run.status == "running" or (self.run.status == "completed" and self.run.reusable)
        if not (self.recorded and answers):
            return []
        return [Draft(OutputsDoubted(by=by), scenario=self.run.scenario_key, run=self.run.key)]


def declared_writes(
    step: Step, key: str, directory: Path, uris: UriMap, coupler: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The option that lists where the step will write outside its own folder; empty if nowhere."""
    paths = [declared_path(key, spec, directory, uris, coupler) for key, spec in step.output_paths.items()]
    found: dict[str, Any] = {}
    if outside := [quote(str(path)) for path in paths if not _is_own(path, directory, key)]:
        found["paths"] = outside
    sets = [(folder_of(spec, directory), spec.globs()) for spec in step.output_sets.values()]
    if step.args.capture_dir is not None:
        sets.append((Path(os.path.abspath(step.args.capture_dir)), [step.args.capture_pattern]))
    if folders := [[quote(str(folder)), *globs] for folder, globs in sets if not _is_own(folder, directory, key)]:
        found["folders"] = folders
    return {WRITES: found} if found else {}


def rivals(
    views: Callable[[], sqlite3.Connection],
    key: str,
    directory: Path,
    outputs: Iterable[tuple[str, Artifact, Path]],
    beside: Iterable[str],
    uris: UriMap,
) -> list[Rival]:
    """Runs that wrote, or declared to write, this run's output paths while it executed.

    `beside`: keys of the runs still open when it started.
    """
    places = {
        name: path
        for name, artifact, path in outputs
        if artifact.driver != DRIVER and artifact.producer == key and not _is_own(path, directory, key)
    }
    if not places:
        return []
    conn = views()
    if (own := run_table.by_key(conn, key)) is None:
        return []
    real = {name: real_path(path) for name, path in places.items()}
    found: dict[str, Rival] = {}
    for other, there in _recorded(conn, own, uris):
        if hit := [name for name, path in real.items() if _overlap(path, there)]:
            _add(found, conn, other, {name: places[name] for name in hit}, recorded=True)
    for run in _beside(conn, own, beside):
        if hit := [name for name, path in real.items() if _declares(run, path)]:
            _add(found, conn, run.key, {name: places[name] for name in hit}, recorded=False)
    return list(found.values())


def _is_own(path: Path, directory: Path, key: str) -> bool:
    """True if the path lies in a folder named by the run's key. One from `run_subdir_fn` may be shared by runs."""
    return directory.name == key and directory in (path, *path.parents)


def _overlap(path: str, other: str) -> bool:
    """True if the paths are equal or one contains the other. The root of a relative `other` is unknown."""
    if not Path(other).is_absolute():
        return path.endswith(f"/{other}")
    return below(path, other) is not None or below(other, path) is not None


def _add(
    found: dict[str, Rival], conn: sqlite3.Connection, key: str, outputs: dict[str, Path], *, recorded: bool
) -> None:
    if (before := found.get(key)) is not None:
        found[key] = Rival(before.run, {**before.outputs, **outputs}, before.recorded or recorded)
    elif (run := run_table.by_key(conn, key)) is not None:
        found[key] = Rival(run, outputs, recorded)


def _recorded(conn: sqlite3.Connection, own: RunRow, uris: UriMap) -> Iterator[tuple[str, str]]:
    """(run key, output path) of everything that other runs recorded since this one began."""
    for run, uri, root, driver in lineage.places_since(conn, own.started_seq):
        if run == own.key or driver == DRIVER:
            continue
        try:
            yield run, real_path(uris.resolve(uri, run_dir=root or None))
        except PathError:  # of a mount that only the other tracker has
            yield run, unquote(uri.partition("://")[2])


def _beside(conn: sqlite3.Connection, own: RunRow, keys: Iterable[str]) -> Iterator[RunRow]:
    """Runs that executed at the same time as this one and computed something."""
    rows = (run_table.by_key(conn, key) for key in keys)
    for run in (*(row for row in rows if row is not None), *run_table.started_since(conn, own.started_seq)):
        if run.key != own.key and WRITES in run.options and not (run.kind == "run" and run.cache == "hit"):
            yield run


def _declares(run: RunRow, path: str) -> bool:
    """True if the run declared to write to this path."""
    said = run.options[WRITES] if isinstance(run.options[WRITES], dict) else {}
    if any(_overlap(path, real_path(unquote(place))) for place in said.get("paths", ())):
        return True
    for folder, *globs in said.get("folders", ()):
        rel = below(path, real_path(unquote(folder)))
        if rel == "." or (rel is not None and any(_may_match(rel, glob) for glob in globs)):
            return True
    return False


def _may_match(rel: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(rel, glob) or fnmatch.fnmatchcase(rel.rsplit("/", 1)[-1], glob.rsplit("/", 1)[-1])
