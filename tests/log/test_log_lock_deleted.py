"""People delete lock files. Nothing that was acknowledged is lost then, whoever was about to do what."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import LogLockError
from consist_es.log import tail, writer
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.system.storage import LocalStorage
from tests.log.test_log_faults import batch

CALLS = (
    "open", "read_at", "write_at", "truncate", "size", "datasync", "sync_folder", "rename", "rename_new", "unlink",
    "listdir", "inode", "flock", "unlock", "token",
)  # fmt: skip


class Stopped(LocalStorage):
    """Calls `meanwhile` just before the `at`-th call, as if the process had been stopped there."""

    def __init__(self, at: int, meanwhile: Callable[[], object]) -> None:
        self.calls, self._at, self._meanwhile = 0, at, meanwhile

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in CALLS:
            self.calls += 1
            if self.calls == self._at:
                self._meanwhile()
        return found


def ids(folder: Path) -> list[str]:
    return [event.id for event in LocalLog(folder).read() if event.type == "step_abandoned"]


def torn(log: LocalLog) -> None:
    """The end that a killed writer leaves."""
    last = max(log.folder.glob("*.jsonl"))
    with last.open("ab") as file:
        file.write(b'{"seq":')


@pytest.mark.parametrize("segment_size", [1 << 20, 900], ids=["one segment", "a segment for each batch"])
@pytest.mark.parametrize("before", [None, torn], ids=["whole", "torn"])
def test_another_writer_goes_on_while_the_first_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segment_size: int, before: Callable[[LocalLog], None] | None
) -> None:
    monkeypatch.setattr(tail, "STALE", 0.0)
    done = 0
    for at in itertools.count(1):
        folder = tmp_path / str(at) / "x"
        first = LocalLog(folder, segment_size=segment_size)
        first.append(batch("start", 2), commit=True)
        if before is not None:
            before(first)

        def meanwhile(folder: Path = folder) -> None:
            (folder / "lock").unlink()
            other = LocalLog(folder, segment_size=segment_size)
            for name in ("b", "c"):
                other.append(batch(name, 2), commit=True)
            other.close()

        storage = Stopped(at, meanwhile)
        log = LocalLog(folder, storage=storage, segment_size=segment_size)
        log.append(batch("a", 2), commit=True)
        log.append(batch("d", 2), commit=True)
        log.close()
        if storage.calls < at:
            break
        found = ids(folder)
        wanted = [item.id for name in ("start", "a", "b", "c", "d") for item in batch(name, 2)]
        assert sorted(filter(None, wanted)) == sorted(found), f"stopped before call {at}"
        assert verify(folder).ok, f"stopped before call {at}"
        done += 1
    assert done > 20


class Deleting(LocalStorage):
    """Deletes the lock file before each write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write_at(self, fd: int, data: bytes, offset: int) -> int:
        (self._folder / "lock").unlink(missing_ok=True)
        return super().write_at(fd, data, offset)


def test_events_are_there_once_however_often_the_lock_file_is_deleted(tmp_path: Path) -> None:
    log = LocalLog(tmp_path / "x", storage=Deleting(tmp_path / "x"))
    positions = [log.append(batch(name, 2), commit=True) for name in "abc"]
    assert ids(log.folder) == [item.id for name in "abc" for item in batch(name, 2)]
    assert sorted(flat := [number for row in positions for number in row]) == flat
    assert verify(log.folder).ok


def test_a_writer_that_never_gets_through_says_which_file_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_TRIES", 1)
    log = LocalLog(tmp_path / "x", storage=Deleting(tmp_path / "x"))
    with pytest.raises(LogLockError, match=r"lock.*deleted repeatedly.*Leave the lock file alone"):
        log.append(batch("a", 1))
