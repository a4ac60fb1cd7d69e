"""Verdicts of a look-up: a hit with what it gives, or a miss with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.events import Difference, Effect, ObservedRead

if TYPE_CHECKING:
    from consist_es.cache.recovered import Recovered

NOT_TRUSTED = "writer_not_trusted"
"""Reason of a miss: the matching run was recorded by an untrusted writer."""

INVALID = "candidate_outputs_invalid"
"""Reason of a miss: outputs of the earlier run are gone or changed, and no recovery copy has their bytes."""

EVICTED = "outputs_evicted"
"""Reason of a miss: outputs of the earlier run were evicted to make room, and no recovery copy has their bytes."""

NOT_PUT_BACK = "effects_not_put_back"
"""Reason of a miss: the earlier run's changes to objects cannot be made now."""


class Hit(msgspec.Struct, frozen=True):
    """An earlier run with all outputs intact."""

    source: str
    """Key of the run that computed them."""
    source_id: str
    outputs: dict[str, Artifact]
    """Results for its caller, in order."""
    all_outputs: dict[str, Artifact]
    validation: str
    effects: list[Effect] = []
    """Its changes to objects that outlive it."""
    accepted: list[str] = []
    """If its fingerprint differs: descriptions of the accepted changes that lead to it."""
    reads: list[ObservedRead] = []
    """Observed reads of the source."""
    carried_over: bool = False
    """The source was recorded under version 1 of the fingerprint."""
    claims: bool = False
    """First carry-over: from now on its old fingerprint maps to this one alone."""
    packages: list[str] = []
    """Packages with other versions then, which do not count: ``pandas 2.2.1 -> 2.2.2``."""
    drift: list[str] = []
    """Parts of the configuration that the model does not read, and that differ."""
    recovered: dict[str, Recovered] = {}
    """Outputs whose own files are gone or changed: `outputs` and `all_outputs` have them at their recovery copies."""

    @property
    def put_back(self) -> list[Path]:
        """The places of these outputs."""
        return [item.own_place for item in self.recovered.values() if item.own_place is not None]


class Miss(msgspec.Struct, frozen=True):
    """Reason for no hit."""

    reason: str
    nearest: str | None = None
    differs: list[str] = []
    details: dict[str, Any] = {}
    differences: list[Difference] = []
    """The lines of `differs` as data."""


def invalid(run: str, bad: Mapping[str, str]) -> Miss:
    """The miss on a run with these faults, by output."""
    said = [f"output {key!r} {what}" for key, what in bad.items()]
    return Miss(INVALID, run, said, {"outputs": dict(bad)})


def evicted(run: str, days: Mapping[str, str]) -> Miss:
    """The miss on a run whose outputs were evicted on these days."""
    said = [f"output {key!r} was evicted on {day}: computing it makes it again" for key, day in days.items()]
    return Miss(EVICTED, run, said, {"evicted": dict(days)})
