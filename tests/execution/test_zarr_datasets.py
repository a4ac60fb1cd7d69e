"""Datasets that were read from one file and are given out as another: what they remember is no obstacle."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import consist_es as consist
from consist_es import Tracker, errors
from tests.support.api import output_of

xr: Any = pytest.importorskip("xarray", reason="xarray is not installed (extra zarr)")
zarr: Any = pytest.importorskip("zarr", reason="zarr is not installed (extra zarr)")

FORMATS = (2,) if zarr.__version__.startswith("2.") else (2, 3)
LOADED = consist.ExecutionOptions(input_binding="loaded")


@pytest.fixture
def tracker(here: Path) -> Iterator[Tracker]:
    with Tracker(run_dir="runs", db_path="project.db", sync="os", observe="off") as found:
        yield found


def dataset() -> Any:
    """Numbers that are packed, texts of both kinds, times, truth values and a coordinate."""
    found = xr.Dataset(
        {
            "time": (("o", "d"), np.arange(12.0).reshape(4, 3)),
            "count": ("o", np.arange(4, dtype="i4")),
            "name": ("o", np.array(["a", "bb", "ccc", "d"])),
            "text": ("o", np.array(["a", "bb", "x", "d"], dtype=object)),
            "day": ("o", np.array(["2020-01-01", "2021-01-01", "2022-01-01", "2023-01-01"], dtype="datetime64[ns]")),
            "open": ("o", np.array([True, False, True, True])),
        },
        coords={"o": [1, 2, 3, 4]},
        attrs={"source": "survey"},
    )
    found["time"].encoding = {"dtype": "int16", "scale_factor": 0.5, "_FillValue": -99}
    return found


def stored(version: int) -> Path:
    place = Path(f"in{version}.zarr").absolute()
    if not place.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zarr on its own way to write texts in version 3
            dataset().to_zarr(place, zarr_format=version)
    return place


def as_read(place: Path) -> Any:
    return xr.open_zarr(place, consolidated=False).load()


def lazily(place: Path) -> Any:
    return xr.open_dataset(place, engine="zarr", chunks=None, consolidated=False)


def a_part(place: Path) -> Any:
    return as_read(place).isel(o=slice(1, 3))


def with_more(place: Path) -> Any:
    return as_read(place).assign(double=lambda data: data["time"] * 2)


def renamed(place: Path) -> Any:
    return as_read(place).rename(o="origin").transpose()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("read", [as_read, lazily, a_part, with_more, renamed])
def test_a_dataset_read_from_zarr_is_given_out_with_its_values(read: Any, version: int, tracker: Tracker) -> None:
    place = stored(version)

    def copy() -> Any:
        return read(place)

    for hit in (False, True):
        result = tracker.run(copy, outputs=["skims"])
        assert result.cache_hit == hit
        xr.testing.assert_identical(consist.load(output_of(result)).load(), read(place).load())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("version", FORMATS)
def test_a_bound_dataset_goes_from_step_to_step(version: int, tracker: Tracker) -> None:
    place = stored(version)

    def passed(skims: Any) -> Any:
        return skims

    first = tracker.run(passed, name="one", inputs={"skims": place}, outputs=["a"], execution_options=LOADED)
    given = {"skims": consist.ref(first)}
    second = tracker.run(passed, name="two", inputs=given, outputs=["b"], execution_options=LOADED)
    xr.testing.assert_identical(consist.load(output_of(second)).load(), as_read(place))


@pytest.mark.skipif(3 not in FORMATS, reason="zarr 2 does not know version 3 of the format")
def test_compression_and_shards_of_version_3_are_left_behind(tracker: Tracker) -> None:
    codecs = {"chunks": (2, 3), "shards": (4, 3), "compressors": (zarr.codecs.BloscCodec(),)}
    xr.Dataset({"m": (("o", "d"), np.ones((4, 3)))}).to_zarr(
        "sharded.zarr", zarr_format=3, encoding={"m": codecs}, consolidated=False
    )
    place = Path("sharded.zarr").absolute()

    def copy() -> Any:
        return as_read(place)

    xr.testing.assert_identical(consist.load(output_of(tracker.run(copy, outputs=["m"]))).load(), as_read(place))


def test_what_the_user_chose_stays_and_the_users_dataset_is_left_as_it_was(tracker: Tracker) -> None:
    numcodecs: Any = pytest.importorskip("numcodecs", reason="numcodecs is not installed (extra zarr)")
    given = xr.Dataset({"m": (("o", "d"), np.ones((4, 3)))})
    name = "compressor" if zarr.__version__.startswith("2.") else "compressors"
    codec = numcodecs.Zstd(level=7)
    given["m"].encoding = {name: codec if name == "compressor" else (codec,), "shards": None}
    before = dict(given["m"].encoding)
    place = output_of(tracker.run(lambda: given, name="make", outputs=["m"])).path
    assert dict(given["m"].encoding) == before
    assert '"level": 7' in (place / "m" / ".zarray").read_text()


def numbers(data: Any) -> Any:
    return data.drop_vars(["name", "text"])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("version", FORMATS)
def test_a_dataset_in_other_chunks_than_it_was_read_in(version: int, tracker: Tracker) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    place = stored(version)

    def copy() -> Any:
        return numbers(xr.open_zarr(place, chunks={"o": 1}, consolidated=False)).chunk({"o": 3})

    xr.testing.assert_equal(consist.load(output_of(tracker.run(copy, outputs=["m"]))).load(), numbers(as_read(place)))


def test_an_xarray_that_is_too_new_for_zarr_2_is_named(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise TypeError("open_group() got an unexpected keyword argument 'zarr_format'")

    good = output_of(tracker.run(lambda: dataset()[["count"]], name="make", outputs=["m"]))
    monkeypatch.setattr(zarr, "__version__", "2.18.7")
    monkeypatch.setattr(xr.Dataset, "to_zarr", refuse)
    monkeypatch.setattr(xr, "open_dataset", refuse)
    with pytest.raises(errors.ReturnTypeError, match=r"needs version 3 of the package zarr, and 2\.18\.7 is installed"):
        tracker.run(lambda: dataset()[["count"]], name="again", outputs=["m"])
    with pytest.raises(errors.LoadError, match=r"Cannot load 'm' as zarr: This xarray needs version 3 of the package"):
        consist.load(good)
