"""Runs begun and ended by calls."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker, errors
from tests.support.api import ROOT


def write(tracker: Tracker, text: str) -> None:
    if not tracker.is_cached:
        (tracker.run_dir / "x.txt").write_text(text)
    tracker.log_output(tracker.run_dir / "x.txt", "x")


def test_a_block_is_a_run_and_the_next_one_is_cached(tracker: Tracker) -> None:
    assert tracker.last_run is None
    found, current = [], []
    for run_id in ("first", "second"):
        with tracker.start_run(run_id, "traffic", config={"a": 1}, year=2030, phase="p", note="n") as inside:
            found.append(inside.is_cached)
            write(tracker, "1")
            current.append((tracker.current_consist, consist.current_consist()))
        assert tracker.current_consist is consist.current_consist() is None
    assert found == [False, True]
    for (one, other), run_id in zip(current, ("first", "second"), strict=True):
        assert one is not None
        assert one == other
        assert (one.run.id, [each.key for each in one.outputs]) == (run_id, ["x"])
    last = tracker.last_run
    assert last is not None
    assert (last.run.id, last.run.model_name, last.run.status, last.is_cached) == (
        "second",
        "traffic",
        "completed",
        True,
    )
    assert (last.run.year, last.run.phase, last.run.meta["note"], last.config) == (2030, "p", "n", {"a": 1})
    assert [each.key for each in last.outputs] == ["x"]
    assert last.cached_run is not None
    assert last.cached_run.id == "first"


def test_an_error_ends_the_run_as_failed(tracker: Tracker) -> None:
    with consist.use_tracker(tracker):
        with pytest.raises(ValueError, match="boom"), consist.start_run("r", "m"):
            raise ValueError("boom")
        assert tracker.last_run is not None
        assert (tracker.last_run.run.status, tracker.last_run.run.meta["error"]) == ("failed", "boom")
        with consist.trace("t"):
            pass
    assert tracker.last_run.run.name == "t"
    with pytest.raises(errors.NoTrackerError, match=r"start_run\(\)"):
        consist.start_run("r", "m")


def imperative(tracker: Tracker, factor: int) -> bool:
    run = tracker.begin_run("base", "m", config={"a": 1}, inputs=[Path("in.txt")], tags=["t"], note="n")
    assert run.status == "running"
    cached = tracker.is_cached
    write(tracker, str(factor))
    assert tracker.end_run().status == "completed"
    return cached


def test_calls_begin_and_end_a_run(tracker: Tracker, here: Path) -> None:
    (here / "in.txt").write_text("1")
    # what may follow in this function counts, so the numbers are those of two equal calls
    found = [imperative(tracker, factor) for factor in [3] * 2]
    assert found == [False, True]
    last = tracker.last_run
    assert last is not None
    assert (last.run.id, last.run.tags, last.run.meta["note"]) == ("base#2", ["t"], "n")
    assert [each.key for each in last.inputs] == ["in"]


def test_what_the_rest_of_the_function_reads_counts(tracker: Tracker, here: Path) -> None:
    (here / "in.txt").write_text("1")
    assert [imperative(tracker, factor) for factor in (3, 4)] == [False, False]
    assert [(here / "in.txt").write_text("2") and imperative(tracker, factor) for factor in (4,)] == [False]


def begun_elsewhere(tracker: Tracker) -> None:
    tracker.begin_run("r", "m")


def ended_here(tracker: Tracker) -> consist.Run:
    begun_elsewhere(tracker)
    return tracker.end_run()


def test_a_run_that_other_code_ends_is_never_reused(tracker: Tracker) -> None:
    run = [ended_here(tracker) for _ in range(2)][-1]
    assert run.status == "completed"
    reason = run.meta["cache_miss_explanation"]
    assert reason["reason"] == "prior_run_not_reusable"
    assert "it was ended by code that did not begin it" in reason["differs"][0]


def test_a_run_ends_as_it_is_told(tracker: Tracker) -> None:
    tracker.begin_run("r", "m")
    with pytest.raises(errors.RunActiveError, match="'r' is still executing"):
        tracker.begin_run("other", "m")
    with pytest.raises(errors.OptionError, match="'completed', 'failed'"):
        tracker.end_run("done")
    run = tracker.end_run("failed", KeyError("zone"))
    assert (run.status, run.meta["error"]) == ("failed", "'zone'")
    with pytest.raises(errors.StateError, match=r"end_run\(\) has no run to end: call begin_run\(\) first"):
        tracker.end_run()
    tracker.begin_run("r", "m")
    assert tracker.end_run("failed").meta["error"] == "it was ended with status 'failed'"
    assert [each.id for each in tracker.find_runs(model="m")] == ["r#2", "r"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a typo": ({"cach_mode": "reuse"}, "Is 'cache_mode' meant"),
    "hash_inputs": ({"hash_inputs": ["x"]}, "use identity_inputs="),
    "artifact_dir": ({"artifact_dir": "x"}, "run_subdir_fn="),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("call", ["start_run", "begin_run"])
def test_keywords_that_do_nothing_are_refused(tracker: Tracker, call: str, what: str) -> None:
    options, said = REFUSED[what]
    with pytest.raises(errors.UsageTypeError, match=said):
        getattr(tracker, call)("r", "m", **options)
    assert tracker.find_runs() == []


def test_a_dry_run_stops_at_a_run_without_a_block(tracker: Tracker) -> None:
    with tracker.scenario("s", dry_run=True) as sc:
        tracker.begin_run("r", "m")
        raise AssertionError("not reached")
    assert sc.dry_run is not None
    assert tracker.find_runs() == []


def test_a_run_that_is_never_ended_is_abandoned_like_any(here: Path) -> None:
    (here / "left.py").write_text("from consist_es import Tracker\nTracker('runs').begin_run('r', 'm')\n")
    subprocess.run([sys.executable, "left.py"], check=True, env={"PYTHONPATH": str(ROOT), "HOME": str(here)})
    with Tracker("runs") as tracker:
        tracker.run(lambda: None, name="next")
        run = tracker.get_run("r")
        assert run is not None
        assert run.status == "abandoned"
