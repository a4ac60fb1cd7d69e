"""Runs of `start_run`, which have a block, and of `begin_run`, which have none."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Any

from consist_es.execution.active import ActiveRun
from consist_es.execution.effects import Changes, Comparison
from consist_es.execution.engine import Engine, Scope
from consist_es.execution.trace import Trace
from consist_es.identity.code.block import Around, entering_frame
from consist_es.steps.options import StepArguments

_ELSEWHERE = (
    "it was ended by code that did not begin it, so what ran between is not known: put both calls in one function, or "
    "use `with tracker.start_run(...):`"
)


class Started(Trace):
    """The block of `start_run`, with more metadata for its run."""

    def __init__(self, engine: Engine, args: StepArguments, scope: Scope, more: Mapping[str, Any]) -> None:
        super().__init__(engine, args, scope)
        self._more = more

    def _begin(self) -> Any:
        self._entry = entering_frame()
        tracker = super()._begin()
        if self._more and self._attempt is not None:
            self._attempt.active.log_meta(self._more)
        return tracker


class Begun(Trace):
    """The code that may follow is its code: that of the frame that begins it, and of those that called it."""

    def __init__(self, engine: Engine, args: StepArguments, scope: Scope, frame: types.FrameType) -> None:
        super().__init__(engine, args, scope)
        self._entry = Around(frame)
        self._begun_in: types.FrameType | None = frame

    @property
    def active(self) -> ActiveRun | None:
        """The run, once it has begun."""
        return None if self._attempt is None else self._attempt.active

    def begin(self, more: Mapping[str, Any]) -> None:
        """Begin the run, with more metadata."""
        self.__enter__()
        if more and self._attempt is not None:
            self._attempt.active.log_meta(more)

    def end(self, error: BaseException | None) -> None:
        """End the run, with the error that it failed with."""
        attempt = self._attempt
        if attempt is not None and attempt.hit is None and not self._is_still_running():
            attempt.comparison = _Unknown()
        self._begun_in = None
        self._end(error)

    def _is_still_running(self) -> bool:
        """True if the frame that began it is among those that called `end`."""
        frame: types.FrameType | None = sys._getframe(1)
        while frame is not None and frame is not self._begun_in:
            frame = frame.f_back
        return frame is not None


class _Unknown(Comparison):
    """Stands for the comparison of a run that was changed by code that is not known."""

    def __init__(self) -> None:
        """Compare nothing."""

    def changes(self) -> Changes:
        return Changes(unclear=_ELSEWHERE)
