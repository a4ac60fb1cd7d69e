"""How every command finds its project, what it does to a terminal, and how it ends."""

import json
import os
import re
import shutil
import signal
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consist_es import Tracker
from consist_es.cli.output import shown, to_json
from consist_es.events import MetaLogged, ScenarioExited, ScenarioStarted
from tests.support.cli import append, in_terminal, record, run, start

STYLE = re.compile(r"\x1b\[[0-9;]*m")
EVIL = "x\x1b]0;owned\x07\u202eevil\u2066\x9b2J\r\n[bold red]y[/] :smile: \x7f\u2028\u200f"
COMMANDS = (["audit", "#s1"], ["runs"], ["scenarios"], ["log"], ["replay"], ["verify"], ["audit", f"no {EVIL}"])


@pytest.fixture
def log(here: Path) -> Path:
    return record()


@pytest.fixture
def evil(here: Path) -> Path:
    """A project with names that the API would refuse, written past it."""
    folder = here / "provenance.events"
    started = ScenarioStarted(run_id=EVIL, name=EVIL, description=EVIL, config={EVIL: EVIL}, tags=[EVIL])
    append(folder, started, scenario="#s1", run="#s1")
    append(folder, MetaLogged(values={EVIL: [EVIL]}), scenario="#s1", run=EVIL)
    append(folder, ScenarioExited(status=EVIL, seconds=1.0, missing_outputs=[EVIL]), scenario="#s1", run="#s1")
    return folder


def unsafe(text: str) -> list[str]:
    """Characters that a terminal would obey, or that would turn the text around."""
    obeyed = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [char for char in text if unicodedata.category(char) in obeyed and char not in "\n\t"]


# ---------------------------------------------------------------- escaping


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_no_text_can_command_a_terminal(text: str) -> None:
    assert set(unsafe(shown(text))) <= {"\u200c", "\u200d"}
    assert "\n" not in shown(text)
    shown(text).encode("utf-8")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain [bold]text[/bold] \\x1b", "plain [bold]text[/bold] \\x1b"),
        ("Zürich 東京 👩‍👩‍👧", "Zürich 東京 👩‍👩‍👧"),
        ("a\tb\nc", "a\\x09b\\x0ac"),
        ("\x1b[31m\x9b", "\\x1b[31m\\x9b"),
        ("\u202eabc\u2069", "\\u202eabc\\u2069"),
        ("\U000e0041", "\\U000e0041"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_is_shown_of_a_text(text: str, seen: str) -> None:
    assert shown(text) == seen


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_json_is_plain_ascii_and_the_same_value(text: str) -> None:
    line = to_json({"text": text})
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"text": text}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_names_in_the_log_do_not_reach_the_terminal_as_commands(
    evil: Path, command: list[str], options: list[str]
) -> None:
    result = run(*command, *options, code=2 if command[-1].endswith(EVIL) else 0)
    assert unsafe(result.stdout + result.stderr) == []


def test_what_looks_like_markup_is_printed_as_it_is(evil: Path) -> None:
    for command in (["audit", "#s1"], ["show", "#s1"], ["scenarios"], ["log"]):
        assert "[bold red]y[/] :smile:" in run(*command).stdout


def test_a_table_keeps_its_rows_whatever_the_names(evil: Path) -> None:
    assert len(run("scenarios").stdout.splitlines()) == 2


@pytest.mark.parametrize("columns", [60, 120])
def test_a_real_terminal_gets_styles_and_wrapped_lines_and_nothing_else(evil: Path, here: Path, columns: int) -> None:
    run("runs")  # the views are there then, and nothing is to be said of them
    written = in_terminal("audit", "#s1", cwd=here, columns=columns)
    plain = STYLE.sub("", written)
    assert plain != written
    assert unsafe(plain) == []
    assert [line for line in plain.splitlines() if line != line.rstrip()] == []
    lines = plain.splitlines()
    assert max(map(len, lines)) <= columns
    (day,) = (number for number, line in enumerate(lines) if re.match(r"\d{4}-\d\d-\d\d$", line))
    assert re.match(r"    2  \d\d:\d\d:\d\d\.\d{3}Z  x\\x1b\]0;owned", lines[day + 1])


