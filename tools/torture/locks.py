"""R26, R27: lock files that people delete, and processes that are killed beside others that live."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

from consist_es import Tracker
from consist_es.log import tail
from consist_es.log.local import LocalLog
from consist_es.log.presence import FOLDER
from consist_es.projections import BUILTIN
from consist_es.system.storage import LocalStorage, Storage
from consist_es.views import file as view_file
from consist_es.views.projector import Projector
from torture import operations
from torture.children import Ledger, ended, fork, killed
from torture.faulty_storage import READS, WRITES, FaultyStorage, Plan
from torture.invariants import batch, check_log
from torture.trial import Trial, require
from torture.views import digest_of

SEGMENT = 1 << 20
STALE = 0.02
"""Seconds that are waited here for who is stopped: elsewhere some."""
STEPS = 500
"""Steps of SQLite's machine between two places to stop."""


def stop() -> None:
    """As `kill -STOP` from a terminal: goes on when somebody says so."""
    os.kill(os.getpid(), signal.SIGSTOP)


# ---------------------------------------------------------------- R26


class _Places(Plan):
    """Stops at the `at`-th place: a call of the storage, or after so many steps of SQLite."""

    def __init__(self, at: int) -> None:
        super().__init__(at, deed=stop, among=WRITES | READS)

    def step(self) -> int:
        """For SQLite's progress handler."""
        self.calls += 1
        if self.calls == self.at:
            stop()
        return 0


Work = Callable[[Path, Storage, Ledger], None]


def _append(size: int, room: Path, storage: Storage, ledger: Ledger) -> None:
    log = LocalLog(room / "p.events", storage=storage, segment_size=size)
    for name in ("first", "second"):
        log.append(drafts := batch(name, 2, 300), commit=True)
        for draft in drafts:
            ledger.add(str(draft.id))
    log.close()


def _catch_up(room: Path, storage: Storage, _ledger: Ledger) -> None:
    log = LocalLog(room / "p.events", storage=storage)
    with Projector(room / "p.db", log, BUILTIN, storage=storage) as views:
        views.catch_up()


def _rebuild(room: Path, storage: Storage, _ledger: Ledger) -> None:
    log = LocalLog(room / "p.events", storage=storage)
    with Projector(room / "p.db", log, BUILTIN, storage=storage) as views:
        views.rebuild()


def _none(_room: Path, _log: LocalLog) -> None:
    """There are no views yet."""


