"""What a step's return value, declared files, captured files and logged files become."""

import gc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import consist_es as consist
from consist_es import CacheOptions, ConsistWarning, OutputArtifactSpec, OutputPolicyOptions, RunResult, Tracker, errors
from tests.support.api import made

WARN = OutputPolicyOptions(output_missing="warn")
ERROR = OutputPolicyOptions(output_mismatch="error", output_missing="error")
VALUE: list[Any] = []


def texts(result: RunResult) -> dict[str, str]:
    return {key: artifact.path.read_text().strip() for key, artifact in result.outputs.items()}


def abc() -> dict[str, Path]:
    return {key: made(key, key) for key in "bac"}


def test_hit_and_miss_give_the_same_keys_in_the_same_order(tracker: Tracker) -> None:
    first = tracker.run(abc, outputs=["b", "a"])
    assert list(first.outputs) == ["b", "a", "c"]
    hit = tracker.run(abc, outputs=["b", "a"])
    assert hit.cache_hit
    assert list(hit.outputs.items()) == list(first.outputs.items())
    assert list(tracker.run(abc, outputs=["c", "a"]).outputs) == ["c", "a", "b"]


def test_a_list_named_in_another_order_is_never_served_under_the_old_names(tracker: Tracker) -> None:
    def two() -> list[Path]:
        return [made("first", "1"), made("second", "2")]

    assert texts(tracker.run(two, outputs=["a", "b"])) == {"a": "1", "b": "2"}
    swapped = tracker.run(two, outputs=["b", "a"])
    assert (swapped.cache_hit, texts(swapped)) == (False, {"b": "1", "a": "2"})
    assert swapped.run.meta["cache_miss_explanation"]["reason"] == "outputs_renamed"
    assert tracker.run(two, outputs=["a", "b"]).cache_hit
    assert texts(tracker.run(two, outputs=["b", "a"])) == {"b": "1", "a": "2"}


def test_a_value_that_is_no_longer_declared_has_the_functions_name_again(tracker: Tracker) -> None:
    tracker.run(single, outputs=["o"])
    assert [list(tracker.run(single).outputs) for _ in range(2)] == [["single"], ["single"]]
    assert tracker.run(single, outputs=["o"]).cache_hit


def test_a_run_that_captured_nothing_never_answers_for_one_that_captures(tracker: Tracker, here: Path) -> None:
    def writes() -> None:
        (here / "out").mkdir(exist_ok=True)
        (here / "out" / "a.csv").write_text("a")

    tracker.run(writes)
    (here / "out" / "a.csv").unlink()
    assert list(tracker.run(writes, capture_dir="out").outputs) == ["a"]
    assert list(tracker.run(writes, capture_dir="out").outputs) == ["a"]


def test_a_newly_declared_key_that_the_earlier_run_lacks_is_a_miss_and_says_so(tracker: Tracker) -> None:
    def grows() -> dict[str, Path]:
        consist.log_meta(seen=True)
        return {"a": made("a")}

    tracker.run(grows, outputs=["a"])
    with pytest.raises(errors.OutputError, match="'b'"):
        tracker.run(grows, outputs=["a", "b"])
    run = tracker.get_run("grows")
    assert run is not None
    assert run.meta["cache_miss_explanation"]["reason"] == "outputs_incomplete"
    assert run.meta["seen"] is True  # it was tried


def single() -> Path:
    return made("whatever")


def test_a_single_value_takes_the_declared_key_else_the_functions_name(tracker: Tracker) -> None:
    assert list(tracker.run(single, outputs="o").outputs) == ["o"]
    assert list(tracker.run(single, model="other").outputs) == ["single"]
    assert list(tracker.run(lambda: made(), name="mine").outputs) == ["mine"]


def test_a_list_takes_the_declared_keys_in_order(tracker: Tracker) -> None:
    with pytest.warns(ConsistWarning, match="'b'"):
        result = tracker.run(
            lambda: [made("x", "1"), None, made("y", "2")], name="s", outputs=["a", "b", "c"], output_policy=WARN
        )
    assert texts(result) == {"a": "1", "c": "2"}


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
@pytest.mark.parametrize("policy", [OutputPolicyOptions(), ERROR])
def test_a_list_of_another_length_is_a_mismatch(tracker: Tracker, policy: OutputPolicyOptions) -> None:
    with pytest.raises(errors.OutputError) as caught:  # as nothing of it is taken, the outputs are missing all the same
        tracker.run(lambda: [made("a"), made("b")], name="s", outputs=["a", "b", "c"], output_policy=policy)
    assert "returned 2 values for 3 outputs (a, b, c). Return one for each, or a dict." in str(caught.value)


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
def test_what_was_logged_is_not_missing_where_what_was_returned_is_a_mismatch(tracker: Tracker) -> None:
    def logs() -> list[Path]:
        consist.log_output(made("a"), "a")
        return [made("b")]

    with pytest.raises(errors.OutputError, match=r"its output 'b'. It returned 1 value for 2 outputs \(a, b\)"):
        tracker.run(logs, outputs=["a", "b"])
    with pytest.raises(errors.OutputError, match=r"its output 'p'. Relative output_paths lie in the run's own folder"):
        tracker.run(logs, outputs=["a"], output_paths={"p": "p.txt"})


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
def test_one_path_for_several_outputs_is_a_mismatch_that_the_error_names(tracker: Tracker) -> None:
    with pytest.raises(
        errors.OutputError, match=r"its outputs 'a', 'b'. It returned 1 value .* Return a list with one"
    ):
        tracker.run(lambda: made(), name="s", outputs=["a", "b"])


