"""Which runs used a file: by its bytes, not by the record that each scenario makes of it; and names of couplers."""

from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker, errors
from tests.support.api import PATHS, made


def copy(zones: Path) -> Path:
    return made("o", zones.read_text())


def model(tracker: Tracker, name: str, path: str = "zones.csv") -> None:
    with tracker.scenario(name) as sc:
        sc.add_input(path, "zones")
        first = sc.run(copy, inputs={"zones": path}, outputs=["o"], execution_options=PATHS)
        sc.run(copy, name="again", inputs={"zones": first}, outputs=["o"], execution_options=PATHS)


def users(tree: dict[str, Any]) -> list[str]:
    return [used["run"].id for used in tree["runs"]]


def test_every_scenario_that_used_the_same_bytes_counts_whichever_record_is_asked_of(tracker: Tracker) -> None:
    Path("zones.csv").write_text("zone\n1\n")
    for name in ("base", "project", "base"):
        model(tracker, name)
    expected = ["base_copy", "project_copy", "base_copy#2"]
    records = tracker.find_artifacts(key="zones")
    assert len(records) == 3
    asked: list[Any] = ["zones", *records]
    assert [users(tracker.get_artifact_descendants(item)) for item in asked] == [expected] * 4


def test_another_content_at_the_place_is_another_file_and_a_copy_elsewhere_is_the_same(tracker: Tracker) -> None:
    Path("zones.csv").write_text("zone\n1\n")
    model(tracker, "base")
    Path("copy.csv").write_text("zone\n1\n")
    model(tracker, "copied", "copy.csv")
    Path("zones.csv").write_text("zone\n2\n")
    model(tracker, "changed")
    old = tracker.get_run_inputs("base_copy")["zones"]
    assert users(tracker.get_artifact_descendants(old)) == ["base_copy", "copied_copy"]
    assert users(tracker.get_artifact_descendants("zones")) == ["changed_copy"]


def test_equal_bytes_that_a_step_made_are_another_artifact(tracker: Tracker) -> None:
    Path("zones.csv").write_text("zone\n1\n")
    model(tracker, "base")
    made_one = tracker.get_run_artifact("base_copy", "o")
    assert made_one.hash == tracker.get_run_inputs("base_copy")["zones"].hash
    assert users(tracker.get_artifact_descendants(made_one)) == ["base_again"]
    assert users(tracker.get_artifact_descendants("zones")) == ["base_copy"]


def test_the_tree_goes_on_below_the_runs_of_the_other_records(tracker: Tracker) -> None:
    Path("zones.csv").write_text("zone\n1\n")
    model(tracker, "base")
    model(tracker, "project")
    tree = tracker.get_artifact_descendants("zones")
    below = [users(used["outputs"]["o"]) for used in tree["runs"] if not used["outputs"]["o"].get("repeated")]
    assert below == [["base_again", "project_again"]]  # the second scenario was reused: one artifact, two users
    assert tracker.get_artifact_descendants("zones", max_depth=0)["runs"] == []


# ---------------------------------------------------------------- names that only a coupler has


def test_an_artifact_is_found_by_the_name_that_it_was_collected_under(tracker: Tracker) -> None:
    Path("zones.csv").write_text("zone\n1\n")
    for name, year in (("base", 2030), ("project", 2040)):
        with tracker.scenario(name) as sc:
            sc.run(copy, inputs={"zones": "zones.csv"}, year=year, outputs=["o"], execution_options=PATHS)
            sc.collect_by_keys(sc.coupler, "o", prefix=f"{year}/")
    for name, year in (("base", 2030), ("project", 2040)):
        made_one = tracker.get_run_artifact(f"{name}_copy", "o")
        assert tracker.get_artifact(f"{year}/o", run_id=name) == made_one
        assert tracker.get_artifact(f"{year}/o") == made_one
        assert tracker.get_run_artifact(name, f"{year}/o") == made_one
        assert consist.get_artifact(name, f"{year}/o", tracker=tracker) == made_one
        assert tracker.get_artifact("o", run_id=name) == made_one
        assert tracker.get_artifact("zones", run_id=name) == tracker.get_run_inputs(f"{name}_copy")["zones"]
    assert tracker.get_artifact("2040/o", run_id="base") is None
    assert tracker.get_artifact("2050/o") is None
    with pytest.raises(errors.MissingKeyError, match="'2030/o'"):
        tracker.get_run_artifact("base", "2031/o")


def test_a_name_set_again_is_the_latest_and_a_value_without_a_record_is_no_artifact(tracker: Tracker) -> None:
    with tracker.scenario("base") as sc:
        for text in ("1", "2"):
            result = sc.run(lambda text=text: made("o", text), name=f"s{text}", outputs=["o"])
            sc.coupler.set("best", result.outputs["o"])
        sc.coupler.set("elsewhere", "some/path.csv")
    found = tracker.get_artifact("best", run_id="base")
    assert found is not None
    assert found.path.read_text() == "2"
    assert tracker.get_artifact("elsewhere", run_id="base") is None
    assert tracker.get_artifact("elsewhere") is None


def test_a_file_that_was_written_again_with_the_same_bytes_keeps_its_users(tracker: Tracker, tmp_path: Path) -> None:
    place = tmp_path / "same.txt"

    def write() -> None:
        place.write_text("x")

    for number in range(2):
        with tracker.scenario(f"s{number}") as sc:
            result = sc.run(
                write,
                outputs=["same"],
                output_paths={"same": place},
                cache_options=consist.CacheOptions(cache_mode="overwrite"),
            )
            sc.run(lambda n=number: None, name="use", inputs={"same": result.outputs["same"]}, config={"k": number})
    found = tracker.get_artifact_descendants(result.outputs["same"])
    assert sorted(node["run"].id for node in found["runs"]) == ["s0_use", "s1_use"]
