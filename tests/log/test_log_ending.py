"""The remembered end of the log: two calls where nothing happened, and never an end that is none any more."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import LogError
from consist_es.events import Cursor, Draft, StepAbandoned
from consist_es.log.archive import archive
from consist_es.log.local import LocalLog
from consist_es.system.seam import Stamp
from consist_es.system.storage import LocalStorage
from tests.support.children import fork, status_of

FIRST = "00000001.jsonl"


def batch(name: str, size: int = 1) -> list[Draft]:
    return [Draft(StepAbandoned(reason=name), id=f"{name}:{n}") for n in range(size)]


class Counting(LocalStorage):
    """Counts its calls by name."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name != "calls":
            self.calls[name] += 1
        return super().__getattribute__(name)

    def of(self, act: Callable[[], object]) -> dict[str, int]:
        self.calls.clear()
        act()
        return dict(self.calls)


class Unsyncable(LocalStorage):
    """Fails to sync as long as it is told to."""

    fails = False

    def datasync(self, fd: int) -> None:
        if self.fails:
            raise OSError(5, "no")


class Blind(LocalStorage):
    """Says nothing of the state of paths, or of open files."""

    blind: type = LocalStorage

    def stamp(self, where: Path | int) -> Stamp | None:
        if isinstance(where, self.blind):
            raise OSError(5, "no")
        return super().stamp(where)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "x.events"


def outcome(log: LocalLog) -> Cursor | str:
    """Its end, or what the look at it raises."""
    try:
        return log.head()
    except LogError as error:
        return f"{type(error).__name__}: {error}"


# ---------------------------------------------------------------- what a look costs


def test_a_look_at_an_end_that_was_seen_or_made_is_two_calls(folder: Path) -> None:
    storage = Counting()
    log, other = LocalLog(folder, storage=storage, sync="os"), LocalLog(folder, sync="os")
    log.append(batch("a", 2))
    assert storage.of(log.head) == {"stamp": 2}
    other.append(batch("b"))
    assert storage.of(log.head)["open"] == 1
    assert storage.of(log.head) == {"stamp": 2}
    assert storage.of(lambda: log.head(fresh=False)) == {}
    log.append(batch("c"))
    assert storage.of(lambda: log.head(fresh=False)) == {}
    assert log.head(fresh=False) == log.head() == LocalLog(folder).head()


def test_an_empty_log_and_one_with_a_header_only_are_looked_at_each_time(folder: Path) -> None:
    storage = Counting()
    log = LocalLog(folder, storage=storage)
    assert log.head() == log.head() == Cursor()
    assert "listdir" in storage.of(log.head)
    LocalLog(folder).append(batch("a"))
    header = (folder / FIRST).read_bytes().partition(b"\n")[0] + b"\n"
    (folder / FIRST).write_bytes(header)
    fresh = LocalLog(folder, storage=storage)
    assert fresh.head() == fresh.head() == Cursor()
    assert "open" in storage.of(fresh.head)


def test_where_the_system_says_nothing_of_files_appends_and_looks_work_as_before(folder: Path) -> None:
    storage = Blind()
    log = LocalLog(folder, storage=storage, sync="os")
    log.append(batch("a"))
    storage.blind = int
    assert log.append(batch("b")) == [3]
    assert log.head(fresh=False).seq == 3
    storage.blind = Path
    assert log.head() == log.head() == LocalLog(folder).head()


# ---------------------------------------------------------------- what happens between two looks


def appended(folder: Path) -> None:
    LocalLog(folder, sync="os").append(batch("z"))


def by_a_child(folder: Path) -> None:
    assert status_of(fork(lambda: appended(folder))) == 0


def rolled(folder: Path) -> None:
    LocalLog(folder, sync="os", segment_size=1).append(batch("z"))


