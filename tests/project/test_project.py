"""Where a project lies, what it refuses to touch, and what the next process finds of a dead one."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

from consist_es import ConsistWarning, Tracker, errors
from consist_es.artifacts.digest_cache import now_ns, stamp_of
from consist_es.projections import run_table
from tests.support.api import NONE, ROOT, made, run_script


def step() -> Path:
    return made()


@pytest.mark.parametrize(
    ("name", "log"),
    [
        ("provenance.duckdb", "provenance.events"),
        ("results", "results.events"),
        ("my data.v2.sqlite", "my data.v2.events"),
        ("sub/folder/p.db", "sub/folder/p.events"),
        ("données.db", "données.events"),
        ("quest?ion#100%.db", "quest?ion#100%.events"),
    ],
)
def test_the_database_may_have_any_name_and_the_log_lies_beside_it(here: Path, name: str, log: str) -> None:
    for hit in (False, True):
        with Tracker(run_dir="runs", db_path=name) as tracker:
            assert tracker.run(step, outputs=["o"]).cache_hit is hit
    assert (here / log / "00000001.jsonl").is_file()
    with closing(sqlite3.connect(here / name)) as conn:
        assert conn.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_a_name_that_is_not_utf8_works_too(here: Path) -> None:
    folder = Path(os.fsdecode(b"caf\xe9"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    for hit in (False, True):
        with Tracker(run_dir=folder / "runs", db_path=folder / "p.db") as tracker:
            result = tracker.run(step, outputs=["o"])
            assert result.cache_hit is hit
            assert result.outputs["o"].path.read_text() == "x\n"
            (folder / "in.txt").write_text("in")
            used = tracker.run(lambda: made(), name="used", inputs=[folder / "in.txt"], identity_inputs=[folder])
            assert used.run.status == "completed"
    with Tracker(run_dir=folder / "runs", db_path=folder / "p.db") as tracker:
        result.outputs["o"].path.write_text("edited")
        assert not tracker.run(step, outputs=["o"]).cache_hit
    (folder / "model.py").write_text(
        "import consist_es as c\nfrom consist_es import Tracker\nt = Tracker(run_dir='runs', db_path='p.db')\n"
        "def f():\n    p = c.output_path('o', 'txt')\n    p.write_text('x')\n    return p\n"
        "def g(): raise ValueError(__file__)\n"
        "print(t.run(f, outputs=['o']).cache_hit)\n"
        "try:\n    t.run(g)\nexcept ValueError:\n    print(t.get_run('g').status)\n"
    )
    assert run_script(folder / "model.py").stdout == "False\nfailed\n"
    assert run_script(folder / "model.py").stdout == "True\nfailed\n"


FOREIGN = {
    "text": b"name,value\na,1\n",
    "bytes": bytes(range(256)) * 4,
    "parquet": b"PAR1" + bytes(100),
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_without_a_log_is_refused_by_name_and_left_untouched(here: Path, content: bytes) -> None:
    (here / "provenance.duckdb").write_bytes(content)
    with pytest.raises(errors.NotOurDatabaseError, match=r"provenance\.duckdb is .* left untouched"):
        Tracker(run_dir="runs", db_path="provenance.duckdb")
    assert (here / "provenance.duckdb").read_bytes() == content
    assert [path.name for path in here.iterdir() if path.suffix != ".lock"] == ["provenance.duckdb"]


def test_somebody_elses_sqlite_file_is_refused_and_left_untouched(here: Path) -> None:
    with closing(sqlite3.connect("other.db")) as conn:
        conn.execute("CREATE TABLE mine (a)")
        conn.commit()
    before = (here / "other.db").read_bytes()
    with pytest.raises(errors.NotOurDatabaseError, match="other"):
        Tracker(run_dir="runs", db_path="other.db")
    assert (here / "other.db").read_bytes() == before


@pytest.mark.parametrize("content", [*FOREIGN.values(), b"SQLite format 3\0" + b"\xff" * 200])
def test_a_damaged_view_is_set_aside_in_one_line_and_nothing_is_lost(here: Path, content: bytes) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        first = tracker.run(step, outputs=["o"])
    for name in ("p.db-wal", "p.db-shm"):
        (here / name).unlink(missing_ok=True)
    (here / "p.db").write_bytes(content)
    with pytest.warns(ConsistWarning) as said:
        tracker = Tracker(run_dir="runs", db_path="p.db")
    with tracker:
        assert len(said) == 1
        assert "\n" not in str(said[0].message)
        assert "damaged-1" in str(said[0].message)
        assert (here / "p.db.damaged-1").read_bytes() == content
        assert tracker.run(step, outputs=["o"]).outputs == first.outputs


def test_a_deleted_database_is_made_again_from_the_log(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        first = tracker.run(step, outputs=["o"])
    for path in here.glob("p.db*"):
        path.unlink()
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        assert tracker.run(step, outputs=["o"]).outputs == first.outputs


def test_a_database_deleted_under_an_open_tracker_is_made_again(tracker: Tracker, here: Path) -> None:
    tracker.run(step, outputs=["o"])
    for path in here.glob("project.db*"):
        path.unlink()
    assert tracker.run(step, outputs=["o"]).cache_hit
    assert len(tracker.find_runs()) == 2


def test_a_tracker_goes_on_after_it_was_closed(tracker: Tracker) -> None:
    tracker.run(step, outputs=["o"])
    tracker.close()
    assert tracker.run(step, outputs=["o"]).cache_hit


def test_two_trackers_of_one_project_see_each_other(tracker: Tracker, here: Path) -> None:
    with Tracker(run_dir="runs", db_path="project.db") as other:
        tracker.run(step, outputs=["o"])
        assert other.run(step, outputs=["o"]).cache_hit
        assert len(tracker.find_runs()) == 2


# ---------------------------------------------------------------- processes that end before their runs

KILLED = """
import os, signal, sys
from pathlib import Path
import consist_es as consist
from consist_es import Tracker

