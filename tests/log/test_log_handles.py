"""Every file that the log opens is closed again, whatever goes wrong on the way."""

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from consist_es.errors import ConsistError
from consist_es.events import Draft, MetaLogged
from consist_es.log.archive import archive
from consist_es.log.evidence.proof import prove
from consist_es.log.evidence.tree_heads import compare, keep, kept_heads, make_head
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify, verify_again
from tests.log.test_log_faults import Faulty, batch, every_call


class Held(Faulty):
    """Knows which files are open."""

    def __init__(self, at: int, error: int | None) -> None:
        super().__init__(at, error)
        self.held: dict[int, str] = {}

    def open(self, path: Path, flags: int) -> int:
        fd = super().open(path, flags)
        self.held[fd] = path.name
        return fd

    def close(self, fd: int) -> None:
        del self.held[fd]
        super().close(fd)


def writes(log: LocalLog) -> None:
    """Segments, a blob, a sync, an end that a killed writer left."""
    log.append(batch("a", 2, 300), commit=True)
    log.append([Draft(MetaLogged(values={"note": "x" * 2000}))])
    log.append(batch("b", 2, 700), commit=True)
    log.append(batch("c", 1), since=1)
    log.close()
    last = max(log.folder.glob("*.jsonl"))
    with last.open("ab") as file:
        file.write(b'{"seq":')
    log.tidy()


def uses(log: LocalLog, storage: Held, target: Path) -> None:
    """Everything that is done with a log that is there."""
    events = list(log.read())
    for event in events[:2]:
        assert log.read_at(event.segment, event.offset) == event
    assert list(log.read(log.head())) == []
    assert not log.moved(log.head())
    assert log.project_id or not events
    verify(log.folder, storage=storage)
    verify_again(log.folder, storage=storage)
    verify_again(log.folder, storage=storage)
    head, survey = make_head(storage, log.folder)
    keep(storage, log.folder, survey, head, "signature")
    make_head(storage, log.folder)
    compare(storage, log.folder, [(kept.path.name, kept.head) for kept in kept_heads(storage, log.folder)])
    blobs = [event.seq for event in events if event.type == "meta_logged"]
    prove(storage, log.folder, head, [1, *blobs])
    log.redact([2, *blobs], "a secret")
    list(archive(storage, log.folder))
    list(archive(storage, log.folder, target))
    assert len(list(log.read())) > len(events)


def tried(at: int, folder: Path, error: int) -> bool:
    folder.mkdir()
    (folder / "archive").mkdir()
    storage = Held(at, error)
    log = LocalLog(folder / "x", storage=storage, segment_size=1500)
    done = 0
    steps: list[Callable[[], None]] = [lambda: writes(log), lambda: uses(log, storage, folder / "archive")]
    for work in steps:
        with contextlib.suppress(ConsistError, OSError):
            work()
            done += 1
    assert storage.reached or done == 2
    log.close()
    assert storage.held == {}, f"call {at}"
    return storage.reached


def test_no_file_stays_open_whichever_call_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consist_es.log.writer.DATA_CAP", 1000)  # a larger payload lies in a blob
    assert every_call(lambda at, folder: tried(at, folder, errno.EIO), tmp_path) > 100
