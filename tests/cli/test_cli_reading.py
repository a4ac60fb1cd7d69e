"""`consist-es show`, `why`, `diff`, `lineage`, `stats` and `artifacts`, and the forms of their lists."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import consist_es as consist
from consist_es.cli import program
from consist_es.cli.common import Program
from tests.reading.model import STEPS, Edit, Model
from tests.support.cli import in_terminals, run

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
TAIL = re.compile(r"  [a-z_#0-9]+  [\d.]+ m?s$")
"""Run and time behind a step."""
EDIT = Edit("demand", "config", "a")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`base`, its all-hit repeat, and `edited`, which has another config of `demand`."""
    place = tmp_path_factory.mktemp("model")
    model = Model(place)
    for name, *edits in (("base",), ("base",), ("edited", EDIT)):
        model.play(name, *edits)
    model.tracker.close()
    yield place
    sys.modules.pop("model_steps", None)


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def document(*arguments: str, code: int = 0) -> Any:
    return json.loads(run(*arguments, "--json", code=code).stdout)


# ---------------------------------------------------------------- show


def test_a_scenario_is_shown_with_its_counts_causes_and_marks() -> None:
    shown = run("show", "edited").stdout.splitlines()
    assert shown[0].startswith("edited  completed in ")
    assert any(line.startswith("  steps        15: 13 computed, 2 hit; saved ") for line in shown)
    assert "  because of   config a: 0 → 1 (13 steps)" in shown
    assert [line.split()[:2] for line in shown if "↺" in line] == [["land", "↺●●"], ["supply", "↺●●"]]
    assert document("show", "edited")["outcomes"] == {"computed": 13, "hit": 2}


def test_an_attempt_of_a_scenario_is_shown() -> None:
    assert "attempt 2 of 2" in run("show", "base").stdout
    assert document("show", "base#1")["outcomes"] == {"computed": 15}
    assert document("show", "base#2")["outcomes"] == {"hit": 15}


@pytest.mark.parametrize("text", ["edited/report@2030", "edited/report@2030.0", "edited#1/report@2030", "report@2030"])
def test_a_step_is_shown_by_what_selects_it(text: str) -> None:
    shown = run("show", text).stdout.splitlines()
    assert shown[0].startswith("report 2030·0  of edited  ● computed in ")
    assert "  first cause  config a: 0 → 1, in demand 2025·0 and 1 later" in shown
    assert any(line.startswith("  inputs       before: out.txt, ") for line in shown)
    assert any(line.startswith("  outputs      out: out.txt, ") for line in shown)


def test_a_step_without_its_year_is_the_newest_of_several() -> None:
    result = run("show", "edited/report")
    assert result.stdout.startswith("report 2035·0  of edited")
    assert "'edited/report' may be one of 3: the newest was taken" in result.stderr


def test_an_artifact_is_shown_by_key_digits_or_file() -> None:
    found = document("show", "table")
    assert (found["made_by"], found["key"]) == (None, "table")
    for text in (found["artifact"][:8], found["digest"].removeprefix("b3:")[:12], found["digest"][:15]):
        assert document("show", text)["digest"] == found["digest"]
    by_file = document("show", "land.csv")
    assert len(by_file["used_by"]) == 9  # in three years of three scenarios, each of which recorded it anew


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "edted"], "Did you mean 'edited'"),
        (["show", "edited/reprot@2030"], "Did you mean 'edited/report@203"),
        (["why", "edited/nothing"], "No step 'edited/nothing'"),
        (["diff", "base", "bsae"], "Did you mean 'base'"),
        (["stats", "edited/report@2030"], "No scenario"),
        (["lineage", "edited"], "is a scenario: name one of its steps, edited/STEP"),
        (["diff", "base", "edited/report"], "are not both scenarios or both steps"),
        (["runs", "--name", "reprot"], "No step 'reprot'. Available: 'report'. Did you mean 'report'?"),
        (["runs", "--model", "supplly"], "Did you mean 'supply'?"),
        (["runs", "--columns", "a"], "columns='a' is not allowed"),
        (["runs", "--sort", "-a"], "sort='a' is not allowed"),
    ],
)
def test_what_cannot_be_found_is_said_with_what_is_near(arguments: list[str], said: str) -> None:
    result = run(*arguments, code=2)
    assert said in result.stderr
    assert result.stdout == ""


