"""Everything that is digested counts whole and in one way; what does not count of it is said."""

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, ConsistWarning, Tracker
from consist_es.adapters.folder import FolderAdapter
from consist_es.adapters.lbnl import IdentityHelp
from consist_es.artifacts.describe import Digester
from consist_es.events import ArtifactLogged
from tests.support.cli import run as command


@pytest.fixture
def tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracker]:
    monkeypatch.chdir(tmp_path)
    with Tracker(run_dir="runs", db_path="provenance.db", sync="os") as tracker:
        yield tracker


def step() -> Path:
    out = consist.output_path("out", ext="txt")
    out.write_text("x")
    return out


# ---------------------------------------------------------------- journals


@pytest.fixture
def database(tmp_path: Path, tracker: Tracker) -> Iterator[sqlite3.Connection]:
    """A database with a write-ahead log: what is committed is not in the file yet."""
    Path("conf").mkdir()
    with closing(sqlite3.connect("conf/rates.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE rates (rate REAL)")
        yield connection


GIVEN: dict[str, dict[str, Any]] = {
    "dependency": {"cache_options": CacheOptions(code_identity_extra_deps=["conf/rates.sqlite"])},
    "adapter": {"adapter": FolderAdapter("conf", include=["*.sqlite"])},
    "identity input": {"identity_inputs": ["conf/rates.sqlite"]},
    "input": {"inputs": {"rates": "conf/rates.sqlite"}},
}


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
@pytest.mark.parametrize("way", GIVEN)
def test_what_is_committed_to_a_database_counts_before_it_is_in_the_file(
    tracker: Tracker, database: sqlite3.Connection, way: str
) -> None:
    def run() -> bool:
        taken: dict[str, Any] = (
            {"execution_options": consist.ExecutionOptions(input_binding="none")} if way == "input" else {}
        )
        return tracker.run(step, outputs=["out"], **GIVEN[way], **taken).cache_hit

    assert (run(), run()) == (False, True)
    before = Path("conf/rates.sqlite").read_bytes()
    database.execute("INSERT INTO rates VALUES (2)")
    assert Path("conf/rates.sqlite").read_bytes() == before
    assert (run(), run()) == (False, True)


def test_helpers_of_adapters_give_the_digest_of_an_input(tracker: Tracker, database: sqlite3.Connection) -> None:
    path = Path("conf/rates.sqlite")
    assert IdentityHelp().digest_path(path) == Digester("full", None).digest(path).value


# ---------------------------------------------------------------- links


@pytest.fixture
def folder(tracker: Tracker) -> Path:
    folder = Path("data")
    folder.mkdir()
    (folder / "a.csv").write_text("1")
    (folder / "b.csv").symlink_to("gone.csv")
    return folder


def test_a_link_that_leads_nowhere_is_told_once_of_an_input(tracker: Tracker, folder: Path) -> None:
    given: dict[str, Any] = {"inputs": {"data": folder}, "outputs": ["out"]}
    given["execution_options"] = consist.ExecutionOptions(input_binding="none")
    with tracker.scenario("base") as scenario:
        with pytest.warns(ConsistWarning) as told:
            scenario.run(step, **given)
        said = [str(item.message) for item in told if "nowhere" in str(item.message)]
        assert len(said) == 1
        assert f"{folder.absolute() / 'b.csv'} leads nowhere (gone.csv is missing)" in said[0]
        assert "data" in said[0].partition(" holds links")[0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert scenario.run(step, **given).cache_hit
        events = [entry.event for entry in tracker.project.log.read()]
        assert [len(event.notes) for event in events if isinstance(event, ArtifactLogged) and event.notes] == [1]
    assert "b.csv leads nowhere" in " ".join(command("audit", "base").stdout.split())


def test_a_link_that_leads_nowhere_is_told_of_an_output(tracker: Tracker) -> None:
    def makes() -> Path:
        out = Path("made")
        out.mkdir()
        for number in range(12):
            (out / f"link{number:02}").symlink_to("gone")
        return out

    with pytest.warns(ConsistWarning, match=r"output 'made' holds links that lead nowhere.* and 2 more"):
        done = tracker.run(makes, outputs=["made"])
    assert done.output is not None
    logged = [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, ArtifactLogged)]
    assert len(logged[-1].notes) == 11
