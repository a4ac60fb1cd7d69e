"""`verify_again` goes on from where the last check got, and notices when that place is not what it was."""

from collections.abc import Callable
from pathlib import Path

import pytest

from consist_es.events import Draft, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify, verify_again
from consist_es.log.watermark import VERIFIED_FILE
from consist_es.system.storage import LocalStorage
from tests.support.storage import Counting


def append(folder: Path, *reasons: str, size: int = 600, commit: bool = True) -> None:
    log = LocalLog(folder, segment_size=size)
    for reason in reasons:
        log.append([Draft(StepAbandoned(reason=reason))], commit=commit)
    log.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of several segments, all synced and found whole."""
    folder = tmp_path / "x.events"
    append(folder, *"abcdef")
    assert verify_again(folder).ok
    return folder


def test_a_second_check_reads_only_what_was_added(folder: Path) -> None:
    before = verify(folder)
    append(folder, "g" * 5000)
    storage = Counting()
    report = verify_again(folder, storage)
    assert (report.ok, report.since, report.head) == (True, before.head, verify(folder).head)
    assert report.events == report.head
    append(folder, *("h" * 5000 for _ in range(20)), size=1 << 20)
    verify_again(folder)
    storage = Counting()
    assert verify_again(folder, storage).since == verify(folder).head
    assert storage.read < 100_000 < sum(path.stat().st_size for path in folder.glob("*.jsonl"))


def test_a_check_with_a_problem_or_an_unfinished_tail_does_not_move_the_note(folder: Path) -> None:
    noted = (folder / VERIFIED_FILE).read_bytes()
    append(folder, "g")
    last = max(folder.glob("*.jsonl"))
    whole = last.read_bytes()
    last.write_bytes(whole + b'{"seq":')
    assert not verify_again(folder).ok
    assert (folder / VERIFIED_FILE).read_bytes() == noted
    last.write_bytes(whole)
    assert verify_again(folder).ok
    assert (folder / VERIFIED_FILE).read_bytes() != noted


def test_damage_after_the_note_is_found(folder: Path) -> None:
    append(folder, "needle", "g")
    for path in folder.glob("*.jsonl"):
        path.write_bytes(path.read_bytes().replace(b"needle", b"poodle"))
    report = verify_again(folder)
    assert report.since
    assert [problem.what for problem in report.problems] == [problem.what for problem in verify(folder).problems] != []


def test_damage_before_the_note_is_found_by_a_full_check_alone(folder: Path) -> None:
    first = folder / "00000001.jsonl"
    first.write_bytes(first.read_bytes().replace(b'"reason":"a"', b'"reason":"z"'))
    assert verify_again(folder).ok
    report = verify_again(folder, full=True)
    assert not report.ok
    assert report.since == 0


def _rewritten(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_file() and path.name != VERIFIED_FILE:
            path.unlink()
    append(folder, *"uvwxyz")


def _cut(folder: Path) -> None:
    max(folder.glob("*.jsonl")).unlink()
    (folder / "head").unlink()


@pytest.mark.parametrize("harm", [_rewritten, _cut])
@pytest.mark.parametrize("full", [False, True])
def test_a_log_that_lost_what_was_found_whole_is_a_problem(
    folder: Path, harm: Callable[[Path], None], full: bool
) -> None:
    harm(folder)
    assert verify(folder).ok  # nobody could tell without the note
    report = verify_again(folder, full=full)
    assert "an earlier check found it whole" in report.problems[0].what
    assert VERIFIED_FILE in report.problems[0].what
    (folder / VERIFIED_FILE).unlink()
    assert verify_again(folder).ok


def test_a_segment_that_vanished_before_the_note_is_missed(folder: Path) -> None:
    (folder / "00000002.jsonl").unlink()
    report = verify_again(folder)
    assert [(problem.file, problem.what) for problem in report.problems][:1] == [
        ("00000002.jsonl", "the segment is missing")
    ]


def test_events_that_were_copied_to_the_next_segment_are_checked_there(tmp_path: Path) -> None:
    """What a failed sync leaves: the note lies in lines that do not count any more."""

    class Failing(LocalStorage):
        fails = False

        def datasync(self, fd: int) -> None:
            if self.fails:
                self.fails = False
                raise OSError(5, "Input/output error")
            super().datasync(fd)

    storage, folder = Failing(), tmp_path / "x.events"
    log = LocalLog(folder, storage=storage)
    log.append([Draft(StepAbandoned(reason="a"))], commit=True)
    mark = (folder / "head").read_bytes()
    log.append([Draft(StepAbandoned(reason="b"))], commit=True)
    assert verify_again(folder).ok
    (folder / "head").write_bytes(mark)  # of two writers at once one mark may be lost
    storage.fails = True
    log.append([Draft(StepAbandoned(reason="c"))], commit=True)
    log.close()
    assert len(list(folder.glob("*.jsonl"))) == 2
    report = verify_again(folder)
    assert (report.ok, report.head, report.since) == (True, verify(folder).head, 0)


@pytest.mark.parametrize("content", [b"", b"nonsense", bytes(512)])
def test_a_damaged_note_means_a_full_check(folder: Path, content: bytes) -> None:
    (folder / VERIFIED_FILE).write_bytes(content)
    report = verify_again(folder)
    assert (report.ok, report.since) == (True, 0)
