"""Plans an eviction: which runs' outputs go, what stays, and why."""

from __future__ import annotations

import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from consist_es.artifacts.copies import root_of
from consist_es.artifacts.uris import real_path
from consist_es.keeping.policy import Eviction, Left, PlannedOutput, PlannedRun, Policy
from consist_es.keeping.survey import Facts, Survey
from consist_es.projections import keeping
from consist_es.projections.artifact_rows import ArtifactRow
from consist_es.reading import select
from consist_es.text import readable
from consist_es.values.digests import CONTENT


def plan(survey: Survey, policy: Policy, unfinished: Collection[str] = ()) -> Eviction:
    """What a policy evicts now. Reads files, changes nothing. `unfinished`: evictions that a killed call had begun.

    Raises:
        MissingKeyError, UsageError: the policy names something that is not there.
    """
    planner = _Planner(survey, unfinished)
    kept: list[Left] = []
    asked, reasons = _asked(survey, policy.what), _reasons(survey, policy.keep_last)
    lacking = survey.obstacles()
    candidates: list[PlannedRun] = []
    for facts in survey.runs.values():
        if facts.key not in survey.made or (asked is not None and facts.key not in asked):
            continue
        found = planner.candidate(facts)
        why = reasons.get(facts.key) or (None if found is None or found.by_copy else lacking.get(facts.key))
        if found is not None and why is None:
            candidates.append(found)
        elif found is not None and why is not None:
            kept.append(Left(facts.id, why))
    chosen, shared = planner.chosen(candidates, policy.free)
    stays = {run.key for run in candidates} - {run.key for run in chosen} | reasons.keys()
    left = [item for run, items in planner.left.items() if run not in stays for item in items]
    return Eviction(policy=policy, runs=chosen, kept=[*kept, *shared], left=left, at=survey.at)


def _asked(survey: Survey, what: Sequence[str]) -> set[str] | None:
    """Keys of the runs that a user named: of a scenario its steps, of a step all of its runs; None for all."""
    if not what:
        return None
    found: set[str] = set()
    for text in what:
        header = select.scenario_or_none(survey.conn, text)
        if header is not None:
            found |= {key for key, facts in survey.runs.items() if facts.scenario == header.key}
            continue
        named = {key for key, facts in survey.runs.items() if facts.name == text and facts.kind != "scenario"}
        found |= named or {select.step(survey.conn, text).run.key}
    return found


def _reasons(survey: Survey, keep_last: int) -> dict[str, str]:
    """Key of a run -> why its outputs are kept; the most pressing reason counts."""
    return {**survey.newest(keep_last), **survey.cited(), **survey.pinned(), **survey.in_use()}


