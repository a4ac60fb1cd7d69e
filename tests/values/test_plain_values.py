"""Values that a step can tell apart have different plain forms, and those that it cannot have the same."""
# Naive datetimes are cases here, and the tables have one case per entry.
# ruff: noqa: DTZ001, E501

import collections
import datetime as dt
import functools
import struct
import time
import warnings
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import ConfigTypeError, ConfigValueError, ConsistWarning
from consist_es.values import encoding as framing
from consist_es.values import plain
from consist_es.values.plain import frame, from_plain, to_plain

HOUR = dt.timedelta(hours=1)
PAYLOAD = struct.unpack(">d", bytes.fromhex("7ff80000000007a2"))[0]
"""How R writes a missing number."""


def form(value: Any) -> bytes:
    return frame(to_plain(value))


def function() -> int:
    return 1


class Zone(dt.tzinfo):
    def __init__(self, hours: int, later: int = 0) -> None:
        self.hours, self.later = hours, later

    def utcoffset(self, _moment: dt.datetime | None) -> dt.timedelta:
        return HOUR * self.hours

    dst = utcoffset

    def tzname(self, _moment: dt.datetime | None) -> str:
        return "mine"


def at(zone: dt.tzinfo | None) -> dt.datetime:
    return dt.datetime(2020, 1, 1, tzinfo=zone)


def changed(array: Any, **flags: bool) -> Any:
    array.setflags(**flags)
    return array


def frame_of(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(items, dtype=object) if isinstance(items, np.ndarray) and items.dtype.hasobject else items
            for name, items in columns.items()
        }
    )


def attributed(table: Any, **attrs: Any) -> Any:
    table.attrs.update(attrs)
    return table


def masked(values: list[float], mask: Any, **more: Any) -> Any:
    return np.ma.MaskedArray(values, mask=mask, **more)


def objects(*items: Any) -> Any:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


DAYS = pd.date_range("2020-01-01", periods=3)
LEVELS = pd.MultiIndex.from_product([["a", "b"], [1, 2]])
TWO = ["a", "b"]
HOLIDAYS = pd.offsets.CustomBusinessDay(holidays=["2020-01-02"])

