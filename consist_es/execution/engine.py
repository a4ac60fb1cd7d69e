"""One step, from its arguments to its result: prepare, look up, execute or reuse, record.

Everything that can go wrong before the function is called goes wrong before anything is recorded. From the first
event on, every way out is recorded too.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.materialize import Copier
from consist_es.artifacts.snapshot import Snapshot
from consist_es.artifacts.uris import UriMap, inside
from consist_es.cache.ask import ask
from consist_es.cache.compute_once import Turn
from consist_es.cache.lookup import NOT_PUT_BACK, Hit, Miss, Question
from consist_es.cache.reads import random_states
from consist_es.cache.trust import Trust
from consist_es.cache.vouch import Voucher
from consist_es.checks import safe_name
from consist_es.errors import (
    AccessModeError,
    PathError,
    RunActiveError,
    UsageTypeError,
)
from consist_es.events import Effect, StepCompleted
from consist_es.execution.active import ActiveRun
from consist_es.execution.attempt import Attempt, links, provisional_run
from consist_es.execution.collect import collect, found_before
from consist_es.execution.contested import Rival, declared_writes, rivals
from consist_es.execution.current import Frame, Pushed, starts_steps, top
from consist_es.execution.effects import Changes, Comparison
from consist_es.execution.ending import Ending
from consist_es.execution.hit_warnings import tell_of_hit
from consist_es.execution.hooks import Hooks
from consist_es.execution.hydrate import Hydrated, hydrate
from consist_es.execution.journal import Journal
from consist_es.execution.observed import Observations, Surroundings
from consist_es.execution.passed_on import listed, passed_on
from consist_es.execution.put_back import Obstacle, PutBack
from consist_es.execution.reusable import not_reusable
from consist_es.execution.run_context import RunContext
from consist_es.execution.warnings import Warned
from consist_es.execution.watch import Observed, Observer
from consist_es.execution.workers import take_in
from consist_es.observe.generators import restore_random
from consist_es.project.project import Project
from consist_es.projections import run_table
from consist_es.runs.queries import Queries
from consist_es.runs.run import RunResult
from consist_es.steps.inputs import Sources
from consist_es.steps.options import StepArguments
from consist_es.steps.step import Step, StepDefaults, prepare

_RUN = ", run "


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
    warned: Warned = field(default_factory=Warned)

    _voucher: Voucher = field(init=False)

    def __post_init__(self) -> None:
        self._voucher = Voucher(self.project.log, writers=self.trust is not None)

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
        take_in(attempt.active, attempt.seen)
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
            raise RunActiveError(current.run.id)
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
        who = f"{self.project.log.writer}{_RUN}{attempt.key}"
        storage, folder = self.project.storage, self.project.folder / "turns"
        attempt.turn = Turn(folder, digest, storage, who=who, step=step.name, is_dead=self._is_dead)
        return attempt.turn

    def _is_dead(self, who: str) -> bool:
        """Whether the process that has a turn is gone, as far as its run's start tells."""
        row = run_table.by_key(self.project.connection(), who.rpartition(_RUN)[2])
        return row is not None and (row.status == "abandoned" or self.project.is_gone(row))

    def _look_again(self, attempt: Attempt, scope: Scope) -> None:
        """With the turn in hand: somebody may have computed the step since the first look."""
        if self.project.log.head() != attempt.seen:
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
            reads=None if self.observer is None else self.observer.now(step, scope.defaults),
            packages=scope.defaults.packages,
            voucher=self._voucher,
        )
        return ask(self.project, question, self.uris, self.digester)

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
        writes = declared_writes(step, attempt.key, directory, self.uris, scope.coupler)
        environment, drafts = self.project.environment(scope.defaults.project_root)
        drafts += journal.drafts(
            attempt.started_event(environment, self.uris.uri(directory), writes),
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
        before = run_table.beginning(self.project.views_as_seen(), step.run_id)
        first = self.project.record(drafts, commit=ends)
        attempt.ended = ends
        run_id, attempt.beside = before.id, before.going_on
        if first != before.seq + 1:  # something was recorded that these views did not have
            conn = self.project.connection()
            run_id, attempt.beside = run_table.id_of(conn, attempt.key), run_table.going_on(conn)
        attempt.active = ActiveRun(
            attempt.key,
            run_id,
            lambda: self.queries.run_by_key(attempt.key),
            kind=step.args.kind,
            journal=journal,
            digester=self.digester,
            directory=directory,
            inputs=step.inputs,
            config=step.args.config,
            cached=attempt.hit_outputs(hit) if hit is not None else None,
            canonicalization=None if step.adapter is None else step.adapter.snapshot,
        )
        attempt.active.observations = Observations(scope.around, attempt.key)
        attempt.active.found = found_before(step, directory, self.uris, scope.coupler)
        if self.hooks.on_start:
            self.hooks.started(attempt.active.run)
        if hit is not None:
            tell_of_hit(step, hit)

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
        if attempt.can_answer:
            attempt.comparison = Comparison(step.args.fn, step.handed, step.unread, self.project.masker.plain)
        return plan.arguments(RunContext(attempt.active), attempt.staged) if plan is not None else {}

    # ------------------------------------------------------------ end

    def ending(self, attempt: Attempt) -> Ending:
        """The block of an attempt."""
        return Ending(attempt, self.queries, self.hooks)

    def reuse(self, attempt: Attempt, hit: Hit) -> RunResult:
        """The result of a hit."""
        outputs = attempt.hit_outputs(hit)
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
        others = self._rivals(attempt)
        old = passed_on(self.project.views_as_seen(), attempt.step, attempt.active)
        event = self._completed(attempt, outputs, observed, changes, others, old)
        drafts = attempt.coupler_drafts(event.outputs)
        if observed.event is not None and not self.queries.reads_known(observed.event.digest):
            drafts += attempt.journal.drafts(observed.event)
        drafts += attempt.journal.drafts(event)
        drafts += [draft for rival in others for draft in rival.doubt(attempt.key)]
        self.project.record(drafts, commit=True)
        attempt.ended = True
        run = self.queries.run_by_key(attempt.key)
        self.hooks.completed(run, outputs)
        if self.use_cache:
            self.warned.end(attempt.step, event, observed, changes, others, old)
        return RunResult(run, outputs)

    def _rivals(self, attempt: Attempt) -> list[Rival]:
        """The other runs that wrote the same places meanwhile."""
        made = [(item.key, item.artifact, item.path) for item in attempt.active.outputs.values()]
        return rivals(self.project.connection, attempt.key, attempt.directory, made, attempt.beside, self.uris)

    def _completed(
        self,
        attempt: Attempt,
        outputs: Mapping[str, Artifact],
        observed: Observed,
        changes: Changes,
        others: Sequence[Rival],
        old: Mapping[str, str],
    ) -> StepCompleted:
        step = attempt.step
        expected = dict.fromkeys((*step.declared, *attempt.active.absent))
        missing = [key for key in expected if key not in outputs]
        reason = not_reusable(step, attempt.active, missing, self.digester) or observed.problem or changes.problem
        reason = reason or next((rival.said() for rival in others), None)
        reason = reason or (f"it did not write its outputs: {listed(old)}" if old else None)
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
            logged_inputs=[item.link() for item in attempt.active.late_inputs],
        )


def _loop_is_running() -> bool:
    """Whether waiting here would hold up a loop of tasks: what is waited for may be one of them."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
