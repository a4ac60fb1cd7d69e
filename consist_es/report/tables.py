"""Tables that keep the data of a report small: each text, value and file once, and rows as columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from consist_es.identity.differences import kept
from consist_es.text import shown
from consist_es.values.plain import frame, is_tagged
from consist_es.values.written import by_text, object_of, written

_MASK = re.compile(r"\$masked:[0-9a-f]{32}")
"""What stands in recorded texts for a secret: a keyed hash of it."""
DICT, LIST, OBJECT = 0, 1, 2
"""Kinds of values with parts."""


class Texts:
    """Texts by number. Each is kept in the form that a terminal would show: nothing in it can act on its reader."""

    def __init__(self, altered: Callable[[str], str] = lambda text: text) -> None:
        """`altered` takes out what shall not be in the report."""
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}
        self._altered = altered

    def __call__(self, text: str | None) -> int | None:
        """The number of a text; None for None."""
        if text is None:
            return None
        safe = "\n".join(map(shown, self._altered(_MASK.sub("masked", text)).split("\n")))
        if (number := self._numbers.get(safe)) is None:
            number = self._numbers[safe] = len(self.all)
            self.all.append(safe)
        return number


class Keys:
    """Numbers for keys that are only compared."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def __call__(self, key: Any) -> int | None:
        """The number of a key; None for None."""
        return None if key is None else self._numbers.setdefault(key, len(self._numbers))

    def __iter__(self) -> Iterator[Any]:
        """The keys, in the order of their numbers."""
        return iter(self._numbers)


class Values:
    """Plain values by number. Equal values have equal numbers, as `explain` compares them: 1 and 1.0 differ.

    A row is [text], [text, DICT, [key, value, …]], [text, LIST, [value, …]], or [text, OBJECT, [fields], class, unset].
    A mapping with keys such as 2025 has its text with '2025' at the end.
    """

    def __init__(self, texts: Texts) -> None:
        self.all: list[list[Any]] = []
        self._numbers: dict[bytes, int] = {}
        self._texts = texts

    def __call__(self, plain: Any) -> int:
        """The number of a value, in plain form."""
        key = frame(plain)
        if (number := self._numbers.get(key)) is None:
            tree = by_text(plain)
            row = [self._texts(written(kept(plain))), *self._parts(tree)]
            if tree is not plain:
                row.append(self._texts(written(kept(tree))))
            number = self._numbers[key] = len(self.all)
            self.all.append(row)
        return number

    def _parts(self, plain: Any) -> list[Any]:
        if isinstance(plain, list):
            return [LIST, [self(item) for item in plain]]
        if not isinstance(plain, dict):
            return []
        if (found := object_of(plain)) is not None:
            cls, fields, unset = found
            return [OBJECT, [self(fields)], self._texts(str(cls)), self._texts(unset)]
        if is_tagged(plain):
            return []
        items = ((self._texts(str(name)), self(item)) for name, item in plain.items())
        return [DICT, [number for pair in items for number in pair]]


def columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns; without the columns that are empty."""
    rows = list(rows)
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [row.get(name) for row in rows] for name in names}
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def moment_of(time: str) -> int:
    """A recorded time in milliseconds since 1970."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)