APART: dict[str, list[Callable[[], Any]]] = {
    "numbers": [lambda: 0.0, lambda: -0.0, lambda: 0, lambda: False, lambda: float("nan"), lambda: -float("nan"), lambda: PAYLOAD],
    "zones of moments": [
        lambda: at(None), lambda: at(dt.UTC), lambda: at(dt.timezone(dt.timedelta(0), "UTC")), lambda: at(dt.timezone(HOUR)),
        lambda: at(dt.timezone(HOUR, "CET")), lambda: at(dt.timezone(HOUR, "BST")), lambda: at(zoneinfo.ZoneInfo("Europe/Berlin")),
        lambda: at(zoneinfo.ZoneInfo("Europe/Paris")), lambda: at(Zone(1)), lambda: at(Zone(2)), lambda: at(Zone(1, 2)),
    ],
    "zones": [
        lambda: dt.UTC, lambda: dt.timezone(HOUR), lambda: dt.timezone(HOUR, "CET"), lambda: dt.timezone(HOUR, "BST"),
        lambda: zoneinfo.ZoneInfo("Europe/Berlin"), lambda: zoneinfo.ZoneInfo("Europe/Paris"), lambda: "Europe/Paris",
    ],
    "default dicts": [
        lambda: collections.defaultdict(None), lambda: collections.defaultdict(list), lambda: collections.defaultdict(int),
        lambda: collections.defaultdict(dict), lambda: collections.defaultdict(function), lambda: collections.defaultdict(time.time), dict,
        lambda: collections.defaultdict(list, a=1), lambda: collections.defaultdict(collections.Counter),
    ],
    "dtypes": [
        lambda: np.dtype("f8"), lambda: np.dtype(">f8"), lambda: np.dtype(("f8", 2)), lambda: np.dtype(("f4", 4)), lambda: np.dtype(("f8", (2, 1))),
        lambda: np.dtype("V16"), lambda: np.dtype("S16"), lambda: np.dtype("O"), lambda: np.dtype("O", metadata={"vlen": str}),
        lambda: np.dtype("O", metadata={"vlen": bytes}), lambda: np.dtype("i1", metadata={"enum": {"a": 1}}), lambda: np.dtype("i1"),
        lambda: np.dtype("M8[s]"), lambda: np.dtype("M8[25s]"), lambda: np.dtype("m8[s]"), lambda: np.dtype([("a", "i1"), ("b", "i8")]),
        lambda: np.dtype([("a", "i1"), ("b", "i8")], align=True), lambda: np.dtype([("a", "i1"), ("b", "u8")]),
        lambda: np.dtype({"names": TWO, "formats": ["i1", "i8"], "offsets": [0, 8]}), lambda: np.dtype([(("title", "a"), "i1"), ("b", "i8")]),
        lambda: np.dtype({"names": TWO, "formats": ["i4", "i4"], "offsets": [0, 0]}), lambda: np.dtype({"names": TWO, "formats": ["i4", "i4"], "offsets": [0, 2]}),
        lambda: np.dtype([("a", "i1", 2), ("b", "i8")]), lambda: np.dtype([("a", [("b", "i8")])]), lambda: np.dtype((np.record, [("a", "i1"), ("b", "i8")])),
    ],
    "small arrays": [
        lambda: np.zeros(4), lambda: -np.zeros(4), lambda: np.zeros((4, 1)), lambda: np.zeros((2, 2)), lambda: np.zeros(4, ">f8"),
        lambda: changed(np.zeros(4), write=False), lambda: np.zeros(4, np.dtype("f8", metadata={"unit": "m"})), lambda: [0.0] * 4, lambda: np.zeros(0),
        lambda: np.zeros((0, 4)), lambda: np.zeros(4)[::-1], lambda: np.full(4, np.nan), lambda: np.full(4, PAYLOAD), lambda: np.zeros((), "f8"), lambda: np.float64(0),
        lambda: np.zeros(4, "M8[s]"), lambda: np.zeros(4, "M8[ms]"), lambda: objects("a", None), lambda: objects("a", float("nan")), lambda: objects(*TWO), lambda: np.zeros((2, 2)).view(np.matrix),
        lambda: np.asfortranarray(np.eye(3)), lambda: np.eye(3), lambda: np.zeros(4, "V4"), lambda: np.zeros(4, [("a", "i4")]), lambda: np.zeros(4, [("b", "i4")]),
        lambda: np.zeros(4, [("a", "i4")]).view(np.recarray), lambda: np.array([(1, "a")], [("a", "i4"), ("b", "O")]), lambda: np.array([(1, "b")], [("a", "i4"), ("b", "O")]),
    ],
    "large arrays": [
        lambda: np.zeros(100), lambda: -np.zeros(100), lambda: np.zeros((10, 10)), lambda: np.zeros(100, ">f8"), lambda: np.zeros(100)[::-1],
        lambda: changed(np.zeros(100), write=False), lambda: np.zeros(100, np.dtype("f8", metadata={"unit": "m"})),
        lambda: np.full(100, np.nan), lambda: np.full(100, PAYLOAD), lambda: np.zeros((10, 10), order="F"), lambda: np.zeros((10, 10))[:, ::-1],
        lambda: np.zeros((5, 4, 5)), lambda: np.zeros((5, 4, 5), order="F"), lambda: np.zeros((4, 5, 5)).swapaxes(0, 1),
        lambda: np.zeros(100, "g"), lambda: np.zeros(100, "V8"), lambda: np.zeros(100, [("a", "f8")]), lambda: np.array([(1, "a")] * 99 + [(1, "b")], [("a", "i4"), ("b", "O")]), lambda: np.array([(1, "a")] * 100, [("a", "i4"), ("b", "O")]), lambda: np.zeros(100, [("b", "f8")]),
        lambda: np.zeros(100, {"names": ["a"], "formats": ["f8"], "itemsize": 16}), lambda: np.zeros(100, "M8[s]"), lambda: np.zeros(100, "M8[ms]"),
        lambda: np.array(["a" * 40] * 100), lambda: objects(*["a" * 40] * 100), lambda: objects(*["a" * 40] * 99, None),
    ],
    "masked arrays": [
        lambda: masked([1.0, 2.0], [False, True]), lambda: masked([1.0, 2.0], [True, False]), lambda: masked([1.0, 3.0], [False, True]),
        lambda: masked([1.0, 2.0], False), lambda: np.ma.MaskedArray([1.0, 2.0]), lambda: np.array([1.0, 2.0]),
        lambda: masked([1.0, 2.0], [False, True], fill_value=7), lambda: masked([1.0, 2.0], [False, True], hard_mask=True),
    ],
    "indexes": [
        lambda: frame_of(a=[1, 2]), lambda: pd.DataFrame({"a": [1, 2]}, index=[0, 1]), lambda: pd.DataFrame({"a": [1, 2]}, index=[0.0, 1.0]),
        lambda: pd.DataFrame({"a": [1, 2]}, index=[1, 0]), lambda: pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(0, 4, 2)),
        lambda: pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(0, 3, 2)), lambda: pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], dtype="int32")),
        lambda: frame_of(a=[1, 2]).rename_axis("n"), lambda: frame_of(a=[1, 2]).rename_axis(columns="n"), lambda: pd.DataFrame({"a": [1, 2]}, index=["0", "1"]),
        lambda: pd.DataFrame({"a": [1, 2]}, index=pd.CategoricalIndex([0, 1])), lambda: pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], dtype=object)),
        lambda: pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(0,), (1,)])), lambda: pd.DataFrame([[1], [2]]), lambda: pd.DataFrame([[1], [2]], columns=[0]),
        lambda: frame_of(a=[1, 2]).a, lambda: frame_of(a=[1, 2]).a.rename("b"), lambda: frame_of(a=[1, 2]).a.rename(None), lambda: pd.Index([1, 2]),
        lambda: pd.Index([1, 2], name="a"), lambda: pd.RangeIndex(1, 3),
    ],
    "frequencies": [
        lambda: DAYS, lambda: pd.DatetimeIndex(DAYS.to_numpy()), lambda: pd.DatetimeIndex(DAYS.to_numpy(), freq="B"), lambda: DAYS.tz_localize("UTC"), lambda: DAYS.tz_localize("Europe/Berlin"),
        lambda: DAYS.tz_localize(dt.timezone(HOUR, "CET")), lambda: DAYS.tz_localize(dt.timezone(HOUR, "BST")), lambda: DAYS.tz_localize(dt.timezone(HOUR * 2, "CET")),
        lambda: DAYS.as_unit("s"), lambda: DAYS.to_period("D"), lambda: DAYS.to_period("W-SUN"), lambda: DAYS.to_period("W-MON"), lambda: DAYS - DAYS[0],
        lambda: pd.DatetimeIndex(DAYS[:1].to_numpy(), freq=HOLIDAYS), lambda: pd.DatetimeIndex(DAYS[:1].to_numpy(), freq=pd.offsets.CustomBusinessDay()), lambda: DAYS[:1],
        lambda: HOLIDAYS, lambda: pd.offsets.CustomBusinessDay(), lambda: pd.offsets.BDay(), lambda: pd.offsets.BDay(2), lambda: pd.DateOffset(months=1),
        lambda: pd.DateOffset(months=2), lambda: pd.offsets.BDay(normalize=True),
    ],
    "levels": [
        lambda: LEVELS, lambda: LEVELS[:2], lambda: LEVELS[:2].remove_unused_levels(), lambda: LEVELS.set_names(["x", "y"]), lambda: LEVELS.swaplevel(),
        lambda: LEVELS[::-1], lambda: LEVELS.to_flat_index(), lambda: LEVELS.set_levels([["b", "a"], [1, 2]]),
    ],
    "notes": [
        lambda: frame_of(a=[1]), lambda: frame_of(a=[1]).set_flags(allows_duplicate_labels=False), lambda: attributed(frame_of(a=[1]), unit="m"),
        lambda: attributed(frame_of(a=[1]), unit="km"), lambda: frame_of(a=[1]).a.set_flags(allows_duplicate_labels=False), lambda: attributed(frame_of(a=[1]).a, unit="m"),
        lambda: frame_of(a=[1]).a,
    ],
    "missing values": [
        lambda: pd.array([1, None], dtype="Int64"), lambda: pd.array([1, 0], dtype="Int64"), lambda: pd.array([True, None], dtype="boolean"), lambda: pd.array([True, False], dtype="boolean"),
        lambda: pd.array(["a", None], dtype="string[python]"), lambda: pd.array(["a", "b"], dtype="string[python]"), lambda: pd.array(["a", "b"], dtype="string[pyarrow]"),
        lambda: frame_of(a=objects("a", None)), lambda: frame_of(a=objects("a", np.nan)), lambda: frame_of(a=objects("a", pd.NA)), lambda: frame_of(a=objects("a", pd.NaT)),
        lambda: frame_of(a=objects("a", PAYLOAD)), lambda: frame_of(a=objects("a", "None")), lambda: frame_of(a=objects("a", "")), lambda: frame_of(a=objects(None, "a")),
        lambda: frame_of(a=pd.array([1, None], dtype="Float64")), lambda: frame_of(a=pd.array([1.0, None], dtype="float64")), lambda: frame_of(a=pd.array([1.0, PAYLOAD], dtype="float64")),
    ],
    "texts": [
        lambda: frame_of(a=objects("a", "b")), lambda: frame_of(a=objects("ab", "")), lambda: frame_of(a=objects("", "ab")), lambda: frame_of(a=objects("a\0b", "")),
        lambda: frame_of(a=objects("a", "\0b")), lambda: frame_of(a=objects("a\0", "b")), lambda: frame_of(a=objects("\ud800", "b")), lambda: frame_of(a=objects("a", np.str_("b"))),
        lambda: frame_of(a=objects("1", 2)), lambda: frame_of(a=objects(1, "2")), lambda: frame_of(a=objects(1, 2)), lambda: frame_of(a=objects(1, 3)), lambda: frame_of(a=objects(True, 2)), lambda: frame_of(a=objects(1.0, 2)),
        lambda: frame_of(a=objects(1, 2**70)), lambda: frame_of(a=objects(1, [2])), lambda: frame_of(a=objects(1, (2,))), lambda: frame_of(a=objects(-0.0, 2)), lambda: frame_of(a=objects(0.0, 2)),
        lambda: frame_of(a=objects(True, False)), lambda: frame_of(a=objects(False, True)), lambda: frame_of(a=objects(1, np.int64(2))),
    ],
    "categories": [
        lambda: pd.Categorical(TWO), lambda: pd.Categorical(TWO, ["b", "a"]), lambda: pd.Categorical(TWO, ["a", "b", "c"]), lambda: pd.Categorical(TWO, ordered=True),
        lambda: pd.Categorical(["b", "a"]), lambda: pd.Categorical(["a", None], TWO), lambda: pd.Categorical([1, 2]), lambda: pd.Categorical([1.0, 2.0]),
        lambda: pd.Categorical(TWO, pd.Index(TWO, name="x")), lambda: pd.Categorical(TWO, pd.Index(TWO, dtype="string")), lambda: pd.CategoricalDtype(TWO), lambda: pd.CategoricalDtype(),
        lambda: pd.CategoricalDtype(TWO, ordered=True), lambda: pd.CategoricalDtype(["a"]), lambda: pd.Categorical([0, 1], pd.RangeIndex(2)), lambda: pd.Categorical([0, 1], pd.Index([0, 1])),
    ],
    "sparse": [
        lambda: pd.arrays.SparseArray([0, 1, 0]), lambda: pd.arrays.SparseArray([0, 0, 1]), lambda: pd.arrays.SparseArray([0, 1, 0], fill_value=1), lambda: pd.array([0, 1, 0]),
        lambda: pd.arrays.SparseArray([0, 1, 0], kind="block"), lambda: pd.arrays.SparseArray([0.0, 1.0, 0.0]), lambda: pd.arrays.SparseArray([0, 1]),
    ],
    "intervals": [
        lambda: pd.interval_range(0, 3), lambda: pd.interval_range(0, 3, closed="left"), lambda: pd.interval_range(0.0, 3.0), lambda: pd.interval_range(1, 4),
        lambda: pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]), lambda: pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), (2, 4)]), lambda: pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), (1, 4)]), lambda: pd.Interval(0, 1), lambda: pd.Interval(0, 1, "left"),
    ],
    "arrow": [
        lambda: pa.array([1, None]), lambda: pa.array([1, 0]), lambda: pa.array([1, None], pa.int32()), lambda: pa.table({"a": [1]}), lambda: pa.table({"b": [1]}),
        lambda: pa.table({"a": [1]}, schema=pa.schema([pa.field("a", pa.int64(), nullable=False)])), lambda: pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}),
        lambda: pa.array(TWO), lambda: pa.array(TWO, pa.large_string()), lambda: pa.array(TWO).dictionary_encode(), lambda: pa.scalar("a"), lambda: pa.scalar(None, pa.string()),
        lambda: pa.chunked_array([[1, None]]), lambda: pa.schema([("a", pa.int64())]), lambda: pa.field("a", pa.int64()), lambda: pa.int64(), lambda: pa.float64(),
    ],
    "moments of pandas": [
        lambda: pd.Timestamp("2020-01-01"), lambda: pd.Timestamp("2020-01-01").as_unit("ms"), lambda: pd.Timestamp("2020-01-01", tz="UTC"), lambda: pd.Timestamp("2020-01-01", tz=dt.timezone(HOUR, "CET")),
        lambda: pd.Timestamp("2020-01-01", tz=dt.timezone(HOUR, "BST")), lambda: pd.Timestamp("2020-01-01", tz=Zone(1)), lambda: pd.Timestamp("2020-01-01", tz=Zone(1, 2)), lambda: frame_of(a=DAYS.tz_localize(Zone(1))), lambda: frame_of(a=DAYS.tz_localize(Zone(1, 2))), lambda: pd.Timestamp("2020-01-01", tz=zoneinfo.ZoneInfo("Europe/Berlin")),
        lambda: dt.datetime(2020, 1, 1), lambda: pd.Timedelta(1, "s"), lambda: pd.Period("2020-01"), lambda: pd.Period("2020-01-01"),
    ],
}  # fmt: skip

