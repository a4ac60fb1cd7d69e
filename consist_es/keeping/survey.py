"""Reads from the views what has bytes, what needs them, and what could make them again."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from consist_es.artifacts import recovery
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import SET_DRIVER, Digester
from consist_es.artifacts.digest import stat_matches
from consist_es.artifacts.elsewhere import RecoveryCopy
from consist_es.artifacts.formats import bundle_members
from consist_es.artifacts.uris import UriMap
from consist_es.errors import InputError, PathError
from consist_es.log.presence import is_same_machine
from consist_es.project.project import Project
from consist_es.projections import copies, keeping, run_table
from consist_es.projections.artifact_rows import ArtifactRow, artifact_row
from consist_es.projections.origins import writer_details
from consist_es.projections.plumbing import to_text
from consist_es.runs.artifacts import artifact_of_row
from consist_es.text import readable
from consist_es.values.digests import CONTENT
from consist_es.views.file import query
from consist_es.views.tables import reached

UrisOf = Callable[[str], UriMap]
"""A recorded run directory -> the roots of URIs on this machine."""

_RUNS = """
SELECT key, id, kind, name, model, year, iteration, phase, stage, scenario_key, status, cache, cache_source_key,
    seconds, fingerprint, not_reusable_reason, artifact_dir, started_seq,
    key IN (SELECT run_key FROM cache_index) FROM runs ORDER BY started_seq
"""
_ARTIFACTS = "SELECT rowid, a.* FROM artifacts a WHERE rowid > ? ORDER BY rowid LIMIT 1000"
_INPUTS = "SELECT run_key, artifact_id FROM links WHERE direction = 'input' ORDER BY seq, position"
_OUTPUTS = "SELECT run_key, artifact_id FROM links WHERE direction = 'output'"
_IN_SCENARIOS = "SELECT key, scenario_key FROM runs WHERE scenario_key IN (SELECT value FROM json_each(?))"
_WRITERS = "SELECT DISTINCT writer FROM runs"
_OF_WRITER = "SELECT key FROM runs WHERE writer = ?"
_HELD = "SELECT scenario_key, artifact_id FROM coupler WHERE artifact_id IS NOT NULL"
_VARYING = """
SELECT DISTINCT r.fingerprint FROM runs r JOIN artifacts a ON a.producer_key = r.key
WHERE r.fingerprint IS NOT NULL AND r.status = 'completed' GROUP BY r.fingerprint, a.key
HAVING count(DISTINCT a.digest) > 1
"""
_ACCEPTED = "SELECT DISTINCT as_run_key FROM acceptances WHERE revoked_seq IS NULL"


class Facts(NamedTuple):
    """What is needed of a run's row."""

    key: str
    id: str
    kind: str
    name: str
    model: str
    year: int | None
    iteration: int | None
    phase: str | None
    stage: str | None
    scenario: str | None
    status: str
    cache: str | None
    source: str | None
    seconds: float | None
    fingerprint: str | None
    not_reusable: str | None
    folder: str
    seq: int
    reusable: int

    @property
    def step(self) -> tuple[Any, ...]:
        """The step, at its place in the simulation."""
        return self.name, self.model, self.year, self.iteration, self.phase, self.stage

    @property
    def result(self) -> str:
        """Key of the run that made its outputs."""
        return self.source if self.cache == "hit" and self.source else self.key


