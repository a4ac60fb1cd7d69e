"""The tables in an HDF5 file: which there are, their columns and rows, and reading those that pandas did not write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from consist_es.artifacts.containers import hdf_nodes, is_pandas
from consist_es.artifacts.drivers.driver import need_for
from consist_es.errors import InputError, LoadError

MAX_TABLES = 10_000
"""Tables above which a file is not taken apart."""


class H5Table(msgspec.Struct, frozen=True):
    """A table that pandas wrote, or an array or table of records of any program."""

    path: str
    """Its place in the file, with a leading slash."""
    schema: dict[str, str] | None = None
    """Column -> type; None if that cannot be told without reading the data."""
    rows: int | None = None


def normal(table_path: str) -> str:
    """The path in a file as it is recorded: with one leading slash."""
    return "/" + table_path.strip("/")


def tables_in(path: Path, what: str) -> list[H5Table]:
    """The tables in a file, by name. What pandas wrote is one table, whatever it consists of.

    Raises:
        MissingExtraError: h5py is not installed; `what` begins the message.
        InputError: the file cannot be read as HDF5, or has more than `MAX_TABLES` tables.
    """
    with _opened(path, what) as (h5py, file):
        found: list[H5Table] = []
        for name, node in hdf_nodes(h5py, file):
            if isinstance(node, h5py.Dataset) or is_pandas(node):
                found.append(_described(h5py, name, node))
            if len(found) > MAX_TABLES:
                raise InputError(
                    f"{what}: {path} has more than {MAX_TABLES} tables. Give discover_tables=False, and log those that "
                    "matter by log_h5_table."
                )
    return sorted(found, key=lambda table: table.path)


def table_at(path: Path, table_path: str, what: str) -> H5Table:
    """One table of a file.

    Raises:
        MissingExtraError: h5py is not installed. InputError: the file cannot be read, or has no such table.
    """
    with _opened(path, what) as (h5py, file):
        node = file.get(normal(table_path))
        if isinstance(node, h5py.Dataset) or (node is not None and is_pandas(node)):
            return _described(h5py, table_path, node)
    names = ", ".join(table.path for table in tables_in(path, what)[:10])
    raise InputError(f"{what}: {path} has no table {table_path!r}. Tables in it: {names or 'none'}.")


@contextmanager
def _opened(path: Path, what: str) -> Iterator[tuple[Any, Any]]:
    h5py = need_for("h5py", "hdf5", what)
    try:
        file = h5py.File(os.fspath(path), "r")
    except OSError as error:
        raise InputError(f"{what}: {path} cannot be read as HDF5: {error}. Close it first, or correct it.") from error
    with file:
        yield h5py, file


def _described(h5py: Any, name: str, node: Any) -> H5Table:
    if isinstance(node, h5py.Dataset):
        kind, shape = node.dtype, node.shape or ()
        columns = {name: _type(kind[name]) for name in kind.names} if kind.names else None
        return H5Table(normal(name), columns or {node.name.rpartition("/")[2]: _type(kind, shape[1:])}, *shape[:1])
    return H5Table(normal(name), _pandas_columns(h5py, node), _pandas_rows(h5py, node))


def _type(kind: Any, shape: Any = None) -> str:
    parts = kind.shape if shape is None else shape
    return f"{kind.base.name}{list(parts) if parts else ''}"


def _pandas_rows(h5py: Any, node: Any) -> int | None:
    for part in ("table", "axis1", "index", "values"):
        inner = node.get(part)
        if isinstance(inner, h5py.Dataset) and inner.shape:
            return int(inner.shape[0])
    return None


def _pandas_columns(h5py: Any, node: Any) -> dict[str, str] | None:
    """Columns of a DataFrame in pandas' fixed format: a block of values, with its columns' names, for each type."""
    found: dict[str, str] = {}
    number = 0
    while isinstance(names := node.get(f"block{number}_items"), h5py.Dataset):
        values = node.get(f"block{number}_values")
        if names.dtype.kind != "S" or not isinstance(values, h5py.Dataset):
            return None
        kind = "object" if values.dtype.kind == "O" else values.dtype.name
        found |= {name.decode(errors="replace"): kind for name in names[()].tolist()}
        number += 1
    return found or None


# ---------------------------------------------------------------- reading


def frame_of(pandas: Any, h5py: Any, node: Any, what: str) -> Any:
    """A dataset as a DataFrame: columns of a table of records; of other arrays, one column for each position.

    Raises:
        LoadError: an array of three or more dimensions.
    """
    if len(node.shape or ()) not in (1, 2) or (node.dtype.names and len(node.shape) == 2):
        raise LoadError(f"{what} is an array of shape {node.shape}, which is no table. Read it with h5py.")
    if node.dtype.names:
        values = node[()]
        return pandas.DataFrame({name: _column(h5py, values[name]) for name in node.dtype.names})
    values = node.asstr(errors="replace")[()] if h5py.check_string_dtype(node.dtype) else node[()]
    return pandas.DataFrame(values, columns=[node.name.rpartition("/")[2]] if values.ndim == 1 else None)


def _column(h5py: Any, values: Any) -> Any:
    if values.ndim > 1:
        return list(values)
    if h5py.check_string_dtype(values.dtype) or values.dtype.kind == "S":
        return [item.decode(errors="replace") if isinstance(item, bytes) else item for item in values.tolist()]
    return values
