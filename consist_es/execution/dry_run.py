"""Rehearses a model: its steps are forecast where a real run executes them, and nothing is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from consist_es.errors import DryRunStop, RunActiveError
from consist_es.execution.current import top
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.forecast import Forecast, Foresight
from consist_es.execution.summary import duration, forecast_summary
from consist_es.reading.labels import label
from consist_es.runs.run import Run, RunResult
from consist_es.runs.why import in_words
from consist_es.steps.options import StepArguments
from consist_es.text import fitted, shown

Absorb = Callable[[Mapping[str, Any]], object]
_OPEN = {
    "waits_for_inputs": "if its inputs change",
    "block_goes_on": "its block goes on where it could be reused",
    "block_stopped": "variables may be set in a block that was left early",
}
"""Reasons of open forecasts in words; the others are in the words of a miss."""
_MOST = 3
"""Differences shown of one step."""


class DryStep(msgspec.Struct, frozen=True, kw_only=True):
    """What a real run would do with one step, as far as that can be said beforehand."""

    name: str
    verdict: str
    """``hit``, ``miss``, or ``open``: not known before other steps have run."""
    reason: str
    year: int | None = None
    iteration: int | None = None
    phase: str | None = None
    differs: list[str] = []
    """The differences from the nearest earlier run; on a hit the accepted ones."""
    waits_for: list[str] = []
    """If open: the steps that have to run first."""
    nearest: str | None = None
    """Id of the run that answers, or of the nearest one."""
    nearest_seconds: float | None = None
    """Unless a hit: duration of the nearest earlier run, or of the last one of this name."""
    stopped: str | None = None
    """Of a block that was left early: why."""

    @property
    def label(self) -> str:
        """Its name with year, iteration and phase."""
        return label(self)

    def __str__(self) -> str:
        word = {"hit": "reused", "miss": "runs", "open": "may run"}[self.verdict]
        time = "" if self.nearest_seconds is None else f"; {duration(self.nearest_seconds)} last time"
        return shown(f"{word:<7}  {self.label}{self._why()}{time}")

    def _why(self) -> str:
        more = len(self.differs) - _MOST
        listed = ", ".join(self.differs[:_MOST]) + (f" and {more} more" if more > 0 else "")
        if self.verdict == "hit":
            return f": {listed}" if listed else ""
        after = f", after {', '.join(self.waits_for)}" if self.waits_for else ""
        return f": {_OPEN.get(self.reason) or in_words(self.reason)}{after}{f': {listed}' if listed else ''}"


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a real run of a scenario would do; `str()` gives the list that is printed at its end."""

    scenario: str
    steps: list[DryStep]
    """In order, up to the end or to `stopped`."""
    summary: str
    """How much would run, for how long and why, in one sentence."""
    seconds: float = 0.0
    """Expected time of all steps that would or may run, by earlier runs of them; 0 for steps without one."""
    stopped: str | None = None
    """Why the list ends early; None if it is whole."""
    missing_outputs: list[str] = []
    """Required outputs of the scenario that no step would make."""

    def __str__(self) -> str:
        lines = [f"Dry run of {self.scenario}: {self.summary}.", *(f"  {step}" for step in self.steps)]
        lines += [f"  {step.label} was left early: {step.stopped}" for step in self.steps if step.stopped]
        if self.missing_outputs:
            lines.append(f"  Required outputs that no step makes: {', '.join(self.missing_outputs)}.")
        if self.stopped is not None:
            lines.append(f"  The list ends early: {self.stopped}.")
        return "\n".join(map(shown, lines))


class DryResult(RunResult):
    """The result of a step in a dry run: outputs that are not there yet stop the dry run when they are used."""

    __slots__ = ("forecast",)

    def __init__(self, forecast: Forecast, kind: str, model: str | None) -> None:
        run = Run(
            id=forecast.step,
            key="",
            run_id=forecast.step,
            attempt=0,
            kind=kind,
            name=forecast.step,
            model_name=model or forecast.step,
            status="forecast",
            year=forecast.year,
            iteration=forecast.iteration,
            phase=forecast.phase,
            meta={"cache_hit": True, "cache_source": forecast.source} if forecast.cache_hit else {},
        )
        super().__init__(run, forecast.outputs, forecast.cache_hit)
        self.forecast = forecast


