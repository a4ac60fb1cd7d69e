"""The view file: whose it is, when it is rebuilt, what is set aside, where it lies."""

import os
import shutil
import sqlite3
import stat
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import ConsistWarning, NotOurDatabaseError, ViewAccessError, ViewError
from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN, run_table
from consist_es.views import file as view_file
from consist_es.views import places as view_places
from consist_es.views.projector import Projector
from tests.support.api import run_script
from tests.support.cli import run
from tests.support.views import edit, make_log, make_views, rows, scenario, state

IDS = "SELECT id FROM runs ORDER BY started_seq"


def foreign(path: Path, what: str) -> None:
    """Put another program's file at `path`."""
    if what == "SQLite":
        conn = sqlite3.connect(path)
        conn.execute("CREATE TABLE theirs (x)")
        conn.close()
        return
    path.write_bytes(
        {
            "DuckDB": b"12345678DUCK" + bytes(500),
            "text": "Grüße\n".encode() * 200,
            "Parquet": b"PAR1" + bytes(20),
            "binary": bytes(range(256)),
        }[what]
    )


FOREIGN = [
    ("SQLite", "a SQLite database of another program"),
    ("DuckDB", "a DuckDB database"),
    ("text", "a text file"),
    ("Parquet", "a Parquet file"),
    ("binary", "a file of an unknown kind"),
]


@pytest.mark.parametrize(("kind", "what"), FOREIGN)
def test_another_programs_file_is_left_alone_where_there_is_no_log(tmp_path: Path, kind: str, what: str) -> None:
    views = make_views(tmp_path, make_log(tmp_path))
    foreign(tmp_path / "p.db", kind)
    before = (tmp_path / "p.db").read_bytes()
    for call in (views.catch_up, views.rebuild):
        with pytest.raises(NotOurDatabaseError, match=f"is {what}, not a consist-es database"):
            call()
    assert (tmp_path / "p.db").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"p.db", "p.db.lock"}


def test_a_folder_is_left_alone_where_there_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "p.db").mkdir()
    with pytest.raises(NotOurDatabaseError, match="is a folder"):
        make_views(tmp_path, make_log(tmp_path)).catch_up()


@pytest.mark.parametrize("call", ["catch_up", "rebuild"])
@pytest.mark.parametrize(("kind", "what"), FOREIGN)
def test_another_programs_file_beside_a_log_is_set_aside(views: Projector, kind: str, what: str, call: str) -> None:
    foreign(views.path, kind)
    before = views.path.read_bytes()
    with pytest.warns(ConsistWarning, match=rf"was {what}: .* kept as p\.db\.damaged-1"):
        getattr(views, call)()
    assert views.path.with_name("p.db.damaged-1").read_bytes() == before
    assert rows(views.catch_up(), IDS) == [("base",)]


def test_what_was_set_aside_before_is_kept(views: Projector) -> None:
    for number in (1, 2, 3):
        views.path.write_text(f"text {number}")
        with pytest.warns(ConsistWarning, match=rf"damaged-{number}"):
            views.catch_up()
        views.close()
    kept = [views.path.with_name(f"p.db.damaged-{number}").read_text() for number in (1, 2, 3)]
    assert kept == ["text 1", "text 2", "text 3"]


@pytest.mark.parametrize("how", ["pages", "short", "header"])
def test_a_damaged_view_is_set_aside_and_rebuilt(views: Projector, log: LocalLog, how: str) -> None:
    views.catch_up()
    views.close()
    whole = views.path.read_bytes()
    broken = {
        "pages": whole[:4096] + b"\xff" * (len(whole) - 4096),
        "short": whole[: len(whole) // 2 + 100],
        "header": whole[:100] + bytes(3996) + whole[4096:],
    }[how]
    views.path.write_bytes(broken)
    log.append([scenario("T")])
    with pytest.warns(ConsistWarning, match=r"was damaged .* kept as p\.db\.damaged-1"):
        conn = views.catch_up()
    assert rows(conn, IDS) == [("base",), ("base#2",)]
    assert views.path.with_name("p.db.damaged-1").read_bytes() == broken


def test_a_damaged_view_under_an_open_connection_is_set_aside_and_rebuilt(views: Projector, log: LocalLog) -> None:
    views.catch_up().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with views.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (views.path.stat().st_size - 4096))
    log.append([scenario("T")])
    with pytest.warns(ConsistWarning, match="was damaged"):
        conn = views.catch_up()
    assert rows(conn, IDS) == [("base",), ("base#2",)]


