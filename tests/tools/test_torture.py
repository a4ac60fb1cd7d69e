"""The short form of every row of the reliability matrix, the bugs that the long forms found, and planted faults.

`tools/torture` holds the rows; docs/reliability.md says what they tried and what came of it.
"""

import os
import random
import sqlite3
import sys
import tempfile
import threading
import unicodedata
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from torture import runner
from torture.calls import PARTS
from torture.children import ended, fork
from torture.faulty_storage import Died, FaultyStorage, Plan
from torture.invariants import BLOB, FOLDER, SMALL, batch, check_memory
from torture.memory_disk import STATES, Disk, Memory
from torture.operations import OPERATIONS
from torture.rows import ROWS
from torture.runner import run_row
from torture.trial import Row, Trial

from consist_es import Tracker
from consist_es.artifacts import digest
from consist_es.artifacts.digest_cache import DigestCache
from consist_es.cache import lookup
from consist_es.cache.vouch import Voucher
from consist_es.errors import InputError, LogFullError, LogWriteError, ViewError
from consist_es.events import Recorded
from consist_es.execution.attempt import Attempt
from consist_es.identity import config
from consist_es.identity.code.visitor import Visitor
from consist_es.log import blobs, presence, segment, tail
from consist_es.log.local import LocalLog
from consist_es.log.record import decode_head, split_line
from consist_es.log.segment import Line, Place, check_line
from consist_es.log.tail import Active, Tail
from consist_es.log.verify import verify
from consist_es.log.writer import Writer
from consist_es.project.project import Project
from consist_es.projections import BUILTIN
from consist_es.system.storage import LocalStorage, Lock, Storage
from consist_es.views import file as view_file
from consist_es.views import projector
from consist_es.views.folding import fold, whole
from consist_es.views.projector import Projector
from consist_es.views.tables import SET_CHECKPOINT, reached

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
        opened(FaultyStorage(Memory(disk), Failing("sync_folder", error))).append(batch("a", 1), commit=True)
    assert FOLDER.name in disk.names(Disk.ROOT)
    opened(Memory(disk)).append(batch("b", 1), commit=True)
    every_cut(disk, ["b:0:1"])


def test_a_folder_of_blobs_whose_maker_died_before_its_name_was_safe_is_made_safe_by_the_next_append() -> None:
    disk = Disk()
    log = opened(Memory(disk))
    log.append(batch("a", 1), commit=True)
    with pytest.raises(Died):
        opened(FaultyStorage(Memory(disk), Failing("sync_folder", None))).append(batch("large", 1, BLOB), commit=True)
    assert "blobs" in disk.names(FOLDER)
    disk.locks.clear()
    log.append(batch("large", 1, BLOB), commit=True)
    every_cut(disk, ["a:0:1", "large:0:1"])


def test_what_a_failed_sync_dropped_is_written_again_by_a_process_that_was_not_told() -> None:
    disk = Disk()
    opened(Memory(disk)).append(batch("a", 2), commit=True)
    first = FaultyStorage(Memory(disk), Failing("datasync", 5))
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


def test_what_a_killed_rebuild_left_behind_is_removed_by_the_next_process(here: Path) -> None:
    left = here / "p.db.rebuild"
    left.write_bytes(b"half a database")
    with Tracker(run_dir="runs", db_path="p.db"):
        assert not left.exists()


def test_a_child_forked_while_other_threads_have_the_views_open_makes_views_of_its_own(here: Path) -> None:
    stop = threading.Event()
    ready = threading.Barrier(2)
    with Tracker(run_dir="runs", db_path="p.db") as tracker:

        def hold() -> None:
            tracker.find_runs()
            ready.wait()
            stop.wait()

        def child() -> None:
            assert tracker.find_runs() == []
            assert tracker.project.views.path != here / "p.db"

        thread = threading.Thread(target=hold)
        thread.start()
        ready.wait()
        try:
            assert ended(fork(child)) == 0
        finally:
            stop.set()
            thread.join()
        assert tracker.project.views.path == here / "p.db"


def test_a_child_forked_while_another_thread_is_in_the_digest_cache_is_not_stuck(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path / "digests.sqlite")
    with cache._guard:  # as another thread would hold it
        assert ended(fork(lambda: cache.close()), 20) == 0


