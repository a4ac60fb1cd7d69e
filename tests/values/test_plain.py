"""Plain forms: what users hand us, as JSON that says everything it says."""
# Naive datetimes are cases here, and the table of values is one case per entry.
# ruff: noqa: DTZ001, E501

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import math
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consist_es.errors import ConfigTypeError, ConfigValueError
from consist_es.values.plain import frame, from_plain, to_plain

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.fractions()
    | st.complex_numbers(allow_nan=False)
)
keys = (
    st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["$float", "$tuple", "$$", "$", ""])
    | st.integers()
)
hashable = st.recursive(leaves, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
values = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashable, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(values)
def test_plain_forms_survive_json_and_give_the_values_back(value: Any) -> None:
    plain = to_plain(value)
    assert json.loads(json.dumps(plain)) == plain
    assert msgspec.json.decode(msgspec.json.encode(plain)) == plain
    back = from_plain(plain)
    assert back == value
    assert frame(to_plain(back)) == frame(plain)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), {"$float": "nan"}),
        (float("-inf"), {"$float": "-inf"}),
        (2**63, {"$int": "0x8000000000000000"}),
        (-(2**63), -(2**63)),
        ("\ud800", {"$str": "\\ud800"}),
        ((1, [2]), {"$tuple": [1, [2]]}),
        ({3, 1, 2}, {"$set": [1, 2, 3]}),
        (b"x", {"$bytes": "eA=="}),
        ({"$float": "nan"}, {"$$float": "nan"}),
        ({1: "a"}, {"$map": [[1, "a"]]}),
        (pathlib.Path("./a//b"), {"$path": "a/b"}),
        (decimal.Decimal("1.10"), {"$decimal": "1.10"}),
        (dt.date(2020, 1, 2), {"$date": "2020-01-02"}),
    ],
)
def test_tags_are_readable_and_explicit(value: Any, plain: Any) -> None:
    assert to_plain(value) == plain


def test_negative_zero_and_nan_come_back() -> None:
    assert math.copysign(1, from_plain(msgspec.json.decode(msgspec.json.encode(to_plain(-0.0))))) == -1
    assert math.isnan(from_plain(to_plain(float("nan"))))


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Data:
    a: Any


class Struct(msgspec.Struct):
    a: Any


class Text(str):
    pass


def test_objects_come_back_as_dicts_of_their_fields() -> None:
    for value in (Data([1]), Struct([1])):
        assert from_plain(to_plain(value)) == {"a": [1]}
    assert from_plain(to_plain(Point(1))) == {"x": 1}
    assert to_plain(Data(1)) == {"$object": [f"{__name__}.Data", {"a": 1}]}


def make_circle() -> list[Any]:
    circle: list[Any] = []
    circle.append({"a": circle})
    return circle


