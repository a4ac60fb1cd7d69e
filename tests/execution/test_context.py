"""Which tracker and run are current, and the module-level calls inside and outside a step."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import Tracker, errors
from tests.support.api import made


def step() -> Path:
    return made()


def test_inside_a_step_its_tracker_and_run_are_current(tracker: Tracker) -> None:
    def looks() -> None:
        run = consist.current_run()
        assert run is not None
        assert (run.id, run.status) == ("looks", "running")
        assert consist.current_tracker() is tracker

    tracker.run(looks)
    assert consist.current_run() is None


def test_in_a_scenarios_body_there_is_a_tracker_and_no_run(tracker: Tracker) -> None:
    with tracker.scenario("s"):
        assert consist.current_tracker() is tracker
        assert consist.current_run() is None
        with pytest.raises(errors.NoActiveRunError):
            consist.output_path("x")
    with pytest.raises(errors.NoTrackerError, match="use_tracker"):
        consist.current_tracker()


OUTSIDE: list[Callable[[], object]] = [
    lambda: consist.output_path("x"),
    consist.output_dir,
    lambda: consist.log_artifact("x", "k"),
    lambda: consist.log_input("x", "k"),
    lambda: consist.log_output("x", "k"),
    lambda: consist.log_artifacts({"k": "x"}),
    lambda: consist.log_meta(a=1),
    lambda: consist.capture_outputs("."),
]


@pytest.mark.parametrize("call", OUTSIDE)
def test_outside_a_step_the_helpers_refuse_also_with_a_default_tracker(
    tracker: Tracker, call: Callable[[], object]
) -> None:
    with consist.use_tracker(tracker), pytest.raises(errors.NoActiveRunError, match="inside"):
        call()


def test_outside_a_step_nothing_is_cached(tracker: Tracker) -> None:
    assert (consist.cached_output(), consist.cached_artifacts()) == (None, {})
    assert (tracker.is_cached, tracker.cached_output(), tracker.cached_artifacts()) == (False, None, {})
    with pytest.raises(errors.NoActiveRunError):
        tracker.log_output("x", "k")


def test_the_default_tracker_is_set_for_a_block_or_until_changed(tracker: Tracker) -> None:
    with consist.use_tracker(tracker) as same:
        assert same is tracker is consist.current_tracker()
        with consist.scenario("s", step_tags=["t"]) as sc:
            assert sc.run(step).run.tags == ["t"]
    assert consist.set_current_tracker(tracker) is None
    try:
        assert consist.current_tracker() is tracker
    finally:
        assert consist.set_current_tracker(None) is tracker
    with pytest.raises(errors.NoTrackerError, match="set_current_tracker"):
        consist.scenario("s")
    with consist.scenario("explicit", tracker) as sc:
        assert sc.tracker is tracker


def test_another_trackers_run_is_not_this_ones(tracker: Tracker, here: Path) -> None:
    with Tracker(run_dir="other", db_path="other.db") as other:

        def uses_the_wrong_one() -> None:
            other.log_output("x", "k")

        with pytest.raises(errors.NoActiveRunError):
            tracker.run(uses_the_wrong_one)


def test_a_context_that_is_handed_on_to_a_thread_counts_there(tracker: Tracker) -> None:
    def writes() -> dict[str, Path]:
        with ThreadPoolExecutor(2) as pool:
            return {key: pool.submit(contextvars.copy_context().run, made, key).result() for key in ("a", "c")}

    assert set(tracker.run(writes, outputs=["a", "c"]).outputs) == {"a", "c"}


def test_in_a_thread_the_default_tracker_of_another_is_said_to_be_unknown(tracker: Tracker) -> None:
    with consist.use_tracker(tracker), ThreadPoolExecutor(1) as pool:
        with pytest.raises(errors.NoTrackerError, match=r"does not know the default tracker .*copy_context\(\)\.run"):
            pool.submit(consist.run, step).result()
        assert pool.submit(contextvars.copy_context().run, consist.run, step).result().run.status == "completed"


def test_threads_and_tasks_have_runs_of_their_own(tracker: Tracker) -> None:
    seen: list[consist.Run | None] = []

    def outer() -> None:
        thread = threading.Thread(target=lambda: seen.append(consist.current_run()))
        thread.start()
        thread.join()

    tracker.run(outer)
    assert [run and run.id for run in seen] == ["outer"]  # what a thread of a step does belongs to it

    async def named() -> Path:
        before = consist.current_run()
        await asyncio.sleep(0)
        assert before is consist.current_run()
        return made(text=before.id if before else "")

    async def both() -> list[str]:
        with tracker.scenario("s") as sc:
            results = await asyncio.gather(
                sc.arun(named, name="a", outputs=["a"]), sc.arun(named, name="b", outputs=["b"])
            )
            again = await sc.arun(named, name="a", outputs=["a"])
            assert again.cache_hit
        return [result.outputs[key].path.read_text() for result, key in zip(results, "ab", strict=True)]

    assert asyncio.run(both()) == ["s_a", "s_b"]


def test_an_async_step_that_fails_is_recorded_as_failed(tracker: Tracker) -> None:
    async def bad() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    async def go() -> None:
        with tracker.scenario("s") as sc:
            await sc.arun(bad)

    with pytest.raises(ValueError, match="no"):
        asyncio.run(go())
    assert {run.id: run.status for run in tracker.find_runs()} == {"s": "failed", "s_bad": "failed"}


def test_a_cancelled_async_step_is_recorded_as_interrupted(tracker: Tracker) -> None:
    async def waits() -> None:
        await asyncio.sleep(60)

    async def go() -> None:
        with tracker.scenario("s") as sc:
            await asyncio.wait_for(sc.arun(waits), timeout=0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(go())
    assert [run.status for run in tracker.find_runs(name="waits")] == ["interrupted"]
