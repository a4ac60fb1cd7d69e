"""Complete segments are put away where nothing can be written, and everything works as before."""

import errno
from pathlib import Path

import pytest

from consist_es.errors import ArchiveError, LogCorruptError, LogLockError, LogReadError
from consist_es.events import Draft, MetaLogged
from consist_es.log.archive import archive
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.project.project import Project
from consist_es.system.storage import LocalStorage
from tests.log.test_log_faults import Died, Faulty, every_call
from tests.support.cli import run, run_json
from tests.support.evidence import grow

SECRET = "hunter2-correct-horse"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of a few segments in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "p.events"
    grow(folder, 20, size=300, segment_size=1500)
    assert len(segments(folder)) > 4
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "tape"
    place.mkdir()
    return place


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def writable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o222)


def test_segments_move_and_everything_works_as_before(folder: Path, place: Path) -> None:
    before = [event.id for event in LocalLog(folder).read()]
    bytes_before = [path.read_bytes() for path in segments(folder)]
    moved = list(archive(LocalStorage(), folder, place))

    assert moved == [place.resolve() / path.name for path in segments(folder)[:-1]]
    assert [path.is_symlink() for path in segments(folder)] == [True] * len(moved) + [False]
    assert [path.read_bytes() for path in segments(folder)] == bytes_before
    assert not any(writable(path) for path in moved)
    place.chmod(0o555)

    project = Project(folder.with_suffix(".db"))
    project.record([Draft(MetaLogged(values={"n": 1}), "s", "r")], commit=True)
    assert [event.id for event in project.log.read()][: len(before)] == before
    assert project.views.rebuild() == project.log.head().seq == len(before) + 2
    project.close()
    assert verify(folder).ok
    place.chmod(0o755)


def test_later_segments_follow(folder: Path, place: Path) -> None:
    first = len(list(archive(LocalStorage(), folder, place)))
    grow(folder, 10, size=100, segment_size=1500)
    now = len(segments(folder))
    assert len(list(archive(LocalStorage(), folder, place))) == now - 1 > first
    assert len(segments(place)) == now - 1
    assert verify(folder).ok


def test_without_a_place_they_stay_and_are_read_only(folder: Path) -> None:
    assert list(archive(LocalStorage(), folder)) == segments(folder)[:-1]
    assert [path for path in segments(folder) if writable(path)] == segments(folder)[-1:]
    assert not any(path.is_symlink() for path in segments(folder))
    grow(folder, 10, segment_size=1500)
    assert verify(folder).ok


@pytest.mark.parametrize("error", [None, errno.EIO, errno.ENOSPC])
def test_killed_or_failing_at_any_call_nothing_is_lost_and_it_can_be_done_again(
    tmp_path: Path, error: int | None
) -> None:
    def attempt(at: int, room: Path) -> bool:
        folder, place = room / "p.events", room / "tape"
        place.mkdir(parents=True)
        grow(folder, 8, size=100, segment_size=1500)
        before = [event.id for event in LocalLog(folder).read()]
        storage = Faulty(at, error)
        try:
            list(archive(storage, folder, place))
        except (Died, ArchiveError, LogLockError, LogReadError):
            assert storage.reached
        assert [event.id for event in LocalLog(folder).read()] == before
        list(archive(LocalStorage(), folder, place))
        grow(folder, 1)
        assert verify(folder).ok
        assert [path.name for path in segments(place)] == [path.name for path in segments(folder)[:-1]]
        assert not any(writable(path) for path in segments(place))
        assert not list(folder.glob("*.tmp"))
        return storage.reached

    assert every_call(attempt, tmp_path) > 30


def test_a_file_that_is_there_is_not_written_over(folder: Path, place: Path) -> None:
    (place / "00000002.jsonl").write_text("another project's\n")
    with pytest.raises(ArchiveError, match=r"00000002.jsonl cannot be archived in .*tape: another file of that name"):
        list(archive(LocalStorage(), folder, place))
    assert (place / "00000002.jsonl").read_text() == "another project's\n"
    assert [path.name for path in segments(folder) if path.is_symlink()] == ["00000001.jsonl"]
    assert verify(folder).ok


