"""Spatial tables: each format written by geopandas, loaded as an artifact and described without geopandas."""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.loading import load, load_df, load_table
from consist_es.artifacts.formats import driver_of
from consist_es.artifacts.tables import TableInfo, describe_table
from consist_es.errors import ArtifactMissingError, LoadError, UsageTypeError

SUFFIXES = [".geojson", ".shp", ".gpkg", ".geoparquet"]


def zones() -> Any:
    geopandas: Any = pytest.importorskip("geopandas", reason="geopandas is not installed (extra geo)")
    points = geopandas.points_from_xy([0, 1, 2], [3, 4, 5])
    return geopandas.GeoDataFrame({"zone": [1, 2, 3], "name": ["a", "b", "c"]}, geometry=points, crs=4326)


def written(folder: Path, suffix: str) -> Artifact:
    path = folder / f"zones{suffix}"
    if suffix == ".geoparquet":
        zones().to_parquet(path)
    else:
        zones().to_file(path)
    return Artifact(key="zones", container_uri=str(path), driver=driver_of(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_spatial_file_loads_as_the_geodataframe_that_was_written(suffix: str, tmp_path: Path) -> None:
    loaded = load(written(tmp_path, suffix))
    assert type(loaded) is type(zones())
    assert loaded.crs.to_epsg() == 4326
    assert loaded.geometry.geom_equals(zones().geometry).all()
    assert loaded[["zone", "name"]].to_dict("list") == {"zone": [1, 2, 3], "name": ["a", "b", "c"]}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_and_box_choose_part_of_a_spatial_file(suffix: str, tmp_path: Path) -> None:
    artifact = written(tmp_path, suffix)
    columns = ["name", "geometry"] if suffix == ".geoparquet" else ["name"]
    assert set(load(artifact, columns=columns).columns) == {"name", "geometry"}
    if suffix != ".geoparquet":  # which needs a column of boxes for it
        assert list(load(artifact, bbox=(0.5, 3.5, 1.5, 4.5))["zone"]) == [2]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_load_df_leaves_spatial_files_to_load(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(UsageTypeError, match=r"use load\(\)"):
        load_df(written(tmp_path, suffix))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bytes_that_are_no_spatial_file_are_a_load_error(suffix: str, tmp_path: Path) -> None:
    artifact = written(tmp_path, suffix)
    artifact.path.write_bytes(b"no such thing")
    with pytest.raises(LoadError, match="Cannot load 'zones'"):
        load(artifact)


def test_a_shapefile_without_its_table_is_not_loaded_without_it(tmp_path: Path) -> None:
    artifact = written(tmp_path, ".shp")
    artifact.path.with_suffix(".dbf").unlink()
    with pytest.raises(ArtifactMissingError, match=r"lacks its \.dbf file"):
        load(artifact)


def test_geoparquet_loads_as_an_arrow_table(tmp_path: Path) -> None:
    assert load_table(written(tmp_path, ".geoparquet")).column_names == ["zone", "name", "geometry"]


def test_one_layer_of_a_geopackage_is_chosen_by_name(tmp_path: Path) -> None:
    artifact = written(tmp_path, ".gpkg")
    zones().head(1).to_file(artifact.path, layer="first")
    assert len(load(artifact, layer="first")) == 1
    assert len(load(artifact, layer="zones")) == 3


# ---------------------------------------------------------------- descriptions


def geopackage(path: Path, *layers: str, kind: str = "features") -> Path:
    """The part of a GeoPackage that says what is in it, and layers of two rows."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE gpkg_contents (table_name TEXT PRIMARY KEY, data_type TEXT)")
        for layer in layers:
            connection.execute("INSERT INTO gpkg_contents VALUES (?, ?)", (layer, kind))
            name = layer.replace('"', '""')
            connection.execute(f'CREATE TABLE "{name}" (fid INTEGER PRIMARY KEY, geom POINT, name TEXT)')
            connection.execute(f'INSERT INTO "{name}" (name) VALUES (?), (?)', ("a", "b"))
    return path


COLUMNS = {"fid": "INTEGER", "geom": "POINT", "name": "TEXT"}


@pytest.mark.parametrize("layer", ["zones", 'odd "name"', "select"])
@pytest.mark.parametrize("kind", ["features", "attributes"])
def test_a_geopackage_is_described_by_its_layer(layer: str, kind: str, tmp_path: Path) -> None:
    path = geopackage(tmp_path / "t.gpkg", layer, kind=kind)
    assert describe_table(path, "geopackage") == TableInfo(COLUMNS, 2)


def test_a_geopackage_with_several_layers_has_no_row_count(tmp_path: Path) -> None:
    described = describe_table(geopackage(tmp_path / "t.gpkg", "a", "b"), "geopackage")
    assert described.schema == {f"{layer}.{name}": kind for layer in "ab" for name, kind in COLUMNS.items()}
    assert described.rows is None


def test_describing_a_geopackage_leaves_no_trace_and_asks_for_no_lock(tmp_path: Path) -> None:
    path = geopackage(tmp_path / "t 1%?.gpkg", "zones")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert describe_table(path, "geopackage").rows == 2
        other.rollback()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_nothing_is_said_of_a_geopackage_whose_changes_wait_in_a_journal(tmp_path: Path) -> None:
    path = geopackage(tmp_path / "t.gpkg", "zones")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("DELETE FROM zones")
        connection.commit()
        assert describe_table(path, "geopackage") == TableInfo()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\x00" + b"\xff" * 200])
def test_what_is_no_geopackage_is_not_described(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.gpkg").write_bytes(content)
    assert describe_table(tmp_path / "t.gpkg", "geopackage") == TableInfo()


def test_real_spatial_files_are_described_without_geopandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, parquet = written(tmp_path, ".gpkg"), written(tmp_path, ".geoparquet")
    for name in ("geopandas", "pyogrio"):
        monkeypatch.setitem(sys.modules, name, None)
    described = describe_table(package.path, package.driver)
    assert described.rows == 3
    assert described.schema is not None
    assert {"zone", "name"} < set(described.schema)
    described = describe_table(parquet.path, parquet.driver)
    assert described.rows == 3
    assert described.schema is not None
    assert list(described.schema) == ["zone", "name", "geometry"]


def test_a_geodataframe_is_no_plain_frame_to_write(tmp_path: Path) -> None:
    from consist_es.artifacts.tables import is_table, table_suffix, write_table

    frame = zones()
    assert is_table(frame)
    assert table_suffix(frame) == "geoparquet"
    write_table(frame, tmp_path / "z.geoparquet", "z")
    again = load(Artifact(key="z", container_uri=str(tmp_path / "z.geoparquet"), driver="geoparquet"))
    pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(frame))
    assert again.crs == frame.crs
    write_table(frame.geometry, tmp_path / "s.geoparquet", "place")
    assert (
        load(Artifact(key="s", container_uri=str(tmp_path / "s.geoparquet"), driver="geoparquet")).active_geometry_name
        == "place"
    )
