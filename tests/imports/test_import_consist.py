"""Records of LBNL's consist come along: whole, once, marked, and never as a hit."""

import json
import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

import consist_es as consist
from consist_es import Tracker, errors
from consist_es.cli import program
from consist_es.imports import importing, store
from consist_es.imports.importing import Imported, import_consist
from consist_es.project.project import Project
from consist_es.projections import cache_index, imported, run_table
from consist_es.projections.run_rows import RunRow
from tests.execution.test_recovery_kills import in_child
from tests.support.consist_store import RAW, TRIPS, Store, small


def bring(place: Path, name: str = "p.db") -> Imported:
    project = Project(place.parent / name)
    try:
        return import_consist(project, place)
    finally:
        project.close()


def row(folder: Path, run_id: str) -> RunRow:
    project = Project(folder / "p.db", read_only=True)
    try:
        found = run_table.get(project.connection(), run_id)
        assert found is not None
        return found
    finally:
        project.close()


def positions(folder: Path) -> int:
    project = Project(folder / "p.db", read_only=True)
    try:
        return project.log.head().seq
    finally:
        project.close()


def command(*arguments: str) -> Result:
    done = CliRunner().invoke(program, arguments)
    assert done.exit_code == 0, done.output
    return done


def test_every_fact_of_a_run_comes_along(here: Path) -> None:
    given = small(here)
    done = bring(given.path)
    assert (done.runs, done.artifacts, done.verified, done.there) == (6, 2, 2, 0)
    assert done.problems == []
    assert done.left_out == {"global_tables": 2}
    assert "the views are up to date with the log" in command("doctor", "--project", "p.db").output
    demand = row(here, "base_demand")
    assert (demand.name, demand.model, demand.year, demand.status, demand.seconds) == ("demand",) * 2 + (
        2030,
        "completed",
        30.0,
    )
    assert (demand.started_at, demand.ended_at) == ("2025-03-01T12:02:00.000000Z", "2025-03-01T12:02:30.000000Z")
    assert demand.facet == {"growth": 1.5, "by": {"car": 1}}
    assert demand.facet_schema_version == "2"
    assert demand.tags == ["t"]
    assert demand.meta["team"] == "x"
    assert demand.meta["imported"] == {"git_hash": "9c50", "signature": "sig", "status": "completed"}
    header = row(here, "base")
    assert (header.kind, header.description) == ("scenario", "the base")
    assert demand.parent_key == demand.scenario_key == header.key
    assert (row(here, "again").seconds, row(here, "again").meta["imported"]["cache_source"]) == (None, "base_demand")
    assert (row(here, "broken").status, row(here, "broken").error_message) == ("failed", "no zone 7")
    assert (row(here, "busy").status, row(here, "busy").ended_at) == ("abandoned", None)


def test_files_and_lineage_come_along_and_can_be_asked_for(here: Path) -> None:
    bring(small(here).path)
    with Tracker("runs", "p.db", mounts={"data": "."}) as tracker:
        trips = tracker.get_artifact(TRIPS)
        assert trips is not None
        assert trips.path == here / "old_runs" / "trips.csv"
        assert trips.facet == {"unit": "km"}
        assert trips.schema == {"zone": "BIGINT", "trips": "BIGINT"}
        assert list(tracker.load(trips)["trips"]) == [7]
        assert tracker.get_artifacts_for_run("base_assign").inputs.keys() == {"trips"}
        assert [run.id for run in tracker.find_runs(facet={"growth": 1.5})] == ["base_demand"]
        assert [run.id for run in tracker.find_runs(tags=["t"], metadata={"team": "x"})] == ["base_demand"]
    shown = command("lineage", "base_assign", "--project", "p.db").output
    assert "base_demand" in shown
    assert "data://raw.csv" in shown


