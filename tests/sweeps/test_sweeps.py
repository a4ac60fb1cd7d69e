"""`sc.map`: every row is in the result and in the record, whatever becomes of its worker."""

import itertools
import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, Tracker
from consist_es.errors import (
    AccessModeError,
    ClosedError,
    RunActiveError,
    StateError,
    SweepError,
    UsageError,
    UsageTypeError,
)
from consist_es.events import Recorded
from tests.support import sweep_model as model
from tests.support.api import run_script
from tests.support.cli import run, run_json
from tests.support.elsewhere import Elsewhere

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
ROWS = [{"toll": float(toll)} for toll in range(4)]


def forks(workers: int = 2) -> Executor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))


def by_toll(row: Any) -> str:
    return f"t{row['toll']:g}"


def batches(tracker: Tracker, kind: str) -> int:
    """How many appends have an event of this type."""
    events: list[Recorded] = list(tracker.project.log.read())
    ends = list(itertools.accumulate(events, lambda count, event: count + event.end, initial=0))
    return len({batch for batch, event in zip(ends, events, strict=False) if event.type == kind})


# ---------------------------------------------------------------- rows and their results


@pytest.mark.parametrize(
    "executor", [lambda: None, lambda: ThreadPoolExecutor(2), forks], ids=["here", "threads", "fork"]
)
def test_rows_are_computed_once_and_land_in_the_coupler_in_their_order(
    tracker: Tracker, executor: Callable[[], Any]
) -> None:
    with tracker.scenario("tolls") as sc:
        first = sc.map(model.assign, ROWS, executor=executor(), outputs=["flows"], row_id=by_toll)
        assert [(row.id, row.status) for row in first] == [(f"t{toll}", "computed") for toll in range(4)]
        assert first["t3"].result.outputs["flows"].path.read_text() == "6.0\n"
        assert first["t3"].run.id == "tolls_assign.t3"
        assert list(sc.coupler) == ["flows/t0", "flows/t1", "flows/t2", "flows/t3"]
        assert sc.coupler["flows/t2"].path.read_text() == "4.0\n"
        again = sc.map(model.assign, [*ROWS, {"toll": 4.0}], executor=executor(), outputs=["flows"], row_id=by_toll)
        assert (again.hits, again.computed, again.failed, again.lost) == (4, 1, [], [])
        assert again["t1"].outputs["flows"].id == first["t1"].outputs["flows"].id
        serial = [sc.run(model.assign, config=row, outputs=["flows"]).cache_hit for row in ROWS]
        assert serial == [True] * 4
    assert repr(again) == "<SweepResult assign: 5 rows: 1 computed, 4 hit>"
    assert len(again) == 5


