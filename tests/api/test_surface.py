"""Signatures that are written once hold for everything that takes them, and warnings name the user's line."""

import asyncio
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import BindingResult, ConsistWarning, ExecutionOptions, RunContext, ScenarioContext, Tracker
from consist_es.api.surface import StepKeywords, Steps
from tests.support.api import made

LOGGING = ["log_artifact", "log_artifacts", "log_input", "log_output", "log_dataframe", "log_meta", "capture_outputs"]


def takes(x: Path) -> Path:
    return made(text=x.read_text())


def test_calls_that_hand_keywords_on_take_those_of_run() -> None:
    """With the same types: what an editor offers for `arun` is what it offers for `run`."""
    parameters = dict(inspect.signature(Steps.run).parameters)
    keywords = {name: each.annotation for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    assert {name: each.__forward_arg__ for name, each in inspect.get_annotations(StepKeywords).items()} == keywords


@pytest.mark.parametrize("name", LOGGING)
def test_a_function_of_the_package_has_the_signature_of_the_method(name: str) -> None:
    of_method = [*inspect.signature(getattr(RunContext, name)).parameters.values()][1:]
    of_function = inspect.signature(getattr(consist, name))
    assert [*of_function.parameters.values()] == of_method
    assert getattr(consist, name).__module__ == "consist_es.api.functions"
    assert getattr(consist, name).__doc__


@pytest.mark.parametrize("call", ["run", "trace"])
def test_a_keyword_that_does_not_exist_is_refused_by_the_name_of_the_call(tracker: Tracker, call: str) -> None:
    with tracker.scenario("s") as sc:
        for holder in (tracker, sc):
            with pytest.raises(TypeError, match=rf"^{call}\(\) got an unexpected keyword argument 'colour'$"):
                getattr(holder, call)(name="x", colour="red")


def test_a_step_outside_scenarios_takes_a_binding_too(tracker: Tracker, here: Path) -> None:
    Path("in.csv").write_text("1")
    result = tracker.run(takes, binding=BindingResult(inputs={"x": "in.csv"}), outputs=["o"])
    assert result.output_path("o").read_text() == "1"
    with pytest.raises(consist.ConsistError, match="name coupler keys"):
        tracker.run(takes, binding=BindingResult(input_keys=["x"]))


MISSING: dict[str, Callable[[Tracker, RunContext], Any]] = {
    "RunContext.log_artifact": lambda _tracker, ctx: ctx.log_artifact("gone.csv", "o"),
    "RunContext.log_output": lambda _tracker, ctx: ctx.log_output("gone.csv", "o"),
    "RunContext.log_input": lambda _tracker, ctx: ctx.log_input("gone.csv", "o"),
    "RunContext.log_artifacts": lambda _tracker, ctx: ctx.log_artifacts({"o": "gone.csv"}),
    "Tracker.log_artifact": lambda tracker, _ctx: tracker.log_artifact("gone.csv", "o"),
    "Tracker.log_output": lambda tracker, _ctx: tracker.log_output("gone.csv", "o"),
    "log_artifact": lambda _tracker, _ctx: consist.log_artifact("gone.csv", "o"),
    "log_artifacts": lambda _tracker, _ctx: consist.log_artifacts({"o": "gone.csv"}),
    "log_input": lambda _tracker, _ctx: consist.log_input("gone.csv", "o"),
}


@pytest.mark.parametrize("call", MISSING)
def test_the_warning_of_a_file_that_is_not_there_names_the_line_that_logs_it(tracker: Tracker, call: str) -> None:
    def logs(ctx: RunContext) -> None:
        MISSING[call](tracker, ctx)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tracker.run(logs, execution_options=ExecutionOptions(inject_context=True))
    (warning,) = [each for each in caught if "is not at" in str(each.message)]
    assert (warning.filename, warning.lineno) == (__file__, MISSING[call].__code__.co_firstlineno)


def one(x: int = 0) -> Path:
    return made()


async def soon() -> Path:
    return made()


async def awaits(sc: ScenarioContext) -> None:
    await sc.arun(soon, outputs=["o"])


def traced(sc: ScenarioContext) -> None:
    with sc.trace("t"):
        consist.log_output(made(), "o")


UNDECLARED: dict[str, Callable[[ScenarioContext], Any]] = {
    "run": lambda sc: sc.run(one, outputs=["o"]),
    "set": lambda sc: sc.coupler.set("o", "x.csv"),
    "item": lambda sc: sc.coupler.__setitem__("o", "x.csv"),
    "update": lambda sc: sc.coupler.update(o="x.csv"),
    "view": lambda sc: sc.coupler.view("n").set("o", "x.csv"),
    "arun": lambda sc: asyncio.run(awaits(sc)),
    "trace": traced,
}


@pytest.mark.parametrize("call", UNDECLARED)
def test_the_warning_of_a_name_that_was_not_declared_is_given_in_the_users_file(tracker: Tracker, call: str) -> None:
    with tracker.scenario("s") as sc, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sc.declare_outputs("other", warn_undefined=True)
        UNDECLARED[call](sc)
    found = [each for each in caught if "never declared" in str(each.message)]
    assert [(each.category, each.filename) for each in found] == [(ConsistWarning, __file__)]
