"""Runs one row, in whatever process it is, and tells how it went as plain data."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from consist_es.errors import WorkerDiffersError
from consist_es.execution.engine import Engine, Scope
from consist_es.steps.options import StepArguments
from consist_es.steps.step import Step
from consist_es.sweeps.agree import Asked, agreed
from consist_es.sweeps.parcel import Parcel, came_by_value, rehomed, unpacked
from consist_es.sweeps.rows import COMPUTED, FAILED, HIT
from consist_es.text import first_line, readable

_ASKED = msgspec.json.Decoder(Asked)


class Task(msgspec.Struct, frozen=True):
    """One row on its way to a worker. Whatever an executor serialises with, these are text and bytes."""

    handle: str
    sweep: str
    row: str
    name: str
    """Of the step or scenario."""
    parcel: Parcel
    asked: bytes
    """`Asked` as JSON."""
    is_scenario: bool = False


class Told(NamedTuple):
    """How a row went."""

    status: str
    error: str | None
    seconds: float
    worker: str


def told_of(work: Callable[[], bool], mask: Callable[[str], str]) -> Told:
    """Call `work`, which returns True for a hit, and tell how it went. An exception is told as text: not every one can
    be sent to another process, and one that cannot breaks a pool."""
    began, error = time.monotonic(), None
    try:
        status = HIT if work() else COMPUTED
    except (Exception, SystemExit) as problem:  # noqa: BLE001  the user's function may raise anything
        status, error = FAILED, mask(in_words(problem))
    return Told(status, error, time.monotonic() - began, here())


def in_words(error: BaseException) -> str:
    """Type and message of an exception, whatever its `__str__` does."""
    try:
        said = str(error)
    except Exception as broken:  # noqa: BLE001  the user's __str__ may raise anything
        said = f"(its text is not available: {type(broken).__name__})"
    return readable(f"{type(error).__name__}: {said}")[:10_000]


def here() -> str:
    """This worker: host and process."""
    return f"{os.uname().nodename if hasattr(os, 'uname') else 'this host'}, process {os.getpid()}"


def perform(engine: Engine, scope: Scope, task: Task) -> bool:
    """Run the row of a task as a step; True if it was a hit.

    Raises:
        WorkerDiffersError: this worker would run other code, or cannot load it. Whatever the function raises.
    """
    asked, parcel = _ASKED.decode(task.asked), task.parcel
    try:
        return _performed(engine, scope, task, asked, by_value=False)
    except WorkerDiffersError:
        # a script of the same name elsewhere, or none: the code itself came too
        if not parcel.has_values:
            raise
    return _performed(engine, scope, task, asked, by_value=True)


def _performed(engine: Engine, scope: Scope, task: Task, asked: Asked, *, by_value: bool) -> bool:
    fn, arguments, anew = loaded(task, by_value=by_value)
    args: StepArguments = dataclasses.replace(arguments, fn=fn)

    def check(step: Step) -> Step:
        return agreed(step, asked, by_value=anew, where=here())

    return engine.run(args, scope, check=check).cache_hit


def loaded(task: Task, *, by_value: bool) -> tuple[Any, Any, bool]:
    """The function of a task, its arguments, and True if the function's code came with it.

    Raises:
        WorkerDiffersError: the code is not here.
    """
    try:
        fn = unpacked(task.parcel.fn, by_value=by_value)
        arguments = unpacked(task.parcel.arguments, by_value=by_value)
    except Exception as error:
        said = f"its code cannot be loaded there ({first_line(in_words(error))})"
        remedy = "Install the same code there, or put its folder on PYTHONPATH."
        raise WorkerDiffersError(task.name, here(), said, remedy) from error
    own = rehomed(fn) if came_by_value(task.parcel.fn, by_value=by_value) else fn
    return own or fn, arguments, own is None
