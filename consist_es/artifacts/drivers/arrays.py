"""Drivers for arrays: NetCDF, Zarr and OMX. They become xarray Datasets with values that are read when used."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, need
from consist_es.artifacts.zarr_arrays import arrays_of, too_old
from consist_es.errors import LoadError, MissingExtraError

_OPTIONS = frozenset({"chunks", "decode_cf", "decode_times", "drop_variables", "group", "mask_and_scale"})

# ---------------------------------------------------------------- NetCDF

_CLASSIC = ("netCDF4", "scipy")
_ENGINES = {
    b"\x89HDF": ("netCDF4", "h5netcdf"),
    b"CDF\x01": _CLASSIC,
    b"CDF\x02": _CLASSIC,
    b"CDF\x05": ("netCDF4",),
}
"""First bytes -> packages that read such a file, best first (NetCDF User's Guide, file format specifications)."""


def _netcdf(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    xarray = need("xarray", "netcdf", artifact)
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in _ENGINES:
        raise LoadError(f"Cannot load {artifact.key!r}: {path} is not a NetCDF file (it begins with {magic!r}).")
    engine = next((name for name in _ENGINES[magic] if _installed(name)), None)
    if engine is None:
        raise MissingExtraError(f"Loading {artifact.key!r} (netcdf)", " or ".join(_ENGINES[magic]), "netcdf")
    return xarray.open_dataset(path, engine=engine.lower(), **options)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # an entry of sys.modules that is not a module
        return False


# ---------------------------------------------------------------- Zarr


def _zarr(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    xarray = need("xarray", "zarr", artifact)
    need("zarr", "zarr", artifact)
    if (array := next(_pickled_arrays(path / options.get("group", "")), None)) is not None:
        raise LoadError(
            f"Cannot load {artifact.key!r}: array {array.relative_to(path)} of {path} holds pickled Python objects, "
            "and reading those can run any code. Write it with a string or number type."
        )
    # every array's own metadata, not the summary, since only that was checked here
    try:
        return xarray.open_dataset(path, engine="zarr", consolidated=False, **options)
    except TypeError as error:
        if advice := too_old(error):
            raise LoadError(f"Cannot load {artifact.key!r} as zarr: {advice}") from error
        raise


def _pickled_arrays(store: Path) -> Iterator[Path]:
    """Arrays with the codec that unpickles; versions 2 and 3 of the format keep codecs in different places."""
    for folder, metadata in arrays_of(store):
        codecs = [metadata.get("compressor"), *(metadata.get("filters") or ()), *(metadata.get("codecs") or ())]
        names = {str(codec.get("id", codec.get("name"))) for codec in codecs if isinstance(codec, dict)}
        if any(name.rpartition(".")[2] == "pickle" for name in names):
            yield folder


# ---------------------------------------------------------------- OMX

_ROWS, _COLUMNS = "origin", "destination"


def _omx(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    """Matrices as variables over origin and destination, lookups as coordinates along either.

    Layout after the specification of OMX 0.2: matrices below ``/data``, lookups below ``/lookup``; the attribute
    ``dim``, if present, ties a lookup to the rows (0) or columns (1).
    """
    xarray, h5py = need("xarray", "omx", artifact), need("h5py", "omx", artifact)
    with h5py.File(path, "r") as file:
        if not isinstance(file.get("data"), h5py.Group):
            raise LoadError(f"Cannot load {artifact.key!r}: {path} has no group /data, so it is not an OMX file.")
        found = {name: node for name, node in file["data"].items() if isinstance(node, h5py.Dataset)}
        variables = {
            name: ((_ROWS, _COLUMNS), _lazy(xarray, h5py, path, node), _attributes(node))
            for name, node in found.items()
        }
        shape = next((node.shape for node in found.values()), None)
        return xarray.Dataset(variables, coords=_lookups(h5py, file, shape), attrs=_attributes(file))


def _lazy(xarray: Any, h5py: Any, path: Path, node: Any) -> Any:
    """An array that opens the file for each access, reads the selection and closes it again."""
    indexing = importlib.import_module("xarray.core.indexing")

    class Matrix(xarray.backends.BackendArray):  # type: ignore[misc]
        def __init__(self) -> None:
            self.name, self.shape, self.dtype = node.name, node.shape, node.dtype

        def __getitem__(self, key: Any) -> Any:
            support = indexing.IndexingSupport.OUTER_1VECTOR
            return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

        def _read(self, key: Any) -> Any:
            with h5py.File(path, "r") as file:
                return file[self.name][key]

    return indexing.LazilyIndexedArray(Matrix())


def _lookups(h5py: Any, file: Any, shape: tuple[int, int] | None) -> dict[str, Any]:
    """``zone`` becomes zone_origin and zone_destination, if its length and ``dim`` allow."""
    coordinates: dict[str, Any] = {}
    for name, node in file.get("lookup", {}).items():
        if shape is None or not isinstance(node, h5py.Dataset) or node.ndim != 1:
            continue
        text = h5py.check_string_dtype(node.dtype) is not None
        values = node.asstr()[()].astype(str) if text else node[()]
        for number, dimension in enumerate((_ROWS, _COLUMNS)):
            if int(node.attrs.get("dim", number)) == number and len(values) == shape[number]:
                coordinates[f"{name}_{dimension}"] = (dimension, values, _attributes(node))
    return coordinates


def _attributes(node: Any) -> dict[str, Any]:
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in node.attrs.items()
    }


DRIVERS = (
    Driver("netcdf", _netcdf, _OPTIONS),
    Driver("zarr", _zarr, _OPTIONS),
    Driver("openmatrix", _omx, frozenset()),
)