def nest(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Rogue(str):
    def __str__(self) -> str:
        return "other"


DISTINCT: list[Any] = [
    1, 1.0, True, "1", b"1", None, "None", 0, 0.0, -0.0, False, "", [], (), {}, set(), frozenset(), [[]], [None], {"a": None},
    {"a": {}}, {"a": []}, float("nan"), float("inf"), "nan", 2**64, str(2**64), "é", "e\u0301", "\ud83d\ude00", "\U0001f600",
    [1, 2], (1, 2), {1, 2}, frozenset({1, 2}), [1, [2]], [[1], 2], [12], "a", pathlib.Path("a"), pathlib.PurePosixPath("a"),
    pathlib.PureWindowsPath("a"), {"a": 1}, {"a": 1.0}, {1: 1}, {"1": 1}, {True: 1}, {"a": {"b": 1}}, {"a": 1, "b": 1},
    {"a.b": 1}, {"$float": "nan"}, {"$tuple": [1, 2]}, {"$$float": "nan"}, Colour.RED, Level.LOW, Point(1), Data(1),
    Struct(1), Data(1.0), Text("a"), Rogue("a"), collections.OrderedDict(a=1), collections.OrderedDict(a=1, b=1),
    collections.OrderedDict(b=1, a=1), collections.Counter("a"), types.MappingProxyType({"a": 1}), range(2), bytearray(b"1"),
    dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "2020-01-01",
    dt.datetime(2020, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.datetime(2020, 1, 1, fold=1), dt.timedelta(1), dt.time(1),
    decimal.Decimal("1"), decimal.Decimal("1.0"), fractions.Fraction(1), 1 + 0j, uuid.UUID(int=1), re.compile("a"),
    re.compile("a", re.I), re.compile(b"a"), ...,
    np.int64(1), np.int32(1), np.float64(1), np.float32(1), np.bool_(True), np.str_("1"), np.datetime64("2020-01-01"),
    np.datetime64("2020-01-01", "ns"), np.array(1), np.array([1]), np.array([1.0]), np.array([[1]]), np.array(["1"]),
    np.array([1], dtype=object), np.array([True], dtype=object), np.zeros(100), np.zeros((10, 10)), np.zeros(100, "f4"),
    -np.zeros(100), np.array([None] * 100), np.array([0] * 100, dtype=object), np.dtype("f8"), np.longdouble(1),
    np.array([(1, 2)], dtype=[("a", "i8"), ("b", "i8")]), np.array([(1, 2)], dtype=[("a", "i8"), ("c", "i8")]),
    pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01", tz="UTC"), pd.Timedelta("1D"), pd.NaT, pd.NA, pd.Period("2020-01"),
    pd.Interval(0, 1), pd.Interval(0, 1, closed="left"),
    pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": ["1", "2"]}),
    pd.DataFrame({"a": [1, "2"]}), pd.DataFrame({"a": ["1", 2]}), pd.DataFrame({"a": [2, 1]}),
    pd.DataFrame({"a": [1, 2]}, index=[1, 2]), pd.DataFrame({"a": [1, 2]}, index=["0", "1"]),
    pd.DataFrame({"a": [1, 2]}).rename_axis("x"), pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.DataFrame({"b": [3, 4], "a": [1, 2]}),
    pd.DataFrame({"a": pd.array([1, 2], dtype="Int64")}), pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"])}), pd.DataFrame({"a": pd.Categorical(["x", "y"], ordered=True)}),
    pd.DataFrame({"a": pd.Categorical(["x", "y"], categories=["y", "x"])}), pd.DataFrame(), pd.DataFrame(index=[0]),
    pd.Series([1, 2]), pd.Series([1, 2], name="a"), pd.Index([1, 2]), pd.MultiIndex.from_tuples([(1, 2)]),
    pd.DataFrame({"a": pd.date_range("2020", periods=2)}), pd.DataFrame({"a": pd.date_range("2020", periods=2, tz="UTC")}),
    pa.table({"a": [1, 2]}), pa.table({"b": [1, 2]}), pa.table({"a": [1.0, 2.0]}), pa.table({"a": [1, None]}),
    pa.array([1, 2]), pa.array([1, 2], pa.int32()), pa.scalar(1), pa.scalar(1.0), pa.int64(), pa.schema([("a", pa.int64())]),
]  # fmt: skip


def test_values_that_a_step_can_tell_apart_have_different_forms() -> None:
    seen: dict[bytes, Any] = {}
    for value in DISTINCT:
        key = frame(to_plain(value))
        assert key not in seen, f"{value!r} equals {seen.get(key)!r}"
        seen[key] = value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: "a", 2: "b"}, {2: "b", 1: "a"}),
        ({"x", "y", "z", "w"}, {"w", "z", "y", "x"}),
        (float("nan"), float("nan")),
        (pathlib.Path("./a//b/."), pathlib.Path("a/b")),
        (1.0, 1e0),
        (np.zeros((1, 100)), np.zeros((1, 100), order="F")),
        (np.arange(200)[100:], np.arange(100, 200)),
        (pa.table({"a": [1, 2]}), pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]})[["a"]], pd.DataFrame({"a": [1, 2]})),
    ],
)
def test_what_does_not_count_gives_the_same_form(one: Any, other: Any) -> None:
    assert frame(to_plain(one)) == frame(to_plain(other))


