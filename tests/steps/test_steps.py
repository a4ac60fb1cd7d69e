"""A step from call to record: hits and misses, names and attempts, what is refused before anything is recorded."""

import functools
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, RunResult, Tracker, errors
from consist_es.events import StepStarted
from consist_es.values.plain import from_plain
from tests.support.api import PATHS, made


def step() -> Path:
    return made()


def scaled(factor: float) -> Path:
    return made(text=f"{factor}\n")


def copy(x: Path) -> Path:
    return made(text=x.read_text())


def events_of(tracker: Tracker) -> list[str]:
    return [recorded.type for recorded in tracker.project.log.read()]


def count(tracker: Tracker) -> int:
    return tracker.project.log.head().seq


# ---------------------------------------------------------------- hits and misses


def test_the_second_call_is_a_hit_with_the_same_outputs(tracker: Tracker) -> None:
    first = tracker.run(step, outputs=["o"])
    second = tracker.run(step, outputs=["o"])
    assert (first.cache_hit, second.cache_hit) == (False, True)
    assert second.outputs == first.outputs
    assert second.output is not None
    assert second.output.path.read_text() == "x\n"
    assert second.run.meta["cache_source"] == first.run.id == "step"


def test_a_hit_of_a_hit_names_the_run_that_computed_it(tracker: Tracker) -> None:
    results = [tracker.run(step, outputs=["o"]) for _ in range(4)]
    assert [result.run.meta.get("cache_source") for result in results] == [None, "step", "step", "step"]


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"factor": 2.0}},
        {"config": {"factor": 1}},
        {"config": {"factor": "1.0"}},
        {"config": {"factor": 1.0, "more": None}},
        {"config": {"factor": 1.0}, "model": "other"},
        {"config": {"factor": 1.0}, "year": 2030},
        {"config": {"factor": 1.0}, "iteration": 0},
        {"config": {"factor": 1.0}, "phase": "warm"},
        {"config": {"factor": 1.0}, "stage": "A"},
        {"config": {"factor": 1.0}, "cache_options": CacheOptions(cache_version=1)},
        {"config": {"factor": 1.0}, "cache_options": CacheOptions(cache_epoch=2)},
    ],
)
def test_whatever_a_step_can_depend_on_makes_it_run_again(tracker: Tracker, other: dict[str, Any]) -> None:
    tracker.run(scaled, config={"factor": 1.0}, outputs=["o"])
    assert not tracker.run(scaled, outputs=["o"], **other).cache_hit
    assert tracker.run(scaled, config={"factor": 1.0}, outputs=["o"]).cache_hit


@pytest.mark.parametrize(
    "other",
    [
        {"description": "said otherwise"},
        {"tags": ["a"]},
        {"facet": {"a": 1}},
        {"run_id": "mine"},
        {"cache_options": CacheOptions(cache_epoch=1)},
        {"execution_options": ExecutionOptions(input_binding="paths")},
    ],
)
def test_what_only_labels_a_run_does_not_make_it_run_again(tracker: Tracker, other: dict[str, Any]) -> None:
    tracker.run(scaled, config={"factor": 1.0}, outputs=["o"])
    assert tracker.run(scaled, config={"factor": 1.0}, outputs=["o"], **other).cache_hit


@pytest.mark.parametrize("nested", [False, True])
def test_which_fields_of_a_pydantic_model_were_given_counts(tracker: Tracker, nested: bool) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", a=(int, 1))

    def dumped(config: Any) -> Path:
        given = config["models"][0] if nested else config
        return made(text=repr(given.model_dump(exclude_unset=True)))

    found = []
    for value in (model(), model(a=1), model(), model(a=1)):
        result = tracker.run(dumped, config={"models": [value]} if nested else value, outputs=["o"])
        found.append((result.cache_hit, result.outputs["o"].path.read_text()))
    assert found == [(False, "{}"), (False, "{'a': 1}"), (True, "{}"), (True, "{'a': 1}")]
    runs = tracker.find_runs(name="dumped")
    assert [from_plain(run.config) for run in runs] == [{"models": [{"a": 1}]} if nested else {"a": 1}] * 4
    (second,) = [run for run in runs if run.id == "dumped#2"]
    assert second.why().differs == [f"config{'.models[0]' if nested else ''}, not given: a -> none"]


