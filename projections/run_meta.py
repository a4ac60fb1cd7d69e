"""Metadata of runs, to search for: part of the run table. The values themselves are in ``runs.meta``."""

from collections.abc import Iterator, Mapping
from typing import Any

from consist_es.projections.plumbing import to_text
from consist_es.projections.rarest import Condition, Sql
from consist_es.values.plain import to_plain
from consist_es.views.projector import Statement
from consist_es.views.tables import Database, create_index, create_table

TABLE = "run_meta"
_START = 64
"""Characters of a text that are searched for; the whole value is compared in ``runs.meta``."""
_INT64 = range(-(2**63), 2**63)


def create(db: Database) -> None:
    """Make the table."""
    create_table(db, TABLE, {"run_key": str, "key": str, "value": bytes, "seq": int}, pk=("run_key", "key"))


def index(db: Database) -> None:
    """Make the index."""
    create_index(db, TABLE, ["key", "value", "seq"], "run_meta_by_value")


_SET = """
INSERT INTO run_meta (run_key, key, value, seq) SELECT key, ?, ?, started_seq FROM runs WHERE key = ?
ON CONFLICT (run_key, key) DO UPDATE SET value = excluded.value
"""


START = "INSERT INTO run_meta (run_key, key, value, seq) VALUES (?, ?, ?, ?)"


def started(run_key: str, values: Mapping[str, Any], seq: int) -> list[tuple[Any, ...]]:
    """The values for `START` of a run that starts."""
    return [(run_key, key, _start_of(value), seq) for key, value in values.items()]


def logged(run_key: str, values: Mapping[str, Any]) -> list[Statement]:
    """Set values of a run that has started."""
    return [(_SET, (key, _start_of(value), run_key)) for key, value in values.items()]


def _start_of(value: Any) -> str | int | float | None:
    """What a value is searched by: equal values have equal ones, also 1, 1.0 and True."""
    match value:
        case None:
            return None
        case bool() | float():
            return float(value)
        case int():
            return value if value in _INT64 else float(value)
        case str():
            return value[:_START]
        case _:
            return (to_text(value) or "")[:_START]


_HOLDS = """
EXISTS (SELECT 1 FROM json_each(runs.meta) m, json_each(?) w WHERE m.key = ? AND m.value IS w.value AND
    (m.type = w.type OR (m.type IN ('integer', 'real') AND w.type IN ('integer', 'real'))))
"""
_FOUND = """
FROM run_meta d INDEXED BY run_meta_by_value CROSS JOIN runs ON runs.key = d.run_key
WHERE d.key = ? AND d.value IS ?
"""
_SOURCE = " AND ".join((_FOUND, _HOLDS))
_MATCHES = "SELECT 1 FROM run_meta INDEXED BY run_meta_by_value WHERE key = ? AND value IS ?"


def conditions(metadata: Mapping[str, Any] | None) -> Iterator[Condition]:
    """Conditions on `runs` for keys with these values.

    Raises:
        ConfigTypeError: a value that cannot have been recorded.
    """
    for key, value in (metadata or {}).items():
        plain = to_plain(value, f"metadata[{key!r}]")
        holds, found = (to_text([plain]), key), (key, _start_of(plain))
        yield Condition(Sql(_HOLDS, holds), Sql(_SOURCE, (*found, *holds)), "d.seq", Sql(_MATCHES, found))
