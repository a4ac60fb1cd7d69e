"""Runs whose process cannot be looked for stay `running`, and somebody says when they are over; whose process is
certainly gone are abandoned by the next writer, at once."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import Tracker
from consist_es.doctor.examine import abandon
from consist_es.errors import MissingKeyError, UsageError
from consist_es.events import StepAbandoned
from consist_es.log.presence import FOLDER
from consist_es.project.project import Project
from consist_es.system.storage import LocalStorage
from tests.log.test_log_unended import Another
from tests.support.cli import run, run_json

RUNS = """
import sys, time
from pathlib import Path
import consist_es as consist
def slow():
    p = consist.output_path("out", ext="txt")
    p.write_text("half")
    Path("go").write_text("1")
    while not Path("on").exists():
        time.sleep(0.02)
    p.write_text("whole")
    return p
with consist.Tracker(run_dir="runs", db_path="p.db") as tracker, tracker.scenario("base") as sc:
    found = sc.run(fn=slow, outputs=["out"])
print(found.run.status, found.outputs["out"].path.read_text())
"""


@contextmanager
def started(here: Path, *before: str) -> Iterator["subprocess.Popen[str]"]:
    """A process in the middle of a step; killed at the end where it still runs."""
    (here / "runs.py").write_text(RUNS)
    command = [*before, sys.executable, "runs.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not (here / "go").exists():
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def step() -> Path:
    path = consist.output_path("o", ext="txt")
    path.write_text("x")
    return path


def at_work(storage: LocalStorage | None = None) -> dict[str, str]:
    """What becomes of the others' runs where another process takes a step."""
    with Tracker("runs", "p.db") as tracker:
        if storage is not None:
            tracker.project.storage = storage
        tracker.run(step, outputs=["o"])
    return statuses()


def statuses() -> dict[str, str]:
    with Tracker("runs", "p.db", access_mode="read_only") as tracker:
        found = {run.id: run.status for run in tracker.find_runs()}
    return {run: status for run, status in sorted(found.items()) if run.partition("#")[0] != "step"}


def set_aside() -> list[Path]:
    return list(Path("runs").rglob("*.abandoned"))


RUNNING = {"base": "running", "base_slow": "running"}
ABANDONED = {"base": "abandoned", "base_slow": "abandoned"}
COMPLETED = {"base": "completed", "base_slow": "completed"}
ELSEWHERE = {"boot": "theirs", "machine": "theirs", "host": "node7", "pid_namespace": "pid:[7]"}

containers = pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(["unshare", "-pf", "--mount-proc", "true"], capture_output=True, check=False).returncode != 0,
    reason="another PID namespace needs unshare(1) and the right to use it",
)
IN_CONTAINER = ("unshare", "--fork", "--pid", "--mount-proc", "--kill-child")