_CELLS = [1, 0]
_DTYPES = [
    "int64", "int32", "uint8", ">i8", "float64", "float32", "bool", "object", "Int64", "Int32", "UInt8", "Float64", "boolean", "string[python]",
    "string[pyarrow]", "str", "int64[pyarrow]", "double[pyarrow]", "category", "datetime64[ns]", "datetime64[s]", "datetime64[ns, UTC]",
    "datetime64[ns, Europe/Berlin]", "timedelta64[ns]", "complex128", "Sparse[int64]", "period[D]",
]  # fmt: skip


def column(dtype: Any) -> Any:
    if dtype == "period[D]":
        return pd.Series([pd.Period(ordinal=cell, freq="D") for cell in _CELLS])
    return pd.Series(_CELLS).astype(dtype if dtype != ">i8" else np.dtype(">i8"))


APART["dtypes of columns"] = [functools.partial(lambda dtype: frame_of(a=column(dtype)), dtype) for dtype in _DTYPES]
APART["dtypes of wide frames"] = [
    functools.partial(lambda dtype: frame_of(a=column(dtype), b=column(dtype)), dtype) for dtype in _DTYPES
]
APART["dtypes of series"] = [functools.partial(column, dtype) for dtype in _DTYPES]
if hasattr(np.dtypes, "StringDType"):  # numpy 2
    TEXT: Any = np.dtypes.StringDType
    APART["dtypes"] += [
        TEXT,
        lambda: TEXT(coerce=False),
        lambda: TEXT(na_object=None),
        lambda: TEXT(na_object=float("nan")),
    ]
    APART["small arrays"] += [lambda: np.array(TWO, TEXT()), lambda: np.array(["a", "c"], TEXT())]
    APART["large arrays"] += [
        lambda: np.array(["a" * 40] * 100, TEXT()),
        lambda: np.array(["b" * 40] * 100, TEXT()),
    ]
