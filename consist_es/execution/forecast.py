"""Forecasts whether a step will hit, without running or recording anything.

Forecasts are a dry run: each one assumes that all steps forecast before it have run. Later forecasts use the outputs
of a hit; outputs of a step that will run are pending, and a step that needs them is open. A step is also open if a
pending step may still change its verdict: a forecast is never wrong.
"""

from __future__ import annotations

import sqlite3
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.uris import overlap
from consist_es.cache.lookup import Hit, Miss, artifacts_of
from consist_es.cache.reads import random_states
from consist_es.checks import names
from consist_es.errors import DryRunStop, InputError
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.overlay import Overlay
from consist_es.identity.left_out import left_out
from consist_es.identity.live.owners import Reach
from consist_es.identity.live.written import may_write
from consist_es.projections import cache_index, lineage, run_table
from consist_es.runs.run import RunResult
from consist_es.runs.why import in_words, reused_over
from consist_es.steps.definition import with_definition
from consist_es.steps.inputs import Sources, awaited, restores
from consist_es.steps.options import NOT_ASKED, NOT_KEPT, StepArguments, check_groups
from consist_es.steps.outline import Outline, outline
from consist_es.steps.outputs import declared_path, in_declared_order
from consist_es.steps.pending import Foreseen, Pending, PendingOutputs, refuse_promised
from consist_es.steps.step import Step, prepare
from consist_es.text import shown

_CERTAIN = ("tracking_off", "cache_mode_overwrite", "not_identifiable")
"""Reasons of a miss that no other step can change."""
_HISTORY = 20
"""Number of earlier runs of a step that are consulted for what it writes."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What `run` would do with a step. Usable where a result is: ``ref(forecast)``, ``inputs={"x": forecast}``."""

    step: str
    """Name of the step."""
    verdict: str
    """``hit``, ``miss``, or ``open``: not known before other steps have run."""
    reason: str
    """Why, in one word; on a hit ``same_identity``, ``accepted`` or ``carried_over``."""
    source: str | None = None
    """On a hit: id of the run that answers."""
    nearest: str | None = None
    """On a miss: id of the nearest earlier run."""
    differs: list[str] = []
    """On a miss: the differences from it. On a hit: the accepted changes that it rests on."""
    packages: list[str] = []
    """On a hit: packages that had another version in that run: ``pandas 2.2.1 -> 2.2.2``."""
    left_out: str = ""
    """On a hit: what did not count, if `CacheOptions.code_identity` is not the default."""
    drift: list[str] = []
    """On a hit: what of the configuration differs and is not read by the model."""
    seconds: float | None = None
    """On a miss or if open: duration of the nearest earlier run, or of the last one of this name."""
    waits_for: list[str] = []
    """If open: the steps that have to run first, or the process computing it now."""
    outputs: dict[str, Any] = {}
    """On a hit its artifacts; otherwise placeholders."""
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None

    @property
    def cache_hit(self) -> bool:
        """True if the step is certain to be reused."""
        return self.verdict == "hit"

    @property
    def output(self) -> Any:
        """The first output, or None."""
        return next(iter(self.outputs.values()), None)

    def __str__(self) -> str:
        return "\n".join(map(shown, self._lines()))

    def _lines(self) -> list[str]:
        if self.verdict == "hit":
            over = reused_over(self.packages, self.left_out, self.drift)
            return [f"{self.step}: hit, {self.source} answers", *(f"  {text}" for text in (*self.differs, *over))]
        if self.verdict == "open":
            return [f"{self.step}: open until {', '.join(self.waits_for)} has run ({self.reason})"]
        nearest = f"; nearest run {self.nearest}" if self.nearest else ""
        return [f"{self.step}: miss, {in_words(self.reason)}{nearest}", *(f"  {text}" for text in self.differs)]


