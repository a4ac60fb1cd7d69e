"""Imports a record into a project: only what is new in it, whole runs at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import quote
from consist_es.errors import LimitError
from consist_es.events import ArtifactLogged, Draft, RunImported
from consist_es.imports.artifacts import Artifacts, artifact_id
from consist_es.imports.runs import PROGRAM, Known, event_of, known_runs, roots_of
from consist_es.imports.store import Row, Store, read_store
from consist_es.project.project import Project
from consist_es.projections import imported, lineage
from consist_es.values.digests import digest_of

Progress = Callable[[int, int], None]
_BATCH = 200
"""Events that are recorded at once; a run and its artifacts are never parted."""
_WORK = "import"
"""Two imports take turns: the second finds what the first brought."""


class Imported(msgspec.Struct):
    """What an import did."""

    program: str
    store: str
    runs: int = 0
    """Runs that were not there, or not as they are now."""
    there: int = 0
    """Runs that were there already."""
    artifacts: int = 0
    verified: int = 0
    """Of these, files that still have the bytes that were recorded."""
    problems: list[str] = []
    """What was not imported, or not as it was, one by one."""
    left_out: dict[str, int] = {}
    """Table that is not imported -> its rows."""


def import_consist(project: Project, place: Path, progress: Progress | None = None) -> Imported:
    """Import a record of LBNL's consist: a DuckDB file, or a run directory.

    An import that was interrupted, or whose record has grown since, is gone on with by calling it again.

    Raises:
        ImportStoreError: nothing there is such a record. MissingExtraError: duckdb is not installed. LogError: as for
            `Project.record`.
    """
    place = place.absolute()
    store = read_store(place)
    project.attach()
    turn = project.log.claim(_WORK, project.log.writer, step=f"the import of {place.name}", is_dead=lambda _who: False)
    turn.take()
    try:
        return _Import(project, store, progress).done()
    finally:
        turn.end()


class _Import:
    """One import, while the turn is held."""

    def __init__(self, project: Project, store: Store, progress: Progress | None) -> None:
        self._project, self._store, self._progress = project, store, progress
        self._place = quote(str(store.place))
        self._runs = known_runs(store)
        roots = {str(known.row["id"]): roots_of(known, store.place) for known in self._runs}
        keys = {str(known.row["id"]): known.key for known in self._runs}
        self._makes = Artifacts(store, keys, roots, Digester("full", project.digests))
        self._rows = {str(row["id"]): row for row in store.tables["artifact"]}
        conn = project.connection()
        self._contents = imported.contents(conn)
        self._there = set(lineage.by_ids(conn, [artifact_id(row["id"]) for row in self._all_artifacts()]))
        self._result = Imported(PROGRAM, self._place, left_out=store.left_out)

    def done(self) -> Imported:
        """Record what is new."""
        result, waiting = self._result, list[list[Draft]]()
        for number, group in enumerate(self._groups()):
            waiting.append(group)
            if sum(map(len, waiting)) >= _BATCH:
                self._record(waiting)
                waiting = []
            if self._progress is not None:
                self._progress(min(number, len(self._runs)), len(self._runs))
        self._record(waiting)
        self._project.connection()  # the views are level when the command ends
        result.verified, result.problems = self._makes.verified, self._store.problems
        return result

    def _all_artifacts(self) -> Iterator[Row]:
        yield from self._rows.values()
        for known in self._runs:
            yield from (*known.inputs, *known.outputs)

    def _groups(self) -> Iterator[list[Draft]]:
        """The events of each run that is new, with those of its artifacts; then of artifacts that no run has."""
        for known in self._runs:
            run = self._run(known)
            files = [
                Draft(event, scenario=known.scenario)
                for row in (*known.inputs, *known.outputs)
                for event in self._new(row, known)
            ]
            if run is not None:
                yield [*files, run]
            elif files:
                yield files
        for row in self._rows.values():
            if files := [Draft(event) for event in self._new(row, None)]:
                yield files

    def _run(self, known: Known) -> Draft | None:
        """The event of a run; None if it is there as it is now, or was redacted, or is known to have ended."""
        event = event_of(known, self._store, self._place)
        draft = self._project.masker.draft(Draft(event, scenario=known.scenario, run=known.key))
        event = _without_guesses(event, draft.event)
        content = digest_of(msgspec.json.encode(msgspec.structs.replace(event, store="")), 16)
        before = self._contents.get(known.key)
        if before is not None and (before.content in ("", content) or _goes_back(before.status, event.status)):
            self._result.there += 1
            return None
        return msgspec.structs.replace(draft, event=msgspec.structs.replace(event, content=content))

    def _new(self, row: Row, known: Known | None) -> Iterator[ArtifactLogged]:
        """The events of an artifact and of those that it is a part of, if they are not there."""
        waiting: list[Row] = []
        found: Row | None = row
        while found is not None and (name := artifact_id(found["id"])) not in self._there:
            self._there.add(name)
            waiting.append(found)
            found = self._rows.get(str(found.get("parent_artifact_id")))
        for item in reversed(waiting):
            yield self._makes.event(item, None if known is None else str(known.row["id"]))

    def _record(self, groups: list[list[Draft]]) -> None:
        """Record the events of some runs as one batch; if one of them is too large, each by itself."""
        if not groups:
            return
        try:
            self._project.record([draft for group in groups for draft in group], commit=True)
        except LimitError as error:
            if len(groups) > 1:
                for group in groups:
                    self._record([group])
                return
            self._store.problems.append(f"{_about(groups[0])} is not imported: {error}")
            return
        for draft in (draft for group in groups for draft in group):
            self._result.runs += isinstance(draft.event, RunImported)
            self._result.artifacts += isinstance(draft.event, ArtifactLogged)


def _goes_back(before: str, now: str) -> bool:
    """True if an older copy of a record does not know yet how a run ended."""
    return now == "abandoned" and before != "abandoned"


def _without_guesses(given: RunImported, masked: object) -> RunImported:
    """The masked event; without the other program's hashes if a secret in the config could be guessed by them."""
    if not isinstance(masked, RunImported):
        raise TypeError("masking changes no type")
    if masked.config == given.config and masked.meta == given.meta:
        return masked
    theirs = {name: value for name, value in masked.meta.get("imported", {}).items() if not name.endswith("_hash")}
    theirs.pop("signature", None)
    return msgspec.structs.replace(masked, meta={**masked.meta, "imported": theirs})


def _about(group: list[Draft]) -> str:
    event = group[-1].event
    return f"run {event.run_id!r}" if isinstance(event, RunImported) else "an artifact"
