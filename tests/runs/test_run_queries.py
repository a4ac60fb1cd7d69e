"""What code asks about earlier runs: by filter, as results, as lineage, and as sets of runs to compare."""

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import consist_es as consist
from consist_es import RunSet, Tracker, errors
from tests.support.api import made, run_script


def source(growth: float) -> Path:
    return made("pop", f"{growth}\n")


def double(pop: Path) -> Path:
    return made("trips", pop.read_text() * 2)


def model(tracker: Tracker, name: str, growth: float) -> None:
    """One scenario of two years and two iterations each."""
    with tracker.scenario(name, config={"growth": growth}) as sc:
        for year in (2020, 2030):
            pop = sc.run(source, year=year, config={"growth": growth + year}, facet={"policy": name}, outputs=["pop"])
            for iteration in (0, 1):
                sc.run(double, name="trips", year=year, iteration=iteration, inputs={"pop": pop}, outputs=["trips"])


@pytest.fixture
def asked(tracker: Tracker) -> Tracker:
    model(tracker, "base", 1.0)
    model(tracker, "high", 2.0)
    return tracker


# ---------------------------------------------------------------- one run

POOL = """\
from concurrent.futures import ProcessPoolExecutor
import consist_es as consist

def step(n):
    path = consist.output_path("o", "txt")
    path.write_text(str(n))
    return path

def work(n):
    with consist.Tracker(run_dir="runs") as tracker:
        return tracker.run(step, config={"n": n}, outputs=["o"])

if __name__ == "__main__":
    with ProcessPoolExecutor(1) as pool:
        results = list(pool.map(work, [1, 2]))
    assert [result.output.path.read_text() for result in results] == ["1", "2"]
    assert [result.run.config for result in results] == [{"n": 1}, {"n": 2}]
"""


def test_a_process_gives_back_the_result_of_its_step(here: Path) -> None:
    (here / "pool.py").write_text(POOL)
    run_script(here / "pool.py")


def test_a_run_out_of_a_pickle_is_the_same_and_says_whom_to_ask_why(asked: Tracker) -> None:
    for run in (*asked.find_runs(limit=3), asked.find_run(kind="scenario", name="base")):
        again = pickle.loads(pickle.dumps(run))
        assert again == run
        for _ in range(2):
            with pytest.raises(errors.StateError, match=rf"tracker\.get_run\('{run.key}'\)\.why\(\)"):
                again.why()
            again = pickle.loads(pickle.dumps(again))
    run = asked.find_runs(name="source")[0]
    assert asked.get_run(pickle.loads(pickle.dumps(run))) == run
    assert asked.find_run(run.key).why() == run.why()


def test_a_result_out_of_a_pickle_has_its_outputs(asked: Tracker) -> None:
    result = asked.get_run_result("base_source")
    again = pickle.loads(pickle.dumps(result))
    assert (again.run, again.outputs, again.cache_hit) == (result.run, result.outputs, result.cache_hit)
    assert again.output_path("pop").read_text() == result.output_path("pop").read_text()


def test_a_copy_of_a_run_can_still_say_why(asked: Tracker) -> None:
    run = asked.find_runs(name="source")[0]
    assert copy.copy(run).why() == copy.deepcopy(run).why() == run.why()


def test_find_runs_filters_and_gives_the_newest_first(asked: Tracker) -> None:
    assert [run.id for run in asked.find_runs(parent_id="base", name="source")] == ["base_source#2", "base_source"]
    assert {run.parent_run_id for run in asked.find_runs(year=2030, iteration=1)} == {"base", "high"}
    assert [run.id for run in asked.find_runs(facet={"policy": "high"}, year=2020)] == ["high_source"]
    assert len(asked.find_runs(model="trips")) == 8
    assert len(asked.find_runs(limit=3)) == 3
    assert asked.find_runs(status="failed") == []
    with pytest.raises(errors.OptionError, match="yaer"):
        asked.find_runs(yaer=2020)  # type: ignore[call-overload]


