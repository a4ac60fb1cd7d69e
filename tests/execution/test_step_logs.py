"""What a step printed: which text goes to whose log, without changing what is printed or what is reused."""

import asyncio
import contextlib
import io
import logging
import os
import pickle
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import ConsistWarning, ExecutionOptions, Tracker
from consist_es.errors import StepLogMissingError
from consist_es.runs.run import Run
from tests.support.api import made, run_script

KEPT = 512_000


def text_of(run: Run | None) -> str:
    assert run is not None
    assert run.log is not None
    return run.log.text()


def failed(tracker: Tracker, step: Callable[..., object], kind: type[BaseException] = Exception) -> BaseException:
    """The error that a step ends with."""
    with pytest.raises(kind) as caught:
        tracker.run(step, outputs=["o"])
    return caught.value


def split_at_the_mark(text: str, left_out: int) -> list[str]:
    """A long log: its beginning, the mark of what was left out, its end."""
    parts = re.split(rf"(\n\[\.\.\. {left_out} bytes left out \.+\]\n)", text)
    assert len(parts) == 3
    return parts


def talk() -> Path:
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.getLogger("model").warning("level %s", 7)
    logging.getLogger("model").info("below the level of the logger")
    return made()


def chatty() -> Path:
    print("now", end=" ")
    sys.stdout.write("and ")
    sys.stdout.writelines(["then\n", "lines\n"])
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.flush()
    print("no end", end="")
    return made()


def test_stdout_stderr_and_logging_go_to_the_log_and_where_they_went(
    tracker: Tracker, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    done = tracker.run(talk, outputs=["o"])
    assert text_of(done.run) == "to stdout\nto stderr\nWARNING:model:level 7\n"
    assert capsys.readouterr() == ("to stdout\n", "to stderr\n")
    assert [record.getMessage() for record in caplog.records] == ["level 7"]
    assert done.run.log is not None
    assert done.run.log.recorded is not None
    assert done.run.log.recorded.uri == f"./step_logs/{done.run.key}.log"
    found = tracker.get_run(done.run.id)
    assert found is not None
    assert found.log == done.run.log == pickle.loads(pickle.dumps(done.run)).log


def test_every_way_to_write_is_seen_and_an_unfinished_line_too(
    tracker: Tracker, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    done = tracker.run(chatty, outputs=["o"])
    assert text_of(done.run) == "now and then\nlines\nbytes\nno end\n"
    assert stream.buffer.getvalue() == b"now and then\nlines\nbytes\nno end"
    assert sys.stdout is stream


def test_the_streams_are_what_they_were_while_a_step_runs_and_after(tracker: Tracker, capsys: object) -> None:
    before, handlers, within = sys.stdout, logging.Logger.callHandlers, []

    def look() -> Path:
        within.append((isinstance(sys.stdout, type(before)), sys.stdout.encoding, sys.stdout.isatty()))
        with contextlib.redirect_stdout(io.StringIO()) as caught:
            print("caught")
        assert caught.getvalue() == "caught\n"
        return made()

    done = tracker.run(look, outputs=["o"])
    assert within == [(True, before.encoding, before.isatty())]
    assert sys.stdout is before
    assert logging.Logger.callHandlers is handlers
    assert done.run.log is None


def quiet() -> Path:
    return made()


def test_a_step_that_prints_nothing_makes_no_file(tracker: Tracker) -> None:
    assert tracker.run(quiet, outputs=["o"]).run.log is None
    assert tracker.run(lambda: print("", end="") or made(), "empty", outputs=["o"]).run.log is None
    assert not Path("runs/step_logs").exists()


def test_a_hit_has_no_log_and_its_source_keeps_its_own(tracker: Tracker) -> None:
    first, again = tracker.run(talk, outputs=["o"]), tracker.run(talk, outputs=["o"])
    assert again.cache_hit
    assert again.run.log is None
    assert again.run.meta["cache_source"] == first.run.id
    assert text_of(tracker.get_run(first.run.key)).startswith("to stdout")


def keeps(wrap: Callable[[object], object]) -> Callable[[], Path]:
    """A step with a stream in a closure."""
    held = wrap(sys.stdout)

    def holding() -> Path:
        print("x", file=getattr(held, "stream", held))  # type: ignore[call-overload]
        return made()

    return holding


def through_a_logger() -> Path:
    logging.basicConfig(level=logging.INFO)
    logging.info("set up")
    print(sys.stdout.encoding)
    return made()


@contextlib.contextmanager
def unset_logging() -> Iterator[None]:
    """A root logger as in a fresh process; no fixture, for pytest adds its handlers for the test itself."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level = root.level
    root.handlers[:] = []
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_logging_that_a_step_sets_up_is_set_up_and_nothing_is_written_twice(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    with unset_logging():
        done = tracker.run(through_a_logger, outputs=["o"])
        assert len(logging.getLogger().handlers) == 1
        assert tracker.run(through_a_logger, outputs=["o"]).cache_hit
    assert text_of(done.run).splitlines()[0] == "INFO:root:set up"
    assert text_of(done.run).count("set up") == 1
    assert capsys.readouterr().err.count("set up") == 1


def test_a_handler_that_holds_the_old_stream_is_seen(tracker: Tracker) -> None:
    with unset_logging():
        logging.basicConfig(stream=io.StringIO(), level=logging.INFO)
        assert "INFO:root:set up" in text_of(tracker.run(through_a_logger, outputs=["o"]).run)
        assert tracker.run(through_a_logger, outputs=["o"]).cache_hit


def test_the_handler_of_last_resort_speaks_as_ever(tracker: Tracker, capsys: pytest.CaptureFixture[str]) -> None:
    with unset_logging():
        done = tracker.run(talk, outputs=["o"])
    assert capsys.readouterr().err == "to stderr\nlevel 7\n"
    assert text_of(done.run).endswith("to stderr\nlevel 7\n")


HELD = """
import io, logging, sys, threading
import consist_es as consist

mode = sys.argv[1]
if mode == "notebook":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=True)  # not sys.__stdout__
held = sys.stdout
handler = logging.StreamHandler(sys.stdout)

class Both:
    def __init__(self, stream): self.stream = stream
    def write(self, text): return self.stream.write(text)
    def flush(self): self.stream.flush()

def talk(n):
    if n == "wrap" and mode == "plain":
        sys.stdout = Both(sys.stdout)
    import late
    print("talk", file=held); print("print"); late.say(); handler.flush()
    path = consist.output_path("o", "txt"); path.write_text("x"); return path

def waits(entered, leave):
    print("waits"); entered.set(); leave.wait(60)
    path = consist.output_path("o", "txt"); path.write_text("x"); return path

with consist.Tracker(run_dir="runs", capture_log=sys.argv[2] == "keep") as tracker:
    # the first of them imports `late`, with proxies in place or without
    done = [tracker.run(talk, config={"n": n}, outputs=["o"]).cache_hit for n in (sys.argv[2], "wrap", "again")]
    entered, leave = threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: tracker.run(
        waits, outputs=["o"], execution_options=consist.ExecutionOptions(
            runtime_kwargs={"entered": entered, "leave": leave})))
    other.start()
    while not entered.wait(0.01) and other.is_alive(): pass
      # a step is open, and its proxies are in place
    done += [tracker.run(talk, config={"n": n}, outputs=["o"]).cache_hit for n in (sys.argv[2], "again", "new")]
    leave.set(); other.join()
    done += [tracker.run(talk, config={"n": "new"}, outputs=["o"]).cache_hit]
    print(*done, file=sys.__stderr__)
