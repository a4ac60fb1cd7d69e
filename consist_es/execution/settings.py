"""The project and settings that all steps of a tracker share, and the cache lookup."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap, inside
from consist_es.cache.ask import ask
from consist_es.cache.lookup import Hit, Miss, Question
from consist_es.cache.trust import Trust
from consist_es.cache.vouch import Voucher
from consist_es.checks import safe_name
from consist_es.errors import UsageTypeError
from consist_es.events import Cursor, Effect
from consist_es.execution.attempt_events import provisional_run
from consist_es.execution.hooks import Hooks
from consist_es.execution.observed import Surroundings
from consist_es.execution.put_back import PutBack
from consist_es.execution.sources import SourceKeeper
from consist_es.execution.step_warnings import Warned
from consist_es.execution.watch import Observer
from consist_es.project.project import Project
from consist_es.projections import near
from consist_es.runs.queries import Queries
from consist_es.runs.step_logs import place_of
from consist_es.steps.options import NOT_ASKED
from consist_es.steps.step import Step, StepDefaults
from consist_es.views.tables import reached

Verdict = tuple[Hit | Miss, Cursor]
"""The cache's verdict, and how far the views that gave it had read the log."""


class Scope(msgspec.Struct, frozen=True):
    """Where a step runs: alone, or in a scenario."""

    defaults: StepDefaults
    scenario: str | None = None
    """Key of the scenario's header run."""
    coupler: Mapping[str, Any] | None = None
    around: Surroundings | None = None
    """The parts of its scenario that the step can read."""
    sweep: str | None = None
    """Key of the sweep that the step is a row of."""
    row: str | None = None
    """Id of that row."""
    sets_coupler: bool = True
    """False: another process keeps the scenario's coupler."""


@dataclass(slots=True)
class Settings:
    """The project and settings of a tracker."""

    project: Project
    queries: Queries
    uris: UriMap
    digester: Digester
    hooks: Hooks
    owner: Any
    """Returned by `current_tracker` inside a step; opaque here."""
    access_mode: str = "standard"
    use_cache: bool = True
    subdir_of: Callable[[Any], str] | None = None
    allow_external_paths: bool = False
    trust: Trust | None = None
    """Users that are trusted; None: all."""
    carry_over: bool = True
    """Accept runs recorded under version 1 of the fingerprint."""
    observer: Observer | None = None
    """Observes the undeclared reads of steps; None if off."""
    capture_log: bool = True
    """Keep what steps print."""
    sources: SourceKeeper | None = None
    """Records source texts; None if they are not to be recorded."""
    schemas: Mapping[str, Any] = field(default_factory=dict)
    """Schemas that the tracker was given, by name and table."""
    last: str | None = None
    """Key of the run that ended last."""
    warned: Warned = field(default_factory=Warned)

    _voucher: Voucher = field(init=False)

    def __post_init__(self) -> None:
        self._voucher = Voucher(self.project.log, writers=self.trust is not None)

    def look_up(self, step: Step, scope: Scope) -> Verdict:
        """The cache's verdict."""
        if not self.use_cache or step.cache_mode in NOT_ASKED:
            reason = "cache_mode_overwrite" if self.use_cache else "tracking_off"
            return Miss(reason), reached(self.project.views_as_seen())
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
        conn = self.project.connection()
        seen = reached(conn)
        return ask(self.project, conn, question, self.uris, self.digester), seen

    def computing(self, step: Step) -> str | None:
        """The process or run computing the same work now, or None."""
        project, digest = self.project, step.fingerprint.digest or ""
        if (who := project.log.holder(digest)) is not None:
            return who
        row = near.same_work(project.connection(), digest)
        running = row is not None and row.status == "running" and not project.is_gone(row)
        return f"run {row.id}" if row is not None and running else None

    def put_back(self, step: Step, effects: Sequence[Effect]) -> PutBack:
        """The earlier run's changes to objects, for a hit to replay."""
        return PutBack(effects, step.args.fn, step.handed, self.project.masker.plain)

    def directory_of(self, step: Step, key: str) -> Path:
        """The run's own folder: unique per attempt, unless `run_subdir_fn` chooses another."""
        if self.subdir_of is None:
            return Path(self.uris.run_dir, "outputs", safe_name(step.model), key)
        name = self.subdir_of(provisional_run(step, key))
        if not isinstance(name, str):
            raise UsageTypeError(f"run_subdir_fn must return a str, not {type(name).__name__}.")
        return inside(Path(self.uris.run_dir, "outputs"), name.strip("/") or key, name)

    def log_of(self, step: Step, key: str) -> Path | None:
        """The file for what a run prints; None if it is not kept."""
        asked = step.args.execution_options.capture_log
        return place_of(self.uris.run_dir, key) if self.capture_log and asked is not False else None

    def _reads_every_output(self, asked: str | None) -> bool:
        """Re-hash every output if `strict`, or if nothing was asked and writers are restricted."""
        # file times of untrusted users are not trusted either
        return asked == "strict" or (asked is None and self.trust is not None)