def test_of_a_run_that_is_not_there_the_nearest_names_are_said_and_else_the_newest_runs(asked: Tracker) -> None:
    for number in range(12):
        asked.run(source, run_id=f"r{number}", config={"growth": float(number)})
    with pytest.raises(errors.MissingKeyError) as near:
        asked.get_run_result("bsae_source")
    assert str(near.value).startswith("No run 'bsae_source'. Available: ")
    assert "'base_source'" in str(near.value)
    assert str(near.value).endswith("These are the nearest names.")
    with pytest.raises(errors.MissingKeyError) as far:
        asked.accept("xyzzy", as_run="base_source", reason="a test")
    assert "'r11'" in str(far.value)
    assert "base_source" not in str(far.value)
    assert str(far.value).endswith("These are the newest ones.")
    with pytest.raises(errors.MissingKeyError, match="'base_source'"):
        asked.get_run_result("base_source#9")


def test_find_runs_indexes_by_a_field_or_a_facet(asked: Tracker) -> None:
    by_year = asked.find_runs(name="source", parent_id="high", index_by="year")
    assert {year: run.id for year, run in by_year.items()} == {2020: "high_source", 2030: "high_source#2"}
    assert list(asked.find_runs(name="source", index_by=consist.index_by_facet("policy"))) == ["base", "high"]
    assert list(asked.find_runs(name="source", index_by=consist.index_by_field("model_name"))) == ["source"]


def test_find_run_gives_the_only_one_and_says_what_it_found_otherwise(asked: Tracker) -> None:
    assert asked.find_run(name="source", year=2020, parent_id="base").id == "base_source"
    assert asked.find_run("base_source").id == "base_source#2"
    assert asked.find_run(id="base_source#1").year == 2020
    with pytest.raises(errors.UsageError, match="found 4: high_source#2"):
        asked.find_run(name="source")
    with pytest.raises(errors.UsageError, match="found 0: none"):
        asked.find_run(name="nope")
    with pytest.raises(errors.MissingKeyError, match="'nope'"):
        asked.find_run("nope")


def test_find_latest_run_goes_by_iteration_then_by_age(asked: Tracker) -> None:
    assert asked.find_latest_run(parent_id="base", year=2030).iteration == 1
    assert asked.find_latest_run(name="source").id == "high_source#2"
    assert asked.get_latest_run_id(name="source", parent_id="base") == "base_source#2"
    with pytest.raises(errors.UsageError, match="no run matches"):
        asked.find_latest_run(name="nope")


def test_an_unknown_run_is_none_to_get_run_and_an_error_to_those_that_need_it(asked: Tracker) -> None:
    assert asked.get_run("nope") is None
    for ask in (asked.get_run_outputs, asked.get_run_inputs, asked.get_run_config, asked.get_run_result):
        with pytest.raises(errors.MissingKeyError, match="'nope'"):
            ask("nope")


def test_a_run_gives_its_config_outputs_and_inputs(asked: Tracker) -> None:
    assert asked.get_run_config("base_source#1") == {"growth": 2021.0}
    trips = asked.get_run("base_trips")
    assert trips is not None
    assert list(asked.get_run_inputs(trips.id)) == ["pop"]
    assert list(asked.get_run_outputs(trips.id)) == ["trips"]
    assert asked.get_run_inputs(trips.id)["pop"].run_id == "base_source#2"
    assert asked.diff_runs("base_source#1", "high_source#1") == {"growth": (2021.0, 2022.0)}


def test_a_scenario_has_the_outputs_and_the_list_of_its_steps(asked: Tracker) -> None:
    header = asked.get_run("base")
    assert header is not None
    assert set(asked.get_run_outputs("base")) == {"pop", "trips"}
    assert [(step["id"], step["status"]) for step in header.meta["steps"]][:2] == [
        ("base_source", "completed"),
        ("base_trips", "completed"),
    ]
    assert len(header.meta["steps"]) == 6


