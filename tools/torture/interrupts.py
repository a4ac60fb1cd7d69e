"""R15i: an interrupt (Ctrl-C) at the places where Python looks for one.

It looks where a function written in Python begins, after a call of one written in C, and where a loop goes back. Each
such place is struck when a verb first comes by and when it last does. What was raised is kept meanwhile, as a notebook
keeps it, so that nothing is put right by its going away.
"""

from __future__ import annotations

import contextlib
import dis
import gc
import itertools
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import consist_es
from consist_es import Tracker
from consist_es.events import Draft, MetaLogged
from consist_es.execution.current import default_tracker, top
from consist_es.system.storage import LocalStorage, Lock
from torture import operations
from torture.trial import Trial, require

_OURS = (*map(str, {Path(consist_es.__file__).parent, Path(consist_es.projections.__file__).resolve().parent}),)
Place = tuple[types.CodeType, int]


def strikes(trial: Trial) -> None:
    """`count` places, shared out among the verbs."""
    known: set[tuple[Place, str]] = set()
    with _unheard():
        for number, (name, verb) in enumerate(operations.OPERATIONS.items()):
            room = trial.folder / f"v{number}"
            operations.prepare(room)
            with operations.inside(room), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with operations.opened(sync="os") as tracker:
                    _strike_all(trial, name, partial(verb, tracker, lambda _run: None), tracker, known)
                operations.check_project()


def _strike_all(
    trial: Trial, name: str, act: Callable[[], None], tracker: Tracker, known: set[tuple[Place, str]]
) -> None:
    act()  # a first call has more to do
    passed: list[Place] = []
    _traced(act, passed.append)
    moments = _moments(passed, known)
    wanted = -(-trial.count // len(operations.OPERATIONS))
    chosen = moments if wanted >= len(moments) else sorted(trial.random.sample(moments, wanted))
    for index in trial.cases(len(chosen)):
        struck: list[Place] = []
        with trial.case(f"{name}, moment {chosen[index]}", name):
            kept = _struck(act, chosen[index], struck)
            where = struck and f"{struck[0][0].co_qualname} at {struck[0][1]} of {Path(struck[0][0].co_filename).name}"
            _check(tracker, f"after {where}, {type(kept).__name__}")


def _moments(passed: list[Place], known: set[tuple[Place, str]]) -> list[int]:
    """When each place is passed first and last, unless an earlier verb passed it so."""
    last = {(place, "last"): number for number, place in enumerate(passed)}
    first = {(place, "first"): len(passed) - number for number, place in enumerate(reversed(passed), start=1)}
    moments = {moment for place, moment in (first | last).items() if place not in known}
    known |= first.keys() | last.keys()
    return sorted(moments)


def _struck(act: Callable[[], None], moment: int, struck: list[Place]) -> BaseException | None:
    """Act, with an interrupt at that moment; what came of it."""
    seen = 0

    def strike(place: Place) -> None:
        nonlocal seen
        seen += 1
        if seen == moment + 1:
            struck.append(place)
            raise KeyboardInterrupt

    try:
        _traced(act, strike)
    except KeyboardInterrupt as error:
        return error
    return None  # where it strikes what is only tidied up, Python ignores it


def _check(tracker: Tracker, where: str) -> None:
    project = tracker.project
    require(top() is None, f"{where}: something is still current")
    require(default_tracker() is None, f"{where}: there is a default tracker")
    running = [run.id for run in tracker.find_runs(status="running", limit=None)]
    require(not running, f"{where}: still running: {running}")
    require(gc.isenabled(), f"{where}: the garbage collector is off")
    require(not project.connection().in_transaction, f"{where}: a transaction is open")
    turns = [*Path("p.events/turns").iterdir()] if Path("p.events/turns").is_dir() else []
    for path in (project.views.path.with_name(project.views.path.name + ".lock"), Path("p.events/lock"), *turns):
        other = Lock(path, LocalStorage())
        require(other.acquire(blocking=False), f"{where}: {path.name} is locked")
        other.release()
        other.close()
    said = Draft(MetaLogged(values={}), run="r")
    another = threading.Thread(target=project.log.append, args=([said],), daemon=True)
    another.start()
    another.join(20)
    require(not another.is_alive(), f"{where}: another thread cannot append")
    require(tracker.run(operations.step, outputs=["o"], config={"n": 0}).cache_hit, f"{where}: no hit any more")


# ---------------------------------------------------------------- places


def _traced(act: Callable[[], None], passes: Callable[[Place], None]) -> None:
    """Act, telling of each place as it is passed.

    What Python raises after a call belongs to the call. A trace function can only raise at the instruction behind it,
    so that is done where the same handlers cover both; else a profile function raises when a function in C returns.
    """

    def begins(frame: types.FrameType, _event: str, _arg: object) -> Any:
        if not _is_ours(frame.f_code):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        passes((frame.f_code, -1))
        return goes_on

    def goes_on(frame: types.FrameType, event: str, _arg: object) -> Any:
        if event == "opcode" and frame.f_lasti in _behind(frame.f_code):
            passes((frame.f_code, frame.f_lasti))
        return goes_on

    def returns(frame: types.FrameType, event: str, _arg: object) -> None:
        if event == "c_return" and _is_ours(frame.f_code) and frame.f_lasti in _last(frame.f_code):
            passes((frame.f_code, frame.f_lasti))

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(begins)
    sys.setprofile(returns)
    try:
        act()
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])


def _is_ours(code: types.CodeType) -> bool:
    return code.co_filename.startswith(_OURS) or code.co_filename == contextlib.__file__


@cache
def _behind(code: types.CodeType) -> frozenset[int]:
    """Offsets of what comes after a call, where the same handlers cover both, and of what goes back."""
    found = [*dis.get_instructions(code)]
    back = {item.offset for item in found if item.opname.startswith("JUMP_BACKWARD")}
    return frozenset(
        back | {after.offset for item, after in _calls(code) if _handler(code, item) == _handler(code, after)}
    )


@cache
def _last(code: types.CodeType) -> frozenset[int]:
    """Offsets of calls that are the last thing that their handlers cover."""
    return frozenset(item.offset for item, after in _calls(code) if _handler(code, item) != _handler(code, after))


def _calls(code: types.CodeType) -> list[tuple[dis.Instruction, dis.Instruction]]:
    """Calls, each with the instruction behind it."""
    return [pair for pair in itertools.pairwise(dis.get_instructions(code)) if pair[0].opname.startswith("CALL")]


def _handler(code: types.CodeType, item: dis.Instruction) -> tuple[int, int] | None:
    """Where an exception of this instruction goes, by the exception table of the code.

    An entry is four numbers of six bits to a byte: start and length of what is covered, target, and the depth of the
    stack with a flag (Objects/exception_handling_notes.txt in CPython); the first three count in units of two bytes.
    """
    numbers = _numbers(code.co_exceptiontable)
    for start, length, target, depth in zip(numbers, numbers, numbers, numbers, strict=True):
        if 2 * start <= item.offset < 2 * (start + length):
            return target, depth
    return None


def _numbers(table: bytes) -> Iterator[int]:
    number = 0
    for byte in table:
        number = number << 6 | byte & 63
        if not byte & 64:
            yield number
            number = 0


@contextmanager
def _unheard() -> Iterator[None]:
    """Python tells of what it ignores; here that is many times, and on purpose."""
    before, sys.unraisablehook = sys.unraisablehook, lambda _what: None
    try:
        yield
    finally:
        sys.unraisablehook = before
