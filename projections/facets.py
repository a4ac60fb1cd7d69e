"""Facets as rows: flattened, typed, and searchable (table ``run_facets``)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from consist_es.projections.plumbing import to_text
from consist_es.projections.rarest import Condition, Sql
from consist_es.values.plain import is_tagged, to_plain, users_key

MAX_LEAVES = 500
"""Largest number of indexed leaves; a larger facet is only in its run's row."""

COLUMNS = {
    "run_key": str,
    "key": str,
    "value_type": str,
    "value_str": str,
    "value_int": int,
    "value_float": float,
    "value_bool": int,
    "value_json": str,
    "seq": int,
}
"""`seq` is the position of the run's start."""

INSERT = """
INSERT INTO run_facets (run_key, key, value_type, value_str, value_int, value_float, value_bool, value_json, seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INDEX = """
CREATE INDEX run_facets_by_value ON run_facets
    (key, coalesce(value_str, value_int, value_float, value_bool, value_json), seq)
"""
"""By the value in whichever column it is."""

_INT64 = range(-(2**63), 2**63)


class Cell(NamedTuple):
    """A value in the column for its type."""

    kind: str
    text: str | None = None
    whole: int | None = None
    real: float | None = None
    flag: int | None = None
    json: str | None = None


def rows(run_key: str, facet: Any, seq: int) -> list[tuple[Any, ...]]:
    """The rows of one facet; empty if it is not a dict, or too large."""
    if not isinstance(facet, dict):
        return []
    found = [(run_key, key, *_cell(value), seq) for key, value in _leaves(facet, "")]
    return found if len(found) <= MAX_LEAVES else []


def _leaves(facet: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted key and value of every leaf; dots inside a key are written ``\\.``."""
    for name, value in facet.items():
        key = prefix + users_key(name).replace(".", "\\.")
        if isinstance(value, dict) and value and not is_tagged(value):
            yield from _leaves(value, key + ".")
        else:
            yield key, value


def _cell(value: Any) -> Cell:
    if value is None:
        return Cell("null")
    if isinstance(value, bool):
        return Cell("bool", flag=int(value))
    if isinstance(value, str):
        return Cell("str", text=value)
    if isinstance(value, int) and value in _INT64:
        return Cell("int", whole=value)
    if isinstance(value, float):
        return Cell("float", real=value)
    return Cell("json", json=to_text(value))


_SAME = {
    "null": "f.value_type = 'null'",
    "bool": "f.value_type = 'bool' AND f.value_bool = ?",
    "str": "f.value_type = 'str' AND f.value_str = ?",
    # 1 and 1.0 find each other: the difference is an accident.
    "int": "f.value_type IN ('int', 'float') AND coalesce(f.value_int, f.value_float) = ?",
    "float": "f.value_type IN ('int', 'float') AND coalesce(f.value_int, f.value_float) = ?",
    "json": "f.value_type = 'json' AND f.value_json = ?",
}
_HOLDS = {
    kind: " ".join(("EXISTS (SELECT 1 FROM run_facets f WHERE f.run_key = runs.key AND f.key = ? AND", same, ")"))
    for kind, same in _SAME.items()
}
_FOUND = """
FROM run_facets f INDEXED BY run_facets_by_value CROSS JOIN runs ON runs.key = f.run_key
WHERE f.key = ? AND coalesce(f.value_str, f.value_int, f.value_float, f.value_bool, f.value_json) IS ?
"""
_SOURCES = {kind: " AND ".join((_FOUND, same)) for kind, same in _SAME.items()}
_MATCHES = """
SELECT 1 FROM run_facets f INDEXED BY run_facets_by_value
WHERE f.key = ? AND coalesce(f.value_str, f.value_int, f.value_float, f.value_bool, f.value_json) IS ?
"""


def conditions(facet: Mapping[str, Any] | None) -> Iterator[Condition]:
    """Conditions on `runs` for dotted keys with these values.

    Raises:
        ConfigTypeError: a value that cannot have been recorded.
    """
    for key, value in (facet or {}).items():
        cell = _cell(to_plain(value, f"facet[{key!r}]"))
        given = tuple(part for part in cell[1:] if part is not None)
        wanted = given[0] if given else None
        yield Condition(
            holds=Sql(_HOLDS[cell.kind], (key, *given)),
            source=Sql(_SOURCES[cell.kind], (key, wanted, *given)),
            order="f.seq",
            matches=Sql(_MATCHES, (key, wanted)),
        )
