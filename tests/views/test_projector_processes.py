"""Several threads, processes and forked children on one view file, and processes that are killed."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consist_es.events import Recorded
from consist_es.projections import BUILTIN, run_table
from consist_es.views import file as view_file
from consist_es.views import projector as projector_module
from consist_es.views.folding import Statement
from tests.support.views import make_log, make_views, rows, scenario, state, step

if TYPE_CHECKING:
    import sqlite_utils

ROOT = Path(__file__).resolve().parents[2]
COUNT = "SELECT count(*), count(DISTINCT key) FROM runs"


def python(folder: Path, code: str) -> subprocess.Popen[str]:
    """A process of its own that runs `code` with `log` and `views` of the folder."""
    start = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from tests.support.views import *\n"
        f"folder = Path({str(folder)!r})\nlog = make_log(folder)\nviews = make_views(folder, log)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True, env=environment)


KILLED_IN_A_FOLD = """
import consist_es.views.folding, consist_es.views.projector
from consist_es.projections import audit_index
fold_group = audit_index.fold_group
def deadly(events):
    if any(recorded.seq == {seq} for recorded in events):
        os.kill(os.getpid(), signal.SIGKILL)
    return fold_group(events)
audit_index.fold_group = deadly
consist_es.views.folding.BATCH = consist_es.views.projector.BATCH = 4
views.catch_up()
"""

KILLED_AT_THE_CHECKPOINT = """
import consist_es.views.folding, consist_es.views.projector
from consist_es.views import file as view_file
prepare = view_file._prepare
def with_death(conn):
    prepare(conn)
    conn.create_function("deadly", 1, lambda seq: os.kill(os.getpid(), signal.SIGKILL) if seq >= {seq} else seq)
