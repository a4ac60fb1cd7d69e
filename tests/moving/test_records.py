"""Runs, results and artifacts made by keyword, placeholders, tolerant options, schemas and claimed digests."""

import dataclasses
import hashlib
import inspect
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import (
    Artifact,
    CacheOptions,
    ExecutionOptions,
    NoopArtifact,
    NoopRunResult,
    Run,
    RunResult,
    Tracker,
    errors,
)
from consist_es.artifacts import claims
from tests.support.api import made


@dataclasses.dataclass
class Trips:
    zone: int
    mode: str | None


# ---------------------------------------------------------------- by keyword


def test_a_run_is_made_by_keyword() -> None:
    run = Run(id="base_x#2", model_name="m", parent_run_id="base", tags=["t"], year=2020, status="completed", meta={})
    assert (run.run_id, run.name, run.key, run.created_at) == ("base_x", "m", "base_x#2", None)
    copy = run.model_copy(update={"status": "failed"}, deep=True)
    assert (copy.status, run.status, copy.tags, copy.tags is run.tags) == ("failed", "completed", ["t"], False)
    with pytest.raises(errors.UsageTypeError, match=r"Run has no field 'sttus'\. Fields: id, "):
        run.model_copy(update={"sttus": "failed"})
    when = datetime(2020, 1, 1, tzinfo=UTC)
    assert Run(id="a", model_name="m", created_at=when).created_at == when
    result = RunResult(run=run, outputs={})
    assert result.model_copy(update={"cache_hit": True}).cache_hit
    assert not result.cache_hit


def test_an_artifact_is_made_by_keyword() -> None:
    artifact = Artifact(key="a", container_uri="workspace://a.csv")
    assert (artifact.driver, artifact.meta, type(artifact.id)) == ("csv", {}, uuid.UUID)
    assert artifact.created_at is not None
    assert artifact.model_copy(update={"driver": "parquet"}).driver == "parquet"
    with pytest.raises(TypeError, match="container_uri"):
        Artifact(key="a")  # type: ignore[call-arg]


# ---------------------------------------------------------------- placeholders

