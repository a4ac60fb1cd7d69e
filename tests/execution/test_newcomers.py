"""What people met who used the library for the first time, and what others of its kind they could meet."""

import dataclasses
import functools
import itertools
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import consist_es as consist
from consist_es import ConsistWarning, Tracker, errors
from consist_es.identity.pairing import Paired, pair
from tests.support.api import ROOT, made, output_of, run_script


@pytest.fixture
def tracker(here: Path) -> Iterator[Tracker]:
    with Tracker(run_dir="runs", db_path="project.db", sync="os") as found:
        yield found


def step(year: int = 0) -> Path:
    return made(text=f"{year}\n")


# ---------------------------------------------------------------- run ids built on others


@pytest.mark.parametrize("build", ["{}_logsums_0", "{}/logsums", "{} logsums 2", "logsums_{}_0"])
def test_a_run_id_built_on_that_of_the_scenario_works_on_every_attempt(build: str, tracker: Tracker) -> None:
    found = []
    for _ in range(3):
        with tracker.scenario("base") as sc:
            run_id = build.format(sc.run_id)
            result = sc.run(step, run_id=run_id, outputs=["o"])
            assert tracker.get_run(run_id) == result.run
            found.append(result.run.id)
    assert found == [build.format(base) for base in ("base", "base#2", "base#3")]
    assert len(tracker.find_runs(name="step")) == 3


def test_a_run_id_that_ends_with_that_of_the_scenario_is_counted_as_attempts_are(tracker: Tracker) -> None:
    found = []
    for _ in range(3):
        with tracker.scenario("base") as sc:
            with sc.trace("logsums", run_id=f"logsums_{sc.run_id}"):
                run = consist.current_run()
            assert run is not None
            found.append((run.id, run.run_id))
    assert found == [(f"logsums_base{end}", "logsums_base") for end in ("", "#2", "#3")]


def test_a_scenario_named_after_another_and_a_run_after_a_run_work_on_every_attempt(tracker: Tracker) -> None:
    for attempt in ("", "#2"):
        with tracker.scenario("base") as sc:
            first = sc.run(step, outputs=["o"])
            check = sc.run(step, run_id=f"{first.run.id}_check", outputs=["o"])
            assert check.run.id == f"base_step{attempt}_check"
        with tracker.scenario(f"{sc.run_id}_sensitivity") as inner:
            assert inner.run_id == f"base{attempt}_sensitivity"
    again = tracker.run(step, run_id="base#2_x", outputs=["o"])
    more = tracker.run(step, run_id="base#2_x", outputs=["o"])
    assert [again.run.id, more.run.id] == ["base#2_x", "base#2_x#2"]
    assert tracker.get_run("base#2_x#1") == again.run


@pytest.mark.parametrize("run_id", ["a#2", "base#2", "other_base#2", "a#٢"])
def test_a_run_id_that_looks_like_an_attempt_is_refused_with_a_way_out(run_id: str, tracker: Tracker) -> None:
    with pytest.raises(errors.InvalidNameError, match="put something after it"):
        tracker.run(step, run_id=run_id, outputs=["o"])


# ---------------------------------------------------------------- lists of fields


@pytest.fixture
def years(tracker: Tracker) -> consist.RunSet:
    with tracker.scenario("base") as sc:
        for year, iteration in itertools.product((2025, 2030), (0, 1)):
            for policy in ("toll", "none"):
                facet = {"policy": policy}
                sc.run(step, config={"p": policy}, year=year, iteration=iteration, facet=facet, outputs=["o"])
    return tracker.run_set("base", scenario="base")


def test_runs_are_split_by_lists_of_fields_and_facets(years: consist.RunSet) -> None:
    split = years.split_by(["year", "policy"])
    assert set(split) == set(itertools.product((2025, 2030), ("toll", "none")))
    assert {len(part) for part in split.values()} == {2}
    assert split[2025, "toll"].label == "base year=2025 policy=toll"
    assert list(years.split_by(["year"])) == [(2030,), (2025,)]
    assert list(years.split_by("year")) == [2030, 2025]


