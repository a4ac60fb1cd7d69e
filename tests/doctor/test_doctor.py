"""`consist-es doctor`: every check finds what it is for, in a project where it was really done."""

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es.doctor.finding import MOST, NOTE, OK, WARNING, Finding, listed
from consist_es.doctor.log import check_filesystem, check_hosts, has_wal_reset_bug
from consist_es.events import ArtifactLogged, Draft, MetaLogged, ScenarioStarted, SegmentSealed, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.redaction import plan, write_intent
from consist_es.system.machine import filesystem_of
from consist_es.system.storage import LocalStorage
from consist_es.views import file as view_file
from tests.support.api import made, run_script
from tests.support.cli import append, record, run, run_json


@pytest.fixture
def folder(here: Path) -> Path:
    return record()


def findings(*arguments: str, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Check -> what it said, without what is well or about this machine's SQLite."""
    said: dict[str, list[dict[str, Any]]] = {}
    for finding in run_json("doctor", *arguments, code=code):
        if finding["level"] != OK and finding["check"] != "sqlite":
            said.setdefault(finding["check"], []).append(finding)
    return said


def only(said: dict[str, list[dict[str, Any]]], check: str) -> dict[str, Any]:
    """The one finding there is."""
    assert list(said) == [check], said
    ((finding,),) = said.values()
    return finding


def test_a_healthy_project_has_nothing_to_look_at(folder: Path) -> None:
    for arguments in ([], ["--deep"], ["--fix"], ["--fix", "--deep"]):
        assert findings(*arguments) == {}


def test_what_is_counted_is_named_in_its_number(folder: Path) -> None:
    assert "events in 1 segment, chain whole" in run("doctor").stdout


def test_everything_is_looked_at(folder: Path) -> None:
    always = {"log", "file system", "sqlite", "views", "dead letters", "runs", "outputs", "orphans"}
    assert {finding["check"] for finding in run_json("doctor")} == always
    assert {finding["check"] for finding in run_json("doctor", "--deep")} == always | {"rows"}


def test_a_look_changes_nothing_in_the_log(folder: Path) -> None:
    (folder / "00000002.jsonl.tmp").write_bytes(b"{")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    run("doctor", code=1)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {name: data for name, data in after.items() if name != "verified"} == before


def test_no_project_is_held_wrong(here: Path) -> None:
    assert "No *.events folder" in run("doctor", code=2).stderr


# ---------------------------------------------------------------- log


def test_a_damaged_log_is_an_error_and_nothing_is_fixed(folder: Path) -> None:
    segment = folder / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"factor":1.5', b'"factor":9.5', 1))
    (folder / "00000002.jsonl.tmp").write_bytes(b"{")
    before = segment.read_bytes()
    result = run("doctor", "--fix", code=1)
    assert "error    log: position" in result.stdout
    assert "Restore the file" in result.stdout or "restore the file" in result.stdout
    assert segment.read_bytes() == before
    assert (folder / "00000002.jsonl.tmp").exists()


def test_damage_before_the_last_check_is_found_by_a_deep_look(folder: Path) -> None:
    run("doctor")
    segment = folder / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"factor":1.5', b'"factor":9.5', 1))
    assert findings("--deep", code=1)["log"][0]["level"] == "error"


def test_an_unfinished_tail_is_moved_to_quarantine(folder: Path) -> None:
    segment = folder / "00000001.jsonl"
    whole = segment.read_bytes()
    segment.write_bytes(whole + b'{"seq":9')
    assert only(findings(code=1), "tail")["mends"]
    assert segment.read_bytes() == whole + b'{"seq":9'
    kept = only(findings("--fix"), "quarantine")
    assert kept["level"] == NOTE
    assert (folder / kept["where"]).read_bytes() == b'{"seq":9'
    assert "log_repaired" in run("log", "--json").stdout


def test_a_redaction_that_was_not_finished_is_finished(folder: Path) -> None:
    log = LocalLog(folder)
    (position,) = log.append([Draft(MetaLogged(values={"note": "hunter2" * 30}), "s", "r")])
    log.close()
    intent = plan(LocalStorage(), folder, [position], position, "a password", "", ["redacted-1"])
    write_intent(LocalStorage(), folder, intent)
    assert only(findings(code=1), "redaction")["mends"]
    assert findings("--fix") == {}
    assert b"hunter2" not in (folder / "00000001.jsonl").read_bytes()
    assert "payload_redacted" in run("log", "--json").stdout


def test_unfinished_files_are_removed_unless_somebody_may_be_writing_them(folder: Path) -> None:
    (folder / "blobs").mkdir()
    old, young, segment = folder / "blobs" / "a.tmp", folder / "blobs" / "b.tmp", folder / "00000002.jsonl.tmp"
    for path in (old, young, segment):
        path.write_bytes(b"x")
    os.utime(old, (time.time() - 90_000,) * 2)
    found = findings(code=1)["leftovers"]
    assert sorted(finding["where"] for finding in found) == ["00000002.jsonl.tmp", "blobs/a.tmp"]
    assert findings("--fix") == {}
    assert [path.exists() for path in (old, young, segment)] == [False, True, False]


def test_a_sealed_segment_gets_its_successor(folder: Path) -> None:
    append(folder, SegmentSealed(segment=1, size=1))
    assert only(findings(code=1), "leftovers")["where"] == "00000001.jsonl"
    assert findings("--fix") == {}
    assert (folder / "00000002.jsonl").exists()


def test_what_everybody_may_change_is_named(folder: Path) -> None:
    folder.chmod(0o777)
    assert only(findings(code=1), "permissions")["where"] == str(folder)
    assert only(findings("--fix", code=1), "permissions")  # whose rights it takes away is for a person to say


class Elsewhere(LocalStorage):
    """Another machine, whose clock runs ahead."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self._ahead = ahead

    def host(self) -> str:
        return "elsewhere"

    def boot(self) -> str:
        return "another boot"

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


def from_elsewhere(folder: Path, ahead: timedelta = timedelta(), **about: str) -> None:
    log = LocalLog(folder, storage=Elsewhere(ahead))
    log.append([Draft(MetaLogged(values={}), run="none", **about)])
    log.close()


def test_a_clock_that_was_far_ahead_is_noticed(folder: Path) -> None:
    from_elsewhere(folder, timedelta(minutes=50))
    assert "clock" not in findings()
    from_elsewhere(folder, timedelta(days=2))
    assert findings(code=1)["clock"][0]["level"] == WARNING


def test_two_hosts_are_told(folder: Path) -> None:
    from_elsewhere(folder)
    said = only(findings(), "hosts")
    assert said["level"] == NOTE
    assert "elsewhere" in said["what"]
    assert [finding.level for finding in check_hosts(["a", "b"], "nfs4")] == [WARNING]
    assert list(check_hosts(["a"], "nfs4")) == []


# ---------------------------------------------------------------- machine

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /data rw - nfs4 server:/export rw
31 30 0:31 / /data/my\\040disk rw - xfs /dev/sdb1 rw
32 22 0:32 / /scratch rw shared:2 master:1 - lustre mgs:/lfs rw
33 22 0:33 / /home/me/remote rw - fuse.sshfs host: rw
34 22 0:34 / /over rw - xfs /dev/sdc rw
35 22 0:35 / /over rw - cifs //server/share rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "kind", "level"),
    [
        ("/project/x.events", "ext4", OK),
        ("/database/x.events", "ext4", OK),
        ("/data/x.events", "nfs4", WARNING),
        ("/data/my disk/x.events", "xfs", OK),
        ("/scratch", "lustre", WARNING),
        ("/home/me/remote/a/b", "fuse.sshfs", WARNING),
        ("/over/x", "cifs", WARNING),
    ],
)
def test_a_network_file_system_is_known_by_the_nearest_mount(path: str, kind: str, level: str) -> None:
    assert filesystem_of(Path(path), MOUNTS) == kind
    assert [finding.level for finding in check_filesystem(Path(path), "the log lies", kind)] == [level]


def test_the_file_system_of_this_folder_is_known(tmp_path: Path) -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("the system does not say")
    assert filesystem_of(tmp_path)


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)])
def test_sqlite_versions_with_the_wal_reset_bug(version: tuple[int, ...]) -> None:
    assert has_wal_reset_bug(version)


@pytest.mark.parametrize("version", [(3, 6, 23), (3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 52, 0), (3, 53, 1)])
def test_sqlite_versions_without_it(version: tuple[int, ...]) -> None:
    assert not has_wal_reset_bug(version)


def test_a_project_on_a_network_file_system_is_warned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["consist_es.doctor.examine"], "filesystem_of", lambda _path: "nfs4")
    found = findings(code=1)["file system"]
    assert [finding["what"].split(" on ")[0] for finding in found] == ["the log lies", "the views lie"]


def test_a_version_with_the_wal_reset_bug_is_no_fault_of_the_project(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    (said,) = (finding for finding in run_json("doctor") if finding["check"] == "sqlite")
    assert (said["level"], "3.51.2" in said["what"]) == (NOTE, True)


# ---------------------------------------------------------------- views


def test_a_missing_database_is_no_fault(folder: Path, here: Path) -> None:
    for path in here.glob("provenance.db*"):
        path.unlink()
    assert only(findings(), "views")["level"] == NOTE
    assert findings() == {}


def test_views_that_lag_behind_are_no_fault(folder: Path) -> None:
    append(folder, MetaLogged(values={}), run="none")
    assert "the views lag behind the log" in run("doctor").stdout
    assert "the views are up to date with the log" in run("doctor").stdout


def _foreign(path: Path) -> None:
    path.write_bytes(b"name,value\na,1\n")


def _damaged(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * 8000 + data[8100:])


def _of_another_past(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE checkpoint SET chain = 'x', seq = seq - 1")


@pytest.mark.parametrize("harm", [_foreign, _damaged, _of_another_past])
def test_a_database_that_is_no_view_of_the_log_is_left_alone_and_replaced_by_fix(
    folder: Path, here: Path, harm: Callable[[Path], None]
) -> None:
    path = here / "provenance.db"
    for name in ("provenance.db-wal", "provenance.db-shm"):
        (here / name).unlink(missing_ok=True)
    harm(path)
    before = path.read_bytes()
    said = findings(code=1)["views"]
    assert [finding["level"] for finding in said] == ["error", NOTE]
    assert path.read_bytes() == before
    assert findings("--fix") == {}
    run("replay", "--check")


def refuse_live_views(monkeypatch: pytest.MonkeyPatch, here: Path, text: str, name: str) -> None:
    """SQLite answers like this whenever the database beside the log is opened."""
    prepare, place = view_file._prepare, str(here / "provenance.db")

    def refused(conn: sqlite3.Connection) -> None:
        if conn.execute("PRAGMA database_list").fetchone()[2] == place:
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
            raise error
        prepare(conn)

    monkeypatch.setattr(view_file, "_prepare", refused)


def test_a_database_on_a_file_system_that_sqlite_cannot_use_is_not_called_damaged(
    folder: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_live_views(monkeypatch, here, "disk I/O error", "SQLITE_IOERR_SHMMAP")
    said = only(findings(), "views")
    assert (said["level"], said["todo"]) == (NOTE, "Best give db_path a folder on a disk of this machine.")


@pytest.mark.parametrize(
    ("text", "name"),
    [("attempt to write a readonly database", "SQLITE_READONLY_DIRECTORY"), ("database is locked", "SQLITE_BUSY")],
)
def test_a_database_that_only_others_may_write_is_not_called_damaged(
    folder: Path, here: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    refuse_live_views(monkeypatch, here, text, name)
    said = only(findings(), "views")
    assert said["level"] == NOTE
    assert said["what"] == f"the database cannot be used by this process ({text}), which keeps views elsewhere"


@pytest.mark.parametrize(
    ("text", "name"), [("disk I/O error", "SQLITE_IOERR_SHMSIZE"), ("database or disk is full", "SQLITE_FULL")]
)
def test_a_full_disk_does_not_make_the_database_damaged(
    folder: Path, here: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    refuse_live_views(monkeypatch, here, text, name)
    (said, _) = findings(code=1)["views"]
    assert (said["what"], said["todo"]) == (f"no room to open the database: {text}", "Make room.")
    assert not said["mends"]


def test_a_folder_in_the_place_of_the_database_has_to_be_moved_by_its_owner(folder: Path, here: Path) -> None:
    path = here / "provenance.db"
    view_file.discard(path)
    path.mkdir()
    (said, _) = findings("--fix", code=1)["views"]
    assert said["what"] == "in place of the database there is a folder"
    assert said["todo"] == "Move it away: the next use then rebuilds the views from the log."
    path.rename(here / "away")
    assert only(findings(), "views")["what"] == "there is no database"
    assert findings() == {}


def test_views_of_another_version_are_no_fault(folder: Path, here: Path) -> None:
    with closing(sqlite3.connect(here / "provenance.db")) as conn, conn:
        conn.execute("UPDATE meta SET value = '0' WHERE key = 'format'")
    assert only(findings(), "views")["what"] == "the views were made by another version"


def test_a_changed_row_is_found_by_a_deep_look_and_put_right(folder: Path, here: Path) -> None:
    with closing(sqlite3.connect(here / "provenance.db")) as conn, conn:
        conn.execute("UPDATE runs SET seconds = 0 WHERE id = 'baseline'")
    assert findings() == {}
    said = only(findings("--deep", code=1), "rows")
    assert said["what"] == "table runs differs from the log in at least 1 row"
    assert findings("--deep", "--fix") == {}


def test_an_event_that_a_view_refused_is_named(folder: Path) -> None:
    event = ArtifactLogged(artifact="a", key="k", direction="sideways", uri="./x")
    position = append(folder, event)
    found = findings(code=1)["dead letters"]
    assert [finding["where"] for finding in found] == [f"position {position}"]


# ---------------------------------------------------------------- runs

DIES = """\
import os
import consist_es as consist

def step():
    consist.output_path("o", "txt").write_text("half")
    os._exit(3)

tracker = consist.Tracker(run_dir="runs", db_path="provenance.db")
with tracker.scenario("doomed") as sc:
    sc.run(fn=step, outputs=["o"])
"""


def test_runs_and_scenarios_of_a_dead_process_are_recorded_as_abandoned(here: Path) -> None:
    (here / "dies.py").write_text(DIES)
    run_script(here / "dies.py", code=3)
    found = findings(code=1)
    assert [(finding["where"], finding["what"].split()[0]) for finding in found["runs"]] == [
        ("doomed", "scenario"),
        ("doomed_step", "run"),
    ]
    assert findings("--fix") == {}  # and the folder that was set aside is no stranger
    assert [(row["run"], row["outcome"]) for row in run_json("runs")] == [("doomed_step", "abandoned")]
    assert [(row["scenario"], row["status"]) for row in run_json("scenarios")] == [("doomed", "abandoned")]


def test_a_run_that_still_runs_is_no_fault(here: Path) -> None:
    said = []

    def step() -> Path:
        said.append(findings())
        return made()

    with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        tracker.run(step, outputs=["o"])
    assert [finding["where"] for finding in said[0]["runs"]] == ["step"]
    assert said[0]["runs"][0]["level"] == NOTE


def test_a_run_of_another_host_cannot_be_told(here: Path) -> None:
    (here / "dies.py").write_text(DIES)
    run_script(here / "dies.py", code=3)
    folder = here / "provenance.events"
    theirs = [event.event for event in LocalLog(folder).read() if isinstance(event.event, ScenarioStarted)]
    shutil.rmtree(folder)
    for path in here.glob("provenance.db*"):
        path.unlink()
    log = LocalLog(folder, storage=Elsewhere())
    log.append([Draft(event, scenario="s", run="s") for event in theirs])
    log.close()
    said = findings()["runs"]
    assert [(finding["level"], finding["where"]) for finding in said] == [(NOTE, "doomed")]
    assert "elsewhere" in said[0]["todo"]


# ---------------------------------------------------------------- outputs


def first(raw: int) -> Path:
    return made("first", f"{raw}\n")


@pytest.fixture
def output(here: Path) -> Path:
    with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        path = tracker.run(first, config={"raw": 1}, outputs=["first"]).outputs["first"].path
    assert findings() == {}
    return path


def test_an_output_that_is_gone_is_named_with_the_run_that_made_it(output: Path) -> None:
    output.unlink()
    said = only(findings(code=1), "outputs")
    assert (said["what"], said["where"]) == ("first of run first is gone", str(output))
    assert "compute it again" in said["todo"]
    only(findings("--fix", code=1), "outputs")  # an output is for a person, or a run, to make


def test_an_output_that_has_changed_is_named(output: Path) -> None:
    output.write_text("other")
    assert only(findings(code=1), "outputs")["what"] == "first of run first has changed"


def test_a_touched_output_is_no_fault(output: Path) -> None:
    os.utime(output, (1, 1))
    assert findings() == {}


def test_an_output_that_was_changed_under_its_old_time_is_found_by_a_deep_look(output: Path) -> None:
    times = output.stat()
    output.write_text("7\n")
    os.utime(output, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert findings() == {}
    assert only(findings("--deep", code=1), "outputs")["what"] == "first of run first has changed"


def test_an_output_that_a_newer_run_answers_for_is_no_fault(output: Path) -> None:
    with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        again = consist.CacheOptions(cache_mode="overwrite")
        tracker.run(first, config={"raw": 1}, outputs=["first"], cache_options=again)
    output.unlink()
    said = only(findings(), "outputs")
    assert said["level"] == NOTE
    assert "no later hit needs it" in said["what"]


def test_an_output_that_was_overwritten_is_named_where_the_first_run_would_answer(here: Path) -> None:
    def fixed(text: str) -> Path:
        path = here / "result.txt"
        path.write_text(text)
        return path

    with consist.Tracker(run_dir="runs", db_path="provenance.db", allow_external_paths=True) as tracker:
        for text in ("one", "two"):
            tracker.run(fixed, config={"text": text}, outputs=["result"])
    assert only(findings(code=1), "outputs")["what"] == "result of run fixed has changed"


def test_an_output_that_no_run_answers_with_and_that_was_written_again_is_no_fault(here: Path) -> None:
    def fixed() -> Path:
        path = here / "result.txt"
        path.write_text(str(time.time_ns()))
        return path

    with consist.Tracker(run_dir="runs", db_path="provenance.db", allow_external_paths=True) as tracker:
        for _ in range(2):
            options = consist.CacheOptions(cache_mode="overwrite")
            tracker.run(fixed, outputs=["result"], cache_options=options)
    said = only(findings(), "outputs")
    assert (said["level"], said["what"]) == (NOTE, "result of run fixed was written again by run fixed#2")


# ---------------------------------------------------------------- a project that was moved

LAYOUTS = {
    "beside": ("runs", "provenance.db"),
    "inside": ("runs", "runs/provenance.db"),
    "deeper": ("data/runs", "provenance.db"),
    "side by side": ("runs", "views/provenance.db"),
}


@pytest.fixture(params=list(LAYOUTS))
def moved(here: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> tuple[Path, str, str]:
    """A project of that layout that is recorded in one place and then moved to another: output, run_dir, db_path."""
    run_dir, database = LAYOUTS[request.param]
    (here / "old").mkdir()
    monkeypatch.chdir(here / "old")
    with consist.Tracker(run_dir=run_dir, db_path=database) as tracker:
        tracker.run(first, config={"raw": 0}, outputs=["first"])
        path = tracker.run(first, config={"raw": 1}, outputs=["first"]).outputs["first"].path
    monkeypatch.chdir(here)
    (here / "old").rename(here / "new")
    monkeypatch.chdir(here / "new")
    return here / "new" / path.relative_to(here / "old"), run_dir, database


def test_a_project_that_was_moved_is_well_as_its_hits_are(moved: tuple[Path, str, str]) -> None:
    _, run_dir, database = moved
    for arguments in ([], ["--deep"]):
        assert findings("--project", database, *arguments) == {}
    with consist.Tracker(run_dir=run_dir, db_path=database) as tracker:
        assert tracker.run(first, config={"raw": 1}, outputs=["first"]).cache_hit
    assert findings("--project", database) == {}


def test_an_output_that_is_gone_from_a_project_that_was_moved_is_named_where_it_should_be(
    moved: tuple[Path, str, str],
) -> None:
    output, _, database = moved
    output.unlink()
    said = only(findings("--project", database, code=1), "outputs")
    assert (said["what"], said["where"]) == ("first of run first#2 is gone", str(output))


def test_a_copy_is_looked_at_before_what_it_was_copied_from(
    output: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(here / "runs", here / "copy" / "runs")
    shutil.copytree(here / "provenance.events", here / "copy" / "provenance.events")
    copied = here / "copy" / output.relative_to(here)
    copied.write_text("other")
    assert findings() == {}
    monkeypatch.chdir(here / "copy")
    (said,) = findings(code=1)["outputs"]
    assert (said["what"], said["where"]) == ("first of run first has changed", str(copied))


def test_an_output_below_a_mount_that_was_moved_along_is_no_fault(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(place: Path) -> None:
        (place / "kept.txt").write_text("x")

    (here / "old" / "data").mkdir(parents=True)
    monkeypatch.chdir(here / "old")
    with consist.Tracker(run_dir="runs", db_path="provenance.db", mounts={"data": "data"}) as tracker:
        options = consist.ExecutionOptions(runtime_kwargs={"place": here / "old" / "data"})
        with tracker.scenario("s") as sc:
            sc.run(kept, output_paths={"kept": "data://kept.txt"}, execution_options=options)
    monkeypatch.chdir(here)
    (here / "old").rename(here / "new")
    monkeypatch.chdir(here / "new")
    assert findings() == {}


def test_a_folder_that_no_run_knows_is_named_where_the_project_was_moved_to(moved: tuple[Path, str, str]) -> None:
    output, _, database = moved
    stranger = output.parent.with_name("first-000000000000")
    stranger.mkdir()
    assert only(findings("--project", database), "orphans")["where"] == str(stranger)


# ---------------------------------------------------------------- folders


def test_a_folder_that_no_run_knows_is_named_and_never_removed(output: Path, here: Path) -> None:
    stranger = here / "runs" / "outputs" / "first" / "first-000000000000"
    stranger.mkdir()
    for arguments in ([], ["--fix"]):
        said = only(findings(*arguments), "orphans")
        assert (said["level"], said["where"]) == (NOTE, str(stranger))
    assert stranger.is_dir()


def test_folders_that_the_user_named_are_no_strangers(here: Path) -> None:
    with consist.Tracker(
        run_dir="runs", db_path="provenance.db", run_subdir_fn=lambda run: f"by/year/{run.name}"
    ) as tracker:
        path = tracker.run(first, config={"raw": 1}, outputs=["first"]).outputs["first"].path
    assert path.parent == here / "runs" / "outputs" / "by" / "year" / "first"
    assert findings() == {}


# ---------------------------------------------------------------- lists


def test_long_lists_are_cut_and_the_worst_of_the_rest_counts() -> None:
    many = [Finding(NOTE, "x", str(number)) for number in range(MOST + 5)]
    many[-1] = Finding(WARNING, "x", "bad")
    said = list(listed(many, Finding(OK, "x", "fine")))
    assert len(said) == MOST + 1
    assert (said[-1].level, said[-1].what) == (WARNING, "5 more of these are not listed")
    assert list(listed([], Finding(OK, "x", "fine"))) == [Finding(OK, "x", "fine")]


def test_a_text_for_people_says_what_to_do(folder: Path) -> None:
    append(folder, StepAbandoned(reason="x"), run="none")
    (folder / "00000002.jsonl.tmp").write_bytes(b"{")
    result = run("doctor", code=1)
    assert "warning  leftovers: an unfinished file" in result.stdout
    assert "-> doctor --fix removes it." in result.stdout
    assert "1 finding to look at." in result.stderr
    fixed = run("doctor", "--fix")
    assert "Fixed: removed 00000002.jsonl.tmp." in fixed.stderr
