"""Events of one attempt at a step: its start, the lookup's outcome, its end."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.cache.lookup import Hit, Miss
from consist_es.events import (
    CacheHit,
    CacheMissed,
    ErrorInfo,
    Event,
    KeyCarriedOver,
    OutputLink,
    StepCompleted,
    StepFailed,
    StepStarted,
)
from consist_es.execution.witness import Witness
from consist_es.identity.left_out import left_out
from consist_es.runs.run import Run
from consist_es.steps.outputs import in_declared_order
from consist_es.steps.step import Step
from consist_es.text import readable


def started_event(
    step: Step,
    *,
    parent: str | None,
    options: Mapping[str, Any],
    run_dir: str,
    artifact_dir: str,
    environment: str,
    place: tuple[str | None, str | None] = (None, None),
) -> StepStarted:
    """The start event: all that is known before the call; `options` are added to the step's own, `place` is its sweep
    and row."""
    args = step.args
    version = args.facet_schema_version
    return StepStarted(
        run_id=step.run_id,
        name=step.name,
        model=step.model,
        kind=args.kind,
        function=step.function,
        parent=parent,
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
        options={**step.options, **options},
        run_dir=run_dir,
        artifact_dir=artifact_dir,
        environment=environment,
        sweep=place[0],
        row=place[1],
    )


def verdict_events(step: Step, verdict: Hit | Miss) -> list[Event]:
    """The lookup's outcome, with its reason. Adds `KeyCarriedOver` the first time that runs with the earlier version's
    fingerprint answer for this one."""
    if isinstance(verdict, Miss):
        reason, nearest = verdict.reason, verdict.nearest
        differences = [msgspec.structs.replace(item, text="") for item in verdict.differences]
        missed = CacheMissed(
            reason=reason, nearest=nearest, differs=verdict.differs, details=verdict.details, differences=differences
        )
        return [missed]
    hit = CacheHit(
        source=verdict.source,
        validation=verdict.validation,
        outputs=links(hit_outputs(step, verdict)),
        accepted=verdict.accepted,
        carried_over=verdict.carried_over,
        packages=verdict.packages,
        left_out=left_out(step.fingerprint.code_mode, step.fingerprint.code_parts),
        drift=verdict.drift,
        copies={key: item.there.container_uri for key, item in verdict.recovered.items() if item.there is not None},
    )
    info = step.fingerprint
    if not verdict.claims or info.digest is None or info.before is None:
        return [hit]
    return [hit, KeyCarriedOver(fingerprint=info.digest, before=info.before)]


def hit_outputs(step: Step, hit: Hit) -> dict[str, Artifact]:
    """The outputs that a hit gives: the same keys in the same order as on the miss."""
    return in_declared_order(hit.outputs, step.declared)


def hit_completed(step: Step, hit: Hit, seconds: float) -> StepCompleted:
    """The end event of a hit. Effects for `run` only: a block's body runs anyway and makes its own."""
    return StepCompleted(
        seconds=seconds,
        outputs=links(hit_outputs(step, hit)),
        all_outputs=links(hit.all_outputs),
        fingerprint=step.fingerprint.digest,
        reason="it is a hit; the run it came from is the one to reuse",
        effects=[msgspec.structs.replace(effect, value=None) for effect in hit.effects if step.args.kind == "run"],
    )


def failed_event(
    error: BaseException, seconds: float, mask: Callable[[str], str], witness: Witness | None = None
) -> StepFailed:
    """The end event of a run that raised; `witness` knows what it printed and took, if its function was called."""
    status = "failed" if isinstance(error, Exception) else "interrupted"
    log, taken = (None, None) if witness is None else (witness.log, witness.taken)
    return StepFailed(status=status, seconds=seconds, error=error_info(error, mask), log=log, resources=taken)


def links(outputs: Mapping[str, Artifact]) -> list[OutputLink]:
    """Output links of artifacts by key."""
    return [OutputLink(key=key, artifact=str(artifact.id)) for key, artifact in outputs.items()]


def error_info(error: BaseException, mask: Callable[[str], str]) -> ErrorInfo:
    """An exception as masked text. If its `__str__` fails, type and traceback are recorded all the same."""
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001  the user's __str__ may raise anything
        message = f"(its text is not available: {type(broken).__name__})"
    try:
        trace: str | None = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  the same, from inside the formatter
        trace = None
    return ErrorInfo(
        type=type(error).__qualname__, message=_clean(mask(message)), traceback=trace and _clean(mask(trace))
    )


def kept(directory: Path, made: Sequence[Path]) -> list[str]:
    """Paths of the outputs that a run has made so far: its folder, and those of `made` outside it."""
    inside = [directory] if directory.is_dir() and any(directory.iterdir()) else []
    outside = [path for path in made if directory not in path.parents and os.path.lexists(path)]
    return list(map(str, (*inside, *dict.fromkeys(outside))))


_LONGEST = 100_000
"""Characters kept of a message or traceback: an event that is too large is refused, and the run would have no end."""


def _clean(text: str) -> str:
    """Text that the log can hold: lone surrogates escaped, the middle of a huge text cut out."""
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
    return readable(text)


def provisional_run(step: Step, key: str) -> Run:
    """The run as known before it starts, for `run_subdir_fn`."""
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
