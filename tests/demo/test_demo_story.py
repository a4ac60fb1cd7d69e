"""The demo's story as a piece of model code: what it reuses, and that it is written as users can write."""

import ast
from pathlib import Path

import pytest

import consist_es as consist
from consist_es.demo import story
from consist_es.demo.tntp import read_network, read_trips

STEPS = ["read_inputs", "grow_demand", "assign_traffic", "summarise"]


@pytest.fixture
def town(here: Path) -> story.Question:
    return story.Question(*story.write_town(here / "inputs"))


def hits(outcome: story.Outcome) -> list[bool]:
    assert list(outcome.steps) == STEPS
    return [result.cache_hit for result in outcome.steps.values()]


def test_the_widened_scenario_reuses_what_the_widening_does_not_touch(
    tracker: consist.Tracker, town: story.Question
) -> None:
    base, widened = story.run_both(tracker, town)
    assert hits(base) == [False, False, False, False]
    assert hits(widened) == [True, True, False, False]
    differs = widened.steps["assign_traffic"].run.meta["cache_miss_explanation"]
    assert differs["reason"] == "config_changed"
    assert differs["candidate_run_id"] == "base_assign_traffic"


def test_the_second_time_everything_is_reused_with_the_same_summary(
    tracker: consist.Tracker, town: story.Question
) -> None:
    first, second = story.run_both(tracker, town), story.run_both(tracker, town)
    assert [hits(outcome) for outcome in second] == [[True] * 4] * 2
    assert [outcome.summary for outcome in second] == [outcome.summary for outcome in first]
    assert [outcome.run_id for outcome in second] == ["base#2", "widened#2"]


def test_another_growth_reuses_the_tables_alone(tracker: consist.Tracker, town: story.Question) -> None:
    story.run_both(tracker, town)
    base, _ = story.run_both(tracker, story.Question(town.network, town.trips, growth=0.9))
    assert hits(base) == [True, False, False, False]


def test_the_link_with_the_most_flow_for_its_capacity_is_widened(
    tracker: consist.Tracker, town: story.Question
) -> None:
    base, widened = story.run_both(tracker, town)
    link = base.summary["most_loaded_links"][0]
    assert link["load"] == max(other["load"] for other in base.summary["most_loaded_links"])
    widen = story.widening(base)
    assert f"{widen['from']}-{widen['to']}" == link["link"]
    assert widened.steps["assign_traffic"].run.config["widen"] == widen
    assert widened.summary["objective"] < base.summary["objective"]


def test_both_scenarios_converge_on_the_generated_town(tracker: consist.Tracker, town: story.Question) -> None:
    for outcome in story.run_both(tracker, town):
        assert outcome.summary["converged"]
        assert outcome.summary["relative_gap"] <= story.MAX_GAP


def test_a_generated_town_is_readable_and_kept_as_it_was_edited(here: Path) -> None:
    network, trips = story.write_town(here / "inputs")
    assert read_network(network).zones == read_trips(trips).zones
    network.write_text("edited")
    assert story.write_town(here / "inputs") == (network, trips)
    assert network.read_text() == "edited"


def test_the_story_uses_public_names_alone() -> None:
    tree = ast.parse(Path(story.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name and name.startswith("consist_es")} == {
        "consist_es.demo.network",
        "consist_es.demo.steps",
        "consist_es.demo.tntp",
    }
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "consist"
    }
    assert used
    assert used <= set(dir(consist))