# ---------------------------------------------------------------- results and artifacts


def test_get_run_result_strict_requires_the_files(asked: Tracker) -> None:
    result = asked.get_run_result("base_source#1")
    assert list(result.outputs) == ["pop"]
    asked.get_run_result("base_source#1", validate="strict")
    result.output_path("pop").unlink()
    assert asked.get_run_result("base_source#1").outputs == result.outputs
    with pytest.raises(errors.ArtifactMissingError, match="'pop' of run 'base_source#1'"):
        asked.get_run_result("base_source#1", validate="strict")
    with pytest.raises(errors.OptionError, match="'lazy', 'strict', 'none'"):
        asked.get_run_result("base_source#1", validate="eager")


def test_get_artifact_goes_by_id_by_key_and_by_run(asked: Tracker) -> None:
    newest = asked.get_artifact("pop")
    first = asked.get_artifact("pop", run_id="base_source#1")
    assert newest is not None
    assert first is not None
    assert (newest.run_id, first.run_id) == ("high_source#2", "base_source")
    assert asked.get_artifact(first.id) == first
    assert asked.get_artifact("nope") is None
    assert asked.get_run_artifact("base_source#1") == first
    with pytest.raises(errors.MissingKeyError, match=r"'typo'\. Available: 'pop'"):
        asked.get_run_artifact("base_source#1", "typo")


def test_the_module_asks_the_current_tracker_or_the_one_that_it_is_given(asked: Tracker) -> None:
    with pytest.raises(errors.NoTrackerError):
        consist.find_runs()
    assert len(consist.find_runs(tracker=asked, name="source")) == 4
    with consist.use_tracker(asked):
        assert consist.find_run("base_source#1").year == 2020
        assert consist.find_latest_run(name="source").id == "high_source#2"
        assert list(consist.get_run_result("base_source#1", keys=["pop"]).outputs) == ["pop"]
        assert consist.get_artifact("base_source#1", "pop").run_id == "base_source"
        assert len(consist.run_set(name="source")) == 4


# ---------------------------------------------------------------- lineage


def test_lineage_leads_up_to_the_sources_and_down_to_what_was_made(asked: Tracker) -> None:
    trips = asked.get_run_artifact("base_trips", "trips")
    up = asked.get_artifact_lineage(trips)
    (made_by,) = up["runs"]
    assert (made_by["run"].id, list(made_by["inputs"])) == ("base_trips#4", ["pop"])
    pop = made_by["inputs"]["pop"]
    assert [run["run"].id for run in pop["runs"]] == ["base_source#2"]
    down = asked.get_artifact_descendants(pop["artifact"])
    assert {run["run"].id for run in down["runs"]} == {"base_trips#3", "base_trips#4"}
    assert asked.get_artifact_lineage(trips, max_depth=1)["runs"][0]["inputs"]["pop"]["runs"] == []
    with pytest.raises(errors.MissingKeyError, match="'nope'"):
        asked.get_artifact_lineage("nope")


