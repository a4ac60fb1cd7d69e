"""One step, from its arguments to its result: prepare, look up, execute or reuse, record.

Everything that can go wrong before the function is called goes wrong before anything is recorded. From the first
event on, every way out is recorded too.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from consist_es.active import ActiveRun
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.keys import safe_name
from consist_es.artifacts.uris import UriMap, inside
from consist_es.attempt import Attempt, links, provisional_run
from consist_es.capture import Snapshot
from consist_es.collecting import collect, found_before
from consist_es.context import Frame, Pushed, starts_steps, top
from consist_es.effects import Changes, Comparison
from consist_es.ending import Ending
from consist_es.errors import (
    AccessModeError,
    ConsistWarning,
    PathError,
    RunActiveError,
    UsageTypeError,
)
from consist_es.events import Effect, StepCompleted
from consist_es.hooks import Hooks
from consist_es.hydration import Hydrated, hydrate
from consist_es.identity.code import changed_objects
from consist_es.inputs import Sources, changed_since, identity_changed
from consist_es.journal import Journal
from consist_es.lookup import NOT_PUT_BACK, Hit, Miss, Question, look_up
from consist_es.materialize import Copier
from consist_es.observe.generators import restore_random
from consist_es.observing import Observations, Surroundings
from consist_es.options import StepArguments
from consist_es.project import Project
from consist_es.put_back import Obstacle, PutBack
from consist_es.queries import Queries
from consist_es.reads import random_states
from consist_es.recording import Digester
from consist_es.run_context import RunContext
from consist_es.runs import RunResult
from consist_es.step import Step, StepDefaults, prepare
from consist_es.trust import Trust
from consist_es.turns import Turn
from consist_es.watching import Observed, Observer
from consist_es.why import REUSED_OVER

_OVER_PACKAGES = (
    "Tracker(package_identity='imported') or model_packages=[…] makes versions count; accept_packages(reason) vouches "
    "for these."
)


class Scope(msgspec.Struct, frozen=True):
    """Where a step runs: alone, or in a scenario."""

    defaults: StepDefaults
    scenario: str | None = None
    """Key of the scenario's header run."""
    coupler: Mapping[str, Any] | None = None
    around: Surroundings | None = None
    """What the step can read of its scenario by itself."""


