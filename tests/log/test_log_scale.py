"""Long logs: opening looks at the end alone, memory does not grow with the log, and old segments may be read-only."""

import os
import shutil
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.children import fork, status_of
from tests.support.storage import Counting

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from bench import biglog

from consist_es.events import Draft, StepAbandoned
from consist_es.log.local import LocalLog
from consist_es.log.segment import CHUNK
from consist_es.log.verify import verify, verify_again
from consist_es.project.project import Project

SOMEBODY = 65534
"""A user without rights of any kind."""


def drafts(reason: str) -> list[Draft]:
    return [Draft(StepAbandoned(reason=reason))]


# ---------------------------------------------------------------- opening


def test_opening_reads_the_end_of_a_long_log_alone(tmp_path: Path) -> None:
    folder = tmp_path / "x.events"
    made = biglog.write(folder, 5000, segment_size=1 << 20)
    whole = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    storage = Counting()
    log = LocalLog(folder, storage=storage)
    assert log.head().seq == made
    log.append(drafts("more"), commit=True)
    assert log.head().seq == made + 2
    log.close()
    assert storage.read < 3 * CHUNK < whole


def test_views_that_are_level_are_opened_without_a_walk(tmp_path: Path) -> None:
    folder = tmp_path / "x.events"
    biglog.write(folder, 5000)
    first = Project(tmp_path / "x.db")
    first.connection()
    first.close()
    storage = Counting()
    project = Project(tmp_path / "x.db", storage=storage)
    assert project.connection().execute("SELECT count(*) FROM audit_index").fetchone()[0] >= 5000
    project.close()
    assert storage.read < CHUNK


# ---------------------------------------------------------------- memory


def peak(work: object) -> int:
    """Most memory that Python held meanwhile."""
    assert callable(work)
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", ["verify", "replay"])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, what: str) -> None:
    def work(count: int) -> int:
        folder = tmp_path / f"{count}.events"
        biglog.write(folder, count)
        project = Project(tmp_path / f"{count}.db")
        return peak((lambda: verify(folder)) if what == "verify" else project.views.rebuild)

    work(1000)  # what is loaded and remembered once
    assert work(16_000) < 1.5 * work(7000)


# ---------------------------------------------------------------- old segments


@pytest.fixture
def archive() -> Iterator[Path]:
    """A folder that every user can reach, as those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:  # import everything now: the interpreter may lie where only we can read
        project = Project(Path(name) / "x.db")
        project.record(drafts("x"), commit=True)
        project.views.rebuild()
        project.close()
    folder = Path(tempfile.mkdtemp(prefix="archive-"))
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)


def as_somebody(work: object) -> int:
    """Exit status of a child that root's powers do not help."""
    assert callable(work)

    def child() -> None:
        if os.getuid() == 0:
            os.setgid(SOMEBODY)
            os.setuid(SOMEBODY)
        work()

    return status_of(fork(child))


def sealed(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))[:-1]


def use(folder: Path) -> None:
    """Everything that one does with a project."""
    for path in sealed(folder):
        assert not os.access(path, os.W_OK)
    before = verify(folder)
    assert before.ok
    project = Project(folder.with_suffix(".db"))
    project.record(drafts("more"), commit=True)
    LocalLog(folder).tidy()
    conn = project.connection()
    assert conn.execute("SELECT max(seq) FROM audit_index").fetchone()[0] == before.head + 2
    assert project.views.rebuild() == before.head + 2
    assert list(project.log.read())[-1].seq == before.head + 2
    project.close()
    assert verify_again(folder, full=True).ok
    LocalLog(folder, segment_size=1).append(drafts("a new segment"))
    assert verify_again(folder).ok


def give(*paths: Path) -> None:
    """To the user of `as_somebody`."""
    if os.getuid() == 0:
        for path in paths:
            os.chown(path, SOMEBODY, SOMEBODY)


def test_sealed_segments_may_be_read_only(archive: Path) -> None:
    folder = archive / "x.events"
    biglog.write(folder, 500, segment_size=50_000)
    give(archive, folder, *folder.iterdir())
    for path in sealed(folder):
        path.chmod(0o444)
    assert as_somebody(lambda: use(folder)) == 0


def test_a_log_on_read_only_media_can_be_verified_and_replayed(archive: Path) -> None:
    folder = archive / "x.events"
    made = biglog.write(folder, 500, segment_size=50_000)
    give(archive, folder, *folder.iterdir())
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)

    def look() -> None:
        assert verify_again(folder).ok
        project = Project(folder.with_suffix(".db"), read_only=True)
        assert project.views.rebuild(target=archive / "other.db") == made
        project.close()
        assert not (folder / "verified").exists()

    assert as_somebody(look) == 0
