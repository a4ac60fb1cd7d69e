"""Recovery copies stand in for outputs that were overwritten or deleted: a hit gives bytes that are right."""

import errno
import os
import shutil
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consist_es import ArtifactSpec, CacheOptions, ExecutionOptions, OutputSet, RunResult, Tracker
from consist_es.artifacts import placing
from consist_es.errors import ConsistWarning
from consist_es.events import ArtifactMaterialized, CacheHit, CopyRecorded, Draft, OutputsDoubted
from consist_es.projections import copies
from tests.support.api import PATHS

METADATA = CacheOptions(cache_hydration="metadata")
STALE = CacheOptions(cache_hydration="inputs-missing", validate_materialized_inputs=True, cache_epoch=2)


@pytest.fixture
def model(here: Path) -> Tracker:
    """A tracker that may write below ``out``."""
    (here / "out").mkdir()
    return Tracker(here / "runs", mounts={"out": here / "out", "arc": here / "arc"}, sync="os")


def base(at: str) -> None:
    Path(at).write_text("base\n")


def forecast(x: Path, at: str) -> None:
    Path(at).write_text(f"forecast of {x.read_text()}")


def run_base(tracker: Tracker, place: Path, **options: Any) -> RunResult:
    arguments = ExecutionOptions(runtime_kwargs={"at": str(place)})
    return tracker.run(base, output_paths={"firms": place}, execution_options=arguments, **options)


def run_forecast(tracker: Any, source: Any, place: Path, **options: Any) -> RunResult:
    arguments = ExecutionOptions(input_binding="paths", runtime_kwargs={"at": str(place)})
    result: RunResult = tracker.run(
        forecast, inputs={"x": source}, output_paths={"later": place}, execution_options=arguments, **options
    )
    return result


def events(tracker: Tracker, kind: type[Any]) -> list[Any]:
    return [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, kind)]


def archived(tracker: Tracker, here: Path) -> tuple[Path, Path]:
    """The place of an output, and of its copy."""
    place = here / "out" / "firms.csv"
    result = run_base(tracker, place)
    return place, tracker.archive_run_outputs(result.run, here / "arc")["firms"]


# ---------------------------------------------------------------- a pipeline that overwrites its own files


def grow(firms: Path) -> None:
    out = firms.parent
    (out / "producer.csv").write_text(f"producer of {firms.read_text()}")
    for group in (1, 2):
        (out / f"prods_{group}.csv").write_text(f"{group}\n")


def later(firms: Path, producer: Path) -> None:
    said = firms.read_text()
    firms.write_text(f"forecast {said}")
    producer.write_text(f"forecast {said}")


def pipeline(tracker: Tracker, out: Path, archive: Path | None) -> list[tuple[bool, str]]:
    """(hit, what the firms' file says afterwards) of three steps; the last overwrites files of those before."""
    told: list[tuple[bool, str]] = []
    firms, producer = out / "firms.csv", out / "producer.csv"

    def done(result: RunResult, key: str) -> None:
        told.append((result.cache_hit, firms.read_text()))
        if archive is not None and not result.cache_hit:
            tracker.archive_run_outputs(result.run.id, archive / result.run.id, keys=[key], mode="copy")

    with tracker.scenario("firms") as sc:
        arguments = ExecutionOptions(runtime_kwargs={"at": str(firms)})
        paths = {"firms": ArtifactSpec(path=firms)}
        done(sc.run(base, output_paths=paths, cache_options=STALE, execution_options=arguments), "firms")
        sets = {"groups": OutputSet(root=out, include="prods_*.csv", kind="k")}
        grown = sc.run(
            grow,
            inputs={"firms": firms},
            output_paths={"producer": producer},
            output_sets=sets,
            cache_options=STALE,
            execution_options=PATHS,
        )
        done(grown, "producer")
        both = {"firms": firms, "producer": producer}
        made = {"forecast_firms": firms, "forecast_producer": producer}
        done(
            sc.run(later, inputs=both, output_paths=made, cache_options=STALE, execution_options=PATHS),
            "forecast_firms",
        )
    return told


