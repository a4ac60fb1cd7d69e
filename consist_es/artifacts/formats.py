"""Tells a file's format by its name, and finds the files that belong to it. Imports no package."""

import os
from enum import StrEnum
from pathlib import Path, PurePath


class DriverType(StrEnum):
    """The named formats; any other goes by its last suffix."""

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
"""Files that readers use beside the ``.shp``, indexes included. ``.shp.xml`` is a note to people."""
_SQLITE_HEADER = b"SQLite format 3\0"
_SQLITE_SUFFIXES = frozenset({".gpkg", ".sqlite", ".sqlite3", ".db"})
"""Suffixes that count as SQLite whatever the first bytes are, because the file may be encrypted."""
_SQLITE_SIDECARS = ("-wal", "-journal")
"""Committed pages that are not in the file yet, and pages to be rolled back (sqlite.org/tempfiles.html). The ``-shm``
file is an index of the first, rebuilt when needed."""
_BLANK = b"\0"
"""First byte of a rollback journal that is kept, but not to be rolled back (PRAGMA journal_mode=PERSIST)."""


def bundle_members(path: Path) -> list[Path]:
    """The files that hold the data known by `path`: itself first, then those beside it, sorted by name.

    A ``.shp`` has its sidecars, in either letter case. An SQLite database, such as a GeoPackage, has its write-ahead
    log and rollback journal while these hold anything. Every other file or folder is on its own.
    """
    if is_shapefile(path):
        return [path, *sorted(_shapefile_sidecars(path))]
    return [path, *_journals(path)]


def missing_sidecars(path: Path) -> list[str]:
    """Suffixes of the files without which a ``.shp`` is incomplete; empty for everything else."""
    if not is_shapefile(path):
        return []
    there = {side.suffix.lower() for side in _shapefile_sidecars(path)}
    return [suffix for suffix in _SHAPEFILE_REQUIRED if suffix not in there]


def member_suffix(path: Path, member: Path) -> str:
    """The part of a member's name that does not depend on the name of the bundle: ``.dbf``, ``.gpkg-wal``."""
    end = next((end for end in _SQLITE_SIDECARS if member != path and member.name.endswith(end)), None)
    return (member.name[len(path.stem) :] if end is None else path.suffix + end).lower()


def is_shapefile(path: Path) -> bool:
    """True if `path` is the main file of an existing shapefile."""
    return path.suffix.lower() == ".shp" and path.is_file()


def _shapefile_sidecars(path: Path) -> list[Path]:
    return [
        side
        for side in path.parent.iterdir()
        if side.stem == path.stem and side.suffix.lower() in _SHAPEFILE_SIDECARS and side.is_file()
    ]


def _journals(path: Path) -> list[Path]:
    """The journals of an SQLite database of any name: beside the file itself, also if `path` is a link.

    A write-ahead log counts as long as it exists, even if all of it is in the database already: only SQLite can tell
    which of its pages are.
    """
    name = os.path.realpath(path) if path.is_symlink() else os.fspath(path)
    beside = [Path(name + end) for end in _SQLITE_SIDECARS if os.path.lexists(name + end)]
    found = sorted(side for side in beside if side.is_file() and _start(side, 1) not in (b"", _BLANK))
    return found if found and _is_sqlite(path) else []


def _is_sqlite(path: Path) -> bool:
    """True if a file is a database by its first bytes or by its name; an empty one does not use its journals."""
    if not path.is_file():
        return False
    start = _start(path, len(_SQLITE_HEADER))
    return start == _SQLITE_HEADER or (bool(start) and path.suffix.lower() in _SQLITE_SUFFIXES)


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
