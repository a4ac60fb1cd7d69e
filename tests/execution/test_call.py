"""`consist_es.call` runs a program as `subprocess.run` does; its output is seen there, in the log and in the error."""

import contextlib
import io
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from consist_es import Called, ExecutionOptions, Tracker, call
from consist_es.errors import ProgramError, UsageTypeError
from tests.support.api import made

TALKS = "import sys; print('to stdout', flush=True); print('to stderr', file=sys.stderr); sys.exit({})"
MODEL = """
import sys
for n in range(40):
    print("zone", n)
print("reads", sys.argv[1], open(sys.argv[1]).read(), "api_key=abc123def456")
sys.exit(int(sys.argv[2]))
"""


def python(code: str, **options: object) -> Called:
    return call([sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def test_output_goes_to_stdout_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    done = python(TALKS.format(0))
    assert (done.returncode, done.tail) == (0, "to stdout\nto stderr\n")
    assert done.args == [sys.executable, "-c", TALKS.format(0)]
    assert capsys.readouterr().out == done.tail


def test_output_is_there_before_the_program_ends(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    class Watched(io.StringIO):
        def write(self, text: str) -> int:
            Path("seen").write_text("")
            seen.set()
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Watched())
    python("import os, time; print('x', flush=True)\nwhile not os.path.exists('seen'): time.sleep(0.01)", timeout=60)
    assert seen.is_set()


def test_an_exit_code_is_an_error_with_the_last_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ProgramError, match=r"ended with exit code 99: .*\nIt printed last:\n  to stdout\n  to stderr$"
    ) as found:
        python(TALKS.format(99))
    error = found.value
    assert isinstance(error, subprocess.CalledProcessError)
    assert (error.returncode, error.cmd[0], error.output) == (99, sys.executable, "to stdout\nto stderr\n")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.returncode) == (str(error), 99)
    assert python(TALKS.format(99), check=False).returncode == 99


def test_a_signal_a_timeout_and_a_missing_program(tmp_path: Path, capsys: object) -> None:
    with pytest.raises(subprocess.CalledProcessError, match="ended by signal 9"):
        python("import os; os.kill(os.getpid(), 9)")
    began = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired, match=r"killed after 0\.3 s.*\nIt printed last:\n  begun") as late:
        python("import time; print('begun', flush=True); time.sleep(60)", timeout=0.3)
    assert time.monotonic() - began < 30
    assert isinstance(late.value, ProgramError)
    for words, folder in ((["no-such-program"], None), ([sys.executable], tmp_path / "no")):
        with pytest.raises(FileNotFoundError, match="cannot be started: No such file"):
            call(words, cwd=folder)
    with pytest.raises(ProgramError, match="cannot be started: Permission denied"):
        call([tmp_path])


@pytest.mark.parametrize("args", ["ls -l", b"ls", [], None, {"a": 1}, ["ls", 7], ["ls", "a\0b"]])
def test_arguments_are_a_list_of_text_and_paths(args: object) -> None:
    with pytest.raises(UsageTypeError, match=r"call\(\)"):
        call(args)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options", [{"timeout": -1}, {"timeout": "1"}, {"timeout": float("nan")}, {"cwd": 7}, {"env": {"A": 1}}, {"env": 7}]
)
def test_options_that_make_no_sense_are_refused_before_anything_runs(options: dict[str, object], here: Path) -> None:
    with pytest.raises(UsageTypeError, match=rf"call\(\): {next(iter(options))} is"):
        python("open('ran', 'w')", **options)
    assert not Path("ran").exists()


def test_what_follows_output_without_an_end_of_line_is_a_line_of_its_own(tracker: Tracker, capsys: object) -> None:
    def runs() -> Path:
        for text in ("first", "second", "", "third\\n"):
            python(f"print('{text}', end='')")
        return made()

    def misses() -> None:
        call(["no-such-program"])

    run = tracker.run(runs, outputs=["o"]).run
    assert run.log is not None
    lines = [line.partition(" after ")[0] for line in run.log.text().splitlines() if line[0] != "$"]
    ends = "[exit code 0"
    assert lines == ["first", ends, "second", ends, ends, "third", ends]
    with pytest.raises(ProgramError):
        tracker.run(misses)
    missed = tracker.get_run("misses")
    assert missed is not None
    assert missed.log is not None
    assert missed.log.text() == "$ no-such-program\n[cannot be started: No such file or directory]\n"


def test_folder_and_environment(tmp_path: Path, capsys: object) -> None:
    done = python("import os; print(os.getcwd(), os.environ['X'])", cwd=tmp_path, env={"X": "y"})
    assert done.tail == f"{tmp_path.resolve()} y\n"


def test_text_that_the_terminal_cannot_show_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    done = python("import sys; sys.stdout.buffer.write('Zürich '.encode() + b'\\xff\\n')")
    assert done.tail == "Zürich \ufffd\n"
    assert stream.buffer.getvalue() == b"Z?rich ?\n"
    stream.close()
    assert python("print('nobody reads this')").returncode == 0


def test_a_program_that_leaves_another_running_is_not_waited_for(capsys: object) -> None:
    began = time.monotonic()
    call(["sh", "-c", "sleep 30 & echo $!"])
    assert time.monotonic() - began < 20


def test_a_step_keeps_the_command_its_output_and_its_end(tracker: Tracker, capsys: object) -> None:
    Path("model.py").write_text(MODEL)
    Path("in.txt").write_text("first")

    def runs() -> Path:
        call([sys.executable, "model.py", Path("in.txt"), "0"])
        return made()

    def breaks() -> None:
        call([sys.executable, "model.py", "in.txt", "99"])

    done = tracker.run(runs, outputs=["o"])
    assert done.run.log is not None
    lines = done.run.log.text().splitlines()
    assert lines[0] == f"$ {sys.executable} model.py in.txt 0"
    assert lines[1:41] == [f"zone {n}" for n in range(40)]
    assert lines[41].startswith("reads in.txt first api_key=$masked:")
    assert lines[42].startswith("[exit code 0 after ")

    with pytest.raises(ProgramError) as caught:
        tracker.run(breaks)
    assert "  zone 39\n" in str(caught.value)
    assert not getattr(caught.value, "__notes__", [])  # the message has it
    run = tracker.get_run("breaks")
    assert run is not None
    said = run.meta["error"]
    assert "exit code 99" in said
    assert "zone 39" in said
    assert "abc123def456" not in said

    assert tracker.run(runs, outputs=["o"]).cache_hit  # what the program reads is known, as with subprocess
    Path("model.py").write_text(MODEL.replace("zone", "area"))
    assert not tracker.run(runs, outputs=["o"]).cache_hit


def test_the_log_has_the_text_itself_wherever_stdout_goes(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)

    def runs() -> Path:
        python("import sys; sys.stdout.buffer.write('Zürich\\n'.encode())")
        with contextlib.redirect_stdout(io.StringIO()) as caught:
            python("print('caught')")
        return made(text=caught.getvalue())

    done = tracker.run(runs, outputs=["o"])
    assert done.run.log is not None
    lines = [line for line in done.run.log.text().splitlines() if line[0] not in "$["]
    assert lines == ["Zürich", "caught"]
    assert done.outputs["o"].path.read_text() == "caught\n"
    assert stream.buffer.getvalue() == b"Z?rich\n"


def test_without_a_log_the_output_is_still_seen(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    def runs() -> Path:
        python("print('seen')")
        return made()

    done = tracker.run(runs, outputs=["o"], execution_options=ExecutionOptions(capture_log=False))
    assert done.run.log is None
    assert capsys.readouterr().out == "seen\n"