class Rehearsal:
    """The steps of one dry scenario, or of a dry tracker outside scenarios, in order."""

    def __init__(self, engine: Engine, scenario: str | None) -> None:
        self.engine = engine
        self.foresight = Foresight(engine, self.stop)
        self.forecasts: list[Forecast] = []
        self.in_block: str | None = None
        """Name of the trace block that is executing."""
        self._scenario = scenario
        self._left: dict[int, str] = {}
        """Index of a block that was left early -> why."""
        self._raised: DryRunStop | None = None
        """A stop that no block was left by: the script caught it, so that its variables may not be as in a real run."""

    # ------------------------------------------------------------ steps

    def run(self, args: StepArguments, scope: Scope, absorb: Absorb) -> DryResult:
        """Forecast a step; `absorb` gets its outputs, as far as they are known."""
        self.check_free()
        found = self.add(self.foresight.forecast(args, scope))
        absorb(found.outputs)
        return DryResult(found, args.kind, args.model)

    def check_free(self) -> None:
        """Raise what a real run raises inside a step, and the last stop if the script caught it."""
        self.check()
        current = top()
        if current is not None and current.run is not None:
            raise RunActiveError(self.in_block or current.run.id)

    def add(self, found: Forecast) -> Forecast:
        """Add a forecast to the list."""
        self._raised = None  # the forecast itself looked at what is pending
        self.forecasts.append(found)
        if self._scenario is None:
            print(fitted(f"Dry run: {_step_of(found, None)}", sys.stderr), file=sys.stderr)
        return found

    # ------------------------------------------------------------ stops

    def stop(self, what: str) -> DryRunStop:
        """The error for a use of something that only a real run has."""
        self._raised = DryRunStop(what)
        return self._raised

    def any_key(self) -> DryRunStop | None:
        """The error for a coupler key that is not set, if a step that will or may run declares no outputs."""
        step = self.foresight.others
        if step is None:
            return None
        return self.stop(
            f"the coupler is asked for a key that is not set, and step {step.name!r}, which declares no outputs, may "
            "set it"
        )

    def check(self) -> None:
        """Raise the last stop again if the script caught it: what it did instead is not what a real run does."""
        if self._raised is not None:
            raise self._raised

    def take_stop(self, error: BaseException | None) -> DryRunStop | None:
        """The stop that a block is left by, or that the script caught in it; None if there was none."""
        found = error if isinstance(error, DryRunStop) else self._raised if error is None else None
        if found is not None:
            self._raised = None
        return found

    def left_early(self, index: int, stop: DryRunStop) -> None:
        """Note that the block with this index in the list was left early."""
        self._left[index] = stop.what

    # ------------------------------------------------------------ the end

    def result(self, stop: DryRunStop | None, missing: list[str]) -> DryRun:
        """The result so far."""
        steps = [_step_of(found, self._left.get(index)) for index, found in enumerate(self.forecasts)]
        return DryRun(
            scenario=self._scenario or "",
            steps=steps,
            summary=forecast_summary(self.forecasts),
            seconds=sum(step.nearest_seconds or 0.0 for step in steps if step.verdict != "hit"),
            stopped=None if stop is None else stop.what,
            missing_outputs=missing,
        )


def _step_of(found: Forecast, stopped: str | None) -> DryStep:
    return DryStep(
        name=found.step,
        verdict=found.verdict,
        reason=found.reason,
        year=found.year,
        iteration=found.iteration,
        phase=found.phase,
        differs=found.differs,
        waits_for=found.waits_for,
        nearest=found.source or found.nearest,
        nearest_seconds=None if found.verdict == "hit" else found.seconds,
        stopped=stopped,
    )