def test_the_place_must_be_there_and_another_one(folder: Path, place: Path) -> None:
    before = [path.read_bytes() for path in segments(folder)]
    with pytest.raises(ArchiveError, match=r"nowhere: it does not exist; name another folder"):
        list(archive(LocalStorage(), folder, folder.parent / "nowhere"))
    with pytest.raises(ArchiveError, match=r"a link, or the segment itself; name another folder"):
        list(archive(LocalStorage(), folder, folder))
    (place / "00000001.jsonl").symlink_to(folder / "00000001.jsonl")
    with pytest.raises(ArchiveError, match=r"a link, or the segment itself; name another folder"):
        list(archive(LocalStorage(), folder, place))
    (place / "00000001.jsonl").unlink()
    (place / "00000001.jsonl").hardlink_to(folder / "00000001.jsonl")
    with pytest.raises(ArchiveError, match=r"a link, or the segment itself; name another folder"):
        list(archive(LocalStorage(), folder, place))
    assert not any(path.is_symlink() for path in segments(folder))
    assert [path.read_bytes() for path in segments(folder)] == before


def test_a_writer_that_had_the_segment_open_goes_on(tmp_path: Path, place: Path) -> None:
    folder = tmp_path / "p.events"
    early = LocalLog(folder, segment_size=1500)
    note = [Draft(MetaLogged(values={"n": 1}), "s", "r")]
    early.append(note)
    grow(folder, 20, size=300, segment_size=1500)
    assert len(list(archive(LocalStorage(), folder, place))) > 3
    head = LocalLog(folder).head().seq
    assert early.append(note, commit=True) == [head + 1]
    assert verify(folder).ok


def test_who_may_not_read_the_log_may_not_read_the_copies(folder: Path, place: Path) -> None:
    for path in segments(folder):
        path.chmod(0o600)
    assert {path.stat().st_mode & 0o777 for path in archive(LocalStorage(), folder, place)} == {0o400}


def test_where_the_archive_cannot_be_reached_no_reader_takes_the_rest_for_the_whole(folder: Path, place: Path) -> None:
    list(archive(LocalStorage(), folder, place))
    (folder / "head").unlink(missing_ok=True)
    (place / "00000003.jsonl").rename(place / "elsewhere")
    found = []
    with pytest.raises(LogCorruptError, match=r"00000003.jsonl, byte 0: the segment is missing"):
        found += list(LocalLog(folder).read())
    assert verify(folder).problems[0].file == "00000003.jsonl"
    (place / "elsewhere").rename(place / "00000003.jsonl")
    assert verify(folder).ok


def test_a_segment_that_is_missing_between_others_is_no_end_of_the_log(folder: Path) -> None:
    (folder / "head").unlink(missing_ok=True)
    segments(folder)[2].unlink()
    with pytest.raises(LogCorruptError, match=r"00000003.jsonl, byte 0: the segment is missing"):
        list(LocalLog(folder).read())


# ---------------------------------------------------------------- the command


def test_the_command_says_where_each_segment_lies(folder: Path, place: Path) -> None:
    result = run("archive", "--to", "tape")
    assert result.stdout.splitlines() == [f"tape/{path.name}" for path in segments(folder)[:-1]]
    assert f"{len(segments(place))} segments read-only" in result.stderr
    (facts,) = run_json("archive")
    assert facts["archived"] == [str(path) for path in segments(place)]


def test_a_damaged_log_is_not_put_away(folder: Path, place: Path) -> None:
    path = segments(folder)[1]
    path.write_bytes(path.read_bytes().replace(b"xxx", b"xyx", 1))
    result = run("archive", "--to", "tape", code=1)
    assert "is not whole, so nothing was archived" in result.stderr
    assert not any(path.is_symlink() for path in segments(folder))


def test_redact_names_the_copy_in_the_archive(folder: Path, place: Path) -> None:
    log = LocalLog(folder, segment_size=1500)
    (position,) = log.append([Draft(MetaLogged(values={"note": SECRET + "x" * 100}), "s", "r")])
    number = log.head().segment
    grow(folder, 20, size=100, segment_size=1500)
    run("archive", "--to", "tape")
    result = run("redact", str(position), "--reason", "a password", "--yes")
    assert f"tape/{number:08d}.jsonl was put aside earlier and may hold it too" in result.stderr
    assert not any(SECRET.encode() in path.read_bytes() for path in segments(folder))
    assert verify(folder).redacted == [position]