class Survey:
    """All runs and artifacts of a project as they are now, and where their bytes lie."""

    def __init__(self, project: Project, uris_of: UrisOf) -> None:
        self.conn: sqlite3.Connection = project.connection()
        self._project, self.uris_of = project, uris_of
        self.at = reached(self.conn).seq
        """The position in the log that this is of."""
        self.digester = Digester("full", project.digests)
        self.runs = {row[0]: Facts(*row) for row in query(self.conn, _RUNS)}
        self.rows: dict[str, ArtifactRow] = {}
        """Artifact id -> its row, in log order."""
        last = 0
        while found := query(self.conn, _ARTIFACTS, (last,)):
            self.rows |= {row.artifact_id: row for _, *values in found for row in (artifact_row(values),)}
            last = found[-1][0]
        self.made: dict[str, list[ArtifactRow]] = defaultdict(list)
        """Key of a run -> what it made."""
        for row in self.rows.values():
            if row.producer_key is not None:
                self.made[row.producer_key].append(row)
        self.evicted = keeping.evicted(self.conn, self.rows)
        self._faults: dict[tuple[str, str | None], str | None] = {}

    # ------------------------------------------------------------ files

    def artifact(self, row: ArtifactRow) -> Artifact:
        """The artifact of a row."""
        made_by = self.runs.get(row.producer_key or "")
        return artifact_of_row(row, self.uris_of(row.root), run_id=None if made_by is None else made_by.id)

    def place(self, row: ArtifactRow) -> Path | None:
        """Where its bytes lie, or would; None if its mount is not here."""
        try:
            places = self.artifact(row).own_places
        except PathError:
            return None
        return next((place for place in places if os.path.lexists(place)), places[0])

    def fault(self, row: ArtifactRow, place: Path) -> str | None:
        """What is wrong with the bytes at a place, or None. A file with the recorded size and time is not read."""
        if not os.path.lexists(place):
            return "is gone"
        if row.kind == "file" and row.size is not None and row.mtime_ns is not None and row.driver != SET_DRIVER:
            with suppress(OSError):
                if not place.is_symlink() and stat_matches(place, row.size, row.mtime_ns):
                    return None
        one = (str(place), row.digest)
        if one not in self._faults:
            self._faults[one] = recovery.fault(self.artifact(row), place, self.digester, content=None)
        return self._faults[one]

    def files(self, row: ArtifactRow, place: Path) -> list[Path]:
        """The files that hold an artifact's bytes; of a set those that no artifact of its own stands for."""
        if row.driver != SET_DRIVER:
            return bundle_members(place)
        if any(other.parent_id == row.artifact_id for other in self.made.get(row.producer_key or "", ())):
            return []
        return [place / rel for rel in row.meta.get("members", ()) if (place / rel).is_file()]

    # ------------------------------------------------------------ copies

    @cached_property
    def copies(self) -> Mapping[str, list[RecoveryCopy]]:
        """Digest -> the recovery copies with it."""
        found: dict[str, list[RecoveryCopy]] = defaultdict(list)
        for copy in copies.every(self.conn):
            found[copy.digest].append(copy)
        return found

    def has_copy(self, row: ArtifactRow) -> bool:
        """True if a recovery copy has its bytes now."""
        known = [copy for copy in self.copies.get(row.digest or "", ()) if copy.says_content]
        return bool(known) and self._looked(row, known)

    def _looked(self, row: ArtifactRow, known: list[RecoveryCopy]) -> bool:
        found = recovery.look(known, self.artifact(row), self.uris_of(row.root), self.digester)
        return found.path is not None

    def copy_places(self) -> Iterable[Path]:
        """Every place of a recovery copy."""
        for known in self.copies.values():
            for copy in known:
                with suppress(PathError):
                    yield from recovery.places_of(copy, self.uris_of(copy.root))

    # ------------------------------------------------------------ what needs bytes

    def in_use(self) -> dict[str, str]:
        """Key of a run -> what may be using its outputs now: a run or scenario that has not ended, or a process of
        another that lives, and has used or made them."""
        conn = self._project.connection()
        open_runs = {row.key: row.id for row in run_table.running(conn) if not self._project.is_gone(row)}
        users = self._of_others(conn) | {key: f"{name!r} has not ended" for key, name in open_runs.items()}
        inside = query(conn, _IN_SCENARIOS, (to_text([*open_runs]),))
        users |= {key: users[scenario] for key, scenario in inside}
        used: dict[str, str] = {}
        if not users:
            return used
        for sql in (_INPUTS, _OUTPUTS, _HELD):
            for user, artifact in query(conn, sql):
                row = self.rows.get(artifact)
                if user in users and row is not None and row.producer_key is not None:
                    used.setdefault(row.producer_key, f"{users[user]}, and uses it")
        return used

    def _of_others(self, conn: sqlite3.Connection) -> dict[str, str]:
        """Key of a run -> that its process lives and is not this one; between two steps nothing of it is running."""
        project, found = self._project, {}
        for (name,) in query(conn, _WRITERS):
            writer = writer_details(conn, name)
            if writer is None or (writer.pid == project.storage.pid() and is_same_machine(project.storage, writer)):
                continue
            if project.log.alive(writer):
                said = f"process {writer.pid} of {writer.user or 'somebody'} is alive"
                found.update({key: said for (key,) in query(conn, _OF_WRITER, (name,))})
        return found

    def pinned(self) -> dict[str, str]:
        """Key of a run -> why its outputs are pinned."""
        pinned: dict[str, str] = {}
        linked: dict[str, list[str]] = defaultdict(list)
        pins = keeping.pins(self.conn)
        for run, artifact in query(self.conn, _OUTPUTS) if pins else ():
            linked[run].append(artifact)
        for pin in pins:
            said = f"pinned as {pin.name!r}: {pin.reason}"
            if pin.artifact_id is not None:
                wanted = [pin.artifact_id]
            else:
                runs = [key for key, facts in self.runs.items() if pin.run_key in (key, facts.scenario)]
                wanted = [artifact for key in runs for artifact in linked[key]]
            for row in (self.rows[artifact] for artifact in wanted if artifact in self.rows):
                if row.producer_key is not None:
                    pinned.setdefault(row.producer_key, said)
        return pinned

    def cited(self) -> dict[str, str]:
        """Key of a run -> what refers to its results: an accepted change."""
        return {key: "a change was accepted as it: its results answer for others" for (key,) in self._accepted()}

    def _accepted(self) -> list[tuple[Any, ...]]:
        return query(self.conn, _ACCEPTED)

    def newest(self, count: int) -> dict[str, str]:
        """Keys of runs that made the last `count` different results of a step."""
        last: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for facts in reversed(self.runs.values()):
            results = last[facts.step]
            if facts.status == "completed" and facts.result not in results and len(results) < count:
                results.append(facts.result)
        said = "the last result" if count == 1 else f"among the last {count} results"
        return {key: f"{said} of its step" for results in last.values() for key in results}

    # ------------------------------------------------------------ what could be made again

    def obstacles(self) -> dict[str, str]:
        """Key of a run -> why its outputs could not be made again by running it."""
        inputs: dict[str, list[str]] = defaultdict(list)
        for run, artifact in query(self.conn, _INPUTS):
            inputs[run].append(artifact)
        varying = {fingerprint for (fingerprint,) in query(self.conn, _VARYING)}
        found: dict[str, str] = {}
        able: set[str] = set()
        for key, facts in self.runs.items():  # mostly, an input is made by an earlier run, so that is known already
            if facts.status != "completed" or facts.kind == "scenario":
                found[key] = "it did not complete"
            elif not facts.reusable:
                found[key] = f"a look-up could not find it again: {facts.not_reusable or 'it may not be reused'}"

            elif facts.fingerprint in varying:
                found[key] = "it gave other bytes when it was run again"
            elif (why := self._lacking(inputs[key], able)) is not None:
                found[key] = why
            else:
                able.add(key)
        return found

    def _lacking(self, inputs: Iterable[str], able: set[str]) -> str | None:
        """The first input that is gone, and is not made by one of the runs that are `able` to."""
        for artifact in inputs:
            row = self.rows.get(artifact)
            if row is None or row.digest is None:
                continue
            if row.producer_key in able:
                continue
            place = self.place(row)
            problem = "cannot be looked for" if place is None else self._problem(row, place)
            if problem is not None and not self.has_copy(row):
                return f"it could not be made again: its input {row.key!r} {problem}"
        return None

    def _problem(self, row: ArtifactRow, place: Path) -> str | None:
        try:
            return self.fault(row, place) if (row.digest or "").startswith(CONTENT) else None
        except (InputError, PathError) as error:
            return f"cannot be read: {readable(str(error))}"
