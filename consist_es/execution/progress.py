"""Tells on stderr and to `logging`, as a model runs: a line for each step, and a summary at the end of a scenario."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any

from consist_es.execution.hooks import Hooks
from consist_es.execution.summary import duration
from consist_es.project.project import Project
from consist_es.reading.expected import Expected
from consist_es.reading.labels import label, place
from consist_es.runs.run import Run
from consist_es.runs.why import in_words
from consist_es.text import counted, fitted, shown

log = logging.getLogger("consist_es")
_MOST = 2
"""Differences told of one step."""


class Progress:
    """Follows the runs of one tracker by its hooks. `on_stderr`: print the lines, besides logging them."""

    def __init__(self, project: Project, *, on_stderr: bool) -> None:
        self.on_stderr = on_stderr
        self._project = project
        self._scenarios: dict[str, _Scenario] = {}
        """Id of an open scenario -> how far it is."""
        self._lock = threading.Lock()

    def follow(self, hooks: Hooks) -> None:
        """Follow the runs from now on."""
        hooks.on_start.append(self._started)
        hooks.on_complete.append(self._completed)
        hooks.on_failed.append(self._failed)

    def _started(self, run: Run) -> None:
        if run.kind == "scenario":
            with self._lock:
                self._scenarios[run.id] = _Scenario(Expected(self._project.connection(), run.name))

    def _completed(self, run: Run, _outputs: Mapping[str, Any]) -> None:
        self._ended(run, "")

    def _failed(self, run: Run, error: BaseException) -> None:
        self._ended(run, f"{run.status}: {type(error).__name__}")

    def _ended(self, run: Run, problem: str) -> None:
        with self._lock:
            if run.kind == "scenario":
                scenario = self._scenarios.pop(run.id, None)
                if scenario is not None:
                    self._say(f"{run.id}: {scenario.summary(run, problem)}")
                return
            around = self._scenarios.get(run.parent_run_id or "")
            rest = "" if around is None else around.step_ended(run, failed=bool(problem))
            where = "" if around is None else f"{run.parent_run_id}: "
            self._say(f"{where}{label(run)} {problem or _outcome(run)}{rest}")

    def _say(self, line: str) -> None:
        text = shown(line)
        log.info("%s", text)
        if self.on_stderr:
            print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


class _Scenario:
    """How far one open scenario is, and what the last whole attempt says about the rest."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._computed = self._reused = self._failed = 0
        self._seconds = 0.0

    def step_ended(self, run: Run, *, failed: bool) -> str:
        """Count a step; returns how far the scenario is and how long the rest may take."""
        hit = bool(run.meta.get("cache_hit"))
        self._failed += failed
        self._reused += hit and not failed
        self._computed += not hit and not failed
        self._seconds += 0.0 if hit else run.duration_seconds or 0.0
        self._expected.ended(place(run))
        done = self._computed + self._reused + self._failed
        if self._expected.steps < done:
            return ""
        rest = self._expected.rest(computing=self._computed > 0)  # what changed, changes what follows
        return f"; {done} of {self._expected.steps}" + (f", about {duration(rest)} left" if rest >= 1 else "")

    def summary(self, run: Run, problem: str) -> str:
        """The scenario as a whole, in one sentence."""
        parts = [f"{self._computed} computed in {duration(self._seconds)}"] if self._computed else []
        parts += [f"{self._reused} reused"] if self._reused else []
        parts += [f"{self._failed} failed"] if self._failed else []
        steps = counted(self._computed + self._reused + self._failed, "step")
        listed = f" ({', '.join(parts)})" if parts else ""
        end = problem or "completed"
        return f"{end} after {duration(run.duration_seconds or 0.0)}, {steps}{listed}"


def _outcome(run: Run) -> str:
    time = duration(run.duration_seconds or 0.0)
    if run.meta.get("cache_hit"):
        return f"reused from {run.meta.get('cache_source')}"
    told = run.meta.get("cache_miss_explanation") or {}
    differs = [str(item) for item in told.get("differs") or ()]
    more = len(differs) - _MOST
    listed = ", ".join(differs[:_MOST]) + (f" and {more} more" if more > 0 else "")
    why = f": {in_words(told['reason'])}" if told.get("reason") else ""
    return f"computed in {time}{why}{f': {listed}' if listed else ''}"