def test_imported_runs_are_marked_wherever_runs_are_shown(here: Path) -> None:
    given = small(here)
    bring(given.path)
    assert {line["outcome"] for line in json.loads(command("runs", "--json", "--project", "p.db").output)} == {
        "imported", "failed", "abandoned",
    }  # fmt: skip
    assert "base_demand" in command("runs", "--outcome", "imported", "--columns", "run", "--project", "p.db").output
    assert "base_demand" not in command("runs", "--outcome", "computed", "--columns", "run", "--project", "p.db").output
    for asked in (["show", "base_demand"], ["show", "base"], ["why", "base_assign"], ["audit", "base"], ["scenarios"]):
        assert f"the record of consist in {given.path}" in command(*asked, "--project", "p.db").output
    assert f"as {TRIPS}" in command("show", "trips", "--project", "p.db").output
    why = json.loads(command("why", "base_demand", "--json", "--project", "p.db").output)
    assert (why["verdict"], why["reason"]) == ("imported", "imported")
    with closing(sqlite3.connect("p.db")) as views:
        assert dict(views.execute("SELECT run, outcome FROM steps"))["base_demand"] == "imported"
    command("report", "--project", "p.db", "--out", "r.html")
    assert '"imported"' in (here / "r.html").read_text()


def test_an_imported_run_is_never_a_hit(here: Path) -> None:
    """Not by the library, and not for a run with the same name, model, year, config and files."""
    bring(small(here).path)
    before = row(here, "base_demand")

    def demand(raw: Path) -> Path:
        path = consist.output_path("trips", ext="csv")
        path.write_text("zone,trips\n1,7\n")
        return path

    with Tracker("runs", "p.db", mounts={"data": "."}, project_root=".") as tracker:
        conn = tracker.project.connection()
        assert not conn.execute("SELECT 1 FROM cache_index").fetchall()
        assert before.fingerprint is None
        assert not before.reusable
        result = tracker.run(demand, model="demand", run_id="base_demand", year=2030, inputs={"raw": Path("raw.csv")})
        assert not result.cache_hit
        assert result.run.id == "base_demand#2"
        again = tracker.run(demand, model="demand", run_id="base_demand", year=2030, inputs={"raw": Path("raw.csv")})
        assert again.cache_hit
        assert list(cache_index.candidates(conn, str(result.run.meta)))[:1] == []


def test_new_runs_go_on_from_the_imported_files(here: Path) -> None:
    """A file that still has its bytes is the imported artifact, so lineage leads back into the imported history."""
    bring(small(here).path)

    def assign(trips: Path) -> Path:
        path = consist.output_path("links", ext="txt")
        path.write_text(trips.read_text())
        return path

    with Tracker("old_runs", "p.db", mounts={"data": "."}, project_root=".") as tracker:
        trips = tracker.get_artifact(TRIPS)
        assert trips is not None
        tracker.run(assign, inputs={"trips": trips}, run_id="mine")
        assert tracker.get_artifacts_for_run("mine").inputs["trips"].run_id == "base_demand"
    assert "data://raw.csv" in command("lineage", "mine", "--project", "p.db").output


def test_a_second_import_adds_nothing_and_a_grown_record_the_rest(here: Path) -> None:
    given = small(here)
    bring(given.path)
    head = positions(here)
    again = bring(given.path)
    assert (again.runs, again.artifacts, again.there, positions(here)) == (0, 0, 6, head)
    given.do("UPDATE run SET status = 'completed', ended_at = started_at + INTERVAL 5 SECOND WHERE id = 'busy'")
    given.run("new", year=2040)
    (here / "later.csv").write_text("x\n")
    later = str(uuid.uuid4())
    given.artifact(later, here / "later.csv", "data://later.csv")
    given.link("new", later, "input")
    grown = bring(given.path)
    assert (grown.runs, grown.artifacts, grown.there) == (2, 1, 5)
    assert (row(here, "busy").status, row(here, "busy").seconds, row(here, "busy").attempt) == ("completed", 5.0, 1)
    assert row(here, "busy").error_message is None
    assert command("replay", "--check", "--project", "p.db").exit_code == 0


def test_an_older_copy_does_not_take_an_end_away(here: Path) -> None:
    given = small(here)
    old = here / "copy.duckdb"
    old.write_bytes(given.path.read_bytes())
    given.do("UPDATE run SET status = 'completed' WHERE id = 'busy'")
    bring(given.path)
    assert bring(old).there == 6
    assert row(here, "busy").status == "completed"


def test_bytes_that_changed_or_are_gone_are_not_taken_for_those_recorded(here: Path) -> None:
    given = small(here)
    (here / "raw.csv").write_text("zone,jobs\n1,200\n")
    (given.runs / "trips.csv").unlink()
    done = bring(given.path)
    assert (done.artifacts, done.verified) == (2, 0)
    with Tracker("runs", "p.db", mounts={"data": "."}) as tracker:
        found = [tracker.get_artifact(name) for name in (RAW, TRIPS)]
        assert [item and item.hash for item in found] == [None, None]
        assert all(item and item.meta["imported"]["hash"] for item in found)


