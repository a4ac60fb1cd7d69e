"""Collecting deletes what nothing needs, and nothing of a record, a copy or a living process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import consist_es
from consist_es import Tracker
from consist_es.artifacts.placing import _machine
from consist_es.keeping import garbage as collecting
from consist_es.projections import run_table
from tests.keeping.model import chain, facts, files, hits, opened
from tests.support.children import fork, released, status_of


def kinds(found: collecting.Collection) -> list[str]:
    return [item.kind for item in found.items]


def writes_and_dies() -> None:
    consist_es.output_path("half", ext="txt").write_text("half" * 100)
    os.kill(os.getpid(), signal.SIGKILL)


def killed_run(folder: Path) -> None:
    """A run whose process is killed while its output is half written."""

    def child() -> None:
        with opened(folder) as tracker:
            tracker.run(writes_and_dies, outputs=["half"])

    assert status_of(fork(child)) == -signal.SIGKILL


def gone_process() -> int:
    """The number of a process that is gone."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return opened(tmp_path)


def test_there_is_nothing_in_a_project_that_is_well(tmp_path: Path, tracker: Tracker) -> None:
    chain(tracker)
    tracker.archive_run_outputs("base", tmp_path / "runs" / "archive")
    assert tracker.collect_garbage().items == []
    assert str(tracker.collect_garbage()) == "There is nothing that nobody needs."


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_partial_outputs_of_a_killed_run_go(tmp_path: Path) -> None:
    killed_run(tmp_path)
    with opened(tmp_path) as tracker:
        chain(tracker)
        before, known = files(tmp_path), facts(tracker)
        (item,) = tracker.collect_garbage().items
        assert item.place.name.endswith(".abandoned")
        assert item.size == 400
        assert files(tmp_path) == before
        done = tracker.collect_garbage(dry_run=False)
        assert done.done
        assert done.size == 400
        assert str(done).startswith("Deleted 1 thing: 400 bytes are free.")
        assert {*before} - {*files(tmp_path)} == {name for name in before if ".abandoned" in name}
        assert facts(tracker) == known
        assert tracker.collect_garbage().items == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_folder_with_a_recovery_copy_in_it_stays(tmp_path: Path) -> None:
    killed_run(tmp_path)
    with opened(tmp_path) as tracker:
        made = chain(tracker)["trips"].outputs["trips"]
        (item,) = tracker.collect_garbage().items
        tracker.archive_artifact(made, item.place)
        assert tracker.collect_garbage(dry_run=False).items == []
        assert item.place.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="holds a run open in another process")
def test_a_run_in_progress_keeps_its_folder(tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)

    def waits() -> Path:
        out = consist_es.output_path("half", ext="txt")
        out.write_text("half")
        begun.write_text("x")
        go.read_text()
        return out

    def child() -> None:
        with opened(tmp_path) as tracker:
            tracker.run(waits, outputs=["half"])

    pid = fork(child)
    begun.read_text()
    with opened(tmp_path) as tracker, released(go):
        row = run_table.running(tracker.project.connection())[0]
        folder = tmp_path / "runs" / "outputs" / "waits" / row.key
        aside = folder.with_name(f"{folder.name}.abandoned")  # as if another machine had taken it for dead
        aside.mkdir()
        tracker.project.abandon([row])
        assert tracker.collect_garbage(dry_run=False).items == []
        assert aside.exists()
        assert (folder / "half.txt").exists()
    assert status_of(pid) == 0


def test_a_folder_of_that_name_of_no_abandoned_run_stays(tmp_path: Path, tracker: Tracker) -> None:
    chain(tracker)
    (tmp_path / "runs" / "outputs" / "mine.abandoned").mkdir()
    assert tracker.collect_garbage().items == []


def test_databases_that_were_set_aside_go_and_what_others_put_there_stays(tmp_path: Path, tracker: Tracker) -> None:
    chain(tracker)
    known = facts(tracker)
    tracker.close()
    database = tmp_path / "runs" / "provenance.db"
    ours = database.with_name("provenance.db.orphaned-1")
    ours.write_bytes(database.read_bytes())
    theirs = database.with_name("provenance.db.damaged-1")
    theirs.write_text("a file of mine that lay in the place of the database")
    with opened(tmp_path) as again:
        found = again.collect_garbage()
        assert [item.place for item in found.items] == [ours]
        again.collect_garbage(dry_run=False)
        assert not ours.exists()
        assert theirs.exists()
        assert database.exists()
        assert facts(again) == known


def test_copies_that_a_dead_process_was_making_go_and_others_stay(tmp_path: Path, tracker: Tracker) -> None:
    folder = chain(tracker)["trips"].outputs["trips"].path.parent
    dead = folder / f".consist-{_machine()}-{gone_process()}-1.part"
    mine = folder / f".consist-{_machine()}-{os.getpid()}-1.part"
    other = folder / f".consist-00000000-{gone_process()}-1.part"
    for room in (dead, mine, other):
        (room / "in it").mkdir(parents=True)
        (room / "in it" / "half").write_text("half")
    assert [item.place for item in tracker.collect_garbage().items] == [dead]
    tracker.collect_garbage(dry_run=False)
    assert [room.exists() for room in (dead, mine, other)] == [False, True, True]
    assert all(hits(chain(tracker)).values())


def test_caches_go_only_if_asked_and_nothing_runs(tmp_path: Path, tracker: Tracker) -> None:
    made = chain(tracker)["trips"].outputs["trips"].path
    cache = tracker.project.digests.path
    os.utime(made, ns=(10**18, 10**18))
    cache.write_bytes(b"") if not cache.exists() else None
    assert tracker.collect_garbage().items == []
    with tracker.scenario("open"):
        assert tracker.collect_garbage(caches=True).items == []
    assert kinds(tracker.collect_garbage(caches=True, dry_run=False)) == ["cache"]
    assert not cache.exists()
    assert all(hits(chain(tracker)).values())


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), FileNotFoundError(2, "gone")])
def test_what_cannot_be_deleted_is_named(
    tmp_path: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    folder = chain(tracker)["trips"].outputs["trips"].path.parent
    (folder / f".consist-{_machine()}-{gone_process()}-1.part").mkdir()

    def refuses(*_: object) -> None:
        raise error

    monkeypatch.setattr("shutil.rmtree", refuses)
    done = tracker.collect_garbage(dry_run=False)
    assert done.items == []
    assert [item.why for item in done.left] == (
        ["it cannot be deleted: Permission denied"] if isinstance(error, PermissionError) else []
    )
