"""No room for the views: steps go on as long as the log has room, and nothing wrong is served meanwhile."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from torture.children import ended, fork
from torture.disk_full import NO_NAMESPACES, _mounted

import consist_es as consist
from consist_es import ConsistWarning, Tracker
from consist_es.errors import ViewRoomError
from consist_es.views import file as view_file
from consist_es.views import places as view_places


def step(k: int) -> Path:
    out = consist.output_path("out", "txt")
    out.write_text(f"{k}")
    return out


def full_disk(room: Path, told: Path, temporary: Path) -> None:
    """A file system of its own with a few pages left: what a step records fits, what SQLite needs does not."""
    _mounted(room)
    os.chdir(room)
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = str(temporary)
    with Tracker(run_dir=told / "runs", db_path="p.db", sync="os") as tracker:
        tracker.run(step, config={"k": 0}, outputs=["out"])
        filler = Path("filler")
        free = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize
        filler.write_bytes(bytes(free - (24 << 10)))
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            got = [tracker.run(step, config={"k": k}, outputs=["out"]) for k in (1, 2, 1, 0)]
        assert [result.cache_hit for result in got] == [False, False, True, True]
        assert [result.outputs["out"].path.read_text() for result in got] == ["1", "2", "1", "0"]
        moves = [str(each.message) for each in warned if "kept elsewhere" in str(each.message)]
        assert len(moves) == 1 + (room in temporary.parents)
        assert all("cannot be used" in said and "The log is unharmed" in said for said in moves)
        filler.unlink()
    with Tracker(run_dir=told / "runs", db_path="p.db", access_mode="analysis") as tracker:
        assert len(tracker.find_runs(limit=None)) == 5
        assert tracker.project.views.path == Path("p.db").absolute()


@pytest.mark.parametrize("also_the_temporary", [False, True], ids=["views", "views and temporary files"])
def test_a_full_disk_under_the_views_stops_no_step_for_which_the_log_has_room(
    tmp_path: Path, also_the_temporary: bool
) -> None:
    room, told = tmp_path / "room", tmp_path / "told"
    room.mkdir()
    told.mkdir()
    temporary = room / "tmp" if also_the_temporary else tmp_path / "tmp"
    status = ended(fork(lambda: full_disk(room, told, temporary), tmp_path / "errors"), 120)
    if status == NO_NAMESPACES:
        pytest.skip("mounting needs root and mount namespaces")
    assert status == 0, (tmp_path / "errors").read_text()[-2000:]


def limited(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    """No file of views below the folder grows any more."""
    connect, create = view_file.connect, view_file.create

    def capped(open_it: Any, path: Path, **how: bool) -> sqlite3.Connection:
        conn = open_it(path, **how)
        if here in path.parents:
            conn.execute("PRAGMA max_page_count = 1")  # SQLite takes what there is for the least
        return conn  # type: ignore[no-any-return]

    monkeypatch.setattr(view_file, "connect", lambda path, **how: capped(connect, path, **how))
    monkeypatch.setattr(view_file, "create", lambda path: capped(create, path))


def until_refused(tracker: Tracker) -> None:
    for k in range(1, 200):
        tracker.run(step, config={"k": k}, facet={"padding": "x" * 4000}, outputs=["out"])


def test_views_that_can_grow_nowhere_are_an_error_that_says_so_and_the_log_is_whole(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here / "tmp"))
    monkeypatch.setattr(view_places, "MEMORY", here / "none")
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(step, config={"k": 0}, outputs=["out"])
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", ConsistWarning)
            limited(patch, here)
            tracker.project.views.close()
            with pytest.raises(ViewRoomError, match="make room if the disk is full"):
                until_refused(tracker)
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        assert tracker.run(step, config={"k": 0}, outputs=["out"]).cache_hit


def test_a_rebuild_that_was_asked_for_goes_nowhere_else(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        tracker.run(step, config={"k": 0}, outputs=["out"])
        with monkeypatch.context() as patch:
            limited(patch, here)
            with pytest.raises(ViewRoomError):
                tracker.project.views.rebuild()
        assert tracker.project.views.path == here / "p.db"
