"""Placeholders for the outputs of forecast steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.errors import DryRunStop, UsageError

Unit = tuple[Any, ...]
"""Config, model, year, iteration, phase and stage: runs that differ in one of them are different work."""


@dataclass(eq=False, slots=True)
class Foreseen:
    """A step that will run, or a hit that will copy files: the known facts, and what it may change for later steps."""

    name: str
    unit: Unit
    fingerprint: str | None = None
    """Fingerprint that later steps can hit once it has run; None if unknown or never reused."""
    unknown: bool = False
    """True if it waits for other steps, so that its fingerprint is not known yet."""
    keys: tuple[str, ...] = ()
    """Outputs that it will make, as far as known."""
    others: bool = False
    """True if it declares no outputs, so that it may make others as well."""
    writes: list[Path] = field(default_factory=list)
    """Paths outside its own folder that it writes, as far as known."""
    restores: bool = False
    """True if it may restore missing input files."""
    seconds: float | None = None
    """Duration of its last computed run, if any."""
    changes: list[tuple[Any, str]] = field(default_factory=list)
    """(object or module, name of the attribute or variable that it will set)."""
    outputs: Mapping[str, Any] | None = None
    """Its outputs, once it has run."""
    stops: Callable[[str], DryRunStop] | None = None
    """In a dry run: notes a use of an output that is not there, and returns the error to raise."""

    def pending(self, key: str) -> Pending:
        """The placeholder for one output."""
        return Pending(self, key) if self.stops is None else Promised(self, key)


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """One output of a forecast step. Usable as input of other forecasts; of real runs only once the step has run."""

    step: Foreseen
    key: str

    @property
    def is_there(self) -> bool:
        """True if the step has run since, and made it."""
        return self.step.outputs is not None and self.key in self.step.outputs

    def made(self, shown: str) -> Any:
        """The output itself.

        Raises:
            UsageError: the step has not run.
        """
        if self.step.outputs is None or self.key not in self.step.outputs:
            raise UsageError(
                f"{shown} is output {self.key!r} of step {self.step.name!r}, which was only forecast. "
                "Run that step first, and pass what run() returns."
            )
        return self.step.outputs[self.key]

    def __repr__(self) -> str:
        return f"<output {self.key!r} of {self.step.name!r}, not there yet>"


class Promised(Pending):
    """One output in a dry run, where an artifact is in a real one: to use it stops the dry run."""

    __slots__ = ()

    def __fspath__(self) -> str:
        raise self._stop("its file is used")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Artifact, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise self._stop(f".{name} is asked for")

    def refuse(self, use: str) -> None:
        """Stop the dry run.

        Raises:
            DryRunStop: always.
        """
        raise self._stop(use)

    def _stop(self, use: str) -> DryRunStop:
        what = f"output {self.key!r} of step {self.step.name!r} is not there before that step has run, and {use}"
        return DryRunStop(what) if self.step.stops is None else self.step.stops(what)


def refuse_promised(value: Any, use: str) -> None:
    """Stop the dry run if a value, or something in a container, is an output that is not there.

    Raises:
        DryRunStop: it is.
    """
    if isinstance(value, Promised):
        value.refuse(use)
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for item in inside:
        refuse_promised(item, use)


class PendingOutputs(dict[str, Any]):
    """The outputs of a step that will run, by key; if it declares none, any key may turn out to exist."""

    def __init__(self, step: Foreseen) -> None:
        super().__init__({key: step.pending(key) for key in step.keys})
        self._step = step

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (self._step.others and isinstance(key, str))

    def __missing__(self, key: str) -> Pending:
        if not self._step.others:
            raise KeyError(key)
        return self._step.pending(key)
