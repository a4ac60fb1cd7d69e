"""`consist-es watch`: on a terminal, in a pipe, and how it ends."""

import contextlib
import json
import os
import pty
import re
import signal
from pathlib import Path

import pytest
from rich.cells import cell_len

import consist_es as consist
from consist_es.events import ScenarioStarted
from tests.support.cli import append, play, record, run, start, start_on

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def log(here: Path) -> Path:
    return record()


def again(name: str) -> None:
    """One more attempt at a scenario, with another factor."""
    with consist.Tracker(run_dir="runs", db_path="provenance.db") as tracker:
        play(tracker, name, 7.5)


def test_in_a_pipe_there_is_a_line_for_each_change_until_ctrl_c(log: Path, here: Path) -> None:
    with start("watch", cwd=here, environment={"PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().split() == b"at scenario step what seconds steps of reused left".split()
        again("baseline")
        lines = [process.stdout.readline().decode().split("\t") for _ in range(4)]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert [line[1:4] for line in lines] == [
        ["baseline#3", "", "running"],
        ["baseline#3", "prepare", "hit"],
        ["baseline#3", "scale 2030", "computed"],
        ["baseline#3", "", "completed"],
    ]
    assert [line[5:8] for line in lines] == [["0", "2", "0"], ["1", "2", "1"], ["2", "2", "1"], ["2", "2", "1"]]


@pytest.mark.parametrize("form", ["--nl", "--json"])
def test_json_is_one_object_to_a_line(log: Path, here: Path, form: str) -> None:
    append(log, ScenarioStarted(run_id="open", name="open"), scenario="#o", run="#o")
    with start("watch", form, cwd=here, environment={"PYTHONUNBUFFERED": ""}) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
    assert list(found) == ["at", "scenario", "step", "what", "seconds", "steps", "of", "reused", "left"]
    assert (found["scenario"], found["step"], found["what"]) == ("open", None, "running")


def test_on_a_terminal_it_draws_rows_that_fit(log: Path, here: Path) -> None:
    master, slave = pty.openpty()
    process = start_on(slave, "watch", cwd=here, environment={"COLUMNS": "80", "TERM": "xterm-256color"})
    os.close(slave)
    written, interrupted = b"", False
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while part := os.read(master, 65536):
            written += part
            if written.count(b"steep") >= 2 and not interrupted:  # drawn again
                process.send_signal(signal.SIGINT)
                interrupted = True
    os.close(master)
    assert process.wait(timeout=60) == 130
    text = written.decode()
    assert text.endswith("\x1b[?25h")  # the cursor is there again
    lines = [line for line in CONTROL.sub("", text).replace("\r", "\n").split("\n") if line]
    assert max(map(cell_len, lines)) <= 80
    assert lines[0].split() == ["scenario", "steps", "reused", "failed", "now", "for", "last"]
    assert lines[1].split()[:5] == ["steep", "3", "1", "1", "failed"]


def test_a_scenario_that_is_not_there_is_refused_with_what_is_near(log: Path) -> None:
    assert "Did you mean 'baseline'" in run("watch", "basline", code=2).stderr