APART["objects"] = [
    functools.partial(objects, *items)
    for more in ([], [None] * 100)
    for items in ([1, *more], [1.0, *more], [True, *more], ["1", *more], [b"1", *more], [None, *more], [(1,), *more])
]


@pytest.mark.parametrize("name", APART)
def test_what_a_step_can_tell_apart_has_different_forms(name: str) -> None:
    seen: dict[bytes, Any] = {}
    for number, make in enumerate(APART[name]):
        key = form(make())
        assert key not in seen, f"{number} {make()!r} equals {seen.get(key)!r}"
        assert form(make()) == key, f"{make()!r} differs from itself"
        seen[key] = (number, make())


def below(value: int) -> pd.DataFrame:
    """A missing integer, and what the buffer holds where it is."""
    array = pd.array([1, value], dtype="Int64")
    array[1] = pd.NA
    return frame_of(a=array)


def padded(byte: bytes) -> Any:
    dtype = np.dtype([("a", "i1"), ("b", "i8")], align=True)
    return np.frombuffer(byte * dtype.itemsize * 80, dtype).copy()


def filled(byte: bytes) -> Any:
    array = padded(byte)
    array["a"], array["b"] = 1, 2
    return array


def grown() -> pd.DataFrame:
    table = frame_of(a=[1, 2], b=[3, 4])
    table["c"] = [5, 6]
    return table


