"""What the views share: JSON in text columns, and the keys that an event must have."""

from typing import Any, TypeVar

import msgspec

from consist_es.events import Recorded

_T = TypeVar("_T")


def to_text(value: Any) -> str | None:
    """JSON text for a column; NULL for None."""
    return None if value is None else msgspec.json.encode(value).decode()


def from_text(text: str | None, default: Any = None) -> Any:
    """The value of a JSON column."""
    return default if text is None else msgspec.json.decode(text)


def run_of(recorded: Recorded) -> str:
    """Key of the run that an event is about."""
    if recorded.run is None:
        raise ValueError("the event names no run")
    return recorded.run


def scenario_of(recorded: Recorded) -> str:
    """Key of the scenario that an event is about."""
    if recorded.scenario is None:
        raise ValueError("the event names no scenario")
    return recorded.scenario


def first(found: list[_T]) -> _T | None:
    """The first of a list, or None."""
    return found[0] if found else None
