"""Where the file of a key is, of a scenario and a year: also if a hit gave it, or a coupler has it by another name."""

import json
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker
from tests.support.cli import run


def step(year: int, growth: float) -> Path:
    out = consist.output_path("trips", "txt")
    out.write_text(f"{year} {growth}")
    return out


@pytest.fixture
def played(tracker: Tracker, here: Path) -> Tracker:
    """Two scenarios of two years; the first year of the second one is a hit."""
    for name, growth in (("base", 1.0), ("more", 2.0)):
        with tracker.scenario(name) as sc:
            for year in (2030, 2040):
                config = {"year": year, "growth": growth if year == 2040 else 1.0}
                sc.run(step, name="step", year=year, config=config, outputs=["trips"])
                sc.coupler.set(f"{year}/flows", sc.coupler.require("trips"))
    return tracker


def text_of(tracker: Tracker, selector: str) -> str:
    uri = json.loads(run("show", selector, "--json", "--project", tracker.db_path).stdout)["uri"]
    return tracker.resolve_uri(uri).read_text()


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ("base/trips@2030", "2030 1.0"), ("base/trips@2040", "2040 1.0"), ("more/trips@2030", "2030 1.0"),
        ("more/trips@2040", "2040 2.0"), ("trips@2030", "2030 1.0"), ("trips@2040", "2040 2.0"),
        ("more/trips", "2040 2.0"), ("base#1/trips", "2040 1.0"), ("base/2030/flows", "2030 1.0"),
        ("more/2040/flows", "2040 2.0"), ("2040/flows", "2040 2.0"), ("trips", "2040 2.0"),
    ],
)  # fmt: skip
def test_an_output_is_selected_by_key_scenario_and_year(played: Tracker, selector: str, text: str) -> None:
    assert text_of(played, selector) == text


def test_its_lineage_is_found_too_and_a_wrong_year_is_refused(played: Tracker) -> None:
    assert "trips" in run("lineage", "more/trips@2040", "--project", played.db_path).stdout
    for wrong in ("more/trips@2050", "base/nothing@2030", "other/trips@2030"):
        assert "No scenario, step or artifact" in run("lineage", wrong, "--project", played.db_path, code=2).stderr


def test_artifacts_are_filtered_by_scenario_and_year(played: Tracker) -> None:
    def found(*words: str) -> list[Any]:
        rows = json.loads(run("artifacts", *words, "--json", "--project", played.db_path).stdout)
        return [(row["key"], played.resolve_uri(row["uri"]).read_text()) for row in rows]

    assert found("--scenario", "more", "--year", "2030") == [("trips", "2030 1.0")]
    assert found("--scenario", "more") == [("trips", "2040 2.0"), ("trips", "2030 1.0")]
    assert found("--year", "2040", "--key", "trips") == [("trips", "2040 2.0"), ("trips", "2040 1.0")]
    assert found("--year", "2040", "--key", "nothing") == []
    assert found("--year", "2040", "--run", "base/step@2040") == [("trips", "2040 1.0")]
