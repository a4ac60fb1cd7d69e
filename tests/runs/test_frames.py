"""A set of runs as a table: one schema for every set, read by pyarrow, polars, pandas and duckdb as it is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es import RunSet, Tracker, errors
from consist_es.runs.run import Run
from tests.support.api import NONE, made


def step() -> Path:
    return made("o", "x\n")


def fails() -> None:
    raise ValueError("no zone 7")


@pytest.fixture
def mixed(tracker: Tracker) -> RunSet:
    """Runs of all kinds: headers, hits, misses, a failure, with and without years, configs and facets."""
    for growth in (1.0, 2.0, 2.0):
        with tracker.scenario("base", config={"growth": growth}) as sc:
            sc.run(
                step,
                year=2030,
                iteration=1,
                config={"growth": growth, "bounds": (1, 2)},
                facet={"policy": {"price": growth}, "name": "toll"},
                tags=["a", "b"],
                outputs=["o"],
                execution_options=NONE,
            )
            with sc.trace("block"):
                pass
    with pytest.raises(ValueError, match="zone"):
        tracker.run(fails, name="bad", execution_options=NONE)
    return tracker.run_set("all")


def test_a_set_is_iterable_sized_and_indexable_and_no_sequence(mixed: RunSet) -> None:
    assert not isinstance(mixed, Sequence)
    assert [run.id for run in mixed] == [mixed[number].id for number in range(len(mixed))]
    assert mixed[-1] in mixed
    part = mixed[1:3]
    assert isinstance(part, RunSet)
    assert (list(part), part.label) == (list(mixed)[1:3], "all")


def test_an_empty_a_small_and_a_mixed_set_have_one_schema(tracker: Tracker, mixed: RunSet) -> None:
    sets = [RunSet(()), tracker.run_set(name="nope"), mixed[:1], mixed[-1:], mixed.filter(status="failed"), mixed]
    assert len({pa.table(runs).schema for runs in sets}) == 1
    assert [pa.table(runs).num_rows for runs in sets] == [len(runs) for runs in sets] == [0, 0, 1, 1, 1, len(mixed)]


texts = st.text(st.characters(exclude_categories=()), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
runs_of_any_kind = st.builds(
    Run,
    id=texts,
    key=texts,
    run_id=texts,
    attempt=st.integers(1, 9),
    kind=st.sampled_from(["run", "trace", "scenario"]),
    name=texts,
    model_name=texts,
    status=st.sampled_from(["running", "completed", "failed", "interrupted", "abandoned"]),
    parent_run_id=st.none() | texts,
    year=st.none() | st.integers(-(2**63), 2**63 - 1),
    iteration=st.none() | st.integers(0, 9),
    phase=st.none() | texts,
    tags=st.lists(texts, max_size=3),
    config=plain | st.just(object()) | st.just({"x": {1, 2}}),
    facet=st.none() | st.dictionaries(st.text(max_size=5), st.booleans() | st.text(max_size=5), max_size=3),
    started_at=st.none() | st.datetimes(timezones=st.timezones()),
    duration_seconds=st.none() | st.floats(0, 1e9),
)


@given(st.lists(runs_of_any_kind, max_size=5))
def test_whatever_runs_are_in_it_a_table_has_the_schema_and_a_row_of_each(runs: list[Run]) -> None:
    table = pa.table(RunSet(tuple(runs)))
    assert table.schema == pa.table(RunSet(())).schema
    assert table.num_rows == len(runs)
    assert table.column("year").to_pylist() == [run.year for run in runs]
    for text in table.column("config").to_pylist():
        assert text is None or json.loads(text) is not ...


def test_a_row_tells_scenario_outcome_reason_and_source_and_has_json_text(mixed: RunSet) -> None:
    rows = {row["id"]: row for row in mixed.to_table().to_pylist()}
    first, second, third = (rows[name] for name in ("base_step", "base_step#2", "base_step#3"))
    assert [row["scenario"] for row in (first, second, third)] == ["base", "base#2", "base#3"]
    assert [row["outcome"] for row in (first, second, third)] == ["computed", "computed", "hit"]
    assert (second["reason"], second["source"]) == ("config_changed", "base_step")
    assert (third["reason"], third["source"]) == (None, "base_step#2")
    assert json.loads(first["config"]) == {"growth": 1.0, "bounds": {"$tuple": [1, 2]}}
    assert json.loads(first["facet"]) == {"policy": {"price": 1.0}, "name": "toll"}
    assert first["tags"] == ["a", "b"]
    assert (rows["base"]["kind"], rows["base"]["scenario"]) == ("scenario", None)
    assert (rows["bad"]["outcome"], rows["bad"]["scenario"], rows["bad"]["year"]) == ("failed", None, None)
    assert rows["base_block"]["kind"] == "trace"


def test_a_step_belongs_to_the_innermost_scenario_and_a_header_to_none(tracker: Tracker) -> None:
    with tracker.scenario("outer"), tracker.scenario("inner") as sc:
        sc.run(step, outputs=["o"], execution_options=NONE)
    found = {run.name: (run.scenario, run.parent_run_id) for run in tracker.run_set()}
    assert found == {"step": ("inner", "inner"), "inner": (None, "outer"), "outer": (None, None)}


def test_what_a_user_logs_as_metadata_is_not_taken_for_the_outcome(tracker: Tracker) -> None:
    with tracker.trace("block"):
        tracker.log_meta(cache_hit=True, cache_source="x")
    run = tracker.find_run("block")
    assert run.outcome == "computed"
    assert RunSet((run,)).to_table().column("source").to_pylist() == [None]


def test_facets_are_columns_on_request_with_their_own_type(mixed: RunSet) -> None:
    steps = mixed.filter(name="step")
    table = steps.to_table(facets=["policy.price", "facet.name"])
    assert table.column("policy.price").to_pylist() == [2.0, 2.0, 1.0]
    assert table.column("facet.name").to_pylist() == ["toll"] * 3  # `name` is a column already
    assert table.schema.field("policy.price").type == pa.float64()
    assert mixed.to_table(facets="policy.price").column("policy.price").null_count == len(mixed) - 3
    assert RunSet(()).to_table(facets=["x"]).column("x").to_pylist() == []
    with pytest.raises(errors.UsageError, match=r"no.*facet 'policy\.prise'\. Did you mean 'policy\.price'"):
        steps.to_table(facets=["policy.prise"])
    with pytest.raises(errors.UsageTypeError, match="facets"):
        steps.to_table(facets=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([True, False], pa.bool_()),
        ([True, 1], pa.string()),
        ([1, "a"], pa.string()),
        ([[1], [2]], pa.string()),
        ([2**60, 1.5], pa.string()),
        ([2**60, 1], pa.int64()),
        ([-(2**63), 1], pa.int64()),
    ],
)
def test_values_of_several_types_become_text_and_none_is_lost(
    tracker: Tracker, values: list[Any], expected: pa.DataType
) -> None:
    for value in values:
        tracker.run(step, facet={"v": value}, outputs=["o"], execution_options=NONE)
    column = tracker.run_set(name="step").to_table(facets=["v"]).column("v")
    assert column.type == expected
    given = [str(value) for value in values] if expected == pa.string() else values
    assert sorted(column.to_pylist()) == sorted(given)


# ---------------------------------------------------------------- other libraries


def test_pyarrow_reads_a_set_of_runs(mixed: RunSet) -> None:
    assert pa.table(mixed).equals(mixed.to_table())


def test_polars_reads_a_set_of_runs(mixed: RunSet) -> None:
    pl: Any = pytest.importorskip("polars", reason="polars is not installed")
    assert pl.DataFrame(mixed).columns == mixed.to_table().column_names
    assert pl.DataFrame(mixed).height == len(mixed)
    assert pl.DataFrame(RunSet(())).schema == pl.DataFrame(mixed).schema
    assert pl.DataFrame(mixed).filter(pl.col("outcome") == "failed")["id"].to_list() == ["bad"]


def test_pandas_reads_a_set_of_runs(mixed: RunSet) -> None:
    pd: Any = pytest.importorskip("pandas", reason="pandas is not installed")
    if not hasattr(pd.DataFrame, "from_arrow"):
        pytest.skip("this pandas has no DataFrame.from_arrow: to_frame() is for it")
    frame = pd.DataFrame.from_arrow(mixed)
    assert list(frame["id"]) == list(mixed.to_frame()["id"]) == [run.id for run in mixed]
    assert list(pd.DataFrame.from_arrow(RunSet(())).columns) == list(frame.columns)


def test_duckdb_asks_a_set_of_runs_in_sql(mixed: RunSet) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="duckdb is not installed")
    found = duckdb.sql(
        "SELECT scenario, config->>'growth' FROM mixed WHERE outcome = 'hit' AND kind = 'run'"
    ).fetchall()
    assert found == [("base#3", "2.0")]


# ---------------------------------------------------------------- sets


def test_sets_are_filtered_by_outcome_and_scenario_unless_a_facet_has_the_name(tracker: Tracker, mixed: RunSet) -> None:
    assert [run.id for run in mixed.filter(outcome="hit", kind="run")] == ["base_step#3"]
    assert len(mixed.filter(scenario="base")) == 2
    tracker.run(step, name="own", facet={"scenario": "mine"}, outputs=["o"], execution_options=NONE)
    assert [run.id for run in tracker.run_set().filter(scenario="mine")] == ["own"]


def test_differences_of_configs_below_a_namespace(mixed: RunSet) -> None:
    first, second = mixed.filter(id="base_step"), mixed.filter(id="base_step#2")
    pair = first.align(second, on="year")
    assert pair.config_diffs() == pair.config_diffs(namespace="growth") == {2030: {"growth": (1.0, 2.0)}}
    assert pair.config_diffs(namespace="grow") == {2030: {}}
