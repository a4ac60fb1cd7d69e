"""Tables as files: what a step returns is written, what it logged is described, without loading the data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

MAX_CSV_SCAN = 256 * 1024 * 1024
"""Bytes of a CSV file up to which its rows are counted; the count of a larger one is left open."""


class TableInfo(msgspec.Struct, frozen=True):
    """Schema (column -> Arrow type name) and row count; None where the file does not say."""

    schema: dict[str, str] | None = None
    rows: int | None = None


def describe_table(path: Path, driver: str) -> TableInfo:
    """Schema and rows of a Parquet, Arrow, Feather or CSV file; empty where it cannot be read as one.

    A file that is no table is not an error here: its name may be wrong, its bytes are recorded all the same.
    """
    reader = {"parquet": _parquet, "arrow": _arrow, "feather": _arrow, "csv": _csv}.get(driver)
    if reader is None or not path.is_file():
        return TableInfo()
    import pyarrow as pa

    try:
        return reader(path)
    except (pa.ArrowException, OSError, ValueError):
        return TableInfo()


def _schema(schema: Any) -> dict[str, str]:
    return {str(field.name): str(field.type) for field in schema}


def _parquet(path: Path) -> TableInfo:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return TableInfo(_schema(file.schema_arrow), file.metadata.num_rows)


def _arrow(path: Path) -> TableInfo:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        rows = sum(reader.get_batch(index).num_rows for index in range(reader.num_record_batches))
        return TableInfo(_schema(reader.schema), rows)


def _csv(path: Path) -> TableInfo:
    import pyarrow.csv

    with pyarrow.csv.open_csv(path) as reader:
        count = path.stat().st_size <= MAX_CSV_SCAN
        return TableInfo(_schema(reader.schema), sum(batch.num_rows for batch in reader) if count else None)


def is_table(value: object) -> bool:
    """Whether `value` is a pandas DataFrame or Series or an Arrow table."""
    return _kind(value) is not None


def _kind(value: object) -> str | None:
    pandas, arrow = sys.modules.get("pandas"), sys.modules.get("pyarrow")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return "frame"
    if pandas is not None and isinstance(value, pandas.Series):
        return "series"
    if arrow is not None and isinstance(value, arrow.Table):
        return "arrow"
    return None


def write_table(value: Any, path: Path, key: str) -> None:
    """Write a DataFrame, Series (one column named `key`) or Arrow table as Parquet."""
    if _kind(value) == "arrow":
        import pyarrow.parquet

        pyarrow.parquet.write_table(value, path)
    elif _kind(value) == "series":
        value.to_frame(name=key).to_parquet(path)
    else:
        value.to_parquet(path)
