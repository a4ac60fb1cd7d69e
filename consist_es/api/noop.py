"""The model API with tracking off: the same checks, nothing recorded, nothing reused.

Everything that a step may rely on works: binding, `output_path`, the coupler, required outputs, every check of
arguments. Files are not read to digest them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from consist_es.api.scenario import ScenarioContext
from consist_es.api.tracker import Tracker
from consist_es.errors import ConsistWarning, UsageError

OUTPUTS = "consist_outputs"
"""Default folder for outputs of untracked steps, in the working directory."""


class NoopTracker(Tracker):
    """A tracker that records nothing. Outputs go below `output_base_dir`, by default ``./consist_outputs``."""

    def __init__(
        self,
        output_base_dir: str | os.PathLike[str] | None = None,
        *,
        mounts: Mapping[str, str | os.PathLike[str]] | None = None,
        project_root: str | os.PathLike[str] = ".",
    ) -> None:
        scratch = tempfile.mkdtemp(prefix="consist-es-")
        self._forget = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)  # also if it is never closed
        super().__init__(
            output_base_dir if output_base_dir is not None else OUTPUTS,
            Path(scratch) / "nothing.db",
            mounts,
            project_root=project_root,
            hashing_strategy="fast",
            sync="os",
        )
        self._engine.use_cache = self._engine.capture_log = False
        weakref.finalize(self, self._project.close)

    def close(self) -> None:
        """Delete the temporary log and views."""
        super().close()
        self._forget()


def noop_scenario(name: str, **kwargs: Any) -> ScenarioContext:
    """A scenario with untracked steps; takes the arguments of `Tracker.scenario`."""
    return NoopTracker().scenario(name, **kwargs)


def create_tracker(*, enabled: bool = True, tracker_factory: Callable[[], Tracker] | None = None) -> Tracker:
    """The tracker that `tracker_factory` makes, or one that records nothing.

    If the factory fails, warns and runs the model untracked: for models where a run matters more than its record.

    Raises:
        UsageError: enabled, and no factory.
    """
    if not enabled:
        return NoopTracker()
    if tracker_factory is None:
        raise UsageError("create_tracker(enabled=True) needs tracker_factory=, a function that makes the tracker.")
    try:
        return tracker_factory()
    except Exception as error:  # noqa: BLE001  the user's factory may raise anything
        warnings.warn(f"No tracker: {error!r}. This run is NOT recorded.", ConsistWarning, stacklevel=2)
        return NoopTracker()
