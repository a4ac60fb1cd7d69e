"""What the tests of the command line share: a small recorded project, and commands run in this process or another."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import consist_es as consist
from consist_es.cli import program
from consist_es.events import Draft, Event
from consist_es.log.local import LocalLog
from tests.support.api import ROOT, made

CODE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"  # ignored below a job in the background
    "from consist_es.cli import main; main()"
)


def prepare() -> Path:
    return made("raw", "3\n")


def scale(raw: Path, factor: float) -> Path:
    return made("scaled", f"{int(raw.read_text()) * factor}\n")


def break_down(scaled: Path) -> None:
    raise ValueError("no zone [red]7[/red]")


def record(database: str = "provenance.db") -> Path:
    """Three scenarios in the working directory: `baseline` twice, and `steep`, which fails. Gives the log folder."""
    with consist.Tracker(run_dir="runs", db_path=database) as tracker:
        play(tracker, "baseline", 1.5)
        play(tracker, "baseline", 1.5)
        with contextlib.suppress(ValueError):
            play(tracker, "steep", 2.5, fails=True)
    return tracker.project.folder


def play(tracker: consist.Tracker, name: str, factor: float, *, fails: bool = False) -> None:
    with tracker.scenario(name, config={"factor": factor}, description=f"times {factor}") as sc:
        prepared = sc.run(fn=prepare, outputs=["raw"])
        inputs = {"raw": consist.ref(prepared)}
        scaled = sc.run(fn=scale, year=2030, config={"factor": factor}, inputs=inputs, outputs=["scaled"])
        if fails:
            sc.run(fn=break_down, inputs={"scaled": consist.ref(scaled)})


def append(folder: Path, event: Event, *, scenario: str | None = None, run: str | None = None) -> int:
    """Write one event past the API, which would refuse some."""
    log = LocalLog(folder)
    (position,) = log.append([Draft(event, scenario=scenario, run=run)])
    log.close()
    return position


def run(*arguments: str | Path, code: int | None = 0, **environment: str) -> Result:
    """Run a command in this process; `code` is the exit code that it must have."""
    result = CliRunner().invoke(program, [str(argument) for argument in arguments], env=environment)
    assert code is None or result.exit_code == code, (result.exit_code, result.stdout, result.stderr, result.exception)
    return result


def run_json(*arguments: str | Path, code: int = 0) -> list[Any]:
    """The JSON values that a command prints: the items of one list, or one to a line."""
    found = [json.loads(line) for line in run(*arguments, "--json", code=code).stdout.splitlines()]
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def start(*arguments: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start a command as a process of its own, with pipes."""
    return _start(arguments, cwd, environment or {}, subprocess.PIPE)


def _start(
    arguments: Sequence[str | Path], cwd: Path, environment: dict[str, str], out: int
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
    )


def start_on(
    terminal: int, *arguments: str | Path, cwd: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a command as a process whose output is an open terminal."""
    return _start(arguments, cwd, environment, terminal)


def in_terminal(*arguments: str, cwd: Path, columns: int) -> str:
    """What a command writes to a terminal of that width."""
    master, slave = pty.openpty()
    process = _start(arguments, cwd, {"COLUMNS": str(columns), "TERM": "xterm-256color"}, slave)
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while part := os.read(master, 65536):
            written += part
    os.close(master)
    process.wait(timeout=60)
    return written.decode().replace("\r\n", "\n")


def in_terminals(
    calls: Sequence[Sequence[str]], *, cwd: Path, columns: int, **environment: str
) -> list[tuple[int, str]]:
    """Exit status and output of commands that each have a terminal of that width (`terminal_server.py`)."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "terminal_server.py"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm-256color", **environment},
        input=json.dumps([list(call) for call in calls]),
        capture_output=True,
        text=True,
        check=True,
    )
    return [(code, text.replace("\r\n", "\n")) for code, text in map(json.loads, done.stdout.splitlines())]
