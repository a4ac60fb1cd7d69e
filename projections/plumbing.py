"""Shared by the views: JSON in text columns, and required event keys."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

import msgspec

from consist_es.errors import ViewContentError
from consist_es.events import Recorded

_T = TypeVar("_T")
ANYTHING = msgspec.json.Decoder()


_NUMBERS: dict[Any, type] = {int: int, int | None: int, bool: int, float: float, float | None: float}


def columns_of(row: type[msgspec.Struct]) -> dict[str, type]:
    """The table columns for a row struct; types other than numbers and text become JSON text."""
    return {name: _NUMBERS.get(kind, str) for name, kind in get_type_hints(row).items()}


_ENCODE = msgspec.json.Encoder().encode


def to_text(value: Any) -> str | None:
    """JSON text for a column; NULL for None."""
    return None if value is None else _ENCODE(value).decode()


def from_text(text: str | None, default: Any = None) -> Any:
    """The value of a JSON column.

    Raises:
        ViewContentError: it is not JSON.
    """
    return default if text is None else decoded(ANYTHING, text)


def decoded(decoder: msgspec.json.Decoder[_T], text: Any) -> _T:
    """The value of a JSON column, decoded to its folded form.

    Raises:
        ViewContentError: it has foreign content.
    """
    try:
        return decoder.decode(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ViewContentError(f"{text!a:.60}", error) from error


def texts(*values: Any) -> tuple[str | None, ...]:
    """JSON texts for several columns."""
    return tuple(map(to_text, values))


Columns = Mapping[str, tuple[msgspec.json.Decoder[Any], Callable[[], Any] | None]]
"""JSON column -> decoder, and a factory for NULL's value; None if it is never NULL."""


def decode_columns(row: dict[str, Any], columns: Columns) -> None:
    """Replace the JSON texts of a row by their values.

    Raises:
        ViewContentError: it has foreign content.
    """
    for name, (decoder, default) in columns.items():
        text = row[name]
        row[name] = decoded(decoder, text) if text is not None or default is None else default()


class Grouped(list[tuple[str, list[Any]]]):
    """Statements in order: SQL texts, each with the values of one or more rows."""

    def add(self, sql: str, values: Any) -> None:
        """Add one statement."""
        if self and self[-1][0] == sql:
            self[-1][1].append(values)
        else:
            self.append((sql, [values]))

    def add_all(self, sql: str, rows: list[Any]) -> None:
        """Add one statement for each row."""
        if rows:
            self.append((sql, rows))


def run_of(recorded: Recorded) -> str:
    """Key of an event's run."""
    if recorded.run is None:
        raise ValueError("the event names no run")
    return recorded.run


def scenario_of(recorded: Recorded) -> str:
    """Key of an event's scenario."""
    if recorded.scenario is None:
        raise ValueError("the event names no scenario")
    return recorded.scenario


def first(found: list[_T]) -> _T | None:
    """The first of a list, or None."""
    return found[0] if found else None