def test_a_pydantic_model_that_a_step_reads_from_around_it_counts_by_which_fields_were_given(tracker: Tracker) -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", a=(int, 1))

    def step_with(settings: Any) -> Callable[[], Path]:
        def closed() -> Path:
            return made(text=repr(settings.model_dump(exclude_unset=True)))

        return closed

    hits = [tracker.run(step_with(value), outputs=["o"]).cache_hit for value in (model(), model(), model(a=1))]
    assert hits == [False, True, False]


def test_two_functions_of_one_name_are_two_steps(tracker: Tracker) -> None:
    def one() -> Path:
        return made(text="one\n")

    def two() -> Path:
        return made(text="two\n")

    tracker.run(one, name="step", outputs=["o"])
    result = tracker.run(two, name="step", outputs=["o"])
    assert not result.cache_hit
    assert result.outputs["o"].path.read_text() == "two\n"


def test_partials_and_closures_count_by_what_they_hold(tracker: Tracker) -> None:
    def maker(value: int) -> Callable[[], Path]:
        def closed() -> Path:
            return made(text=f"{value}\n")

        return closed

    first = tracker.run(functools.partial(scaled, 1), name="s", outputs=["o"])
    assert not tracker.run(functools.partial(scaled, 2), name="s", outputs=["o"]).cache_hit
    assert tracker.run(functools.partial(scaled, 1), name="s", outputs=["o"]).outputs == first.outputs
    tracker.run(maker(1), name="c", outputs=["o"])
    other = tracker.run(maker(2), name="c", outputs=["o"])
    assert (other.cache_hit, other.outputs["o"].path.read_text()) == (False, "2\n")
    assert tracker.run(maker(1), name="c", outputs=["o"]).cache_hit


def test_a_closure_over_what_has_no_identity_never_hits_and_says_why(tracker: Tracker) -> None:
    numbers = iter([1, 2, 3])

    def next_one() -> Path:
        return made(text=f"{next(numbers)}\n")

    with pytest.warns(consist.ConsistWarning) as caught:
        first = tracker.run(next_one, outputs=["o"])
    said = (
        "Step 'next_one' will be computed every time, because its work cannot be identified: closure variable 'numbers'"
    )
    assert [str(warning.message)[: len(said)] for warning in caught] == [said]
    assert str(caught[0].message).endswith("run.why() shows all reasons.")
    assert "numbers" in str(first.run.why())
    again = tracker.run(next_one, outputs=["o"])  # it is said once
    assert not again.cache_hit
    why = again.run.meta["cache_miss_explanation"]
    assert why["reason"] == "not_identifiable"
    assert "numbers" in " ".join(why["differs"])
    assert again.run.signature is None


@pytest.mark.parametrize("mode", ["overwrite", "readonly"])
def test_of_a_step_that_is_not_to_be_reused_nobody_says_that_it_never_is(tracker: Tracker, mode: str) -> None:
    numbers = iter([1])

    def uses() -> None:
        next(numbers, None)

    assert tracker.run(uses, cache_options=CacheOptions(cache_mode=mode)).run.signature is None
    with consist.noop_scenario("s") as sc:
        sc.run(uses)


def test_overwrite_always_runs_and_becomes_the_one_to_reuse(tracker: Tracker) -> None:
    tracker.run(step, outputs=["o"])
    forced = tracker.run(step, outputs=["o"], cache_options=CacheOptions(cache_mode="overwrite"))
    assert not forced.cache_hit
    assert tracker.run(step, outputs=["o"]).outputs == forced.outputs


def test_readonly_may_hit_and_what_it_computes_is_not_kept_for_others(tracker: Tracker) -> None:
    readonly = CacheOptions(cache_mode="readonly")
    first = tracker.run(step, outputs=["o"], cache_options=readonly)
    assert (first.cache_hit, first.run.status) == (False, "completed")
    assert not tracker.run(step, outputs=["o"]).cache_hit
    assert tracker.run(step, outputs=["o"], cache_options=readonly).cache_hit


