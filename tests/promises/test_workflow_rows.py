"""Rows of docs/workflow-api.md that no other file tests: epochs, output sets, step definitions, logging helpers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import (
    CacheOptions,
    ConsistWarning,
    EnumCapture,
    ExecutionOptions,
    FilenamePattern,
    IntCapture,
    OutputArtifactSpec,
    OutputPolicyOptions,
    OutputSet,
    RunContext,
    ScenarioContext,
    StepContext,
    Tracker,
    errors,
)
from consist_es.events import HitDemoted, StepStarted
from tests.support.api import made


def step() -> Path:
    return made()


def events(tracker: Tracker, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, kind)]


# ---------------------------------------------------------------- epochs and versions


def traced(sc: ScenarioContext, **options: Any) -> bool:
    with sc.trace("t", **options) as t:
        hit: bool = t.is_cached
        t.log_meta(a=1)
    return hit


@pytest.mark.parametrize("kind", ["run", "trace"])
def test_a_steps_epoch_wins_over_the_scenarios_and_that_over_the_trackers(here: Path, kind: str) -> None:
    def hit(tracker_epoch: int, scenario_epoch: int | None, step_epoch: int | None) -> bool:
        with (
            Tracker(run_dir="runs", db_path="p.db", cache_epoch=tracker_epoch) as tracker,
            tracker.scenario("s", cache_epoch=scenario_epoch) as sc,
        ):
            if kind == "trace":
                return traced(sc, cache_epoch=step_epoch)
            return sc.run(step, cache_options=CacheOptions(cache_epoch=step_epoch)).cache_hit

    assert not hit(5, None, None)
    assert hit(5, None, None)
    assert hit(1, 5, None)
    assert hit(1, 2, 5)
    assert not hit(5, 6, None)
    assert not hit(5, 5, 7)


def test_another_cache_version_is_another_step_of_run_and_trace(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        versions = [None, 1, 2, 1]
        assert [sc.run(step, cache_options=CacheOptions(cache_version=v)).cache_hit for v in versions] == [
            False,
            False,
            False,
            True,
        ]
        assert [traced(sc, cache_version=version) for version in versions] == [False, False, False, True]


# ---------------------------------------------------------------- traces


def test_a_demoted_hit_is_an_event_and_the_run_computed_its_outputs_itself(tracker: Tracker, here: Path) -> None:
    tracker = Tracker(tracker.run_dir, tracker.db_path, observe="off")  # else the file that it reads would count
    (here / "text").write_text("1")

    def once() -> None:
        with tracker.trace("t") as t:
            path = consist.output_path("o", "txt")
            path.write_text(Path("text").read_text())
            t.log_output(path, "o")

    once()
    (here / "text").write_text("2")
    with pytest.warns(ConsistWarning, match="no longer counts"):
        once()
    (event,) = events(tracker, HitDemoted)
    assert (event.key, event.reason) == ("o", "the block made another file")
    run = tracker.get_run("t")
    assert run is not None
    assert tracker.get_run_artifact(run.id, "o").run_id == run.id == "t#2"


def test_cached_artifacts_gives_the_outputs_and_the_inputs_of_a_hit(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    seen: list[Any] = []

    def traced() -> None:
        with tracker.trace("t", inputs={"x": "x.txt"}, outputs=["o"]) as t:
            seen.append((t.is_cached, t.cached_artifacts(), consist.cached_artifacts(), t.cached_artifacts("input")))
            if not t.is_cached:
                path = consist.output_path("o", "txt")
                path.write_text("o")
                t.log_output(path, "o")
            else:
                seen.append((consist.cached_output("o"), t.cached_output(), t.cached_output("nope")))
                with pytest.raises(errors.OptionError, match="'input', 'output'"):
                    consist.cached_artifacts("sideways")

    traced()
    traced()
    (first, *nothing), (hit, outputs, same, inputs), named = seen
    assert (first, nothing) == (False, [{}, {}, {}])
    assert (hit, list(outputs), same, list(inputs)) == (True, ["o"], outputs, ["x"])
    assert named == (outputs["o"], outputs["o"], None)


# ---------------------------------------------------------------- output sets

SKIMS = OutputSet(
    "skims",
    FilenamePattern("skim_{year}_{mode}.csv", {"year": IntCapture(4), "mode": EnumCapture(["car", "bus"])}),
    partition_key="mode",
    expected_count=lambda config: config["modes"],
    facet={"unit": "minutes"},
)


def skims(modes: int, ctx: RunContext) -> None:
    folder = ctx.output_dir("skims")
    for mode in ("car", "bus")[:modes]:
        (folder / f"skim_2030_{mode}.csv").write_text(f"a\n{mode}\n")
    (folder / "log.txt").write_text("not a member")


def run_skims(tracker: Tracker, modes: int = 2, spec: OutputSet = SKIMS) -> consist.RunResult:
    inject = ExecutionOptions(inject_context=True)
    return tracker.run(skims, config={"modes": modes}, output_sets={"skims": spec}, execution_options=inject)


def test_an_output_set_is_one_output_whose_members_know_what_their_names_say(tracker: Tracker) -> None:
    for hit in (False, True):
        result = run_skims(tracker)
        assert (result.cache_hit, list(result.outputs)) == (hit, ["skims"])
        parent = result.outputs["skims"]
        assert (parent.driver, parent.kind, parent.meta["count"], parent.facet) == (
            "artifact_set",
            "folder",
            2,
            {"unit": "minutes"},
        )
        assert parent.meta["members"] == {
            "skim_2030_bus.csv": {"year": 2030, "mode": "bus"},
            "skim_2030_car.csv": {"year": 2030, "mode": "car"},
        }
    members = [item for key, item in tracker.get_run_outputs("skims#1").items() if key != "skims"]
    assert [item.facet for item in members] == [{"year": 2030, "mode": "bus"}, {"year": 2030, "mode": "car"}]
    assert {item.parent_artifact_id for item in members} == {parent.id}
    assert [item.as_path().read_text() for item in members] == ["a\nbus\n", "a\ncar\n"]


def test_an_output_set_whose_member_changed_is_no_hit(tracker: Tracker) -> None:
    folder = run_skims(tracker).output_path("skims")
    (folder / "skim_2030_car.csv").write_text("tampered")
    assert not run_skims(tracker).cache_hit


CAPTURE = FilenamePattern("skim_{year}_{mode}.csv", {"year": IntCapture()})


@pytest.mark.parametrize(
    "spec",
    [
        OutputSet("skims", CAPTURE),
        OutputSet("skims", "*.csv"),
        OutputSet("skims", SKIMS.include, partition_key="mode", expected_count=2),
        OutputSet("skims", SKIMS.include, expected_members=["skim_2030_bus.csv", "skim_2030_car.csv"]),
    ],
)
def test_a_set_declared_otherwise_is_another_step(tracker: Tracker, spec: OutputSet) -> None:
    run_skims(tracker, spec=OutputSet("skims", SKIMS.include))
    again = run_skims(tracker, spec=spec)
    assert (again.cache_hit, again.outputs["skims"].meta["count"]) == (False, 2)


def test_a_run_that_was_not_held_against_an_expectation_does_not_answer_for_one_that_is(tracker: Tracker) -> None:
    run_skims(tracker, spec=OutputSet("skims", "*.csv"))
    with pytest.raises(errors.OutputSetError, match="2 members, but 3 were expected"):
        run_skims(tracker, spec=OutputSet("skims", "*.csv", expected_count=3))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (OutputSet("skims", "*.csv", expected_count=3), "has 2 members, but 3 were expected"),
        (OutputSet("skims", "*.csv", expected_members=["a.csv"]), r"missing members \['a\.csv'\]"),
        (OutputSet("nowhere", "*.csv"), "does not exist"),
        (
            OutputSet("skims", FilenamePattern("skim_{year}_{m}.csv"), partition_key="year"),
            "does not tell members apart",
        ),
        (OutputSet("../elsewhere", "*.csv"), "leaves"),
    ],
)
def test_an_output_set_that_is_not_as_declared_fails_the_step(tracker: Tracker, spec: OutputSet, said: str) -> None:
    with pytest.raises(errors.UsageError, match=said):
        run_skims(tracker, spec=spec)
    assert [run.status for run in tracker.find_runs()] == ([] if said == "leaves" else ["failed"])


def test_patterns_globs_and_exclusions_say_what_is_a_member(tracker: Tracker, here: Path) -> None:
    pattern = FilenamePattern("{zone}-{n}.csv", {"n": IntCapture(2)})
    assert pattern.match("a-07.csv") == {"zone": "a", "n": 7}
    assert pattern.match("a-7.csv") is pattern.match("a-07.csv.gz") is pattern.match("d/a-07.csv") is None
    for name in ("a.csv", "b.csv", "c.txt", "sub/d.csv"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("")
    assert list(OutputSet(here, "*.csv", exclude="b*").members(here)) == ["a.csv"]
    assert list(OutputSet(here, ["a.*", "*.txt"]).members(here)) == ["a.csv", "c.txt"]
    assert list(OutputSet(here, "*.csv", recursive=True).members(here)) == ["a.csv", "b.csv", "sub/d.csv"]
    (here / "link.csv").symlink_to("a.csv")
    with pytest.raises(errors.OutputSetError, match="is a link"):
        OutputSet(here, "*.csv").members(here)
    with pytest.raises(errors.OutputSetError, match="no part 'x'"):
        FilenamePattern("{a}.csv", {"x": IntCapture()})
    with pytest.raises(errors.UsageTypeError, match="list of str"):
        EnumCapture("car")


# ---------------------------------------------------------------- step definitions


@consist.define_step(
    model="demand",
    name_template="demand_{year}_{nothing}",
    outputs=lambda ctx: [f"trips_{ctx.year}"],
    config=lambda ctx: {"growth": 1.5 if ctx.stage == "high" else 1.0},
    tags=["defined"],
    description="trips by zone",
    facet={"kind": "demand"},
    cache_version=3,
)
def demand(growth: float, year: int) -> Path:
    return made("trips", f"{growth} {year}\n")


def test_define_step_gives_defaults_that_may_be_functions_of_the_call(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        result = sc.run(demand, year=2030, stage="high")
        assert list(sc.coupler) == ["trips_2030"]
    run = result.run
    assert result.output_path("trips_2030").read_text() == "1.5 2030\n"
    assert (run.name, run.model_name, run.tags, run.description, run.facet) == (
        "demand_2030_",
        "demand",
        ["defined"],
        "trips by zone",
        {"kind": "demand"},
    )
    assert events(tracker, StepStarted)[0].options["cache_version"] == 3
    assert demand(growth=1.0, year=1) if False else callable(demand)  # it stays a plain function


def test_what_the_call_says_wins_over_the_definition(tracker: Tracker) -> None:
    run = tracker.run(demand, "mine", model="other", year=2030, config={"growth": 2.0}, outputs=["t"], tags=["own"]).run
    assert (run.name, run.model_name, run.tags, run.config) == ("mine", "other", ["own"], {"growth": 2.0})


def test_a_definition_may_ask_for_runtime_values(tracker: Tracker) -> None:
    def place(ctx: StepContext) -> dict[str, Any]:
        return {"zone": ctx.require_runtime("zone"), "also": ctx.get("zone"), "name": ctx["func_name"]}

    @consist.define_step(config=place)
    def zoned(zone: str) -> None:
        return None

    options = ExecutionOptions(runtime_kwargs={"zone": "z7"})
    assert tracker.run(zoned, execution_options=options).run.config == {"zone": "z7", "also": "z7", "name": "zoned"}
    with pytest.raises(errors.UsageError, match="'zone', which was not given"):
        tracker.run(zoned)


@pytest.mark.parametrize("keyword", ["config_plan", "hash_inputs", "outptus"])
def test_define_step_refuses_what_it_does_not_take(keyword: str) -> None:
    with pytest.raises(TypeError, match=keyword):
        consist.define_step(**{keyword: []})
    with pytest.raises(errors.OptionError, match="'resue'"):
        consist.define_step(cache_mode="resue")


@pytest.mark.parametrize("names", [(), ("",), (3,)])
def test_require_runtime_kwargs_takes_names(names: Any) -> None:
    with pytest.raises(errors.UsageError, match="at least one name"):
        consist.require_runtime_kwargs(*names)


# ---------------------------------------------------------------- outputs and logging


def test_policy_ignore_says_nothing_and_reuses_nothing_incomplete(tracker: Tracker) -> None:
    ignore = OutputPolicyOptions(output_mismatch="ignore", output_missing="ignore")
    for _ in range(2):
        result = tracker.run(lambda: [made()], name="s", outputs=["a", "b"], output_policy=ignore)
        assert (result.cache_hit, result.outputs, result.run.status) == (False, {}, "completed")


def test_a_declared_file_may_bring_driver_schema_facet_and_metadata(tracker: Tracker) -> None:
    class Trips:
        """A schema by name."""

    spec = OutputArtifactSpec(
        "o.dat", schema=Trips, driver="csv", facet={"unit": "trips"}, facet_schema_version=2, meta={"note": "n"}
    )

    def writes(ctx: RunContext) -> None:
        (ctx.run_dir / "o.dat").write_text("a,b\n1,x\n")

    inject = ExecutionOptions(inject_context=True)
    artifact = tracker.run(writes, output_paths={"o": spec}, execution_options=inject).outputs["o"]
    assert (artifact.driver, artifact.facet, artifact.meta) == (
        "csv",
        {"unit": "trips"},
        {"schema_name": "Trips", "note": "n"},
    )
    assert (artifact.schema, artifact.rows) == ({"a": "int64", "b": "string"}, 1)


@pytest.mark.parametrize(("driver", "suffix"), [(None, ".parquet"), ("parquet", ".parquet"), ("csv", ".csv")])
def test_log_dataframe_writes_and_records_a_table(tracker: Tracker, driver: str | None, suffix: str) -> None:
    pandas: Any = pytest.importorskip("pandas")

    def logs() -> None:
        frame = pandas.DataFrame({"a": [1, 2]})
        artifact = consist.log_dataframe(frame, "t", driver=driver, meta={"unit": "trips"}, index=False)
        assert artifact.path.suffix == suffix
        with pytest.raises(errors.OptionError, match="'parquet', 'csv', 'json'"):
            consist.log_dataframe(frame, "u", driver="xlsx")
        with pytest.raises(errors.UsageTypeError, match="DataFrame, not list"):
            consist.log_dataframe([1], "u")

    logged = tracker.run(logs).outputs["t"]
    assert (logged.rows, logged.schema, logged.meta) == (2, {"a": "int64"}, {"unit": "trips"})
    assert consist.load_df(logged)["a"].tolist() == [1, 2]


def test_a_facet_keeps_the_version_of_its_schema(tracker: Tracker) -> None:
    tracker.run(step, facet={"kind": "test"}, facet_schema_version=2, facet_index=True)
    assert events(tracker, StepStarted)[0].facet_schema_version == "2"
    assert [run.id for run in tracker.find_runs(facet={"kind": "test"})] == ["step"]


# ---------------------------------------------------------------- scenarios and entry points


def test_a_scenario_forwards_declarations_and_collections_to_its_coupler(tracker: Tracker) -> None:
    def two() -> dict[str, Path]:
        return {"a": made("a"), "b": made("b")}

    with tracker.scenario("s") as sc:
        sc.declare_outputs("a", "late", required={"late": False}, description={"a": "first"})
        sc.require_outputs("y_b")
        assert sc.coupler.missing_declared_outputs() == ["y_b"]
        result = sc.run(two, outputs=["a", "b"])
        assert sc.collect_by_keys(result.outputs, "b", prefix="y_") == {"y_b": result.outputs["b"]}
        assert sc.coupler.describe_outputs() == {"a": "first"}
        assert list(sc.coupler) == ["a", "b", "y_b"]
    assert sc.coupler["y_b"] == result.outputs["b"]


def test_consist_run_uses_the_given_or_the_default_tracker(tracker: Tracker) -> None:
    first = consist.run(step, tracker=tracker, outputs=["o"])
    with consist.use_tracker(tracker):
        assert consist.run(step, "step", outputs=["o"]).outputs == first.outputs
    with pytest.raises(errors.NoTrackerError, match=r"run\(\) needs a tracker"):
        consist.run(step)


def test_arun_takes_the_keywords_of_run_and_no_others(tracker: Tracker) -> None:
    async def waits(n: int) -> Path:
        await asyncio.sleep(0)
        return made(text=f"{n}\n")

    result = asyncio.run(tracker.arun(waits, "w", config={"n": 3}, outputs=["o"]))
    assert (result.run.name, result.output_path("o").read_text()) == ("w", "3\n")
    for keyword in ("kind", "cache_mode"):
        with pytest.raises(TypeError, match=keyword):
            asyncio.run(tracker.arun(waits, **{keyword: None}))  # type: ignore[arg-type]


def test_a_plain_function_may_be_awaited_too(tracker: Tracker) -> None:
    assert asyncio.run(tracker.arun(step, outputs=["o"])).outputs.keys() == {"o"}
    assert tracker.run(step, outputs=["o"]).cache_hit
