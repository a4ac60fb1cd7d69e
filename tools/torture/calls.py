"""R2 and R8: every call that a verb makes of the operating system is the one that kills it, or fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from consist_es.errors import ConsistError
from consist_es.system.storage import LocalStorage
from torture import operations
from torture.children import Ledger, ended, fork
from torture.faulty_storage import ERRORS, WRITES, FaultyStorage, Plan, kill
from torture.trial import MOST_FAILURES, Trial, require

CAME_THROUGH, STRUCK = 0, 10
"""Exit status of a child whose plan was not reached, or that survived what it brought."""
KILLED = -9
MOST = 10_000
"""Calls that no verb makes."""


class Part(NamedTuple):
    """Some of the calls: of these verbs, the `first` and every `step`-th from there."""

    verbs: tuple[str, ...]
    first: int = 1
    step: int = 1


def _child(verb: str, plan: Plan, ledger: Ledger) -> None:
    """A verb with its fault; then the same tracker must be good for another step."""
    faulty = FaultyStorage(LocalStorage(), plan)
    struck = False
    try:
        tracker = operations.opened(faulty)
    except ConsistError:
        struck = True
        plan.lift()
        tracker = operations.opened(faulty)
    try:
        operations.OPERATIONS[verb](tracker, ledger.add)
    except ConsistError:
        struck = True
    struck = struck or plan.reached
    plan.lift()
    ledger.add(tracker.run(operations.step, name="next", outputs=["o"], config={"n": "next"}).run.id)
    os._exit(STRUCK if struck else CAME_THROUGH)


def disturbed(trial: Trial, verb: str, plan: Plan, template: Path, number: int) -> int:
    """Run a verb in a child with a fault, and check the project afterwards; the child's exit status."""
    room = trial.folder / f"{number}"
    operations.copied(template, room)
    ledger = Ledger(trial.folder / f"{number}.ledger")
    errors = trial.folder / f"{number}.errors"

    def work() -> None:
        with operations.inside(room):
            _child(verb, plan, ledger)

    status = ended(fork(work, errors))
    try:
        require(status in (CAME_THROUGH, STRUCK, KILLED), lambda: errors.read_text()[-700:])
        with operations.inside(room):
            operations.check_project(ledger.all())
    finally:
        ledger.close()
        shutil.rmtree(room)
    return status


def template(trial: Trial) -> Path:
    """A project to copy."""
    operations.warm(trial.folder / "warm")
    operations.prepare(trial.folder / "template")
    return trial.folder / "template"


def _every_call(
    trial: Trial, plans: Callable[[int], list[Plan]], told: str, stride: int = 1, part: Part | None = None
) -> None:
    """Verb by verb: the fault at call 1, 2, 3 …, until a verb comes through without it."""
    made = template(trial)
    number = 0
    part = part or Part(tuple(operations.OPERATIONS))
    for verb in part.verbs:
        at, most = part.first + part.step * trial.random.randrange(stride), 0
        for _ in trial.cases(MOST):
            reached = False
            for plan in plans(at):
                number += 1
                status = STRUCK  # a case that fails says nothing about whether it was the last one
                with trial.case(f"{verb}, call {at}, {_shown(plan)}", told):
                    status = disturbed(trial, verb, plan, made, number)
                reached = reached or status != CAME_THROUGH
            if not reached or trial.failed > MOST_FAILURES:
                break
            most = at
            at += stride * part.step
        else:
            trial.stopped.append(f"{verb}: nothing was tried after call {most}")
        trial.notes[f"calls of {verb}"] = most


def _shown(plan: Plan) -> str:
    words = [errno.errorcode.get(plan.error or 0, "killed")]
    words += [word for word in ("lasting", "after", "short") if getattr(plan, word)]
    return " ".join(words)


def kill_points(trial: Trial) -> None:
    """R2: each verb is killed at each of its calls that change something; of a write, half is done."""
    _every_call(trial, lambda at: [Plan(at, deed=kill, short=True, among=WRITES)], "kill points", max(trial.count, 1))


PARTS = {
    "R8": Part(("run", "run, a hit", "run, outputs copied")),
    "R8a": Part(("arun", "trace", "replay")),
    "R8c": Part(("scenario",), 1, 2),
    "R8d": Part(("scenario",), 2, 2),
    "R8l": Part(("log_*", "failure")),
    "R8x": Part(("redact",)),
}
"""R8 has so many calls that it is several rows, each of which ends in a minute; together they have them all."""


def failing_calls(trial: Trial, row: str) -> None:
    """R8: each call of each verb fails; with `count` 0 with every error, else with a stride and changing errors."""
    plans = _all_errors if trial.count == 0 else _one_error
    _every_call(trial, plans, "failing calls", max(trial.count, 1), PARTS[row])


def _all_errors(at: int) -> list[Plan]:
    plans = [Plan(at, error, lasting=lasting) for error in ERRORS for lasting in (False, True)]
    return [*plans, Plan(at, errno.ENOSPC, short=True), Plan(at, errno.EIO, after=True)]


def _one_error(at: int) -> list[Plan]:
    error = ERRORS[at // 2 % len(ERRORS)]
    return [Plan(at, error, lasting=at % 4 == 0, short=at % 3 == 0, after=at % 5 == 0)]
