"""What steps printed and took, as `consist-es show` and `stats` tell it."""

import contextlib
import csv
import io
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from consist_es import Tracker
from consist_es.events import StepLogInfo
from consist_es.projections import run_table
from consist_es.runs.step_logs import step_log
from tests.support.api import made
from tests.support.cli import run

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")


def talks() -> Path:
    print("says \x1b]0;owned\x07 this \x1b]0;owned \x9b2J\u202e")
    print("token=abc123def456")
    return made()


def quiet() -> Path:
    return made()


def breaks() -> None:
    for n in range(15):
        print("zone", n)
    raise ValueError("no zone 7")


def play(tracker: Tracker) -> None:
    with contextlib.suppress(ValueError), tracker.scenario("base") as sc:
        sc.run(talks, outputs=["o"])
        sc.run(quiet, outputs=["o"])
        sc.run(breaks)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with a step that talks, one that does not, and one that fails; then again, up to the failure."""
    place = tmp_path_factory.mktemp("logs")
    with Tracker(run_dir=place / "runs", db_path=place / "provenance.db", sync="os") as tracker:
        for _ in range(2):
            play(tracker)
    return place


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_the_log_of_a_step_is_printed_safely() -> None:
    lines = run("show", "base_talks#1", "--log").stdout.splitlines()
    assert lines[0] == r"says  this \x1b]0;owned \x9b2J\u202e"
    assert lines[1].startswith("token=$masked:")
    assert len(lines) == 2


def test_a_log_as_json_has_its_text_and_place() -> None:
    found = json.loads(run("show", "base_talks#1", "--log", "--json").stdout)
    assert found["log"]["text"].startswith("says ")
    assert found["log"]["bytes"] == len(found["log"]["text"].encode())
    assert Path(found["log"]["path"]).read_text() == found["log"]["text"]
    assert json.loads(run("show", "base_quiet#1", "--log", "--json").stdout)["log"] is None


@pytest.mark.parametrize(
    ("what", "said"),
    [("base_quiet#1", "It printed nothing, or that was not kept"), ("base_talks#2", "A hit prints nothing")],
)
def test_why_there_is_no_log_is_said(what: str, said: str) -> None:
    done = run("show", what, "--log")
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("what", ["base", "o"])
def test_only_a_step_has_a_log(what: str) -> None:
    assert "is no step: --log shows what one step printed" in run("show", what, "--log", code=2).stderr


def test_show_has_what_a_step_took_and_the_last_lines_of_a_failed_one() -> None:
    shown = run("show", "base/breaks").stdout
    assert "  took " in shown
    assert "CPU" in shown
    lines = shown.splitlines()
    assert [line.split()[-2:] for line in lines if "zone 5" in line] == [["zone", "5"]]
    assert lines[-1].endswith("zone 14")
    assert "zone 4" not in shown
    assert "last lines" not in run("show", "base_talks#1").stdout
    found = json.loads(run("show", "base_talks#1", "--json").stdout)
    assert found["resources"]["wall_s"] > 0
    assert found["log"]["uri"].startswith("./step_logs/")
    again = json.loads(run("show", "base_talks#2", "--json").stdout)
    assert (again["log"], again["resources"]) == (None, None)


def test_stats_sum_what_is_known() -> None:
    rows = {row["step"]: row for row in csv.DictReader(io.StringIO(run("stats", "--csv").stdout))}
    assert float(rows["talks"]["cpu_s"]) >= 0
    assert {"peak_memory_bytes", "read_bytes", "written_bytes"} <= rows["talks"].keys()
    one, two = (json.loads(run("show", f"base_breaks#{n}", "--json").stdout)["resources"] for n in (1, 2))
    if one["written_bytes"] is not None:
        assert int(rows["breaks"]["written_bytes"]) == one["written_bytes"] + two["written_bytes"]
        assert int(rows["breaks"]["peak_memory_bytes"]) == max(one["peak_memory_bytes"], two["peak_memory_bytes"])


@pytest.mark.parametrize(
    "uri", ["/etc/passwd", "./../x", "./step_logs/../../x", "file:///etc/passwd", "./other/x.log", "./step_logs/a\0b"]
)
def test_a_foreign_log_names_no_file_outside_the_folder_of_logs(folder: Path, uri: str) -> None:
    with Tracker(run_dir=folder / "runs", db_path=folder / "provenance.db", access_mode="read_only") as tracker:
        row = run_table.get(tracker.project.connection(), "base_talks#1")
        assert row is not None
        assert step_log(row) is not None
        assert step_log(msgspec.structs.replace(row, log=StepLogInfo(uri=uri, bytes=1)), project=folder) is None


def test_a_copied_project_shows_the_copied_log_and_a_deleted_one_is_said(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (log,) = copy.glob("runs/step_logs/base_talks-*.log")
    log.write_text("of the copy\n")
    found = run("show", "base_talks#1", "--log", "--project", str(copy))
    assert found.stdout == "of the copy\n"
    log.unlink()
    (there,) = folder.glob("runs/step_logs/base_talks-*.log")
    kept = there.rename(there.with_suffix(".away"))
    try:
        assert "cannot be read" in run("show", "base_talks#1", "--log", "--project", str(copy), code=2).stderr
        assert "but the file is not there" in run("show", "base_talks#1").stdout
    finally:
        kept.rename(there)


def tells_much() -> None:
    raise ValueError("no zone 7 in\n  zones.csv\n" + "".join(f"row {n}\n" for n in range(40)) + "x" * 10_000)


def test_an_error_of_many_lines_is_told_in_lines_and_in_lists_by_its_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        for _ in range(2):
            with pytest.raises(ValueError, match="no zone"), tracker.scenario("base") as sc:
                sc.run(tells_much)
    step, scenario = run("show", "base/tells_much").stdout, run("show", "base").stdout
    for shown in (step, scenario):
        assert "no zone 7 in\n" in shown
        assert "               row 3\n" in shown
        assert "… and 23 more lines" in shown
        assert len(shown) < 3_000
    assert step.count("zones.csv") == 1  # the same error of the earlier run is told by its first line
    (line,) = run("runs", "--limit", "1").stdout.splitlines()[1:]
    assert line.split("\t")[-1] == "ValueError: no zone 7 in"
