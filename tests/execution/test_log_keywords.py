"""What the logging calls take: keywords that do nothing are refused, tables are written as their suffix says, and
metadata is read back as values."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import RunContext, Tracker, errors
from tests.support.api import made

FOREIGN = [
    "file_schema_sample_rows",
    "reuse_if_unchanged",
    "reuse_scope",
    "strict_schema",
]
NEAR = {"drvier": "driver", "drive": "driver", "facets": "facet", "tabel_path": "table_path", "arraypath": "array_path"}
NEAR |= {
    "shema": "schema",
    "metaa": "meta",
    "contenthash": "content_hash",
    "facet_schemaversion": "facet_schema_version",
}

CALLS: dict[str, Callable[..., Any]] = {
    "log_artifact": lambda **more: consist.log_artifact(made(), "o", **more),
    "log_output": lambda **more: consist.log_output(made(), "o", **more),
    "log_input": lambda **more: consist.log_input(made(), "o", **more),
    "log_artifacts": lambda **more: consist.log_artifacts({"o": made()}, **more)["o"],
}


def inside(tracker: Tracker, call: Callable[[], Any]) -> Any:
    """What a call gives inside a step."""
    found: list[Any] = []

    def step() -> None:
        found.append(call())

    with consist.use_tracker(tracker), tracker.trace("step"):
        step()
    return found[0]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", FOREIGN)
def test_keywords_that_mean_something_elsewhere_and_nothing_here_are_refused(
    tracker: Tracker, call: str, name: str
) -> None:
    with pytest.raises(errors.UsageTypeError, match=rf"'{name}' does nothing here.*meta=\{{'{name}': …\}}"):
        inside(tracker, lambda: CALLS[call](**{name: True}))
    assert inside(tracker, lambda: CALLS[call](**{name: None})).meta == {}  # asks for what is done anyway


@pytest.mark.parametrize(("name", "meant"), NEAR.items())
@pytest.mark.parametrize("call", CALLS)
def test_near_misses_of_parameters_are_refused(tracker: Tracker, call: str, name: str, meant: str) -> None:
    with pytest.raises(errors.UsageTypeError, match=rf"Is '{meant}' meant\? .*meta=\{{'{name}': …\}}"):
        inside(tracker, lambda: CALLS[call](**{name: "x"}))


@pytest.mark.parametrize("call", CALLS)
def test_all_of_them_are_taken_as_meta_and_other_keywords_stay_free(tracker: Tracker, call: str) -> None:
    meta = dict.fromkeys([*FOREIGN, *NEAR], 1)
    artifact = inside(tracker, lambda: CALLS[call](meta=meta, unit="trips", year=2030, source="survey", note=None))
    assert artifact.meta == {**meta, "unit": "trips", "year": 2030, "source": "survey", "note": None}


def test_metadata_by_key_is_free_too(tracker: Tracker) -> None:
    by_key = {"o": {"enabled": True, "unit": "trips"}}
    call = CALLS["log_artifacts"]
    artifact = inside(tracker, lambda: call(metadata_by_key=by_key, unit="all", source="survey"))
    assert artifact.meta == {"enabled": True, "unit": "trips", "source": "survey"}


def test_the_context_and_the_scenario_refuse_them_as_well(tracker: Tracker, here: Path) -> None:
    (here / "in.csv").write_text("a\n")

    def step(ctx: RunContext) -> None:
        ctx.log_output(made(), "o", drvier="csv")

    options = consist.ExecutionOptions(inject_context=True)
    with pytest.raises(errors.UsageTypeError, match="driver"):
        tracker.run(step, execution_options=options)
    with tracker.scenario("s") as sc, pytest.raises(errors.UsageTypeError, match="reuse_scope"):
        sc.add_input("in.csv", "raw", reuse_scope="x")


def test_meta_is_a_mapping(tracker: Tracker) -> None:
    with pytest.raises(errors.UsageTypeError, match="meta takes a mapping"):
        inside(tracker, lambda: consist.log_output(made(), "o", meta=3))  # type: ignore[arg-type]


# ---------------------------------------------------------------- tables

SUFFIXES = {
    "x.parquet": "parquet",
    "x.csv": "csv",
    "x.CSV": "csv",
    "x.csv.gz": "csv",
    "x.json": "json",
    "x.json.gz": "json",
    "x.arrow": "arrow",
    "x.feather": "feather",
}


@pytest.mark.parametrize(("name", "driver"), SUFFIXES.items())
def test_a_table_is_written_as_its_suffix_says(tracker: Tracker, here: Path, name: str, driver: str) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    options: dict[str, Any] = {"index": False} if driver == "csv" else {}
    artifact = inside(tracker, lambda: consist.log_dataframe(frame, "t", path=here / name, **options))
    assert (artifact.driver, artifact.path) == (driver, here / name)
    assert consist.load_df(artifact).equals(frame)


@pytest.mark.parametrize("driver", ["parquet", "csv", "json", "arrow", "feather"])
def test_a_named_format_gives_the_suffix(tracker: Tracker, driver: str) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2]})
    options: dict[str, Any] = {"index": False} if driver == "csv" else {}
    artifact = inside(tracker, lambda: consist.log_dataframe(frame, "t", driver=driver, **options))
    assert (artifact.driver, artifact.path.suffix) == (driver, f".{driver}")
    assert consist.load_df(artifact).equals(frame)


@pytest.mark.parametrize("name", ["x.xlsx", "x", "x.parquet.gz", "x.csv.zst.bak", "x.h5", ".csvx"])
def test_a_suffix_that_nothing_writes_is_refused_with_those_that_are(tracker: Tracker, here: Path, name: str) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1]})
    with pytest.raises(errors.UsageError, match=r"\.parquet, \.csv, \.csv\.gz, .*driver='parquet'"):
        inside(tracker, lambda: consist.log_dataframe(frame, "t", path=here / name))
    assert not (here / name).exists()


def test_a_named_format_wins_over_the_suffix(tracker: Tracker, here: Path) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1]})
    artifact = inside(
        tracker, lambda: consist.log_dataframe(frame, "t", path=here / "x.txt", driver="csv", index=False)
    )
    assert artifact.driver == "csv"
    assert consist.load_df(artifact).equals(frame)


def test_what_a_format_or_its_method_does_not_take_is_an_error_of_ours(tracker: Tracker, here: Path) -> None:
    pandas: Any = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1]}, index=["x"])
    wrong = [
        {"driver": "csv", "drvier": 1},
        {"driver": "json", "orient": "no"},
        {"driver": "parquet", "compression": "no"},
    ]
    for given in wrong:
        with pytest.raises(errors.UsageError, match="cannot be written as"):
            inside(tracker, lambda given=given: consist.log_dataframe(frame, "t", **given))  # type: ignore[misc]
    with pytest.raises(errors.UsageTypeError, match="profile_file_schema"):
        inside(tracker, lambda: consist.log_dataframe(frame, "t", profile_file_schema=True))


# ---------------------------------------------------------------- values and times


def test_numpy_metadata_is_read_back_as_values(tracker: Tracker) -> None:
    np: Any = pytest.importorskip("numpy")
    given = {
        "i": (np.int64(5), 5),
        "u": (np.uint64(2**64 - 1), 2**64 - 1),
        "f": (np.float32(1.5), 1.5),
        "b": (np.bool_(True), True),
        "s": (np.str_("é"), "é"),
        "c": (np.complex128(1 + 2j), 1 + 2j),
        "day": (np.datetime64("2020-02-03"), dt.date(2020, 2, 3)),
        "month": (np.datetime64("2020-02"), dt.date(2020, 2, 1)),
        "before": (np.datetime64("1969-12"), dt.date(1969, 12, 1)),
        "moment": (np.datetime64("2020-02-03T04:05:06.789"), dt.datetime(2020, 2, 3, 4, 5, 6, 789000)),  # noqa: DTZ001
        "ns": (np.datetime64("2020-02-03T04:05:06.789", "ns"), dt.datetime(2020, 2, 3, 4, 5, 6, 789000)),  # noqa: DTZ001
        "nat": (np.datetime64("NaT"), None),
        "span": (np.timedelta64(90, "m"), dt.timedelta(minutes=90)),
        "a": (np.array([1, 2, 3]), [1, 2, 3]),
        "aa": (np.array([[1.5, 2.0], [3.0, 4.0]]), [[1.5, 2.0], [3.0, 4.0]]),
        "zero": (np.array(5), 5),
        "texts": (np.array(["a", "b"]), ["a", "b"]),
        "days": (np.array(["2020-02-03"], dtype="M8[D]"), [dt.date(2020, 2, 3)]),
        "large": (np.arange(1000.0), np.arange(1000.0).tolist()),
        "deep": ({"x": [np.int8(1), {"y": np.arange(100)}]}, {"x": [1, {"y": list(range(100))}]}),
        "$odd": (1, 1),
        "tuple": ((1, np.int8(2)), (1, 2)),
    }

    def step() -> Path:
        consist.log_meta(**{name: value for name, (value, _) in given.items()})
        path = made("o")
        consist.log_output(path, "p", meta={name: value for name, (value, _) in given.items()})
        return path

    run = tracker.run(step, outputs=["o"]).run
    wanted = {name: value for name, (_, value) in given.items()}
    found = tracker.get_run(run.id)
    assert found is not None
    assert {name: found.meta[name] for name in wanted} == wanted
    assert {name: type(found.meta[name]) for name in wanted} == {name: type(value) for name, value in wanted.items()}
    assert dict(tracker.get_run_outputs(run.id)["p"].meta) == wanted


def test_times_are_there_at_once(tracker: Tracker, here: Path) -> None:
    seen: list[Any] = []
    (here / "in.csv").write_text("a\n1\n")

    def step(table: Path) -> Path:
        seen.append(consist.current_run())
        path = made("o")
        seen.append(consist.log_output(path, "p"))
        return path

    before = dt.datetime.now(dt.UTC)
    result = tracker.run(step, inputs={"table": "in.csv"}, outputs=["o"])
    after = dt.datetime.now(dt.UTC)
    for thing in (*seen, result.run, result.outputs["o"]):
        assert before <= thing.created_at <= after
    artifact = result.outputs["o"]
    assert artifact.created_at_iso == artifact.created_at.isoformat()  # type: ignore[union-attr]
    recorded = tracker.get_run_outputs(result.run.id)["o"]
    assert recorded.created_at is not None
    assert abs(recorded.created_at - artifact.created_at) < dt.timedelta(seconds=60)  # type: ignore[operator]
    with tracker.scenario("s") as sc:
        assert sc.add_input("in.csv", "raw").created_at is not None
