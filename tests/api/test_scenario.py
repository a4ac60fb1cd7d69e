"""Scenarios: entering, steps, defaults, required outputs, attempts, nesting."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Coupler, Tracker, errors
from tests.support.api import made


def step() -> Path:
    return made()


def copy(x: Path) -> Path:
    return made("c", x.read_text())


def fails() -> Path:
    raise ZeroDivisionError("planned")


def header(tracker: Tracker, run_id: str) -> consist.Run:
    run = tracker.get_run(run_id)
    assert run is not None
    return run


def test_nothing_is_recorded_before_a_scenario_is_entered(tracker: Tracker) -> None:
    sc = tracker.scenario("s", config={"a": 1})
    assert sc.run_id == "s"
    assert tracker.find_runs() == []
    assert not (Path("project.events")).exists()


def test_the_header_is_running_inside_and_completed_after(tracker: Tracker) -> None:
    with tracker.scenario("s", config={"a": 1}, tags=["t"], description="d", year=2030, kind_of="test") as sc:
        run = header(tracker, "s")
        assert (run.status, run.kind, run.tags, run.meta) == (
            "running",
            "scenario",
            ["t", "scenario_header"],
            {"kind_of": "test"},
        )
        assert sc.config == {"a": 1}
        with pytest.raises(TypeError):
            sc.config["a"] = 2  # type: ignore[index]
    assert header(tracker, "s").status == "completed"
    assert sc.run_id == "s"


def test_a_scenario_entered_again_is_a_new_attempt_and_the_steps_hit(tracker: Tracker) -> None:
    ids, hits = [], []
    for _ in range(3):
        with tracker.scenario("baseline") as sc:
            ids.append(sc.run_id)
            hits.append(sc.run(step, outputs=["o"]).cache_hit)
    assert ids == ["baseline", "baseline#2", "baseline#3"]
    assert hits == [False, True, True]
    assert header(tracker, "baseline").id == "baseline#3"
    assert header(tracker, "baseline#1").id == "baseline"


def test_an_explicit_run_id_is_kept_after_the_exit(tracker: Tracker) -> None:
    with tracker.scenario("s", run_id="custom") as sc:
        assert sc.run_id == "custom"
        assert sc.run(step).run.id == "custom_step"
    assert sc.run_id == "custom"
    assert header(tracker, "custom").name == "s"


def test_the_same_context_entered_again_starts_with_an_empty_coupler(tracker: Tracker) -> None:
    sc = tracker.scenario("s")
    with sc:
        sc.run(step, outputs=["o"])
    with sc:
        assert list(sc.coupler) == []
        assert sc.run_id == "s#2"
        with pytest.raises(errors.ClosedError, match="open already"), sc:
            pass


def test_scenarios_share_the_cache_and_headers_are_never_cached(tracker: Tracker) -> None:
    with tracker.scenario("A") as a:
        a.run(step, outputs=["o"])
    with tracker.scenario("B") as b:
        assert b.run(step, outputs=["o"]).cache_hit
    with tracker.scenario("E"):
        pass
    assert tracker.get_run_outputs("E") == {}
    assert list(tracker.get_run_outputs("B")) == ["o"]
    assert header(tracker, "B").signature is None


def test_reads_inside_a_scenario_see_every_step_so_far(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: made("a"), name="a", outputs=["a"])
        assert set(tracker.get_run_outputs("s")) == {"a"}
        sc.run(lambda: made("b"), name="b", outputs=["b"])
        assert set(tracker.get_run_outputs("s")) == {"a", "b"}


def test_the_header_has_the_external_inputs_only(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    with tracker.scenario("s") as sc:
        first = sc.run(copy, inputs={"x": "x.txt"}, outputs=["c"])
        sc.run(copy, name="again", inputs={"x": first}, outputs=["d"])
    assert [artifact.path.name for artifact in tracker.get_run_inputs("s").values()] == ["x.txt"]


def test_defaults_of_the_scenario_reach_its_steps(tracker: Tracker) -> None:
    def named(year: int) -> Path:
        return made()

    options: dict[str, Any] = {
        "step_tags": ["all"],
        "step_facet": {"a": 1, "b": 2},
        "name_template": "{func_name}_{year}{nothing}",
    }
    with tracker.scenario("s", **options) as sc:
        run = sc.run(named, tags=["own"], facet={"b": 3}, year=2030).run
        assert (run.name, run.tags, run.facet) == ("named_2030", ["own", "all"], {"a": 1, "b": 3})
        assert run.parent_run_id == "s"
    with tracker.scenario("s", cache_epoch=2) as sc:
        assert not sc.run(named, name="named_2030", year=2030).cache_hit
        with sc.trace("t"):
            pass
    assert header(tracker, "s_t").identity_summary["signature"] is not None


def test_the_epoch_of_a_scenario_counts_for_traces_too(tracker: Tracker) -> None:
    hits = []
    for epoch in (1, 1, 2):
        with tracker.scenario("s", cache_epoch=epoch) as sc, sc.trace("t") as t:
            hits.append(t.is_cached)
            t.log_meta(a=1)
    assert hits == [False, True, False]


# ---------------------------------------------------------------- inputs of the scenario


def test_add_input_records_the_file_under_its_key(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    with tracker.scenario("s", inputs={"base": "x.txt"}) as sc:
        artifact = sc.add_input("x.txt", "pop", note="survey")
        assert sc.inputs["pop"] == artifact
        assert list(sc.inputs) == ["base", "pop"]
        assert "pop" not in sc.coupler
        sc.run(copy, inputs={"x": artifact})
        with pytest.raises(errors.StateError, match="has started already"):
            sc.add_input("x.txt", "late")
    assert set(tracker.get_run_inputs("s")) >= {"base", "pop"}


def test_add_input_may_follow_a_step_that_never_started(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    with tracker.scenario("s") as sc:
        with pytest.raises(errors.InputError):
            sc.run(copy, inputs={"x": "nope.txt"})
        sc.add_input("x.txt", "pop")
        with pytest.raises(errors.InputError, match=r"nope\.txt"):
            sc.add_input("nope.txt", "gone")


# ---------------------------------------------------------------- ends


def test_required_outputs_are_checked_at_the_exit(tracker: Tracker) -> None:
    with (
        pytest.raises(errors.RequiredOutputsError, match="'s' ended without its required outputs: a, b"),
        tracker.scenario("s", require_outputs=["b", "a", "o"]) as sc,
    ):
        sc.run(step, outputs=["o"])
    assert header(tracker, "s").status == "failed"
    with tracker.scenario("s", require_outputs="o") as sc:
        sc.run(step, outputs=["o"])
    assert header(tracker, "s").status == "completed"


def test_an_error_of_the_body_is_recorded_and_hides_nothing(tracker: Tracker) -> None:
    with pytest.raises(ZeroDivisionError, match="planned"), tracker.scenario("s", require_outputs=["o"]) as sc:
        sc.run(fails)
    assert header(tracker, "s").status == "failed"
    assert header(tracker, "s").meta["error"] == "planned"
    assert header(tracker, "s_fails").status == "failed"


def test_a_step_that_failed_and_was_caught_leaves_the_scenario_completed(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        with pytest.raises(ZeroDivisionError):
            sc.run(fails)
        sc.run(step)
    assert header(tracker, "s").status == "completed"
    assert [run.status for run in tracker.find_runs(parent="s")] == ["completed", "failed"]


def test_a_failed_step_is_never_a_hit(tracker: Tracker) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            tracker.run(fails)
    assert [run.status for run in tracker.find_runs()] == ["failed", "failed"]


@pytest.mark.parametrize("call", ["run", "trace", "add_input"])
def test_outside_its_block_a_scenario_refuses_and_says_how_to_use_it(tracker: Tracker, call: str) -> None:
    sc = tracker.scenario("s")
    uses: dict[str, Callable[[], object]] = {
        "run": lambda: sc.run(step),
        "trace": lambda: sc.trace("t").__enter__(),
        "add_input": lambda: sc.add_input(__file__, "k"),
    }
    use = uses[call]
    with pytest.raises(errors.ClosedError, match="with"):
        use()
    with sc:
        pass
    with pytest.raises(errors.ClosedError, match="with"):
        use()


# ---------------------------------------------------------------- nesting


def test_a_scenario_in_a_scenario_is_its_child(tracker: Tracker) -> None:
    with tracker.scenario("outer") as outer, tracker.scenario("inner") as inner:
        inner.run(step, outputs=["o"])
        outer.run(step, outputs=["o"])
        assert consist.current_tracker() is tracker
    assert header(tracker, "inner").parent_run_id == "outer"
    assert header(tracker, "inner_step").parent_run_id == "inner"
    assert header(tracker, "outer_step").parent_run_id == "outer"


def test_a_scenario_inside_a_step_is_refused_or_its_child_but_never_breaks_the_step(tracker: Tracker) -> None:
    def outer() -> Path:
        with tracker.scenario("inner"):
            pass
        return made()

    assert tracker.run(outer).run.status == "completed"
    assert header(tracker, "inner").parent_run_id == "outer"


# ---------------------------------------------------------------- held wrong

WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a number name": ({"name": 3}, errors.UsageTypeError, "scenario name must be a str"),
    "an attempt name": ({"name": "a#2"}, errors.InvalidNameError, "'#'"),
    "text tags for steps": ({"name": "s", "step_tags": "abc"}, errors.UsageTypeError, "step_tags takes a list"),
    "a cache mode": ({"name": "s", "cache_mode": "reuse"}, errors.UsageTypeError, "never cached"),
    "a coupler of another type": ({"name": "s", "coupler": {}}, errors.UsageTypeError, "Coupler, not dict"),
    "a list of inputs": ({"name": "s", "inputs": ["x"]}, errors.UsageTypeError, "mapping"),
    "a config without form": ({"name": "s", "config": {"a": object()}}, errors.ConfigTypeError, "config['a']"),
    "metadata without form": ({"name": "s", "note": object()}, errors.ConfigTypeError, "note"),
    "a facet key that is not there": ({"name": "s", "facet_from": ["a"]}, errors.MissingKeyError, "'a'"),
    "a bad hydration": ({"name": "s", "step_cache_hydration": "all"}, errors.OptionError, "outputs-all"),
    "a text year": ({"name": "s", "year": "2030"}, errors.UsageTypeError, "year takes an int"),
    "a number description": ({"name": "s", "description": 3}, errors.UsageTypeError, "description takes a str"),
}


@pytest.mark.parametrize(("arguments", "kind", "said"), WRONG.values(), ids=WRONG)
def test_a_scenario_held_wrong_says_so_and_records_nothing(
    tracker: Tracker, arguments: dict[str, Any], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught, tracker.scenario(**arguments):
        pytest.fail("the block ran")
    assert said in str(caught.value)
    assert tracker.find_runs() == []


def test_a_single_tag_is_one_tag(tracker: Tracker) -> None:
    with tracker.scenario("s", tags="abc") as sc:
        assert sc.run(step, tags="xy").run.tags == ["xy"]
    assert header(tracker, "s").tags == ["abc", "scenario_header"]


def test_a_bad_input_of_the_scenario_ends_it_as_failed_and_leaves_the_tracker_idle(
    tracker: Tracker,
) -> None:
    with pytest.raises(errors.InputError, match="nope"), tracker.scenario("s", inputs={"x": "nope"}):
        pytest.fail("the block ran")
    assert [run.status for run in tracker.find_runs()] in ([], ["failed"])
    with tracker.scenario("t") as sc:
        sc.run(step)


def test_a_coupler_may_serve_several_scenarios(tracker: Tracker) -> None:
    coupler = Coupler()
    with tracker.scenario("a", coupler=coupler) as sc:
        sc.run(step, outputs=["o"])
    with tracker.scenario("b", coupler=coupler) as sc:
        assert sc.run(copy, inputs={"x": "o"}).outputs["copy"].path.read_text() == "x\n"


def test_a_hit_in_a_scenario_is_in_the_coupler_and_in_the_views(tracker: Tracker) -> None:
    for _ in range(2):
        with tracker.scenario("s") as sc:
            result = sc.run(step, outputs=["o"])
            assert sc.coupler["o"] == result.output
    rows = tracker.project.connection().execute(
        "SELECT key FROM coupler WHERE scenario_key = ?", (header(tracker, "s").key,)
    )
    assert [key for (key,) in rows] == ["o"]