@containers
@pytest.mark.parametrize("inside", [True, False], ids=["theirs", "ours"])
def test_a_run_of_another_pid_namespace_goes_on_and_its_kill_is_noticed_at_once(here: Path, inside: bool) -> None:
    theirs, ours = (IN_CONTAINER, ()) if inside else ((), IN_CONTAINER)
    look = [*ours, sys.executable, "-c", "from tests.project.test_live_or_dead import at_work; print(at_work())"]
    root = str(Path(__file__).resolve().parents[2])

    def looked() -> str:
        done = subprocess.run(look, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    with started(here, *theirs) as process:
        assert looked() == str(RUNNING)
        assert set_aside() == []
        (here / "on").touch()
        assert process.wait(60) == 0
    assert looked() == str(COMPLETED)
    for name in ("go", "on"):
        (here / name).unlink()
    (here / "runs.py").unlink()
    shutil.rmtree(here / "runs")
    for path in here.glob("p.*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with started(here, *theirs) as process:
        process.kill()
        process.wait()
        time.sleep(0.2)  # for the container's init to take its processes along
        assert looked() == str(ABANDONED)
    assert len(set_aside()) == 1


def test_a_suspended_process_lives(here: Path) -> None:
    with started(here) as process:
        process.send_signal(signal.SIGSTOP)
        for asks in (LocalStorage(), Another(boot="later"), Another(pid_namespace="pid:[7]")):
            assert at_work(asks) == RUNNING
        assert "which is alive" in run("doctor", "--project", "p.db").stdout
        (here / "on").touch()
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60)[0] == "completed whole\n"
    assert statuses() == COMPLETED


def test_a_reboot_is_noticed_at_once(here: Path) -> None:
    with started(here) as process:
        process.kill()
        process.wait()
    assert at_work(Another(boot="later")) == ABANDONED
    assert len(set_aside()) == 1
    assert list((here / "p.events" / FOLDER).iterdir()) == []


def test_of_two_machines_on_one_folder_neither_takes_the_others_runs_for_dead(here: Path) -> None:
    with started(here) as process:
        assert at_work(Another(**ELSEWHERE)) == RUNNING
        process.kill()
        process.wait()
    assert at_work(Another(**ELSEWHERE)) == RUNNING  # nobody there can tell
    assert len(list((here / "p.events" / FOLDER).iterdir())) == 1  # by which it is seen here
    assert set_aside() == []
    assert at_work() == ABANDONED


def test_who_has_a_run_without_an_end_is_told_and_who_knows_more_can_say_that_it_is_over(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(here) as process:
        (writer,) = {event.by for event in Project(here / "p.db", read_only=True).log.read()}
        host, pid = writer.split(".")[0], process.pid
        for name, says in ELSEWHERE.items():
            monkeypatch.setattr(LocalStorage, name, lambda _self, says=says: says)
        said = [row for row in run_json("doctor", "--project", "p.db") if row["check"] == "runs"]
        assert [row["level"] for row in said] == ["note", "note"]
        assert f"on {host}, process {pid}: it cannot be seen from here if that is alive" in said[0]["what"]
        assert "without an end since 20" in said[0]["what"]
        assert "doctor --abandon base" in said[0]["todo"]
        assert run("runs", "--project", "p.db").stdout.count(f"on {host}, process {pid}") == 1
        assert (
            "Recorded as abandoned: base.\nRecorded as abandoned: base_slow.\n"
            in run("doctor", "--abandon", "base", "--project", "p.db").stderr
        )
        assert statuses() == ABANDONED
        assert "declared over by" in run("runs", "--project", "p.db").stdout
        assert "Recorded as" not in run("doctor", "--abandon", "base_slow", "--project", "p.db").stderr  # it is already
        assert set_aside() == []
        (here / "on").touch()
        assert process.communicate(timeout=60)[0] == "completed whole\n"  # it lived all the time
    assert statuses() == COMPLETED
    run("replay", "--check", "--project", "p.db")
    assert run("verify", "--project", "p.db").stdout.count("has no end") == 0
    with Tracker("runs", "p.db") as tracker:
        events = [recorded.event for recorded in tracker.project.log.read()]
        assert [event.set_aside for event in events if isinstance(event, StepAbandoned)] == [None, None]


def test_only_what_is_running_can_be_declared_over(here: Path) -> None:
    with Tracker("runs", "p.db") as tracker:
        tracker.run(step, outputs=["o"])
        head = tracker.project.log.head().seq
        with pytest.raises(UsageError, match=r"'step' is not running: it is completed\. Nothing was recorded"):
            abandon(tracker.project, ["step"])
        with pytest.raises(MissingKeyError, match="stop"):
            abandon(tracker.project, ["stop"])
        assert abandon(tracker.project, []) == []
        assert tracker.project.log.head().seq == head
    assert "is not running" in run("doctor", "--abandon", "step", "--project", "p.db", code=2).stderr


@pytest.mark.parametrize("how", ["fails", "is interrupted", "completes"])
def test_an_end_that_comes_after_an_abandonment_is_the_runs_end(here: Path, how: str) -> None:
    raised = {"fails": ValueError("no"), "is interrupted": KeyboardInterrupt(), "completes": None}[how]

    def late() -> Path:
        with Tracker("runs", "p.db") as other:
            abandon(other.project, ["s"])
        assert set(statuses().values()) == {"abandoned"}
        if raised is not None:
            raise raised
        return step()

    def both() -> None:
        with Tracker("runs", "p.db") as tracker, tracker.scenario("s") as sc:
            sc.run(late, outputs=["o"])

    status = {"fails": "failed", "is interrupted": "interrupted", "completes": "completed"}[how]
    if raised is None:
        both()
    else:
        with pytest.raises(type(raised)):
            both()
    assert statuses() == {"s": status, "s_late": status}
    with Tracker("runs", "p.db") as tracker:
        found = tracker.get_run("s_late")
        assert found is not None
        assert found.ended_at is not None
        assert "declared over" not in repr(found)
    run("replay", "--check", "--project", "p.db")
