"""Writes tables that a step returns to files, and describes logged ones, without loading the data."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts import containers
from consist_es.artifacts.drivers.driver import need_for
from consist_es.artifacts.zarr_arrays import too_old
from consist_es.errors import InputError, ReturnTypeError

MAX_CSV_SCAN = 256 * 1024 * 1024
"""Bytes of a CSV file, unpacked, up to which its rows are counted; a larger one has no row count."""
MAX_COLUMNS = 10_000
MAX_NAMES = 1_000_000
"""Characters of all column names. A table with more columns or longer names is recorded without its schema."""


class TableInfo(msgspec.Struct, frozen=True):
    """Schema (column -> Arrow type name) and row count; None if the file does not show it."""

    schema: dict[str, str] | None = None
    rows: int | None = None


def describe_table(path: Path, driver: str, table_path: str | None = None) -> TableInfo:
    """Schema and rows of a table file; for a container, names and shapes of its content, see `containers`.

    Empty if the file cannot be read as its name says: the name may be wrong, and its bytes are recorded all the same.
    """
    reader = _READERS.get(driver)
    if driver == "h5_table" and table_path:
        reader = partial(_h5_table, table_path=table_path)
    if reader is None:
        return TableInfo()
    import sqlite3

    import pyarrow as pa

    try:
        return _kept(reader(path))
    except (pa.ArrowException, sqlite3.Error, OSError, ValueError, LookupError, TypeError, RuntimeError):
        return TableInfo()


def _kept(found: TableInfo) -> TableInfo:
    """The description, without a schema that is too large for an event."""
    schema = found.schema or {}
    if len(schema) > MAX_COLUMNS or sum(len(name) + len(kind) for name, kind in schema.items()) > MAX_NAMES:
        return TableInfo(None, found.rows)
    return found


def _schema(schema: Any) -> dict[str, str]:
    return by_name((str(field.name), str(field.type)) for field in schema)


def by_name(columns: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Column -> type, in order; a duplicate name gets a number, ``trips.1``, that no column has."""
    pairs = list(columns)
    names, found = {name for name, _ in pairs}, dict[str, str]()
    numbers: dict[str, int] = {}
    for name, kind in pairs:
        free = name
        while free in found or (free != name and free in names):
            numbers[name] = numbers.get(name, 0) + 1
            free = f"{name}.{numbers[name]}"
        found[free] = kind
    return found


def _parquet(path: Path) -> TableInfo:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        return TableInfo(_schema(file.schema_arrow), file.metadata.num_rows)


def _arrow(path: Path) -> TableInfo:
    import pyarrow as pa
    import pyarrow.dataset
    import pyarrow.fs

    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        schema = _schema(reader.schema)
    # counted by the headers alone: the batches themselves may unpack to any size
    fragment = pyarrow.dataset.IpcFileFormat().make_fragment(str(path), filesystem=pyarrow.fs.LocalFileSystem())
    return TableInfo(schema, fragment.count_rows())


def _csv(path: Path) -> TableInfo:
    """Types are those of the first block. A column with later values of another type counts as text."""
    import pyarrow as pa
    import pyarrow.csv

    with pyarrow.csv.open_csv(path) as reader:
        names, schema = reader.schema.names, _schema(reader.schema)
    if path.stat().st_size > MAX_CSV_SCAN:
        return TableInfo(schema)
    texts: set[str] = set()
    for _ in range(_RETRIES):
        try:
            return TableInfo(*_read_as(path, texts))
        except pa.ArrowInvalid as error:
            found = _OTHER_TYPE.search(str(error))
            if found is None or int(found[1]) >= len(names) or names[int(found[1])] in texts:
                return TableInfo(schema)  # rows of other lengths, or bytes that are not text
            texts.add(names[int(found[1])])
    try:
        return TableInfo(*_read_as(path, set(names)))
    except pa.ArrowInvalid:
        return TableInfo(schema)


_OTHER_TYPE = re.compile(r"CSV column #(\d+)")
_RETRIES = 4
"""How often a CSV file is read to its end to find columns of mixed types; then all columns count as text."""


def _read_as(path: Path, texts: Iterable[str]) -> tuple[dict[str, str], int | None]:
    """Schema and rows, with the named columns read as text."""
    import pyarrow as pa
    import pyarrow.csv

    options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string()))
    with pyarrow.csv.open_csv(path, convert_options=options) as reader:
        return _schema(reader.schema), _rows(reader)


def _rows(batches: Any) -> int | None:
    """All rows; None if there are too many to count in passing: a small file may unpack to a huge one."""
    rows = size = 0
    for batch in batches:
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if size > MAX_CSV_SCAN:
            return None
    return rows


def _zarr(path: Path) -> TableInfo:
    return TableInfo(containers.zarr_schema(path))


