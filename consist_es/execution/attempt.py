"""One execution of a step while it is going on, and the events that tell of it."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.snapshot import Snapshot
from consist_es.cache.compute_once import Turn
from consist_es.cache.lookup import Hit, Miss
from consist_es.events import (
    ArtifactMaterialized,
    CacheHit,
    CacheMissed,
    CouplerSet,
    Cursor,
    Draft,
    ErrorInfo,
    KeyCarriedOver,
    OutputLink,
    StepCompleted,
    StepFailed,
    StepStarted,
)
from consist_es.execution.active import ActiveRun
from consist_es.execution.effects import Comparison
from consist_es.execution.hydrate import Hydrated
from consist_es.execution.journal import Journal
from consist_es.identity.code.left_out import left_out
from consist_es.observe.watch import Watch
from consist_es.runs.run import Run
from consist_es.steps.outputs import in_declared_order
from consist_es.steps.step import Step
from consist_es.text import readable


class Attempt:
    """A step with the cache's verdict on it; knows which of its events are in the log."""

    def __init__(
        self,
        step: Step,
        verdict: Hit | Miss,
        journal: Journal,
        key: str,
        parent: str | None,
        *,
        directory: Path,
        seen: Cursor,
    ) -> None:
        self.step = step
        self.verdict = verdict
        self.copies: list[ArtifactMaterialized] = []
        self.staged: dict[str, Path] = {}
        self.directory = directory
        self.seen = seen
        """The end of the log before the look-up."""
        self.turn: Turn | None = None
        """The right to compute, where it was asked for."""
        self.journal = journal
        self.key = key
        self.parent = parent
        self.snapshot: Snapshot | None = None
        self.observer: Watch | None = None
        """Notes what the step reads by itself."""
        self.watched: dict[str, Any] = {}
        """How, if not in the default way: recorded among the options."""
        self.beside: list[str] = []
        """Keys of the runs that had not ended when it started."""
        self.comparison: Comparison | None = None
        """What the function could reach before it was called."""
        self.ended = False
        """The log has the end."""
        self._active: ActiveRun | None = None
        self._began = time.monotonic()

    @property
    def active(self) -> ActiveRun:
        """The run, once it has started."""
        if self._active is None:
            raise RuntimeError(f"run {self.key} has not started")  # a mistake of ours, never the caller's
        return self._active

    @active.setter
    def active(self, active: ActiveRun) -> None:
        self._active = active

    @property
    def seconds(self) -> float:
        """Since the attempt was made; monotonic."""
        return time.monotonic() - self._began

    @property
    def puts_back(self) -> bool:
        """Whether a hit changes what the earlier run changed: the body of a block does so itself."""
        return self.step.args.kind == "run"

    @property
    def can_answer(self) -> bool:
        """Whether a later step may reuse what it makes, as far as is known when it starts."""
        return self.step.fingerprint.digest is not None and self.step.cache_mode != "readonly"

    @property
    def hit(self) -> Hit | None:
        """The earlier run that answers, as long as it counts."""
        if isinstance(self.verdict, Miss) or (self._active is not None and not self._active.is_cached):
            return None
        return self.verdict

    def hit_outputs(self, hit: Hit) -> dict[str, Artifact]:
        """What the caller gets of a hit: the same keys in the same order as on the miss."""
        return in_declared_order(hit.outputs, self.step.declared)

    def decided(self, hydrated: Hydrated) -> None:
        """Take over the verdict as it is once files were copied."""
        self.verdict, self.copies, self.staged = hydrated.verdict, hydrated.events, hydrated.staged

    def kept(self) -> list[str]:
        """Where the outputs are that the run has made so far: its folder, and files outside it."""
        if self._active is None:
            return []
        inside = [self.directory] if self.directory.is_dir() and any(self.directory.iterdir()) else []
        outside = [path for path in self._active.made if self.directory not in path.parents and os.path.lexists(path)]
        return list(map(str, (*inside, *dict.fromkeys(outside))))

    def close(self) -> None:
        """Refuse further use of the run, and let a process that waits for its result go on."""
        if self._active is not None:
            self._active.close()
        self.stop_watching()
        if self.turn is not None:
            self.turn.end()

    def stop_watching(self) -> None:
        """The function has returned, or the block has ended."""
        if self.observer is not None:
            self.observer.stop()

    # ------------------------------------------------------------ its events

    def started_event(self, environment: str, artifact_dir: str, writes: Mapping[str, Any]) -> StepStarted:
        """Everything known before the function is called."""
        step, args = self.step, self.step.args
        version = args.facet_schema_version
        return StepStarted(
            run_id=step.run_id,
            name=step.name,
            model=step.model,
            kind=args.kind,
            function=step.function,
            parent=self.parent,
            description=args.description,
            year=args.year,
            iteration=args.iteration,
            phase=args.phase,
            stage=args.stage,
            tags=step.tags,
            config=step.config_plain,
            facet=step.facet,
            facet_schema_version=None if version is None else str(version),
            meta={} if step.adapter is None else step.adapter.meta,
            inputs=[item.link() for item in step.inputs],
            fingerprint=step.fingerprint,
            declared=list(step.declared),
            cache_mode=step.cache_mode,
            options={**step.options, **self.watched, **writes},
            run_dir=self.journal.uris.root,
            artifact_dir=artifact_dir,
            environment=environment,
        )

    def verdict_event(self) -> CacheHit | CacheMissed:
        """The outcome of the look-up, with its reason."""
        verdict = self.verdict
        if isinstance(verdict, Hit):
            outputs = links(self.hit_outputs(verdict))
            return CacheHit(
                source=verdict.source,
                validation=verdict.validation,
                outputs=outputs,
                accepted=verdict.accepted,
                carried_over=verdict.carried_over,
                packages=verdict.packages,
                left_out=left_out(self.step.fingerprint.code_mode),
            )
        return CacheMissed(
            reason=verdict.reason, nearest=verdict.nearest, differs=verdict.differs, details=verdict.details
        )

    def carried_over(self) -> list[KeyCarriedOver]:
        """Says, the first time, that runs with the earlier version's fingerprint answer for this one from now on."""
        info = self.step.fingerprint
        if self.hit is None or not self.hit.claims or info.digest is None or info.before is None:
            return []
        return [KeyCarriedOver(fingerprint=info.digest, before=info.before)]

    def hit_completed(self, hit: Hit) -> StepCompleted:
        """The end of a run that an earlier one answers for."""
        return StepCompleted(
            seconds=self.seconds,
            outputs=links(self.hit_outputs(hit)),
            all_outputs=links(hit.all_outputs),
            fingerprint=self.step.fingerprint.digest,
            reason="it is a hit; the run it came from is the one to reuse",
            effects=[msgspec.structs.replace(effect, value=None) for effect in hit.effects if self.puts_back],
        )

    def failed_event(self, error: BaseException) -> StepFailed:
        """The end of a run by an exception."""
        status = "failed" if isinstance(error, Exception) else "interrupted"
        return StepFailed(
            status=status, seconds=self.seconds, error=error_info(error, self.journal.project.masker.error)
        )

    def coupler_drafts(self, outputs: list[OutputLink]) -> list[Draft]:
        """The outputs under their names in the scenario's coupler; none outside a scenario."""
        if self.journal.scenario is None:
            return []
        return self.journal.drafts(*(CouplerSet(key=link.key, artifact=link.artifact) for link in outputs))


