"""HDF5 files: the container, tables in it, and pickles, which are never loaded."""

import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es.artifacts import containers
from consist_es.artifacts.artifact import Artifact
from consist_es.artifacts.drivers.hdf_pickles import is_plain
from consist_es.artifacts.drivers.loading import load, load_df
from consist_es.artifacts.tables import describe_table
from consist_es.errors import LoadError, UsageTypeError

FRAME = pd.DataFrame({"zone": [1, 2], "name": ["a", "bc"], "cost": [0.5, 1.5]})
NUMBERS = FRAME[["zone", "cost"]]


def h5() -> Any:
    return pytest.importorskip("h5py", reason="h5py is not installed (extra hdf5)")


def with_tables() -> None:
    h5()
    pytest.importorskip("tables", reason="PyTables is not installed (extra hdf5)")


def artifact_at(path: Path, driver: str = "h5", table_path: str | None = None) -> Artifact:
    return Artifact(key="thing", container_uri=str(path), driver=driver, table_path=table_path)


def write(path: Path, frame: Any, key: str = "t", form: str = "table") -> Path:
    with_tables()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # about pickling, which is the point
        frame.to_hdf(path, key=key, format=form)
    return path


# ---------------------------------------------------------------- the container


@pytest.mark.parametrize("driver", ["h5", "hdf5"])
def test_a_container_loads_as_an_open_file_that_cannot_be_written(driver: str, tmp_path: Path) -> None:
    h5py = h5()
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["a/b"] = np.arange(3)
    with load(artifact_at(tmp_path / "t.h5", driver)) as file:
        assert list(file["a/b"][()]) == [0, 1, 2]
        with pytest.raises(ValueError, match="write"):
            file["c"] = 1


def test_what_is_no_hdf5_is_a_load_error(tmp_path: Path) -> None:
    h5()
    (tmp_path / "t.h5").write_bytes(b"no")
    for table_path in (None, "t"):
        with pytest.raises(LoadError, match="Cannot load 'thing' as h5"):
            load(artifact_at(tmp_path / "t.h5", table_path=table_path))


def test_a_container_is_described_by_its_arrays_and_tables(tmp_path: Path) -> None:
    h5py = h5()
    path = write(tmp_path / "t.h5", NUMBERS, "people/adults")
    with h5py.File(path, "a") as file:
        file["skims/time"] = np.zeros((2, 3))
        file["record"] = np.zeros(4, dtype=[("a", "i4"), ("b", "f8")])
        file["loop"] = h5py.SoftLink("/")
        file["skims/again"] = file["/skims"]
    assert describe_table(path, "h5").schema == {
        "people/adults": "frame_table",
        "skims/time": "float64[2, 3]",
        "record": "record[4]",
    }


def test_an_hdf5_file_with_too_many_arrays_is_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5().File(tmp_path / "t.h5", "w") as file:
        file["a"], file["b"] = 1, 2
    assert describe_table(tmp_path / "t.h5", "h5").schema == {"a": "int64[]", "b": "int64[]"}
    monkeypatch.setattr(containers, "_MAX_NODES", 1)
    assert describe_table(tmp_path / "t.h5", "h5").schema is None


def test_an_hdf5_file_is_not_described_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "t.h5").touch()
    assert describe_table(tmp_path / "t.h5", "h5").schema is None


# ---------------------------------------------------------------- tables

INDEXED = {
    "text": FRAME,
    "text index": FRAME.set_index("name"),
    "two levels": FRAME.set_index(["zone", "name"]),
    "daily": NUMBERS.set_index(pd.date_range("2020", periods=2, freq="D", name="day")),
    "hourly": NUMBERS.set_index(pd.date_range("2020", periods=2, freq="h", name="hour")),
    "categories": FRAME.astype({"name": "category"}),
}


