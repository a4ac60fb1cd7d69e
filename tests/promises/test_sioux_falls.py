"""Real input: the demo's model, through the library, on the Sioux Falls network and its published equilibrium."""

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import consist_es as consist
from consist_es.demo import story
from consist_es.demo.tntp import read_flows
from tests.support.cli import run, run_json

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "sioux-falls"
NETWORK, TRIPS, FLOWS = (FOLDER / f"SiouxFalls_{name}.tntp" for name in ("net", "trips", "flow"))
PUBLISHED = 42.31335287107440e5
"""The user-equilibrium objective that the TransportationNetworks collection publishes."""

pytestmark = pytest.mark.skipif(
    not all(path.is_file() for path in (NETWORK, TRIPS, FLOWS)),
    reason="wanted in ../shared/data/sioux-falls: SiouxFalls_net.tntp, SiouxFalls_trips.tntp and SiouxFalls_flow.tntp "
    "of github.com/bstabler/TransportationNetworks, folder SiouxFalls",
)


@pytest.fixture
def question() -> story.Question:
    return story.Question(NETWORK, TRIPS)


def test_the_published_objective_and_flows_are_reached_through_the_library(
    tracker: consist.Tracker, question: story.Question
) -> None:
    base = story.run_scenario(tracker, "base", question)
    assert base.summary["objective"] == pytest.approx(PUBLISHED, rel=1e-3)
    assert base.summary["objective"] >= PUBLISHED * (1 - 1e-9), "below the minimum"
    published = read_flows(FLOWS)
    rows = pq.read_table(base.steps["assign_traffic"].output_path("flows")).to_pylist()
    assert len(rows) == len(published) == base.summary["links"] == 76
    for row in rows:
        volume, cost = published[row["from_node"], row["to_node"]]
        assert row["flow"] == pytest.approx(volume, rel=0.02), row
        assert row["cost"] == pytest.approx(cost, rel=0.02), row


def test_the_second_run_is_all_hits_and_the_widened_scenario_shares_what_it_can(
    tracker: consist.Tracker, question: story.Question
) -> None:
    base, widened = story.run_both(tracker, question)
    assert [result.cache_hit for result in base.steps.values()] == [False] * 4
    assert [result.cache_hit for result in widened.steps.values()] == [True, True, False, False]
    assert widened.summary["objective"] < base.summary["objective"] * 0.999
    for first, again in zip((base, widened), story.run_both(tracker, question), strict=True):
        assert [result.cache_hit for result in again.steps.values()] == [True] * 4
        assert again.summary == first.summary


def test_the_whole_trip_table_is_assigned(tracker: consist.Tracker, question: story.Question) -> None:
    base = story.run_scenario(tracker, "base", question)
    demand = pq.read_table(base.steps["grow_demand"].output_path("grown_demand"))
    assert sum(demand["trips"].to_pylist()) == pytest.approx(360_600)


def test_the_demo_prints_the_published_objective(here: Path) -> None:
    shown = run("demo", "--network", NETWORK, "--trips", TRIPS, "--folder", "d").stdout
    match = re.search(r"^base: objective (\d+\.\d+), ", shown, re.MULTILINE)
    assert match
    assert float(match[1]) == pytest.approx(PUBLISHED, rel=1e-3)
    replayed = run_json("replay", "--project", "d/demo.events")[0]
    assert replayed["rows"]["runs"] == 20