CALLS: dict[str, Callable[[Any], Any]] = {
    "log_artifact": lambda on: on.log_artifact("/data/x.csv", key="k", enabled=False),
    "log_input": lambda on: on.log_input("/data/x.csv", key="k", enabled=False, profile_file_schema=True),
    "log_output": lambda on: on.log_output("/data/x.csv", "k", Trips, enabled=False, content_hash="0" * 64),
    "log_artifacts": lambda on: on.log_artifacts({"k": "/data/x.csv"}, enabled=False)["k"],
    "log_dataframe": lambda on: on.log_dataframe(None, "k", path="/data/x.csv", enabled=False),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_disabled_call_gives_a_placeholder_with_and_without_a_run(tracker: Tracker, call: str) -> None:
    for on in (consist, tracker):
        found = CALLS[call](on)
        assert isinstance(found, NoopArtifact)
        assert (found.key, found.path, found.uri) == ("k", Path("/data/x.csv"), "/data/x.csv")
        assert isinstance(found, consist.ArtifactLike)
    assert tracker.find_runs() == []


def test_a_placeholder_of_an_artifact_has_its_key_and_uri() -> None:
    artifact = Artifact(key="trips", container_uri="./trips.parquet", root="/runs")
    found: Any = consist.log_output(artifact, enabled=False)
    assert (found.key, found.uri, found.driver) == ("trips", "./trips.parquet", "parquet")
    result = NoopRunResult(outputs={"trips": found})
    assert (result.output, result.cache_hit, result.run) == (found, False, None)
    assert result.output_path("trips") == found.path
    with pytest.raises(KeyError, match="trips"):
        result.output_path("trip")


def test_a_call_outside_of_a_run_has_the_words_that_clients_look_for() -> None:
    with pytest.raises(RuntimeError, match=r"^log_input\(\) needs a run\. No active Consist run found: call it inside"):
        consist.log_input("x", "k")


# ---------------------------------------------------------------- tolerant options


def test_the_cache_can_be_off(tracker: Tracker) -> None:
    def step() -> Path:
        return made()

    off = CacheOptions(cache_mode="off")
    assert off.cache_mode == "off"
    assert [tracker.run(step, cache_options=off).cache_hit for _ in range(2)] == [False, False]
    assert not tracker.run(step).cache_hit  # what was computed with the cache off answers for nothing
    assert tracker.run(step).cache_hit


def test_requests_without_paths_ask_for_nothing(tracker: Tracker, here: Path) -> None:
    (here / "in.txt").write_text("1")

    def step(x: Path) -> Path:
        return made()

    options = CacheOptions(cache_hydration="outputs-requested")
    given: list[dict[str, str] | None] = [None, {}]
    calls = []
    for paths in given:
        asked = ExecutionOptions(input_binding="paths", input_materialization="requested", input_paths=paths)
        inputs = {"x": Path("in.txt")}
        calls.append(tracker.run(step, inputs=inputs, cache_options=options, execution_options=asked))
    assert [call.cache_hit for call in calls] == [False, True]
    assert CacheOptions(validate_materialized_inputs=True).cache_hydration is None  # it needs no other option


def test_arguments_of_run_that_were_options(tracker: Tracker) -> None:
    seen = []

    def step(workspace: str) -> Path:
        seen.append(workspace)
        return made()

    assert not tracker.run(step, runtime_kwargs={"workspace": "w1"}, profile_file_schema=True).cache_hit
    assert tracker.run(step, runtime_kwargs={"workspace": "w2"}).cache_hit
    assert tracker.forecast(step, runtime_kwargs={"workspace": "w2"}).verdict == "hit"
    assert seen == ["w1"]
    with pytest.raises(errors.UsageError, match="runtime_kwargs is given as an argument and in execution_options"):
        tracker.run(step, runtime_kwargs={}, execution_options=ExecutionOptions(runtime_kwargs={"workspace": "w"}))


def test_a_mount_may_have_an_underscore(here: Path) -> None:
    (here / "x.txt").write_text("1")
    with Tracker("runs", mounts={"beam_input": here}) as tracker:
        with tracker.trace("t"):
            artifact = tracker.log_input("x.txt", "x")
        assert artifact.container_uri == "beam_input://x.txt"
        assert tracker.resolve_uri("beam_input://x.txt") == here / "x.txt"


@pytest.mark.parametrize("call", ["log_artifact", "log_input", "log_output", "log_artifacts", "log_dataframe"])
def test_signatures_are_those_of_the_calls(call: str) -> None:
    names = set(inspect.signature(getattr(consist, call)).parameters)
    assert names == set(inspect.signature(getattr(Tracker, call)).parameters) - {"self"}
    assert "enabled" in names
    assert not names & {"args", "kwargs"}
    if call in ("log_input", "log_output"):
        assert {"path", "key", "schema", "content_hash", "validate_content_hash", "parent_artifact_id"} <= names


# ---------------------------------------------------------------- schemas


def test_a_tracker_knows_tables_and_their_columns(here: Path) -> None:
    (here / "t.csv").write_text("zone,mode\n1,car\n")
    with Tracker("runs", schemas=[Trips]) as tracker:
        with tracker.trace("t"):
            by_class = tracker.log_output("t.csv", "a", Trips)
            by_name = tracker.log_output("t.csv", "b", schema="Trips", profile_file_schema=True)
            other = tracker.log_output("t.csv", "c", schema="Persons")
        assert tracker.registered_schemas == {"Trips": Trips}
    columns = {"zone": "int", "mode": "str | None"}
    assert by_class.meta == by_name.meta == {"schema_name": "Trips", "schema_table": "Trips", "schema_columns": columns}
    assert other.meta == {"schema_name": "Persons"}
    assert by_name.schema == {"zone": "int64", "mode": "string"}  # of the file, whatever is asked for


@pytest.mark.parametrize("schemas", ["Trips", {"Trips": Trips}, [3], [int], 3])
def test_schemas_are_classes_with_fields(here: Path, schemas: Any) -> None:
    with pytest.raises(errors.UsageTypeError, match="schemas takes"):
        Tracker("runs", schemas=schemas)
    assert list(here.iterdir()) == []


# ---------------------------------------------------------------- claimed digests


def test_a_claim_is_checked_and_the_bytes_decide(tracker: Tracker, here: Path) -> None:
    (here / "x.bin").write_bytes(b"x")
    right = hashlib.sha256(b"x").hexdigest()
    with tracker.trace("t"):
        found = tracker.log_output("x.bin", "a", content_hash=right.upper(), validate_content_hash=True)
        assert (found.meta["content_hash_verified"], found.hash != right) == (True, True)
        assert found.hash is not None
        again = tracker.log_output("x.bin", "b", content_hash=found.hash)
        assert again.meta == {"content_hash": found.hash, "content_hash_verified": True}
        for wrong in ("0" * 64, f"b3:{'0' * 64}"):
            with pytest.raises(errors.ContentHashError, match=r"of artifact 'c' is not the digest of .*x\.bin, which"):
                tracker.log_output("x.bin", "c", content_hash=wrong)
            forced = tracker.log_output("x.bin", "d", content_hash=wrong, force_hash_override=True)
            assert (forced.hash, forced.meta["content_hash_verified"]) == (found.hash, False)


def test_a_claim_that_cannot_be_checked_is_recorded_as_such(
    tracker: Tracker, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "x.bin").write_bytes(b"xyz")
    monkeypatch.setattr(claims, "LARGEST", 2)  # as of a file of many gigabytes
    wrong, right = "0" * 64, hashlib.sha256(b"xyz").hexdigest()
    with tracker.trace("t"):
        for claim in (wrong, "md5-of-something"):
            found = tracker.log_output("x.bin", "a", content_hash=claim)
            assert found.meta == {"content_hash": claim, "content_hash_verified": None}
            with pytest.raises(errors.ContentHashError):
                tracker.log_output("x.bin", "a", content_hash=claim, validate_content_hash=True)
        found = tracker.log_output("x.bin", "a", content_hash=right, validate_content_hash=True)
        assert found.meta["content_hash_verified"] is True
        with pytest.raises(errors.UsageTypeError, match="validate_content_hash=True needs content_hash="):
            tracker.log_output("x.bin", "a", validate_content_hash=True)
        with pytest.raises(errors.UsageTypeError, match="content_hash takes a digest as str"):
            tracker.log_output("x.bin", "a", content_hash=3)  # type: ignore[arg-type]


def test_a_claim_for_an_input_of_a_scenario_is_checked_too(tracker: Tracker, here: Path) -> None:
    (here / "x.bin").write_bytes(b"x")
    with tracker.scenario("s") as sc, pytest.raises(errors.ContentHashError):
        sc.add_input("x.bin", "x", content_hash="0" * 64)


def test_the_identity_and_options_of_a_run_are_told_by_their_names(tracker: Tracker) -> None:
    options = CacheOptions(cache_version=3, cache_epoch=7, code_identity="callable_module")
    run = tracker.run(lambda: None, name="q", config={"a": 1}, cache_options=options).run
    told = {name: run.meta[name] for name in ("cache_epoch", "cache_version", "code_identity")}
    assert told == {"cache_epoch": 7, "cache_version": 3, "code_identity": "callable_module"}
    summary = run.identity_summary
    assert (summary["config_hash"], summary["input_hash"]) == (run.config_hash, run.input_hash)
    assert (summary["code_version"], summary["code_identity"]["mode"]) == (run.git_hash, "callable_module")


def test_a_miss_under_fast_hashing_says_what_differs(here: Path) -> None:
    (here / "in.txt").write_text("1")

    def step(x: Path) -> None: ...

    with Tracker("runs", hashing_strategy="fast") as tracker:
        tracker.run(step, inputs={"x": Path("in.txt")})
        os.utime(here / "in.txt", (1, 1))
        run = tracker.run(step, inputs={"x": Path("in.txt")}).run
    assert "input 'x': size or time differs" in str(run.why())
