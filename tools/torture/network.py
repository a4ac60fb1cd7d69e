"""R25: file systems like a network's: without locks, with handles that go stale, renames that are no whole thing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from consist_es.errors import ConsistError, LogLockError
from consist_es.events import Draft, StepAbandoned
from consist_es.log.archive import archive
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.system.storage import LocalStorage
from torture import operations
from torture.calls import disturbed, template
from torture.faulty_storage import Plan
from torture.injected import struck
from torture.memory_disk import fault
from torture.trial import Trial, require

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def network(trial: Trial) -> None:
    """R25: no locks at all is a refusal; a stale handle at any call is an error or no harm; a rename that was done
    but is reported as failed, or that was half done, is survived; without memory that processes share through a file
    the views are kept elsewhere."""
    made = template(trial)
    for number, how in enumerate(TornRename.HOW):
        with trial.case(f"rename, {how}", f"rename, {how}"):
            _with_torn_renames(trial, made, how, number)
    _torn_in_the_log(trial)
    _without_shared_memory(trial)
    for number, (what, plan) in enumerate(_network_plans(trial.count)):
        with trial.case(f"{what}, call {plan.at}", what):
            if what == "no locks":
                _refused_without_locks(trial, plan, made, number)
            else:
                disturbed(trial, "run", plan, made, number)


class NoLocks(LocalStorage):
    """A file system below a folder that has no locks."""

    def __init__(self, folder: Path, error: int) -> None:
        self._folder, self._error = str(folder), error

    def flock(self, fd: int, *, blocking: bool) -> bool:
        if os.readlink(f"/proc/self/fd/{fd}").startswith(self._folder):  # noqa: PTH115
            raise fault(self._error)
        return super().flock(fd, blocking=blocking)


class TornRename(LocalStorage):
    """A file system whose renames are not atomic: the `at`-th is half done, and said to have failed."""

    HOW = ("both names there", "the target gone", "done")

    def __init__(self, how: str, at: int) -> None:
        self._how, self._at = how, at
        self.renames = 0

    def rename(self, source: Path, target: Path) -> None:
        self.renames += 1
        if self.renames != self._at:
            return super().rename(source, target)
        if self._how == "done":
            super().rename(source, target)
        else:
            target.unlink(missing_ok=True)
        if self._how == "both names there":
            target.hardlink_to(source)
        raise fault(errno.EIO)


def _with_torn_renames(trial: Trial, made: Path, how: str, number: int) -> None:
    """Views that are made where there are none are put there by a rename; the next process goes on."""
    room = trial.folder / f"torn{number}"
    operations.copied(made, room)
    for path in room.glob("p.db*"):
        path.unlink()
    storage, acknowledged = TornRename(how, 1), []
    with operations.inside(room), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            with contextlib.suppress(ConsistError), operations.opened(storage) as tracker:
                run = tracker.run(operations.step, outputs=["o"], config={"n": number + 1})
                acknowledged.append(run.run.id)
        require(storage.renames, "nothing was renamed")
        require(acknowledged, "nothing could be recorded")
        operations.check_project(acknowledged)
    shutil.rmtree(room)


def _torn_in_the_log(trial: Trial) -> None:
    """Every rename of a log: new segments, blobs, a redaction, a segment put away."""
    for how in TornRename.HOW:
        for at in range(1, 100):
            folder = trial.room(f"renames {how} {at}")
            with trial.case(f"rename {at} of a log, {how}", f"renames of a log, {how}"):
                if not _torn_once(folder, how, at):
                    break
            shutil.rmtree(folder)


def _torn_once(folder: Path, how: str, at: int) -> bool:
    """A log whose `at`-th rename is torn; the same operations go on, and nothing acknowledged is gone."""
    storage, acknowledged = TornRename(how, at), list[str]()
    log = LocalLog(folder / "x.events", storage=storage, segment_size=3000)
    (folder / "away").mkdir()

    def add(name: str, text: str) -> None:
        log.append([Draft(StepAbandoned(reason=text), id=name)], commit=True)
        acknowledged.append(name)

    deeds: list[Callable[[], object]] = [partial(add, f"{n}", "x" * 300) for n in range(14)]
    deeds.insert(5, partial(add, "bulk", "y" * 2_000_000))
    deeds += [
        lambda: log.redact(_places(log, "2", "9"), "torn"),
        lambda: list(archive(storage, log.folder, folder / "away")),
    ]
    deeds += [partial(add, f"after {n}", "z") for n in range(3)]
    for deed in deeds:
        for _ in range(2):  # who is told that it failed tries again
            with contextlib.suppress(ConsistError):
                deed()
                break
    fresh = LocalLog(folder / "x.events")
    fresh.append([Draft(StepAbandoned(reason="fresh"), id="fresh")], commit=True)
    found = [event.id for event in fresh.read()]
    require(set(acknowledged) <= set(found), f"lost: {sorted(set(acknowledged) - set(found))}")
    require(found[-1] == "fresh" and len(acknowledged) == 18, f"{len(acknowledged)} of 18 were acknowledged")
    report = verify(folder / "x.events")
    require(report.ok and report.redacted == _places(fresh, "2", "9"), lambda: f"{report.problems}")
    return storage.renames >= at


def _places(log: LocalLog, *names: str) -> list[int]:
    return [event.seq for event in log.read() if event.id in names]


def _without_shared_memory(trial: Trial) -> None:
    """SQLite's WAL mode maps a file; where that fails (ENODEV), everything works with views elsewhere."""
    if shutil.which("strace") is None:
        trial.lacks("no strace")
        return
    for verb in ("run", "scenario", "replay"):
        with trial.case(f"{verb} without shared memory", "no shared memory"):
            require(struck(trial.folder, verb, "mmap", "error=ENODEV", ("p.db-shm",)), "nothing was mapped")
            require((trial.folder / "ledger").read_text() or verb == "replay", "it was refused")


def _network_plans(count: int) -> Iterator[tuple[str, Plan]]:
    for error in NO_LOCKS:
        yield "no locks", Plan(1, error, lasting=True, among=frozenset({"flock"}))
    for at in range(1, count + 1):
        yield "stale handle", Plan(at, errno.ESTALE)
        yield "lost reply", Plan(at, errno.EIO, after=True)


def _refused_without_locks(trial: Trial, plan: Plan, made: Path, number: int) -> None:
    room = trial.folder / f"nolock{number}"
    operations.copied(made, room)
    before = operations.events_of(room)
    with operations.inside(room), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the views are kept elsewhere
        try:
            with operations.opened(NoLocks(room, plan.error or 0)) as tracker:
                tracker.run(operations.step, outputs=["o"], config={"n": "nolock"})
        except LogLockError:
            pass
        else:
            raise AssertionError("a step was recorded without a lock")
    require(operations.events_of(room) == before, "something was written without a lock")
    shutil.rmtree(room)
