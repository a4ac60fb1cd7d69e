"""Two runs that write one place at the same time: neither is reused, and both say so."""

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, OutputSet, RunResult, Tracker
from consist_es.events import OutputsDoubted
from tests.support.api import ROOT

SAME_PLACE = "the same place at the same time"


class Gate:
    """Lets two steps interleave as a test wants it."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()

    def wait(self) -> None:
        self.inside.set()
        assert self.go_on.wait(30)


def runtime(**values: Any) -> ExecutionOptions:
    return ExecutionOptions(runtime_kwargs=values)


def beside(tracker: Tracker, slow: Callable[[Gate], RunResult], quick: Callable[[], object]) -> tuple[RunResult, Any]:
    """`slow` begins, `quick` runs whole while it waits at the gate, then `slow` ends."""
    gate, results = Gate(), []
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        thread = threading.Thread(target=lambda: results.append(slow(gate)))
        thread.start()
        assert gate.inside.wait(30)
        try:
            quick()
        finally:
            gate.go_on.set()
            thread.join()
    return results[0], [str(item.message) for item in seen if SAME_PLACE in str(item.message)]


def why_not(result: RunResult) -> str:
    found = result.run.meta["cache_miss_explanation"]
    return f"{found['reason']}: {found['differs']}" if "differs" in found else str(found)


def simulate(file: Path, k: int, gate: Gate | None = None) -> None:
    file.write_text(f"scenario {k}")
    if gate is not None:
        gate.wait()


def asked(tracker: Tracker, file: Path, k: int, gate: Gate | None = None) -> RunResult:
    options = runtime(file=file, gate=gate)
    return tracker.run(simulate, config={"k": k}, execution_options=options, output_paths={"trips": file})


def test_the_slow_run_has_the_quick_ones_bytes_and_is_never_reused(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"
    _, told = beside(tracker, lambda gate: asked(tracker, file, 1, gate), lambda: asked(tracker, file, 2))
    assert len(told) == 2
    assert all(str(file) in text for text in told)
    again = asked(tracker, file, 1)
    assert (again.cache_hit, file.read_text()) == (False, "scenario 1")
    assert asked(tracker, file, 1).cache_hit
    again = asked(tracker, file, 2)
    assert (again.cache_hit, file.read_text()) == (False, "scenario 2")


def test_one_after_the_other_is_no_contest(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asked(tracker, file, 1)
        asked(tracker, file, 2)
        assert asked(tracker, file, 2).cache_hit


def logged(file: Path, k: int, gate: Gate | None = None, wait_after: bool = False) -> None:
    """Says nothing beforehand of where it writes."""
    file.write_text(f"scenario {k}")
    if gate is not None and not wait_after:
        gate.wait()
    consist.log_output(file, "trips")
    if gate is not None and wait_after:
        gate.wait()


def undeclared(tracker: Tracker, file: Path, k: int, gate: Gate | None = None, **more: Any) -> RunResult:
    return tracker.run(logged, config={"k": k}, execution_options=runtime(file=file, gate=gate, **more))


@pytest.mark.parametrize("after", [False, True])
def test_the_quick_run_that_ended_first_is_doubted_once_the_slow_one_ends(
    tracker: Tracker, here: Path, after: bool
) -> None:
    file = here / "shared.csv"
    _, told = beside(
        tracker,
        lambda gate: undeclared(tracker, file, 1, gate, wait_after=after),
        lambda: undeclared(tracker, file, 2),
    )
    assert told
    assert any(isinstance(entry.event, OutputsDoubted) for entry in tracker.project.log.read()) or len(told) == 2
    for k in (2, 1):
        again = undeclared(tracker, file, k)
        assert (again.cache_hit, file.read_text()) == (False, f"scenario {k}")
        assert "prior_run_not_reusable" in why_not(again)


def test_the_doubt_survives_views_that_are_made_again_and_a_redaction(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"
    beside(tracker, lambda gate: undeclared(tracker, file, 1, gate), lambda: undeclared(tracker, file, 2))
    doubts = [entry.seq for entry in tracker.project.log.read() if isinstance(entry.event, OutputsDoubted)]
    assert len(doubts) == 1
    file.write_text("scenario 2")
    tracker.project.redact(doubts, "a test")
    assert not undeclared(tracker, file, 2).cache_hit
    tracker.project.views.rebuild()
    assert undeclared(tracker, file, 2).cache_hit  # the one that ran alone


def test_a_run_that_failed_beside_may_have_written_too(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"

    def fails(file: Path) -> None:
        file.write_text("half")
        raise RuntimeError("no")

    def quick() -> None:
        with pytest.raises(RuntimeError, match="no"):
            tracker.run(fails, execution_options=runtime(file=file), output_paths={"trips": file})

    slow, told = beside(tracker, lambda gate: asked(tracker, file, 1, gate), quick)
    assert slow.outputs["trips"].path.read_text() == "half"
    assert len(told) == 1
    assert not asked(tracker, file, 1).cache_hit


def test_a_run_that_goes_on_is_named(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"
    _, told = beside(tracker, lambda gate: asked(tracker, file, 1, gate), lambda: asked(tracker, file, 2))
    assert any("which has not ended" in text for text in told)


def test_other_files_are_no_contest(tracker: Tracker, here: Path) -> None:
    _, told = beside(
        tracker, lambda gate: asked(tracker, here / "one.csv", 1, gate), lambda: asked(tracker, here / "two.csv", 2)
    )
    assert told == []
    assert asked(tracker, here / "one.csv", 1).cache_hit
    assert asked(tracker, here / "two.csv", 2).cache_hit


def own(gate: Gate | None = None) -> Path:
    path = consist.output_path("o", "txt")
    path.write_text("o")
    if gate is not None:
        gate.wait()
    return path


def test_files_in_the_runs_own_folders_are_no_contest(tracker: Tracker) -> None:
    def step(k: int, gate: Gate | None = None) -> RunResult:
        return tracker.run(own, config={"k": k}, execution_options=runtime(gate=gate))

    _, told = beside(tracker, lambda gate: step(1, gate), lambda: step(2))
    assert told == []
    assert step(1).cache_hit
    assert step(2).cache_hit


def test_folders_that_the_users_function_gives_to_several_runs_are(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os", run_subdir_fn=lambda _run: "same") as tracker:

        def step(k: int, gate: Gate | None = None) -> RunResult:
            return tracker.run(own, config={"k": k}, execution_options=runtime(gate=gate))

        _, told = beside(tracker, lambda gate: step(1, gate), lambda: step(2))
        assert told
        assert not step(1).cache_hit


def test_another_spelling_of_the_path_is_the_same_place(tracker: Tracker, here: Path) -> None:
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    one, other = here / "real" / "f.csv", here / "link" / "f.csv"
    _, told = beside(tracker, lambda gate: undeclared(tracker, one, 1, gate), lambda: undeclared(tracker, other, 2))
    assert told
    one.write_text("scenario 1")
    assert not undeclared(tracker, one, 1).cache_hit


def test_another_tracker_on_the_same_log_with_another_folder_and_mount_is_seen(tracker: Tracker, here: Path) -> None:
    with Tracker(run_dir="elsewhere", db_path="project.db", sync="os", mounts={"all": here}) as other:
        file = here / "runs" / "shared.csv"
        file.parent.mkdir(exist_ok=True)
        _, told = beside(tracker, lambda gate: asked(tracker, file, 1, gate), lambda: asked(other, file, 2))
    assert len(told) == 2
    assert not asked(tracker, file, 1).cache_hit


def test_a_mount_of_the_other_tracker_alone_is_seen_in_what_it_recorded(tracker: Tracker, here: Path) -> None:
    with Tracker(run_dir="elsewhere", db_path="project.db", sync="os", mounts={"all": here}) as other:
        file = here / "runs" / "shared.csv"
        file.parent.mkdir(exist_ok=True)
        _, told = beside(tracker, lambda gate: undeclared(tracker, file, 1, gate), lambda: undeclared(other, file, 2))
    assert told
    file.write_text("scenario 1")
    assert not undeclared(tracker, file, 1).cache_hit


def test_a_folder_and_a_file_in_it_are_one_place(tracker: Tracker, here: Path) -> None:
    folder = here / "out"

    def fill(folder: Path, gate: Gate | None = None) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "a.csv").write_text("folder")
        if gate is not None:
            gate.wait()

    def slow(gate: Gate | None) -> RunResult:
        return tracker.run(fill, execution_options=runtime(folder=folder, gate=gate), output_paths={"all": folder})

    _, told = beside(tracker, slow, lambda: undeclared(tracker, folder / "a.csv", 2))
    assert told
    (folder / "a.csv").write_text("folder")
    assert not slow(None).cache_hit


def captures(folder: Path, k: int, gate: Gate | None = None) -> None:
    (folder / f"{k}.csv").write_text(str(k))
    if gate is not None:
        gate.wait()


@pytest.mark.parametrize(("patterns", "contest"), [(("*", "*"), True), (("1.*", "2.*"), False)])
def test_one_captured_folder_is_a_contest_unless_the_patterns_tell_the_runs_apart(
    tracker: Tracker, here: Path, patterns: tuple[str, str], contest: bool
) -> None:
    folder = here / "out"

    def step(k: int, gate: Gate | None = None) -> RunResult:
        options = runtime(folder=folder, gate=gate)
        pattern = patterns[k - 1]
        given: Any = {"capture_dir": folder, "capture_pattern": pattern, "execution_options": options}
        return tracker.run(captures, config={"k": k}, **given)

    _, told = beside(tracker, lambda gate: step(1, gate), lambda: step(2))
    assert bool(told) == contest
    assert step(2).cache_hit != contest


def test_sets_of_other_members_in_one_folder_are_no_contest(tracker: Tracker, here: Path) -> None:
    folder = here / "out"
    folder.mkdir()

    def step(k: int, gate: Gate | None = None, include: str = "{}.csv") -> RunResult:
        sets = {"all": OutputSet(folder, include.format(k))}
        options = runtime(folder=folder, gate=gate)
        return tracker.run(captures, config={"k": k}, output_sets=sets, execution_options=options)

    _, told = beside(tracker, lambda gate: step(1, gate), lambda: step(2))
    assert told == []
    for path in folder.iterdir():
        path.unlink()
    _, told = beside(tracker, lambda gate: step(3, gate, "*.csv"), lambda: step(4, include="*.csv"))
    assert told
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the set takes in what others wrote there, which is said, too
        assert not step(4, include="*.csv").cache_hit


def test_a_copy_that_a_hit_puts_there_meanwhile_counts(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db", sync="os", allow_external_paths=True) as tracker:
        file = here / "runs" / "shared.csv"
        file.parent.mkdir(exist_ok=True)
        tracker.run(own, outputs=["o"])

        def quick() -> None:
            file.unlink()
            options = CacheOptions(cache_hydration="outputs-requested")
            assert tracker.run(own, output_paths={"o": file}, outputs=None, cache_options=options).cache_hit

        _, told = beside(tracker, lambda gate: undeclared(tracker, file, 1, gate), quick)
        assert told
        file.write_text("scenario 1")
        assert not undeclared(tracker, file, 1).cache_hit


def test_a_block_counts_like_a_step(tracker: Tracker, here: Path) -> None:
    file = here / "shared.csv"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with tracker.trace("block", output_paths={"trips": file}):
            thread = threading.Thread(target=lambda: asked(tracker, file, 2))
            thread.start()
            thread.join()
            file.write_text("block")
    assert sum(SAME_PLACE in str(item.message) for item in seen) == 2
    assert not asked(tracker, file, 2).cache_hit


PROCESS = """
import sys, time
from pathlib import Path
from consist_es import ExecutionOptions, Tracker