def test_views_say_where_an_event_lies_also_after_a_failed_sync_moved_it(tmp_path: Path) -> None:
    faulty = FaultyStorage(LocalStorage())
    log = LocalLog(tmp_path / "p.events", storage=faulty)
    log.append(batch("a", 2))
    with Projector(tmp_path / "p.db", log, BUILTIN) as views:
        views.catch_up()
        faulty.plan = Failing("datasync", 5)
        log.append(batch("b", 2), commit=True)
        assert log.head().segment == 2
        views.rebuild(target=tmp_path / "new.db")
        assert views.compare(tmp_path / "new.db") == {}


def test_an_error_of_the_system_while_views_are_rebuilt_is_an_error_of_ours(here: Path) -> None:
    faulty = FaultyStorage(LocalStorage())
    log = LocalLog(here / "p.events", sync="os")
    log.append(batch("a", 2))
    with Projector(here / "p.db", log, BUILTIN, storage=faulty) as views:
        views.catch_up()
        faulty.plan = Failing("datasync", 122)
        with pytest.raises(ViewError, match="quota exceeded"):
            views.rebuild()
        views.rebuild()


def given_up(folder: Path) -> LocalLog:
    """A log whose first segment was given up from its second batch on, for the second segment."""
    faulty = FaultyStorage(LocalStorage())
    log = LocalLog(folder, storage=faulty)
    log.append(batch("a", 1), commit=True)
    log.append(batch("b", 1))
    faulty.plan = Failing("datasync", 5)
    log.append(batch("c", 1), commit=True)
    assert log.head().segment == 2
    return log


@pytest.mark.parametrize("damage", ["zeros in a record", "zeros at the end", "cut", "another record"])
def test_a_retry_looks_past_an_end_that_was_given_up_whatever_it_holds(here: Path, damage: str) -> None:
    log = given_up(here / "p.events")
    first = here / "p.events" / "00000001.jsonl"
    data = first.read_bytes()
    place = data.rindex(b'"id":"')
    first.write_bytes(
        {
            "zeros in a record": data[:place] + bytes(40) + data[place + 40 :],
            "zeros at the end": data[: place + 9] + bytes(len(data) - place - 9),
            "cut": data[:-20],
            "another record": data + data.splitlines(keepends=True)[-1].replace(b'"seq":', b'"seq":1'),
        }[damage]
    )
    assert verify(here / "p.events").ok
    head = log.head().seq
    again = LocalLog(here / "p.events")
    assert again.append(batch("a", 1), since=0) == [2]
    assert again.append(batch("c", 1), since=0) == [head]
    assert again.append(batch("d", 1), since=0) == [head + 2]


@pytest.mark.parametrize("how", ["rolled", "given up"])
def test_a_segment_gets_a_successor_only_once_its_own_name_is_safe(how: str) -> None:
    disk = Disk()
    faulty = FaultyStorage(Memory(disk, chance=random.Random(1)))
    log = LocalLog(FOLDER, storage=faulty, segment_size=SMALL, sync="os")
    log.append(batch("a", 1), commit=True)
    for number in range(40):  # every new segment's name fails to be made safe, once
        faulty.plan = Failing("sync_folder", 5)
        try:
            log.append(batch(f"{number}", 1), since=0)
        except LogWriteError:
            log = LocalLog(FOLDER, storage=faulty, segment_size=SMALL, sync="os" if how == "rolled" else "always")
    for seed in range(60):
        cut = disk.cut("reorder", random.Random(seed))
        names = [int(name[:8]) for name in cut.names(FOLDER) if name.endswith(".jsonl")]
        assert sorted(names) == list(range(1, len(names) + 1))
        LocalLog(FOLDER, storage=Memory(cut)).append(batch("x", 1), commit=True)


# ---------------------------------------------------------------- the matrix, in its short form


def tortured(row: Row, count: int, where: Path, seconds: float = 240.0) -> Trial:
    """A row that was run, with seed 1."""
    return run_row(row, count, 1, where, seconds)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_the_promise_holds(row: Row) -> None:
    with tempfile.TemporaryDirectory() as where:
        Path(where).chmod(0o755)  # another user must reach it, unlike the folders of pytest
        trial = tortured(row, row.short, Path(where))
    assert trial.failures == [], f"repeat with: python -m tools.torture --only {row.id} --seed {trial.seed}"
    assert trial.stopped == []
    assert trial.tried or trial.lacking or row.short == 0
    if trial.lacking:
        pytest.skip("; ".join(trial.lacking))


