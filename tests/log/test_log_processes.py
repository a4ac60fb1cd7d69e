"""Real processes on one log: together, killed at any moment, forked, without room."""

import os
import random
import resource
import signal
import time
from itertools import groupby
from pathlib import Path

import pytest

from consist_es.errors import LogFullError
from consist_es.events import Draft, Recorded, StepAbandoned
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
