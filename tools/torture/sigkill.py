"""R1, R3, R10: processes that are killed or stopped at any moment, alone and together."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from functools import partial
from pathlib import Path

from consist_es import Tracker
from consist_es.log.local import LocalLog
from consist_es.log.presence import is_gone
from consist_es.log.verify import verify
from consist_es.system.storage import LocalStorage
from torture import operations
from torture.children import Ledger, ended, fork, killed
from torture.invariants import batch, check_log
from torture.trial import Trial, require

SEGMENT = 1 << 20
LIVES = 100
"""Kills per log; then it is checked whole and a new one begun."""


def kills(trial: Trial) -> None:
    """R1: SIGKILL and SIGSTOP at random moments, nine of ten in appends, the others in steps."""
    operations.warm(trial.folder / "warm")
    _kill_steps(trial, trial.count // 10)
    _kill_appends(trial, trial.count - trial.count // 10)


# ---------------------------------------------------------------- appends


def _append_for_ever(folder: Path, ledger: Ledger, life: str, chance: random.Random) -> None:
    log = LocalLog(folder, sync="os", segment_size=SEGMENT)
    number = 0
    while True:
        drafts = batch(f"{life}-{number}", chance.randint(1, 3), chance.randint(5_000, 50_000))
        log.append(drafts)
        for draft in drafts:
            ledger.add(str(draft.id))
        number += 1


def _kill_appends(trial: Trial, count: int) -> None:
    for start in trial.cases((count + LIVES - 1) // LIVES):
        room = trial.room(f"log{start}")
        folder, ledger = room / "x.events", Ledger(room / "ledger")
        for life in range(min(LIVES, count - start * LIVES)):
            name, chance = f"{start}.{life}", random.Random(trial.random.random())
            pid = fork(partial(_append_for_ever, folder, ledger, name, chance))
            time.sleep(trial.random.random() * 0.008)
            if life % 10 == 9:
                _stop_for_a_while(trial, pid, folder, ledger, f"{name}-other")
            killed(pid)
            trial.tell("kills in appends")
        with trial.case(f"log {start}", "logs checked"):
            promised = ledger.all()
            trial.tell("acknowledged events", len(promised))
            check_log(folder, LocalStorage, promised, segment_size=SEGMENT)
        ledger.close()
        shutil.rmtree(room)


def _stop_for_a_while(trial: Trial, pid: int, folder: Path, ledger: Ledger, name: str) -> None:
    """Stop a writer in the middle; another one waits or goes on, and goes on at the latest when the first does."""

    def append() -> None:
        drafts = batch(name, 2, 3000)
        LocalLog(folder, sync="os", segment_size=SEGMENT).append(drafts)
        for draft in drafts:
            ledger.add(str(draft.id))

    os.kill(pid, signal.SIGSTOP)
    other = fork(append)
    time.sleep(trial.random.random() * 0.02)
    os.kill(pid, trial.random.choice([signal.SIGCONT, signal.SIGKILL]))
    with trial.case(f"{name}: the other writer", "stops"):
        require(ended(other) == 0, "the other writer failed")


# ---------------------------------------------------------------- steps


def _steps_for_ever(folder: Path, ledger: Ledger, life: int) -> None:
    with operations.inside(folder):
        tracker = operations.opened()
        for number in range(1_000_000):
            with tracker.scenario(f"s{life}") as sc:
                for name in ("a", "b"):
                    options = {"outputs": ["o"], "config": {"n": f"{life}-{number}"}}
                    ledger.add(sc.run(operations.step, name=name, **options).run.id)  # type: ignore[arg-type]
            ledger.add(tracker.find_latest_run(name=f"s{life}").id)


def _kill_steps(trial: Trial, count: int) -> None:
    for start in trial.cases((count + 19) // 20):
        room = trial.room(f"steps{start}")
        operations.prepare(room / "p")
        ledger = Ledger(room / "ledger")
        for life in range(min(20, count - start * 20)):
            pid = fork(partial(_steps_for_ever, room / "p", ledger, life))
            time.sleep(0.005 + trial.random.random() * 0.08)
            killed(pid)
            trial.tell("kills in steps")
        with trial.case(f"steps {start}", "projects checked"), operations.inside(room / "p"):
            trial.tell("acknowledged runs", len(ledger.all()))
            operations.check_project(ledger.all())
        ledger.close()
        shutil.rmtree(room)


# ---------------------------------------------------------------- R3


class Elsewhere(LocalStorage):
    """A process of another boot, of another host, or one whose number has been given to somebody else."""

    def __init__(self, what: str) -> None:
        self._what = what

    def boot(self) -> str:
        return "an earlier boot" if self._what in ("boot", "host") else super().boot()

    def machine(self) -> str:
        return "another machine" if self._what == "host" else super().machine()

    def host(self) -> str:
        return "another-host" if self._what == "host" else super().host()

    def pid_started(self, pid: int) -> str:
        return "1" if self._what == "reused" and pid == os.getpid() else super().pid_started(pid)


GONE = {"killed": True, "boot": True, "reused": True, "host": False, "alive": False}
"""How the process is that left a run without an end -> whether the next one may say that it is gone."""


def abandoned(trial: Trial) -> None:
    """R3: no run of a process that is gone stays `running`, and none of a living one is called abandoned."""
    operations.warm(trial.folder / "warm")
    kinds = list(GONE)
    for number in trial.cases():
        kind = kinds[number % len(kinds)]
        room = trial.room(f"r{number}")
        with trial.case(f"{kind}, case {number}", kind), operations.inside(room):
            _one_abandoned(kind)
        shutil.rmtree(room)


def _leave_open(kind: str, ready: int) -> None:
    tracker = operations.opened(Elsewhere(kind), sync="os")
    with tracker.scenario("s") as sc, sc.trace("t"):
        os.write(ready, b"x")
        time.sleep(30)


def _one_abandoned(kind: str) -> None:
    reading, writing = os.pipe()
    pid = fork(lambda: _leave_open(kind, writing), Path("errors"))
    os.close(writing)
    ready = os.read(reading, 1)
    os.close(reading)
    require(ready, lambda: Path("errors").read_text())
    if kind != "alive":
        killed(pid)
    try:
        with Tracker(run_dir="runs", db_path="p.db", access_mode="read_only") as reader:
            before = {run.status for run in reader.find_runs()}
        require(before == {"running"}, f"a reader sees {before} before the next start")
        _listed_by_verify(gone=GONE[kind])
        with operations.opened(sync="os") as tracker:
            tracker.run(operations.step, outputs=["o"])
            found = sorted(run.status for run in tracker.find_runs())
            second = [event.type for event in tracker.project.log.read()].count("step_abandoned")
    finally:
        if kind == "alive":
            killed(pid)
    expected = ["abandoned"] * 2 + ["completed"] if GONE[kind] else ["completed"] + ["running"] * 2
    require(found == expected, f"after the next start: {found}")
    require(second == (2 if GONE[kind] else 0), f"{second} events say abandoned")


def _listed_by_verify(*, gone: bool) -> None:
    """Before the next start, `verify` names the runs without an end, and whether their process is gone."""
    unended = verify(Path("p.events")).unended
    require(len(unended) == 2, f"verify lists {len(unended)} of 2 open runs")
    for found in unended:
        writer = found.writer
        require(writer is not None, f"verify knows no writer of {found.run}")
        if writer is not None:
            said = is_gone(LocalStorage(), Path("p.events"), writer)
            require(said == gone, f"verify takes the process of {found.run} for {'gone' if said else 'alive'}")


# ---------------------------------------------------------------- R10


WORST_WAIT = 2.0
"""Seconds that no step may take in the long forms, whoever else is at work."""


def together(trial: Trial) -> None:
    """R10: `count` steps by 8 to 64 processes, without and with one SIGKILL per second."""
    operations.warm(trial.folder / "warm")
    for deadly in (False, True):
        with trial.case("with kills" if deadly else "without kills", "projects"):
            _together(trial, deadly)


def _work(folder: Path, ledger: Ledger, waits: Ledger, name: str, count: int) -> None:
    with operations.inside(folder), operations.opened() as tracker:
        for number in range(count):
            began = time.monotonic()
            result = tracker.run(operations.step, name=name, outputs=["o"], config={"n": f"{name}-{number}"})
            waits.add(f"{time.monotonic() - began:.4f}")
            ledger.add(result.run.id)


def _together(trial: Trial, deadly: bool) -> None:
    room = trial.room(f"together-{deadly}")
    operations.prepare(room / "p")
    ledger, waits = Ledger(room / "ledger"), Ledger(room / "waits")
    processes = 8 if trial.count <= 400 else 16 if trial.count <= 16_000 else 64
    steps = trial.count // processes
    pids: dict[int, str] = {}

    def begin(name: str, count: int) -> None:
        pids[fork(partial(_work, room / "p", ledger, waits, name, count), room / f"errors-{name}-{count}")] = name

    for number in range(processes):
        begin(f"w{number}", steps)
    kills, next_kill = 0, time.monotonic() + 1.0
    while pids:
        for pid in [pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0]]:
            del pids[pid]
        if deadly and pids and time.monotonic() > next_kill:
            pid = trial.random.choice(list(pids))
            killed(pid)
            name, kills, next_kill = pids.pop(pid), kills + 1, next_kill + 1.0
            left = steps - sum(run.partition("#")[0] == name for run in ledger.all())
            if left > 0:  # another one takes its place
                begin(name, left)
        time.sleep(0.005)
    errors = [path.read_text()[-400:] for path in room.glob("errors-*")]
    require(not errors, lambda: f"{len(errors)} refused: {errors[0]}")
    with operations.inside(room / "p"):
        acknowledged = ledger.all()
        operations.check_project(acknowledged)
    require(len(set(acknowledged)) == len(acknowledged), "two runs have one id")
    require(len(acknowledged) == steps * processes, f"{len(acknowledged)} of {steps * processes}")
    trial.tell("steps", len(acknowledged))
    trial.tell("kills", kills)
    longest = max(map(float, waits.all()))
    trial.notes["longest step, kills" if deadly else "longest step"] = f"{longest:.2f} s"
    require(longest < WORST_WAIT or not trial.thorough, f"a step took {longest:.2f} s")
    ledger.close()
    waits.close()
    shutil.rmtree(room)
