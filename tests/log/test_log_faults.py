"""A log on storage that fails, dies or loses power at any call: nothing acknowledged is lost, nothing half visible."""

import contextlib
import errno
import os
import random
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from consist_es.errors import LogError, LogFullError, LogReadOnlyError, LogWriteError
from consist_es.events import Draft, Recorded, StepAbandoned
from consist_es.log import writer
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.system.seam import Stamp
from consist_es.system.storage import LocalStorage, Lock


class Died(BaseException):
    """The process is gone: nothing it does from here on reaches the disk."""


class Unsynced(LocalStorage):
    """No waiting for the disk, so that thousands of logs can be made."""

    def datasync(self, fd: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass


class Faulty(Unsynced):
    """Fails at the n-th call that could fail."""

    def __init__(self, at: int, error: int | None, *, lasting: bool = False) -> None:
        self.calls, self.at, self.error, self.lasting = 0, at, error, lasting
        self.reached = False

    def is_local(self, path: Path) -> bool:
        """The lock of a writer would be given up by a process that is gone; see R27 of the torture for those."""
        return False

    def _call(self) -> None:
        self.calls += 1
        if self.calls == self.at or (self.reached and (self.lasting or self.error is None)):
            self.reached = True
            if self.error is None:
                raise Died
            raise OSError(self.error, os.strerror(self.error))

    def open(self, path: Path, flags: int) -> int:
        self._call()
        return super().open(path, flags)

    def read_at(self, fd: int, size: int, offset: int) -> bytes:
        self._call()
        return super().read_at(fd, size, offset)

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        try:
            self._call()
        except BaseException:
            if self.calls == self.at:
                super().write_at(fd, data[: len(data) // 2], offset)
            raise
        return super().write_at(fd, data, offset)

    def truncate(self, fd: int, size: int) -> None:
        self._call()
        super().truncate(fd, size)

    def size(self, fd: int) -> int:
        self._call()
        return super().size(fd)

    def datasync(self, fd: int) -> None:
        self._call()

    def sync_folder(self, folder: Path) -> None:
        self._call()

    def rename(self, source: Path, target: Path) -> None:
        self._call()
        super().rename(source, target)

    def rename_new(self, source: Path, target: Path) -> None:
        self._call()
        super().rename_new(source, target)

    def unlink(self, path: Path) -> None:
        self._call()
        super().unlink(path)

    def symlink(self, target: Path, path: Path) -> None:
        self._call()
        super().symlink(target, path)

    def mode(self, path: Path) -> int:
        self._call()
        return super().mode(path)

    def stamp(self, where: Path | int) -> Stamp | None:
        self._call()
        return super().stamp(where)

    def set_mode(self, fd: int, mode: int) -> None:
        self._call()
        super().set_mode(fd, mode)

    def listdir(self, folder: Path) -> list[str]:
        self._call()
        return super().listdir(folder)

    def mkdir(self, folder: Path) -> None:
        self._call()
        super().mkdir(folder)

    def inode(self, where: Path | int) -> tuple[int, int]:
        self._call()
        return super().inode(where)


def batch(name: str, size: int, padding: int = 0) -> list[Draft]:
    return [Draft(StepAbandoned(reason="x" * padding), id=f"{name}:{n}:{size}") for n in range(size)]


def batches() -> list[tuple[list[Draft], bool]]:
    """A workload that creates a log, rolls segments, syncs, and needs a blob."""
    large = [Draft(StepAbandoned(reason="x" * (1 << 20)), id="large:0:1")]
    return [
        (batch("a", 2), False),
        (batch("b", 1, 300), True),
        (batch("c", 3), False),
        (large, False),
        (batch("d", 2), True),
        (batch("e", 1), False),
    ]


def check(folder: Path, acknowledged: list[str]) -> list[Recorded]:
    """What must hold whatever happened: a fresh writer goes on, and sees whole batches with all that was promised."""
    LocalLog(folder, storage=Unsynced(), segment_size=1500).append(batch("after", 2), commit=True)
    events = list(LocalLog(folder).read())
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    ids = [event.id for event in events if event.type == "step_abandoned"]
    assert len(set(ids)) == len(ids)
    for _, group in groupby(ids, key=lambda name: name.split(":")[0]):
        members = list(group)
        assert len(members) == int(members[0].split(":")[2])
    assert set(acknowledged) <= set(ids)
    assert ids[-2:] == ["after:0:2", "after:1:2"]
    report = verify(folder)
    assert report.ok, report.problems
    assert not list(folder.glob("*.tmp"))
    assert LocalLog(folder).head() == LocalLog.cursor_after(events[-1])
    return events


def every_call(run: Callable[[int, Path], bool], folder: Path) -> int:
    """Let the fault happen at call 1, 2, 3 … until the workload comes through without it."""
    at = 1
    while run(at, folder / str(at)):
        at += 1
    return at


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_one_failing_call_anywhere_is_an_error_or_no_harm_and_a_retry_completes_it(tmp_path: Path, error: int) -> None:
    kinds: dict[int, type[LogError]] = {
        errno.ENOSPC: LogFullError,
        errno.EIO: LogWriteError,
        errno.EACCES: LogReadOnlyError,
    }
    kind = kinds[error]

    def run(at: int, folder: Path) -> bool:
        storage = Faulty(at, error)
        log = LocalLog(folder, storage=storage, segment_size=1500)
        acknowledged, expected, last = [], [], 0
        for drafts, commit in batches():
            ids = [str(draft.id) for draft in drafts]
            try:
                positions = log.append(drafts, commit=commit, since=last)
            except kind:
                positions = log.append(drafts, commit=commit, since=last)
            assert positions == sorted(positions)
            last = positions[-1]
            acknowledged += ids
            expected += list(zip(positions, ids, strict=True))
        found = check(folder, acknowledged)
        assert [(event.seq, event.id) for event in found if event.type == "step_abandoned"][:-2] == expected
        return storage.reached

    assert every_call(run, tmp_path) > 80


def test_from_any_call_on_failing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    def run(at: int, folder: Path) -> bool:
        storage = Faulty(at, errno.EIO, lasting=True)
        log = LocalLog(folder, storage=storage, segment_size=1500)
        acknowledged: list[str] = []
        for drafts, commit in batches():
            try:
                log.append(drafts, commit=commit)
            except LogWriteError:
                continue
            acknowledged += [str(draft.id) for draft in drafts]
        check(folder, acknowledged)
        return storage.reached

    assert every_call(run, tmp_path) > 80


def test_dying_at_any_call_loses_nothing_acknowledged(tmp_path: Path) -> None:
    def run(at: int, folder: Path) -> bool:
        storage = Faulty(at, None)
        acknowledged: list[str] = []
        log = LocalLog(folder, storage=storage, segment_size=1500)
        with contextlib.suppress(Died):
            for drafts, commit in batches():
                log.append(drafts, commit=commit)
                acknowledged += [str(draft.id) for draft in drafts]
        check(folder, acknowledged)
        return storage.reached

    assert every_call(run, tmp_path) > 80


def test_dying_while_recovering_from_a_death_loses_nothing_acknowledged(tmp_path: Path) -> None:
    torn = LocalLog(tmp_path / "torn", storage=Unsynced())
    torn.append(batch("a", 2), commit=True)
    whole = torn.head().offset
    torn.append(batch("b", 2))
    left = (torn.folder / "00000001.jsonl").read_bytes()[:-100]

    def run(at: int, folder: Path) -> bool:
        folder.mkdir()
        for name in ("lock", "head"):
            (folder / name).write_bytes((torn.folder / name).read_bytes())
        (folder / "00000001.jsonl").write_bytes(left)
        storage = Faulty(at, None)
        with contextlib.suppress(Died):
            LocalLog(folder, storage=storage).append(batch("c", 2))
        check(folder, ["a:0:2", "a:1:2"])
        assert left[whole:] in [path.read_bytes() for path in (folder / "quarantine").iterdir()]
        return storage.reached

    assert every_call(run, tmp_path) > 15


def test_a_short_write_without_room_for_the_rest_is_cut_back(tmp_path: Path) -> None:
    class Filling(Unsynced):
        room = 10**9

        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            if self.room == 0:
                raise OSError(errno.EDQUOT, "Disk quota exceeded")
            written = super().write_at(fd, data[: self.room], offset)
            self.room -= written
            return written

    storage = Filling()
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 1))
    before = (log.folder / "00000001.jsonl").read_bytes()
    storage.room = 300
    with pytest.raises(LogFullError, match="quota"):
        log.append(batch("b", 2, 200))
    assert (log.folder / "00000001.jsonl").read_bytes() == before
    storage.room = 10**9
    log.append(batch("b", 2, 200))
    check(log.folder, ["a:0:1", "b:0:2", "b:1:2"])


# ---------------------------------------------------------------- a sync that fails


class Unsyncable(Unsynced):
    """The sync of the files named fails."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.synced: list[str] = []

    def datasync(self, fd: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{fd}")).name  # noqa: PTH115
        name = re.sub(r"\.[0-9a-f]{8}(?=\.jsonl\.tmp)", "", name)  # without the random part
        self.synced.append(name)
        if name in self.bad:
            raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def storage() -> Unsyncable:
    return Unsyncable()


@pytest.fixture
def log(tmp_path: Path, storage: Unsyncable) -> LocalLog:
    log = LocalLog(tmp_path / "x", storage=storage)
    log.append(batch("a", 2), commit=True)
    log.append(batch("b", 2))
    return log


def test_a_failed_sync_moves_the_unsynced_events_to_a_new_segment(log: LocalLog, storage: Unsyncable) -> None:
    before = list(log.read())
    storage.bad.add("00000001.jsonl")
    assert log.append(batch("c", 2), commit=True) == [6, 7]
    events = list(log.read())
    assert [(event.seq, event.segment) for event in events] == [(n, 1 if n < 4 else 2) for n in range(1, 8)]
    assert [(event.id, event.chain, event.at) for event in events[:5]] == [
        (event.id, event.chain, event.at) for event in before
    ]
    assert verify(log.folder).ok
    assert verify(log.folder).watermark == 7


def test_a_segment_whose_sync_failed_is_never_written_or_synced_again(log: LocalLog, storage: Unsyncable) -> None:
    storage.bad.add("00000001.jsonl")
    log.append(batch("c", 2), commit=True)
    old, syncs = (log.folder / "00000001.jsonl").read_bytes(), storage.synced.count("00000001.jsonl")
    log.append(batch("d", 2), commit=True)
    LocalLog(log.folder, storage=storage).append(batch("e", 2), commit=True)
    assert (log.folder / "00000001.jsonl").read_bytes() == old
    assert storage.synced.count("00000001.jsonl") == syncs
    check(log.folder, [f"{name}:{n}:2" for name in "abcde" for n in range(2)])


def test_cursors_into_the_given_up_part_of_a_segment_still_hold(log: LocalLog, storage: Unsyncable) -> None:
    before = list(log.read())
    storage.bad.add("00000001.jsonl")
    log.append(batch("c", 2), commit=True)
    after = list(log.read())
    for index, event in enumerate(before):
        assert list(log.read(log.cursor_after(event))) == after[index + 1 :]
        assert log.read_at(event.segment, event.offset).event == event.event


def test_a_reader_in_the_middle_of_a_segment_that_is_given_up_goes_on(log: LocalLog, storage: Unsyncable) -> None:
    reading = log.read()
    seen = [next(reading).seq for _ in range(4)]
    storage.bad.add("00000001.jsonl")
    log.append(batch("c", 2), commit=True)
    seen += [event.seq for event in reading]
    assert seen[:5] == [1, 2, 3, 4, 5]
    assert seen == sorted(set(seen))


def test_where_no_segment_can_be_synced_the_append_fails_and_a_retry_is_safe(
    log: LocalLog, storage: Unsyncable
) -> None:
    storage.bad |= {"00000001.jsonl", "00000002.jsonl.tmp"}
    for _ in range(2):
        with pytest.raises(LogWriteError, match="Input/output error"):
            log.append(batch("c", 2), commit=True, since=5)
    assert not (log.folder / "00000002.jsonl").exists()
    storage.bad.remove("00000002.jsonl.tmp")
    assert log.append(batch("c", 2), commit=True, since=5) == [6, 7]
    assert [event.segment for event in log.read()][-1] == 2
    check(log.folder, [f"{name}:{n}:2" for name in "abc" for n in range(2)])


def test_a_failed_sync_while_a_segment_is_sealed_is_no_loss(tmp_path: Path, storage: Unsyncable) -> None:
    log = LocalLog(tmp_path / "x", storage=storage, segment_size=1500)
    storage.bad.add("00000001.jsonl")
    for n in range(8):
        log.append(batch(str(n), 2))
    found = check(log.folder, [f"{n}:{k}:2" for n in range(8) for k in range(2)])
    assert found[-1].segment > 2


def test_another_process_follows_into_the_new_segment(log: LocalLog, storage: Unsyncable) -> None:
    other = LocalLog(log.folder, storage=Unsynced())
    other.append(batch("o", 1))
    storage.bad.add("00000001.jsonl")
    log.append(batch("c", 2), commit=True)
    other.append(batch("p", 1))
    assert list(log.read())[-1].segment == 2
    check(log.folder, ["o:0:1", "p:0:1"])


def test_where_another_writer_went_on_without_copying_nothing_is_acknowledged(tmp_path: Path) -> None:
    class Overtaken(Unsynced):
        """Between the failed sync and the lock, somebody else seals the segment, and has no error."""

        def datasync(self, fd: int) -> None:
            if armed:
                armed.clear()
                LocalLog(tmp_path / "x", storage=Unsynced(), segment_size=1).append(batch("other", 1))
                raise OSError(errno.EIO, "Input/output error")

    armed: list[bool] = []
    log = LocalLog(tmp_path / "x", storage=Overtaken())
    log.append(batch("a", 2), commit=True)
    armed.append(True)
    with pytest.raises(LogWriteError):
        log.append(batch("b", 2), commit=True)
    check(log.folder, ["a:0:2", "other:0:1"])


# ---------------------------------------------------------------- power


class Powered(LocalStorage):
    """Remembers what a power cut would leave: bytes up to the last sync of a file, names up to that of a folder."""

    def __init__(self) -> None:
        self.safe: dict[int, bytes] = {}
        """inode -> bytes at the last sync"""
        self.names: dict[Path, dict[str, int]] = {}
        """folder -> name -> inode at the last sync"""

    def datasync(self, fd: int) -> None:
        self.safe[os.fstat(fd).st_ino] = Path(
            f"/proc/self/fd/{fd}"
        ).read_bytes()  # also where it was opened for writing

    def sync_folder(self, folder: Path) -> None:
        with os.scandir(folder) as entries:  # others' entries may vanish meanwhile: no stat
            self.names[folder] = {entry.name: entry.inode() for entry in entries}

    def cut(self, folder: Path, copy: Path, chance: random.Random) -> None:
        """One of the states that a power cut may leave: any unsynced name or byte there or not."""
        copy.mkdir()
        safe = self.names.get(folder, {})
        for path in folder.iterdir():
            if path.is_dir():
                self.cut(path, copy / path.name, chance)
            elif path.name in safe or chance.random() < 0.5:
                (copy / path.name).write_bytes(self._left(path, chance))

    def _left(self, path: Path, chance: random.Random) -> bytes:
        data, safe = path.read_bytes(), self.safe.get(path.lstat().st_ino, b"")
        if path.name == "head":
            return data if chance.random() < 0.5 else bytes(len(data))
        end = chance.randint(len(safe), max(len(data), len(safe)))
        left = bytearray(data[:end])
        if chance.random() < 0.5 and end > len(safe):  # a page that was not written, though later ones were
            start = chance.randint(len(safe), end)
            stop = min(start + chance.choice([1, 512, 4096]), end)
            left[start:stop] = bytes(stop - start)
        return bytes(left)


@pytest.mark.parametrize("seed", range(60))
def test_after_a_power_cut_every_synced_event_is_there_and_nothing_is_half_there(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    storage = Powered()
    folder = tmp_path / "x"
    log = LocalLog(folder, storage=storage, segment_size=2500)
    promised: list[str] = []
    pending: list[str] = []
    for n in range(chance.randint(1, 12)):
        drafts = batch(str(n), chance.randint(1, 3), chance.choice([0, 500]))
        commit = chance.random() < 0.4
        log.append(drafts, commit=commit)
        pending += [str(draft.id) for draft in drafts]
        if commit:
            promised, pending = promised + pending, []
    for state in range(5):
        copy = tmp_path / f"cut{state}"
        storage.cut(folder, copy, chance)
        check(copy, promised)


def test_a_segment_whose_maker_died_before_its_name_was_safe_is_made_safe_by_the_next_writer(tmp_path: Path) -> None:
    class Dying(Powered):
        alive = True

        def sync_folder(self, folder: Path) -> None:
            if self.alive and (folder / "00000001.jsonl").exists():
                raise Died
            super().sync_folder(folder)

    storage = Dying()
    folder = tmp_path / "x"
    with pytest.raises(Died):
        LocalLog(folder, storage=storage).append(batch("a", 2), commit=True)
    storage.alive = False
    LocalLog(folder, storage=storage).append(batch("b", 2), commit=True)
    for seed in range(20):
        storage.cut(folder, tmp_path / f"cut{seed}", random.Random(seed))
        check(tmp_path / f"cut{seed}", ["b:0:2", "b:1:2"])


def test_what_a_repair_cut_off_survives_a_power_cut(tmp_path: Path) -> None:
    storage = Powered()
    folder = tmp_path / "x"
    LocalLog(folder, storage=storage).append(batch("a", 2), commit=True)
    with (folder / "00000001.jsonl").open("ab") as file:
        file.write(b'{"seq":4,"end":fal')
    LocalLog(folder, storage=storage).append(batch("b", 2), commit=True)
    for seed in range(20):
        storage.cut(folder, tmp_path / f"cut{seed}", random.Random(seed))
        (kept,) = (tmp_path / f"cut{seed}" / "quarantine").iterdir()
        assert kept.read_bytes() == b'{"seq":4,"end":fal'


# ---------------------------------------------------------------- interrupts


def test_an_interrupt_just_before_the_lock_is_given_back_does_not_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    log = LocalLog(tmp_path / "x", storage=Unsynced())
    log.append(batch("a", 2))
    with monkeypatch.context() as patch:
        patch.setattr(writer._Hold, "__exit__", interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.append(batch("b", 2))
    other = Lock(tmp_path / "x" / "lock")
    assert other.acquire(blocking=False)
    other.release()
    assert log.append(batch("b", 2), since=3) == [4, 5]
    check(log.folder, ["a:0:2", "b:0:2"])