def test_steps_that_overwrite_files_of_others_are_all_reused_once_their_outputs_are_archived(
    model: Tracker, here: Path
) -> None:
    computed = pipeline(model, here / "out", here / "arc")
    assert [hit for hit, _ in computed] == [False] * 3
    for _ in range(2):  # after each hit the files are as after the computed step
        assert pipeline(model, here / "out", here / "arc") == [(True, said) for _, said in computed]
    assert (here / "out" / "producer.csv").read_text() == "forecast base\n"
    assert not [*(here / "out").glob(".*"), *(here / "out").glob("*replaced*")]


def test_without_an_archive_they_are_computed_again_and_never_read_from_the_wrong_file(
    model: Tracker, here: Path
) -> None:
    computed = pipeline(model, here / "out", None)
    assert pipeline(model, here / "out", None) == computed


def test_a_step_that_overwrites_its_own_input_is_reusable_only_if_a_copy_has_what_it_read(
    model: Tracker, here: Path
) -> None:
    place = here / "out" / "firms.csv"
    for archive in (False, True):
        first = run_base(model, place)
        if archive:
            model.archive_run_outputs(first.run, here / "arc")
        assert "base" in place.read_text()
        over = run_forecast(model, place, place)
        assert not over.cache_hit
        assert over.run.meta.get("cache_reusable", True)
        model.archive_run_outputs(over.run, here / "arc")
        assert run_base(model, place).cache_hit is archive
        assert run_forecast(model, place, place).cache_hit is archive
    assert place.read_text() == "forecast of base\n"


# ---------------------------------------------------------------- one output


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_was_deleted_or_overwritten_is_put_back(model: Tracker, here: Path, gone: bool) -> None:
    place, copy = archived(model, here)
    place.unlink()
    if not gone:
        place.write_text("by hand\n")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        again = run_base(model, place)
    assert again.cache_hit
    assert again.outputs["firms"].path == place
    assert place.read_text() == "base\n"
    kept = [str(item.message) for item in told if "kept as" in str(item.message)]
    assert [Path(text.rpartition(" ")[2].rstrip(".")).read_text() for text in kept] == [] if gone else ["by hand\n"]
    hit = events(model, CacheHit)[-1]
    assert model.resolve_uri(hit.copies["firms"]) == copy
    assert [event.reason for event in events(model, ArtifactMaterialized)] == ["restored"]
    assert f"firms was read from its recovery copy, {hit.copies['firms']}" in str(model.find_latest_run().why())
    assert run_base(model, place).cache_hit
    assert len(events(model, ArtifactMaterialized)) == 1


@pytest.mark.parametrize("gone", [True, False])
def test_where_nothing_is_to_be_copied_the_output_is_its_copy(model: Tracker, here: Path, gone: bool) -> None:
    place, copy = archived(model, here)
    place.unlink()
    if gone:
        again = run_base(model, place, cache_options=METADATA)
    else:
        place.write_text("by hand\n")
        with pytest.warns(ConsistWarning, match="another version"):
            again = run_base(model, place, cache_options=METADATA)
    assert again.cache_hit
    assert again.outputs["firms"].path == copy
    assert again.outputs["firms"].path.read_text() == "base\n"
    assert place.exists() is not gone
    follow = run_forecast(model, again.outputs["firms"], here / "out" / "later.csv")
    assert (here / "out" / "later.csv").read_text() == "forecast of base\n"
    assert follow.run.meta is not None


def test_a_place_that_may_not_be_written_is_computed_again_or_given_at_the_copy(here: Path) -> None:
    (here / "out").mkdir()
    place = here / "out" / "firms.csv"
    tracker = Tracker(here / "runs", sync="os")  # out/ is no mount
    result = run_base(tracker, place)
    copy = tracker.archive_run_outputs(result.run, here / "arc")["firms"]
    place.unlink()
    with pytest.warns(ConsistWarning, match="stays at its copy"):
        again = run_base(tracker, place)
    assert (again.cache_hit, again.outputs["firms"].path, place.exists()) == (True, copy, False)
    place.write_text("other\n")
    again = run_base(tracker, place)
    assert (again.cache_hit, place.read_text()) == (False, "base\n")


