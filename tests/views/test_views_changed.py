"""Views that a user's SQL has changed: nothing of it is served or told on, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ConsistWarning, Tracker
from consist_es.cache.vouch import Disagreement, Voucher
from consist_es.events import AcceptanceRevoked, ChangeAccepted, Draft
from consist_es.projections import cache_index
from consist_es.views.compare import dump
from tests.support.views import TABLES

REBUILT = "They were rebuilt from the log"


def step(k: int) -> Path:
    out = consist.output_path("out", "txt")
    out.write_text(f"result {k}")
    return out


def reads_more(k: int) -> Path:
    consist.log_input(Path("late.txt").absolute(), key="late")
    out = consist.output_path("out", "txt")
    out.write_text(f"{k} {Path('beside.txt').read_text()}")
    return out


def edit(*sql: str, path: str = "p.db") -> None:
    """Somebody else changes the file."""
    with closing(sqlite3.connect(path)) as conn, conn:
        for each in sql:
            conn.execute(each)


def called(fn: Callable[..., Path] = step, k: int = 1, **kwargs: Any) -> tuple[bool, str]:
    """What a process of its own gets."""
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        result = tracker.run(fn, config={"k": k}, outputs=["out"], **kwargs)
        return result.cache_hit, result.outputs["out"].path.read_text()


def level(here: Path) -> None:
    """The views are, row for row, what a rebuild makes of the log."""
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        views = tracker.project.views
        views.rebuild(target=here / "again.db")
        assert views.compare(here / "again.db") == {}


@pytest.fixture
def history(here: Path) -> None:
    for name in ("late", "beside"):
        (here / f"{name}.txt").write_text(name)
    for k in (1, 2):
        assert called(k=k)[0] is called(reads_more, k=k)[0] is False


SWAP = """
UPDATE artifacts SET (uri, digest, size, mtime_ns) = (SELECT b.uri, b.digest, b.size, b.mtime_ns FROM artifacts b
WHERE b.key = artifacts.key AND b.artifact_id <> artifacts.artifact_id AND b.size = artifacts.size LIMIT 1)
WHERE key = 'out'
"""
EDITS = {
    "files swapped": SWAP,
    "another file": "UPDATE artifacts SET uri = './beside.txt' WHERE key = 'out'",
    "another key": "UPDATE artifacts SET key = 'other'",
    "a schema of a table": "UPDATE artifacts SET schema = '{}', rows = 7",
    "an answer to other work": """
        UPDATE cache_index SET fingerprint = (SELECT max(fingerprint) FROM cache_index c WHERE c.outputs NOT NULL)""",
    "fewer outputs": "UPDATE cache_index SET outputs = '[]'",
    "outputs of another run": "UPDATE cache_index SET outputs = (SELECT outputs FROM cache_index ORDER BY seq DESC)",
    "no reads": "UPDATE cache_index SET reads = NULL",
    "other reads": "UPDATE observed_reads SET reads = '[]'",
    "other packages": "UPDATE runs SET fingerprint_info = replace(fingerprint_info, 'packages', 'pack')",
    "other names of outputs": 'UPDATE runs SET declared = \'["b", "a"]\'',
    "no logged inputs": "UPDATE links SET via = 'inputs' WHERE via = 'logged'",
    "other logged inputs": "UPDATE links SET artifact_id = 'x' WHERE via = 'logged' AND direction = 'input'",
    "other places": "UPDATE audit_index SET offset = offset + 1",
    "places that are no numbers": "UPDATE audit_index SET offset = 'x', segment = -3",
    "places of others": "UPDATE audit_index SET offset = (SELECT min(offset) FROM audit_index)",
    "no JSON": "UPDATE cache_index SET outputs = 'x', effects = x'00'",
    "no JSON of a run": "UPDATE runs SET inputs = '{', fingerprint_info = 3",
    "no JSON of an artifact": "UPDATE artifacts SET meta = '[1]', schema = '{'",
    "runs deleted": "DELETE FROM runs",
    "one run deleted": "DELETE FROM runs WHERE rowid = 1",
    "the last run deleted": "DELETE FROM runs WHERE rowid = (SELECT max(rowid) FROM runs)",
    "artifacts deleted": "DELETE FROM artifacts",
    "a link deleted": "DELETE FROM links WHERE rowid = 2",
    "candidates deleted": "DELETE FROM cache_index",
    "places deleted": "DELETE FROM audit_index",
    "reads deleted": "DELETE FROM observed_reads",
    "a column dropped": "ALTER TABLE runs DROP COLUMN failed_step",
    "a column added": "ALTER TABLE runs ADD COLUMN mine TEXT",
    "a column renamed": "ALTER TABLE artifacts RENAME COLUMN digest TO hash",
    "a table dropped": "DROP TABLE links",
    "a table renamed": "ALTER TABLE cache_index RENAME TO old_index",
    "an index dropped": "DROP INDEX runs_by_id",
    "a view replaced": "DROP VIEW run_outputs",
}


@pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")
@pytest.mark.parametrize("meanwhile", [False, True], ids=["before", "meanwhile"])
@pytest.mark.parametrize("name", EDITS)
def test_whatever_is_changed_in_the_views_no_other_bytes_are_served(
    history: None, here: Path, name: str, meanwhile: bool
) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as held:
        if meanwhile:
            held.find_runs()
        edit(EDITS[name])
        tracker = held if meanwhile else Tracker(run_dir="runs", db_path="p.db")
        for k in (1, 2):
            assert tracker.run(step, config={"k": k}, outputs=["out"]).outputs["out"].path.read_text() == f"result {k}"
            beside = tracker.run(reads_more, config={"k": k}, outputs=["out"])
            assert beside.outputs["out"].path.read_text() == f"{k} beside"
        assert len(tracker.find_runs(limit=None)) == 8
        (here / "late.txt").write_text("changed")
        assert tracker.run(reads_more, config={"k": 1}, outputs=["out"]).cache_hit is False
        (here / "beside.txt").write_text("again")
        assert tracker.run(reads_more, config={"k": 2}, outputs=["out"]).outputs["out"].path.read_text() == "2 again"
        tracker.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("files swapped", "did not say what the log says"),
        ("one run deleted", r"did not have the rows that they should have \(runs: 3 of 4\)"),
        ("a column added", "had another schema than consist-es made"),
    ],
)
def test_that_views_were_changed_and_rebuilt_is_said_once(history: None, here: Path, name: str, said: str) -> None:
    edit(EDITS[name])
    with pytest.warns(ConsistWarning, match=f"{said}.*{REBUILT}") as told:
        assert called() == (True, "result 1")
    assert len(told) == 1
    level(here)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert called() == (True, "result 1")


def test_a_view_an_index_and_a_table_of_the_users_own_stay(history: None, here: Path) -> None:
    edit("CREATE VIEW mine AS SELECT id FROM runs", "CREATE INDEX my_index ON runs (phase)", "CREATE TABLE notes (t)")
    called()
    with closing(sqlite3.connect("p.db")) as conn:
        names = {name for (name,) in conn.execute("SELECT name FROM sqlite_master")}
    assert {"mine", "my_index", "notes"} <= names


def test_what_a_row_cannot_be_is_an_error_that_says_how_to_get_rid_of_it(history: None, here: Path) -> None:
    edit("UPDATE runs SET inputs = '{'")
    rebuilds = pytest.raises(consist.errors.ViewContentError, match="`consist-es replay` rebuilds the views")
    with Tracker(run_dir="runs", db_path="p.db") as tracker, rebuilds:
        tracker.find_runs()


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_where_the_log_cannot_be_read_back_there_is_no_hit_and_the_run_says_why(
    history: None, here: Path, how: str
) -> None:
    """As where an archived segment lies on a disk that is not there."""
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        log = tracker.project.log
        read = log.read_places

        def fails(places: Any) -> Any:
            if how == "gone":
                raise consist.errors.LogReadError(log.folder, FileNotFoundError(2, "gone", "00000001.jsonl"))
            raise consist.errors.LogCorruptError("00000001.jsonl", 7, "made up")

        log.read_places = fails  # type: ignore[method-assign]
        run = tracker.run(step, config={"k": 1}, outputs=["out"]).run
        assert run.meta["cache_miss_explanation"]["reason"] == "not_vouched"
        assert "the log cannot be read" in run.meta["cache_miss_explanation"]["differs"][0]
        log.read_places = read  # type: ignore[method-assign]
        assert tracker.run(step, config={"k": 1}, outputs=["out"]).cache_hit


def test_an_accepted_change_that_was_revoked_stays_so_whatever_the_views_say(here: Path) -> None:
    called(k=1)
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        project = tracker.project
        ((run, answers),) = project.connection().execute("SELECT run_key, fingerprint FROM cache_index").fetchall()
        change = ChangeAccepted(fingerprint="b3:new", as_fingerprint=answers, as_run=run, reason="r", user="u")
        project.record([Draft(change, run=run)])
        items = cache_index.acceptances(project.connection(), "b3:new")
        Voucher(project.log).accepted(project.connection(), items)
        project.record([Draft(AcceptanceRevoked(fingerprint="b3:new"), run=run)])
        assert cache_index.acceptances(project.connection(), "b3:new") == []
        edit("UPDATE acceptances SET revoked_seq = NULL")
        assert cache_index.acceptances(project.connection(), "b3:new") == items
        with pytest.raises(Disagreement, match="revoked"):
            Voucher(project.log).accepted(project.connection(), items)
        edit("UPDATE acceptances SET as_run_key = 'another'")
        with pytest.raises(Disagreement, match="of an accepted change"):
            Voucher(project.log).accepted(project.connection(), cache_index.acceptances(project.connection(), "b3:new"))


def test_counts_of_rows_are_right_after_every_kind_of_event(history: None, here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        with tracker.scenario("s") as sc:
            sc.run(step, config={"k": 1}, outputs=["out"])
        conn = tracker.project.connection()
        (text,) = conn.execute("SELECT rows FROM checkpoint").fetchone()
        for table, rows in json.loads(text).items():
            assert len(list(dump(conn, table))) == rows
    assert set(json.loads(text)) == {"runs", "artifacts", "links", "cache_index"} < set(TABLES)
