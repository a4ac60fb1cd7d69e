"""What a step reads by itself while it runs, beside what it was given: a later hit depends on that too.

A step or block can reach for its scenario's config, inputs and coupler, or ask the tracker about other runs; its code
and arguments do not show it. What it reads of its own scenario is recorded with the run, and must be the same where
the run is to answer for a later one. A run that read anything else of the kind is never reused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.artifact import Artifact, ArtifactLike
from consist_es.artifacts.describe import Digester
from consist_es.errors import ConsistError
from consist_es.execution.current import active_run_or_none, runs_of_thread
from consist_es.identity.config import digest_of_plain, said_of
from consist_es.observe import board


class Surroundings(msgspec.Struct, frozen=True):
    """What a step can read of its scenario."""

    scenario: Any
    coupler: Any
    now: Callable[[str], str]
    """Name of something that can be read -> digest of what it is at present, "" where it cannot be told."""
    paths: Callable[[str], list[str]] = lambda _name: []
    """Name of something that can be read -> the files behind it."""


class Observations:
    """What one run has read so far."""

    def __init__(self, around: Surroundings | None, run: str = "") -> None:
        self._around = around
        self._own: set[str] = set()
        self.seen: dict[str, str] = {}
        """What it read of its scenario -> digest of what that was."""
        self.beside: list[str] = []
        """What it read and cannot be compared later, in words."""
        self._run = run
        """Its key."""
        self._pid = os.getpid()

    def coupler(self, coupler: Any, key: str | None) -> None:
        """It read a key of a coupler, or None: which keys there are."""
        if key is not None and key in self._own:
            return
        own = self._around is not None and self._around.coupler is coupler
        self._read(own, "the coupler's keys" if key is None else f"coupler key {key!r}", "another scenario's coupler")

    def wrote(self, key: str) -> None:
        """It set a coupler key itself: from now on reading that says nothing new."""
        if f"coupler key {key!r}" not in self.seen:
            self._own.add(key)

    def scenario(self, scenario: Any, what: str) -> None:
        """It read the scenario's ``config``, ``inputs`` or ``run_id``."""
        own = self._around is not None and self._around.scenario is scenario
        self._read(own, f"the scenario's {what}", f"another scenario's {what}")

    def other(self, what: str) -> None:
        """It read something that no later run can be held against."""
        if what not in self.beside:
            self.beside.append(what)
            self._pass_on(beside=what)

    def take_in(self, told: Iterable[Mapping[str, Any]]) -> None:
        """Count what processes that the run started told that they have read."""
        for each in told:
            name, digest = each.get("name"), each.get("digest")
            if isinstance(what := each.get("beside"), str):
                self.other(what)
            elif isinstance(name, str) and isinstance(digest, str) and self.seen.setdefault(name, digest) != digest:
                self.other(f"{name}, which changed while it ran")

    def _pass_on(self, **about: str) -> None:
        """Tell the process that has the run, where this is a forked child of it."""
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
    """Those of the runs that a read in this thread belongs to, see `runs_of_thread`."""
    return [run.observations for run in runs_of_thread()]


def own_observations() -> list[Observations]:
    """Those of the run whose function or block is executing; none in a thread without a run of its own."""
    run = active_run_or_none()
    return [] if run is None else [run.observations]


def digest_now(
    name: str, run_id: str, config: Any, inputs: Mapping[str, Any], coupler: Mapping[str, Any], digester: Digester
) -> str:
    """Digest of what a name of `Observations.seen` stands for in a scenario, "" where it cannot be told."""
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
    """The files behind a name of `Observations.seen`: whoever read that reads them."""
    if name == "the scenario's inputs":
        return [str(_path(value)) for value in inputs.values()]
    return [str(_path(value)) for key, value in coupler.items() if name == f"coupler key {key!r}"]


def _path(value: Any) -> Path:
    return value.path if isinstance(value, ArtifactLike) else Path(os.path.abspath(value))


def _content(value: Any, digester: Digester) -> str:
    """Digest of a coupler's value: of its bytes, and of what is said of it."""
    try:
        path = _path(value)
        said = said_of(value) if isinstance(value, Artifact) else None
        return digest_of_plain([digester.digest(path).value, said])
    except (ConsistError, OSError, TypeError):
        return ""
