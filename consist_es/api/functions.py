"""Module-level functions that act on the executing run, or on the default tracker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Unpack

from consist_es.api.lifecycle import ConsistRecord
from consist_es.api.noop import NoopTracker
from consist_es.api.scenario import ScenarioContext
from consist_es.api.surface import StepKeywords, check_keywords
from consist_es.api.tracker import Tracker
from consist_es.artifacts.artifact import Artifact
from consist_es.errors import NoTrackerError
from consist_es.execution.active import OutputCapture
from consist_es.execution.current import default_tracker, top
from consist_es.execution.log_calls import LogCalls, Unlogged, as_function
from consist_es.execution.run_context import RunContext
from consist_es.execution.workers import active_run, active_run_or_none
from consist_es.runs.run import Run, RunResult


def current_run() -> Run | None:
    """The run that is executing in this thread or task, or None."""
    active = active_run_or_none()
    return active.run if active else None


def _context(call: str, options: Mapping[str, Any] | None = None) -> LogCalls:
    """The executing run; with ``enabled=False`` none is needed."""
    if options is not None and not options.get("enabled", True):
        return Unlogged()
    return RunContext(active_run(call))


def output_path(key: str, ext: str = "parquet") -> Path:
    """Path for an output of the executing step: ``<its folder>/<key>.<ext>``.

    Raises:
        NoActiveRunError: outside a step. PathError: `key` leaves the run's folder.
    """
    return active_run("output_path()").output_path(key, ext)


def output_dir(namespace: str | None = None) -> Path:
    """The folder of the executing step, or one below it; created if missing."""
    return active_run("output_dir()").output_dir(namespace)


@as_function(RunContext.log_artifact)
def log_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as input or output of the executing step: path, key, direction, driver, facet, …

    Raises:
        NoActiveRunError: outside a step; and as `RunContext.log_artifact`.
    """
    return _context("log_artifact()", kwargs).log_artifact(*args, **kwargs)


@as_function(RunContext.log_artifacts)
def log_artifacts(*args: Any, **kwargs: Any) -> dict[str, Artifact]:
    """Record several files (key -> path) of the executing step."""
    return _context("log_artifacts()", kwargs).log_artifacts(*args, **kwargs)


@as_function(RunContext.log_input)
def log_input(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as an input of the executing step."""
    return _context("log_input()", kwargs).log_input(*args, **kwargs)


@as_function(RunContext.log_output)
def log_output(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as an output of the executing step."""
    return _context("log_output()", kwargs).log_output(*args, **kwargs)


@as_function(RunContext.log_dataframe)
def log_dataframe(*args: Any, **kwargs: Any) -> Artifact:
    """Write a DataFrame as Parquet or CSV (`driver`) into the run's folder, or to `path`, and record it."""
    return _context("log_dataframe()", kwargs).log_dataframe(*args, **kwargs)


@as_function(RunContext.log_h5_container)
def log_h5_container(*args: Any, **kwargs: Any) -> tuple[Artifact, list[Artifact]]:
    """Record an HDF5 file of the executing step, and its tables as parts of it."""
    return _context("log_h5_container()", kwargs).log_h5_container(*args, **kwargs)


@as_function(RunContext.log_h5_table)
def log_h5_table(*args: Any, **kwargs: Any) -> Artifact:
    """Record one table of an HDF5 file of the executing step."""
    return _context("log_h5_table()", kwargs).log_h5_table(*args, **kwargs)


@as_function(RunContext.log_meta)
def log_meta(*args: Any, **kwargs: Any) -> None:
    """Merge metadata into the record of the executing step."""
    _context("log_meta()").log_meta(*args, **kwargs)


@as_function(RunContext.capture_outputs)
def capture_outputs(*args: Any, **kwargs: Any) -> AbstractContextManager[OutputCapture]:
    """Record the files that appear in `directory` while the block runs."""
    return _context("capture_outputs()").capture_outputs(*args, **kwargs)


def cached_output(key: str | None = None) -> Artifact | None:
    """In a trace block that is a hit, the earlier output of that key (or the first); else None."""
    active = active_run_or_none()
    return active.cached_output(key) if active else None


def cached_artifacts(direction: str = "output") -> dict[str, Artifact]:
    """In a trace block that is a hit, the earlier outputs (or this run's inputs); else empty."""
    active = active_run_or_none()
    return active.cached_artifacts(direction) if active else {}


def run(
    fn: Callable[..., object] | None = None,
    name: str | None = None,
    *,
    tracker: Tracker | None = None,
    **arguments: Unpack[StepKeywords],
) -> RunResult:
    """`Tracker.run` on the given or the default tracker; takes its keywords.

    Raises:
        NoTrackerError: there is neither; lists how to set one. UsageTypeError: an unknown keyword.
    """
    found = _given(tracker, "run()")
    check_keywords("run()", arguments)
    return found.run(fn, name, **arguments)


def attached() -> ScenarioContext:
    """The scenario that this process was started for: another one put its `ScenarioContext.handle` into the environment
    variable ``CONSIST_ES_CONTEXT``. Steps run in it as usual; its coupler is read, and belongs to the process that
    entered it.

    Raises:
        NoScenarioError: the variable is not set, or is no handle. MissingKeyError: no such scenario.
    """
    from consist_es.api.handles import from_environment  # few processes are started so

    return from_environment(Tracker)


def trace(name: str, *, tracker: Tracker | None = None, **arguments: Any) -> AbstractContextManager[Tracker]:
    """`Tracker.trace` on the given or the default tracker; takes its keywords.

    Raises:
        NoTrackerError: there is neither; lists how to set one.
    """
    return _given(tracker, "trace()").trace(name, **arguments)


def start_run(
    run_id: str, model: str, tracker: Tracker | None = None, **arguments: Any
) -> AbstractContextManager[Tracker]:
    """`Tracker.start_run` on the given or the default tracker; takes its keywords.

    Raises:
        NoTrackerError: there is neither; lists how to set one.
    """
    return _given(tracker, "start_run()").start_run(run_id, model, **arguments)


def current_consist() -> ConsistRecord | None:
    """The run that is executing in this thread or task with its inputs and outputs so far, or None."""
    frame = top()
    if frame is None or frame.run is None:
        return None
    found: ConsistRecord | None = frame.tracker.current_consist
    return found


def _given(tracker: Tracker | None, call: str) -> Tracker:
    found: Tracker | None = tracker if tracker is not None else default_tracker()
    if found is None:
        raise NoTrackerError(call)
    return found


def scenario(
    name: str,
    tracker: Tracker | None = None,
    *,
    enabled: bool = True,
    step_tags: Iterable[str] | None = None,
    step_facet: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> ScenarioContext:
    """`Tracker.scenario` on the given or the default tracker; with `enabled` False nothing is recorded.

    Raises:
        NoTrackerError: there is neither; lists how to set one.
    """
    found: Tracker | None = tracker if tracker is not None else default_tracker()
    if not enabled:
        found = NoopTracker(None if found is None else found.run_dir)
    if found is None:
        raise NoTrackerError("scenario()")
    return found.scenario(name, step_tags=step_tags, step_facet=step_facet, **kwargs)
