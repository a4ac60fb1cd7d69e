"""R15 and R16: every way in which a step can end, and clocks that do what clocks do."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from consist_es import Tracker
from consist_es.events import StepCompleted
from consist_es.system.storage import LocalStorage
from torture import operations
from torture.children import ended, fork
from torture.trial import Trial, require


class Broken(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Stop(BaseException):
    """No Exception."""


def raising(error: BaseException) -> Callable[[], None]:
    """A step that ends with this exception."""

    def ends() -> None:
        raise error

    return ends


def signalled(number: int, *, thread: bool = False) -> Callable[[], None]:
    """A step whose process gets a signal."""

    def ends() -> None:
        if thread:
            threading.Thread(target=os.kill, args=(os.getpid(), number)).start()
        else:
            os.kill(os.getpid(), number)
        time.sleep(5)

    return ends


def exits() -> None:
    os._exit(7)


def recurses() -> None:
    recurses()


def ends_well() -> None:
    pass


FAILED, INTERRUPTED, GONE, COMPLETED = "failed", "interrupted", "abandoned", "completed"
ENDINGS: dict[str, tuple[Callable[[], None], str]] = {
    "return": (ends_well, COMPLETED),
    "Exception": (raising(ValueError("x")), FAILED),
    "BaseException": (raising(Stop("x")), INTERRUPTED),
    "KeyboardInterrupt": (raising(KeyboardInterrupt()), INTERRUPTED),
    "SystemExit": (raising(SystemExit(3)), INTERRUPTED),
    "GeneratorExit": (raising(GeneratorExit()), INTERRUPTED),
    "CancelledError": (raising(asyncio.CancelledError()), INTERRUPTED),
    "MemoryError": (raising(MemoryError()), FAILED),
    "endless recursion": (recurses, FAILED),
    "a lone surrogate in its text": (raising(ValueError("\udce9")), FAILED),
    "a broken __str__": (raising(Broken()), FAILED),
    "SIGINT": (signalled(signal.SIGINT), INTERRUPTED),
    "SIGTERM": (signalled(signal.SIGTERM), GONE),
    "SIGTERM from a thread": (signalled(signal.SIGTERM, thread=True), GONE),
    "SIGHUP": (signalled(signal.SIGHUP), GONE),
    "SIGKILL": (signalled(signal.SIGKILL), GONE),
    "SIGSEGV": (signalled(signal.SIGSEGV), GONE),
    "os._exit": (exits, GONE),
    "a generator that is closed": (ends_well, INTERRUPTED),
}


def endings(trial: Trial) -> None:
    """R15: the end is in the log, if not by the process itself then by the next one; the tracker goes on."""
    operations.warm(trial.folder / "warm")
    for number, (name, (ends, status)) in enumerate(ENDINGS.items()):
        room = trial.room(f"e{number}")
        with trial.case(name, "endings"), operations.inside(room):
            code = ended(fork(partial(_end, name, ends), Path("errors")))
            survived = status != GONE
            require((code == 0) == survived, lambda code=code: f"exit {code}: {_errors()}")
            with operations.opened(sync="os") as tracker:
                tracker.run(operations.step, outputs=["o"])
                found = {run.id: run.status for run in tracker.find_runs()}
            expected = {"step": COMPLETED, "ends": status} | ({"again": COMPLETED} if survived else {})
            require(found == expected, f"{found}")
        shutil.rmtree(room)


def _errors() -> str:
    path = Path("errors")
    return path.read_text()[-500:] if path.exists() else ""


def _end(name: str, ends: Callable[[], None]) -> None:
    faulthandler.disable()  # of a test runner: the crash is meant to be
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with operations.opened() as tracker:
        try:
            if "generator" in name:
                _close_a_generator(tracker)
            else:
                tracker.run(ends, name="ends")
        except BaseException as error:  # noqa: BLE001  whatever it is, it must reach the caller
            require(name != "return", f"{error!r:.200}")
        else:
            require("generator" in name or name == "return", "the exception did not reach the caller")
        tracker.run(operations.step, name="again", outputs=["o"], config={"n": 1})


def _close_a_generator(tracker: Tracker) -> None:
    def blocks() -> Iterator[int]:
        with tracker.trace("ends"):
            yield 1

    running = blocks()
    next(running)
    with contextlib.closing(running):  # type: ignore[type-var]
        pass


# ---------------------------------------------------------------- R16


class Clock(LocalStorage):
    """A wall clock that tells what it is told to."""

    def __init__(self, times: Iterator[datetime]) -> None:
        self._times = times

    def now(self) -> datetime:
        return next(self._times)


def _jumping(*offsets: float) -> Iterator[datetime]:
    """The real time, shifted by one offset (seconds) after another, four looks each."""
    while True:
        for offset in offsets:
            for _ in range(4):
                yield datetime.now(UTC) + timedelta(seconds=offset)


def _frozen() -> Iterator[datetime]:
    while True:
        yield datetime(2026, 11, 22, tzinfo=UTC)


DAY, YEARS = 86_400.0, 70 * 365.25 * 86_400.0
CLOCKS: dict[str, Callable[[], Iterator[datetime]]] = {
    "a day ahead, then right": lambda: _jumping(DAY, 0),
    "a day behind, then right": lambda: _jumping(-DAY, 0),
    "70 years ahead, then right": lambda: _jumping(YEARS, 0),
    "70 years behind, then right": lambda: _jumping(-YEARS, 0),
    "frozen": _frozen,
    "a second twice": lambda: _jumping(0, -1),
    "back inside a step": lambda: _jumping(0, -3600, -7200),
    "all over the place": lambda: _jumping(0, DAY, -DAY, YEARS, -3600, 60),
}


def clocks(trial: Trial) -> None:
    """R16: the latest is the last one recorded, and no duration is negative."""
    for number, (name, times) in enumerate(CLOCKS.items()):
        room = trial.room(f"c{number}")
        with trial.case(name, "clocks"), operations.inside(room):
            _latest_is_last(times())
        shutil.rmtree(room)


def _latest_is_last(times: Iterator[datetime]) -> None:
    for process in range(3):
        with operations.opened(Clock(times), sync="os") as tracker:
            for number in range(3):
                last = tracker.run(operations.step, outputs=["o"], config={"n": f"{process}.{number}"}).run
                require(tracker.find_latest_run(name="step").id == last.id, "the latest run is not the last one")
            events = list(tracker.project.log.read())
            runs = tracker.find_runs(limit=None)
    moments = [event.at for event in events]
    require(moments == sorted(moments), "time goes backwards in the log")
    require(all(run.ended_at and run.started_at and run.ended_at >= run.started_at for run in runs), "ends before")
    require(all(event.event.seconds >= 0 for event in events if isinstance(event.event, StepCompleted)), "seconds < 0")
