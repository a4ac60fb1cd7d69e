"""Hydration modes and input staging: which bytes are put where on a hit or a miss, and that the log tells of it."""

import warnings
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, RunContext, Tracker, errors
from consist_es.errors import OutputError
from consist_es.events import ArtifactMaterialized, CacheHit, CacheMissed, StepStarted
from tests.support import cli as cli
from tests.support.api import made

INJECT = ExecutionOptions(inject_context=True)
REQUESTED = CacheOptions(cache_hydration="outputs-requested")
ALL = CacheOptions(cache_hydration="outputs-all")
MISSING = CacheOptions(cache_hydration="inputs-missing")


def table(ctx: RunContext) -> dict[str, Path]:
    """Two outputs: one declared by its place, one in a folder of its own."""
    (ctx.run_dir / "table.csv").write_text("a\n1\n")
    notes = ctx.output_path("notes/why", "txt")
    notes.write_text("because\n")
    return {"notes": notes}


def copy(x: Path) -> Path:
    return made("c", x.read_text())


def run_table(tracker: Tracker, **options: Any) -> consist.RunResult:
    return tracker.run(
        table, outputs=["notes"], output_paths={"table": "table.csv"}, execution_options=INJECT, **options
    )


def copies(tracker: Tracker) -> list[ArtifactMaterialized]:
    events = [entry.event for entry in tracker.project.log.read()]
    return [event for event in events if isinstance(event, ArtifactMaterialized)]


def last(tracker: Tracker, kind: type[Any]) -> Any:
    return [entry.event for entry in tracker.project.log.read() if isinstance(entry.event, kind)][-1]


# ---------------------------------------------------------------- outputs of a hit


def test_metadata_copies_nothing_and_the_outputs_are_those_of_the_run_that_made_them(tracker: Tracker) -> None:
    first = run_table(tracker)
    again = run_table(tracker, cache_options=CacheOptions(cache_hydration="metadata"))
    assert again.cache_hit
    assert {key: artifact.path for key, artifact in again.outputs.items()} == {
        key: artifact.path for key, artifact in first.outputs.items()
    }
    assert copies(tracker) == []
    assert last(tracker, StepStarted).options["cache_hydration"] == "metadata"


def test_outputs_requested_puts_the_declared_files_into_the_new_runs_folder(tracker: Tracker) -> None:
    first = run_table(tracker)
    again = run_table(tracker, cache_options=REQUESTED)
    place = again.outputs["table"].path
    assert again.cache_hit
    assert place.parent != first.outputs["table"].path.parent
    assert place.parent == tracker.resolve_uri(again.run.artifact_dir)
    assert place.read_text() == "a\n1\n"
    assert again.outputs["notes"].path == first.outputs["notes"].path
    assert again.outputs == first.outputs  # the same records, found in another place
    (event,) = copies(tracker)
    assert (event.key, event.reason, event.digest) == ("table", "outputs-requested", first.outputs["table"].hash)
    assert tracker.resolve_uri(event.uri) == place
    assert tracker.resolve_uri(event.source_uri) == first.outputs["table"].path


def test_outputs_all_puts_every_output_into_the_new_runs_folder_in_the_old_layout(tracker: Tracker) -> None:
    first = run_table(tracker)
    again = run_table(tracker, cache_options=ALL)
    folder = tracker.resolve_uri(again.run.artifact_dir)
    assert again.cache_hit
    assert {key: str(artifact.path.relative_to(folder)) for key, artifact in again.outputs.items()} == {
        "table": "table.csv",
        "notes": "notes/why.txt",
    }
    assert [artifact.path.read_text() for artifact in again.outputs.values()] == ["a\n1\n", "because\n"]
    assert [(event.key, event.reason) for event in copies(tracker)] == [
        ("table", "outputs-all"),
        ("notes", "outputs-all"),
    ]
    assert first.outputs["notes"].path.read_text() == "because\n"


