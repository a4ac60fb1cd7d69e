"""Threads and processes that a step starts: what they read is observed, what they log belongs to the run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker, errors
from tests.support.api import output_of

ROOT = Path(__file__).resolve().parents[2]

WORK = """
import os, signal, sys, time, warnings
from pathlib import Path
import consist_es as consist
def work(name):
    path = consist.output_path(name, ext="txt")
    path.write_text(Path(f"{name}.in").read_text().upper())
    consist.log_output(path, key=name, area=name)
    consist.log_input(Path(f"{name}.late"), key=name)
    consist.log_meta(**{name: os.getpid()})
    return name
def die(name):
    work(name)
    os.kill(os.getpid(), signal.SIGKILL)
"""

MAIN = """
import json, multiprocessing as mp, sys
from concurrent.futures import ProcessPoolExecutor
import consist_es as consist
from consist_es import Tracker
from work import die, work
NAMES = ["north", "south"]
def step():
    {start}
def main():
    {before}
    tracker = Tracker(run_dir="runs", db_path="p.db")
    for _ in range({calls}):
        result = tracker.run(step)
        recorded = sorted(tracker.get_run_outputs(result.run.id))
        print("@@" + json.dumps([result.cache_hit, sorted(result.outputs), recorded,
            {{key: artifact.path.read_text() for key, artifact in sorted(result.outputs.items())}},
            sorted(tracker.get_run_inputs(result.run.id))])
            , flush=True)
if __name__ == "__main__":
    main()
