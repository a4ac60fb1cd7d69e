"""Drivers: from an artifact to data in memory. Packages are imported when a file is loaded, never before."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.formats import TABULAR_DRIVERS
from consist_es.errors import ArtifactMissingError, LoadError, MissingExtraError, UsageTypeError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Loader = Callable[[Path, Artifact, dict[str, Any]], Any]


class Driver(msgspec.Struct, frozen=True):
    """How one format is loaded. `load(path, artifact, options)` gives the data."""

    name: str
    load: Loader
    options: frozenset[str] | None = None
    """Keywords that `load` takes; None where they go to the package unchecked."""


def need(package: str, extra: str, what: str) -> Any:
    """Import a package that an extra installs.

    Raises:
        MissingExtraError: it is not installed; names the extra.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(what, package, extra) from error


def _parquet(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    return need("pandas", "pandas", f"loading {artifact.key!r} as a DataFrame").read_parquet(path, **options)


def _csv(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    return need("pandas", "pandas", f"loading {artifact.key!r} as a DataFrame").read_csv(path, **options)


def _feather(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    return need("pandas", "pandas", f"loading {artifact.key!r} as a DataFrame").read_feather(path, **options)


def _json(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    """Parsed JSON; a DataFrame where the content is a list of flat objects, which is a table."""
    import gzip

    text = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LoadError(f"Cannot load {artifact.key!r}: {path} is not valid JSON: {error}.") from error
    if not _is_records(value):
        return value
    return need("pandas", "pandas", f"loading {artifact.key!r} as a DataFrame").DataFrame.from_records(value)


def _is_records(value: object) -> bool:
    scalars = (str, int, float, bool, type(None))
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and all(isinstance(cell, scalars) for cell in row.values()) for row in value)
    )


_PARQUET_OPTIONS = frozenset({"columns", "filters", "engine", "dtype_backend"})

BUILTIN: Mapping[str, Driver] = {
    driver.name: driver
    for driver in (
        Driver("parquet", _parquet, _PARQUET_OPTIONS),
        Driver("csv", _csv),
        Driver("json", _json, frozenset()),
        Driver("arrow", _feather, frozenset({"columns"})),
        Driver("feather", _feather, frozenset({"columns"})),
    )
}


def find_driver(name: str) -> Driver | None:
    """The driver of that name, or None where nothing can load it."""
    return BUILTIN.get(name)


def can_load(name: str) -> bool:
    """Whether some driver loads this format."""
    return find_driver(name) is not None


def load(artifact: Artifact, **options: Any) -> Any:
    """Load an artifact's data: a DataFrame for tables, parsed JSON for other JSON.

    Raises:
        LoadError: no driver for its format, an option the driver does not take, or unreadable content.
        ArtifactMissingError: the file is not there.
        MissingExtraError: a package is missing; names the extra that installs it.
    """
    if not isinstance(artifact, Artifact):
        raise UsageTypeError(f"load() takes an Artifact, not {type(artifact).__name__}.")
    driver = find_driver(artifact.driver)
    if driver is None:
        raise LoadError(
            f"No driver loads {artifact.driver!r} (artifact {artifact.key!r}, {artifact.path}). "
            "Use artifact.path and read the file yourself, or annotate the step's parameter as Path."
        )
    if driver.options is not None and (unknown := set(options) - driver.options):
        allowed = ", ".join(sorted(driver.options)) or "none"
        raise LoadError(f"Driver {driver.name!r} does not take {sorted(unknown)}. It takes: {allowed}.")
    path = artifact.path
    if not path.exists():
        raise ArtifactMissingError(
            f"Artifact {artifact.key!r} ({artifact.id}) is not at {path}. "
            f"Run the step that made it ({artifact.run_id or 'an external file'}) again, or restore the file."
        )
    try:
        return driver.load(path, artifact, options)
    except (OSError, ValueError) as error:
        if isinstance(error, LoadError):
            raise
        raise LoadError(f"Cannot load {artifact.key!r} as {driver.name}: {path}: {error}") from error


def load_df(artifact: Artifact, **options: Any) -> pd.DataFrame:
    """Load a tabular artifact as a pandas DataFrame.

    Raises:
        UsageTypeError: its format holds no table, or its JSON is none.
    """
    if artifact.driver not in TABULAR_DRIVERS:
        raise UsageTypeError(f"load_df() needs a table, and {artifact.key!r} is {artifact.driver!r}: use load().")
    pandas = need("pandas", "pandas", "load_df()")
    data = load(artifact, **options)
    try:
        frame: pd.DataFrame = data if isinstance(data, pandas.DataFrame) else pandas.DataFrame(data)
    except ValueError as error:
        raise UsageTypeError(f"{artifact.key!r} is JSON that is no table: {error}. Use load().") from error
    return frame


def load_table(artifact: Artifact) -> pa.Table:
    """Load a Parquet, CSV, Arrow or Feather artifact as an Arrow table; pandas is not needed."""
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    readers: dict[str, Callable[[str], pa.Table]] = {
        "parquet": pyarrow.parquet.read_table,
        "csv": pyarrow.csv.read_csv,
        "arrow": pyarrow.feather.read_table,
        "feather": pyarrow.feather.read_table,
    }
    if artifact.driver not in readers:
        raise LoadError(f"{artifact.key!r} is {artifact.driver!r}, not a table that Arrow reads: {sorted(readers)}.")
    try:
        return readers[artifact.driver](str(artifact.path))
    except FileNotFoundError as error:
        raise ArtifactMissingError(f"Artifact {artifact.key!r} is not at {artifact.path}.") from error
    except pyarrow.ArrowException as error:
        raise LoadError(f"Cannot load {artifact.key!r} as {artifact.driver}: {artifact.path}: {error}") from error
