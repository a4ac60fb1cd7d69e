"""The questions for Datasette, asked of a real file; Datasette serves them in `tools/dev.py external datasette`."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consist_es import Tracker
from consist_es.exports.datasette import TABLES, documents
from consist_es.exports.datasette_queries import QUESTIONS
from tests.support.cli import run
from tests.support.exported import SCENARIOS

FILES = ("datasette-metadata.json", "datasette-1.0-config.json", "datasette-1.0-metadata.json")


@pytest.fixture(scope="module")
def conn(tracker: Tracker, record: Path) -> Iterator[sqlite3.Connection]:
    """The file as other programs open it."""
    tracker.project.connection()
    with closing(sqlite3.connect(f"file:{record / 'provenance.db'}?mode=ro", uri=True)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


def ask(conn: sqlite3.Connection, name: str, **given: str) -> list[Any]:
    """Rows of a question; what is not given is empty, as in Datasette."""
    sql = QUESTIONS[name].sql
    return conn.execute(sql, {**dict.fromkeys(re.findall(r":([a-z]+)\b", sql), ""), **given}).fetchall()


def test_there_are_questions_enough() -> None:
    assert len(QUESTIONS) == 18
    assert f"and {len(QUESTIONS)} questions" in " ".join(run("datasette-config", "--help").stdout.split())


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_has_an_answer_without_any_parameter(name: str, conn: sqlite3.Connection) -> None:
    assert ask(conn, name)


def test_the_answers_are_right(conn: sqlite3.Connection) -> None:
    assert {row["scenario"] for row in ask(conn, "scenarios_so_far")} == set(SCENARIOS)
    by_name = {row["scenario"]: row for row in ask(conn, "scenarios_so_far")}
    assert (by_name["failing"]["steps"], by_name["failing"]["hits"], by_name["failing"]["failed"]) == (3, 2, 1)
    assert [row["run"] for row in ask(conn, "failures")] == ["killed_die", "failing_break_down"]
    assert ("config", "note", 1) in [tuple(row)[:3] for row in ask(conn, "misses_by_difference")]
    assert {row["run"] for row in ask(conn, "computed_to_the_same_bytes")} == {"edited_report", "prepare"}
    assert [row["outcome"] for row in ask(conn, "steps_of_scenario", scenario="failing")] == ["hit", "hit", "failed"]
    assert ask(conn, "row_counts", key="grown")[0]["scenario"] == "baseline"
    assert {row["key"] for row in ask(conn, "external_inputs")} == {"zones"}


def test_two_scenarios_are_compared_step_by_step(conn: sqlite3.Connection) -> None:
    found = [(row["step"], row["same_work"], row["config_differs"]) for row in ask(conn, "compare_two", b="edited")]
    assert found == [("prepare", 1, 0), ("grow", 1, 0), ("report", 0, 1)]
    parting = {row["scenario"]: row["step"] for row in ask(conn, "first_divergence", base="baseline")}
    assert parting["edited"] == "report"
    assert parting["failing"] == "break_down"
    assert "baseline#2" not in parting


def test_lineage_goes_both_ways_and_takes_key_id_or_a_part_of_the_uri(conn: sqlite3.Connection) -> None:
    up = ask(conn, "lineage_up", file="report")
    assert [(row["steps_back"], row["key"]) for row in up] == [(0, "report"), (1, "grown"), (2, "people"), (3, "zones")]
    below = ask(conn, "lineage_down", file="zones.csv")
    assert {row["key"] for row in below} == {"zones", "people", "grown", "report"}
    (grown,) = conn.execute("SELECT artifact_id FROM artifacts WHERE key = 'grown' LIMIT 1").fetchone()
    assert [row["key"] for row in ask(conn, "lineage_up", file=grown)] == ["grown", "people", "zones"]
    assert ask(conn, "lineage_up", file="nothing like it") == []


def test_tables_columns_and_facets_exist(conn: sqlite3.Connection) -> None:
    there = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    told = documents("provenance", "title")[FILES[0]]["databases"]["provenance"]["tables"]
    assert set(told) == {name for name in there if not name.startswith("sqlite_")}
    for table, about in TABLES.items():
        columns = {row[1] for row in conn.execute(f"PRAGMA table_info({table})")}
        named = {*about.get("facets", ()), *about.get("units", ()), *about.get("columns", ())}
        named |= {about[name] for name in ("sort_desc", "label_column") if name in about}
        assert named <= columns, table


def test_the_files_are_written_once_for_each_version(record: Path, tmp_path: Path) -> None:
    project = ("--project", record, "-o", tmp_path / "new" / "folder")
    done = run("datasette-config", *project)
    old, config, metadata = (json.loads((tmp_path / "new" / "folder" / name).read_text()) for name in FILES)
    assert set(old["databases"]) == set(config["databases"]) == set(metadata["databases"]) == {"provenance"}
    assert old["databases"]["provenance"]["queries"] == config["databases"]["provenance"]["queries"]
    assert "units" not in json.dumps(config) + json.dumps(metadata)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["datasette", "datasette"]
    assert "it is there already" in run("datasette-config", *project, code=2).stderr
    run("datasette-config", *project, "--force")
