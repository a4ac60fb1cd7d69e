"""The short form of every row of the reliability matrix, the bugs that the long forms found, and planted faults.

`tools/torture` holds the rows; docs/reliability.md says what they tried and what came of it.
"""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from torture.memory import STATES, Disk, Memory
from torture.promises import BLOB, FOLDER, SMALL, batch, check_memory
from torture.twin import Died, Plan, Twin

from consist_es.errors import LogFullError, LogWriteError
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.storage import Storage

# ---------------------------------------------------------------- bugs that the harness found


class Failing(Plan):
    """The first call of this name fails, or is the process's last."""

    def __init__(self, name: str, error: int | None) -> None:
        super().__init__(1, error, among=frozenset({name}))
        self.deed = self.die if error is None else None


def opened(storage: Storage) -> LocalLog:
    return LocalLog(FOLDER, storage=storage, segment_size=SMALL)


def every_cut(disk: Disk, promised: list[str]) -> None:
    """What is left after power cuts of every kind holds what was promised."""
    for how in STATES:
        for seed in range(20):
            check_memory(disk.cut(how, random.Random(seed)), promised)


@pytest.mark.parametrize("error", [28, None])
def test_a_folder_whose_maker_failed_before_its_name_was_safe_is_made_safe_by_the_next_append(
    error: int | None,
) -> None:
    disk = Disk()
    with pytest.raises((LogFullError, Died)):
        opened(Twin(Memory(disk), Failing("sync_folder", error))).append(batch("a", 1), commit=True)
    assert FOLDER.name in disk.names(Disk.ROOT)
    opened(Memory(disk)).append(batch("b", 1), commit=True)
    every_cut(disk, ["b:0:1"])


def test_a_folder_of_blobs_whose_maker_died_before_its_name_was_safe_is_made_safe_by_the_next_append() -> None:
    disk = Disk()
    log = opened(Memory(disk))
    log.append(batch("a", 1), commit=True)
    with pytest.raises(Died):
        opened(Twin(Memory(disk), Failing("sync_folder", None))).append(batch("large", 1, BLOB), commit=True)
    assert "blobs" in disk.names(FOLDER)
    disk.locks.clear()
    log.append(batch("large", 1, BLOB), commit=True)
    every_cut(disk, ["a:0:1", "large:0:1"])


def test_what_a_failed_sync_dropped_is_written_again_by_a_process_that_was_not_told() -> None:
    disk = Disk()
    opened(Memory(disk)).append(batch("a", 2), commit=True)
    first = Twin(Memory(disk), Failing("datasync", 5))
    log = opened(first)
    first.plan.deed = None
    log.append(batch("b", 2))
    first.plan.lasting = True  # and so does the sync of the segment that was to take over
    with pytest.raises(LogWriteError):
        log.append(batch("c", 2), commit=True)
    first.inner.end()  # type: ignore[attr-defined]
    opened(Memory(disk)).append(batch("d", 2), commit=True)
    every_cut(disk, [f"{name}:{n}:2" for name in "abcd" for n in range(2)])


def test_a_power_cut_never_mixes_the_bytes_that_a_repair_cut_off_with_those_written_after_it() -> None:
    disk = Disk()
    log = opened(Memory(disk))
    log.append(batch("a", 1), commit=True)
    log.append(batch("b", 1, 900))
    file = disk.files[disk.folders[FOLDER].names["00000001.jsonl"]]
    file.truncate(len(file.data) - 100)  # its writer was killed in the middle
    disk.locks.clear()
    opened(Memory(disk)).append(batch("c", 2, 900))
    every_cut(disk, ["a:0:1"])


def test_verify_does_not_take_a_watermark_that_is_being_made_for_a_damaged_one() -> None:
    disk = Disk()
    log = opened(Memory(disk))
    log.append(batch("a", 1))

    class Late(Memory):
        """The first commit happens just after the watermark was found missing."""

        def open(self, path: Path, flags: int) -> int:
            try:
                return super().open(path, flags)
            except FileNotFoundError:
                if path.name == "head" and not done:
                    done.append(True)
                    log.append(batch("b", 1), commit=True)
                raise

    done: list[bool] = []
    assert verify(FOLDER, Late(disk)).problems == []
    assert done
