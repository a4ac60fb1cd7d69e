"""Evictions and pins as lines for auditors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consist_es.cli.line import ODD, Line
from consist_es.cli.names import Names
from consist_es.cli.phrases import after_colon
from consist_es.cli.units import short_digest
from consist_es.events import ArtifactEvicted, BytesPinned, PinRemoved


def _evicted(event: ArtifactEvicted, _names: Names) -> Line:
    return Line(f"{event.key} {short_digest(event.digest)} evicted to make room{after_colon(event.policy)}", ODD)


def _pinned(event: BytesPinned, _names: Names) -> Line:
    return Line(f"{event.name} pinned: {event.reason}")


def _unpinned(event: PinRemoved, _names: Names) -> Line:
    return Line(f"{event.name} no longer pinned{after_colon(event.reason or '')}", ODD)


WORDS: dict[type, Callable[[Any, Names], Line]] = {
    ArtifactEvicted: _evicted,
    BytesPinned: _pinned,
    PinRemoved: _unpinned,
}
"""Event type -> its words."""