def test_a_miss_says_what_differs_from_the_nearest_run(tracker: Tracker) -> None:
    tracker.run(scaled, config={"factor": 1.0}, outputs=["o"])
    why = tracker.run(scaled, config={"factor": 1.1}, outputs=["o"]).run.meta["cache_miss_explanation"]
    assert why["reason"] == "config_changed"
    assert why["differs"] == ["config.factor: 1.0 -> 1.1"]
    assert why["candidate_run_id"] == "scaled"


# ---------------------------------------------------------------- names, attempts, records


def test_runs_of_one_name_are_numbered_attempts_and_a_look_up_gives_the_latest(tracker: Tracker) -> None:
    for factor in (1.0, 2.0, 3.0):
        tracker.run(scaled, config={"factor": factor}, outputs=["o"])
    assert [run.id for run in reversed(tracker.find_runs())] == ["scaled", "scaled#2", "scaled#3"]
    latest, first = tracker.get_run("scaled"), tracker.get_run("scaled#1")
    assert latest is not None
    assert first is not None
    assert (latest.id, latest.config, first.config) == ("scaled#3", {"factor": 3.0}, {"factor": 1.0})
    assert tracker.get_run("scaled#4") is None


def test_every_attempt_has_a_folder_of_its_own(tracker: Tracker) -> None:
    paths = {
        tracker.run(scaled, config={"factor": factor}, iteration=0, outputs=["o"]).outputs["o"].path.parent
        for factor in (1.0, 2.0)
    }
    assert len(paths) == 2


def test_a_run_without_a_group_has_no_parent_whatever_made_its_inputs(tracker: Tracker) -> None:
    made_by = tracker.run(step, outputs=["o"])
    assert tracker.run(copy, inputs={"x": made_by}, outputs=["o"]).run.parent_run_id is None
    assert tracker.run(step, parent_run_id="copy").run.parent_run_id == "copy"


def test_the_record_says_what_was_asked_for(tracker: Tracker) -> None:
    run = tracker.run(
        scaled,
        config={"factor": 1.5},
        description="grow",
        tags=["a", "a", "b"],
        year=2030,
        phase="p",
        facet={"kind": "test"},
        facet_from=["factor"],
        outputs=["o"],
    ).run
    stored = tracker.get_run("scaled")
    assert stored == run
    assert (run.description, run.tags, run.year, run.phase) == ("grow", ["a", "b"], 2030, "p")
    assert run.facet == {"kind": "test", "factor": 1.5}
    assert run.status == "completed"
    assert run.duration_seconds is not None
    assert run.duration_seconds >= 0


def test_a_numpy_year_is_a_year(tracker: Tracker) -> None:
    numpy = pytest.importorskip("numpy")
    assert tracker.run(step, year=numpy.int64(2030), outputs=["o"]).run.year == 2030
    assert tracker.run(step, year=2030, outputs=["o"]).cache_hit


