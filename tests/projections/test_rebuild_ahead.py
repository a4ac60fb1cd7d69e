"""Rebuilds on two processes: the rows of one, whatever becomes of the other."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from consist_es.errors import LogCorruptError
from consist_es.events import Cursor, Recorded
from consist_es.log.local import LocalLog
from consist_es.project.project import Project
from consist_es.projections import ahead
from consist_es.views import building
from tests.support.views import artifact, completed, one_of_each, state, step, within

RUNS = 40


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with views that this process made alone; from now on a child reads and folds, however long the log."""
    with closing(Project(tmp_path / "p.db", sync="os")) as project:
        for number in range(RUNS):
            run = f"r{number}"
            logged = artifact(run, f"a{number}")
            project.log.append([within("S", step(run)), logged, completed(run, ("out", f"a{number}"))])
            project.views.catch_up()
        monkeypatch.setattr(building, "LONG", 1)
        monkeypatch.setattr(ahead, "processors", lambda: 2)
        yield project


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions after which this process read events itself."""
    found: list[int] = []
    real = LocalLog.read

    def noting(log: LocalLog, after: Cursor | None = None) -> Iterator[Recorded]:
        for event in real(log, after):
            found.append(event.seq)
            yield event

    monkeypatch.setattr(LocalLog, "read", noting)
    return found


def test_the_rows_are_the_same_and_this_process_reads_nothing(
    project: Project, tmp_path: Path, here: list[int]
) -> None:
    live = state(project.views.path)
    told: list[tuple[int, int]] = []
    head = project.log.head().seq
    assert project.views.rebuild(target=tmp_path / "two.db", progress=lambda *at: told.append(at)) == head
    assert (state(tmp_path / "two.db"), here, told) == (live, [], [(head, head)])
    project.views.rebuild()
    assert state(project.views.path) == live
    assert here == []


def test_an_event_that_a_view_cannot_take_is_a_dead_letter_as_ever(
    project: Project, tmp_path: Path, here: list[int]
) -> None:
    project.log.append(one_of_each())
    live = state(project.views.path) if project.views.catch_up() else {}
    here.clear()
    project.views.rebuild(target=tmp_path / "two.db")
    assert state(tmp_path / "two.db") == live
    assert len(live["dead_letter"]) == 1
    assert here


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_without_a_child_this_process_does_it(
    project: Project, tmp_path: Path, here: list[int], monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    live = state(project.views.path)
    monkeypatch.setattr(sys, "executable", program)
    project.views.rebuild(target=tmp_path / "two.db")
    assert state(tmp_path / "two.db") == live
    assert here == [*range(1, project.log.head().seq + 1)]


def test_damage_is_the_error_that_it_always_was(project: Project, tmp_path: Path) -> None:
    segment = project.log.folder / "00000001.jsonl"  # type: ignore[operator]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    before = children()
    with pytest.raises(LogCorruptError):
        project.views.rebuild(target=tmp_path / "two.db")
    assert not (tmp_path / "two.db").exists()
    assert children() <= before


def children() -> set[str]:
    """Ids of this process's children, those that ended and were not waited for among them."""
    tasks = Path("/proc/self/task")
    if not any(tasks.glob("*/children")):
        pytest.skip("the system does not list children")
    return {number for path in tasks.glob("*/children") for number in path.read_text().split()}