def odd(given: Store) -> None:
    """Rows as no version should have written them."""
    given.insert("run", id="bare")
    given.insert("run", id="odd", status="weird", model_name="m", meta="[1]", tags='"t"', year=1, started_at=None)
    given.insert("run", id="name\u202e\x1b[31m / é 'x'", status="completed", model_name="", parent_run_id="no such run")
    given.insert("run", id="me", parent_run_id="you", status="completed", model_name="m")
    given.insert("run", id="you", parent_run_id="me", status="completed", model_name="m")
    given.insert("run", id="deep", status="completed", model_name="m", meta='{"a":' * 150 + "1" + "}" * 150)
    given.insert("artifact", id="no uuid", key="../x", container_uri="data://b%ff\x01.csv", driver="csv", meta="null")
    given.insert("artifact", id="alone", container_uri="s3://bucket/x", hash="0" * 64, run_id="gone")
    given.insert("artifact", id="child", key="child", container_uri="./a.h5", parent_artifact_id="alone", driver="h5")
    given.insert("artifact", id="", key="x")
    for artifact in ("no uuid", "child"):
        given.link("odd", artifact, "input")
        given.link("odd", artifact, "output")
    given.link("odd", "missing", "input")
    given.link("missing", RAW, "input")
    given.link("odd", RAW, "sideways")


def test_odd_rows_are_imported_or_said_one_by_one(here: Path) -> None:
    given = small(here)
    odd(given)
    done = bring(given.path)
    assert (done.runs, done.artifacts) == (12, 5)
    said = "\n".join(done.problems)
    for part in (
        "1 row of table artifact without id: not imported",
        "the link of run 'odd' to artifact missing is not imported: that artifact is not in the record",
        "the link of run 'missing' to artifact",
        "its direction is 'sideways'",
        "run odd has the status 'weird', which is not known: imported as abandoned",
        "run bare has the status None",
        "run bare has no time: it is imported as of 1970",
        "run deep: its metadata is not imported",
        "artifact alone: run 'gone' made it, which is not in the record",
    ):
        assert part in said
    assert row(here, "odd").error_message == "its status was 'weird'"
    assert row(here, "odd").meta["value"] == [1]
    assert row(here, "odd").tags == ["t"]
    assert row(here, "you").parent_key or row(here, "me").parent_key
    shown = command("runs", "--project", "p.db").output
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert bring(given.path).runs == 0
    assert command("replay", "--check", "--project", "p.db").exit_code == 0
    command("artifacts", "--project", "p.db")


def test_columns_that_are_missing_and_others_that_are_more_stop_nothing(here: Path) -> None:
    with duckdb.connect("old.duckdb") as conn:
        conn.execute("CREATE TABLE run (id VARCHAR, status VARCHAR, started_at TIMESTAMP, new_column UUID)")
        conn.execute("INSERT INTO run VALUES ('a', 'completed', '2024-05-01 10:00:00', uuid())")
        conn.execute("CREATE TABLE run_artifact_link (run_id VARCHAR)")
    done = bring(here / "old.duckdb")
    assert done.runs == 1
    assert done.problems == ["old.duckdb: table run_artifact_link has no column artifact_id: not imported"]
    assert row(here, "a").started_at == "2024-05-01T10:00:00.000000Z"  # a time without a zone is UTC


def snapshot(given: Store, run_id: str, **values: Any) -> Path:
    folder = given.runs / "consist_runs"
    folder.mkdir(exist_ok=True)
    path = folder / f"{run_id}.json"
    path.write_text(json.dumps(values))
    return path


def test_configs_come_from_the_snapshots_of_the_run_directory(here: Path) -> None:
    given = small(here)
    snapshot(given, "base_demand", run={"id": "base_demand"}, config={"growth": 1.5, "api_key": "s3cr3tkey"})
    bring(given.path)
    demand = row(here, "base_demand")
    assert demand.config["growth"] == 1.5
    assert "s3cr3tkey" not in json.dumps(demand.config)
    # with the hashes of the other program the secret could be guessed
    assert demand.meta["imported"].keys() == {"status"}
    for path in sorted((here / "p.events").rglob("*")):
        assert path.is_dir() or b"s3cr3tkey" not in path.read_bytes()


