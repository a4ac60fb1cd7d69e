"""Observes the undeclared reads of one attempt at a step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap, unquote
from consist_es.cache.reads import PLACES, ReadPlaces, ReadsNow, as_read, listing, warning
from consist_es.errors import PathError
from consist_es.events import ObservedRead, ReadsObserved
from consist_es.execution.active import ActiveRun
from consist_es.execution.current import FOLDERS
from consist_es.execution.observed import Surroundings
from consist_es.identity.code.modes import CodeIdentity
from consist_es.identity.installed.places import first_party_of
from consist_es.identity.live.modules import imported_files
from consist_es.identity.text.source import load_source
from consist_es.observe.keeping import Kept, hand_on, inherited, may_keep
from consist_es.observe.now import module_now
from consist_es.observe.reads import Listing, Places, Reads
from consist_es.observe.scope import Scope, is_below
from consist_es.observe.watch import Watch
from consist_es.project.project import Project
from consist_es.runs.step_logs import FOLDER
from consist_es.steps.step import Step, StepDefaults
from consist_es.values.masking import key_file


class Observed(msgspec.Struct, frozen=True):
    """Undeclared reads of a run."""

    reads: list[ObservedRead] = []
    event: ReadsObserved | None = None
    """Lists the reads; None if there are none, or if they do not count."""
    unsure: list[str] = []
    """Reasons why the run must never be reused."""
    unseen: list[str] = []
    """What could not be observed, with the remedy."""
    unseeded: list[str] = []
    """Unseeded random generators that it drew from."""

    @property
    def problem(self) -> str | None:
        """Why the run must never be reused, or None."""
        return "; ".join(self.unsure) or None

    def warnings(self, step: str) -> list[str]:
        """Texts of the warnings to the user."""
        told = [warning(step, self.reads)]
        if self.unsure:
            told.append(f"Step {step!r} will be computed again: {self.problem}.")
        told += [f"Step {step!r}: {text}." for text in self.unseen]
        told += [
            f"Step {step!r} drew from the global random generator of {name}, which was not seeded: its results "
            "differ each time, but a hit returns the recorded ones. Seed it, or pass a generator."
            for name in self.unseeded
        ]
        return [text for text in told if text is not None]


class Observer(msgspec.Struct, frozen=True):
    """Observes the steps of one project, and compares recorded reads with the present."""

    project: Project
    uris: UriMap
    digester: Digester
    mode: str
    """``count``, ``warn`` or ``off``."""
    ignored: tuple[str, ...]

    def mode_of(self, step: Step) -> str:
        """Observation mode of this step. What a program in a container reads cannot be observed from here."""
        if step.inside is not None:
            return "off"
        return step.args.execution_options.observe or self.mode

    def ignored_by(self, step: Step) -> tuple[str, ...]:
        """Globs of files that do not count for this step."""
        return (*self.ignored, *(step.args.execution_options.ignore_reads or ()))

    def options(self, step: Step) -> dict[str, Any]:
        """Observation options of this step that are not the default."""
        mode, ignored = self.mode_of(step), self.ignored_by(step)
        said: dict[str, Any] = {} if mode == "count" else {"observe": mode}
        return {**said, "ignore_reads": list(ignored)} if ignored else said

    def watch(self, step: Step, directory: Path, staged: Mapping[str, Path], defaults: StepDefaults) -> Watch | None:
        """Watch for a run with this folder and these staged inputs, by role; None if observation is off."""
        if self.mode_of(step) == "off":
            return None
        places = Places(
            roots=self._roots(defaults),
            skipped=(*self._skipped(), str(directory)),
            ignored=self.ignored_by(step),
            declared=tuple(map(str, (*(item.path for item in step.inputs), *staged.values()))),
            inputs=tuple(_read_at(step, staged)),
            beside=lambda: [str(folder) for folder in list(FOLDERS.values()) if folder != directory],
        )
        return Watch(
            places,
            is_first_party=self._is_own(step, defaults),
            value_digest=self._value_digest,
            hasher=self._hash,
        )

    def end(
        self, watch: Watch, step: Step, active: ActiveRun, defaults: StepDefaults, around: Surroundings | None
    ) -> Observed:
        """End the watch; gives the run's reads."""
        found = watch.end([*map(str, active.made)])
        known = {str(item.path) for item in active.late_inputs}
        known |= {path for name in active.observations.seen for path in (around.paths(name) if around else ())}
        known |= {str(item.path) for item in step.inputs}
        references = () if step.adapter is None else step.adapter.references
        known |= {str(step.project_root / reference.path) for reference in references}
        earlier = inherited(step.code.reaches)
        files = {**earlier.files, **found.files}
        files = {path: files[path] for path in files if not any(is_below(path, each) for each in known)}
        found = msgspec.structs.replace(
            found,
            files=files,
            folders={**earlier.folders, **found.folders},
            variables={**earlier.variables, **found.variables},
            modules={**found.modules, **_unpickled(found, step.code)},
        )
        reads = as_read(found, self._places(defaults))
        counts = self.mode_of(step) == "count"
        return Observed(
            reads=reads,
            event=listing(reads) if counts else None,
            unsure=[*found.unsure, *_lost(found)] if counts else [],
            unseen=found.unseen,
            unseeded=[
                name
                for name, move in found.random.items()
                if not (move.seeded or move.seeded_within) and _draws(step.code)
            ],
        )

    def hand_on(
        self, reads: Iterable[ObservedRead], inputs: Mapping[str, str], functions: Iterable[Any], defaults: StepDefaults
    ) -> None:
        """Have later steps inherit what a reused run read, since its changes to caches were put back.

        `inputs`: path -> digest of its declared inputs; which of them a cache was filled from is not recorded.
        """
        places, kept = self._places(defaults), Kept(files=dict(inputs))
        for read in reads:
            with suppress(PathError):  # not mounted here: the run would not have been reused
                match read.kind:
                    case "file":
                        kept.files[str(places.path(read.name))] = read.digest
                    case "folder":
                        own = [unquote(name) for name in read.without]
                        kept.folders[str(places.path(read.name))] = Listing(read.digest or "", own)
                    case "variable":
                        kept.variables[read.name] = read.digest
        for fn in functions:
            if may_keep(fn.__code__):
                hand_on(fn.__code__, kept)

    def now(self, step: Step, defaults: StepDefaults) -> ReadsNow | None:
        """Compares recorded reads with the present; None if reads of this step do not count."""
        if self.mode_of(step) != "count":
            return None

        def scope() -> Scope:
            places = Places(roots=self._roots(defaults), skipped=self._skipped(), ignored=self.ignored_by(step))
            return Scope(places, is_own=self._is_own(step, defaults))

        return ReadsNow(self._places(defaults), functools.cache(scope), self._hash, self._value_digest)

    def paths(self, reads: Iterable[ObservedRead], defaults: StepDefaults) -> list[Path]:
        """Present paths of the files and folders that an earlier run read."""
        places, found = self._places(defaults), []
        for read in reads:
            with suppress(PathError):  # not mounted here: the comparison reports it
                found += [places.path(read.name)] if read.kind in PLACES else []
        return found

    # ------------------------------------------------------------ places

    def _is_own(self, step: Step, defaults: StepDefaults) -> Callable[[str], bool]:
        return first_party_of(step.code.own, defaults.packages.ignore)

    def _places(self, defaults: StepDefaults) -> ReadPlaces:
        return ReadPlaces(str(defaults.label_root or defaults.project_root), self.uris)

    def _roots(self, defaults: StepDefaults) -> tuple[str, ...]:
        folders = (defaults.label_root or defaults.project_root, defaults.project_root, *self.uris.mounts.values())
        current = Path.cwd()
        own = [current] if current != Path(current.anchor) else []  # workers may be started in the root of all
        return tuple(dict.fromkeys(map(str, (*folders, *own))))

    def _skipped(self) -> tuple[str, ...]:
        views = self.project.db_path
        printed = str(Path(self.uris.run_dir, FOLDER))
        own = (str(self.project.folder), str(key_file(self.project.folder)), printed)
        return (*own, str(views), f"{views}.lock", f"{views}.rebuild")

    def _hash(self, path: str, method: str) -> str:
        return self.digester.digest(Path(path), method=method).value

    def _value_digest(self, name: str, value: str | None) -> str | None:
        """Keyed digest: a variable may hold a secret."""
        return (
            None if value is None else self.project.masker.keyed(f"{name}\0{value}".encode("utf-8", "surrogateescape"))
        )


def _read_at(step: Step, staged: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Where the inputs are read, and their own places."""
    for item in step.inputs:
        for place in {staged.get(item.role, item.path), item.path}:
            yield str(place), str(item.path)


def _unpickled(found: Reads, code: CodeIdentity) -> dict[str, str]:
    """Digests of the modules behind names in pickles, and of what these import, unless the code counts them already."""
    named = {file for file, name in found.unpickled if not code.reaches(file, name.partition(".")[0])}
    files = {file for start in named for file in imported_files(start)}
    digests = {file: module_now(file) for file in sorted(files - code.files)}
    return {file: digest for file, digest in digests.items() if digest is not None}


def _draws(code: CodeIdentity) -> bool:
    """True if the project's code mentions `random`: imports of packages move unseeded generators too."""
    sources = map(load_source, (code.own, *code.files))
    return any(source is not None and "random" in source.text for source in sources)


def _lost(found: Reads) -> list[str]:
    """Random states that a hit could not restore."""
    return [
        f"it moved the global random generator of {name}, whose state cannot be recorded"
        for name, move in found.random.items()
        if move.seeded and move.after is None
    ]
