"""Appending and reading: positions, batches, cursors, sync policies, refusals."""

import json
import os
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consist_es.errors import (
    ConsistWarning,
    LogCorruptError,
    LogFormatError,
    LogMismatchError,
    LogReadError,
    LogReadOnlyError,
    OptionError,
)
from consist_es.events import Cursor, Draft, StepAbandoned, UnknownEvent, WriterAttached
from consist_es.log.local import LocalLog
from consist_es.log.record import encode_line
from consist_es.log.verify import verify
from consist_es.system.storage import LocalStorage


def drafts(*reasons: str) -> list[Draft]:
    return [Draft(StepAbandoned(reason=reason), "s", "r", id=reason) for reason in reasons]


def reasons(log: LocalLog, after: Cursor | None = None) -> list[str]:
    return [event.event.reason for event in log.read(after) if isinstance(event.event, StepAbandoned)]


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    return LocalLog(tmp_path / "x.events", sync="os")


class Counting(LocalStorage):
    """Counts the syncs of files."""

    syncs = 0

    def datasync(self, fd: int) -> None:
        self.syncs += 1


def test_a_missing_folder_reads_as_an_empty_log_and_is_not_made(log: LocalLog) -> None:
    assert list(log.read()) == []
    assert log.head() == Cursor()
    assert log.project_id is None
    assert not log.folder.exists()


def test_a_second_process_side_introduces_itself_once(log: LocalLog) -> None:
    other = LocalLog(log.folder, sync="os")
    for _ in range(2):
        log.append(drafts("a"))
        other.append(drafts("b"))
    writers = [event.event.writer for event in log.read() if isinstance(event.event, WriterAttached)]
    assert writers == [log.writer, other.writer]
    assert reasons(log) == ["a", "b", "a", "b"]


def test_the_file_is_lines_of_json_that_any_tool_reads(log: LocalLog) -> None:
    log.append(drafts("a"))
    header, *lines = [json.loads(line) for line in (log.folder / "00000001.jsonl").read_text().splitlines()]
    assert (header["format"], header["version"], header["first"]) == ("consist-es log", 1, 1)
    assert header["project"] == log.project_id
    assert lines[-1]["data"] == {"reason": "a", "set_aside": None}


def test_an_event_without_an_id_gets_one_that_sorts_by_time(log: LocalLog) -> None:
    log.append([Draft(StepAbandoned(reason="x"))])
    now = datetime(2026, 1, 1, tzinfo=UTC)

    class Later(LocalStorage):
        def now(self) -> datetime:
            return now + timedelta(days=40_000)

    LocalLog(log.folder, sync="os", storage=Later()).append([Draft(StepAbandoned(reason="y"))])
    ids = [event.id for event in log.read() if event.type == "step_abandoned"]
    assert ids == sorted(ids)
    assert all(found[14] == "7" and found[19] in "89ab" and len(found) == 36 for found in ids)


def test_time_never_goes_backwards_in_the_log(tmp_path: Path) -> None:
    class Jumping(LocalStorage):
        times = (datetime(year, 3, 1, tzinfo=UTC) for year in [2026, 2031, 1970, 2030, 1, 2032] * 9)

        def now(self) -> datetime:
            return next(self.times)

    for _ in range(3):  # also across processes
        log = LocalLog(tmp_path / "x", sync="os", storage=Jumping(), segment_size=1200)
        for _ in range(3):
            log.append(drafts("a"))
    at = [event.at for event in log.read()]
    assert at == sorted(at)
    assert at[-1] == "2032-03-01T00:00:00.000000Z"


# ---------------------------------------------------------------- cursors


def test_a_cursor_behind_the_end_of_a_log_that_lost_its_tail_is_refused(log: LocalLog) -> None:
    log.append(drafts("a"))
    size = log.head().offset
    log.append(drafts("b"))
    cursor = log.head()
    os.truncate(log.folder / "00000001.jsonl", size)
    with pytest.raises(LogMismatchError):
        list(log.read(cursor))
    with pytest.raises(LogMismatchError, match="missing"):
        list(log.read(Cursor(seq=9, segment=7, offset=9, chain="A" * 43)))


