"""No query hides what it cuts: all of a scenario, an index or a run, and a warning for the newest 100 of more."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker, errors
from tests.support.api import NONE, made

STEPS = 102


def step() -> Path:
    return made("o", "x\n")


def tags(year: int) -> list[str]:
    return ["t", "hundred"] if year < 100 else ["t"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A scenario of 102 computed steps, each of its own year, and one of a single step."""
    folder = tmp_path_factory.mktemp("many")
    with Tracker(folder / "runs", folder / "project.db", sync="os") as tracker:
        with tracker.scenario("long") as sc:
            for year in range(STEPS):
                sc.run(
                    step, year=2000 + year, outputs=["o"], facet={"f": year}, tags=tags(year), execution_options=NONE
                )
        with tracker.scenario("short") as sc:
            sc.run(step, year=1999, outputs=["o"], facet={"f": -1}, tags=["t"], execution_options=NONE)
        yield tracker


@pytest.mark.parametrize("by", ["scenario", "parent", "parent_id"])
def test_all_runs_of_a_scenario_are_found(many: Tracker, by: Any) -> None:
    found = many.find_runs(**{by: "long"})  # type: ignore[call-overload]
    assert {run.year for run in found} >= set(range(2000, 2000 + STEPS))


@pytest.mark.parametrize(("index_by", "first"), [("year", 1999), ("facet.f", -1)])
def test_an_index_has_every_value(many: Tracker, index_by: str, first: int) -> None:
    found = many.find_runs(index_by=index_by, kind="run")
    assert set(found) == {first, *(first + 1 + number for number in range(STEPS))}
    assert len(many.find_runs(index_by=index_by, limit=3)) <= 3


def test_a_set_of_runs_has_all_and_a_limit_asked_for_is_kept_without_a_word(many: Tracker) -> None:
    assert len(many.run_set(tags=["t"])) == STEPS + 1
    assert len(many.run_set(tags=["t"], limit=5)) == 5
    assert len(many.find_runs(scenario="long", limit=7)) == 7
    assert len(many.find_runs(tags=["t"], limit=100)) == 100
    assert len(many.find_artifacts(key="o", limit=100)) == 100


ALL: list[tuple[Callable[[Tracker], list[Any]], str, int]] = [
    (lambda tracker: tracker.find_runs(), "find_runs", STEPS + 3),
    (lambda tracker: tracker.find_runs(tags=["t"]), "find_runs", STEPS + 1),
    (lambda tracker: tracker.find_runs(kind="run", model="step"), "find_runs", STEPS + 1),
    (lambda tracker: tracker.find_artifacts(), "find_artifacts", STEPS + 1),
    (lambda tracker: tracker.find_artifacts(key="o", kind="file"), "find_artifacts", STEPS + 1),
]


@pytest.mark.parametrize(("ask", "what", "total"), ALL)
def test_what_the_default_limit_cuts_is_said(
    many: Tracker, ask: Callable[[Tracker], list[Any]], what: str, total: int
) -> None:
    many._cut.clear()
    text = rf"{what}\(\) gives the newest 100 of {total}: pass limit=None"
    with pytest.warns(errors.ConsistWarning, match=text) as caught:
        assert len(ask(many)) == 100
    assert caught[0].filename == __file__


def test_exactly_as_many_as_the_default_limit_are_all_and_no_reason_to_warn(many: Tracker) -> None:
    assert len(many.find_runs(tags=["hundred"])) == 100


def test_a_line_of_code_is_warned_once_however_often_it_asks(many: Tracker) -> None:
    many._cut.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            many.find_runs(kind="run")
        many.find_runs(kind="run")
    assert [warning.lineno for warning in caught] == sorted({warning.lineno for warning in caught})
    assert len(caught) == 2


def test_artifacts_of_a_run_a_content_or_a_place_are_all_found(many: Tracker) -> None:
    newest = many.find_artifacts(limit=1)[0]
    assert len(many.find_artifacts(digest=newest.hash)) == STEPS + 1
    assert [item.id for item in many.find_artifacts(creator=newest.run_id)] == [newest.id]
    assert [item.id for item in many.find_artifacts(run=newest.run_id)] == [newest.id]
    assert [item.id for item in many.find_artifacts(uri=newest.uri)] == [newest.id]
    with pytest.raises(errors.MissingKeyError, match="'nope'"):
        many.find_artifacts(run="nope")


def test_find_run_says_how_many_there_are_in_truth(many: Tracker) -> None:
    with pytest.raises(errors.UsageError, match=f"found {STEPS + 1}: short_step, "):
        many.find_run(kind="run")
