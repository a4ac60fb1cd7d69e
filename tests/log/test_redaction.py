"""A payload that was redacted is nowhere any more, and everything else is what it was."""

import contextlib
import errno
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import consist_es as consist
from consist_es.errors import (
    LogCorruptError,
    LogError,
    LogMismatchError,
    LogReadOnlyError,
    RedactionError,
    UsageTypeError,
)
from consist_es.events import (
    REGISTRY,
    Draft,
    Event,
    MetaLogged,
    PayloadRedacted,
    Recorded,
    RedactedEvent,
    StepAbandoned,
)
from consist_es.log.evidence.survey import Survey
from consist_es.log.local import LocalLog
from consist_es.log.record import (
    ROOM,
    chain_of,
    encode_data,
    payload_digest,
    redacted_digest,
    redacted_form,
    split_line,
)
from consist_es.log.verify import verify
from consist_es.project.project import Project
from consist_es.projections import BUILTIN, run_table
from consist_es.system.storage import LocalStorage
from consist_es.views.projector import Projector
from tests.log.test_log_faults import Died, Faulty, Powered, Unsynced, every_call
from tests.support.cli import record, run, run_json
from tests.support.views import state

SECRET = "hunter2-correct-horse"


def meta(text: str = SECRET, **more: Any) -> Draft:
    return Draft(MetaLogged(values={"note": text, **more}), scenario="S", run="R")


def note(name: str) -> Draft:
    return Draft(StepAbandoned(reason="x" * 40), id=name)


def opened(folder: Path, size: int = 64 << 20, storage: LocalStorage | None = None) -> LocalLog:
    return LocalLog(folder, storage=storage or Unsynced(), segment_size=size)


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    """Positions 1 (the writer), 2 and 3, 4 (the secret), 5 and 6."""
    log = opened(tmp_path / "p.events")
    log.append([note("a"), note("b")])
    log.append([meta()])
    log.append([note("c"), note("d")], commit=True)
    return log


