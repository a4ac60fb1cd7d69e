"""Which format a file has, by its name. No package is imported for it."""

from enum import StrEnum
from pathlib import PurePath


class DriverType(StrEnum):
    """The formats with a name of their own; anything else goes by its last suffix."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    FEATHER = "feather"
    ZARR = "zarr"
    NETCDF = "netcdf"
    OPENMATRIX = "openmatrix"
    GEOJSON = "geojson"
    GEOPARQUET = "geoparquet"
    SHAPEFILE = "shapefile"
    GEOPACKAGE = "geopackage"
    H5 = "h5"
    HDF5 = "hdf5"
    H5_TABLE = "h5_table"
    OTHER = "other"


TABULAR_DRIVERS = frozenset({"parquet", "csv", "json", "arrow", "feather", "h5_table"})
DATAFRAME_DRIVERS = TABULAR_DRIVERS - {"json"}
MATRIX_DRIVERS = frozenset({"zarr", "netcdf", "openmatrix"})
SPATIAL_DRIVERS = frozenset({"geojson", "geoparquet", "shapefile", "geopackage"})
HDF_DRIVERS = frozenset({"h5", "hdf5", "h5_table"})

_SUFFIXES = {
    ".parquet.gz": "parquet",
    ".parquet": "parquet",
    ".csv.gz": "csv",
    ".csv": "csv",
    ".json.gz": "json",
    ".json": "json",
    ".arrow": "arrow",
    ".feather": "feather",
    ".h5": "h5",
    ".hdf5": "h5",
    ".zarr": "zarr",
    ".nc": "netcdf",
    ".nc4": "netcdf",
    ".netcdf": "netcdf",
    ".omx": "openmatrix",
    ".geojson": "geojson",
    ".geoparquet": "geoparquet",
    ".shp": "shapefile",
    ".gpkg": "geopackage",
}


def driver_of(path: PurePath, *, folder: bool = False) -> str:
    """The driver name for a file or folder; folders other than ``.zarr`` are ``unknown``."""
    name = path.name.lower()
    for suffix, driver in _SUFFIXES.items():
        if name.endswith(suffix) and (not folder or driver == "zarr"):
            return driver
    if folder or not path.suffix:
        return "unknown"
    return path.suffix[1:].lower()
