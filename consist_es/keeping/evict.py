"""Evicts: records that the bytes are not kept, and then deletes the files.

The event comes first. Killed before it, nothing has happened; killed after it, the record is true (from now on the file
may be deleted), whoever finds the file may use it, and the same call again deletes it.
"""

from __future__ import annotations

import os
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import msgspec

from consist_es.artifacts import recovery
from consist_es.artifacts.describe import SET_DRIVER, Digester
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.placing import discard, tidy
from consist_es.artifacts.uris import UriMap
from consist_es.errors import PathError
from consist_es.events import ArtifactEvicted, Draft
from consist_es.keeping.plan import plan
from consist_es.keeping.policy import Eviction, Left, PlannedOutput, PlannedRun, Policy
from consist_es.keeping.survey import Survey, UrisOf
from consist_es.project.project import Project
from consist_es.projections import keeping
from consist_es.runs.archiving import Archivist
from consist_es.text import readable

_AT_ONCE = 1000
"""Runs whose eviction is recorded at once."""


def planned(project: Project, uris_of: UrisOf, policy: Policy) -> Eviction:
    """What a policy evicts now. Changes nothing.

    Raises:
        MissingKeyError, UsageError: the policy names something that is not there.
    """
    return plan(Survey(project, uris_of), policy)


def evict(project: Project, uris_of: UrisOf, policy: Policy, *, archive_root: Path | None = None) -> Eviction:
    """Evict what a policy says; `archive_root`: a folder that the bytes are copied to first.

    Raises:
        MissingKeyError, UsageError: the policy names something that is not there.
        MaterializeError: it cannot be copied; nothing was evicted. LogError: as for `Project.record`.
    """
    project.attach()  # the runs of dead processes use nothing any longer
    survey = Survey(project, uris_of)
    unfinished = _tidy(survey)
    found = plan(survey, policy, unfinished)
    if archive_root is not None:
        _archive(project, uris_of, found.runs, archive_root)
        survey = Survey(project, uris_of)
        found = plan(survey, policy, unfinished)  # now with these copies
    evictor = _Evictor(project, survey, found)
    for start in range(0, len(found.runs), _AT_ONCE):
        evictor.evict(found.runs[start : start + _AT_ONCE])
    left = [*found.left, *evictor.left]
    return msgspec.structs.replace(found, runs=evictor.gone, left=left, done=True, freed=evictor.freed)


def _archive(project: Project, uris_of: UrisOf, runs: Sequence[PlannedRun], root: Path) -> None:
    for run in runs:
        for item in run.outputs:
            uris = uris_of(item.row.root)
            copier = Copier(uris, Digester("full", project.digests), allow_external=True)
            Archivist(project, copier).archive(item.artifact, root, mode="copy", append=True)