# ---------------------------------------------------------------- which project


def test_without_a_project_the_command_says_where_it_looked_and_what_to_do(here: Path) -> None:
    result = run("runs", code=2)
    said = f"Error: No *.events folder in {here}. Name it with --project PATH or CONSIST_ES_PROJECT.\n"
    assert result.stderr == said
    assert list(here.iterdir()) == []


def test_among_several_projects_one_must_be_named(log: Path) -> None:
    shutil.copytree(log, "other.events")
    result = run("runs", code=2)
    assert "Several projects in" in result.stderr
    assert "other.events, provenance.events. Name it with --project PATH" in result.stderr
    assert "scale 2030\tsteep" in run("runs", "--project", "other.events").stdout


def test_a_project_is_named_by_its_log_its_database_or_the_environment(
    log: Path, here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    expected = run("runs", "--project", log).stdout
    assert "scale 2030\tsteep" in expected
    assert run("runs", "--project", here / "provenance.db").stdout == expected
    assert run("runs", CONSIST_ES_PROJECT=str(log)).stdout == expected
    assert run("runs", "--project", log, CONSIST_ES_PROJECT="nowhere").stdout == expected
    assert "No project at" in run("runs", "--project", "nowhere.db", code=2).stderr


def test_a_file_beside_the_log_that_is_no_database_is_not_taken_for_one(log: Path, here: Path) -> None:
    Path("provenance.csv").write_text("zone,people\n")
    result = run("runs", "--project", "provenance.csv", code=2)
    said = f"Error: {here}/provenance.csv is a text file, not a consist-es database. Name the log: {log}.\n"
    assert result.stderr == said
    assert Path("provenance.csv").read_text() == "zone,people\n"


# ---------------------------------------------------------------- how it ends


def test_the_version_is_printed() -> None:
    import consist_es

    assert run("--version").stdout == f"consist-es {consist_es.__version__}\n"


def test_a_damaged_log_is_an_error_without_a_traceback(log: Path) -> None:
    segment = log / "00000001.jsonl"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    Path("provenance.db").unlink()
    for command in ("runs", "replay", "scenarios", "log"):
        result = run(command, code=2)
        assert result.stderr.startswith("Error: The log is damaged: 00000001.jsonl, byte ")
        assert "`consist-es verify`" in result.stderr


def test_what_the_system_refuses_is_an_error_without_a_traceback(log: Path) -> None:
    Path("file").touch()
    result = run("demo", "--folder", "file/below", code=2)
    assert result.stderr.startswith("Error: ")
    assert "file/below" in result.stderr


def test_nobody_reading_ends_quietly(log: Path, here: Path) -> None:
    with start("log", "--json", "--limit", "3", cwd=here, environment={"PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == b""


def test_sigterm_ends_quietly(log: Path, here: Path) -> None:
    with start("log", "--follow", cwd=here) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
        assert process.stderr.read() == b""


def test_a_terminal_that_knows_ascii_alone_is_no_error(log: Path, here: Path) -> None:
    with start("audit", "steep", cwd=here, environment={"PYTHONIOENCODING": "ascii"}) as process:
        assert process.stdout is not None
        assert b"\\u2026" in process.stdout.read()
    assert process.returncode == 0


@pytest.mark.parametrize("columns", [80, 120])
def test_a_very_long_name_leaves_room_for_the_other_columns(here: Path, columns: int) -> None:
    name = "scenario_of_" * 20
    with Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        for _ in range(2):
            with tracker.scenario(name):
                pass
    lines = STYLE.sub("", in_terminal("scenarios", cwd=here, columns=columns)).splitlines()
    assert max(map(len, lines)) <= columns
    heading, second, first = (line.split() for line in lines)
    assert heading == ["scenario", "status", "steps", "hits", "seconds", "started"]
    assert re.fullmatch(r"scenario_of_.*….*_of_#2", second[0])
    assert re.fullmatch(r"scenario_of_.*….*_of_", first[0])
    assert (first[1], second[1]) == ("completed", "completed")
