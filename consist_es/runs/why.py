"""Why a run was a hit or a miss, from the records of its lookup."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from consist_es.errors import UsageError
from consist_es.identity.code.left_out import left_out
from consist_es.projections import cache_index, run_table
from consist_es.projections.run_rows import RunRow
from consist_es.text import shown

REASONS = {
    "cache_mode_overwrite": "it was asked to run again",
    "candidate_outputs_invalid": "the recorded outputs are gone or changed",
    "effects_not_put_back": "what the earlier run changed on objects cannot be put back",
    "no_similar_prior_run": "nothing like it ran before",
    "not_vouched": "the log cannot be read where it recorded the earlier run",
    "not_identifiable": "its work cannot be identified",
    "outputs_incomplete": "the earlier run did not make all outputs that are declared now",
    "packages_changed": "it was computed over other versions of packages that count",
    "prior_run_abandoned": "the earlier run's process died",
    "prior_run_failed": "the earlier run failed",
    "prior_run_interrupted": "the earlier run was interrupted",
    "prior_run_not_reusable": "the earlier run may not be reused",
    "reads_changed": "what it read by itself has changed",
    "scenario_changed": "what it read of its scenario has changed",
    "prior_run_running": "the earlier run has not ended",
    "writer_not_trusted": "it was recorded by a writer who is not trusted",
}
"""Reasons of a miss, in words; codes not listed are shown as they are."""

REUSED_OVER = "reused over other packages: "
"""Begins the note on a hit over a source with other versions of packages that do not count."""

_ENDS = {
    "abandoned": "was abandoned",
    "failed": "failed",
    "interrupted": "was interrupted",
    "running": "has not ended: it still runs, or its process is gone",
}
"""Statuses of a run that did not complete, in words."""


def in_words(reason: str) -> str:
    """The reason of a miss in words."""
    return REASONS.get(reason, reason.replace("_", " "))


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run was a hit or a miss, and the time taken or saved; `str()` gives readable text."""

    run: str
    """Id of the run."""
    verdict: str
    """``hit``, ``miss``, or ``demoted``: a trace that had hit, until its block made an output of its own."""
    reason: str
    """On a miss one word, ``config_changed``; on a hit ``same_identity``, ``accepted`` or ``carried_over``."""
    nearest: str | None = None
    """Id of the run that answered, or on a miss of the nearest earlier run."""
    differs: list[str] = []
    """The differences from it, most likely cause first: ``config.growth: 1.0 -> 1.1``."""
    validation: str | None = None
    """On a hit: how the outputs were checked."""
    accepted: list[str] = []
    """On a hit: the accepted changes that it rests on."""
    notes: list[str] = []
    """On a hit: notes for the reader, that it was carried over or what did not count."""
    packages: list[str] = []
    """On a hit: packages that had another version in the earlier run: ``pandas 2.2.1 -> 2.2.2``."""
    put_back: list[str] = []
    """On a hit: attributes and variables that it set as the earlier run had left them."""
    seconds: float | None = None
    """Duration of the run; None while it runs, or if its end is unknown."""
    nearest_seconds: float | None = None
    """Duration of `nearest`: on a hit, the time saved."""
    status: str = "completed"
    """Status of the run: ``running``, ``completed``, ``failed``, ``interrupted`` or ``abandoned``."""
    error: str | None = None
    """The error that ended a run which did not complete: ``ValueError: no zone 7``."""

    def __str__(self) -> str:
        return "\n".join(map(shown, [*self._end(), *(self._hit() if self.verdict == "hit" else self._miss())]))

    def _end(self) -> list[str]:
        """A line on how a run ended that did not complete; empty for one that did."""
        if self.status not in _ENDS:
            return []
        error = f": {self.error}" if self.error else ""
        return [f"{self.run} {_ENDS[self.status]}{error}."]

    def _hit(self) -> list[str]:
        how = f"; its outputs were checked ({self.validation})" if self.validation else ""
        saved = "" if self.nearest_seconds is None else f" and saved {span(self.nearest_seconds)}"
        lines = [f"{self.run} was not computed again: {self.nearest} did the same work{how}."]
        lines += [f"  {text}" for text in (*self.accepted, *self.notes)]
        lines += [f"  {REUSED_OVER}{', '.join(self.packages)}"] if self.packages else []
        lines += [f"  put back: {path}" for path in self.put_back]
        return [*lines, f"  It took {span(self.seconds)}{saved}."]

    def _miss(self) -> list[str]:
        what = "was begun" if self._end() else "was computed"
        what += ", though it had hit" if self.verdict == "demoted" else ""
        colon = ":" if self.differs else "."
        nearest = f" The nearest earlier run is {self.nearest}{colon}" if self.nearest else ""
        took = "Its end is not known." if self.seconds is None else f"It took {span(self.seconds)}."
        then = "" if self.nearest_seconds is None else f" {self.nearest} took {span(self.nearest_seconds)}."
        word = f" ({self.reason})" if self.reason.isidentifier() else ""  # the reason for a demotion is a sentence
        lines = [f"{self.run} {what}: {in_words(self.reason)}{word}.{nearest}"]
        return [*lines, *(f"  {text}" for text in self.differs), f"  {took}{then}"]