def test_a_link_in_the_place_is_not_replaced(model: Tracker, here: Path) -> None:
    place, _ = archived(model, here)
    (here / "out" / "else").write_text("else\n")
    place.unlink()
    place.symlink_to("else")
    assert not run_base(model, place).cache_hit
    assert place.is_symlink()


@pytest.mark.parametrize("gone", [True, False])
def test_a_full_disk_costs_a_computation_at_most(
    model: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    place, copy = archived(model, here)
    place.unlink()
    if not gone:
        place.write_text("by hand\n")

    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(placing, "copy_path", refuse)
    if gone:
        with pytest.warns(ConsistWarning, match="stays at its copy, .* the disk or the quota is full"):
            again = run_base(model, place)
        assert (again.cache_hit, again.outputs["firms"].path) == (True, copy)
    else:
        again = run_base(model, place)
        assert not again.cache_hit
        assert "the disk or the quota is full" in str(again.run.why())
        assert place.read_text() == "base\n"
    assert not [*(here / "out").glob(".*")]


def test_an_input_that_is_gone_is_read_from_its_copy_or_put_back(model: Tracker, here: Path) -> None:
    place, copy = archived(model, here)
    artifact = model.get_artifact("firms")
    place.unlink()
    target = here / "out" / "later.csv"
    assert not run_forecast(model, artifact, target).cache_hit
    assert target.read_text() == "forecast of base\n"
    assert not place.exists()
    missing = CacheOptions(cache_hydration="inputs-missing", cache_epoch=9)
    run_forecast(model, artifact, target, cache_options=missing)
    assert place.read_text() == copy.read_text() == "base\n"


def test_an_output_of_a_mount_that_is_not_here_is_given_at_its_copy(model: Tracker, here: Path) -> None:
    _, copy = archived(model, here)
    model.close()
    with Tracker(here / "runs", mounts={"arc": here / "arc"}, sync="os") as other:
        options = ExecutionOptions(runtime_kwargs={"at": "elsewhere.csv"})
        with pytest.warns(ConsistWarning, match="stays at its copy"):
            again = other.run(base, output_paths={"firms": "elsewhere.csv"}, execution_options=options)
        assert (again.cache_hit, again.outputs["firms"].path) == (True, copy)


def spoiled(place: Path, copy: Path) -> None:
    """Other bytes with the size and the times of those that were there."""
    found = copy.stat()
    copy.write_text("bose\n")
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))


def removed(place: Path, copy: Path) -> None:
    copy.unlink()


def swapped(place: Path, copy: Path) -> None:
    copy.unlink()
    copy.symlink_to(place)


def piped(place: Path, copy: Path) -> None:
    copy.unlink()
    os.mkfifo(copy)


@pytest.mark.parametrize("spoil", [spoiled, removed, swapped, piped])
def test_a_copy_with_other_bytes_is_never_served_and_the_miss_names_it(
    model: Tracker, here: Path, spoil: Callable[[Path, Path], None]
) -> None:
    place, copy = archived(model, here)
    place.write_text("by hand\n")
    spoil(place, copy)
    again = run_base(model, place)
    assert not again.cache_hit
    assert place.read_text() == "base\n"
    assert again.outputs["firms"].path == place
    (said,) = again.run.why().differs
    assert "output 'firms' changed" in said
    assert f"its copy {copy}" in said


def test_a_copy_of_another_version_is_never_used_whatever_the_record_says(model: Tracker, here: Path) -> None:
    place = here / "out" / "firms.csv"
    artifact = run_base(model, place).outputs["firms"]
    wrong = here / "wrong.csv"
    wrong.write_text("wrong\n")
    digest = model.find_artifacts(limit=1)[0].hash
    for said in (digest, "b3:" + "0" * 64, ""):
        event = CopyRecorded(artifact=str(artifact.id), key="firms", uri=str(wrong), digest=said or "")
        model.project.record([Draft(event)])
    model.project.connection()
    with closing(sqlite3.connect(model.db_path)) as conn, conn:  # a view that anybody wrote to
        row = (999, "x", str(wrong), "", digest, "copied")
        conn.execute("INSERT INTO copies (seq, artifact_id, uri, root, digest, how) VALUES (?, ?, ?, ?, ?, ?)", row)
    place.write_text("by hand\n")
    again = run_base(model, place)
    assert not again.cache_hit
    assert place.read_text() == "base\n"


