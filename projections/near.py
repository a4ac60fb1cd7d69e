"""The earlier run to explain a miss by: quickly, when it is recorded, and exactly, when somebody asks."""

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from consist_es.events import LABELS, FingerprintInfo
from consist_es.identity.adapters import counted
from consist_es.projections.plumbing import first
from consist_es.projections.run_rows import RunRow, run_row
from consist_es.views.file import paged, query

RECENT = 500
"""Number of runs of a model, and of a name, that `nearest` considers."""
NEAR = 20
"""Number of these that it compares key by key."""
WALKED = 100
"""Number of runs of a name that `quickly` looks at."""
STRANGERS = 20
"""As `WALKED`, of runs of the model that have other names: they explain little."""
LOOKED = 16
"""Number of runs after which `quickly` looks no further for one that is as near and in a scenario of the same name."""

_SAME_WORK = """
SELECT * FROM runs INDEXED BY runs_by_fingerprint
WHERE fingerprint = ? AND kind <> 'scenario' AND cache IS NOT 'hit' ORDER BY started_seq DESC LIMIT 1
"""
_OF_NAME = """
SELECT started_seq, key, model, name, code_digest, config_digest, inputs_digest, labels_digest, scenario_key
FROM runs INDEXED BY runs_computed_by_name
WHERE name = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported'
    AND started_seq < ? ORDER BY started_seq DESC LIMIT ?
"""
_OF_MODEL = """
SELECT started_seq, key, model, name, code_digest, config_digest, inputs_digest, labels_digest, scenario_key
FROM runs INDEXED BY runs_computed_by_model
WHERE model = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported'
    AND started_seq < ? ORDER BY started_seq DESC LIMIT ?
"""
_NEAR = """
SELECT * FROM runs WHERE key IN (
    SELECT key FROM (
        SELECT key FROM runs INDEXED BY runs_computed_by_model
        WHERE model = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit'
            AND cache IS NOT 'imported' AND started_seq < ? AND ended_seq < ?
        ORDER BY started_seq DESC LIMIT ?)
    UNION
    SELECT key FROM (
        SELECT key FROM runs INDEXED BY runs_computed_by_name
        WHERE name = ? AND status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit'
            AND cache IS NOT 'imported' AND started_seq < ? AND ended_seq < ?
        ORDER BY started_seq DESC LIMIT ?))
ORDER BY (model = ?) + (name = ?) DESC,
    (code_digest = ?) + (config_digest = ?) + (inputs_digest = ?) + (labels_digest = ?) DESC, started_seq DESC
LIMIT ?
"""
_SCENARIO = "SELECT name FROM runs WHERE key = ?"
_NOW = 1 << 62


def same_work(conn: sqlite3.Connection, fingerprint: str) -> RunRow | None:
    """The newest run with this fingerprint that was not a hit, with any status."""
    return first([run_row(row) for row in query(conn, _SAME_WORK, (fingerprint,))])


def nearest(
    conn: sqlite3.Connection,
    *,
    model: str,
    name: str,
    info: FingerprintInfo,
    scenario: str | None = None,
    differing: Callable[[RunRow], int] = lambda _run: 0,
    before: int = _NOW,
) -> RunRow | None:
    """The earlier run to explain a miss by, or None.

    Considers completed runs of the same model or name that were not hits, and ended before that position. Prefers the
    same model and name, then the fewest differing parts (another year, iteration, phase or stage counts twice: it is
    other work), then a scenario of the same name as `scenario` (a key), then the fewest `differing` keys, then the
    newest.
    """
    digests = (info.code, info.config, info.inputs, info.labels)
    own = _scenario_name(conn, scenario)
    values = (model, before, before, RECENT, name, before, before, RECENT, model, name, *digests, NEAR)
    ranked: dict[tuple[int, int, bool], list[RunRow]] = {}
    for run in map(run_row, query(conn, _NEAR, values)):
        same = (run.model == model) + (run.name == name)
        rank = (same, -_distance(run, info), own is not None and _scenario_name(conn, run.scenario_key) == own)
        ranked.setdefault(rank, []).append(run)
    if not ranked:
        return None
    return max(ranked[max(ranked)], key=lambda run: (-differing(run), run.started_seq))


def quickly(
    conn: sqlite3.Connection, *, model: str, name: str, info: FingerprintInfo, scenario: str | None = None
) -> str | None:
    """The key of a run near enough to explain a miss by, or None: by the digests of the parts alone, among the newest
    runs; one with all but one part equal is near enough. Keys are not compared: of runs that are as near, the newest is
    taken."""
    walk = _Walk(conn, model, name, (info.code, info.config, info.inputs), info.labels, scenario)
    found = walk.best(itertools.islice(paged(conn, _OF_NAME, (name,)), WALKED), same=2)
    if found is None or found.others:
        other = walk.best(itertools.islice(paged(conn, _OF_MODEL, (model,)), STRANGERS), same=1)
        found = min(filter(None, (found, other)), default=None)
    return None if found is None else found.key


class _Near(NamedTuple):
    """A run of a walk; the nearest is the least."""

    others: int
    """0 if model and name are the same, 1 if one of them is."""
    parts: int
    elsewhere: bool
    """True if its scenario has another name."""
    age: int
    key: str


class _Walk:
    """Looks through runs, newest first, for one that is near enough."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        model: str,
        name: str,
        digests: tuple[str, ...],
        labels: str,
        scenario: str | None,
    ) -> None:
        self._conn, self._model, self._name, self._digests, self._labels = conn, model, name, digests, labels
        self._own = _scenario_name(conn, scenario)
        self._names = {scenario: self._own}

    def best(self, rows: Iterator[tuple[Any, ...]], *, same: int) -> _Near | None:
        """The nearest of the rows up to one that is near enough, `same` in model and name."""
        best: _Near | None = None
        for number, (seq, key, model, name, *digests, labels, scenario) in enumerate(rows):
            others = 2 - (model == self._model) - (name == self._name)
            parts = sum(map(str.__ne__, self._digests, digests)) + 2 * (labels != self._labels)
            if best is None or (others, parts) <= best[:2]:
                here = _Near(others, parts, self._is_elsewhere(scenario), -seq, key)
                best = here if best is None else min(best, here)
            if best.others <= 2 - same and best.parts <= 1 and (not best.elsewhere or number >= LOOKED):
                break
        return best

    def _is_elsewhere(self, scenario: str | None) -> bool:
        if self._own is None:
            return False
        if scenario not in self._names:
            self._names[scenario] = _scenario_name(self._conn, scenario)
        return self._names[scenario] != self._own


def _scenario_name(conn: sqlite3.Connection, key: str | None) -> str | None:
    found = query(conn, _SCENARIO, (key,)) if key else []
    return found[0][0] if found else None


def _distance(run: RunRow, info: FingerprintInfo) -> int:
    """The number of differing parts of two identities."""
    old = run.fingerprint_info
    if old is None:
        return len(LABELS) + len(FingerprintInfo.__struct_fields__)
    labels, before = info.label_values, old.label_values
    unit = any(labels.get(name) != before.get(name) for name in LABELS)
    pairs = (
        (old.code, info.code),
        (old.config, info.config),
        (old.inputs, info.inputs),
        (old.identity_inputs, info.identity_inputs),
        (counted(old.adapter), counted(info.adapter)),
        (_without(before, LABELS), _without(labels, LABELS)),
    )
    return 2 * unit + sum(mine != theirs for mine, theirs in pairs)


def _without(labels: dict[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: value for name, value in labels.items() if name not in names}
