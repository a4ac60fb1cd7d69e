"""A scenario in a dry run: its steps are forecast, its coupler fills with what they will make, nothing is recorded."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from consist_es.api.coupler import Coupler, Stored
from consist_es.api.scenario import ScenarioContext
from consist_es.artifacts.artifact import Artifact
from consist_es.errors import ClosedError, DryRunStop, MissingKeyError
from consist_es.execution.current import Frame, pop, push_quietly
from consist_es.execution.dry_run import DryRun, Rehearsal
from consist_es.execution.engine import Scope
from consist_es.steps.pending import Pending
from consist_es.text import fitted, noted


class DryScenario(ScenarioContext):
    """As the real one. A use of an output that is not there yet ends its block, and no more."""

    _rehearsed: Rehearsal | None = None
    _result: DryRun | None = None

    @property
    def dry_run(self) -> DryRun | None:
        """As in the base class."""
        return self._result

    def _check_entry(self) -> None:
        if self._frame is not None:
            raise ClosedError(f"Scenario {self.run_id!r} is open already: leave its block before entering it again.")

    def _begin(self) -> ScenarioContext:
        if self._rehearsed is not None and self._own_coupler:
            self.coupler = Coupler()
        self._inputs = {}
        self._result = None
        self._rehearsed = Rehearsal(self._engine, self.name)
        self._foresight = self._rehearsed.foresight
        self._frame = Frame(self._engine.owner, dry=self._rehearsed)
        push_quietly(self._frame)
        self.coupler._rehearse(self._rehearsed.any_key)
        _say(f"Dry run of {self.name}: no step is run and nothing is recorded; all other code of the script runs.")
        if self._header.require_outputs:
            self.coupler.require_outputs(*self._header.require_outputs)
        for role, path in self._header.inputs.items():
            self._log_input(path, role, {})
        return self

    def __exit__(  # type: ignore[override]
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        """Print the result; True for a stop, which ends here."""
        stop = None if self._rehearsed is None else self._rehearsed.take_stop(error)
        self._end(stop or error)
        if error is not None and stop is None:
            noted(error, f"This happened in a dry run of scenario {self.name!r}, which ended there.")
        return stop is not None

    def _end(self, error: BaseException | None) -> None:
        if self._frame is None or self._rehearsed is None:
            return
        pop(self._frame)
        self.coupler._rehearse(None)
        self._frame = None
        stop = error if isinstance(error, DryRunStop) else None
        if error is not None and stop is None:
            stop = DryRunStop(f"the block raised {type(error).__name__}")
        whole = error is None and self._rehearsed.foresight.others is None
        missing = self.coupler.missing_declared_outputs() if whole else []
        self._result = self._rehearsed.result(stop, missing)
        _say(str(self._result))

    def _scope(self, call: str | None) -> Scope:
        scope = super()._scope(call)
        return msgspec.structs.replace(scope, coupler=_Settled(self.coupler._values))

    def _rehearsal(self) -> Rehearsal | None:
        return self._rehearsed

    def _has_steps(self) -> bool:
        return self._rehearsed is not None and bool(self._rehearsed.forecasts)

    def _log_input(self, value: Any, key: str, options: Mapping[str, Any]) -> Artifact:
        self._check_open("add_input()")
        if isinstance(value, Pending):
            self._inputs[key] = value  # type: ignore[assignment]
            return value  # type: ignore[return-value]
        return super()._log_input(value, key, options)

    def add_input(self, path: Stored, key: str, **kwargs: Any) -> Artifact:
        """As in a real scenario; nothing is recorded."""
        return super().add_input(path, key, **kwargs)

    def _now(self, name: str) -> str:
        for key, value in self.coupler._values.items():
            if isinstance(value, Pending) and name == f"coupler key {key!r}":
                raise DryRunStop(f"coupler key {key!r} is not set before step {value.step.name!r} has run")
        return super()._now(name)

    def _then(self, name: str) -> str:
        return self._now(name)  # the coupler of a dry run has what forecasts put there


class _Settled(Mapping[str, Any]):
    """What is set in a coupler."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if key not in self._values:
            raise MissingKeyError("coupler key", key, self._values, "Set it, or run the step that produces it first.")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _say(text: str) -> None:
    print(fitted(text, sys.stderr), file=sys.stderr, flush=True)
