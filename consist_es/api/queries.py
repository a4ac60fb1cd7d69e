"""Module-level queries: `tracker=` or the current tracker answers."""

from __future__ import annotations

from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.execution.current import current_tracker
from consist_es.runs.run import Run, RunResult
from consist_es.runs.sets import RunSet


class RunFieldIndex(msgspec.Struct, frozen=True):
    """`index_by` a field of the run."""

    name: str


class FacetIndex(msgspec.Struct, frozen=True):
    """`index_by` a value of the facet."""

    name: str


def index_by_field(name: str) -> RunFieldIndex:
    """For `find_runs(index_by=…)`: a field of the run."""
    return RunFieldIndex(name)


def index_by_facet(key: str) -> FacetIndex:
    """For `find_runs(index_by=…)`: a facet value by dotted key."""
    return FacetIndex(f"facet.{key.removeprefix('facet.')}")


def _tracker(given: Any) -> Any:
    return current_tracker() if given is None else given


def find_runs(*, tracker: Any = None, **filters: Any) -> Any:
    """`Tracker.find_runs` of the given or current tracker."""
    return _tracker(tracker).find_runs(**filters)


def find_run(run_id: str | None = None, *, tracker: Any = None, **filters: Any) -> Run:
    """`Tracker.find_run` of the given or current tracker."""
    found: Run = _tracker(tracker).find_run(run_id, **filters)
    return found


def find_latest_run(*, tracker: Any = None, **filters: Any) -> Run:
    """`Tracker.find_latest_run` of the given or current tracker."""
    found: Run = _tracker(tracker).find_latest_run(**filters)
    return found


def get_run_result(run_id: str, *, tracker: Any = None, keys: Any = None, validate: str = "lazy") -> RunResult:
    """`Tracker.get_run_result` of the given or current tracker."""
    found: RunResult = _tracker(tracker).get_run_result(run_id, keys=keys, validate=validate)
    return found


def get_artifact(run_id: str, key: str | None = None, *, tracker: Any = None) -> Artifact:
    """One output of a run: that of `key`, or its only one.

    Raises:
        MissingKeyError: no such run or output; lists those there are.
    """
    found: Artifact = _tracker(tracker).get_run_artifact(run_id, key)
    return found


def run_set(label: str = "", *, tracker: Any = None, **filters: Any) -> RunSet:
    """`Tracker.run_set` of the given or current tracker."""
    found: RunSet = _tracker(tracker).run_set(label, **filters)
    return found
