"""`consist-es runs`, `scenarios`, `log` and `verify`."""

import re
import signal
from pathlib import Path

import pytest

from consist_es.events import MetaLogged
from consist_es.log.local import LocalLog
from tests.support.cli import append, record, run, run_json, start


@pytest.fixture
def log(here: Path) -> Path:
    return record()


def rows(stdout: str) -> list[list[str]]:
    return [line.split("\t") for line in stdout.splitlines()]


# ---------------------------------------------------------------- runs


def test_runs_lists_the_newest_first_with_the_reason_of_every_hit_and_miss(log: Path) -> None:
    heading, *lines = rows(run("runs").stdout)
    assert heading == ["outcome", "step", "scenario", "seconds", "because"]
    found = [(line[0], line[1], line[2], line[4]) for line in lines]
    assert found == [
        ("✕ failed", "break_down", "steep", "ValueError: no zone [red]7[/red]"),
        ("● computed", "scale 2030", "steep", "config factor: 1.5 → 2.5"),
        ("↺ hit", "prepare", "steep", "baseline_prepare"),
        ("↺ hit", "scale 2030", "baseline#2", "baseline_scale"),
        ("↺ hit", "prepare", "baseline#2", "baseline_prepare"),
        ("● computed", "scale 2030", "baseline", "nothing like it ran before"),
        ("● computed", "prepare", "baseline", "nothing like it ran before"),
    ]
    assert all(re.fullmatch(r"[\d.]+ m?s", line[3]) for line in lines)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--scenario", "baseline"], ["baseline_prepare#2", "baseline_scale#2"]),
        (["--scenario", "baseline#1"], ["baseline_prepare", "baseline_scale"]),
        (["--status", "failed"], ["steep_break_down"]),
        (["--outcome", "failed"], ["steep_break_down"]),
        (["--model", "scale"], ["steep_scale", "baseline_scale#2", "baseline_scale"]),
        (["--model", "scale", "--scenario", "steep"], ["steep_scale"]),
        (["--limit", "1"], ["steep_break_down"]),
    ],
)
def test_filters_leave_only_what_meets_all_of_them(log: Path, filters: list[str], found: list[str]) -> None:
    assert [line[0] for line in rows(run("runs", "--columns", "run", *filters).stdout)[1:]] == found
    assert [said["run"] for said in run_json("runs", *filters)] == found


def test_more_runs_than_the_limit_are_said(log: Path) -> None:
    assert run("runs", "--limit", "2").stderr == "There are more than these 2: give a higher --limit.\n"
    assert run("runs", "--limit", "10").stderr == ""


def test_no_run_is_an_answer(log: Path) -> None:
    result = run("runs", "--year", "1999")
    assert (result.stdout, result.stderr) == ("", "None found.\n")


def test_runs_of_an_unknown_scenario_and_of_a_status_that_does_not_exist_are_refused(log: Path) -> None:
    assert "No scenario 'x'. Available: 'baseline'" in run("runs", "--scenario", "x", code=2).stderr
    assert "'done' is not one of" in run("runs", "--status", "done", code=2).stderr


# ---------------------------------------------------------------- scenarios


def test_scenarios_lists_what_became_of_their_steps(log: Path) -> None:
    heading, *lines = rows(run("scenarios").stdout)
    names = ("scenario", "status", "steps", "hits", "failed", "description")
    assert [[line[heading.index(name)] for name in names] for line in lines] == [
        ["steep", "failed", "3", "1", "1", "times 2.5"],
        ["baseline#2", "completed", "2", "2", "", "times 1.5"],
        ["baseline", "completed", "2", "0", "", "times 1.5"],
    ]
    found = run_json("scenarios", "--limit", "1")
    assert [(said["scenario"], said["steps"], said["hits"]) for said in found] == [("steep", 3, 1)]


# ---------------------------------------------------------------- log


def test_the_log_is_printed_whole_and_in_order(log: Path) -> None:
    head = LocalLog(log).head().seq
    assert [said["seq"] for said in run_json("log")] == list(range(1, head + 1))
    assert [int(line.split()[0]) for line in run("log").stdout.splitlines()] == list(range(1, head + 1))


def test_the_log_can_be_cut(log: Path) -> None:
    head = LocalLog(log).head().seq
    assert [said["seq"] for said in run_json("log", "--after", str(head - 2))] == [head - 1, head]
    assert [said["seq"] for said in run_json("log", "--limit", "3")] == [head - 2, head - 1, head]
    wanted = [event.seq for event in LocalLog(log).read() if event.type in ("cache_hit", "scenario_exited")]
    assert [said["seq"] for said in run_json("log", "--type", "cache_hit", "--type", "scenario_exited")] == wanted
    assert len(wanted) == 6
    assert run_json("log", "--after", str(head)) == []


