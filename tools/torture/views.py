"""R11, R17, R18: views that are held open, deleted, damaged or killed while they are made; and old and future logs."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from unittest import mock

import msgspec
from blake3 import blake3

from consist_es.errors import LogFormatError
from consist_es.events import Draft
from consist_es.log.local import LocalLog
from consist_es.log.record import decode_line
from consist_es.projections import BUILTIN
from consist_es.views import file as view_file
from consist_es.views.compare import dump
from consist_es.views.projector import Projector
from torture import operations
from torture.children import ended, fork, killed
from torture.invariants import batch
from torture.trial import Trial, require

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = ("checkpoint", "dead_letter", *(table for view in BUILTIN for table in view.tables))


def digest_of(path: Path) -> str:
    """Digest over every row of every table, in canonical order."""
    with closing(view_file.connect(path)) as conn:
        return blake3(repr([(table, list(dump(conn, table))) for table in TABLES]).encode()).hexdigest()


# ---------------------------------------------------------------- R17


def replays(trial: Trial) -> None:
    """R17: `count` accidents to the views; each time they are, row for row, what a rebuild makes of the log."""
    folder = trial.room("p") / "q"
    _busy_project(folder)
    log = LocalLog(folder / "p.events")
    wanted = _rebuilt(folder, log)
    accidents = list(ACCIDENTS.items())
    for number in trial.cases():
        name, accident = accidents[number % len(accidents)]
        room = trial.folder / f"v{number}"
        room.mkdir()
        with trial.case(f"{name}, case {number}", name), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            accident(room, log, trial.random)
            with Projector(room / "p.db", log, BUILTIN) as views:
                views.catch_up()
            require(digest_of(room / "p.db") == wanted, "the views are not what the log says")
        shutil.rmtree(room)
    for python in trial.interpreters():
        with trial.case(python, "interpreters"):
            for seed in ("1", "2"):
                require(_elsewhere(folder, seed, python) == wanted, f"PYTHONHASHSEED={seed} makes other views")


def _busy_project(folder: Path) -> None:
    operations.prepare(folder)
    with operations.inside(folder), warnings.catch_warnings(), operations.opened(sync="os") as tracker:
        warnings.simplefilter("ignore")
        for verb in [*operations.OPERATIONS.values()] * 2:
            verb(tracker, lambda _run: None)


def _rebuilt(folder: Path, log: LocalLog) -> str:
    with Projector(folder / "p.db", log, BUILTIN) as views:
        views.rebuild(target=folder / "one.db")
        views.rebuild(target=folder / "two.db")
    require(digest_of(folder / "one.db") == digest_of(folder / "two.db"), "two replays differ")
    return digest_of(folder / "one.db")


def _elsewhere(folder: Path, seed: str, python: str) -> str:
    code = (
        "from pathlib import Path; from torture.views import _rebuilt; from consist_es.log.local import LocalLog\n"
        f"folder = Path({str(folder)!r}); print(_rebuilt(folder, LocalLog(folder / 'p.events')))"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _views_until(room: Path, log: LocalLog, chance: random.Random) -> None:
    with Projector(room / "other.db", log, BUILTIN) as views:
        views.rebuild(target=room / "p.db", until=chance.randint(1, log.head().seq))


def _deleted(room: Path, log: LocalLog, chance: random.Random) -> None:
    with Projector(room / "p.db", log, BUILTIN) as views:
        views.catch_up()
        (room / "p.db").unlink()
        views.catch_up()


def _damaged(room: Path, log: LocalLog, chance: random.Random) -> None:
    with Projector(room / "p.db", log, BUILTIN) as views:
        views.catch_up()
    data = bytearray((room / "p.db").read_bytes())
    start = chance.randrange(0, len(data) // 2)
    data[start : start + 4096] = chance.randbytes(min(4096, len(data) - start))
    start = chance.choice([0, 100])
    data[start : start + 60] = bytes(60)
    (room / "p.db").write_bytes(data)


def _killed_while_folding(room: Path, log: LocalLog, chance: random.Random) -> None:
    """Killed after some number of SQLite's steps, from an earlier state or from nothing."""
    if chance.random() < 0.7:
        _views_until(room, log, chance)
    ended(fork(partial(_fold_and_die, room, log, chance.randint(1, 300))))


def _fold_and_die(room: Path, log: LocalLog, steps: int) -> None:
    left = [steps]

    def count() -> int:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    prepare = view_file._prepare

    def with_death(conn: sqlite3.Connection) -> None:
        prepare(conn)
        conn.set_progress_handler(count, 200)

    with (
        mock.patch.object(view_file, "_prepare", with_death),
        mock.patch("consist_es.views.projector.BATCH", 3),
        mock.patch("consist_es.views.folding.BATCH", 3),
        Projector(room / "p.db", log, BUILTIN) as views,
    ):
        views.catch_up()


ACCIDENTS: dict[str, Callable[[Path, LocalLog, random.Random], None]] = {
    "deleted": _deleted,
    "an earlier state": _views_until,
    "damaged": _damaged,
    "killed while folding": _killed_while_folding,
    "killed while folding again": _killed_while_folding,
}


# ---------------------------------------------------------------- R11


def _hold_reading(path: Path, ready: int) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM runs").fetchall()
        os.write(ready, b"x")
        time.sleep(120)