def test_large_arrays_and_frames_are_stored_as_digests() -> None:
    kind, digest, shape = to_plain(np.zeros((10, 10)))["$digest"]
    assert (kind, shape) == ("numpy.ndarray <f8", [10, 10])
    assert digest.startswith("b3:")
    assert to_plain(pd.DataFrame({"a": [1]}))["$digest"][2] == [1, 1]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: print, "builtin_function_or_method"),
        (lambda: lambda: 1, "function"),
        (lambda: object(), "object"),
        (lambda: (i for i in range(1)), "generator"),
        (lambda: int, "type"),
        (lambda: sys, "module"),
        (lambda: collections.defaultdict(functools.partial(list)), "partial"),
        (lambda: Data(print), "builtin_function_or_method"),
        (lambda: pd.DataFrame({"a": [print]}), "builtin_function_or_method"),
    ],
)
def test_a_value_without_a_form_is_refused_and_the_path_named(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(ConfigTypeError, match=rf"^config\['a'\]\[1\].*{what} is not supported"):
        to_plain({"a": [0, make()]}, "config")


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(ConfigValueError, match=r"value\[0\]\['a'\]: the value contains itself"):
        to_plain(make_circle())


def test_the_same_value_twice_is_no_circle() -> None:
    shared = [1]
    assert to_plain([shared, shared]) == [[1], [1]]


def test_nesting_is_allowed_to_100_levels() -> None:
    assert from_plain(to_plain(nest(100))) == nest(100)
    with pytest.raises(ConfigValueError, match="nested more than 100 deep"):
        to_plain(nest(101))


@pytest.mark.parametrize(
    "value", [{"k" * 257: 1}, "x" * 1_000_001, b"x" * 1_000_001, dict.fromkeys(map(str, range(100_001)))]
)
def test_values_over_a_limit_are_refused(value: Any) -> None:
    with pytest.raises(ConfigValueError, match="at most"):
        to_plain(value)


def test_values_at_a_limit_are_accepted() -> None:
    to_plain({"k" * 256: "x" * 1_000_000})


def test_attributes_beside_the_fields_count_but_cached_properties_do_not() -> None:
    one, other = Data(1), Data(1)
    other.__dict__["extra"] = 2
    assert to_plain(one) != to_plain(other)


def test_a_form_is_never_evaluated() -> None:
    hostile = {"$object": ["os.system", {"command": "exit 1"}]}
    assert from_plain(hostile) == {"command": "exit 1"}
    assert from_plain({"$unknown": "x"}) == {"$unknown": "x"}


def test_a_pydantic_model_counts_by_its_python_values() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", day=(dt.date, ...), n=(int, 1))
    plain = to_plain(model(day=dt.date(2020, 1, 1)))
    assert plain["$object"][1] == {"day": {"$date": "2020-01-01"}, "n": 1}


def test_a_pydantic_model_says_which_fields_were_not_given() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", a=(int, 1), password=(str, ""))
    assert to_plain(model(a=1, password=""))["$object"][1:] == [{"a": 1, "password": ""}]
    assert to_plain(model())["$object"][1:] == [{"a": 1, "password": ""}, {"$unset": ["a", "password"]}]
    assert from_plain(to_plain([model()])) == from_plain(to_plain([model(a=1)])) == [{"a": 1, "password": ""}]
    late = model(password="")
    late.a = 1
    assert to_plain(late) == to_plain(model(a=1, password=""))
    partial = model.model_construct(_fields_set={"password"})
    assert to_plain(partial)["$object"][2] == {"$unset": ["a"]}


def test_an_attrs_object_counts_by_its_fields_also_in_a_plain_subclass() -> None:
    attrs = pytest.importorskip("attrs")
    base = attrs.make_class("Base", ["x"])
    assert to_plain(base(1))["$object"][1] == {"x": 1}
    assert to_plain(type("Sub", (base,), {})(1))["$object"][1] == {"x": 1}
