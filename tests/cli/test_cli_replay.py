"""`consist-es replay`: every table comes back, past states are themselves, and no foreign file is touched."""

import io
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consist_es.log.local import LocalLog
from consist_es.projections import BUILTIN
from consist_es.system import bar
from consist_es.views.compare import dump
from tests.support.cli import append, record, run, run_json

TABLES = sorted({"checkpoint", "dead_letter", "meta"}.union(*(view.tables for view in BUILTIN)))


@pytest.fixture
def log(here: Path) -> Path:
    return record()


def rows(database: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(database)) as conn:
        return {table: list(dump(conn, table)) for table in TABLES}


def edit(database: str, sql: str) -> None:
    with closing(sqlite3.connect(database)) as conn:
        conn.execute(sql)
        conn.commit()


# ---------------------------------------------------------------- the live views


def test_a_deleted_database_comes_back_row_for_row_under_the_name_it_had(here: Path) -> None:
    record("provenance.duckdb")
    database = here / "provenance.duckdb"
    before = rows(database)
    assert all(before[name] for name in ("runs", "artifacts", "links", "coupler", "cache_index", "audit_index"))
    database.unlink()
    result = run("replay")
    assert rows(database) == before
    assert not (here / "provenance.db").exists()
    assert result.stdout == ""
    assert result.stderr.startswith(f"Built provenance.duckdb from {len(before['audit_index'])} events in ")
    assert re.search(rf"^runs +{len(before['runs'])}$", result.stderr, re.MULTILINE)


def test_an_edited_database_is_put_right(log: Path) -> None:
    before = rows(Path("provenance.db"))
    edit("provenance.db", "UPDATE runs SET status = 'completed'")
    assert rows(Path("provenance.db")) != before
    run("replay")
    assert rows(Path("provenance.db")) == before


def test_a_foreign_file_in_place_of_the_database_is_kept_and_said(log: Path) -> None:
    Path("provenance.db").write_text("my notes\n")
    result = run("replay")
    assert result.stderr.startswith("Note: ")
    said = " ".join(result.stderr.split())
    assert "was a text file: it was rebuilt from the log (" in said
    assert " events), and the old file kept as provenance.db.damaged-1." in said
    assert Path("provenance.db.damaged-1").read_text() == "my notes\n"


def test_json_says_what_was_built(log: Path, here: Path) -> None:
    (said,) = run_json("replay")
    assert said["database"] == str(here / "provenance.db")
    assert said["events"] == said["rows"]["audit_index"] == LocalLog(log).head().seq
    assert set(said["rows"]) == set(TABLES)


# ---------------------------------------------------------------- --check


def test_check_finds_nothing_in_honest_views_and_leaves_nothing_behind(log: Path, here: Path) -> None:
    before = sorted(here.iterdir())
    result = run("replay", "--check")
    assert result.stdout == ""
    assert result.stderr.startswith("provenance.db is what the log says: ")
    assert sorted(here.iterdir()) == before


def test_check_names_the_edited_row_and_ends_with_1(log: Path) -> None:
    edit("provenance.db", "UPDATE runs SET status = 'completed' WHERE id = 'steep_break_down'")
    edit("provenance.db", "DELETE FROM coupler WHERE key = 'raw'")
    result = run("replay", "--check", code=1)
    assert "runs: 1 row differs\n" in result.stdout
    assert "status is 'completed', the log says 'failed'" in result.stdout
    assert "coupler: 3 rows differ\n" in result.stdout
    assert "missing from the live views" in result.stdout
    assert "`consist-es replay` puts it right" in result.stderr
    differing = {said["table"]: said["differences"] for said in run_json("replay", "--check", code=1)}
    assert differing["runs"][0]["columns"] == {"status": {"live": "completed", "log": "failed"}}
    assert {row["only_in"] for row in differing["coupler"]} == {"log"}
    run("replay")
    run("replay", "--check")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("error_message = CAST(error_message AS BLOB)", "error_message is b'no zone"),
        ("phase = 'None'", "phase is 'None', the log says None"),
    ],
)
def test_check_tells_values_of_different_types_apart(log: Path, change: str, said: str) -> None:
    edit("provenance.db", f"UPDATE runs SET {change}")
    assert said in run("replay", "--check", code=1).stdout


