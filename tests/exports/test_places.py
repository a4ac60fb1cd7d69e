"""Where exports go: nothing is overwritten unasked, nothing is half there, and the project itself is out of reach."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import consist_es
from consist_es import Tracker
from consist_es.errors import ConsistError, ExportError, MissingKeyError, OptionError, UsageTypeError
from tests.support.cli import run
from tests.support.exported import crate_options

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
ALL = ("openlineage", "prov", "ro-crate", "parquet", "trace", "mermaid", "dot")


@pytest.fixture(autouse=True)
def of_the_record(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSIST_ES_PROJECT", str(record))


def options(folder: Path, format: str) -> list[str]:
    if format != "ro-crate":
        return []
    return ["--script", str(crate_options(folder)["script"]), "--license", "MIT"]


@pytest.mark.parametrize("format", ALL)
def test_an_export_that_is_there_is_replaced_only_if_that_is_said(format: str, tmp_path: Path) -> None:
    command: list[str | Path] = ["export", format, "failing", "-o", tmp_path / "out", *options(tmp_path, format)]
    assert "Written to" in run(*command).stderr
    refused = run(*command, code=2)
    assert "it is there already" in refused.stderr
    assert "--force" in refused.stderr
    run(*command, "--force")
    assert {path.name for path in tmp_path.iterdir()} <= {"out", "model.py"}


@pytest.mark.parametrize("format", ["ro-crate", "parquet"])
def test_a_folder_with_anything_else_in_it_is_never_replaced(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command: list[str | Path] = ["export", format, "failing", "-o", out, "--force", *options(tmp_path, format)]
    out.mkdir()
    run(*command)
    (out / "mine.txt").write_text("mine")
    before = sorted(path.name for path in out.iterdir())
    assert "no export made mine.txt" in run(*command, code=2).stderr
    assert sorted(path.name for path in out.iterdir()) == before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    assert run("export", format, "failing", "-o", tmp_path / "thesis", "--force", *command[6:], code=2)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


@pytest.mark.parametrize("format", ALL)
def test_a_file_is_no_folder_and_a_folder_no_file(format: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if format in ("ro-crate", "parquet"):
        out.write_text("mine")
    else:
        out.mkdir()
    refused = run("export", format, "failing", "-o", out, "--force", *options(tmp_path, format), code=2)
    assert "is a folder" in refused.stderr or "is a file" in refused.stderr
    assert out.is_dir() or out.read_text() == "mine"


@pytest.mark.parametrize("name", ["provenance.db", "provenance.db-wal", "provenance.events/x", "provenance.events"])
@pytest.mark.parametrize("through", ["", "link/"])
def test_the_project_itself_is_never_written_to(name: str, through: str, record: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(record)
    place = (tmp_path / "link" if through else record) / name
    before = {path: path.stat().st_size for path in record.rglob("*.jsonl")}
    refused = run("export", "mermaid", "-o", place, "--force", code=2)
    assert "part of the project" in refused.stderr
    assert {path: path.stat().st_size for path in record.rglob("*.jsonl")} == before


def test_the_root_of_a_file_system_is_no_place() -> None:
    assert "root of a file system" in run("export", "parquet", "-o", "/", "--force", code=2).stderr


@pytest.mark.parametrize("format", ["parquet", "dot"])
def test_the_working_folder_is_named_by_its_own_name(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "work")
    run("export", format, "-o", ".", "--force", code=2)
    assert [path.name for path in tmp_path.rglob("*")] == ["work", "mine.txt"]


def test_a_missing_folder_is_not_made(tmp_path: Path) -> None:
    assert "does not exist. Make it" in run("export", "dot", "-o", tmp_path / "no" / "x.dot", code=2).stderr


def test_an_export_that_fails_leaves_nothing_and_the_earlier_one_alone(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, tables = tmp_path / "x.mermaid", tmp_path / "tables"
    tracker.export("mermaid", out)
    tracker.export("parquet", tables)
    before = out.read_bytes(), sorted(tables.iterdir())

    def fails(*_: object) -> Any:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("consist_es.exports.mermaid._line", fails)
    monkeypatch.setattr("consist_es.exports.parquet._column", fails)
    for kind, place in (("mermaid", out), ("parquet", tables)):
        with pytest.raises(OSError, match="No space"):
            tracker.export(kind, place, force=True)
    assert (out.read_bytes(), sorted(tables.iterdir())) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tables", "x.mermaid"]


def test_what_is_wrong_is_said_with_what_to_do(tracker: Tracker, tmp_path: Path) -> None:
    script = crate_options(tmp_path)["script"]
    calls: list[tuple[type[ConsistError], str, dict[str, Any]]] = [
        (OptionError, "'openlineage', 'prov'", {"format": "xml"}),
        (MissingKeyError, "Did you mean 'failing'", {"format": "dot", "scenarios": "faling"}),
        (ExportError, "only ro-crate takes --license", {"format": "dot", "license": "MIT"}),
        (ExportError, "Give --script, --license", {"format": "ro-crate", "scenarios": "failing"}),
        (ExportError, "Give --license", {"format": "ro-crate", "script": script}),
        (ExportError, "there is no such file", {"format": "ro-crate", "script": tmp_path / "no", "license": "MIT"}),
        (ExportError, "a crate is of one scenario", {"format": "ro-crate", "script": script, "license": "MIT"}),
        (ExportError, "such as 2030-01-31", {"format": "ro-crate", **crate_options(tmp_path), "published": "soon"}),
        (UsageTypeError, "author takes a str", {"format": "ro-crate", **crate_options(tmp_path), "author": 1}),
        (UsageTypeError, "scenarios takes a list of str", {"format": "dot", "scenarios": [1]}),
        (UsageTypeError, "no argument 'auhtor'", {"format": "ro-crate", **crate_options(tmp_path), "auhtor": "A"}),
    ]
    for error, words, arguments in calls:
        with pytest.raises(error, match=words):
            tracker.export(path=tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_crate_of_a_scenario_without_steps_cannot_be_valid_and_is_refused(here: Path) -> None:
    with consist_es.Tracker("runs", "p.db", sync="os") as tracker:
        with tracker.scenario("empty"):
            pass
        with pytest.raises(ExportError, match="scenario 'empty' has no steps"):
            tracker.export("ro-crate", here / "crate", "empty", **crate_options(here))
        assert tracker.export("mermaid", here / "chart").read_text().startswith("flowchart LR")
    assert not (here / "crate").exists()


@pytest.mark.parametrize("format", ["openlineage", "prov", "trace", "mermaid", "dot"])
def test_a_dash_is_stdout(format: str, tmp_path: Path) -> None:
    run("export", format, "failing", "-o", tmp_path / "out")
    assert run("export", format, "failing", "-o", "-").stdout_bytes == (tmp_path / "out").read_bytes()


def test_a_folder_is_no_stream() -> None:
    assert "parquet is a folder, which is no stream" in run("export", "parquet", "-o", "-", code=2).stderr


def test_a_chart_that_mermaid_would_refuse_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "maxEdges" not in run("export", "mermaid", "-o", tmp_path / "few").stderr
    monkeypatch.setattr("consist_es.exports.mermaid.EDGES", 5)
    assert "Mermaid draws 5 unless its setting maxEdges" in run("export", "mermaid", "-o", tmp_path / "many").stderr


def test_a_step_that_exports_is_not_reused(here: Path) -> None:
    with consist_es.Tracker("runs", "p.db", sync="os") as tracker:

        def tell() -> None:
            tracker.export("dot", here / "x.dot", force=True)

        outcomes = [tracker.run(tell).cache_hit for _ in range(2)]
    assert outcomes == [False, False]
    assert json.dumps("tell") in (here / "x.dot").read_text()
