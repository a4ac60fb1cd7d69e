"""Processes, threads and tasks that reach the same step at once compute it once."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, RunResult, Tracker

SCRIPT = """
import os, sys, time
from pathlib import Path
import consist_es as consist

def slow() -> Path:
    with open("computed", "a") as file:
        file.write(f"{os.getpid()}\\n")
    deadline = time.monotonic() + 60
    while not Path("go").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    out = consist.output_path("o", "txt")
    out.write_text("1")
    return out

result = consist.Tracker("runs", observe="off").run(slow, outputs=["o"])  # it waits for a file that appears
print("hit" if result.cache_hit else "computed")
"""


def start(folder: Path) -> "subprocess.Popen[str]":
    (folder / "model.py").write_text(SCRIPT)
    root = str(Path(consist.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen(
        [sys.executable, "model.py"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(check: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def computed(folder: Path) -> list[str]:
    file = folder / "computed"
    return file.read_text().split() if file.exists() else []


def waiting(process: "subprocess.Popen[str]") -> str:
    """The line that a waiting process writes."""
    assert process.stderr is not None
    return process.stderr.readline()


def test_a_second_process_waits_for_the_first_and_hits(tmp_path: Path) -> None:
    first = start(tmp_path)
    until(lambda: computed(tmp_path))
    second = start(tmp_path)
    line = waiting(second)
    assert "is being computed by" in line
    assert f".{first.pid}." in line
    (tmp_path / "go").touch()
    assert first.communicate(timeout=60)[0] == "computed\n"
    assert second.communicate(timeout=60)[0] == "hit\n"
    assert computed(tmp_path) == [str(first.pid)]
    assert list((tmp_path / "runs" / "provenance.events" / "turns").iterdir()) == []


def test_a_waiting_process_takes_over_when_the_first_is_killed(tmp_path: Path) -> None:
    first = start(tmp_path)
    until(lambda: computed(tmp_path))
    second = start(tmp_path)
    waiting(second)
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    until(lambda: len(computed(tmp_path)) == 2)
    (tmp_path / "go").touch()
    assert second.communicate(timeout=60)[0] == "computed\n"
    for stream in (first.stdout, first.stderr):
        if stream is not None:
            stream.close()


class Slow:
    """A step that says when it began and goes on when it is told to."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()
        self.calls = 0


def given(slow: Slow) -> ExecutionOptions:
    return ExecutionOptions(runtime_kwargs={"slow": slow})


def slow_step(slow: Slow) -> Path:
    slow.calls += 1
    slow.began.set()
    assert slow.go.wait(30)
    out = consist.output_path("o", "txt")
    out.write_text("1")
    return out


@pytest.mark.parametrize(("once", "calls"), [(None, 1), (False, 2)])
def test_two_threads_compute_once_unless_told_otherwise(tmp_path: Path, once: bool | None, calls: int) -> None:
    slow = Slow()
    tracker = Tracker(tmp_path)
    results: list[RunResult] = []

    def run() -> None:
        options = CacheOptions(compute_once=once)
        results.append(tracker.run(slow_step, outputs=["o"], cache_options=options, execution_options=given(slow)))

    threads = [threading.Thread(target=run) for _ in range(2)]
    threads[0].start()
    assert slow.began.wait(30)
    threads[1].start()
    if once is False:
        until(lambda: slow.calls == 2)
    slow.go.set()
    for thread in threads:
        thread.join(60)
    assert slow.calls == calls
    assert sorted(result.cache_hit for result in results) == [False, calls == 1]


async def async_step(slow: Slow) -> Path:
    slow.calls += 1
    await asyncio.sleep(0.1)
    out = consist.output_path("o", "txt")
    out.write_text("1")
    return out


def test_two_tasks_of_one_loop_compute_once_without_a_deadlock(tmp_path: Path) -> None:
    slow = Slow()
    tracker = Tracker(tmp_path)

    async def both() -> list[RunResult]:
        return await asyncio.gather(
            *(tracker.arun(async_step, outputs=["o"], execution_options=given(slow)) for _ in range(2))
        )

    results = asyncio.run(both())
    assert slow.calls == 1
    assert sorted(result.cache_hit for result in results) == [False, True]


def test_a_step_that_fails_lets_the_waiting_one_compute(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path)
    calls: list[int] = []

    def fails() -> Path:
        calls.append(1)
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            tracker.run(fails, outputs=["o"])
    assert len(calls) == 2


def test_a_place_without_locks_computes_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(tmp_path)
    turns = tmp_path / "provenance.events" / "turns"
    turns.parent.mkdir(parents=True)
    turns.write_text("a file where the folder should be")
    with caplog.at_level(logging.DEBUG, "consist_es"):
        slow = Slow()
        slow.go.set()
        assert tracker.run(slow_step, outputs=["o"], execution_options=given(slow)).cache_hit is False
    assert "no turns" in caplog.text
