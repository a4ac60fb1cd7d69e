"""Tells the kind of data in an artifact by its driver; narrows the type for type checkers."""

import os
from typing import TypeGuard

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.formats import DATAFRAME_DRIVERS, HDF_DRIVERS, SPATIAL_DRIVERS, TABULAR_DRIVERS


def is_dataframe_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True if it always loads as a DataFrame: Parquet, CSV, Arrow, Feather, a table in HDF5."""
    return _is(artifact, DATAFRAME_DRIVERS)


def is_tabular_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True if `load_df` takes it: the same and JSON, which may be a table."""
    return _is(artifact, TABULAR_DRIVERS)


def is_json_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True for JSON."""
    return _is(artifact, frozenset({"json"}))


def is_zarr_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True for a Zarr store."""
    return _is(artifact, frozenset({"zarr"}))


def is_hdf_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True for an HDF5 file or a table in one."""
    return _is(artifact, HDF_DRIVERS)


def is_spatial_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True if it loads as a GeoDataFrame: GeoJSON, GeoPackage, GeoParquet, shapefile."""
    return _is(artifact, SPATIAL_DRIVERS)


def is_netcdf_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True for NetCDF."""
    return _is(artifact, frozenset({"netcdf"}))


def is_openmatrix_artifact(artifact: object) -> TypeGuard[Artifact]:
    """True for an OMX file."""
    return _is(artifact, frozenset({"openmatrix"}))


def _is(artifact: object, drivers: frozenset[str]) -> bool:
    if isinstance(artifact, os.PathLike) and not isinstance(artifact, Artifact):
        os.fspath(artifact)  # in a dry run, an output that is not there yet tells so itself
    return isinstance(artifact, Artifact) and artifact.driver in drivers
