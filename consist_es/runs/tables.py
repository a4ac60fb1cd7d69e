"""Runs as an Arrow table with one schema, whatever runs are in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from consist_es.errors import ConfigTypeError, UsageError
from consist_es.projections.plumbing import to_text
from consist_es.runs.run import Run
from consist_es.text import nearest, readable
from consist_es.values.flat import flat
from consist_es.values.plain import from_plain, to_plain

_TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("key", pa.string()),
        ("kind", pa.string()),
        ("scenario", pa.string()),
        ("parent_run_id", pa.string()),
        ("name", pa.string()),
        ("model_name", pa.string()),
        ("status", pa.string()),
        ("outcome", pa.string()),
        ("year", pa.int64()),
        ("iteration", pa.int64()),
        ("phase", pa.string()),
        ("stage", pa.string()),
        ("started_at", _TIME),
        ("ended_at", _TIME),
        ("duration_seconds", pa.float64()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("signature", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("config", pa.string()),
        ("facet", pa.string()),
    ]
)
"""Columns: fields of `Run`, and from its lookup `reason` (of a miss) and `source` (the run of a hit, or the nearest one
of a miss). `config` and `facet` are JSON text."""


def table(runs: Sequence[Run], facets: Sequence[str] = ()) -> pa.Table:
    """One row per run. `facets`: dotted keys of facets that become columns behind the others.

    Raises:
        UsageError: no run has such a facet.
    """
    rows = [_row(run) for run in runs]
    columns = {name: pa.array([row[name] for row in rows], SCHEMA.field(name).type) for name in SCHEMA.names}
    return pa.table({**columns, **_facets(runs, facets)})


def _row(run: Run) -> dict[str, Any]:
    record = run._record
    row = {name: getattr(run, name) for name in SCHEMA.names if name not in ("reason", "source")}
    row |= {"reason": record.reason, "source": record.source, "tags": [readable(tag) for tag in run.tags]}
    row |= {"config": _json(run.config), "facet": to_text(run.facet)}
    return {name: readable(value) if isinstance(value, str) else value for name, value in row.items()}


def _json(value: Any) -> str | None:
    """JSON text in the form that the views have; of what has no such form, JSON text of its `repr`."""
    try:
        return to_text(to_plain(value, "config"))
    except ConfigTypeError:  # of a Run that was made by hand
        return to_text(repr(value))


def _facets(runs: Sequence[Run], names: Sequence[str]) -> dict[str, pa.Array]:
    if not names:
        return {}
    rows = [flat(from_plain(run.facet)) for run in runs]
    known = {key for row in rows for key in row}
    columns = {}
    for name in names:
        key = name if name in known else name.removeprefix("facet.")
        if runs and key not in known:
            near = nearest(key, known)
            hint = f"Did you mean {near!r}?" if near else f"There are: {', '.join(sorted(known)) or 'none'}."
            raise UsageError(f"to_table(facets=…): none of the {len(runs):,} runs has a facet {key!r}. {hint}")
        columns[f"facet.{key}" if key in SCHEMA.names else key] = _column([row.get(key) for row in rows])
    return columns


def _column(values: list[Any]) -> pa.Array:
    """Values of one type as such; of several types, and those that are no scalars, as text."""
    kinds = {type(value) for value in values if value is not None}
    exact = 2**53 if float in kinds else 2**63
    if kinds and kinds <= {int, float} and all(-exact <= value < exact for value in values if type(value) is int):
        return pa.array(values, pa.float64() if float in kinds else pa.int64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if value is None else readable(str(value)) for value in values], pa.string())