def test_a_copy_behind_a_link_that_moved_is_not_served_until_it_leads_back(model: Tracker, here: Path) -> None:
    (here / "one").mkdir()
    (here / "two").mkdir()
    (here / "current").symlink_to("one")
    place = here / "out" / "firms.csv"
    result = run_base(model, place)
    copy = model.archive_run_outputs(result.run, here / "current")["firms"]
    shutil.copytree(here / "one", here / "two", dirs_exist_ok=True)
    (here / "two" / copy.name).write_text("bose\n")
    for target, hits in (("two", False), ("one", True)):
        (here / "current").unlink()
        (here / "current").symlink_to(target)
        place.write_text("by hand\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert run_base(model, place).cache_hit is hits
        assert place.read_text() == "base\n"


def test_a_copy_under_a_mount_is_found_where_another_machine_has_that_mount(model: Tracker, here: Path) -> None:
    archived(model, here)
    model.close()
    other = here / "other"
    other.mkdir()
    shutil.copytree(here / "arc", other / "archive")
    shutil.rmtree(here / "arc")
    shutil.copytree(here / "runs", other / "runs")
    shutil.rmtree(here / "out")
    place = other / "out" / "firms.csv"
    with Tracker(other / "runs", mounts={"out": other / "out"}, sync="os") as elsewhere:
        artifact = elsewhere.get_artifact("firms")
        assert artifact is not None
        assert not artifact.path.exists()
        assert elsewhere.find_latest_run().status == "completed"
    mounts = {"out": other / "out", "arc": other / "archive"}
    with Tracker(other / "runs", mounts=mounts, sync="os") as elsewhere:
        artifact = elsewhere.get_artifact("firms")
        assert artifact is not None
        assert artifact.path == other / "archive" / "firms.csv"
        assert artifact.recovery_roots == [str(other / "archive")]
        again = run_base(elsewhere, place)
        assert (again.cache_hit, again.outputs["firms"].path, place.read_text()) == (True, place, "base\n")


def test_under_fast_hashing_a_copy_counts_by_its_content(here: Path) -> None:
    (here / "out").mkdir()
    place = here / "out" / "firms.csv"
    tracker = Tracker(here / "runs", mounts={"out": here / "out"}, hashing_strategy="fast", sync="os")
    result = run_base(tracker, place)
    copy = tracker.archive_run_outputs(result.run, here / "arc")["firms"]
    place.unlink()
    assert run_base(tracker, place).cache_hit
    place.unlink()
    spoiled(place, copy)
    assert not run_base(tracker, place).cache_hit
    assert place.read_text() == "base\n"


def test_an_ordinary_hit_never_asks_for_copies(model: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = archived(model, here)

    def refuse(*_arguments: Any) -> Any:
        raise AssertionError("asked for copies")

    monkeypatch.setattr(copies, "with_bytes_of", refuse)
    monkeypatch.setattr(copies, "of_artifacts", refuse)
    assert run_base(model, place).cache_hit


def test_a_run_that_wrote_to_the_place_meanwhile_is_not_reused(model: Tracker, here: Path) -> None:
    """It recorded its file after the look-up and before the hit put another version there."""
    place, _ = archived(model, here)
    place.unlink()
    other = Tracker(here / "runs", mounts={"out": here / "out"}, sync="os")
    found: list[bool] = []

    def meanwhile(run: Any) -> None:
        if not found:
            (here / "in.txt").write_text("in\n")
            found.append(run_forecast(other, here / "in.txt", place).cache_hit)

    model.on_run_start(meanwhile)
    assert run_base(model, place).cache_hit
    assert place.read_text() == "base\n"
    assert len(events(model, OutputsDoubted)) == 1
    assert not run_forecast(other, here / "in.txt", place).cache_hit


# ---------------------------------------------------------------- folders, sets, traces


def several(at: str) -> None:
    folder = Path(at)
    (folder / "whole").mkdir(exist_ok=True)
    (folder / "whole" / "a").write_text("a\n")
    (folder / "part_1.csv").write_text("1\n")
    (folder / "part_2.csv").write_text("2\n")


def test_folders_and_sets_are_put_back_and_other_files_in_them_stay(model: Tracker, here: Path) -> None:
    out = here / "out"

    def run() -> RunResult:
        return model.run(
            several,
            output_paths={"whole": out / "whole"},
            output_sets={"parts": OutputSet(root=out, include="part_*.csv")},
            execution_options=ExecutionOptions(runtime_kwargs={"at": str(out)}),
        )

    first = run()
    model.archive_run_outputs(first.run, here / "arc", keys=["whole", "parts"])
    (out / "mine.txt").write_text("mine\n")
    for spoil in (lambda: (out / "part_1.csv").unlink(), lambda: (out / "whole" / "a").write_text("b\n")):
        spoil()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = run()
        assert again.cache_hit
        assert (out / "part_1.csv").read_text() + (out / "whole" / "a").read_text() == "1\na\n"
        assert (out / "mine.txt").read_text() == "mine\n"
        assert [*again.outputs] == [*first.outputs]


def test_a_trace_that_hits_has_its_files_back_before_its_block_begins(model: Tracker, here: Path) -> None:
    place = here / "out" / "firms.csv"
    seen = []
    for round_ in range(2):
        with model.trace("firms") as traced:
            if traced.is_cached:
                seen.append(place.read_text())
            else:
                place.write_text("base\n")
                traced.log_output(place, key="firms")
        if not round_:
            artifact = model.get_artifact("firms")
            assert artifact is not None
            model.archive_artifact(artifact, here / "arc")
            place.unlink()
    assert seen == ["base\n"]


# ---------------------------------------------------------------- stale inputs


def test_an_artifact_that_was_overwritten_stands_for_its_bytes_where_that_is_asked_for(
    model: Tracker, here: Path
) -> None:
    place, _ = archived(model, here)
    target = here / "out" / "later.csv"
    artifact = model.get_artifact("firms")
    first = run_forecast(model, artifact, target)
    place.write_text("other\n")
    stale = CacheOptions(validate_materialized_inputs=True)
    again = run_forecast(model, artifact, target, cache_options=stale)
    assert (first.cache_hit, again.cache_hit, place.read_text()) == (False, True, "other\n")
    later_epoch = CacheOptions(validate_materialized_inputs=True, cache_epoch=7)
    computed = run_forecast(model, artifact, target, cache_options=later_epoch)
    assert not computed.cache_hit
    assert target.read_text() == "forecast of base\n"
    assert place.read_text() == "base\n"
    assert [event.reason for event in events(model, ArtifactMaterialized)] == ["inputs-stale"]
    assert [path.read_text() for path in place.parent.glob("firms.csv.replaced-*")] == ["other\n"]
    place.write_text("other\n")
    with pytest.warns(ConsistWarning, match="was changed after run"):
        run_forecast(model, artifact, target)
    assert target.read_text() == "forecast of other\n"


def test_copies_can_be_claimed_of_what_goes_into_a_scenario(model: Tracker, here: Path) -> None:
    (here / "in.csv").write_text("in\n")
    (here / "arc").mkdir()
    with model.scenario("s") as sc:
        artifact = sc.add_input(here / "in.csv", "raw", recovery_roots=here / "arc")
    shutil.move(here / "in.csv", here / "arc")
    assert artifact.path == here / "arc" / "in.csv"


def test_copies_can_be_claimed_where_an_output_is_logged(model: Tracker, here: Path) -> None:
    (here / "arc").mkdir()

    def run() -> RunResult:
        with model.trace("firms") as traced:
            if not traced.is_cached:
                path = here / "out" / "firms.csv"
                path.write_text("base\n")
                traced.log_output(path, key="firms", recovery_roots=[here / "arc", here / "nowhere"])
        return model.get_run_result(model.find_latest_run().id)

    artifact = run().outputs["firms"]
    assert artifact.recovery_roots == [str(here / "arc"), str(here / "nowhere")]
    place = artifact.path
    shutil.move(place, here / "arc" / "firms.csv")
    assert artifact.path == here / "arc" / "firms.csv"
    assert run().cache_hit
    assert place.read_text() == "base\n"
