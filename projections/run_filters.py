"""The filters of `run_table.find` as conditions on its tables, each with its index."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from consist_es.errors import OptionError
from consist_es.projections import facets, run_meta
from consist_es.projections.rarest import Condition, Sql, condition

EVERYTHING = ("FROM runs INDEXED BY runs_by_start WHERE 1", "runs.started_seq")
"""Source and order of all runs."""

# Named indexes: SQLite would weigh two of them by guess.
_SOURCES = {
    "year": "FROM runs INDEXED BY runs_by_year WHERE runs.year = ?",
    "iteration": "FROM runs INDEXED BY runs_by_iteration WHERE runs.iteration = ?",
    "phase": "FROM runs INDEXED BY runs_by_phase WHERE runs.phase = ?",
    "stage": "FROM runs INDEXED BY runs_by_stage WHERE runs.stage = ?",
    "model": "FROM runs INDEXED BY runs_by_model WHERE runs.model = ?",
    "status": "FROM runs INDEXED BY runs_by_status WHERE runs.status = ?",
    "name": "FROM runs INDEXED BY runs_by_name WHERE runs.name = ?",
    "kind": "FROM runs INDEXED BY runs_by_kind WHERE runs.kind = ?",
    "parent": "FROM runs INDEXED BY runs_by_parent WHERE runs.parent_key = ?",
    "scenario": "FROM runs INDEXED BY runs_by_scenario WHERE runs.scenario_key = ? AND runs.kind <> 'scenario'",
}
_REFERENCES = ("parent", "scenario")
_COLUMNS = tuple(name for name in _SOURCES if name not in _REFERENCES)
_NAMES = ("tags", *_REFERENCES, "facet", "metadata", "limit", *_COLUMNS)

_TAG = Condition(
    holds=Sql("EXISTS (SELECT 1 FROM run_tags t WHERE t.run_key = runs.key AND t.tag = ?)"),
    source=Sql(
        "FROM run_tags d INDEXED BY run_tags_by_tag CROSS JOIN runs ON runs.key = d.run_key WHERE d.tag = ?",
    ),
    order="d.seq",
    matches=Sql("SELECT 1 FROM run_tags INDEXED BY run_tags_by_tag WHERE tag = ?"),
)


def conditions(
    key_of: Callable[[str], str],
    *,
    tags: Iterable[str] | None = None,
    facet: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **equal: Any,
) -> list[Condition]:
    """The conditions of these filters, see `run_table.find`. `key_of` gives the key of a run that a filter names.

    Raises:
        OptionError: an unknown filter.
    """
    return [*_equal(key_of, equal), *map(_tag, tags or ()), *facets.conditions(facet), *run_meta.conditions(metadata)]


def _equal(key_of: Callable[[str], str], equal: Mapping[str, Any]) -> Iterator[Condition]:
    for name, value in equal.items():
        if name not in _SOURCES:
            raise OptionError("filter", name, _NAMES)
        if value is None:
            continue
        source, values = _SOURCES[name], (key_of(value) if name in _REFERENCES else value,)
        yield condition(source, "runs.started_seq", values)


def _tag(tag: str) -> Condition:
    holds, source, order, matches = _TAG
    return Condition(Sql(holds.text, (tag,)), Sql(source.text, (tag,)), order, Sql(matches.text, (tag,)))
