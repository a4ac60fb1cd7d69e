"""Module-level calls: they act on the run that is executing, or on the default tracker."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from consist_es.api.noop import NoopTracker
from consist_es.api.surface import check_keywords
from consist_es.api.tracker import Tracker
from consist_es.artifacts.artifact import Artifact
from consist_es.checks import check_option
from consist_es.errors import NoTrackerError
from consist_es.execution import logging as logging_calls
from consist_es.execution.active import OutputCapture
from consist_es.execution.current import default_tracker
from consist_es.execution.workers import active_run, active_run_or_none
from consist_es.runs.run import Run, RunResult


def current_run() -> Run | None:
    """The run that is executing in this thread or task, or None."""
    active = active_run_or_none()
    return active.run if active else None


def output_path(key: str, ext: str = "parquet") -> Path:
    """Where the step that is executing should write an output: ``<its folder>/<key>.<ext>``.

    Raises:
        NoActiveRunError: outside a step. PathError: `key` leaves the run's folder.
    """
    return active_run("output_path()").output_path(key, ext)


def output_dir(namespace: str | None = None) -> Path:
    """The folder of the step that is executing, or one below it; made where it is missing."""
    return active_run("output_dir()").output_dir(namespace)


def log_artifact(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as input or output of the step that is executing: path, key, direction, driver, facet, …

    Raises:
        NoActiveRunError: outside a step; and as `RunContext.log_artifact`.
    """
    return logging_calls.log_artifact(active_run("log_artifact()"), *args, **kwargs)


def log_artifacts(*args: Any, **kwargs: Any) -> dict[str, Artifact]:
    """Record several files (key -> path) of the step that is executing."""
    return logging_calls.log_artifacts(active_run("log_artifacts()"), *args, **kwargs)


def log_input(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as an input of the step that is executing."""
    return logging_calls.log_input(active_run("log_input()"), *args, **kwargs)


def log_output(*args: Any, **kwargs: Any) -> Artifact:
    """Record a file as an output of the step that is executing."""
    return logging_calls.log_output(active_run("log_output()"), *args, **kwargs)


def log_dataframe(df: Any, key: str, *args: Any, **kwargs: Any) -> Artifact:
    """Write a DataFrame as Parquet or CSV (`driver`) into the run's folder, or to `path`, and record it."""
    return logging_calls.log_dataframe(active_run("log_dataframe()"), df, key, *args, **kwargs)


def log_meta(**kwargs: Any) -> None:
    """Merge metadata into the record of the step that is executing."""
    active_run("log_meta()").log_meta(kwargs)


def capture_outputs(
    directory: Any, pattern: str = "*", recursive: bool = False
) -> AbstractContextManager[OutputCapture]:
    """Record the files that appear in `directory` while the block runs."""
    return active_run("capture_outputs()").capture_outputs(directory, pattern, recursive=recursive)


def cached_output(key: str | None = None) -> Artifact | None:
    """In a trace block that is a hit, the earlier output of that key (or the first); else None."""
    active = active_run_or_none()
    return active.cached_output(key) if active else None


def cached_artifacts(direction: str = "output") -> dict[str, Artifact]:
    """In a trace block that is a hit, the earlier outputs (or this run's inputs); else empty."""
    active = active_run_or_none()
    if active is None or not active.is_cached:
        return {}
    check_option("direction", direction, ("input", "output"), optional=False)
    return dict(active.cached) if direction == "output" else active.inputs


def run(fn: Any = None, name: str | None = None, *, tracker: Any = None, **arguments: Any) -> RunResult:
    """`Tracker.run` on the given or the default tracker; takes its keywords.

    Raises:
        NoTrackerError: neither; lists how to set one. UsageTypeError: a keyword that it does not take.
    """
    found = tracker if tracker is not None else default_tracker()
    if found is None:
        raise NoTrackerError("run()")
    check_keywords("run()", arguments, Tracker.run.__kwdefaults__ or {})
    result: RunResult = found.run(fn, name, **arguments)
    return result


def scenario(
    name: str,
    tracker: Any = None,
    *,
    enabled: bool = True,
    step_tags: Any = None,
    step_facet: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """`Tracker.scenario` on the given or the default tracker; with `enabled` False nothing is recorded.

    Raises:
        NoTrackerError: neither; lists how to set one.
    """
    found = tracker if tracker is not None else default_tracker()
    if not enabled:
        found = NoopTracker(None if found is None else found.run_dir)
    if found is None:
        raise NoTrackerError("scenario()")
    return found.scenario(name, step_tags=step_tags, step_facet=step_facet, **kwargs)
