"""What is said of an input beside its content counts where the function gets to see it, and nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Artifact, ExecutionOptions, RunContext, RunResult, Tracker

CONTEXT = ExecutionOptions(inject_context=True)


def put(text: object) -> Path:
    path = consist.output_path("o", "txt")
    path.write_text(str(text))
    return path


def upstream(tracker: Tracker, **said: Any) -> RunResult:
    """A step whose output has the same bytes and name, and what is `said` of it."""

    def prepare(ctx: RunContext, said: dict[str, Any]) -> None:
        path = ctx.output_path("same", "txt")
        path.write_text("3")
        ctx.log_output(path, said.pop("key", "a"), **said)

    return tracker.run(prepare, config={"said": said}, execution_options=CONTEXT)


def use(a: Artifact) -> Path:
    return put([a.key, a.facet, dict(a.meta)])


def untyped(a: Any) -> Path:
    return put([a.key, a.facet, dict(a.meta)])


def handed(ctx: RunContext) -> Path:
    return put({name: [a.key, a.facet, dict(a.meta)] for name, a in ctx.inputs.items()})


def given(inputs: dict[str, Any]) -> list[Artifact]:
    return [
        artifact for value in inputs.values() if isinstance(value, RunResult) for artifact in value.outputs.values()
    ]


def traced(tracker: Tracker, inputs: Any) -> tuple[bool, str]:
    with tracker.trace("t", inputs=inputs, outputs=["o"]) as t:
        hit: bool = t.is_cached
        if not hit:
            t.log_output(put([[a.key, a.facet, dict(a.meta)] for a in given(inputs)]), "o")
    return hit, tracker.get_run_outputs("t")["o"].path.read_text()


def ran(function: Callable[..., Path], **options: Any) -> Callable[[Tracker, Any], tuple[bool, str]]:
    def call(tracker: Tracker, inputs: Any) -> tuple[bool, str]:
        result = tracker.run(function, inputs=inputs, outputs=["o"], **options)
        assert result.output is not None
        return result.cache_hit, result.output.path.read_text()

    return call


SEEING = {
    "annotated": ran(use),
    "bound as artifacts": ran(untyped, execution_options=ExecutionOptions(input_binding="artifacts")),
    "by the context": ran(handed, execution_options=CONTEXT),
    "in a trace": traced,
}
CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"units": "km"}, {"units": "miles"}),
    ({"units": 1}, {"units": True}),
    ({}, {"units": None}),
    ({"facet": {"year": 2020}}, {"facet": {"year": 2030}}),
    ({"facet": {"year": 2020}}, {"year": 2020}),
    ({"key": "a"}, {"key": "b"}),
]


@pytest.mark.parametrize("how", SEEING)
@pytest.mark.parametrize(("one", "other"), CHANGES)
def test_what_a_function_sees_of_an_artifact_counts(
    tracker: Tracker, how: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    found = [SEEING[how](tracker, {"a": upstream(tracker, **said)}) for said in (one, other, one)]
    assert [hit for hit, _ in found] == [False, False, True]
    assert found[0][1] == found[2][1] != found[1][1]


def read(a: Path) -> Path:
    return put(a.read_text())


def read_text(a: str) -> Path:
    return put(Path(a).read_text())


def nothing() -> Path:
    return put("")


@pytest.mark.parametrize(
    "call",
    [ran(read), ran(read_text), ran(nothing), ran(nothing, execution_options=ExecutionOptions(input_binding="none"))],
)
def test_where_the_function_cannot_see_it_it_does_not_count(tracker: Tracker, call: Any) -> None:
    found = [call(tracker, {"a": upstream(tracker, **said)}) for pair in CHANGES for said in pair]
    assert [hit for hit, _ in found] == [False] + [True] * (len(found) - 1)


@pytest.mark.parametrize("how", SEEING)
def test_the_same_thing_recorded_anew_is_the_same_input(here: Path, how: str) -> None:
    said: dict[str, Any] = {"units": "km", "facet": {"year": 2020}, "span": (1, {"a"}), "nested": {"$x": [1.0, None]}}
    if how != "in a trace":  # the block takes it from a variable: a secret that is masked later is another value to it
        said |= {"access_token": "abcdefgh", "facet": {"password": "xyzxyz"}}
    (here / "x.csv").write_text("x\n1\n")
    found = []
    for mode in ("reuse", "overwrite", "reuse"):
        with Tracker(here / "runs") as tracker:
            found += [SEEING[how](tracker, {"a": given})[0] for given in (upstream_again(tracker, said, mode), "x.csv")]
    assert found == [False, False, True, True, True, True]


def upstream_again(tracker: Tracker, said: dict[str, Any], mode: str = "reuse") -> RunResult:
    def prepare() -> None:
        path = consist.output_path("same", "txt")
        path.write_text("3")
        consist.log_output(path, "a", **said)

    return tracker.run(prepare, config=None, cache_options=consist.CacheOptions(cache_mode=mode))


def test_an_edited_output_counts_by_its_bytes_not_by_the_record_that_it_replaces(tracker: Tracker) -> None:
    hits = []
    for _ in range(2):
        made = upstream_again(tracker, {}, "overwrite")
        made.outputs["a"].path.write_text("4")
        with pytest.warns(consist.ConsistWarning, match="was changed"):
            hits.append(ran(lambda a: put(len(a.meta)), execution_options=SEEN)(tracker, {"a": made.outputs["a"]})[0])
    assert hits == [False, True]


SEEN = ExecutionOptions(input_binding="artifacts")


def test_the_miss_names_what_is_said_otherwise_and_no_secret(tracker: Tracker) -> None:
    for units, token in (("km", "abcdefgh"), ("miles", "abcdefgh"), ("miles", "ijklmnop")):
        tracker.run(use, inputs={"a": upstream(tracker, units=units, token=token)}, outputs=["o"])
    last, second, _ = (run.why() for run in tracker.find_runs(name="use"))
    said = "input 'a'.metadata.units: 'km' -> 'miles', with the same content"
    assert (second.reason, second.differs) == ("inputs_changed", [said])
    assert last.differs == ["input 'a'.metadata.token: masked -> masked (changed), with the same content"]


def test_an_artifact_that_is_passed_on_is_the_same_input_in_the_next_process(here: Path) -> None:
    def passed(a: Artifact) -> dict[str, Artifact]:
        return {"z": a}

    hits = []
    for _ in range(2):
        with Tracker(here / "runs") as tracker:
            first = upstream_again(tracker, {"units": "km"})
            again = tracker.run(passed, inputs={"a": first}, outputs=["z"])
            hits.append((again.cache_hit, tracker.run(use, inputs={"a": again}, outputs=["o"]).cache_hit))
    assert hits == [(False, False), (True, True)]