def test_a_rebuild_sets_aside_what_is_too_damaged_to_be_written_over(views: Projector) -> None:
    views.catch_up()
    views.close()
    whole = views.path.read_bytes()
    broken = whole[:100] + bytes(3996) + whole[4096:]  # the header is ours, and what it describes is gone
    views.path.write_bytes(broken)
    with pytest.warns(ConsistWarning, match=r"was damaged .* kept as p\.db\.damaged-1"):
        views.rebuild()
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert views.path.with_name("p.db.damaged-1").read_bytes() == broken


def test_a_warning_that_is_an_error_leaves_the_views_usable(views: Projector) -> None:
    views.path.write_text("text")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConsistWarning):
            views.catch_up()
        assert rows(views.catch_up(), IDS) == [("base",)]


def test_a_missing_view_is_built_and_said_so_in_one_line(views: Projector, caplog: pytest.LogCaptureFixture) -> None:
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert {path.name for path in views.path.parent.iterdir()} >= {"p.db", "p.events"}
    events = views.checkpoint().seq
    assert [record.name for record in caplog.records] == ["consist_es"]
    assert caplog.messages == [f"The views in {views.path} were not there: rebuilt from the log ({events} events)."]
    views.close()
    views.catch_up()
    assert len(caplog.messages) == 1  # once for each rebuild


def test_the_first_views_of_a_new_log_are_nothing_to_talk_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        views.catch_up()
        log.append([scenario("S")])
        assert rows(views.catch_up(), IDS) == [("base",)]  # made again, for now the project has a name
        views.rebuild()  # was asked for
    log.close()
    assert caplog.messages == []


