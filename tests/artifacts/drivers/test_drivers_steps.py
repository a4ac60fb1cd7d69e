"""Formats in steps: what a parameter receives, what a returned object becomes, which edits count."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from consist_es import Tracker, load
from consist_es.errors import MissingExtraError

PARTS = {".shp": b"shapes", ".shx": b"index", ".dbf": b"table"}


def frame_of(table: pd.DataFrame) -> pd.DataFrame:
    return table * 2


def arrow_of(table: pa.Table) -> pa.Table:
    assert isinstance(table, pa.Table)
    return table.slice(0, 1)


def count_bytes(zones: Path) -> pd.DataFrame:
    return pd.DataFrame({"bytes": [zones.stat().st_size]})


def total(zones: Any) -> pd.DataFrame:
    return pd.DataFrame({"zones": [len(zones)]})


def test_the_annotation_of_a_parameter_decides_between_pandas_and_arrow(tracker: Tracker) -> None:
    Path("t.csv").write_text("a,b\n1,2\n3,4\n")
    doubled = tracker.run(frame_of, inputs={"table": "t.csv"}, outputs=["doubled"])
    assert load(doubled.outputs["doubled"]).to_dict("list") == {"a": [2, 6], "b": [4, 8]}
    first = tracker.run(arrow_of, inputs={"table": doubled.outputs["doubled"]}, outputs=["first"])
    assert (first.outputs["first"].rows, first.outputs["first"].schema) == (1, {"a": "int64", "b": "int64"})


@pytest.mark.parametrize("suffix", sorted(PARTS))
def test_an_edit_to_any_part_of_a_shapefile_makes_the_step_run_again(suffix: str, tracker: Tracker) -> None:
    for part, content in PARTS.items():
        Path(f"zones{part}").write_bytes(content)

    def run() -> bool:
        return tracker.run(count_bytes, inputs={"zones": "zones.shp"}, outputs=["bytes"]).cache_hit

    assert (run(), run()) == (False, True)
    Path(f"zones{suffix}").write_bytes(PARTS[suffix][::-1])
    assert (run(), run()) == (False, True)


def test_a_missing_package_fails_the_step_and_names_the_extra(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("zones.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    monkeypatch.setitem(sys.modules, "geopandas", None)
    with pytest.raises(MissingExtraError, match=r"'consist-es\[geo\]'"):
        tracker.run(total, inputs={"zones": "zones.geojson"}, outputs=["zones"])


def test_a_returned_dataset_is_one_zarr_output_that_hits_and_loads_again(tracker: Tracker) -> None:
    xr: Any = pytest.importorskip("xarray", reason="xarray is not installed (extra zarr)")
    pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")

    def skims() -> Any:
        return xr.Dataset({"time": (("o", "d"), [[0.0, 1.0], [1.0, 0.0]])})

    for outputs in (["skims"], None):  # declared, and inferred
        first, second = (tracker.run(skims, name=f"s{outputs}", outputs=outputs) for _ in range(2))
        assert (first.cache_hit, second.cache_hit) == (False, True)
        artifact = second.outputs["skims"]
        assert (artifact.driver, artifact.path.name, artifact.kind) == ("zarr", "skims.zarr", "folder")
        assert artifact.schema == {"time": "<f8[2, 2]"}
        xr.testing.assert_identical(load(artifact).load(), skims())


def test_a_returned_geodataframe_is_a_geoparquet_output(tracker: Tracker) -> None:
    geopandas: Any = pytest.importorskip("geopandas", reason="geopandas is not installed (extra geo)")

    def zones() -> Any:
        return geopandas.GeoDataFrame({"zone": [1]}, geometry=geopandas.points_from_xy([0], [1]), crs=4326)

    made = tracker.run(zones, outputs=["zones"]).outputs["zones"]
    assert (made.driver, made.path.suffix, made.rows) == ("geoparquet", ".geoparquet", 1)
    counted = tracker.run(total, inputs={"zones": made}, outputs=["count"]).outputs["count"]
    assert load(counted)["zones"].tolist() == [1]