def test_a_trace_finds_its_outputs_in_its_own_folder_too(tracker: Tracker) -> None:
    def once() -> tuple[consist.Artifact | None, Path]:
        with tracker.trace("t", output_paths={"o": "o.txt"}, cache_hydration="outputs-requested") as t:
            place = consist.output_dir() / "o.txt"
            if not t.is_cached:
                place.write_text("o")
            return t.cached_output("o"), place

    assert once()[0] is None
    found, place = once()
    assert found is not None
    assert found.path == place
    assert found.path.read_text() == "o"


def test_copies_are_in_the_views_and_in_the_audit(tracker: Tracker, here: Path) -> None:
    for options in (None, ALL):
        with tracker.scenario("s") as sc:
            sc.run(
                table,
                outputs=["notes"],
                output_paths={"table": "table.csv"},
                execution_options=INJECT,
                cache_options=options,
            )
    rows = tracker.project.connection().execute("SELECT key, reason FROM materializations ORDER BY seq").fetchall()
    assert [tuple(row) for row in rows] == [("table", "outputs-all"), ("notes", "outputs-all")]
    shown = cli.run("audit", "s", "--project", "project.db").output
    assert shown.count(": outputs-all\n") == 2


@pytest.mark.parametrize("failure", ["warn", "miss"])
def test_another_file_at_the_requested_place_is_left_alone_and_the_step_runs(
    tracker: Tracker, here: Path, failure: str
) -> None:
    (here / "runs" / "mine.csv").write_text("mine\n")
    calls: list[int] = []

    def writes() -> None:
        calls.append(1)
        Path("runs", "final.csv").write_text("a\n1\n")

    def run_to(name: str, options: CacheOptions | None = None) -> bool:
        return tracker.run(writes, output_paths={"o": here / "runs" / name}, cache_options=options).cache_hit

    asked = CacheOptions(cache_hydration="outputs-requested", cache_hydration_failure=failure)
    run_to("final.csv")
    assert run_to("final.csv", asked)  # these bytes are there already
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(OutputError, match="only what it writes"):  # it runs, and writes somewhere else
            run_to("mine.csv", asked)
    assert ["another file is there already" in str(warning.message) for warning in caught] == [True] * (
        failure == "warn"
    )
    assert (len(calls), (here / "runs" / "mine.csv").read_text()) == (2, "mine\n")
    assert last(tracker, CacheMissed).reason == "candidate_outputs_invalid"


def test_a_request_outside_the_allowed_places_is_refused_before_anything_is_recorded(
    tracker: Tracker, here: Path
) -> None:
    outside = here / "outside.csv"

    def writes() -> None:
        outside.write_text("a\n1\n")

    tracker.run(writes, output_paths={"o": outside})
    before = tracker.project.log.head().seq
    with pytest.raises(errors.PathError, match="allow_external_paths"):
        tracker.run(writes, output_paths={"o": outside}, cache_options=REQUESTED)
    assert tracker.project.log.head().seq == before


def test_a_damaged_source_is_never_copied(tracker: Tracker) -> None:
    first = run_table(tracker)
    first.outputs["table"].path.write_text("tampered\n")
    for options in (REQUESTED, ALL):
        again = run_table(tracker, cache_options=options)
        assert again.outputs["table"].path.read_text() == "a\n1\n"


def test_the_scenarios_hydration_holds_for_its_steps_and_a_step_may_say_otherwise(tracker: Tracker) -> None:
    def step() -> Path:
        return made()

    first = tracker.run(step, outputs=["o"])
    with tracker.scenario("s", step_cache_hydration="outputs-all") as sc:
        default = sc.run(step, outputs=["o"])
        own = sc.run(step, outputs=["o"], cache_options=CacheOptions(cache_hydration="metadata"))
        assert sc.coupler["o"].path == own.output_path("o")
    assert default.cache_hit
    assert default.output_path("o") != first.output_path("o") == own.output_path("o")


# ---------------------------------------------------------------- inputs of a miss


