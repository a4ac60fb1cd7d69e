"""What answers for a step, asked of the views: a run whose outputs are not all there as recorded does not."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

import consist_es as consist
from consist_es import CacheOptions, RunResult, Tracker
from consist_es.artifacts.describe import Digester
from consist_es.artifacts.uris import UriMap
from consist_es.cache.lookup import Hit, Miss, Question, look_up
from consist_es.events import FingerprintInfo
from consist_es.projections import cache_index, near
from consist_es.projections.run_rows import run_row
from tests.support.api import made

FULL = Digester("full", None)


def step(n: int) -> Path:
    return made("o", f"{n}\n")


def two(n: int) -> list[Path]:
    return [made("a", f"{n}\n"), made("b", f"{n + 1}\n")]


def reading(n: int) -> Path:
    consist.log_input(Path("table.txt"), key="table")
    return made("o", f"{n}\n")


def run(tracker: Tracker, fn: Callable[..., Any] = step, outputs: Any = ("o",), n: int = 1) -> RunResult:
    return tracker.run(fn, name="step", model="m", outputs=list(outputs), config={"n": n})


@pytest.fixture
def conn(tracker: Tracker) -> Iterator[sqlite3.Connection]:
    run(tracker)
    with closing(sqlite3.connect("project.db", isolation_level=None)) as opened:
        yield opened


def info(conn: sqlite3.Connection, number: int = 0) -> FingerprintInfo:
    found = [run_row(row) for row in conn.execute("SELECT * FROM runs ORDER BY started_seq")]
    recorded = found[number].fingerprint_info
    assert recorded is not None
    return recorded


def asked(conn: sqlite3.Connection, fingerprint: FingerprintInfo, **more: Any) -> Hit | Miss:
    given = {"model": "m", "name": "step", "declared": ["o"], "strict": False, "config": {"n": 1}, "inputs": []}
    question = Question(fingerprint=fingerprint, **{**given, **more})
    return look_up(conn, question, UriMap(run_dir=os.path.abspath("runs")), FULL)


def other(fingerprint: FingerprintInfo) -> FingerprintInfo:
    return msgspec.structs.replace(fingerprint, digest="b3:other", config="b3:other")


def test_a_run_whose_outputs_hold_answers_with_them(conn: sqlite3.Connection) -> None:
    hit = asked(conn, info(conn))
    assert isinstance(hit, Hit)
    assert (list(hit.outputs), list(hit.all_outputs), hit.validation, hit.accepted) == (["o"], ["o"], "stat+digest", [])
    assert hit.outputs["o"].path.read_text() == "1\n"
    strict = asked(conn, info(conn), strict=True)
    assert isinstance(strict, Hit)
    assert strict.validation == "digest"


def test_a_step_without_identity_is_answered_by_nothing(conn: sqlite3.Connection) -> None:
    unknown = msgspec.structs.replace(info(conn), digest=None, unstable=["variable 'rng'"])
    assert asked(conn, unknown) == Miss("not_identifiable", differs=["variable 'rng'"])


def test_a_run_of_which_the_views_lack_an_output_does_not_answer(conn: sqlite3.Connection) -> None:
    fingerprint = info(conn)
    assert len([*cache_index.candidates(conn, fingerprint.digest or "")]) == 1
    conn.execute("DELETE FROM artifacts")
    assert [*cache_index.candidates(conn, fingerprint.digest or "")] == []
    miss = asked(conn, fingerprint)
    assert isinstance(miss, Miss)
    assert miss.reason == "prior_run_not_reusable"
    assert miss.differs == ["run 'step' is the same work, but one of its outputs is not recorded"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("running", "it has not ended: it still runs, or its process is gone"),
        ("failed", "it failed"),
        ("abandoned", "it was abandoned"),
        ("interrupted", "it was interrupted"),
    ],
)
def test_a_run_that_did_not_complete_is_named_as_the_same_work(
    conn: sqlite3.Connection, status: str, said: str
) -> None:
    fingerprint = info(conn)
    conn.execute("UPDATE runs SET status = ?", (status,))
    conn.execute("DELETE FROM cache_index")
    miss = asked(conn, fingerprint)
    assert isinstance(miss, Miss)
    assert (miss.reason, miss.differs) == (f"prior_run_{status}", [f"run 'step' is the same work, but {said}"])


def test_a_run_whose_identity_is_not_recorded_explains_nothing(conn: sqlite3.Connection) -> None:
    fingerprint = other(info(conn))
    miss = asked(conn, fingerprint, config={"n": 2})
    assert isinstance(miss, Miss)
    assert (miss.reason, miss.differs) == ("config_changed", ["config.n: 1 -> 2"])
    conn.execute("UPDATE runs SET fingerprint_info = NULL")
    miss = asked(conn, fingerprint)
    assert isinstance(miss, Miss)
    assert (miss.reason, miss.differs) == ("no_similar_prior_run", [])


def test_what_nobody_did_before_is_explained_by_nothing(conn: sqlite3.Connection) -> None:
    fingerprint = other(info(conn))
    assert asked(conn, fingerprint, model="x", name="x") == Miss("no_similar_prior_run")
    for same in ({"model": "x"}, {"name": "x"}):
        assert asked(conn, fingerprint, config={"n": 2}, **same) != Miss("no_similar_prior_run")


def test_an_output_that_was_not_made_then_is_missed(conn: sqlite3.Connection) -> None:
    miss = asked(conn, info(conn), declared=["o", "p"])
    assert isinstance(miss, Miss)
    assert (miss.reason, miss.differs) == (
        "outputs_incomplete",
        ["output 'p' is declared now and was not produced then"],
    )


def test_an_output_that_changed_or_is_gone_is_never_served(conn: sqlite3.Connection) -> None:
    hit = asked(conn, info(conn))
    assert isinstance(hit, Hit)
    path = hit.outputs["o"].path
    path.write_text("2\n")
    miss = asked(conn, info(conn))
    assert isinstance(miss, Miss)
    assert miss.reason == "candidate_outputs_invalid"
    assert miss.differs[0].startswith(f"output 'o' changed: {path} has digest b3:")
    path.unlink()
    miss = asked(conn, info(conn))
    assert isinstance(miss, Miss)
    assert miss.differs[0].startswith("output 'o' cannot be read: ")
    assert miss.details == {"outputs": {"o": miss.differs[0].removeprefix("output 'o' ")}}


def test_outputs_that_would_change_their_names_are_not_served(tracker: Tracker) -> None:
    run(tracker, two, ["a", "b"])
    assert run(tracker, two, ["a", "b"]).cache_hit
    swapped = run(tracker, two, ["b", "a"])
    assert not swapped.cache_hit
    explanation = swapped.run.meta["cache_miss_explanation"]
    assert explanation["reason"] == "outputs_renamed"
    assert explanation["differs"] == ["outputs were declared as a, b then and as b, a now"]


def test_a_file_that_the_step_logged_itself_must_be_as_it_was(tracker: Tracker) -> None:
    Path("table.txt").write_text("1")
    run(tracker, reading)
    assert run(tracker, reading).cache_hit
    Path("table.txt").write_text("2")
    again = run(tracker, reading)
    assert not again.cache_hit
    explanation = again.run.meta["cache_miss_explanation"]
    assert explanation["reason"] == "inputs_changed"
    assert explanation["differs"][0].startswith("input 'table', which the step logged itself, changed: ")


def test_what_a_step_read_of_its_scenario_must_be_as_it_was(conn: sqlite3.Connection) -> None:
    conn.execute("""UPDATE cache_index SET observed = '{"coupler x": "b3:1"}'""")
    assert isinstance(asked(conn, info(conn), around=lambda _name: "b3:1"), Hit)
    for around in (None, lambda _name: "b3:2"):
        miss = asked(conn, info(conn), around=around)
        assert isinstance(miss, Miss)
        assert miss.reason == "scenario_changed"
        assert miss.differs == ["coupler x, which the step read itself, has changed"]


def test_the_newest_run_that_holds_answers(tracker: Tracker, conn: sqlite3.Connection) -> None:
    hit = asked(conn, info(conn))
    assert isinstance(hit, Hit)
    hit.outputs["o"].path.write_text("changed")
    assert not run(tracker).cache_hit
    newest = asked(conn, info(conn))
    assert isinstance(newest, Hit)
    assert newest.source != hit.source
    newest.outputs["o"].path.write_text("changed too")
    hit.outputs["o"].path.write_text("1\n")
    older = asked(conn, info(conn))
    assert isinstance(older, Hit)
    assert older.source == hit.source


def test_an_older_run_answers_however_many_newer_ones_have_lost_their_files(
    tracker: Tracker, conn: sqlite3.Connection
) -> None:
    again = CacheOptions(cache_mode="overwrite")
    results = [
        tracker.run(step, name="step", model="m", config={"n": 1}, outputs=["o"], cache_options=again)
        for _ in range(14)
    ]
    for result, older in zip(results[:0:-1], results[-2::-1], strict=True):
        assert result.output is not None
        result.output.path.unlink()
        hit = asked(conn, info(conn))
        assert isinstance(hit, Hit)
        assert hit.source == older.run.key


def nearest(conn: sqlite3.Connection, fingerprint: FingerprintInfo, **more: Any) -> str | None:
    found = near.nearest(conn, **{"model": "m", "name": "step", "info": fingerprint, **more})
    return None if found is None else found.id


def test_the_run_that_differs_least_explains_a_miss(tracker: Tracker, conn: sqlite3.Connection) -> None:
    tracker.run(step, name="step", model="m", outputs=["o"], config={"n": 2}, year=2030, run_id="other_year")
    tracker.run(step, name="step", model="m", outputs=["o"], config={"n": 3}, run_id="third")
    tracker.run(step, name="elsewhere", model="m", outputs=["o"], config={"n": 4}, run_id="elsewhere")
    tracker.run(step, name="step", model="m", outputs=["o"], config={"n": 4}, year=2030, run_id="same_year")
    first = info(conn)
    asked_for = other(first)
    assert nearest(conn, asked_for) == "third"  # the newest of those that differ in the config alone
    assert nearest(conn, asked_for, differing=lambda row: int(row.id == "third")) == "step"
    labels = {**first.label_values, "year": 2030}
    assert nearest(conn, msgspec.structs.replace(asked_for, labels="b3:x", label_values=labels)) == "same_year"
    assert nearest(conn, asked_for, model="x", name="elsewhere") == "elsewhere"
    assert nearest(conn, asked_for, model="x", name="x") is None