def _hdf(path: Path) -> TableInfo:
    return TableInfo(containers.hdf_schema(path))


def _h5_table(path: Path, table_path: str) -> TableInfo:
    from consist_es.artifacts.h5_tables import table_at  # few files are taken apart

    try:
        found = table_at(path, table_path, "")
    except (InputError, ImportError):
        return TableInfo()
    return TableInfo(found.schema, found.rows)


def _geopackage(path: Path) -> TableInfo:
    return TableInfo(*containers.geopackage_schema(path))


_READERS: dict[str, Callable[[Path], TableInfo]] = {
    "parquet": _parquet,
    "geoparquet": _parquet,
    "arrow": _arrow,
    "feather": _arrow,
    "csv": _csv,
    "geopackage": _geopackage,
    "zarr": _zarr,
    "h5": _hdf,
    "hdf5": _hdf,
    "netcdf": _hdf,
    "openmatrix": _hdf,
}

# ---------------------------------------------------------------- writing


def is_table(value: object) -> bool:
    """True if `write_table` writes it: (Geo)DataFrame, (Geo)Series, Arrow table or xarray.Dataset."""
    return _kind(value) is not None


def table_suffix(value: object) -> str:
    """The suffix, without dot, of the format in which `write_table` writes a value."""
    return {"geo": "geoparquet", "geoseries": "geoparquet", "dataset": "zarr"}.get(str(_kind(value)), "parquet")


_KINDS = (
    ("geopandas", "GeoDataFrame", "geo"),
    ("geopandas", "GeoSeries", "geoseries"),
    ("pandas", "DataFrame", "frame"),
    ("pandas", "Series", "series"),
    ("pyarrow", "Table", "arrow"),
    ("xarray", "Dataset", "dataset"),
)


def _kind(value: object) -> str | None:
    """Kind of table, or None. Imports nothing: for a value of its own, the package is loaded."""
    for module, name, kind in _KINDS:
        expected = getattr(sys.modules.get(module), name, None)
        if expected is not None and isinstance(value, expected):
            return kind
    return None


def write_table(value: Any, path: Path, key: str) -> None:
    """Write a table as Parquet, GeoParquet or, for an xarray.Dataset, a Zarr folder; a Series as one column `key`.

    Raises:
        ReturnTypeError: the format cannot hold its content.
        MissingExtraError: Zarr is not installed.
    """
    kind = _kind(value)
    if kind == "dataset":
        need_for("zarr", "zarr", f"Writing the xarray.Dataset of {key!r}")
    try:
        _write(value, path, key, kind)
    except (ValueError, TypeError, NotImplementedError) as error:
        form = {"dataset": "Zarr"}.get(str(kind), "Parquet")
        if advice := too_old(error):
            raise ReturnTypeError(f"The Dataset of output {key!r} cannot be written as Zarr: {advice}") from error
        raise ReturnTypeError(
            f"The {type(value).__name__} of output {key!r} cannot be written as {form}: {error}. "
            "Convert what it names, or write the file yourself and return its path."
        ) from error


def _for_zarr_2(dataset: Any) -> Any:
    """The dataset without settings of its source file that version 2 of Zarr cannot keep: compression of version 3 or
    of NetCDF, and chunks other than those it is computed in now. Values are unchanged."""
    found = dataset.copy(deep=False)
    for variable in found.variables.values():
        own = variable.encoding
        unfit = {"serializer", "shards"} | {name for name in _CODECS if not _may_stay(own.get(name))}
        if getattr(own.get("dtype"), "kind", "") == "T":  # numpy's texts of any length
            unfit.add("dtype")
        if variable.chunks is not None:
            unfit |= {"chunks", "preferred_chunks"}
        variable.encoding = {name: item for name, item in own.items() if name not in unfit}
    return found


_CODECS = ("compressor", "compressors", "filters")
_OF_OBJECTS = frozenset({"vlen-utf8", "vlen-bytes", "vlen-array", "json2", "msgpack2", "pickle"})


def _may_stay(codecs: Any) -> bool:
    """True if these codecs, or this one, are numcodecs (as in version 2 of Zarr) and not for Python objects: xarray
    picks the right one for texts by itself."""
    several = codecs if isinstance(codecs, list | tuple) else [codecs]
    return all(codec is None or getattr(codec, "codec_id", "pickle") not in _OF_OBJECTS for codec in several)


def _write(value: Any, path: Path, key: str, kind: str | None) -> None:
    match kind:
        case "arrow":
            import pyarrow.parquet

            pyarrow.parquet.write_table(value, path)
        case "dataset":
            # version 2 of the format: xarray's text and time types have no version 3 specification yet
            _for_zarr_2(value).to_zarr(path, mode="w", zarr_format=2)
        case "series" | "geoseries":
            value.to_frame(name=key).to_parquet(path)
        case _:
            value.to_parquet(path)
