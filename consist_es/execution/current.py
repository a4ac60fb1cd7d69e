"""Which tracker and which run are current, per thread and task (PEP 567)."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from consist_es.errors import NoTrackerError
from consist_es.observe import board
from consist_es.system.with_block import WithBlock

if TYPE_CHECKING:
    from consist_es.execution.active import ActiveRun


class Frame(msgspec.Struct, frozen=True):
    """One level of nesting: a scenario body (no run) or a run."""

    tracker: Any
    """Returned by `current_tracker`."""
    run: ActiveRun | None = None
    scenario: str | None = None
    """Key of the open scenario, if any."""
    dry: Any = None
    """The rehearsal that steps in its body belong to, in a dry run."""
    thread: int = msgspec.field(default_factory=threading.get_ident)
    """Thread that entered it."""


_frames: ContextVar[tuple[Frame, ...]] = ContextVar("consist_es_frames", default=())
_default: ContextVar[Any] = ContextVar("consist_es_default_tracker", default=None)
_starter: ContextVar[int] = ContextVar("consist_es_starter", default=0)
"""Ident of this thread, if it started steps itself."""
_running: dict[int, Frame] = {}
"""Frames of the runs executing in this process, by `id(frame)`."""
FOLDERS: dict[str, Path] = {}
"""Key of each run of this process that has begun and not ended -> its folder."""
_started_by: WeakKeyDictionary[threading.Thread, Frame] = WeakKeyDictionary()
"""Frame of the run that started a thread, directly or through other threads."""
_listens: list[bool] = []
"""Not empty once `threading` is patched."""
_begun: list[int] = [0]
"""The number of runs begun so far."""


class Pushed(WithBlock[None]):
    """Makes `frame` the current one for the block."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def _begin(self) -> None:
        push(self._frame)

    def _end(self, error: BaseException | None) -> None:
        pop(self._frame)


def push(frame: Frame) -> None:
    """Make `frame` the current one."""
    if frame.run is not None:
        _running[id(frame)] = frame
        _begun[0] += 1
        if not _listens:
            _listens.append(True)
            _listen()
        board.board().post(frame.run.key, frame.run.described())
    _frames.set((*_frames.get(), frame))


def push_quietly(frame: Frame) -> None:
    """Make `frame` the current one, and tell no thread or child process of it."""
    _frames.set((*_frames.get(), frame))


def _listen() -> None:
    """Patch `threading` to note which run starts a thread: threads begin with an empty context (PEP 567)."""
    # the interpreter has no hook for the start of a thread
    for name in ("_start_new_thread", "_start_joinable_thread"):  # the second from Python 3.13 on
        if (original := getattr(threading, name, None)) is not None:
            setattr(threading, name, functools.partial(_started, original))


def _started(original: Callable[..., Any], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    thread = getattr(function, "__self__", None)
    if _running and isinstance(thread, threading.Thread):
        frame = top() or _started_by.get(threading.current_thread())
        if frame is not None and frame.run is not None:
            _started_by[thread] = frame
    return original(function, *args, **kwargs)


def pop(frame: Frame) -> None:
    """Remove `frame`, wherever it is: blocks inside generators may end in any order."""
    if _running.pop(id(frame), None) is not None and frame.run is not None and frame.run.is_own:
        frame.run.told += board.board().withdraw(frame.run.key)
    _frames.set(tuple(each for each in _frames.get() if each is not frame))


def top() -> Frame | None:
    """The innermost frame of this thread or task."""
    frames = _frames.get()
    return frames[-1] if frames else None


def active_run_or_none() -> ActiveRun | None:
    """The executing run of this thread or task, or None."""
    frame = top()
    return frame.run if frame else None


def starts_steps() -> None:
    """Mark this thread as one that starts steps: its work between them belongs to no run."""
    _starter.set(threading.get_ident())


def runs_of_thread() -> tuple[ActiveRun, ...]:
    """The runs that this thread's work belongs to: its own run, if it has one.

    A thread without a run, in no scenario's body and not starting steps, was started by a step (`ThreadPoolExecutor`,
    `run_in_executor`). Which step is unknown, so its work belongs to every executing run.
    """
    frame, thread = top(), threading.get_ident()
    if frame is not None and frame.run is not None:
        return (frame.run,)
    if _starter.get() == thread or (frame is not None and frame.thread == thread):
        return ()
    return tuple(frame.run for frame in _running.values() if frame.run is not None)


def frames_of_thread() -> tuple[Frame, ...]:
    """Frames of the runs that a call in this thread may be meant for, see `runs_of_thread`."""
    frame, thread = top(), threading.get_ident()
    if frame is not None and (frame.run is not None or frame.thread == thread):
        return (frame,)
    if _starter.get() == thread:
        return ()
    starter = _started_by.get(threading.current_thread())
    return (starter,) if starter is not None and id(starter) in _running else tuple(_running.values())


def company() -> tuple[int, int]:
    """Numbers of runs executing in this process, and of runs begun so far."""
    return len(_running), _begun[0]


def current_tracker() -> Any:
    """The tracker of the innermost run or scenario, else the default one.

    Raises:
        NoTrackerError: there is neither; says how to set one.
    """
    frame = top()
    found = frame.tracker if frame else _default.get()
    if found is None:
        raise NoTrackerError("current_tracker()")
    return found


def default_tracker() -> Any:
    """The default tracker, or None."""
    return _default.get()


def set_current_tracker(tracker: Any) -> Any:
    """Make `tracker` the default one (None: no default); returns the previous one."""
    previous = _default.get()
    _default.set(tracker)
    return previous


def use_tracker(tracker: Any) -> AbstractContextManager[Any]:
    """Make `tracker` the default one inside the block."""
    return _DefaultFor(tracker)


class _DefaultFor(WithBlock[Any]):
    def __init__(self, tracker: Any) -> None:
        self._tracker = tracker
        self._before: list[Any] = []

    def _begin(self) -> Any:
        self._before.append(_default.get())
        _default.set(self._tracker)
        return self._tracker

    def _end(self, error: BaseException | None) -> None:
        if self._before:
            _default.set(self._before[-1])
            self._before.pop()
