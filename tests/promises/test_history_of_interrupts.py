"""However a step ends, its end is in the log, the exception reaches the caller, and the tracker goes on."""

import contextlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytest

import consist_es as consist
from consist_es import Run, Tracker, errors
from consist_es.events import Draft, MetaLogged
from tests.support.api import made, run_script


class Broken(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Stop(BaseException):
    """No Exception, like KeyboardInterrupt."""


def interrupt() -> NoReturn:
    raise KeyboardInterrupt


def leave() -> NoReturn:
    sys.exit(3)


def stop() -> NoReturn:
    raise Stop("stopped")


def broken() -> NoReturn:
    raise Broken


def surrogate() -> NoReturn:
    raise ValueError("file \udce9.csv")


def huge() -> NoReturn:
    raise ValueError("x" * 20_000_000)


def group() -> NoReturn:
    raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])


def deep() -> NoReturn:
    deep()


def nul() -> NoReturn:
    raise ValueError("a\0b")


ENDS: dict[str, tuple[Callable[[], NoReturn], type[BaseException], str, str]] = {
    "ctrl-c": (interrupt, KeyboardInterrupt, "interrupted", ""),
    "exit": (leave, SystemExit, "interrupted", "3"),
    "another base exception": (stop, Stop, "interrupted", "stopped"),
    "a broken __str__": (broken, Broken, "failed", "(its text is not available: RuntimeError)"),
    "a lone surrogate": (surrogate, ValueError, "failed", "file \\udce9.csv"),
    "a group": (group, ExceptionGroup, "failed", "several (2 sub-exceptions)"),
    "a NUL": (nul, ValueError, "failed", "a\0b"),
    "endless recursion": (deep, RecursionError, "failed", "maximum recursion depth exceeded"),
}


def found(tracker: Tracker, run_id: str) -> Run:
    run = tracker.get_run(run_id)
    assert run is not None
    return run


def step() -> Path:
    return made()


@pytest.mark.parametrize(("fn", "kind", "status", "text"), ENDS.values(), ids=ENDS)
def test_a_step_that_ends_badly_is_recorded_and_never_a_hit(
    tracker: Tracker, fn: Callable[[], NoReturn], kind: type[BaseException], status: str, text: str
) -> None:
    for attempt in ("s", "s#2"):
        with pytest.raises(kind):
            tracker.run(fn, name="s")
        run = found(tracker, attempt)
        assert (run.status, run.meta["error"]) == (status, text)
        assert run.ended_at is not None
    assert consist.current_run() is None
    assert tracker.run(step, outputs=["o"]).run.status == "completed"


@pytest.mark.parametrize(("fn", "kind", "status", "text"), ENDS.values(), ids=ENDS)
def test_a_scenario_that_ends_badly_is_recorded_with_its_step(
    tracker: Tracker, fn: Callable[[], NoReturn], kind: type[BaseException], status: str, text: str
) -> None:
    with pytest.raises(kind), tracker.scenario("s", require_outputs=["never"]) as sc:
        sc.run(fn, name="bad")
    assert (found(tracker, "s").status, found(tracker, "s").meta["error"]) == (status, text)
    assert found(tracker, "s_bad").status == status
    with tracker.scenario("s") as sc:
        sc.run(step)
    assert found(tracker, "s").status == "completed"


@pytest.mark.parametrize(("fn", "kind", "status", "text"), ENDS.values(), ids=ENDS)
def test_a_block_that_ends_badly_is_recorded(
    tracker: Tracker, fn: Callable[[], NoReturn], kind: type[BaseException], status: str, text: str
) -> None:
    with pytest.raises(kind), tracker.trace("t"):
        fn()
    assert (found(tracker, "t").status, found(tracker, "t").meta["error"]) == (status, text)


def test_a_huge_error_is_recorded_by_its_two_ends(tracker: Tracker) -> None:
    with pytest.raises(ValueError, match="xxx"):
        tracker.run(huge)
    run = found(tracker, "huge")
    assert run.status == "failed"
    assert "characters left out" in run.meta["error"]
    assert len(run.meta["error"]) < 200_000


def test_an_interrupt_in_the_body_of_a_scenario_is_recorded(tracker: Tracker) -> None:
    with pytest.raises(KeyboardInterrupt), tracker.scenario("s"):
        interrupt()
    assert found(tracker, "s").status == "interrupted"


def test_a_generator_that_is_closed_in_a_block_leaves_it_interrupted(tracker: Tracker) -> None:
    def blocks() -> object:
        with tracker.trace("t"):
            yield 1

    running = blocks()
    next(running)  # type: ignore[call-overload]
    assert found(tracker, "t").status == "running"
    running.close()  # type: ignore[attr-defined]
    assert found(tracker, "t").status == "interrupted"
    assert consist.current_run() is None


def test_hooks_of_failure_hear_of_interrupts(tracker: Tracker) -> None:
    heard: list[str] = []
    tracker.on_run_failed(lambda run, error: heard.append(f"{run.id} {type(error).__name__}"))
    with pytest.raises(KeyboardInterrupt), tracker.scenario("s") as sc:
        sc.run(interrupt)
    assert heard == ["s_interrupt KeyboardInterrupt", "s KeyboardInterrupt"]


def test_what_a_failed_step_logged_is_kept(tracker: Tracker) -> None:
    def half() -> NoReturn:
        consist.log_output(made("o"), "o")
        consist.log_meta(progress=0.5)
        raise ValueError("then")

    with pytest.raises(ValueError, match="then"):
        tracker.run(half, outputs=["o"])
    run = found(tracker, "half")
    assert (run.status, run.meta["progress"]) == ("failed", 0.5)
    assert list(tracker.get_run_outputs("half")) == ["o"]


