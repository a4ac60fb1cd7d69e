"""What every engine of the log promises, held on each of them. A new engine joins `ENGINES`; what stands here it need
not test again."""

import asyncio
import hashlib
import inspect
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import LimitError, LogMismatchError, LogPlaceError, LogReadOnlyError, UsageTypeError
from consist_es.events import Cursor, Draft, MetaLogged, PayloadRedacted, Recorded, StepAbandoned, WriterAttached
from consist_es.log.engine import EventLog, open_log
from consist_es.log.local import LocalLog
from tests.support import postgres
from tests.support.children import fork, status_of

Open = Callable[..., EventLog]
"""Opens the log of that name: ``open(name="x", sync="os", read_only=False)``. The same name is the same log."""


def _files(place: Path, name: str = "x", **options: Any) -> EventLog:
    return open_log(place / f"{name}.events", **{"sync": "os", **options})


def _short_files(place: Path, name: str = "x", **options: Any) -> EventLog:
    return LocalLog(place / f"{name}.events", segment_size=1500, **{"sync": "os", **options})


def _server(place: Path, name: str = "x", **options: Any) -> EventLog:
    postgres.require()
    key = hashlib.sha256(str(place).encode()).hexdigest()[:12]
    return open_log(postgres.server().url(f"{name}-{key}"), **{"sync": "os", **options})


ENGINES: dict[str, Open] = {"files": _files, "files of a few lines": _short_files, "server": _server}