def torn(folder: Path) -> None:
    with max(folder.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"seq":')


def torn_then_mended(folder: Path) -> None:
    torn(folder)
    LocalLog(folder).tidy()


def redacted(folder: Path) -> None:
    log = LocalLog(folder)
    last = [event.seq for event in log.read() if event.type == "step_abandoned"][-1]
    log.redact([last], "because")


def failed_sync(folder: Path) -> None:
    storage = Unsyncable()
    log = LocalLog(folder, storage=storage)
    log.append(batch("z"), commit=True)
    storage.fails = True
    log.append(batch("y"), commit=False)
    storage.fails = False
    log.append(batch("w"), commit=True)


def cut(folder: Path) -> None:
    path = max(folder.glob("*.jsonl"))
    lines = path.read_bytes().splitlines(keepends=True)
    os.truncate(path, path.stat().st_size - len(lines[-1]))


def changed_in_place(folder: Path) -> None:
    with max(folder.glob("*.jsonl")).open("r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"!")


def replaced_by_another_of_the_same_size(folder: Path) -> None:
    path = max(folder.glob("*.jsonl"))
    data = bytearray(path.read_bytes())
    data[-9:-8] = b"!"
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").replace(path)


def put_back_from_a_copy(folder: Path) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    LocalLog(folder, sync="os").append(batch("z"))
    shutil.rmtree(folder)
    copy.rename(folder)


def removed(folder: Path) -> None:
    max(folder.glob("*.jsonl")).unlink()


def all_removed(folder: Path) -> None:
    shutil.rmtree(folder)


def a_link_in_its_place(folder: Path) -> None:
    path = max(folder.glob("*.jsonl"))
    path.rename(folder.with_name("elsewhere"))
    path.symlink_to(folder.with_name("elsewhere"))


def archived(folder: Path) -> None:
    list(archive(LocalStorage(), folder))


def nothing(_folder: Path) -> None:
    pass


ACCIDENTS = (
    nothing, appended, by_a_child, rolled, torn, torn_then_mended, redacted, failed_sync, cut, changed_in_place,
    replaced_by_another_of_the_same_size, put_back_from_a_copy, removed, all_removed, a_link_in_its_place, archived,
)  # fmt: skip


@pytest.mark.parametrize("second", [nothing, appended, torn, cut, changed_in_place], ids=lambda act: act.__name__)
@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda act: act.__name__)
@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("made", [True, False], ids=["made", "seen"])
def test_a_look_finds_what_one_without_a_memory_finds(
    folder: Path, made: bool, segments: int, accident: Callable[[Path], None], second: Callable[[Path], None]
) -> None:
    maker = LocalLog(folder, sync="os", segment_size=1 if segments > 1 else 1 << 20)
    for n in range(segments):
        maker.append(batch(f"b{n}", 2))
    log = maker if made else LocalLog(folder, sync="os")
    for act in (accident, second):
        outcome(log)
        time.sleep(0.012)  # the system tells times of changes apart from here on
        if list(folder.glob("*.jsonl")):
            with suppress(LogError):  # there may be nothing to do it with any more
                act(folder)
        assert outcome(log) == outcome(LocalLog(folder))


def test_the_cut_and_as_many_bytes_again_are_another_end(folder: Path) -> None:
    """A killed writer leaves a record without its last byte; the next one cuts it off, and writes one of that size."""
    log = LocalLog(folder, sync="os")
    log.append(batch("a"))
    LocalLog(folder, sync="os").append(batch("b"))
    whole = (folder / FIRST).read_bytes()
    os.truncate(folder / FIRST, len(whole) - 1)
    ended = log.head()
    assert ended.seq == 2
    (folder / FIRST).write_bytes(whole[: ended.offset])
    log.append([*batch("c"), *batch("d")])
    while (folder / FIRST).stat().st_size < len(whole) - 1:
        log.append(batch("e"))
    assert log.head() == LocalLog(folder).head() != ended


def test_a_child_looks_for_itself(folder: Path) -> None:
    log = LocalLog(folder, sync="os")
    log.append(batch("a"))

    def child() -> None:
        before = log.head()
        log.append(batch("child"))
        assert log.head().seq > before.seq
        assert log.head() == LocalLog(folder).head()

    assert status_of(fork(child)) == 0
    assert log.head() == LocalLog(folder).head()
    assert log.head().seq == 4
