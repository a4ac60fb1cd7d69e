"""How the views stand to their log, and where they go when they cannot be where they should."""

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import ConsistWarning, LogMismatchError, UsageError, ViewAccessError, ViewError
from consist_es.events import Cursor
from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN, run_table
from consist_es.views import file as view_file
from consist_es.views import places as view_places
from consist_es.views.projector import Projector
from consist_es.views.tables import BEHIND, LEVEL, OUTDATED
from tests.support.views import edit, make_log, make_views, rows, scenario
from tests.views.test_projector_processes import in_child

IDS = "SELECT id FROM runs ORDER BY started_seq"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for node-local files of this test alone."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


# ---------------------------------------------------------------- how they stand


def standing(views: Projector) -> str:
    """What is said, and that saying it changes nothing."""
    path = views.path
    before = path.read_bytes() if path.is_file() else None
    found = views.standing()
    assert (path.read_bytes() if path.is_file() else None) == before
    return found


def test_views_say_how_they_stand_to_their_log(
    views: Projector, log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert standing(views) == view_file.NOTHING
    views.catch_up()
    views.settle()
    assert standing(views) == LEVEL
    log.append([scenario("T")])
    assert standing(views) == BEHIND
    monkeypatch.setattr(run_table, "version", run_table.version + 1)
    assert standing(views) == OUTDATED
    views.path.write_text("a diary")
    assert standing(views) == "a text file"


def test_views_made_before_the_first_event_are_outdated_by_it(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        views.catch_up()
        assert views.standing() == LEVEL
        log.append([scenario("S")])
        assert views.standing() == OUTDATED
        edit(views.path, f"UPDATE meta SET value = '{log.project_id}' WHERE key = 'project'")
        assert views.standing() == BEHIND


def test_views_that_know_more_than_their_log_are_no_views_of_it(views: Projector, log: LocalLog) -> None:
    views.catch_up()
    edit(views.path, "UPDATE checkpoint SET chain = 'x' || substr(chain, 2)")
    with pytest.raises(LogMismatchError):
        views.standing()
    edit(views.path, "UPDATE checkpoint SET seq = seq + 1")
    with pytest.raises(LogMismatchError):
        views.standing()


def test_a_batch_that_its_writer_took_back_leaves_the_views_as_they_are(
    views: Projector, log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails at its last byte is cut off again: whoever looked at the head before has seen it."""
    views.catch_up()
    head = log.head()
    seen = iter([Cursor(head.seq + 1, head.segment, head.offset + 400, "x" * 43)])
    monkeypatch.setattr(log, "head", lambda: next(seen, head))
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert next(seen, None) is None
    assert views.checkpoint() == head


def test_views_whose_checkpoint_is_taken_away_under_an_open_connection_are_rebuilt(views: Projector) -> None:
    before = rows(views.catch_up(), IDS)
    edit(views.path, "DROP TABLE checkpoint")
    assert rows(views.catch_up(), IDS) == before
    assert views.standing() == LEVEL


def test_a_connection_that_was_interrupted_in_a_transaction_begins_a_new_one(views: Projector) -> None:
    conn = views.catch_up()
    conn.execute("PRAGMA query_only = OFF")
    conn.execute("BEGIN")
    conn.execute("DELETE FROM runs")
    with view_file.Transaction(conn):
        assert len(conn.execute(IDS).fetchall()) == 1
    assert len(rows(views.catch_up(), IDS)) == 1


def test_what_can_be_no_recorded_value_is_refused_and_not_looked_for(views: Projector) -> None:
    conn = views.catch_up()
    for value in ("\udcff", 1 << 64):
        with pytest.raises(UsageError, match="No recorded value can equal"):
            view_file.query(conn, "SELECT id FROM runs WHERE id = ?", (value,))


def test_errors_of_the_system_become_view_errors(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match="The log is unharmed") as caught, view_file.translated(tmp_path):
        (tmp_path / "missing").read_bytes()
    assert isinstance(caught.value.__cause__, FileNotFoundError)


# ---------------------------------------------------------------- where they are


@contextmanager
def refusing(monkeypatch: pytest.MonkeyPatch, place: Path) -> Iterator[None]:
    """The system says of one folder that it cannot be written; root would be let in all the same."""
    allowed = os.access
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: Path(path) != place and allowed(path, mode))
        yield


def test_views_in_a_folder_that_cannot_be_written_are_kept_elsewhere_without_a_word(
    views: Projector, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = views.path
    with refusing(monkeypatch, place.parent):
        assert len(rows(views.catch_up(), IDS)) == 1
        views.rebuild()
    assert temporary in views.path.parents
    assert not place.exists()
    assert not list(place.parent.glob("*.lock"))


def test_a_folder_that_cannot_be_made_sends_the_views_elsewhere_with_a_word(tmp_path: Path, log: LocalLog) -> None:
    (tmp_path / "file").write_text("a diary")
    with Projector(tmp_path / "file" / "p.db", log, BUILTIN) as views:
        with pytest.warns(ConsistWarning, match="its views are kept elsewhere"):
            assert len(rows(views.catch_up(), IDS)) == 1
        assert (tmp_path / "tmp") in views.path.parents
    assert (tmp_path / "file").read_text() == "a diary"


def test_there_is_no_third_place(
    views: Projector, log: LocalLog, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_file, "BUSY_SECONDS", 0.1)
    with refusing(monkeypatch, views.path.parent):
        views.catch_up()
    views.close()
    place = views.path
    with closing(sqlite3.connect(place, isolation_level=None)) as editor:
        editor.execute("BEGIN IMMEDIATE")
        log.append([scenario("T")])
        with pytest.raises(ViewAccessError, match="database is locked"):
            views.catch_up()
        editor.execute("COMMIT")
    assert views.path == place
    assert len(rows(views.catch_up(), IDS)) == 2


def test_a_place_that_leads_in_circles_is_named(tmp_path: Path, log: LocalLog) -> None:
    (tmp_path / "p.db").symlink_to(tmp_path / "q.db")
    (tmp_path / "q.db").symlink_to(tmp_path / "p.db")
    with make_views(tmp_path, log) as views, pytest.raises(ViewError, match=r"p\.db cannot be read"):
        views.catch_up()


def test_a_rebuild_that_cannot_be_put_in_place_leaves_the_old_views(
    views: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(views.catch_up(), IDS)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(view_file, "_copy", full)
        with pytest.raises(ViewError, match="database or disk is full"):
            views.rebuild()
    assert rows(views.catch_up(), IDS) == before
    assert sorted(path.name for path in views.path.parent.glob("p.db*") if "-" not in path.name) == [
        "p.db",
        "p.db.lock",
    ]


def test_a_child_forked_while_another_thread_has_the_views_open_has_views_of_its_own(
    tmp_path: Path, temporary: Path, views: Projector, log: LocalLog
) -> None:
    opened, leave = threading.Event(), threading.Event()

    def holds() -> None:
        views.catch_up()
        opened.set()
        leave.wait(20)

    thread = threading.Thread(target=holds)
    thread.start()
    assert opened.wait(20)
    place = views.path

    def child() -> None:
        log.append([scenario(f"T{os.getpid()}")])
        assert len(rows(views.catch_up(), IDS)) > 1
        assert views.path.name.endswith(f"-{os.getpid()}.db")
        assert temporary in views.path.parents
        (tmp_path / "said").write_text(str(views.path))

    for _ in range(2):  # the second one finds what the first one left
        earlier = Path((tmp_path / "said").read_text()) if (tmp_path / "said").exists() else None
        assert in_child(child) == 0
        assert earlier is None or not earlier.exists()
    leave.set()
    thread.join()
    assert views.path == place
    assert len(rows(views.catch_up(), IDS)) == 3


def test_files_of_living_processes_and_of_nobody_are_left_where_they_are(temporary: Path) -> None:
    folder = Path("/data/p.events")
    place = view_places.own_to_process("project", str(folder))
    stem = place.stem.removesuffix(f"-{os.getpid()}")
    alive = place.with_name(f"{stem}-{os.getppid()}.db")
    dead = place.with_name(f"{stem}-999999999.db-wal")
    other = place.with_name(f"{stem}-notes.db")
    for path in (place, alive, dead, other):
        path.write_text("x")
    assert view_places.own_to_process("project", str(folder)) == place
    assert (place.exists(), alive.exists(), dead.exists(), other.exists()) == (True, True, False, True)