def test_inputs_missing_puts_an_input_back_where_this_tracker_expects_it(here: Path) -> None:
    with Tracker(run_dir="old", db_path="p.db") as tracker:
        up = tracker.run(lambda: made("o", "1\n"), name="up", outputs=["o"])
        gone = up.output_path("o")
    with Tracker(run_dir="new", db_path="p.db") as tracker:
        earlier = tracker.get_run_result("up").outputs["o"]
        expected = tracker.resolve_uri(earlier.container_uri)
        assert not expected.exists()
        down = tracker.run(copy, inputs={"x": earlier}, outputs=["c"], cache_options=MISSING)
        assert (down.cache_hit, down.output_path("c").read_text()) == (False, "1\n")
        assert expected.read_text() == "1\n"
        assert [(event.key, event.reason) for event in copies(tracker)] == [("o", "inputs-missing")]
        gone.unlink()
        assert tracker.run(copy, name="later", inputs={"x": earlier}, outputs=["c"]).run.status == "completed"


def test_inputs_missing_copies_nothing_that_is_there(tracker: Tracker) -> None:
    up = tracker.run(lambda: made("o", "1\n"), name="up", outputs=["o"])
    tracker.run(copy, inputs={"x": up}, cache_options=MISSING)
    assert copies(tracker) == []


# ---------------------------------------------------------------- staging


def staged(place: Path) -> ExecutionOptions:
    return ExecutionOptions(input_binding="paths", input_materialization="requested", input_paths={"x": place})


def where(x: Path) -> Path:
    return made("c", f"{x.parent.name}/{x.name} {x.read_text()}")


def test_a_staged_input_lies_where_it_was_asked_for_on_a_miss_and_on_a_hit(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    place = here / "runs" / "work" / "fort.10"
    first = tracker.run(where, inputs={"x": "x.txt"}, outputs=["c"], execution_options=staged(place))
    assert first.output_path("c").read_text() == "work/fort.10 x"
    place.unlink()
    again = tracker.run(where, inputs={"x": "x.txt"}, outputs=["c"], execution_options=staged(place))
    assert (again.cache_hit, place.read_text()) == (True, "x")
    assert [event.reason for event in copies(tracker)] == ["requested", "requested"]


def test_another_file_at_the_staging_place_is_set_aside_not_lost(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    place = here / "runs" / "work" / "fort.10"
    place.parent.mkdir(parents=True)
    place.write_text("old")
    tracker.run(where, inputs={"x": "x.txt"}, outputs=["c"], execution_options=staged(place))
    assert place.read_text() == "x"
    assert [path.read_text() for path in place.parent.glob("fort.10.replaced*")] == ["old"]


def test_staging_outside_the_allowed_places_is_refused_and_the_tracker_goes_on(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    with pytest.raises(errors.PathError, match="lies outside"):
        tracker.run(where, inputs={"x": "x.txt"}, outputs=["c"], execution_options=staged(here / "fort.10"))
    assert tracker.find_runs() == []
    with Tracker(run_dir="runs", db_path="project.db", allow_external_paths=True) as free:
        free.run(where, inputs={"x": "x.txt"}, outputs=["c"], execution_options=staged(here / "fort.10"))
    assert (here / "fort.10").read_text() == "x"


def test_staging_something_that_is_no_input_is_refused(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("x")
    with pytest.raises(errors.UsageError, match=r"\['x'\], which are not inputs of this step\. Inputs: \['y'\]"):
        tracker.run(lambda y: made(), name="s", inputs={"y": "x.txt"}, execution_options=staged(here / "runs" / "f"))


# ---------------------------------------------------------------- validation


@pytest.mark.parametrize(("mode", "how"), [("lazy", "stat+digest"), ("eager", "stat+digest"), ("strict", "digest")])
def test_the_log_says_how_a_hit_was_validated(tracker: Tracker, mode: str, how: str) -> None:
    def step() -> Path:
        return made()

    tracker.run(step, outputs=["o"])
    assert tracker.run(step, outputs=["o"], cache_options=CacheOptions(validate_cached_outputs=mode)).cache_hit
    assert last(tracker, CacheHit).validation == how
