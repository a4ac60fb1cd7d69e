"""One execution of a step: started, then reused or computed, then completed or failed. Every ending is logged."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.snapshot import Snapshot
from consist_es.cache.lookup import Hit, Miss
from consist_es.cache.reads import random_states
from consist_es.errors import ConsistError, LogWriteError
from consist_es.events import ArtifactMaterialized, CouplerSet, Draft, Event, OutputLink, StepCompleted
from consist_es.execution.active import ActiveRun
from consist_es.execution.attempt_events import (
    failed_event,
    hit_completed,
    hit_outputs,
    kept,
    links,
    started_event,
    verdict_events,
)
from consist_es.execution.collect import collect, found_before
from consist_es.execution.contested import Rival, declared_writes, rivals
from consist_es.execution.effects import Changes, Comparison
from consist_es.execution.hit_warnings import tell_of_hit
from consist_es.execution.hydrate import hydrate
from consist_es.execution.journal import Begun, Journal
from consist_es.execution.observed import Observations
from consist_es.execution.passed_on import listed, passed_on
from consist_es.execution.replay import replay
from consist_es.execution.reusable import not_reusable
from consist_es.execution.run_context import RunContext
from consist_es.execution.settings import Scope, Settings, Verdict
from consist_es.execution.watch import Observed
from consist_es.execution.witness import Witness
from consist_es.execution.workers import take_in
from consist_es.identity.live import cached_results, left_behind
from consist_es.log.engine import Claim
from consist_es.observe.generators import restore_random
from consist_es.observe.watch import Watch
from consist_es.projections import cache_index, run_beginnings, run_table
from consist_es.runs.run import RunResult
from consist_es.steps.options import NOT_KEPT
from consist_es.steps.step import Step
from consist_es.system.with_block import WithBlock
from consist_es.text import noted, shown

if TYPE_CHECKING:
    from consist_es.execution.restore import Restoring

_RUN = ", run "


class Attempt(WithBlock["Attempt"]):
    """A step with the cache's verdict on it. As a context manager: records an exception, and closes the run."""

    def __init__(
        self, settings: Settings, scope: Scope, step: Step, key: str, parent: str | None, verdict: Verdict | None = None
    ) -> None:
        """`verdict`: one that stands until `look_again`, instead of a lookup now."""
        self.step, self.scope = step, scope
        self._settings, self._project, self._key, self._parent = settings, settings.project, key, parent
        self._journal = Journal(self._project, settings.uris, scope.scenario, key)
        self._verdict, self._seen = verdict or settings.look_up(step, scope)
        """The lookup's verdict, and how far the log had been read for it."""
        self._directory = settings.directory_of(step, key)
        self._turn: Claim | None = None
        """The right to compute, if it was asked for."""
        self._staged: dict[str, Path] = {}
        """Input role -> path of its staged copy."""
        self._restoring: Restoring | None = None
        """Outputs of a hit to put back in their places from recovery copies."""
        self._snapshot: Snapshot | None = None
        self._watch: Watch | None = None
        """Observes the step's undeclared reads."""
        self._witness: Witness | None = None
        """Keeps what the step prints, and measures what it takes."""
        self._beside: list[str] = []
        """Keys of the runs still open when it started."""
        self.comparison: Comparison | None = None
        """Snapshot of what the function can reach, taken before the call."""
        self._ended = False
        """True once the run's end is logged."""
        self._running = left_behind.Running()
        self._active: ActiveRun | None = None
        self._began = time.monotonic()

    @property
    def active(self) -> ActiveRun:
        """The run, once it has started."""
        if self._active is None:
            raise RuntimeError(f"run {self._key} has not started")  # a bug of ours, never the caller's mistake
        return self._active

    @property
    def hit(self) -> Hit | None:
        """The hit; None on a miss, or after it was demoted."""
        if isinstance(self._verdict, Miss) or (self._active is not None and not self._active.is_cached):
            return None
        return self._verdict

    @property
    def can_answer(self) -> bool:
        """True if a later step may reuse this run, as far as is known when it starts."""
        return self.step.fingerprint.digest is not None and self.step.cache_mode not in NOT_KEPT

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    # ------------------------------------------------------------ before

    def turn_to_wait_for(self) -> Claim | None:
        """The turn to wait for before computing; None on a hit, or if no other run could reuse the result."""
        step, digest, project = self.step, self.step.fingerprint.digest, self._project
        wanted = step.args.cache_options.compute_once is not False and step.cache_mode == "reuse"
        if self.hit or digest is None or not (wanted and self._settings.use_cache):
            return None
        who = f"{project.log.writer}{_RUN}{self._key}"
        self._turn = project.log.claim(digest, who, step=step.name, is_dead=self._is_dead)
        return self._turn

    def _is_dead(self, who: str) -> bool:
        """True if the process that holds a turn is gone, judging by its run."""
        row = run_table.by_key(self._project.connection(), who.rpartition(_RUN)[2])
        return row is not None and (row.status == "abandoned" or self._project.is_gone(row))

    def look_again(self) -> None:
        """Repeat the lookup once the turn is held: another process may have computed the step meanwhile."""
        if self._project.log.head() != self._seen:
            self._verdict, self._seen = self._settings.look_up(self.step, self.scope)

    # ------------------------------------------------------------ start

    def start(self) -> RunResult | None:
        """Record the start and the lookup's outcome. A hit of `run` ends here and gives its result; otherwise None."""
        step, settings, directory = self.step, self._settings, self._directory
        copies = self._hydrated()
        if (hit := self.hit) is not None and hit.effects and step.args.kind == "run":
            self._verdict = replay(hit, step, settings, self.scope) or hit
        hit, ready = self.hit, None if self._restoring is None else self._restoring.of(self.hit)
        if step.args.capture_dir is not None:
            folder = Path(os.path.abspath(step.args.capture_dir))
            self._snapshot = Snapshot.take(folder, step.args.capture_pattern)
        conn = self._project.views_as_seen()
        environment, drafts = self._project.environment(self.scope.defaults.project_root, conn)
        at_once = hit is not None and step.args.kind == "run"
        ends = at_once and ready is None
        drafts += self.opening(environment, [*(() if ready is None else ready.events), *copies], conn, ends)
        before = run_beginnings.beginning(conn, step.run_id)
        first = self._project.record(drafts, commit=ends)
        self._ended = ends
        run_id, self._beside = before.id, before.going_on
        if first != before.seq + 1:  # the log has events that these views lacked
            conn = self._project.connection()
            run_id, self._beside = run_table.id_of(conn, self._key), run_beginnings.going_on(conn)
        active = self._active = ActiveRun(
            Begun(self._key, run_id, step.args.kind, partial(settings.queries.run_by_key, self._key)),
            journal=self._journal,
            digester=settings.digester,
            directory=directory,
            inputs=step.inputs,
            config=step.args.config,
            cached=None if hit is None else hit_outputs(step, hit),
            canonicalization=None if step.adapter is None else step.adapter.snapshot,
        )
        active.observations, active.schemas = Observations(self.scope.around, self._key), settings.schemas
        if step.output_paths:
            active.found = found_before(step, directory, settings.uris, self.scope.coupler)
        if settings.hooks.on_start:
            settings.hooks.started(active.run)
        if ready is not None:
            ready.place(self._key, self._seen.seq)
        if hit is not None:
            tell_of_hit(step, hit)
        return self._reuse(hit) if hit is not None and at_once else None

    def opening(self, environment: str, copies: Sequence[Event], conn: Connection | None, ends: bool) -> list[Draft]:
        """The events of the start and of the lookup's outcome; if a hit `ends` at once, also those of its end."""
        step, settings, hit = self.step, self._settings, self.hit
        events: list[Event] = [
            started_event(
                step,
                parent=self._parent,
                options=self._options(),
                run_dir=settings.uris.root,
                artifact_dir=settings.uris.uri(self._directory),
                environment=environment,
                place=(self.scope.sweep, self.scope.row),
            ),
            *(item.registration for item in step.inputs if item.registration is not None),
            *verdict_events(step, self._verdict),
            *copies,
        ]
        if hit is None and settings.sources is not None and conn is not None:
            events += settings.sources.fresh(conn, step, self.scope.defaults.project_root)
        if hit is not None:
            events += self._coupler_events(links(hit_outputs(step, hit)))
        if hit is not None and ends:
            events.append(hit_completed(step, hit, self._seconds))
        return self._journal.drafts(*events)

    def _hydrated(self) -> list[ArtifactMaterialized]:
        """Copy the files that hydration mode and staging ask for; gives the events about the copies."""
        restored = self._prepared()
        if self.step.hydration == "metadata" and not self.step.staging:
            return []
        done = hydrate(self.step, self._verdict, self._settings, self._directory, self.scope.coupler, restored)
        self._verdict, self._staged = done.verdict, done.staged
        return done.events

    def _prepared(self) -> dict[str, Path]:
        """Make the files of a hit that have to be put back from recovery copies; gives their places."""
        if isinstance(self._verdict, Miss) or not self._verdict.recovered:
            return {}
        from consist_es.execution.restore import prepare  # few hits need copies

        leave = self.step.leaves_files(self.scope.defaults)
        self._verdict, self._restoring = prepare(self._verdict, self._settings, leave=leave)
        return self._restoring.targets

    def _options(self) -> dict[str, Any]:
        """Options added to the step's own: observation of reads, and declared writes."""
        step, settings, scope = self.step, self._settings, self.scope
        watched = {} if settings.observer is None else settings.observer.options(step)
        return {**watched, **declared_writes(step, self._key, self._directory, settings.uris, scope.coupler)}

    # ------------------------------------------------------------ while it runs

    def arguments(self) -> dict[str, Any]:
        """The arguments of the call. Takes the snapshot for `comparison` first."""
        step, plan = self.step, self.step.plan
        if self.can_answer:
            fn, mask = step.args.fn, self._project.masker.plain
            self.comparison = Comparison(fn, step.handed, step.unread, mask, step.left_out)
        return plan.arguments(RunContext(self.active), self._staged) if plan is not None else {}

    def watch(self) -> None:
        """Begin to observe the step's undeclared reads, what it prints and what it takes."""
        if self.hit is None:
            place = self._settings.log_of(self.step, self._key)
            self._witness = Witness(self.active, place, self._project.masker.error)
            self._witness.prepare()
        if (observer := self._settings.observer) is not None:
            made = observer.watch(self.step, self._directory, self._staged, self.scope.defaults)
            self._watch = made  # set before begin(), so that an interrupted begin() is undone too
            if made is not None:
                made.begin()
        if self._witness is not None:
            self._witness.begin()
        self._running.begin()

    def stop_watching(self) -> None:
        """Stop observing, once the function has returned or the block has ended."""
        if self._witness is not None:
            self._witness.stop()
        if self._watch is not None:
            self._watch.stop()
        if self._witness is not None:
            self._witness.end()
        cached_results.step_ended()
        self._running.end()

    # ------------------------------------------------------------ end

    def collected(self, value: Any) -> RunResult:
        """Record what the function returned or the block made, and the run's end; gives the result."""
        self.stop_watching()
        active = self.active
        if active.told:
            take_in(active, self._seen)
        outputs = collect(self.step, active, self._snapshot, value, self.scope.coupler)
        if (hit := self.hit) is not None:
            if self._watch is not None:
                self._watch.end()  # the block ran: what it kept, later steps inherit
            return self._reuse(hit)
        return self._finish(active, outputs)

    def _reuse(self, hit: Hit) -> RunResult:
        """Complete a hit: restore random states, record the end if it is not logged yet."""
        step, outputs = self.step, hit_outputs(self.step, hit)
        if states := random_states(hit.reads):
            restore_random(states)  # later steps draw what they would have drawn
        if not self._ended:
            self._journal.record(hit_completed(step, hit, self._seconds), commit=True)
            self._ended = True
        return self._result(outputs, cache_hit=True)

    def _finish(self, active: ActiveRun, outputs: dict[str, Artifact]) -> RunResult:
        """Record the completion of a computed step, with its reads and changes."""
        step, settings = self.step, self._settings
        observed = Observed()
        if settings.observer is not None and self._watch is not None:
            observed = settings.observer.end(self._watch, step, active, self.scope.defaults, self.scope.around)
        changes = self.comparison.changes() if self.comparison is not None else Changes()
        others, old = self._rivals(active), {}
        if active.outputs:
            old = passed_on(self._project.views_as_seen(), step, active)
        end = self._completed(active, outputs, observed, changes, others, old)
        events = self._coupler_events(end.outputs)
        if observed.event is not None and not cache_index.reads_known(
            self._project.views_as_seen(), observed.event.digest
        ):
            events.append(observed.event)
        drafts = self._journal.drafts(*events, end)
        drafts += [draft for rival in others for draft in rival.doubt(self._key)]
        self._project.record(drafts, commit=True)
        self._ended = True
        result = self._result(outputs)
        if settings.use_cache:
            settings.warned.end(step, end, observed, changes, others, old)
        return result

    def _result(self, outputs: dict[str, Artifact], *, cache_hit: bool = False) -> RunResult:
        run = self._settings.queries.run_by_key(self._key)
        if self._settings.hooks.on_complete:
            self._settings.hooks.completed(run, outputs)
        return RunResult(run, outputs, cache_hit=cache_hit)

    def _rivals(self, active: ActiveRun) -> list[Rival]:
        """Other runs that wrote to the same paths meanwhile."""
        made = [(item.key, item.artifact, item.path) for item in active.outputs.values()]
        if not made:
            return []
        return rivals(self._project.connection, self._key, self._directory, made, self._beside, self._settings.uris)

    def _completed(
        self,
        active: ActiveRun,
        outputs: Mapping[str, Artifact],
        observed: Observed,
        changes: Changes,
        others: list[Rival],
        old: Mapping[str, str],
    ) -> StepCompleted:
        step = self.step
        expected = dict.fromkeys((*step.declared, *active.absent))
        missing = [key for key in expected if key not in outputs]
        reason = not_reusable(step, active, missing, self._settings.digester) or observed.problem or changes.problem
        reason = reason or next((rival.said() for rival in others), None)
        reason = reason or (f"it did not write its outputs: {listed(old)}" if old else None)
        return StepCompleted(
            seconds=self._seconds,
            outputs=links(outputs),
            all_outputs=active.output_links(),
            missing=missing,
            fingerprint=step.fingerprint.digest,
            reusable=reason is None,
            reason=reason,
            observed=active.observations.seen,
            reads=None if observed.event is None else observed.event.digest,
            effects=changes.effects,
            logged_inputs=[item.link() for item in active.late_inputs],
            log=None if self._witness is None else self._witness.log,
            resources=None if self._witness is None else self._witness.taken,
        )

    def _coupler_events(self, outputs: list[OutputLink]) -> list[Event]:
        """The outputs under their names in the scenario's coupler; none outside a scenario."""
        if self.scope.scenario is None or not self.scope.sets_coupler:
            return []
        return [CouplerSet(key=link.key, artifact=link.artifact) for link in outputs]

    # ------------------------------------------------------------ leaving it

    def _begin(self) -> Attempt:
        return self

    def _end(self, error: BaseException | None) -> None:
        self.end(error)

    def end(self, error: BaseException | None) -> None:
        """Record `error` if there is one and no end is logged yet, close the run, and give up its turn."""
        try:
            self.stop_watching()
            if error is not None:
                self._failed(error)
        finally:
            if self._active is not None:
                self._active.close()
                self._settings.last = self._key
            self.stop_watching()
            if self._restoring is not None:
                self._restoring.drop()
            if self._turn is not None:
                self._turn.end()

    def _failed(self, error: BaseException) -> None:
        if self._ended:
            return
        if isinstance(error, LogWriteError):
            error.keep(self.step.run_id, [] if self._active is None else kept(self._directory, self._active.made))
        if self._witness is not None:
            self._witness.annotate(error)
        try:
            recorded = self._record_failure(error)
        except (ConsistError, OSError) as unrecorded:
            self._ended = True  # as far as this process can tell
            noted(error, f"consist-es could not record this failure: {unrecorded}")
            if isinstance(error, LogWriteError) and str(self._directory) in error.kept:  # see `Project.attach`
                renamed = f"{self._directory.name}.abandoned"
                noted(error, shown(f"Once this process has ended, the next one renames the run's folder to {renamed}."))
            return
        if recorded and self._settings.hooks.on_failed:
            self._settings.hooks.failed(self._settings.queries.run_by_key(self._key), error)

    def _record_failure(self, error: BaseException) -> bool:
        """Record the failure if the run is open; False if it is not."""
        # ask the log, not `_ended`: an interrupt may strike just after an append
        self._ended = not self._settings.queries.is_open(self._key)
        if self._ended:
            return False
        self._journal.record(failed_event(error, self._seconds, self._project.masker.error, self._witness), commit=True)
        self._ended = True
        return True