def test_the_newest_run_of_each_combination(years: consist.RunSet) -> None:
    newest = years.latest(group_by=["model", "year"])
    assert [(run.year, run.iteration, run.facet["policy"]) for run in newest] == [(2030, 1, "none"), (2025, 1, "none")]
    assert len(years.latest(group_by=("year", "iteration", "facet.policy"))) == 8
    assert [run.id for run in years.latest(group_by=["year"])] == [run.id for run in years.latest(group_by="year")]
    pairs = newest.align(newest, on=["model", "year"]).pairs()
    assert [key for key, _, _ in pairs] == [("step", 2030), ("step", 2025)]


@pytest.mark.parametrize("given", [5, {"year"}, ["year", 3], {"year": 1}])
def test_what_is_no_list_of_fields_is_refused(given: Any, years: consist.RunSet) -> None:
    for ask in (years.split_by, lambda on: years.latest(group_by=on), lambda on: years.align(years, on)):
        with pytest.raises(errors.UsageTypeError, match="the name of a field or a list of names"):
            ask(given)


def test_an_empty_list_and_a_field_that_does_not_exist_are_refused(years: consist.RunSet) -> None:
    with pytest.raises(errors.UsageError, match="at least one field"):
        years.split_by([])
    with pytest.raises(errors.UsageError, match=r"latest\(group_by=\['year', 'model_name'\]\)"):
        years.align(years, on=["year", "model_name"])


# ---------------------------------------------------------------- load with a tracker


def test_load_and_load_df_find_a_file_where_a_tracker_has_it(here: Path) -> None:
    pandas = pytest.importorskip("pandas")

    def table() -> Any:
        return pandas.DataFrame({"a": [1, 2]})

    with Tracker(run_dir="one", db_path="p.db", mounts={"data": "one"}) as tracker:
        artifact = output_of(tracker.run(table, outputs=["t"]))
        assert consist.load_df(artifact, tracker=tracker).a.tolist() == [1, 2]
        assert consist.load(artifact, tracker=tracker).a.tolist() == [1, 2]
        assert artifact.as_df(tracker).a.tolist() == [1, 2]
    shutil.move("one", "two")
    with Tracker(run_dir="two", db_path="p.db", mounts={"data": "two"}, access_mode="read_only") as moved:
        with pytest.raises(errors.ArtifactMissingError):
            consist.load_df(artifact)
        for own in (artifact, dataclasses.replace(artifact, uris=None), pickle.loads(pickle.dumps(artifact))):
            assert consist.load_df(own, tracker=moved).a.tolist() == [1, 2]
            assert consist.load(own, tracker=moved, columns=["a"]).a.tolist() == [1, 2]
    with pytest.raises(errors.UsageTypeError, match="tracker= takes a Tracker, not str"):
        consist.load_df(artifact, tracker="p.db")  # type: ignore[arg-type]


# ---------------------------------------------------------------- files that another run wrote


@functools.lru_cache
def cached() -> Path:
    return made(text=f"{consist.current_run().year}\n")  # type: ignore[union-attr]


def log_cached() -> None:
    consist.log_output(cached(), "o")


def as_dict() -> dict[str, Path]:
    return {"o": cached()}


def by_text() -> str:
    return str(cached())


@functools.lru_cache
def folder() -> Path:
    place = consist.output_dir("tables")
    (place / "a.csv").write_text("a\n1\n")
    return place


def give_folder() -> Path:
    return folder()


@pytest.mark.parametrize("fn", [cached, log_cached, as_dict, by_text, give_folder])
def test_a_cached_function_that_gives_out_another_runs_file_is_told_and_not_reused(
    fn: Callable[..., Any], tracker: Tracker
) -> None:
    cached.cache_clear()
    folder.cache_clear()
    first = tracker.run(fn, name="make", year=2025, outputs=["o"])
    for _ in range(2):  # the second time it is asked for, its own record is there as well
        with pytest.warns(ConsistWarning, match=r"has outputs that it did not write: 'o' is a file of run 'make'"):
            second = tracker.run(fn, name="make", year=2030, outputs=["o"])
        assert not second.cache_hit
    again = tracker.run(fn, name="make", year=2025, outputs=["o"])
    assert again.cache_hit
    assert again.output == first.output
    cached.cache_clear()
    folder.cache_clear()
    right = tracker.run(fn, name="make", year=2030, outputs=["o"])
    assert output_of(right).path != output_of(first).path
    assert tracker.run(fn, name="make", year=2030, outputs=["o"]).cache_hit