SAME: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "blocks of a frame": (lambda: pd.DataFrame(np.arange(6).reshape(2, 3), columns=list("abc")), lambda: pd.DataFrame({"a": [0, 3], "b": [1, 4], "c": [2, 5]})),
    "a column added later": (grown, lambda: frame_of(a=[1, 2], b=[3, 4], c=[5, 6])),
    "a part of a frame": (lambda: frame_of(a=[1, 2, 3], b=[1.5, 2, 3]).iloc[1:].reset_index(drop=True), lambda: frame_of(a=[2, 3], b=[2.0, 3.0])),
    "a copy": (lambda: frame_of(a=["x", None]), lambda: frame_of(a=["x", None]).copy()),
    "what lies below a missing value": (lambda: below(5), lambda: below(6)),
    "what lies between fields": (lambda: filled(b"\0"), lambda: filled(b"\1")),
    "chunks": (lambda: pa.table({"a": [1, 2]}), lambda: pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])),
    "a slice of arrow numbers": (lambda: pa.array([0, 1, None, 3, 4])[1:4], lambda: pa.array([1, None, 3])),
    "a slice of arrow truths": (lambda: pa.array([True, False, None, True] * 9)[5:11], lambda: pa.array(([True, False, None, True] * 9)[5:11])),
    "a slice of arrow texts": (lambda: pa.array(["a", "bc", None, "d"])[1:], lambda: pa.array(["bc", None, "d"])),
    "a slice of arrow lists": (lambda: pa.array([[1], [2, 3], None, [4]])[1:], lambda: pa.array([[2, 3], None, [4]])),
    "a slice of an arrow column": (lambda: frame_of(a=pd.array(["a", "b", "c"], dtype="string[pyarrow]")).iloc[1:].reset_index(drop=True), lambda: frame_of(a=pd.array(["b", "c"], dtype="string[pyarrow]"))),
    "gaps between numbers": (lambda: np.arange(200)[::2], lambda: np.arange(0, 200, 2)),
    "gaps between rows": (lambda: np.zeros((20, 10))[::2], lambda: np.zeros((10, 10))),
    "gaps in a small array": (lambda: np.zeros(8)[::2], lambda: np.zeros(4)),
    "layout of one row": (lambda: np.zeros((1, 90)), lambda: np.zeros((1, 90), order="F")),
    "a part that is in order": (lambda: np.arange(200)[100:], lambda: np.arange(100, 200)),
    "sets in another order": (lambda: {f"zone {n}" for n in range(50)}, lambda: {f"zone {n}" for n in reversed(range(50))}),
    "dicts in another order": (lambda: {n: str(n) for n in range(50)}, lambda: {n: str(n) for n in reversed(range(50))}),
    "again from its key": (lambda: zoneinfo.ZoneInfo("Europe/Berlin"), lambda: zoneinfo.ZoneInfo("Europe/Berlin")),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_what_a_step_cannot_tell_apart_has_the_same_form(name: str) -> None:
    one, other = SAME[name]
    assert form(one()) == form(other())