class _Evictor:
    """Carries out one plan, and notes what came of it."""

    def __init__(self, project: Project, survey: Survey, found: Eviction) -> None:
        self._project, self._survey, self._plan = project, survey, found
        self._uris_of = survey.uris_of
        self._name = str(uuid.uuid4())
        self._digester = Digester("full", None)
        self.gone: list[PlannedRun] = []
        """Runs, with the outputs that were deleted."""
        self.left: list[Left] = []
        self.freed = 0
        self._folders: set[Path] = set()
        """Places that were deleted."""

    def evict(self, runs: Sequence[PlannedRun]) -> None:
        """Record the eviction of these runs' outputs, and delete them."""
        drafts = list(self._drafts(runs))
        if drafts:
            self._project.record(drafts, commit=True, since=self._plan.at)
        # A run that began meanwhile may use them: its files stay, as anybody may use a file that is there.
        used = self._survey.in_use()
        self.left += [Left(run.id, f"{used[run.key]}: evict it again later") for run in runs if run.key in used]
        self._delete_all([run for run in runs if run.key not in used])

    def _delete_all(self, runs: Sequence[PlannedRun]) -> None:
        places = [(run.key, list(same)) for run in runs for files, same in groupby(run.outputs, _files) if files]
        places.sort(key=lambda place: len(place[1][0].place.parts))  # a folder before what lies in it
        done: dict[str, list[PlannedOutput]] = defaultdict(list)
        for key, items in places:
            if self._deleted(items):
                done[key] += items
        for run in runs:
            if deleted := done.get(run.key):
                wholes = [item for item in run.outputs if not item.files]  # sets, whose members were deleted
                self.gone.append(msgspec.structs.replace(run, outputs=(*deleted, *wholes)))
                for folder in {path.parent for item in run.outputs for path in item.files}:
                    tidy(folder)
                _remove_empty(run.key, run.folder, self._uris_of(run.outputs[0].row.root))

    def _drafts(self, runs: Sequence[PlannedRun]) -> Iterator[Draft]:
        items = [(run, item) for run in runs for item in run.outputs if item.eviction is None]
        artifacts = [item.row.artifact_id for _, item in items]
        before = keeping.last_evictions(self._project.connection(), artifacts, self._plan.at)
        for run, item in items:
            row = item.row
            event = ArtifactEvicted(
                artifact=row.artifact_id,
                key=row.key,
                uri=row.uri,
                root=row.root,
                digest=row.digest or "",
                size=item.size,
                eviction=self._name,
                policy=str(self._plan.policy),
                user=self._project.storage.user(),
            )
            # of two processes that evict at once, the first records it
            name = f"evicted-{row.artifact_id}-{before.get(row.artifact_id, 0)}"
            yield Draft(event, scenario=run.scenario, run=run.key, id=name)

    # ------------------------------------------------------------ deleting

    def _deleted(self, items: Sequence[PlannedOutput]) -> bool:
        """Delete the file of an output, and of tables in it, if it has the recorded bytes; True if it is gone."""
        item = items[0]
        if not os.path.lexists(item.place):  # it lay in a folder that was deleted, or another process was quicker
            self.freed += item.size if any(parent in self._folders for parent in item.place.parents) else 0
            return True
        if (why := self._problem(items)) is not None:
            self.left.append(Left(readable(str(item.place)), why))
            return False
        size = self._delete(item)
        self.freed += size or 0
        return size is not None

    def _problem(self, items: Sequence[PlannedOutput]) -> str | None:
        """Why a file is not deleted: its bytes, read this moment, are not those that were recorded."""
        for item in items:
            if not os.path.lexists(item.place):
                return None
            if item.place.is_symlink():
                return "it has become a link"
            fault = recovery.fault(item.artifact, item.place, self._digester, content=None, fresh=True)
            if fault is not None and os.path.lexists(item.place):
                return f"it {fault}"
        return None

    def _delete(self, item: PlannedOutput) -> int | None:
        """Delete the files of an output; gives the bytes that this freed, none if another process was quicker. None if
        the system refuses."""
        roots = _roots(self._uris_of(item.row.root))
        of_set = item.row.driver == SET_DRIVER
        parts = [list(same) for _, same in groupby(item.files, key=lambda path: path.parent if of_set else None)]
        try:
            for paths in parts:
                discard(paths, roots)
        except FileNotFoundError:
            return 0
        except (OSError, PathError) as error:
            said = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            self.left.append(Left(readable(str(item.place)), f"it cannot be deleted: {said}"))
            return None
        self._folders.add(item.place)
        return item.size


def _files(item: PlannedOutput) -> tuple[Path, ...]:
    return item.files


def _tidy(survey: Survey) -> set[str]:
    """Remove what evictions that were killed had renamed and not deleted yet; gives these evictions."""
    unfinished: set[str] = set()
    for artifact, evicted in survey.evicted.items():
        row = survey.rows[artifact]
        place = survey.place(row)
        if place is not None and not os.path.lexists(place) and place.parent.is_dir():
            if tidy(place.parent):
                unfinished.add(evicted.eviction)
            facts = survey.runs.get(row.producer_key or "")
            if facts is not None:
                _remove_empty(facts.key, facts.folder, survey.uris_of(row.root))
    return unfinished


def _remove_empty(run: str, folder: str, uris: UriMap) -> None:
    """Remove the own folder of a run, if all folders in it are empty."""
    with suppress(PathError, OSError):
        own = uris.resolve(folder) if folder else None
        if own is not None and own.name == run and not own.is_symlink():
            for top, _, _ in os.walk(own, topdown=False):
                Path(top).rmdir()


def _roots(uris: UriMap) -> tuple[str, ...]:
    return (uris.run_dir, *uris.mounts.values())
