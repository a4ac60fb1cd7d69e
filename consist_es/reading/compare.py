"""Compares two scenarios or two steps: where they part, what differs by itself, and what came of it."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.errors import UsageError
from consist_es.events import Difference
from consist_es.projections import run_table
from consist_es.projections.plumbing import to_text
from consist_es.projections.run_rows import RunRow
from consist_es.reading.causes import differences, in_short, makers, telling
from consist_es.reading.labels import label, place
from consist_es.runs.sets import flat
from consist_es.values.plain import from_plain, to_plain
from consist_es.views.file import query

if TYPE_CHECKING:
    import pyarrow as pa

SAME, ITSELF, BY_INPUTS, ONLY_A, ONLY_B = "same", "differs itself", "by its inputs", "only in A", "only in B"
VERDICTS = (SAME, ITSELF, BY_INPUTS, ONLY_A, ONLY_B)


class OutputChange(msgspec.Struct, frozen=True):
    """One output of two steps."""

    key: str
    same_bytes: bool
    rows: tuple[int | None, int | None]


class Pair(msgspec.Struct, frozen=True):
    """The same step of two scenarios; None on the side that lacks it."""

    step: str
    """Name with year, iteration and phase."""
    a: RunRow | None
    b: RunRow | None
    verdict: str
    """One of `VERDICTS`."""
    differences: list[Difference] = []
    """From A to B, most likely cause first."""
    outputs: list[OutputChange] = []
    """Of the outputs that both have."""

    @property
    def words(self) -> str:
        """What differs, in a few words."""
        return "; ".join(map(in_short, telling(self.differences))) or ("" if self.verdict == SAME else self.verdict)

    @property
    def came_out(self) -> str:
        """What came of it: ``same bytes``, or the numbers of rows that differ."""
        if self.verdict == SAME or not self.outputs:
            return ""
        if all(item.same_bytes for item in self.outputs):
            return "same bytes"
        changed = [item for item in self.outputs if None not in item.rows and item.rows[0] != item.rows[1]]
        return ", ".join(f"{item.key} {item.rows[0]} → {item.rows[1]} rows" for item in changed)


class Comparison(msgspec.Struct, frozen=True):
    """Two scenarios side by side, or two steps; polars, pandas, duckdb and pyarrow read its steps as a table."""

    a: RunRow
    """Of the scenarios themselves, or of the steps."""
    b: RunRow
    config: list[Difference]
    """Of the scenarios' own configs."""
    pairs: list[Pair]
    """Every step, in the order of A, then those that only B has."""
    software: tuple[str | None, str | None] | None = None
    """Digests of the recorded environments, if they differ."""

    @property
    def first(self) -> Pair | None:
        """The first step that is not the same work; None if all are."""
        return next((pair for pair in self.pairs if pair.verdict != SAME), None)

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> number of steps, in the order of `VERDICTS`."""
        found = Counter(pair.verdict for pair in self.pairs)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}

    def to_table(self) -> pa.Table:
        """One row per step: `verdict`, the run, outcome and seconds on both sides, and what differs."""
        from consist_es.reading.side_by_side import comparison_table

        return comparison_table(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow stream of `to_table()`, by which other libraries read it."""
        return self.to_table().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        from consist_es.reading.side_by_side import comparison_text

        return comparison_text(self)

    def _repr_html_(self) -> str:
        from consist_es.reading.side_by_side import comparison_html

        return comparison_html(self)


def compare(conn: sqlite3.Connection, a: RunRow, b: RunRow) -> Comparison:
    """Compare two scenarios by their header runs, or two steps by theirs.

    Steps are paired by name, year, iteration, phase and how often that came before.

    Raises:
        UsageError: one is a scenario and the other a step.
    """
    if (a.kind == "scenario") != (b.kind == "scenario"):
        raise UsageError(f"{a.id!r} and {b.id!r} are not both scenarios or both steps: compare two of a kind.")
    software = None if a.environment == b.environment else (a.environment, b.environment)
    if a.kind == b.kind == "scenario":
        sides = (run_table.steps(conn, a.key), run_table.steps(conn, b.key))
        config = _configs(a, b)
    else:
        sides, config = ([a], [b]), []
    found = _Pairing(conn, [*sides[0], *sides[1]])
    if a.kind == b.kind == "scenario":
        left, right = map(_places, sides)
        pairs = [found.pair(left.get(slot), right.get(slot)) for slot in dict.fromkeys((*left, *right))]
    else:
        pairs = [found.pair(a, b)]
    return Comparison(a, b, config, pairs, software)


def _places(rows: Iterable[RunRow]) -> dict[tuple[Any, ...], RunRow]:
    seen: Counter[tuple[Any, ...]] = Counter()
    found = {}
    for row in rows:
        seen[place(row)] += 1
        found[*place(row), seen[place(row)]] = row
    return found


def leaves(config: Any) -> dict[str, Any]:
    """Leaves of a recorded config by their dotted keys, in plain form; a masked value is one of them."""
    found = flat(from_plain(config))
    return {
        name.removesuffix(_MASKED): {_MASKED[1:]: value} if name.endswith(_MASKED) else to_plain(value)
        for name, value in found.items()
    }


_MASKED = ".$masked"


def _configs(a: RunRow, b: RunRow) -> list[Difference]:
    before, after = leaves(a.config), leaves(b.config)
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return [Difference(kind="config", key=name, before=before.get(name), after=after.get(name)) for name in names]


class _Pairing:
    """Judges pairs; asks the views once for all runs."""

    def __init__(self, conn: sqlite3.Connection, rows: Iterable[RunRow]) -> None:
        rows = list(rows)
        self._conn = conn
        self._makers = makers(conn, [link.artifact for row in rows for link in row.inputs])
        self._outputs = _results(conn, [row.key for row in rows])

    def pair(self, a: RunRow | None, b: RunRow | None) -> Pair:
        there = a or b
        step = "" if there is None else label(there)
        if a is None or b is None:
            return Pair(step, a, b, ONLY_B if a is None else ONLY_A)
        outputs = self._compared(a, b)
        if a.fingerprint is not None and a.fingerprint == b.fingerprint:
            return Pair(step, a, b, SAME, [], outputs)
        found = differences(self._conn, b, a)
        itself = not found or any(self._is_own(item) for item in found)
        return Pair(step, a, b, ITSELF if itself else BY_INPUTS, found, outputs)

    def _is_own(self, item: Difference) -> bool:
        """True unless it is an input that a step made."""
        if item.kind != "input":
            return True
        made = [self._makers.get(side) for side in (item.before, item.after) if isinstance(side, str)]
        return not made or None in made

    def _compared(self, a: RunRow, b: RunRow) -> list[OutputChange]:
        left, right = self._outputs[a.key], self._outputs[b.key]
        return [
            OutputChange(key, digest is not None and digest == right[key][0], (rows, right[key][1]))
            for key, (digest, rows) in left.items()
            if key in right
        ]


_RESULTS = """
SELECT l.run_key, l.name, a.digest, a.rows FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
WHERE l.run_key IN (SELECT value FROM json_each(?)) AND l.direction = 'output' ORDER BY l.seq, l.position
"""


def _results(conn: sqlite3.Connection, runs: Iterable[str]) -> Mapping[str, dict[str, tuple[str | None, int | None]]]:
    """Key of a run -> digest and number of rows of its outputs, by key; {} for one without any."""
    found: defaultdict[str, dict[str, tuple[str | None, int | None]]] = defaultdict(dict)
    for run, name, digest, rows in query(conn, _RESULTS, (to_text(list(runs)),)):
        found[run][name] = digest, rows
    return found
