"""Evicting deletes bytes and no fact: what is asked for again is put back, or made again with the same bytes."""

import dataclasses
import errno
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import consist_es
from consist_es import ExecutionOptions, Tracker
from consist_es.artifacts import copies as copying
from consist_es.errors import (
    AccessModeError,
    ArtifactMissingError,
    MaterializeError,
    MissingKeyError,
    UsageError,
    UsageTypeError,
)
from consist_es.events import ArtifactEvicted
from consist_es.keeping import plan as planning
from consist_es.projections import keeping
from tests.keeping.model import PATHS, chain, facts, files, hits, opened, trips, zones
from tests.support.children import fork, released, status_of


def why_kept(plan: Any) -> dict[str, str]:
    return {item.name: item.why for item in plan.kept}


def why_left(plan: Any) -> dict[str, str]:
    return {Path(item.name).name: item.why for item in plan.left}


def evicted(tracker: Tracker) -> list[ArtifactEvicted]:
    return [item.event for item in tracker.project.log.read() if isinstance(item.event, ArtifactEvicted)]


def ids(plan: Any) -> list[str]:
    return [run.id for run in plan.runs]


# ---------------------------------------------------------------- what goes


def test_a_plan_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        before, head = files(tmp_path), tracker.project.log.head()
        plan = tracker.evict(keep_last=0)
        assert {*ids(plan)} == {"base_zones", "base_trips", "base_report"}
        assert plan.size == sum(map(len, before.values()))
        assert not plan.done
        assert str(plan).startswith("Would evict 3 outputs of 3 runs and free ")
        assert (files(tmp_path), tracker.project.log.head()) == (before, head)


