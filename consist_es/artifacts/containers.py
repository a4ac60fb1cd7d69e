"""Describes files that hold several tables or arrays: names, types and shapes, without reading the data."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from consist_es.artifacts.formats import bundle_members
from consist_es.artifacts.zarr_arrays import arrays_of

_MAX_STEPS = 20_000_000
"""Instructions of SQLite's machine after which describing a GeoPackage is given up; some seconds at most. Counting the
rows of a table takes a few, whatever its size."""
_MAX_NODES = 10_000
"""Groups and arrays above which an HDF5 file is not described."""


def zarr_schema(path: Path) -> dict[str, str] | None:
    """Array name -> ``float64[24, 24]``; types as in the store's own metadata."""
    found = {}
    for folder, metadata in arrays_of(path):
        kind = metadata.get("data_type", metadata.get("dtype"))
        name = kind if isinstance(kind, str) else "record" if isinstance(kind, list) else dict(kind or {}).get("name")
        found[folder.relative_to(path).as_posix()] = f"{name}{list(metadata['shape'])}"
    return found or None


def hdf_schema(path: Path) -> dict[str, str] | None:
    """Array or table name -> ``float64[24, 24]``; None if h5py is not installed or the file has too many nodes.

    A table that pandas wrote is one entry, with pandas's own type name.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError:
        return None
    found: dict[str, str] = {}
    with h5py.File(path, "r") as file:
        for number, (name, node) in enumerate(hdf_nodes(h5py, file)):
            if number == _MAX_NODES:
                return None
            if isinstance(node, h5py.Dataset):
                found[name] = f"{'record' if node.dtype.names else node.dtype.name}{list(node.shape or ())}"
            elif is_pandas(node):
                kind = node.attrs["pandas_type"]
                found[name] = kind.decode() if isinstance(kind, bytes) else str(kind)
    return found or None


def hdf_nodes(h5py: Any, top: Any) -> Iterator[tuple[str, Any]]:
    """Everything below `top` in this file; leaves out links and the insides of pandas tables."""
    waiting, seen = [("", top)], {top}
    while waiting:
        prefix, group = waiting.pop()
        for part in group:
            if not isinstance(group.get(part, getlink=True), h5py.HardLink):
                continue
            name, node = f"{prefix}{part}", group[part]
            yield name, node
            if isinstance(node, h5py.Group) and node not in seen and not is_pandas(node):
                seen.add(node)
                waiting.append((f"{name}/", node))


def is_pandas(node: Any) -> bool:
    """True for the group that holds a table which pandas wrote."""
    return "pandas_type" in node.attrs


def geopackage_schema(path: Path) -> tuple[dict[str, str] | None, int | None]:
    """Columns and rows of a GeoPackage's layer; with several layers ``layer.column`` and no row count.

    Layers are listed in ``gpkg_contents`` as features or attributes (OGC 12-128r19, clause 1.1.3). Takes no lock and
    leaves the file unchanged; (None, None) if changes wait in a journal beside it.
    """
    if len(bundle_members(path)) > 1:
        return None, None
    import sqlite3

    from sqlite_utils import Database

    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_progress_handler(lambda: 1, _MAX_STEPS)  # a seeming table may be an endless query
        rows = connection.execute(
            "SELECT table_name FROM gpkg_contents WHERE data_type IN ('features', 'attributes') ORDER BY table_name"
        )
        layers = [Database(connection)[name] for (name,) in rows.fetchall()]
        if len(layers) == 1:
            return {column.name: column.type for column in layers[0].columns}, layers[0].count
        return {f"{layer.name}.{c.name}": c.type for layer in layers for c in layer.columns} or None, None
