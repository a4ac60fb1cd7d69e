"""Trackers and scenarios that travel: what goes to another process is JSON of some hundred bytes, without secrets.

There a tracker is opened once, and the scenario attached to it: the same scenario, whose header run and coupler belong
to the process that entered it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from consist_es.errors import NoScenarioError, UsageError
from consist_es.project.find import server_database, server_of
from consist_es.sweeps.perform import Task, Told, perform, told_of

if TYPE_CHECKING:
    from consist_es.api.scenario import ScenarioContext
    from consist_es.api.tracker import Tracker

ENV = "CONSIST_ES_CONTEXT"
T = TypeVar("T", bound="Tracker")
_OPEN: dict[tuple[int, str], Any] = {}
"""(process, settings) -> tracker. A forked child opens its own."""
_ATTACHED: dict[tuple[int, str, str], Any] = {}
"""(process, handle, sweep) -> scenario; the newest alone, whose coupler is as it was when the sweep began."""


class Handle(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scenario on its way."""

    tracker: dict[str, Any]
    scenario: str
    """Key of the header run."""
    name: str
    model: str
    prefix: str
    epoch: int | None = None
    tags: tuple[str, ...] = ()
    facet: dict[str, Any] = {}
    template: str | None = None
    hydration: str | None = None


def settings_of(tracker: Tracker) -> str:
    """The settings of a tracker as JSON.

    Raises:
        UsageError: it has a function, or keeps nothing.
    """
    engine, defaults, project = tracker._engine, tracker._defaults, tracker._project
    if engine.subdir_of is not None:
        raise UsageError(
            "A tracker with run_subdir_fn cannot travel to another process: leave that out, or use threads."
        )
    if not engine.use_cache:
        raise UsageError(
            "A tracker that records nothing cannot travel to another process: there is nothing to attach to."
        )
    observer, packages, server = engine.observer, defaults.packages, server_of(tracker.db_path)
    found: dict[str, Any] = {
        "run_dir": str(tracker.run_dir),
        "db_path": None if server is not None and tracker.db_path == server_database(server) else str(tracker.db_path),
        "mounts": tracker.mounts,
        "project_root": str(defaults.project_root),
        "hashing_strategy": engine.digester.method,
        "cache_epoch": defaults.cache_epoch,
        "access_mode": engine.access_mode,
        "allow_external_paths": engine.allow_external_paths,
        "sync": project.log.sync,
        "mask_keys": list(project.mask_keys),
        "record_env": list(project.record_env),
        "trusted_writers": None if engine.trust is None else list(engine.trust.trusted),
        "observe": "count" if observer is None else observer.mode,
        "ignore_reads": [] if observer is None else list(observer.ignored),
        "carry_over": engine.carry_over,
        "package_identity": packages.identity,
        "model_packages": list(packages.model),
        "ignore_packages": list(packages.ignore),
        "capture_log": engine.capture_log,
        "record_source": engine.sources is not None,
        "log": server,  # never with a password
        "label_root": None if defaults.label_root is None else str(defaults.label_root),
    }
    return msgspec.json.encode({name: value for name, value in found.items() if value not in (None, [], {})}).decode()


def reopen(kind: type[T], settings: str) -> T:
    """The tracker with these settings, opened once in a process."""
    key = (os.getpid(), settings)
    if key not in _OPEN:
        given = msgspec.json.decode(settings)
        place = given.pop("label_root", None)
        tracker = kind(**given, progress=False)  # the process that started the work tells of it
        label_root = None if place is None else Path(place)
        tracker._defaults = msgspec.structs.replace(tracker._defaults, label_root=label_root)
        _OPEN.setdefault(key, tracker)  # another thread may have been first
    found: T = _OPEN[key]
    return found


def handle_of(sc: Any) -> str:
    """A scenario as JSON."""
    header, defaults = sc._header, sc._defaults
    facet: Any = sc._engine.project.masker.plain(dict(defaults.facet))
    handle = Handle(
        tracker=msgspec.json.decode(settings_of(sc.tracker)),
        scenario=sc._key,
        name=header.name,
        model=header.model,
        prefix=defaults.run_id_prefix,
        epoch=defaults.cache_epoch,
        tags=defaults.tags,
        facet=facet,
        template=defaults.name_template,
        hydration=defaults.cache_hydration,
    )
    return msgspec.json.encode(handle).decode()


def attach(kind: type[Tracker], text: str, sweep: str = "") -> ScenarioContext:
    """The scenario of a handle, in this process.

    Raises:
        NoScenarioError: it is no handle, or the log does not have the scenario.
    """
    key = (os.getpid(), text, sweep)
    if not sweep or key not in _ATTACHED:
        try:
            handle = msgspec.json.decode(text, type=Handle)
        except msgspec.DecodeError as error:
            raise NoScenarioError(f"This is no handle of a scenario: {text[:60]!a}.") from error
        tracker = reopen(kind, msgspec.json.encode(handle.tracker).decode())
        found = tracker._attached(handle, text)
        if not sweep:
            return found
        _ATTACHED.clear()
        _ATTACHED[key] = found
    kept: ScenarioContext = _ATTACHED[key]
    return kept


def from_environment(kind: type[Tracker]) -> ScenarioContext:
    """The scenario that this process was started for.

    Raises:
        NoScenarioError: it was not.
    """
    text = os.environ.get(ENV)
    if not text:
        raise NoScenarioError(f"{ENV} is not set: this process was not started for a scenario.")
    return attach(kind, text)


def work(kind: type[Tracker], task: Task) -> Told:
    """Run one row in a worker of an executor."""
    mask: list[Callable[[str], str]] = []

    def act() -> bool:
        sc = attach(kind, task.handle, task.sweep)
        mask.append(sc._engine.project.masker.error)
        if task.is_scenario:
            from consist_es.api.row_scenarios import perform_scenario

            return perform_scenario(sc, task)
        scope = msgspec.structs.replace(sc._scope("map()"), sweep=task.sweep, row=task.row, sets_coupler=False)
        return perform(sc._engine, scope, task)

    return told_of(act, lambda text: mask[-1](text) if mask else text)
