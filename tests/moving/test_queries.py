"""Finding and explaining by the names of LBNL's consist: the same runs and artifacts as our own queries give."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Artifact, CacheOptions, Run, Tracker, errors
from consist_es.api.lbnl_queries import RunArtifacts
from consist_es.lbnl.models import run as lbnl_run
from tests.support.api import NONE, made

BEAM: dict[str, Any] = {
    "artifact_family": "linkstats_raw",
    "year": 2030,
    "share": 0.5,
    "unit": "km",
    "skim": {"ok": True},
}


def demand(zones: Path) -> dict[str, Path]:
    return {"trips": made("trips", "1"), "cars": made("cars", "2")}


def traffic() -> None:
    consist.log_output(made("links"), key="links_1", facet=BEAM)
    consist.log_output(made("more"), key="links_2", facet={**BEAM, "year": 2040, "artifact_family": "other"})
    consist.log_input("zones.csv", key="zones", facet={"year": 2030})


def fails() -> None:
    raise ValueError("no zone 7")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tracker, dict[str, Run]]]:
    """Two years of demand (the first computed, a hit, and failed), and two runs that log files with facets."""
    folder = tmp_path_factory.mktemp("queries")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("zones.csv").write_text("zone\n1\n")
        with Tracker("runs", "p.db", project_root=".") as tracker:
            given: dict[str, Any] = {"inputs": {"zones": Path("zones.csv")}, "outputs": ["trips", "cars"]}
            runs = {}
            for name, year in (("old", 2020), ("hit", 2020), ("new", 2030)):
                options: dict[str, Any] = {"year": year, "iteration": 1, "config": {"growth": 1, "by": {"car": year}}}
                runs[name] = tracker.run(demand, model="asim", run_id=f"base_{name}", **options, **given).run
            with pytest.raises(ValueError, match="no zone 7"):
                tracker.run(fails, model="asim", year=2020, iteration=1, run_id="base_failed")
            traced = tracker.run(
                traffic, model="beam", run_id="xbase", facet={"seed": 1, "mode": {"a": "x"}}, tags=["t"]
            )
            again = tracker.run(
                traffic,
                model="beam",
                description="base_described",
                facet={"seed": 2, "new": True},
                execution_options=NONE,
                cache_options=CacheOptions(cache_epoch=7, cache_mode="overwrite"),
            )
            yield tracker, {**runs, "beam": traced.run, "beam2": again.run}


# ---------------------------------------------------------------- runs


def test_the_newest_completed_run_that_matches_is_found(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, runs = project
    old, hit = runs["old"], runs["hit"]
    assert (hit.meta["cache_hit"], hit.config_hash) == (True, old.config_hash)

    def found(**filters: Any) -> list[str]:
        return [run.id for run in tracker.find_matching_runs(**filters)]

    assert found(model="asim", year=2020) == ["base_hit", "base_old"]  # the failed one is none of them
    assert found(model="asim", status="failed") == ["base_failed"]
    assert found(model="asim", year="2030", iteration="1") == ["base_new"]
    assert found(config_hash=old.config_hash, input_hash=old.input_hash, git_hash=old.git_hash, year=2020) == [
        "base_hit",
        "base_old",
    ]
    assert found(signature=runs["new"].signature) == ["base_new"]
    assert found(config_hash="nothing") == found(parent_id="nobody") == found(model="asim", stage="x") == []
    assert found(run_scope="base_", limit=2) == [runs["beam2"].id, "base_new"]  # by its description
    assert found(model="beam", cache_epoch="7") == [runs["beam2"].id]
    assert found(model="beam", cache_epoch=7, allow_missing_cache_epoch=True) == [runs["beam2"].id]
    assert found(facet={"mode.a": "x"}) == found(tags=["t"]) == ["xbase"]
    one = tracker.find_matching_run(model="asim", year=2020, status="completed")
    assert one is not None
    assert one.id == "base_hit"
    by_hashes = tracker.find_matching_run(old.config_hash, old.input_hash, old.git_hash)
    assert by_hashes is not None
    assert by_hashes.id == "base_hit"
    assert tracker.find_matching_run(model="nobody") is None
    assert [*inspect.signature(tracker.find_matching_run).parameters][:3] == ["config_hash", "input_hash", "git_hash"]
    recent = tracker.find_recent_completed_runs_for_model("asim", limit=2)
    assert [run.id for run in recent] == ["base_new", "base_hit"]


def test_a_header_matches_only_if_it_is_asked_for(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: None, name="step", model="m")
    assert [run.name for run in tracker.find_matching_runs()] == ["step"]
    header = tracker.find_run("s")
    assert [run.id for run in tracker.find_matching_runs(model=header.model_name)] == ["s"]
    assert tracker.find_matching_run(parent_id="s") == tracker.find_run(name="step")


def test_filters_that_are_none_are_refused(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, _ = project
    with pytest.raises(errors.OptionError, match="'yaer'"):
        tracker.find_matching_run(yaer=2020)
    with pytest.raises(errors.UsageError, match=r"year='soon' is no whole number: give one, such as year=2030\."):
        tracker.find_matching_runs(year="soon")
    with pytest.raises(errors.UsageError, match="limit=-1 is below 0"):
        tracker.find_matching_runs(limit=-1)


def test_the_facade_asks_the_tracker(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, runs = project
    ask = tracker.queries
    assert [run.id for run in ask.find_runs(limit=1)] == [runs["beam2"].id]
    assert ask.find_run("base_old") == tracker.find_run("base_old")
    assert ask.find_latest_run(model="asim").id == ask.get_latest_run_id(model="asim") == "base_failed"
    assert ask.find_matching_run(model="asim", year=2030) == tracker.find_run("base_new")
    assert [run.id for run in ask.find_runs_by_facet_kv(namespace="beam", key="seed", value_num=1)] == ["xbase"]
    with pytest.raises(errors.UsageError, match="takes one of value_str, value_num and value_bool"):
        ask.find_runs_by_facet_kv(key="seed")


def test_values_are_those_of_the_facet_or_else_of_the_config(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, _ = project
    assert tracker.queries.get_config_values("base_old") == {"growth": 1, "by.car": 2020}
    assert tracker.get_config_values("xbase") == {"seed": 1, "mode.a": "x"}
    assert tracker.get_config_values("xbase", prefix="mode") == {"mode.a": "x"}
    assert tracker.get_config_values("xbase", keys=["seed", "zz"], namespace="beam", limit=1) == {"seed": 1}
    assert tracker.get_config_values("xbase", namespace="asim") == {}
    assert (tracker.get_config_value("xbase", "seed"), tracker.get_config_value("xbase", "q", default=7)) == (1, 7)
    with pytest.raises(errors.MissingKeyError, match="nobody"):
        tracker.get_config_values("nobody")


def test_two_runs_are_compared_in_the_shape_that_clients_read(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, runs = project
    ask, second = tracker.queries, runs["beam2"].id
    assert ask.diff_runs("xbase", second) == {
        "namespace": {"left": "beam", "right": "beam"},
        "changes": {
            "seed": {"left": 1, "right": 2, "status": "changed"},
            "mode.a": {"left": "x", "right": None, "status": "removed"},
            "new": {"left": None, "right": True, "status": "added"},
        },
    }
    same = ask.diff_runs("base_old", "base_new", include_equal=True, keys=iter(["growth", "by.car"]))["changes"]
    assert {key: change["status"] for key, change in same.items()} == {"growth": "same", "by.car": "changed"}
    assert ask.diff_runs("base_old", "base_new", prefix="gr")["changes"] == {}
    assert ask.diff_runs("base_old", "xbase")["changes"].keys() == {"growth", "by.car"}  # configs: one has no facet
    assert ask.diff_runs("base_old", "xbase", namespace="asim")["changes"]["growth"]["status"] == "removed"
    assert tracker.diff_runs("base_old", "base_new") == {"by.car": (2020, 2030)}  # ours stays as it was


def test_history_is_a_frame_of_the_newest_runs(project: tuple[Tracker, dict[str, Run]]) -> None:
    pytest.importorskip("pandas")
    tracker, runs = project
    assert list(tracker.history(limit=2)["id"]) == [runs["beam2"].id, "xbase"]
    assert list(tracker.history(tags=["t"])["model_name"]) == ["beam"]


# ---------------------------------------------------------------- artifacts


def test_artifacts_of_a_run_go_by_key(project: tuple[Tracker, dict[str, Run]]) -> None:
    tracker, runs = project
    assert lbnl_run.RunArtifacts is RunArtifacts
    for run in ("base_hit", runs["hit"]):
        found = tracker.get_artifacts_for_run(run)
        assert found.inputs == tracker.get_run_inputs("base_hit")
        assert (set(found.inputs), set(found.outputs)) == ({"zones"}, {"trips", "cars"})
    with pytest.raises(errors.MissingKeyError, match="nobody"):
        tracker.get_artifacts_for_run("nobody")


def test_the_newest_artifact_of_a_uri_is_found(tracker: Tracker, here: Path) -> None:
    for text in ("1", "2"):
        (here / "t.txt").write_text(text)
        with tracker.trace(f"t{text}"):
            logged = tracker.log_output("t.txt", key=f"k{text}")
    assert tracker.get_artifact_by_uri(logged.uri) == logged
    assert tracker.get_artifact_by_uri(logged.uri, table_path="x") is None
    assert tracker.get_artifact_by_uri("./nothing") is None
    assert tracker.get_artifact(key="k1") == tracker.get_artifact("k1") != logged
    assert tracker.get_artifact(key="k2", run_id="t2") == logged
    for wrong in ({}, {"key_or_id": "k1", "key": "k1"}):
        with pytest.raises(errors.UsageError, match="takes a key or an id, once"):
            tracker.get_artifact(**wrong)


FOUND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a number": ({"params": ["year=2030"]}, ["zones", "links_1", "zones", "links_1"]),
    "a number as it may be written": ({"params": ["year=2030.0", "unit = km"]}, ["links_1", "links_1"]),
    "from a number on": ({"params": ["year>=2031"]}, ["links_2", "links_2"]),
    "up to a number": ({"params": ["year<=2030", "share<=0.5"], "limit": 1}, ["links_1"]),
    "not from a number on": ({"params": ["share>=0.6"]}, []),
    "a text is no number": ({"params": ["unit>=1"]}, []),
    "true": ({"params": ["skim.ok=true", "year>=2040"], "limit": 1}, ["links_2"]),
    "true is not 1": ({"params": ["skim.ok=1"]}, []),
    "no such key": ({"params": ["nothing=1"]}, []),
    "behind a model": ({"params": ["beam.year=2040"], "limit": 1}, ["links_2"]),
    "behind a model, nested": ({"params": ["beam.skim.ok=True", "beam.year=2030"], "limit": 1}, ["links_1"]),
    "behind another model": ({"params": ["asim.year=2040"]}, []),
    "of a model": ({"params": "year=2030", "namespace": "beam", "limit": 2}, ["zones", "links_1"]),
    "of another model": ({"params": ["year=2040"], "namespace": "asim"}, []),
    "by key": ({"key_prefix": "tri"}, ["trips", "trips"]),
    "by family": ({"artifact_family_prefix": "linkstats", "key_prefix": "links", "limit": 9}, ["links_1", "links_1"]),
}


@pytest.mark.parametrize("case", FOUND)
def test_artifacts_are_found_by_values_of_their_facets(project: tuple[Tracker, dict[str, Run]], case: str) -> None:
    tracker, _ = project
    given, keys = FOUND[case]
    assert [artifact.key for artifact in tracker.find_artifacts_by_params(**given)] == keys


@pytest.mark.parametrize("text", ["year", "year!=1", "=1", "year=", "year<1", "year>=x", "a=b=c", 3])
def test_a_text_that_is_no_comparison_is_refused(project: tuple[Tracker, dict[str, Run]], text: Any) -> None:
    tracker, _ = project
    with pytest.raises(errors.UsageError, match=r"is no comparison: write 'key=value'|which is no number"):
        tracker.find_artifacts_by_params(params=[text])


def test_an_artifact_of_an_earlier_run_has_a_path(here: Path) -> None:
    def step() -> Path:
        return made("o", "1")

    with Tracker("my runs", "p.db") as tracker:
        result = tracker.run(step)
        found = result.outputs["step"]
        assert tracker.resolve_historical_path(found, result.run) == found.path
    by_hand = Artifact(key="step", container_uri=found.uri)
    with Tracker("elsewhere", "p.db") as tracker:
        run = tracker.find_run(result.run.id)
        assert tracker.resolve_historical_path(by_hand, run) == found.path
        assert tracker.resolve_historical_path(by_hand).is_relative_to(here / "elsewhere")
        assert tracker.resolve_historical_path(tracker.get_run_outputs(run)["step"], run) == found.path


# ---------------------------------------------------------------- why a run was a miss


def step(**_: Any) -> None: ...


def other(**_: Any) -> None:
    """Is not `step`."""


def third(**_: Any) -> None:
    """Is neither."""
    ""


MAIN = ["config_hash", "input_hash", "git_hash"]
CHANGES: dict[str, tuple[dict[str, Any], list[str], str, dict[str, Any]]] = {
    "config": (
        {"config": {"a": None, "b": "x -> (missing)", "d": 1}},
        ["config_hash"],
        "high",
        {
            "config_keys_changed": ["a", "b"],
            "config_keys_removed": ["c"],
            "config_keys_added": ["d"],
            "fallbacks_used": ["json_snapshot"],
        },
    ),
    "inputs added": ({"inputs": {"x": "1.txt", "y": "2.txt"}}, ["input_hash"], "high", {"input_keys_added": ["y"]}),
    "inputs removed": ({"inputs": {}}, ["input_hash"], "high", {"input_keys_removed": ["x"]}),
    "a label": ({"year": 2040}, ["labels"], "high", {"run_fields_changed": ["year"]}),
    "identity inputs": (
        {"identity_inputs": [("cfg", Path("2.txt"))]},
        ["identity_inputs"],
        "high",
        {"identity_inputs_changed": ["cfg"]},
    ),
    "config and inputs": (
        {"config": None, "inputs": {}},
        ["config_hash", "input_hash"],
        "medium",
        {"input_keys_removed": ["x"]},
    ),
    "the mode of the code": (
        {"cache_options": CacheOptions(code_identity="callable_module")},
        ["git_hash"],
        "high",
        {"code_identity_mode_changed": [{"candidate": "imports", "current": "callable_module"}]},
    ),
}


def explained(ask: Callable[..., Any], **given: Any) -> dict[str, Any]:
    inputs = {name: Path(file) for name, file in given.pop("inputs", {"x": "1.txt"}).items()}
    options: dict[str, Any] = {
        "config": {"a": 1, "b": None, "c": 3},
        "model": "m",
        "name": "s",
        "execution_options": NONE,
    }
    found: dict[str, Any] = ask(given.pop("fn", step), inputs=inputs, **{**options, **given}).run.meta[
        "cache_miss_explanation"
    ]
    return found


@pytest.mark.parametrize("case", CHANGES)
def test_a_miss_names_the_parts_and_keys_that_differ(tracker: Tracker, here: Path, case: str) -> None:
    for name in ("1", "2"):
        (here / f"{name}.txt").write_text(name)
    first = explained(tracker.run)
    assert (first["matched_components"], first["mismatched_components"], first["confidence"]) == ([], [], "low")
    assert (first["candidate_run_id"], first["fallbacks_used"], first["details"]) == (None, [], {})
    given, mismatched, confidence, details = CHANGES[case]
    found = explained(tracker.run, **given)
    assert found["candidate_run_id"] == "s"
    assert found["differs"], "ours stay"
    assert found["mismatched_components"] == mismatched
    assert found["matched_components"] == [part for part in MAIN if part not in mismatched]
    assert (found["confidence"], found["details"]) == (confidence, details)
    assert found["fallbacks_used"] == details.get("fallbacks_used", [])
    assert tracker.find_run("s#2").meta["cache_miss_explanation"] == found, "as it is read back"


def test_a_miss_names_files_that_changed(tracker: Tracker, here: Path) -> None:
    (here / "1.txt").write_text("1")
    explained(tracker.run)
    (here / "1.txt").write_text("2")
    found = explained(tracker.run, fn=other)
    assert (found["mismatched_components"], found["confidence"]) == (["input_hash", "git_hash"], "medium")
    before, now = (tracker.get_run_inputs(run)["x"] for run in ("s#1", "s#2"))
    (change,) = found["details"]["input_artifact_changes"]
    assert change == {
        "key": "x",
        "changes": ["artifact_hash_changed"],
        "current_hash": now.hash,
        "candidate_artifact_id": str(before.id),
        "current_artifact_id": str(now.id),
    }
    assert any(part.endswith("other") for part in found["details"]["code_identity_changed"])
    (here / "2.txt").write_text("2")
    renamed = explained(tracker.run, fn=other, inputs={"x": "2.txt"})
    assert renamed["details"]["input_artifact_changes"] == [{"key": "x", "changes": ["artifact_description_changed"]}]
    everything = explained(tracker.run, fn=third, inputs={}, config=None)
    assert (everything["reason"], everything["confidence"]) == ("all_components_changed", "low")
    assert (everything["matched_components"], everything["mismatched_components"]) == ([], MAIN)


def test_a_miss_over_the_same_work_matches_in_all_parts(tracker: Tracker) -> None:
    def writes() -> Path:
        return made("o", "1")

    tracker.run(writes).outputs["writes"].path.unlink()
    run = tracker.run(writes).run
    found = run.meta["cache_miss_explanation"]
    assert (found["reason"], found["candidate_run_id"]) == ("candidate_outputs_invalid", "writes")
    assert (found["matched_components"], found["mismatched_components"], found["confidence"]) == (MAIN, [], "high")
    assert found["details"]["candidate_output_validation_failure"] is True
    summary = run.identity_summary
    assert [summary[name] for name in ("config_hash", "input_hash", "code_hash", "code_version")] == [
        run.config_hash,
        run.input_hash,
        run.git_hash,
        run.git_hash,
    ]
    assert "cache_miss_explanation" not in tracker.run(writes).run.meta, "a hit"


def test_many_differences_say_that_there_are_more(tracker: Tracker) -> None:
    for number in (1, 2):
        found = explained(tracker.run, inputs={}, config={f"k{key}": number for key in range(30)})
    assert len(found["details"]["config_keys_changed"]) == 20
    assert found["details"]["more_differences"] == ["… and 10 more"]