@pytest.mark.parametrize("frame", INDEXED.values(), ids=INDEXED)
def test_a_table_written_in_table_format_loads_as_it_was(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", frame, "a/b")
    pd.testing.assert_frame_equal(load(artifact_at(path, "h5_table", "a/b")), frame, check_freq=False)
    pd.testing.assert_frame_equal(load(artifact_at(path), table_path="/a/b"), frame, check_freq=False)
    assert load_df(artifact_at(path, table_path="a/b")).shape == frame.shape


def test_a_table_of_numbers_in_fixed_format_loads(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", NUMBERS, form="fixed")
    pd.testing.assert_frame_equal(load(artifact_at(path, "h5_table", "t")), NUMBERS)


def test_part_of_a_table_can_be_loaded(tmp_path: Path) -> None:
    artifact = artifact_at(write(tmp_path / "t.h5", FRAME), "h5_table", "t")
    assert load(artifact, columns=["cost"], start=1).to_dict("list") == {"cost": [1.5]}


def test_load_df_makes_a_frame_of_a_series(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", FRAME["cost"])
    assert load_df(artifact_at(path, "h5_table", "t")).to_dict("list") == {"cost": [0.5, 1.5]}


def test_without_a_table_path_the_tables_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", NUMBERS, "a/b")
    with pytest.raises(LoadError, match=r"name a table with table_path\. Tables in it: a/b\."):
        load(artifact_at(path, "h5_table"))
    with pytest.raises(LoadError, match=r"has no table 'x'\. Tables in it: a/b\."):
        load(artifact_at(path, "h5_table", "x"))
    with pytest.raises(UsageTypeError, match="needs a table"):
        load_df(artifact_at(path))


def test_an_array_of_more_than_two_dimensions_is_no_table(tmp_path: Path) -> None:
    with_tables()
    with h5().File(tmp_path / "t.h5", "w") as file:
        file["a"], file["cube"] = np.arange(3), np.zeros((1, 2, 3))
    assert load(artifact_at(tmp_path / "t.h5", "h5_table", "a"))["a"].tolist() == [0, 1, 2]
    with pytest.raises(LoadError, match=r"Cannot load 'thing': cube in .* is an array of shape \(1, 2, 3\)"):
        load(artifact_at(tmp_path / "t.h5", "h5_table", "cube"))


# ---------------------------------------------------------------- pickles


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("frame", [FRAME, FRAME.astype(object)], ids=["text", "objects"])
def test_text_columns_in_fixed_format_are_refused_because_they_are_pickles(frame: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", frame, form="fixed")
    with pytest.raises(LoadError, match=r"t/block\d_values holds pickled Python objects.*format='table'"):
        load(artifact_at(path, "h5_table", "t"))


def test_a_pickled_table_does_not_keep_its_neighbour_from_loading(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", FRAME, "bad", form="fixed")
    write(path, NUMBERS, "good")
    assert load(artifact_at(path, "h5_table", "good")).shape == (2, 2)


@pytest.mark.parametrize("place", ["/", "/a", "/a/b", "/a/b/table", "/a/b/deeper"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bomb_in_any_attribute_that_pytables_reads_never_goes_off(place: str, protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", NUMBERS, "a/b")
    with h5().File(path, "a") as file:
        node = file.require_group(place) if place.endswith("deeper") else file[place]
        node.attrs["TITLE" if protocol == 0 else "info"] = np.bytes_(pickle.dumps(Bomb(tmp_path / "bang"), protocol))
    with pytest.raises(LoadError, match=r"attribute '(TITLE|info)' of .* holds a pickled Python object"):
        load(artifact_at(path, "h5_table", "a/b"))
    assert not (tmp_path / "bang").exists()


def test_the_bomb_would_go_off_if_pytables_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", NUMBERS, "a/b")
    with h5().File(path, "a") as file:
        file["/a/b"].attrs["info"] = np.bytes_(pickle.dumps(Bomb(tmp_path / "bang"), 0))
    pd.read_hdf(path, "a/b")
    assert (tmp_path / "bang").exists()


def test_a_disguised_column_of_objects_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.h5", FRAME, form="fixed")
    with h5().File(path, "a") as file:
        node = next(node for name, node in file["t"].items() if "PSEUDOATOM" in node.attrs)
        node.attrs["PSEUDOATOM"] = np.bytes_(pickle.dumps("object", 0))
    with pytest.raises(LoadError, match="holds pickled Python objects"):
        load(artifact_at(path, "h5_table", "t"))


@pytest.mark.parametrize("kind", ["soft", "external", "inside"])
def test_a_link_is_not_followed_to_what_was_not_checked(kind: str, tmp_path: Path) -> None:
    h5py = h5()
    path = write(tmp_path / "t.h5", NUMBERS, "t")
    with h5py.File(path, "a") as file:
        file["u"] = h5py.ExternalLink("t.h5", "/t") if kind == "external" else h5py.SoftLink("/t")
        file["t/linked"] = h5py.SoftLink("/u")
    with pytest.raises(LoadError, match=r"/(u|t/linked) is a link"):
        load(artifact_at(path, "h5_table", "t" if kind == "inside" else "u"))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=4), inner),
)


@given(PLAIN, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_pickles_of_plain_data_are_let_through(value: Any, protocol: int) -> None:
    assert is_plain(pickle.dumps(value, protocol))


@given(PLAIN, st.sampled_from([print, Path("x"), np.arange(2), pd.Timestamp(0), range(3), Bomb(Path("x"))]))
def test_pickles_with_anything_else_in_them_are_not(value: Any, guest: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert not is_plain(pickle.dumps([value, guest], protocol))


@pytest.mark.parametrize(
    "text",
    [
        b"cos\nsystem\n(S'x'\ntR.",
        b"cos\nsystem.",
        b"(X\x01\x00\x00\x00xios\nsystem.",  # the last line of a pickle needs no end
        b"(S'x'\nios\nsystem\n.\0\0",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x82\x01.",
        b"cpandas._libs.tslibs.offsets\nto_offset\n(tR.",
        b"Vtext\n.cos\nsystem\n.",
    ],
)
def test_tricks_to_call_something_are_seen(text: bytes) -> None:
    if text.startswith(b"V"):  # what follows the end is never executed
        assert is_plain(text)
    else:
        assert not is_plain(text)


@pytest.mark.parametrize("text", [b"", b".", b"A table of trips.", b"N.", b"frame_table", b"two\nlines", b"c.i.R."])
def test_plain_text_is_no_pickle(text: bytes) -> None:
    assert is_plain(text)