"""
LATE = "import sys\nstream = sys.stdout\ndef say():\n    print('late', file=stream)\n"


@pytest.mark.parametrize("mode", ["plain", "notebook"])
def test_proxies_are_no_part_of_a_steps_identity(tmp_path: Path, mode: str) -> None:
    (tmp_path / "model.py").write_text(HELD)
    (tmp_path / "late.py").write_text(LATE)
    first = run_script(tmp_path / "model.py", mode, "keep").stderr.splitlines()[-1]
    assert first.split() == ["False", "False", "False", "True", "True", "False", "True"]
    again = run_script(tmp_path / "model.py", mode, "off").stderr.splitlines()[-1]
    assert again.split() == ["False", "True", "True", "True", "True", "True", "True"]


def test_a_stream_in_a_closure_changes_nothing(tracker: Tracker, capsys: object) -> None:
    for kind, wrap in (("plain", lambda stream: stream), ("handler", lambda stream: logging.StreamHandler(stream))):
        step = keeps(wrap)
        runs = [tracker.run(step, outputs=["o"], config={"kind": kind}) for _ in range(2)]
        assert [done.cache_hit for done in runs] == [False, True]


def test_a_proxy_that_outlives_its_step_counts_as_the_stream_that_it_stands_for(
    tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    got = []

    def gives_away() -> Path:
        got.append(sys.stdout)
        return made()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)  # of the list that it changes
        tracker.run(gives_away, outputs=["o"])
    assert type(got[0]) is not type(sys.stdout)
    assert not tracker.run(keeps(lambda stream: stream), outputs=["o"]).cache_hit
    assert tracker.run(keeps(lambda _stream: got[0]), outputs=["o"]).cache_hit
    print("nobody's", file=got[0])
    assert capsys.readouterr().out == "x\nnobody's\n"


# ---------------------------------------------------------------- threads, tasks, processes


def test_steps_in_threads_write_to_their_own_logs(tracker: Tracker, capsys: object) -> None:
    meet = threading.Barrier(3, timeout=60)

    def speak(n: int) -> Path:
        for line in range(50):
            print(f"{n}:{line}")
            if line == 25:
                meet.wait()
        return made()

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda n: tracker.run(speak, f"s{n}", config={"n": n}, outputs=["o"]), range(3)))
    for n, each in enumerate(done):
        assert text_of(each.run) == "".join(f"{n}:{line}\n" for line in range(50))


def test_tasks_write_to_their_own_logs(tracker: Tracker, capsys: object) -> None:
    async def speak(n: int) -> Path:
        for line in range(5):
            print(f"{n}:{line}")
            await asyncio.sleep(0)
        return made()

    async def all_of_them() -> list[Run]:
        work = [tracker.arun(speak, f"s{n}", config={"n": n}, outputs=["o"]) for n in range(3)]
        return [done.run for done in await asyncio.gather(*work)]

    for n, run in enumerate(asyncio.run(all_of_them())):
        assert text_of(run) == "".join(f"{n}:{line}\n" for line in range(5))


def test_threads_that_a_step_starts_write_to_its_log(tracker: Tracker, capsys: object) -> None:
    def starts() -> Path:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: print("thread", n), range(4)))
        return made()

    assert sorted(text_of(tracker.run(starts, outputs=["o"]).run).splitlines()) == [f"thread {n}" for n in range(4)]


def say(n: int) -> None:
    print("child", n, "x" * 50, flush=True)


def test_forked_children_write_to_the_log_line_by_line(tracker: Tracker, capsys: object) -> None:
    def forks() -> Path:
        print("before", end=" ")
        with get_context("fork").Pool(2) as pool:
            pool.map(say, range(40))
            pool.close()
            pool.join()
        print("after")
        return made()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads
        lines = text_of(tracker.run(forks, outputs=["o"]).run).splitlines()
    assert lines.count("before after") == 1
    assert sorted(line for line in lines if "child" in line) == sorted(f"child {n} {'x' * 50}" for n in range(40))


def say_much(n: int) -> None:
    for line in range(0, 1000, 10):  # ten lines at once, which is quicker
        print("\n".join(f"{n}:{line + more:04d}:" + "x" * 1000 for more in range(10)))


def test_children_that_write_much_lose_no_line_that_is_not_counted(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def forks() -> Path:
        workers = [get_context("fork").Process(target=say_much, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        say_much(4)
        return made()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        run = tracker.run(forks, outputs=["o"]).run
    text = text_of(run)
    assert run.log is not None
    assert run.log.recorded is not None
    head, _, tail = split_at_the_mark(text, run.log.recorded.left_out)
    assert len(head) + len(tail) + run.log.recorded.left_out == 5000 * 1008
    assert {len(line) for line in [*head.splitlines()[:-1], *tail.splitlines()]} == {1007}


def test_a_child_that_outlives_the_run_adds_nothing_to_its_log(tracker: Tracker, capfd: object) -> None:
    read, write = os.pipe()

    def forks() -> Path:
        print("parent")
        if os.fork() == 0:
            print("child")
            os.read(read, 1)
            print("late")
            os._exit(0)
        return made()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        done = tracker.run(forks, outputs=["o"])
    os.write(write, b"x")
    os.wait()
    os.close(read)
    os.close(write)
    assert done.run.log is not None
    assert "parent\n" in done.run.log.text()
    assert "late" not in done.run.log.text()


KILLED = """
import os, signal
import consist_es as consist

