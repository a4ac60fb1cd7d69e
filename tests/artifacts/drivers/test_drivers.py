"""Loading artifacts: tables and JSON, what is refused and how, drivers of other packages, type guards."""

import gzip
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.artifacts import guards
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers import plugins
from consist_es.artifacts.drivers.driver import Driver
from consist_es.artifacts.drivers.loading import BUILTIN, can_load, find_driver, load, load_df, load_table
from consist_es.artifacts.drivers.tabular import is_records
from consist_es.artifacts.formats import DriverType, driver_of
from consist_es.errors import ArtifactMissingError, ConsistWarning, LoadError, MissingExtraError, UsageTypeError

FRAME = pd.DataFrame({"zone": [1, 2, 3], "cost": [0.5, 1.5, 2.5]})


def artifact_at(path: Path, driver: str | None = None, **fields: Any) -> Artifact:
    name = driver or driver_of(path, folder=path.is_dir())
    return Artifact(id=uuid.uuid4(), key="thing", container_uri=str(path), driver=name, **fields)


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"t{suffix}"
    match suffix:
        case ".parquet":
            FRAME.to_parquet(path)
        case ".csv" | ".csv.gz":
            FRAME.to_csv(path, index=False)
        case _:
            pyarrow.feather.write_feather(pa.Table.from_pandas(FRAME), path)
    return path


TABLES = [".parquet", ".csv", ".csv.gz", ".arrow", ".feather"]

# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_loads_as_the_frame_that_was_written(suffix: str, tmp_path: Path) -> None:
    artifact = artifact_at(written(tmp_path, suffix))
    pd.testing.assert_frame_equal(load(artifact), FRAME)
    pd.testing.assert_frame_equal(load_df(artifact), FRAME)


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_loads_as_an_arrow_table(suffix: str, tmp_path: Path) -> None:
    table = load_table(artifact_at(written(tmp_path, suffix)))
    assert isinstance(table, pa.Table)
    assert table.to_pydict() == {"zone": [1, 2, 3], "cost": [0.5, 1.5, 2.5]}


@pytest.mark.parametrize("suffix", TABLES)
def test_columns_come_in_the_order_asked_for_and_nrows_takes_the_first(suffix: str, tmp_path: Path) -> None:
    frame = load(artifact_at(written(tmp_path, suffix)), columns=["cost", "zone"], nrows=2)
    pd.testing.assert_frame_equal(frame, FRAME[["cost", "zone"]].head(2))


def test_the_index_of_a_parquet_frame_survives(tmp_path: Path) -> None:
    FRAME.set_index("zone").to_parquet(tmp_path / "t.parquet")
    assert load(artifact_at(tmp_path / "t.parquet")).index.name == "zone"


def test_options_of_read_csv_pass_through(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a;b\n1;2\n")
    assert load(artifact_at(tmp_path / "t.csv"), sep=";").to_dict("list") == {"a": [1], "b": [2]}


# ---------------------------------------------------------------- JSON

SCALAR = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.text(max_size=5)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)