def _some(room: Path, log: LocalLog) -> None:
    with Projector(room / "other.db", log, BUILTIN) as views:
        views.rebuild(target=room / "p.db", until=log.head().seq // 2)


def _broken(room: Path, log: LocalLog) -> None:
    _some(room, log)
    data = bytearray((room / "p.db").read_bytes())
    data[100:4000] = bytes(3900)
    (room / "p.db").write_bytes(data)


KINDS: dict[str, tuple[Work, Callable[[Path, LocalLog], None]]] = {
    "append": (partial(_append, SEGMENT), _none),
    "append, a segment for each batch": (partial(_append, 900), _none),
    "views made": (_catch_up, _none),
    "views folded": (_catch_up, _some),
    "views made again": (_rebuild, _some),
    "damaged views made again": (_catch_up, _broken),
}
"""What the process does that is stopped, and how it finds the views."""


def deleted_locks(trial: Trial) -> None:
    """R26: at every `count`-th place of what a process does it is stopped, both lock files are deleted, another process
    records and asks, and the first goes on: nothing that was acknowledged is lost, and the views are what a rebuild
    makes."""
    base = trial.room("base")
    log = LocalLog(base / "p.events", sync="os")
    for number in range(8):
        log.append(batch(f"before{number}", 2, 400), commit=number % 2 == 0)
    log.close()
    for kind in KINDS:
        at, reached = 1, True
        while reached:
            room = trial.room("case") / "q"
            shutil.copytree(base, room)
            with trial.case(f"{kind}, place {at}", kind):
                reached = False  # where it breaks, the next kind
                reached = _one_deleted(trial, kind, at, room)
            shutil.rmtree(room.parent)
            at += trial.count


def _one_deleted(trial: Trial, kind: str, at: int, room: Path) -> bool:
    """Whether there was such a place."""
    work, prepare = KINDS[kind]
    prepare(room, LocalLog(room / "p.events"))
    ledger = Ledger(room / "ledger")
    first = fork(partial(_stopped, work, at, room, ledger), room / "errors-first")
    _, status = os.waitpid(first, os.WUNTRACED)
    reached = os.WIFSTOPPED(status)
    if reached:
        for path in (room / "p.events" / "lock", room / "p.db.lock"):
            path.unlink(missing_ok=True)
        other = fork(partial(_goes_on, room, ledger), room / "errors-other")
        fine = ended(other) == 0
        os.kill(first, signal.SIGCONT)
        require(ended(first) == 0, lambda: f"the first failed: {(room / 'errors-first').read_text()[-400:]}")
        require(fine, lambda: f"the other failed: {(room / 'errors-other').read_text()[-400:]}")
    else:
        require(os.waitstatus_to_exitcode(status) == 0, lambda: (room / "errors-first").read_text()[-400:])
    check_log(room / "p.events", LocalStorage, ledger.all(), segment_size=SEGMENT)
    ledger.close()
    _check_views(room)
    return reached


@contextmanager
def _impatient(room: Path) -> Iterator[None]:
    """Nobody is waited for long, and what is kept elsewhere is kept in the room."""
    with (
        mock.patch.object(tail, "STALE", STALE),
        mock.patch.object(view_file, "STALE", STALE),
        mock.patch.object(tempfile, "tempdir", str(room)),
    ):
        yield


def _stopped(work: Work, at: int, room: Path, ledger: Ledger) -> None:
    places = _Places(at)
    prepare = view_file._prepare

    def with_places(conn: sqlite3.Connection) -> None:
        prepare(conn)
        conn.set_progress_handler(places.step, STEPS)

    with _impatient(room), mock.patch.object(view_file, "_prepare", with_places):
        work(room, FaultyStorage(LocalStorage(), places), ledger)


def _goes_on(room: Path, ledger: Ledger) -> None:
    """What is recorded and asked while the first is stopped."""
    with _impatient(room):
        log = LocalLog(room / "p.events", segment_size=SEGMENT)
        with Projector(room / "p.db", log, BUILTIN) as views:
            for name in ("third", "fourth"):
                log.append(drafts := batch(name, 2, 300), commit=True)
                for draft in drafts:
                    ledger.add(str(draft.id))
                views.catch_up()
            views.rebuild(target=room / "asked.db")
            require(
                digest_of(views.path) == digest_of(room / "asked.db"), "the other's views are not what its log says"
            )
        log.close()


def _check_views(room: Path) -> None:
    """As a process finds them that comes later, and with nothing left lying about."""
    with Projector(room / "p.db", LocalLog(room / "p.events"), BUILTIN) as views:
        views.catch_up()
        require(views.path == room / "p.db", f"the views are at {views.path}")
        views.rebuild(target=room / "again.db")
    require(digest_of(room / "p.db") == digest_of(room / "again.db"), "the views are not what the log says")
    with closing(sqlite3.connect(room / "p.db")) as conn:
        said = conn.execute("PRAGMA integrity_check").fetchone()[0]
    require(said == "ok", f"SQLite says of the views: {said}")
    left = [path.name for path in room.glob("p.db.rebuild*")]
    require(not left, f"left behind: {left}")


# ---------------------------------------------------------------- R27


class Asking(LocalStorage):
    """The system as who asks sees it: in another container, after a reboot, on another machine, by a network."""

    def __init__(self, where: str) -> None:
        self._where = where

    def pid_namespace(self) -> str:
        return super().pid_namespace() if self._where == "here" else "pid:[1]"

    def boot(self) -> str:
        return super().boot() if self._where in ("here", "container", "network") else "another boot"

    def machine(self) -> str:
        return "another machine" if self._where == "machine" else super().machine()

    def is_local(self, path: Path) -> bool:
        return self._where != "network" and super().is_local(path)

    def pid_started(self, pid: int) -> str:
        """Elsewhere the number is another process's, if it is anybody's."""
        return super().pid_started(pid) if self._where == "here" or pid == os.getpid() else "1"


ASKED = {"here": True, "container": True, "reboot": True, "machine": False, "network": False}
"""From where it is asked -> whether a death can be seen from there. A life never looks like one."""


def live_or_dead(trial: Trial) -> None:
    """R27: writers are killed at random moments beside one that lives or is stopped. The next process calls those
    dead, at once, that it can be certain of, and never the living one, which goes on to its end."""
    operations.warm(trial.folder / "warm")
    places = list(ASKED)
    for number in trial.cases():
        where = places[number % len(places)]
        room = trial.room(f"w{number}")
        with trial.case(f"{where}, case {number}", where), operations.inside(room):
            _one_killed(trial, where, stopped=number % 2 == 1, orphan=number // len(places) % 2 == 0)
        shutil.rmtree(room)


def _work(orphan: bool, ready: int, over: int) -> None:
    """Scenarios without end; where the process has children that outlive it, they hold nothing of their parent's."""
    tracker = operations.opened(sync="os")
    if not orphan:
        os.write(ready, b"x")
    for number in range(1_000_000):
        with tracker.scenario(f"k{number}") as sc:
            for name in ("a", "b"):
                sc.run(operations.step, name=name, outputs=["o"], config={"n": number})
                if orphan and number == 0:
                    fork(partial(_outlive, ready, over))


def _outlive(ready: int, over: int) -> None:
    """Begins to count once it runs: until then it has everything open that its parent had."""
    os.write(ready, b"x")
    os.read(over, 1)


def _live(ready: int, go: int) -> None:
    with operations.opened(sync="os") as tracker, tracker.scenario("alive") as sc, sc.trace("t"):
        os.write(ready, b"x")
        os.read(go, 1)


def _one_killed(trial: Trial, where: str, *, stopped: bool, orphan: bool) -> None:
    ready, ready_end = os.pipe()
    go, go_end = os.pipe()
    living = fork(lambda: _live(ready_end, go), Path("errors"))
    os.close(ready_end)
    with ExitStack() as undone:
        for fd in (ready, go, go_end):
            undone.callback(os.close, fd)
        require(os.read(ready, 1), lambda: Path("errors").read_text())
        if stopped:
            os.kill(living, signal.SIGSTOP)
        try:
            for _ in range(2):
                with _one_that_was_killed(trial.random, orphan):
                    _ask(trial, where)
        finally:
            os.kill(living, signal.SIGCONT)
            os.write(go_end, b"x")
            code = ended(living)
        require(code == 0, lambda: Path("errors").read_text())
    with Tracker("runs", "p.db", access_mode="read_only") as reader:
        found = {run.id: run.status for run in reader.find_runs(limit=None) if run.id.startswith("alive")}
        require(set(found.values()) == {"completed"}, f"the living one's runs: {found}")
        types = [event.type for event in reader.project.log.read() if (event.scenario or "").startswith("alive")]
    require("step_abandoned" not in types, "the living one was called dead")
    require(not list(Path("p.events", "writers").glob("*")) or not ASKED[where], "a file of a writer is left behind")


@contextmanager
def _one_that_was_killed(chance: random.Random, orphan: bool) -> Iterator[None]:
    """Its children live until the end of the block."""
    ready, ready_end = os.pipe()
    over, over_end = os.pipe()

    def work() -> None:
        os.close(over_end)
        _work(orphan, ready_end, over)

    pid = fork(work)
    os.close(ready_end)
    if chance.random() < 0.8:  # else also while it starts
        os.read(ready, 1)
    time.sleep(chance.random() * 0.1)
    killed(pid)
    try:
        yield
    finally:
        for fd in (ready, over, over_end):
            os.close(fd)


def _ask(trial: Trial, where: str) -> None:
    """The next process, and what it makes of the runs of others."""
    with Tracker("runs", "p.db", access_mode="read_only") as reader:
        before = [run.id for run in reader.find_runs(status="running", limit=None) if not run.id.startswith("alive")]
    with operations.opened(Asking(where), sync="os") as tracker:
        tracker.run(operations.step, outputs=["o"])
        found = {run.id: run.status for run in tracker.find_runs(limit=None)}
    trial.tell("runs left open", len(before))
    wanted = "abandoned" if ASKED[where] else "running"
    odd = {run: found[run] for run in before if found[run] != wanted}
    require(not odd, f"after the next start: {odd}, not {wanted}")
    lives = {run: status for run, status in found.items() if run.startswith("alive")}
    require(set(lives.values()) == {"running"}, f"of the living one: {lives}")
    files = list(Path("p.events", FOLDER).iterdir())
    require(len(files) == 1 or not ASKED[where], f"{len(files)} files of writers beside one that lives")
