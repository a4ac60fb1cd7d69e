"""Scenarios that are followed while they run: from the log alone, and with the same result as the views."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es.project.project import Project
from consist_es.reading.following import ENDED, GONE, Follower, Watched
from consist_es.views.file import ViewLock
from tests.support.api import made
from tests.support.children import fork, status_of

DATABASE = Path("p.db")


def quick(n: int) -> Path:
    return made("quick", f"{n}\n")


def looks(n: int) -> Path:
    """Calls what the test has put there, in the middle of a step."""
    HOOK()
    return made("looks", f"{n}\n")


def fails(n: int) -> Path:
    raise ZeroDivisionError(n)


def nothing() -> None: ...


HOOK: Any = nothing


@pytest.fixture
def tracker(here: Path) -> Iterator[consist.Tracker]:
    with consist.Tracker("runs", DATABASE) as opened:
        yield opened


def play(tracker: consist.Tracker, name: str, n: int, *, fail: bool = False) -> None:
    with tracker.scenario(name) as sc:
        sc.run(quick, config={"n": 0}, outputs=["quick"], year=2030)
        sc.run(looks, config={"n": n}, outputs=["looks"], year=2030, iteration=1)
        if fail:
            sc.run(fails, config={"n": n})


@pytest.fixture
def project() -> Iterator[Project]:
    opened = Project(DATABASE, read_only=True)
    yield opened
    opened.close()


def follow(project: Project, only: str | None = None) -> Follower:
    return Follower(project.log, project.views_as_seen, project.connection(), only)


def during(tracker: consist.Tracker, n: int, act: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a scenario, and act in the middle of its second step."""
    monkeypatch.setitem(globals(), "HOOK", act)
    play(tracker, "base", n)


def told(item: Watched) -> tuple[Any, ...]:
    counts = (item.ended, item.reused, item.computed, item.failed)
    return item.id, item.status, counts, list(item.outcomes), list(item.running)


def test_a_step_is_seen_while_it_runs_though_the_views_do_not_have_it(
    tracker: consist.Tracker, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tracker, "base", 1)
    follower = follow(project)
    seen: list[Any] = []

    def look() -> None:
        changes = follower.look()
        seen.extend((change.scenario.id, change.label, change.what, change.ended) for change in changes)
        (item, _whole) = follower.shown()
        later = datetime.now(UTC) + timedelta(hours=1)
        assert (item.total, item.reused, item.left(later), item.failed) == (2, 1, 0.0, 0)
        assert [step.name for step in item.running.values()] == ["looks"]

    during(tracker, 2, look, monkeypatch)
    assert seen == [
        ("base#2", "", "running", 0), ("base#2", "quick 2030", "hit", 1), ("base#2", "looks 2030·1", "running", 1),
    ]  # fmt: skip
    assert [(change.label, change.what) for change in follower.look()] == [
        ("looks 2030·1", "computed"), ("", "completed"),
    ]  # fmt: skip
    assert follower.look() == []


def test_it_is_the_same_from_the_log_as_from_the_views(tracker: consist.Tracker, project: Project) -> None:
    play(tracker, "first", 1)
    early = follow(project)
    for number in range(ENDED + 2):
        with suppress(ZeroDivisionError):
            play(tracker, f"s{number % 3}", number % 4, fail=number % 3 == 1)
        if number % 2:
            early.look()
    early.look()
    late = follow(project)
    assert [told(item) for item in early.shown()] == [told(item) for item in late.shown()]
    assert {item.status for item in late.shown()} == {"completed", "failed"}


def test_one_scenario_can_be_followed_alone(tracker: consist.Tracker, project: Project) -> None:
    play(tracker, "base", 1)
    follower = follow(project, "base")
    play(tracker, "other", 2)
    tracker.run(quick, config={"n": 7}, outputs=["quick"])
    assert follower.look() == []
    play(tracker, "base", 3)
    assert {change.scenario.id for change in follower.look()} == {"base#2"}


def test_a_step_outside_scenarios_is_shown_while_it_runs(
    tracker: consist.Tracker, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tracker, "base", 1)
    follower = follow(project)

    def look() -> None:
        for seen in (follower, follow(project)):
            seen.look()
            assert [(item.id, len(item.running)) for item in seen.shown()] == [("", 1), ("base", 0)]

    monkeypatch.setitem(globals(), "HOOK", look)
    tracker.run(looks, config={"n": 5}, outputs=["looks"])
    follower.look()
    assert [item.id for item in follower.shown()] == ["base"]


def test_it_takes_no_lock_and_leaves_none(tracker: consist.Tracker, project: Project) -> None:
    play(tracker, "base", 1)
    follower = follow(project)
    tracker.run(quick, config={"n": 8}, outputs=["quick"])
    before = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*") if path.is_file()}
    with ViewLock(DATABASE, project.storage, project.folder), closing(sqlite3.connect(DATABASE)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert [change.what for change in follower.look()] == ["computed"]
        other.execute("ROLLBACK")
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0  # no reader is in its way
    after = {path: path.stat().st_mtime_ns for path in Path.cwd().rglob("*") if path.is_file()}
    written = {path.name for path in after if after[path] != before.get(path)}
    assert written <= {"p.db", "p.db-wal"}  # by the other connection


def test_a_scenario_of_a_killed_process_is_said_to_be_gone(here: Path) -> None:
    def dies() -> None:
        with consist.Tracker("runs", DATABASE) as tracker, tracker.scenario("base") as sc:
            sc.run(quick, config={"n": 0}, outputs=["quick"])
            os.kill(os.getpid(), signal.SIGKILL)

    assert status_of(fork(dies)) == -signal.SIGKILL
    with closing(Project(DATABASE, read_only=True)) as project:
        follower = follow(project)
        assert [(item.id, item.status) for item in follower.shown()] == [("base", "running")]
        assert [(change.scenario.id, change.what) for change in follower.missing()] == [("base", GONE)]
        assert follower.missing() == []
        with consist.Tracker("runs", DATABASE) as tracker:
            tracker.run(quick, config={"n": 1}, outputs=["quick"])  # records that it was abandoned
        assert ("", "abandoned") in [(change.label, change.what) for change in follower.look()]
        assert [(item.id, item.status) for item in follower.shown()] == [("base", "abandoned")]
