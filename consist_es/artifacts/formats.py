"""Which format a file has, by its name, and which files belong to it. No package is imported for it."""

from enum import StrEnum
from pathlib import Path, PurePath


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


# ---------------------------------------------------------------- files that are one data set together

_SHAPEFILE_REQUIRED = (".shx", ".dbf")
_SHAPEFILE_SIDECARS = frozenset(
    {*_SHAPEFILE_REQUIRED, ".prj", ".qpj", ".cpg", ".cst", ".dbt", ".qix", ".sbn", ".sbx", ".idm", ".ind", ".atx"}
)
"""What readers look at beside the ``.shp``, indexes included. ``.shp.xml`` is a note to people."""
_SQLITE_SUFFIXES = (".gpkg", ".sqlite", ".sqlite3", ".db")
_SQLITE_SIDECARS = ("-wal", "-journal")
"""Committed pages that are not in the file yet, and pages to be rolled back (sqlite.org/tempfiles.html). The
``-shm`` file is an index of the first, made anew when needed."""


def bundle_members(path: Path) -> list[Path]:
    """The files that hold the data known by `path`: itself first, then what lies beside it, sorted by name.

    A ``.shp`` has its sidecars, found in either case of letters. An SQLite file, such as a GeoPackage, has its
    write-ahead log and rollback journal while these hold anything. Every other file or folder stands for itself.
    """
    if is_shapefile(path):
        return [path, *sorted(_shapefile_sidecars(path))]
    if path.suffix.lower() in _SQLITE_SUFFIXES and path.is_file():
        beside = (path.with_name(path.name + end) for end in _SQLITE_SIDECARS)
        return [path, *sorted(side for side in beside if side.is_file() and side.stat().st_size)]
    return [path]


def missing_sidecars(path: Path) -> list[str]:
    """Suffixes of the files without which a ``.shp`` is incomplete; empty for everything else."""
    if not is_shapefile(path):
        return []
    there = {side.suffix.lower() for side in _shapefile_sidecars(path)}
    return [suffix for suffix in _SHAPEFILE_REQUIRED if suffix not in there]


def member_suffix(path: Path, member: Path) -> str:
    """What a member's name has that does not depend on the name of the bundle: ``.dbf``, ``.gpkg-wal``."""
    return member.name[len(path.stem) :].lower()


def is_shapefile(path: Path) -> bool:
    """Whether `path` is the main file of a shapefile that is there."""
    return path.suffix.lower() == ".shp" and path.is_file()


def _shapefile_sidecars(path: Path) -> list[Path]:
    return [
        side
        for side in path.parent.iterdir()
        if side.stem == path.stem and side.suffix.lower() in _SHAPEFILE_SIDECARS and side.is_file()
    ]