class _Planner:
    """Looks at the files of runs, and chooses among them."""

    def __init__(self, survey: Survey, unfinished: Collection[str]) -> None:
        self._survey, self._unfinished = survey, unfinished
        self.left: dict[str, list[Left]] = defaultdict(list)
        """Key of a run -> files of it that stay."""

    # ------------------------------------------------------------ one run

    def candidate(self, facts: Facts) -> PlannedRun | None:
        """What could be deleted of a run; None if that is nothing."""
        found: dict[tuple[Path, ...], list[tuple[ArtifactRow, Path]]] = defaultdict(list)
        empty: list[tuple[ArtifactRow, Path]] = []
        for row, place in self._there(facts):
            files = tuple(self._survey.files(row, place))
            if files:
                found[files].append((row, place))
            else:
                empty.append((row, place))
        sizes = _Sizes(file for files in found for file in files)
        outputs: list[PlannedOutput] = []
        for files, items in found.items():
            size = sum(sizes.of(file) for file in files)
            if size == 0 and sizes.linked(files):
                why = "its bytes have another name, a hard link: deleting it would free nothing"
                self.left[facts.key].append(Left(readable(str(files[0])), why))
                continue
            for number, (row, place) in enumerate(items):  # tables in one file go with it
                outputs.append(self._output(row, place, files, 0 if number else size))
        if not sum(item.size for item in outputs):
            return None
        outputs += [self._output(row, place, (), 0) for row, place in empty]
        copied = all(self._survey.has_copy(item.row) for item in outputs)
        seconds = facts.seconds or 0.0
        return PlannedRun(facts.key, facts.id, facts.scenario, facts.folder, seconds, copied, tuple(outputs))

    def _there(self, facts: Facts) -> Iterator[tuple[ArtifactRow, Path]]:
        """What a run made and may be deleted, with its place; notes what stays."""
        for row in self._survey.made[facts.key]:
            if row.digest is None or row.kind not in ("file", "folder"):
                continue
            place = self._survey.place(row)
            if place is None:
                self.left[facts.key].append(Left(row.uri, "it cannot be looked for: its mount is not given here"))
            elif os.path.lexists(place):
                if why := self._stays(row, place):
                    self.left[facts.key].append(Left(readable(str(place)), why))
                else:
                    yield row, place

    def _output(self, row: ArtifactRow, place: Path, files: tuple[Path, ...], size: int) -> PlannedOutput:
        before = self._survey.evicted.get(row.artifact_id)
        artifact = self._survey.artifact(row)
        return PlannedOutput(row, artifact, place, files, size, None if before is None else before.eviction)

    def _stays(self, row: ArtifactRow, place: Path) -> str | None:
        """Why a file is never deleted, or None."""
        uris = self._survey.uris_of(row.root)
        if place.is_symlink():
            return "it is a link"
        if root_of(place.parent, (uris.run_dir, *uris.mounts.values())) is None:
            return "it lies outside the run directory and the mounts"
        if real_path(place) in {real_path(root) for root in (uris.run_dir, *uris.mounts.values())}:
            return "it is the run directory or a mount itself"
        if not (row.digest or "").startswith(CONTENT):
            return "no digest of its content was recorded, so that it cannot be told to be the same"
        fault = self._survey.fault(row, place)
        return None if fault is None else f"it {fault}"

    # ------------------------------------------------------------ all of them

    def chosen(self, candidates: list[PlannedRun], free: int | None) -> tuple[list[PlannedRun], list[Left]]:
        """The runs that go, cheapest first, and those that share files with what stays."""
        shared: list[Left] = []
        while True:
            runs = self._until(candidates, free)
            problems = self._shared(runs)
            if not problems:
                return runs, shared
            shared += [Left(run.id, problems[run.key]) for run in candidates if run.key in problems]
            candidates = [run for run in candidates if run.key not in problems]

    def _until(self, candidates: Iterable[PlannedRun], free: int | None) -> list[PlannedRun]:
        ordered = sorted(candidates, key=lambda run: (not run.begun, run.cost, -run.size))
        if free is None:
            return ordered
        left = free - self._gone(ordered)
        runs: list[PlannedRun] = []
        for run in ordered:
            if left <= 0 and not run.begun:
                break
            runs.append(run)
            left -= run.size
        return runs

    def _gone(self, candidates: Iterable[PlannedRun]) -> int:
        """Bytes that a call which was cut off has freed already: the same call again completes it."""
        begun = [item for run in candidates for item in run.outputs if item.eviction]
        calls = {item.eviction for item in begun if item.eviction} | {*self._unfinished}
        whole = sum(keeping.bytes_of(self._survey.conn, call) for call in calls)
        return max(0, whole - sum(item.size for item in begun))

    def _shared(self, runs: list[PlannedRun]) -> dict[str, str]:
        """Key of a run -> what that stays lies in, at or around one of its files."""
        going = {item.row.artifact_id for run in runs for item in run.outputs}
        files: dict[str, list[tuple[PlannedRun, PlannedOutput]]] = defaultdict(list)
        above: dict[str, list[tuple[PlannedRun, PlannedOutput]]] = defaultdict(list)
        for run in runs:
            for item in run.outputs:
                for path in map(real_path, item.files):
                    files[path].append((run, item))
                    for parent in _parents(path):
                        above[parent].append((run, item))
        problems: dict[str, str] = {}
        for row, place in self._places:
            if row is not None and row.artifact_id in going:
                continue
            said = "the place of a recovery copy" if row is None else f"{row.key!r}, which stays"
            at = [found for found in files.get(place, ()) if row is None or row.digest == found[1].row.digest]
            inside = [found for parent in _parents(place) for found in files.get(parent, ())]
            for run, item in (*at, *inside, *above.get(place, ())):
                problems.setdefault(run.key, f"{item.row.key!r} shares its file with {said}")
        return problems

    @cached_property
    def _places(self) -> list[tuple[ArtifactRow | None, str]]:
        """The files of all artifacts that are there, and the places of copies."""
        found: list[tuple[ArtifactRow | None, str]] = []
        for row in self._survey.rows.values():
            place = None if row.digest is None else self._survey.place(row)
            if place is not None and os.path.lexists(place):
                found += [(row, real_path(file)) for file in self._survey.files(row, place)]
        return [*found, *((None, real_path(place)) for place in self._survey.copy_places())]


class _Sizes:
    """The bytes that deleting files would free: one with names elsewhere frees none."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._names: Counter[tuple[int, int]] = Counter()
        self._held: dict[Path, list[os.stat_result]] = {}
        for file in files:
            self._held[file] = list(_stats(file))
            self._names.update((found.st_dev, found.st_ino) for found in self._held[file])
        self._counted: set[tuple[int, int]] = set()

    def of(self, file: Path) -> int:
        """Bytes of a file, or of all in a folder; of several names of one file, the first counts."""
        total = 0
        for found in self._held[file]:
            one = (found.st_dev, found.st_ino)
            if one not in self._counted and not self._elsewhere(found):
                self._counted.add(one)
                blocks = getattr(found, "st_blocks", None)  # of a file with holes, fewer than its size
                total += found.st_size if blocks is None else min(found.st_size, blocks * 512)
        return total

    def linked(self, files: Iterable[Path]) -> bool:
        """True if bytes of the files have names elsewhere."""
        return any(map(self._elsewhere, (found for file in files for found in self._held[file])))

    def _elsewhere(self, found: os.stat_result) -> bool:
        return found.st_size > 0 and found.st_nlink > self._names[found.st_dev, found.st_ino]


def _stats(path: Path) -> Iterator[os.stat_result]:
    """The stat of a file, or of every file in a folder."""
    try:
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            yield found
        if not stat.S_ISDIR(found.st_mode):
            return
        with os.scandir(path) as entries:
            for entry in entries:
                yield from _stats(Path(entry.path))
    except OSError:  # it is being deleted by another
        return


def _parents(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:  # noqa: PTH120 (a text)
        yield parent
        path = parent
