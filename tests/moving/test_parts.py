"""`tracker.fs`, `settings`, `identity`, `persistence` and `snapshot_db`, as code for LBNL's consist uses them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import consist_es as consist
from consist_es import Tracker, errors
from consist_es.cli import program
from consist_es.project.find import log_folder
from tests.support.api import made


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(tmp_path / "runs", tmp_path / "provenance.db", mounts={"data": tmp_path}, project_root=tmp_path)


def demand() -> dict[str, Path]:
    return {"trips": made("trips", "1")}


def test_paths_become_portable_uris_and_come_back(tracker: Tracker, tmp_path: Path) -> None:
    assert tracker.fs.virtualize_path(tmp_path / "inputs" / "firms.csv") == "data://inputs/firms.csv"
    assert tracker.fs.virtualize_path("data://a") == "data://a"
    assert tracker.fs.resolve_uri("data://inputs/firms.csv") == str(tmp_path / "inputs" / "firms.csv")
    assert (tracker.fs.mounts, tracker.fs.run_dir) == (tracker.mounts, tracker.run_dir)
    with pytest.raises(errors.PathError, match="scheme 'other' is not mounted"):
        tracker.fs.resolve_uri("other://x")


def test_settings_say_what_is_done_with_tables(tracker: Tracker) -> None:
    assert (tracker.settings.schema_profile_enabled, tracker.settings.schema_sample_rows) == (True, None)
    with pytest.raises(AttributeError):
        tracker.settings.schema_profile_enabled = False  # type: ignore[misc]


def test_a_checksum_is_the_digest_of_an_artifact(tracker: Tracker, tmp_path: Path) -> None:
    output = tracker.run(demand).outputs["trips"]
    assert tracker.identity.compute_file_checksum(output.path) == output.hash
    assert tracker.identity.hashing_strategy == "full"
    with pytest.raises(errors.InputError, match="nowhere"):
        tracker.identity.compute_file_checksum(tmp_path / "nowhere")


def test_a_checksum_inside_a_step_is_refused(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "zones.csv").write_text("1")  # else an edit of it would be a wrong hit

    def step() -> None:
        mine = consist.current_tracker()
        mine.identity.compute_file_checksum("data://zones.csv")

    with pytest.raises(errors.UsageError, match=r"zones\.csv'\) inside a step: .* Pass it to the step as an input"):
        tracker.run(step)
    with pytest.raises(errors.UsageError, match="inside a step"), tracker.trace("block") as block:
        block.identity.compute_file_checksum("data://zones.csv")


def test_artifacts_are_logged_within_a_batch(tracker: Tracker) -> None:
    with tracker.trace("a"), tracker.persistence.batch_artifact_writes():
        tracker.log_output(made("x", "1"), key="x")
    assert list(tracker.get_run_outputs("a")) == ["x"]


def test_a_snapshot_is_a_project_that_answers(tracker: Tracker, tmp_path: Path) -> None:
    first = tracker.run(demand)
    dest = tmp_path / "restart" / "tracker.duckdb"
    assert tracker.snapshot_db(dest, checkpoint=True) == dest
    assert dest.is_file()
    tracker.run(demand, config={"year": 2040})
    with Tracker(tmp_path / "runs", dest, mounts={"data": tmp_path}, access_mode="analysis") as copy:
        assert [run.id for run in copy.find_runs()] == [first.run.id]
        assert copy.get_run_outputs(first.run.id)["trips"].hash == first.outputs["trips"].hash
    assert len(tracker.find_runs()) == 2


def test_a_snapshot_overwrites_nothing(tracker: Tracker, tmp_path: Path) -> None:
    dest = tmp_path / "copy.db"
    with pytest.raises(errors.CopyError, match="there is no event in it"):
        tracker.snapshot_db(dest)
    assert not log_folder(dest).exists()
    tracker.run(demand)
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    for place in (other, tmp_path / "provenance.duckdb", tracker.db_path):  # the second: the log itself is beside it
        with pytest.raises(errors.CopyError, match="exists"):
            tracker.snapshot_db(place)
    assert other.read_text() == "mine"
    assert not (tmp_path / "provenance.duckdb").exists()
    with pytest.raises(errors.CopyError, match="name the database"):
        tracker.snapshot_db(tmp_path / "copy.events")
    assert not (tmp_path / "copy.events").exists()
    with Tracker(tracker.run_dir, tracker.db_path, access_mode="read_only") as reader:
        reader.snapshot_db(dest)
    before = dest.read_bytes()
    with pytest.raises(errors.CopyError, match="that file exists"):
        tracker.snapshot_db(dest)
    assert dest.read_bytes() == before
    assert [run.status for run in tracker.find_runs()] == ["completed"]


@pytest.mark.parametrize(
    "line", ["runs --limit 1", "show demand#2", "artifacts", "lineage trips", "scenarios", "stats"]
)
def test_commands_take_the_database_by_the_name_that_runbooks_use(tracker: Tracker, line: str) -> None:
    tracker.run(demand)
    tracker.run(demand, config={"year": 2040})
    command, *rest = line.split()
    said = [
        CliRunner().invoke(program, [command, option, str(tracker.db_path), *rest])
        for option in ("--db-path", "--project")
    ]
    assert [result.exit_code for result in said] == [0, 0], said[0].output
    assert said[0].stdout == said[1].stdout
    nowhere = CliRunner().invoke(program, [command, "--db-path", str(tracker.db_path.with_name("x.db")), *rest])
    assert nowhere.exit_code == 2
    assert "x.db" in nowhere.output
