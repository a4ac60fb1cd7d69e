"""Drivers for HDF5: the whole file as h5py.File, or one of its tables as a pandas DataFrame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, check_options, need
from consist_es.artifacts.drivers.hdf_pickles import pickle_in
from consist_es.artifacts.h5_tables import frame_of
from consist_es.errors import LoadError

_TABLE_OPTIONS = frozenset({"columns", "start", "stop", "table_path", "where"})


def _container(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    """The file, open for reading; with `table_path`, that table."""
    if "table_path" in options or artifact.table_path:
        return _table(path, artifact, options)
    check_options(artifact.driver, options, frozenset({"table_path"}))
    return need("h5py", "hdf5", artifact).File(path, "r")


def _table(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    table_path = options.pop("table_path", None) or artifact.table_path
    h5py = need("h5py", "hdf5", artifact)
    with h5py.File(path, "r") as file:
        if table_path and isinstance(node := file.get(table_path), h5py.Dataset):
            check_options(artifact.driver, options, frozenset())
            what = f"Cannot load {artifact.key!r}: {table_path} in {path}"
            return frame_of(need("pandas", "hdf5", artifact), h5py, node, what)
        if not table_path or table_path not in file:
            raise LoadError(_which(artifact, path, table_path, _tables(file)))
        if problem := pickle_in(h5py, file, table_path):
            raise LoadError(
                f"Cannot load {artifact.key!r}: in {path}, {problem}. Reading such things can run any code. Write the "
                "table with DataFrame.to_hdf(format='table') and without columns of mixed types, or as Parquet."
            )
    need("tables", "hdf5", artifact)
    return need("pandas", "hdf5", artifact).read_hdf(path, key=table_path, mode="r", **options)


def _tables(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, node: found.append(name) if "pandas_type" in node.attrs else None)
    return sorted(found)


def _which(artifact: Artifact, path: Path, table_path: str | None, tables: list[str]) -> str:
    asked = f"has no table {table_path!r}" if table_path else "is an HDF5 file; name a table with table_path"
    return f"Cannot load {artifact.key!r}: {path} {asked}. Tables in it: {', '.join(tables) or 'none'}."


DRIVERS = (
    Driver("h5", _container, _TABLE_OPTIONS),
    Driver("hdf5", _container, _TABLE_OPTIONS),
    Driver("h5_table", _table, _TABLE_OPTIONS),
)