def test_lineage_is_printed_as_a_tree(asked: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    asked.print_lineage(asked.get_run_artifact("base_trips", "trips"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["trips", "made", "pop", "made"]


# ---------------------------------------------------------------- sets of runs


def test_a_run_set_is_indexed_filtered_and_split(asked: Tracker) -> None:
    runs = asked.run_set("sources", name="source")
    assert (len(runs), runs[0].id, runs.label) == (4, "high_source#2", "sources")
    assert [run.id for run in runs.filter(year=2020, policy="base")] == ["base_source"]
    split = runs.split_by("policy")
    assert {value: len(part) for value, part in split.items()} == {"high": 2, "base": 2}
    assert [run.id for run in runs.latest()] == ["high_source#2"]
    assert {run.id for run in runs.latest(group_by="policy")} == {"high_source#2", "base_source#2"}
    assert list(RunSet.from_runs(list(runs))) == list(runs)
    with pytest.raises(errors.UsageError, match="no field or facet"):
        asked.run_set(name="trips").filter(nope=1)


@pytest.mark.parametrize(
    ("facet", "name", "value"),
    [
        ({"limit": math.inf}, "limit", math.inf),
        ({"bounds": (1, 2)}, "bounds", (1, 2)),
        ({"$zone": 3}, "$zone", 3),
        ({"in": {"a.b": b"x"}}, "in.a\\.b", b"x"),
    ],
)
def test_a_run_set_groups_by_facets_that_json_cannot_say(
    tracker: Tracker, facet: dict[str, Any], name: str, value: Any
) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: None, name="step", facet=facet)
    runs = tracker.run_set(name="step")
    assert list(runs.split_by(name)) == [value]
    assert name in runs.to_table(facets=[name]).column_names


def test_a_run_set_is_an_arrow_table_of_fields_and_facets(asked: Tracker) -> None:
    table = asked.run_set(name="source").to_table(facets=["policy"])
    assert isinstance(table, pa.Table)
    assert table.select(["id", "year", "policy"]).to_pylist()[0] == {
        "id": "high_source#2",
        "year": 2030,
        "policy": "high",
    }
    assert asked.run_set(name="nope").to_table().num_rows == 0


def test_two_sets_are_aligned_by_a_field_and_compared(asked: Tracker) -> None:
    runs = asked.run_set(name="source")
    base, high = runs.filter(policy="base"), runs.filter(policy="high")
    pair = base.align(high, on="year")
    assert [(year, left.id, right.id) for year, left, right in pair.pairs()] == [
        (2030, "base_source#2", "high_source#2"),
        (2020, "base_source", "high_source"),
    ]
    assert pair.config_diffs()[2020] == {"growth": (2021.0, 2022.0)}
    assert pair.apply(lambda left, right, year: year) == [2030, 2020]
    with pytest.raises(errors.UsageError, match=r"stands for both.*latest"):
        runs.align(high, on="year")


def test_a_run_set_and_a_pair_are_data_frames_where_pandas_is(asked: Tracker) -> None:
    pandas: Any = pytest.importorskip("pandas")
    runs = asked.run_set(name="source")
    assert list(runs.to_frame(facets="policy")["policy"]) == ["high", "high", "base", "base"]
    pair = runs.filter(policy="base").align(runs.filter(policy="high"), on="year")
    assert list(pair.to_frame()["on"]) == ["2030", "2020"]
    stacked = pair.apply(lambda left, right, year: pandas.DataFrame({"year": [year]}))
    assert list(stacked["year"]) == [2030, 2020]


def test_a_run_stands_for_itself_and_its_id_for_the_latest_attempt(tracker: Tracker) -> None:
    def step(n: int) -> Path:
        out = consist.output_path("o", "txt")
        out.write_text(str(n))
        return out

    first, second = (tracker.run(step, config={"n": n}, outputs=["o"]).run for n in (1, 2))
    assert (first.id, second.id) == ("step", "step#2")
    assert tracker.get_run_outputs(first)["o"].path.read_text() == "1"
    assert tracker.get_run_outputs(first.id)["o"].path.read_text() == "2"
    assert tracker.get_run(first) == first
    assert tracker.get_run_result(second).run == second
    assert tracker.get_run_config(first) == {"n": 1}


@pytest.mark.parametrize(
    ("limit", "kind"), [("-1", errors.UsageTypeError), (True, errors.UsageTypeError), (-1, errors.UsageError)]
)
def test_a_limit_is_a_number_of_things(asked: Tracker, limit: Any, kind: type[Exception]) -> None:
    for find in (asked.find_runs, asked.find_artifacts):
        with pytest.raises(kind, match="limit"):
            find(limit=limit)
        assert find(limit=0) == []
        assert len(find(limit=None)) > 1