view_file._prepare = with_death
from consist_es.views import building as view_building
view_building.SET_CHECKPOINT = view_building.SET_CHECKPOINT.replace("seq = ?", "seq = deadly(?)")
consist_es.views.folding.BATCH = consist_es.views.projector.BATCH = 4
views.catch_up()
"""


@pytest.mark.parametrize("seq", [1, 5, 9])
@pytest.mark.parametrize("code", [KILLED_IN_A_FOLD, KILLED_AT_THE_CHECKPOINT], ids=["fold", "checkpoint"])
def test_a_catch_up_killed_in_the_middle_leaves_whole_batches(tmp_path: Path, code: str, seq: int) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    with make_views(tmp_path, log) as views:
        begin = views.checkpoint().seq
    for number in range(5):
        log.append([step(f"{number}-{part}") for part in range(2)])
    killed = python(tmp_path, code.format(seq=begin + seq))
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    shutil.copy(tmp_path / "p.db", tmp_path / "then.db")
    shutil.copy(tmp_path / "p.db-wal", tmp_path / "then.db-wal")
    then = state(tmp_path / "then.db")
    reached = then["checkpoint"][0][1]
    assert begin <= reached < begin + seq
    with make_views(tmp_path, log) as views:
        views.rebuild(target=tmp_path / "rebuilt.db", until=reached)
        assert then == state(tmp_path / "rebuilt.db"), "what was committed is the fold up to the checkpoint"
        assert rows(views.catch_up(), COUNT) == [(11, 11)]
        views.rebuild(target=tmp_path / "rebuilt.db")
        assert views.compare(tmp_path / "rebuilt.db") == {}


def test_a_process_killed_at_any_moment_leaves_views_that_go_on(tmp_path: Path) -> None:
    busy = "for i in range(100000):\n  log.append([step(f'{os.getpid()}-{i}')]); views.catch_up(); print(i, flush=True)"
    for delay in (0.0, 0.01, 0.03):
        process = python(tmp_path, busy)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.communicate()
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        assert views.checkpoint() == log.head()
        views.rebuild(target=tmp_path / "new.db")
        assert views.compare(tmp_path / "new.db") == {}


def test_processes_that_catch_up_at_once_fold_every_event_once(tmp_path: Path) -> None:
    work = (
        "for i in range(40):\n"
        "  log.append([step(f'{os.getpid()}-{i}', 'same')])\n"
        "  conn = views.catch_up()\n"
        "  assert conn.execute('SELECT status FROM runs WHERE key = ?', (f'{os.getpid()}-{i}',)).fetchall()\n"
        "  if i % 13 == 0: views.rebuild()\n"
    )
    workers = [python(tmp_path, work) for _ in range(3)]
    for worker in workers:
        worker.communicate()
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        conn = views.catch_up()
        assert rows(conn, COUNT) == [(120, 120)]
        assert rows(conn, "SELECT max(attempt), count(DISTINCT id) FROM runs") == [(120, 120)]
        assert rows(conn, "SELECT * FROM dead_letter") == []
        views.rebuild(target=tmp_path / "new.db")
        assert views.compare(tmp_path / "new.db") == {}


def test_threads_share_a_projector(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    views = make_views(tmp_path, log)
    wrong = []

    def work(name: int) -> None:
        for number in range(20):
            log.append([step(f"{name}-{number}")])
            conn = views.catch_up()
            found = run_table.by_key(conn, f"{name}-{number}")
            if found is None:
                wrong.append((name, number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert wrong == []
    assert rows(views.catch_up(), COUNT) == [(160, 160)]
    views.close()


def test_connections_of_ended_threads_are_closed(tmp_path: Path) -> None:
    views = make_views(tmp_path, make_log(tmp_path))
    held = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: held.append(views.catch_up()))
        thread.start()
        thread.join()
    views.catch_up()
    for conn in held[:-1]:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            conn.execute("SELECT 1")
    views.close()


# ---------------------------------------------------------------- fork


def in_child(work: Callable[[], None]) -> int:
    """Exit code of a forked child that calls `work`."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(15)
    process.kill()  # one that is stuck fails its test, and must not keep pytest waiting for ever
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def test_a_forked_child_goes_on_with_connections_of_its_own(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    views = make_views(tmp_path, log)
    views.catch_up()

    def work() -> None:
        log.append([scenario("T")])
        assert rows(views.catch_up(), COUNT) == [(2, 2)]
        views.close()

    assert in_child(work) == 0
    assert rows(views.catch_up(), COUNT) == [(2, 2)]
    log.append([scenario("U")])
    assert rows(views.catch_up(), COUNT) == [(3, 3)]
    views.close()


def test_a_child_forked_while_another_thread_works_is_not_stuck(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        name = "slow"
        version = 1
        tables: tuple[str, ...] = ()

        def create(self, db: "sqlite_utils.Database") -> None: ...

        def index(self, db: "sqlite_utils.Database") -> None: ...

        def fold(self, recorded: Recorded) -> Iterable[Statement]:
            entered.set()
            leave.wait(20)
            return ()

    views = make_views(tmp_path, log, [*BUILTIN, Slow()])
    thread = threading.Thread(target=views.catch_up)
    thread.start()
    assert entered.wait(20)

    def work() -> None:
        # The parent's thread holds the file's lock, so only a view file elsewhere can be built meanwhile.
        leave.set()
        views.rebuild(target=tmp_path / "child.db")
        views.close()

    assert in_child(work) == 0
    leave.set()
    thread.join()
    assert rows(views.catch_up(), COUNT) == [(1, 1)]
    assert len(state(tmp_path / "child.db")["runs"]) == 1
    views.close()


def test_a_fork_closes_the_forking_threads_connection_first(tmp_path: Path) -> None:
    """A child would believe that it holds the locks of connections that it inherits, and it does not."""
    views = make_views(tmp_path, make_log(tmp_path))
    views.catch_up()
    mine = {id(conn) for held in views._connections.values() for conn in held.all}
    assert mine

    def work() -> None:
        assert mine.isdisjoint(map(id, projector_module._PARENTS))

    assert in_child(work) == 0
    views.close()


def test_looking_at_the_file_keeps_the_locks_that_this_process_has_to_it(tmp_path: Path) -> None:
    """Else another process takes itself for the last one, and removes the log of changes that this one still reads."""
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        log.append([scenario("S")])
        views.catch_up()
        assert view_file.identify(views.path) == view_file.OURS
        come_and_go = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM runs'); c.close()"
        )
        subprocess.run([sys.executable, "-c", come_and_go, views.path], check=True)
        assert (tmp_path / "p.db-wal").exists()
    assert not (tmp_path / "p.db-wal").exists(), "the last one does remove it"
