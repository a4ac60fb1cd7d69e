"""The columns of table ``artifacts`` and the struct that queries give."""

from collections.abc import Iterable
from typing import Any

import msgspec

from consist_es.projections.plumbing import from_text

COLUMNS: dict[str, type] = {
    "artifact_id": str,
    "key": str,
    "uri": str,
    "root": str,
    "kind": str,
    "driver": str,
    "digest": str,
    "digest_method": str,
    "size": int,
    "mtime_ns": int,
    "producer_key": str,
    "table_path": str,
    "array_path": str,
    "parent_id": str,
    "schema": str,
    "rows": int,
    "facet": str,
    "facet_schema_version": str,
    "meta": str,
    "created_at": str,
    "created_seq": int,
}


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


def artifact_row(values: Iterable[Any]) -> ArtifactRow:
    """An `ArtifactRow` from the values of all columns of `artifacts`, in their order."""
    row = dict(zip(COLUMNS, values, strict=True))
    row["schema"], row["facet"] = from_text(row["schema"]), from_text(row["facet"])
    row["meta"] = from_text(row["meta"], {})
    return ArtifactRow(**row)
