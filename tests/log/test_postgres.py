"""What the engine on a server promises beyond the suite of all engines: lost connections, rights, copies, projects."""

import hashlib
import importlib
import json
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from consist_es import Tracker, output_path
from consist_es.errors import (
    CopyError,
    LogFormatError,
    LogPlaceError,
    LogReadOnlyError,
    LogRightError,
    LogServerError,
    LogWriteError,
    PathError,
    ServerAddressError,
)
from consist_es.log.copying import copy_log
from consist_es.log.engine import EventLog, open_log
from consist_es.log.local import LocalLog
from consist_es.log.postgres import database
from consist_es.log.postgres.address import address_of
from consist_es.log.postgres.log import PostgresLog
from consist_es.project.find import server_database
from tests.log.test_engine_conformance import batch, ids, names, require_whole
from tests.support import postgres
from tests.support.children import fork, status_of
from tests.support.cli import run

Url = Callable[..., str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Url:
    """The address of a project of this test; the user's cache is a folder of this test."""
    postgres.require()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    key = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]
    return lambda name="x", user="owner": postgres.server().url(f"{name}-{key}", user=user)


def server(where: str, **options: object) -> PostgresLog:
    log = open_log(where, **{"sync": "os", **options})  # type: ignore[arg-type]
    assert isinstance(log, PostgresLog)
    return log


