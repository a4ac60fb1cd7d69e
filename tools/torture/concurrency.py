"""R24: threads, forks, pools, event loops, and interrupts (Ctrl-C) at any moment of an append."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import consist_es as consist
from consist_es import Tracker
from consist_es.log.local import LocalLog
from consist_es.system.storage import LocalStorage
from torture import operations
from torture.children import Ledger, ended, fork
from torture.invariants import batch, check_log
from torture.trial import Trial, require

SEGMENT = 20_000


def company(trial: Trial) -> None:
    """R24: five kinds of company, then `count` interrupts inside appends."""
    operations.warm(trial.folder / "warm")
    for number, (name, work) in enumerate(KINDS.items()):
        room = trial.folder / f"k{number}"
        with trial.case(name, "kinds"):
            operations.prepare(room)
            errors = trial.folder / f"errors{number}"
            status = ended(fork(partial(_inside, room, work), errors))
            require(status == 0, lambda errors=errors: errors.read_text()[-700:] if errors.exists() else "killed")
            with operations.inside(room):
                operations.check_project()
    _interrupts(trial)


def _inside(room: Path, work: Callable[[Tracker], None]) -> None:
    with operations.inside(room), operations.opened() as tracker:
        work(tracker)


def _one(tracker: Tracker, name: str) -> str:
    """A step whose output must be its own: no cross-talk."""
    result = tracker.run(operations.step, name=name, outputs=["o"], config={"n": name})
    require(result.outputs["o"].path.read_text() == f"{name}\n", f"{name} got the output of another step")
    require(result.run.status == "completed", result.run.status)
    return result.run.id


def _threads(tracker: Tracker) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: _one(tracker, f"t{n % 8}-{n}"), range(40)))
    require(len(set(ids)) == 40, "run ids are not distinct")


def _forks(tracker: Tracker) -> None:
    """Forked with an open tracker, while other threads have it open too and one of them appends."""
    stop, ready = threading.Event(), threading.Barrier(4)

    def wait() -> None:
        _one(tracker, f"thread-{threading.get_ident()}")
        ready.wait()
        stop.wait()

    def append() -> None:
        ready.wait()
        number = 0
        while not stop.is_set():
            tracker.project.log.append(batch(f"p{number}", 2))
            number += 1

    threads = [threading.Thread(target=work) for work in (wait, wait, append)]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        pids = [fork(partial(_in_child, tracker, n), Path(f"child-{n}")) for n in range(6)]
        statuses = [ended(pid) for pid in pids]
        _one(tracker, "parent")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    require(statuses == [0] * 6, lambda: f"{statuses}: {[path.read_text()[-400:] for path in Path().glob('child-*')]}")


def _in_child(tracker: Tracker, number: int) -> None:
    signal.alarm(40)
    _one(tracker, f"child-{number}")
    tracker.close()


def _spawned(name: str) -> str:
    with operations.opened() as tracker:
        return _one(tracker, name)


def _pool(tracker: Tracker) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        ids = list(pool.map(_spawned, [f"p{n}" for n in range(6)]))
    require(len(set(ids)) == 6, "run ids are not distinct")
    _one(tracker, "afterwards")


def _asyncio(tracker: Tracker) -> None:
    async def one(n: int) -> str:
        result = await tracker.arun(operations.astep, name=f"a{n}", outputs=["o"], config={"n": f"a{n}"})
        require(result.outputs["o"].path.read_text() == f"a{n}\n", "cross-talk")
        return result.run.id

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(*(one(n) for n in range(20))))

    require(len(set(asyncio.run(all_of_them()))) == 20, "run ids are not distinct")


def _logs_from_threads() -> None:
    """A step whose own threads log, each with the step's context."""
    import contextvars

    def log(n: int) -> None:
        path = operations.made(f"from-{n}")
        consist.log_output(path, f"o{n}")

    threads = [threading.Thread(target=contextvars.copy_context().run, args=(log, n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _thread_inside_a_step(tracker: Tracker) -> None:
    tracker.run(_logs_from_threads)
    found = sorted(tracker.get_run_outputs("_logs_from_threads"))
    require(found == ["o0", "o1", "o2", "o3"], f"outputs: {found}")


KINDS: dict[str, Callable[[Tracker], None]] = {
    "8 threads": _threads,
    "forks of an open tracker": _forks,
    "a pool of spawned processes": _pool,
    "asyncio": _asyncio,
    "threads inside a step": _thread_inside_a_step,
}


# ---------------------------------------------------------------- interrupts


def _interrupts(trial: Trial) -> None:
    folder, ledger = trial.folder / "x.events", Ledger(trial.folder / "ledger")
    with trial.case("interrupts", "logs"):
        work = partial(_interrupted, folder, ledger, trial.count, random.Random(trial.seed))
        status = ended(fork(work, trial.folder / "interrupted"), 300)
        require(status == 0, lambda: (trial.folder / "interrupted").read_text()[-700:])
        trial.tell("interrupts", trial.count)
        check_log(folder, LocalStorage, ledger.all(), segment_size=SEGMENT)
    ledger.close()


def _interrupt(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)  # the interpreter ignores an exception in a finalizer: once more then
    raise KeyboardInterrupt


def _interrupted(folder: Path, ledger: Ledger, count: int, chance: random.Random) -> None:
    log = LocalLog(folder, sync="os", segment_size=SEGMENT)
    log.append(batch("first", 1))
    signal.signal(signal.SIGALRM, _interrupt)
    number = interrupted = 0
    while interrupted < count:
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 2e-3))
            while True:
                number += 1
                log.append(batch(f"b{number}", 2))
                ledger.add(f"b{number}:0:2\nb{number}:1:2")
        except KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            interrupted += 1
