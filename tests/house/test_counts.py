"""What a step, an opened project and a query do, counted: tests/golden/counts.json has the numbers that are allowed.

They change on purpose only: ``python -m tools.bench counts --write``. Higher numbers need a reason in the commit, lower
ones are put on record so that they stay low.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bench import counting, counts


def test_steps_and_queries_do_what_is_on_record() -> None:
    found = counts.changes(counts.recorded(), counts.held(counts.measure()))
    message = "\n  ".join(["counts changed by more than 3 %, old -> new:", *found])
    assert found == [], f"{message}\nif that is meant: {counts.COMMAND}"


def test_the_record_holds_every_kind_of_a_hit_and_the_syncs_of_a_miss() -> None:
    recorded = counts.recorded()
    assert set(recorded["hit"]) == set(counting.KINDS) - {"watching"}
    assert set(recorded["miss, not watched"]) == set(recorded["hit"])
    assert recorded["miss"]["syncs"] == recorded["hit"]["syncs"] == 1


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (1000, []),
        (1030, []),
        (970, []),
        (1031, ["hit: calls 1,000 -> 1,031 (+3%)"]),
        (940, ["hit: calls 1,000 -> 940 (-6%)"]),
    ],
)
def test_a_count_that_differs_is_told_up_and_down(new: int, expected: list[str]) -> None:
    assert counts.changes({"hit": {"calls": 1000}}, {"hit": {"calls": new}}) == expected


def test_small_numbers_and_rows_may_not_change_at_all() -> None:
    before = {"hit": {"syncs": 1, "locks": 0, "stats": 3}, "old": {"sql": 1}}
    after = {"hit": {"syncs": 2, "locks": 1, "stats": 5}, "new": {"sql": 1}}
    expected = ["hit: locks 0 -> 1", "hit: syncs 1 -> 2 (+100%)", "new: new", "old: gone"]
    assert counts.changes(before, after) == expected


def test_what_is_counted_is_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"

    def work() -> None:
        file.write_text("a")
        assert file.read_text() == "a"
        assert file.stat().st_size == 1
        file.unlink()

    taken = counting.Counting(tmp_path).take(work)
    assert {kind: taken[kind] for kind in ("opens", "reads", "writes", "stats", "names", "syncs", "sql")} == {
        "opens": 2, "reads": 1, "writes": 1, "stats": 1, "names": 1, "syncs": 0, "sql": 0,
    }  # fmt: skip
