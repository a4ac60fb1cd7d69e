"""User functions called when runs begin and end. An exception in one is a warning, never a failed run."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from consist_es.errors import ConsistWarning
from consist_es.runs.run import Run

Hook = Callable[..., Any]


@dataclass(slots=True)
class Hooks:
    """The registered functions, in order."""

    on_start: list[Hook] = field(default_factory=list)
    on_complete: list[Hook] = field(default_factory=list)
    on_failed: list[Hook] = field(default_factory=list)

    def started(self, run: Run) -> None:
        """Call the hooks for a run that began (also for a hit)."""
        _call(self.on_start, run)

    def completed(self, run: Run, outputs: Mapping[str, Any]) -> None:
        """Call the hooks for a run that completed."""
        _call(self.on_complete, run, dict(outputs))

    def failed(self, run: Run, error: BaseException) -> None:
        """Call the hooks for a run that raised."""
        _call(self.on_failed, run, error)


def _call(hooks: list[Hook], *arguments: Any) -> None:
    for hook in hooks:
        try:
            hook(*arguments)
        except Exception as error:  # noqa: BLE001  the user's function may raise anything
            warnings.warn(
                f"Hook {getattr(hook, '__name__', hook)!r} raised {error!r}. The run goes on.",
                ConsistWarning,
                stacklevel=4,
            )
