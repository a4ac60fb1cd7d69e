"""First causes: what made a step run, followed back through the inputs that other steps had made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from consist_es.events import Difference
from consist_es.identity.differences import explain
from consist_es.projections import run_table
from consist_es.projections.plumbing import to_text
from consist_es.projections.run_rows import RunRow
from consist_es.reading.labels import moment
from consist_es.runs.why import in_words
from consist_es.values.written import written
from consist_es.views.file import query

_MISSES = ("missed", "demoted")
_SEVERAL = ("callable", "variable ")
"""Beginnings of parts of code that mostly change along with a function, which says more."""
_EARLIER = """
SELECT key FROM runs WHERE name = ? AND year IS ? AND iteration IS ? AND phase IS ? AND started_seq < ?
ORDER BY started_seq DESC LIMIT 1
"""
_MOMENT = ("year", "iteration")
NEW = "nothing like it ran before"


class Cause(msgspec.Struct, frozen=True):
    """What changed, and the runs in which it came in."""

    what: str
    """``config growth: 1.0 → 1.1``, ``code of model.py:demand``, ``input zones``."""
    runs: tuple[str, ...]
    """Keys of those runs, in their order; in all others it came in through inputs."""


def differences(conn: sqlite3.Connection, row: RunRow, against: RunRow | None = None) -> list[Difference]:
    """The differences of a run from the nearest earlier one, or from another one (`against`)."""
    if against is None:
        if row.cache_differences:
            found = zip(row.cache_differences, row.cache_differs, strict=False)
            return [msgspec.structs.replace(item, text=text) for item, text in found]
        if row.cache not in _MISSES or row.cache_source_key is None:
            return []
        against = run_table.by_key(conn, row.cache_source_key)
    if against is None or against.fingerprint_info is None or row.fingerprint_info is None:
        return []
    configs = (row.config, against.config)
    return explain(row.fingerprint_info, against.fingerprint_info, *configs, row.inputs, against.inputs)[1]


def follows(item: Difference) -> bool:
    """True for a part of code that mostly changes along with a function, which says more."""
    return item.kind == "code" and item.key.startswith(_SEVERAL)


def telling(found: Iterable[Difference]) -> list[Difference]:
    """Differences without parts of code that only follow from another one."""
    items = [item for item in found if item.kind != "more"]
    code = [item for item in items if item.kind == "code"]
    kept = [item for item in code if not follows(item)] or code
    return [item for item in items if item.kind != "code" or item in kept]


def in_short(item: Difference) -> str:
    """One difference in a few words: ``config growth: 1.0 → 1.1``, ``code model.py:demand``, ``input zones``."""
    told = item.kind in ("config", "label") or (item.kind == "code" and item.before is not None)
    if told and item.key:
        name = f"config {item.key}" if item.kind == "config" else item.key
        return f"{name}: {written(item.before)} → {written(item.after)}"
    if item.kind in ("code", "input") and item.key:
        return f"{item.kind} {item.key}"
    return item.text or f"{item.kind} {item.key}".strip()


class Causes:
    """Finds first causes; asks about each run once."""

    def __init__(self, conn: sqlite3.Connection, rows: Iterable[RunRow] = ()) -> None:
        """`rows` are runs that are known already."""
        self._conn = conn
        self._rows: dict[str, RunRow | None] = {row.key: row for row in rows}
        self._makers: dict[str, str | None] = {}
        self._differ: dict[str, list[Difference]] = {}
        self._found: dict[str, dict[str, dict[str, None]]] = {}
        """Run -> what -> runs."""
        self._made_for(self._rows.values())

    def of(self, row: RunRow) -> list[Cause]:
        """First causes of a run that was computed; [] for others, and for runs without a look-up."""
        if row.cache not in _MISSES:
            return []
        waiting = [row]
        while waiting:  # no recursion: the chain of years may be long
            item = waiting[-1]
            if above := [] if item.key in self._found else self._above(item):
                waiting += above
                continue
            waiting.pop()
            if item.key not in self._found:
                self._found[item.key] = self._causes(item)
        return [Cause(what, tuple(runs)) for what, runs in self._found[row.key].items()]

    def _above(self, row: RunRow) -> list[RunRow]:
        """The misses not asked about yet that made inputs which differ. They began before: there are no circles."""
        behind = [self._miss_behind(item, row) for item in self._differences(row)]
        return [made for made in behind if made is not None and made.key not in self._found]

    def _causes(self, row: RunRow) -> dict[str, dict[str, None]]:
        found: dict[str, dict[str, None]] = {}
        items = self._differences(row)
        if any(map(_is_moment, items)):  # and there is no earlier run of that moment
            items = [item for item in items if not _is_moment(item)]
            found[f"first run of {moment(row)}"] = {row.key: None}
        for item in items:
            made = self._miss_behind(item, row)
            if made is None:
                found.setdefault(in_short(item), {})[row.key] = None
                continue
            for what, runs in self._found[made.key].items():
                found.setdefault(what, {}).update(runs)
        if not found:
            reason = NEW if row.cache_source_key is None else in_words(row.cache_reason or "not_recorded")
            found[reason] = {row.key: None}
        return found

    def _differences(self, row: RunRow) -> list[Difference]:
        """Differences from the nearest run; if that has another year or iteration, from the last one that has not."""
        if row.key not in self._differ:
            found = telling(differences(self._conn, row))
            if any(map(_is_moment, found)):
                when = (row.name, row.year, row.iteration, row.phase, row.started_seq)
                for (earlier,) in query(self._conn, _EARLIER, when):
                    found = telling(differences(self._conn, row, self._run(earlier)))
            self._differ[row.key] = found
        return self._differ[row.key]

    def _miss_behind(self, item: Difference, row: RunRow) -> RunRow | None:
        """The run that made an input anew; None if another cause is behind the difference."""
        if item.kind != "input" or not isinstance(item.after, str):
            return None
        made = self._run(self._maker(item.after))
        if made is None or made.cache not in _MISSES or made.started_seq >= row.started_seq:
            return None
        return made

    def _run(self, key: str | None) -> RunRow | None:
        if key is None:
            return None
        if key not in self._rows:
            self._rows[key] = run_table.by_key(self._conn, key)
        return self._rows[key]

    def _maker(self, artifact: str) -> str | None:
        if artifact not in self._makers:
            self._makers |= makers(self._conn, [artifact])
        return self._makers.get(artifact)

    def _made_for(self, rows: Iterable[RunRow | None]) -> None:
        links = [link.artifact for row in rows if row is not None for link in row.inputs]
        self._makers |= makers(self._conn, links)


def _is_moment(item: Difference) -> bool:
    return item.kind == "label" and item.key in _MOMENT


_MAKERS = "SELECT artifact_id, producer_key FROM artifacts WHERE artifact_id IN (SELECT value FROM json_each(?))"


def makers(conn: sqlite3.Connection, artifacts: Iterable[str]) -> Mapping[str, Any]:
    """Artifact id -> key of the run that made it; None for files from outside."""
    return dict(query(conn, _MAKERS, (to_text(sorted(set(artifacts))),)))