def _hold_writing(path: Path, ready: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        os.write(ready, b"x")
        time.sleep(120)


def _follow(path: Path, ready: int) -> None:
    log = LocalLog(path.with_name("p.events"))
    cursor = log.head()
    os.write(ready, b"x")
    while True:
        for event in log.read(cursor):
            cursor = log.cursor_after(event)
        time.sleep(0.02)  # one that never rests would take a processor, which is no fault of the log


HOLDERS = {"a reader's transaction": _hold_reading, "a writer's transaction": _hold_writing, "a follower": _follow}


SLOWER = 1.1
"""Times as long as without a holder: what the median of all turns stays below in the long forms."""
WARM = 10
"""Steps that do not count, for every turn opens the project: on views that were just made, the first seven or so take
up to a sixth longer."""
TURN = 10
"""Steps without a holder, then as many with one, and so on: what else the machine does strikes both."""


def holders(trial: Trial) -> None:
    """R11: `count` steps while somebody holds the views or follows the log, and `count` while nobody does; nothing is
    lost or refused, and in the long forms nothing is a tenth slower."""
    for number, (name, hold) in enumerate(HOLDERS.items()):
        room = trial.folder / f"h{number}"
        with trial.case(name, "holders"):
            operations.prepare(room)
            _held(trial, room, name, hold)
        shutil.rmtree(room, ignore_errors=True)


def _held(trial: Trial, room: Path, name: str, hold: Callable[[Path, int], None]) -> None:
    medians: dict[bool, list[float]] = {False: [], True: []}
    longest = 0.0
    names: list[str] = []
    for turn in range(0, trial.count, TURN):
        for held in (False, True):
            seconds: list[float] = []
            pid = _holder(room, hold) if held else 0
            try:
                names += _some_steps(room, min(TURN, trial.count - turn), seconds, f"{turn}-{held}")
            finally:
                if pid:
                    killed(pid)
            medians[held].append(statistics.median(seconds))
            longest = max(longest, *seconds) if held else longest
    trial.tell("steps", len(names))
    with operations.inside(room):
        operations.check_project(names)
    # Turn by turn: a machine that is slower for a while is so for both of a pair, but shifts the medians of all steps.
    slower = statistics.median(held / alone for alone, held in zip(medians[False], medians[True], strict=True))
    shown = f"median {statistics.median(medians[True]) * 1000:.1f} ms, {slower:.2f} times as long as without"
    trial.notes[name] = f"{shown}; longest {longest:.2f} s"
    require(slower < SLOWER or not trial.thorough, shown)


def _holder(room: Path, hold: Callable[[Path, int], None]) -> int:
    reading, writing = os.pipe()
    pid = fork(partial(hold, room / "p.db", writing), room / "errors")
    os.close(writing)
    ready = os.read(reading, 1)
    os.close(reading)
    require(ready, "the holder failed")
    return pid


def _some_steps(room: Path, count: int, seconds: list[float], name: str) -> list[str]:
    """Steps one after the other, after some whose times do not count; run ids."""
    names = []
    with operations.inside(room), warnings.catch_warnings(), operations.opened(sync="os") as tracker:
        warnings.simplefilter("ignore")  # that the views are kept elsewhere
        for number in range(WARM + count):
            began = time.monotonic()
            names.append(tracker.run(operations.step, outputs=["o"], config={"n": f"{name}-{number}"}).run.id)
            if number >= WARM:
                seconds.append(time.monotonic() - began)
    return names


# ---------------------------------------------------------------- R18


def golden(trial: Trial) -> None:
    """R18: every line ever released decodes and folds; a log of a future version is refused and left alone."""
    lines = sorted((ROOT / "tests" / "golden").glob("*.jsonl"))
    log = LocalLog(trial.folder / "p.events", sync="os")
    for path in lines:
        with trial.case(path.name, "golden lines"):
            found = decode_line(path.read_bytes(), 1, 0)
            require(type(found.event).__name__ != "UnknownEvent", "unknown")
            if found.type not in ("segment_sealed", "log_closed"):  # nothing could be appended after it
                log.append([Draft(found.event, scenario=found.scenario, run=found.run)])  # type: ignore[arg-type]
    with trial.case("fold", "replays"), Projector(trial.folder / "p.db", log, BUILTIN) as views:
        views.catch_up()  # the lines were not made to fit together: some become dead letters, the same ones each time
        views.rebuild(target=trial.folder / "r.db")
        require(views.compare(trial.folder / "r.db") == {}, "live and rebuilt differ")
    _future(trial, log)


def _future(trial: Trial, log: LocalLog) -> None:
    path = log.folder / "00000001.jsonl"
    header, rest = path.read_bytes().split(b"\n", 1)
    plain = msgspec.json.decode(header) | {"version": 2}
    path.write_bytes(msgspec.json.encode(plain) + b"\n" + rest)
    files = [path for path in log.folder.iterdir() if path.is_file() and path.name != "lock"]
    before = {path.name: path.read_bytes() for path in files}
    fresh = LocalLog(log.folder)
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: list(fresh.read()),
        "append": lambda: fresh.append(batch("future", 1)),
    }
    for what, call in calls.items():
        with trial.case(f"future log, {what}", "future logs"):
            try:
                call()
            except LogFormatError as error:
                require("newer" in str(error), f"{error}")
            else:
                raise AssertionError("not refused")
            after = {name: (log.folder / name).read_bytes() for name in before}
            require(after == before, "something was written")
