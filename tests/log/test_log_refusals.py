"""What the log says where the system refuses to read, and where what it finds is not what anybody should have left."""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consist_es.errors import (
    LogCorruptError,
    LogError,
    LogFormatError,
    LogMismatchError,
    LogReadError,
    LogReadOnlyError,
    LogWriteError,
    SignatureError,
)
from consist_es.events import Draft, MetaLogged, StepAbandoned
from consist_es.log.evidence.signing import check_signature, sign
from consist_es.log.evidence.survey import Survey
from consist_es.log.evidence.tree_heads import Verdict, changed_between, compare, kept_heads, make_head
from consist_es.log.local import LocalLog
from consist_es.log.record import decode_event, encode_data, encode_line, genesis, prepare
from consist_es.log.segment import Header, encode_header, segment_name
from consist_es.log.verify import verify
from consist_es.system.storage import LocalStorage
from tests.log.test_log_faults import Died, Unsyncable, Unsynced, batch

FIRST, SECOND = segment_name(1), segment_name(2)


class Refusing(Unsynced):
    """Calls on files of these names fail, every one of them or so many."""

    def __init__(self) -> None:
        self.refused: dict[tuple[str, str], int] = {}
        """(call, name of the file) -> error number."""
        self.times = 1 << 30

    def _call(self, what: str, name: str) -> None:
        error = self.refused.get((what, name))
        if error is not None and self.times > 0:
            self.times -= 1
            raise OSError(error, os.strerror(error), name)

    def open(self, path: Path, flags: int) -> int:
        self._call("open", path.name)
        return super().open(path, flags)

    def listdir(self, folder: Path) -> list[str]:
        self._call("listdir", folder.name)
        return super().listdir(folder)

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        self._call("read_at", _name(fd))
        return super().read_at(fd, size, offset)

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        self._call("write_at", _name(fd))
        return super().write_at(fd, data, offset)


def _name(fd: int) -> str:
    name = Path(os.readlink(f"/proc/self/fd/{fd}")).name  # noqa: PTH115
    return re.sub(r"\.[0-9a-f]{8}(?=\.jsonl\.tmp)", "", name)  # without the random part of one that is being made


@pytest.fixture
def storage() -> Refusing:
    return Refusing()


@pytest.fixture
def log(tmp_path: Path, storage: Refusing) -> Iterator[LocalLog]:
    """Positions 1 (the writer), 2 and 3, 4 and 5; all of them synced."""
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 2), commit=True)
    log.append(batch("b", 2), commit=True)
    yield log
    log.close()


def ids(log: LocalLog) -> list[str]:
    return [event.id for event in log.read() if event.type == "step_abandoned"]


