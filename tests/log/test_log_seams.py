"""Where a segment, a process or a log ends: what lies there is read, gone on from, or refused with its reason."""

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consist_es.errors import LogCorruptError, LogFormatError, LogReadError, LogReadOnlyError, LogWriteError
from consist_es.events import Cursor
from consist_es.log.local import LocalLog
from consist_es.log.record import encode_line, prepare
from consist_es.log.segment import Header, encode_header
from consist_es.log.verify import verify
from tests.log.test_log_faults import Powered, Unsyncable, Unsynced, batch
from tests.log.test_log_refusals import FIRST, SECOND, Refusing, given_up, ids

LATER = "2099-01-01T00:00:00.000000Z"


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    """Positions 1 (the writer), 2 and 3; synced."""
    log = LocalLog(tmp_path / "x", storage=Unsynced())
    log.append(batch("a", 2), commit=True)
    return log


def add(log: LocalLog, position: int, **changes: Any) -> None:
    """A line whose chain fits, written by somebody else."""
    item = msgspec.structs.replace(prepare(batch("z", 1)[0], "z"), **changes)
    line, _ = encode_line(item, position, True, LATER, "them", log.head().chain.encode())
    with (log.folder / FIRST).open("ab") as file:
        file.write(line)


def reheaded(path: Path, previous: bytes) -> None:
    """Another chain value before the segment's first line, with a checksum that fits."""
    front, _, lines = path.read_bytes().partition(b"\n")
    said = msgspec.json.decode(front.split(b',"check":')[0] + b"}", type=Header)
    path.write_bytes(encode_header(said, previous) + lines)


def test_a_child_is_a_writer_of_its_own(log: LocalLog) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            log.append(batch("child", 1))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    log.append(batch("parent", 1))
    assert ids(log) == ["a:0:2", "a:1:2", "child:0:1", "parent:0:1"]
    assert len({event.by for event in log.read()}) == 2


def test_a_file_that_became_shorter_under_its_writer_is_not_written_to(log: LocalLog) -> None:
    os.truncate(log.folder / FIRST, 500)
    with pytest.raises(LogCorruptError, match="the file has 500 bytes, but"):
        log.append(batch("b", 1))
    assert (log.folder / FIRST).stat().st_size == 500


def test_a_line_out_of_its_place_is_refused_though_its_chain_fits(log: LocalLog) -> None:
    add(log, 9)
    with pytest.raises(LogCorruptError, match="position 9 follows 3"):
        list(log.read())


def test_an_endless_line_at_the_end_is_not_searched_for_the_last_batch(
    log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consist_es.log.segment.LINE_CAP", 100_000)
    with (log.folder / FIRST).open("ab") as file:
        file.write(b"x" * 600_000 + b"\n")
    assert log.head() == Cursor()
    with pytest.raises(LogCorruptError):
        list(log.read())


def test_a_payload_goes_from_an_end_that_was_given_up_whatever_follows_it(tmp_path: Path) -> None:
    log, position = given_up(tmp_path / "x")
    with (log.folder / FIRST).open("ab") as file:
        file.write(b"a diary\n")
    log.redact([position], "a secret")
    assert b"secretsecret" not in b"".join(path.read_bytes() for path in log.folder.glob("*.jsonl"))
    assert verify(log.folder).ok


def test_a_segment_that_does_not_go_on_from_the_one_before_it_is_refused(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1)
    for name in "ab":
        log.append(batch(name, 1))
    reheaded(log.folder / SECOND, b"x" * 43)
    with pytest.raises(LogCorruptError, match="does not go on where the one before it ended"):
        list(log.read())
    damage = log.damage()
    assert damage is not None
    assert "does not go on where the segment before it ended" in damage.problem


@pytest.mark.parametrize("sizes", [[400_000], [100_000] * 7, [10], [200_000, 100_000]])
def test_events_of_any_size_are_copied_where_their_sync_fails(tmp_path: Path, sizes: list[int]) -> None:
    storage = Unsyncable()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 1), commit=True)
    for number, size in enumerate(sizes):
        log.append(batch(f"b{number}", 1, size))
    storage.bad.add(FIRST)
    log.append(batch("c", 1, 1), commit=True)
    assert (log.folder / SECOND).exists()
    assert ids(log) == ["a:0:1", *(f"b{number}:0:1" for number in range(len(sizes))), "c:0:1"]
    assert verify(log.folder).ok


def test_a_log_whose_first_segment_cannot_be_read_says_why_when_it_is_asked_who_it_is(log: LocalLog) -> None:
    (log.folder / FIRST).write_bytes(b"a diary\n")
    with pytest.raises(LogFormatError, match="does not begin like a segment"):
        _ = LocalLog(log.folder).project_id


