"""What a fold does to the connections of its thread, and to the views of a log that was empty."""

import sqlite3
from pathlib import Path

import pytest

from consist_es.log.local import LocalLog
from consist_es.views.building import Builder
from consist_es.views.projector import Projector
from tests.support.views import edit, make_log, make_views, rows, scenario, step

KEYS = "SELECT key FROM runs ORDER BY key"


@pytest.fixture
def log(tmp_path: Path) -> LocalLog:
    return make_log(tmp_path)


@pytest.fixture
def views(tmp_path: Path, log: LocalLog) -> Projector:
    return make_views(tmp_path, log)


def test_a_fold_leaves_the_connection_for_queries_alone(log: LocalLog, views: Projector) -> None:
    log.append([scenario("S")])
    conn = views.catch_up()
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    log.append([step("A")])
    assert views.catch_up() is conn
    assert rows(conn, KEYS) == [("A",), ("S",)]
    assert {text.split()[0] for text in asked} == {"SELECT", "PRAGMA"}
    assert not [text for text in asked if "=" in text and text.startswith("PRAGMA")]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        conn.execute("DELETE FROM runs")
    views.close()


def test_the_checkpoint_is_read_again_when_another_process_has_folded(
    tmp_path: Path, log: LocalLog, views: Projector
) -> None:
    log.append([scenario("S")])
    conn = views.catch_up()
    log.append([step("A")])
    with make_views(tmp_path, log) as others:
        others.catch_up()
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    assert views.catch_up() is conn
    assert rows(conn, KEYS) == [("A",), ("S",)]
    assert sum("FROM checkpoint" in text for text in asked) == 1
    asked.clear()
    views.catch_up()
    assert asked == ["PRAGMA data_version"]
    views.close()


def test_views_of_an_empty_log_are_not_made_again_with_its_first_event(
    log: LocalLog, views: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    views.catch_up()
    monkeypatch.setattr(Builder, "build", lambda *_: pytest.fail("made again"))
    log.append([scenario("S")])
    conn = views.catch_up()
    assert rows(conn, KEYS) == [("S",)]
    assert rows(conn, "SELECT value FROM meta WHERE key = 'project'") == [(log.project_id,)]
    views.close()
    assert rows(views.catch_up(), KEYS) == [("S",)]
    views.close()


@pytest.mark.parametrize("by", ["this one", "another one"])
def test_what_others_wrote_to_the_views_of_an_empty_log_is_gone_with_its_first_event(
    tmp_path: Path, log: LocalLog, views: Projector, by: str
) -> None:
    views.catch_up()
    edit(views.path, "INSERT INTO coupler (scenario_key, key, seq, first_seq) VALUES ('S', 'forged', 0, 0)")
    if by == "another one":
        views.close()
        views = make_views(tmp_path, log)
        views.catch_up()
    log.append([scenario("S")])
    assert rows(views.catch_up(), "SELECT * FROM coupler") == []
    assert rows(views.catch_up(), KEYS) == [("S",)]
    views.close()