def span(seconds: float | None) -> str:
    """A duration in seconds, a long one also in hours, minutes and seconds."""
    if seconds is None:
        return "an unknown time"
    long = f" ({timedelta(seconds=round(seconds))})" if seconds >= 120 else ""
    return f"{seconds:.2f} s{long}"


def why(conn: sqlite3.Connection, row: RunRow) -> Why:
    """Explain why a run was a hit or a miss.

    Raises:
        UsageError: a scenario; names its steps.
    """
    if row.kind == "scenario":
        steps = ", ".join(step.id for step in run_table.steps(conn, row.key)) or "none"
        raise UsageError(
            f"{row.id!r} is a scenario, which is never looked up: ask of one of its steps. Steps: {steps}."
        )
    near = None if row.cache_source_key is None else run_table.by_key(conn, row.cache_source_key)
    details = row.cache_details
    accepted = list(details.get("accepted", ()))
    verdict = {"hit": "hit", "demoted": "demoted"}.get(row.cache or "", "miss")
    return Why(
        run=row.id,
        verdict=verdict,
        reason=_reason_of_hit(details) if verdict == "hit" else row.cache_reason or "not_recorded",
        nearest=row.cache_source_key if near is None else near.id,
        differs=row.cache_differs,
        validation=details.get("validation") if verdict == "hit" else None,
        accepted=accepted if verdict == "hit" else [],
        notes=_notes(row, details) if verdict == "hit" else [],
        packages=list(details.get("packages", ())) if verdict == "hit" else [],
        put_back=cache_index.changed_by(conn, row.cache_source_key or "") if verdict == "hit" else [],
        seconds=row.seconds,
        nearest_seconds=None if near is None else near.seconds,
        status=row.status,
        error=_error(row),
    )


def _reason_of_hit(details: Mapping[str, Any]) -> str:
    if details.get("accepted"):
        return "accepted"
    return "carried_over" if details.get("carried_over") else "same_identity"


def _notes(row: RunRow, details: Mapping[str, Any]) -> list[str]:
    carried = "carried over: it was recorded under version 1 of the fingerprint, and is the same work by that version"
    info = row.fingerprint_info  # for hits recorded before `left_out` was in the details
    left = details.get("left_out") or ("" if info is None else left_out(info.code_mode))
    return [*([carried] if details.get("carried_over") else []), *([left] if left else [])]


def _error(row: RunRow) -> str | None:
    said = ": ".join(filter(None, (row.error_type, row.error_message)))
    return said.splitlines()[0].rstrip(".") if said else None
