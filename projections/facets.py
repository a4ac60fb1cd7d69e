"""Facets as rows: flattened, typed, and searchable (table ``run_facets``)."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from consist_es.projections.plumbing import to_text
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
}

INSERT = """
INSERT INTO run_facets (run_key, key, value_type, value_str, value_int, value_float, value_bool, value_json)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_INT64 = range(-(2**63), 2**63)


class Cell(NamedTuple):
    """A value in the column for its type."""

    kind: str
    text: str | None = None
    whole: int | None = None
    real: float | None = None
    flag: int | None = None
    json: str | None = None


def rows(run_key: str, facet: Any) -> list[tuple[Any, ...]]:
    """The rows of one facet; empty if it is not a dict, or too large."""
    if not isinstance(facet, dict):
        return []
    found = [(run_key, key, *_cell(value)) for key, value in _leaves(facet, "")]
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


def condition(facet: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """SQL conditions on `runs` with their values, for dotted keys with these values."""
    clauses, values = [], []
    for key, value in facet.items():
        cell = _cell(to_plain(value, f"facet[{key!r}]"))
        clauses.append(_EXISTS[cell.kind])
        values += [key, *(part for part in cell[1:] if part is not None)]
    return clauses, values


_EXISTS = {
    kind: " ".join(("EXISTS (SELECT 1 FROM run_facets f WHERE f.run_key = runs.key AND f.key = ? AND", same, ")"))
    for kind, same in _SAME.items()
}
