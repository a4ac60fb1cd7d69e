"""Why a run was a hit or a miss, from the records of its lookup."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from consist_es.errors import UsageError
from consist_es.events import Difference
from consist_es.identity.left_out import left_out
from consist_es.projections import cache_index, near, run_table
from consist_es.projections.imported import IMPORTED
from consist_es.projections.run_rows import RunRow
from consist_es.runs.differences import described, differences
from consist_es.runs.source_changes import SourceChange, in_lines, source_changes
from consist_es.text import shortened, shown
from consist_es.text import span as span
from consist_es.values.masking import Masker

REASONS = {
    "cache_mode_overwrite": "it was asked to run again",
    "candidate_outputs_invalid": "the recorded outputs are gone or changed",
    "effects_not_put_back": "what the earlier run changed on objects cannot be put back",
    "no_similar_prior_run": "nothing like it ran before",
    "not_vouched": "the log cannot be read where it recorded the earlier run",
    "not_identifiable": "its work cannot be identified",
    "outputs_evicted": "its outputs were evicted to make room",
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
UNREAD = "differs and does not count: "
"""Begins the note on a hit over a source with another configuration, of which the model reads the same."""

NEVER_A_HIT = "Its code was not seen by this library, so it never answers for another run."
"""Of imported runs."""

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


_REPR = 300
"""Most characters of a `repr`."""


def reused_over(packages: Sequence[str], left_out: str, drift: Sequence[str]) -> list[str]:
    """Lines on what a hit was reused over, although it differs or did not count."""
    over = [f"{REUSED_OVER}{', '.join(packages)}"] if packages else []
    return [*over, *([left_out] if left_out else []), *(f"{UNREAD}{line}" for line in drift)]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run was a hit or a miss, and the time taken or saved; `str()` gives readable text."""

    run: str
    """Id of the run."""
    verdict: str
    """``hit``, ``miss``, ``demoted``: a trace that had hit, until its block made an output of its own; or ``imported``:
    nothing was looked up."""
    reason: str
    """On a miss one word, ``config_changed``; on a hit ``same_identity``, ``accepted`` or ``carried_over``;
    ``imported``."""
    nearest: str | None = None
    """Id of the run that answered, or on a miss of the nearest earlier run."""
    differs: list[str] = []
    """The differences from it, most likely cause first: ``config.growth: 1.0 -> 1.1``."""
    validation: str | None = None
    """On a hit: how the outputs were checked."""
    accepted: list[str] = []
    """On a hit: the accepted changes that it rests on."""
    notes: list[str] = []
    """On a hit: notes for the reader, that it was carried over or what did not count. Where it was imported from."""
    packages: list[str] = []
    """On a hit: packages that had another version in the earlier run: ``pandas 2.2.1 -> 2.2.2``."""
    put_back: list[str] = []
    """On a hit: attributes and variables that it set as the earlier run had left them."""
    seconds: float | None = None
    """Duration of the run; None while it runs, or if its end is unknown."""
    nearest_seconds: float | None = None
    """Duration of `nearest`: on a hit, the time saved."""
    source_changes: list[SourceChange] = []
    """On a miss: the lines of code that changed, as far as their texts are recorded."""
    status: str = "completed"
    """Status of the run: ``running``, ``completed``, ``failed``, ``interrupted`` or ``abandoned``."""
    error: str | None = None
    """The error that ended a run which did not complete: ``ValueError: no zone 7``."""

    def __str__(self) -> str:
        return "\n".join(map(shown, self._lines()))

    def __repr__(self) -> str:
        return f"<Why {shown(shortened(' '.join(self._lines()[0].split()), _REPR))}>"

    def _repr_html_(self) -> str:
        """The text of `str()` for a notebook."""
        from consist_es.notebook import box

        first, *lines = self._lines()
        return box(self.verdict, self.run, [("", first), *(("", line) for line in lines)], total=1 + len(lines))

    def _lines(self) -> list[str]:
        told = {"hit": self._hit, "imported": self._imported}.get(self.verdict, self._miss)
        return [*self._end(), *told()]

    def _end(self) -> list[str]:
        """A line on how a run ended that did not complete; empty for one that did."""
        if self.status not in _ENDS:
            return []
        error = f": {self.error}" if self.error else ""
        return [f"{self.run} {_ENDS[self.status]}{error}."]

    def _imported(self) -> list[str]:
        took = [] if self.seconds is None else [f"  It took {span(self.seconds)}."]
        return [f"{self.run} was imported: {', '.join(self.notes)}.", f"  {NEVER_A_HIT}", *took]

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
        lines = [f"{self.run} {what}: {in_words(self.reason)}.{nearest}"]
        lines += [f"  {text}" for text in (*self.differs, *in_lines(self.source_changes))]
        return [*lines, f"  {took}{then}"]


