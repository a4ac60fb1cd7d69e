"""Lineage, coupler and cache index: what runs used and made, and which of them may answer again."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from consist_es.errors import OptionError
from consist_es.events import (
    ArtifactMaterialized,
    CacheHit,
    CouplerSet,
    Draft,
    ErrorInfo,
    HitDemoted,
    InputLink,
    OutputLink,
    OutputsDeclared,
    StepFailed,
)
from consist_es.projections import cache_index, coupler_state, lineage, near
from consist_es.projections.lineage import ArtifactNode, ArtifactRow
from tests.support.views import artifact, completed, fingerprint, rows, scenario, step, within

Fold = Callable[..., sqlite3.Connection]


def uses(*links: tuple[str, str]) -> list[InputLink]:
    """Inputs of a step by (role, artifact id)."""
    return [InputLink(role=role, artifact=artifact, key=artifact) for role, artifact in links]


def named(found: dict[str, ArtifactRow]) -> list[tuple[str, str]]:
    """(name, artifact id) in order."""
    return [(name, row.artifact_id) for name, row in found.items()]


# ---------------------------------------------------------------- links


def test_an_artifact_row_says_what_was_recorded(fold: Fold) -> None:
    conn = fold(artifact("k", "a", "zones", size=3, mtime_ns=10**18, schema={"id": "int64"}, rows=4, meta={"m": None}))
    row = lineage.artifact(conn, "a")
    assert row is not None
    assert (row.key, row.uri, row.digest, row.producer_key) == ("zones", "./a", "d-a", "k")
    assert (row.size, row.mtime_ns, row.schema, row.rows, row.meta) == (3, 10**18, {"id": "int64"}, 4, {"m": None})
    assert lineage.artifact(conn, "b") is None


def test_an_artifact_logged_again_keeps_its_row_and_gets_a_link(fold: Fold) -> None:
    conn = fold(artifact("k", "a", "zones"), artifact("l", "a", "other", direction="input", uri="./elsewhere"))
    row = lineage.artifact(conn, "a")
    assert row is not None
    assert (row.key, row.uri) == ("zones", "./a")
    assert named(lineage.inputs(conn, "l")) == [("other", "a")]


def test_the_same_artifact_may_be_input_and_output_of_a_run(fold: Fold) -> None:
    conn = fold(artifact("k", "a", "zones", direction="input"), artifact("k", "a", "zones"))
    assert named(lineage.inputs(conn, "k")) == named(lineage.outputs(conn, "k")) == [("zones", "a")]


def test_of_two_outputs_with_one_key_the_last_counts_and_both_stay(fold: Fold) -> None:
    conn = fold(artifact("k", "a", "zones"), artifact("k", "b", "trips"), artifact("k", "c", "zones"))
    assert named(lineage.outputs(conn, "k")) == [("zones", "c"), ("trips", "b")]
    assert rows(conn, "SELECT count(*) FROM links") == [(3,)]


def test_links_said_twice_are_one(fold: Fold) -> None:
    conn = fold(
        artifact("k", "a", "zones"), completed("k", ("zones", "a")), completed("k", ("zones", "a"), reusable=False)
    )
    assert rows(conn, "SELECT direction, name, artifact_id FROM links") == [("output", "zones", "a")]


def test_results_are_what_the_caller_received_in_its_order(fold: Fold) -> None:
    links = [OutputLink(key="trips", artifact="b"), OutputLink(key="zones", artifact="a")]
    everything = [*links[::-1], OutputLink(key="log", artifact="c")]
    drafts = [artifact("k", "a", "zones"), artifact("k", "b", "trips"), artifact("k", "c", "log")]
    conn = fold(*drafts, completed("k", outputs=links, all_outputs=everything))
    assert named(lineage.results(conn, "k")) == [("trips", "b"), ("zones", "a")]
    assert named(lineage.outputs(conn, "k")) == [("zones", "a"), ("trips", "b"), ("log", "c")]


@pytest.mark.parametrize("first", ["artifact", "step"])
@pytest.mark.parametrize("role", [None, "land"])
def test_a_bound_input_is_one_link_by_its_role_in_either_order(fold: Fold, first: str, role: str | None) -> None:
    logged = artifact("k", "a", "land_use", direction="input", role=role)
    started = step("k", inputs=uses(("land", "a")))
    conn = fold(*((logged, started) if first == "artifact" else (started, logged)))
    assert rows(conn, "SELECT direction, name, artifact_id, via FROM links") == [("input", "land", "a", "inputs")]


def test_one_artifact_may_play_two_roles(fold: Fold) -> None:
    conn = fold(artifact(None, "a"), step("k", inputs=uses(("base", "a"), ("alternative", "a"))))
    assert named(lineage.inputs(conn, "k")) == [("base", "a"), ("alternative", "a")]


def test_inputs_that_the_run_logged_itself_can_be_told_apart(fold: Fold) -> None:
    conn = fold(
        artifact(None, "a"), artifact("k", "b", "extra", direction="input"), step("k", inputs=uses(("land", "a")))
    )
    assert named(lineage.inputs(conn, "k", via="logged")) == [("extra", "b")]
    assert named(lineage.inputs(conn, "k", via="inputs")) == [("land", "a")]


def test_a_demoted_hit_loses_the_outputs_of_its_source_and_keeps_its_own(fold: Fold) -> None:
    links = [OutputLink(key="zones", artifact="a")]
    hit = Draft(CacheHit(source="k", validation="stat", outputs=links), run="h")
    conn = fold(artifact("k", "a", "zones"), step("h"), hit)
    assert named(lineage.outputs(conn, "h")) == [("zones", "a")]
    demoted = Draft(HitDemoted(key="trips", reason="made trips"), run="h")
    conn = fold(artifact("h", "early", "early"), demoted, artifact("h", "b", "trips"))
    assert named(lineage.outputs(conn, "h")) == [("early", "early"), ("trips", "b")]
    assert named(lineage.outputs(conn, "k")) == [("zones", "a")]


def test_an_artifact_with_an_unknown_direction_is_a_dead_letter(fold: Fold) -> None:
    conn = fold(artifact("k", "a", direction="sideways"))
    assert rows(conn, "SELECT projection, error FROM dead_letter") == [
        ("lineage", "ValueError: direction is 'sideways', neither input nor output")
    ]


def test_copies_are_recorded(fold: Fold) -> None:
    event = ArtifactMaterialized(artifact="a", key="zones", uri="./x", source_uri="./a", digest="d", reason="hit")
    conn = fold(Draft(event, run="k"))
    assert rows(conn, "SELECT artifact_id, uri, source_uri, run_key FROM materializations") == [
        ("a", "./x", "./a", "k")
    ]


# ---------------------------------------------------------------- look-ups


@pytest.fixture
def flow(fold: Fold) -> sqlite3.Connection:
    """land -> A -> zones -> B (with zones and land) -> trips -> C; and a header with an input of its own."""
    return fold(
        scenario("S"),
        within("S", artifact("S", "land", "land_use", direction="input")),
        *(
            within("S", draft)
            for draft in (
                step("A", inputs=uses(("land", "land"))),
                artifact("A", "zones", "zones"),
                completed("A", ("zones", "zones")),
                artifact("B", "noise", "noise", direction="input"),
                step("B", inputs=uses(("zones", "zones"), ("land", "land"))),
                artifact("B", "trips", "trips"),
                artifact("B", "zones2", "zones", digest="d-zones"),
                completed("B", ("trips", "trips"), ("zones", "zones2")),
                step("C", inputs=uses(("t", "trips"), ("z", "zones"))),
                artifact("C", "map", "map"),
                completed("C", ("map", "map")),
            )
        ),
    )


def test_scenario_outputs_are_the_last_of_each_key(flow: sqlite3.Connection) -> None:
    assert named(lineage.scenario_outputs(flow, "S")) == [("zones", "zones2"), ("trips", "trips"), ("map", "map")]


def test_scenario_inputs_are_what_came_from_outside(flow: sqlite3.Connection) -> None:
    assert named(lineage.scenario_inputs(flow, "S")) == [("land_use", "land"), ("noise", "noise")]


def test_artifacts_are_found_by_what_is_known_of_them(flow: sqlite3.Connection) -> None:
    def found(**filters: Any) -> list[str]:
        return [row.artifact_id for row in lineage.find_artifacts(flow, **filters)]

    assert found() == ["map", "zones2", "trips", "noise", "zones", "land"]
    assert found(limit=1) == ["map"]
    assert found(key="zones") == ["zones2", "zones"]
    assert found(creator="B") == ["zones2", "trips"]
    assert found(consumer="B") == ["noise", "zones", "land"]
    assert found(consumer="B", key="zones") == ["zones"]
    assert found(digest="d-zones") == ["zones2", "zones"]
    assert found(run="A") == ["zones", "land"]
    with pytest.raises(OptionError, match="filter='yaer' is not allowed"):
        found(yaer="2030")


def test_the_latest_artifact_of_a_key_is_the_newest_or_that_of_a_run(flow: sqlite3.Connection) -> None:
    def latest(key: str, run: str | None = None) -> str | None:
        row = lineage.latest_by_key(flow, key, run)
        return None if row is None else row.artifact_id

    assert latest("zones") == "zones2"
    assert latest("zones", "A") == "zones"
    assert latest("t", "C") == "trips"
    assert latest("zones", "B") == "zones2", "the output, though an input has the same name"
    assert latest("nothing") is None


def test_artifacts_are_found_by_place_and_content_newest_first(fold: Fold) -> None:
    conn = fold(artifact("k", "a", uri="./x", digest="d"), artifact("k", "b", uri="./x", digest="d"))
    assert [row.artifact_id for row in lineage.by_uri(conn, "./x")] == ["b", "a"]
    assert [row.artifact_id for row in lineage.same_content(conn, "d")] == ["b", "a"]
    assert list(lineage.by_ids(conn, ["b", "none", "a", "b"])) == ["b", "a"]


# ---------------------------------------------------------------- trees


def shape(node: ArtifactNode) -> Any:
    """A tree as nested tuples; a repeated part ends in an ellipsis."""
    runs = [(below.run.id, ... if below.repeated else [shape(part) for part in below.artifacts]) for below in node.runs]
    return (node.name, ...) if node.repeated else (node.name, runs) if runs else node.name


def test_upstream_goes_from_an_artifact_to_where_it_came_from(flow: sqlite3.Connection) -> None:
    tree = lineage.upstream(flow, "map")
    assert tree is not None
    assert shape(tree) == (
        "map",
        [("C", [("t", [("B", [("noise"), ("zones", ...), "land"])]), ("z", [("A", [("land", ...)])])])],
    )
    assert tree.runs[0].artifacts[0].depth == 1


def test_downstream_goes_from_an_artifact_to_what_was_made_of_it(flow: sqlite3.Connection) -> None:
    tree = lineage.downstream(flow, "zones")
    assert tree is not None
    assert shape(tree) == ("zones", [("B", [("trips", [("C", ...)]), "zones"]), ("C", ["map"])])


def test_a_tree_is_as_deep_as_asked(flow: sqlite3.Connection) -> None:
    assert [shape(tree) for depth in (0, 1) if (tree := lineage.upstream(flow, "map", depth))] == [
        "map",
        ("map", [("C", ["t", "z"])]),
    ]
    assert lineage.upstream(flow, "nothing") is None


def test_a_tree_over_hundreds_of_diamonds_stays_as_large_as_the_graph(fold: Fold) -> None:
    """Each step uses both outputs of the one before: 2 to the power of 300 paths."""
    drafts = []
    for number in range(300):
        before = uses(("x", f"x{number - 1}"), ("y", f"y{number - 1}")) if number else []
        drafts += [
            step(f"r{number}", inputs=before),
            *(artifact(f"r{number}", f"{name}{number}", name) for name in "xy"),
        ]
    tree = lineage.upstream(fold(*drafts), "x299")
    deepest, count = tree, 0
    while deepest and deepest.runs:
        deepest, count = deepest.runs[0].artifacts[0] if deepest.runs[0].artifacts else None, count + 1
    assert count == 300


def test_a_circle_in_the_log_does_not_hang(fold: Fold) -> None:
    conn = fold(step("k", inputs=uses(("a", "a"))), artifact("k", "a", "a"))
    tree = lineage.upstream(conn, "a")
    assert tree is not None
    assert shape(tree) == ("a", [("k", [("a", ...)])])


def test_the_sql_views_for_people_name_runs_roles_and_keys(flow: sqlite3.Connection) -> None:
    assert rows(flow, "SELECT run, role, key, producer FROM run_inputs WHERE run = 'C'") == [
        ("C", "t", "trips", "B"),
        ("C", "z", "zones", "A"),
    ]
    assert rows(flow, "SELECT run, key FROM run_outputs WHERE run = 'B'") == [("B", "trips"), ("B", "zones")]
    assert ("A", "zones", "z", "C") in rows(flow, "SELECT producer, artifact, role, consumer FROM lineage_edges")


# ---------------------------------------------------------------- coupler


def test_the_coupler_holds_the_latest_artifact_in_the_order_of_first_use(fold: Fold) -> None:
    def put(key: str, scenario: str = "S", run: str | None = None, **what: str) -> Draft:
        return Draft(CouplerSet(key=key, **what), scenario=scenario, run=run)

    conn = fold(
        put("b", artifact="1"), put("a", value="/x"), put("b", artifact="2", run="k"), put("b", "T", artifact="3")
    )
    found = coupler_state.state(conn, "S")
    assert [(key, row.artifact_id, row.value, row.set_by) for key, row in found.items()] == [
        ("b", "2", None, "k"),
        ("a", None, "/x", None),
    ]
    assert coupler_state.state(conn, "none") == {}


def test_a_required_output_stays_required_and_descriptions_are_replaced(fold: Fold) -> None:
    def declare(required: dict[str, bool], **more: Any) -> Draft:
        return Draft(OutputsDeclared(required=required, **more), scenario="S", run="S")

    conn = fold(
        declare({"z": True, "a": False}, descriptions={"z": "one"}),
        declare({"z": False, "b": False}, warn_undefined=True),
        declare({"a": False}, descriptions={"z": "not declared again", "a": "two"}),
    )
    found = coupler_state.declared(conn, "S")
    assert [(key, row.required, row.description) for key, row in found.items()] == [
        ("z", True, "one"),
        ("a", False, "two"),
        ("b", False, None),
    ]
    assert all(row.warn_undefined for row in found.values())


def test_a_coupler_event_outside_a_scenario_is_a_dead_letter(fold: Fold) -> None:
    conn = fold(Draft(CouplerSet(key="a", value="x")))
    assert rows(conn, "SELECT projection, error FROM dead_letter") == [
        ("coupler_state", "ValueError: the event names no scenario")
    ]


# ---------------------------------------------------------------- cache


def test_candidates_are_reusable_runs_newest_first_with_their_outputs(fold: Fold) -> None:
    conn = fold(
        step("old"),
        artifact("old", "a", "zones"),
        completed("old", ("zones", "a")),
        step("new"),
        artifact("new", "b", "zones"),
        artifact("new", "c", "log"),
        completed(
            "new",
            ("zones", "b"),
            all_outputs=[OutputLink(key="log", artifact="c"), OutputLink(key="zones", artifact="b")],
        ),
        step("not"),
        completed("not", reusable=False, reason="an output is missing"),
        step("none"),
        completed("none", fingerprint=None),
        step("else"),
        completed("else", fingerprint="other"),
    )
    found = [*cache_index.candidates(conn, "fp")]
    assert [candidate.run_key for candidate in found] == ["new", "old"]
    assert named(found[0].outputs) == [("zones", "b")]
    assert named(found[0].all_outputs) == [("log", "c"), ("zones", "b")]
    assert [*cache_index.candidates(conn, "nothing")] == []


def test_a_run_with_an_output_that_is_not_known_is_no_candidate(fold: Fold) -> None:
    conn = fold(step("k"), artifact("k", "a"), completed("k", ("out", "a"), ("more", "lost")))
    assert [*cache_index.candidates(conn, "fp")] == []


def test_the_nearest_run_shares_most_parts_and_the_newest_wins_ties(fold: Fold) -> None:
    def ran(key: str, **parts: str) -> list[Draft]:
        return [step(key, name="n", model="m", fingerprint=fingerprint(**parts)), completed(key)]

    conn = fold(*ran("a", code="x"), *ran("b", config="x"), *ran("c", code="x", config="x"))
    found = near.nearest(conn, model="m", name="n", info=fingerprint())
    assert found is not None
    assert found.key == "b"


def test_the_nearest_run_is_of_the_model_else_of_the_name(fold: Fold) -> None:
    conn = fold(step("a", name="n", model="m"), completed("a"), step("b", name="n", model="other"), completed("b"))

    def nearest(model: str, name: str) -> str | None:
        row = near.nearest(conn, model=model, name=name, info=fingerprint())
        return None if row is None else row.key

    assert (nearest("m", "n"), nearest("unheard", "n"), nearest("unheard", "of")) == ("a", "b", None)


def test_hits_failures_and_running_steps_explain_no_miss(fold: Fold) -> None:
    conn = fold(
        step("good", model="m", fingerprint=fingerprint(code="x")),
        completed("good"),
        step("hit", model="m"),
        Draft(CacheHit(source="good", validation="stat"), run="hit"),
        completed("hit", reusable=False),
        step("bad", model="m"),
        Draft(StepFailed(status="failed", seconds=1.0, error=ErrorInfo(type="E", message="")), run="bad"),
        step("now", model="m"),
    )
    found = near.nearest(conn, model="m", name="m", info=fingerprint())
    assert found is not None
    assert found.key == "good"