def test_one_event_is_read_by_its_place(log: LocalLog) -> None:
    log.append(drafts("a", "b"))
    for event in log.read():
        assert log.read_at(event.segment, event.offset) == event
    with pytest.raises(LogCorruptError):
        log.read_at(1, 5)
    with pytest.raises(LogCorruptError):
        log.read_at(1, 10**6)
    with pytest.raises(LogReadError):
        log.read_at(2, 0)


# ---------------------------------------------------------------- retries


# ---------------------------------------------------------------- sync policies


@pytest.mark.parametrize(("sync", "expected"), [("commit", [0, 1]), ("always", [1, 1]), ("os", [0, 0])])
def test_the_policy_decides_which_appends_are_synced(tmp_path: Path, sync: str, expected: list[int]) -> None:
    storage = Counting()
    log = LocalLog(tmp_path / "x", sync=sync, storage=storage)
    log.append(drafts("first"))
    found = []
    for commit in (False, True):
        before = storage.syncs
        log.append(drafts("a"), commit=commit)
        found.append(storage.syncs - before)
    assert found == expected


def test_a_retry_that_finds_everything_is_synced_all_the_same(tmp_path: Path) -> None:
    storage = Counting()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(drafts("a"))
    before = storage.syncs
    log.append(drafts("a"), commit=True, since=0)
    assert storage.syncs == before + 1


def test_the_watermark_is_the_last_synced_position(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x")
    log.append(drafts("a"), commit=True)
    (synced,) = log.append(drafts("b"), commit=True)
    log.append(drafts("c"))
    assert verify(log.folder).watermark == synced


def test_an_unknown_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"sync='never' is not allowed: use one of 'commit', 'always', 'os'"):
        LocalLog(tmp_path, sync="never")


# ---------------------------------------------------------------- large payloads


def test_a_large_payload_lies_in_a_blob_and_reads_like_any_other(log: LocalLog) -> None:
    big = "x" * (1 << 20)
    (position,) = log.append([Draft(StepAbandoned(reason=big))])
    log.append(drafts("after"))
    (blob,) = (log.folder / "blobs").iterdir()
    event = next(event for event in log.read() if event.seq == position)
    assert isinstance(event.event, StepAbandoned)
    assert event.event.reason == big
    assert event.size < 500
    assert log.read_at(event.segment, event.offset) == event
    assert verify(log.folder).ok
    assert msgspec.json.decode(blob.read_bytes()) == {"reason": big, "set_aside": None}


def test_the_same_large_payload_is_kept_once(log: LocalLog) -> None:
    for _ in range(2):
        log.append([Draft(StepAbandoned(reason="x" * (1 << 20)))])
    assert len(list((log.folder / "blobs").iterdir())) == 1


@pytest.mark.parametrize("damage", ["missing", "changed", "short"])
def test_a_damaged_blob_is_never_served(log: LocalLog, damage: str) -> None:
    log.append(drafts("before"))
    log.append([Draft(StepAbandoned(reason="x" * (1 << 20)))])
    (blob,) = (log.folder / "blobs").iterdir()
    if damage == "missing":
        blob.unlink()
    else:
        blob.write_bytes(blob.read_bytes()[:-9] + (b"" if damage == "short" else b'yyyyyyy"}'))
    reading = log.read()
    assert [next(reading).seq, next(reading).seq] == [1, 2]
    with pytest.raises(LogCorruptError, match="blobs/"):
        next(reading)
    report = verify(log.folder)
    assert not report.ok
    assert report.problems[0].position == 3