def replaced(path: Path, old: bytes, new: bytes) -> None:
    """Exchange the only occurrence of some bytes."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


# ---------------------------------------------------------------- reading


def test_a_payload_that_the_system_does_not_give_is_an_error_of_reading_and_no_damage(tmp_path: Path) -> None:
    storage = Refusing()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append([Draft(MetaLogged(values={"note": "x" * (1 << 20)}))])
    (blob,) = (log.folder / "blobs").iterdir()
    storage.refused["read_at", blob.name] = errno.EIO
    with pytest.raises(LogReadError, match="Input/output error"):
        list(log.read())
    storage.refused.clear()
    assert [event.type for event in log.read()] == ["writer_attached", "meta_logged"]


def test_a_segment_that_is_made_while_a_reader_looks_for_it_is_read(tmp_path: Path) -> None:
    storage = Refusing()
    log = LocalLog(tmp_path / "x", storage=storage, segment_size=1)
    for name in "abc":
        log.append(batch(name, 1))
    storage.refused["open", SECOND], storage.times = errno.ENOENT, 1
    assert [event.seq for event in log.read()] == list(range(1, 7 + 1))
    assert storage.times == 0


def test_a_place_whose_event_was_given_up_and_never_copied_is_refused(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    log = LocalLog(mine, storage=Unsynced())
    log.append(batch("a", 2), commit=True)
    log.close()
    shutil.copytree(mine, other)
    log.append(batch("b", 2))
    *_, last = log.read()
    failing = Unsyncable()
    failing.bad.add(FIRST)
    LocalLog(other, storage=failing).append(batch("c", 2), commit=True)
    shutil.copy(other / SECOND, mine / SECOND)
    with pytest.raises(LogMismatchError, match=f"position {last.seq} is not the event that it was"):
        list(log.read(log.cursor_after(last)))


def test_an_event_whose_line_was_changed_is_not_read_by_its_place(log: LocalLog) -> None:
    events = list(log.read())
    path = log.folder / FIRST
    data = bytearray(path.read_bytes())
    data[data.index(b'"reason"', events[2].offset) + 1] ^= 2
    path.write_bytes(data)
    with pytest.raises(LogCorruptError, match="the chain value does not match") as caught:
        log.read_at(1, events[2].offset)
    assert str(events[2].offset) in str(caught.value).replace(",", "")
    assert log.read_at(1, events[1].offset) == events[1]


def test_the_end_of_a_log_is_found_from_the_last_whole_batch_however_much_follows_it(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced())
    log.append(batch("a", 2))
    head = log.head()
    lines, chain = [], head.chain.encode()
    for number in range(400):
        item = prepare(Draft(StepAbandoned(reason="x" * 300)), f"half:{number}")
        line, chain = encode_line(item, head.seq + 1 + number, False, "2099-01-01T00:00:00.000000Z", "them", chain)
        lines.append(line)
    with (log.folder / FIRST).open("ab") as file:
        file.write(b"".join(lines))
    assert log.head() == head


def test_a_log_without_one_whole_batch_ends_where_it_begins(tmp_path: Path, storage: Refusing) -> None:
    log = LocalLog(tmp_path / "x", storage=storage)
    storage.refused["write_at", FIRST] = errno.EIO
    with pytest.raises(LogWriteError):
        log.append(batch("a", 1))
    assert (log.folder / FIRST).exists()
    assert log.head().seq == 0
    assert list(log.read()) == []
    with pytest.raises(LogFormatError, match="has no events yet"):
        make_head(storage, log.folder)


@pytest.mark.parametrize(
    ("header", "previous", "what"),
    [
        ({"segment": 2}, None, "it belongs to segment 2"),
        ({"first": 2}, None, "does not fit its chain value"),
        ({}, b"x" * 43, "does not fit its chain value"),
    ],
)
def test_a_first_segment_that_says_it_is_another_one_is_refused_though_its_checksum_holds(
    tmp_path: Path, header: dict[str, int], previous: bytes | None, what: str
) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced())
    log.append(batch("a", 1))
    path = log.folder / FIRST
    front, _, lines = path.read_bytes().partition(b"\n")
    said = msgspec.json.decode(front.split(b',"check":')[0] + b"}", type=Header)
    changed = msgspec.structs.replace(said, **header)
    path.write_bytes(encode_header(changed, previous or genesis(said.project)) + lines)
    with pytest.raises(LogCorruptError, match=what):
        list(LocalLog(log.folder).read())


def test_a_payload_of_many_short_lists_is_not_taken_for_a_deep_one() -> None:
    values: list[Any] = [[[]] * 300, "[" * 300, {"a": '"[' * 300}]
    for value in values:
        event = MetaLogged(values={"note": value})
        assert decode_event(event.TYPE, event.V, encode_data(event)) == event


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        (b'{"$blob":"%b","size":"many"}' % (b"0" * 64), "does not decode"),
        (b'{"$blob":"%b","size":16777217}' % (b"0" * 64), "a payload of 16777217 bytes; at most 16777216"),
        (b'{"$blob":"%b","size":-1}' % (b"0" * 64), "a payload of -1 bytes"),
        (b'{"$blob":"%b","size":1}' % (b"0" * 63), "is not the name of a blob"),
        (b'{"$blob":"%b","size":1}' % (b"A" * 64), "is not the name of a blob"),
        (b'{"$blob":"../%b","size":1}' % (b"0" * 61), "is not the name of a blob"),
        (b'{"$blob":"%b","size":16777216}' % (b"0" * 64), "is missing"),
        (b'{"$blob":"%b","size":0}' % (b"0" * 64), "is missing"),
    ],
)
def test_a_reference_to_a_payload_that_none_can_have_is_damage(log: LocalLog, reference: bytes, what: str) -> None:
    head, before = log.head(), list(log.read())
    item = msgspec.structs.replace(prepare(batch("x", 1)[0], "x"), data=reference)
    line, _ = encode_line(item, head.seq + 1, True, "2099-01-01T00:00:00.000000Z", "them", head.chain.encode())
    with (log.folder / FIRST).open("ab") as file:
        file.write(line)
    reading = log.read()
    assert [next(reading) for _ in before] == before
    with pytest.raises(LogCorruptError, match=what):
        next(reading)


@pytest.mark.parametrize(("end", "whole"), [(b"", True), (b"x" * 300_000, True), (b"\n", False)])
def test_a_line_longer_than_any_record_is_not_read_to_its_end(
    log: LocalLog, monkeypatch: pytest.MonkeyPatch, end: bytes, whole: bool
) -> None:
    """Without an end it may be what a killed writer left; with one it is damage."""
    monkeypatch.setattr("consist_es.log.segment.LINE_CAP", 100_000)
    before = list(log.read())
    with (log.folder / FIRST).open("ab") as file:
        file.write(b"x" * 600_000 + end)
    if whole:
        assert list(log.read()) == before
    else:
        with pytest.raises(LogCorruptError, match="not laid out like a record"):
            list(log.read())


# ---------------------------------------------------------------- writing


def test_a_retry_does_not_walk_back_past_a_record_that_is_damaged(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1)
    log.append(batch("a", 1))
    log.append(batch("b", 1))
    replaced(log.folder / FIRST, b'{"seq":2,', b'{"sex":2,')
    with pytest.raises(LogCorruptError, match=f"{FIRST}.*the envelope does not decode"):
        log.append(batch("c", 1), since=0)
    log.append(batch("c", 1), since=3)
    with pytest.raises(LogCorruptError, match="the envelope does not decode"):
        log.append(batch("d", 1), since=1)


def test_a_redaction_that_is_gone_when_it_is_looked_for_holds_no_append_up(log: LocalLog, storage: Refusing) -> None:
    log.close()
    (log.folder / "redaction").write_bytes(b"removed by hand between the listing and the reading")
    storage.refused["open", "redaction"] = errno.ENOENT
    assert log.append(batch("c", 1)) == [7]  # after the lock that the writer took anew


def test_a_log_whose_segments_are_gone_is_not_begun_anew_under_its_old_name(log: LocalLog) -> None:
    log.close()
    for path in log.folder.iterdir():
        if path.name not in ("lock", "writers"):
            path.unlink()
    with pytest.raises(LogMismatchError, match="its segments are gone"):
        log.append(batch("c", 1))
    assert not list(log.folder.glob("*.jsonl"))


def test_a_log_that_is_removed_while_its_lock_is_taken_is_not_begun_anew(tmp_path: Path) -> None:
    class Removed(Unsynced):
        armed = False

        def listdir(self, folder: Path) -> list[str]:
            if self.armed:
                self.armed = False
                shutil.rmtree(folder)
            return super().listdir(folder)

    storage = Removed()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 1), commit=True)
    log.close()
    storage.armed = True
    with pytest.raises(LogMismatchError, match=r"its segments are gone|removed while open"):
        log.append(batch("b", 1))
    assert not log.folder.exists()


def test_events_that_could_neither_be_synced_nor_read_back_are_not_acknowledged(tmp_path: Path) -> None:
    class Losing(Unsyncable):
        """The sync fails, and the pages that it was about are gone."""

        def datasync(self, fd: int) -> None:
            try:
                super().datasync(fd)
            except OSError:
                os.pwrite(fd, b"\0" * 8, os.fstat(fd).st_size - 100)
                raise

    storage = Losing()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 2), commit=True)
    storage.bad.add(FIRST)
    with pytest.raises(LogError):
        log.append(batch("b", 2), commit=True)
    storage.bad.clear()
    assert ids(log) == ["a:0:2", "a:1:2"]
    assert log.append(batch("b", 2), commit=True, since=3)[-1] > 4
    assert ids(log) == ["a:0:2", "a:1:2", "b:0:2", "b:1:2"]


# ---------------------------------------------------------------- tidying


def torn(log: LocalLog) -> None:
    """What a killed writer left."""
    log.close()
    with (log.folder / FIRST).open("ab") as file:
        file.write(b'{"seq":6,"end":true,')


def test_tidying_cuts_what_a_killed_writer_left_and_says_so(log: LocalLog) -> None:
    whole = log.head()
    torn(log)
    log.tidy()
    *_, repaired, again = log.read()
    assert (repaired.type, repaired.seq) == ("log_repaired", whole.seq + 1)
    assert again.type == "writer_attached"  # the log was closed: it has another lock now
    report = verify(log.folder)
    assert report.ok
    assert report.watermark == again.seq
    assert len(list((log.folder / "quarantine").iterdir())) == 1


def test_tidying_a_whole_log_adds_nothing(log: LocalLog) -> None:
    before = (log.folder / FIRST).read_bytes()
    log.close()
    log.tidy()
    log.tidy()
    assert (log.folder / FIRST).read_bytes() == before


def test_tidying_goes_on_after_a_segment_that_was_sealed(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1000)
    log.append(batch("a", 1, 1000))
    assert not (log.folder / SECOND).exists()
    log.tidy()
    assert (log.folder / SECOND).exists()
    assert ids(log) == ["a:0:1"]


def test_a_log_that_cannot_be_tidied_says_why_and_can_be_used_on(log: LocalLog, storage: Refusing) -> None:
    torn(log)
    storage.refused["open", FIRST] = errno.EIO
    with pytest.raises(LogWriteError, match="Input/output error"):
        log.tidy()
    storage.refused.clear()
    log.append(batch("c", 1))
    assert ids(log)[-1] == "c:0:1"


def test_tidying_that_is_interrupted_gives_the_lock_back(log: LocalLog, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    torn(log)
    with monkeypatch.context() as patch:
        patch.setattr(Refusing, "truncate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.tidy()
    LocalLog(log.folder, storage=Unsynced()).append(batch("c", 1))
    assert ids(log)[-1] == "c:0:1"


def test_a_log_opened_for_reading_is_not_tidied(log: LocalLog) -> None:
    torn(log)
    before = (log.folder / FIRST).read_bytes()
    with pytest.raises(LogReadOnlyError):
        LocalLog(log.folder, read_only=True).tidy()
    assert (log.folder / FIRST).read_bytes() == before


# ---------------------------------------------------------------- redacting


def test_redacting_nothing_is_no_event(log: LocalLog) -> None:
    before = list(log.read())
    log.redact([], "no reason")
    assert list(log.read()) == before


def test_an_event_is_redacted_where_an_earlier_segment_was_given_up_with_nothing_behind_its_end(tmp_path: Path) -> None:
    storage = Unsyncable()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 1), commit=True)
    torn(log)
    storage.bad.add(FIRST)  # what is cut off cannot be synced, so the log goes on in another segment
    (position,) = log.append([Draft(MetaLogged(values={"note": "secret" * 20}))])
    assert (log.folder / SECOND).exists()
    log.redact([position], "a secret")
    assert b"secretsecret" not in (log.folder / SECOND).read_bytes()
    assert verify(log.folder).ok


def test_an_event_is_redacted_where_all_of_the_first_segment_was_given_up(tmp_path: Path) -> None:
    storage = Unsyncable()
    storage.bad.add(FIRST)
    log = LocalLog(tmp_path / "x", storage=storage)
    (position,) = log.append([Draft(MetaLogged(values={"note": "secret" * 20}))], commit=True)
    log.redact([position], "a secret")
    found = b"".join(path.read_bytes() for path in log.folder.glob("*.jsonl"))
    assert b"secretsecret" not in found
    assert verify(log.folder).ok


def given_up(folder: Path) -> tuple[LocalLog, int]:
    """Three batches in segment 1, of which the last was given up, and an event in segment 2."""
    storage = Unsyncable()
    log = LocalLog(folder, storage=storage)
    log.append(batch("a", 1), commit=True)
    log.append(batch("b", 1), commit=True)
    storage.bad.add(FIRST)
    (position,) = log.append([Draft(MetaLogged(values={"note": "secret" * 20}))], commit=True)
    assert b"secretsecret" in (folder / FIRST).read_bytes()
    assert b"secretsecret" in (folder / SECOND).read_bytes()
    return log, position


def test_what_was_given_up_goes_with_the_payload_and_nothing_before_it(tmp_path: Path) -> None:
    log, position = given_up(tmp_path / "x")
    log.redact([position], "a secret")
    assert b"secretsecret" not in b"".join(path.read_bytes() for path in log.folder.glob("*.jsonl"))
    assert ids(log) == ["a:0:1", "b:0:1"]
    report = verify(log.folder)
    assert report.ok
    assert report.watermark == log.head().seq  # and the redaction itself is safe on disk


def test_nothing_is_redacted_where_what_was_given_up_cannot_be_told_from_what_was_not(tmp_path: Path) -> None:
    log, position = given_up(tmp_path / "x")
    replaced(log.folder / FIRST, b'"id":"a:0:1"', b'"id":"a:0:7"')
    before = (log.folder / SECOND).read_bytes()
    with pytest.raises(LogCorruptError, match=FIRST):
        log.redact([position], "a secret")
    assert (log.folder / SECOND).read_bytes() == before
    assert not (log.folder / "redaction").exists()


def test_nothing_is_redacted_behind_a_first_segment_whose_header_cannot_be_read(tmp_path: Path) -> None:
    """Whether it was given up, and holds the payload as well, nothing says."""
    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1000)
    log.append(batch("a", 1, 1000))
    assert log.append(batch("b", 1, 1000)) == [4]
    log.close()
    replaced(log.folder / FIRST, b'"check":', b'"cheek":')
    before = {path.name: path.read_bytes() for path in log.folder.glob("*.jsonl")}
    assert sorted(before) == [FIRST, SECOND]
    with pytest.raises(LogCorruptError, match=f"{FIRST}.*its header cannot be read"):
        log.redact([4], "a secret")
    assert {path.name: path.read_bytes() for path in log.folder.glob("*.jsonl")} == before
    assert not (log.folder / "redaction").exists()


def test_a_redaction_whose_writer_died_at_its_very_end_is_recorded_once(
    log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("consist_es.log.writer.forget_intent", died)
        with pytest.raises(KeyboardInterrupt):
            log.redact([2], "a secret")
    assert (log.folder / "redaction").exists()
    LocalLog(log.folder, storage=Unsynced()).append(batch("c", 1))
    assert [event.type for event in log.read()].count("payload_redacted") == 1
    assert not (log.folder / "redaction").exists()


@pytest.mark.parametrize(("position", "name"), [(2, FIRST), (4, SECOND)])
def test_a_segment_that_is_lost_when_a_redaction_renames_its_copy_over_it_is_put_back(
    tmp_path: Path, position: int, name: str
) -> None:
    class Torn(Unsynced):
        """The old file goes and the new one does not come, as on some network file systems."""

        def rename(self, source: Path, target: Path) -> None:
            if target.name == name:
                target.unlink()
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
            super().rename(source, target)

    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1000)
    for part in "ab":
        log.append([Draft(MetaLogged(values={"note": part + "secret" * 200}))], commit=True)
    log.close()
    before = [event.id for event in log.read()]
    with pytest.raises(LogWriteError):
        LocalLog(log.folder, storage=Torn()).redact([position], "a secret")
    assert not (log.folder / name).exists()
    log.append(batch("c", 1))
    events = list(log.read())
    assert [event.id for event in events[: len(before)]] == before
    assert [event.type for event in events].count("payload_redacted") == 1
    assert b"%bsecret" % (b"a" if position == 2 else b"b") not in (log.folder / name).read_bytes()
    assert verify(log.folder).ok


def test_a_segment_that_was_only_begun_in_a_redaction_is_no_copy_of_one_that_was_lost(tmp_path: Path) -> None:
    def killed() -> bool:
        raise Died

    class Killed(Unsynced):
        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            return super().write_at(fd, data, offset) if _name(fd) != "00000003.jsonl.tmp" else killed()

        def unlink(self, path: Path) -> None:
            if path.name.startswith("00000003.") and path.name.endswith(".jsonl.tmp"):
                killed()
            super().unlink(path)

    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1000)
    for part in "ab":
        log.append(batch(part, 1, 1000), commit=True)
    log.close()
    with pytest.raises(Died):
        LocalLog(log.folder, storage=Killed(), segment_size=1000).redact([2], "a secret")
    assert (log.folder / "redaction").exists()
    assert list(log.folder.glob("00000003.*.jsonl.tmp"))
    log.append(batch("c", 1))
    assert [event.type for event in log.read()].count("payload_redacted") == 1
    assert verify(log.folder).ok


def test_a_decided_redaction_is_not_carried_out_on_another_event_than_was_meant(
    log: LocalLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("consist_es.log.writer.carry_out", died)
        with pytest.raises(KeyboardInterrupt):
            log.redact([2], "a secret")
    path = log.folder / "redaction"
    intent = json.loads(path.read_bytes())
    intent["targets"][0]["event"]["digest"] = "0" * 64
    path.write_bytes(json.dumps(intent).encode())
    before = (log.folder / FIRST).read_bytes()
    with pytest.raises(LogCorruptError, match="position 2 is not the event whose redaction was decided"):
        log.append(batch("c", 1))
    assert (log.folder / FIRST).read_bytes() == before


def test_a_redaction_event_of_a_newer_version_explains_nothing(log: LocalLog) -> None:
    head = log.head()
    later = b',"type":"payload_redacted","v":9,"scenario":null,"run":null'
    item = msgspec.structs.replace(prepare(batch("x", 1)[0], "x"), type_part=later)
    line, _ = encode_line(item, head.seq + 1, True, "2099-01-01T00:00:00.000000Z", "them", head.chain.encode())
    with (log.folder / FIRST).open("ab") as file:
        file.write(line)
    report = verify(log.folder)
    assert report.ok, report.problems
    assert report.events == 6


# ---------------------------------------------------------------- tree heads


@pytest.mark.parametrize(
    ("call", "name", "work"),
    [
        ("open", FIRST, lambda storage, folder: make_head(storage, folder)),
        ("listdir", "checkpoints", lambda storage, folder: make_head(storage, folder)),
        ("listdir", "checkpoints", lambda storage, folder: kept_heads(storage, folder)),
        ("read_at", FIRST, lambda storage, folder: compare(storage, folder, [])),
    ],
)
def test_a_refusal_of_the_system_is_no_verdict_on_a_tree_head(
    log: LocalLog, storage: Refusing, call: str, name: str, work: Callable[[LocalStorage, Path], object]
) -> None:
    (log.folder / "checkpoints").mkdir()
    storage.refused[call, name] = errno.EIO
    with pytest.raises(LogReadError, match="Input/output error"):
        work(storage, log.folder)


def test_what_was_rewritten_lies_between_two_heads_of_different_size() -> None:
    verdicts = [Verdict(name, size, result, "") for name, size, result in (
        ("a", 3, "extended"), ("b", 5, "extended"), ("c", 5, "rewritten"), ("d", 7, "rewritten"), ("e", 9, "cut"),
    )]  # fmt: skip
    assert changed_between(verdicts) == (3, 5)
    assert changed_between(verdicts[2:]) == (0, 5)
    assert changed_between(verdicts[:2]) is None


def test_a_long_walk_tells_how_far_it_is(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced())
    log.append(batch("a", 5000))
    told: list[tuple[int, int]] = []
    survey = Survey(Unsynced(), log.folder)
    survey.run(progress=lambda done, total: told.append((done, total)))
    assert told == [(4096, 5001)]
    assert survey.tree.size == 5001


def test_a_signature_needs_the_file_of_those_who_may_sign(tmp_path: Path) -> None:
    (tmp_path / "head.sig").write_text("")
    with pytest.raises(SignatureError, match=f"file of allowed signers {tmp_path / 'nobody'}"):
        check_signature("head", tmp_path / "head.sig", tmp_path / "nobody")


def test_a_signing_program_that_cannot_be_started_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh-keygen"
    program.write_text("no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SignatureError, match="ssh-keygen failed"):
        sign("head", tmp_path / "key")


def test_a_position_that_no_readable_header_holds_cannot_be_redacted(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1000)
    for part in "abc":
        log.append(batch(part, 1, 1000), commit=True)
    first = log.folder / FIRST
    first.write_bytes(b"?" + first.read_bytes()[1:])
    with pytest.raises(LogCorruptError, match="its header cannot be read"):
        LocalLog(log.folder, storage=Unsynced(), segment_size=1000).redact([2], "a secret")
    assert not (log.folder / "redaction").exists()
