"""The run table and the audit index: what becomes of runs, and how they are found."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es.errors import ConfigTypeError, OptionError
from consist_es.events import (
    CacheHit,
    CacheMissed,
    Draft,
    EnvironmentRecorded,
    ErrorInfo,
    HitDemoted,
    InputLink,
    MetaLogged,
    ScenarioExited,
    StepAbandoned,
    StepFailed,
    WriterAttached,
)
from consist_es.projections import audit_index, origins, run_table
from consist_es.projections.run_rows import RunRow
from tests.support.views import NoteTaken, artifact, completed, make_log, make_views, rows, scenario, step, within

Fold = Callable[..., sqlite3.Connection]


def run(conn: sqlite3.Connection, ref: str) -> RunRow:
    """The run that must be there."""
    found = run_table.get(conn, ref)
    assert found is not None, ref
    return found


def ids(found: list[RunRow]) -> list[str]:
    """Their readable ids."""
    return [row.id for row in found]


# ---------------------------------------------------------------- attempts and references


def test_a_run_id_used_again_is_a_new_attempt(fold: Fold) -> None:
    conn = fold(step("k1", "zones"), step("k2", "trips"), step("k3", "zones"))
    assert [(row.id, row.attempt) for row in run_table.find(conn)] == [("zones#2", 2), ("trips", 1), ("zones", 1)]


def test_a_run_is_found_by_run_id_attempt_or_key(fold: Fold) -> None:
    conn = fold(step("k1", "zones"), step("k2", "zones"))
    found = {ref: run(conn, ref).key for ref in ("zones", "zones#1", "zones#2", "k1", "k2")}
    assert found == {"zones": "k2", "zones#1": "k1", "zones#2": "k2", "k1": "k1", "k2": "k2"}
    for ref in ("zones#3", "zones#0", "zones#", "#1", "", "zones#²", "zones#99999999999999999999"):
        assert run_table.get(conn, ref) is None


def test_a_run_id_with_a_number_sign_collides_with_no_attempt(fold: Fold) -> None:
    conn = fold(step("k1", "a"), step("k2", "a#2"), step("k3", "a"), step("k4", "a#2"), step("k5", "a#2#1"))
    assert ids(run_table.find(conn))[::-1] == ["a", "a#2#1", "a#2", "a#2#2", "a#2#1#1"]
    assert rows(conn, "SELECT * FROM dead_letter") == []
    found = {ref: run(conn, ref).key for ref in ("a#1", "a#2#1", "a#2", "a#2#2", "a#2#1#1")}
    assert list(found.values()) == ["k1", "k2", "k3", "k4", "k5"]


def test_the_same_key_twice_is_a_dead_letter_and_keeps_the_first(fold: Fold) -> None:
    conn = fold(step("k", "first"), step("k", "second"))
    assert run(conn, "k").run_id == "first"
    assert [row[1:3] for row in rows(conn, "SELECT * FROM dead_letter")] == [("run_table", "step_started")]


# ---------------------------------------------------------------- what a row says


def test_a_step_row_says_what_the_step_was_given(fold: Fold) -> None:
    bound = InputLink(role="land", artifact="a0", key="land_use", digest="d")
    config = {"growth": 1.5, "none": None, "deep": [1, {"x": "ü"}], "big": 2**64 - 1}
    draft = step("k", "zones", config=config, facet={"y": 1}, inputs=[bound], tags=["b", "a", "b"], declared=["out"])
    row = run(fold(within("S", draft)), "zones")
    assert row.config == config
    assert row.inputs == [bound]
    assert (row.tags, row.declared, row.facet) == (["b", "a", "b"], ["out"], {"y": 1})
    assert (row.scenario_key, row.kind, row.status, row.reusable) == ("S", "run", "running", False)
    assert (row.fingerprint, row.code_digest, row.config_digest) == ("fp", "c", "g")
    assert row.fingerprint_info is not None
    assert row.fingerprint_info.inputs == "i"
    assert row.ended_at is None


def test_a_completed_step_has_its_end(fold: Fold) -> None:
    fold(step("k"))
    row = run(fold(completed("k", missing=["x"], reusable=False, reason="a declared output is missing")), "k")
    assert (row.status, row.seconds, row.missing, row.reusable) == ("completed", 1.0, ["x"], False)
    assert row.not_reusable_reason == "a declared output is missing"
    assert row.ended_at is not None
    assert row.ended_at >= row.started_at


def test_a_failed_step_has_its_error(fold: Fold) -> None:
    error = ErrorInfo(type="ValueError", message="no", traceback="Traceback")
    row = run(fold(step("k"), Draft(StepFailed(status="interrupted", seconds=2.0, error=error), run="k")), "k")
    assert (row.status, row.error_type, row.error_message, row.error_traceback) == (
        "interrupted",
        "ValueError",
        "no",
        "Traceback",
    )


def test_a_failed_scenario_names_its_step_and_what_is_missing(fold: Fold) -> None:
    end = ScenarioExited(status="failed", seconds=3.0, failed_step="assign", missing_outputs=["x", "y"])
    row = run(fold(scenario("S"), Draft(end, scenario="S", run="S")), "S")
    assert (row.status, row.failed_step, row.missing_outputs, row.kind) == ("failed", "assign", ["x", "y"], "scenario")
    assert row.scenario_key == "S"


def test_an_abandoned_run_that_ended_after_all_keeps_its_end(fold: Fold) -> None:
    gone = Draft(StepAbandoned(reason="gone"), run="k")
    row = run(fold(step("k"), gone), "k")
    assert (row.status, row.error_message, row.ended_at) == ("abandoned", "gone", None)
    row = run(fold(completed("k"), gone), "k")
    assert (row.status, row.error_message) == ("completed", None)


def test_a_look_up_leaves_its_outcome_in_the_row(fold: Fold) -> None:
    missed = CacheMissed(reason="config_changed", nearest="old", differs=["config.x: 1 -> 2"], details={"n": 1})
    conn = fold(
        step("m"),
        Draft(missed, run="m"),
        step("h"),
        Draft(CacheHit(source="m", validation="stat"), run="h"),
        step("d"),
        Draft(CacheHit(source="m", validation="stat"), run="d"),
        Draft(HitDemoted(key="x", reason="made x"), run="d"),
        step("n"),
    )
    found = [run(conn, key) for key in "mhdn"]
    assert [row.cache for row in found] == ["missed", "hit", "demoted", None]
    assert [row.cache_source_key for row in found] == ["old", "m", "m", None]
    assert found[0].cache_differs == ["config.x: 1 -> 2"]
    assert [row.cache_details for row in found] == [
        {"n": 1},
        {"validation": "stat"},
        {"validation": "stat", "demoted_by": "x"},
        {},
    ]
    assert found[2].cache_reason == "made x"


def test_metadata_is_merged_key_by_key_and_later_values_win(fold: Fold) -> None:
    fold(step("k", meta={"a": 1, "b": {"deep": 1}, "c": 0.1}))
    row = run(fold(Draft(MetaLogged(values={"b": {"other": 2}, "d": None, 'q"': "ü"}), run="k")), "k")
    assert row.meta == {"a": 1, "b": {"other": 2}, "c": 0.1, "d": None, 'q"': "ü"}


def test_logged_stage_and_phase_set_the_columns(fold: Fold) -> None:
    fold(step("k", stage="old", phase="p"))
    row = run(fold(Draft(MetaLogged(values={"stage": "new", "phase": 3}), run="k")), "k")
    assert (row.stage, row.phase, row.meta) == ("new", "p", {"stage": "new", "phase": 3})


# ---------------------------------------------------------------- find


@pytest.fixture
def many(fold: Fold) -> sqlite3.Connection:
    """A few runs that differ in one thing each."""
    return fold(
        scenario("S", "base", tags=["x"]),
        within(
            "S", step("a", parent="S", tags=["x", "y"], year=2030, model="demand", facet={"n": 1, "s.t": {"u": "v"}})
        ),
        within("S", step("b", parent="a", tags=["x"], year=2040, iteration=1, stage="s", meta={"m": 1, "l": [1, 2]})),
        scenario("T", "base"),
        within("T", step("c", parent="T", phase="p", kind="trace", facet={"n": 1.0, "on": True, "list": [1]})),
        step("d", name="other", facet={"n": 2, "none": None, "$x": "y"}, meta={"m": None, "t": True, "s": "1"}),
        completed("a"),
    )


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["d", "c", "base#2", "b", "a", "base"]),
        ({"limit": 2}, ["d", "c"]),
        ({"limit": None, "kind": "scenario"}, ["base#2", "base"]),
        ({"tags": ["x"]}, ["b", "a", "base"]),
        ({"tags": ["x", "y"]}, ["a"]),
        ({"year": 2030}, ["a"]),
        ({"iteration": 1}, ["b"]),
        ({"stage": "s"}, ["b"]),
        ({"phase": "p"}, ["c"]),
        ({"model": "demand"}, ["a"]),
        ({"status": "completed"}, ["a"]),
        ({"name": "other"}, ["d"]),
        ({"kind": "trace"}, ["c"]),
        ({"parent": "a"}, ["b"]),
        ({"parent": "base#1"}, ["a"]),
        ({"parent": "nobody"}, []),
        ({"scenario": "base"}, ["c"]),
        ({"scenario": "base#1"}, ["b", "a"]),
        ({"scenario": "nobody"}, []),
        ({"year": None, "tags": None}, ["d", "c", "base#2", "b", "a", "base"]),
        ({"facet": {"n": 1}}, ["c", "a"]),
        ({"facet": {"n": 1.0}}, ["c", "a"]),
        ({"facet": {"n": True}}, []),
        ({"facet": {"on": True}}, ["c"]),
        ({"facet": {"on": 1}}, []),
        ({"facet": {"s\\.t.u": "v"}}, ["a"]),
        ({"facet": {"s.t.u": "v"}}, []),
        ({"facet": {"none": None}}, ["d"]),
        ({"facet": {"list": [1]}}, ["c"]),
        ({"facet": {"n": 1, "on": True}}, ["c"]),
        ({"metadata": {"m": 1}}, ["b"]),
        ({"metadata": {"m": 1.0}}, ["b"]),
        ({"metadata": {"m": None}}, ["d"]),
        ({"metadata": {"t": True}}, ["d"]),
        ({"metadata": {"t": 1}}, []),
        ({"metadata": {"s": 1}}, []),
        ({"metadata": {"s": "1"}}, ["d"]),
        ({"metadata": {"l": [1, 2]}}, ["b"]),
    ],
)
def test_find_gives_the_runs_that_meet_all_conditions(
    many: sqlite3.Connection, filters: dict[str, Any], expected: list[str]
) -> None:
    assert ids(run_table.find(many, **filters)) == expected


def test_find_refuses_a_filter_that_does_not_exist(many: sqlite3.Connection) -> None:
    with pytest.raises(OptionError, match=r"filter='yaer' is not allowed: use one of .*'year'"):
        run_table.find(many, yaer=2030)


def test_find_refuses_a_value_that_cannot_have_been_recorded(many: sqlite3.Connection) -> None:
    with pytest.raises(ConfigTypeError, match="facet"):
        run_table.find(many, facet={"n": print})


def test_values_are_never_taken_for_sql(many: sqlite3.Connection) -> None:
    evil = "' OR 1=1; DROP TABLE runs; --"
    for filters in (
        {"name": evil},
        {"tags": [evil]},
        {"facet": {evil: evil}},
        {"metadata": {evil: evil}},
        {"parent": evil},
    ):
        assert run_table.find(many, **filters) == []
    assert len(run_table.find(many)) == 6


def test_facets_become_typed_rows_by_dotted_key(fold: Fold) -> None:
    facet = {
        "a": {"b": 1, "c.d": 2.5},
        "t": True,
        "n": None,
        "l": [1],
        "e": {},
        "big": 2**64 - 1,
        "f": {"$float": "nan"},
    }
    conn = fold(step("k", facet=facet))
    assert rows(
        conn, "SELECT key, value_type, value_str, value_int, value_float, value_bool, value_json FROM run_facets"
    ) == [
        ("a.b", "int", None, 1, None, None, None),
        ("a.c\\.d", "float", None, None, 2.5, None, None),
        ("t", "bool", None, None, None, 1, None),
        ("n", "null", None, None, None, None, None),
        ("l", "json", None, None, None, None, "[1]"),
        ("e", "json", None, None, None, None, "{}"),
        ("big", "json", None, None, None, None, "18446744073709551615"),
        ("f", "json", None, None, None, None, '{"$float":"nan"}'),
    ]


def test_a_facet_with_too_many_leaves_is_kept_but_not_indexed(fold: Fold) -> None:
    conn = fold(step("k", facet={str(n): n for n in range(501)}), step("l", facet={str(n): n for n in range(500)}))
    assert rows(conn, "SELECT run_key, count(*) FROM run_facets GROUP BY 1") == [("l", 500)]
    assert len(run(conn, "k").facet) == 501


# ---------------------------------------------------------------- scenarios and the rest


def test_a_scenario_counts_its_steps(fold: Fold) -> None:
    error = ErrorInfo(type="E", message="m")
    conn = fold(
        scenario("S"),
        *(
            within("S", draft)
            for draft in (
                step("a"),
                completed("a"),
                step("b"),
                Draft(CacheHit(source="a", validation="stat"), run="b"),
                completed("b", seconds=0.5),
                step("c"),
                Draft(StepFailed(status="failed", seconds=2.0, error=error), run="c"),
                step("d"),
            )
        ),
        scenario("T", "empty"),
        step("outside"),
    )
    found = [
        (row.header.id, row.steps, row.hits, row.failed, row.running, row.seconds) for row in run_table.scenarios(conn)
    ]
    assert found == [("empty", 0, 0, 0, 0, 0.0), ("base", 4, 1, 1, 1, 3.5)]
    assert len(run_table.scenarios(conn, 1)) == 1
    assert ids(run_table.steps(conn, "S")) == ["a", "b", "c", "d"]


def test_running_gives_what_has_no_end_oldest_first(fold: Fold) -> None:
    conn = fold(scenario("S"), step("a"), step("b"), completed("a"))
    assert ids(run_table.running(conn)) == ["base", "b"]


def test_writers_and_environments_are_known_once_recorded(fold: Fold) -> None:
    attached = WriterAttached(
        writer="w", host="h", boot="b", pid=7, pid_started="9", user="u", library="1", python="3", platform="x"
    )
    software = EnvironmentRecorded(digest="e", python="3", platform="x", packages={"numpy": "2"}, git_dirty="d")
    conn = fold(Draft(attached), Draft(software), Draft(software))
    found = origins.writer_details(conn, "w")
    assert found is not None
    assert (found.host, found.boot, found.pid, found.pid_started) == ("h", "b", 7, "9")
    assert origins.writer_details(conn, "v") is None
    assert origins.environment_known(conn, "e")
    assert not origins.environment_known(conn, "f")
    assert rows(conn, "SELECT packages FROM environments") == [('{"numpy":"2"}',)]


def test_every_event_is_in_the_audit_index(tmp_path: Path) -> None:
    log = make_log(tmp_path)
    log.append([scenario("S"), within("S", step("a")), Draft(NoteTaken(), scenario="S"), artifact(None, "x")])
    with make_views(tmp_path, log) as views:
        conn = views.catch_up()
        events = list(log.read())
        assert audit_index.count(conn) == len(events)
        mine = [(event.seq, event.segment, event.offset) for event in events if event.scenario == "S"]
        assert audit_index.positions(conn, "S") == mine
        assert len(mine) == 3
        assert [log.read_at(segment, offset).seq for _, segment, offset in mine] == [seq for seq, _, _ in mine]
        assert rows(conn, "SELECT type FROM audit_index WHERE seq = ?", mine[-1][0]) == [("note_taken",)]
        assert rows(conn, "SELECT * FROM dead_letter") == []