def why(conn: sqlite3.Connection, row: RunRow, masker: Masker | None = None) -> Why:
    """Explain why a run was a hit or a miss. `masker` hides what was recorded before it was secret.

    Raises:
        UsageError: a scenario; names its steps.
    """
    if row.kind == "scenario":
        steps = ", ".join(step.id for step in run_table.step_summaries(conn, row.key)) or "none"
        raise UsageError(
            f"{row.id!r} is a scenario, which is never looked up: ask of one of its steps. Steps: {steps}."
        )
    row = ranked(conn, row, masker)
    nearest = None if row.cache_source_key is None else run_table.by_key(conn, row.cache_source_key)
    details = row.cache_details
    accepted = list(details.get("accepted", ()))
    verdict = row.cache if row.cache in ("hit", "demoted", IMPORTED) else "miss"
    return Why(
        run=row.id,
        verdict=verdict,
        reason=_reason(row, details, verdict),
        nearest=row.cache_source_key if nearest is None else nearest.id,
        differs=row.cache_differs,
        validation=details.get("validation") if verdict == "hit" else None,
        accepted=accepted if verdict == "hit" else [],
        notes=_notes(row, details) if verdict == "hit" else imported_from(row),
        packages=list(details.get("packages", ())) if verdict == "hit" else [],
        put_back=cache_index.changed_by(conn, row.cache_source_key or "") if verdict == "hit" else [],
        source_changes=[] if verdict == "hit" else _source_changes(conn, row, nearest, masker),
        seconds=row.seconds,
        nearest_seconds=None if nearest is None else nearest.seconds,
        status=row.status,
        error=_error(row),
    )


_OF_PARTS = re.compile(
    r"((code|config|inputs|labels|identity_inputs|adapter)(_and_(inputs|code))?|all_components|version)_changed|unstable"
)
"""Reasons that tell how a step differs from the nearest run; others are about a run that did the same work."""


def ranked(conn: sqlite3.Connection, row: RunRow, masker: Masker | None = None) -> RunRow:
    """A run with nearest run, reason and differences of its miss: as recorded, unless another earlier run was nearer
    key by key. When a miss is recorded there is no time to compare them all."""
    said = None if row.cache_source_key is None else run_table.by_key(conn, row.cache_source_key)
    info = row.fingerprint_info
    if said is None or info is None or row.cache != "missed" or row.cache_details:
        return row
    if not _OF_PARTS.fullmatch(row.cache_reason or "") or (said.model != row.model and said.name != row.name):
        return row  # of a run that was redacted, there is no more than what was recorded

    def told(run: RunRow) -> tuple[str, list[Difference]]:
        return differences(
            conn, run, fingerprint=shown_info, config=config, inputs=row.inputs, files=files, masker=masker
        )

    shown_info = info if masker is None else masker.fingerprint(info)
    config = row.config if masker is None else masker.plain(row.config)
    files = described(conn, row.inputs)
    best = near.nearest(
        conn,
        model=row.model,
        name=row.name,
        info=info,
        scenario=row.scenario_key,
        differing=lambda run: len(told(run)[1]),
        before=row.started_seq,
    )
    if best is None or best.key == said.key:
        return row
    reason, found = told(best)
    words = [difference.text for difference in found]
    more = {"cache_source_key": best.key, "cache_reason": reason, "cache_differs": words}
    return msgspec.structs.replace(row, **more, cache_differences=found)


def _source_changes(
    conn: sqlite3.Connection, row: RunRow, nearest: RunRow | None, masker: Masker | None
) -> list[SourceChange]:
    return source_changes(conn, row, nearest) if masker is None else source_changes(conn, row, nearest, masker.error)


def _reason(row: RunRow, details: Mapping[str, Any], verdict: str) -> str:
    if verdict == IMPORTED:
        return IMPORTED
    if verdict != "hit":
        return row.cache_reason or "not_recorded"
    if details.get("accepted"):
        return "accepted"
    return "carried_over" if details.get("carried_over") else "same_identity"


def imported_from(row: RunRow) -> list[str]:
    """Where a run was imported from, in words; empty if it was not."""
    if row.cache != IMPORTED:
        return []
    details = row.cache_details
    return [f"from the record of {details.get('program')} in {details.get('store') or 'a place that was redacted'}"]


def _notes(row: RunRow, details: Mapping[str, Any]) -> list[str]:
    carried = "carried over: it was recorded under version 1 of the fingerprint, and is the same work by that version"
    info = row.fingerprint_info  # for hits recorded before `left_out` was in the details
    left = details.get("left_out") or ("" if info is None else left_out(info.code_mode, info.code_parts))
    drift = [f"{UNREAD}{line}" for line in details.get("drift", ())]
    copied = [f"{key} was read from its recovery copy, {uri}" for key, uri in details.get("copies", {}).items()]
    return [*([carried] if details.get("carried_over") else []), *([left] if left else []), *drift, *copied]


def _error(row: RunRow) -> str | None:
    said = ": ".join(filter(None, (row.error_type, row.error_message)))
    return said.splitlines()[0].rstrip(".") if said else None