def test_hooks_hear_of_runs_and_one_that_raises_is_a_warning(tracker: Tracker) -> None:
    heard: list[str] = []
    tracker.on_run_start(lambda run: heard.append(f"start {run.id}"))
    tracker.on_run_complete(lambda run, outputs: heard.append(f"complete {run.id} {list(outputs)}"))
    tracker.on_run_failed(lambda run, error: heard.append(f"failed {run.id} {error}"))
    tracker.run(step, outputs=["o"])
    tracker.run(step, outputs=["o"])
    with pytest.raises(ZeroDivisionError):
        tracker.run(lambda: 1 // 0, name="bad")
    assert heard[:4] == ["start step", "complete step ['o']", "start step#2", "complete step#2 ['o']"]
    assert heard[4:] == ["start bad", "failed bad integer division or modulo by zero"]
    tracker.on_run_complete(lambda run, outputs: 1 // 0)
    with pytest.warns(consist.ConsistWarning, match="Hook"):
        assert tracker.run(step, outputs=["o"]).run.status == "completed"


def test_two_threads_run_steps_at_the_same_time(tracker: Tracker) -> None:
    results: dict[int, RunResult] = {}
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        barrier.wait()
        results[number] = tracker.run(scaled, name=f"s{number}", config={"factor": float(number)}, outputs=["o"])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: result.outputs["o"].path.read_text() for number, result in results.items()} == {
        number: f"{float(number)}\n" for number in range(4)
    }


# ---------------------------------------------------------------- refused before anything is recorded


async def waiting() -> Path:
    return made()


def yielding() -> Iterator[Path]:
    yield made()


def positional(x: Path, /) -> Path:
    return made()


def with_context(ctx: consist.RunContext) -> Path:
    return ctx.output_path("o")


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no function": ({}, errors.UsageError, "name"),
    "no function but a name": ({"name": "s"}, errors.UsageError, "needs a function"),
    "a name for a function": ({"fn": "step"}, errors.UsageTypeError, "fn takes a callable, not str: 'step'"),
    "a blank name": ({"fn": step, "name": " "}, errors.InvalidNameError, "blank"),
    "an attempt number": ({"fn": step, "run_id": "a#2"}, errors.InvalidNameError, "#"),
    "a text year": ({"fn": step, "year": "2030"}, errors.UsageTypeError, "year takes an int, not str: '2030'"),
    "a true year": ({"fn": step, "year": True}, errors.UsageTypeError, "year takes an int, not bool"),
    "a huge year": ({"fn": step, "year": 2**70}, errors.UsageError, "beyond 64 bits"),
    "a float iteration": ({"fn": step, "iteration": 1.0}, errors.UsageTypeError, "iteration takes an int"),
    "a number phase": ({"fn": step, "phase": 1}, errors.UsageTypeError, "phase takes a str"),
    "a number description": ({"fn": step, "description": 5}, errors.UsageTypeError, "description takes a str"),
    "a surrogate stage": ({"fn": step, "stage": "\udc80"}, errors.UsageError, "surrogate"),
    "a list config": ({"fn": step, "config": [1]}, errors.ConfigTypeError, "list is not supported"),
    "a config without form": (
        {"fn": step, "config": {"a": [{"b": object()}]}},
        errors.ConfigTypeError,
        "config['a'][0]['b']",
    ),
    "a number facet": ({"fn": step, "facet": 5}, errors.UsageTypeError, "facet takes a mapping"),
    "a facet key that is not there": (
        {"fn": step, "config": {"a": 1}, "facet_from": ["b"]},
        errors.MissingKeyError,
        "'b'. Available: 'a'",
    ),
    "facet_from without config": ({"fn": step, "facet_from": ["b"]}, errors.UsageError, "facet_from"),
    "tags of another type": ({"fn": step, "tags": 5}, errors.UsageTypeError, "tags takes a list"),
    "a dict for options": (
        {"fn": step, "cache_options": {"cache_mode": "reuse"}},
        errors.UsageTypeError,
        "cache_options takes CacheOptions(...), not dict",
    ),
    "an unknown parent": ({"fn": step, "parent_run_id": "nope"}, errors.MissingKeyError, "nope"),
    "a coroutine function": ({"fn": waiting}, errors.UsageTypeError, "arun"),
    "a generator function": ({"fn": yielding}, errors.UsageTypeError, "generator"),
    "a missing argument": ({"fn": scaled}, errors.CallError, "'factor'"),
    "a positional-only parameter": ({"fn": positional, "inputs": {"x": __file__}}, errors.CallError, "positional-only"),
    "an unknown runtime kwarg": (
        {"fn": step, "execution_options": ExecutionOptions(runtime_kwargs={"nope": 1})},
        errors.CallError,
        "no parameter 'nope'",
    ),
    "no parameter for the context": (
        {"fn": step, "execution_options": ExecutionOptions(inject_context=True)},
        errors.BindingError,
        "RunContext",
    ),
    "a key that breaks the rules": ({"fn": step, "outputs": ["a b"]}, errors.KeyNameError, "'a b'"),
    "a key twice": ({"fn": step, "outputs": ["a", "a"]}, errors.UsageError, "twice"),
    "an output that leaves": ({"fn": step, "output_paths": {"o": "../x"}}, errors.PathError, "'../x'"),
    "a number as a path": ({"fn": step, "output_paths": {"o": 3}}, errors.UsageTypeError, "output_paths['o']"),
    "no mapping of paths": ({"fn": step, "output_paths": ["o"]}, errors.UsageTypeError, "output_paths"),
    "a pattern that leaves": (
        {"fn": step, "capture_dir": "c", "capture_pattern": "../*"},
        errors.PathError,
        "'../*'",
    ),
    "identity inputs as text": ({"fn": step, "identity_inputs": "x"}, errors.UsageError, "list"),
    "an identity input that is not there": (
        {"fn": step, "identity_inputs": [("cfg", "nope")]},
        errors.InputError,
        "identity_inputs['cfg']",
    ),
    "one label for two": (
        {"fn": step, "identity_inputs": [("a", __file__), ("a", __file__)]},
        errors.UsageError,
        "'a' is given twice",
    ),
    "a float epoch": ({"fn": step, "tags": [5]}, errors.UsageTypeError, "5 is int"),
}