@given(VALUE)
def test_json_loads_as_what_was_written_unless_it_is_a_list_of_flat_objects(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    loaded = load(artifact_at(path))
    if is_records(value):
        assert isinstance(loaded, pd.DataFrame)
        assert len(loaded) == len(value)
    else:
        assert loaded == value


@pytest.mark.parametrize(
    "value", [{"a": 1, "b": 2}, {"a": 1, "b": {"c": 2}}, [], [[1, 2]], [{"a": [1]}], [{"a": 1}, 2], "x", None]
)
def test_json_that_is_no_table_is_not_made_one(value: Any, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text(json.dumps(value))
    assert load(artifact_at(tmp_path / "v.json")) == value


def test_records_become_a_frame_also_compressed(tmp_path: Path) -> None:
    (tmp_path / "v.json.gz").write_bytes(gzip.compress(b'[{"a": 1, "b": "x"}, {"a": 2}]'))
    frame = load(artifact_at(tmp_path / "v.json.gz"))
    assert list(frame["a"]) == [1, 2]
    assert list(frame.columns) == ["a", "b"]


def test_load_df_takes_json_by_columns(tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text('{"a": [1, 2], "b": [3, 4]}')
    assert load_df(artifact_at(tmp_path / "v.json")).shape == (2, 2)


@pytest.mark.parametrize("text", ["3", '"text"', "null", '{"a": 1, "b": 2}', '{"a": [1], "b": [1, 2]}'])
def test_load_df_refuses_json_that_is_no_table(text: str, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_text(text)
    with pytest.raises(UsageTypeError, match=r"'thing'.*Use load\(\)"):
        load_df(artifact_at(tmp_path / "v.json"))


@pytest.mark.parametrize("text", ["", "{", "[1,", "\xff", "[" * 200_000])
def test_broken_json_is_a_load_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "v.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(LoadError, match=r"v\.json"):
        load(artifact_at(tmp_path / "v.json"))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".json.gz", ".arrow", ".feather"])
def test_bytes_that_are_not_what_the_name_says_are_a_load_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(b'"a\n' * 99)[:20] if suffix.endswith(".gz") else b'\x00"\xff')
    with pytest.raises(LoadError, match=r"'thing'.*t\."):
        load(artifact_at(path))


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_driver_says_that_the_file_is_gone(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match=r"gone\.x.*restore the file"):
        load(artifact_at(tmp_path / "gone.x", name))


def test_an_arrow_table_that_is_gone_or_broken_says_so(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(ArtifactMissingError, match="restore the file"):
        load_table(artifact_at(path))
    path.write_bytes(b"nothing")
    with pytest.raises(LoadError, match="Cannot load 'thing' as parquet"):
        load_table(artifact_at(path))
    with pytest.raises(LoadError, match="which Arrow cannot read"):
        load_table(artifact_at(path, "zarr"))


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_every_driver_lists_its_options_when_given_an_unknown_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "t.x").write_bytes(b"")
    with pytest.raises(LoadError, match=r"does not take 'colums'\. It takes: "):
        load(artifact_at(tmp_path / "t.x", name), colums=["a"])


@pytest.mark.parametrize("name", ["t.txt", "t.pkl", "t.npy", "t", "t.pickle"])
def test_a_format_without_driver_is_refused_and_never_unpickled(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch bad'\ntR.")
    with pytest.raises(LoadError, match=r"No driver loads .*artifact\.path"):
        load(artifact_at(tmp_path / name))


def test_load_takes_artifacts_only(tmp_path: Path) -> None:
    for function in (load, load_df):
        with pytest.raises(UsageTypeError, match="takes an Artifact, not PosixPath"):
            function(tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["zarr", "netcdf", "openmatrix", "h5", "geojson"])
def test_load_df_refuses_formats_that_hold_no_table(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageTypeError, match=r"needs a table.*use load\(\)"):
        load_df(artifact_at(tmp_path / "t.x", name))


MISSING = [
    ("t.parquet", "pandas", "pandas"),
    ("t.csv", "pandas", "pandas"),
    ("t.feather", "pandas", "pandas"),
    ("t.geojson", "geopandas", "geo"),
    ("t.gpkg", "geopandas", "geo"),
    ("t.geoparquet", "geopandas", "geo"),
    ("t.nc", "xarray", "netcdf"),
    ("t.zarr", "xarray", "zarr"),
    ("t.omx", "xarray", "omx"),
    ("t.h5", "h5py", "hdf5"),
]


@pytest.mark.parametrize(("name", "package", "extra"), MISSING)
def test_a_missing_package_is_an_error_that_names_its_extra(
    name: str, package: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_bytes(b"\x89HDF")
    monkeypatch.setitem(sys.modules, package, None)  # what makes `import package` fail
    with pytest.raises(MissingExtraError, match=rf"needs {package}: pip install 'consist-es\[{extra}\]'") as caught:
        load(artifact_at(tmp_path / name))
    assert isinstance(caught.value, ImportError)


def test_looking_for_a_driver_imports_no_package() -> None:
    before = set(sys.modules)
    assert all(can_load(name) for name in BUILTIN)
    assert {name.split(".")[0] for name in set(sys.modules) - before}.isdisjoint({"h5py", "xarray", "geopandas"})


def test_every_named_format_has_a_driver() -> None:
    assert {kind.value for kind in DriverType} - {"other"} == set(BUILTIN)


# ---------------------------------------------------------------- type guards

GUARDS = {
    guards.is_dataframe_artifact: {"parquet", "csv", "arrow", "feather", "h5_table"},
    guards.is_tabular_artifact: {"parquet", "csv", "arrow", "feather", "h5_table", "json"},
    guards.is_json_artifact: {"json"},
    guards.is_zarr_artifact: {"zarr"},
    guards.is_hdf_artifact: {"h5", "hdf5", "h5_table"},
    guards.is_spatial_artifact: {"geojson", "shapefile", "geopackage", "geoparquet"},
    guards.is_netcdf_artifact: {"netcdf"},
    guards.is_openmatrix_artifact: {"openmatrix"},
}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_a_guard_knows_its_formats_and_no_other(guard: Any) -> None:
    names = [*BUILTIN, "unknown"]
    assert {name for name in names if guard(artifact_at(Path("/x"), name))} == GUARDS[guard]
    assert not guard("t.parquet")


# ---------------------------------------------------------------- drivers of other packages


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path that distributions can be put into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    plugins.third_party.cache_clear()
    yield folder
    plugins.third_party.cache_clear()


def install(site: Path, distribution: str, source: str, entries: dict[str, str]) -> None:
    """What pip would leave of a package with one module, named like the distribution."""
    (site / f"{distribution}.py").write_text(source)
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[consist_es.drivers]", *lines, ""]))


def test_a_function_of_another_package_loads_its_format(site: Path, tmp_path: Path) -> None:
    source = "def read(path, upper=False):\n    text = path.read_text()\n    return text.upper() if upper else text\n"
    install(site, "fake_words", source, {"words": "fake_words:read"})
    (tmp_path / "t.words").write_text("hello")
    artifact = artifact_at(tmp_path / "t.words")
    assert load(artifact) == "hello"
    assert load(artifact, upper=True) == "HELLO"
    with pytest.raises(LoadError, match=r"'words' does not take 'lower'\. It takes: upper"):
        load(artifact, lower=True)
    with pytest.raises(UsageTypeError, match="holds str, not a table"):
        load_df(artifact)


def test_a_function_that_gives_a_frame_serves_load_df(site: Path, tmp_path: Path) -> None:
    install(site, "fake_tsv", "", {"tsv": "pandas:read_table"})
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2\n")
    assert load_df(artifact_at(tmp_path / "t.tsv")).to_dict("list") == {"a": [1], "b": [2]}


def test_a_driver_object_gets_path_artifact_and_options(site: Path, tmp_path: Path) -> None:
    source = (
        "from consist_es.artifacts.drivers.loading import Driver\n"
        "cells = Driver('other name', lambda path, artifact, options: (path.name, artifact.table_path, options),\n"
        "               frozenset({'a'}))\n"
    )
    install(site, "fake_cells", source, {"cells": "fake_cells:cells"})
    (tmp_path / "t.cells").touch()
    assert load(artifact_at(tmp_path / "t.cells", table_path="x"), a=1) == ("t.cells", "x", {"a": 1})
    found = find_driver("cells")
    assert isinstance(found, Driver)
    assert found.name == "cells"


@pytest.mark.parametrize(
    ("source", "entry", "said"),
    [
        ("raise RuntimeError('no licence')", "fake_bad:read", "RuntimeError: no licence"),
        ("import no_such_package_at_all", "fake_bad:read", "ModuleNotFoundError"),
        ("", "fake_bad:read", "AttributeError"),
        ("read = 3", "fake_bad:read", "neither a Driver nor a function"),
    ],
)
def test_a_broken_driver_is_one_warning_that_names_its_package(
    site: Path, tmp_path: Path, source: str, entry: str, said: str
) -> None:
    install(site, "fake_bad", source, {"bad": entry})
    sys.modules.pop("fake_bad", None)
    (tmp_path / "t.bad").touch()
    with pytest.warns(ConsistWarning, match=f"Driver 'bad' of fake_bad .*cannot be used: .*{said}"):
        assert not can_load("bad")
    with pytest.raises(LoadError, match="No driver loads 'bad'"):  # and no second warning, which would be an error
        load(artifact_at(tmp_path / "t.bad"))


def test_a_broken_driver_is_not_loaded_for_other_formats(site: Path) -> None:
    install(site, "fake_broken", "raise RuntimeError", {"broken": "fake_broken:read"})
    assert not can_load("txt")


def test_a_driver_of_this_library_cannot_be_replaced(site: Path) -> None:
    install(site, "fake_csv", "def read(path):\n    return 'theirs'\n", {"csv": "fake_csv:read"})
    assert find_driver("csv") is BUILTIN["csv"]
    assert "fake_csv" not in sys.modules


def test_of_two_packages_with_one_name_the_first_by_name_is_used(site: Path, tmp_path: Path) -> None:
    for name in ("fake_b", "fake_a"):
        install(site, name, f"def read(path):\n    return {name!r}\n", {"twice": f"{name}:read"})
    (tmp_path / "t.twice").touch()
    with pytest.warns(ConsistWarning, match="'twice' of fake_a is used; that of fake_b"):
        assert load(artifact_at(tmp_path / "t.twice")) == "fake_a"