@dataclass(slots=True)
class Engine:
    """What runs steps. Knows the project and its settings, not who asks."""

    project: Project
    queries: Queries
    uris: UriMap
    digester: Digester
    hooks: Hooks
    owner: Any
    """What `current_tracker` gives inside a step; opaque here."""
    access_mode: str = "standard"
    use_cache: bool = True
    subdir_of: Callable[[Any], str] | None = None
    allow_external_paths: bool = False
    trust: Trust | None = None
    """Whose runs may answer; None: everybody's."""
    carry_over: bool = True
    """Whether runs recorded under version 1 of the fingerprint may answer."""
    observer: Observer | None = None
    """Watches what steps read by themselves; None: nobody does."""
    unidentified: set[str] = field(default_factory=set)
    """Names of the steps that were said to be computed every time."""
    told_of_reads: set[str] = field(default_factory=set)
    """Names of the steps of which it was said what they read without declaring it."""

    # ------------------------------------------------------------ the two ways to run a step; for blocks see `Trace`

    def run(self, args: StepArguments, scope: Scope) -> RunResult:
        """Call the step's function, or reuse an earlier run of it."""
        attempt = self.begin(args, scope)
        with self.ending(attempt):
            if not _loop_is_running() and (turn := self._turn(attempt)) is not None:
                turn.take()
                self._look_again(attempt, scope)
            self.start(attempt, scope)
            if attempt.hit:
                return self.reuse(attempt, attempt.hit)
            arguments = self._arguments(attempt)
            with Pushed(Frame(self.owner, attempt.active, scope.scenario)):
                self.watch(attempt, scope)
                value = args.fn(**arguments)
                if inspect.iscoroutine(value):
                    value.close()
                    raise UsageTypeError(f"Step {attempt.step.name!r} returned a coroutine: use `await ….arun(...)`.")
            return self.collected(attempt, scope, value)

    async def arun(self, args: StepArguments, scope: Scope) -> RunResult:
        """As `run`, awaiting what the function returns where it can be awaited."""
        attempt = self.begin(args, scope, is_async=True)
        with self.ending(attempt):
            if (turn := self._turn(attempt)) is not None:
                await turn.atake()
                self._look_again(attempt, scope)
            self.start(attempt, scope)
            if attempt.hit:
                return self.reuse(attempt, attempt.hit)
            arguments = self._arguments(attempt)
            with Pushed(Frame(self.owner, attempt.active, scope.scenario)):
                self.watch(attempt, scope)
                value = args.fn(**arguments)
                if inspect.isawaitable(value):
                    value = await value
            return self.collected(attempt, scope, value)

    def watch(self, attempt: Attempt, scope: Scope) -> None:
        """Note from now on what the step reads by itself."""
        if self.observer is not None:
            self.observer.begin(attempt, scope.defaults)

    def collected(self, attempt: Attempt, scope: Scope, value: Any) -> RunResult:
        """Record what the function returned, or what a block made, and the end."""
        attempt.stop_watching()
        outputs = collect(attempt.step, attempt.active, attempt.snapshot, value, scope.coupler)
        if attempt.hit:
            return self.reuse(attempt, attempt.hit)
        return self.finish(attempt, outputs, scope)

    # ------------------------------------------------------------ before

    def begin(
        self, args: StepArguments, scope: Scope, *, frame: types.FrameType | None = None, is_async: bool = False
    ) -> Attempt:
        """Prepare the step and look it up. Nothing is recorded yet."""
        if self.access_mode != "standard":
            raise AccessModeError(self.access_mode, "Running a step")
        current = top()
        if current is not None and current.run is not None:
            raise RunActiveError(current.run.run.id)
        starts_steps()
        sources = Sources(self.uris, self.digester, self.queries.artifact_with, scope.coupler)
        step = prepare(args, scope.defaults, sources, frame=frame, is_async=is_async)
        parent = self.queries.key_of(args.parent_run_id) if args.parent_run_id is not None else scope.scenario
        key = f"{safe_name(step.run_id, 80)}-{self.project.storage.token(6).hex()}"
        journal = Journal(self.project, self.uris, scope.scenario, key)
        verdict = self.look_up(step, scope)
        seen = self.project.seen_until()
        return Attempt(step, verdict, journal, key, parent, directory=self.directory_of(step, key), seen=seen)

    def _turn(self, attempt: Attempt) -> Turn | None:
        """The turn to wait for before computing; None where a result is there, or nobody could use this one's."""
        step, digest = attempt.step, attempt.step.fingerprint.digest
        wanted = step.args.cache_options.compute_once is not False and step.cache_mode == "reuse"
        if attempt.hit or digest is None or not (wanted and self.use_cache):
            return None
        who = f"{self.project.log.writer}, run {attempt.key}"
        attempt.turn = Turn(self.project.folder / "turns", digest, self.project.storage, who=who, step=step.name)
        return attempt.turn

    def _look_again(self, attempt: Attempt, scope: Scope) -> None:
        """With the turn in hand: somebody may have computed the step since the first look."""
        if self.project.log.head().seq != attempt.seen:
            attempt.verdict = self.look_up(attempt.step, scope)

    def _hydrate(self, attempt: Attempt, scope: Scope) -> Hydrated:
        step, verdict, directory = attempt.step, attempt.verdict, attempt.directory
        source_dir = None
        if isinstance(verdict, Hit) and step.hydration == "outputs-all":
            source = self.queries.run_by_key(verdict.source)
            with suppress(PathError):  # not mounted here, or not said where the run's start was redacted
                source_dir = self.uris.resolve(source.artifact_dir, run_dir=source.run_dir or None)
        copier = Copier(self.uris, self.digester, self.allow_external_paths)
        return hydrate(step, verdict, copier=copier, directory=directory, source_dir=source_dir, coupler=scope.coupler)

    def look_up(self, step: Step, scope: Scope) -> Hit | Miss:
        """Ask the cache."""
        if not self.use_cache:
            return Miss("tracking_off")
        if step.cache_mode == "overwrite":
            return Miss("cache_mode_overwrite")
        question = Question(
            fingerprint=step.fingerprint,
            model=step.model,
            name=step.name,
            declared=step.declared,
            strict=self._reads_every_output(step.args.cache_options.validate_cached_outputs),
            config=step.config_plain,
            inputs=[item.link() for item in step.inputs],
            files={str(item.artifact.id): item.artifact for item in step.inputs},
            scenario=scope.scenario,
            around=None if scope.around is None else scope.around.now,
            obstacles=(lambda effects: self.put_back(step, effects).problems) if step.args.kind == "run" else None,
            masker=self.project.masker,
            trust=self.trust,
            carry_over=self.carry_over,
            reads=None if self.observer is None else self.observer.problems(step, scope.defaults),
            packages=scope.defaults.packages,
        )
        return look_up(self.project.connection(), question, self.uris, self.digester)

    def put_back(self, step: Step, effects: Sequence[Effect]) -> PutBack:
        """What a hit changes on objects, for the earlier run had done so."""
        return PutBack(effects, step.args.fn, step.handed, self.project.masker.plain)

    def _reads_every_output(self, asked: str | None) -> bool:
        """Who does not trust everybody with the log cannot trust the times of their files either, unless asked to."""
        return asked == "strict" or (asked is None and self.trust is not None)

    # ------------------------------------------------------------ start

    def start(self, attempt: Attempt, scope: Scope) -> None:
        """Record the beginning with the outcome of the look-up; a hit of `run` is complete with it."""
        attempt.decided(self._hydrate(attempt, scope))
        if attempt.hit and attempt.hit.effects and attempt.puts_back:
            try:
                self.put_back(attempt.step, attempt.hit.effects).apply()
            except Obstacle as problem:
                attempt.verdict = Miss(NOT_PUT_BACK, attempt.hit.source, [str(problem)])
        step, journal, hit = attempt.step, attempt.journal, attempt.hit
        attempt.watched = {} if self.observer is None else self.observer.options(step)
        directory = attempt.directory
        if step.args.capture_dir is not None:
            folder = Path(os.path.abspath(step.args.capture_dir))
            attempt.snapshot = Snapshot.take(folder, step.args.capture_pattern)
        environment, drafts = self.project.environment(scope.defaults.project_root)
        drafts += journal.drafts(
            attempt.started_event(environment, self.uris.uri(directory)),
            *(item.registration for item in step.inputs if item.registration is not None),
            attempt.verdict_event(),
            *attempt.carried_over(),
            *attempt.copies,
        )
        ends = hit is not None and step.args.kind == "run"
        if hit is not None:
            drafts += attempt.coupler_drafts(links(attempt.hit_outputs(hit)))
        if hit is not None and ends:
            drafts += journal.drafts(attempt.hit_completed(hit))
        self.project.record(drafts, commit=ends)
        attempt.ended = ends
        attempt.active = ActiveRun(
            self.queries.run_by_key(attempt.key),
            journal=journal,
            digester=self.digester,
            directory=directory,
            inputs=step.inputs,
            config=step.args.config,
            cached=attempt.hit_outputs(hit) if hit is not None else None,
            canonicalization=None if step.adapter is None else step.adapter.snapshot,
        )
        attempt.active.observations = Observations(scope.around)
        attempt.active.found = found_before(step, directory, self.uris, scope.coupler)
        self.hooks.started(attempt.active.run)
        if hit is not None and hit.packages:
            said = f"{REUSED_OVER}{', '.join(hit.packages)}"
            warnings.warn(f"Step {step.name!r} was {said}. {_OVER_PACKAGES}", ConsistWarning, stacklevel=2)

    def directory_of(self, step: Step, key: str) -> Path:
        """The run's own folder: unique per attempt, unless the user's function says otherwise."""
        outputs = Path(self.uris.run_dir) / "outputs"
        if self.subdir_of is None:
            return outputs / safe_name(step.model) / key
        name = self.subdir_of(provisional_run(step, key))
        if not isinstance(name, str):
            raise UsageTypeError(f"run_subdir_fn must return a str, not {type(name).__name__}.")
        return inside(outputs, name.strip("/") or key, name)

    def _arguments(self, attempt: Attempt) -> dict[str, Any]:
        step, plan = attempt.step, attempt.step.plan
        if step.fingerprint.digest is not None and step.cache_mode != "readonly":  # else nobody will reuse it
            attempt.comparison = Comparison(step.args.fn, step.handed, step.unread, self.project.masker.plain)
        return plan.arguments(RunContext(attempt.active), attempt.staged) if plan is not None else {}

    # ------------------------------------------------------------ end

    def ending(self, attempt: Attempt) -> Ending:
        """The block of an attempt."""
        return Ending(attempt, self.queries, self.hooks)

    def reuse(self, attempt: Attempt, hit: Hit) -> RunResult:
        """The result of a hit."""
        run, outputs = attempt.active.run, attempt.hit_outputs(hit)  # of `run` it is complete since its start
        if attempt.step.args.kind == "run" and (states := random_states(hit.reads)):
            restore_random(states)  # later steps draw what they would have drawn
        if not attempt.ended:
            attempt.journal.record(attempt.hit_completed(hit), commit=True)
            attempt.ended = True
            run = self.queries.run_by_key(attempt.key)
        self.hooks.completed(run, outputs)
        return RunResult(run, outputs, cache_hit=True)

    def finish(self, attempt: Attempt, outputs: dict[str, Artifact], scope: Scope) -> RunResult:
        """Record what the step made and that it ended well."""
        observed = Observed() if self.observer is None else self.observer.end(attempt, scope.defaults, scope.around)
        changes = attempt.comparison.changes() if attempt.comparison is not None else Changes()
        event = self._completed(attempt, outputs, observed, changes)
        drafts = attempt.coupler_drafts(event.outputs)
        if observed.event is not None and not self.queries.reads_known(observed.event.digest):
            drafts += attempt.journal.drafts(observed.event)
        drafts += attempt.journal.drafts(event)
        self.project.record(drafts, commit=True)
        attempt.ended = True
        run = self.queries.run_by_key(attempt.key)
        self.hooks.completed(run, outputs)
        self._warn_unidentified(attempt.step)
        self._warn_of_reads(attempt.step, observed)
        self._warn_changed(attempt.step, changes)
        return RunResult(run, outputs)

    def _warn_of_reads(self, step: Step, observed: Observed) -> None:
        """Say once of a step what it read without declaring it, and what could not be watched."""
        if step.name in self.told_of_reads or not self.use_cache or step.fingerprint.digest is None:
            return
        for text in observed.warnings(step.name):
            self.told_of_reads.add(step.name)
            warnings.warn(text, ConsistWarning, stacklevel=2)

    def _warn_unidentified(self, step: Step) -> None:
        """Say once of a step that it will never be reused, though reuse was asked for."""
        info, wanted = step.fingerprint, self.use_cache and step.cache_mode == "reuse" and step.args.kind == "run"
        if not wanted or info.digest is not None or step.name in self.unidentified:
            return
        self.unidentified.add(step.name)
        warnings.warn(
            f"Step {step.name!r} will be computed every time, for its work cannot be identified: {info.unstable[0]}. "
            "run.why() says all of it.",
            ConsistWarning,
            stacklevel=2,
        )

    def _warn_changed(self, step: Step, changes: Changes) -> None:
        """Say once of a step what it changed that a hit cannot put back, or that not all was compared."""
        if not (changes.lost or changes.over) or not self.use_cache or step.name in self.unidentified:
            return
        self.unidentified.add(step.name)
        warnings.warn(changes.warning(step.name), ConsistWarning, stacklevel=2)

    def _completed(
        self, attempt: Attempt, outputs: Mapping[str, Artifact], observed: Observed, changes: Changes
    ) -> StepCompleted:
        step = attempt.step
        expected = dict.fromkeys((*step.declared, *attempt.active.absent))
        missing = [key for key in expected if key not in outputs]
        reason = self._not_reusable(step, attempt.active, missing) or observed.problem or changes.problem
        return StepCompleted(
            seconds=attempt.seconds,
            outputs=links(outputs),
            all_outputs=attempt.active.output_links(),
            missing=missing,
            fingerprint=step.fingerprint.digest,
            reusable=reason is None,
            reason=reason,
            observed=attempt.active.observations.seen,
            reads=None if observed.event is None else observed.event.digest,
            effects=changes.effects,
        )

    def _not_reusable(self, step: Step, active: ActiveRun, missing: Sequence[str]) -> str | None:
        """Why a completed run must not answer for a later one, or None."""
        if step.fingerprint.digest is None:
            return "its identity is not known: " + "; ".join(step.fingerprint.unstable)
        if step.cache_mode == "readonly":
            return "cache_mode='readonly' keeps nothing"
        if missing:
            return f"declared outputs are missing: {', '.join(missing)}"
        if absent := [item.key for item in active.outputs.values() if item.artifact.hash is None]:
            return f"outputs were logged that are not there: {', '.join(absent)}"
        if absent := [item.role for item in active.late_inputs if not item.digest]:
            return f"inputs were logged that are not there: {', '.join(absent)}"
        if beside := active.observations.beside:
            return f"it read {', '.join(beside)} while it ran: give it what it needs as inputs or config"
        return self._changed(step, active)

    def _changed(self, step: Step, active: ActiveRun) -> str | None:
        """What changed while a step ran, so that the run must not answer for a later one; or None."""
        if changed := changed_objects(step.code, step.project_root):
            return f"it changed {', '.join(changed)}, which a hit would not: make it inside the step, or return it"
        if changed := changed_since((*step.inputs, *active.late_inputs), self.digester):
            return f"inputs changed while the step ran: {', '.join(changed)}"
        known, given = step.fingerprint.identity_inputs, step.args.identity_inputs
        if changed := identity_changed(known, given, step.project_root, self.digester):
            return f"identity inputs changed while the step ran: {', '.join(changed)}"
        if step.adapter is not None and (changed := step.adapter.changes()):
            return f"config files changed while the step ran: {', '.join(changed)}"
        return None


def _loop_is_running() -> bool:
    """Whether waiting here would hold up a loop of tasks: what is waited for may be one of them."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