def test_types_of_other_packages_on_numpy_arrays_are_told_apart() -> None:
    types = pytest.importorskip("ml_dtypes")
    seen = {
        form(np.zeros(count, kind))
        for kind in (types.float8_e4m3, types.float8_e5m2, types.bfloat16, "V1", "V2", "f2")
        for count in (3, 100)
    }
    assert len(seen) == 12


def test_a_mapped_file_counts_by_its_content_and_how_it_was_opened(tmp_path: Path) -> None:
    seen = set()
    mode: Any
    for name, mode, content in (("a", "r", 1), ("b", "r", 1), ("a", "r+", 1), ("a", "c", 1), ("a", "r", 2)):
        (tmp_path / name).write_bytes(bytes([content]) * 800)
        seen.add(form(np.memmap(tmp_path / name, np.float64, mode)))
    seen.add(form(np.fromfile(tmp_path / "a")))
    assert len(seen) == 6


def test_polars_frames_count_by_types_and_values() -> None:
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"a": [1, None], "b": ["x", "y"]})
    others = [
        table.with_columns(pl.col("a").cast(pl.Int32)), table.rename({"a": "c"}), table[::-1], table.select("b", "a"), table["a"], table["b"],
        table.with_columns(pl.col("b").cast(pl.Categorical)), table.with_columns(pl.col("b").cast(pl.Enum(["x", "y"]))),
        table.with_columns(pl.col("b").cast(pl.Enum(["x", "y", "z"]))), table["a"].rename("b"), table.to_pandas(), table.to_arrow(),
    ]  # fmt: skip
    assert len({form(value) for value in (table, *others)}) == 13
    whole = table.drop_nulls()
    assert form(pl.concat([whole, whole], rechunk=False)) == form(pl.concat([whole, whole], rechunk=True))
    for unknown in (table.lazy(), pl.DataFrame({"a": [object()]})):
        with pytest.raises(ConfigTypeError, match="is not supported"):
            to_plain(unknown)


@pytest.mark.parametrize("key", [None, "Europe/Berlin", "No/Where"])
def test_a_zone_that_was_read_from_a_file_is_refused(key: str | None) -> None:
    tzdata = pytest.importorskip("tzdata")
    with (Path(tzdata.__file__).parent / "zoneinfo" / "Asia" / "Tokyo").open("rb") as file:
        zone = zoneinfo.ZoneInfo.from_file(file, key=key)
    for value in (zone, at(zone), pd.Timestamp("2020-01-01", tz=zone), frame_of(a=DAYS.tz_localize(zone))):
        with pytest.raises(ConfigTypeError, match=r"x: a time zone that was read from a file"):
            to_plain(value, "x")


