"""Warnings about steps that completed, most of them once per step name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consist_es.errors import ConsistWarning
from consist_es.events import StepCompleted
from consist_es.execution.contested import Rival
from consist_es.execution.effects import Changes
from consist_es.execution.passed_on import listed
from consist_es.execution.watch import Observed
from consist_es.steps.step import Step


@dataclass(slots=True)
class Warned:
    """Issues warnings and remembers which."""

    _steps: set[str] = field(default_factory=set)
    """Names of the steps warned about as computed every time, or skipped."""
    _reads: set[str] = field(default_factory=set)
    """Names of the steps warned about for undeclared reads."""

    def end(
        self,
        step: Step,
        event: StepCompleted,
        observed: Observed,
        changes: Changes,
        others: Sequence[Rival],
        old: Mapping[str, str],
    ) -> None:
        """Issue all warnings for a step that completed."""
        self._of_rivals(step, others)
        self._of_old_files(step, old)
        self._unidentified(step)
        self._without_output(step, event)
        self._of_reads(step, observed)
        self._changed(step, changes)
        self._of_log(step, event)

    @staticmethod
    def _wants_reuse(step: Step) -> bool:
        return step.cache_mode == "reuse" and step.args.kind == "run"

    def _once(self, step: Step, text: str) -> None:
        if step.name not in self._steps:
            self._steps.add(step.name)
            _say(text)

    def _of_rivals(self, step: Step, others: Sequence[Rival]) -> None:
        """Warn each time that other runs wrote the same files: they may be wrong."""
        for rival in others:
            _say(
                f"Step {step.name!r} will be computed again: {rival.said()}. Write into the run's own folder "
                "(consist.output_path), or let such runs wait for each other."
            )

    def _of_old_files(self, step: Step, old: Mapping[str, str]) -> None:
        """Warn each time of outputs that an earlier run wrote: they may be of other work."""
        if old:
            _say(
                f"Step {step.name!r} has outputs that it did not write: {listed(old)}. A cached function "
                "(functools.lru_cache) returns the path of an earlier call. The run will not be reused. Take the cache "
                "off the function, write a file of its own, or pass the file as an input."
            )

    def _unidentified(self, step: Step) -> None:
        """Warn that it will never be reused, though reuse was asked for."""
        if self._wants_reuse(step) and step.fingerprint.digest is None:
            self._once(
                step,
                f"Step {step.name!r} will be computed every time, because its work cannot be identified: "
                f"{step.fingerprint.unstable[0]}. run.why() shows all reasons.",
            )

    def _without_output(self, step: Step, event: StepCompleted) -> None:
        """Warn that it has no known output and is skipped all the same."""
        if self._wants_reuse(step) and event.reusable and not event.all_outputs and not event.effects:
            self._once(
                step,
                f"Step {step.name!r} recorded no output, and the next call like this one is skipped: what it "
                "wrote elsewhere is not made again. Return or log what it writes, or use cache_mode='overwrite'.",
            )

    def _of_reads(self, step: Step, observed: Observed) -> None:
        """Warn of undeclared reads, and of what could not be observed."""
        if step.name in self._reads or step.fingerprint.digest is None:
            return
        for text in observed.warnings(step.name):
            self._reads.add(step.name)
            _say(text)

    def _changed(self, step: Step, changes: Changes) -> None:
        """Warn of changes that a hit cannot replay, or that not all was compared."""
        if changes.lost or changes.over:
            self._once(step, changes.warning(step.name))

    def _of_log(self, step: Step, event: StepCompleted) -> None:
        """Warn that what it printed could not all be kept."""
        if event.log is not None and event.log.problem is not None:
            self._once(
                step,
                f"What step {step.name!r} printed could not all be kept ({event.log.problem}). Its results are not "
                "affected. Make room, or pass capture_log=False.",
            )


def _say(text: str) -> None:
    warnings.warn(text, ConsistWarning, stacklevel=5)