def test_a_mismatch_warns_by_default(tracker: Tracker) -> None:
    ignore = OutputPolicyOptions(output_missing="ignore")
    with pytest.warns(ConsistWarning, match=r"returned 1 value for 2 outputs \(a, b\)"):
        tracker.run(lambda: [made()], name="s", outputs=["a", "b"], output_policy=ignore)


def nothing() -> None:
    return None


def test_a_missing_output_is_an_error_by_default_and_under_warn_never_reused(tracker: Tracker) -> None:
    with pytest.raises(errors.OutputError, match="Step 'nothing' did not produce its output 'o'"):
        tracker.run(nothing, outputs=["o"])
    for _ in range(2):
        with pytest.warns(ConsistWarning, match="'o'"):
            result = tracker.run(nothing, outputs=["o"], output_policy=WARN)
        assert (result.cache_hit, result.run.status) == (False, "completed")


@pytest.mark.parametrize("outputs", [None, ["o"]])
def test_a_returned_path_where_nothing_is_is_a_missing_output(tracker: Tracker, outputs: list[str] | None) -> None:
    def gone() -> Path:
        return consist.output_path("o")

    with pytest.raises(errors.OutputError, match=r"o\.parquet, which does not exist"):
        tracker.run(gone, outputs=outputs)
    with pytest.warns(ConsistWarning, match="which does not exist"):
        tracker.run(gone, outputs=outputs, output_policy=WARN)
    with pytest.warns(ConsistWarning, match="which does not exist"):
        assert not tracker.run(gone, outputs=outputs, output_policy=WARN).cache_hit


@pytest.mark.parametrize("value", [3, {1, 2}, b"bytes", {"o": 3}, [object()], iter("ab")])
def test_a_value_that_is_no_output_is_refused_and_the_run_failed(tracker: Tracker, value: object) -> None:
    VALUE[:] = [value]
    with pytest.raises(
        errors.ReturnTypeError, match=f"returned {type(VALUE[0]).__name__}|returned int|returned object"
    ):
        tracker.run(lambda: VALUE[0], name="s", outputs=["o"])
    run = tracker.get_run("s")
    assert run is not None
    assert run.status == "failed"


def test_an_undeclared_value_that_is_no_output_is_ignored_with_a_warning(tracker: Tracker) -> None:
    with pytest.warns(ConsistWarning, match="the returned int is not recorded"):
        assert tracker.run(lambda: 3, name="s").outputs == {}
    with pytest.warns(ConsistWarning, match="1 of 2 values"):
        assert list(tracker.run(lambda: {"a": made("a"), "b": 3}, name="t").outputs) == ["a"]


def test_tables_become_parquet_also_in_dicts(tracker: Tracker) -> None:
    pandas = pytest.importorskip("pandas")

    def tables() -> dict[str, Any]:
        frame = pandas.DataFrame({"a": [1, 2]})
        return {"frame": frame, "series": frame["a"], "arrow": pa.table({"b": [1.5]})}

    result = tracker.run(tables, outputs=["frame", "series", "arrow"])
    assert [artifact.driver for artifact in result.outputs.values()] == ["parquet"] * 3
    assert {key: artifact.schema for key, artifact in result.outputs.items()} == {
        "frame": {"a": "int64"},
        "series": {"series": "int64"},
        "arrow": {"b": "double"},
    }
    assert result.outputs["frame"].rows == 2
    assert result.outputs["frame"].as_df()["a"].tolist() == [1, 2]


def test_declared_files_lie_in_the_runs_folder_or_where_an_absolute_path_says(tracker: Tracker, here: Path) -> None:
    def writes(ctx: consist.RunContext) -> None:
        (ctx.run_dir / "rel.txt").write_text("r")
        (here / "abs.txt").write_text("a")

    result = tracker.run(
        writes,
        output_paths={"r": "rel.txt", "a": OutputArtifactSpec(here / "abs.txt", driver="mine", meta={"k": 1})},
        execution_options=consist.ExecutionOptions(inject_context=True),
    )
    assert texts(result) == {"r": "r", "a": "a"}
    assert (result.outputs["a"].driver, result.outputs["a"].meta) == ("mine", {"k": 1})


def test_a_missing_declared_file_tells_where_it_was_looked_for(tracker: Tracker, here: Path) -> None:
    def writes_elsewhere() -> None:
        Path("o.txt").write_text("x")

    with pytest.raises(errors.OutputError, match="Relative output_paths lie in the run's own folder"):
        tracker.run(writes_elsewhere, output_paths={"o": "o.txt"})


