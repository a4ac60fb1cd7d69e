"""`define_step` with functions of the context and keywords of the user's own, and what is collected from steps."""

from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ExecutionOptions, StepContext, Tracker, define_step, errors
from consist_es.lbnl.core.step_context import format_step_name, resolve_metadata
from consist_es.lbnl.utils import ArtifactKeyRegistry, collect_step_schema
from tests.support.api import made


def definition(fn: Any) -> Any:
    return fn.__consist_step__


def test_every_default_may_be_a_function_of_the_context(tracker: Tracker, here: Path) -> None:
    (here / "in.txt").write_text("1")
    seen: list[StepContext] = []

    def config(context: StepContext) -> dict[str, Any]:
        seen.append(context)
        return {"scale": context.require_runtime("settings")["scale"]}

    @define_step(
        model="traffic",
        adapter=lambda context: None,
        identity_inputs=lambda context: None,
        config=config,
        inputs={"x": Path("in.txt")},
        input_binding="paths",
        input_paths=lambda context: {"x": context.consist_workspace / "ws" / f"{context.year}.txt"},
        input_materialization="requested",
        cache_version=lambda context: 2,
    )
    def step(x: Path, settings: dict[str, Any]) -> Path:
        assert x == tracker.run_dir / "ws" / "2030.txt"
        return made(text=x.read_text())

    results = [tracker.run(step, year=2030, runtime_kwargs={"settings": {"scale": 3}}) for _ in range(2)]
    assert [result.cache_hit for result in results] == [False, True]
    assert results[0].run.config == {"scale": 3}
    assert results[0].run.meta["cache_version"] == 2
    assert (seen[0].model, seen[0].settings, seen[0].workspace) == ("traffic", {"scale": 3}, tracker.run_dir)


def test_the_call_wins_over_the_definition(tracker: Tracker, here: Path) -> None:
    (here / "in.txt").write_text("1")

    @tracker.define_step(input_binding="paths", input_paths={"x": "a.txt"}, input_materialization="requested")
    def step(x: Any) -> None:
        assert isinstance(x, consist.Artifact)

    options = ExecutionOptions(
        input_binding="artifacts", input_paths={"x": here / "runs" / "b.txt"}, input_materialization="requested"
    )
    tracker.run(step, inputs={"x": Path("in.txt")}, execution_options=options)
    assert (here / "runs" / "b.txt").exists()


def test_other_keywords_are_kept_and_misspelt_ones_are_refused() -> None:
    @define_step(model=lambda context: "m", owner="anna", checks=None)
    def step() -> None: ...

    assert definition(step).extra == {"owner": "anna", "checks": None}
    assert definition(step).model(StepContext(func_name="step")) == "m"
    assert definition(step).input_paths is None
    for name, meant in (("input_path", "input_paths"), ("ouputs", "outputs"), ("cache_modes", "cache_mode")):
        with pytest.raises(errors.UsageTypeError, match=f"does not take '{name}'. Is '{meant}' meant"):
            define_step(**{name: []})


def test_the_context_has_the_fields_that_clients_read() -> None:
    context = StepContext(func_name="f", consist_settings=7, consist_workspace=Path("/w"), runtime_state=1)
    assert (context.settings, context.workspace, context.state) == (7, Path("/w"), 1)
    assert (context.require_runtime("state"), context.get_runtime("settings")) == (1, None)
    context = StepContext(func_name="f", runtime_settings=5, runtime_kwargs={"settings": 6, "q": 2})
    assert (context.settings, context.require_runtime("settings"), context.get("q"), context["q"]) == (5, 6, 2, 2)
    with pytest.raises(errors.UsageError, match="needs the runtime kwarg 'workspace'"):
        context.require_runtime("workspace")
    assert format_step_name("{func_name}__y{year}", StepContext(func_name="f")) == "f__y"
    assert resolve_metadata(lambda context: context.func_name, context) == "f"


def test_keys_are_collected_from_steps() -> None:
    @define_step(outputs=["a"], output_paths={"b": "b.csv"}, description="made by one")
    def one() -> None: ...

    @define_step(schema_outputs=lambda context: [f"c_{context.settings}"], outputs=["hidden"])
    def two() -> None: ...

    @define_step(outputs=lambda context: context.require_runtime("workspace"))
    def three() -> None: ...

    with pytest.warns(consist.ConsistWarning, match="outputs of step 'three' needs more than the settings"):
        found = collect_step_schema(
            [one, two, three, test_keys_are_collected_from_steps], settings=9, extra_keys={"z": "last"}
        )
    assert found == {"z": "last", "a": "made by one", "b": "made by one", "c_9": ""}
    assert collect_step_schema([three], warn_unresolvable=False) == {}


def test_a_registry_knows_its_keys() -> None:
    class Base(ArtifactKeyRegistry):
        RAW = "raw"

    class Keys(Base):
        TRIPS = "trips"

    assert Keys.all_keys() == ["raw", "trips"]
    Keys.validate(["raw", "trips"], require_all=True)
    with pytest.raises(ValueError, match=r"Unknown artifact keys: \['trip'\]\. Known keys: \['raw', 'trips'\]"):
        Keys.validate(["trip"])
    with pytest.raises(ValueError, match=r"Missing artifact keys: \['raw'\]"):
        Keys.validate(["trips"], require_all=True)
