"""SQLite takes the index that a query was made for, and goes through no table that grows with the project."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from consist_es.projections import audit_index, cache_index, coupler_state, lineage, origins, run_beginnings, run_table
from tests.support.views import artifact, completed, fingerprint, step

INFO = fingerprint("f")
GROWING = {"runs", "run_tags", "run_facets", "artifacts", "links", "cache_index", "audit_index", "observed_reads"}

Fold = Callable[..., sqlite3.Connection]
Query = Callable[[sqlite3.Connection], Any]

QUERIES: dict[str, tuple[Query, set[str]]] = {
    "nearest": (
        lambda conn: cache_index.nearest(conn, model="m", name="n", info=INFO),
        {"runs_by_model", "runs_by_name"},
    ),
    "same work": (lambda conn: cache_index.same_work(conn, "f"), {"runs_by_fingerprint"}),
    "candidates": (lambda conn: list(cache_index.candidates(conn, "f")), {"cache_index_by_fingerprint"}),
    "run by key": (lambda conn: run_table.by_key(conn, "k"), {"sqlite_autoindex_runs_1"}),
    "run by id": (lambda conn: run_table.get(conn, "zones"), {"runs_by_attempt"}),
    "beginning": (lambda conn: run_beginnings.beginning(conn, "zones"), {"runs_by_attempt", "runs_by_status"}),
    "newest runs": (lambda conn: run_table.find(conn), {"runs_by_start"}),
    "runs of a model": (lambda conn: run_table.find(conn, model="m"), {"runs_by_model"}),
    "runs of a name": (lambda conn: run_table.find(conn, name="n"), {"runs_by_name"}),
    "failed runs": (lambda conn: run_table.find(conn, status="failed"), {"runs_by_status"}),
    "steps": (lambda conn: run_table.steps(conn, "s"), {"runs_by_scenario"}),
    "running": (lambda conn: run_table.running(conn), {"runs_by_status"}),
    "started since": (lambda conn: run_table.started_since(conn, 3), {"runs_by_start"}),
    "artifact": (lambda conn: lineage.artifact(conn, "a"), {"sqlite_autoindex_artifacts_1"}),
    "artifacts of a key": (lambda conn: lineage.find_artifacts(conn, key="a"), {"artifacts_by_key"}),
    "artifacts by content": (lambda conn: lineage.find_artifacts(conn, digest="a"), {"artifacts_by_digest"}),
    "artifacts of a run": (lambda conn: lineage.find_artifacts(conn, run="a"), {"sqlite_autoindex_artifacts_1"}),
    "events of a scenario": (lambda conn: audit_index.positions(conn, "s"), {"audit_index_by_scenario"}),
    "coupler": (lambda conn: coupler_state.state(conn, "s"), {"sqlite_autoindex_coupler_1"}),
    "writer": (lambda conn: origins.writer_details(conn, "w"), {"sqlite_autoindex_writers_1"}),
    "environment": (lambda conn: origins.environment(conn, "e"), {"sqlite_autoindex_environments_1"}),
}
BY_ROWID: dict[str, Query] = {
    "newest artifacts": lambda conn: lineage.find_artifacts(conn),
    "newest artifacts of a driver": lambda conn: lineage.find_artifacts(conn, driver="csv"),
}


def plans(conn: sqlite3.Connection, ask: Query) -> list[str]:
    """How SQLite carries out what a query function asks."""
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    ask(conn)
    conn.set_trace_callback(None)
    selects = [sql for sql in asked if sql.lstrip().upper().startswith("SELECT")]
    assert selects
    return [row[3] for sql in selects for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.fixture(params=["empty", "runs"])
def views(fold: Fold, request: pytest.FixtureRequest) -> sqlite3.Connection:
    if request.param == "empty":
        return fold()
    names = [(f"k{n}", f"step{n % 50}") for n in range(5_000)]
    return fold(*(draft for key, name in names for draft in (step(key, name), completed(key))))


def test_every_query_takes_its_index(views: sqlite3.Connection) -> None:
    for name, (ask, indexes) in QUERIES.items():
        plan = plans(views, ask)
        missing = {index for index in indexes if not any(index in line for line in plan)}
        assert not missing, (name, plan)
        scanned = [line for line in plan if line.startswith("SCAN") and line.split()[1] in GROWING]
        assert all(" USING INDEX " in line for line in scanned), (name, plan)


@pytest.mark.parametrize("name", BY_ROWID)
def test_the_newest_artifacts_are_taken_from_the_end_of_the_table(name: str, views: sqlite3.Connection) -> None:
    assert plans(views, BY_ROWID[name]) == ["SCAN a"]


def test_the_newest_artifacts_come_first_however_they_are_asked_for(fold: Fold) -> None:
    conn = fold(step("k", "zones"), *(artifact("k", f"id{9 - n}", f"a{n}") for n in range(3)), completed("k"))
    newest = [row.key for row in lineage.find_artifacts(conn)]
    assert newest == ["a2", "a1", "a0"]
    assert [row.key for row in lineage.find_artifacts(conn, limit=2)] == newest[:2]