def test_a_database_brings_no_runs_of_others_in_its_run_directory(here: Path) -> None:
    given = small(here)
    snapshot(given, "stranger", run={"id": "stranger", "status": "completed"})
    snapshot(given, "broken", run={"id": "broken", "started_at": "2020-01-01T00:00:00Z"}, config={"n": 1})
    done = bring(given.path)
    assert done.runs == 6
    assert done.problems == ["the snapshot of run 'broken' is of another run with that id: not imported"]
    assert row(here, "broken").config is None


def test_a_run_directory_needs_no_database(here: Path) -> None:
    given = small(here)
    given.path.unlink()
    times = {"started_at": "2025-03-01T12:00:00Z", "ended_at": "2025-03-01T12:01:00.5Z"}
    artifact = {"id": TRIPS, "key": "trips", "container_uri": "./trips.csv", "driver": "csv", "run_id": "a"}
    run = {"id": "a", "status": "completed", "model_name": "demand", "tags": ["t"], "meta": {}, **times}
    snapshot(given, "a", run=run, config={"n": 1}, outputs=[artifact, {"key": "no id"}], facet={"f": 2})
    (given.runs / "consist_runs" / "broken.json").write_text("{")
    (given.runs / "consist_runs" / "other.json").write_text("[]")
    done = bring(given.runs)
    assert (done.runs, done.artifacts, len(done.problems)) == (1, 1, 3)
    project = Project(given.runs.parent / "p.db", read_only=True)
    found = run_table.get(project.connection(), "a")
    project.close()
    assert found is not None
    assert (found.config, found.facet, found.seconds) == ({"n": 1}, {"f": 2}, 60.5)
    with Tracker("runs", "p.db") as tracker:
        assert tracker.get_artifacts_for_run("a").outputs["trips"].path == given.runs / "trips.csv"


def test_names_that_are_not_utf8_and_databases_of_others_stop_nothing(here: Path) -> None:
    given = small(here)
    odd = Path(os.fsdecode(b"odd\xff")).absolute()
    given.runs.rename(odd)
    (odd / "provenance.db").write_bytes(b"SQLite format 3\0" + b"x" * 100)
    (odd / "folder.duckdb").mkdir()
    (odd / "consist_runs").mkdir()
    run = {"id": "a", "status": "completed"}
    (odd / "consist_runs" / "a.json").write_text(json.dumps({"run": run}))
    (odd / "consist_runs" / "b.json").write_bytes(b"\xff{")
    project = Project(here / "p.db")
    done = import_consist(project, odd)
    project.close()
    assert (done.runs, len(done.problems)) == (1, 2)  # no time, and a snapshot that is none
    assert "odd" in command("why", "a", "--project", "p.db").output
    named = Path(os.fsdecode(b"old\xff.duckdb")).absolute()
    given.path.rename(named)
    with pytest.raises(errors.ImportStoreError, match="not UTF-8: rename it"):
        bring(named)


def test_a_run_directory_that_was_moved_finds_its_files(here: Path) -> None:
    given = small(here)
    moved = here / "elsewhere"
    given.runs.rename(moved)
    given.path.rename(moved / "old.duckdb")
    project = Project(here / "p.db")
    done = import_consist(project, moved)
    project.close()
    assert done.verified == 2


def test_what_is_no_record_gives_one_clear_error_and_records_nothing(here: Path) -> None:
    (here / "text.duckdb").write_text("no database at all, but long enough to be one" * 100)
    with duckdb.connect("other.duckdb") as conn:
        conn.execute("CREATE TABLE t (n INTEGER)")
    with duckdb.connect("empty.duckdb") as conn:
        conn.execute("CREATE TABLE run (id VARCHAR)")
    (here / "nothing").mkdir()
    for name, part in {
        "missing.duckdb": "it is not there",
        "text.duckdb": "DuckDB cannot read it",
        "other.duckdb": "it has no table 'run'",
        "empty.duckdb": "there is no run of consist in it",
        "nothing": "there is no run of consist in it",
    }.items():
        with pytest.raises(errors.ImportStoreError, match=part) as caught:
            bring(here / name)
        assert "Give a DuckDB file of consist, or a run directory. Nothing was recorded." in str(caught.value)
    assert not (here / "p.events").exists()
    refused = CliRunner().invoke(program, ["import", "consist", "missing.duckdb", "--project", "p.db"])
    assert refused.exit_code == 2
    assert "it is not there" in refused.output


