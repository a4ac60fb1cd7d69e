"""`consist-es demo`: the whole story, on the generated town and on files of one's own."""

import json
import re
from pathlib import Path

import pytest

from consist_es.cli.demo import plain_number
from consist_es.views.projector import Projector
from tests.support.cli import run, run_json

STEPS = ["read_inputs", "grow_demand", "assign_traffic", "summarise"]

NETWORK = """\
<NUMBER OF ZONES> 2
<NUMBER OF NODES> 2
<FIRST THRU NODE> 1
<NUMBER OF LINKS> 2
<END OF METADATA>
~ init term capacity length time b power speed toll type ;
 1 2 100 1 10 0.15 4 0 0 1 ;
 2 1 100 1 10 0.15 4 0 0 1 ;
"""
TRIPS = """\
<NUMBER OF ZONES> 2
<TOTAL OD FLOW> 150.0
<END OF METADATA>
Origin 1
 2 : 100.0;
Origin 2
 1 : 50.0;
"""


@pytest.fixture
def own(here: Path) -> list[str]:
    """Options that name a network of one's own: two places and a road between them."""
    Path("net.tntp").write_text(NETWORK)
    Path("trips.tntp").write_text(TRIPS)
    return ["--network", "net.tntp", "--trips", "trips.tntp"]


def objectives(stdout: str) -> dict[str, float]:
    found = re.findall(r"^(\S+): objective (\d+\.\d{6,}), relative gap \d\.\d\de[-+]\d\d", stdout, re.MULTILINE)
    return {scenario: float(number) for scenario, number in found}


def test_the_story_is_told_from_beginning_to_end(here: Path) -> None:
    shown = run("demo").stdout
    found = objectives(shown)
    assert list(found) == ["base", "widened", "base#2", "widened#2"]
    assert found["base"] > found["widened"] > 0
    assert (found["base#2"], found["widened#2"]) == (found["base"], found["widened"])
    for line in (
        r"read_inputs +computed in \S+ m?s: nothing like it ran before +reused base_read_inputs",
        r"grow_demand .* reused base_grow_demand",
        r"assign_traffic .* computed in \S+ m?s: config changed",
        r"assign_traffic +reused base_assign_traffic +reused widened_assign_traffic",
        r"demo\.db deleted, except for a copy to compare with, and rebuilt from the \d+ events of the log:",
        r"runs +20 +same",
    ):
        assert re.search(f"^{line}$", shown, re.MULTILINE), line
    assert "DIFFERENT" not in shown
    folder = here / "consist-es-demo"
    assert sorted(path.name for path in folder.iterdir()) == [
        "demo.db",
        "demo.db.lock",
        "demo.events",
        "inputs",
        "outputs",
    ]


def test_the_commands_it_names_work_as_printed(here: Path) -> None:
    shown = run("demo").stdout
    commands = re.findall(r"^  consist-es (.*)$", shown, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        run(*command.split())


def test_a_rebuilt_database_that_differs_is_a_no_and_the_old_one_is_kept(
    own: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Projector, "compare", lambda _self, _other: {"runs": [("live", ())]})
    result = run("demo", *own, "--folder", "d", code=1)
    assert re.search(r"^runs +20  DIFFERENT$", result.stdout, re.MULTILINE)
    assert "that is a bug" in result.stderr
    assert Path("d/demo.db.before-replay-1").exists()


def test_run_again_in_the_same_folder_everything_is_reused(own: list[str]) -> None:
    run("demo", *own, "--folder", "d")
    again = run_json("demo", *own, "--folder", "d")
    assert [said["scenario"] for said in again[:4]] == ["base#3", "widened#3", "base#4", "widened#4"]
    assert all(step["cache_hit"] for said in again[:4] for step in said["steps"].values())
    assert again[4]["differing"] == []


def test_more_growth_reuses_the_tables_and_computes_the_rest(own: list[str]) -> None:
    run("demo", *own, "--folder", "d")
    base = run_json("demo", *own, "--folder", "d", "--growth", "1.1")[0]
    assert [base["steps"][name]["cache_hit"] for name in STEPS] == [True, False, False, False]


def test_the_objective_is_that_of_the_files(own: list[str]) -> None:
    # One road each way: 10 min * (flow + 0.15 * flow / 5 * (flow / 100) ** 4), for 100 and for 50 trips.
    expected = 10 * (100 + 0.15 * 100 / 5) + 10 * (50 + 0.15 * 50 / 5 * 0.5**4)
    assert run_json("demo", *own)[0]["objective"] == pytest.approx(expected)
    # The fuller road twice as wide: as if it were half as full.
    wider = 10 * (100 + 0.15 * 100 / 5 * 0.5**4) + 10 * (50 + 0.15 * 50 / 5 * 0.5**4)
    assert run_json("demo", *own)[1]["objective"] == pytest.approx(wider)


def test_a_generated_town_that_was_edited_is_read_as_it_is_now(here: Path) -> None:
    run("demo")
    network = Path("consist-es-demo/inputs/network.tntp")
    network.write_text(network.read_text().replace("0.15", "0.30"))
    base = run_json("demo")[0]
    assert not base["steps"]["read_inputs"]["cache_hit"]
    assert network.read_text().count("0.30") > 0


@pytest.mark.parametrize("name", ["consist-es-demo", "elsewhere"])
def test_a_folder_of_somebody_else_is_left_alone(here: Path, name: str) -> None:
    mine = here / name / "thesis.tex"
    mine.parent.mkdir()
    mine.write_text("draft")
    result = run("demo", "--folder", name, code=2)
    said = f"Error: --folder {name}: it is not empty, and not from an earlier demo. Give another name.\n"
    assert result.stderr == said
    assert [path.name for path in mine.parent.iterdir()] == ["thesis.tex"]
    assert run("demo", "--folder", mine, code=2).stderr.endswith("there is a file of that name. Give another name.\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--network", "net.tntp"], "--network and --trips belong together"),
        (["--network", "net.tntp", "--trips", "none.tntp"], "File 'none.tntp' does not exist"),
        (["--network", "trips.tntp", "--trips", "net.tntp"], "trips.tntp"),
        (["--network", "net.tntp", "--trips", "trips.tntp", "--growth", "-1"], "growth=-1.0: give a factor"),
    ],
)
def test_what_cannot_be_simulated_is_refused(own: list[str], options: list[str], said: str) -> None:
    result = run("demo", *options, code=2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_json_has_the_summary_and_every_step(own: list[str]) -> None:
    base, *_, replay = run_json("demo", *own)
    assert base["scenario"] == "base"
    assert base["converged"] is True
    assert list(base["steps"]) == STEPS
    assert replay["rows"]["runs"] == 20
    json.dumps(base, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (4231335.287107440, "4231335.287107"),
        (0.0, "0.000000"),
        (1.5, "1.500000"),
        (0.000123456, "0.000123456"),
        (1.23456e-12, "0.00000000000123456"),
        (1e20, "100000000000000000000.000000"),
    ],
)
def test_a_number_is_plain_and_has_six_significant_digits(value: float, said: str) -> None:
    assert plain_number(value) == said