@pytest.mark.parametrize("made_by", [functools.partial(list), [1].pop, Zone(1).utcoffset])
def test_a_default_dict_whose_values_are_made_by_something_else_is_refused(made_by: Any) -> None:
    with pytest.raises(ConfigTypeError, match=r"as default_factory; use a class or a function"):
        to_plain(collections.defaultdict(made_by))


def test_numbers_that_are_none_come_back_with_their_bits() -> None:
    for value in (float("nan"), -float("nan"), PAYLOAD):
        assert struct.pack(">d", from_plain(to_plain(value))) == struct.pack(">d", value)


def test_a_value_that_takes_long_is_told_of_once_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(plain, "_SLOW", set())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        to_plain({"a": 1}, "model.py:LOOKUP")
        to_plain({"a": 1}, "model.py:LOOKUP")
        to_plain([1], "config")
    assert [str(warning.message).partition(" took")[0] for warning in told] == [
        "model.py:LOOKUP: taking the digest of this dict",
        "config: taking the digest of this list",
    ]
    assert {warning.category for warning in told} == {ConsistWarning}


# ---------------------------------------------------------------- properties

INDEXES: dict[str, Callable[[int], Any]] = {
    "range": pd.RangeIndex,
    "numbers": lambda n: pd.Index(np.arange(n)),
    "texts": lambda n: pd.Index([str(i) for i in range(n)], dtype="str"),
    "objects": lambda n: pd.Index([str(i) for i in range(n)], dtype=object),
    "days": lambda n: pd.date_range("2020", periods=n),
    "days by themselves": lambda n: pd.DatetimeIndex(pd.date_range("2020", periods=n).to_numpy()),
    "levels": lambda n: pd.MultiIndex.from_arrays([np.arange(n), np.arange(n) % 2]),
}
COLUMNS: dict[str, tuple[Any, list[Any]]] = {
    "int64": ("int64", [0, 1]),
    "int8": ("int8", [0, 1]),
    "float64": ("float64", [0.0, -0.0, 1.0, float("nan"), PAYLOAD]),
    "bool": ("bool", [False, True]),
    "object": (object, [0, 0.0, False, "0", None, float("nan"), pd.NA, b"0", (0,), "", "\0", 2**70]),
    "text": (object, ["", "a", "ab", "b", "\0", "a\0", "\ud800", None]),
    "str": ("str", ["", "a", "ab", None]),
    "string[python]": ("string[python]", ["", "a", "ab", None]),
    "string[pyarrow]": ("string[pyarrow]", ["", "a", "ab", None]),
    "Int64": ("Int64", [0, 1, None]),
    "Float64": ("Float64", [0.0, -0.0, None]),
    "boolean": ("boolean", [False, True, None]),
    "int64[pyarrow]": ("int64[pyarrow]", [0, 1, None]),
    "category": (pd.CategoricalDtype(["a", "b"]), ["a", "b", None]),
    "ordered": (pd.CategoricalDtype(["b", "a"], ordered=True), ["a", "b", None]),
    "moments": ("datetime64[ns]", [pd.Timestamp("2020-01-01"), pd.Timestamp("2021-01-01"), pd.NaT]),
    "moments in a zone": ("datetime64[ns, Europe/Berlin]", [pd.Timestamp("2020-01-01", tz="Europe/Berlin"), pd.NaT]),
    "spans": ("timedelta64[ns]", [pd.Timedelta(1), pd.NaT]),
    "months": ("period[M]", [pd.Period("2020-01"), pd.NaT]),
    "sparse": (pd.SparseDtype("int64", 0), [0, 1]),
}


@st.composite
def columns(draw: st.DrawFn, rows: int) -> tuple[str, tuple[int, ...]]:
    kind = draw(st.sampled_from(list(COLUMNS)))
    return kind, tuple(draw(st.integers(0, len(COLUMNS[kind][1]) - 1)) for _ in range(rows))


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(0, 3))
    found = draw(st.lists(columns(rows), max_size=3))
    names = draw(st.permutations(["a", "b", "c"])) if draw(st.booleans()) else ["a", "b", "c"]
    index = draw(st.sampled_from(list(INDEXES)))
    notes = draw(st.sampled_from([(), (("unit", "m"),), (("unit", "km"),)]))
    return (
        rows,
        tuple(found),
        tuple(names[: len(found)]),
        index,
        draw(st.booleans()),
        notes,
        draw(st.sampled_from([None, "n"])),
    )