def test_a_step_whose_end_cannot_be_recorded_fails_and_says_so(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> NoReturn:
        raise errors.LogFullError("disk", 100, "no space left")

    def fills_the_disk() -> NoReturn:
        monkeypatch.setattr(tracker.project.log, "append", refuse)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        tracker.run(fills_the_disk)
    assert "could not record this failure" in caught.value.__notes__[0]
    monkeypatch.undo()
    assert found(tracker, "fills_the_disk").status == "running"  # honest: its end is not known

    def fills_it_at_the_end() -> Path:
        path = made()
        consist.log_output(path, "o")
        monkeypatch.setattr(tracker.project.log, "append", refuse)
        return path

    with pytest.raises(errors.LogFullError, match="no space left"):
        tracker.run(fills_it_at_the_end, outputs=["o"])
    monkeypatch.undo()
    with pytest.raises(errors.LogFullError):  # it runs again: what has no end in the log is no hit
        tracker.run(fills_it_at_the_end, outputs=["o"])


def interrupted_after(tracker: Tracker, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """From now on, an interrupt strikes as soon as an event of this kind was appended, before anybody knows of it."""
    append = tracker.project.log.append

    def appends(drafts: Sequence[Draft], **options: Any) -> list[int]:
        places = append(drafts, **options)
        if any(kind == draft.event.TYPE for draft in drafts):
            raise KeyboardInterrupt
        return places

    monkeypatch.setattr(tracker.project.log, "append", appends)


@pytest.mark.parametrize(
    ("kind", "scenario", "run"),
    [
        ("scenario_started", "interrupted", None),
        ("step_started", "interrupted", "interrupted"),
        ("step_completed", "interrupted", "completed"),
        ("scenario_exited", "completed", "completed"),
    ],
)
def test_an_interrupt_just_after_an_append_gives_every_run_exactly_one_end(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, kind: str, scenario: str, run: str | None
) -> None:
    interrupted_after(tracker, monkeypatch, kind)
    with pytest.raises(KeyboardInterrupt), tracker.scenario("s") as sc:
        sc.run(step, outputs=["o"])
    monkeypatch.undo()
    assert {found.id: found.status for found in tracker.find_runs()} == {
        "s": scenario,
        **({"s_step": run} if run else {}),
    }
    types = [entry.type for entry in tracker.project.log.read()]
    assert types.count("scenario_exited") == 1
    assert types.count("step_completed") + types.count("step_failed") == (1 if run else 0)


def test_a_transaction_that_an_interrupt_left_open_is_undone(tracker: Tracker) -> None:
    tracker.run(step, outputs=["o"])
    conn = tracker.project.connection()
    conn.execute("PRAGMA query_only = OFF")
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("DELETE FROM runs")
    assert tracker.run(step, outputs=["o"]).cache_hit
    assert len(tracker.find_runs()) == 2


HAMMERED = """
import random, signal
from pathlib import Path
from types import FrameType
import consist_es as consist
from consist_es import CacheOptions, Tracker
from consist_es.execution.current import top

tracker = Tracker(run_dir="runs", db_path="p.db", sync="os")

def step(n: int) -> Path:
    path = consist.output_path("o", "txt")
    path.write_text(str(n))
    return path

def model(n: int) -> None:
    with tracker.scenario("s") as sc:
        sc.run(step, name="hit", config={"n": 0}, outputs=["o"])
        with sc.trace("block") as t:
            t.log_meta(n=n)
        sc.run(step, name="miss", config={"n": n}, outputs=["o"])

def interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
model(0)
random.seed(5)
interrupted = 0
for n in range(80):
    try:
        signal.setitimer(signal.ITIMER_REAL, random.random() * 0.04)
        model(n)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
    assert top() is None
print(interrupted)
tracker.project.views.rebuild(target=Path("again.db"))
assert tracker.project.views.compare(Path("again.db")) == {}
statuses = {run.status for run in tracker.find_runs(limit=None)}
assert statuses <= {"completed", "interrupted"}, statuses
model(1000)
"""


def test_interrupts_at_any_moment_leave_every_run_with_its_end_and_the_tracker_usable(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(HAMMERED)
    assert int(run_script(tmp_path / "model.py").stdout) > 5


def test_an_interrupt_at_the_door_of_the_log_does_not_leave_it_locked(tracker: Tracker) -> None:
    """Where a context manager has begun and its block has not, an interrupt ends the call without its clean-up."""
    log = tracker.project.log
    log.append([Draft(MetaLogged(values={}), run="r")])

    def strike(frame: FrameType, event: str, _arg: object) -> Any:
        if (
            frame.f_code.co_name == "__enter__"
            and frame.f_code.co_filename == contextlib.__file__
            and event == "return"
        ):
            raise KeyboardInterrupt
        return strike

    before = sys.gettrace()
    try:
        sys.settrace(strike)
        log.append([Draft(MetaLogged(values={}), run="r")])
    except KeyboardInterrupt:  # while it is handled, nothing that the call held is collected
        sys.settrace(before)
        again = threading.Thread(target=log.append, args=([Draft(MetaLogged(values={}), run="r")],), daemon=True)
        again.start()
        again.join(20)
        assert not again.is_alive(), "the log is locked for good"
    finally:
        sys.settrace(before)