class Foresight:
    """The forecasts of one scenario, or of a tracker outside scenarios, in order."""

    def __init__(self, engine: Engine, stops: Callable[[str], DryRunStop] | None = None) -> None:
        self._engine = engine
        self._stops = stops
        """See `Foreseen.stops`."""
        self.unsure: list[Foreseen] = []
        """Blocks that a dry run left early, so that variables may not have the values of a real run."""
        self._ahead: list[Foreseen] = []
        """Steps that will run, oldest first."""
        self._overlay = Overlay()
        self._random: list[Foreseen] = []
        """Hits that will restore the state of a random generator."""
        self._fn: Any = None
        """Function of the step that is being forecast."""

    def forecast(self, args: StepArguments, scope: Scope, frame: types.FrameType | None = None) -> Forecast:
        """Forecast what `run` would do with these arguments once the steps forecast before have run; with `frame`, what
        a block does that this frame is about to enter.

        Raises:
            UsageError, UsageTypeError, InputError, MissingKeyError …: what `run` raises before it records anything.
        """
        check_groups(args)
        args, _ = with_definition(args, scope.defaults.run_dir)
        refuse_promised([args.config, args.facet], "it is a setting of a step")
        found = self._forecast(args, scope, frame)
        return msgspec.structs.replace(found, year=args.year, iteration=args.iteration, phase=args.phase)

    def _forecast(self, args: StepArguments, scope: Scope, frame: types.FrameType | None) -> Forecast:
        self._fn = args.fn
        sketch = outline(args, scope.defaults)
        names_now = self._names(args, scope)
        if waiting := self._awaited(args, names_now):
            if args.cache_options.cache_mode in NOT_ASKED or not self._engine.use_cache:
                return self._miss(sketch, Miss(self._certain(args)), None)
            return self._open(sketch, "waits_for_inputs", waiting)
        try:
            step = prepare(args, scope.defaults, self._sources(names_now, args), frame=frame, is_async=True)
        except InputError:
            if not self._ahead:
                raise
            return self._open(sketch, "inputs_missing", self._ahead)  # one of them may make the file
        if args.parent_run_id is not None:
            self._engine.queries.key_of(args.parent_run_id)
        self._defaults = scope.defaults
        try:
            verdict, _ = self._engine.look_up(step, scope)
        except DryRunStop:  # an earlier run of it read a key of the coupler that is pending now
            return self._open(sketch, "waits_for_inputs", self._ahead)
        if isinstance(verdict, Hit):
            verdict = self._hydrated(step, verdict, names_now)
        return self._answer(sketch, step, verdict, names_now)

    def reopened(self, args: StepArguments, scope: Scope, reason: str) -> Forecast:
        """The forecast of a step that was taken for a hit, and may run after all."""
        return self._open(outline(with_definition(args, scope.defaults.run_dir)[0], scope.defaults), reason, ())

    def coupler_then(self, name: str) -> Mapping[str, Any]:
        """See `Overlay.then`."""
        return self._overlay.then(name)

    @property
    def others(self) -> Foreseen | None:
        """A step that will or may run, and may set any key."""
        return next((step for step in self._ahead if step.others), None)

    def left_early(self) -> None:
        """Make all later forecasts open: the last step is a block that set variables after the point it was left at."""
        self.unsure = self.unsure or self._ahead[-1:]

    def ran(self, result: RunResult) -> None:
        """Replace the forecast of a step that has run by its result."""
        run = result.run
        unit = (run.config_hash, run.model_name, run.year, run.iteration, run.phase, run.stage)
        same = [step for step in self._ahead if step.fingerprint is not None and step.fingerprint == run.signature]
        same += [
            step for step in self._ahead if step.fingerprint is None and (step.name, step.unit) == (run.name, unit)
        ]
        if same:
            same[0].outputs = result.outputs
            self._ahead.remove(same[0])
            self._overlay.drop(same[0])

    # ------------------------------------------------------------ what the step refers to

    def _names(self, args: StepArguments, scope: Scope) -> Overlay | None:
        if scope.coupler is None:
            return None
        self._overlay.coupler = scope.coupler
        self._overlay.others = self.others
        binding = args.binding if args.binding is not None else args
        self._overlay.asked = names(getattr(binding, "optional_input_keys", None), "optional_input_keys")
        return self._overlay

    def _sources(self, names_now: Mapping[str, Any] | None, args: StepArguments) -> Sources:
        engine = self._engine
        return Sources(engine.uris, engine.digester, engine.queries.artifact_with, names_now, restores(args))

    def _awaited(self, args: StepArguments, names_now: Mapping[str, Any] | None) -> list[Foreseen]:
        """Steps that make inputs of this one and have not run."""
        given = args.identity_inputs if isinstance(args.identity_inputs, list | tuple) else ()
        loose = [part for item in given for part in (item if isinstance(item, tuple) else (item,))]
        pending = [*awaited(args, names_now), *(part for part in loose if isinstance(part, Pending))]
        return [item.step for item in pending if not item.is_there]

    # ------------------------------------------------------------ verdicts

    def _answer(
        self, sketch: Outline, step: Step, verdict: Hit | Miss, names_now: Mapping[str, Any] | None
    ) -> Forecast:
        certain = isinstance(verdict, Miss) and verdict.reason in _CERTAIN
        if not certain and (reason := self._doubt(step, verdict)) is not None:
            return self._open(sketch, *reason)
        if isinstance(verdict, Miss):
            if not certain and (who := self._engine.computing(step)) is not None:
                return self._open(sketch, "computing_elsewhere", [Foreseen(who, ())])
            return self._miss(sketch, verdict, step)
        return self._hit(sketch, step, verdict, names_now)

    def _hit(self, sketch: Outline, step: Step, hit: Hit, names_now: Mapping[str, Any] | None) -> Forecast:
        outputs: dict[str, Any] = in_declared_order(hit.outputs, step.declared)
        copies = self._copies(step, names_now) if step.hydration == "outputs-requested" else {}
        targets = [*copies.values(), *self._staged(step), *hit.put_back]
        changes = self._engine.put_back(step, hit.effects).changed if hit.effects else []
        if targets or changes:
            keys = tuple(copies)
            ahead = Foreseen(sketch.name, sketch.unit, keys=keys, writes=targets, changes=changes, stops=self._stops)
            self._ahead.append(ahead)
            outputs |= {
                key: self._copied(ahead, key, outputs[key], target) for key, target in copies.items() if key in outputs
            }
        if random_states(hit.reads):
            self._random.append(Foreseen(sketch.name, sketch.unit))
        self._overlay.take(outputs)
        return Forecast(
            step=sketch.name,
            verdict="hit",
            reason="accepted" if hit.accepted else "carried_over" if hit.carried_over else "same_identity",
            source=hit.source_id,
            differs=hit.accepted,
            packages=hit.packages,
            left_out=left_out(step.fingerprint.code_mode, step.fingerprint.code_parts),
            drift=hit.drift,
            outputs=outputs,
        )

    def _copied(self, ahead: Foreseen, key: str, artifact: Artifact, target: Path) -> Any:
        """Stand-in for an output that will be copied: the artifact if the copy keeps its name, else a placeholder."""
        return artifact if artifact.path.name == target.name else ahead.pending(key)

    def _miss(self, sketch: Outline, miss: Miss, step: Step | None) -> Forecast:
        fingerprint = step.fingerprint.digest if step is not None and step.cache_mode not in NOT_KEPT else None
        ahead = self._will_run(sketch, fingerprint, unknown=step is None)
        earlier = None if miss.nearest is None else run_table.by_key(self._engine.project.connection(), miss.nearest)
        return Forecast(
            step=sketch.name,
            verdict="miss",
            reason=miss.reason,
            nearest=miss.nearest if earlier is None else earlier.id,
            seconds=ahead.seconds if earlier is None or earlier.seconds is None else earlier.seconds,
            differs=miss.differs,
            outputs=PendingOutputs(ahead),
        )

    def _open(self, sketch: Outline, reason: str, waits_for: Iterable[Foreseen]) -> Forecast:
        ahead = self._will_run(sketch, None, unknown=True)
        listed = list(dict.fromkeys(step.name for step in waits_for if step is not ahead))
        return Forecast(
            step=sketch.name,
            verdict="open",
            reason=reason,
            seconds=ahead.seconds,
            waits_for=listed,
            outputs=PendingOutputs(ahead),
        )

    def _certain(self, args: StepArguments) -> str:
        return "cache_mode_overwrite" if self._engine.use_cache else "tracking_off"

    # ------------------------------------------------------------ steps that will run

    def _will_run(self, sketch: Outline, fingerprint: str | None, *, unknown: bool) -> Foreseen:
        """Note a step that will run; earlier runs of it tell which outputs it makes and where it writes."""
        engine, conn = self._engine, self._engine.project.connection()
        made: list[str] = []
        writes = self._targets(sketch)
        seconds: float | None = None
        for row in run_table.find(conn, name=sketch.name, model=sketch.model, status="completed", limit=_HISTORY):
            made = made or list(lineage.results(conn, row.key))
            seconds = row.seconds if seconds is None and row.cache != "hit" else seconds
            outputs = artifacts_of(conn, lineage.outputs(conn, row.key), engine.uris)
            writes += [artifact.path for artifact in outputs.values() if not self._is_private(artifact)]
        keys = sketch.declared or tuple(made) or ((sketch.fallback,) if self._fn is not None else ())
        ahead = Foreseen(
            sketch.name,
            sketch.unit,
            fingerprint=fingerprint,
            unknown=unknown,
            keys=keys,
            others=not sketch.declared,
            writes=writes,
            restores=sketch.hydration == "inputs-missing",
            seconds=seconds,
            changes=[] if self._fn is None else may_write(self._fn),
            stops=self._stops,
        )
        self._ahead.append(ahead)
        self._overlay.take(PendingOutputs(ahead))
        return ahead

    def _targets(self, sketch: Outline) -> list[Path]:
        """Paths outside the run's own folder that the step's arguments name."""
        uris, found = self._engine.uris, []
        for key, spec in sketch.output_paths.items():
            if not (isinstance(spec.path, str) and self._overlay.pending(spec.path)):
                found.append(declared_path(key, spec, Path(), uris, self._overlay))
        found += [uris.resolve_given(place) for place in sketch.staging.values()]
        return [path for path in found if path.is_absolute()]  # the others lie in its own folder

    def _staged(self, step: Step) -> list[Path]:
        return [self._engine.uris.resolve_given(place) for place in step.staging.values()]

    # ------------------------------------------------------------ doubts

    def _doubt(self, step: Step, verdict: Hit | Miss) -> tuple[str, list[Foreseen]] | None:
        """Why the verdict may still change and the steps that may change it, or None."""
        if self.unsure:
            return "block_stopped", self.unsure
        conn = self._engine.project.connection()
        if (ahead := [*self._ahead, *self._random]) and self._draws(conn, step):
            return "random_state_ahead", ahead
        if not self._ahead:
            return None
        reached = {found for found, _ in cache_index.reached(conn, step.fingerprint.digest or "")}
        same = [one for one in self._ahead if one.fingerprint in reached or (one.unknown and one.unit == step.unit)]
        if same:
            return "same_work_ahead", same
        paths = [item.path for item in step.inputs] + self._read_besides(step)
        if writers := self._writers(paths):
            return "inputs_written_ahead", writers
        if changing := self._changing(step):
            return "objects_changed_ahead", changing
        return self._doubtful_candidates(reached, verdict)

    def _changing(self, step: Step) -> list[Foreseen]:
        """Steps ahead that set an attribute or variable which the step can reach."""
        if not any(item.changes for item in self._ahead):
            return []
        reach = Reach(step.args.fn, step.handed)
        owners = {id(owner.value): owner for owner in reach.owners.values()}

        def counts(thing: Any, name: str) -> bool:
            owner = owners.get(id(thing))
            if owner is None or (thing is step.unread.owner and name in step.unread.names):
                return False
            return owner.kind != "module" or name in owner.names

        return [item for item in self._ahead if any(counts(*change) for change in item.changes)]

    def _read_besides(self, step: Step) -> list[Path]:
        """Files that count for the step's identity but are not inputs."""
        given = step.args.identity_inputs or ()
        parts = [part for item in given for part in (item[1:] if isinstance(item, tuple) else (item,))]
        found = [Path(part).absolute() for part in parts]
        found += [step.project_root / dep for dep in step.args.cache_options.code_identity_extra_deps or ()]
        info = step.fingerprint.adapter or {}
        found += [step.project_root / item["path"] for item in info.get("references") or () if "path" in item]
        return found

    def _writers(self, paths: Iterable[Path]) -> list[Foreseen]:
        """Steps ahead that write one of these files, something in it, or something around it."""
        wanted = [str(path) for path in paths]
        return [
            step for step in self._ahead if any(overlap(str(place), path) for place in step.writes for path in wanted)
        ]

    def _doubtful_candidates(self, reached: Iterable[str], verdict: Hit | Miss) -> tuple[str, list[Foreseen]] | None:
        """As `_doubt`: steps ahead that may change the files of candidate runs, or None."""
        conn, uris = self._engine.project.connection(), self._engine.uris
        for candidate in (item for found in reached for item in cache_index.candidates(conn, found)):
            outputs = artifacts_of(conn, candidate.all_outputs, uris)
            if any(not self._is_private(artifact) for artifact in outputs.values()):
                return "outputs_in_shared_place", self._ahead
            late = artifacts_of(conn, lineage.inputs(conn, candidate.run_key, via="logged"), uris)
            observer = self._engine.observer
            read = [] if observer is None else observer.paths(candidate.reads, self._defaults)
            if writers := self._writers([*(artifact.path for artifact in late.values()), *read]):
                return "inputs_written_ahead", writers
            if isinstance(verdict, Miss) and (restoring := [step for step in self._ahead if step.restores]):
                return "outputs_restored_ahead", restoring
        return None

    def _draws(self, conn: sqlite3.Connection, step: Step) -> bool:
        """True if earlier runs of the same work depend on the state of a random generator."""
        found = cache_index.candidates(conn, step.fingerprint.digest or "")
        return any(read.kind == "random" for candidate in found for read in candidate.reads)

    def _is_private(self, artifact: Artifact) -> bool:
        """True if it lies in its run's own folder, where no other run writes."""
        row = None
        if artifact.producer is not None:
            row = run_table.by_key(self._engine.project.connection(), artifact.producer)
        if row is None or not row.artifact_dir.endswith(f"/{row.key}"):
            return False
        return artifact.container_uri.startswith(f"{row.artifact_dir}/")

    # ------------------------------------------------------------ hydration

    def _copies(self, step: Step, names_now: Mapping[str, Any] | None) -> dict[str, Path]:
        """Output key -> path that a hit copies it to."""
        engine = self._engine
        directory = engine.directory_of(step, engine.project.storage.token(6).hex())
        return {
            key: declared_path(key, spec, directory, engine.uris, names_now) for key, spec in step.output_paths.items()
        }

    def _hydrated(self, step: Step, hit: Hit, names_now: Mapping[str, Any] | None) -> Hit | Miss:
        """The verdict that copying would lead to, see `consist_es.execution.hydrate`."""
        if step.hydration != "outputs-requested":
            return hit
        engine = self._engine
        copier = Copier(engine.uris, engine.digester, engine.allow_external_paths)
        placed: dict[Path, str | None] = {}
        for key, target in self._copies(step, names_now).items():
            copier.check_place(target)
            artifact = hit.all_outputs[key]
            if problem := copier.obstacle(artifact, target, placed.get(target)):
                return Miss("candidate_outputs_invalid", hit.source, [problem])
            placed[target] = artifact.hash
        return hit