def test_a_damaged_blob_is_mended_when_the_same_payload_is_appended_again(log: LocalLog) -> None:
    big = [Draft(StepAbandoned(reason="x" * (1 << 20)))]
    log.append(big)
    (blob,) = (log.folder / "blobs").iterdir()
    blob.write_bytes(b"")
    log.append(big)
    assert verify(log.folder).ok


# ---------------------------------------------------------------- refusals


def test_a_read_only_file_system_is_named_in_the_error(tmp_path: Path) -> None:
    class ReadOnly(LocalStorage):
        def mkdir(self, folder: Path) -> None:
            raise OSError(30, "Read-only file system")

    with pytest.raises(LogReadOnlyError):
        LocalLog(tmp_path / "x", storage=ReadOnly()).append(drafts("a"))


@pytest.mark.parametrize("change", [{"version": 2}, {"format": "something else"}])
def test_a_log_of_a_newer_or_foreign_format_is_refused_and_left_alone(log: LocalLog, change: dict[str, Any]) -> None:
    log.append(drafts("a"))
    path = log.folder / "00000001.jsonl"
    header, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps(json.loads(header) | change).encode() + b"\n" + rest)
    before = path.read_bytes()
    fresh = LocalLog(log.folder)
    with pytest.raises(LogFormatError):
        fresh.append(drafts("b"))
    with pytest.raises(LogFormatError):
        list(fresh.read())
    with pytest.raises(LogFormatError):
        fresh.head()
    assert path.read_bytes() == before
    assert not verify(log.folder).ok


def test_events_of_an_unknown_type_are_carried_along(log: LocalLog) -> None:
    log.append(drafts("a"))
    item = msgspec.structs.replace(_prepared(), type_part=b',"type":"from_the_future","v":9,"scenario":null,"run":null')
    head = log.head()
    line, _ = encode_line(item, head.seq + 1, True, "2099-01-01T00:00:00.000000Z", "them", head.chain.encode())
    with (log.folder / "00000001.jsonl").open("ab") as file:
        file.write(line)
    log.append(drafts("b"))
    found = [event for event in log.read() if isinstance(event.event, UnknownEvent)]
    assert [event.type for event in found] == ["from_the_future"]
    assert reasons(log) == ["a", "b"]
    assert verify(log.folder).ok


def _prepared() -> Any:
    from consist_es.log.record import prepare

    return prepare(Draft(StepAbandoned(reason="x")), "x")


def test_a_log_that_was_removed_while_open_is_not_begun_anew(log: LocalLog) -> None:
    log.append(drafts("a"))
    moved = log.folder.rename(log.folder.with_name("moved"))
    for _ in range(2):
        with pytest.raises(LogMismatchError):
            log.append(drafts("b"))
    assert not log.folder.exists()
    moved.rename(log.folder)
    log.append(drafts("c"))
    assert reasons(log) == ["a", "c"]


def test_a_log_that_was_swapped_while_open_is_not_written_to(log: LocalLog, tmp_path: Path) -> None:
    log.append(drafts("a"))
    log.folder.rename(tmp_path / "moved")
    other = LocalLog(log.folder, sync="os")
    other.append(drafts("other"))
    with pytest.raises(LogMismatchError):
        log.append(drafts("b"))
    with pytest.raises(LogMismatchError, match="holds project"):
        log.append(drafts("b"))
    assert reasons(other) == ["other"]


def test_a_folder_that_everybody_may_write_to_is_warned_of(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with pytest.warns(ConsistWarning, match="Every user of this machine can change the log"):
            LocalLog(tmp_path / "x", sync="os").append(drafts("a"))
    finally:
        os.umask(before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LocalLog(tmp_path / "y", sync="os").append(drafts("a"))


def test_opening_and_dropping_many_logs_leaks_no_file(tmp_path: Path) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    LocalLog(tmp_path / "x", sync="os").append(drafts("a"))
    before = opened()
    for _ in range(50):
        log = LocalLog(tmp_path / "x", sync="os")
        log.append(drafts("a"))
        next(log.read())
    del log
    assert opened() <= before
