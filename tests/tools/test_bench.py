"""The bench's log is a log like any other, and the bench runs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bench import biglog, contest, instructions, measure, pages, values
from bench.places import Missing, Places

from consist_es.identity.config import config_digest
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.project.project import Project
from consist_es.projections import lineage, run_table


def test_the_big_log_is_whole_and_spreads_over_segments(tmp_path: Path) -> None:
    folder = tmp_path / "big.events"
    made = biglog.write(folder, 1000, segment_size=100_000)
    report = verify(folder)
    assert (report.ok, report.events, report.watermark) == (True, made, made)
    assert report.segments > 5


def test_the_views_can_take_all_of_the_big_log(tmp_path: Path) -> None:
    biglog.write(tmp_path / "big.events", 500)
    project = Project(tmp_path / "big.db")
    conn = project.connection()
    assert conn.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    scenarios = run_table.scenarios(conn)
    assert {(row.steps, row.hits, row.running) for row in scenarios} == {(biglog.STEPS, biglog.STEPS // 2, 0)}
    assert len(lineage.find_artifacts(conn, limit=None)) == len(scenarios) * biglog.STEPS // 2
    project.close()


def test_the_big_log_can_be_written_on(tmp_path: Path) -> None:
    folder = tmp_path / "big.events"
    made = biglog.write(folder, 100)
    measure.WORK["append"](folder)
    assert LocalLog(folder).head().seq == made + 2  # the writer introduces itself


def test_every_figure_of_the_bench_is_measured(tmp_path: Path) -> None:
    figures = [*measure.appends(tmp_path / "a", 100), *measure.big(tmp_path / "big", 100)]
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value > 0 for figure in figures)


def test_every_value_of_the_bench_has_a_digest_of_its_own() -> None:
    made = values.values(4000, 80)
    assert len({config_digest(value) for value in made.values()}) == len(made)
    assert next(iter(made)) == values.FLOATS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A little of everything, once: does the command that makes the pages run?"""
    made = tmp_path_factory.mktemp("pages")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench", "publish", "--smoke", "--out", made],
        cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made


def test_contestants_that_cannot_be_had_are_a_line_and_no_failure(folder: Path) -> None:
    page = (folder / "side-by-side.md").read_text()
    assert "\n| bare sqlite3 " in page
    assert "\n| consist-es |" in page
    assert "\n- redun did not take part: not installed, and no folder was named to install it into (--cache)\n" in page


def test_steps_were_measured_on_logs_of_two_lengths(folder: Path) -> None:
    page = (folder / "growth.md").read_text()
    assert "| CPU, ms | 50 runs | 100 runs | longest to shortest |" in page
    assert "\n| hit, 3 earlier runs of its fingerprint |" in page


def test_figures_say_on_what_when_and_how_they_were_measured(folder: Path) -> None:
    figures = json.loads((folder / pages.FIGURES).read_text())
    assert {"machine", "date", "load", "command"} <= set(figures["contest"]) & set(figures["growth"])
    assert figures["growth"]["command"].startswith("python -m tools.bench publish --smoke")


def test_the_same_figures_make_the_same_plots(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra: pip install '.[bench]'")
    pages.write(pages.recorded(folder), tmp_path)
    for name in ("contest.svg", "growth.svg"):
        text = (tmp_path / name).read_text()
        assert text == (folder / name).read_text()
        assert "<text" in text


def test_the_pages_are_those_of_their_figures() -> None:
    for name, text in pages.pages(pages.recorded()).items():
        assert (pages.FOLDER / name).read_text(encoding="utf-8") == text, "python -m tools.bench publish --pages"


def turn(mean: float) -> dict[str, Any]:
    """One turn of a contestant."""
    times = {"mean": mean, "p10": mean, "first": mean, "wall": mean}
    return {"version": "1", "steps": 3, "miss": times, "hit": times}


def test_a_ratio_is_the_median_of_the_ratios_within_a_round() -> None:
    everybody = {"joblib": [turn(1), turn(10), turn(2)], "consist-es": [turn(3), turn(20), turn(10)]}
    hit = contest.result(everybody["consist-es"], everybody)["hit"]
    assert (hit["mean"], hit["ratios"]) == (3, {"joblib": 3, "consist-es": 1})


def test_a_contestant_that_fails_says_why(tmp_path: Path) -> None:
    wrong = contest.Contestant("wrong", "ours.py", arguments=("no_such_module",))
    with pytest.raises(Missing, match="No module named 'no_such_module'"):
        contest.run(wrong, contest.prepared(wrong, Places(None)), 5, tmp_path)


def test_without_a_folder_for_them_nothing_is_installed_and_no_commit_is_laid_out() -> None:
    with pytest.raises(Missing, match="no folder was named to install it into"):
        Places(None).python("joblib")
    with pytest.raises(Missing, match="no folder was named to keep it in"):
        Places(None).tree("HEAD")


def test_instructions_are_counted_only_where_the_tools_for_it_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert instructions.main([]) == 0
    assert capsys.readouterr().err == (
        "instructions are not counted: this needs valgrind with its headers and a C compiler\n"
        "system calls are not counted: this needs strace\n"
    )