# ---------------------------------------------------------------- why


def test_why_names_the_difference_and_the_first_cause() -> None:
    shown = run("why", "edited/demand@2025").stdout.splitlines()
    assert shown[0].startswith("edited_demand was computed: config changed")
    assert "  config.a: 0 -> 1" in shown
    assert not any("first cause" in line for line in shown)  # it is this step's own
    later = run("why", "edited/land@2035").stdout
    assert "  first cause: config a: 0 → 1, in demand 2025·0 and 1 later\n" in later
    found = document("why", "edited/land@2035")
    assert found["first_causes"] == [
        {"what": "config a: 0 → 1", "run": "edited_demand", "step": "demand 2025·0", "later": 1}
    ]
    assert (found["verdict"], [item["words"] for item in found["differences"]]) == ("miss", ["input before"])


def test_why_of_a_hit_names_the_run_that_answered() -> None:
    shown = run("why", "edited/land@2025").stdout
    assert shown.startswith("edited_land was not computed again: base_land did the same work; its outputs were checked")


def test_why_against_another_scenario_compares_the_same_step() -> None:
    found = document("why", "edited/demand@2030", "--against", "base#1")
    assert (found["nearest"], [item["words"] for item in found["differences"]]) == (
        "base_demand#2", ["config a: 0 → 1", "input before"],
    )  # fmt: skip


def test_why_of_a_scenario_counts_the_causes() -> None:
    assert run("why", "edited").stdout.splitlines()[1] == "  because of   config a: 0 → 1 (13 steps)"


# ---------------------------------------------------------------- diff


def test_diff_says_where_two_scenarios_part_and_what_differs() -> None:
    shown = run("diff", "base", "edited", code=1).stdout.splitlines()
    assert "They part at demand 2025·0: config a: 0 → 1" in shown
    assert "2 the same, 3 differ by themselves, 10 only by their inputs" in shown
    found = document("diff", "base", "edited", code=1)
    assert found["counts"] == {"same": 2, "differs itself": 3, "by its inputs": 10}
    assert len(found["steps"]) == 13
    assert len(document("diff", "base", "edited", "--all", code=1)["steps"]) == 15
    assert found["first"] == {"step": "demand 2025·0", "differs": "config a: 0 → 1"}


def test_diff_of_the_same_work_is_a_yes() -> None:
    assert run("diff", "base#1", "base#2").stdout.splitlines()[-1] == "Every step is the same work."
    assert document("diff", "base#1", "base#2")["first"] is None


def test_diff_of_two_steps() -> None:
    found = document("diff", "base/demand@2025", "edited/demand@2025", code=1)
    assert [(item["kind"], item["key"], item["a"], item["b"]) for item in found["steps"][0]["differences"]] == [
        ("config", "a", 0, 1)
    ]


# ---------------------------------------------------------------- lineage


def test_lineage_shows_what_a_step_was_made_from() -> None:
    shown = run("lineage", "base#1/demand@2025").stdout.replace(str(Path.cwd()), ".").splitlines()
    assert [TAIL.sub("", line) for line in shown] == [
        "● demand 2025·0",
        "├── before ← ● supply 2025·0",
        "│   ├── before ← ● land 2025·0",
        "│   │   └── table ← ./land.csv",
        "│   └── table ← ./supply.csv",
        "└── table ← ./demand.csv",
    ]


def test_lineage_down_shows_what_was_made_from_it() -> None:
    shown = run("lineage", "base#1/assign@2035", "--down").stdout.splitlines()
    assert [TAIL.sub("", line) for line in shown] == ["● assign 2035·0", "└── out → ● report 2035·0"]
    below = document("lineage", "land.csv", "--down", "--depth", "1")["below"]
    assert {item["step"] for item in below} == {"land 2025·0", "land 2030·0", "land 2035·0"}
    assert "… 1 more: --depth" in run("lineage", "base#1/land@2025", "--down", "--depth", "2").stdout


# ---------------------------------------------------------------- lists


def test_stats_sums_by_step() -> None:
    found = {item["step"]: item for item in document("stats")}
    assert (found["land"]["computed"], found["land"]["hits"]) == (5, 4)
    shown = run("stats", "base#2").stdout.splitlines()
    assert shown[0].split("\t")[:3] == ["step", "computed", "hits"]
    assert len(shown) == len(STEPS) + 1  # a pipe has the same rows as JSON, a table their sum as well
    assert run("stats", "base#2", "--table").stdout.splitlines()[-1].split()[:3] == ["all", "0", "15"]