def test_a_block_that_logs_another_runs_file_as_its_own_is_told(tracker: Tracker) -> None:
    with tracker.trace("one") as one:
        path = consist.output_path("o", "txt")
        path.write_text("1")
        one.log_output(path, "o")
    with pytest.warns(ConsistWarning, match="has outputs that it did not write"), tracker.trace("two") as two:
        two.log_output(path, "o")


def test_inputs_may_be_given_out_and_shared_places_written_again(tracker: Tracker, here: Path) -> None:
    first = tracker.run(step, outputs=["o"])

    def through(o: Path) -> Path:
        return o

    assert not tracker.run(through, inputs={"o": consist.ref(first)}, outputs=["p"]).cache_hit
    assert tracker.run(through, inputs={"o": consist.ref(first)}, outputs=["p"]).cache_hit

    def shared(text: str) -> Path:
        (here / "shared.txt").write_text(text)
        return here / "shared.txt"

    for text in ("a", "b", "b"):
        tracker.run(shared, config={"text": text}, outputs=["s"])
    assert tracker.run(shared, config={"text": "b"}, outputs=["s"]).cache_hit


def test_a_file_that_is_made_once_may_be_given_out_by_the_same_work_again(tracker: Tracker, here: Path) -> None:
    def download() -> Path:
        path = here / "download.txt"
        if not path.exists():
            path.write_text("1")
        return path

    tracker.run(download, outputs=["d"])
    overwrite = consist.CacheOptions(cache_mode="overwrite")
    assert not tracker.run(download, outputs=["d"], cache_options=overwrite).cache_hit
    assert tracker.run(download, outputs=["d"]).cache_hit


# ---------------------------------------------------------------- the library's own files


def test_the_key_of_the_project_is_no_file_that_a_step_reads(here: Path) -> None:
    script = here / "model.py"
    script.write_text(
        "import os, sys, consist_es as consist\n"
        "from pathlib import Path\n"
        "def step() -> Path:\n"
        "    path = consist.output_path('o', ext='txt')\n"
        "    path.write_text(os.environ['GROWTH'])\n"
        "    return path\n"
        "os.environ['GROWTH'] = sys.argv[1]\n"
        "with consist.Tracker(run_dir='runs', db_path='project.db') as tracker:\n"
        "    print(tracker.run(step, outputs=['o']).cache_hit)\n"
    )
    said = [run_script(script, growth).stdout.strip() for growth in ("1", "2", "2")]  # any warning would be an error
    assert said == ["False", "False", "True"]


# ---------------------------------------------------------------- a project that was moved

MODEL = """
import sys
sys.path.insert(0, "{lib}")
import consist_es as consist, helper, other
from pathlib import Path

def step() -> Path:
    path = consist.output_path("o", ext="txt")
    path.write_text(f"{{helper.f()}} {{helper.g()}} {{other.h()}}")
    return path

with consist.Tracker(run_dir="{log}/runs", db_path="{log}/p.db", project_root=".") as tracker:
    print(tracker.run(step, outputs=["o"], identity_inputs=[("rates", "{lib}/rates.csv")]).run.why())
"""


def written(place: Path, lib: str, log: Path, g: int = 2) -> Path:
    """A model in a folder of its own, with its modules in a folder called so."""
    (place / lib).mkdir(parents=True)
    (place / lib / "helper.py").write_text(f"def f(): return 1\n\ndef g(): return {g}\n")
    (place / lib / "other.py").write_text("def h(): return 3\n")
    (place / lib / "rates.csv").write_text("rate\n1\n")
    (place / "model.py").write_text(MODEL.format(lib=lib, log=log))
    return place / "model.py"