def links(outputs: Mapping[str, Artifact]) -> list[OutputLink]:
    """Artifacts by key as links."""
    return [OutputLink(key=key, artifact=str(artifact.id)) for key, artifact in outputs.items()]


def error_info(error: BaseException, mask: Callable[[str], str]) -> ErrorInfo:
    """An exception as text, without the secrets in it; one whose own text cannot be had never hides what happened."""
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  the user's __str__ may raise anything
        message = f"(its text cannot be had: {type(broken).__name__})"
    try:
        trace: str | None = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  the same, from inside the formatter
        trace = None
    return ErrorInfo(
        type=type(error).__qualname__, message=_clean(mask(message)), traceback=trace and _clean(mask(trace))
    )


_LONGEST = 100_000
"""Characters kept of a message or traceback: one larger than an event may be would leave the run without an end."""


def _clean(text: str) -> str:
    """Text that the log can hold: lone surrogates are shown as escapes, and of a huge text its two ends."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
    return readable(text)


def provisional_run(step: Step, key: str) -> Run:
    """A run as far as it is known before it starts, for functions that choose its folder."""
    args = step.args
    return Run(
        id=step.run_id,
        key=key,
        run_id=step.run_id,
        attempt=1,
        kind=args.kind,
        name=step.name,
        model_name=step.model,
        status="running",
        year=args.year,
        iteration=args.iteration,
        phase=args.phase,
        stage=args.stage,
        tags=step.tags,
        config=args.config,
    )