def bytes_below(folder: Path) -> bytes:
    """All that the files below a folder hold, and their names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(part for path in files for part in (os.fsencode(path), path.read_bytes()))


def leaves(folder: Path) -> list[bytes]:
    survey = Survey(LocalStorage(), folder)
    survey.run()
    return survey.tree.peaks


# ---------------------------------------------------------------- the log


def test_a_redacted_payload_is_nowhere_and_everything_else_is_what_it_was(log: LocalLog) -> None:
    before, size = list(log.read()), (log.folder / "00000001.jsonl").stat().st_size
    assert SECRET.encode() in bytes_below(log.folder)
    log.redact([4], "a password", "eve")
    assert SECRET.encode() not in bytes_below(log.folder)
    after = list(log.read())
    (gone,) = [event for event in after if isinstance(event.event, RedactedEvent)]
    assert gone.seq == 4
    assert (gone.type, gone.scenario, gone.run) == ("meta_logged", "S", "R")
    assert [_place(event) for event in after[: len(before)]] == [_place(event) for event in before]
    assert [event for event in after[: len(before)] if event.seq != 4] == [e for e in before if e.seq != 4]
    assert after[-1].event == PayloadRedacted(
        position=4,
        event="meta_logged",
        digest=gone.event.digest,  # type: ignore[union-attr]
        size=len(encode_data(meta().event)),
        reason="a password",
        user="eve",
    )
    assert (after[-1].scenario, after[-1].run, after[-1].offset) == ("S", "R", size)


def _place(event: Recorded) -> tuple[Any, ...]:
    return (event.seq, event.id, event.at, event.chain, event.segment, event.offset, event.size)


def test_the_digest_that_is_left_is_the_payloads_and_the_line_is_json(log: LocalLog) -> None:
    payload = encode_data(meta().event)
    log.redact([4], "r")
    line = (log.folder / "00000001.jsonl").read_bytes().splitlines(keepends=True)[4]
    data = split_line(line)[1]
    assert len(data) == len(payload)
    assert redacted_digest(data) == payload_digest(payload).hex() == payload_digest(data).hex()
    assert json.loads(line)["data"] == {"$redacted": redacted_digest(data)}


def test_verify_is_content_and_lists_what_was_redacted(log: LocalLog) -> None:
    log.redact([4, 2], "r")
    report = verify(log.folder)
    assert report.ok, report.problems
    assert (report.redacted, report.redacting, report.events) == ([2, 4], False, 8)


def test_the_merkle_tree_is_what_it_was(log: LocalLog, tmp_path: Path) -> None:
    shutil.copytree(log.folder, tmp_path / "same")
    log.redact([4], "r")
    before, after = Survey(LocalStorage(), tmp_path / "same"), Survey(LocalStorage(), log.folder)
    before.run()
    after.run(stop=before.tree.size)
    assert after.tree.root() == before.tree.root()


@pytest.mark.parametrize("length", [0, 1, 10, 60, 61, 62, 63, 64, 65, 500])
def test_a_payload_of_any_length_can_be_redacted(tmp_path: Path, length: int) -> None:
    log = opened(tmp_path / "x")
    (position,) = log.append([Draft(MetaLogged(values={"k": "s" * length}))])
    log.redact([position], "r")
    assert isinstance(next(iter(event for event in log.read() if event.seq == position)).event, RedactedEvent)
    assert verify(log.folder).ok


def test_a_short_payload_has_the_room_that_its_digest_needs_and_means_the_same() -> None:
    data = encode_data(MetaLogged(values={}))
    assert len(data) == ROOM
    assert msgspec.json.decode(data) == {"values": {}}
    assert encode_data(MetaLogged(values={"k": "x" * 100})) == msgspec.json.encode(MetaLogged(values={"k": "x" * 100}))


def test_every_changed_byte_of_a_redaction_is_found(log: LocalLog) -> None:
    log.redact([4], "r")
    path = log.folder / "00000001.jsonl"
    data = path.read_bytes()
    event = next(event for event in log.read() if event.seq == 4)
    for offset in range(event.offset, event.offset + event.size - 1):
        for bit in range(8):
            changed = bytearray(data)
            changed[offset] ^= 1 << bit
            path.write_bytes(changed)
            assert not verify(log.folder).ok, (offset, bit)
    path.write_bytes(data)
    assert verify(log.folder).ok


def test_a_payload_that_somebody_swaps_for_a_digest_is_reported(log: LocalLog) -> None:
    _edit(log, 4, redacted_form)
    assert [(p.position, p.what) for p in verify(log.folder).problems] == [
        (4, "its payload is gone, and no event says that it was redacted")
    ]


def test_a_payload_that_is_back_after_its_redaction_is_reported(log: LocalLog) -> None:
    payload = encode_data(meta().event)
    log.redact([4], "r")
    _edit(log, 4, lambda _data: payload)
    assert [(p.position, p.what) for p in verify(log.folder).problems] == [
        (4, "its payload was redacted, and is there again")
    ]


def test_a_digest_of_something_else_breaks_the_chain(log: LocalLog) -> None:
    _edit(log, 4, lambda data: redacted_form(data.replace(b"hunter2", b"hunter3")))
    with pytest.raises(LogCorruptError):
        list(log.read())


def test_a_redaction_that_was_made_shorter_is_reported(log: LocalLog) -> None:
    (position,) = log.append([meta("x" * 200)])
    log.redact([position], "r")
    _edit(log, position, lambda data: data.replace(b"\t", b"", 1))
    assert [(p.position, p.what) for p in verify(log.folder).problems if p.position == position] == [
        (position, "its payload is gone, and another one was redacted")
    ]


def _edit(log: LocalLog, position: int, change: Callable[[bytes], bytes]) -> None:
    """Put something else in the place of a line's data, as somebody with an editor would."""
    path = log.folder / "00000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    head, data, chain = split_line(lines[position])
    lines[position] = head + b',"data":' + change(data) + b',"chain":"' + chain + b'"}\n'
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("name", ["$redacted", "$blob", "$anything"])
def test_an_event_that_would_look_like_a_redaction_is_refused(name: str) -> None:
    class Dollar(Event, frozen=True, kw_only=True):
        text: str = msgspec.field(name=name, default="0" * 64)

    del REGISTRY[Dollar.TYPE, Dollar.V]
    with pytest.raises(UsageTypeError, match="reserved for the log"):
        encode_data(Dollar())


@pytest.mark.parametrize("value", [{"$redacted": "0" * 64}, {"": {"$redacted": "0" * 64}}, ['{"$redacted":"']])
def test_a_value_that_looks_like_a_redaction_is_a_value(tmp_path: Path, value: Any) -> None:
    log = opened(tmp_path / "x")
    log.append([Draft(MetaLogged(values={"v": value}))])
    assert [event.event for event in log.read()][-1] == MetaLogged(values={"v": value})


# ---------------------------------------------------------------- what is refused


def test_the_logs_own_events_are_refused(log: LocalLog) -> None:
    log.redact([4], "r")
    for position, what in ((1, "writer_attached"), (7, "payload_redacted")):
        with pytest.raises(RedactionError, match=f"Position {position} .*{what} event of the log itself"):
            log.redact([position], "r")


@pytest.mark.parametrize("position", [7, 99])
def test_a_position_that_is_not_there_is_refused_with_all_the_rest(log: LocalLog, position: int) -> None:
    before = bytes_below(log.folder)
    with pytest.raises(RedactionError, match="the log ends at position 6"):
        log.redact([4, position], "r")
    assert bytes_below(log.folder) == before