def test_runs_are_filtered_sorted_and_cut() -> None:
    def found(*arguments: str) -> list[str]:
        return [item["run"] for item in document("runs", *arguments)]

    assert found("--scenario", "base#1", "--year", "2025")[:2] == ["base_land", "base_supply"]
    assert len(found("--outcome", "hit")) == 17
    assert len(found("--iteration", "0")) == 45
    assert found("--iteration", "1") == []
    assert len(found("--name", "demand", "--outcome", "computed", "--scenario", "edited")) == 3
    assert found("--limit", "2", "--sort", "run") == sorted(found())[:2]
    seconds = [item["seconds"] for item in document("runs", "--sort", "-seconds")]
    assert seconds == sorted(seconds, reverse=True)


def test_all_forms_have_the_same_rows() -> None:
    arguments = ("runs", "--scenario", "edited", "--columns", "run,step,year,seconds,because")
    rows = document(*arguments)
    assert [json.loads(line) for line in run(*arguments, "--nl").stdout.splitlines()] == rows
    texts = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
    for form, delimiter in (("--csv", ","), ("--tsv", "\t")):
        found = csv.DictReader(io.StringIO(run(*arguments, form).stdout), delimiter=delimiter)
        assert list(found) == texts
    lines = run(*arguments, "--md").stdout.splitlines()
    assert lines[0] == "| run | step | year | seconds | because |"
    assert [line.split(" | ")[1] for line in lines[2:]] == [row["step"] for row in rows]
    piped = run(*arguments).stdout.splitlines()
    assert [line.split("\t")[1] for line in piped[1:]] == [row["step"] for row in rows]
    assert "\x1b" not in run(*arguments, "--table").stdout


QUESTIONS = (
    ["runs"], ["scenarios"], ["runs", "--scenario", "edited"], ["artifacts"], ["stats"], ["show", "edited"],
    ["show", "edited/report@2030"], ["why", "edited/report@2030"], ["diff", "base", "edited"],
    ["lineage", "base#1/demand@2025"], ["--help"],
)  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_longer_than_the_terminal(folder: Path, width: int) -> None:
    found = [STYLE.sub("", text).splitlines() for _, text in in_terminals(QUESTIONS, cwd=folder, columns=width)]
    assert all(found)
    assert [line for lines in found for line in lines if cell_len(line) > width] == []
    runs, *_, helped = found
    assert len([line for line in runs if "hit" in line or "computed" in line]) == 20
    assert any("There are more than these 20" in line for line in runs)
    assert not [line for line in helped if line.endswith("...") and "Usage" not in line]


def test_no_short_help_is_too_long_for_80_columns() -> None:
    """And every command stands once in the list, so that none of them has to be imported for it."""
    assert isinstance(program, Program)
    told = [(name, text) for names in program.groups.values() for name, text in names.items()]
    assert sorted(name for name, _ in told) == sorted(program.commands)
    longest = max(len(name) for name, _ in told)
    assert [name for name, text in told if len(text) + longest + 4 > 80] == []
    assert [name for name, command in program.commands.items() if command.name != name] == []


def test_configs_of_scenarios_differ_in_plain_form(tmp_path: Path) -> None:
    values: dict[str, tuple[Any, Any]] = {
        "nan": (float("nan"), 1.0), "day": (date(2030, 1, 31), date(2031, 1, 31)), "api_key": ("first", "second"),
        "same": (float("nan"), float("nan")), "path": (Path("a"), Path("b")),
    }  # fmt: skip
    with consist.Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "p.db") as tracker:
        for side in (0, 1):
            with tracker.scenario(f"side_{side}", config={name: pair[side] for name, pair in values.items()}):
                pass
    found = document("diff", "side_0", "side_1", "--project", str(tmp_path / "p.db"))
    assert [item["key"] for item in found["config"]] == ["nan", "day", "api_key", "path"]
    told = run("diff", "side_0", "side_1", "--project", tmp_path / "p.db").stdout
    assert "config day: 2030-01-31 → 2031-01-31\n" in told
    assert "config api_key: masked → masked\n" in told
