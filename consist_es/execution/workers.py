"""Finds the run that a call belongs to: of this thread or task, of the step that started the thread, or of the parent
process.

A run belongs to a process, its threads and its children. A thread of a pool has no context of its own; if one step is
executing, it works for that one. A child finds its parent's runs on the board, and logs into the same log under the
run's key. When the run ends, the parent reads that back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap
from consist_es.cache.lookup import artifacts_of
from consist_es.errors import ClosedError, NoActiveRunError
from consist_es.events import Cursor
from consist_es.execution.active import ActiveRun
from consist_es.execution.current import frames_of_thread, top
from consist_es.execution.journal import Begun, WorkersJournal
from consist_es.observe import board
from consist_es.project.project import Project
from consist_es.projections import lineage
from consist_es.runs.run import Run

_Admits = Callable[[Any, str], bool]
"""Filter of runs by (tracker, or None for another process; path of the views)."""


def active_run(call: str, admits: _Admits = lambda _tracker, _path: True) -> ActiveRun:
    """The run that this thread's work belongs to.

    Raises:
        NoActiveRunError: there is none, or more than one. ClosedError: it has ended in the parent process.
    """
    found = _found(call, admits)
    if found is None:
        raise NoActiveRunError(call)
    return found


def active_run_or_none() -> ActiveRun | None:
    """As `active_run`, or None."""
    try:
        return _found("", lambda _tracker, _path: True)
    except (ClosedError, NoActiveRunError):
        return None


def _found(call: str, admits: _Admits) -> ActiveRun | None:
    frame = top()
    if frame is not None and frame.run is not None and frame.run.is_own:
        return frame.run if admits(frame.tracker, "") else None
    frames = frames_of_thread()
    own = [each.run for each in frames if each.run is not None and each.run.is_own and admits(each.tracker, "")]
    if own:
        return _only(call, own)
    posted = {key: about for key, about in board.posted().items() if admits(None, about["db"])}
    inherited = [each.run for each in frames if each.run is not None and admits(each.tracker, "")]
    open_ones = [run for run in inherited if run.key in posted]
    if open_ones:
        run = _only(call, open_ones)
        run.join()
        return run
    if posted:
        return _only(call, [_joined(about) for about in posted.values()])
    if inherited and frame is not None:
        raise ClosedError(
            f"{call}: run {inherited[0].id!r} has ended in the process that started this one: what is done now "
            "belongs to no run. Let the step wait for its workers before it returns."
        )
    return None


def _only(call: str, runs: Sequence[ActiveRun]) -> ActiveRun:
    if len(runs) > 1:
        raise NoActiveRunError(call, [run.id for run in runs])
    return runs[0]


@lru_cache(maxsize=8)
def _project(path: str, sync: str, mask_keys: tuple[str, ...]) -> Project:
    return Project(Path(path), sync=sync, mask_keys=mask_keys)


_joined_runs: dict[str, ActiveRun] = {}
"""The newest run of another process that this one works for, by key."""


def _joined(about: dict[str, Any]) -> ActiveRun:
    """A run of another process, with what is needed to log for it."""
    key = about["key"]
    if (known := _joined_runs.get(key)) is not None:
        return known
    project = _project(about["db"], about["sync"], tuple(about["mask"]))
    uris = UriMap(run_dir=about["run_dir"], mounts=about["mounts"])
    run = Run(
        id=about["id"],
        key=key,
        run_id=about["id"],
        attempt=1,
        kind=about["kind"],
        name=about["id"],
        model_name="",
        status="running",
    )
    cached: dict[str, Artifact] | None = None
    if about["cached"]:
        conn = project.connection()
        cached = artifacts_of(conn, lineage.outputs(conn, key), uris)
    active = ActiveRun(
        Begun(key, about["id"], about["kind"], lambda: run),
        journal=WorkersJournal(project, uris, about["scenario"], key),
        digester=Digester(about["method"], project.digests),
        directory=Path(about["directory"]),
        inputs=(),
        config=None,
        cached=cached,
    )
    _joined_runs.clear()
    _joined_runs[key] = active
    return active


def take_in(active: ActiveRun, began: Cursor) -> None:
    """Add what child processes recorded for the run since `began`."""
    told, active.told = active.told, []
    if told:
        active.take_in(active.journal.project.log.read(began))
        active.observations.take_in(told)