@pytest.fixture(params=ENGINES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return partial(ENGINES[request.param], tmp_path)


@pytest.fixture
def log(opened: Open) -> EventLog:
    return opened()


def batch(name: str, size: int = 1, padding: int = 0) -> list[Draft]:
    """Events whose ids say which batch they belong to and which of how many they are."""
    return [Draft(StepAbandoned(reason=name + "x" * padding), "s", "r", id=f"{name}:{n}:{size}") for n in range(size)]


def ids(log: EventLog, after: Cursor | None = None) -> list[str]:
    """What was appended, without the log's own events."""
    return [event.id for event in log.read(after) if event.type == "step_abandoned"]


def names(log: EventLog) -> list[str]:
    return [name for name, _ in itertools.groupby(found.split(":")[0] for found in ids(log))]


def require_whole(events: list[Recorded]) -> None:
    """No position is missing, no event is there twice, no batch is torn apart or cut short."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    found = [event.id for event in events if event.type == "step_abandoned"]
    assert len(set(found)) == len(found)
    for _, group in itertools.groupby(found, key=lambda name: name.split(":")[0]):
        members = list(group)
        assert [member.split(":")[1] for member in members] == [str(n) for n in range(int(members[0].split(":")[2]))]


# ---------------------------------------------------------------- the protocol


def test_every_method_of_the_protocol_has_the_same_parameters(log: EventLog) -> None:
    members = {name: member for name, member in vars(EventLog).items() if not name.startswith("_")}
    assert {"append", "read", "head", "claim", "redact", "verify", "close"} < members.keys()
    for name, member in members.items():
        if inspect.isfunction(member):
            expected = list(inspect.signature(member).parameters)[1:]
            assert list(inspect.signature(getattr(log, name)).parameters) == expected, name
        else:
            assert hasattr(log, name), name


def test_a_log_says_where_it_is(log: EventLog, opened: Open) -> None:
    assert log.place == opened().place != opened("y").place
    assert log.can <= {"archive", "checkpoint", "doctor", "prove", "redact", "repair", "verify --against"}


@pytest.mark.parametrize("where", ["S3://anna:hush@bucket/x", "file:///data/x.events"])
def test_a_url_is_refused_without_repeating_what_may_be_a_password(where: str, tmp_path: Path) -> None:
    with pytest.raises(LogPlaceError, match=r"://… is no place for a log. Give a path") as refused:
        open_log(where)
    assert "hush" not in str(refused.value)


# ---------------------------------------------------------------- appending


def test_a_writer_has_64_random_bits_in_its_name(log: EventLog, opened: Open) -> None:
    """In containers every writer may be process 1 of a host of the same name."""
    log.append(batch("a"))
    opened("y").append(batch("a"))
    parts = [found.writer.rpartition(".")[2] for found in (log, opened("y"))]
    assert all(len(bytes.fromhex(part)) == 8 for part in parts)
    assert len({*parts}) == 2


def test_an_empty_log_has_no_project_and_appending_nothing_makes_none(log: EventLog, opened: Open) -> None:
    assert log.append([]) == []
    assert list(log.read()) == []
    assert (log.project_id, opened().project_id, log.head()) == (None, None, Cursor())
    log.append(batch("a"))
    assert log.project_id is not None
    assert log.project_id == opened().project_id


def test_positions_are_gapless_and_the_logs_own_events_count_but_are_not_returned(log: EventLog) -> None:
    first = log.append(batch("a", 2))
    second = log.append(batch("b"))
    found = list(log.read())
    require_whole(found)
    assert [event.seq for event in found if event.type == "step_abandoned"] == [*first, *second]
    assert isinstance(found[0].event, WriterAttached)
    assert found[0].event.writer == log.writer == found[-1].by


def test_only_the_last_event_of_a_batch_ends_it(log: EventLog) -> None:
    log.append(batch("a", 3))
    assert [event.end for event in log.read()] == [False, False, False, True]


def test_nothing_is_written_where_an_event_cannot_be_encoded(log: EventLog) -> None:
    log.append(batch("a"))
    before = log.head()
    with pytest.raises(UsageTypeError):
        log.append([*batch("b"), Draft(MetaLogged(values={"x": float("nan")}))])
    with pytest.raises(LimitError):
        log.append([*batch("b"), Draft(StepAbandoned(reason="x" * (1 << 24)))])
    assert log.head() == before
    log.append(batch("c"))
    assert names(log) == ["a", "c"]


def test_a_large_payload_reads_like_any_other(log: EventLog) -> None:
    (position,) = log.append([Draft(StepAbandoned(reason="x" * (2 << 20)))])
    found = next(event for event in log.read() if event.seq == position)
    assert isinstance(found.event, StepAbandoned)
    assert len(found.event.reason) == 2 << 20


def test_a_log_opened_for_reading_refuses_to_be_changed(log: EventLog, opened: Open) -> None:
    (position,) = log.append(batch("a"))
    reader = opened(read_only=True)
    assert names(reader) == ["a"]
    with pytest.raises(LogReadOnlyError, match="read-only"):
        reader.append(batch("b"))
    with pytest.raises(LogReadOnlyError, match="read-only"):
        reader.redact([position], "because")
    assert names(log) == ["a"]


def test_a_closed_log_opens_again_where_it_is_used(log: EventLog) -> None:
    log.append(batch("a"))
    log.close()
    log.close()
    log.append(batch("b"))
    assert names(log) == ["a", "b"]


# ---------------------------------------------------------------- retries


def test_a_retry_with_the_same_ids_appends_only_what_is_missing(log: EventLog) -> None:
    before = log.append(batch("x"))[-1]
    first = log.append(batch("a", 2))
    head = log.head()
    assert log.append(batch("a", 2), since=before) == first
    assert log.head() == head
    one, two = batch("a", 2)
    assert log.append([two, *batch("c")], since=before)[0] == first[1]
    assert ids(log) == ["x:0:1", one.id, two.id, "c:0:1"]


def test_a_retry_by_another_writer_is_none_either(log: EventLog, opened: Open) -> None:
    first = log.append(batch("a", 2))
    assert opened().append(batch("a", 2), since=0) == first
    assert names(log) == ["a"]


def test_a_retry_finds_events_far_back(log: EventLog) -> None:
    positions = [log.append(batch(f"b{n}"))[0] for n in range(12)]
    drafts = [draft for n in range(12) for draft in batch(f"b{n}")]
    assert log.append(drafts, since=0) == positions


def test_without_since_or_before_it_the_same_id_is_appended_again(log: EventLog) -> None:
    (first,) = log.append(batch("a"))
    assert log.append(batch("a")) > [first]
    assert log.append(batch("a"), since=log.head().seq) > [first + 1]
    assert len(ids(log)) == 3


# ---------------------------------------------------------------- cursors


def test_reading_goes_on_after_any_event(log: EventLog) -> None:
    for n in range(20):
        log.append(batch(f"b{n}", 1 + n % 3))
    everything = list(log.read())
    require_whole(everything)
    for index, event in enumerate(everything):
        assert list(log.read(log.cursor_after(event))) == everything[index + 1 :]
        assert not log.moved(log.cursor_after(event))
    assert log.head() == log.cursor_after(everything[-1])


def test_a_cursor_of_another_log_is_refused(log: EventLog, opened: Open) -> None:
    log.append(batch("a"))
    other = opened("other")
    other.append(batch("a"))
    with pytest.raises(LogMismatchError, match="is not the event that it was"):
        list(log.read(other.head()))


def test_a_batch_can_be_read_while_another_is_appended(log: EventLog) -> None:
    log.append(batch("a"))
    reading = log.read()
    next(reading)
    log.append(batch("b"))
    assert [event.id for event in reading if event.type == "step_abandoned"] == ["a:0:1", "b:0:1"]


def test_events_are_found_by_position_whatever_the_hint(log: EventLog) -> None:
    log.append(batch("a", 2))
    log.append(batch("b"))
    everything = list(log.read())
    for event in everything:
        for hint in ((event.segment, event.offset), (1, 7), (99, 0), (-1, -1), (1 << 80, 1 << 80)):
            assert log.at(event.seq, hint) == event
    places = [(event.segment, event.offset) for event in everything]
    assert log.read_places(reversed(places)) == everything
    with pytest.raises(LogMismatchError, match="no event at position 99"):
        log.at(99, places[0])


# ---------------------------------------------------------------- the end


def test_the_end_is_seen_by_all_at_once(log: EventLog, opened: Open) -> None:
    other = opened()
    for n in range(20):
        one, two = (log, other) if n % 2 else (other, log)
        (position,) = one.append(batch(f"b{n}"))
        assert two.head() == one.head() == two.cursor_after(list(two.read())[-1])
        assert two.head().seq == position


def test_a_recent_end_is_one_that_was_there(log: EventLog, opened: Open) -> None:
    log.append(batch("a"))
    reader = opened(read_only=True)
    first = reader.head(fresh=False)
    assert first == log.head()
    log.append(batch("b"))
    assert reader.head(fresh=False) in (first, log.head())
    assert reader.head() == reader.head(fresh=False) == log.head()


# ---------------------------------------------------------------- redaction


def test_a_redacted_payload_is_gone_and_everything_else_stays(log: EventLog) -> None:
    position = log.append(batch("secret", 1, padding=50))[0]
    log.append(batch("b"))
    before = list(log.read())
    log.redact([position], "it was one", "anna")
    found = list(log.read())
    require_whole(found)
    assert "secretx" not in repr([event.event for event in found])
    assert [event.chain for event in found[: len(before)]] == [event.chain for event in before]
    (said,) = (event.event for event in found if isinstance(event.event, PayloadRedacted))
    assert (said.reason, said.user) == ("it was one", "anna")
    report = log.verify(full=True)
    assert (report.ok, report.redacted) == (True, [position])


# ---------------------------------------------------------------- claims


def test_a_claim_is_held_by_one_and_told_to_all(log: EventLog, opened: Open) -> None:
    def unknown(_who: str) -> bool:
        return False

    log.append(batch("a"))
    first = log.claim("b3:work", "anna", step="s", is_dead=unknown)
    assert log.holder("b3:work") is None
    first.take()
    assert (opened().holder("b3:work"), opened().holder("b3:other")) == ("anna", None)
    second, taken = opened().claim("b3:work", "bert", step="s", is_dead=unknown), threading.Event()

    def wait() -> None:
        second.take()
        taken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not taken.wait(0.2)
    first.end()
    assert taken.wait(30)
    thread.join()
    assert log.holder("b3:work") == "bert"
    second.end()
    second.end()
    assert log.holder("b3:work") is None
    asyncio.run(first.atake())
    assert log.holder("b3:work") == "anna"
    first.end()


def test_the_claim_of_a_killed_process_is_free(log: EventLog, opened: Open) -> None:
    log.append(batch("a"))
    read_end, write_end = os.pipe()

    def hold() -> None:
        opened().claim("work", "child", step="s", is_dead=lambda _who: False).take()
        os.write(write_end, b"x")
        time.sleep(60)

    pid = fork(hold)
    os.read(read_end, 1)
    assert log.holder("work") == "child"
    os.kill(pid, signal.SIGKILL)
    assert status_of(pid) == -signal.SIGKILL
    assert log.holder("work") is None
    os.close(read_end)
    os.close(write_end)


def test_a_living_writer_is_alive_and_a_killed_one_is_not(log: EventLog, opened: Open) -> None:
    log.append(batch("a"))
    read_end, write_end = os.pipe()

    def hold() -> None:
        opened().append(batch("b"))
        os.write(write_end, b"x")
        time.sleep(60)

    pid = fork(hold)
    os.read(read_end, 1)
    mine, theirs = (event.event for event in log.read() if isinstance(event.event, WriterAttached))
    assert (log.alive(mine), log.alive(theirs)) == (True, True)
    os.kill(pid, signal.SIGKILL)
    assert status_of(pid) == -signal.SIGKILL
    log.sweep({theirs.lock})
    assert (log.alive(mine), log.alive(theirs)) == (True, False)
    os.close(read_end)
    os.close(write_end)


# ---------------------------------------------------------------- threads and processes


def test_four_processes_append_at_once_and_nothing_is_lost_twice_or_torn(opened: Open) -> None:
    def write(process: int) -> None:
        log = opened()
        for n in range(100):
            positions = log.append(batch(f"{process}-{n}", 1 + n % 4, padding=n))
            assert positions == list(range(positions[0], positions[0] + 1 + n % 4))

    pids = [fork(partial(write, process)) for process in range(4)]
    assert [status_of(pid) for pid in pids] == [0] * 4
    events = list(opened().read())
    require_whole(events)
    expected = {draft.id for p in range(4) for n in range(100) for draft in batch(f"{p}-{n}", 1 + n % 4)}
    assert {event.id for event in events if event.type == "step_abandoned"} == expected
    for process in range(4):  # each process's own order is kept
        own = [int(event.id.split(":")[0].split("-")[1]) for event in events if event.id.startswith(f"{process}-")]
        assert own == sorted(own)
    assert opened().verify(full=True).ok


def test_a_reader_that_follows_four_writers_passes_no_event_that_comes_later(opened: Open) -> None:
    def write(process: int) -> None:
        log = opened()
        for n in range(60):
            log.append(batch(f"{process}-{n}", 3, padding=50))

    pids = [fork(partial(write, process)) for process in range(4)]
    log = opened()
    seen: list[Recorded] = []
    running = set(pids)
    while running:
        running = {pid for pid in running if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        end = log.head()
        new = list(log.read(log.cursor_after(seen[-1]) if seen else None))
        assert not new or new[-1].end
        seen += new
        assert end.seq <= len(seen)  # what was there at the look is there in what was read after it
        assert end.seq == 0 or seen[end.seq - 1].chain == end.chain
    seen += log.read(log.cursor_after(seen[-1]))
    assert seen == list(log.read())
    require_whole(seen)


KILLS = 60


@pytest.mark.parametrize("commit", [False, True])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(opened: Open, tmp_path: Path, commit: bool) -> None:
    ledger = tmp_path / "ledger"
    read_end, write_end = os.pipe()

    def append_and_acknowledge(life: int) -> None:
        # What was acknowledged goes to a file outside the library, by one write each.
        out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        log = opened(sync="commit" if commit else "os")
        for number in itertools.count():
            size = 1 + number % 3
            log.append(batch(f"{life}-{number}", size, padding=random.choice([10, 2_000, 60_000])), commit=commit)
            os.write(out, f"{life}-{number}:{size}\n".encode())
            if number == 0:
                os.write(write_end, b"x")

    for life in range(KILLS // 2 if commit else KILLS):
        pid = fork(partial(append_and_acknowledge, life))
        os.read(read_end, 1)
        time.sleep(random.random() * 0.004)
        os.kill(pid, signal.SIGKILL)
        assert status_of(pid) == -signal.SIGKILL
    os.close(read_end)
    os.close(write_end)

    events = list(opened().read())
    require_whole(events)
    found = {event.id for event in events}
    acknowledged = [line.split(":") for line in ledger.read_text().splitlines()]
    assert len(acknowledged) >= KILLS // 2
    assert not [
        (name, n, size) for name, size in acknowledged for n in range(int(size)) if f"{name}:{n}:{size}" not in found
    ]
    opened().append(batch("last"), commit=True)
    report = opened().verify(full=True)
    assert report.ok, report.problems


def test_a_forked_child_writes_under_a_name_of_its_own(log: EventLog) -> None:
    log.append(batch("parent", 2))

    def child() -> None:
        log.append(batch("child", 2))
        assert log.head().seq == list(log.read())[-1].seq

    assert status_of(fork(child)) == 0
    log.append(batch("again"))
    events = list(log.read())
    require_whole(events)
    writers = [event.event for event in events if isinstance(event.event, WriterAttached)]
    assert len({writer.writer for writer in writers}) == len(writers) == 2
    by = {event.id.split(":")[0]: event.by for event in events}
    assert by["parent"] == by["again"] == log.writer != by["child"]
    assert writers[0].pid == os.getpid() != writers[1].pid


def test_a_fork_while_another_thread_appends_does_not_block_the_child(log: EventLog) -> None:
    stop = threading.Event()

    def keep_appending() -> None:
        number = 0
        while not stop.is_set():
            log.append(batch(f"t{number}", 2))
            number += 1

    thread = threading.Thread(target=keep_appending)
    thread.start()
    try:
        for n in range(20):

            def child(n: int = n) -> None:
                signal.alarm(20)  # a child that blocks fails
                log.append(batch(f"c{n}", 2))

            assert status_of(fork(child)) == 0
    finally:
        stop.set()
        thread.join()
    require_whole(list(log.read()))
    assert log.verify(full=True).ok


def test_threads_share_one_log(log: EventLog) -> None:
    positions: list[int] = []
    failures: list[BaseException] = []

    def write(thread: int) -> None:
        try:
            for n in range(40):
                own = log.append(batch(f"{thread}-{n}", 2), commit=n == 39)
                assert log.head().seq >= own[-1]
                positions.extend(own)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    events = list(log.read())
    require_whole(events)
    assert sorted(positions) == [event.seq for event in events if event.type == "step_abandoned"]
    assert len([event for event in events if event.type == "writer_attached"]) == 1