def test_a_record_that_is_open_elsewhere_says_so(here: Path) -> None:
    given = small(here)
    script = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    import subprocess
    import sys

    with subprocess.Popen(
        [sys.executable, "-c", script, str(given.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(errors.ImportStoreError, match="Close the program that has it open"):
            bring(given.path)
        holder.communicate("")
    assert bring(given.path).runs == 6


def test_without_duckdb_the_extra_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = small(here)
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(errors.MissingExtraError, match=r"consist-es\[duckdb\]"):
        bring(given.path)


def test_views_in_the_file_read_no_other_file(here: Path) -> None:
    given = small(here)
    (here / "private.csv").write_text("id,status\nstolen,completed\n")
    given.do("ALTER TABLE run RENAME TO run_of_old")
    given.do("CREATE VIEW run AS SELECT * FROM read_csv('private.csv')")
    with pytest.raises(errors.ImportStoreError, match="it has no table 'run'"):
        bring(given.path)


def test_a_run_too_large_for_the_log_is_said_and_all_others_come(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = small(here)
    real = Project.record

    def record(self: Project, drafts: Any, **options: Any) -> int:
        if any(getattr(draft.event, "run_id", "") == "base_assign" for draft in drafts):
            raise errors.LimitError("An event", 10, 5)
        return real(self, drafts, **options)

    monkeypatch.setattr(Project, "record", record)
    done = bring(given.path)
    assert done.runs == 5
    assert [text for text in done.problems if "run 'base_assign' is not imported" in text]
    monkeypatch.undo()
    assert bring(given.path).runs == 1


def test_a_redacted_run_does_not_come_back(here: Path) -> None:
    given = small(here)
    bring(given.path)
    project = Project(here / "p.db")
    where = row(here, "base_demand").started_seq
    project.redact([where], "private")
    assert imported.contents(project.connection())[row(here, "base_demand").key].content == ""
    project.close()
    assert bring(given.path).runs == 0
    assert row(here, "base_demand").config is None
    assert row(here, "base_demand").name == "(redacted)"
    command("runs", "--project", "p.db")
    assert "a place that was redacted" in command("why", "base_demand", "--project", "p.db").output
    assert command("replay", "--check", "--project", "p.db").exit_code == 0


def test_two_imports_at_once_bring_everything_once(here: Path) -> None:
    import subprocess
    import sys

    given = small(here)
    arguments = [
        sys.executable,
        "-m",
        "consist_es",
        "import",
        "consist",
        str(given.path),
        "--project",
        "p.db",
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(consist.__file__).parents[1])}
    both = [subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)]
    written = [process.communicate()[0] for process in both]
    told = [json.loads(text) for text in written]
    assert sorted(done["runs"] for done in told) == [0, 6]
    assert sorted(done["there"] for done in told) == [0, 6]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_killed_at_any_write_an_import_goes_on_where_it_ended(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_BATCH", 1)
    given = small(here)
    whole = store.read_store(given.path)
    monkeypatch.setattr(importing, "read_store", lambda place: store.Store(place, whole.tables))

    def work(folder: Path) -> None:
        bring(given.path, f"{folder.name}.db")

    status, writes = in_child(work, _folder(here, "counted"), 0)
    assert status == 0
    assert writes > 12
    partial = set()
    for kill_at in range(1, writes + 1, 3):
        folder = _folder(here, f"k{kill_at}")
        assert in_child(work, folder, kill_at)[0] != 0
        done = bring(given.path, f"{folder.name}.db")
        assert done.runs + done.there == 6
        partial.add(done.there)
        project = Project(here / f"{folder.name}.db", read_only=True)
        rows = project.connection().execute("SELECT id, attempt FROM runs ORDER BY id").fetchall()
        files = project.connection().execute("SELECT count(*) FROM artifacts").fetchone()[0]
        links = project.connection().execute("SELECT count(*) FROM links").fetchone()[0]
        project.close()
        assert [name for name, _ in rows] == ["again", "base", "base_assign", "base_demand", "broken", "busy"]
        assert (files, links) == (2, 5)
    assert len(partial) > 2


def _folder(here: Path, name: str) -> Path:
    folder = here / name
    folder.mkdir()
    return folder
