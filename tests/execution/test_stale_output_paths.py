"""A file that lay at a declared place before the step ran is not the step's output."""

from pathlib import Path

import pytest

from consist_es import OutputPolicyOptions, Tracker
from consist_es.errors import OutputError


def test_a_file_that_the_step_did_not_write_is_a_missing_output(tmp_path: Path) -> None:
    stale = tmp_path / "summary.csv"
    stale.write_text("of last year\n")
    tracker = Tracker(tmp_path / "runs")
    with pytest.raises(OutputError, match="as it was before: only what it writes is its output"):
        tracker.run(lambda: None, name="step", output_paths={"summary": stale})
    assert stale.read_text() == "of last year\n"


def test_a_file_that_the_step_wrote_anew_is_its_output_even_with_the_same_bytes(tmp_path: Path) -> None:
    place = tmp_path / "summary.csv"
    place.write_text("same\n")

    def step(where: str) -> None:
        Path(where).write_text("same\n")

    result = Tracker(tmp_path / "runs").run(step, config={"where": str(place)}, output_paths={"summary": place})
    assert result.outputs["summary"].path == place


def test_with_warnings_only_the_run_is_kept_and_never_reused(tmp_path: Path) -> None:
    stale = tmp_path / "summary.csv"
    stale.write_text("old")
    tracker = Tracker(tmp_path / "runs")
    ignore = OutputPolicyOptions(output_missing="ignore")
    for _ in range(2):
        result = tracker.run(lambda: None, name="step", output_paths={"summary": stale}, output_policy=ignore)
        assert (result.cache_hit, dict(result.outputs)) == (False, {})
