"""Inputs: what counts as one, what of it counts, and what happens when files change under a step."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import BindingResult, ConsistWarning, RunResult, Tracker, errors
from tests.support.api import NONE, PATHS, made


def both(a: Path, b: Path) -> Path:
    return made(text=f"{a.read_text()}|{b.read_text()}")


def copy(x: Path) -> Path:
    return made(text=x.read_text())


def name_of(x: Path) -> Path:
    return made(text=x.name)


def tree(x: Path) -> Path:
    return made(text=" ".join(sorted(str(item.relative_to(x)) for item in x.rglob("*"))))


def source() -> Path:
    return made("o", "1\n")


@pytest.fixture
def files(here: Path) -> Path:
    (here / "x.txt").write_text("x")
    (here / "y.txt").write_text("y")
    return here


def text_of(result: RunResult) -> str:
    assert result.output is not None
    return result.output.path.read_text()


def test_swapped_inputs_are_another_step(tracker: Tracker, files: Path) -> None:
    assert text_of(tracker.run(both, inputs={"a": "x.txt", "b": "y.txt"})) == "x|y"
    swapped = tracker.run(both, inputs={"a": "y.txt", "b": "x.txt"})
    assert (swapped.cache_hit, text_of(swapped)) == (False, "y|x")
    assert tracker.run(both, inputs={"b": "y.txt", "a": "x.txt"}).cache_hit


def test_bytes_count_and_times_do_not(tracker: Tracker, files: Path) -> None:
    tracker.run(copy, inputs={"x": "x.txt"})
    os.utime("x.txt", (1, 1))
    assert tracker.run(copy, inputs={"x": "x.txt"}).cache_hit
    Path("x.txt").write_text("z")
    os.utime("x.txt", (1, 1))
    changed = tracker.run(copy, inputs={"x": "x.txt"})
    assert (changed.cache_hit, text_of(changed)) == (False, "z")


def test_the_folder_does_not_count_and_the_name_does_where_it_is_seen(tracker: Tracker, files: Path) -> None:
    (files / "d").mkdir()
    (files / "d" / "x.txt").write_text("x")
    (files / "other.txt").write_text("x")
    tracker.run(name_of, inputs={"x": "x.txt"})
    assert tracker.run(name_of, inputs={"x": "d/x.txt"}).cache_hit
    other = tracker.run(name_of, inputs={"x": "other.txt"})
    assert (other.cache_hit, text_of(other)) == (False, "other.txt")


def test_a_folder_counts_with_its_names_boundaries_and_empty_folders(tracker: Tracker, here: Path) -> None:
    folder = here / "d"
    folder.mkdir()
    (folder / "1.txt").write_text("AB")
    (folder / "2.txt").write_text("C")
    tracker.run(tree, inputs={"x": "d"})
    assert tracker.run(tree, inputs={"x": "d"}).cache_hit
    (folder / "1.txt").write_text("A")
    (folder / "2.txt").write_text("BC")
    assert not tracker.run(tree, inputs={"x": "d"}).cache_hit
    (folder / "empty").mkdir()
    assert not tracker.run(tree, inputs={"x": "d"}).cache_hit
    (folder / "2.txt").rename(folder / "3.txt")
    assert text_of(tracker.run(tree, inputs={"x": "d"})) == "1.txt 3.txt empty"


def test_an_upstream_rerun_with_the_same_bytes_leaves_downstream_cached(tracker: Tracker) -> None:
    for version, hit in ((1, False), (2, True)):
        up = tracker.run(source, config={"version": version}, outputs=["o"])
        assert not up.cache_hit
        assert tracker.run(copy, inputs={"x": up}).cache_hit is hit


def test_an_edited_output_is_said_to_be_edited_and_counts_as_it_is(tracker: Tracker) -> None:
    up = tracker.run(source, outputs=["o"])
    tracker.run(copy, inputs={"x": up})
    up.outputs["o"].path.write_text("777\n")
    with pytest.warns(ConsistWarning, match="was changed after run 'source' made it"):
        down = tracker.run(copy, inputs={"x": up})
    assert (down.cache_hit, text_of(down)) == (False, "777\n")
    seen = tracker.get_run_inputs(down.run.id)["x"]
    assert seen.run_id is None
    assert seen.meta["recorded_digest"] == up.outputs["o"].hash


def test_a_deleted_intermediate_is_made_again_when_it_is_needed(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        up = sc.run(source, outputs=["o"])
        sc.run(copy, name="copy", inputs={"x": up}, outputs=["c"])
    up.outputs["o"].path.unlink()
    with tracker.scenario("s") as sc:
        again = sc.run(source, outputs=["o"])
        down = sc.run(copy, name="copy", inputs={"x": again}, outputs=["c"])
    assert (again.cache_hit, down.cache_hit) == (False, True)
    assert "cannot be read" in again.run.meta["cache_miss_explanation"]["differs"][0]


def test_a_gone_artifact_is_refused_naming_its_maker(tracker: Tracker) -> None:
    up = tracker.run(source, outputs=["o"])
    up.outputs["o"].path.unlink()
    with pytest.raises(errors.InputError, match=r"inputs\['x'\]: artifact 'o' .*source.* again"):
        tracker.run(copy, inputs={"x": up})


def test_a_list_of_inputs_has_a_place_for_each_also_with_equal_names(tracker: Tracker, here: Path) -> None:
    for folder in "ab":
        (here / folder).mkdir()
        (here / folder / "x.txt").write_text(folder)

    def step(ctx: consist.RunContext) -> Path:
        return made(text=" ".join(f"{name}={item.path.read_text()}" for name, item in ctx.inputs.items()))

    options = consist.ExecutionOptions(inject_context=True)
    result = tracker.run(step, inputs=["a/x.txt", "b/x.txt"], depends_on=["a/x.txt"], execution_options=options)
    assert text_of(result) == "x=a x_2=b x_3=a"
    found = tracker.get_run_inputs(result.run.id)
    assert [artifact.path.parent.name for artifact in found.values()] == ["a", "b", "a"]


def test_two_results_with_one_key_are_both_there_for_the_function(tracker: Tracker) -> None:
    one = tracker.run(source, config={"n": 1}, outputs=["o"])
    two = tracker.run(lambda: made("o", "2\n"), name="two", outputs=["o"])

    def step(ctx: consist.RunContext) -> Path:
        return made(text="".join(item.path.read_text() for item in ctx.inputs.values()))

    options = consist.ExecutionOptions(inject_context=True)
    assert text_of(tracker.run(step, inputs=[one, two], execution_options=options)) == "1\n2\n"


def test_depends_on_counts_and_is_not_bound(tracker: Tracker, files: Path) -> None:
    tracker.run(source, depends_on="x.txt")
    assert tracker.run(source, depends_on=["x.txt"]).cache_hit
    (files / "x.txt").write_text("new")
    assert not tracker.run(source, depends_on=["x.txt"]).cache_hit


def test_identity_inputs_count_and_are_no_artifacts(tracker: Tracker, files: Path) -> None:
    first = tracker.run(source, identity_inputs=[("cfg", files / "x.txt")])
    assert tracker.get_run_inputs(first.run.id) == {}
    assert tracker.run(source, identity_inputs=[("cfg", "x.txt")]).cache_hit
    (files / "x.txt").write_text("new")
    again = tracker.run(source, identity_inputs=[("cfg", "x.txt")])
    assert again.run.meta["cache_miss_explanation"]["differs"] == ["identity input 'cfg': content differs"]


def test_a_result_with_several_outputs_must_be_told_which(tracker: Tracker, files: Path) -> None:
    several = tracker.run(lambda: {"a": made("a"), "b": made("b")}, name="several", outputs=["a", "b"])
    with pytest.raises(errors.UsageError, match=r"several outputs \('a', 'b'\)"):
        tracker.run(copy, inputs={"x": several})


def test_a_coupler_key_wins_over_a_file_of_its_name_and_a_path_object_is_always_a_path(
    tracker: Tracker, here: Path
) -> None:
    (here / "o").write_text("file")
    with tracker.scenario("s") as sc:
        sc.run(source, outputs=["o"])
        assert text_of(sc.run(copy, name="by_key", inputs={"x": "o"})) == "1\n"
        assert text_of(sc.run(copy, name="by_path", inputs={"x": Path("o")})) == "file"


@pytest.mark.parametrize(
    ("inputs", "kind", "said"),
    [
        ({"x": "nope.txt"}, errors.InputError, "'nope.txt' does not exist"),
        ({"x": None}, errors.UsageTypeError, "not NoneType"),
        ({"x": {"a": 1}}, errors.UsageTypeError, "belong in config="),
        ({1: "x.txt"}, errors.UsageTypeError, "names must be str, not int"),
        ({"": "x.txt"}, errors.UsageError, "cannot be a name"),
        ({"#0": "x.txt"}, errors.UsageError, "cannot be a name"),
        ({"x": "data://x.txt"}, errors.PathError, "'data' is not mounted"),
        (5, errors.UsageTypeError, "not int"),
        ([None], errors.UsageTypeError, r"inputs['#0']"),
    ],
)
def test_an_input_held_wrong_is_named(
    tracker: Tracker, files: Path, inputs: object, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        tracker.run(copy, inputs=inputs)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert tracker.find_runs() == []


def test_binding_and_inputs_exclude_each_other_and_binding_has_its_type(tracker: Tracker, files: Path) -> None:
    with tracker.scenario("s") as sc:
        with pytest.raises(errors.UsageError, match="exclude each other"):
            sc.run(copy, inputs={"x": "x.txt"}, binding=BindingResult())
        with pytest.raises(errors.UsageError, match="exclude each other"):
            sc.run(copy, input_keys=[], binding=BindingResult())
        with pytest.raises(errors.UsageTypeError, match="BindingResult, not dict"):
            sc.run(copy, binding={"inputs": {}})  # type: ignore[arg-type]
        with pytest.raises(errors.MissingKeyError, match=r"'clean'\. Available: none"):
            sc.run(copy, input_keys=["clean"])
    with pytest.raises(errors.UsageError, match="scenario"):
        tracker.run(copy, input_keys=["clean"])


# ---------------------------------------------------------------- files that change meanwhile


def test_a_run_whose_input_changed_meanwhile_is_not_reused(tracker: Tracker, files: Path) -> None:
    def careless(x: Path) -> Path:
        x.write_text("other")
        return made()

    first = tracker.run(careless, inputs={"x": "x.txt"})
    assert first.run.status == "completed"
    (files / "x.txt").write_text("x")
    again = tracker.run(careless, inputs={"x": "x.txt"})
    assert not again.cache_hit
    why = again.run.meta["cache_miss_explanation"]
    assert why["reason"] == "prior_run_not_reusable"
    assert "inputs changed while the step ran: x" in why["differs"][0]


def test_a_run_whose_identity_input_or_logged_input_changed_meanwhile_is_not_reused(
    tracker: Tracker, files: Path
) -> None:
    def careless() -> Path:
        Path("x.txt").write_text("other")
        return made()

    tracker.run(careless, identity_inputs=["x.txt"])
    (files / "x.txt").write_text("x")
    assert not tracker.run(careless, identity_inputs=["x.txt"]).cache_hit

    def logs_then_changes() -> Path:
        consist.log_input("y.txt", "y")
        Path("y.txt").write_text("other")
        return made()

    tracker.run(logs_then_changes)
    (files / "y.txt").write_text("y")
    assert not tracker.run(logs_then_changes).cache_hit


def reader() -> Path:
    consist.log_input("x.txt", "k")
    consist.log_input("y.txt", "k")
    return made(text=Path("x.txt").read_text() + Path("y.txt").read_text())


@pytest.mark.parametrize("changed", ["x.txt", "y.txt"])
def test_a_file_that_the_step_logged_itself_must_be_unchanged_for_a_hit(
    tracker: Tracker, files: Path, changed: str
) -> None:
    tracker.run(reader)
    assert tracker.run(reader).cache_hit
    (files / changed).write_text("new")
    again = tracker.run(reader)
    assert not again.cache_hit
    assert again.run.meta["cache_miss_explanation"]["reason"] == "inputs_changed"
    assert "logged itself" in again.run.meta["cache_miss_explanation"]["differs"][0]


def test_a_logged_input_that_is_gone_is_no_hit(tracker: Tracker, files: Path) -> None:
    tracker.run(reader)
    (files / "x.txt").unlink()
    with pytest.warns(ConsistWarning, match="is not at"), pytest.raises(FileNotFoundError):
        tracker.run(reader)


def test_an_artifact_of_another_project_is_recorded_as_what_it_is_here(tracker: Tracker, here: Path) -> None:
    with Tracker(run_dir="elsewhere", db_path="elsewhere.db") as other:
        foreign = other.run(source, outputs=["o"])
    result = tracker.run(copy, inputs={"x": foreign}, execution_options=PATHS)
    found = tracker.get_run_inputs(result.run.id)["x"]
    assert found.path == foreign.outputs["o"].path
    assert found.run_id is None


def test_another_tracker_of_the_same_project_knows_its_artifacts(tracker: Tracker, here: Path) -> None:
    up = tracker.run(source, outputs=["o"])
    with Tracker(run_dir="runs", db_path="project.db") as other:
        result = other.run(copy, inputs={"x": up}, execution_options=PATHS)
        assert other.get_run_inputs(result.run.id)["x"].run_id == "source"


def test_a_path_to_what_a_step_made_is_that_steps_artifact(tracker: Tracker) -> None:
    up = tracker.run(source, outputs=["o"])
    down = tracker.run(copy, inputs={"x": up.outputs["o"].path})
    assert tracker.get_run_inputs(down.run.id)["x"] == up.output


def test_unreadable_inputs_are_refused(tracker: Tracker, here: Path) -> None:
    os.mkfifo(here / "pipe")
    (here / "dangling").symlink_to("nowhere")
    for name in ("pipe", "dangling"):
        with pytest.raises(errors.InputError, match=name):
            tracker.run(source, inputs=[name], execution_options=NONE)
    assert tracker.find_runs() == []


def placed(place: Path) -> Path:
    return made(text=ascii(place))


def many(**inputs: Path) -> Path:
    return made(text=ascii(sorted(path.name for path in inputs.values())))


def test_names_that_are_not_utf8_are_names_like_others(tracker: Tracker, here: Path) -> None:
    one, other = (os.fsdecode(name) for name in (b"M\xfcnchen.csv", b"M\xfbnchen.csv"))
    for name in (one, other, "y.txt"):
        Path(name).write_text("zone\n")
    calls: list[Callable[[str], RunResult]] = [
        lambda name: tracker.run(copy, inputs={"x": name}),
        lambda name: tracker.run(placed, config={"place": Path(name)}),
        lambda name: tracker.run(placed, config={"place": name}),
    ]
    for call in calls:
        assert [call(name).cache_hit for name in (one, one, other, one)] == [False, True, False, True]
    assert [tracker.run(name_of, inputs={"x": "y.txt"}, depends_on=[one]).cache_hit for _ in range(2)] == [False, True]
    asked = {f"i{number}": os.fsdecode(b"\xfc%d.csv" % number) for number in range(20)}
    for name in asked.values():
        Path(name).write_text(ascii(name))
    assert [tracker.run(many, inputs=dict(asked)).cache_hit for _ in range(2)] == [False, True]
