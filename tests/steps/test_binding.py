"""What each parameter of a step's function receives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa
import pytest

import consist_es as consist
from consist_es import Artifact, BindingResult, ExecutionOptions, RunContext, Tracker, errors
from tests.support.api import NONE, PATHS, made

LOADED = ExecutionOptions(input_binding="loaded")
ARTIFACTS = ExecutionOptions(input_binding="artifacts")
seen: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()


@pytest.fixture
def files(here: Path) -> Path:
    (here / "t.csv").write_text("a\n1\n2\n")
    (here / "t.txt").write_text("text\n")
    (here / "t.json").write_text('{"a": 1, "b": {"c": 2}}')
    return here


def plain(x):  # type: ignore[no-untyped-def]
    seen.append(x)


def path(x: Path) -> None:
    seen.append(x)


def text(x: str) -> None:
    seen.append(x)


def artifact(x: Artifact) -> None:
    seen.append(x)


def table(x: pa.Table) -> None:
    seen.append(x)


def optional_path(x: Optional[Path] = None) -> None:  # noqa: UP045  the older spelling is what many models use
    seen.append(x)


def tuned(growth: float = 1.0, rate_2020: float = 1.0, *, zones: Path | None = None) -> None:
    seen.append((growth, rate_2020, zones))


def whole(config: Any, growth: float = 1.0) -> None:
    seen.append((config, growth))


def grows(growth: float = 1.0, **more: Any) -> None:
    seen.append((growth, more))


def with_context(ctx: RunContext, growth: float = 1.0) -> None:
    seen.append((ctx.config, growth))


def union_path(x: Path | None = None) -> None:
    seen.append(x)


def quoted(x: "Path") -> None:
    seen.append(x)


def unknown_type(x: "NotDefinedAnywhere") -> None:  # type: ignore[name-defined]  # noqa: F821
    seen.append(x)


def anything(x: Any) -> None:
    seen.append(x)


@pytest.mark.parametrize(
    ("fn", "file", "options", "kind"),
    [
        (path, "t.csv", None, "PosixPath"),
        (path, "t.csv", LOADED, "PosixPath"),
        (path, "t.csv", ARTIFACTS, "PosixPath"),
        (quoted, "t.csv", None, "PosixPath"),
        (optional_path, "t.csv", None, "PosixPath"),
        (union_path, "t.csv", LOADED, "PosixPath"),
        (artifact, "t.csv", None, "Artifact"),
        (artifact, "t.csv", PATHS, "Artifact"),
        (artifact, "t.csv", LOADED, "Artifact"),
        (text, "t.csv", None, "str"),
        (table, "t.csv", None, "Table"),
        (table, "t.csv", LOADED, "Table"),
        (plain, "t.csv", None, "DataFrame"),
        (plain, "t.csv", LOADED, "DataFrame"),
        (plain, "t.csv", PATHS, "PosixPath"),
        (plain, "t.csv", ARTIFACTS, "Artifact"),
        (plain, "t.txt", None, "Artifact"),
        (plain, "t.txt", PATHS, "PosixPath"),
        (plain, "t.json", None, "dict"),
        (anything, "t.csv", None, "DataFrame"),
        (anything, "t.txt", None, "Artifact"),
    ],
)
def test_the_annotation_and_the_binding_decide_what_a_parameter_receives(
    tracker: Tracker, files: Path, fn: Callable[..., Any], file: str, options: ExecutionOptions | None, kind: str
) -> None:
    if kind == "DataFrame":
        pytest.importorskip("pandas")
    tracker.run(fn, inputs={"x": file}, execution_options=options)
    assert [type(value).__name__ for value in seen] == [kind]


def test_text_that_no_driver_loads_is_refused_when_loading_is_asked_for(tracker: Tracker, files: Path) -> None:
    with pytest.raises(errors.LoadError, match="No driver loads 'txt'"):
        tracker.run(plain, inputs={"x": "t.txt"}, execution_options=LOADED)


def test_without_binding_the_default_stays_and_the_inputs_still_count(tracker: Tracker, files: Path) -> None:
    tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=NONE)
    assert seen == [None]
    assert tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=NONE).cache_hit
    (files / "t.csv").write_text("a\n9\n")
    assert not tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=NONE).cache_hit


def test_a_run_whose_inputs_were_not_bound_never_answers_for_one_whose_inputs_are(
    tracker: Tracker, files: Path
) -> None:
    tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=NONE)
    assert not tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=PATHS).cache_hit
    assert seen == [None, files / "t.csv"]


def test_a_run_without_the_context_never_answers_for_one_that_is_given_it(tracker: Tracker) -> None:
    def maybe(ctx: Any = None) -> None:
        seen.append(ctx is None)

    tracker.run(maybe)
    assert not tracker.run(maybe, execution_options=ExecutionOptions(inject_context="ctx")).cache_hit
    assert seen == [True, False]


def test_config_values_and_labels_bind_by_name(tracker: Tracker) -> None:
    def step(a: int, year: int, stage: str, b: int = 5, *, c: str) -> None:
        seen.append((a, year, stage, b, c))

    tracker.run(step, config={"a": 1, "c": "x", "unused": 0}, year=2030, stage="warm")
    assert seen == [(1, 2030, "warm", 5, "x")]


def test_a_parameter_named_config_receives_the_whole_config(tracker: Tracker) -> None:
    def step(config: dict[str, int], a: int) -> None:
        seen.append((config, a))

    tracker.run(step, config={"a": 1, "b": 2})
    assert seen == [({"a": 1, "b": 2}, 1)]


def test_runtime_kwargs_win_and_are_no_part_of_the_identity(tracker: Tracker) -> None:
    def step(a: int, handle: object) -> Path:
        assert type(handle) is object
        return made()

    one, two = object(), object()
    tracker.run(step, config={"a": 1}, execution_options=ExecutionOptions(runtime_kwargs={"handle": one}))
    hit = tracker.run(step, config={"a": 1}, execution_options=ExecutionOptions(runtime_kwargs={"handle": two}))
    assert hit.cache_hit


def test_an_input_wins_over_a_config_value_of_its_name(tracker: Tracker, files: Path) -> None:
    tracker.run(path, inputs={"x": "t.csv"}, config={"x": 1})
    assert seen == [files / "t.csv"]


def test_var_keywords_take_runtime_kwargs_and_nothing_else(tracker: Tracker, files: Path) -> None:
    def step(**rest: Any) -> None:
        seen.append(rest)

    options = ExecutionOptions(runtime_kwargs={"handle": 1})
    tracker.run(step, inputs={"x": "t.csv"}, config={"a": 1}, execution_options=options)
    assert seen == [{"handle": 1}]


def test_input_keys_bind_like_inputs(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: made("clean"), name="clean", outputs=["clean"])

        def use(clean: Path, maybe: Path | None = None) -> None:
            seen.append((clean.read_text(), maybe))

        sc.run(use, input_keys=["clean"], optional_input_keys=["maybe"])
        sc.run(use, binding=BindingResult(input_keys="clean", optional_input_keys="maybe"))
    assert seen == [("x\n", None)]  # the second one is a hit: both say the same


def test_a_list_of_coupler_keys_binds_by_name_where_binding_is_asked_for(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(lambda: made("x"), name="first", outputs=["x"])
        sc.run(path, inputs=["x"], execution_options=PATHS)
    assert [value.name for value in seen] == ["x.txt"]


def test_unnamed_inputs_cannot_be_bound_and_the_message_says_how_to(tracker: Tracker, files: Path) -> None:
    with pytest.raises(errors.BindingError, match=r"named inputs: pass inputs=\{'parameter'"):
        tracker.run(path, inputs=["t.csv"], execution_options=PATHS)


@pytest.mark.parametrize("name", ["ctx", "_consist_ctx", "whatever"])
def test_inject_context_finds_its_parameter(tracker: Tracker, name: str) -> None:
    space: dict[str, Any] = {"seen": seen, "RunContext": RunContext}
    hint = ": RunContext" if name == "whatever" else ""
    exec(f"def step({name}{hint}):\n    seen.append({name}.run_id)", space)
    tracker.run(space["step"], execution_options=ExecutionOptions(inject_context=True))
    assert seen == ["step"]


def test_the_annotation_wins_over_the_name_ctx(tracker: Tracker) -> None:
    def step(run: RunContext, ctx: int = 5) -> None:
        seen.append((run.run_id, ctx))

    tracker.run(step, execution_options=ExecutionOptions(inject_context=True))
    assert seen == [("step", 5)]


def test_load_inputs_is_the_older_form_of_input_binding(tracker: Tracker, files: Path) -> None:
    tracker.run(union_path, inputs={"x": "t.csv"}, execution_options=ExecutionOptions(load_inputs=False))
    assert seen == [None]
    with pytest.raises(errors.UsageError, match="same thing"):
        ExecutionOptions(load_inputs=True, input_binding="paths")


def test_required_runtime_kwargs_are_checked_before_the_look_up(tracker: Tracker) -> None:
    @consist.require_runtime_kwargs("handle")
    def step(handle: object) -> Path:
        return made()

    tracker.run(step, execution_options=ExecutionOptions(runtime_kwargs={"handle": 1}))
    before = tracker.project.log.head().seq
    with pytest.raises(errors.RuntimeArgumentError, match="handle"):
        tracker.run(step)
    assert tracker.project.log.head().seq == before


# ---------------------------------------------------------------- names that may be misspelt


def test_a_config_key_near_to_a_parameter_that_keeps_its_default_is_a_warning(tracker: Tracker) -> None:
    said = r"Step 'tuned': no parameter takes config\['grwoth'\], and 'growth' keeps its default"
    with pytest.warns(consist.ConsistWarning, match=said) as caught:
        tracker.run(tuned, config={"grwoth": 1.2})
    assert len(caught) == 1
    assert seen == [(1.0, 1.0, None)]


def test_an_input_near_to_a_parameter_that_keeps_its_default_is_a_warning(tracker: Tracker, files: Path) -> None:
    with pytest.warns(consist.ConsistWarning, match=r"no parameter takes inputs\['zone'\], and 'zones' keeps"):
        tracker.run(tuned, inputs={"zone": "t.csv"})


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (tuned, {"config": {"demand": 1.2, "wroth": 1}}),  # not near
        (tuned, {"config": {"growth": 1.2, "grwoth": 1.2}}),  # the parameter has its value
        (tuned, {"config": {"rate_2030": 1.2}}),  # another number is another name
        (whole, {"config": {"grwoth": 1.2}}),
        (grows, {"config": {"grwoth": 1.2}}),
        (with_context, {"config": {"grwoth": 1.2}, "execution_options": ExecutionOptions(inject_context=True)}),
        (tuned, {"inputs": {"zone": "t.csv"}, "execution_options": NONE}),
    ],
)
def test_a_name_that_may_be_meant_so_is_no_warning(
    tracker: Tracker, files: Path, fn: Callable[..., None], arguments: dict[str, Any]
) -> None:
    tracker.run(fn, **arguments)


def test_what_was_replaced_in_a_function_since_it_ran_is_bound_as_it_is_now(tracker: Tracker, files: Path) -> None:
    got: list[Any] = []

    def step(table: Path, growth: float = 1.0) -> None:
        got.append((table, growth))

    def another(table: str, wage: float = 2.0) -> None:
        got.append((table, wage))

    def run() -> Any:
        got.clear()
        tracker.run(step, inputs={"table": "t.csv"}, cache_options=consist.CacheOptions(cache_mode="overwrite"))
        return got[0]

    here = Path("t.csv").absolute()
    assert run() == (here, 1.0)
    step.__annotations__["table"] = str
    assert run() == (str(here), 1.0)
    step.__annotations__["table"] = "Path"
    assert run() == (here, 1.0)
    step.__defaults__ = (3.0,)
    assert run() == (here, 3.0)
    step.__defaults__ = None
    with pytest.raises(errors.CallError, match="nothing supplies its parameter 'growth'"):
        run()
    step.__code__, step.__defaults__, step.__annotations__ = another.__code__, (2.0,), another.__annotations__
    assert run() == (str(here), 2.0)
