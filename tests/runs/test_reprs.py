"""What is seen of runs, results, sets and artifacts where nobody prints them: at a prompt, and in a notebook."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import RunSet, Tracker
from consist_es.project.project import Project
from tests.support.api import NONE, made, output_of

COLOURS = re.compile(r"#[0-9a-fA-F]{3,8}\b|rgb|hsl|color:(?!inherit|currentColor)|background:(?!transparent)")


def step() -> Path:
    return made("trips", "a,b\n1,2\n", "csv")


@pytest.fixture
def things(tracker: Tracker) -> dict[str, Any]:
    """One of each class, of a model of two years that ran twice."""
    for growth in (1.0, 1.1):
        with tracker.scenario("base") as sc:
            for year in (2020, 2030):
                result = sc.run(
                    step,
                    name="demand",
                    year=year,
                    iteration=1,
                    config={"growth": growth if year == 2030 else 1.0},
                    facet={"policy": {"toll": True}},
                    outputs=["trips"],
                    execution_options=NONE,
                )
    return {
        "Tracker": tracker,
        "ScenarioContext": sc,
        "RunResult": result,
        "Run": result.run,
        "RunSet": tracker.run_set("all"),
        "Artifact": output_of(result),
        "Why": result.run.why(),
    }


SAID = {
    "Tracker": r"<Tracker of .*/project\.db: \d+ events, 2 scenarios>",
    "ScenarioContext": r"<ScenarioContext base#2: closed>",
    "RunResult": r"<RunResult of base_demand#4: demand 2030·1, computed, \d+\.\d+ m?s, outputs trips>",
    "Run": r"<Run base_demand#4: demand 2030·1: computed, \d+\.\d+ m?s, scenario base#2>",
    "RunSet": r"<RunSet all: 6 runs, 2 scenarios, 1 hit, 3 computed, 2020–2030; demand \(4\)>",
    "Artifact": r"<Artifact trips: csv, 1 row, 8 bytes, made by base_demand#4, \./outputs/\S+/trips\.csv>",
    "Why": r"<Why base_demand#4 was computed: config changed\. The nearest earlier run is .*>",
}


@pytest.mark.parametrize("kind", SAID)
def test_a_repr_has_at_most_three_lines_and_says_how_it_went(things: dict[str, Any], kind: str) -> None:
    text = repr(things[kind])
    assert re.fullmatch(SAID[kind], text), text
    assert len(text.splitlines()) <= 3


@pytest.mark.parametrize("kind", ["ScenarioContext", "RunResult", "Run", "RunSet", "Artifact", "Why"])
def test_a_notebook_gets_a_small_table_without_scripts_and_colours(things: dict[str, Any], kind: str) -> None:
    page = things[kind]._repr_html_()
    assert page.startswith("<div>")
    assert page.endswith("</div>")
    assert len(page.encode()) < 20_000
    assert not COLOURS.search(page)
    assert "<script" not in page
    assert "<style" not in page


def test_a_notebook_is_told_the_outcome_the_reason_and_the_config(things: dict[str, Any]) -> None:
    run = things["Run"]._repr_html_()
    assert "demand 2030·1" in run
    assert "config.growth: 1.0 -&gt; 1.1" in run
    assert ">config growth</th>" in run
    assert ">facet policy.toll</th>" in run
    runs = things["RunSet"]._repr_html_()
    assert runs.count("<tr>") == 1 + 6
    assert ">hit</td>" in runs
    assert ">trips</td>" in things["RunResult"]._repr_html_()
    assert ">column a</th>" in things["Artifact"]._repr_html_()
    assert "was computed: config changed" in things["Why"]._repr_html_()
    assert things["ScenarioContext"]._repr_html_().count("<tr>") == 1 + 2


def test_of_a_long_set_thirty_rows_are_shown_and_how_many_more_there_are(things: dict[str, Any]) -> None:
    runs = RunSet(tuple(things["RunSet"]) * 200)
    page = runs._repr_html_()
    assert page.count("<tr>") == 1 + 30
    assert "and 1,170 more" in page
    assert len(page.encode()) < 20_000
    assert len(repr(runs)) < 300


def test_large_values_are_shortened_and_a_page_stays_below_its_limit(tracker: Tracker) -> None:
    config = {f"key{number}": "<&\u202e\"'>" * 1000 for number in range(200)}
    result = tracker.run(step, name="n" * 256, config=config, outputs=["trips"], execution_options=NONE)
    for shown in (result, result.run, RunSet((result.run,) * 500), output_of(result), result.run.why()):
        assert len(shown._repr_html_().encode()) < 20_000
        assert len(repr(shown)) < 1000
    assert "and 1" in result.run._repr_html_()
    assert "more</span>" in result.run._repr_html_()


def test_a_failed_run_shows_its_error_and_a_running_one_that_it_runs(tracker: Tracker) -> None:
    seen: list[str] = []

    def fails() -> None:
        seen.append(repr(consist.current_run()))
        raise ValueError("no zone <7>")

    with pytest.raises(ValueError, match="zone"):
        tracker.run(fails, execution_options=NONE)
    assert seen == ["<Run fails: fails: running>"]
    run = tracker.find_run("fails")
    assert "failed" in repr(run)
    assert "no zone &lt;7&gt;" in run._repr_html_()


def test_a_scenario_says_whether_it_is_open_and_shows_its_steps_so_far(tracker: Tracker) -> None:
    scenario = tracker.scenario("base")
    assert repr(scenario) == "<ScenarioContext base: not entered>"
    assert "0 runs" in scenario._repr_html_()
    with scenario as sc:
        sc.run(step, outputs=["trips"], execution_options=NONE)
        assert repr(sc) == "<ScenarioContext base: open>"
        assert "1 run" in sc._repr_html_()


# ---------------------------------------------------------------- what it costs


def test_a_tracker_asks_nothing_until_it_is_displayed(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    connection = Project.connection

    def counting(self: Project) -> sqlite3.Connection:
        asked.append(1)
        return connection(self)

    monkeypatch.setattr(Project, "connection", counting)
    things = [tracker, tracker.scenario("base"), [tracker]]
    assert asked == []
    assert "Tracker of" in repr(things)
    assert len(asked) == 2


def test_a_tracker_without_readable_views_says_its_project(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr(type(tracker.project), "connection", broken)
    assert repr(tracker) == f"<Tracker of {tracker.db_path}>"


@pytest.mark.parametrize("look", [repr, lambda tracker: tracker.find_runs()])
def test_a_step_that_prints_its_tracker_is_still_reused(tracker: Tracker, look: Callable[[Tracker], object]) -> None:
    def prints() -> Path:
        text = look(tracker)
        assert look is not repr or text == f"<Tracker of {tracker.db_path}>"
        return made("o")

    hits = [tracker.run(prints, outputs=["o"], execution_options=NONE).cache_hit for _ in range(2)]
    assert hits == [False, look is repr]