@pytest.mark.parametrize(("arguments", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_a_call_held_wrong_says_so_and_records_nothing(
    tracker: Tracker, arguments: dict[str, Any], kind: type[Exception], said: str
) -> None:
    tracker.run(step, outputs=["o"])
    before = count(tracker)
    with pytest.raises(kind) as caught:
        tracker.run(**arguments)
    assert said in str(caught.value)
    assert count(tracker) == before
    assert tracker.run(step, outputs=["o"]).cache_hit  # the tracker goes on


def test_a_tracker_that_may_only_read_refuses_steps_and_reads_on(tracker: Tracker) -> None:
    tracker.run(step, outputs=["o"])
    with Tracker(run_dir="runs", db_path="project.db", access_mode="read_only") as reader:
        with pytest.raises(errors.AccessModeError, match="read_only"):
            reader.run(step, outputs=["o"])
        found = reader.get_run("step")
        assert found is not None
        assert found.status == "completed"


def test_a_step_inside_a_step_is_refused_and_the_outer_one_goes_on(tracker: Tracker) -> None:
    def outer() -> Path:
        with pytest.raises(errors.RunActiveError, match="'outer' is still executing"):
            tracker.run(step, outputs=["o"])
        return made()

    assert tracker.run(outer, outputs=["o"]).run.status == "completed"


def test_a_coroutine_is_never_taken_for_a_result(tracker: Tracker) -> None:
    with pytest.raises(errors.UsageTypeError, match="arun"):
        tracker.run(lambda: waiting(), name="sneaky", outputs=["o"])
    failed = tracker.get_run("sneaky")
    assert failed is not None
    assert failed.status == "failed"


def test_an_event_that_could_not_be_read_back_is_refused_by_the_log(tracker: Tracker) -> None:
    from consist_es.events import Draft, MetaLogged

    tracker.run(step, outputs=["o"])
    before = count(tracker)
    with pytest.raises(errors.UsageTypeError, match="Nothing was recorded"):
        tracker.project.record([Draft(MetaLogged(values=["no", "mapping"]))])  # type: ignore[arg-type]
    assert count(tracker) == before
    assert events_of(tracker)


# ---------------------------------------------------------------- resources


def test_three_hundred_steps_leave_no_file_open_and_no_connection_behind(tracker: Tracker) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("no /proc here")
    tracker.run(step, outputs=["o"])
    gc.collect()
    before = sum(1 for _ in folder.iterdir())
    for number in range(300):
        tracker.run(step, name=f"s{number % 3}", outputs=["o"])
    gc.collect()
    # The digest cache opens its file once the first files are old enough to be remembered.
    assert sum(1 for _ in folder.iterdir()) <= before + 1
    started = [entry for entry in tracker.project.log.read() if isinstance(entry.event, StepStarted)]
    assert len(started) == 301


def test_inputs_by_path_and_by_result_of_the_same_file_are_the_same_step(tracker: Tracker) -> None:
    first = tracker.run(step, outputs=["o"])
    tracker.run(copy, inputs={"x": first}, outputs=["o"])
    again = tracker.run(copy, inputs={"x": first.outputs["o"].path}, outputs=["o"], execution_options=PATHS)
    assert again.cache_hit
    assert tracker.get_run_inputs(again.run.id)["x"] == first.output
