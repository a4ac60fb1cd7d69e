"""Real processes on one log: together, killed at any moment, forked, without room."""

import os
import random
import resource
import signal
import threading
import time
from itertools import groupby
from pathlib import Path

import pytest

from consist_es.errors import LogFullError
from consist_es.events import Draft, Recorded, StepAbandoned, WriterAttached
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from tests.support.children import fork, status_of


def batch(name: str, size: int, padding: int = 0) -> list[Draft]:
    """Events whose ids say which batch they belong to and which of how many they are."""
    return [Draft(StepAbandoned(reason="x" * padding), id=f"{name}:{n}:{size}") for n in range(size)]


def check_batches(events: list[Recorded]) -> None:
    """No position is missing, no event is there twice, no batch is torn apart or cut short."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ids = [event.id for event in events if event.type == "step_abandoned"]
    assert len(set(ids)) == len(ids)
    for _, group in groupby(ids, key=lambda name: name.split(":")[0]):
        members = list(group)
        assert [member.split(":")[1] for member in members] == [str(n) for n in range(int(members[0].split(":")[2]))]


def test_four_processes_append_at_once_and_nothing_is_lost_twice_or_torn(tmp_path: Path) -> None:
    def write(process: int) -> None:
        log = LocalLog(tmp_path / "x", sync="os", segment_size=40_000)
        for n in range(100):
            positions = log.append(batch(f"{process}-{n}", 1 + n % 4, padding=n))
            assert positions == list(range(positions[0], positions[0] + 1 + n % 4))

    pids = [fork(lambda process=process: write(process)) for process in range(4)]  # type: ignore[misc]
    assert [status_of(pid) for pid in pids] == [0] * 4
    events = list(LocalLog(tmp_path / "x").read())
    check_batches(events)
    expected = {draft.id for p in range(4) for n in range(100) for draft in batch(f"{p}-{n}", 1 + n % 4)}
    assert {event.id for event in events if event.type == "step_abandoned"} == expected
    for process in range(4):  # each process's own order is kept
        own = [int(event.id.split(":")[0].split("-")[1]) for event in events if event.id.startswith(f"{process}-")]
        assert own == sorted(own)
    assert events[-1].segment > 2
    assert verify(tmp_path / "x").ok


def test_a_reader_that_follows_four_writers_sees_what_is_there_in_the_end(tmp_path: Path) -> None:
    def write(process: int) -> None:
        log = LocalLog(tmp_path / "x", sync="os", segment_size=20_000)
        for n in range(60):
            log.append(batch(f"{process}-{n}", 3, padding=50))

    pids = [fork(lambda process=process: write(process)) for process in range(4)]  # type: ignore[misc]
    log = LocalLog(tmp_path / "x")
    seen: list[Recorded] = []
    running = set(pids)
    while running:
        running = {pid for pid in running if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        cursor = log.cursor_after(seen[-1]) if seen else None
        new = list(log.read(cursor))
        assert not new or new[-1].end
        seen += new
    seen += log.read(log.cursor_after(seen[-1]))
    assert seen == list(log.read())
    check_batches(seen)


KILLS = 100


def append_and_acknowledge(folder: Path, ledger: Path, life: int, started: int) -> None:
    """Append for ever; what was acknowledged goes to a file outside the library, by one write each."""
    out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    log = LocalLog(folder, sync="os", segment_size=2_000_000)
    number = 0
    while True:
        size = 1 + number % 3
        log.append(batch(f"{life}-{number}", size, padding=random.choice([10, 2_000, 60_000])))
        os.write(out, f"{life}-{number}:{size}\n".encode())
        if number == 0:
            os.write(started, b"x")
        number += 1


def test_a_writer_killed_a_hundred_times_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    folder, ledger = tmp_path / "x", tmp_path / "ledger"
    read_end, write_end = os.pipe()
    for life in range(KILLS):
        pid = fork(lambda life=life: append_and_acknowledge(folder, ledger, life, write_end))  # type: ignore[misc]
        os.read(read_end, 1)
        time.sleep(random.random() * 0.004)
        os.kill(pid, signal.SIGKILL)
        assert status_of(pid) == -signal.SIGKILL
    os.close(read_end)
    os.close(write_end)

    events = list(LocalLog(folder).read())
    check_batches(events)
    ids = {event.id for event in events}
    acknowledged = [line.split(":") for line in ledger.read_text().splitlines()]
    assert len(acknowledged) >= KILLS
    assert not [
        (name, n, size) for name, size in acknowledged for n in range(int(size)) if f"{name}:{n}:{size}" not in ids
    ]
    LocalLog(folder).append(batch("last", 1), commit=True)
    report = verify(folder)
    assert report.ok, report.problems
    repairs = [event for event in LocalLog(folder).read() if event.type == "log_repaired"]
    assert len(repairs) <= len(report.quarantined)
    assert not list(folder.glob("*.tmp"))


def test_a_forked_child_writes_under_a_name_of_its_own(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", sync="os")
    log.append(batch("parent", 2))

    def child() -> None:
        log.append(batch("child", 2))

    assert status_of(fork(child)) == 0
    log.append(batch("again", 1))
    events = list(log.read())
    check_batches(events)
    writers = [event.event for event in events if isinstance(event.event, WriterAttached)]
    assert len({writer.writer for writer in writers}) == len(writers) == 2
    by = {event.id.split(":")[0]: event.by for event in events}
    assert by["parent"] == by["again"] == log.writer != by["child"]
    assert writers[0].pid == os.getpid() != writers[1].pid


def test_a_fork_while_another_thread_appends_does_not_block_the_child(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", sync="os")
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
    check_batches(list(log.read()))
    assert verify(log.folder).ok


def test_threads_share_one_log(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", sync="os", segment_size=30_000)
    positions: list[int] = []
    failures: list[BaseException] = []

    def write(thread: int) -> None:
        try:
            for n in range(40):
                positions.extend(log.append(batch(f"{thread}-{n}", 2), commit=n == 39))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    events = list(log.read())
    check_batches(events)
    assert sorted(positions) == [event.seq for event in events if event.type == "step_abandoned"]
    assert len([event for event in events if event.type == "writer_attached"]) == 1


@pytest.mark.parametrize("room", [0, 1, 100, 700, 5000])
def test_without_room_the_append_fails_whole_and_the_same_process_goes_on_once_there_is(
    tmp_path: Path, room: int
) -> None:
    def child() -> None:
        log = LocalLog(tmp_path / "x", sync="os")
        log.append(batch("first", 1))
        size = (log.folder / "00000001.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, resource.RLIM_INFINITY))
        with pytest.raises(LogFullError, match=r"x failed: .*File too large.*bytes were needed"):
            log.append(batch("too-large", 3, padding=3000))
        assert (log.folder / "00000001.jsonl").stat().st_size == size
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.append(batch("too-large", 3, padding=3000), since=0)

    assert status_of(fork(child)) == 0
    events = list(LocalLog(tmp_path / "x").read())
    check_batches(events)
    assert [event.id.split(":")[0] for event in events if event.type == "step_abandoned"] == ["first"] + [
        "too-large"
    ] * 3
    assert verify(tmp_path / "x").ok


def test_without_room_for_a_large_payload_nothing_is_left_behind(tmp_path: Path) -> None:
    def child() -> None:
        log = LocalLog(tmp_path / "x", sync="os")
        log.append(batch("first", 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        with pytest.raises(LogFullError):
            log.append(batch("large", 1, padding=1 << 20))

    assert status_of(fork(child)) == 0
    assert list((tmp_path / "x" / "blobs").iterdir()) == []
    assert verify(tmp_path / "x").ok


def interrupt(*_: object) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.05)  # the interpreter ignores an exception in a finalizer: once more then
    raise KeyboardInterrupt


def test_an_interrupt_at_any_moment_leaves_whole_batches_and_a_log_that_goes_on(tmp_path: Path) -> None:
    def child() -> None:
        log = LocalLog(tmp_path / "x", sync="os", segment_size=20_000)
        signal.signal(signal.SIGALRM, interrupt)
        log.append(batch("first", 1))
        number = interrupted = 0
        while interrupted < 300:
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 2e-3))
                while True:
                    log.append(batch(f"b{number}", 2))
                    number += 1
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
                interrupted += 1
                number += 1
        log.append(batch("last", 1), commit=True)

    pid = fork(child)
    deadline = time.monotonic() + 60
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    if ended == (0, 0):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert ended[0] == pid, "the writer hangs"
    events = list(LocalLog(tmp_path / "x").read())
    check_batches(events)
    assert events[-1].id.startswith("last")
    assert verify(tmp_path / "x").ok
