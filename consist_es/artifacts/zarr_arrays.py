"""Lists the arrays of a Zarr store, by its metadata files alone (Zarr storage specifications, versions 2 and 3)."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def arrays_of(store: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and metadata of every array; does not enter the folders of chunks below an array."""
    for name, folders, files in os.walk(store):
        folder = Path(name)
        found = [_metadata(folder / file) for file in (".zarray", "zarr.json") if file in files]
        arrays = [metadata for metadata in found if metadata.get("node_type", "array") == "array"]
        if arrays and len(arrays) == len(found) and ".zgroup" not in files:
            folders.clear()
        folders.sort()
        yield from ((folder, metadata) for metadata in arrays)


def too_old(error: BaseException) -> str:
    """Advice, if an error is of an xarray that expects version 3 of the package zarr; "" otherwise."""
    zarr = sys.modules.get("zarr")
    installed = str(getattr(zarr, "__version__", ""))
    if not installed.startswith("2.") or "zarr_format" not in str(error):
        return ""
    needs = f"This xarray needs version 3 of the package zarr, and {installed} is installed"
    return f"{needs}: update zarr, or take xarray 2026.2."


_MAX_BYTES = 16 << 20
"""Largest metadata file, in bytes."""


def _metadata(file: Path) -> dict[str, Any]:
    if file.is_symlink() or file.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{file} is a link, or too large for Zarr metadata")
    metadata = json.loads(file.read_bytes())
    if not isinstance(metadata, dict):
        raise ValueError(f"{file} is not Zarr metadata")
    return metadata