def test_why_after_a_project_was_moved_lists_only_what_changed(here: Path) -> None:
    run_script(written(here / "one", "src", here / "log"))
    said = run_script(written(here / "two", "code/lib", here / "log", g=5)).stdout
    assert "code of two/code/lib/helper.py (one/src/helper.py before): changed" in said
    assert "other.py" not in said
    assert "removed" not in said
    assert "added" not in said


def test_why_of_code_that_only_lies_elsewhere_says_so(here: Path) -> None:
    run_script(written(here / "one", "src", here / "log"))
    said = run_script(written(here / "two", "lib", here / "log")).stdout
    for name in ("helper.py", "other.py"):
        assert f"code of two/lib/{name} (one/src/{name} before): the same, elsewhere" in said
    assert ": changed\n" not in said


# ---------------------------------------------------------------- lineage as text


def join(a: Path, b: Path) -> Path:
    return made("joined", a.read_text() + b.read_text())


def test_lineage_says_see_above_only_of_what_is_above(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    first = tracker.run(step, name="first", outputs=["first"])

    def longer(first: Path) -> Path:
        return made("longer", first.read_text())

    def two(longer: Path, first: Path) -> dict[str, Path]:
        return {"left": made("left", "1"), "right": made("right", "2")}

    second = tracker.run(longer, inputs={"first": consist.ref(first)}, outputs=["longer"])
    bound = {"longer": consist.ref(second), "first": consist.ref(first)}
    both = tracker.run(two, inputs=bound, outputs=["left", "right"])
    last = tracker.run(
        join, inputs={"a": consist.ref(both, "left"), "b": consist.ref(both, "right")}, outputs=["joined"]
    )
    for artifact in (output_of(last), both.outputs["left"], output_of(second)):
        tracker.print_lineage(artifact)
        told: set[str] = set()
        lines = capsys.readouterr().out.splitlines()
        for number, line in enumerate(lines):
            name = line.split("  (see")[0].strip()
            if "(see above)" in line:
                assert name in told
            elif "(see below)" in line:
                assert name not in told
                assert any(later.strip() == name for later in lines[number:])
            else:
                told.add(name)
    tracker.print_lineage(both.outputs["left"])
    said = capsys.readouterr().out
    assert said.count("(see below)") == 1  # `first` hangs below `longer`, and stands nearer to the root further down
    assert ROOT.name not in said


# ---------------------------------------------------------------- pairing of parts

PARTS = st.dictionaries(st.sampled_from(["a.py", "x/a.py", "b.py", "x/b.py", "callable"]), st.sampled_from("123"))


@given(PARTS, PARTS)
def test_pairing_accounts_for_every_part_once(new: dict[str, str], old: dict[str, str]) -> None:
    found = pair(new, old)
    same = {name for name in new if old.get(name) == new[name]}
    pairs = [*found.renamed, *found.changed]
    assert sorted([*same, *(after for _, after in pairs), *found.added]) == sorted(new)
    assert sorted([*same, *(before for before, _ in pairs), *found.removed]) == sorted(old)
    assert all(old[before] == new[after] and before != after for before, after in found.renamed)
    assert all(old[before] != new[after] for before, after in found.changed)
    assert pair(new, new) == Paired([], [], [], [])
    moved = {f"deep/{name}": digest for name, digest in new.items()}
    assert {before for before, _ in pair(moved, new).renamed} == set(new)


def test_content_goes_before_names() -> None:
    assert pair({"a.py": "2", "b.py": "1"}, {"a.py": "1", "b.py": "2"}).changed == []
    assert pair({"a.py": "2", "b.py": "2"}, {"a.py": "1", "b.py": "2"}).changed == [("a.py", "a.py")]
    assert pair({"y/a.py": "3"}, {"x/a.py": "1", "z/b.py": "2"}) == Paired([], [("x/a.py", "y/a.py")], ["z/b.py"], [])
    two = pair({"y/a.py": "3", "z/a.py": "4"}, {"x/a.py": "1"})  # whose successor it is cannot be told
    assert (two.changed, two.removed, two.added) == ([], ["x/a.py"], ["y/a.py", "z/a.py"])