def test_where_nothing_is_set_up_for_logging_the_line_is_on_stderr_and_no_warning(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    log.close()
    script = tmp_path / "open.py"
    script.write_text("import consist_es\nconsist_es.Tracker('runs', 'p.db').close()\n")
    (said,) = run_script(script).stderr.splitlines()
    assert said.endswith("p.db were not there: rebuilt from the log (2 events).")
    assert run_script(script).stderr == ""


def test_the_command_line_says_once_that_it_made_the_views_again(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S")])
    log.close()
    said = run("scenarios", "--project", tmp_path / "p.events").stderr
    assert said.count("\n") == 1
    assert said.startswith("Note: The views in ")
    assert "were not there: rebuilt from the log (" in said
    assert run("scenarios", "--project", tmp_path / "p.events").stderr == ""


def test_an_empty_file_is_filled(views: Projector) -> None:
    views.path.touch()
    assert rows(views.catch_up(), IDS) == [("base",)]


def test_a_view_deleted_under_an_open_connection_is_built_again(views: Projector, log: LocalLog) -> None:
    views.catch_up()
    log.append([scenario("T")])
    views.catch_up()
    views.path.unlink()  # and not its -wal, which must not be played into the new file
    assert rows(views.catch_up(), IDS) == [("base",), ("base#2",)]
    assert rows(views.catch_up(), "PRAGMA integrity_check") == [("ok",)]
    assert views.path.exists()


def test_a_leftover_wal_is_not_played_into_a_new_view(tmp_path: Path, views: Projector) -> None:
    (tmp_path / "other").mkdir()
    other = make_log(tmp_path / "other")
    other.append([scenario("X", "strange")])
    with make_views(tmp_path / "other", other) as theirs:
        theirs.catch_up()
        other.append([scenario("Y", "strange")])
        theirs.catch_up()
        leftover = theirs.path.with_name("p.db-wal").read_bytes()
    assert leftover
    views.path.with_name("p.db-wal").write_bytes(leftover)
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert rows(views.catch_up(), "PRAGMA integrity_check") == [("ok",)]


# ---------------------------------------------------------------- versions and swapped logs


def test_a_changed_version_of_a_view_rebuilds_and_says_so(
    views: Projector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    views.catch_up()
    edit(views.path, "UPDATE runs SET name = 'made by an older fold'")
    views.close()
    assert rows(views.catch_up(), "SELECT name FROM runs") == [("made by an older fold",)]
    views.close()
    monkeypatch.setattr(run_table, "version", run_table.version + 1)
    caplog.clear()
    assert rows(views.catch_up(), "SELECT name FROM runs") == [("base",)]
    (said,) = caplog.messages
    assert "were made by another version of consist-es, or changed: rebuilt from the log (" in said


def test_a_view_without_one_of_its_tables_is_rebuilt(views: Projector, log: LocalLog) -> None:
    views.catch_up()
    edit(views.path, "DROP TABLE links")
    log.append([scenario("T")])
    assert rows(views.catch_up(), "SELECT count(*) FROM links") == [(0,)]


@pytest.mark.parametrize(
    "act",
    [
        "CREATE TRIGGER forged AFTER INSERT ON runs BEGIN UPDATE runs SET name = 'forged'; END",
        "CREATE VIRTUAL TABLE forged USING fts5(name)",
    ],
)
def test_a_view_that_holds_what_acts_by_itself_is_rebuilt_before_it_acts(
    views: Projector, log: LocalLog, act: str, caplog: pytest.LogCaptureFixture
) -> None:
    views.catch_up()
    edit(views.path, act)
    log.append([scenario("T")])
    caplog.clear()
    conn = views.catch_up()
    assert rows(conn, IDS) == [("base",), ("base#2",)]
    assert rows(conn, "SELECT DISTINCT name FROM runs") == [("base",)]
    assert rows(conn, "SELECT name FROM sqlite_master WHERE name LIKE 'forged%'") == []
    (said,) = caplog.messages
    assert "held triggers or virtual tables: rebuilt from the log (" in said


@pytest.mark.parametrize("table", ["meta", "checkpoint"])
def test_a_view_that_does_not_say_what_it_is_is_rebuilt(views: Projector, log: LocalLog, table: str) -> None:
    views.catch_up()
    edit(views.path, f"DELETE FROM {table}")
    log.append([scenario("T")])
    assert rows(views.catch_up(), IDS) == [("base",), ("base#2",)]


def test_a_view_of_another_projects_log_is_set_aside_and_rebuilt(tmp_path: Path, views: Projector) -> None:
    views.catch_up()
    views.close()
    shutil.rmtree(tmp_path / "p.events")
    log = make_log(tmp_path)
    log.append([scenario("X", "other")])
    expected = pytest.warns(ConsistWarning, match=r"does not fit its log .* kept as p\.db\.orphaned-1")
    with make_views(tmp_path, log) as again, expected:
        assert rows(again.catch_up(), IDS) == [("other",)]
    assert state(tmp_path / "p.db.orphaned-1")["runs"][0][0] == "S"


def test_a_view_whose_log_is_gone_is_set_aside(tmp_path: Path, views: Projector) -> None:
    views.catch_up()
    views.close()
    shutil.rmtree(tmp_path / "p.events")
    with make_views(tmp_path, make_log(tmp_path)) as again, pytest.warns(ConsistWarning, match="kept as"):
        assert rows(again.catch_up(), IDS) == []
    assert state(tmp_path / "p.db.orphaned-1")["runs"][0][0] == "S"


@pytest.mark.parametrize("more", [[], ["T2"], ["T2", "U2"]])
def test_a_log_that_lost_its_end_rebuilds_the_view(tmp_path: Path, views: Projector, more: list[str]) -> None:
    (segment,) = (tmp_path / "p.events").glob("*.jsonl")
    first = segment.read_bytes()
    views.catch_up()
    log = make_log(tmp_path)
    log.append([scenario("T")])
    make_views(tmp_path, log).catch_up()
    log.close()
    views.close()
    segment.write_bytes(first)
    (tmp_path / "p.events" / "head").unlink(missing_ok=True)
    log = make_log(tmp_path)
    for key in more:
        log.append([scenario(key)])
    with make_views(tmp_path, log) as again:
        with pytest.warns(ConsistWarning, match="does not fit its log"):
            assert rows(again.catch_up(), "SELECT key FROM runs ORDER BY started_seq") == [
                (key,) for key in ("S", *more)
            ]
        assert again.catch_up() is again.catch_up()


def test_views_made_before_the_first_event_follow_without_a_word(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    with make_views(tmp_path, log) as views:
        assert rows(views.catch_up(), IDS) == []
        log.append([scenario("S")])
        assert rows(views.catch_up(), IDS) == [("base",)]


# ---------------------------------------------------------------- readers during a rebuild


def test_a_reader_in_the_middle_of_a_rebuild_sees_the_old_view_whole(views: Projector, log: LocalLog) -> None:
    views.catch_up()
    reader = view_file.connect(views.path)
    reader.execute("BEGIN")
    assert rows(reader, IDS) == [("base",)]
    log.append([scenario("T")])
    views.rebuild()
    assert rows(reader, IDS) == [("base",)]
    assert rows(views.catch_up(), IDS) == [("base",), ("base#2",)]
    reader.execute("COMMIT")
    assert rows(reader, IDS) == [("base",), ("base#2",)]
    reader.close()


def test_a_rebuild_that_fails_leaves_the_old_view(views: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    views.catch_up()

    def fail(_db: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(run_table, "index", fail)
    with pytest.raises(ViewError, match="disk I/O error"):
        views.rebuild()
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert not views.path.with_name("p.db.rebuild").exists()


def test_what_a_killed_rebuild_left_is_replaced(views: Projector) -> None:
    views.path.with_name("p.db.rebuild").write_text("half of it")
    assert rows(views.catch_up(), IDS) == [("base",)]
    assert not views.path.with_name("p.db.rebuild").exists()


# ---------------------------------------------------------------- files that cannot be written


def test_the_file_gets_the_rights_that_the_umask_allows(views: Projector) -> None:
    old = os.umask(0o002)
    try:
        views.catch_up()
    finally:
        os.umask(old)
    assert stat.S_IMODE(views.path.stat().st_mode) == 0o664


def test_names_with_special_characters_work(tmp_path: Path, log: LocalLog) -> None:
    with Projector(tmp_path / "50% ?#ü&\udcff.db", log, BUILTIN) as views:
        assert rows(views.catch_up(), IDS) == [("base",)]
        views.rebuild()
        assert rows(views.catch_up(), IDS) == [("base",)]


def test_missing_folders_are_made(tmp_path: Path, log: LocalLog) -> None:
    with Projector(tmp_path / "a" / "b" / "p.db", log, BUILTIN) as views:
        assert rows(views.catch_up(), IDS) == [("base",)]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for node-local files of this test alone."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path / "tmp"


def test_views_that_another_program_keeps_locked_are_kept_elsewhere(
    views: Projector, log: LocalLog, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_file, "BUSY_SECONDS", 0.1)
    views.catch_up()
    views.close()
    place = views.path
    editor = sqlite3.connect(place, isolation_level=None)
    editor.execute("BEGIN IMMEDIATE")
    log.append([scenario("T")])
    with pytest.warns(ConsistWarning, match="database is locked"):
        conn = views.catch_up()
    assert rows(conn, IDS) == [("base",), ("base#2",)]
    assert temporary in views.path.parents
    editor.execute("COMMIT")
    assert rows(editor, IDS) == [("base",)]
    editor.close()


def test_a_rebuild_of_views_that_another_program_keeps_locked_gives_up_in_time(
    views: Projector, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_file, "BUSY_SECONDS", 0.1)
    views.catch_up()
    views.rebuild(target=views.path.with_name("x.db"))
    editor = sqlite3.connect(views.path.with_name("x.db"), isolation_level=None)
    editor.execute("BEGIN IMMEDIATE")
    with pytest.raises(ViewAccessError, match=r"x\.db cannot be written"):
        views.rebuild(target=views.path.with_name("x.db"))
    editor.execute("COMMIT")
    editor.close()


@pytest.mark.parametrize(
    "name", ["SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_SHMLOCK", "SQLITE_IOERR_LOCK", "SQLITE_PROTOCOL"]
)
def test_on_a_file_system_without_shared_memory_or_locks_the_views_are_kept_elsewhere(
    views: Projector, log: LocalLog, temporary: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    views.catch_up()
    views.close()
    place, prepare = views.path, view_file._prepare

    def refused(conn: sqlite3.Connection) -> None:
        if conn.execute("PRAGMA database_list").fetchone()[2] == str(place):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
            raise error
        prepare(conn)

    monkeypatch.setattr(view_file, "_prepare", refused)
    log.append([scenario("T")])
    with pytest.warns(ConsistWarning, match=rf"SQLite needs \(disk I/O error, {name}\).*on a disk of this machine"):
        conn = views.catch_up()
    assert rows(conn, IDS) == [("base",), ("base#2",)]
    assert temporary in views.path.parents


@pytest.mark.parametrize("there", [True, False])
def test_in_a_folder_that_cannot_be_written_reads_still_work(there: bool) -> None:
    """In a child without root's rights, for root may write anywhere."""
    folder = Path(tempfile.mkdtemp())
    log = make_log(folder)
    log.append([scenario("S")])
    if there:
        with make_views(folder, log) as views:
            views.catch_up()
        log.append([scenario("T")])
    expected = 2 if there else 1
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with tempfile.TemporaryDirectory() as temporary:
                tempfile.tempdir = temporary
                with make_views(folder, make_log(folder)) as views:
                    count = len(rows(views.catch_up(), IDS))
                    code = 0 if count == expected and views.path.parent != folder else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_node_local_folder_that_others_could_write_is_not_trusted(temporary: Path, views: Projector) -> None:
    (temporary / f"consist-es-{os.getuid()}").mkdir(mode=0o777)
    (temporary / f"consist-es-{os.getuid()}").chmod(0o777)
    place = view_places.node_local("project", "/data/p.events")
    assert place.parent.name != f"consist-es-{os.getuid()}"
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_copies_of_a_log_do_not_share_node_local_views(temporary: Path) -> None:
    one, other = (view_places.node_local("project", f"/data/{name}/p.events") for name in "ab")
    assert one.parent == other.parent
    assert one != other
    assert one == view_places.node_local("project", "/data/a/p.events")


def test_errors_of_sqlite_become_view_errors(views: Projector) -> None:
    with pytest.raises(ViewError, match="no such table: nowhere"):
        view_file.query(views.catch_up(), "SELECT * FROM nowhere")


def test_the_file_carries_the_application_id(views: Projector) -> None:
    assert rows(views.catch_up(), "PRAGMA application_id") == [(view_file.APPLICATION_ID,)]
    assert rows(views.catch_up(), "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize(
    ("code", "full"),
    [(sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_IOERR_SHMSIZE, True), (sqlite3.SQLITE_IOERR_READ, False)],
)
def test_a_full_disk_is_told_from_a_damaged_file(code: int, full: bool) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    assert view_file.is_full(error) is full


def test_an_empty_file_is_nothing_and_a_damaged_header_does_not_hide_whose_the_file_was(views: Projector) -> None:
    views.catch_up()
    views.close()
    empty, damaged = views.path.with_name("empty.db"), views.path.with_name("damaged.db")
    empty.touch()
    damaged.write_bytes(views.path.read_bytes()[:16] + b"\xff" * 30 + views.path.read_bytes()[46:])
    assert [view_file.identify(path) for path in (empty, damaged, views.path)] == [
        "nothing",
        view_file.OURS,
        view_file.OURS,
    ]


def test_views_that_are_built_while_the_first_event_is_written_know_their_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next process takes them for views of another project, and sets them aside."""
    log, other = LocalLog(tmp_path / "p.events"), LocalLog(tmp_path / "p.events")
    read = log.read

    def late(*args: Any, **options: Any) -> Any:
        other.append([scenario("s")])
        return read(*args, **options)

    monkeypatch.setattr(log, "read", late)
    make_views(tmp_path, log).rebuild()
    conn = sqlite3.connect(tmp_path / "p.db")
    assert conn.execute("SELECT value FROM meta WHERE key = 'project'").fetchone() == (other.project_id,)
    conn.close()


def test_views_that_do_not_name_a_project_are_made_again(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("s")])
    make_views(tmp_path, log).catch_up()
    conn = sqlite3.connect(tmp_path / "p.db")
    conn.execute("UPDATE meta SET value = '' WHERE key = 'project'")
    conn.commit()
    conn.close()
    assert rows(make_views(tmp_path, log).catch_up(), IDS) == [("base",)]
    assert not [path for path in tmp_path.iterdir() if "orphaned" in path.name]
