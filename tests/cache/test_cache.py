"""What a hit requires of the bytes on disk, and when a run may answer for another at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import CacheOptions, RunResult, Tracker
from tests.support.api import made

STRICT = CacheOptions(validate_cached_outputs="strict")


def step() -> Path:
    return made(text="0123456789\n")


def folder() -> Path:
    path = consist.output_dir("tree")
    (path / "a").mkdir()
    (path / "a" / "x.txt").write_text("x")
    (path / "empty").mkdir()
    return path


def reason(result: RunResult) -> str:
    found: str = result.run.meta["cache_miss_explanation"]["reason"]
    return found


def rewrite_keeping_size_and_times(path: Path) -> None:
    old = path.stat()
    path.write_text("9876543210\n")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "edited": lambda path: path.write_text("other"),
    "edited with size and times kept": rewrite_keeping_size_and_times,
    "truncated": lambda path: os.truncate(path, 3),
    "emptied": lambda path: path.write_text(""),
    "removed": Path.unlink,
    "a folder now": become_folder,
    "a pipe now": become_pipe,
    "a dangling link now": become_dangling_link,
}


@pytest.mark.parametrize("options", [None, CacheOptions(validate_cached_outputs="eager"), STRICT])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_an_output_that_is_not_as_recorded_is_never_served(
    tracker: Tracker, damage: Callable[[Path], object], options: CacheOptions | None
) -> None:
    first = tracker.run(step, outputs=["o"])
    damage(first.outputs["o"].path)
    again = tracker.run(step, outputs=["o"], cache_options=options)
    assert not again.cache_hit
    assert reason(again) == "candidate_outputs_invalid"
    assert again.outputs["o"].path.read_text() == "0123456789\n"
    assert tracker.run(step, outputs=["o"], cache_options=options).outputs == again.outputs


def test_restored_bytes_are_served_again(tracker: Tracker) -> None:
    path = tracker.run(step, outputs=["o"]).outputs["o"].path
    path.rename(path.with_suffix(".kept"))
    path.with_suffix(".kept").rename(path)
    os.utime(path, (1, 1))
    assert tracker.run(step, outputs=["o"]).cache_hit


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "a" / "x.txt").write_text("y"),
        lambda path: (path / "a" / "x.txt").rename(path / "a" / "y.txt"),
        lambda path: (path / "empty").rmdir(),
        lambda path: (path / "new").mkdir(),
        lambda path: shutil.rmtree(path),
    ],
)
def test_a_folder_that_is_not_as_recorded_is_never_served(tracker: Tracker, damage: Callable[[Path], object]) -> None:
    first = tracker.run(folder, outputs=["o"])
    assert first.outputs["o"].kind == "folder"
    assert tracker.run(folder, outputs=["o"]).cache_hit
    damage(first.outputs["o"].path)
    assert not tracker.run(folder, outputs=["o"]).cache_hit


def test_an_undeclared_output_of_the_earlier_run_must_hold_too(tracker: Tracker) -> None:
    def two() -> dict[str, Path]:
        return {"a": made("a"), "b": made("b")}

    first = tracker.run(two, outputs=["a", "b"])
    first.outputs["b"].path.unlink()
    assert not tracker.run(two, outputs=["a"]).cache_hit


def test_an_older_run_answers_where_the_newest_cannot(tracker: Tracker) -> None:
    first = tracker.run(step, outputs=["o"])
    forced = tracker.run(step, outputs=["o"], cache_options=CacheOptions(cache_mode="overwrite"))
    forced.outputs["o"].path.unlink()
    again = tracker.run(step, outputs=["o"])
    assert (again.cache_hit, again.outputs) == (True, first.outputs)


def test_steps_that_write_to_one_place_never_serve_each_others_files(tracker: Tracker, here: Path) -> None:
    def shared(k: int) -> Path:
        Path("summary.txt").write_text(f"{k}\n")
        return Path("summary.txt")

    for k, hit in ((1, False), (1, True), (2, False), (1, False), (1, True)):
        result = tracker.run(shared, config={"k": k}, outputs=["o"])
        assert (result.cache_hit, result.outputs["o"].path.read_text()) == (hit, f"{k}\n")


def test_a_shared_folder_for_runs_never_serves_another_runs_file(here: Path) -> None:
    def numbered(k: int) -> Path:
        return made("o", f"{k}\n")

    with Tracker(run_dir="runs", db_path="p.db", run_subdir_fn=lambda run: "fixed") as tracker:
        for k in (1, 2, 1):
            result = tracker.run(numbered, config={"k": k}, outputs=["o"])
            assert (result.cache_hit, result.outputs["o"].path.read_text()) == (False, f"{k}\n")


def test_a_moved_run_directory_and_a_new_one_are_found(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        first = tracker.run(step, outputs=["o"])
    with Tracker(run_dir="new_runs", db_path="p.db") as tracker:
        again = tracker.run(step, outputs=["o"])
        assert again.cache_hit
        assert again.outputs["o"].path == first.outputs["o"].path
    (here / "runs").rename(here / "moved")
    with Tracker(run_dir="moved", db_path="p.db") as tracker:
        again = tracker.run(step, outputs=["o"])
        assert again.cache_hit
        assert again.outputs["o"].path.is_relative_to(here / "moved")


def test_fast_hashing_notices_size_and_times(here: Path) -> None:
    (here / "x.txt").write_text("abc")
    os.utime("x.txt", (1, 1))

    def copy(x: Path) -> Path:
        return made(text=x.read_text())

    with Tracker(run_dir="runs", db_path="p.db", hashing_strategy="fast") as tracker:
        tracker.run(copy, inputs={"x": "x.txt"})
        assert tracker.run(copy, inputs={"x": "x.txt"}).cache_hit
        os.utime("x.txt", (2, 2))
        assert not tracker.run(copy, inputs={"x": "x.txt"}).cache_hit
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        assert not tracker.run(copy, inputs={"x": "x.txt"}).cache_hit
        assert tracker.run(copy, inputs={"x": "x.txt"}).cache_hit


def test_without_a_database_path_the_project_lies_in_the_run_directory_and_hits_all_the_same(here: Path) -> None:
    for hit in (False, True):
        with Tracker(run_dir="runs") as tracker:
            result = tracker.run(step, outputs=["o"])
            assert (result.cache_hit, list(result.outputs)) == (hit, ["o"])
    assert (here / "runs" / "provenance.db").is_file()
    assert (here / "runs" / "provenance.events").is_dir()


def test_a_step_without_outputs_hits_too(tracker: Tracker) -> None:
    def nothing() -> None:
        return None

    assert not tracker.run(nothing).cache_hit
    assert tracker.run(nothing).cache_hit
