"""Artifacts whose bytes were evicted: when, and how they are made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from consist_es.projections import keeping, lineage, origins, run_table
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.projections.keeping import Evicted
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import label
from consist_es.runs.sets import flat
from consist_es.text import counted, shortened, span
from consist_es.values.plain import from_plain

_LISTED = 5
_LONGEST = 60


class Gone(msgspec.Struct, frozen=True):
    """The eviction of an artifact whose bytes were not put back since."""

    row: Evicted
    again: str | None
    """Id of the first run that has made it again since; None if none has."""
    same: bool
    """True if that run gave the same bytes."""
    recipe: str
    """How to make it again: step, code, config and inputs."""

    def __str__(self) -> str:
        if self.again is None:
            return f"on {self.row.day}; {self.recipe}"
        return f"on {self.row.day}, made again by {self.again}{'' if self.same else ', with other bytes'}"


def gone(conn: sqlite3.Connection, rows: Iterable[ArtifactRow]) -> dict[str, Gone]:
    """Artifact id -> its eviction, for those of the artifacts that were evicted."""
    found = keeping.evicted(conn, [row.artifact_id for row in rows])
    return {artifact: _gone(conn, row) for artifact, row in found.items()}


def _gone(conn: sqlite3.Connection, row: Evicted) -> Gone:
    again = keeping.made_again(conn, row)
    run = None if row.run_key is None else run_table.by_key(conn, row.run_key)
    recipe = "what made it is not recorded" if run is None else recipe_of(conn, run)
    return Gone(row, None if again is None else again[0], again is not None and again[1] == row.digest, recipe)


def recipe_of(conn: sqlite3.Connection, run: RunRow) -> str:
    """How to make a run's outputs again: step, code, config and inputs, as far as they are short."""
    parts = [_code(conn, run)]
    if config := flat(from_plain(run.config)):
        said = [f"{key}={shortened(str(value), _LONGEST)}" for key, value in config.items()]
        parts.append(f"config {_listed(said)}")
    if inputs := lineage.inputs(conn, run.key):
        parts.append(f"inputs {_listed(list(inputs))}")
    return f"running {label(run)} again makes it ({span(run.seconds)}, as {run.id}): {'; '.join(parts)}"


def _code(conn: sqlite3.Connection, run: RunRow) -> str:
    parts = [] if run.fingerprint_info is None else list(run.fingerprint_info.code_parts)
    made_of = f"code {run.function or 'of a block'}" + (f" ({counted(len(parts), 'part')})" if parts else "")
    seen = None if run.environment is None else origins.environment(conn, run.environment)
    if seen is None or seen.git_commit is None:
        return made_of
    return f"{made_of}, git commit {seen.git_commit[:12]}{' with uncommitted changes' if seen.git_dirty else ''}"


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more
