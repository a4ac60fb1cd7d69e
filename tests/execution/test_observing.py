"""What a step reads of its scenario by itself, while it runs, is what a later hit depends on."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ExecutionOptions, RunResult, ScenarioContext, Tracker
from consist_es.events import StepCompleted
from tests.support.api import made

Model = Callable[[ScenarioContext], RunResult]


def prepare(text: str) -> Path:
    return made("trips", f"{text}\n")


def ran(tracker: Tracker, model: Model, text: str = "1", **options: Any) -> tuple[bool, str]:
    """One scenario: trips of this text, then the model. Whether it was a hit, and what its output says."""
    with tracker.scenario("s", **options) as sc:
        sc.run(prepare, config={"text": text}, outputs=["trips"])
        result = model(sc)
        assert result.output is not None
        return result.cache_hit, result.output.path.read_text()


def reads_config(sc: ScenarioContext) -> RunResult:
    def assign() -> Path:
        return made("flows", f"{sc.config.get('growth')}\n")

    return sc.run(assign, outputs=["flows"])


def reads_coupler(sc: ScenarioContext) -> RunResult:
    def assign() -> Path:
        return made("flows", sc.coupler.require("trips").path.read_text())

    return sc.run(assign, outputs=["flows"])


def reads_view(sc: ScenarioContext) -> RunResult:
    def assign() -> Path:
        found = sc.coupler.view("base").get("extra")
        return made("flows", "none\n" if found is None else found.read_text())

    return sc.run(assign, outputs=["flows"])


def reads_keys(sc: ScenarioContext) -> RunResult:
    def assign() -> Path:
        return made("flows", f"{sorted(sc.coupler)}\n")

    return sc.run(assign, outputs=["flows"])


def reads_inputs(sc: ScenarioContext) -> RunResult:
    def assign() -> Path:
        return made("flows", sc.inputs["zones"].path.read_text())

    return sc.run(assign, outputs=["flows"])


def test_the_scenarios_config(tracker: Tracker) -> None:
    assert ran(tracker, reads_config, config={"growth": 1.0}) == (False, "1.0\n")
    assert ran(tracker, reads_config, config={"growth": 1.0}) == (True, "1.0\n")
    assert ran(tracker, reads_config, config={"growth": 1.2}) == (False, "1.2\n")
    assert ran(tracker, reads_config, config={"growth": 1.0}) == (True, "1.0\n")


def test_a_key_of_the_coupler(tracker: Tracker) -> None:
    assert ran(tracker, reads_coupler, "1") == (False, "1\n")
    assert ran(tracker, reads_coupler, "1") == (True, "1\n")
    assert ran(tracker, reads_coupler, "2") == (False, "2\n")
    assert ran(tracker, reads_coupler, "1") == (True, "1\n")


@pytest.mark.parametrize("said", [({"facet": {"unit": "km"}}, {"facet": {"unit": "mi"}}), ({"unit": 1}, {"unit": 1.0})])
def test_what_is_said_of_a_key_of_the_coupler(tracker: Tracker, said: tuple[dict[str, Any], dict[str, Any]]) -> None:
    def prepare(said: dict[str, Any]) -> None:
        consist.log_output(made("trips"), "trips", **said)

    def reads(sc: ScenarioContext) -> RunResult:
        def assign() -> Path:
            trips = sc.coupler["trips"]
            return made("flows", f"{trips.facet} {trips.meta}\n")

        return sc.run(assign, outputs=["flows"])

    found = []
    for each in (said[0], said[0], said[1]):
        with tracker.scenario("s") as sc:
            sc.run(prepare, config={"said": each})
            result = reads(sc)
            found.append((result.cache_hit, result.outputs["flows"].path.read_text()))
    assert [hit for hit, _ in found] == [False, True, False]
    assert found[0][1] == found[1][1] != found[2][1]


def test_a_miss_says_what_was_read(tracker: Tracker) -> None:
    ran(tracker, reads_coupler, "1")
    ran(tracker, reads_coupler, "2")
    why = tracker.find_latest_run(name="assign").why()
    assert why.reason == "scenario_changed"
    assert why.differs == ["coupler key 'trips', which the step read itself, has changed"]
    assert "what it read of its scenario has changed" in str(why)


def test_a_key_that_was_not_there(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "extra").write_text("more\n")

    def with_extra(sc: ScenarioContext) -> RunResult:
        sc.coupler["base/extra"] = tmp_path / "extra"
        return reads_view(sc)

    assert ran(tracker, reads_view) == (False, "none\n")
    assert ran(tracker, reads_view) == (True, "none\n")
    assert ran(tracker, with_extra) == (False, "more\n")
    assert ran(tracker, with_extra) == (True, "more\n")
    (tmp_path / "extra").write_text("other\n")
    assert ran(tracker, with_extra) == (False, "other\n")


def test_which_keys_there_are(tracker: Tracker, tmp_path: Path) -> None:
    def with_more(sc: ScenarioContext) -> RunResult:
        sc.coupler["more"] = tmp_path
        return reads_keys(sc)

    assert ran(tracker, reads_keys) == (False, "['trips']\n")
    assert ran(tracker, with_more) == (False, "['more', 'trips']\n")
    assert ran(tracker, reads_keys) == (True, "['trips']\n")


def test_the_scenarios_inputs(tracker: Tracker, tmp_path: Path) -> None:
    def with_zones(text: str) -> tuple[bool, str]:
        (tmp_path / "zones").write_text(text)
        return ran(tracker, reads_inputs, inputs={"zones": tmp_path / "zones"})

    assert with_zones("a") == (False, "a")
    assert with_zones("a") == (True, "a")
    assert with_zones("b") == (False, "b")


def test_the_metadata_of_what_is_read(tracker: Tracker) -> None:
    def model(sc: ScenarioContext, units: str) -> RunResult:
        with sc.trace("log") as t:
            t.log_output(made("x", "1\n"), "x", units=units)

        def assign() -> Path:
            return made("flows", f"{sc.coupler['x'].meta['units']}\n")

        return sc.run(assign, outputs=["flows"])

    assert ran(tracker, lambda sc: model(sc, "km")) == (False, "km\n")
    assert ran(tracker, lambda sc: model(sc, "miles")) == (False, "miles\n")


def test_what_a_trace_block_reads(tracker: Tracker) -> None:
    def report(text: str) -> tuple[bool, str]:
        with tracker.scenario("s") as sc:
            sc.run(prepare, config={"text": text}, outputs=["trips"])
            with sc.trace("report", outputs=["rep"]) as t:
                hit = t.is_cached
                if not hit:
                    t.log_output(made("rep", sc.coupler.require("trips").path.read_text()), "rep")
            return hit, sc.coupler["rep"].path.read_text()

    assert report("1") == (False, "1\n")
    assert report("1") == (True, "1\n")
    assert report("2") == (False, "2\n")


def test_a_key_that_the_block_set_itself_says_nothing_new(tracker: Tracker, tmp_path: Path) -> None:
    def report() -> bool:
        with tracker.scenario("s") as sc, sc.trace("report") as t:
            hit = bool(t.is_cached)
            sc.coupler["mine"] = tmp_path
            assert sc.coupler.path("mine") == tmp_path
            return hit

    assert [report(), report()] == [False, True]


def test_another_scenarios_coupler_cannot_be_compared(tracker: Tracker) -> None:
    with tracker.scenario("base") as base:
        base.run(prepare, config={"text": "1"}, outputs=["trips"])

    def model(sc: ScenarioContext) -> RunResult:
        def assign() -> Path:
            return made("flows", base.coupler["trips"].path.read_text())

        return sc.run(assign, outputs=["flows"])

    assert ran(tracker, model) == (False, "1\n")
    assert ran(tracker, model) == (False, "1\n")
    said = str(tracker.find_latest_run(name="assign").why())
    assert "it read another scenario's coupler while it ran: give it what it needs as inputs or config" in said


@pytest.mark.parametrize("ask", ["find_runs", "get_run", "find_artifacts"])
def test_a_step_that_asks_about_other_runs_is_never_reused(tracker: Tracker, ask: str) -> None:
    def count() -> Path:
        found = tracker.get_run("s") if ask == "get_run" else getattr(consist.current_tracker(), ask)()
        return made("n", f"{found is not None}\n")

    for _ in range(2):
        assert not tracker.run(count, outputs=["n"]).cache_hit
    assert "it read the record of other runs while it ran" in str(tracker.find_latest_run(name="count").why())


def test_an_input_by_key_is_read_by_nobody_else(tracker: Tracker) -> None:
    def assign(trips: Path) -> Path:
        return made("flows", trips.read_text())

    def model(sc: ScenarioContext) -> RunResult:
        return sc.run(assign, input_keys=["trips"], outputs=["flows"])

    ran(tracker, model)
    ended = [event.event for event in tracker.project.log.read() if isinstance(event.event, StepCompleted)]
    assert [event.observed for event in ended] == [{}, {}]
    assert ran(tracker, model) == (True, "1\n")


def test_what_was_read_survives_a_replay(tracker: Tracker) -> None:
    ran(tracker, reads_coupler, "1")
    tracker.project.views.rebuild()
    assert ran(tracker, reads_coupler, "2") == (False, "2\n")
    assert ran(tracker, reads_coupler, "1") == (True, "1\n")


def by_pool(look: Callable[[], str]) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(look).result()


def by_thread(look: Callable[[], str]) -> str:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(look()))
    thread.start()
    thread.join()
    return found[0]


def by_executor(look: Callable[[], str]) -> str:
    async def ask() -> str:
        return await asyncio.get_running_loop().run_in_executor(None, look)

    return asyncio.run(ask())


@pytest.mark.parametrize("through", [by_pool, by_thread, by_executor])
def test_a_key_that_is_read_in_a_thread_of_the_step(
    tracker: Tracker, through: Callable[[Callable[[], str]], str]
) -> None:
    def model(sc: ScenarioContext) -> RunResult:
        def assign() -> Path:
            return made("flows", through(lambda: sc.coupler.require("trips").path.read_text()))

        return sc.run(assign, outputs=["flows"])

    assert ran(tracker, model, "1") == (False, "1\n")
    assert ran(tracker, model, "1") == (True, "1\n")
    assert ran(tracker, model, "2") == (False, "2\n")
    assert ran(tracker, model, "1") == (True, "1\n")


def test_a_key_that_is_read_in_a_thread_that_was_there_before_the_step(tracker: Tracker) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()

        def model(sc: ScenarioContext) -> RunResult:
            def assign(pool: ThreadPoolExecutor) -> Path:
                return made("flows", pool.submit(lambda: sc.coupler.require("trips").path.read_text()).result())

            handed = ExecutionOptions(runtime_kwargs={"pool": pool})
            return sc.run(assign, outputs=["flows"], execution_options=handed)

        assert ran(tracker, model, "1") == (False, "1\n")
        assert ran(tracker, model, "2") == (False, "2\n")
        assert ran(tracker, model, "1") == (True, "1\n")


def test_a_thread_that_starts_steps_reads_for_itself(tracker: Tracker) -> None:
    began, go_on = threading.Event(), threading.Event()

    def waits() -> Path:
        began.set()
        go_on.wait(30)
        return made("flows")

    def starts_steps_of_its_own() -> None:
        tracker.run(made)
        assert tracker.find_runs(name="made")
        go_on.set()

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(tracker.run, waits, outputs=["flows"])
        began.wait(30)
        pool.submit(starts_steps_of_its_own).result()
        assert slow.result().run.status == "completed"
    assert tracker.run(waits, outputs=["flows"]).cache_hit
