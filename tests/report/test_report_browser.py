"""The report in a real Chromium: what it shows, that nothing hostile runs, and that everybody can use it."""

import re
import shutil
import sys
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es.cli.marks import took
from consist_es.project.project import Project
from consist_es.reading import select
from consist_es.reading.compare import Comparison, compare
from consist_es.report import page
from consist_es.text import shown
from tests.report.browser import AXE, Visits, opened, visited
from tests.report.gallery import SECRET, damage, record
from tests.support.api import PATHS, made
from tests.support.cli import run, run_json

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
BASES = ("base", "base#2", "config", "code", "input", "shorter")
WRONG = "#/nowhere?a=99&b=-1&step=1e9&sort=-99&sc=x"
SHAPES = tuple(f"shape_{number}" for number in range(8))
VIEWS = (
    "#/overview", "#/timeline", "#/timeline?sc=2&by=clock", "#/lineage?sc=0", "#/lineage?focus=20&far=2",
    "#/steps?q=config&step=33", "#/compare?a=0", "#/compare?a=0&b=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The database of the recorded project."""
    folder = tmp_path_factory.mktemp("gallery")
    yield record(folder)
    sys.modules.pop("model_steps", None)


@pytest.fixture(scope="module")
def report(project: Path) -> Path:
    path = project.with_name("report.html")
    run("report", "-o", path, "--project", project)
    return path


@pytest.fixture(scope="module")
def ids(project: Path) -> list[str]:
    rows = run_json("scenarios", "--sort", "started", "--project", project)
    return [row["scenario"] for row in rows]


def pairs_of(ids: list[str]) -> list[tuple[str, str]]:
    """Every pair of scenarios that may be compared step by step with profit."""
    assert set(BASES) | set(SHAPES) < set(ids)
    return [*permutations(BASES, 2), *permutations(SHAPES, 2), ("base", "shape_1"), ("shape_1", "broken")]


def address_of(ids: list[str], a: str, b: str) -> str:
    return f"#/compare?a={ids.index(a)}&b={ids.index(b)}&all=1"


@pytest.fixture(scope="module")
def visits(report: Path, ids: list[str]) -> Visits:
    """All that is looked at, in one browser: each view in both themes with axe-core, and all pairs."""
    axed = AXE.exists()
    wanted = [(view, theme, axed) for theme in ("light", "dark") for view in VIEWS]
    wanted += [(address_of(ids, a, b), "light", False) for a, b in pairs_of(ids)]
    wanted += [(f"#/compare?a={number}", "light", False) for number in range(1, len(BASES))]
    steps = (
        "#/steps?q=nothing%20like%20this",
        "#/steps?o=failed",
        "#/steps?q=edited",
        "#/steps?q=shape_3%20part",
        WRONG,
    )
    return visited(report, [*wanted, *((address, "light", False) for address in steps)])


def test_axe_finds_nothing_in_any_view(visits: Visits) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not here: npm ci, in web/")
    axed = [visit for visit in visits.found if visit.passes]
    assert len(axed) == 2 * len(VIEWS)
    assert min(visit.passes for visit in axed) > 30
    assert [(visit.theme, visit.address, visit.problems) for visit in axed if visit.problems] == []


def test_nothing_is_asked_of_the_network_and_nothing_hostile_runs(visits: Visits) -> None:
    assert [name for name in visits.resources if not name.startswith("data:")] == []
    assert visits.happened == []


def test_every_pair_of_scenarios_differs_as_diff_says(visits: Visits, project: Path, ids: list[str]) -> None:
    opened_project = Project(project, read_only=True)
    views = opened_project.connection()
    for a, b in pairs_of(ids):
        told = compare(views, select.scenario(views, a), select.scenario(views, b))
        visit = visits.at(address_of(ids, a, b))
        rows = [(cells[0].removesuffix("first").strip(), cells[5][2:], cells[7]) for cells in visit.tables["pairs"]]
        assert rows == [(flat(pair.step), pair.verdict, pair.came_out) for pair in told.pairs], (a, b)
        assert visit.titles == [shown(pair.words) for pair in told.pairs], (a, b)
        assert ("Every step is the same work" in visit.text) is (told.first is None)
        if told.first is not None:
            assert f"They part at {flat(told.first.step)}: " in visit.text
    opened_project.close()


def flat(text: str) -> str:
    """A text as the page shows it: escaped, and runs of spaces as one."""
    return " ".join(shown(text).split())


def test_all_against_one_has_the_counts_of_diff(visits: Visits, project: Path, ids: list[str]) -> None:
    opened_project = Project(project, read_only=True)
    views = opened_project.connection()
    for number in range(1, len(BASES)):
        rows = visits.at(f"#/compare?a={number}").tables["all"]
        for name in (ids[0], ids[-1], "shape_2"):
            told = compare(views, select.scenario(views, ids[number]), select.scenario(views, name))
            (cells,) = [cells for cells in rows if cells[0] == name]
            assert cells[4:8] == counts_of(told), (ids[number], name)
    opened_project.close()


def counts_of(told: Comparison) -> list[str]:
    counts = told.counts
    sided = counts.get("only in A", 0) + counts.get("only in B", 0)
    some = (counts.get("differs itself"), counts.get("by its inputs"), sided)
    return [str(counts.get("same", 0)), *(str(count or "") for count in some)]


def test_configs_of_scenarios_differ_as_diff_says(visits: Visits, project: Path, ids: list[str]) -> None:
    for a, b in (("shape_1", "shape_2"), ("shape_2", "shape_3"), ("shape_4", "shape_5")):
        (told,) = run_json("diff", a, b, "--project", project, code=1)
        text = visits.at(address_of(ids, a, b)).text
        assert all(f"config {item['key']}" in text for item in told["config"]), (a, b)
        assert text.count("\nconfig ") == len(told["config"]), (a, b)


def test_the_time_by_step_is_that_of_stats(visits: Visits, project: Path) -> None:
    rows = visits.at("#/overview").tables["sums"]
    told = run_json("stats", "--project", project)
    assert [(cells[0], int(cells[1]), int(cells[2]), cells[4]) for cells in rows] == [
        (row["step"], row["computed"], row["hits"], took(row["seconds"])) for row in told
    ]


def test_steps_are_found_by_words(visits: Visits) -> None:
    assert "0 of " in visits.at("#/steps?q=nothing%20like%20this").text
    assert re.search(r"1 of \d+", visits.at("#/steps?o=failed").text)
    assert "2 of " not in visits.at("#/steps?q=shape_3%20part").text


def test_an_address_of_nothing_shows_the_overview(visits: Visits) -> None:
    visit = visits.at(WRONG)
    assert "Every step of every scenario" in visit.text
    assert visit.sheet == ""


def test_a_step_is_opened_and_closed_by_keys(visits: Visits, ids: list[str]) -> None:
    sheet, opened_at, closed, back = visits.keys
    assert sheet.startswith("supply 2025·0\n")
    assert f"of {ids[1]}, run" in sheet
    assert re.fullmatch(r"#/overview\?step=\d+", opened_at)
    assert (closed, back) == ("", "#/overview")


def test_a_step_has_a_sheet_of_its_own(visits: Visits, project: Path) -> None:
    sheet = visits.at("#/steps?q=config&step=33").sheet
    run_id = re.search(r"run (\S+)", sheet)
    assert run_id is not None
    name = run_id[1] if "#" in run_id[1] else f"{run_id[1]}#1"  # without a number it means the latest attempt
    (told,) = run_json("show", name, "--project", project)
    assert told["step"] in sheet
    assert all(item["what"] in sheet for item in told["first_causes"])
    assert all(key in sheet for key in (*told["inputs"], *told["outputs"]))


def test_as_it_is_the_page_shows_itself_under_its_own_policy(report: Path) -> None:
    text, noise = opened(report, "#/steps?q=shape_1%20shape&step=100")
    shown_part, _, _ = text.partition('<script type="application/json"')
    assert noise == []
    assert 'data-ready="1"' in text
    assert "<img" not in shown_part
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&lt;!-- " in shown_part
    assert SECRET not in text


def again(before: Path | None = None) -> Path:
    return made("o", f"{'' if before is None else before.read_text()[:9]}x\n")


def test_a_long_scenario_is_never_laid_out_whole(tmp_path: Path) -> None:
    with (
        consist.Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "p.db", sync="os") as tracker,
        tracker.scenario("long") as sc,
    ):
        inputs: dict[str, Any] = {}
        for year in range(2000, 2260):
            last = sc.run(again, year=year, inputs=inputs, outputs=["o"], execution_options=PATHS)
            inputs = {"before": consist.ref(last)}
    run("report", "-o", tmp_path / "long.html", "--project", tmp_path / "p.db")
    whole, all_around, near = ("#/lineage", "#/lineage?focus=130&far=all", "#/lineage?focus=130&far=2")
    seen = visited(tmp_path / "long.html", [(address, "light", False) for address in (whole, all_around, near)])
    assert [seen.at(address).boxes for address in (whole, all_around, near)] == [1, 250, 5]
    assert "260 steps are too many to draw" in seen.at(whole).text
    assert "Only 250 steps are drawn" in seen.at(all_around).text


def test_a_packed_page_of_a_damaged_record_opens_in_red(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PACKED", 1000)
    copy = tmp_path / "copy"
    shutil.copytree(project.parent, copy, ignore=shutil.ignore_patterns("*.html", "runs", ".profile*"))
    damage(copy)
    run("report", "-o", tmp_path / "bad.html", "--project", copy / "p.db", code=1)
    text, noise = opened(tmp_path / "bad.html")
    assert noise == []
    assert "✕ The record is not whole" in text
    assert 'class="card integrity bad"' in text