tracker = Tracker(run_dir="runs", db_path="p.db")

def good() -> Path:
    out = consist.output_path("good", "txt")
    out.write_text("good")
    return out

def dies() -> Path:
    out = consist.output_path("o", "txt")
    out.write_text("half")
    consist.log_output(out, "o")
    print("ready", flush=True)
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "wait":
        sys.stdin.readline()
    return out

with tracker.scenario("s") as sc:
    sc.run(good, outputs=["good"])
    sc.run(dies, outputs=["o"])
"""


def start(folder: Path, how: str) -> subprocess.Popen[str]:
    (folder / "model.py").write_text(KILLED)
    return subprocess.Popen(
        [sys.executable, "model.py", how],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def statuses(tracker: Tracker) -> dict[str, str]:
    return {run.id: run.status for run in tracker.find_runs()}


def test_a_killed_process_leaves_its_runs_abandoned_for_the_next_writer(here: Path) -> None:
    with start(here, "kill") as dead:
        assert dead.wait(60) == -signal.SIGKILL
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        assert statuses(tracker) == {"s": "running", "s_good": "completed", "s_dies": "running"}
        tracker.run(step)
        assert statuses(tracker) == {
            "s": "abandoned",
            "s_good": "completed",
            "s_dies": "abandoned",
            "step": "completed",
        }
        assert list(tracker.get_run_outputs("s_dies")) == ["o"]  # what it logged is not lost
    with start(here, "live") as again:
        assert again.wait(60) == 0
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        found = statuses(tracker)
        assert (found["s#2"], found["s_dies#2"], found["s_good#2"]) == ("completed", "completed", "completed")
        hits = {run.id: run.meta.get("cache_hit", False) for run in tracker.find_runs(kind="run")}
        assert (hits["s_good#2"], hits["s_dies#2"]) == (True, False)
        abandoned = [entry for entry in tracker.project.log.read() if entry.type == "step_abandoned"]
        assert len(abandoned) == 2  # once each, whoever looks


def test_two_processes_that_find_the_same_dead_runs_say_so_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start(here, "kill") as dead:
        assert dead.wait(60) == -signal.SIGKILL
    with Tracker(run_dir="runs", db_path="p.db") as one, Tracker(run_dir="runs", db_path="p.db") as other:
        found = run_table.running(one.project.connection())
        one.run(step)
        monkeypatch.setattr(run_table, "running", lambda conn: found)  # the other had looked before the first wrote
        other.run(step)
        assert [entry.type for entry in one.project.log.read()].count("step_abandoned") == 2


def test_runs_of_a_living_process_are_left_alone(here: Path) -> None:
    with start(here, "wait") as living:
        assert living.stdout is not None
        assert living.stdin is not None
        assert living.stdout.readline() == "ready\n"
        with Tracker(run_dir="runs", db_path="p.db") as tracker:
            tracker.run(step)
            assert statuses(tracker)["s_dies"] == "running"
            living.stdin.write("\n")
            living.stdin.flush()
            assert living.wait(60) == 0
            assert statuses(tracker)["s_dies"] == "completed"


def test_a_forked_child_goes_on_with_the_project(tracker: Tracker) -> None:
    tracker.run(step, outputs=["o"])
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if tracker.run(step, outputs=["o"]).cache_hit else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert tracker.run(step, outputs=["o"]).cache_hit
    assert len(tracker.find_runs()) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not say what is open")
def test_a_closed_tracker_has_nothing_of_its_project_open(here: Path) -> None:
    (here / "in.txt").write_text("in")

    def open_files() -> set[str]:
        names = set()
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the listing itself
                names.add(str(entry.readlink()))
        return {name for name in names if name.startswith(str(here))}

    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(made, name="s", inputs={"raw": "in.txt"}, outputs=["made"], execution_options=NONE)
        tracker.project.digests.record({b"f": (stamp_of(here.stat()), "b3:0", now_ns() + 10**10)})
        assert any("/digests" in name for name in open_files())
    assert open_files() == set()
