"""Every attack on the cache key, against this library: no wrong hit, no needless miss. See docs/attacks.md."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consist_es import Tracker

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from attacks import bench  # noqa: E402
from attacks.case import Case, Group  # noqa: E402
from attacks.cases import CASES  # noqa: E402

TOOL = bench.Tool("ours", Path(sys.executable), str(ROOT))


@pytest.fixture(scope="module")
def driver() -> Iterator[bench.Driver]:
    """One interpreter for all cases; each script runs in a fork of it."""
    with bench.Driver(TOOL) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_attack_is_a_wrong_hit_or_a_needless_miss(driver: bench.Driver, tmp_path: Path, case: Case) -> None:
    result = bench.attack(case, driver, tmp_path / "case")
    if result.score == bench.SKIPPED:
        pytest.skip(result.note)
    allowed = (bench.RIGHT, bench.REFUSED) if case.verdict == "miss" else (bench.RIGHT,)
    assert result.score in allowed, result.note


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES]
    assert len(names) >= 80
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z0-9_]+", name) for name in names)


def one_case(verdict: str, change: str) -> Case:
    """An edit of the step, which is a miss."""
    group = Group("self-test")
    group.edits("edited", verdict, "def step():\n    ran(1)\n", change)
    return group.cases[0]


@pytest.mark.parametrize(
    ("verdict", "change", "score"),
    [
        ("miss", "def step():\n    ran(2)\n", bench.RIGHT),
        ("hit", "def step():\n    ran(2)\n", bench.NEEDLESS),
        ("hit", "def step():\n    ran(1)  # one\n", bench.RIGHT),
        ("miss", "def step():\n    ran(1)  # one\n", bench.WRONG),
        ("miss", "def step(:\n", bench.BROKEN),
        ("miss", "def step():\n    ran()\n    1 / 0\n", bench.BROKEN),
        ("miss", "def step(unknown):\n    ran()\n", bench.REFUSED),
    ],
)
def test_the_bench_sees_what_a_tool_does(
    driver: bench.Driver, tmp_path: Path, verdict: str, change: str, score: str
) -> None:
    assert bench.attack(one_case(verdict, change), driver, tmp_path).score == score


def test_a_case_that_the_tool_cannot_say_is_not_held_against_it(driver: bench.Driver, tmp_path: Path) -> None:
    group = Group("self-test", "telepathy")
    group.add("read_minds", "miss")
    assert bench.attack(group.cases[0], driver, tmp_path).score == bench.INEXPRESSIBLE


def test_fast_comparison_is_said_plainly_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("one")
    with Tracker(run_dir="runs", hashing_strategy="fast") as tracker:
        run = tracker.run(print, name="step", inputs=["a.txt"]).run
        links = tracker.get_run_inputs(run.id)
    assert [str(artifact.hash).startswith("fast:") for artifact in links.values()] == [True]