def test_the_log_of_one_scenario(log: Path) -> None:
    wanted = [event.seq for event in LocalLog(log).read() if (event.scenario or "").startswith("steep-")]
    assert [said["seq"] for said in run_json("log", "--scenario", "steep")] == wanted
    assert [said["seq"] for said in run_json("log", "--scenario", "steep", "--limit", "2")] == wanted[-2:]
    assert "No scenario 'stepe'" in run("log", "--scenario", "stepe", code=2).stderr


def test_the_end_of_the_log_is_printed_without_reading_the_rest(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("scenarios")  # the views have everything then
    monkeypatch.setattr(LocalLog, "read", lambda *_: pytest.fail("the whole log is read"))
    assert len(run_json("log", "--limit", "3")) == 3
    assert len(run_json("log", "--after", "5", "--type", "cache_hit")) == 3


def test_following_begins_with_the_last_ten(log: Path, here: Path) -> None:
    head = LocalLog(log).head().seq
    for options, first in (([], head - 9), (["--limit", "2"], head - 1), (["--after", "3"], 4)):
        with start("log", "--follow", *options, cwd=here, environment={"PYTHONUNBUFFERED": ""}) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(head - first + 1)]
            process.send_signal(signal.SIGTERM)
        assert [int(line.split()[0]) for line in lines] == list(range(first, head + 1))


def test_a_type_that_does_not_exist_is_said(log: Path) -> None:
    result = run("log", "--type", "cache_hti")
    assert result.stdout == ""
    assert result.stderr.startswith("No events of type cache_hti; known types are ")
    assert " artifact_logged, " in result.stderr


def test_following_prints_what_is_recorded_later_and_ends_quietly_on_ctrl_c(log: Path, here: Path) -> None:
    with start("log", "--follow", "--json", "--type", "meta_logged", cwd=here) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for number in range(3):
            position = append(log, MetaLogged(values={"n": number}))
            assert f'"seq":{position},'.encode() in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""


# ---------------------------------------------------------------- verify


def test_a_whole_log_is_verified(log: Path) -> None:
    head = LocalLog(log).head().seq
    shown = run("verify").stdout
    assert re.fullmatch(
        rf"provenance\.events: whole; {head} events in 1 segment, \d+ bytes, the last at position {head}; "
        rf"synced up to: position {head}\n",
        shown,
    )
    (said,) = run_json("verify")
    assert (said["ok"], said["events"], said["problems"]) == (True, head, [])


def test_an_incomplete_last_record_is_a_no_with_its_place(log: Path) -> None:
    segment = log / "00000001.jsonl"
    size = segment.stat().st_size
    with segment.open("ab") as file:
        file.write(b'{"seq":99,"end":tr')
    result = run("verify", code=1)
    assert "whole, but for an incomplete last record" in result.stdout
    assert f"00000001.jsonl, byte {size}: incomplete last record, 18 bytes\n" in result.stdout
    assert "the next writer moves these bytes to the quarantine folder" in result.stderr
    append(log, MetaLogged(values={}))
    assert "quarantine/00000001-" in run("verify").stdout


def test_damage_is_a_no_with_its_place_and_what_to_do(log: Path) -> None:
    event = list(LocalLog(log).read())[4]
    segment = log / "00000001.jsonl"
    data = bytearray(segment.read_bytes())
    data[event.offset + event.size // 2] ^= 1
    segment.write_bytes(data)
    result = run("verify", code=1)
    assert result.stdout.startswith("provenance.events: DAMAGED; ")
    assert re.search(rf"^00000001\.jsonl +{event.offset} +\d* +\S", result.stdout, re.MULTILINE)
    assert "Restore the damaged files from a copy" in result.stderr
    (said,) = run_json("verify", code=1)
    assert said["problems"][0]["offset"] == event.offset


def test_verify_adds_nothing_but_its_own_note(log: Path, here: Path) -> None:
    Path("provenance.db").unlink()
    before = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    run("verify")
    after = {path: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    assert after.pop(log / "verified")
    assert after == before
    assert "as an earlier check found it" in run("verify", "--recent").stdout
    assert "as an earlier check found it" not in run("verify").stdout


def test_verify_looks_at_every_event_again_unless_told_otherwise(log: Path) -> None:
    run("verify")
    segment = log / "00000001.jsonl"
    raw = bytearray(segment.read_bytes())
    raw[raw.index(b'"data":') + 9] ^= 1
    segment.write_bytes(bytes(raw))
    run("verify", "--recent")
    assert "DAMAGED" in run("verify", code=1).stdout


def test_verify_leaves_the_views_alone(log: Path) -> None:
    Path("provenance.db").unlink()
    run("verify")
    assert not Path("provenance.db").exists()
