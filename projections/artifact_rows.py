"""The columns and the row struct of table ``artifacts``."""

from collections.abc import Iterable
from typing import Any

import msgspec

from consist_es.projections.plumbing import columns_of, from_text


class ArtifactRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of `artifacts`; JSON columns are decoded and hold plain JSON."""

    artifact_id: str
    key: str
    uri: str
    root: str
    kind: str
    driver: str
    digest: str | None
    digest_method: str
    size: int | None
    mtime_ns: int | None
    producer_key: str | None
    table_path: str | None
    array_path: str | None
    parent_id: str | None
    schema: Any
    rows: int | None
    facet: Any
    facet_schema_version: str | None
    meta: dict[str, Any]
    created_at: str
    created_seq: int


COLUMNS = columns_of(ArtifactRow)


def artifact_row(values: Iterable[Any]) -> ArtifactRow:
    """An `ArtifactRow` from the values of all columns of `artifacts`, in their order."""
    row = dict(zip(COLUMNS, values, strict=True))
    row["schema"], row["facet"] = from_text(row["schema"]), from_text(row["facet"])
    row["meta"] = from_text(row["meta"], {})
    return ArtifactRow(**row)
