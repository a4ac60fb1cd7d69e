"""Drivers for plain tables and JSON: Parquet, CSV, Arrow, Feather. Tables become pandas DataFrames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, check_options, keywords_of, need
from consist_es.errors import LoadError

if TYPE_CHECKING:
    import pyarrow as pa


def _parquet(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    rows = options.pop("nrows", None)
    return need("pandas", "pandas", artifact).read_parquet(path, **options).iloc[:rows]


def _feather(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    rows, columns = options.pop("nrows", None), options.get("columns")
    frame = need("pandas", "pandas", artifact).read_feather(path, **options)
    return (frame if columns is None else frame[list(columns)]).iloc[:rows]


def _csv(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    pandas = need("pandas", "pandas", artifact)
    keywords = keywords_of(pandas.read_csv)
    check_options("csv", options, keywords and keywords | {"columns"})
    columns = options.pop("columns", None)
    if columns is None:
        return pandas.read_csv(path, **options)
    return pandas.read_csv(path, usecols=list(columns), **options)[list(columns)]


def _json(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    """Parsed JSON; a DataFrame if the content is a list of flat objects."""
    import gzip

    text = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LoadError(f"Cannot load {artifact.key!r}: {path} is not valid JSON: {error}.") from error
    if not is_records(value):
        return value
    return need("pandas", "pandas", artifact).DataFrame(value)


def is_records(value: object) -> bool:
    """True if parsed JSON is a table: a list of objects with scalar values only, and at least one column."""
    scalars = (str, int, float, bool, type(None))
    return (
        isinstance(value, list)
        and any(value)
        and all(isinstance(row, dict) and all(isinstance(cell, scalars) for cell in row.values()) for row in value)
    )


DRIVERS = (
    Driver("parquet", _parquet, frozenset({"columns", "filters", "engine", "dtype_backend", "nrows"})),
    Driver("csv", _csv),
    Driver("json", _json, frozenset()),
    Driver("arrow", _feather, frozenset({"columns", "dtype_backend", "nrows"})),
    Driver("feather", _feather, frozenset({"columns", "dtype_backend", "nrows"})),
)


def arrow_readers() -> dict[str, Callable[[str], pa.Table]]:
    """Driver name -> function from a path to an Arrow table, for the formats that Arrow reads by itself."""
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    return {
        "parquet": pyarrow.parquet.read_table,
        "geoparquet": pyarrow.parquet.read_table,
        "csv": pyarrow.csv.read_csv,
        "arrow": pyarrow.feather.read_table,
        "feather": pyarrow.feather.read_table,
    }
