"""A trace block in a dry run: it executes up to the first thing that only a real run has, and is left there."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import ClosedError
from consist_es.execution.current import Frame, pop, push_quietly
from consist_es.execution.dry_run import Absorb, Rehearsal
from consist_es.execution.engine import Scope
from consist_es.execution.forecast import Forecast
from consist_es.execution.left_behind import LeftBehind
from consist_es.steps.options import StepArguments


class DryBlock:
    """Context manager for the block. A stop ends the block and no more; the script goes on behind it."""

    def __init__(self, rehearsal: Rehearsal, args: StepArguments, scope: Scope, absorb: Absorb) -> None:
        self._rehearsal, self._args, self._scope, self._absorb = rehearsal, args, scope, absorb
        self._frame: Frame | None = None
        self._index = 0
        """Its place in the list of forecasts."""

    def __enter__(self) -> Any:
        if self._frame is not None:
            raise ClosedError(
                f"The block of trace({self._args.name!r}) was entered already: call trace() again for each block."
            )
        rehearsal, entering = self._rehearsal, sys._getframe(1)
        rehearsal.check_free()
        found = rehearsal.add(rehearsal.foresight.forecast(self._args, self._scope, entering))
        self._index = len(rehearsal.forecasts) - 1
        self._behind = LeftBehind(entering, self._scope.defaults.project_root)
        self._absorb(found.outputs)
        self._frame = Frame(rehearsal.engine.owner, DryActive(rehearsal, found), None, dry=rehearsal)  # type: ignore[arg-type]
        push_quietly(self._frame)
        rehearsal.in_block = found.step
        return rehearsal.engine.owner

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        rehearsal = self._rehearsal
        rehearsal.in_block = None
        if self._frame is not None:
            pop(self._frame)
        if (stop := rehearsal.take_stop(error)) is None:
            return False
        rehearsal.left_early(self._index, stop)
        if rehearsal.forecasts[self._index].cache_hit:  # it goes on to make outputs, perhaps others than those
            found = rehearsal.foresight.reopened(self._args, self._scope, "block_goes_on")
            rehearsal.forecasts[self._index] = found
            self._absorb(found.outputs)
        if self._behind.names():
            rehearsal.foresight.left_early()
        return True


class DryActive:
    """Stands where the executing run stands in a real block: it knows the forecast, and every other use is a stop."""

    is_own = True

    def __init__(self, rehearsal: Rehearsal, found: Forecast) -> None:
        self._rehearsal, self._found = rehearsal, found
        self.observations = NotObserved()

    @property
    def is_cached(self) -> bool:
        """True if the block is forecast as a hit."""
        return self._found.cache_hit

    def cached_output(self, key: str | None = None) -> Artifact | None:
        """As in a real block."""
        found = self.cached_artifacts()
        return next(iter(found.values()), None) if key is None else found.get(key)

    def cached_artifacts(self, direction: str = "output") -> dict[str, Any]:
        """As in a real block; inputs are not known."""
        if direction != "output":
            raise self._stop('cached_artifacts("input")')
        return dict(self._found.outputs) if self.is_cached else {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._stop(name)

    def _stop(self, what: str) -> Exception:
        return self._rehearsal.stop(
            f"the block of step {self._found.step!r} goes on to what would be recorded with its run ({what})"
        )


class NotObserved:
    """Takes notes of reads of the scenario, and keeps none."""

    def coupler(self, coupler: Mapping[str, Any], key: str | None) -> None:
        """Keep nothing."""

    def wrote(self, key: str) -> None:
        """Keep nothing."""

    def scenario(self, scenario: Any, what: str) -> None:
        """Keep nothing."""

    def other(self, what: str) -> None:
        """Keep nothing."""