def test_all_planned_bytes_are_freed_and_no_fact_is_lost(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        before, known = files(tmp_path), facts(tracker)
        plan = tracker.evict(keep_last=0)
        done = tracker.evict(keep_last=0, dry_run=False)
        assert done.done
        assert done.freed == plan.size == sum(map(len, before.values()))
        assert files(tmp_path) == {}
        assert facts(tracker) == known
        assert not any((tmp_path / "runs" / "outputs").rglob("base_*")), "empty folders of the runs are left"
        assert tracker.project.views.rebuild()
        assert facts(tracker) == known


def test_what_is_made_again_has_the_same_bytes(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        before = sorted(files(tmp_path).values())
        tracker.evict(keep_last=0, dry_run=False)
        assert hits(chain(tracker)) == {"zones": False, "trips": False, "report": False}
        assert sorted(files(tmp_path).values()) == before
        assert all(hits(chain(tracker)).values())


def test_the_middle_of_a_chain_is_made_again_and_the_last_step_still_hits(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        tracker.evict("trips", keep_last=0, dry_run=False)
        again = chain(tracker)
        assert hits(again) == {"zones": True, "trips": False, "report": True}
        told = again["trips"].run.why()
        assert told.reason == "outputs_evicted"
        assert "was evicted on" in str(told)
        assert "gone" not in str(told)
        assert "changed" not in str(told)


def test_an_evicted_output_is_put_back_from_a_copy(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        first = chain(tracker)
        before = files(tmp_path)
        done = tracker.evict("trips", keep_last=0, archive_root=tmp_path / "archive", dry_run=False)
        assert done.runs[0].by_copy
        assert not first["trips"].outputs["trips"].own_path.exists()
        assert first["trips"].outputs["trips"].path.read_bytes() in before.values(), "the copy stands in"
        assert all(hits(chain(tracker)).values())
        assert files(tmp_path) == before
        artifact = str(first["trips"].outputs["trips"].id)
        assert keeping.evicted(tracker.project.connection(), [artifact]) == {}, "its bytes are back"


def test_it_can_be_evicted_again(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        for _ in range(2):
            done = tracker.evict("trips", keep_last=0, archive_root=tmp_path / "archive", dry_run=False)
            assert done.freed
            assert all(hits(chain(tracker)).values())
        assert len(evicted(tracker)) == 2


def test_the_cheapest_per_byte_goes_first_until_enough_is_freed(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        every = tracker.evict(keep_last=0)
        costs = [run.cost for run in every.runs]
        assert costs == sorted(costs)
        one = tracker.evict(keep_last=0, free=1)
        assert ids(one) == ids(every)[:1]
        assert ids(tracker.evict(keep_last=0, free=every.runs[0].size + 1)) == ids(every)[:2]
        assert ids(tracker.evict(keep_last=0, free=0)) == []
        assert "This is less than 1.0 TB" in str(tracker.evict(keep_last=0, free="1TB"))


def test_it_is_an_event_with_who_and_why(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        first = chain(tracker)["trips"].outputs["trips"]
        tracker.evict("trips", keep_last=0, dry_run=False)
        (event,) = evicted(tracker)
        assert (event.artifact, event.key, event.digest, event.size) == (str(first.id), "trips", first.hash, first.size)
        assert event.policy == "outputs of trips, keeping the last 0 results of each step"
        assert event.user


# ---------------------------------------------------------------- what stays


def test_the_last_results_of_each_step_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        for growth in (1.0, 1.1, 1.2):
            chain(tracker, growth, f"growth-{growth}")
        assert {*ids(tracker.evict("trips"))} == {"growth-1.0_trips", "growth-1.1_trips"}
        assert {*ids(tracker.evict("trips", keep_last=2))} == {"growth-1.0_trips"}
        assert ids(tracker.evict(keep_last=3)) == []
        assert "growth-1.0_zones" not in ids(tracker.evict()), "the later scenarios used it"
        chain(tracker, 1.0, "again")  # a hit makes the result of 1.0 the last one
        assert {*ids(tracker.evict("trips"))} == {"growth-1.1_trips", "growth-1.2_trips"}


def test_pinned_runs_scenarios_and_artifacts_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        results = chain(tracker)
        tracker.pin(results["trips"].outputs["trips"], "table 2")
        tracker.pin("base/report", "figure 3")
        plan = tracker.evict(keep_last=0)
        assert ids(plan) == ["base_zones"]
        assert why_kept(plan)["base_report"] == "pinned as 'base_report': figure 3"
        tracker.unpin("base/report")
        assert {*ids(tracker.evict(keep_last=0))} == {"base_zones", "base_report"}
        tracker.pin("base", "the paper")
        assert ids(tracker.evict(keep_last=0)) == []


def test_a_pinned_scenario_of_hits_keeps_what_it_reused(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker, name="first")
        chain(tracker, name="second")
        tracker.pin("second", "the paper")
        assert ids(tracker.evict(keep_last=0)) == []


def test_what_a_scenario_in_progress_uses_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        with tracker.scenario("now") as sc:
            sc.run(lambda: None, name="nothing")
            assert sc.run(zones, outputs=["zones"]).cache_hit
            plan = tracker.evict(keep_last=0)
            assert "base_zones" not in ids(plan)
            assert "has not ended" in why_kept(plan)["base_zones"]
        assert "base_zones" in ids(tracker.evict(keep_last=0))


def test_a_step_in_progress_keeps_the_artifact_that_it_reads(tmp_path: Path) -> None:
    """In another process, which holds the file open only by its path."""
    with opened(tmp_path) as tracker:
        chain(tracker)
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)

    def reads(trips: Path) -> None:
        begun.write_text("x")
        go.read_text()
        assert trips.stat().st_size

    def child() -> None:
        with opened(tmp_path) as tracker:
            made = tracker.get_run_outputs("base_trips")["trips"]
            tracker.run(reads, inputs={"trips": made}, execution_options=PATHS)

    pid = fork(child)
    begun.read_text()
    with opened(tmp_path) as tracker, released(go):
        done = tracker.evict(keep_last=0, dry_run=False)
        assert "has not ended, and uses it" in why_kept(done)["base_trips"]
    assert status_of(pid) == 0
    with opened(tmp_path) as tracker:
        assert "base_trips" in ids(tracker.evict(keep_last=0))


def test_what_another_living_process_has_made_is_kept_between_its_steps(tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    os.mkfifo(begun)
    os.mkfifo(go)

    def child() -> None:
        with opened(tmp_path) as tracker:
            made = tracker.run(zones, outputs=["zones"])
            begun.write_text("x")
            go.read_text()
            config = {"growth": 1.0}
            tracker.run(trips, inputs={"zones": made}, config=config, outputs=["trips"], execution_options=PATHS)

    pid = fork(child)
    begun.read_text()
    with opened(tmp_path) as tracker, released(go):
        done = tracker.evict(keep_last=0, dry_run=False)
        assert "is alive, and uses it" in why_kept(done)["zones"]
    assert status_of(pid) == 0
    with opened(tmp_path) as tracker:
        assert {*ids(tracker.evict(keep_last=0))} == {"zones", "trips"}


def test_what_begins_to_be_used_after_the_plan_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as tracker, opened(tmp_path) as other, ExitStack() as entered:
        chain(tracker)
        real = planning.plan

        def planned(*args: Any) -> Any:
            found = real(*args)
            sc = entered.enter_context(other.scenario("meanwhile"))
            assert sc.run(zones, outputs=["zones"]).cache_hit
            return found

        monkeypatch.setattr("consist_es.keeping.evict.plan", planned)
        done = tracker.evict(keep_last=0, dry_run=False)
        assert "evict it again later" in {item.name: item.why for item in done.left}["base_zones"]
        assert any(name.endswith("zones.txt") for name in files(tmp_path))


def test_a_file_that_was_changed_is_left_and_named(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        place = chain(tracker)["trips"].outputs["trips"].path
        place.write_text("by hand")
        done = tracker.evict("trips", keep_last=0, dry_run=False)
        assert why_left(done)["trips.txt"].startswith("it has changed: ")
        assert str(done).startswith("Nothing was evicted (outputs of trips, ")
        assert place.read_text() == "by hand"
        assert evicted(tracker) == []


def test_a_file_that_is_changed_at_the_last_moment_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path) as tracker:
        place = chain(tracker)["trips"].outputs["trips"].path
        real = planning.plan

        def planned(*args: Any) -> Any:
            found = real(*args)
            text, times = place.read_text(), place.stat()
            place.write_text(text.replace("z", "y"))  # of the same size, with the same time
            os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
            return found

        monkeypatch.setattr("consist_es.keeping.evict.plan", planned)
        done = tracker.evict("trips", keep_last=0, dry_run=False)
        assert "has changed" in why_left(done)["trips.txt"]
        assert "y" in place.read_text()
        assert done.freed == 0


def test_a_link_in_place_of_the_file_is_left(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        place = chain(tracker)["trips"].outputs["trips"].path
        place.rename(tmp_path / "mine.txt")
        place.symlink_to(tmp_path / "mine.txt")
        done = tracker.evict("trips", keep_last=0, dry_run=False)
        assert (done.freed, why_left(done)) == (0, {"trips.txt": "it is a link"})
        assert (tmp_path / "mine.txt").exists()


def test_what_lies_outside_the_run_folder_and_mounts_is_left(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def write() -> None:
        (outside / "far.txt").write_text("far" * 100)

    with opened(tmp_path) as tracker:
        tracker.run(write, output_paths={"far": outside / "far.txt"})
        done = tracker.evict(keep_last=0, dry_run=False)
        assert why_left(done) == {"far.txt": "it lies outside the run directory and the mounts"}
    assert (outside / "far.txt").exists()


def test_what_lies_below_a_mount_that_is_not_here_is_left(tmp_path: Path) -> None:
    place = tmp_path / "out" / "far.txt"
    place.parent.mkdir()

    def write() -> None:
        place.write_text("far" * 100)

    with opened(tmp_path, mounts={"out": place.parent}) as tracker:
        tracker.run(write, output_paths={"far": place})
    with opened(tmp_path) as tracker:
        done = tracker.evict(keep_last=0, dry_run=False)
        assert why_left(done) == {"far.txt": "it cannot be looked for: its mount is not given here"}
    assert place.exists()
    with opened(tmp_path, mounts={"out": place.parent}) as tracker:
        assert tracker.evict(keep_last=0, dry_run=False).freed == 300


@pytest.mark.parametrize("other", ["folder", "pipe", "link above"])
def test_something_else_in_the_place_is_left(tmp_path: Path, other: str) -> None:
    with opened(tmp_path) as tracker:
        place = chain(tracker)["trips"].outputs["trips"].path
        if other == "link above":
            place.parent.rename(tmp_path / "mine")
            place.parent.symlink_to(tmp_path / "mine")
        elif other == "pipe":
            place.unlink()
            os.mkfifo(place)
        else:
            place.unlink()
            (place / "mine").mkdir(parents=True)
        done = tracker.evict("trips", keep_last=0, dry_run=False)
        assert done.freed == 0
        assert [*why_left(done)] == ["trips.txt"]
        assert os.path.lexists(place)


def test_what_could_not_be_made_again_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("1")

    def double(source: Path) -> Path:
        out = consist_es.output_path("double", ext="txt")
        out.write_text(source.read_text() * 100)
        return out

    def double_again(double: Path) -> Path:
        out = consist_es.output_path("more", ext="txt")
        out.write_text(double.read_text() * 2)
        return out

    with opened(tmp_path) as tracker:
        first = tracker.run(double, inputs={"source": source}, outputs=["double"], execution_options=PATHS)
        tracker.run(double_again, inputs={"double": first}, outputs=["more"], execution_options=PATHS)
        assert len(ids(tracker.evict(keep_last=0))) == 2
        source.write_text("2, and longer")
        plan = tracker.evict(keep_last=0)
        assert ids(plan) == ["double_again"], "its input is kept, so that it can be made again"
        assert why_kept(plan)["double"].startswith("it could not be made again: its input 'source' has changed")
        first.outputs["double"].path.unlink()
        assert ids(tracker.evict(keep_last=0)) == []


def test_a_step_that_varies_is_kept(tmp_path: Path) -> None:
    def noise() -> Path:
        out = consist_es.output_path("noise", ext="bin")
        out.write_bytes(os.urandom(100))
        return out

    with opened(tmp_path, observe="off") as tracker:
        tracker.run(noise, outputs=["noise"])
        tracker.run(noise, outputs=["noise"], cache_options=consist_es.CacheOptions(cache_mode="overwrite"))
        assert {*why_kept(tracker.evict(keep_last=0)).values()} == {"it gave other bytes when it was run again"}


def test_a_run_that_failed_or_may_not_be_reused_is_kept(tmp_path: Path) -> None:
    def fails() -> None:
        out = consist_es.output_path("part", ext="txt")
        out.write_text("part")
        consist_es.log_output(out, key="part")
        raise RuntimeError("no")

    with opened(tmp_path) as tracker:
        with pytest.raises(RuntimeError, match="no"):
            tracker.run(fails)
        assert ids(tracker.evict(keep_last=0)) == []
        assert list(why_kept(tracker.evict(keep_last=0)).values()) == ["it did not complete"]


def test_fast_hashing_leaves_everything(tmp_path: Path) -> None:
    with opened(tmp_path, hashing_strategy="fast") as tracker:
        chain(tracker)
        assert {*why_left(tracker.evict(keep_last=0)).values()} == {
            "no digest of its content was recorded, so that it cannot be told to be the same"
        }


# ---------------------------------------------------------------- links, folders, files in files


def test_a_hard_link_elsewhere_keeps_the_bytes_so_nothing_is_deleted(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        place = chain(tracker)["trips"].outputs["trips"].path
        os.link(place, tmp_path / "other name")
        done = tracker.evict("trips", keep_last=0, dry_run=False)
        assert "another name, a hard link" in why_left(done)["trips.txt"]
        assert place.exists()


def test_two_names_of_one_file_in_a_run_are_counted_once(tmp_path: Path) -> None:
    def both() -> dict[str, Path]:
        one, two = consist_es.output_path("one", ext="txt"), consist_es.output_path("two", ext="txt")
        one.write_text("x" * 1000)
        os.link(one, two)
        return {"one": one, "two": two}

    with opened(tmp_path) as tracker:
        tracker.run(both, outputs=["one", "two"])
        done = tracker.evict(keep_last=0, dry_run=False)
        assert done.freed == 1000
        assert files(tmp_path) == {}


def test_a_folder_goes_whole(tmp_path: Path) -> None:
    def store() -> Path:
        out = consist_es.output_path("store", ext="zarr")
        (out / "c" / "0").mkdir(parents=True)
        (out / ".zgroup").write_text("{}")
        (out / "c" / "0" / "0").write_bytes(b"x" * 5000)
        return out

    with opened(tmp_path) as tracker:
        made = tracker.run(store, outputs=["store"]).outputs["store"]
        assert made.kind == "folder"
        before = files(tmp_path)
        assert tracker.evict(keep_last=0, dry_run=False).freed == 5002
        assert not made.own_path.exists()
        assert not tracker.run(store, outputs=["store"]).cache_hit
        assert sorted(files(tmp_path).values()) == sorted(before.values())


def test_a_folder_with_a_new_file_is_left(tmp_path: Path) -> None:
    def store() -> Path:
        out = consist_es.output_path("store", ext="zarr")
        out.mkdir()
        (out / "a").write_bytes(b"x" * 5000)
        return out

    with opened(tmp_path) as tracker:
        made = tracker.run(store, outputs=["store"]).outputs["store"]
        (made.path / "notes by hand").write_text("mine")
        assert tracker.evict(keep_last=0, dry_run=False).freed == 0
        assert (made.path / "a").exists()


def test_a_set_of_files_goes_and_what_lies_beside_stays(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "parts"

    def write() -> None:
        folder.mkdir(exist_ok=True)
        for number in range(3):
            (folder / f"part-{number}.txt").write_text(str(number) * 1000)

    with opened(tmp_path) as tracker:
        made = tracker.run(write, output_sets={"parts": consist_es.OutputSet(folder, "part-*.txt")})
        assert len(made.outputs) > 1 or made.outputs["parts"].kind
        (folder / "notes.txt").write_text("mine")
        assert tracker.evict(keep_last=0, dry_run=False).freed == 3000
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]
        assert not tracker.run(write, output_sets={"parts": consist_es.OutputSet(folder, "part-*.txt")}).cache_hit
        assert len([*folder.iterdir()]) == 4


def test_tables_of_one_hdf5_file_go_with_it(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")

    def write() -> None:
        out = consist_es.output_path("store", ext="h5")
        with h5py.File(out, "w") as file:
            file["a"] = list(range(1000))
            file["b"] = list(range(1000))
        consist_es.log_h5_container(out, key="store")

    with opened(tmp_path) as tracker:
        tracker.run(write)
        outputs = tracker.get_run_outputs("write")
        assert len(outputs) == 3, outputs
        before = files(tmp_path)
        done = tracker.evict(keep_last=0, dry_run=False)
        assert done.freed == sum(map(len, before.values()))
        assert {event.key for event in evicted(tracker)} == {*outputs}
        assert files(tmp_path) == {}


def test_a_file_inside_a_folder_that_stays_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "shared"

    def one() -> None:
        folder.mkdir(exist_ok=True)
        (folder / "one.txt").write_text("one" * 10)

    def whole() -> None:
        (folder / "two.txt").write_text("two" * 10)

    with opened(tmp_path) as tracker:
        tracker.run(one, output_paths={"one": folder / "one.txt"})
        tracker.run(whole, output_paths={"all": folder})
        plan = tracker.evict("one", keep_last=0)
        assert ids(plan) == []
        assert why_kept(plan)["one"] == "'one' shares its file with 'all', which stays"


def test_a_place_with_the_same_bytes_of_a_newer_run_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "runs" / "fixed.txt"

    def fixed(n: int) -> None:
        place.write_text("same" * 10)

    with opened(tmp_path) as tracker:
        for number in (1, 2):
            options = ExecutionOptions(runtime_kwargs={"n": number})
            tracker.run(fixed, config={"a": number}, output_paths={"f": place}, execution_options=options)
        plan = tracker.evict()
        assert ids(plan) == []
        done = tracker.evict(keep_last=0, dry_run=False)
        assert {*ids(done)} == {"fixed", "fixed#2"}
        assert done.freed == len("same" * 10)
        assert not place.exists()


def test_a_recovery_copy_is_never_evicted(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        results = chain(tracker)
        inside = results["trips"].outputs["trips"].path.parent
        tracker.archive_artifact(results["zones"].outputs["zones"], inside)
        tracker.evict(keep_last=0, dry_run=False)
        assert results["zones"].outputs["zones"].path.exists(), "its copy"


# ---------------------------------------------------------------- an archive, two at once, errors


def test_an_archive_that_is_full_evicts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path) as tracker:
        chain(tracker)
        before = files(tmp_path)
        monkeypatch.setattr(copying, "_copy_bytes", full)
        with pytest.raises(MaterializeError, match="the disk or the quota is full"):
            tracker.evict(keep_last=0, archive_root=tmp_path / "archive", dry_run=False)
        assert files(tmp_path) == before
        assert evicted(tracker) == []


def test_two_at_once_record_and_delete_each_output_once(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        for growth in range(8):
            chain(tracker, growth, f"g{growth}")
        size = tracker.evict(keep_last=0).size
    gate = threading.Barrier(2)
    done: list[Any] = []
    problems: list[BaseException] = []

    def one() -> None:
        try:
            with opened(tmp_path) as tracker:
                gate.wait()
                done.append(tracker.evict(keep_last=0, dry_run=False))
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sum(item.freed for item in done) == size
    left = [why for item in done for why in why_left(item).values()]
    assert all("it is gone" in why for why in left), "the other one was quicker"
    assert files(tmp_path) == {}
    with opened(tmp_path) as tracker:
        names = [event.artifact for event in evicted(tracker)]
        assert len(names) == len({*names})


def test_loading_what_was_evicted_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        made = chain(tracker)["trips"].outputs["trips"]
        tracker.evict(keep_last=0, dry_run=False)
        with pytest.raises(ArtifactMissingError, match=r"evicted on .* Running base_trips again makes it again"):
            tracker.archive_artifact(made, tmp_path / "late")
        with pytest.raises(UsageError, match="evicted on"):
            tracker.run(lambda trips: None, name="use", inputs={"trips": made})
        with pytest.raises(ArtifactMissingError, match="evicted on"):
            consist_es.load(dataclasses.replace(made, driver="json"))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda t: t.evict(keep_last=-1), UsageError, "keep_last is -1"),
        (lambda t: t.evict(keep_last=None), UsageError, "keep_last is None"),
        (lambda t: t.evict(keep_last="two"), UsageTypeError, "keep_last"),
        (lambda t: t.evict(free="much"), UsageError, "'much' is no size"),
        (lambda t: t.evict(free=1.5), UsageTypeError, "takes a number of bytes"),
        (lambda t: t.evict(free=-1), UsageError, "no size"),
        (lambda t: t.evict("nobody"), MissingKeyError, "nobody"),
        (lambda t: t.evict(7), UsageTypeError, "names of scenarios"),
        (lambda t: t.pin("base", " "), UsageError, "reason is blank"),
        (lambda t: t.pin("base", 3), UsageTypeError, "reason takes a str"),
        (lambda t: t.pin("nobody", "x"), MissingKeyError, "nobody"),
        (lambda t: t.pin(3, "x"), UsageTypeError, "is expected, not int"),
        (lambda t: t.unpin("base"), UsageError, "'base' is not pinned. Pinned: nothing."),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, call: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        with pytest.raises(error, match=said):
            call(tracker)


@pytest.mark.parametrize(
    ("text", "size"),
    [("10GB", 10**10), ("500 MiB", 500 * 2**20), ("0", 0), ("1.5k", 1500), ("7 bytes", 7), ("2tb", 2 * 10**12), (5, 5)],
)
def test_sizes(text: str, size: int) -> None:
    from consist_es.keeping.policy import checked_bytes

    assert checked_bytes(text, "free") == size


def test_a_tracker_that_only_reads_plans_and_does_not_evict(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
    with opened(tmp_path, access_mode="read_only") as tracker:
        assert tracker.evict(keep_last=0).size
        for act in (
            lambda: tracker.evict(dry_run=False),
            lambda: tracker.pin("base", "x"),
            lambda: tracker.collect_garbage(dry_run=False),
        ):
            with pytest.raises(AccessModeError):
                act()


def test_a_folder_and_a_file_in_it_go_together(tmp_path: Path) -> None:
    def both() -> dict[str, Path]:
        store = consist_es.output_path("store", ext="zarr")
        store.mkdir()
        (store / "a.txt").write_text("a" * 100)
        (store / "b.txt").write_text("b" * 100)
        return {"a": store / "a.txt", "store": store}

    with opened(tmp_path) as tracker:
        made = tracker.run(both, outputs=["a", "store"])
        plan = tracker.evict(keep_last=0)
        done = tracker.evict(keep_last=0, dry_run=False)
        assert (plan.size, done.freed, done.left) == (200, 200, [])
        assert files(tmp_path) == {}
        assert not made.outputs["store"].own_path.exists()
        again = tracker.run(both, outputs=["a", "store"])
        assert again.run.why().reason == "outputs_evicted"


def test_a_shapefile_goes_with_its_parts(tmp_path: Path) -> None:
    def shapes() -> Path:
        out = consist_es.output_path("zones", ext="shp")
        for suffix in (".shp", ".shx", ".dbf", ".prj"):
            out.with_suffix(suffix).write_bytes(suffix.encode() * 100)
        return out

    with opened(tmp_path) as tracker:
        tracker.run(shapes, outputs=["zones"])
        assert tracker.evict(keep_last=0, dry_run=False).freed == 4 * 400
        assert files(tmp_path) == {}
        assert not tracker.run(shapes, outputs=["zones"]).cache_hit
        assert len(files(tmp_path)) == 4


def test_odd_names_of_files(tmp_path: Path) -> None:
    names = ["new\nline.txt", "per%20cent.txt", "*?[.txt", "\u202egpj.txt"]

    def odd() -> None:
        for number, name in enumerate(names):
            out = consist_es.output_path("x", ext="txt").with_name(name)
            out.write_text(name * 10)
            consist_es.log_output(out, key=f"odd{number}")

    with opened(tmp_path) as tracker:
        tracker.run(odd)
        assert "\u202e" not in str(tracker.evict(keep_last=0))
        assert tracker.evict(keep_last=0, dry_run=False).freed == sum(len((name * 10).encode()) for name in names)
        assert files(tmp_path) == {}


def test_a_file_that_vanished_is_neither_planned_nor_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)["trips"].outputs["trips"].path.unlink()
        assert "base_trips" not in ids(tracker.evict(keep_last=0, dry_run=False))
        assert "trips" not in {event.key for event in evicted(tracker)}
        assert chain(tracker)["trips"].run.why().reason == "candidate_outputs_invalid", "nobody evicted it"


def test_what_an_input_lies_in_is_no_output_of_ours_and_stays(tmp_path: Path) -> None:
    """A file that was an input from outside before a step wrote the same bytes over it."""
    place = tmp_path / "runs" / "given.txt"
    place.parent.mkdir(parents=True)
    place.write_text("same" * 10)

    def read(given: Path) -> None:
        given.read_text()

    def write() -> None:
        place.write_text("same" * 10)

    with opened(tmp_path) as tracker:
        tracker.run(read, inputs={"given": place}, execution_options=PATHS)
        tracker.run(write, output_paths={"out": place})
        plan = tracker.evict(keep_last=0, dry_run=False)
        assert ids(plan) == []
        assert place.exists()


def test_a_run_object_is_pinned_as_that_attempt(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        first = chain(tracker, 1.0)["trips"].run
        chain(tracker, 1.1)
        tracker.pin(first, "the first one")
        assert [pin.name for pin in tracker.pins()] == ["base_trips"]
        assert {*ids(tracker.evict("trips", keep_last=0))} == {"base_trips#2"}
        tracker.unpin(first)
        assert tracker.pins() == []


def test_a_forecast_says_that_it_would_be_computed_because_of_that(tmp_path: Path) -> None:
    with opened(tmp_path) as tracker:
        chain(tracker)
        tracker.evict("trips", keep_last=0, dry_run=False)
        forecast = tracker.forecast(zones, outputs=["zones"])
        assert "evicted" not in str(forecast)
        with tracker.scenario("base", dry_run=True) as sc:
            made = sc.run(zones, outputs=["zones"])
            config = {"growth": 1.0}
            sc.run(trips, inputs={"zones": made}, config=config, outputs=["trips"], execution_options=PATHS)
        assert "evicted" in str(sc.dry_run)
