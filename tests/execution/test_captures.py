"""Files captured from a folder: what is noticed, what is said where nothing was found, and what others do meanwhile."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import ConsistWarning, OutputPolicyOptions, Tracker, errors
from consist_es.artifacts.snapshot import capture_keys

NOTHING = "captured nothing"
OLD = (1_600_000_000, 1_600_000_000)


def below(k: int) -> None:
    Path("out/run").mkdir(parents=True, exist_ok=True)
    Path("out/run/events.csv").write_text(str(k))


@pytest.mark.parametrize(("policy", "said"), [(None, True), ("warn", True), ("ignore", False)])
def test_a_capture_that_finds_nothing_says_where_files_lie_and_is_never_reused(
    tracker: Tracker, policy: str | None, said: bool
) -> None:
    options = OutputPolicyOptions(output_missing=policy)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        first = tracker.run(below, config={"k": 1}, capture_dir="out", output_policy=options)
        again = tracker.run(below, config={"k": 1}, capture_dir="out", output_policy=options)
    told = [str(item.message) for item in seen if NOTHING in str(item.message)]
    assert len(told) == (2 if said else 0)
    assert all('capture_pattern="**/*"' in text for text in told)
    assert (first.cache_hit, again.cache_hit) == (False, False)
    assert again.run.meta["cache_miss_explanation"]["reason"] == "prior_run_not_reusable"


def test_a_capture_that_finds_nothing_is_an_error_where_missing_outputs_are(tracker: Tracker) -> None:
    options = OutputPolicyOptions(output_missing="error")
    with pytest.raises(errors.OutputError, match=r'captured nothing.*capture_pattern="\*\*/\*"'):
        tracker.run(below, config={"k": 1}, capture_dir="out", output_policy=options)
    found = tracker.run(below, config={"k": 1}, capture_dir="out", capture_pattern="**/*", output_policy=options)
    assert list(found.outputs) == ["run/events"]
    hit = tracker.run(below, config={"k": 1}, capture_dir="out", capture_pattern="**/*", output_policy=options)
    assert hit.cache_hit


def test_where_nothing_lies_below_the_hint_is_left_out(tracker: Tracker) -> None:
    with pytest.warns(ConsistWarning, match=NOTHING) as seen:
        tracker.run(idle, capture_dir="out", capture_pattern="*.csv")
    assert not any('"**/*"' in str(item.message) for item in seen)


def test_a_block_that_captures_nothing_is_told_of_and_one_that_is_a_hit_is_not(tracker: Tracker, here: Path) -> None:
    for made in (False, True):
        with tracker.trace("block", capture_dir="out"):
            if not (was := consist.cached_output() is not None):
                (here / "out" / "a.csv").write_text("a")
        assert was == made
    with pytest.warns(ConsistWarning, match=NOTHING), tracker.trace("other", capture_dir="out"):
        pass


def idle() -> None:
    """Nothing."""


def test_a_step_that_makes_nothing_is_told_once_that_it_will_be_skipped(tracker: Tracker) -> None:
    with pytest.warns(ConsistWarning, match=r"recorded no output, and the next call .* is skipped"):
        tracker.run(idle, config={"k": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tracker.run(idle, config={"k": 1}).cache_hit
        tracker.run(idle, config={"k": 2})


def makes() -> Path:
    path = consist.output_path("o", "txt")
    path.write_text("o")
    return path


@pytest.mark.parametrize("mode", ["overwrite", "readonly"])
def test_a_step_that_is_not_skipped_is_not_told_so(tracker: Tracker, mode: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker.run(idle, cache_options=consist.CacheOptions(cache_mode=mode))
        tracker.run(makes)


# ---------------------------------------------------------------- what is noticed


def from_template(k: int) -> None:
    shutil.copy2("template/network.csv", "case/network.csv")
    Path("case/demand.csv").write_text(str(k))


def renamed(k: int) -> None:
    shutil.copy2("template/network.csv", "template/part")
    os.replace("template/part", "case/network.csv")  # noqa: PTH105
    Path("case/demand.csv").write_text(str(k))


def in_place(k: int) -> None:
    with Path("case/network.csv").open("w") as file:
        file.write("link\n")
    os.utime("case/network.csv", OLD)
    Path("case/demand.csv").write_text(str(k))


@pytest.mark.parametrize("prepare", [from_template, renamed, in_place])
def test_a_file_that_is_written_again_with_its_old_time_is_captured(
    tracker: Tracker, here: Path, prepare: Callable[[int], None]
) -> None:
    (here / "template").mkdir()
    (here / "template/network.csv").write_text("link\n")
    os.utime(here / "template/network.csv", OLD)
    keys = [sorted(tracker.run(prepare, config={"k": k}, capture_dir="case").outputs) for k in (1, 2)]
    assert keys == [["demand", "network"]] * 2


def test_a_file_that_is_only_read_is_not_captured(tracker: Tracker, here: Path) -> None:
    (here / "case").mkdir()
    (here / "case/input.csv").write_text("a")

    def reads() -> None:
        (here / "case/output.csv").write_text((here / "case/input.csv").read_text())

    assert list(tracker.run(reads, capture_dir="case").outputs) == ["output"]


def test_what_is_logged_and_then_written_with_the_old_time_and_size_is_recorded_as_it_is_at_the_end(
    tracker: Tracker,
) -> None:
    def late() -> None:
        path = consist.output_path("o", "txt")
        path.write_text("one")
        consist.log_output(path, "o")
        before = path.stat()
        path.write_text("two")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    tracker.run(late)
    hit = tracker.run(late)
    assert (hit.cache_hit, hit.outputs["o"].path.read_text()) == (True, "two")


# ---------------------------------------------------------------- what others do meanwhile


CHURN = """
import itertools, pathlib, shutil, sys
folder = pathlib.Path(sys.argv[1])
print("on", flush=True)
for number in itertools.count():
    place = folder / f"d{number}"
    (folder / f"tmp{number}").write_text("x" * 5000)
    place.mkdir()
    (place / "deep").write_text("x")
    (folder / f"tmp{number}").unlink()
    shutil.rmtree(place)