"""

STARTS = {
    "pool, fork": "with mp.get_context('fork').Pool(2) as pool: pool.map(work, NAMES)",
    "pool, spawn": "with mp.get_context('spawn').Pool(2) as pool: pool.map(work, NAMES)",
    "pool, forkserver": "with mp.get_context('forkserver').Pool(2) as pool: pool.map(work, NAMES)",
    "futures, fork": "with ProcessPoolExecutor(2, mp.get_context('fork')) as pool: list(pool.map(work, NAMES))",
    "futures, spawn": "with ProcessPoolExecutor(2, mp.get_context('spawn')) as pool: list(pool.map(work, NAMES))",
    "futures, forkserver": (
        "with ProcessPoolExecutor(2, mp.get_context('forkserver')) as pool: list(pool.map(work, NAMES))"
    ),
    "workers that are replaced": (
        "with mp.get_context('fork').Pool(1, maxtasksperchild=1) as pool: pool.map(work, NAMES, 1)"
    ),
    "loky": "from joblib import Parallel, delayed; Parallel(2, backend='loky')(delayed(work)(n) for n in NAMES)",
}


def prepared(here: Path, start: str, before: str = "pass", calls: int = 1) -> None:
    (here / "work.py").write_text(WORK)
    (here / "main.py").write_text(MAIN.format(start=start, before=before, calls=calls))
    for name in ("north", "south"):
        (here / f"{name}.in").write_text(name)
        (here / f"{name}.late").write_text(name)


def played(here: Path) -> list[Any]:
    """What each call of the step gave."""
    environment = {name: value for name, value in os.environ.items() if name != "CONSIST_ES_OBSERVE"}
    path = os.pathsep.join([str(here), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=here, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True
    )
    found = [json.loads(line[2:]) for line in done.stdout.splitlines() if line.startswith("@@")]
    assert found, done.stderr
    return found


@pytest.mark.parametrize("how", STARTS)
def test_what_workers_log_and_read_belongs_to_the_run_on_the_miss_as_on_the_hit(here: Path, how: str) -> None:
    if how == "loky":
        pytest.importorskip("joblib")
    prepared(here, STARTS[how])
    both = ["north", "south"]
    contents = {"north": "NORTH", "south": "SOUTH"}
    ((hit, outputs, recorded, made, inputs),) = played(here)
    assert (hit, outputs, recorded, made, inputs) == (False, both, both, contents, both)
    ((hit, outputs, recorded, made, _),) = played(here)
    assert (hit, outputs, recorded, made) == (True, both, both, contents)
    (here / "south.in").write_text("west")
    ((hit, *_, made, _),) = played(here)
    assert (hit, made["south"]) == (False, "WEST")
    (here / "north.late").write_text("changed")
    with Tracker(run_dir="runs", db_path="p.db", access_mode="read_only") as tracker:
        tracker.get_run_outputs("step")["south"].path.write_text("edited by hand")
    ((hit, *_, made, _),) = played(here)
    assert (hit, made["south"]) == (False, "WEST")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_that_are_older_than_the_step_work_for_each_step_in_turn(here: Path, method: str) -> None:
    before = f"global POOL; POOL = mp.get_context({method!r}).Pool(2); POOL.map(abs, [1, 2])"
    prepared(here, "POOL.map(work, NAMES)", before, calls=2)
    first, second = played(here)  # what a global pool is cannot be identified: it is computed every time
    assert first[1:3] == second[1:3] == [["north", "south"], ["north", "south"]]


def test_what_a_worker_logged_before_it_was_killed_counts_and_the_pool_goes_on(here: Path) -> None:
    start = (
        "process = mp.get_context('fork').Process(target=die, args=('north',)); process.start(); process.join();"
        " assert process.exitcode == -9; work('south')"
    )
    prepared(here, start)
    assert played(here)[0][:3] == [False, ["north", "south"], ["north", "south"]]
    assert played(here)[0][:3] == [True, ["north", "south"], ["north", "south"]]


def test_a_worker_that_outlives_its_step_is_told_so_and_records_nothing(tracker: Tracker, here: Path) -> None:
    def outlives() -> None:
        path = consist.output_path("late", "txt")
        path.write_text("late")
        if os.fork() == 0:
            os.read(reading, 1)
            try:
                consist.log_output(path, key="late")
                told = "logged"
            except errors.ClosedError as error:
                told = str(error)
            (here / "told.new").write_text(told)
            (here / "told.new").rename(here / "told")
            os._exit(0)

    reading, writing = os.pipe()
    run = tracker.run(outlives).run
    os.write(writing, b"x")
    os.wait()
    assert "has ended in the process that started this one" in (here / "told").read_text()
    assert "Let the step wait for its workers" in (here / "told").read_text()
    assert tracker.get_run_outputs(run.id) == {}


def test_what_a_forked_worker_looks_up_in_the_scenario_is_compared_on_the_next_call(
    tracker: Tracker, here: Path
) -> None:
    def looks() -> Path:
        out = consist.output_path("out", "txt")
        if (child := os.fork()) == 0:
            out.write_text(scenario.coupler["skims"].read_text())
            os._exit(0)
        os.waitpid(child, 0)
        return out

    got = []
    for text in ("old", "old", "new"):
        path = here / f"{text}.txt"
        path.write_text(text)
        with tracker.scenario("s") as scenario:
            scenario.coupler.set("skims", path)
            result = scenario.run(looks)
            got.append((result.cache_hit, output_of(result).path.read_text()))
    assert got == [(False, "old"), (True, "old"), (False, "new")]


# ---------------------------------------------------------------- threads


def make(key: str) -> None:
    path = consist.output_path(key, "txt")
    path.write_text(key)
    consist.log_output(path, key=key)


def in_pool() -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, "abc"))


def nested() -> None:
    def outer(key: str) -> None:
        with ThreadPoolExecutor(1) as inner:
            inner.submit(make, key).result()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(outer, "abc"))


async def in_executor() -> None:
    loop = asyncio.get_running_loop()
    await asyncio.gather(*(loop.run_in_executor(None, make, key) for key in "abc"))


@pytest.mark.parametrize("step", [in_pool, nested, in_executor])
def test_what_threads_of_a_step_log_belongs_to_it_without_handing_over_a_context(
    tracker: Tracker, step: Callable[[], Any]
) -> None:
    for hit in (False, True):
        result = asyncio.run(tracker.arun(step)) if step is in_executor else tracker.run(step)
        assert (result.cache_hit, sorted(result.outputs)) == (hit, ["a", "b", "c"])


@pytest.mark.filterwarnings("ignore:.*cannot be identified")  # what a pool is
def test_a_pool_that_is_older_than_the_steps_works_for_the_one_that_is_executing(tracker: Tracker) -> None:
    with ThreadPoolExecutor(1) as pool:

        def uses_it(keys: str) -> None:
            list(pool.map(make, keys))

        pool.submit(abs, 1).result()
        for keys in ("ab", "cd"):
            assert sorted(tracker.run(uses_it, config={"keys": keys}).outputs) == [*keys]


def test_where_two_steps_execute_at_once_a_thread_of_neither_is_refused_and_told_what_to_do(
    tracker: Tracker, here: Path
) -> None:
    both, done = threading.Barrier(3), threading.Barrier(3)

    def waits(n: int) -> None:
        both.wait(20)
        done.wait(20)

    def other() -> None:
        both.wait(20)
        with pytest.raises(errors.NoActiveRunError, match=r"any of the runs that are executing: .*RunContext"):
            consist.log_output(here / "x", key="x")
        assert consist.current_run() is None
        done.wait(20)

    with ThreadPoolExecutor(3) as pool:
        steps = [pool.submit(tracker.run, waits, config={"n": n}) for n in (1, 2)]
        pool.submit(other).result()
        assert [step.result().outputs for step in steps] == [{}, {}]


def test_between_steps_a_thread_that_starts_them_logs_for_none(tracker: Tracker, here: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        go_on.wait(20)

    def starts_steps() -> None:
        begun.wait(20)
        try:
            assert sorted(tracker.run(in_pool).outputs) == ["a", "b", "c"]  # while another one executes
            with pytest.raises(errors.NoActiveRunError):
                consist.log_output(here / "x", key="x")
        finally:
            go_on.set()

    with ThreadPoolExecutor(2) as pool:
        steps: list[Future[Any]] = [pool.submit(tracker.run, waits), pool.submit(starts_steps)]
        for step in steps:
            step.result()


# ---------------------------------------------------------------- turns


DAEMON = """
import ctypes, os, signal, sys, time
from consist_es import Tracker
def step():
    open("began", "a").write("x")
    if os.environ.get("LEAVES_A_DAEMON"):
        if ctypes.PyDLL(None).fork() == 0:  # as a C library does it: no hook of Python's is called
            open("daemon", "w").write(str(os.getpid()))
            while True:
                time.sleep(60)
        while not os.path.exists("daemon"):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
print(Tracker(run_dir="runs", db_path="p.db").run(step).cache_hit)
"""


def test_a_daemon_that_inherited_the_turn_of_a_dead_process_holds_nobody_up(here: Path) -> None:
    (here / "main.py").write_text(DAEMON)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "main.py"], env={**environment, "LEAVES_A_DAEMON": "1"}) as first:
        assert first.wait() == -signal.SIGKILL
    try:
        done = subprocess.run([sys.executable, "main.py"], env=environment, capture_output=True, text=True, timeout=60)
        assert done.stdout == "False\n", done.stderr
    finally:
        os.kill(int((here / "daemon").read_text()), signal.SIGKILL)
