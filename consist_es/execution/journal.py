"""A run that has begun, and the journal that writes events about it into a project's log."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from consist_es.artifacts.uris import UriMap
from consist_es.errors import ClosedError
from consist_es.events import Draft, Event
from consist_es.observe.board import Joined
from consist_es.runs.run import Run

if TYPE_CHECKING:
    from consist_es.project.project import Project


class Begun(msgspec.Struct, frozen=True):
    """A recorded run, with the facts that are known without the views."""

    key: str
    id: str
    """The readable id, with the number of the attempt."""
    kind: str
    read: Callable[[], Run]
    """Reads its record from the views."""


class Journal(msgspec.Struct, frozen=True):
    """Records events of one scenario and run."""

    project: Project
    uris: UriMap
    scenario: str | None = None
    run: str | None = None

    def of(self, run: str) -> Journal:
        """Journal of another run in the same scenario."""
        return Journal(self.project, self.uris, self.scenario, run)

    def drafts(self, *events: Event) -> list[Draft]:
        """The events with scenario and run filled in."""
        return [Draft(event, scenario=self.scenario, run=self.run) for event in events]

    def record(self, *events: Event, commit: bool = False) -> None:
        """Append the events as one batch. `commit`: make them durable before returning (see sync policies)."""
        if events:
            self.project.record(self.drafts(*events), commit=commit)


class WorkersJournal(Journal, frozen=True):
    """Journal in a child process for a run of its parent."""

    def record(self, *events: Event, commit: bool = False) -> None:
        """Append the events, unless the run has ended.

        Raises:
            ClosedError: the run has ended.
        """
        if not events:
            return
        with Joined(self.run or "") as is_open:
            if not is_open:
                raise ClosedError(
                    f"Run {self.run!r} has ended in the process that started this one (process {os.getpid()}): what is "
                    "logged now belongs to no run. Let the step wait for its workers before it returns."
                )
            self.project.record(self.drafts(*events), commit=commit, tidy=False)
