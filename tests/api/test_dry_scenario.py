"""Scenarios in a dry run: what passes for an artifact, what stops, and what is left open behind it."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ExecutionOptions, Tracker, errors
from consist_es.execution.dry_run import DryRun
from tests.execution.test_dry_run import tree
from tests.support.api import made, output_of


def first(n: int) -> Path:
    return made("a", f"{n}\n")


def second(a: Path) -> Path:
    return made("b", a.read_text())


def loose(n: int) -> Path:
    return made("loose", f"{n}\n")


def model(tracker: Tracker, n: int, **options: Any) -> Any:
    with tracker.scenario("s", **options) as sc:
        sc.run(first, config={"n": n}, outputs=["a"], year=2025, iteration=1)
        sc.run(second, input_keys=["a"], outputs=["b"], year=2025, iteration=1)
    return sc


def listed(sc: Any) -> list[tuple[str, str]]:
    assert isinstance(sc.dry_run, DryRun)
    return [(step.name, step.verdict) for step in sc.dry_run.steps]


def test_the_result_says_what_runs_why_and_for_how_long(tracker: Tracker, here: Path) -> None:
    assert model(tracker, 1).dry_run is None
    before = tree(here)
    sc = model(tracker, 2, dry_run=True)
    assert tree(here) == before
    found = sc.dry_run
    assert listed(sc) == [("first", "miss"), ("second", "open")]
    step = found.steps[0]
    assert (step.label, step.reason, step.differs) == ("first 2025·1", "config_changed", ["config.n: 1 -> 2"])
    assert (step.nearest, step.nearest_seconds is not None) == ("s_first", True)
    assert found.seconds == sum(step.nearest_seconds or 0 for step in found.steps)
    assert (found.stopped, found.missing_outputs, found.scenario) == (None, [], "s")
    assert found.steps[1].waits_for == ["first"]
    assert listed(model(tracker, 1, dry_run=True)) == [("first", "hit"), ("second", "hit")]
    assert model(tracker, 2).dry_run is None  # a real one after a dry one
    assert listed(model(tracker, 2, dry_run=True)) == [("first", "hit"), ("second", "hit")]


def test_a_pending_output_is_passed_on_by_every_way(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True, require_outputs=["x"]) as sc:
        made_ = sc.run(first, config={"n": 1}, outputs=["a"])
        assert (made_.cache_hit, made_.run.status, list(made_.outputs)) == (False, "forecast", ["a"])
        assert output_of(made_).key == "a"
        assert "not there yet" in repr(made_.output)
        assert sc.coupler.require("a") is sc.coupler["a"] is sc.coupler.get("a") is made_.output
        sc.coupler["x"] = made_.output
        sc.coupler.view("v").set("y", made_.output)
        assert sc.collect_by_keys(made_.as_dict(), "a", prefix="p/") == {"p/a": made_.output}
        for number, value in enumerate((made_, made_.output, consist.ref(made_), "a", "p/a", "v/y", "x")):
            sc.run(second, name=f"use{number}", inputs={"a": value}, outputs=[f"b{number}"])
        sc.run(second, name="late", binding=consist.BindingResult(inputs=consist.refs(a=made_)), outputs=["b"])
    assert listed(sc) == [("first", "miss"), *((f"use{n}", "open") for n in range(7)), ("late", "open")]
    assert sc.dry_run is not None
    assert sc.dry_run.missing_outputs == []


USES: dict[str, Callable[[Any], object]] = {
    "open": lambda output: open(output),  # noqa: SIM115, PTH123
    "path": lambda output: output.path,
    "Path": lambda output: Path(output),
    "hash": lambda output: output.hash,
    "load": lambda output: consist.load(output),
    "is_tabular": lambda output: consist.is_tabular_artifact(output),
    "exists": lambda output: os.path.exists(output),  # noqa: PTH110
}


@pytest.mark.parametrize("use", USES)
def test_a_use_of_a_pending_output_ends_the_scenario_with_the_list_so_far(
    tracker: Tracker, use: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        output = sc.run(first, config={"n": 1}, outputs=["a"]).output
        USES[use](output)
        raise AssertionError("never reached")
    assert listed(sc) == [("first", "miss")]
    assert sc.dry_run is not None
    assert "output 'a' of step 'first' is not there before that step has run" in (sc.dry_run.stopped or "")
    assert "The list ends early: output 'a'" in capsys.readouterr().err
    with pytest.raises(errors.DryRunStop, match="'a' of step 'first'"):  # outside of all blocks
        USES[use](output)


def test_what_a_script_does_instead_is_not_taken_for_the_real_run(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        output = output_of(sc.run(first, config={"n": 1}, outputs=["a"]))
        try:
            n = int(Path(output).read_text())
        except Exception:  # noqa: BLE001  as a careless script does
            n = 0
        sc.run(second, config={"n": n}, inputs={"a": output}, outputs=["b"])
    assert listed(sc) == [("first", "miss")]


def test_a_block_that_is_a_hit_and_goes_on_is_open(tracker: Tracker) -> None:
    for dry, expected in ((False, None), (True, [("first", "hit"), ("block", "open")])):
        with tracker.scenario("s", dry_run=dry) as sc:
            sc.run(first, config={"n": 1}, outputs=["a"])
            with sc.trace("block", input_keys=["a"], outputs=["c"]) as t:
                t.log_output(made("c", sc.coupler["a"].path.read_text()), "c")
            assert "c" in sc.coupler
        assert expected is None or listed(sc) == expected


def guarded(sc: Any) -> str:
    said = "computed"
    with sc.trace("block", outputs=["c"]) as t:
        if t.is_cached:
            said = f"{t.cached_output('c').path.read_text()} {sorted(consist.cached_artifacts())}"
        else:
            t.log_output(made("c", "text"), "c")
    return said


def test_a_guarded_block_that_is_a_hit_gives_its_earlier_outputs(tracker: Tracker) -> None:
    said = []
    for dry in (False, False, True):
        with tracker.scenario("s", dry_run=dry) as sc:
            said.append(guarded(sc))
    assert said == ["computed", "text ['c']", "text ['c']"]
    assert listed(sc) == [("block", "hit")]


def changes_globals() -> None:
    global FACTOR
    FACTOR = 2.0


FACTOR = 1.0


def uses_factor() -> Path:
    return made("f", f"{FACTOR}\n")


VALUES: list[str] = []


def sets_a_variable(sc: Any, dry: bool) -> None:
    n = 0
    with sc.trace("block", config={"dry": dry}):
        consist.output_dir()
        n = 1
    sc.run(first, config={"n": n}, outputs=["a"])


def fills_a_list(sc: Any, dry: bool) -> None:
    with sc.trace("block", config={"dry": dry}):
        consist.output_dir()
        VALUES.append("x")
    sc.run(first, config={"n": 0}, outputs=["a"])


def calls_what_sets(sc: Any, dry: bool) -> None:
    with sc.trace("block", config={"dry": dry}):
        consist.output_dir()
        changes_globals()
    sc.run(uses_factor, outputs=["f"])


def returns(sc: Any, dry: bool) -> None:
    n = 0
    for _ in range(1):
        with sc.trace("block", config={"dry": dry}):
            consist.output_dir()
            break
    else:
        n = 1
    sc.run(first, config={"n": n}, outputs=["a"])


def sets_in_a_loop(sc: Any, dry: bool) -> None:
    for n in range(2):
        with sc.trace("block", config={"dry": dry, "n": n}):
            consist.output_dir()
            n += 1
        sc.run(first, config={"n": n}, outputs=["a"], iteration=n)


@pytest.mark.parametrize("body", [sets_a_variable, fills_a_list, calls_what_sets, returns, sets_in_a_loop])
def test_what_the_rest_of_a_block_may_set_leaves_later_steps_open(
    tracker: Tracker, body: Callable[[Any, bool], None]
) -> None:
    for dry in (False, True):
        with tracker.scenario("s", dry_run=dry) as sc:
            body(sc, dry)
    assert {verdict for name, verdict in listed(sc) if name != "block"} == {"open"}


def test_a_block_that_leaves_nothing_behind_leaves_later_forecasts_certain(tracker: Tracker) -> None:
    for dry in (False, True):
        with tracker.scenario("s", dry_run=dry) as sc:
            for name in ("one", "two"):
                with sc.trace(name, config={"dry": dry}, outputs=[name]) as t:
                    out = consist.output_path(name, "txt")
                    out.write_text(name)
                    t.log_output(out, name)
            sc.run(first, config={"n": 1}, outputs=["a"])
    assert listed(sc) == [("one", "miss"), ("two", "miss"), ("first", "hit")]


def test_a_key_that_a_step_without_declared_outputs_may_set_ends_the_list(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        sc.run(loose, config={"n": 1})
        sc.run(second, inputs={"a": "loose"}, outputs=["b"])
        assert "b" in sc.coupler
        assert "surprise" in sc.coupler
        raise AssertionError("never reached")
    assert listed(sc) == [("loose", "miss"), ("second", "open")]
    with tracker.scenario("s", dry_run=True) as sc:
        sc.run(first, config={"n": 1}, outputs=["a"])
        with pytest.raises(errors.MissingKeyError, match="surprise"):  # nothing can make it: as in a real run
            sc.coupler.require("surprise")


def test_errors_of_a_real_run_come_in_a_dry_one_and_keep_the_list(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    sc = tracker.scenario("s", dry_run=True)
    with pytest.raises(errors.ClosedError, match="run\\(\\): scenario 's' is not active"):
        sc.run(first, config={"n": 1})
    with pytest.raises(ZeroDivisionError) as caught, sc:  # noqa: PT012
        sc.run(first, config={"n": 1}, outputs=["a"])
        with pytest.raises(errors.ClosedError, match="open already"):
            sc.__enter__()
        with sc.trace("block"), pytest.raises(errors.RunActiveError, match="'block' is still executing"):
            sc.run(first, config={"n": 1})
        1 / 0  # noqa: B018
    assert caught.value.__notes__ == ["This happened in a dry run of scenario 's', which ended there."]
    assert listed(sc) == [("first", "miss"), ("block", "miss")]
    assert "The list ends early: the block raised ZeroDivisionError." in capsys.readouterr().err
    with pytest.raises(errors.ClosedError, match="trace\\(\\): scenario 's' is not active"):
        sc.trace("late")


def test_required_outputs_that_nothing_makes_are_told(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    sc = model(tracker, 1, dry_run=True, require_outputs=["b", "z"])
    assert sc.dry_run.missing_outputs == ["z"]
    assert "Required outputs that no step makes: z." in capsys.readouterr().err


def test_everything_inside_a_dry_scenario_is_dry(tracker: Tracker, here: Path) -> None:
    seen: list[object] = []
    tracker.on_run_start(seen.append)
    with tracker.scenario("outer", dry_run=True, inputs={}) as outer:
        consist.run(first, config={"n": 1}, outputs=["a"], tracker=tracker)
        tracker.run(first, config={"n": 1}, outputs=["a"])
        with tracker.scenario("inner") as inner:
            inner.run(loose, config={"n": 1}, outputs=["a"])
        with pytest.raises(errors.NoActiveRunError):
            consist.log_output("x.txt", "x")
    assert [name for name, _ in listed(outer)] == ["first", "first"]
    assert listed(inner) == [("loose", "miss")]
    assert seen == []
    assert not (here / "p.events").exists()


def test_inputs_of_a_dry_scenario_are_checked_and_not_recorded(tracker: Tracker, here: Path) -> None:
    (here / "raw.txt").write_text("1")
    with tracker.scenario("s", dry_run=True) as sc:
        assert sc.add_input("raw.txt", "raw").path == here / "raw.txt"
        sc.run(second, inputs={"a": "raw.txt"}, outputs=["b"])
        with pytest.raises(errors.ClosedError, match="has started already"):
            sc.add_input("raw.txt", "again")
    with pytest.raises(errors.InputError, match=r"none\.txt does not exist"), tracker.scenario("s", dry_run=True) as sc:
        sc.add_input("none.txt", "none")
    assert not (here / "p.events").exists()


def test_a_real_scenario_refuses_what_a_dry_one_left_in_a_coupler(tracker: Tracker) -> None:
    coupler = consist.Coupler()
    with tracker.scenario("s", coupler=coupler, dry_run=True) as sc:
        sc.run(first, config={"n": 1}, outputs=["a"])
    with pytest.raises(errors.UsageError, match="Coupler key 'a' is output 'a' of step 'first', which was only forec"):
        tracker.scenario("s", coupler=coupler).__enter__()


def test_async_steps_are_forecast_as_well(tracker: Tracker) -> None:
    async def waits(n: int) -> Path:
        raise AssertionError("never called")

    async def program() -> Any:
        with tracker.scenario("s", dry_run=True) as sc:
            await sc.arun(waits, config={"n": 1}, outputs=["a"])
        return sc

    assert listed(asyncio.run(program())) == [("waits", "miss")]


def test_the_variable_makes_steps_outside_scenarios_dry_too(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as real:
        real.run(first, config={"n": 1}, outputs=["a"])
    before = tree(here)
    monkeypatch.setenv("CONSIST_ES_DRY_RUN", "1")
    with Tracker(run_dir="runs", db_path="p.db") as dry:
        assert dry.run(first, config={"n": 1}, outputs=["a"]).cache_hit
        missed = dry.run(first, config={"n": 2}, outputs=["a"])
        dry.run(second, inputs={"a": missed}, outputs=["b"])
        with dry.trace("block", inputs={"a": missed}):
            consist.output_dir()
        with pytest.raises(errors.DryRunStop, match=r"accept_packages\(\) would record something"):
            dry.accept_packages("why")
    assert tree(here) == before
    assert [line[:16] for line in capsys.readouterr().err.splitlines()] == [
        "Dry run: reused ",
        "Dry run: runs   ",
        "Dry run: may run",
        "Dry run: may run",
    ]


def test_options_reach_the_forecast(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        with pytest.raises(errors.CallError, match="nothing supplies its parameter 'n'"):
            sc.run(first, outputs=["a"])
        handed = ExecutionOptions(runtime_kwargs={"n": 1})
        sc.run(first, outputs=["a"], execution_options=handed)
    assert listed(sc) == [("first", "miss")]


def test_a_pending_output_in_a_config_ends_the_list(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        output = sc.run(loose, config={"n": 1}, outputs=["a"]).output
        sc.run(first, config={"n": 1, "file": output}, outputs=["b"])
        raise AssertionError("never reached")
    assert listed(sc) == [("loose", "miss")]
    assert "'a' of step 'loose' is not there" in (sc.dry_run.stopped if sc.dry_run and sc.dry_run.stopped else "")


@pytest.mark.parametrize("mode", ["read_only", "noop"])
def test_a_tracker_that_cannot_record_can_be_rehearsed(here: Path, mode: str) -> None:
    with Tracker("runs", "p.db") as real:
        model(real, 1)
    before = tree(here)
    kept = consist.NoopTracker() if mode == "noop" else Tracker("runs", "p.db", access_mode="read_only")
    with kept as tracker:
        found = listed(model(tracker, 1, dry_run=True))
    expected = {"read_only": "hit", "noop": "miss"}[mode]
    assert found == [("first", expected), ("second", expected)]
    assert {name: text for name, text in tree(here).items() if name != "consist_outputs"} == before


def test_steps_of_threads_are_rehearsed(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc, ThreadPoolExecutor(2) as pool:
        done = [pool.submit(sc.run, first, config={"n": n}, outputs=[f"a{n}"], year=n) for n in range(4)]
        results = [each.result() for each in done]
        sc.run(second, inputs={"a": results[0]}, outputs=["b"])
    assert sorted(listed(sc)) == [("first", "miss")] * 4 + [("second", "open")]
