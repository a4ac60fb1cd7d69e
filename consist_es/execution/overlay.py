"""A scenario's coupler as it will be once the forecast steps have run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from consist_es.errors import DryRunStop
from consist_es.steps.pending import Foreseen, Pending


class Overlay(Mapping[str, Any]):
    """Keys that forecast steps will set, over the coupler; the coupler itself wins if it was set after the forecast."""

    def __init__(self) -> None:
        self.coupler: Mapping[str, Any] = {}
        self.asked: tuple[str, ...] = ()
        """Optional keys of the step that is being forecast."""
        self.others: Foreseen | None = None
        """A step that will run and may set any key."""
        self._values: dict[str, tuple[Any, Any]] = {}
        """Key -> (its value, the coupler's value at that time)."""

    def take(self, values: Mapping[str, Any]) -> None:
        """Set keys."""
        for key in list(values):
            self._values[key] = (values[key], self._now(key))

    def drop(self, step: Foreseen) -> None:
        """Remove the pending outputs of a step that has run."""
        gone = [key for key, (value, _) in self._values.items() if isinstance(value, Pending) and value.step is step]
        for key in gone:
            del self._values[key]

    def _now(self, key: str) -> Any:
        if key not in self.coupler:  # its own get() refuses what is no key
            return None
        return self.coupler[key]

    def _is_set(self, key: object) -> bool:
        return isinstance(key, str) and key in self._values and self._values[key][1] is self._now(key)

    def pending(self, key: str) -> Pending | None:
        """The pending output under a key, or None."""
        if key not in self:
            return None
        value = self[key]
        return value if isinstance(value, Pending) and not value.is_there else None

    def then(self, name: str) -> Mapping[str, Any]:
        """The coupler as the step that is being forecast will find it.

        Raises:
            DryRunStop: the part `name` of it is not known before a step has run that is forecast to.
        """
        key = next((key for key in self if name == f"coupler key {key!r}"), None)
        pending = None if key is None else self.pending(key)
        unknown = key is None and name.startswith(("coupler key ", "the coupler's keys"))
        step = self.others if unknown else None if pending is None else pending.step
        if step is not None:
            raise DryRunStop(f"{name} is not known before step {step.name!r} has run")
        return self

    def __getitem__(self, key: str) -> Any:
        if self._is_set(key):
            return self._values[key][0]
        if key in self.coupler or self.others is None:
            return self.coupler[key]  # which says what it lacks
        return self.others.pending(key)

    def __contains__(self, key: object) -> bool:
        return self._is_set(key) or key in self.coupler or (self.others is not None and key in self.asked)

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self.coupler), **dict.fromkeys(key for key in self._values if self._is_set(key))})

    def __len__(self) -> int:
        return sum(1 for _ in self)
