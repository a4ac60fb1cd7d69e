"""Loads artifacts into memory. Packages are imported when a file is loaded, never before."""

from __future__ import annotations

import dataclasses
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers import arrays as array_drivers
from consist_es.artifacts.drivers import hdf as hdf_drivers
from consist_es.artifacts.drivers import plugins
from consist_es.artifacts.drivers import spatial as geo_drivers
from consist_es.artifacts.drivers import tabular as table_drivers
from consist_es.artifacts.drivers.driver import Driver, check_options, need
from consist_es.artifacts.elsewhere import what_to_do
from consist_es.artifacts.formats import HDF_DRIVERS, TABULAR_DRIVERS
from consist_es.artifacts.uris import UriMap
from consist_es.errors import ArtifactMissingError, ConsistError, LoadError, UsageTypeError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["BUILTIN", "Driver", "can_load", "find_driver", "load", "load_df", "load_table"]

BUILTIN: Mapping[str, Driver] = {
    driver.name: driver
    for module in (table_drivers, geo_drivers, array_drivers, hdf_drivers)
    for driver in module.DRIVERS
}
_READ_ERRORS = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    EOFError,
    ImportError,
    zlib.error,
)
"""Errors of the packages for files they cannot read."""


def find_driver(name: str) -> Driver | None:
    """The driver of that name, or None if nothing can load it. The built-in ones come first."""
    return BUILTIN.get(name) or plugins.third_party(name)


def can_load(name: str) -> bool:
    """True if some driver loads this format. Its package may still be missing."""
    return find_driver(name) is not None


class _Places(Protocol):
    """The roots with which a tracker resolves the URIs of artifacts."""

    run_dir: Path

    @property
    def mounts(self) -> Mapping[str, str]: ...


def load(artifact: Artifact, *, tracker: _Places | None = None, **options: Any) -> Any:
    """Load an artifact's data; with `tracker`, from the place by its run_dir and mounts.

    A pandas DataFrame for tables, a GeoDataFrame for spatial files, an xarray.Dataset for arrays, an open h5py.File for
    HDF5, and for JSON its content, or a DataFrame if it is a list of flat objects. Nothing is unpickled.

    Raises:
        LoadError: no driver for its format, an option the driver does not take, or unreadable content.
        ArtifactMissingError: the file does not exist.
        MissingExtraError: a package is missing; names the extra that installs it.
    """
    if not isinstance(artifact, Artifact):
        if isinstance(artifact, os.PathLike):
            os.fspath(artifact)  # in a dry run, an output that is not there yet tells so itself
        raise UsageTypeError(f"load() takes an Artifact, not {type(artifact).__name__}.")
    artifact = _placed(artifact, tracker, "load()")
    driver = find_driver(artifact.driver)
    if driver is None:
        folder = artifact.kind == "folder"
        what = "this folder" if folder else repr(artifact.driver)
        raise LoadError(
            f"No driver loads {what} (artifact {artifact.key!r}, {artifact.path}). Use artifact.path and read "
            f"{'what is in it' if folder else 'the file'} yourself, or annotate the step's parameter as Path."
        )
    check_options(driver.name, options, driver.options)
    path = artifact.path
    if not path.exists():
        raise _missing(artifact)
    try:
        return driver.load(path, artifact, dict(options))
    except ConsistError:
        raise
    except _READ_ERRORS as error:
        raise LoadError(f"Cannot load {artifact.key!r} as {driver.name}: {path}: {error}") from error


def _placed(artifact: Artifact, tracker: Any, call: str) -> Artifact:
    """The artifact as `tracker` resolves it; another tracker, or none, may have made it."""
    if tracker is None:
        return artifact
    run_dir, mounts = getattr(tracker, "run_dir", None), getattr(tracker, "mounts", {})
    if not isinstance(run_dir, Path) or not isinstance(mounts, Mapping):
        raise UsageTypeError(f"{call} tracker= takes a Tracker, not {type(tracker).__name__}.")
    return dataclasses.replace(artifact, uris=UriMap.of(run_dir, mounts))


def load_df(artifact: Artifact, *, tracker: _Places | None = None, **options: Any) -> pd.DataFrame:
    """Load a tabular artifact as a pandas DataFrame; `tracker` as for `load`.

    Raises:
        UsageTypeError: its format or content is not a table.
    """
    if not isinstance(artifact, Artifact):
        raise UsageTypeError(f"load_df() takes an Artifact, not {type(artifact).__name__}.")
    if not _may_hold_table(artifact, options):
        raise UsageTypeError(f"load_df() needs a table, and {artifact.key!r} is {artifact.driver!r}: use load().")
    pandas = need("pandas", "pandas", artifact)
    data = load(artifact, tracker=tracker, **options)
    frame: pd.DataFrame
    if isinstance(data, pandas.DataFrame | pandas.Series):
        frame = data if isinstance(data, pandas.DataFrame) else data.to_frame()
        return frame
    if artifact.driver != "json" or not isinstance(data, list | dict):
        raise UsageTypeError(f"{artifact.key!r} holds {type(data).__name__}, not a table. Use load().")
    try:
        frame = pandas.DataFrame(data)
    except (ValueError, TypeError) as error:
        raise UsageTypeError(f"{artifact.key!r} is JSON, but not a table: {error}. Use load().") from error
    return frame


def _may_hold_table(artifact: Artifact, options: Mapping[str, Any]) -> bool:
    if artifact.driver in HDF_DRIVERS:
        return bool(options.get("table_path") or artifact.table_path)
    return artifact.driver in TABULAR_DRIVERS or artifact.driver not in BUILTIN


def load_table(artifact: Artifact) -> pa.Table:
    """Load a Parquet, CSV, Arrow, Feather or GeoParquet artifact as an Arrow table; pandas is not needed."""
    import pyarrow as pa

    readers = table_drivers.arrow_readers()
    if artifact.driver not in readers:
        raise LoadError(
            f"{artifact.key!r} is {artifact.driver!r}, which Arrow cannot read. It reads: {sorted(readers)}."
        )
    if not artifact.path.exists():
        raise _missing(artifact)
    try:
        return readers[artifact.driver](str(artifact.path))
    except (pa.ArrowException, OSError) as error:
        raise LoadError(f"Cannot load {artifact.key!r} as {artifact.driver}: {artifact.path}: {error}") from error


def _missing(artifact: Artifact) -> ArtifactMissingError:
    return ArtifactMissingError(
        f"Artifact {artifact.key!r} ({artifact.id}) is not at {artifact.path}. {what_to_do(artifact, artifact.uris)}"
    )
