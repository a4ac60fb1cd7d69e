"""People delete the lock file of the views, too. No view disagrees with its log then, and nobody waits for ever."""

import os
import signal
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import ConsistWarning
from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN
from consist_es.system.storage import LocalStorage
from consist_es.views import file as view_file
from consist_es.views.building import Builder
from consist_es.views.compare import dump
from consist_es.views.projector import Projector
from tests.log.test_log_faults import batch

TABLES = ("checkpoint", *(table for view in BUILTIN for table in view.tables))

Stop = Callable[[], None]


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    log = LocalLog(tmp_path / "p.events")
    log.append(batch("a", 3), commit=True)
    return log


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(view_file, "STALE", 0.1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where views are kept that cannot be where they should


def rows(path: Path) -> list[Any]:
    with closing(view_file.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [(table, list(dump(conn, table))) for table in TABLES]


def as_rebuilt(tmp_path: Path, log: LocalLog) -> list[Any]:
    with Projector(tmp_path / "other.db", log, BUILTIN) as views:
        views.rebuild(target=tmp_path / "wanted.db")
    return rows(tmp_path / "wanted.db")


def catch_up(tmp_path: Path, log: LocalLog, storage: LocalStorage | None = None) -> Path:
    with Projector(tmp_path / "p.db", log, BUILTIN, storage=storage) as views:
        views.catch_up()
        return views.path


class Stopping(LocalStorage):
    """Stops before the first call of this name for the views, which other threads of the log do not make."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "_call"):
            self._call = ""
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().__getattribute__(name)


@contextmanager
def stopped(work: Callable[[], object]) -> Iterator[None]:
    """A child that has stopped itself; after the block it goes on, and must end well."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
            status = 0
        finally:
            os._exit(status)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]), "it did not come to that place"
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        assert os.waitpid(pid, 0)[1] == 0


def in_the_middle_of_a_fold(tmp_path: Path, log: LocalLog, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Builder.apply

    def apply(self: Builder, conn: sqlite3.Connection, events: Any) -> None:
        real(self, conn, events)
        os.kill(os.getpid(), signal.SIGSTOP)

    monkeypatch.setattr(Builder, "apply", apply)
    catch_up(tmp_path, log)


PLACES = ("datasync", "rename", "sync_folder", "a fold")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("deleted", [True, False], ids=["deleted", "there"])
def test_views_are_what_the_log_says_whoever_was_stopped_where(
    tmp_path: Path, log: LocalLog, monkeypatch: pytest.MonkeyPatch, place: str, deleted: bool
) -> None:
    if place == "a fold":
        catch_up(tmp_path, log)
        log.append(batch("b", 2), commit=True)

    def work() -> None:
        if place == "a fold":
            in_the_middle_of_a_fold(tmp_path, log, monkeypatch)
        else:
            catch_up(tmp_path, log, Stopping(place))

    monkeypatch.setattr("consist_es.system.storage.SLOW", 0.1)
    monkeypatch.setattr("consist_es.system.storage.PATIENCE", 0.2)
    with stopped(work):
        if deleted:
            (tmp_path / "p.db.lock").unlink()
        log.append(batch("c", 3), commit=True)
        with pytest.warns(ConsistWarning) as said:
            elsewhere = catch_up(tmp_path, log)
        assert elsewhere != tmp_path / "p.db"
        assert rows(elsewhere) == as_rebuilt(tmp_path, log)
        text = "\n".join(str(warning.message) for warning in said)
        assert "its views are kept elsewhere" in text
        assert ("which is stopped, works on it, though the lock file p.db.lock was deleted" in text) == deleted
    assert catch_up(tmp_path, log) == tmp_path / "p.db"
    assert rows(tmp_path / "p.db") == as_rebuilt(tmp_path, log)


def test_a_working_process_is_waited_for_under_a_lock_file_that_was_deleted(
    tmp_path: Path, log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_file, "STALE", 30.0)

    class Deleting(LocalStorage):
        """While it builds the views, the lock file is deleted and another process begins."""

        child = 0

        def datasync(self, fd: int) -> None:
            (tmp_path / "p.db.lock").unlink()
            self.child = os.fork()
            if self.child == 0:
                status = 1
                try:
                    mine = catch_up(tmp_path, LocalLog(log.folder))
                    status = 0 if mine == tmp_path / "p.db" else 2
                finally:
                    os._exit(status)
            super().datasync(fd)

    storage = Deleting()
    catch_up(tmp_path, log, storage)
    assert os.waitstatus_to_exitcode(os.waitpid(storage.child, 0)[1]) == 0
    assert rows(tmp_path / "p.db") == as_rebuilt(tmp_path, log)


@pytest.mark.parametrize("refuses", ["flock_within", "open"])
def test_a_folder_that_cannot_be_locked_holds_nobody_up(tmp_path: Path, log: LocalLog, refuses: str) -> None:
    class NoFolders(LocalStorage):
        def open(self, path: Path, flags: int) -> int:
            if refuses == "open" and path == log.folder:
                raise PermissionError(13, "Permission denied")
            return super().open(path, flags)

        def flock_within(self, fd: int, seconds: float) -> bool:
            if seconds == view_file.STALE:
                raise OSError(9, "Bad file descriptor")
            return super().flock_within(fd, seconds)

    assert catch_up(tmp_path, log, NoFolders()) == tmp_path / "p.db"
    assert rows(tmp_path / "p.db") == as_rebuilt(tmp_path, log)