def test_a_last_segment_whose_header_cannot_be_read_is_no_end_of_the_log(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", sync="os", storage=Unsynced(), segment_size=1)
    log.append(batch("a", 1))
    path = log.folder / SECOND
    path.write_bytes(path.read_bytes().replace(b'"check":', b'"cheek":', 1))
    reading = log.read()
    assert [next(reading).type for _ in range(2)] == ["writer_attached", "segment_sealed"]
    with pytest.raises(LogCorruptError, match=SECOND):
        next(reading)


def test_the_last_batch_is_found_before_a_line_that_is_no_record(log: LocalLog) -> None:
    head = log.head()
    with (log.folder / FIRST).open("ab") as file:
        file.write(b"a diary\n")
    assert log.head() == head


def test_what_the_system_refuses_is_no_damage(log: LocalLog) -> None:
    storage = Refusing()
    storage.refused["listdir", "x"] = errno.EIO
    with pytest.raises(LogReadError, match="Input/output error"):
        LocalLog(log.folder, storage=storage).damage()


def test_a_log_that_is_whole_or_empty_has_no_damage(tmp_path: Path) -> None:
    assert LocalLog(tmp_path / "empty").damage() is None
    storage = Unsyncable()
    storage.bad.add(FIRST)
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 1), commit=True)  # all of the first segment is given up
    assert log.damage() is None


def test_a_log_that_lost_what_was_synced_is_damaged_at_its_end(log: LocalLog) -> None:
    data = (log.folder / FIRST).read_bytes()
    place = log.head()
    log.append(batch("b", 1), commit=True)
    log.close()
    (log.folder / FIRST).write_bytes(data)
    damage = log.damage()
    assert damage is not None
    assert damage.offset == place.offset
    assert f"the log ends here, but position {place.seq + 1} was synced" in damage.problem


def test_a_writer_of_a_newer_version_is_nobody_that_verify_knows(log: LocalLog) -> None:
    add(log, 4, type_part=b',"type":"writer_attached","v":9,"scenario":null,"run":null')
    report = verify(log.folder)
    assert report.ok, report.problems
    assert report.events == 4


def test_a_repair_that_was_written_before_its_writer_was_interrupted_is_told_once(tmp_path: Path) -> None:
    class Interrupted(Unsynced):
        """By Ctrl-C, once, when the line is whole."""

        armed = False

        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            done = super().write_at(fd, data, offset)
            if self.armed and b'"log_repaired"' in data:
                self.armed = False
                raise KeyboardInterrupt
            return done

    storage = Interrupted()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 2), commit=True)
    with (log.folder / FIRST).open("ab") as file:
        file.write(b'{"seq":4,"end":true,')
    storage.armed = True
    with pytest.raises(KeyboardInterrupt):
        log.append(batch("b", 1))
    assert not storage.armed
    log.append(batch("c", 1))
    assert ids(log) == ["a:0:2", "a:1:2", "b:0:1", "c:0:1"]
    assert [event.type for event in log.read()].count("log_repaired") == 1


# ---------------------------------------------------------------- the folders above


def names_are_safe(folder: Path, storage: Powered) -> bool:
    """Whether a power cut leaves the folder where it is."""
    return all(path.name in storage.names.get(path.parent, {}) for path in (folder, *folder.parents[:-1]))


def test_a_folder_whose_maker_died_before_its_name_was_safe_is_made_safe_before_a_synced_append_returns(
    tmp_path: Path,
) -> None:
    storage, folder = Powered(), tmp_path / "a" / "b" / "x"
    folder.mkdir(parents=True)
    log = LocalLog(folder, storage=storage)
    log.append(batch("a", 1))
    assert not names_are_safe(folder, storage)
    log.append(batch("b", 1), commit=True)
    assert names_are_safe(folder, storage)


def test_where_the_name_of_a_folder_cannot_be_made_safe_nothing_is_acknowledged_and_the_next_append_tries_again(
    tmp_path: Path,
) -> None:
    class Failing(Powered):
        error = errno.EIO

        def sync_folder(self, folder: Path) -> None:
            if folder == tmp_path and self.error:
                raise OSError(self.error, os.strerror(self.error), str(folder))
            super().sync_folder(folder)

    storage, folder = Failing(), tmp_path / "a" / "x"
    folder.mkdir(parents=True)
    log = LocalLog(folder, storage=storage)
    for _ in range(2):
        with pytest.raises(LogWriteError):
            log.append(batch("a", 1), commit=True, since=0)
    storage.error = 0
    log.append(batch("a", 1), commit=True, since=0)
    assert names_are_safe(folder, storage)
    assert ids(log) == ["a:0:1"]


def test_a_folder_above_that_nobody_may_open_holds_no_append_up(tmp_path: Path) -> None:
    class Forbidden(Powered):
        def sync_folder(self, folder: Path) -> None:
            if folder == tmp_path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            super().sync_folder(folder)

        def listdir(self, folder: Path) -> list[str]:
            if folder == tmp_path:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            return super().listdir(folder)

    storage, folder = Forbidden(), tmp_path / "a" / "x"
    folder.mkdir(parents=True)
    log = LocalLog(folder, storage=storage)
    log.append(batch("a", 1), commit=True)
    assert tmp_path not in storage.names
    assert folder.name in storage.names[folder.parent]
    assert tmp_path.name in storage.names[tmp_path.parent]
    assert verify(folder).watermark == 2


def test_a_folder_above_that_refuses_once_fails_the_append(tmp_path: Path) -> None:
    class Refusing(Powered):
        refused = False

        def sync_folder(self, folder: Path) -> None:
            if folder == tmp_path and not self.refused:
                self.refused = True
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            super().sync_folder(folder)

    storage, folder = Refusing(), tmp_path / "x"
    folder.mkdir()
    log = LocalLog(folder, storage=storage)
    with pytest.raises(LogReadOnlyError):
        log.append(batch("a", 1), commit=True, since=0)
    log.append(batch("a", 1), commit=True, since=0)
    assert names_are_safe(folder, storage)
