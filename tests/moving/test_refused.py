"""What docs/moving.md says is refused is refused, and says what to do instead."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker, errors
from consist_es.lbnl.core.maintenance import DatabaseMaintenance
from consist_es.lbnl.core.persistence import DatabaseManager, ProvenanceWriter


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker(tmp_path / "runs", project_root=tmp_path)


@pytest.mark.parametrize("name", ["db", "engine", "db_session", "run_query"])
def test_no_tracker_has_a_second_truth(tracker: Tracker, name: str) -> None:
    assert getattr(tracker, name, None) is None  # clients ask so, and go on without


@pytest.mark.parametrize("kind", [DatabaseMaintenance, DatabaseManager, ProvenanceWriter])
def test_objects_around_a_database_say_what_is_there_instead(tracker: Tracker, kind: Any) -> None:
    with pytest.raises(errors.NotProvidedError, match=r"Instead: (tracker\.snapshot_db|tracker\.find_runs)"):
        kind(tracker)


def test_a_file_that_is_not_there_is_no_input_and_no_key(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.scenario("s") as sc:
        with pytest.raises(errors.InputError, match="nowhere"):
            sc.add_input(tmp_path / "nowhere.csv", key="zones")
        with pytest.raises(errors.UsageTypeError, match="'zones' takes an Artifact"):
            sc.coupler.set("zones", None)  # type: ignore[type-var]
        assert "zones" not in sc.coupler


@pytest.mark.parametrize("direction", ["input", "output"])
def test_a_logged_file_that_is_not_there_has_no_digest_and_is_never_reused(
    tracker: Tracker, tmp_path: Path, direction: str
) -> None:
    for _ in range(2):
        with tracker.trace("t") as block:
            assert not block.is_cached
            with pytest.warns(errors.ConsistWarning, match=r"nowhere\.csv\. Write it first"):
                logged = tracker.log_artifact(tmp_path / "nowhere.csv", "zones", direction)
            assert logged.hash is None


def test_no_parent_is_made_up_from_inputs(tracker: Tracker) -> None:
    with tracker.trace("first"):
        path = tracker.run_dir / "a.txt"
        path.write_text("1")
        made = tracker.log_output(path, key="a")
    with tracker.trace("second", inputs={"a": made}):
        pass
    second = tracker.get_run("second")
    assert second is not None
    assert second.parent_run_id is None
    assert tracker.get_run_inputs("second")["a"].run_id == "first"  # lineage has it


@pytest.mark.parametrize("name", ["map_runs", "single_step_scenario", "to_df"])
def test_functions_that_are_not_provided_say_what_is(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{name}'.* instead: "):
        getattr(importlib.import_module("consist_es"), name)
