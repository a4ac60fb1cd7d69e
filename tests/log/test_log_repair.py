"""Going on after damage: nothing that can be read is lost, nothing that is lost is hidden, and no byte is touched."""

import os
import random
import re
import shutil
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from consist_es.errors import (
    ConsistWarning,
    LogCorruptError,
    LogError,
    LogFormatError,
    LogFullError,
    LogReadError,
    LogReadOnlyError,
    LogWriteError,
)
from consist_es.events import Draft, LogRepaired, PayloadRedacted, Recorded, RecordLost, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.record import decode_head
from consist_es.log.redaction import plan, write_intent
from consist_es.log.repair import behind
from consist_es.log.salvage import Survivor
from consist_es.log.verify import verify, verify_again
from consist_es.projections import BUILTIN
from consist_es.system.storage import LocalStorage
from consist_es.views.projector import Projector

SMALL = 2500
"""Bytes of a segment here."""


def name_of(fd: int) -> str:
    """Name of an open file, without the random part of one that is being made."""
    return re.sub(r"\.[0-9a-f]{8}(?=\.jsonl\.tmp)", "", Path(f"/proc/self/fd/{fd}").readlink().name)


class Unsynced(LocalStorage):
    """No waiting for the disk: no power is lost here."""

    def datasync(self, fd: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


def opened(folder: Path, *, size: int = SMALL) -> LocalLog:
    return LocalLog(folder, storage=Unsynced(), segment_size=size)


def batch(name: str, size: int) -> list[Draft]:
    return [Draft(StepAbandoned(reason=f"{name} {n}"), "scenario", "run", f"{name}:{n}") for n in range(size)]


def make(folder: Path, *, size: int = SMALL, batches: int = 14) -> list[Recorded]:
    log = opened(folder, size=size)
    for number in range(batches):
        log.append(batch(f"b{number}", 1 + number % 3))
    log.append(batch("last", 2), commit=True)
    log.close()
    return list(log.read())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four segments or so, all of it synced."""
    make(tmp_path / "x")
    return tmp_path / "x"


def segments(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def same(event: Recorded) -> tuple[object, ...]:
    """What an event says, without where it lies and which batch it ends."""
    return (event.seq, event.id, event.at, event.by, event.type, event.scenario, event.run, event.event)


def check(folder: Path, whole: list[Recorded], *, untouched: dict[str, bytes]) -> list[int]:
    """What a repair must have done, whatever was damaged. Returns the positions that are lost."""
    found = list(opened(folder).read())
    assert [event.seq for event in found] == list(range(1, len(found) + 1))
    assert found[-1].end
    assert all(one.at <= two.at for one, two in pairwise(found))
    lost = [event.seq for event in found if isinstance(event.event, RecordLost)]
    for event in found[: len(whole)]:
        if event.seq not in lost:
            assert same(event) == same(whole[event.seq - 1])
    assert len(found) >= len(whole), "what had been synced is neither there nor said to be lost"
    report = verify(folder)
    assert (report.ok, report.problems) == (True, [])
    assert report.lost == lost
    assert report.head == found[-1].seq == opened(folder).head().seq
    assert {name: data for name, data in segments(folder).items() if name in untouched} == untouched
    return lost


def goes_on(folder: Path) -> None:
    """For a process that opens it now, as if nothing had been."""
    log = opened(folder)
    before = log.head().seq
    for number in range(9):
        log.append(batch(f"after {number}", 2), commit=True)
    assert [event.id for event in log.read()][-2:] == ["after 8:0", "after 8:1"]
    assert [event.seq for event in log.read()] == list(range(1, log.head().seq + 1))
    assert log.head().seq > before
    assert verify_again(folder).ok
    assert verify_again(folder).ok


def test_a_whole_log_is_left_as_it_is(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    log = opened(folder)
    assert log.damage() is None
    assert log.repair() == []
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_an_unfinished_batch_at_the_end_is_no_damage(folder: Path) -> None:
    path = sorted(folder.glob("*.jsonl"))[-1]
    with path.open("ab") as file:
        file.write(b'{"seq":99,"end":fal')
    assert opened(folder).damage() is None


def test_any_damaged_line_is_lost_alone(folder: Path, tmp_path: Path) -> None:
    whole = list(opened(folder).read())
    for event in whole:
        copy = tmp_path / f"copy {event.seq}"
        shutil.copytree(folder, copy)
        path = copy / f"{event.segment:08d}.jsonl"
        data = bytearray(path.read_bytes())
        data[event.offset + event.size - 70] ^= 1  # in its payload
        path.write_bytes(data)
        damaged = segments(copy)
        log = opened(copy)
        gaps = log.repair()
        assert [gap.position for gap in gaps] == [event.seq]
        assert check(copy, whole, untouched=damaged) == [event.seq]
        told = list(log.read())[event.seq - 1]
        assert told.event == RecordLost(segment=event.segment, offset=event.offset, size=event.size, said=event.type)
        assert (told.scenario, told.run) == (event.scenario, event.run)
        repaired = [item.event for item in log.read() if isinstance(item.event, LogRepaired)]
        assert [item.segment for item in repaired] == [event.segment]
        assert "lost: 1 of the records" in repaired[0].reason
        shutil.rmtree(copy)


def test_a_line_whose_chain_value_alone_is_damaged_is_not_lost(folder: Path, tmp_path: Path) -> None:
    """The next line's chain value was made from the right one, and so says what it was."""
    whole = list(opened(folder).read())
    for event in whole:
        copy = tmp_path / f"copy {event.seq}"
        shutil.copytree(folder, copy)
        path = copy / f"{event.segment:08d}.jsonl"
        data = bytearray(path.read_bytes())
        data[event.offset + event.size - 20] ^= 1
        path.write_bytes(data)
        opened(copy).repair()
        last_of_segment = event.seq == len(whole) or whole[event.seq].segment != event.segment
        assert check(copy, whole, untouched=segments(copy)) == ([event.seq] if last_of_segment else [])
        if not last_of_segment:  # then every chain value is again what it was
            found = list(opened(copy).read())[: len(whole)]
            assert [item.chain for item in found] == [item.chain for item in whole]
        shutil.rmtree(copy)


def damages(folder: Path, chance: random.Random) -> Iterator[str]:
    """One kind of damage after the other."""
    paths = sorted(folder.glob("*.jsonl"))
    path = chance.choice(paths)
    data = path.read_bytes()
    kind = chance.choice(("zeros", "cut", "missing", "header", "garbage", "lines", "empty", "joined", "flips"))
    start = chance.randrange(len(data) + 1)
    stop = min(start + chance.randrange(1, 1500), len(data))
    lines = data.splitlines(keepends=True)
    if kind == "zeros":
        path.write_bytes(data[:start] + bytes(stop - start) + data[stop:])
    elif kind == "cut":
        path.write_bytes(data[:start])
    elif kind == "missing":
        path.unlink()
    elif kind == "header":
        path.write_bytes(data[:30] + b"?" + data[31:])
    elif kind == "garbage":
        path.write_bytes(data[:start] + chance.randbytes(stop - start) + data[stop:])
    elif kind == "lines":
        chance.shuffle(lines)
        path.write_bytes(b"".join(lines))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "joined":
        path.write_bytes(data.replace(b"\n", b"", 3).replace(b"\n", b" ", 1))
    else:
        changed = bytearray(data)
        for _ in range(20):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
    yield f"{kind} of {path.name}"


@pytest.mark.parametrize("seed", range(120))
def test_whatever_is_damaged_what_is_left_is_kept_and_the_rest_is_said_to_be_lost(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    whole = list(opened(folder).read())
    for _ in range(chance.randint(1, 2)):
        for what in damages(folder, chance):
            print(what)
        damaged = segments(folder)
        log = opened(folder)
        try:
            damage = log.damage()
            gaps = log.repair()
        except LogFormatError:  # the first segment does not say any more that it is a log of ours
            assert not any(data.startswith(b'{"format":"consist-es log"') for data in damaged.values())
            return
        assert (damage is None) == (segments(folder) == damaged), (
            "there was damage and nothing was done, or the reverse"
        )
        lost = check(folder, whole, untouched=damaged)
        assert {gap.position for gap in gaps} <= set(lost)
        before = [event.seq for event in whole if isinstance(event.event, RecordLost)]
        assert set(lost) == {gap.position for gap in gaps} | set(before)
        whole = list(opened(folder).read())
    goes_on(folder)


def test_a_log_that_was_cut_below_what_had_been_synced_says_what_is_lost(folder: Path) -> None:
    whole = list(opened(folder).read())
    last = whole[-3]
    path = folder / f"{last.segment:08d}.jsonl"
    path.write_bytes(path.read_bytes()[: last.offset + 10])
    with pytest.raises(LogCorruptError, match="consist-es repair"):
        opened(folder).append(batch("new", 1))
    opened(folder).repair()
    assert check(folder, whole, untouched=segments(folder)) == [len(whole) - 2, len(whole) - 1, len(whole)]
    goes_on(folder)


def test_a_writer_that_has_the_log_open_goes_on_in_what_was_repaired(folder: Path) -> None:
    other = opened(folder)
    other.append(batch("other", 1), commit=True)
    whole = list(other.read())
    path = folder / f"{whole[4].segment:08d}.jsonl"
    data = bytearray(path.read_bytes())
    data[whole[4].offset + 200] ^= 1
    path.write_bytes(data)
    opened(folder).repair()
    other.append(batch("goes on", 1), commit=True)
    assert list(opened(folder).read())[-1].id == "goes on:0"
    assert verify(folder).ok


def test_a_follower_takes_nothing_for_torn_that_another_process_had_synced(folder: Path) -> None:
    follower = opened(folder)
    follower.append(batch("follower", 1))
    opened(folder).append(batch("synced", 3), commit=True)
    last = list(opened(folder).read())[-1]
    path = folder / f"{last.segment:08d}.jsonl"
    path.write_bytes(path.read_bytes()[: last.offset + 10])
    before = segments(folder)
    with pytest.raises(LogCorruptError, match=f"position {last.seq} was synced"):
        follower.append(batch("more", 1))
    assert segments(folder) == before


def test_a_repair_that_fails_changes_nothing(folder: Path) -> None:
    class Full(Unsynced):
        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            raise OSError(28, os.strerror(28))

    whole = list(opened(folder).read())
    path = folder / "00000001.jsonl"
    data = bytearray(path.read_bytes())
    data[whole[3].offset + 200] ^= 1
    path.write_bytes(data)
    before = segments(folder)
    with pytest.raises(LogFullError):
        LocalLog(folder, storage=Full()).repair()
    with pytest.raises(LogReadOnlyError):
        LocalLog(folder, read_only=True).repair()
    assert segments(folder) == before
    opened(folder).repair()
    assert check(folder, whole, untouched=before) == [4]


class Failing(Unsynced):
    """Every call that changes something fails from the n-th on, as for a process that is killed there."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(5, os.strerror(5))

    def open(self, path: Path, flags: int) -> int:
        if flags & os.O_CREAT:
            self._count()
        return super().open(path, flags)

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        self._count()
        return super().write_at(fd, data, offset)

    def datasync(self, fd: int) -> None:
        self._count()

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def rename_new(self, source: Path, target: Path) -> None:
        self._count()
        super().rename_new(source, target)

    def unlink(self, path: Path) -> None:
        self._count()
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._count()


def test_a_repair_that_ends_anywhere_is_done_or_can_be_done_again(folder: Path, tmp_path: Path) -> None:
    whole = list(opened(folder).read())
    verify_again(folder)
    path = folder / "00000002.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"id":"b5:0"', b'"id":"b5:9"'))
    lost = next(event.seq for event in whole if event.id == "b5:0")
    before = segments(folder)
    reached = 0
    while True:
        copy = tmp_path / f"copy {reached}"
        shutil.copytree(folder, copy)
        storage = Failing(reached)
        try:
            LocalLog(copy, storage=storage, segment_size=SMALL).repair()
        except LogError:
            assert segments(copy) == before or len(segments(copy)) == len(before) + 1
        opened(copy).repair()
        assert check(copy, whole, untouched=before) == [lost]
        goes_on(copy)
        shutil.rmtree(copy)
        if storage.left > 0:
            break
        reached += 1
    assert reached > 7


def test_a_line_that_claims_a_position_far_away_makes_no_gap_of_that_size(folder: Path) -> None:
    whole = list(opened(folder).read())
    path = folder / "00000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'{"seq":3,', b'{"seq":3000000000,')
    path.write_bytes(b"".join(lines))
    opened(folder).repair()
    assert check(folder, whole, untouched=segments(folder)) == [3]


def test_the_error_says_how_much_can_be_read_behind_the_damage(tmp_path: Path) -> None:
    whole = make(tmp_path / "x", size=1 << 20)
    path = tmp_path / "x" / "00000001.jsonl"
    data = bytearray(path.read_bytes())
    data[whole[4].offset + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogCorruptError) as caught:
        list(opened(tmp_path / "x").read())
    assert f"{len(whole) - 5} more can be read in that file" in str(caught.value)
    assert caught.value.beyond == len(whole) - 5
    (tmp_path / "x" / "head").unlink()
    with pytest.raises(LogCorruptError) as caught:
        opened(tmp_path / "x").append(batch("new", 1))
    assert caught.value.beyond == len(whole) - 5


def test_what_was_redacted_stays_redacted_and_what_is_redacted_later_leaves_the_damaged_part_too(folder: Path) -> None:
    log = opened(folder)
    log.append([Draft(StepAbandoned(reason="first secret"), id="s1"), Draft(StepAbandoned(reason="other secret"))])
    first = next(event.seq for event in log.read() if event.id == "s1")
    log.append(batch("end", 1), commit=True)
    log.redact([first], "it got in")
    whole = list(log.read())
    damaged_at = whole[first - 2]
    path = folder / f"{damaged_at.segment:08d}.jsonl"
    data = bytearray(path.read_bytes())
    data[damaged_at.offset + 200] ^= 1
    path.write_bytes(data)
    opened(folder).repair()
    assert check(folder, whole, untouched=segments(folder)) == [damaged_at.seq]
    assert any(b"other secret" in data for data in segments(folder).values())
    opened(folder).redact([first + 1], "this one too")
    assert not any(b"secret" in data for data in segments(folder).values())
    assert verify(folder).ok
    goes_on(folder)


def test_a_segment_whose_header_is_gone_is_emptied_by_a_redaction_of_what_replaced_it(folder: Path) -> None:
    whole = list(opened(folder).read())
    second = folder / "00000002.jsonl"
    second.write_bytes(b"?" + second.read_bytes()[1:])
    opened(folder).repair()
    assert check(folder, whole, untouched=segments(folder)) == []
    event = next(event for event in whole if event.segment == 2 and event.type == "step_abandoned")
    opened(folder).redact([event.seq], "not for everybody")
    reason = event.event.reason.encode() if isinstance(event.event, StepAbandoned) else b"?"
    assert not any(b'"' + reason + b'"' in data for data in segments(folder).values())
    assert verify(folder).ok
    goes_on(folder)


def test_without_any_header_that_can_be_read_nothing_is_done(tmp_path: Path) -> None:
    make(tmp_path / "x", size=1 << 20)
    path = tmp_path / "x" / "00000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"library":', b'"liberty":', 1))
    before = path.read_bytes()
    for log in (opened(tmp_path / "x"),):
        with pytest.raises(LogError, match="header"):
            log.damage()
        with pytest.raises(LogError, match="header"):
            log.repair()
    assert path.read_bytes() == before
    assert decode_head(before.splitlines()[1].partition(b',"data":')[0]).seq == 1


def harm(folder: Path, event: Recorded) -> None:
    """Damage its payload."""
    path = folder / f"{event.segment:08d}.jsonl"
    data = bytearray(path.read_bytes())
    data[event.offset + event.size - 70] ^= 1
    path.write_bytes(data)


def secret(folder: Path) -> Recorded:
    """A new event, synced, to be redacted."""
    log = opened(folder)
    log.append([Draft(StepAbandoned(reason="hush"), id="secret")], commit=True)
    log.close()
    return next(event for event in log.read() if event.id == "secret")


@pytest.mark.parametrize("number", [2, 4])
def test_a_whole_copy_that_was_to_replace_a_segment_is_put_back_before_anything_is_called_lost(
    folder: Path, number: int
) -> None:
    whole = list(opened(folder).read())
    path = folder / f"{number:08d}.jsonl"
    before = segments(folder)
    path.rename(path.with_suffix(".copy.jsonl.tmp"))
    assert opened(folder).repair() == []
    assert segments(folder) == before
    assert list(opened(folder).read()) == whole


def test_a_repair_that_fails_leaves_no_word_of_it_to_be_recorded(folder: Path) -> None:
    class Unnamed(Unsynced):
        due = True

        def rename_new(self, source: Path, target: Path) -> None:
            if self.due:
                raise OSError(5, os.strerror(5))
            super().rename_new(source, target)

    harm(folder, list(opened(folder).read())[3])
    storage = Unnamed()
    log = LocalLog(folder, storage=storage)
    with pytest.raises(LogWriteError):
        log.repair()
    storage.due = False
    log.repair()
    assert [event.type for event in log.read()].count("log_repaired") == 1


def test_what_was_not_synced_before_the_damage_is_synced_before_a_segment_goes_on_from_it(tmp_path: Path) -> None:
    folder, synced, written = tmp_path / "x", list[str](), list[str]()

    class Watched(Unsynced):
        def datasync(self, fd: int) -> None:
            synced.append(name_of(fd))

        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            written.append(name_of(fd))
            return super().write_at(fd, data, offset)

    log = opened(folder, size=1 << 20)
    for number in range(4):
        log.append(batch(f"b{number}", 2))
    harm(folder, list(log.read())[5])
    before = segments(folder)
    LocalLog(folder, storage=Watched()).repair()
    assert synced == ["00000001.jsonl", "00000002.jsonl.tmp"]
    assert written[:2] == ["00000001.jsonl", "00000002.jsonl.tmp"]
    assert segments(folder)["00000001.jsonl"] == before["00000001.jsonl"]


def test_a_log_whose_end_is_missing_can_be_written_though_the_repair_was_killed_before_the_mark(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = list(opened(folder).read())
    (folder / "00000003.jsonl").unlink()
    (folder / "00000004.jsonl").unlink()
    left = segments(folder)
    monkeypatch.setattr("consist_es.log.writer.write_watermark", lambda *_: None)
    opened(folder).repair()
    monkeypatch.undo()
    first = next(event.seq for event in whole if event.segment == 3)
    assert check(folder, whole, untouched=left) == list(range(first, len(whole) + 1))
    goes_on(folder)


def test_a_writer_whose_next_segment_is_missing_learns_that_the_log_has_gone_on(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    idle, busy = opened(folder), opened(folder)
    idle.append(batch("idle", 1), commit=True)
    for number in range(14):
        busy.append(batch(f"b{number}", 3), commit=True)
    (folder / "00000002.jsonl").unlink()
    opened(folder).repair()
    position = idle.append(batch("late", 1), commit=True)
    assert [[event.seq] for event in opened(folder).read() if event.id == "late:0"] == [position]
    assert verify(folder).ok


@pytest.mark.parametrize("missing", [True, False])
def test_a_retry_finds_what_is_there_behind_a_segment_that_was_given_up(folder: Path, missing: bool) -> None:
    path = folder / "00000002.jsonl"
    data = path.read_bytes()
    path.unlink() if missing else path.write_bytes(b"?" + data[1:])
    with pytest.raises(LogError):
        opened(folder).append(batch("b0", 1) + batch("new", 1), since=0)
    opened(folder).repair()
    known = next(event.seq for event in opened(folder).read() if event.id == "b0:0")
    assert opened(folder).append(batch("b0", 1) + batch("new", 1), since=0)[0] == known
    assert verify(folder).ok


def test_a_retry_stops_at_a_segment_that_has_the_first_event(folder: Path) -> None:
    path = folder / "00000001.jsonl"
    path.write_bytes(b"?" + path.read_bytes()[1:])
    opened(folder).repair()
    assert [event.seq for event in opened(folder).read() if event.id == "b0:0"] == opened(folder).append(
        batch("b0", 1), since=0
    )


def test_a_reader_on_its_way_yields_nothing_twice_where_a_repair_begins_before_it(folder: Path) -> None:
    event = list(opened(folder).read())[3]
    reading = opened(folder).read()
    seen = [next(reading).seq for _ in range(7)]
    path = folder / f"{event.segment:08d}.jsonl"
    data = bytearray(path.read_bytes())
    data[event.offset + event.size - 20] ^= 1  # its chain value, so that it is not lost
    path.write_bytes(data)
    assert opened(folder).repair() == []
    seen += [event.seq for event in reading]
    assert seen == list(range(1, opened(folder).head().seq + 1))


def test_a_file_of_a_far_number_is_no_reason_to_look_for_all_before_it(folder: Path) -> None:
    (folder / "99999999.jsonl").write_bytes(b"?")
    before = segments(folder)
    with pytest.raises(LogCorruptError, match=r"00000005\.jsonl.*missing"):
        list(opened(folder).read())
    assert opened(folder).damage() is not None
    with pytest.raises(LogCorruptError, match="are missing"):
        opened(folder).repair()
    assert segments(folder) == before


def test_nothing_is_called_lost_because_the_disk_of_an_archived_segment_is_not_there(folder: Path) -> None:
    path = folder / "00000002.jsonl"
    path.unlink()
    path.symlink_to(folder / "not mounted" / path.name)
    with pytest.raises(LogReadError, match=r"00000002\.jsonl"):
        opened(folder).damage()
    with pytest.raises(LogReadError, match=r"00000002\.jsonl"):
        opened(folder).repair()
    assert not (folder / "00000005.jsonl").exists()


def test_a_sealed_segment_that_a_repair_went_on_from_the_middle_of_is_redacted_too(tmp_path: Path) -> None:
    class Unnamed(Unsynced):
        def rename_new(self, source: Path, target: Path) -> None:
            raise OSError(5, os.strerror(5))

    folder = tmp_path / "x"
    make(folder, size=1 << 20)
    at = secret(folder).seq
    with pytest.raises(LogWriteError):
        LocalLog(folder, storage=Unnamed(), segment_size=100).append(batch("new", 1))
    events = list(opened(folder).read())
    assert events[-1].type == "segment_sealed"
    harm(folder, events[3])
    opened(folder).repair()
    opened(folder).redact([at], "not for everybody")
    assert [name for name, data in segments(folder).items() if b'"hush"' in data] == []
    assert verify(folder).ok


def test_what_was_redacted_may_be_lost_later(folder: Path) -> None:
    at = secret(folder).seq
    opened(folder).redact([at], "not for everybody")
    harm(folder, list(opened(folder).read())[at - 1])
    assert [gap.position for gap in opened(folder).repair()] == [at]
    assert verify(folder).problems == []
    goes_on(folder)


@pytest.mark.parametrize("readable", [True, False])
def test_the_word_of_a_redaction_may_be_lost_later(folder: Path, readable: bool) -> None:
    opened(folder).redact([secret(folder).seq], "not for everybody")
    opened(folder).append(batch("more", 2), commit=True)
    word = next(event for event in opened(folder).read() if isinstance(event.event, PayloadRedacted))
    if readable:
        harm(folder, word)
    else:
        path = folder / f"{word.segment:08d}.jsonl"
        data = path.read_bytes()
        path.write_bytes(data[: word.offset] + b"?" + data[word.offset + 1 :])
    assert [gap.position for gap in opened(folder).repair()] == [word.seq]
    assert verify(folder).problems == []
    goes_on(folder)


def test_a_redaction_that_was_begun_is_finished_though_its_record_was_lost_meanwhile(folder: Path) -> None:
    event, storage = secret(folder), Unsynced()
    write_intent(storage, folder, plan(storage, folder, [event.seq], event.seq, "not for everybody", "me", ["word"]))
    harm(folder, event)
    assert [gap.position for gap in opened(folder).repair()] == [event.seq]
    opened(folder).append(batch("more", 1))
    assert [name for name, data in segments(folder).items() if b'"hush"' in data] == []
    assert verify(folder).ok
    goes_on(folder)


def test_a_redaction_does_not_ask_for_a_segment_that_was_given_up_and_removed(folder: Path) -> None:
    harm(folder, list(opened(folder).read())[3])
    opened(folder).repair()
    (folder / "00000003.jsonl").unlink()
    event = next(event for event in opened(folder).read() if event.id == "last:0")
    opened(folder).redact([event.seq], "not for everybody")
    assert [name for name, data in segments(folder).items() if b'"last 0"' in data] == []
    assert verify(folder).ok
    goes_on(folder)


@pytest.mark.parametrize("how", ["header", "empty", "version", "missing"])
def test_views_that_got_into_a_segment_whose_header_is_gone_heal_after_a_repair(folder: Path, how: str) -> None:
    log = opened(folder)
    views = Projector(folder.parent / "views.db", log, BUILTIN)
    views.catch_up()
    path = folder / f"{views.checkpoint().segment:08d}.jsonl"
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"header": b"?" + data[1:], "empty": b"", "version": data.replace(b"version", b"virsion")}[how]
        )
    with pytest.raises(LogError):
        list(log.read())
    opened(folder).repair()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConsistWarning)  # where records are lost, the old views are set aside
        assert views.checkpoint() == log.head()
    views.rebuild(target=folder.parent / "again.db")
    assert views.compare(folder.parent / "again.db") == {}
    views.close()


@pytest.mark.parametrize("which", [-1, -2])
def test_a_damaged_record_of_the_last_batch_is_lost_alone_though_nothing_was_synced(tmp_path: Path, which: int) -> None:
    log = LocalLog(tmp_path / "x", storage=Unsynced(), sync="os")
    log.append(batch("a", 2))
    log.append(batch("b", 3))
    log.close()
    whole = list(log.read())
    event = whole[which]
    path = tmp_path / "x" / "00000001.jsonl"
    data = bytearray(path.read_bytes())
    data[event.offset + event.size - 70] ^= 1
    path.write_bytes(data)
    before = segments(tmp_path / "x")
    assert [gap.position for gap in opened(tmp_path / "x").repair()] == [event.seq]
    assert check(tmp_path / "x", whole, untouched=before) == [event.seq]


def test_a_writer_does_not_go_on_behind_a_damaged_record_at_the_watermark(folder: Path) -> None:
    last = list(opened(folder).read())[-1]
    path = folder / f"{last.segment:08d}.jsonl"
    data = bytearray(path.read_bytes())
    data[last.offset + last.size - 70] ^= 1
    path.write_bytes(data)
    before = segments(folder)
    with pytest.raises(LogCorruptError, match=f"position {last.seq} was synced"):
        opened(folder).append(batch("new", 1))
    assert segments(folder) == before


def test_what_an_earlier_check_noted_is_forgotten_where_damage_is_found(folder: Path) -> None:
    assert verify_again(folder).ok
    event = list(opened(folder).read())[2]
    path = folder / "00000001.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: event.offset + 200] + b"?" + whole[event.offset + 201 :])
    assert verify_again(folder).ok, "the short check looks behind its note alone"
    report = verify_again(folder, full=True)
    assert not report.ok
    assert report.before is not None
    assert (report.before, report.events - report.before) == (event.seq - 1, len(list(_behind(folder))))
    assert not verify_again(folder).ok, "the note is believed though it was found wrong"


def _behind(folder: Path) -> Iterator[Survivor]:
    log = opened(folder)
    damage = log.damage()
    assert damage is not None
    return (item for item in behind(LocalStorage(), folder, damage) if isinstance(item, Survivor))
