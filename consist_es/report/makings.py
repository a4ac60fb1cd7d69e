"""What makes two steps differ besides config and inputs: code, labels, adapters, and whatever else a fingerprint has.

The page compares configs and inputs itself, for any two scenarios. The rest takes few forms in a project, so each pair
of forms is explained once, here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from consist_es.events import Difference, FingerprintInfo
from consist_es.identity.differences import explain
from consist_es.projections.run_rows import RunRow
from consist_es.reading.causes import follows, in_short
from consist_es.reading.labels import place
from consist_es.report.tables import Texts

MOST = 20_000
"""Most pairs that are explained; of others the page says that they differ, and which command tells more."""
_PLACE = frozenset({"name", "year", "iteration", "phase"})
"""Labels by which steps are paired."""


class Makings:
    """Numbers the makings of steps, and explains how those of paired steps differ."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._infos: list[FingerprintInfo] = []
        self._numbers: dict[bytes, int] = {}
        self._by_place: defaultdict[tuple[Any, ...], dict[int, None]] = defaultdict(dict)

    def __call__(self, row: RunRow) -> int | None:
        """The number of a step's makings; None if nothing is recorded."""
        if row.fingerprint_info is None:
            return None
        info = _without_own(row.fingerprint_info)
        key = msgspec.json.encode(info)
        if (number := self._numbers.get(key)) is None:
            number = self._numbers[key] = len(self._infos)
            self._infos.append(info)
        self._by_place[place(row)][number] = None
        return number

    def differences(self) -> dict[str, list[list[int | None]]]:
        """``a,b`` -> kind, words, and 1 for what only follows from another difference; for all pairs that may occur."""
        found: dict[str, list[list[int | None]]] = {}
        for a, b in self._pairs():
            name = f"{a},{b}"
            if name in found:
                continue
            if len(found) == MOST:
                break
            items = explain(self._infos[b], self._infos[a], None, None, [], [])[1]
            if items or a != b:
                found[name] = [self._told(item) for item in items]
        return found

    def _pairs(self) -> Iterator[tuple[int, int]]:
        groups = [list(numbers) for numbers in self._by_place.values()]
        for numbers in groups:  # those with the first scenario's, which the page shows first
            yield from ((numbers[0], b) for b in numbers)
        for numbers in groups:
            yield from ((a, b) for a in numbers for b in numbers)

    def _told(self, item: Difference) -> list[int | None]:
        return [self._texts(item.kind), self._texts(in_short(item)), int(follows(item))]


def _without_own(info: FingerprintInfo) -> FingerprintInfo:
    """What is left of a fingerprint without config, inputs, and the labels by which steps are paired."""
    labels = {name: value for name, value in info.label_values.items() if name not in _PLACE}
    told = msgspec.json.encode(labels).decode()  # a digest that differs if and only if the labels do
    empty: dict[str, Any] = {"config": "", "inputs": "", "digest": None, "before": None, "packages": {}}
    return msgspec.structs.replace(info, **empty, label_values=labels, labels=told)