def built(recipe: Any, copy: bool) -> pd.DataFrame:
    rows, found, names, index, unique, notes, name = recipe
    made = INDEXES[index](rows)
    data = {}
    for label, (kind, chosen) in zip(names, found, strict=True):
        dtype, pool = COLUMNS[kind]
        items = objects(*(pool[i] for i in chosen))
        plain_items = items if dtype is object or dtype in ("float64",) else list(items)
        data[label] = pd.Series(plain_items, dtype=dtype, index=made)
    table = pd.DataFrame(data, index=made, columns=pd.Index(list(names), dtype=object))
    table = table.set_flags(allows_duplicate_labels=not unique)
    table.attrs.update(notes)
    table.columns.name = name
    return table.copy() if copy else table


@settings(max_examples=200, deadline=None)
@given(tables(), tables(), st.booleans())
def test_frames_have_the_same_form_exactly_if_they_were_made_alike(one: Any, other: Any, copy: bool) -> None:
    assert form(built(one, copy)) == form(built(one, not copy))
    assert (form(built(one, copy)) == form(built(other, copy))) == (one == other)


@settings(max_examples=200, deadline=None)
@given(tables(), st.data())
def test_a_frame_that_differs_in_one_thing_has_another_form(recipe: Any, data: st.DataObject) -> None:
    rows, found, names, *rest = recipe
    if not found or not rows:
        return
    place, row = data.draw(st.integers(0, len(found) - 1)), data.draw(st.integers(0, rows - 1))
    kind, chosen = found[place]
    new = data.draw(st.integers(0, len(COLUMNS[kind][1]) - 1))
    edited = (kind, (*chosen[:row], new, *chosen[row + 1 :]))
    other = (rows, (*found[:place], edited, *found[place + 1 :]), names, *rest)
    assert (form(built(recipe, False)) == form(built(other, False))) == (new == chosen[row])


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    dtype = draw(st.sampled_from(["f8", ">f8", "f4", "i8", "u1", "?", "M8[s]", "c16", "U2", "S2", "O", "i2,f8"]))
    shape = draw(st.sampled_from([(), (0,), (1,), (2,), (70,), (2, 1), (2, 3), (7, 10), (10, 7), (70, 1)]))
    order = draw(st.sampled_from("CF"))
    return dtype, shape, order, draw(st.integers(0, 1)), draw(st.booleans())


def array_of(recipe: Any) -> Any:
    dtype, shape, order, last, write = recipe
    array = np.zeros(shape, dtype, order=order)
    if last and array.size:
        array[(-1,) * array.ndim] = (1, 1) if array.dtype.names else 1
    return changed(array, write=write)


def seen_in(recipe: Any) -> Any:
    """What a step sees of an array that was made so."""
    dtype, shape, order, last, write = recipe
    one_order = sum(size > 1 for size in shape) < 2 or 0 in shape
    return dtype, shape, "C" if one_order else order, last if 0 not in shape else 0, write


@settings(max_examples=400, deadline=None)
@given(arrays(), arrays())
def test_arrays_have_the_same_form_exactly_if_a_step_sees_the_same(one: Any, other: Any) -> None:
    assert form(array_of(one)) == form(array_of(one))
    assert (form(array_of(one)) == form(array_of(other))) == (seen_in(one) == seen_in(other))


ATOMS = st.sampled_from(
    [0, 1, -1, 2**62, 2**63, 0.0, -0.0, 1.5, float("inf"), float("nan"), True, None, "", "a", "é", "\ud800", "$a", b"a"]
)
ITEMS = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["a", "b", "$c"]), inner)
    ),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ITEMS, min_size=1, max_size=3), st.sampled_from([1, 17, 30]), st.booleans())
def test_many_items_together_have_the_form_that_they_have_one_by_one(items: list[Any], times: int, mixed: bool) -> None:
    many = items * times if mixed else items[:1] * times
    hashable = {(n, repr(item)): item for n, item in enumerate(many)}
    values = [
        many,
        {f"${n}" if n % 7 == 3 else str(n): item for n, item in enumerate(many)},
        dict(enumerate(many)),
        hashable,
        set(hashable),
    ]
    together = [(to_plain(value), form(value)) for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framing, "MANY", 10**9)
        patch.setattr(plain, "MANY", 10**9)
        assert [form(value) for value in values] == [framed for _, framed in together]
        assert all(frame(found) == framed for found, framed in together)


def test_a_list_that_holds_itself_many_times_is_refused_at_once() -> None:
    circle: list[Any] = []
    circle += [circle] * 40
    with pytest.raises(ConfigValueError, match="contains itself"):
        to_plain(circle)
