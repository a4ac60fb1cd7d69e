"""Arrays: NetCDF, Zarr and OMX files load as xarray Datasets; each test writes its file anew."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.loading import load
from consist_es.artifacts.formats import driver_of
from consist_es.artifacts.tables import describe_table
from consist_es.artifacts.zarr_arrays import arrays_of
from consist_es.errors import LoadError, MissingExtraError

xr: Any = pytest.importorskip("xarray", reason="xarray is not installed (extras netcdf, zarr and omx)")


def artifact_at(path: Path) -> Artifact:
    return Artifact(key="thing", container_uri=str(path), driver=driver_of(path, folder=path.is_dir()))


def dataset() -> Any:
    times = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
    variables = {
        "speed": (("time", "link"), np.arange(6.0).reshape(2, 3)),
        "kind": ("link", np.array(["a", "b", "cc"])),
    }
    return xr.Dataset(variables, coords={"time": times}, attrs={"title": "speeds"})


# ---------------------------------------------------------------- NetCDF


@pytest.mark.parametrize("package", ["netCDF4", "h5netcdf"])
def test_netcdf_loads_as_the_dataset_that_was_written(package: str, tmp_path: Path) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed (extra netcdf)")
    dataset().to_netcdf(tmp_path / "t.nc", engine=package.lower())
    with load(artifact_at(tmp_path / "t.nc")) as loaded:
        xr.testing.assert_identical(loaded.load(), dataset())


def test_netcdf_is_read_with_whatever_package_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed (extra netcdf)")
    dataset().to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with load(artifact_at(tmp_path / "t.nc")) as loaded:
        assert loaded["speed"].shape == (2, 3)


@pytest.mark.parametrize(
    ("magic", "package"),
    [(b"\x89HDF", "netCDF4 or h5netcdf"), (b"CDF\x01", "netCDF4 or scipy"), (b"CDF\x05", "netCDF4")],
)
def test_without_a_package_for_this_kind_of_netcdf_the_extra_is_named(
    magic: bytes, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.nc").write_bytes(magic)
    for name in ("netCDF4", "h5netcdf", "scipy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"needs {package}: .*\[netcdf\]"):
        load(artifact_at(tmp_path / "t.nc"))


def test_what_is_no_netcdf_is_a_load_error(tmp_path: Path) -> None:
    (tmp_path / "t.nc").write_bytes(b"PAR1")
    with pytest.raises(LoadError, match=r"is not a NetCDF file \(it begins with b'PAR1'\)"):
        load(artifact_at(tmp_path / "t.nc"))


def test_a_netcdf_file_cut_short_is_a_load_error(tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed (extra netcdf)")
    dataset().to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    (tmp_path / "t.nc").write_bytes((tmp_path / "t.nc").read_bytes()[:100])
    with pytest.raises(LoadError, match="Cannot load 'thing' as netcdf"):
        load(artifact_at(tmp_path / "t.nc"))


def test_netcdf_is_described_without_loading_it(tmp_path: Path) -> None:
    pytest.importorskip("h5netcdf", reason="h5netcdf is not installed (extra netcdf)")
    dataset().to_netcdf(tmp_path / "t.nc", engine="h5netcdf")
    schema = describe_table(tmp_path / "t.nc", "netcdf").schema
    assert schema is not None
    assert schema["speed"] == "float64[2, 3]"


# ---------------------------------------------------------------- Zarr


def zarr_store(path: Path, version: int) -> Path:
    zarr: Any = pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")
    if version == 3 and zarr.__version__.startswith("2."):
        pytest.skip("zarr 2 does not know version 3 of the format")
    dataset().drop_vars("kind").to_zarr(path, zarr_format=version, consolidated=False)
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_loads_as_the_dataset_that_was_written(version: int, tmp_path: Path) -> None:
    store = zarr_store(tmp_path / "t.zarr", version)
    xr.testing.assert_identical(load(artifact_at(store)).load(), dataset().drop_vars("kind"))


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_is_described_by_its_metadata_alone(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = zarr_store(tmp_path / "t.zarr", version)
    monkeypatch.setitem(sys.modules, "zarr", None)
    schema = describe_table(store, "zarr").schema
    assert schema == {
        "speed": {2: "<f8[2, 3]", 3: "float64[2, 3]"}[version],
        "time": {2: "<i8[2]", 3: "int64[2]"}[version],
    }


def test_a_zarr_array_of_pickles_is_refused(tmp_path: Path) -> None:
    store = zarr_store(tmp_path / "t.zarr", 2)
    metadata = json.loads((store / "speed" / ".zarray").read_bytes())
    metadata["filters"] = [{"id": "pickle", "protocol": 5}]
    (store / "speed" / ".zarray").write_text(json.dumps(metadata))
    with pytest.raises(LoadError, match=r"array speed of .* holds pickled Python objects"):
        load(artifact_at(store))


def test_a_zarr_codec_that_unpickles_is_found_in_version_3(tmp_path: Path) -> None:
    store = zarr_store(tmp_path / "t.zarr", 3)
    metadata = json.loads((store / "speed" / "zarr.json").read_bytes())
    metadata["codecs"].append({"name": "numcodecs.pickle", "configuration": {}})
    (store / "speed" / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(LoadError, match=r"array speed of .* holds pickled Python objects"):
        load(artifact_at(store))


@pytest.mark.parametrize("text", ["{", "[]", '{"zarr_format": 3, "node_type": "array"}'])
def test_a_broken_zarr_store_is_a_load_error(text: str, tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")
    (tmp_path / "t.zarr").mkdir()
    (tmp_path / "t.zarr" / "zarr.json").write_text(text)
    with pytest.raises(LoadError, match="Cannot load 'thing' as zarr"):
        load(artifact_at(tmp_path / "t.zarr"))
    assert describe_table(tmp_path / "t.zarr", "zarr").schema is None


def test_chunks_are_not_taken_for_arrays_and_arrays_do_not_hide_groups(tmp_path: Path) -> None:
    for name in ("a", "a/c/0", "b/inner"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / ".zarray").write_text('{"shape": [1]}')
    (tmp_path / "b" / ".zarray").write_text('{"shape": [1]}')
    (tmp_path / "b" / ".zgroup").write_text("{}")
    assert [folder.relative_to(tmp_path).as_posix() for folder, _ in arrays_of(tmp_path)] == ["a", "b", "b/inner"]


# ---------------------------------------------------------------- OMX


def omx(path: Path, matrices: dict[str, Any], lookups: dict[str, Any] | None = None) -> Path:
    h5py: Any = pytest.importorskip("h5py", reason="h5py is not installed (extra omx)")
    with h5py.File(path, "w") as file:
        file.attrs["OMX_VERSION"] = np.bytes_(b"0.2")
        for name, values in matrices.items():
            file.create_dataset(f"data/{name}", data=values, chunks=True, compression="gzip")
        for name, values in (lookups or {}).items():
            file.create_dataset(f"lookup/{name}", data=values)
    return path


def test_omx_matrices_become_variables_and_lookups_coordinates(tmp_path: Path) -> None:
    time = np.arange(9.0).reshape(3, 3)
    path = omx(tmp_path / "t.omx", {"TIME": time, "TOLL": time * 2}, {"zone": [7, 8, 9], "name": [b"x", b"yy", b"z"]})
    skims = load(artifact_at(path))
    assert isinstance(skims, xr.Dataset)
    assert skims.attrs == {"OMX_VERSION": "0.2"}
    assert skims["TOLL"].dims == ("origin", "destination")
    assert list(skims["name_destination"].values) == ["x", "yy", "z"]
    by_zone = skims.set_index(origin="zone_origin", destination="zone_destination")
    assert float(by_zone["TIME"].sel(origin=8, destination=9)) == time[1, 2]


def test_a_lookup_along_one_dimension_stays_there(tmp_path: Path) -> None:
    path = omx(tmp_path / "t.omx", {"m": np.zeros((2, 3))}, {"row": [1, 2], "column": [1, 2, 3], "other": [1]})
    assert set(load(artifact_at(path)).coords) == {"row_origin", "column_destination"}


def test_the_dim_attribute_of_a_lookup_decides(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason="h5py is not installed (extra omx)")
    path = omx(tmp_path / "t.omx", {"m": np.zeros((2, 2))}, {"zone": [1, 2]})
    with h5py.File(path, "a") as file:
        file["lookup/zone"].attrs["dim"] = 1
    assert set(load(artifact_at(path)).coords) == {"zone_destination"}


def sane(size: int) -> Callable[[slice], bool]:
    """xarray itself fails on slices that go backwards over nothing."""
    return lambda part: (part.step or 1) > 0 or bool(range(*part.indices(size)))


@settings(max_examples=30)
@given(data=st.data(), shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_any_part_of_a_matrix_is_read_as_numpy_would(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, shape: tuple[int, int]
) -> None:
    values = np.arange(shape[0] * shape[1], dtype="int32").reshape(shape)
    matrix = load(artifact_at(omx(tmp_path_factory.getbasetemp() / "part.omx", {"m": values})))["m"]
    down, across = st.slices(shape[0]), st.slices(shape[1])
    rows = data.draw(
        down.filter(sane(shape[0])) | st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4)
    )
    columns = data.draw(across.filter(sane(shape[1])) | st.integers(-shape[1], shape[1] - 1))
    index = rows if isinstance(rows, slice) else np.array(rows, dtype=int)
    np.testing.assert_array_equal(matrix[index, columns].values, values[index][:, columns])
    np.testing.assert_array_equal(matrix.values, values)


def test_an_omx_file_is_not_kept_open(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason="h5py is not installed (extra omx)")
    path = omx(tmp_path / "t.omx", {"m": np.zeros((2, 2))})
    skims = load(artifact_at(path))
    with h5py.File(path, "a") as file:
        file["data/m"][0, 1] = 5
    assert float(skims["m"][0, 1]) == 5


def test_an_hdf5_file_that_is_no_omx_is_a_load_error(tmp_path: Path) -> None:
    h5py: Any = pytest.importorskip("h5py", reason="h5py is not installed (extra omx)")
    h5py.File(tmp_path / "t.omx", "w").close()
    with pytest.raises(LoadError, match="no group /data"):
        load(artifact_at(tmp_path / "t.omx"))
    omx(tmp_path / "u.omx", {"a": np.zeros((2, 2)), "b": np.zeros((3, 3))})
    with pytest.raises(LoadError, match="Cannot load 'thing' as openmatrix"):
        load(artifact_at(tmp_path / "u.omx"))


def test_omx_is_described_by_its_shapes(tmp_path: Path) -> None:
    path = omx(tmp_path / "t.omx", {"TIME": np.zeros((3, 3), "f4")}, {"zone": [1, 2, 3]})
    assert describe_table(path, "openmatrix").schema == {"data/TIME": "float32[3, 3]", "lookup/zone": "int64[3]"}
