"""A record as LBNL's consist 0.3.5 writes it: its tables and types, in a DuckDB file that the test makes itself."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

TABLES = """
CREATE TABLE run (id VARCHAR PRIMARY KEY, parent_run_id VARCHAR, status VARCHAR, model_name VARCHAR,
    description VARCHAR, year INTEGER, iteration INTEGER, stage VARCHAR, phase VARCHAR, tags JSON, config_hash VARCHAR,
    git_hash VARCHAR, input_hash VARCHAR, signature VARCHAR, meta JSON, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ);
CREATE TABLE artifact (id VARCHAR PRIMARY KEY, key VARCHAR, container_uri VARCHAR, table_path VARCHAR,
    array_path VARCHAR, driver VARCHAR, hash VARCHAR, content_id VARCHAR, parent_artifact_id VARCHAR, run_id VARCHAR,
    meta JSON, created_at TIMESTAMPTZ);
CREATE TABLE run_artifact_link (run_id VARCHAR, artifact_id VARCHAR, direction VARCHAR, is_implicit BOOLEAN);
CREATE TABLE config_facet (id VARCHAR PRIMARY KEY, namespace VARCHAR, schema_name VARCHAR, schema_version VARCHAR,
    json JSON, created_at TIMESTAMPTZ);
CREATE TABLE artifact_facet (id VARCHAR PRIMARY KEY, namespace VARCHAR, schema_name VARCHAR, schema_version VARCHAR,
    json JSON, created_at TIMESTAMPTZ);
CREATE TABLE artifact_schema_field (schema_id VARCHAR, ordinal_position INTEGER, name VARCHAR, logical_type VARCHAR);
CREATE TABLE artifact_schema_observation (id VARCHAR, artifact_id VARCHAR, schema_id VARCHAR, run_id VARCHAR,
    source VARCHAR, sample_rows INTEGER, observed_at TIMESTAMPTZ);
CREATE TABLE global_tables (n INTEGER);
INSERT INTO global_tables VALUES (1), (2);
"""
BEGAN = datetime(2025, 3, 1, 12, tzinfo=UTC)
RAW, TRIPS = "d9249416-1e60-42b7-9bc5-117c75c4ec7d", "286cce4e-7dda-4c8b-ae13-2bc037ace612"


class Store:
    """The file, and the folders that its runs wrote to."""

    def __init__(self, folder: Path, name: str = "old.duckdb") -> None:
        self.folder, self.path, self.runs = folder, folder / name, folder / "old_runs"
        self.runs.mkdir(exist_ok=True)
        self._minutes = 0
        self.do(TABLES)

    def do(self, sql: str, *values: Any) -> None:
        with duckdb.connect(str(self.path)) as conn:
            conn.execute(sql, values) if values else conn.execute(sql)

    def insert(self, table: str, **values: Any) -> None:
        names = ", ".join(values)
        marks = ", ".join("?" for _ in values)
        given = [json.dumps(value) if isinstance(value, dict | list) else value for value in values.values()]
        self.do(f"INSERT INTO {table} ({names}) VALUES ({marks})", *given)

    def run(self, run_id: str, **values: Any) -> None:
        """A run of 30 seconds, a minute after the one before."""
        self._minutes += 1
        at = BEGAN + timedelta(minutes=self._minutes)
        meta = {"_physical_run_dir": str(self.runs), "mounts": {"data": str(self.folder)}, **values.pop("meta", {})}
        times = {"started_at": at, "created_at": at, "ended_at": at + timedelta(seconds=30)}
        row = {"status": "completed", "model_name": "demand", "tags": [], "git_hash": "9c50", "signature": "sig"}
        self.insert("run", id=run_id, meta=meta, **{**row, **times, **values})

    def artifact(self, artifact_id: str, path: Path, uri: str, **values: Any) -> None:
        """A file whose bytes are there."""
        meta = {"hash_semantics": {"kind": "file", "digest_contract": "raw_file_bytes"}, **values.pop("meta", {})}
        row = {"key": path.stem, "driver": "csv", "hash": hashlib.sha256(path.read_bytes()).hexdigest()}
        self.insert("artifact", id=artifact_id, container_uri=uri, meta=meta, created_at=BEGAN, **{**row, **values})

    def link(self, run_id: str, artifact_id: str, direction: str) -> None:
        self.insert("run_artifact_link", run_id=run_id, artifact_id=artifact_id, direction=direction)


def small(folder: Path) -> Store:
    """A scenario of two steps with a file between them, a hit, a run that failed, one that runs, and all facts."""
    store = Store(folder)
    (folder / "raw.csv").write_text("zone,jobs\n1,100\n")
    (store.runs / "trips.csv").write_text("zone,trips\n1,7\n")
    store.insert(
        "config_facet", id="f1", namespace="demand", schema_version="2", json={"growth": 1.5, "by": {"car": 1}}
    )
    store.insert("artifact_facet", id="f2", namespace="demand", json={"unit": "km"})
    store.run("base", model_name="scenario", tags=["scenario_header"], description="the base")
    store.run("base_demand", parent_run_id="base", year=2030, tags=["t"], meta={"config_facet_id": "f1", "team": "x"})
    store.run("base_assign", parent_run_id="base", model_name="assign", year=2030, iteration=1)
    store.run("again", year=2030, meta={"cache_hit": True, "cache_source": "base_demand"})
    store.run("broken", status="failed", meta={"error": "no zone 7"})
    store.run("busy", status="running", ended_at=None)
    store.artifact(RAW, folder / "raw.csv", "data://raw.csv")
    store.artifact(
        TRIPS, store.runs / "trips.csv", "./trips.csv", run_id="base_demand", meta={"artifact_facet_id": "f2"}
    )
    for number, (name, kind) in enumerate((("zone", "BIGINT"), ("trips", "BIGINT"))):
        store.insert("artifact_schema_field", schema_id="s", ordinal_position=number, name=name, logical_type=kind)
    store.insert("artifact_schema_observation", id="o", artifact_id=TRIPS, schema_id="s", observed_at=BEGAN)
    for run_id, artifact, side in (
        ("base_demand", RAW, "input"), ("base_demand", TRIPS, "output"), ("base_assign", TRIPS, "input"),
        ("again", RAW, "input"), ("again", TRIPS, "output"),
    ):  # fmt: skip
        store.link(run_id, artifact, side)
    return store
