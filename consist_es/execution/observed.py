"""Undeclared reads of the scenario and the tracker while a step runs: a later hit depends on them too.

A step or block can read its scenario's config, inputs and coupler, or query the tracker for other runs; its code and
arguments do not show it. Reads of its own scenario are recorded with the run, and a hit requires the same values. A
run with any other such read is never reused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, is_like_artifact
from consist_es.artifacts.describe import Digester
from consist_es.errors import ConsistError
from consist_es.execution.current import active_run_or_none, runs_of_thread
from consist_es.identity.config import digest_of_plain, said_of
from consist_es.observe import board


class Surroundings(msgspec.Struct, frozen=True):
    """The parts of a scenario that its steps can read."""

    scenario: Any
    coupler: Any
    now: Callable[[str], str]
    """Name of a part -> digest of its present value, "" if unknown."""
    paths: Callable[[str], list[str]] = lambda _name: []
    """Name of a part -> the files behind it."""


class Observations:
    """The reads of one run so far."""

    def __init__(self, around: Surroundings | None, run: str = "") -> None:
        self._around = around
        self._own: set[str] = set()
        self.seen: dict[str, str] = {}
        """Part of the scenario that was read -> digest of its value."""
        self.beside: list[str] = []
        """Reads that cannot be re-checked on a hit (shown by `why`)."""
        self._run = run
        """Key of the run."""
        self._pid = os.getpid()

    def coupler(self, coupler: Any, key: str | None) -> None:
        """Note a read of a coupler key, or (None) of the list of its keys."""
        if key is not None and key in self._own:
            return
        own = self._around is not None and self._around.coupler is coupler
        self._read(own, "the coupler's keys" if key is None else f"coupler key {key!r}", "another scenario's coupler")

    def wrote(self, key: str) -> None:
        """Note that the run set a coupler key itself: later reads of it do not count."""
        if f"coupler key {key!r}" not in self.seen:
            self._own.add(key)

    def scenario(self, scenario: Any, what: str) -> None:
        """Note a read of the scenario's ``config``, ``inputs`` or ``run_id``."""
        own = self._around is not None and self._around.scenario is scenario
        self._read(own, f"the scenario's {what}", f"another scenario's {what}")

    def other(self, what: str) -> None:
        """Note a read that cannot be re-checked on a hit."""
        if what not in self.beside:
            self.beside.append(what)
            self._pass_on(beside=what)

    def take_in(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Add the reads that child processes reported."""
        for each in told:
            name, digest = each.get("name"), each.get("digest")
            if isinstance(what := each.get("beside"), str):
                self.other(what)
            elif isinstance(name, str) and isinstance(digest, str) and self.seen.setdefault(name, digest) != digest:
                self.other(f"{name}, which changed while it ran")

    def _pass_on(self, **about: str) -> None:
        """Report to the run's process, if this is a forked child of it."""
        if self._pid != os.getpid():
            board.tell(self._run, **about)

    def _read(self, own: bool, name: str, otherwise: str) -> None:
        if not own or self._around is None:
            self.other(otherwise)
        elif name not in self.seen and not (found := self._around.now(name)):
            self.other(f"{name}, which cannot be identified")
        elif name not in self.seen:
            self.seen[name] = found
            self._pass_on(name=name, digest=found)


def observations() -> list[Observations]:
    """Observations of the runs that a read in this thread belongs to, see `runs_of_thread`."""
    return [run.observations for run in runs_of_thread()]


def own_observations() -> list[Observations]:
    """Observations of the executing run; empty in a thread without a run of its own."""
    run = active_run_or_none()
    return [] if run is None else [run.observations]


def digest_now(
    name: str, run_id: str, config: Any, inputs: Mapping[str, Any], coupler: Mapping[str, Any], digester: Digester
) -> str:
    """Present digest of a part of a scenario, by its name in `Observations.seen`; "" if unknown."""
    match name:
        case "the scenario's config":
            return digest_of_plain(config)
        case "the scenario's run_id":
            return digest_of_plain(run_id)
        case "the scenario's inputs":
            found = {key: _content(value, digester) for key, value in inputs.items()}
            return digest_of_plain(found) if all(found.values()) else ""
        case "the coupler's keys":
            return digest_of_plain(list(coupler))
    key = next((key for key in coupler if name == f"coupler key {key!r}"), None)
    return digest_of_plain(None) if key is None else _content(coupler[key], digester)


def paths_behind(name: str, inputs: Mapping[str, Any], coupler: Mapping[str, Any]) -> list[str]:
    """The files behind a name in `Observations.seen`: its reader reads them."""
    if name == "the scenario's inputs":
        return [str(_path(value)) for value in inputs.values()]
    return [str(_path(value)) for key, value in coupler.items() if name == f"coupler key {key!r}"]


def _path(value: Any) -> Path:
    return value.path if is_like_artifact(value) else Path(os.path.abspath(value))


def _content(value: Any, digester: Digester) -> str:
    """Digest of a coupler's value: its bytes, key, facet and metadata."""
    try:
        path = _path(value)
        said = said_of(value) if isinstance(value, Artifact) else None
        return digest_of_plain([digester.digest(path).value, said])
    except (ConsistError, OSError, TypeError):
        return ""