def end_connections() -> None:
    postgres.server().sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("postgresql://anna:hush@db.lab/consist#x", "it holds a password"),
        ("postgresql://db.lab/consist?password=hush#x", "it holds a password"),
        ("postgresql://db.lab/consist", "it names no project"),
        ("postgresql://db.lab/#x", "it names no database"),
        ("postgresql://db.lab/consist#a b", "is no name of a project"),
        ("postgresql://db.lab:port/consist#x", "it is not a URL"),
    ],
)
def test_an_address_that_cannot_be_used_says_why_and_repeats_no_password(
    where: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for use in (open_log, server_database, lambda text: Tracker(tmp_path / "runs", log=text)):
        with pytest.raises(ServerAddressError, match=problem) as refused:
            use(where)
        assert "hush" not in str(refused.value)
    assert isinstance(refused.value, LogPlaceError)


def test_an_address_is_shown_without_user_and_options() -> None:
    address = address_of("postgres://anna@[::1]:5433/consist?sslmode=verify-full#x")
    assert address.shown == "postgresql://[::1]:5433/consist#x"
    assert address.url == "postgres://anna@[::1]:5433/consist?sslmode=verify-full#x"


def test_a_server_that_is_away_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.require()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    where = f"postgresql://owner@{str(tmp_path).replace('/', '%2F')}/consist#x"
    began = time.monotonic()
    with pytest.raises(LogServerError, match=r"Cannot read the log .*#x: .*Check that the server runs"):
        open_log(where).head()
    with pytest.raises(LogWriteError, match="Once the server answers"):
        open_log(where).append(batch("a"))
    assert time.monotonic() - began < 20


def test_a_database_without_tables_or_with_others_is_refused(url: Url) -> None:
    postgres.server().sql("CREATE DATABASE other")
    where = postgres.server().url("x", database="other")
    with pytest.raises(LogFormatError, match="its owner makes them with `consist-es db init"):
        open_log(where).append(batch("a"))
    assert database.init(address_of(where))
    assert not database.init(address_of(where))
    open_log(where).append(batch("a"))
    postgres.server().sql("UPDATE consist_es.format SET version = 2", database="other")
    with pytest.raises(
        LogFormatError, match="tables of version 2, and this version of consist-es works with 1"
    ) as error:
        open_log(where).head()
    assert error.value.newer


# ---------------------------------------------------------------- connections that are lost


def test_a_connection_that_is_lost_is_made_again(url: Url) -> None:
    log = server(url())
    for n in range(5):
        log.append(batch(f"{n}", 2), commit=n % 2 == 0)
        end_connections()
    assert names(log) == [str(n) for n in range(5)]
    assert len([event for event in log.read() if event.type == "writer_attached"]) == 1


def test_terminated_backends_and_killed_writers_lose_nothing_acknowledged_and_double_nothing(
    url: Url, tmp_path: Path
) -> None:
    """The short form of the torture: `tools/torture` has the long one."""
    ledger = tmp_path / "ledger"

    def write(life: int) -> None:
        log = server(url(), sync="commit")
        out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        number = 0
        while True:
            size = 1 + number % 3
            log.append(batch(f"{life}-{number}", size, padding=random.choice([5, 3000])), commit=True)
            os.write(out, f"{life}-{number}:{size}\n".encode())
            number += 1

    until, lives, running = time.monotonic() + 6, 0, list[int]()
    while time.monotonic() < until:
        while len(running) < 3:
            running.append(fork(lambda life=lives: write(life)))  # type: ignore[misc]
            lives += 1
        time.sleep(0.3)
        end_connections()
        victim = running.pop(0)
        os.kill(victim, signal.SIGKILL)
        status_of(victim)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        status_of(pid)
    log = server(url())
    events = list(log.read())
    require_whole(events)
    found = {event.id for event in events}
    acknowledged = [line.split(":") for line in ledger.read_text().splitlines()]
    assert len(acknowledged) > 20
    assert all(f"{name}:{n}:{size}" in found for name, size in acknowledged for n in range(int(size)))
    assert log.verify(full=True).ok


def test_a_crash_of_the_server_takes_nothing_that_was_synced_and_views_follow(url: Url, tmp_path: Path) -> None:
    own = postgres.Postgres()
    try:
        where = own.url("x")
        database.init(address_of(where))
        log = server(where, sync="commit")
        log.append(batch("a", 2), commit=True)
        own.stop("immediate")
        thread = threading.Timer(0.5, own.start)
        thread.start()
        log.append(batch("b"), commit=True)
        thread.join()
        assert names(log) == ["a", "b"]
        assert log.verify(full=True).ok
    finally:
        own.remove()


def test_a_claim_of_a_silent_holder_runs_out(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    log, other = server(url()), server(url())
    log.append(batch("a"))
    claim = log.claim("work", "anna", step="s")
    claim.take()
    postgres.server().sql("UPDATE consist_es.claim SET until = now() - interval '1 s'")
    assert other.holder("work") is None
    second = other.claim("work", "bert", step="s")
    second.take()
    assert log.holder("work") == "bert"
    claim.end()
    assert log.holder("work") == "bert"
    second.end()


# ---------------------------------------------------------------- rights

REFUSED = (
    "INSERT INTO consist_es.event SELECT * FROM consist_es.event",
    "UPDATE consist_es.event SET line = ''",
    "DELETE FROM consist_es.event",
    "TRUNCATE consist_es.event",
    "SELECT key FROM consist_es.secret",
    "INSERT INTO consist_es.member SELECT 1, 'reader', 'redact'",
    "UPDATE consist_es.project SET name = 'x'",
)


@pytest.fixture
def roles(url: Url) -> Url:
    """A project of the owner that `reader` may read, and `writer` append to; `nobody` may use the database."""
    log = server(url())
    log.append(batch("a"))
    for role in ("reader", "writer", "nobody"):
        postgres.server().sql(
            f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            f"GRANT consist_es_user TO {role}"
        )
    assert run("db", "grant", "reader", "read", url(), code=None).exit_code == 0
    assert run("db", "grant", "writer", "append", url(), code=None).exit_code == 0
    return url


@pytest.mark.parametrize("role", ["reader", "writer"])
@pytest.mark.parametrize("statement", REFUSED)
def test_nobody_but_the_owner_changes_an_event_or_a_right(roles: Url, role: str, statement: str) -> None:
    from psycopg.errors import InsufficientPrivilege

    with pytest.raises(InsufficientPrivilege):
        postgres.server().sql(statement, user=role)


def test_a_reader_reads_a_writer_appends_and_a_stranger_sees_nothing(roles: Url) -> None:
    reader, writer, stranger = (server(roles(user=role)) for role in ("reader", "writer", "nobody"))
    assert names(reader) == ["a"]
    with pytest.raises(LogRightError, match=r"reader has no right to append here.*`consist-es db grant`"):
        reader.append(batch("b"))
    (position,) = writer.append(batch("c"))
    assert names(reader) == ["a", "c"]
    logins = "SELECT DISTINCT e.login FROM consist_es.event e JOIN consist_es.project p ON p.no = e.project "
    mine = f"WHERE p.name = '{roles().partition('#')[2]}' AND e.id LIKE 'c:%'"
    assert postgres.server().sql(logins + mine) == [("writer",)]
    with pytest.raises(LogRightError, match="writer has no right to redact here"):
        writer.redact([position], "because")
    assert (list(stranger.read()), stranger.project_id) == ([], None)
    with pytest.raises(LogRightError, match="is of others"):
        stranger.append(batch("d"))
    assert names(reader) == ["a", "c"]
    assert run("db", "grant", "writer", "append", roles(), "--revoke", code=None).exit_code == 0
    with pytest.raises(LogReadOnlyError, match="no right to append"):
        writer.append(batch("e"))


def test_rights_that_cannot_be_given_say_why(roles: Url) -> None:
    assert "There is no role 'zoe'" in run("db", "grant", "zoe", "read", roles(), code=None).stderr
    assert "There is no project 'y-" in run("db", "grant", "reader", "read", roles("y"), code=None).stderr
    assert "There is no project" in run("db", "grant", "reader", "read", roles(user="nobody"), code=None).stderr
    assert (
        "only the owner of its tables gives rights"
        in run("db", "grant", "reader", "append", roles(user="writer"), code=None).stderr
    )
    listed = run("db", "projects", roles(user="nobody").partition("#")[0], "--json").stdout
    assert roles().partition("#")[2] not in listed
    assert roles().partition("#")[2] in run("db", "projects", roles().partition("#")[0], "--json").stdout


# ---------------------------------------------------------------- copies


def lines(log: EventLog) -> list[tuple[int, bytes, bytes, bytes]]:
    return [(line.head.seq, line.data, line.chain, line.covered) for line in log.lines()]


def test_a_log_goes_to_a_server_and_back_byte_for_byte(url: Url, tmp_path: Path) -> None:
    source = LocalLog(tmp_path / "a.events", segment_size=4000, sync="os")
    for n in range(60):
        source.append(batch(f"{n}", 1 + n % 4, padding=(2 << 20) if n == 30 else n))
    source.redact([source.append(batch("secret"))[0]], "it was one")
    target = server(url())
    assert copy_log(source, target) == (source.head().seq, 0)
    assert lines(target) == lines(source)
    assert (target.project_id, target.mask_key()) == (source.project_id, source.mask_key())
    assert target.verify(full=True).ok
    back = LocalLog(tmp_path / "b.events")
    assert copy_log(target, back).events == source.head().seq
    segments = sorted(path.name for path in source.folder.glob("*.jsonl"))
    assert sorted(path.name for path in back.folder.glob("*.jsonl")) == segments
    for name in segments:  # the headers say when they were made, and by which version
        assert (back.folder / name).read_bytes().split(b"\n")[1:] == (source.folder / name).read_bytes().split(b"\n")[
            1:
        ]
    report = back.verify(full=True)
    assert (report.ok, report.watermark) == (True, source.head().seq)
    back.append(batch("more"))
    assert back.verify(full=True).ok


def test_a_copy_goes_on_and_is_refused_once_somebody_wrote_to_it(url: Url, tmp_path: Path) -> None:
    source, target = LocalLog(tmp_path / "a.events", sync="os"), server(url())
    with pytest.raises(CopyError, match="there is no event in it"):
        copy_log(source, target)
    source.append(batch("a", 3))
    copy_log(source, target)
    source.append(batch("b"))
    assert copy_log(source, target) == (1, 4)
    assert copy_log(source, target) == (0, 5)
    target.append(batch("c"))
    with pytest.raises(CopyError, match="is not that of the source: one was written on"):
        copy_log(source, target)
    with pytest.raises(CopyError, match="that folder exists"):
        copy_log(target, source)
    other = LocalLog(tmp_path / "b.events", sync="os")
    other.append(batch("a"))
    with pytest.raises(CopyError, match="another project is there"):
        copy_log(other, target)


def test_a_killed_copy_leaves_no_folder_or_a_beginning_that_goes_on(
    url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consist_es.log.postgres.copying.BLOCK", 7)
    source = LocalLog(tmp_path / "a.events", sync="os")
    for n in range(40):
        source.append(batch(f"{n}", 2))

    def die_at(position: int) -> None:
        def kill(done: int, _all: int) -> None:
            if done >= position:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr("consist_es.log.copying._EVERY", 1)
        copy_log(source, server(url()), kill)

    for position in (3, 20, 50):
        assert status_of(fork(lambda at=position: die_at(at))) == -signal.SIGKILL  # type: ignore[misc]
    target = server(url())
    assert copy_log(source, target).there > 0
    assert lines(target) == lines(source)


# ---------------------------------------------------------------- a project


def step(number: int) -> Path:
    path = output_path("o", "txt")
    path.write_text(f"{number}\n")
    return path


def test_a_project_on_a_server_is_used_from_two_places_and_by_every_command(url: Url, tmp_path: Path) -> None:
    with Tracker(tmp_path / "one", log=url(), sync="os") as tracker, tracker.scenario("base") as sc:
        assert [sc.run(step, config={"number": n}, outputs=["o"]).cache_hit for n in range(3)] == [False] * 3
    elsewhere = tmp_path / "elsewhere" / "v.db"
    with Tracker(tmp_path / "one", elsewhere, log=url(), sync="os") as tracker, tracker.scenario("base") as sc:
        assert [sc.run(step, config={"number": n}, outputs=["o"]).cache_hit for n in range(3)] == [True] * 3
    for place in (url(), str(elsewhere)):
        found = json.loads(run("runs", "--json", "--project", place).stdout)
        assert len([row for row in found if row["outcome"] == "hit"]) == 3
    for command in (
        "scenarios",
        "log",
        "audit base",
        "stats",
        "verify",
        "replay",
        "show base",
        "artifacts",
        "lineage base/step",
    ):
        assert run(*command.split(), "--project", url(), code=None).exit_code == 0, command
    for command in ("archive", "checkpoint", "repair"):
        told = run(command, "--project", url(), code=None)
        assert (told.exit_code, "is not kept in files of this machine" in told.stderr) == (2, True), command


def test_views_of_another_log_are_refused(url: Url, tmp_path: Path) -> None:
    with Tracker(tmp_path / "runs", tmp_path / "v.db", log=url()):
        pass
    with pytest.raises(PathError, match=r"has the views of postgresql://.*, not of"):
        Tracker(tmp_path / "runs", tmp_path / "v.db", log=url("y"))


def test_the_number_of_statements_of_a_step(url: Url, tmp_path: Path) -> None:
    """Each is a round trip: at 10 ms to the server they are what a step costs."""
    with Tracker(tmp_path / "runs", log=url()) as tracker:
        log = tracker.project.log
        assert isinstance(log, PostgresLog)
        counts = []
        for _ in range(2):
            with tracker.scenario("base") as sc:
                for n in range(3):
                    before = log.server.statements
                    sc.run(step, config={"number": n}, outputs=["o"])
                    counts.append(log.server.statements - before)
    assert counts[2] <= 10
    assert counts[5] <= 6


def test_a_secret_is_masked_alike_on_all_machines(url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = []
    for machine in ("a", "b"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        with Tracker(tmp_path / "runs", log=url()) as tracker:
            config = {"number": 1, "api_key": "hush-hush"}
            hits.append(tracker.run(secretive, config=config, outputs=["o"]).cache_hit)
    assert hits == [False, True]
    assert not any(b"hush-hush" in line.data for line in server(url()).lines())


def secretive(number: int, api_key: str) -> Path:
    return step(number)


def test_events_are_there_by_their_ids(url: Url) -> None:
    log = server(url())
    log.append(batch("a", 2))
    assert ids(log) == ["a:0:2", "a:1:2"]


def test_a_sweep_runs_in_processes_of_their_own(url: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They open the project by its address, with views where they are."""
    (tmp_path / "tolls.py").write_text(
        "import consist_es as consist\n\n\ndef flows(toll):\n"
        "    out = consist.output_path('flows', 'txt')\n    out.write_text(str(toll))\n    return out\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    tolls = importlib.import_module("tolls")
    rows = [{"toll": n} for n in range(3)]
    results = []
    with Tracker(tmp_path / "runs", log=url(), project_root=tmp_path) as tracker:
        for _ in range(2):
            spawned = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            with tracker.scenario("base") as sc, spawned as pool:
                results.append(sc.map(tolls.flows, rows, executor=pool, outputs=["flows"]))
    assert [len(result.hits) if isinstance(result.hits, list) else result.hits for result in results] == [0, 3]
    logins = {event.by for event in server(url()).read()}
    assert len(logins) == 2, "the worker is a writer of its own"
