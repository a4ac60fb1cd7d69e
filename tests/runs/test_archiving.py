"""Outputs are archived, copies of others are registered, and outputs are put back from wherever their bytes are."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import consist_es as consist
from consist_es import NoopTracker, Run, Tracker, errors
from consist_es.artifacts import placing
from consist_es.errors import ConsistWarning, MaterializeError, MissingKeyError, OptionError, PathError, UsageError
from consist_es.events import ArtifactMaterialized, CopyForgotten, CopyRecorded
from tests.support import cli
from tests.support.api import made


@pytest.fixture
def run(here: Path, tracker: Tracker) -> Run:
    """A run with outputs ``a`` and ``b`` in its own folder."""
    return tracker.run(two, outputs=["a", "b"]).run


def two() -> dict[str, Path]:
    return {"a": made("a", "alpha\n"), "b": made("b", "beta\n")}


def events(tracker: Tracker, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, kind)]


def only(tracker: Tracker, run: Run, key: str = "a") -> consist.Artifact:
    return tracker.get_run_outputs(run)[key]


# ---------------------------------------------------------------- archiving


def test_outputs_are_copied_checked_and_recorded_once(tracker: Tracker, run: Run, here: Path) -> None:
    for _ in range(2):
        done = tracker.archive_run_outputs(run.id, here / "arc")
        rel = only(tracker, run).container_uri.removeprefix("./")
        assert done == done.paths == {"a": here / "arc" / rel, "b": (here / "arc" / rel).with_name("b.txt")}
        assert [path.read_text() for path in done.values()] == ["alpha\n", "beta\n"]
        assert [artifact.recovery_roots for artifact in done.outputs.values()] == [[str(here / "arc")]] * 2
    assert [(event.key, event.how) for event in events(tracker, CopyRecorded)] == [("a", "copied"), ("b", "copied")]
    assert only(tracker, run).locations[1:] == (done["a"],)
    assert not [*(here / "arc").rglob(".*")]
    rows = pq.read_table(tracker.export("parquet", here / "tables") / "copies.parquet").to_pylist()
    assert [(row["uri"], row["made_by"], row["how"]) for row in rows] == [
        (str(place), "two", "copied") for place in done.values()
    ]
    account = json.loads(cli.run("show", "a", "--project", "project.db", "--json").output)
    assert account["copies"][0]["uri"] == str(done["a"])
    assert "(copied)" in cli.run("show", "a", "--project", "project.db").output
    shown = cli.run("log", "--project", "project.db").output
    assert f"archived at {here}/arc/{rel}" in shown.replace("\n", "")


@pytest.mark.parametrize(("mode", "how"), [("copy", "copied"), ("move", "moved"), ("hardlink", "linked")])
def test_a_mode_says_what_becomes_of_the_file(tracker: Tracker, run: Run, here: Path, mode: str, how: str) -> None:
    artifact = only(tracker, run)
    own = artifact.path
    copy = tracker.archive_artifact(artifact, here / "arc", mode=mode)
    assert copy.read_text() == "alpha\n"
    assert own.exists() is (mode != "move")
    assert artifact.path == (copy if mode == "move" else own)
    assert (mode == "hardlink") is (own.exists() and own.samefile(copy))
    assert events(tracker, CopyRecorded)[0].how == how
    assert tracker.archive_artifact(artifact, here / "arc", mode=mode) == copy


def test_a_file_that_changes_while_it_is_moved_stays(
    tracker: Tracker, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = only(tracker, run)
    record = tracker.project.record

    def edited(*arguments: Any, **options: Any) -> int:
        artifact.own_path.write_text("edited\n")
        return record(*arguments, **options)

    monkeypatch.setattr(tracker.project, "record", edited)
    copy = tracker.archive_artifact(artifact, here / "arc", mode="move")
    assert (copy.read_text(), artifact.own_path.read_text()) == ("alpha\n", "edited\n")


def test_another_version_in_the_archive_is_never_touched(tracker: Tracker, run: Run, here: Path) -> None:
    artifact = only(tracker, run)
    place = tracker.archive_artifact(artifact, here / "arc")
    place.write_text("other\n")
    again = tracker.archive_artifact(artifact, here / "arc")
    assert place.read_text() == "other\n"
    assert again.name == f"a.{str(artifact.hash)[3:15]}.txt"
    assert again.read_text() == "alpha\n"
    assert tracker.archive_artifact(artifact, here / "arc") == again


def test_what_cannot_be_archived_is_refused(tracker: Tracker, run: Run, here: Path) -> None:
    artifact = only(tracker, run)
    refusals: list[tuple[type[Exception], Callable[[], object]]] = [
        (errors.UsageTypeError, lambda: tracker.archive_run_outputs(run.id, here / "arc", keys="a")),
        (MissingKeyError, lambda: tracker.archive_run_outputs(run.id, here / "arc", keys=["a", "z"])),
        (MissingKeyError, lambda: tracker.archive_run_outputs("nothing", here / "arc")),
        (OptionError, lambda: tracker.archive_artifact(artifact, here / "arc", mode="symlink")),
        (UsageError, lambda: tracker.archive_artifact(artifact, here / "runs")),
        (PathError, lambda: tracker.archive_artifact(artifact, artifact.path)),
        (errors.UsageTypeError, lambda: tracker.archive_artifact(artifact.path, here / "arc")),  # type: ignore[arg-type]
        (errors.UsageTypeError, lambda: tracker.set_artifact_recovery_roots(artifact, True)),  # type: ignore[arg-type]
        (errors.UsageTypeError, lambda: tracker.set_artifact_recovery_roots(artifact, [b"x"])),  # type: ignore[list-item]
        (errors.NoActiveRunError, lambda: tracker.archive_current_run_outputs(here / "arc")),
    ]
    for kind, refused in refusals:
        with pytest.raises(kind):
            refused()
    artifact.path.write_text("edited\n")
    with pytest.raises(errors.ArtifactMissingError, match="recorded content of artifact 'a' was not found"):
        tracker.archive_artifact(artifact, here / "arc")
    assert events(tracker, CopyRecorded) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "the disk or the quota is full. Free some room"),
        (errno.EROFS, "its folder may not be written to"),
        (errno.EXDEV, "Use mode='copy'"),
    ],
)
def test_a_disk_that_refuses_is_one_clear_error_and_loses_nothing(
    tracker: Tracker, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(_source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(placing, "copy_path", refuse)
        with pytest.raises(MaterializeError, match="Artifact 'a' cannot be copied to") as caught:
            tracker.archive_run_outputs(run.id, here / "arc", mode="move")
    assert said in str(caught.value)
    assert [path for path in (here / "arc").rglob("*") if path.is_file()] == []
    assert only(tracker, run).path.read_text() == "alpha\n"
    assert events(tracker, CopyRecorded) == []
    assert [*tracker.archive_run_outputs(run.id, here / "arc", mode="move")] == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_is_one_clear_error(tracker: Tracker, run: Run, here: Path) -> None:
    (here / "arc").mkdir(mode=0o500)
    with pytest.raises(MaterializeError, match="its folder may not be written to"):
        tracker.archive_run_outputs(run.id, here / "arc")


def test_a_step_can_archive_what_it_has_logged(tracker: Tracker, here: Path) -> None:
    def step() -> None:
        tracker.log_output(made("x"), key="x")
        tracker.archive_current_run_outputs(here / "arc")

    artifact = tracker.run(step).outputs["x"]
    assert artifact.recovery_roots == [str(here / "arc")]


def test_where_nothing_is_recorded_the_calls_work_for_their_files(here: Path) -> None:
    with NoopTracker() as tracker:
        run = tracker.run(two, outputs=["a", "b"]).run
        done = tracker.archive_run_outputs(run.id, here / "arc")
        assert done["a"].read_text() == "alpha\n"


def test_a_tracker_that_only_reads_makes_no_copies(tracker: Tracker, run: Run, here: Path) -> None:
    with Tracker("runs", "project.db", access_mode="read_only") as reader:
        for call in (reader.archive_run_outputs, reader.register_run_output_recovery_copies):
            with pytest.raises(errors.AccessModeError):
                call(run.id, here / "arc")
        with pytest.raises(errors.AccessModeError):
            reader.hydrate_run_outputs(run.id, target_root="runs/x")


# ---------------------------------------------------------------- copies that others made


def rsync(tracker: Tracker, run: Run, root: Path) -> dict[str, Path]:
    """Copy the outputs as another program would."""
    places = {}
    for key, artifact in tracker.get_run_outputs(run).items():
        places[key] = root / artifact.container_uri.removeprefix("./")
        places[key].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(artifact.path, places[key])
    return places


def test_copies_of_others_are_registered_once_their_bytes_were_digested(tracker: Tracker, run: Run, here: Path) -> None:
    places = rsync(tracker, run, here / "arc")
    sha = {"a": hashlib.sha256(b"alpha\n").hexdigest()}
    done = tracker.register_run_output_recovery_copies(run.id, here / "arc", content_hashes=sha)
    assert (done.complete, [*done.registered], done.blocked) == (True, ["a", "b"], {})
    assert done.summary.startswith("registered=2 missing_copy=0 ")
    assert done["a"].verification_succeeded
    assert done["a"].expected_path == places["a"]
    shutil.rmtree(only(tracker, run).path.parent)
    assert only(tracker, run).path == places["a"]


def wrong(place: Path) -> None:
    place.write_text("alphb\n")


def gone(place: Path) -> None:
    place.unlink()


def linked(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


@pytest.mark.parametrize(
    ("spoil", "status", "said"),
    [
        (wrong, "hash_mismatch", "its digest is"),
        (gone, "missing_copy", "Copy it there first"),
        (linked, "symlink_destination", "a link is no copy"),
    ],
)
def test_what_is_no_copy_is_not_registered(
    tracker: Tracker, run: Run, here: Path, spoil: Callable[[Path], None], status: str, said: str
) -> None:
    spoil(rsync(tracker, run, here / "arc")["a"])
    done = tracker.register_run_output_recovery_copies(run.id, here / "arc")
    assert (done["a"].status, done["b"].status, done.complete) == (status, "registered", False)
    assert said in str(done["a"].message)
    assert only(tracker, run).recovery_roots == []


def test_a_content_hash_is_a_claim_that_is_checked(tracker: Tracker, run: Run, here: Path) -> None:
    rsync(tracker, run, here / "arc")
    for claim in ("0" * 64, "sha256:" + "0" * 64, "b3:" + "0" * 64, "nonsense"):
        done = tracker.register_artifact_recovery_copy(only(tracker, run), here / "arc", content_hash=claim)
        assert done.status == "hash_mismatch"
    with pytest.raises(MissingKeyError):
        tracker.register_run_output_recovery_copies(run.id, here / "arc", content_hashes={"z": "0" * 64})
    own = tracker.register_artifact_recovery_copy(only(tracker, run), here / "runs")
    assert (own.status, "of the artifact itself" in str(own.message)) == ("failed", True)


def test_under_fast_hashing_a_copy_needs_a_digest_of_its_content(here: Path) -> None:
    with Tracker("runs", hashing_strategy="fast", sync="os") as tracker:
        run = tracker.run(two, outputs=["a", "b"]).run
        places = rsync(tracker, run, here / "arc")
        found = places["b"].stat()
        places["b"].write_text("bete\n")
        os.utime(places["b"], ns=(found.st_atime_ns, found.st_mtime_ns))
        done = tracker.register_run_output_recovery_copies(run.id, here / "arc")
        assert (done["a"].status, done["b"].status) == ("registered", "unverifiable_hash")
        only(tracker, run).path.unlink()
        assert only(tracker, run).path == places["a"]
        shutil.copytree(here / "arc", here / "more")  # a claim has no digest of content
        tracker.set_artifact_recovery_roots(only(tracker, run), here / "more")
        assert not only(tracker, run).path.exists()


def test_roots_can_be_set_and_forgotten(tracker: Tracker, run: Run, here: Path) -> None:
    artifact = only(tracker, run)
    tracker.archive_artifact(artifact, here / "one")
    assert tracker.set_artifact_recovery_roots(artifact, [here / "two"], append=True) is artifact
    assert artifact.recovery_roots == [str(here / "one"), str(here / "two")]
    tracker.set_artifact_recovery_roots(artifact, here / "three")
    assert artifact.recovery_roots == [str(here / "three")]
    assert len(events(tracker, CopyForgotten)) == 2
    artifact.path.unlink()
    assert not artifact.path.exists()
    rel = artifact.container_uri.removeprefix("./")
    shutil.copytree(here / "one", here / "three")
    assert artifact.path == here / "three" / rel
    tracker.register_artifact_recovery_copy(artifact, here / "one", append=False)
    assert artifact.recovery_roots == [str(here / "one")]
    unseen = tracker.register_artifact_recovery_copy(artifact, here / "four", verify=False)
    assert (unseen.status, unseen.verification_succeeded) == ("registered", False)
    assert artifact.path == here / "one" / rel
    assert "no longer counts" in cli.run("log", "--project", "project.db").output.replace("\n", "")


# ---------------------------------------------------------------- putting outputs somewhere


def test_outputs_are_hydrated_from_their_places_and_then_from_copies(tracker: Tracker, run: Run, here: Path) -> None:
    tracker.archive_run_outputs(run.id, here / "arc", keys=["b"])
    only(tracker, run, "b").path.unlink()
    done = tracker.hydrate_run_outputs(run.id, target_root="runs/again")
    assert [(key, row.status, row.resolvable) for key, row in done.items()] == [
        ("a", "materialized_from_filesystem", True),
        ("b", "materialized_from_filesystem", True),
    ]
    assert done.complete
    assert {key: path.read_text() for key, path in done.paths.items()} == {"a": "alpha\n", "b": "beta\n"}
    assert done["b"].artifact.path == done["b"].path
    assert done["b"].artifact == only(tracker, run, "b")
    assert (done.source_run_id, done.failed_keys) == (run.id, [])
    again = tracker.hydrate_run_outputs(run.id, target_root="runs/again")
    assert again.summary == "materialized_from_filesystem=0 preserved_existing=2 missing_source=0 failed=0"
    assert len(events(tracker, ArtifactMaterialized)) == 2


def test_another_file_in_the_place_is_left_alone_or_renamed_and_never_taken_for_the_output(
    tracker: Tracker, run: Run, here: Path
) -> None:
    place = here / "runs" / "there.txt"
    place.write_text("other\n")
    with pytest.warns(ConsistWarning, match="another file is there already"):
        done = tracker.hydrate_run_outputs_to_destinations(run.id, destinations_by_key={"a": place})
    row = done["a"]
    assert (row.status, row.path, row.resolvable, row.reason) == ("failed", None, False, row.message)
    with pytest.raises(MaterializeError):
        tracker.hydrate_run_outputs_to_destinations(run.id, destinations_by_key={"a": place}, on_missing="raise")
    assert place.read_text() == "other\n"
    done = tracker.hydrate_run_outputs_to_destinations(
        run.id, destinations_by_key={"a": place}, preserve_existing=False
    )
    assert done["a"].resolvable
    assert place.read_text() == "alpha\n"
    assert [path.read_text() for path in place.parent.glob("there.txt.replaced-*")] == ["other\n"]


def test_what_no_place_has_is_said_by_key_or_raised(tracker: Tracker, run: Run, here: Path) -> None:
    only(tracker, run).path.unlink()
    with pytest.warns(ConsistWarning, match="Output 'a' is not at"):
        lists = tracker.materialize_run_outputs(run.id, target_root="runs/again")
    assert (lists.skipped_missing_source, [*lists.materialized], lists.complete) == (["a"], ["b"], False)
    assert lists.summary.split()[4] == "skipped_missing_source=1"
    with pytest.raises(errors.ArtifactMissingError):
        tracker.hydrate_run_outputs(run.id, target_root="runs/more", on_missing="raise")
    with pytest.raises(PathError, match="outside the run directory"):
        tracker.hydrate_run_outputs(run.id, target_root=here / "outside")
    with pytest.raises(OptionError):
        tracker.hydrate_run_outputs(run.id, target_root="runs/x", on_missing="shrug")
    with pytest.raises(errors.UsageTypeError):
        tracker.hydrate_run_outputs_to_destinations(run.id, destinations_by_key=["a"])  # type: ignore[arg-type]


def test_a_source_root_is_looked_at_first_and_digested_too(tracker: Tracker, run: Run, here: Path) -> None:
    places = rsync(tracker, run, here / "mirror")
    places["b"].write_text("bete\n")
    for artifact in tracker.get_run_outputs(run).values():
        artifact.path.unlink()
    with pytest.warns(ConsistWarning, match="Output 'b' is not at"):
        done = tracker.hydrate_run_outputs(run.id, target_root="runs/again", source_root=here / "mirror")
    assert (done["a"].status, done["b"].status) == ("materialized_from_filesystem", "missing_source")
    one = tracker.materialize_artifact(only(tracker, run), target_root="runs/one", source_root=here / "mirror")
    assert (one.source_path, one.path) == (places["a"], one.target_path)


# ---------------------------------------------------------------- copies that rot


def test_a_copy_that_rots_is_named_by_doctor(tracker: Tracker, run: Run, here: Path) -> None:
    done = tracker.archive_run_outputs(run.id, here / "arc")
    assert "every recovery copy" in cli.run("doctor", "--project", "project.db", code=None).output
    only(tracker, run).path.unlink()
    said = cli.run("doctor", "--project", "project.db", code=None).output.replace("\n", "")
    assert "a copy has its bytes" in " ".join(said.split())
    done["b"].write_text("bete\n")
    done["a"].unlink()
    said = " ".join(cli.run("doctor", "--project", "project.db", code=None).output.split())
    assert "the copy of b of run" in said
    assert "has changed" in said
    assert "the copy of a of run" in said