"""


@pytest.fixture
def churn(here: Path) -> Iterator[Path]:
    """Another process makes and removes files and folders in a folder all the time."""
    folder = here / "case"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", CHURN, folder], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield folder
        finally:
            process.kill()


def test_somebodys_temporary_files_never_fail_finished_work(churn: Path) -> None:
    def writes(k: int) -> None:
        (churn / "result.csv").write_text(str(k))

    with Tracker(run_dir="runs", db_path="project.db", sync="os", observe="off") as tracker:
        for k in range(15):
            outputs = tracker.run(writes, config={"k": k}, capture_dir=churn, capture_pattern="**/*").outputs
            assert outputs["result"].hash is not None


def test_a_captured_file_that_is_gone_at_the_end_is_no_output(tracker: Tracker, here: Path) -> None:
    folder = here / "case"

    def writes() -> None:
        folder.mkdir(exist_ok=True)
        with consist.capture_outputs(folder):
            (folder / "part.tmp").write_text("x")
            (folder / "result.csv").write_text("x")
        (folder / "part.tmp").unlink()

    first = tracker.run(writes)
    assert list(first.outputs) == ["result"]
    assert tracker.run(writes).cache_hit


def test_patterns_match_what_the_standard_library_says(tracker: Tracker, here: Path) -> None:
    names = ["a.csv", "b.txt", ".hidden.csv", "sub/a.csv", "sub/deep/c.csv", "sub/deep/d.txt", "x[1].csv"]

    def writes() -> None:
        for name in names:
            (here / "case" / name).parent.mkdir(parents=True, exist_ok=True)
            (here / "case" / name).write_text(name)

    patterns = ["*", "*.csv", "**/*", "**/*.csv", "sub/*", "*/*", "sub/**/*.csv", "[ab].*", "a.csv", "./*.csv", "?.txt"]
    for pattern in patterns:
        shutil.rmtree(here / "case", ignore_errors=True)
        found = tracker.run(writes, capture_dir="case", capture_pattern=pattern).outputs.values()
        wanted = {path for path in (here / "case").glob(pattern) if path.is_file()}
        assert {artifact.path for artifact in found} == wanted, pattern


def test_names_that_would_be_too_long_for_a_key_are_cut_and_stay_apart(tracker: Tracker, here: Path) -> None:
    stem = "/".join(["n" * 200] * 3)

    def writes() -> None:
        for end in ("a.csv", "b.csv"):
            path = here / "case" / f"{stem}{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(end)

    outputs = tracker.run(writes, capture_dir="case", capture_pattern="**/*").outputs
    assert sorted(artifact.path.read_text() for artifact in outputs.values()) == ["a.csv", "b.csv"]
    assert tracker.run(writes, capture_dir="case", capture_pattern="**/*").cache_hit


def test_no_two_files_share_a_key_however_they_are_called() -> None:
    folder = Path("/f")
    names = ["a b.csv", "a_b.csv", "a\nb.csv", os.fsdecode(b"a\xfcb.csv"), "..a", "...a", "-", "é", "ü", "x" * 250]
    keys = capture_keys(folder, [folder / name for name in names])
    assert sorted(keys.values()) == sorted(folder / name for name in names)
