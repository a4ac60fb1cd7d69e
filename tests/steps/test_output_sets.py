"""Output sets count by their members alone, and the folder that a later step is given counts whole."""

import warnings
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, OutputSet, RunResult, Tracker
from consist_es.artifacts import describe as recording
from consist_es.artifacts.digest import digest_path


def years(tracker: Tracker, folder: Path, year: int, **options: Any) -> RunResult:
    def simulate(year: int) -> None:
        folder.mkdir(exist_ok=True)
        (folder / f"trips_{year}.csv").write_text(str(year))
        with (folder / "model.log").open("a") as log:
            log.write(f"ran {year}\n")

    spec = OutputSet(folder, f"trips_{year}.csv", exclude="*.log")
    return tracker.run(simulate, config={"year": year}, output_sets={"trips": spec}, **options)


def test_other_files_of_the_folder_do_not_count(tracker: Tracker, here: Path) -> None:
    hits = [years(tracker, here / "out", year).cache_hit for year in (2020, 2030, 2020, 2030)]
    assert hits == [False, False, True, True]


@pytest.mark.parametrize("strict", ["lazy", "strict"])
def test_a_changed_a_gone_and_a_swapped_member_count(tracker: Tracker, here: Path, strict: str) -> None:
    options = CacheOptions(validate_cached_outputs=strict)
    member = here / "out" / "trips_2020.csv"
    years(tracker, here / "out", 2020)
    member.write_text("2021")
    assert not years(tracker, here / "out", 2020, cache_options=options).cache_hit
    assert years(tracker, here / "out", 2020, cache_options=options).cache_hit
    member.unlink()
    assert not years(tracker, here / "out", 2020, cache_options=options).cache_hit


def test_two_members_that_swap_their_contents_are_another_set(tracker: Tracker, here: Path) -> None:
    def both() -> None:
        (here / "out").mkdir(exist_ok=True)
        (here / "out" / "a.csv").write_text("1")
        (here / "out" / "b.csv").write_text("2")

    sets = {"all": OutputSet(here / "out", "*.csv")}
    first = tracker.run(both, output_sets=sets).outputs["all"]
    (here / "out" / "a.csv").write_text("2")
    (here / "out" / "b.csv").write_text("1")
    again = tracker.run(both, output_sets=sets)
    assert (again.cache_hit, again.outputs["all"].hash) == (False, first.hash)


def test_a_set_that_was_recorded_when_the_whole_folder_counted_still_answers(
    tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:  # as it was recorded before
        patch.setattr(recording, "_digest", lambda path, _driver, _notes, digester: digester.digest(path))
        first = years(tracker, here / "out", 2020)
    assert first.outputs["trips"].hash == digest_path(here / "out").value
    assert years(tracker, here / "out", 2020).cache_hit
    (here / "out" / "trips_2020.csv").write_text("2021")
    assert not years(tracker, here / "out", 2020).cache_hit


def test_a_later_step_that_gets_the_folder_counts_all_of_it_and_nobody_calls_it_changed(
    tracker: Tracker, here: Path
) -> None:
    def total(folder: Path) -> None:
        (here / "sum.txt").write_text(str(sum(int(path.read_text()) for path in folder.glob("*.csv"))))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = years(tracker, here / "out", 2020)
        given: dict[str, Any] = {
            "inputs": {"folder": first.outputs["trips"]},
            "output_paths": {"sum": here / "sum.txt"},
        }
        made = tracker.run(total, **given)
        assert tracker.get_run_inputs(made.run.id)["folder"].producer == first.run.key
        assert tracker.run(total, **given).cache_hit
        years(tracker, here / "out", 2030)
        again = tracker.run(total, **given)
    assert (again.cache_hit, (here / "sum.txt").read_text()) == (False, "4050")
    assert tracker.get_run_inputs(again.run.id)["folder"].producer == first.run.key


def test_a_copy_of_a_set_is_checked_by_its_members(tracker: Tracker, here: Path) -> None:
    years(tracker, here / "runs" / "out", 2020)
    with (here / "runs" / "out" / "model.log").open("a") as log:
        log.write("more\n")
    hit = years(tracker, here / "runs" / "out", 2020, cache_options=CacheOptions(cache_hydration="outputs-all"))
    assert hit.cache_hit
    copy = hit.outputs["trips"].path
    assert (copy / "trips_2020.csv").read_text() == "2020"