def step():
    print("the last words"); print("half a", end="")
    os.kill(os.getpid(), signal.SIGKILL)

with consist.Tracker(run_dir="runs") as tracker:
    tracker.run(step)
"""


def test_what_a_killed_step_printed_is_there(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(KILLED)
    assert run_script(tmp_path / "model.py", code=None).returncode == -signal.SIGKILL
    with Tracker(run_dir=tmp_path / "runs") as tracker:
        tracker.run(quiet, outputs=["o"])  # the first thing recorded notices that the other process is gone
        run = tracker.get_run("step")
        assert run is not None
        assert run.status == "abandoned"
        assert text_of(run) == "the last words\n"


# ---------------------------------------------------------------- size, masks, trouble


def test_the_beginning_and_the_end_of_a_long_log_are_kept(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def talks() -> Path:
        for start in range(0, 60_000, 100):
            print("\n".join(f"line {n:06d} {'x' * 40}" for n in range(start, start + 100)))
        return made()

    run = tracker.run(talks, outputs=["o"]).run
    text = text_of(run)
    assert run.log is not None
    assert run.log.recorded is not None
    left_out = run.log.recorded.left_out
    assert len(text) == run.log.recorded.bytes < 2 * KEPT + 100
    assert len(text) > 2 * KEPT - 200
    head, _, tail = split_at_the_mark(text, left_out)
    assert len(head) + left_out + len(tail) == 60_000 * 53
    lines = [*head.splitlines(), *tail.splitlines()]
    assert (lines[0][:11], lines[-1][:11]) == ("line 000000", "line 059999")
    assert all(len(line) == 52 for line in lines)
    assert run.log.tail(1)[:11] == "line 059999"


def test_secrets_are_masked(here: Path) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"

    def tells(db_password: str) -> Path:
        print("curl https://anna:hunter22@example.org/?api_key=abc123def")
        print("tok", "en=", "split4ever", sep="")  # in several writes
        print(f"connects with {db_password!r}")
        print("plate=XY-77-1")
        print(key)
        print("and goes on")
        logging.getLogger("m").warning("token=from-logging1")
        return made()

    with Tracker(run_dir="runs", sync="os", mask_keys=["plate"]) as tracker:
        run = tracker.run(tells, outputs=["o"], config={"db_password": "s3cret-of-config"}).run
    text = text_of(run)
    words = ("hunter22", "abc123def", "split4ever", "s3cret-of-config", "XY-77-1", "MIIEow", "IBAAKC", "from-logging1")
    assert [word for word in words if word in text] == []
    assert text.count("$masked:") >= 5
    assert "[a private key was left out]\nand goes on\n" in text
    assert "example.org" in text


@pytest.mark.parametrize("way", ["printed", "logged"])
def test_the_first_secret_of_a_project_makes_no_step_run_again(tracker: Tracker, way: str, capsys: object) -> None:
    """The key to mask with is made then, while the step is watched."""

    def tells(way: str) -> Path:
        if way == "printed":
            print("token=abc123def456")
        else:
            consist.log_meta(password="abc123def456")
        return made()

    for hit in (False, True):
        assert tracker.run(tells, config={"way": way}, outputs=["o"]).cache_hit is hit


def test_progress_bars_and_colours_leave_what_a_terminal_shows_at_last(tracker: Tracker, capsys: object) -> None:
    def shows() -> Path:
        for n in range(101):
            print(f"\r{n:3d} %", end="")
        print("\n\x1b[31mred\x1b[0m")
        print("from Windows\r")
        return made()

    assert text_of(tracker.run(shows, outputs=["o"]).run) == "100 %\nred\nfrom Windows\n"


def test_a_line_without_an_end_is_not_held_for_ever(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    def runs_on() -> Path:
        for _ in range(30):
            print("x" * 100_000, end="")
        print("\nnext")
        return made()

    text = text_of(tracker.run(runs_on, outputs=["o"]).run)
    assert "characters of a line without an end were left out" in text
    assert text.endswith("\nnext\n")
    assert len(text) < 1_100_000


def test_a_log_that_cannot_be_written_fails_no_step_and_is_one_warning(tracker: Tracker, capsys: object) -> None:
    Path("runs/step_logs").write_text("a file where the folder would be")
    with pytest.warns(ConsistWarning, match="could not all be kept") as told:
        done = tracker.run(talk, outputs=["o"])
    assert len([each for each in told if "could not all be kept" in str(each.message)]) == 1
    assert done.run.status == "completed"
    assert tracker.run(talk, outputs=["o"]).cache_hit
    assert done.run.log is not None
    with pytest.raises(StepLogMissingError, match="cannot be read"):
        done.run.log.text()


def test_a_full_disk_fails_no_step(tracker: Tracker, monkeypatch: pytest.MonkeyPatch, capsys: object) -> None:
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if b"second" in data:
            raise OSError(28, "No space left on device")
        return write(fd, data)

    def speaks() -> Path:
        print("first")
        monkeypatch.setattr(os, "write", full)
        print("second")
        monkeypatch.setattr(os, "write", write)
        print("third")
        return made()

    with pytest.warns(ConsistWarning, match="No space left on device"):
        done = tracker.run(speaks, outputs=["o"], cache_options=None)
    assert text_of(done.run) == "first\n"
    assert done.run.log is not None
    assert done.run.log.recorded is not None
    assert done.run.log.recorded.problem == "No space left on device"


def test_a_deleted_log_is_said_and_loses_nothing(tracker: Tracker, capsys: object) -> None:
    done = tracker.run(talk, outputs=["o"])
    assert done.run.log is not None
    done.run.log.path.unlink()
    with pytest.raises(StepLogMissingError, match=r"If the file was deleted.*nothing else depends on it") as caught:
        done.run.log.text()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)
    assert done.run.log.tail() == ""
    assert tracker.run(talk, outputs=["o"]).cache_hit


@pytest.mark.parametrize("by_tracker", [True, False])
def test_a_log_is_not_kept_if_nobody_wants_it(here: Path, by_tracker: bool, capsys: pytest.CaptureFixture[str]) -> None:
    options = ExecutionOptions(capture_log=None if by_tracker else False)
    with Tracker(run_dir="runs", sync="os", capture_log=not by_tracker) as tracker:
        assert tracker.run(talk, outputs=["o"], execution_options=options).run.log is None
        assert tracker.run(talk, outputs=["o"]).cache_hit  # it is no part of the identity
    assert not Path("runs/step_logs").exists()
    assert capsys.readouterr().out == "to stdout\n"


def test_logs_are_never_outputs_or_reads(tracker: Tracker, capsys: object) -> None:
    def lists() -> Path:
        return made(text=str(sorted(os.listdir("runs"))))  # noqa: PTH208

    def captured() -> None:
        print("captured")
        Path("runs/shared").mkdir(exist_ok=True)
        Path("runs/shared/made.txt").write_text("x")

    tracker.run(lists, outputs=["o"])
    tracker.run(talk, outputs=["o"])
    assert tracker.run(lists, outputs=["o"]).cache_hit  # though the folder of the logs is there now
    done = tracker.run(captured, capture_dir="runs", capture_pattern="**/*")
    assert [key for key in done.outputs if "log" in key] == []


# ---------------------------------------------------------------- failures, blocks


def break_down() -> Path:
    for n in range(30):
        print("line", n)
    print("password: hunter2hunter2")
    raise ValueError("no zone 7")


def test_the_error_of_a_failed_step_has_the_last_lines(tracker: Tracker, capsys: object) -> None:
    error = failed(tracker, break_down)
    assert str(error) == "no zone 7"
    (note,) = error.__notes__
    assert "  line 29\n" in note
    assert "line 9\n" not in note
    assert "hunter2" not in note
    run = tracker.get_run("break_down")
    assert text_of(run).startswith("line 0\n")
    found = tracker.project.connection().execute("SELECT error_traceback FROM runs").fetchone()[0]
    assert "  line 29\n" in found


def test_a_block_has_a_log_and_a_block_that_hit_has_none(tracker: Tracker, capsys: object) -> None:
    def model() -> Run:
        with tracker.scenario("s") as sc, sc.trace("block", config={"n": 1}) as t:
            print("in the block")
            if not t.is_cached:
                t.log_artifact(made("o"), key="o", direction="output")
        return tracker.find_runs(name="block", limit=1)[0]

    first, again = model(), model()
    assert text_of(first) == "in the block\n"
    assert again.outcome == "hit"
    assert again.log is None


def test_what_is_printed_between_steps_belongs_to_none(tracker: Tracker, capsys: object) -> None:
    with tracker.scenario("s") as sc:
        print("before")
        first = sc.run(talk, outputs=["o"])
        print("between")
        second = sc.run(quiet, outputs=["o"])
    assert "between" not in text_of(first.run)
    assert second.run.log is None


class NotebookStream:
    """As in a notebook: no file, and attributes of its own."""

    encoding = "UTF-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


def test_streams_of_notebooks_work(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = NotebookStream()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", None)

    def shows() -> Path:
        print("cell")
        setattr(sys.stdout, "colour", "red")  # noqa: B010 - it has no such attribute for type checkers
        with pytest.raises(AttributeError):
            sys.stdout.fileno()
        with pytest.raises(TypeError):
            sys.stdout.write(7)  # type: ignore[arg-type]
        return made()

    assert text_of(tracker.run(shows, outputs=["o"]).run) == "cell\n"
    assert (stream.text, stream.colour) == ("cell\n", "red")  # type: ignore[attr-defined]
    assert sys.stdout is stream
    assert sys.stderr is None
