"""The result of a step that nobody ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consist_es.errors import MissingKeyError
from consist_es.runs.run import Run


@dataclass(slots=True)
class NoopRunResult:
    """Stands for the result of a step where tracking is off: outputs by key, never a hit."""

    outputs: dict[str, Any] = field(default_factory=dict)
    cache_hit: bool = False
    run: Run | None = None

    @property
    def output(self) -> Any:
        """The first output, or None."""
        return next(iter(self.outputs.values()), None)

    def as_dict(self) -> Mapping[str, Any]:
        """A copy of `outputs`."""
        return dict(self.outputs)

    def output_path(self, key: str, tracker: object = None) -> Path:
        """The path of one output.

        Raises:
            MissingKeyError: no output of that key; lists the outputs.
        """
        if key not in self.outputs:
            raise MissingKeyError("output", key, self.outputs)
        return Path(self.outputs[key].path)
