"""What steps return is written in the format that suits it, and what they logged is described without loading it."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from consist_es.artifacts.tables import TableInfo, describe_table, is_table, table_suffix, write_table
from consist_es.errors import MissingExtraError, ReturnTypeError

FRAME = pd.DataFrame({"zone": [1, 2, 3], "cost": [0.5, 1.5, 2.5]})
INFO = TableInfo({"zone": "int64", "cost": "double"}, 3)


@pytest.mark.parametrize("driver", ["parquet", "arrow", "feather", "csv", "geoparquet"])
def test_a_table_is_described_with_schema_and_rows(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "t"
    table = pa.Table.from_pandas(FRAME)
    if driver == "csv":
        FRAME.to_csv(path, index=False)
    elif "parquet" in driver:
        pyarrow.parquet.write_table(table, path)
    else:
        pyarrow.feather.write_feather(table, path)
    assert describe_table(path, driver) == INFO


@pytest.mark.parametrize(
    "driver", ["parquet", "arrow", "csv", "geoparquet", "geopackage", "h5", "netcdf", "openmatrix"]
)
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b'\x00"'])
def test_a_file_that_is_not_what_it_is_called_is_recorded_without_description(
    driver: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "t").write_bytes(content)
    described = describe_table(tmp_path / "t", driver)
    assert described.rows is None or driver == "csv"


@pytest.mark.parametrize("driver", ["parquet", "zarr", "h5", "geopackage", "txt"])
def test_what_is_not_there_or_a_folder_is_not_described(driver: str, tmp_path: Path) -> None:
    assert describe_table(tmp_path / "gone", driver) == TableInfo()
    assert describe_table(tmp_path, driver) == TableInfo()


@pytest.mark.parametrize("value", [None, 3, "t.parquet", [1], {"a": [1]}, pd.Index([1]), Path("t")])
def test_what_is_no_table_is_not_taken_for_one(value: Any) -> None:
    assert not is_table(value)


def test_frames_series_and_arrow_tables_are_written_as_parquet(tmp_path: Path) -> None:
    for value in (FRAME, FRAME["cost"], pa.Table.from_pandas(FRAME)):
        assert is_table(value)
        assert table_suffix(value) == "parquet"
        write_table(value, tmp_path / "t.parquet", "price")
        columns = pd.read_parquet(tmp_path / "t.parquet").columns
        assert list(columns) == (["price"] if isinstance(value, pd.Series) else ["zone", "cost"])


@pytest.mark.parametrize("value", [pd.DataFrame({"a": [1, "x"]}), pd.DataFrame({"a": [1j]}), pd.Series([1, "x"])])
def test_a_table_that_parquet_cannot_hold_is_an_error_that_names_the_output(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ReturnTypeError, match=r"output 'mixed' cannot be written as Parquet: .*Convert"):
        write_table(value, tmp_path / "t.parquet", "mixed")


# ---------------------------------------------------------------- xarray


def xarray() -> Any:
    return pytest.importorskip("xarray", reason="xarray is not installed (extra zarr)")


def test_a_dataset_is_written_as_a_zarr_folder_anew_each_time(tmp_path: Path) -> None:
    xr = xarray()
    pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")
    path = tmp_path / "t.zarr"
    write_table(xr.Dataset({"old": ("x", [1, 2, 3])}), path, "skims")
    dataset = xr.Dataset({"time": (("o", "d"), [[0.0, 1.5], [2.5, 0.0]]), "name": ("o", ["a", "bb"])})
    assert is_table(dataset)
    assert table_suffix(dataset) == "zarr"
    write_table(dataset, path, "skims")
    xr.testing.assert_identical(xr.open_zarr(path).load(), dataset)
    schema = describe_table(path, "zarr").schema
    assert schema is not None
    assert set(schema) == {"time", "name"}


def test_without_zarr_a_dataset_is_an_error_that_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xr = xarray()
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"Dataset of 'skims' needs zarr: .*\[zarr\]"):
        write_table(xr.Dataset(), tmp_path / "t.zarr", "skims")


def test_a_dataset_that_zarr_cannot_hold_is_an_error_that_names_the_output(tmp_path: Path) -> None:
    xr = xarray()
    pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")
    with pytest.raises(ReturnTypeError, match="output 'skims' cannot be written as Zarr"):
        write_table(xr.Dataset({"a": ("x", [{1}, None])}), tmp_path / "t.zarr", "skims")
