"""Warnings about a step that was reused."""

from __future__ import annotations

import warnings

from consist_es.cache.lookup import Hit
from consist_es.errors import ConsistWarning
from consist_es.identity.left_out import left_out
from consist_es.runs.why import REUSED_OVER
from consist_es.steps.step import Step

_OVER_PACKAGES = (
    "Tracker(package_identity='imported') or model_packages=[…] makes versions count; accept_packages(reason) accepts "
    "these."
)


def tell_of_hit(step: Step, hit: Hit) -> None:
    """Warn of package versions that a result was reused over, and of code that did not count."""
    if hit.packages:
        said = f"{REUSED_OVER}{', '.join(hit.packages)}"
        warnings.warn(f"Step {step.name!r} was {said}. {_OVER_PACKAGES}", ConsistWarning, stacklevel=3)
    if left := left_out(step.fingerprint.code_mode, step.fingerprint.code_parts):
        warnings.warn(f"Step {step.name!r} was reused: {left}.", ConsistWarning, stacklevel=3)