def simulate(file, k, until):
    file.write_text(f"scenario {k}")
    Path(f"began {k}").touch()
    while not until.exists():
        time.sleep(0.05)

tracker = Tracker(run_dir="runs", db_path="project.db", sync="os")
k, until = int(sys.argv[1]), Path(sys.argv[2])
options = ExecutionOptions(runtime_kwargs={"until": until, "file": Path("shared.csv").absolute()})
paths = {"trips": Path("shared.csv").absolute()}
result = tracker.run(simulate, config={"k": k}, execution_options=options, output_paths=paths)
print(result.cache_hit, Path("shared.csv").read_text())
"""


def test_two_processes_are_seen_as_two_threads_are(here: Path) -> None:
    (here / "main.py").write_text(PROCESS)

    def begin(k: int, until: str = ".") -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "ignore", "main.py", str(k), until]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def said(process: subprocess.Popen[str]) -> str:
        return process.communicate(timeout=200)[0].strip()

    slow = begin(1, "go on")
    while not (here / "began 1").exists():
        assert slow.poll() is None
        time.sleep(0.05)
    assert said(begin(2)) == "False scenario 2"
    (here / "go on").touch()
    assert said(slow) == "False scenario 2"
    assert said(begin(1)) == "False scenario 1"
    assert said(begin(1)) == "True scenario 1"
