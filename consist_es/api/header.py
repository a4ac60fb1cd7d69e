"""A scenario's own settings and labels, checked and in recordable form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from consist_es.checks import check_name, check_run_id, checked_text, checked_year, names
from consist_es.errors import MissingKeyError, UsageTypeError
from consist_es.identity.config import as_mapping
from consist_es.values.plain import to_plain

_FIELDS = ("run_id", "description", "year", "iteration", "phase", "stage", "facet", "facet_from", "inputs")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario's own settings and labels, checked and in plain form."""

    name: str
    run_id: str
    model: str
    description: str | None
    config: Any
    config_plain: Any
    tags: list[str]
    facet: Any
    meta: dict[str, Any]
    year: int | None
    iteration: int | None
    phase: str | None
    stage: str | None
    inputs: dict[str, Any]
    require_outputs: tuple[str, ...]


def make_header(
    name: str,
    config: object,
    tags: str | Iterable[str] | None,
    model: str,
    require_outputs: str | Iterable[str] | None,
    kwargs: dict[str, Any],
) -> Header:
    """Check and convert the arguments of `Tracker.scenario`; the rest of `kwargs` is metadata.

    Raises:
        UsageError, UsageTypeError, MissingKeyError, ConfigTypeError: nothing is recorded.
    """
    fields = {key: kwargs.pop(key, None) for key in _FIELDS}
    values = as_mapping(config)
    facet = dict(fields["facet"] or {})
    for key in names(fields["facet_from"], "facet_from"):
        if key not in values:
            raise MissingKeyError("config key for facet_from", key, values)
        facet.setdefault(key, values[key])
    inputs = fields["inputs"] or {}
    if not isinstance(inputs, Mapping):
        raise UsageTypeError(f"scenario(inputs=…) takes a mapping of key to path, not {type(inputs).__name__}.")
    own = [check_name(tag, "tag") for tag in names(tags, "tags")]
    return Header(
        name=check_name(name, "scenario name"),
        run_id=check_run_id(fields["run_id"] or name),
        model=check_name(model, "model"),
        description=checked_text("description", fields["description"]),
        config=values,
        config_plain=to_plain(config, "config"),
        tags=list(dict.fromkeys((*own, "scenario_header"))),
        facet=to_plain(facet, "facet") if facet else None,
        meta=to_plain(kwargs, "metadata"),
        year=checked_year("year", fields["year"]),
        iteration=checked_year("iteration", fields["iteration"]),
        phase=checked_text("phase", fields["phase"]),
        stage=checked_text("stage", fields["stage"]),
        inputs=dict(inputs),
        require_outputs=names(require_outputs, "require_outputs"),
    )
