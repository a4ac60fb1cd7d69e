"""The run context: folders, inputs, loading, logging, and its end with the run."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, ExecutionOptions, RunContext, RunResult, Tracker, errors

INJECT = ExecutionOptions(inject_context=True)


def run(tracker: Tracker, fn: Callable[..., Any], **arguments: Any) -> RunResult:
    return tracker.run(fn, execution_options=INJECT, **arguments)


def test_paths_lie_in_the_runs_own_folder(tracker: Tracker, here: Path) -> None:
    def step(ctx: RunContext) -> None:
        assert ctx.run_dir.is_dir()
        assert ctx.run_dir.is_relative_to(here / "runs" / "outputs")
        assert ctx.output_dir() == ctx.output_dir("  ") == ctx.run_dir
        assert ctx.output_dir("a/b").is_dir()
        assert ctx.output_path("k") == ctx.run_dir / "k.parquet"
        assert ctx.output_path(" sub/a.b ", "..CSV") == ctx.run_dir / "sub" / "a.b.csv"
        assert (ctx.run_dir / "sub").is_dir()
        assert not ctx.output_path("k", "tar.gz").exists()

    run(tracker, step)


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda ctx: ctx.output_path("../x"), errors.PathError),
        (lambda ctx: ctx.output_path("/x"), errors.PathError),
        (lambda ctx: ctx.output_path(" "), errors.UsageError),
        (lambda ctx: ctx.output_path("x", "."), errors.UsageError),
        (lambda ctx: ctx.output_path(3), errors.UsageTypeError),
        (lambda ctx: ctx.output_path("x", None), errors.UsageTypeError),
        (lambda ctx: ctx.output_dir(".."), errors.PathError),
        (lambda ctx: ctx.output_dir("/tmp"), errors.PathError),
        (lambda ctx: ctx.output_dir(3), errors.UsageTypeError),
        (lambda ctx: ctx.load("nope"), errors.MissingKeyError),
        (lambda ctx: ctx.load(3), errors.UsageTypeError),
        (lambda ctx: ctx.log_output("x"), errors.UsageError),
        (lambda ctx: ctx.log_output("x", "a b"), errors.KeyNameError),
        (lambda ctx: ctx.log_artifact("x", "k", direction="sideways"), errors.OptionError),
        (lambda ctx: ctx.log_artifacts(["x"]), errors.UsageTypeError),
        (lambda ctx: ctx.log_artifacts({"a": None}), errors.UsageError),
        (lambda ctx: ctx.log_artifacts({"a": "x"}, metadata_by_key={"b": {}}), errors.UsageError),
        (lambda ctx: ctx.log_output(3, "k"), errors.UsageTypeError),
    ],
)
def test_a_call_held_wrong_is_refused_and_the_run_goes_on(
    tracker: Tracker, use: Callable[[RunContext], object], kind: type[Exception]
) -> None:
    def step(ctx: RunContext) -> None:
        with pytest.raises(kind):
            use(ctx)

    assert run(tracker, step).run.status == "completed"


def test_inputs_go_by_the_name_they_were_bound_to(tracker: Tracker, here: Path) -> None:
    (here / "t.json").write_text("[1, 2]")

    def step(ctx: RunContext) -> None:
        assert list(ctx.inputs) == ["alias"]
        assert ctx.load("alias") == ctx.load(ctx.inputs["alias"]) == [1, 2]
        ctx.log_input("t.json", "late")
        assert list(ctx.inputs) == ["alias", "late"]

    run(tracker, step, inputs={"alias": "t.json"})


def test_logged_metadata_and_artifacts_are_in_the_record(tracker: Tracker) -> None:
    def step(ctx: RunContext) -> None:
        ctx.log_meta(a=1, b="x")
        ctx.log_meta(b="y")
        path = ctx.output_path("o", "csv")
        path.write_text("a\n1\n")
        ctx.log_artifacts({"z": path, "a": path}, metadata_by_key={"z": {"note": "n"}}, shared=True)

    result = run(tracker, step)
    assert {key: result.run.meta[key] for key in ("a", "b")} == {"a": 1, "b": "y"}
    assert list(result.outputs) == ["z", "a"]
    assert result.outputs["z"].meta == {"shared": True, "note": "n"}
    assert result.outputs["z"].schema == {"a": "int64"}


def test_captured_files_are_recorded_also_when_the_block_raises(tracker: Tracker, here: Path) -> None:
    def step(ctx: RunContext) -> None:
        with ctx.capture_outputs(here / "out", "*.csv") as capture:
            (here / "out" / "a.csv").write_text("a")
            (here / "out" / "a.txt").write_text("a")
        assert list(capture.artifacts) == ["a"]
        with pytest.raises(ZeroDivisionError), ctx.capture_outputs(here / "out") as capture:
            (here / "out" / "a.txt").write_text(str(1 // int((here / "out" / "b.txt").write_text("") > 0)))
        assert list(capture.artifacts) == ["b"]

    assert list(run(tracker, step).outputs) == ["a", "b"]


@pytest.mark.parametrize(
    "use",
    [
        lambda ctx: ctx.run_dir,
        lambda ctx: ctx.output_path("x"),
        lambda ctx: ctx.inputs,
        lambda ctx: ctx.load("x"),
        lambda ctx: ctx.log_output("x", "k"),
        lambda ctx: ctx.log_meta(a=1),
        lambda ctx: ctx.capture_outputs(".").__enter__(),
    ],
)
def test_a_context_kept_beyond_its_run_refuses(tracker: Tracker, use: Callable[[RunContext], object]) -> None:
    kept: list[RunContext] = []

    def step(ctx: RunContext) -> None:
        kept.append(ctx)

    def later() -> None:
        with pytest.raises(errors.ClosedError, match="run 'step' has ended"):
            use(kept[0])

    run(tracker, step)
    tracker.run(later)


def test_the_context_says_which_run_it_is_and_with_which_config(tracker: Tracker) -> None:
    def step(ctx: RunContext) -> None:
        assert (ctx.run_id, ctx.run.status, ctx.config) == ("step", "running", {"a": 1})
        assert ctx.canonicalization is None

    run(tracker, step, config={"a": 1})


def test_attempts_that_begin_at_once_have_the_ids_that_are_recorded(here: Path) -> None:
    """Also where others record something between a look-up and the beginning of the run."""
    told: list[tuple[str, ...]] = []

    def step(ctx: RunContext) -> None:
        path = ctx.output_path("out", "txt")
        path.write_text(ctx.run_id)
        told.append((ctx.run_id, str(ctx.log_output(path, "out").run_id), ctx.run.id, ctx.run.key))

    def several() -> None:
        with Tracker(run_dir=here / "runs", db_path=here / "shared.db", sync="os") as tracker:
            for _ in range(6):
                run(tracker, step, name="same", cache_options=CacheOptions(cache_mode="overwrite"))

    threads = [threading.Thread(target=several) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Tracker(run_dir=here / "runs", db_path=here / "shared.db") as tracker:
        recorded = {found.key: found.id for found in tracker.find_runs(limit=None)}
    assert len(set(recorded.values())) == len(recorded) == len(told) == 24
    assert [ids for *ids, _ in told] == [[recorded[key]] * 3 for *_, key in told]


def test_a_record_that_is_asked_for_late_has_what_was_logged_before(tracker: Tracker) -> None:
    def step(ctx: RunContext) -> None:
        ctx.log_meta(first=1)
        assert (ctx.run.status, ctx.run.meta["first"]) == ("running", 1)
        ctx.log_meta(second=2)
        assert (ctx.run.meta["first"], ctx.run.meta["second"]) == (1, 2)

    assert run(tracker, step).run.meta["second"] == 2
