"""Steps that were computed to the same bytes as the nearest earlier run, of which the change may be accepted."""

from pathlib import Path

import pytest

import consist_es as consist
from consist_es import Tracker
from consist_es.projections import run_table
from consist_es.reading.same_bytes import computed_for_nothing
from tests.support.cli import run

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")


def rounded(number: float, zones: Path, threshold: float) -> Path:
    out = consist.output_path("out", "txt")
    out.write_text(f"{round(number, 1)} {zones.read_text()}")
    return out


def nothing(threshold: float) -> None:
    """Makes no output."""


def found(tracker: Tracker) -> list[tuple[str, str]]:
    conn = tracker.project.connection()
    rows = run_table.find(conn, limit=None)[::-1]
    return [(row.id, before.id) for row, before in computed_for_nothing(conn, rows)]


@pytest.fixture
def played(tracker: Tracker, here: Path) -> Tracker:
    """Runs that differ in a threshold, a number, a file, and by nothing."""
    (here / "zones.txt").write_text("1")
    (here / "others.txt").write_text("2")

    def play(number: float, threshold: float, file: str = "zones.txt") -> None:
        config = {"number": number, "threshold": threshold}
        tracker.run(rounded, name="step", config=config, inputs={"zones": file}, outputs=["out"])

    play(1.0, 0.1)
    play(1.0, 0.2)  # the same bytes
    play(1.0, 0.2)  # a hit
    play(2.0, 0.2)  # other bytes
    play(2.01, 0.2, "others.txt")  # another file, other bytes
    for threshold in (0.1, 0.2):
        tracker.run(nothing, name="empty", config={"threshold": threshold})
    return tracker


def test_only_the_same_bytes_of_the_same_inputs_are_found(played: Tracker) -> None:
    assert found(played) == [("step#2", "step")]


def test_another_input_with_the_same_bytes_out_is_no_candidate(played: Tracker, here: Path) -> None:
    (here / "copy.txt").write_text("1 ")

    def stripped(zones: Path) -> Path:
        out = consist.output_path("out", "txt")
        out.write_text(zones.read_text().strip())
        return out

    for file in ("zones.txt", "copy.txt"):
        played.run(stripped, name="strip", inputs={"zones": file}, outputs=["out"])
    assert found(played) == [("step#2", "step")]


def test_stats_names_one_with_the_command_to_paste(played: Tracker) -> None:
    said = run("stats", "--table", "--project", played.db_path)
    assert "1 step came out to the same bytes as before" in said.stderr
    assert "consist-es accept step#2 --as step --reason …" in said.stderr
    assert "same bytes" not in run("stats", "--json", "--project", played.db_path).stderr
