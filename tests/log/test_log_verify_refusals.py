"""What `verify` says where the system refuses, where a log is full of damage, and while somebody is writing."""

import errno
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from consist_es.log.local import LocalLog
from consist_es.log.record import encode_line, prepare
from consist_es.log.segment import CHUNK
from consist_es.log.verify import verify, verify_again
from tests.log.test_log_faults import Unsyncable, Unsynced, batch
from tests.log.test_log_refusals import FIRST, SECOND, Refusing, _name

LATER = "2099-01-01T00:00:00.000000Z"


def made(folder: Path, names: str = "abc", segment_size: int = 1 << 20) -> LocalLog:
    """A log of one batch for each name."""
    log = LocalLog(folder, storage=Unsynced(), segment_size=segment_size)
    for name in names:
        log.append(batch(name, 1))
    log.close()
    return log


def test_a_note_that_cannot_be_read_is_as_none_and_everything_is_checked(tmp_path: Path) -> None:
    log = made(tmp_path / "x")
    log.append(batch("d", 1), commit=True)
    assert verify_again(log.folder).since == 0
    assert verify_again(log.folder).since > 0
    storage = Refusing()
    storage.refused["open", "verified"] = errno.EIO
    report = verify_again(log.folder, storage=storage)
    assert report.ok, report.problems
    assert (report.since, report.events) == (0, 6)  # four batches, and the writer once more after it was closed


@pytest.mark.parametrize(("call", "name"), [("listdir", "x"), ("read_at", FIRST), ("open", FIRST), ("open", "head")])
def test_what_the_system_refuses_is_a_problem_with_its_reason(tmp_path: Path, call: str, name: str) -> None:
    log = made(tmp_path / "x")
    log.append(batch("d", 1), commit=True)
    storage = Refusing()
    storage.refused[call, name] = errno.EIO
    report = verify(log.folder, storage=storage)
    assert not report.ok
    assert any("Input/output error" in problem.what for problem in report.problems), report.problems


def test_a_segment_that_cannot_be_read_to_its_end_is_a_problem(tmp_path: Path) -> None:
    class Worn(Unsynced):
        """The first bytes of the segment can be read, and no others."""

        def read_at(self, fd: int, size: int, offset: int) -> bytes:
            if offset > 0 and _name(fd) == FIRST:
                raise OSError(errno.EIO, "Input/output error")
            return super().read_at(fd, size, offset)

    log = made(tmp_path / "x")
    assert [problem.file for problem in verify(log.folder, storage=Worn()).problems] == [FIRST]


def test_a_log_full_of_damage_gives_so_many_problems_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consist_es.log.looking.MOST_PROBLEMS", 2)
    log = made(tmp_path / "x", "abcdef")
    path = log.folder / FIRST
    path.write_bytes(path.read_bytes().replace(b'"reason":""', b'"reason":1 '))
    report = verify(log.folder)
    assert not report.ok
    assert len(report.problems) == 3
    assert report.problems[-1].what == "and more, which are not listed"


def test_a_segment_of_another_project_is_named(tmp_path: Path) -> None:
    mine, other = (made(tmp_path / name, "ab", segment_size=1) for name in ("x", "y"))
    (mine.folder / SECOND).write_bytes((other.folder / SECOND).read_bytes())
    report = verify(mine.folder)
    assert next(problem.file for problem in report.problems if "another project" in problem.what) == SECOND


def test_a_redaction_that_does_not_say_what_it_took_is_a_problem(tmp_path: Path) -> None:
    log = made(tmp_path / "x")
    head = log.head()
    item = prepare(batch("x", 1)[0], "x")
    item = msgspec.structs.replace(item, type_part=b',"type":"payload_redacted","v":1,"scenario":null,"run":null')
    line, _ = encode_line(item, head.seq + 1, True, LATER, "them", head.chain.encode())
    with (log.folder / FIRST).open("ab") as file:
        file.write(line)
    report = verify(log.folder)
    (problem,) = report.problems
    assert (problem.file, problem.offset, problem.position) == (FIRST, head.offset, head.seq + 1)
    assert "payload_redacted, version 1 does not decode" in problem.what


def test_a_list_of_what_is_to_be_redacted_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    log = made(tmp_path / "x")
    (log.folder / "redaction").write_bytes(b"a diary")
    (problem,) = verify(log.folder).problems
    assert problem.file == "redaction"
    assert "what is to be redacted cannot be read" in problem.what


def test_a_batch_that_is_being_written_meanwhile_is_no_damage_and_is_checked(tmp_path: Path) -> None:
    class Growing(Unsynced):
        """When the end of the file was read, the writer goes on."""

        rest = b""

        def read_at(self, fd: int, size: int, offset: int) -> bytes:
            data = super().read_at(fd, size, offset)
            if not data and _name(fd) == FIRST and self.rest:
                with path.open("ab") as file:
                    file.write(self.rest)
                self.rest = b""
            return data

    log = made(tmp_path / "x")
    path = log.folder / FIRST
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    report = verify(log.folder)
    assert not report.ok
    assert (report.problems, report.events, report.torn_offset) == ([], 3, whole.rindex(b'{"seq":4,'))
    storage = Growing()
    storage.rest = whole[-30:]
    report = verify(log.folder, storage=storage)
    assert report.ok, report.problems
    assert report.events == 4
    assert storage.rest == b""


class Meanwhile(Unsynced):
    """Something happens when the lines of the first segment are about to be read."""

    def __init__(self, deed: Callable[[], object]) -> None:
        self._deed: Callable[[], object] | None = deed

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        if size == CHUNK and _name(fd) == FIRST and self._deed is not None:
            deed, self._deed = self._deed, None
            deed()
        return super().read_at(fd, size, offset)


def test_what_is_written_over_while_it_is_read_is_looked_at_twice(tmp_path: Path) -> None:
    log = made(tmp_path / "x")
    last = list(log.read())[-1]

    class Mixed(Unsynced):
        """The first look finds half of an old batch and half of a new one."""

        def __init__(self) -> None:
            self.looks = 0

        def read_at(self, fd: int, size: int, offset: int) -> bytes:
            found = super().read_at(fd, size, offset)
            if size == CHUNK and found:
                self.looks += 1
                if self.looks == 1:
                    at = last.offset - offset + 200
                    return found[:at] + b"?" + found[at + 1 :]
            return found

    report = verify(log.folder, storage=Mixed())
    assert report.ok, report.problems
    assert report.events == last.seq


def test_a_segment_that_is_given_up_while_it_is_read_is_no_damage(tmp_path: Path) -> None:
    made(tmp_path / "x")
    storage = Unsyncable()
    log = LocalLog(tmp_path / "x", storage=storage)
    path = tmp_path / "x" / FIRST

    def give_up() -> None:
        storage.bad.add(FIRST)
        log.append(batch("d", 1), commit=True)
        assert (tmp_path / "x" / SECOND).exists()
        last = list(log.read())[-1]
        data = path.read_bytes()
        path.write_bytes(data[:-200] + b"?" + data[-199:])
        assert last.segment == 2

    report = verify(tmp_path / "x", storage=Meanwhile(give_up))
    assert report.ok, report.problems
