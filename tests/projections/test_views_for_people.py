"""The SQL views that people query by themselves, and the foreign keys that link the tables for their tools."""

import sqlite3
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from consist_es.projections import run_table
from consist_es.reading.labels import outcome
from consist_es.reading.sums import sums
from tests.reading.model import Edit, Model

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    found = Model(tmp_path_factory.mktemp("model"))
    found.play("base")
    found.play("base")
    found.play("edited", Edit("demand", "config", "a"))
    yield found
    sys.modules.pop("model_steps", None)


def rows(model: Model, sql: str) -> list[dict[str, Any]]:
    """With the standard library alone, as any tool does."""
    model.tracker.project.connection()
    conn = sqlite3.connect(f"file:{model.folder / 'p.db'}?mode=ro", uri=True)
    conn.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in conn.execute(sql)]
    finally:
        conn.close()


def test_steps_says_what_the_library_says(model: Model) -> None:
    found = rows(model, "SELECT * FROM steps")
    runs = [row for row in run_table.find(model.conn, limit=None) if row.kind != "scenario"][::-1]
    assert [(row["run"], row["outcome"], row["year"]) for row in found] == [
        (row.id, outcome(row), row.year) for row in runs
    ]
    assert {row["scenario"] for row in found} == {"base", "base#2", "edited"}
    hit = next(row for row in found if row["outcome"] == "hit")
    assert hit["source"] == "base_land"
    by_step = rows(model, "SELECT step, total(saved_seconds) AS saved FROM steps GROUP BY step")
    saved = {row["step"]: row["saved"] for row in by_step}
    assert saved == pytest.approx({item.step: item.saved_seconds for item in sums(model.conn)})


def test_scenarios_counts_their_steps(model: Model) -> None:
    found = rows(model, "SELECT scenario, attempt, status, steps, hits, failed FROM scenarios")
    assert [tuple(row.values()) for row in found] == [
        ("base", 1, "completed", 15, 0, 0),
        ("base#2", 2, "completed", 15, 15, 0),
        ("edited", 1, "completed", 15, 2, 0),
    ]


def test_files_counts_every_step_that_used_a_file(model: Model) -> None:
    (found,) = rows(model, "SELECT * FROM files WHERE uri LIKE '%/land.csv'")
    assert (found["records"], found["used_by"], found["made_by"]) == (1, 9, None)


def test_tables_name_what_their_keys_refer_to(model: Model) -> None:
    linked = {
        (table["name"], key["from"]): key["table"]
        for table in rows(model, "SELECT name FROM sqlite_master WHERE type = 'table'")
        for key in rows(model, f"PRAGMA foreign_key_list('{table['name']}')")
    }
    assert linked["runs", "cache_source_key"] == "runs"
    assert linked["links", "artifact_id"] == "artifacts"
    assert linked["artifacts", "producer_key"] == "runs"
    assert rows(model, "PRAGMA foreign_key_check") == []
