"""Module-level queries, answered by `tracker=` or the current tracker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Unpack, overload

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.execution.current import current_tracker
from consist_es.runs.run import Run, RunResult
from consist_es.runs.sets import RunSet

if TYPE_CHECKING:
    from consist_es.api.history import Index, RunFilters
    from consist_es.api.tracker import Tracker


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


def _tracker(given: Tracker | None) -> Tracker:
    tracker: Tracker = current_tracker() if given is None else given
    return tracker


@overload
def find_runs(*, tracker: Tracker | None = None, index_by: None = None, **filters: Unpack[RunFilters]) -> list[Run]: ...
@overload
def find_runs(
    *, tracker: Tracker | None = None, index_by: str | Index, **filters: Unpack[RunFilters]
) -> dict[Any, Run]: ...
def find_runs(
    *, tracker: Tracker | None = None, index_by: str | Index | None = None, **filters: Unpack[RunFilters]
) -> list[Run] | dict[Any, Run]:
    """`Tracker.find_runs` of the given or current tracker."""
    asked = _tracker(tracker)
    return asked.find_runs(**filters) if index_by is None else asked.find_runs(index_by=index_by, **filters)


def find_run(
    run_id: str | Run | None = None,
    *,
    tracker: Tracker | None = None,
    id: str | Run | None = None,
    **filters: Unpack[RunFilters],
) -> Run:
    """`Tracker.find_run` of the given or current tracker."""
    return _tracker(tracker).find_run(run_id, id=id, **filters)


def find_latest_run(*, tracker: Tracker | None = None, **filters: Unpack[RunFilters]) -> Run:
    """`Tracker.find_latest_run` of the given or current tracker."""
    return _tracker(tracker).find_latest_run(**filters)


def get_run_result(
    run_id: str | Run,
    *,
    tracker: Tracker | None = None,
    keys: str | Iterable[str] | None = None,
    validate: str = "lazy",
) -> RunResult:
    """`Tracker.get_run_result` of the given or current tracker."""
    return _tracker(tracker).get_run_result(run_id, keys=keys, validate=validate)


def get_artifact(run_id: str | Run, key: str | None = None, *, tracker: Tracker | None = None) -> Artifact:
    """One output of a run: that of `key`, or its only one.

    Raises:
        MissingKeyError: no such run or output; lists the outputs.
    """
    return _tracker(tracker).get_run_artifact(run_id, key)


def run_set(label: str = "", *, tracker: Tracker | None = None, **filters: Unpack[RunFilters]) -> RunSet:
    """`Tracker.run_set` of the given or current tracker."""
    return _tracker(tracker).run_set(label, **filters)