def test_hits_are_recorded_together_and_sent_to_nobody(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc:
        sc.map(model.assign, ROWS, outputs=["flows"])
        before = batches(tracker, "cache_hit")
        nobody = Elsewhere()
        assert sc.map(model.assign, ROWS, executor=nobody, outputs=["flows"]).hits == 4
    assert nobody.submitted == 0
    assert batches(tracker, "cache_hit") == before + 1
    assert tracker.project.log.verify(full=True).ok


def test_rows_that_are_the_same_work_are_computed_once(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc, ThreadPoolExecutor(2) as pool:
        result = sc.map(model.assign, [ROWS[0]] * 3, executor=pool, outputs=["flows"])
    assert (result.computed, result.hits) == (1, 2)


def test_inputs_and_the_config_of_all_rows_reach_every_row(tracker: Tracker) -> None:
    Path("fares.txt").write_text("10")
    with tracker.scenario("tolls", config={"seed": 1}) as sc, forks(1) as pool:
        sc.coupler["fares"] = "fares.txt"
        result = sc.map(model.price, ROWS[:2], executor=pool, input_keys=["fares"], outputs=["prices"])
        assert [row.outputs["prices"].path.read_text() for row in result] == ["10.0\n", "11.0\n"]
        Path("fares.txt").write_text("20")
        assert sc.map(model.price, ROWS[:2], inputs={"fares": Path("fares.txt")}, outputs=["prices"]).hits == 0
        both = sc.map(model.assign, [{}, {"toll": 7.0}], config={"toll": 5.0}, outputs=["flows"])
    assert [row.outputs["flows"].path.read_text() for row in both] == ["10.0\n", "14.0\n"]


def test_texts_and_lists_in_rows_count(tracker: Tracker) -> None:
    def named(name: str, years: list[int]) -> Path:
        path = consist.output_path("out", "txt")
        path.write_text(f"{name} {years}")
        return path

    rows = [{"name": "a", "years": [1, 2]}, {"name": "b", "years": [1, 2]}, {"name": "a", "years": [1, 3]}]
    with tracker.scenario("s") as sc:
        result = sc.map(named, rows, outputs=["out"])
        assert [row.outputs["out"].path.read_text() for row in result] == ["a [1, 2]", "b [1, 2]", "a [1, 3]"]
        assert sc.map(named, rows, outputs=["out"]).hits == 3


def test_a_window_keeps_most_rows_back(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc, ThreadPoolExecutor(2) as pool:
        assert sc.map(model.assign, ROWS, executor=pool, outputs=["flows"], window=1).computed == 4
        with pytest.raises(UsageError, match=r"window=0 lets no row start"):
            sc.map(model.assign, ROWS, window=0)


# ---------------------------------------------------------------- what goes wrong


def test_an_exception_is_a_row_also_one_that_does_not_unpickle(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc, forks() as pool:
        with pytest.raises(
            SweepError, match=r"2 of 4 rows have no result\. The first one, '1', is failed: OddError"
        ) as found:
            sc.map(model.assign_unless_odd, ROWS, executor=pool, outputs=["flows"])
        result = found.value.result
        assert [(row.id, row.status) for row in result.failed] == [("1", "failed"), ("3", "failed")]
        assert result["1"].error == "OddError: odd 1 and 2"
        assert result["1"].run.status == "failed"
        assert list(sc.coupler) == ["flows/0", "flows/2"]
        with pytest.raises(StateError, match=r"Row '1' has no result: it is failed\. OddError"):
            _ = result["1"].result
        kept = sc.map(model.assign_unless_odd, ROWS, executor=pool, outputs=["flows"], on_error="keep")
        assert (kept.hits, len(kept.failed)) == (2, 2)
        left = sc.map(model.leaves, ROWS[:1], executor=pool, on_error="keep")
        assert left.failed[0].error == "SystemExit: leaving at 0.0"


def test_a_killed_worker_loses_its_row_and_the_same_call_goes_on(tracker: Tracker) -> None:
    rows = [{"toll": float(toll), "mark": "killed"} for toll in range(3)]
    with tracker.scenario("tolls") as sc:
        with forks(1) as pool:
            result = sc.map(model.killed_once, rows, executor=pool, outputs=["flows"], on_error="keep")
        assert result["1"].status == "lost"
        assert "worker lost: BrokenProcessPool" in str(result["1"].error)
        assert result["1"].run.status == "abandoned"
        assert {row.status for row in result} <= {"computed", "lost"}
        done = result.computed
        with forks(1) as pool:
            again = sc.map(model.killed_once, rows, executor=pool, outputs=["flows"])
        assert (again.hits, again.computed) == (done, 3 - done)


def test_a_row_whose_news_were_lost_is_read_from_the_record(tracker: Tracker) -> None:
    class Forgetful(Elsewhere):
        def submit(self, fn: Callable[..., Any], task: Any) -> Any:
            future = ThreadPoolExecutor(1).submit(fn, task)
            future.result()
            lost: Any = type(future)()
            lost.set_exception(ConnectionError("gone"))
            return lost

    with tracker.scenario("tolls") as sc:
        result = sc.map(model.assign, ROWS[:1], executor=Forgetful(), outputs=["flows"])
    assert result["0"].status == "computed"
    assert result["0"].outputs["flows"].path.read_text() == "0.0\n"


def test_a_row_that_does_not_pickle_fails_alone(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc:
        rows: list[dict[str, Any]] = [{"toll": 1.0}, {"toll": 2.0, "lock": Lock()}]
        result = sc.map(model.assign, rows, executor=forks(1), outputs=["flows"], on_error="keep")
        assert [row.status for row in result] == ["computed", "failed"]
        assert "Row '1' of sweep 'assign' cannot be sent to a worker" in str(result["1"].error)


@dataclass
class Lock:
    """A value that counts like any other, and has no way to another process."""

    number: int = 1

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle a lock")


SCRIPT = """
import os, signal
from pathlib import Path
import consist_es as consist
def work(n):
    path = consist.output_path("out", "txt"); path.write_text(str(n))
    if n == 3 and Path("kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return path
if __name__ == "__main__":
    with consist.Tracker(run_dir="runs", db_path="p.db") as tracker, tracker.scenario("s") as sc:
        print(sc.map(work, [{"n": n} for n in range(5)], outputs=["out"]))
"""


def test_a_killed_coordinator_is_seen_and_its_rows_hit_the_next_time(here: Path) -> None:
    script = here / "sweep.py"
    script.write_text(SCRIPT)
    (here / "kill").touch()
    assert run_script(script, code=None).returncode == -signal.SIGKILL
    (here / "kill").unlink()
    shown = run("show", "s").stdout
    assert "sweeps" in shown
    assert "work: 5 rows: 3 done, not ended; 2 without a result: 3, 4" in shown
    assert "5 rows: 2 computed, 3 hit" in run_script(script).stdout
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        found = tracker.get_run("s_work.3#1")
    assert found is not None
    assert found.status == "abandoned"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"rows": [1, 2]}, UsageTypeError, r"row 0 is int, not a mapping"),
        ({"rows": {"toll": 1}}, UsageTypeError, r"takes an iterable of rows"),
        ({"row_id": lambda row: "same"}, UsageError, r"two rows have the id 'same'"),
        ({"row_id": lambda row: None}, UsageTypeError, r"row_id gives a str or a number, not NoneType"),
        ({"row_id": lambda row: "../x"}, UsageError, r"row id"),
        ({"executor": 3}, UsageTypeError, r"executor takes an executor with submit\(\)"),
        ({"on_error": "ignore"}, UsageError, r"on_error"),
        ({"run_id": "x"}, UsageTypeError, r"give row_id=, not run_id="),
        ({"script": "s.sh", "executor": ThreadPoolExecutor(1)}, UsageError, r"leave executor= out"),
        ({"fn": 3}, UsageTypeError, r"fn takes a callable"),
        ({"inputs": {"toll": "nowhere.txt"}}, UsageError, r"nowhere\.txt"),
        ({"outputs_": ["x"]}, UsageTypeError, r"map\(\) got an unexpected keyword argument 'outputs_'"),
    ],
)
def test_a_call_that_cannot_work_records_nothing(
    tracker: Tracker, given: dict[str, Any], error: type[Exception], said: str
) -> None:
    with tracker.scenario("tolls") as sc:
        before = tracker.project.log.head()
        with pytest.raises(error, match=said):
            sc.map(given.pop("fn", model.assign), given.pop("rows", ROWS), **given)
        assert tracker.project.log.head() == before


def test_a_sweep_needs_an_open_scenario_and_no_step_around_it(tracker: Tracker) -> None:
    sc = tracker.scenario("tolls")
    with pytest.raises(ClosedError, match=r"map\(\): scenario 'tolls' is not active"):
        sc.map(model.assign, ROWS)

    def outer() -> None:
        sc.map(model.assign, ROWS)

    with sc, pytest.raises(RunActiveError):
        sc.run(outer)
    reading = Tracker(run_dir="runs", db_path="project.db", access_mode="read_only")
    with pytest.raises(AccessModeError):
        reading.map_scenarios(model.policy, ROWS)


def test_no_rows_are_a_sweep_of_none(tracker: Tracker) -> None:
    with tracker.scenario("tolls") as sc:
        result = sc.map(model.assign, [])
    assert (len(result), result.outputs) == (0, {})


# ---------------------------------------------------------------- elsewhere in the library


def test_a_sweep_is_told_on_stderr_and_shown_by_every_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Tracker(run_dir="runs", db_path="project.db", progress=True) as tracker, tracker.scenario("tolls") as sc:
        sc.map(model.assign, ROWS, executor=forks(), outputs=["flows"])
        sc.map(model.assign_unless_odd, ROWS, outputs=["flows"], on_error="keep")
    assert "sweep assign: 4 rows: 4 computed in" in capsys.readouterr().err
    shown = run("show", "tolls").stdout
    assert "assign: 4 rows on ProcessPoolExecutor in" in shown
    assert "assign_unless_odd: 4 rows in" in shown
    assert "2 computed, 2 failed; 2 without a result: 1, 3" in shown
    assert run_json("show", "tolls")[0]["sweeps"][1]["failed"] == 2
    assert "2 of a sweep of assign" in run("show", "tolls_assign.2").stdout
    assert run_json("show", "tolls_assign.2")[0]["row"] == "2"
    assert run_json("scenarios")[0]["sweeps"] == "assign (4 rows), assign_unless_odd (4 rows)"
    audit = run("audit", "tolls").stdout
    assert "sweep assign started: 4 rows on ProcessPoolExecutor" in audit
    assert "sweep ended in" in audit
    assert "row 2" in audit


def test_a_dry_run_forecasts_the_rows_and_an_untracked_one_computes_them(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracker.scenario("tolls") as sc:
        sc.map(model.assign, ROWS[:1], outputs=["flows"])
    head = tracker.project.log.head()
    with tracker.scenario("dry", dry_run=True) as dry:
        assert len(dry.map(model.assign, ROWS, executor=forks(), outputs=["flows"]).waiting) == 4
        assert "flows/3" in dry.coupler
    assert dry.dry_run is not None
    assert [step.verdict for step in dry.dry_run.steps] == ["hit", "miss", "miss", "miss"]
    assert tracker.project.log.head() == head
    monkeypatch.setenv("CONSIST_ES_DRY_RUN", "1")
    with Tracker(run_dir="runs", db_path="project.db") as rehearsing:
        assert len(rehearsing.map_scenarios(model.policy, ROWS, executor=forks()).waiting) == 4
    assert tracker.project.log.head() == head
    monkeypatch.delenv("CONSIST_ES_DRY_RUN")
    with consist.noop_scenario("none") as untracked:
        assert untracked.map(model.assign, ROWS, executor=forks(), outputs=["flows"]).computed == 4


def test_hooks_are_called_for_rows_wherever_they_ran(tracker: Tracker) -> None:
    told: list[tuple[str, str]] = []
    tracker.on_run_start(lambda run: told.append(("start", run.id)))
    tracker.on_run_complete(lambda run, outputs: told.append((" ".join(outputs), run.id)))
    tracker.on_run_failed(lambda run, error: told.append((str(error), run.id)))
    with tracker.scenario("s") as sc:
        for executor in (forks(1), None):
            told.clear()
            sc.map(model.assign_unless_odd, ROWS[:2], executor=executor, outputs=["flows"], on_error="keep")
            ends = [what for what, _ in told if what != "start"]
            assert [run for what, run in told if what == "start"] == [run for what, run in told if what != "start"]
            assert ends[0] == "flows"
            assert "odd 1 and 2" in ends[1]


def test_rows_may_be_scenarios_with_the_sweep_as_their_parent(tracker: Tracker) -> None:
    with forks() as pool:
        first = tracker.map_scenarios(model.policy, ROWS, executor=pool, row_id=by_toll)
    assert (first.computed, first.hits) == (4, 0)
    again = tracker.map_scenarios(model.policy, ROWS, executor=ThreadPoolExecutor(2), row_id=by_toll)
    here = tracker.map_scenarios(model.policy, ROWS, row_id=by_toll)
    assert (again.hits, here.hits) == (4, 4)
    assert first["t2"].run.id == "policy_t2"
    assert {row.run.parent_run_id for row in again} == {"policy#2"}
    assert first["t2"].outputs["flows"].path.read_text() == "4.0\n"
    assert first["t2"].run.config == {"toll": 2.0}
    with pytest.raises(SweepError, match=r"4 of 4 rows"):
        tracker.map_scenarios(lambda sc, row: 1 / 0, ROWS, name="broken")


def test_what_another_thread_has_open_is_no_read_of_a_row(tracker: Tracker) -> None:
    def slow(n: int) -> Path:
        path = consist.output_path("out", "txt")
        with path.open("w+") as file:
            file.write(str(n))
            file.flush()
            time.sleep(0.05)
        return path

    with tracker.scenario("s") as sc, ThreadPoolExecutor(3) as pool:
        rows = [{"n": n} for n in range(6)]
        assert sc.map(slow, rows, executor=pool, outputs=["out"]).computed == 6
        assert sc.map(slow, rows, outputs=["out"]).hits == 6


def test_options_of_steps_hold_for_rows(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        once = CacheOptions(cache_mode="overwrite")
        assert sc.map(model.assign, ROWS[:2], outputs=["flows"], year=2030, tags=["t"]).computed == 2
        assert sc.map(model.assign, ROWS[:2], outputs=["flows"], year=2030, cache_options=once).computed == 2
        asked = CacheOptions(cache_hydration="outputs-all")
        assert sc.map(model.assign, ROWS[:2], outputs=["flows"], year=2030, cache_options=asked).hits == 2
    assert {tuple(run.tags) for run in tracker.find_runs(name="assign", year=2030)} == {("t",), ()}