def test_check_without_a_database_is_a_no(log: Path) -> None:
    Path("provenance.db").unlink()
    assert "`consist-es replay` builds it" in run("replay", "--check", code=1).stderr
    assert not Path("provenance.db").exists()


# ---------------------------------------------------------------- --until, --db


def test_until_a_position_the_database_is_what_it_was_then(log: Path) -> None:
    half = LocalLog(log).head().seq // 2
    run("replay", "--until", str(half), "--db", "then.db")
    with closing(sqlite3.connect("then.db")) as conn:
        assert conn.execute("SELECT max(seq), count(*) FROM audit_index").fetchall() == [(half, half)]
    run("replay", "--check")


def test_until_a_time_includes_the_event_of_that_time(log: Path) -> None:
    events = list(LocalLog(log).read())
    middle = events[len(events) // 2]
    run("replay", "--until", middle.at, "--db", "then.db")
    wanted = [event.seq for event in events if event.at <= middle.at]
    with closing(sqlite3.connect("then.db")) as conn:
        assert [seq for (seq,) in conn.execute("SELECT seq FROM audit_index ORDER BY seq")] == wanted


def test_without_until_the_other_database_holds_all(log: Path) -> None:
    run("replay", "--db", "copy.db")
    assert rows(Path("copy.db")) == rows(Path("provenance.db"))


def test_an_earlier_database_of_ours_is_replaced(log: Path) -> None:
    run("replay", "--until", "3", "--db", "then.db")
    run("replay", "--until", "5", "--db", "then.db")
    assert rows(Path("then.db"))["checkpoint"][0][1] == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--until", "5"], "--until needs --db FILE"),
        (["--check", "--db", "x.db"], "it takes neither --until nor --db"),
        (["--until", "9999", "--db", "x.db"], "--until 9999: the log ends at position "),
        (["--until", "noon", "--db", "x.db"], "neither a position nor a time like 2026-11-22T08:13:00Z"),
        (["--until", "2026-11-22T08:13:00", "--db", "x.db"], "has no time zone: append Z"),
        (["--db", "provenance.db"], "a database of that name is a live view"),
        (["--db", "provenance.sqlite"], "a database of that name is a live view"),
        (["--db", "notes.txt"], "there is a text file, not a consist-es database. It was left untouched"),
    ],
)
def test_what_cannot_be_replayed_is_refused(log: Path, options: list[str], said: str) -> None:
    Path("notes.txt").write_text("keep me\n")
    before = rows(Path("provenance.db"))
    result = run("replay", *options, code=2)
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert Path("notes.txt").read_text() == "keep me\n"
    assert rows(Path("provenance.db")) == before
    assert not Path("x.db").exists()
    assert not Path("provenance.sqlite").exists()


# ---------------------------------------------------------------- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("patience", "seen"), [(0.0, True), (1e9, False)])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_bar_shows_on_a_terminal_once_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, patience: float, seen: bool, stream: Callable[[], io.StringIO]
) -> None:
    written = stream()
    monkeypatch.setattr(bar, "PATIENCE", patience)
    monkeypatch.setattr(sys, "stderr", written)
    with bar.Bar("Replaying") as shown:
        shown(1, 2)
        shown(2, 2)
    assert ("Replaying" in written.getvalue()) == (seen and written.isatty())


def test_events_recorded_while_checking_are_no_difference(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from consist_es.events import MetaLogged
    from consist_es.views.projector import Projector

    compare, late = Projector.compare, [MetaLogged(values={"note": "late"})]

    def slow(self: Projector, other: Path) -> Any:
        while late:
            append(log, late.pop(), run="somebody")
        return compare(self, other)

    monkeypatch.setattr(Projector, "compare", slow)
    run("replay", "--check")
    assert not late
