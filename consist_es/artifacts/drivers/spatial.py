"""Drivers for spatial tables. They become geopandas GeoDataFrames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.driver import Driver, need
from consist_es.artifacts.formats import missing_sidecars
from consist_es.errors import ArtifactMissingError


def _features(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    if missing := missing_sidecars(path):
        raise ArtifactMissingError(
            f"Artifact {artifact.key!r}: {path} lacks its {' and '.join(missing)} file. Restore it."
        )
    return need("geopandas", "geo", artifact).read_file(path, **options)


def _geoparquet(path: Path, artifact: Artifact, options: dict[str, Any]) -> Any:
    return need("geopandas", "geo", artifact).read_parquet(path, **options)


_FEATURES = frozenset({"bbox", "columns", "encoding", "layer", "mask", "read_geometry", "rows", "where"})

DRIVERS = (
    Driver("geojson", _features, _FEATURES - {"layer"}),
    Driver("shapefile", _features, _FEATURES - {"layer"}),
    Driver("geopackage", _features, _FEATURES),
    Driver("geoparquet", _geoparquet, frozenset({"bbox", "columns", "filters"})),
)