def test_the_rows_of_failing_calls_have_every_call_of_every_verb_once() -> None:
    calls = [(verb, at) for part in PARTS.values() for verb in part.verbs for at in range(part.first, 9, part.step)]
    assert sorted(calls) == sorted((verb, at) for verb in OPERATIONS for at in range(1, 9))
    assert set(PARTS) <= {row.id for row in ROWS}


def slow(trial: Trial) -> None:
    for _ in trial.cases():
        trial.tell("cases")


def short_of_a_tool(trial: Trial) -> None:
    trial.tell("cases")
    trial.lacks("no such tool")


@pytest.mark.parametrize(
    ("promise", "form", "limit", "code", "said"),
    [
        (slow, "--short", "60", 0, "all 1 rows ok"),
        (slow, "--short", "-1", 1, "stopped by the time limit at 0 of 1"),
        (short_of_a_tool, "--short", "60", 0, "INCOMPLETE: X1"),
        (short_of_a_tool, "--night", "60", 1, "no such tool"),
        (short_of_a_tool, "--release", "60", 1, "INCOMPLETE: X1"),
    ],
)
def test_a_row_that_did_not_do_what_it_was_asked_is_not_ok(
    promise: Any, form: str, limit: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mock.patch.object(runner, "ROWS", (Row("X1", "a promise", promise, 1, 1, 1),)):
        assert runner.main([form, "--seconds", limit, "--where", str(tmp_path)]) == code
    shown = capsys.readouterr().out
    assert said in shown
    assert ("INCOMPLETE" in shown) == ("ok" not in shown)


def test_a_row_without_strace_is_incomplete(tmp_path: Path) -> None:
    row = next(row for row in ROWS if row.id == "R8s")
    with mock.patch("shutil.which", return_value=None):
        assert tortured(row, 1, tmp_path).lacking == ["no strace"]


def test_only_the_long_forms_ask_for_other_interpreters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORTURE_PYTHONS", raising=False)
    for thorough in (False, True):
        trial = Trial(1, tmp_path, 1, thorough=thorough)
        assert trial.interpreters() == [sys.executable]
        assert bool(trial.incomplete) == thorough


def test_the_page_has_the_counts_of_every_form() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text("utf-8")
    found = {cells[0]: cells for line in page.splitlines() if len(cells := line.strip("| ").split(" | ")) == 6}
    for row in ROWS:
        _, promise, _, *counts = found[row.id]
        assert (promise, *counts) == (row.promise, *(f"{count:,}" for count in (row.short, row.night, row.release)))


# ---------------------------------------------------------------- planted faults


def mark_without_sync(self: Writer, active: Active, place: Place) -> None:
    self._tail.mark(place)


def every_record_ends_a_batch(line: bytes, place: Place) -> Line:
    found = check_line(line, place)
    return found._replace(head=msgspec.structs.replace(found.head, end=True))


def unchecked_line(line: bytes, place: Place) -> Line:
    head_bytes, data, chain = split_line(line)
    return Line(decode_head(head_bytes), data, chain, place.offset, len(line), b"")


def checkpoint_apart(self: Projector, conn: sqlite3.Connection, _is_behind: bool) -> bool:
    at = reached(conn)
    events = whole(self._log.read(at if at.seq else None))
    with view_file.Transaction(conn):
        if events:
            _set_checkpoint(self, conn, events[-1])
    with view_file.Transaction(conn):
        for view in BUILTIN:
            fold(conn, view, events)
    return bool(events)


def _set_checkpoint(self: Projector, conn: sqlite3.Connection, last: Recorded) -> None:
    at = self._log.cursor_after(last)
    conn.execute(SET_CHECKPOINT, (at.seq, at.segment, at.offset, at.chain))


def quarantine_nothing(storage: Storage, folder: Path, fd: int, segment: int, offset: int) -> tuple[str, int]:
    return "nowhere", storage.size(fd) - offset


def sync_once_more(self: Writer, place: Place, safe: object, error: OSError) -> None:
    self._storage.datasync(self._tail.current(lambda: "").fd)
    self._tail.mark(place)


def trust_the_clock(self: Writer, last: str) -> str:
    return self._storage.now().isoformat(timespec="microseconds")[:26] + "Z"


def record_exceptions_only(self: Attempt, error: BaseException) -> None:
    if isinstance(error, Exception):
        RECORD_FAILURE(self, error)


def digest_of_nothing(path: bytes, expected: os.stat_result, tell: digest.Tell) -> str:
    try:
        return HASH_FILE(path, expected, tell)
    except InputError:
        return "b3:error"


def blob_without_sync(storage: Storage, path: Path, data: bytes) -> None:
    fd = storage.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    storage.write_at(fd, data, 0)
    storage.close(fd)


def line_of_a_normal_name(entry: Any, content: str) -> bytes:
    name = unicodedata.normalize("NFC", os.fsdecode(entry.name))
    return LINE(msgspec.structs.replace(entry, name=os.fsencode(name)), content)


LINE = digest._line
RECORD_FAILURE = Attempt._failed
HASH_FILE = digest._hash_file

PLANTED: dict[str, tuple[Any, str, Any, str, int]] = {
    "sync removed": (Writer, "_sync", mark_without_sync, "R4", 400),
    "locks removed": (Memory, "flock", lambda *_, **__: True, "R21", 40),
    "batch flag ignored": (segment, "check_line", every_record_ends_a_batch, "R5", 20),
    "chain not checked": (segment, "check_line", unchecked_line, "R6", 3),
    "checkpoint outside the transaction": (Projector, "_fold_some", checkpoint_apart, "R17", 30),
    "cut after a failed write removed": (Writer, "_take_back", lambda *_: None, "R20", 120),
    "watermark not written": (Tail, "mark", lambda *_: None, "R7", 400),
    "quarantine removed": (tail, "quarantine", quarantine_nothing, "R5", 20),
    "failed sync tried again": (Writer, "_recover", sync_once_more, "R22", 1_000),
    "digests of cached outputs not checked again": (lookup, "_changed", lambda *_: {}, "R12", 5),
    "hits not read back from the log": (Voucher, "candidate", lambda *_: None, "R28", 60),
    "rows of the views not counted": (projector, "lost_rows", lambda *_: None, "R28", 60),
    "abandoned runs not looked for": (Project, "is_gone", lambda *_: False, "R3", 5),
    "lock files that are deleted not missed": (Lock, "is_lost", lambda _: False, "R26", 5),
    "views under a lock that can be deleted alone": (view_file._FolderLock, "refused", lambda _: "", "R26", 13),
    "locks of writers not asked": (LocalStorage, "is_locked", lambda *_: False, "R27", 5),
    "numbers of processes taken for the same everywhere": (presence, "shares_numbers", lambda *_: True, "R27", 5),
    "locks of writers kept by their children": (presence.Presence, "after_fork", lambda _: None, "R27", 5),
    "names of folders not synced": (Writer, "_make_names_safe", lambda *_: None, "R22", 600),
    "ids of a retry ignored": (Writer, "_known", lambda *_: {}, "R20", 40),
    "wall clock trusted": (Writer, "_time", trust_the_clock, "R16", 1),
    "interrupts not recorded": (Attempt, "_failed", record_exceptions_only, "R15", 1),
    "errors of hashing swallowed": (digest, "_hash_file", digest_of_nothing, "R14", 1),
    "blobs not synced": (blobs, "_write", blob_without_sync, "R22", 600),
    "numbers of a config compared by value": (
        config,
        "frame",
        lambda plain: repr(plain).replace(".0", ""),
        "R13",
        2000,
    ),
    "names in a folder compared after normalisation": (digest, "_line", line_of_a_normal_name, "R13", 20_000),
    "defaults and closures not counted": (Visitor, "_captured", lambda *_: None, "R13", 20_000),
}
"""Where a fault is planted, what is put there, the row that must notice it, and the count that suffices."""


@pytest.mark.parametrize("fault", PLANTED)
def test_the_harness_notices(fault: str, tmp_path: Path) -> None:
    owner, name, instead, row_id, count = PLANTED[fault]
    row = next(row for row in ROWS if row.id == row_id)
    assert hasattr(owner, name), "the fault is planted nowhere"
    with mock.patch.object(owner, name, instead):
        trial = tortured(row, count, tmp_path)
    assert trial.failures, f"{row_id} noticed nothing in {trial.tried}"
    assert not trial.failures[0].startswith("Traceback"), trial.failures[
        0
    ]  # a fault that breaks the row proves nothing
