"""Outputs of steps that were forecast and have not run: they stand for something that is not there yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consist_es.errors import UsageError

Unit = tuple[Any, ...]
"""Config, model, year, iteration, phase and stage: runs that differ in one of these are never the same work."""


@dataclass(eq=False, slots=True)
class Foreseen:
    """A step that will run, or will copy files: what of it is known, and what it may change for later steps."""

    name: str
    unit: Unit
    fingerprint: str | None = None
    """What later steps can hit once it has run; None where that is not known or will never be reused."""
    unknown: bool = False
    """Whether it waits itself, so that its fingerprint is not known yet."""
    keys: tuple[str, ...] = ()
    """Outputs that it will make, as far as that is known."""
    others: bool = False
    """Whether it may make others as well: it declares none."""
    writes: list[Path] = field(default_factory=list)
    """Places outside its own folder where it writes, as far as that is known."""
    restores: bool = False
    """Whether it may put lost files back where they were."""
    seconds: float | None = None
    """What the last run of it took, where there was one."""
    changes: list[tuple[Any, str]] = field(default_factory=list)
    """Objects and modules of which it will set an attribute or variable, with its name."""
    outputs: Mapping[str, Any] | None = None
    """What it gave, once it has run."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """One output of a step that was forecast. An input of other forecasts; of real runs only once the step has run."""

    step: Foreseen
    key: str

    @property
    def is_there(self) -> bool:
        """Whether the step has run since, and made it."""
        return self.step.outputs is not None and self.key in self.step.outputs

    def made(self, shown: str) -> Any:
        """The output itself.

        Raises:
            UsageError: the step has not run.
        """
        if self.step.outputs is None or self.key not in self.step.outputs:
            raise UsageError(
                f"{shown} is output {self.key!r} of step {self.step.name!r}, which was only forecast. "
                "Run that step first, and pass what run() gives."
            )
        return self.step.outputs[self.key]

    def __repr__(self) -> str:
        return f"<output {self.key!r} of {self.step.name!r}, not there yet>"


class PendingOutputs(dict[str, Any]):
    """The outputs of a step that will run, by key; where it declares none, it may turn out to make any."""

    def __init__(self, step: Foreseen) -> None:
        super().__init__({key: Pending(step, key) for key in step.keys})
        self._step = step

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or (self._step.others and isinstance(key, str))

    def __missing__(self, key: str) -> Pending:
        if not self._step.others:
            raise KeyError(key)
        return Pending(self._step, key)
