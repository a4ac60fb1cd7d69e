"""What the views share: JSON in text columns, and the keys that an event must have."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec

from consist_es.errors import ViewContentError
from consist_es.events import Recorded

_T = TypeVar("_T")
ANYTHING = msgspec.json.Decoder()


_NUMBERS: dict[Any, type] = {int: int, int | None: int, bool: int, float: float, float | None: float}


def columns_of(row: type[msgspec.Struct]) -> dict[str, type]:
    """The columns of the table whose rows a struct holds; what is neither number nor text is kept as JSON text."""
    return {name: _NUMBERS.get(kind, str) for name, kind in get_type_hints(row).items()}


def to_text(value: Any) -> str | None:
    """JSON text for a column; NULL for None."""
    return None if value is None else msgspec.json.encode(value).decode()


def from_text(text: str | None, default: Any = None) -> Any:
    """The value of a JSON column.

    Raises:
        ViewContentError: it is none.
    """
    return default if text is None else decoded(ANYTHING, text)


def decoded(decoder: msgspec.json.Decoder[_T], text: Any) -> _T:
    """What a JSON column holds, in the form that folding gave it.

    Raises:
        ViewContentError: somebody put something else there.
    """
    try:
        return decoder.decode(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ViewContentError(f"{text!a:.60}", error) from error


def texts(*values: Any) -> tuple[str | None, ...]:
    """JSON texts for several columns."""
    return tuple(map(to_text, values))


Columns = Mapping[str, tuple[msgspec.json.Decoder[Any], Callable[[], Any] | None]]
"""JSON column -> how it is decoded, and what NULL in it stands for; None where it never is NULL."""


def decode_columns(row: dict[str, Any], columns: Columns) -> None:
    """Put values in the place of the JSON texts of a row.

    Raises:
        ViewContentError: somebody put something else there.
    """
    for name, (decoder, default) in columns.items():
        text = row[name]
        row[name] = decoded(decoder, text) if text is not None or default is None else default()


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
