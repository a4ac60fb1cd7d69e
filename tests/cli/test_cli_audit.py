"""`consist-es audit`: every event of a scenario, in order, in words that an auditor can use."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import consist_es as consist
from consist_es.cli import wording
from consist_es.cli.names import Names
from consist_es.events import REGISTRY, Event, MetaLogged, Recorded
from consist_es.log.local import LocalLog
from consist_es.log.record import decode_line
from consist_es.project.project import Project
from tests.log.test_log_golden import GOLDEN
from tests.support.cli import append, prepare, record, run, run_json

LINE = re.compile(r" *(\d+)  (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)  (\S.*)")


@pytest.fixture
def log(here: Path) -> Path:
    return record()


def events(log: Path, scenario: str) -> list[Recorded]:
    """The events of the scenarios of that name, read from beginning to end."""
    return [event for event in LocalLog(log).read() if (event.scenario or "").startswith(f"{scenario}-")]


def told(*arguments: str) -> list[tuple[int, str]]:
    """Position and words of every line that tells an event."""
    found = [LINE.fullmatch(line) for line in run("audit", *arguments).stdout.splitlines()]
    return [(int(match[1]), match[3]) for match in found if match]


def spoil(log: Path, event: Recorded) -> None:
    """Change one byte inside an event's line."""
    segment = log / f"{event.segment:08d}.jsonl"
    data = bytearray(segment.read_bytes())
    data[event.offset + event.size // 2] ^= 1
    segment.write_bytes(data)


# ---------------------------------------------------------------- what is told


def test_every_event_of_the_scenario_is_one_line_in_order(log: Path) -> None:
    wanted = [event.seq for event in events(log, "steep")]
    assert [position for position, _ in told("steep")] == wanted
    assert len(run("audit", "steep").stdout.splitlines()) == len(wanted) + 2


def test_the_heading_says_how_it_ended_and_who_ran_it(log: Path) -> None:
    heading, circumstances = run("audit", "steep").stdout.splitlines()[:2]
    assert re.fullmatch(r"Scenario steep: failed in .*; 3 steps, of which 1 reused and 1 failed", heading)
    assert re.match(r"entered \S+Z by \S+ on \S+, process \d+; consist-es \S+, Python 3\.", circumstances)


def test_a_step_says_what_it_was_given_and_what_it_made(log: Path) -> None:
    text = "\n".join(words for _, words in told("baseline#1"))
    assert "baseline: scenario baseline entered: description times 1.5; config factor=1.5" in text
    given = r"baseline_scale 2030: step scale started \(year 2030\): inputs raw b3:\w{10}… from baseline_prepare; "
    assert re.search(given + r"config factor=1\.5; outputs declared: scaled; code b3:\w{10}… \(imports\)", text)
    assert re.search(
        r"baseline_scale 2030: output scaled: \./outputs/scale/\S+/scaled\.txt \(.*4 bytes\) b3:\w{10}…", text
    )
    assert re.search(r"baseline_scale 2030: coupler: scaled is now b3:\w{10}… from baseline_scale", text)
    assert re.search(r"baseline_scale 2030: completed in [\d.]+ m?s: outputs scaled", text)
    assert re.search(r"baseline: scenario completed after [\d.]+ m?s", text)


def test_a_miss_says_why_and_what_differs(log: Path) -> None:
    first = "baseline_prepare: cache miss: nothing like it ran before"
    assert first in [words for _, words in told("baseline#1")]
    miss = "steep_scale 2030: cache miss: config changed; nearest run baseline_scale: config.factor: 1.5 -> 2.5"
    assert miss in [words for _, words in told("steep")]


def test_a_hit_says_which_run_answers_and_how_its_outputs_were_checked(log: Path) -> None:
    hit = "steep_prepare: cache hit: reused baseline_prepare (raw; checked: stat+digest)"
    assert hit in [words for _, words in told("steep")]


def test_a_failure_says_error_and_step(log: Path) -> None:
    words = [words for _, words in told("steep")]
    assert any(
        re.fullmatch(r"steep_break_down: failed after .*: ValueError: no zone \[red\]7\[/red\]", w) for w in words
    )
    assert re.search(r"failed after .*: in step break_down; because of ValueError: no zone", words[-1])


def test_json_gives_every_event_whole(log: Path) -> None:
    wanted = events(log, "steep")
    found = run_json("audit", "steep")
    assert [(said["seq"], said["type"], said["at"], said["run"]) for said in found] == [
        (event.seq, event.type, event.at, event.run) for event in wanted
    ]
    started = next(said for said in found if said["run_id"] == "steep_scale" and said["type"] == "step_started")
    assert started["data"]["config"] == {"factor": 2.5}
    assert started["text"].startswith("steep_scale 2030: step scale started (year 2030)")


def test_brief_is_one_line_a_step(log: Path) -> None:
    lines = run("audit", "steep", "--brief").stdout.splitlines()
    assert lines[0].startswith("Scenario steep: failed")
    assert lines[2].split("\t") == ["position", "outcome", "step", "seconds", "because"]
    rows = [line.split("\t") for line in lines[3:]]
    assert [(row[1], row[2], row[4]) for row in rows] == [
        ("↺ hit", "prepare", "baseline_prepare"),
        ("● computed", "scale 2030", "config factor: 1.5 → 2.5"),
        ("✕ failed", "break_down", "ValueError: no zone [red]7[/red]"),
    ]
    started = [event.seq for event in events(log, "steep") if event.type == "step_started"]
    assert [int(row[0]) for row in rows] == started


def test_brief_of_all_attempts_has_the_same_rows_in_each_form(log: Path) -> None:
    found = run_json("audit", "baseline", "--all", "--brief")
    assert [(item["step"], item["scenario"]) for item in found] == [
        (step, attempt) for attempt in ("baseline", "baseline#2") for step in ("prepare", "scale 2030")
    ]
    assert [
        json.loads(line) for line in run("audit", "baseline", "--all", "--brief", "--nl").stdout.splitlines()
    ] == found
    text = run("audit", "baseline", "--all", "--brief").stdout
    assert [int(line.split("\t")[0]) for line in text.splitlines() if "\tscale" in line or "\tprepare" in line] == [
        item["position"] for item in found
    ]
    assert "give one of them" in run("audit", "baseline", "--brief", "--proof", code=2).stderr


@pytest.mark.parametrize("command", [["audit", "steep"], ["log"]])
def test_json_is_one_document_and_nl_a_line_each(log: Path, command: list[str]) -> None:
    whole = json.loads(run(*command, "--json").stdout)
    assert [json.loads(line) for line in run(*command, "--nl").stdout.splitlines()] == whole
    assert len(whole) > 10
    assert json.loads(run("log", "--after", "9999", "--json").stdout) == []


# ---------------------------------------------------------------- which scenario


def test_the_latest_attempt_is_told_unless_another_is_named(log: Path) -> None:
    first, second = {event.scenario for event in events(log, "baseline")}, events(log, "baseline")[-1].scenario
    assert len(first) == 2
    assert {said["scenario"] for said in run_json("audit", "baseline")} == {second}
    assert {said["scenario"] for said in run_json("audit", "baseline#2")} == {second}
    assert {said["scenario"] for said in run_json("audit", "baseline#1")} == first - {second}
    assert "Scenario baseline#2 (attempt 2 of 2): completed" in run("audit", "baseline").stdout


def test_all_tells_every_attempt_the_first_one_first(log: Path) -> None:
    for name in ("baseline", "baseline#1"):
        assert [position for position, _ in told(name, "--all")] == [event.seq for event in events(log, "baseline")]


def test_a_scenario_is_found_by_its_name_too(here: Path) -> None:
    with consist.Tracker("runs", "provenance.db") as tracker, tracker.scenario("baseline", run_id="b-2026"):
        pass
    assert run("audit", "baseline").stdout.startswith("Scenario b-2026: completed")


def test_a_step_that_took_the_scenarios_id_is_not_told_in_its_place(here: Path) -> None:
    with consist.Tracker("runs", "provenance.db") as tracker:
        with tracker.scenario("baseline"):
            pass
        tracker.run(fn=prepare, run_id="baseline", outputs=["raw"])
    for options in ([], ["--all"]):
        shown = run("audit", "baseline", *options).stdout
        assert shown.startswith("Scenario baseline")
        assert shown.count("Scenario ") == 1


def test_an_unknown_scenario_is_refused_and_those_there_are_listed(log: Path) -> None:
    result = run("audit", "bas", code=2)
    assert result.stderr == (
        "Error: No scenario 'bas'. Available: 'baseline', 'baseline#2', 'steep'. These are the newest ones.\n"
    )
    assert result.stdout == ""


def test_a_step_is_no_scenario_and_the_message_says_which_one_to_name(log: Path) -> None:
    result = run("audit", "steep_scale", code=2)
    said = "Error: 'steep_scale' is a run of step 'scale', not a scenario. It belongs to scenario 'steep': name that.\n"
    assert result.stderr == said


# ---------------------------------------------------------------- the log is what is told


def test_other_scenarios_events_are_not_read(log: Path) -> None:
    before = run("audit", "steep").stdout
    spoil(log, events(log, "baseline")[3])
    assert run("audit", "steep").stdout == before


def test_an_event_that_was_changed_is_not_told_as_if_it_were_true(log: Path) -> None:
    run("runs")  # the views are level with the log
    event = events(log, "steep")[2]
    spoil(log, event)
    result = run("audit", "steep", code=2)
    assert f"The log is damaged: 00000001.jsonl, byte {event.offset}" in result.stderr
    assert "consist-es verify" in result.stderr


def test_dead_letters_stand_on_top(log: Path) -> None:
    with closing(sqlite3.connect("provenance.db")) as conn:
        conn.execute("INSERT INTO dead_letter VALUES (7, 'lineage', 'step_started', 'ValueError: broken')")
        conn.commit()
    first = run("audit", "baseline").stdout.splitlines()[0]
    assert first == "DEAD LETTER: event 7 (step_started) is missing from view lineage: ValueError: broken"
    assert run_json("audit", "baseline")[0]["dead_letter"]["seq"] == 7


def test_an_event_of_an_unknown_type_is_shown_as_such(log: Path) -> None:
    class TeleportLogged(Event, frozen=True):
        where: str

    scenario = events(log, "steep")[-1].scenario
    try:
        append(log, TeleportLogged(where="away"), scenario=scenario, run=scenario)
        assert told("steep")[-1][1] == "steep: teleport logged: where='away'", "known, but without words of its own"
    finally:
        del REGISTRY["teleport_logged", 1]
    _, words = told("steep")[-1]
    assert words == ('steep: event of a type that this version does not know, teleport_logged (v1): {"where":"away"}')
    assert run_json("audit", "steep")[-1]["data"] == {"where": "away"}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_event_there_is_has_words(path: Path, here: Path) -> None:
    event = decode_line(path.read_bytes(), 1, 0)
    project = Project(here / "provenance.db")
    line = wording.line_of(event, Names(project.connection))
    said = wording.as_json(event, Names(project.connection))
    project.close()
    assert type(event.event) in wording.WORDS
    assert line.text.startswith("run ü: ")
    assert said["text"] == line.text
    assert said["data"] != {}


def test_a_long_value_is_cut_in_the_line_and_whole_in_json(log: Path) -> None:
    scenario = events(log, "steep")[-1].scenario
    append(log, MetaLogged(values={"notes": "x" * 5000}), scenario=scenario, run=scenario)
    assert len(told("steep")[-1][1]) < 300
    assert run_json("audit", "steep")[-1]["data"]["values"]["notes"] == "x" * 5000


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0004, "0.4 ms"), (0.5, "0.50 s"), (59.94, "59.9 s"), (61.0, "1 min 01 s"), (3_725.4, "1 h 02 min 05 s")],
)
def test_durations_are_said_in_the_unit_that_fits(seconds: float, said: str) -> None:
    assert wording.duration(seconds) == said