def test_a_declared_path_may_be_a_folder(tracker: Tracker, here: Path) -> None:
    def fills() -> None:
        (here / "out").mkdir(exist_ok=True)
        (here / "out" / "a.csv").write_text("a")

    first = tracker.run(fills, output_paths={"all": here / "out"})
    assert first.outputs["all"].kind == "folder"
    assert tracker.run(fills, output_paths={"all": here / "out"}).cache_hit
    (here / "out" / "a.csv").write_text("b")
    assert not tracker.run(fills, output_paths={"all": here / "out"}).cache_hit


def test_captured_files_have_keys_of_their_own(tracker: Tracker, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "old.csv").write_text("old")

    def writes() -> None:
        for name in ("a.csv", "a.txt", "my file.csv", ".hid"):
            (here / "out" / name).write_text(name)

    result = tracker.run(writes, capture_dir="out")
    assert {key: artifact.path.name for key, artifact in result.outputs.items()} == {
        "_hid": ".hid",
        "a.csv": "a.csv",
        "a.txt": "a.txt",
        "my_file": "my file.csv",
    }
    assert all(artifact.meta["captured_automatically"] for artifact in result.outputs.values())
    with pytest.raises(errors.UsageError, match="capture_dir and returned"):
        tracker.run(single, capture_dir="out")


def test_logged_files_are_outputs_of_the_run_and_undeclared_ones_not_of_the_result(tracker: Tracker) -> None:
    def logs() -> Path:
        consist.log_output(made("extra"), "extra")
        return made("o")

    result = tracker.run(logs, outputs=["o"])
    assert list(result.outputs) == ["o"]
    assert set(tracker.get_run_outputs("logs")) == {"o", "extra"}
    assert set(tracker.run(logs, model="other").outputs) == {"extra", "logs"}


def test_the_last_of_a_key_is_the_one_that_counts(tracker: Tracker) -> None:
    def twice() -> None:
        consist.log_output(made("one", "1"), "o")
        consist.log_output(made("two", "2"), "o")

    assert texts(tracker.run(twice, outputs=["o"])) == {"o": "2"}
    assert texts(tracker.run(twice, outputs=["o"])) == {"o": "2"}


def test_what_was_still_written_when_it_was_logged_is_recorded_as_it_is_in_the_end(tracker: Tracker) -> None:
    def writes_on() -> None:
        path = made("o", "half")
        consist.log_output(path, "o")
        path.write_text("whole")

    result = tracker.run(writes_on, outputs=["o"])
    assert result.outputs["o"].size == 5
    assert tracker.run(writes_on, outputs=["o"]).cache_hit


def test_an_input_returned_as_an_output_is_both(tracker: Tracker) -> None:
    up = tracker.run(single, outputs=["o"])

    def through(x: consist.Artifact) -> consist.Artifact:
        return x

    for _ in range(2):
        down = tracker.run(through, inputs={"x": up}, outputs=["same"])
        assert down.outputs["same"] == up.output
        assert list(tracker.get_run_outputs(down.run.id)) == ["same"]
        assert list(tracker.get_run_inputs(down.run.id)) == ["x"]
    assert down.cache_hit


def test_missing_files_may_be_logged_with_a_warning_and_are_never_reused(tracker: Tracker) -> None:
    def logs() -> None:
        with pytest.warns(ConsistWarning, match="is not at"):
            consist.log_output("nowhere.txt", "o")

    assert not tracker.run(logs).cache_hit
    assert not tracker.run(logs).cache_hit


def test_an_output_that_the_step_removes_again_is_missing_in_the_end(tracker: Tracker) -> None:
    def cleans_up() -> None:
        path = made()
        consist.log_output(path, "o")
        path.unlink()

    with pytest.warns(ConsistWarning, match="is not at"):
        result = tracker.run(cleans_up)
    assert result.outputs == {}
    with pytest.warns(ConsistWarning, match="is not at"):
        assert not tracker.run(cleans_up).cache_hit


def test_metadata_without_a_plain_form_fails_the_call_and_not_later(tracker: Tracker) -> None:
    def logs() -> Path:
        path = made()
        with pytest.raises(errors.ConfigTypeError, match="metadata of 'o'"):
            consist.log_output(path, "o", handle=object())
        with pytest.raises(errors.ConfigTypeError, match="meta"):
            consist.log_meta(handle=object())
        return path

    result = tracker.run(logs, outputs=["o"])
    assert result.run.status == "completed"


def test_a_table_that_is_still_open_elsewhere_is_no_leak(tracker: Tracker) -> None:
    def writes() -> Any:
        return pa.table({"a": [1]})

    tracker.run(writes, outputs=["t"])
    gc.collect()  # an unclosed file would warn here, and warnings are errors
    assert tracker.run(writes, outputs=["t"]).outputs["t"].rows == 1


def test_outputs_are_never_overwritten_by_another_attempt(tracker: Tracker) -> None:
    first = tracker.run(single, outputs=["o"])
    second = tracker.run(single, outputs=["o"], cache_options=CacheOptions(cache_mode="overwrite"))
    assert first.outputs["o"].path != second.outputs["o"].path
