"""Commands on a log that is kept in another way than in files: they do what they can, and say what they cannot."""

from pathlib import Path

import pytest

from consist_es import Tracker
from consist_es.cli.common import place_of
from consist_es.errors import LogPlaceError
from consist_es.log.engine import open_log
from consist_es.log.local import LocalLog
from tests.support.cli import record, run

URL = "postgresql://anna:hush@db.lab/consist#regional"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in the working directory, with a log that can do only what every engine can."""
    monkeypatch.chdir(tmp_path)
    log = record()
    run("checkpoint", "--out", "head")
    monkeypatch.setattr(LocalLog, "can", frozenset())
    return log


@pytest.mark.parametrize(
    "command",
    [
        ["archive"],
        ["checkpoint"],
        ["prove", "3"],
        ["repair"],
        ["redact", "3", "--reason", "x", "--yes"],
        ["verify", "--against", "head"],
        ["audit", "baseline", "--proof"],
    ],
    ids=" ".join,
)
def test_a_command_on_files_says_what_it_needs_and_changes_nothing(elsewhere: Path, command: list[str]) -> None:
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file() and path.name != "verified"}
    said = run(*command, code=2).stderr
    assert said.startswith(f"Error: The log {elsewhere} is not kept in files of this machine, which `")
    assert "Nothing was changed. Do it where it is kept, or use " in said
    assert {path: path.read_bytes() for path in before} == before


def test_the_other_commands_work_as_ever(elsewhere: Path) -> None:
    assert run("verify").stdout.startswith("provenance.events: whole")
    assert run("log", "--limit", "1").stdout
    assert run("audit", "baseline").stdout
    assert run("replay", "--check").stderr
    said = run("doctor").stdout
    assert "log: " in said
    assert "the views lie" in said
    assert "the log lies" not in said


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_command_line_refuses_a_url_without_repeating_it(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if by == "environment":
        monkeypatch.setenv("CONSIST_ES_PROJECT", URL)
    said = run("log", *(["--project", URL] if by == "option" else []), code=2)
    assert "This address of a log on a server cannot be used: it holds a password" in said.stderr
    assert "hush" not in said.stderr + said.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("run_dir", "db_path"), [(URL, None), ("runs", URL)], ids=["run_dir", "db_path"])
def test_a_tracker_refuses_a_url_before_it_makes_a_folder(
    run_dir: str, db_path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LogPlaceError, match="postgresql://… is no place for a log") as refused:
        Tracker(run_dir, db_path)
    assert "hush" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_named_by_its_folder_where_it_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = open_log("x.events")
    assert place_of(log) == "x.events"
    monkeypatch.setattr(LocalLog, "folder", None, raising=False)
    monkeypatch.setattr(LocalLog, "place", "postgresql://db.lab/consist#\x1b[1mx")
    log.__dict__.pop("folder")
    assert place_of(log) == r"postgresql://db.lab/consist#\x1b[1mx"