def test_an_empty_log_has_nothing_to_redact_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(RedactionError, match="no event in"):
        opened(tmp_path / "x").redact([1], "r")
    assert not (tmp_path / "x").exists()


def test_what_is_redacted_already_is_refused(log: LocalLog) -> None:
    log.redact([4], "r")
    with pytest.raises(RedactionError, match="redacted already"):
        log.redact([4], "r")
    assert len(list(log.read())) == 7


def test_a_log_opened_for_reading_refuses(log: LocalLog) -> None:
    with pytest.raises(LogReadOnlyError):
        LocalLog(log.folder, read_only=True).redact([4], "r")


def test_a_payload_without_room_for_its_digest_is_refused(log: LocalLog, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("consist_es.log.record.ROOM", 0)  # as an early version wrote
        log.append([Draft(MetaLogged(values={"a": 1}))])
    with pytest.raises(RedactionError, match="its payload has 18 bytes"):
        log.redact([7], "r")


def test_a_log_that_is_damaged_before_the_payload_is_left_alone(log: LocalLog) -> None:
    path = log.folder / "00000001.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"id":"a"', b'"id":"z"'))
    with pytest.raises(LogCorruptError):
        log.redact([4], "r")
    assert path.read_bytes() == data.replace(b'"id":"a"', b'"id":"z"')
    assert not (log.folder / "redaction").exists()


# ---------------------------------------------------------------- segments, blobs


def test_a_payload_in_a_sealed_segment_goes_and_the_others_are_not_touched(tmp_path: Path) -> None:
    log = opened(tmp_path / "x", size=1500)
    log.append([meta()])
    for n in range(12):
        log.append([note(str(n)), note(f"{n}'")])
    segments = sorted(log.folder.glob("*.jsonl"))
    untouched = {path: path.read_bytes() for path in segments[1:-1]}
    log.redact([2], "r")
    assert SECRET.encode() not in bytes_below(log.folder)
    assert {path: path.read_bytes() for path in untouched} == untouched
    assert verify(log.folder).ok


def test_payloads_in_several_segments_go_at_once(tmp_path: Path) -> None:
    log = opened(tmp_path / "x", size=1500)
    positions = [log.append([meta(n=n), note(str(n))])[0] for n in range(12)]
    assert len({event.segment for event in log.read() if event.seq in positions}) > 2
    log.redact(positions, "r")
    assert SECRET.encode() not in bytes_below(log.folder)
    assert verify(log.folder).redacted == positions


def test_a_payload_goes_from_the_part_of_a_segment_that_was_given_up_too(tmp_path: Path) -> None:
    class Unsyncable(Unsynced):
        bad = False

        def datasync(self, fd: int) -> None:
            if self.bad and self.inode(fd) == self.inode(tmp_path / "x" / "00000001.jsonl"):
                raise OSError(errno.EIO, "Input/output error")

    storage = Unsyncable()
    log = opened(tmp_path / "x", storage=storage)
    log.append([note("a")], commit=True)
    (position,) = log.append([meta()])
    storage.bad = True
    log.append([note("b")], commit=True)
    assert len(list(log.folder.glob("*.jsonl"))) == 2
    assert bytes_below(log.folder).count(SECRET.encode()) == 2
    log.redact([position], "r")
    assert SECRET.encode() not in bytes_below(log.folder)
    assert verify(log.folder).ok


@pytest.mark.parametrize("damage", ["none", "before", "in", "cut"])
def test_a_damaged_end_that_was_given_up_holds_no_redaction_up(tmp_path: Path, damage: str) -> None:
    class Unsyncable(Unsynced):
        bad = 0

        def datasync(self, fd: int) -> None:
            path = tmp_path / "x" / f"{self.bad:08d}.jsonl"
            if path.exists() and self.inode(fd) == self.inode(path):
                raise OSError(errno.EIO, "Input/output error")

    storage = Unsyncable()
    log = opened(tmp_path / "x", storage=storage)
    log.append([note("a")], commit=True)
    log.append([note("b")])
    (position,) = log.append([meta()])
    storage.bad = 1
    log.append([note("after")], commit=True)
    given_up, _ = sorted(log.folder.glob("*.jsonl"))
    data = given_up.read_bytes()
    place = {"none": 0, "cut": 0, "before": data.index(b'"id":"b"'), "in": data.index(SECRET.encode())}[damage]
    if damage == "cut":
        given_up.write_bytes(data[:-9])
    elif place:  # what a failed sync may leave of bytes that it dropped
        given_up.write_bytes(data[:place] + bytes(4) + data[place + 4 :])
    assert verify(log.folder).ok
    before = [event.id for event in log.read()]

    log.redact([position], "r")

    assert SECRET.encode() not in bytes_below(log.folder)
    assert [event.id for event in log.read()][: len(before)] == before
    log.append([note("later")], commit=True)
    assert LocalLog(log.folder).append([note("much later")], commit=True)
    assert verify(log.folder).ok
    assert verify(log.folder).redacted == [position]


def test_a_large_payload_goes_with_its_blob(tmp_path: Path) -> None:
    log = opened(tmp_path / "x")
    (position,) = log.append([meta(SECRET + "x" * (1 << 20))])
    assert SECRET.encode() in bytes_below(log.folder / "blobs")
    log.redact([position], "r")
    assert not list((log.folder / "blobs").iterdir())
    assert verify(log.folder).ok
    (again,) = log.append([meta(SECRET + "x" * (1 << 20))])
    assert [event.event for event in log.read() if event.seq == again] == [meta(SECRET + "x" * (1 << 20)).event]


def test_a_blob_that_another_event_needs_too_goes_with_both_or_not_at_all(tmp_path: Path) -> None:
    log = opened(tmp_path / "x")
    large = meta(SECRET + "x" * (1 << 20))
    positions = [log.append([large])[0], log.append([note("a"), large])[1]]
    with pytest.raises(RedactionError, match=f"position {positions[1]} has the same payload"):
        log.redact(positions[:1], "r")
    assert verify(log.folder).redacted == []
    log.redact(positions, "r")
    assert SECRET.encode() not in bytes_below(log.folder)
    assert verify(log.folder).ok


def test_a_blob_that_is_redacted_while_the_same_payload_is_appended_again_is_there_for_the_new_one(
    tmp_path: Path,
) -> None:
    large = meta(SECRET + "x" * (1 << 20))
    log = opened(tmp_path / "x")
    (position,) = log.append([large])

    class Overtaken(Unsynced):
        """Between its blob and the lock, somebody redacts the other event with that payload."""

        armed = True

        def flock(self, fd: int, *, blocking: bool) -> bool:
            if self.armed:
                self.armed = False
                log.redact([position], "r")
            return super().flock(fd, blocking=blocking)

    (again,) = opened(log.folder, storage=Overtaken()).append([large])
    assert [event.event for event in log.read() if event.seq == again] == [large.event]
    assert verify(log.folder).ok


def test_a_reader_that_has_the_line_when_its_blob_goes_sees_the_redaction(tmp_path: Path) -> None:
    log = opened(tmp_path / "x")
    log.append([note("a"), meta(SECRET + "x" * (1 << 20)), note("b")])
    reading = log.read()
    assert [next(reading).seq, next(reading).seq] == [1, 2]
    log.redact([3], "r")
    assert isinstance(next(reading).event, RedactedEvent)
    assert next(reading).id == "b"


def test_the_segment_keeps_its_mode(log: LocalLog) -> None:
    path = log.folder / "00000001.jsonl"
    path.chmod(0o640)
    log.redact([4], "r")
    assert path.stat().st_mode & 0o777 == 0o640


# ---------------------------------------------------------------- others at work


def test_a_writer_that_had_the_log_open_goes_on(log: LocalLog) -> None:
    other = opened(log.folder)
    other.append([note("o")])
    log.redact([4], "r")
    other.append([note("p")], commit=True)
    assert [event.id for event in log.read()][-1] == "p"
    assert [event.seq for event in log.read()] == list(range(1, 11))
    assert verify(log.folder).ok


def test_a_file_that_is_no_copy_of_the_segment_is_still_refused(log: LocalLog) -> None:
    other = opened(log.folder)
    other.append([note("o")])
    path = log.folder / "00000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.unlink()
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(LogMismatchError, match="another file is in its place"):
        other.append([note("p")])


def test_readers_never_see_a_part_of_a_redaction(tmp_path: Path) -> None:
    log = opened(tmp_path / "x", size=4000)
    positions = [log.append([meta(n=n), note(str(n))])[0] for n in range(30)]
    seen: list[str] = []
    done = threading.Event()

    def read_on() -> None:
        while not done.is_set():
            try:
                events = list(LocalLog(log.folder).read())
            except LogError as error:
                seen.append(str(error))
                return
            if [event.seq for event in events] != list(range(1, len(events) + 1)):
                seen.append("a gap")
                return

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    for position in positions:
        log.redact([position], "r")
    done.set()
    for thread in threads:
        thread.join()
    assert seen == []


# ---------------------------------------------------------------- faults


class Counted(Faulty):
    """Also where the mode is set."""

    def set_mode(self, fd: int, mode: int) -> None:
        self._call()
        super().set_mode(fd, mode)


LARGE = "y" * (1 << 20)
SECRETS = 5
"""How many payloads of the log hold the secret; where fewer are redacted, some are left."""


def prepared(folder: Path) -> tuple[LocalLog, list[int]]:
    """A log of several segments with three payloads to redact, one of them in a blob."""
    log = opened(folder, size=1500)
    positions = []
    for n in range(4):
        positions += log.append([meta(n=n), note(str(n))])[:1]
    positions += log.append([meta(SECRET + LARGE)])
    log.append([note("z")], commit=True)
    return log, [positions[0], positions[3], positions[4]]


def check(folder: Path, positions: list[int], before: list[Recorded], *, began: bool) -> None:
    """Nobody ever reads a half line; and after the next writer it is done as if at once, or was never begun."""
    for event, old in zip(LocalLog(folder).read(), before, strict=False):
        assert isinstance(event.event, RedactedEvent) or event == old
        assert _place(event) == _place(old)
    LocalLog(folder, storage=Unsynced(), segment_size=1500).append([note("after")])
    events = list(LocalLog(folder).read())
    said = [event.event.position for event in events if isinstance(event.event, PayloadRedacted)]
    gone = [event.seq for event in events if isinstance(event.event, RedactedEvent)]
    assert said == gone
    assert gone in ([], positions)
    assert gone == positions or not began
    assert (SECRET.encode() in bytes_below(folder)) == (not gone or len(positions) < SECRETS)
    report = verify(folder)
    assert report.ok, report.problems
    assert not list(folder.glob("*.tmp"))
    assert not (folder / "redaction").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the dead run no finalizers
def test_dying_at_any_call_of_a_redaction_leaves_it_done_or_not_begun(tmp_path: Path) -> None:
    whole, positions = prepared(tmp_path / "whole")
    before = list(whole.read())

    def attempt(at: int, folder: Path) -> bool:
        shutil.copytree(whole.folder, folder)
        storage = Counted(at, None)
        with contextlib.suppress(Died):
            LocalLog(folder, storage=storage, segment_size=1500).redact(positions, "r")
        check(folder, positions, before, began=(folder / "redaction").exists() or not storage.reached)
        shutil.rmtree(folder)
        return storage.reached

    assert every_call(attempt, tmp_path) > 60


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the dead run no finalizers
def test_dying_while_a_dead_writers_redaction_is_finished_loses_nothing(tmp_path: Path) -> None:
    whole, positions = prepared(tmp_path / "whole")
    before = list(whole.read())
    for first in (0.5, 0.7, 0.9):
        started = tmp_path / f"started{first}"
        shutil.copytree(whole.folder, started)
        probe = Counted(10**9, None)
        shutil.copytree(whole.folder, tmp_path / f"probe{first}")
        LocalLog(tmp_path / f"probe{first}", storage=probe, segment_size=1500).redact(positions, "r")
        with contextlib.suppress(Died):
            LocalLog(started, storage=Counted(int(probe.calls * first), None), segment_size=1500).redact(positions, "r")
        began = (started / "redaction").exists()

        def attempt(at: int, folder: Path, started: Path = started, began: bool = began) -> bool:
            shutil.copytree(started, folder)
            storage = Counted(at, None)
            with contextlib.suppress(Died):
                LocalLog(folder, storage=storage, segment_size=1500).append([note("next")])
            check(folder, positions, before, began=began)
            shutil.rmtree(folder)
            return storage.reached

        assert every_call(attempt, tmp_path / f"runs{first}") > 15


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_failing_call_is_an_error_or_no_harm_and_the_same_log_can_be_used_on(tmp_path: Path, error: int) -> None:
    whole, positions = prepared(tmp_path / "whole")
    before = list(whole.read())

    def attempt(at: int, folder: Path) -> bool:
        shutil.copytree(whole.folder, folder)
        storage = Counted(at, error)
        log = LocalLog(folder, storage=storage, segment_size=1500)
        with contextlib.suppress(LogError):
            log.redact(positions, "r")
        began = (folder / "redaction").exists()
        if not storage.reached:
            storage.at = 0  # it came through; no fault in what follows
        log.append([note("same")])
        check(folder, positions, before, began=began)
        shutil.rmtree(folder)
        return storage.reached

    assert every_call(attempt, tmp_path) > 60


def test_a_power_cut_after_a_redaction_does_not_bring_the_payload_back(tmp_path: Path) -> None:
    import random

    storage = Powered()
    folder = tmp_path / "x"
    log = LocalLog(folder, storage=storage)
    log.append([note("a"), meta(), note("b")], commit=True)
    log.redact([3], "r")
    for seed in range(20):
        cut = tmp_path / f"cut{seed}"
        storage.cut(folder, cut, random.Random(seed))
        assert SECRET.encode() not in bytes_below(cut)
        events = [event.event for event in LocalLog(cut).read()]
        assert isinstance(events[2], RedactedEvent)
        assert isinstance(events[4], PayloadRedacted)


class Cuts(Powered):
    """Keeps what a power cut could leave at each call: of files what was synced, under each name the file that was
    there at the folder's last sync, or the one that is there now."""

    def __init__(self) -> None:
        super().__init__()
        self.states: list[dict[Path, bytes]] = []
        self.watched: Path | None = None

    def _keep(self) -> None:
        if self.watched is None:
            return
        folders = [self.watched, self.watched / "blobs"]
        synced = {folder / name: inode for folder in folders for name, inode in self.names.get(folder, {}).items()}
        present = {path: path.lstat().st_ino for folder in folders for path in folder.iterdir() if path.is_file()}
        changed = [path for path in {**synced, **present} if synced.get(path) != present.get(path)]
        for choice in itertools.product((synced, present), repeat=len(changed)):
            names = {**present, **{path: names.get(path) for path, names in zip(changed, choice, strict=True)}}
            left = {
                path: self.safe.get(inode, b"")
                for path, inode in names.items()
                if inode is not None and path.name not in ("lock", "head", "blobs")
            }
            if left not in self.states:
                self.states.append(left)

    def datasync(self, fd: int) -> None:
        self._keep()
        super().datasync(fd)
        self._keep()

    def sync_folder(self, folder: Path) -> None:
        self._keep()
        super().sync_folder(folder)
        self._keep()

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._keep()

    def rename_new(self, source: Path, target: Path) -> None:
        super().rename_new(source, target)
        self._keep()

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._keep()

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        self._keep()
        return super().write_at(fd, data, offset)


def test_a_power_cut_at_any_moment_leaves_it_done_or_not_begun(tmp_path: Path) -> None:
    storage = Cuts()
    folder = tmp_path / "x"
    log = LocalLog(folder, storage=storage, sync="always", segment_size=1500)
    positions = [log.append([meta(n=n), note(str(n))])[0] for n in range(4)]
    positions += log.append([meta(SECRET + LARGE)])
    before = list(log.read())
    for place in (folder, folder / "blobs"):
        storage.sync_folder(place)
    storage.watched = folder
    log.redact(positions, "r")
    storage.watched = None
    assert len(storage.states) > 12
    outcomes = set()
    for number, kept in enumerate(storage.states):
        left = tmp_path / f"cut{number}"
        (left / "blobs").mkdir(parents=True)
        for path, data in kept.items():
            (left / path.relative_to(folder)).write_bytes(data)
        check(left, positions, before, began=(left / "redaction").exists())
        outcomes.add(SECRET.encode() in bytes_below(left))
    assert outcomes == {True, False}


def test_a_redactor_killed_for_real_is_finished_by_the_next_process(log: LocalLog) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom consist_es.log.local import LocalLog\n"
        "from consist_es.system.storage import LocalStorage\n"
        "class Killed(LocalStorage):\n"
        "    def set_mode(self, fd, mode): os.kill(os.getpid(), 9)\n"
        "LocalLog(Path(sys.argv[1]), storage=Killed()).redact([4], 'r')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(log.folder)], check=False)
    assert done.returncode == -9
    report = verify(log.folder)
    assert report.redacting
    assert not report.ok
    assert SECRET.encode() in bytes_below(log.folder)
    opened(log.folder).append([note("next")])
    assert SECRET.encode() not in bytes_below(log.folder)
    assert verify(log.folder).ok


# ---------------------------------------------------------------- the views


def settings(password: str) -> dict[str, Any]:
    return {"growth": 1.5, "note": password}


def write(note: str) -> Path:
    path = consist.output_path("out", "txt")
    path.write_text("x\n")
    return path


@pytest.fixture
def project(here: Path) -> Iterator[Project]:
    """A scenario whose step has the secret in its config, in its error, and in its metadata."""
    with consist.Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        with contextlib.suppress(ValueError), tracker.scenario("base", config=settings(SECRET)) as sc:
            sc.run(fn=write, config={"note": SECRET}, outputs=["out"])
            sc.run(fn=write, name="again", config={"note": "nothing"}, outputs=["out"])
            tracker_meta(sc)
        yield tracker.project


def tracker_meta(sc: Any) -> None:
    with sc.trace("broken"):
        consist.log_meta(note=SECRET)
        raise ValueError(f"no access with {SECRET}")


def holding(project: Project) -> list[int]:
    """Positions of the events that hold the secret."""
    return [event.seq for event in project.log.read() if SECRET in repr(event.event)]


def test_after_a_redaction_no_file_of_the_project_holds_the_secret(project: Project, here: Path) -> None:
    found = holding(project)
    assert len(found) > 4
    project.connection()
    assert SECRET.encode() in bytes_below(here)
    assert project.redact(found, "a password")
    assert SECRET.encode() not in bytes_below(here)
    assert holding(project) == []
    assert verify(project.folder).ok


def test_after_a_redaction_the_live_views_are_what_a_replay_makes(project: Project, tmp_path: Path) -> None:
    every = [event.seq for event in project.log.read() if event.type != "writer_attached"]
    for position in every:
        project.redact([position], "r")
        project.views.rebuild(target=tmp_path / "again.db")
        assert state(project.views.path) == state(tmp_path / "again.db")
        assert project.views.compare(tmp_path / "again.db") == {}
    with closing(sqlite3.connect(tmp_path / "again.db")) as conn:
        assert conn.execute("SELECT * FROM dead_letter").fetchall() == []


def test_views_that_others_keep_are_rebuilt_when_they_meet_the_redaction(project: Project, tmp_path: Path) -> None:
    elsewhere = Projector(tmp_path / "elsewhere.db", LocalLog(project.folder), BUILTIN)
    elsewhere.catch_up()
    assert SECRET.encode() in bytes_of_views(tmp_path / "elsewhere.db")
    project.log.redact(holding(project), "r")
    elsewhere.catch_up()
    elsewhere.settle()
    assert SECRET.encode() not in bytes_of_views(tmp_path / "elsewhere.db")
    elsewhere.close()
    project.views.rebuild(target=tmp_path / "again.db")
    assert state(tmp_path / "elsewhere.db") == state(tmp_path / "again.db")


def bytes_of_views(path: Path) -> bytes:
    return b"".join(found.read_bytes() for found in path.parent.glob(f"{path.name}*"))


def test_a_reader_in_the_middle_is_told_of(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consist_es.views.file.BUSY_SECONDS", 0.1)
    project.views.close()
    with closing(sqlite3.connect(project.views.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM runs").fetchone()
        assert not project.redact(holding(project), "r")
    assert project.views.settle()
    assert SECRET.encode() not in bytes_below(project.folder.parent)


def test_a_run_whose_start_is_redacted_stays_with_its_id_and_its_end(project: Project) -> None:
    before = {row.key: row for row in run_table.find(project.connection())}
    starts = [event.seq for event in project.log.read() if event.type in ("step_started", "scenario_started")]
    project.redact(starts, "r")
    after = {row.key: row for row in run_table.find(project.connection())}
    assert after.keys() == before.keys()
    for key, row in after.items():
        old = before[key]
        same = (row.id, row.run_id, row.attempt, row.status, row.scenario_key, row.started_at, row.ended_at)
        assert same == (
            old.id, old.run_id, old.attempt, old.status, old.scenario_key, old.started_at, old.ended_at
        )  # fmt: skip
        assert row.config is None
        assert row.model == "(redacted)"


def test_a_run_whose_end_is_redacted_does_not_run_for_ever(project: Project) -> None:
    before = {row.key: row.status for row in run_table.find(project.connection())}
    assert set(before.values()) == {"completed", "failed"}
    ends = [e.seq for e in project.log.read() if e.type in ("step_completed", "step_failed", "scenario_exited")]
    project.redact(ends, "r")
    assert {row.key: row.status for row in run_table.find(project.connection())} == before
    (failed, *_) = run_table.find(project.connection(), status="failed")
    assert failed.error_message == "(redacted)"
    assert run_table.running(project.connection()) == []


def test_a_scenario_that_ended_well_is_no_failure_when_its_end_is_redacted(here: Path) -> None:
    with consist.Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        with tracker.scenario("base"):
            pass
        (end,) = [event.seq for event in tracker.project.log.read() if event.type == "scenario_exited"]
        tracker.project.redact([end], "r")
        (row,) = run_table.find(tracker.project.connection())
    assert (row.status, row.error_message) == ("completed", None)


def test_a_run_with_a_redacted_start_may_still_answer_and_one_with_a_redacted_end_may_not(here: Path) -> None:
    with consist.Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:

        def again() -> consist.RunResult:
            return tracker.run(write, config={"note": "x"}, outputs=["out"])

        again()
        (start,) = [event.seq for event in tracker.project.log.read() if event.type == "step_started"]
        tracker.project.redact([start], "r")
        assert again().cache_hit
        first = next(event.seq for event in tracker.project.log.read() if event.type == "step_completed")
        tracker.project.redact([first], "r")
        assert not again().cache_hit


def test_a_redacted_output_is_never_served(here: Path) -> None:
    with consist.Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(write, config={"note": "x"}, outputs=["out"])
        (logged,) = [event.seq for event in tracker.project.log.read() if event.type == "artifact_logged"]
        tracker.project.redact([logged], "r")
        assert not tracker.run(write, config={"note": "x"}, outputs=["out"]).cache_hit


def test_hydrating_all_outputs_of_a_run_whose_start_is_redacted_is_a_miss_or_works(here: Path) -> None:
    with consist.Tracker(run_dir="runs", db_path="project.db", sync="os") as tracker:
        tracker.run(write, config={"note": "x"}, outputs=["out"])
        (start,) = [event.seq for event in tracker.project.log.read() if event.type == "step_started"]
        tracker.project.redact([start], "r")
        options = consist.CacheOptions(cache_hydration="outputs-all")
        result = tracker.run(write, config={"note": "x"}, outputs=["out"], cache_options=options)
        assert result.outputs["out"].path.read_text() == "x\n"


# ---------------------------------------------------------------- the command line


def start_of(folder: Path) -> int:
    return next(event.seq for event in LocalLog(folder).read() if event.type == "step_started")


def test_the_command_redacts_and_says_what_it_cannot_reach(here: Path) -> None:
    folder = record()
    position = start_of(folder)
    done = run("redact", str(position), "--reason", "a password", "--yes")
    assert f"position {position}" in done.stdout
    for copy in ("backups", "exports", "reports", "proof bundles", "replay --db", "replace it"):
        assert copy in done.stderr
    assert run_json("verify")[0]["redacted"] == [position]
    assert f"redacted: the payload of position {position}" in run("verify").stdout
    assert run("replay", "--check")


def test_audit_and_log_show_what_was_redacted_with_the_reason(here: Path) -> None:
    folder = record()
    position = start_of(folder)
    run("redact", str(position), "--reason", "a [red]password[/red]", "--yes")
    for command in (("audit", "baseline#1"), ("log",)):
        lines = run(*command).stdout.splitlines()
        (gone,) = [line for line in lines if line.split()[:1] == [str(position)]]
        assert "step started: its payload was redacted by" in gone
        assert "a [red]password[/red]" in gone
        assert any(f"payload of position {position} (step_started) redacted" in line for line in lines)
    (data,) = [event["data"] for event in run_json("log") if event["seq"] == position]
    assert list(data) == ["$redacted"]


def test_without_yes_it_asks_and_shows_no_payload(here: Path) -> None:
    from click.testing import CliRunner

    from consist_es.cli import program

    folder = record()
    position = start_of(folder)
    before = bytes_below(folder)
    asked = CliRunner().invoke(program, ["redact", str(position), "--reason", "r"], input="n\n")
    assert asked.exit_code == 1
    assert "step_started" in asked.stdout
    assert "factor" not in asked.output
    assert verify(folder).redacted == []
    assert before.count(b"payload_redacted") == bytes_below(folder).count(b"payload_redacted") == 0
    agreed = CliRunner().invoke(program, ["redact", str(position), "--reason", "r"], input="y\n")
    assert agreed.exit_code == 0, agreed.output
    assert verify(folder).redacted == [position]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9999", "--reason", "r", "--yes"], "There is no position 9999: the log ends at"),
        (["1", "--reason", "r", "--yes"], "writer_attached event of the log itself"),
        (["2", "--reason", "  ", "--yes"], "--reason is blank"),
        (["2", "--yes"], "Missing option '--reason'"),
        (["0", "--reason", "r", "--yes"], "not in the range"),
        (["--reason", "r", "--yes"], "Missing argument"),
    ],
)
def test_the_command_held_wrong_changes_nothing(here: Path, arguments: list[str], said: str) -> None:
    record()
    assert said in " ".join(run("redact", *arguments, code=2).stderr.split())
    assert run_json("verify")[0]["redacted"] == []


def test_files_that_were_set_aside_and_may_hold_it_are_named(here: Path) -> None:
    folder = record()
    position = start_of(folder)
    line = (folder / "00000001.jsonl").read_bytes().splitlines(keepends=True)[position]
    (folder / "quarantine").mkdir()
    (folder / "quarantine" / "00000001-9-abcd").write_bytes(line)
    (folder / "quarantine" / "00000001-9-efab").write_bytes(b"something else")
    (here / "provenance.db.damaged-1").write_bytes(b"old")
    (said,) = run_json("redact", str(position), "--reason", "r", "--yes")
    assert [Path(name).name for name in said["left"]] == ["00000001-9-abcd", "provenance.db.damaged-1"]
    assert said["database_clean"]


def test_the_chain_of_a_redacted_line_is_the_one_that_it_was_written_with() -> None:
    payload = encode_data(meta().event)
    assert chain_of(b"A" * 43, b"head", redacted_form(payload)) == chain_of(b"A" * 43, b"head", payload)
    longer = redacted_form(payload + b" " * 9)
    assert chain_of(b"A" * 43, b"head", longer) != chain_of(b"A" * 43, b"head", payload)
