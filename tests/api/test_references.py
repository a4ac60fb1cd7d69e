"""`ref`, `refs` and results as inputs."""

from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import RunResult, Tracker, errors
from tests.support.api import made


class Alike:
    """A result from somewhere else."""

    outputs = {"x": "x.txt"}  # noqa: RUF012
    cache_hit = False


@pytest.fixture
def results(tracker: Tracker) -> dict[str, RunResult]:
    def two() -> dict[str, Path]:
        return {"a": made("a"), "b": made("b")}

    return {
        "one": tracker.run(lambda: made(), name="one", outputs=["o"]),
        "two": tracker.run(two, outputs=["a", "b"]),
        "none": tracker.run(lambda: None, name="none"),
    }


def test_ref_gives_one_output(results: dict[str, RunResult]) -> None:
    assert consist.ref(results["one"]) == results["one"].output
    assert consist.ref(results["two"], "b") == consist.ref(results["two"], key="b") == results["two"].outputs["b"]
    assert consist.ref(Alike()) == "x.txt"


@pytest.mark.parametrize(
    ("name", "key", "kind", "said"),
    [
        ("two", "c", errors.MissingKeyError, "'c'. Available: 'a', 'b'"),
        ("two", None, errors.UsageError, "several outputs ('a', 'b')"),
        ("none", None, errors.UsageError, "no outputs"),
    ],
)
def test_ref_says_what_there_is(
    results: dict[str, RunResult], name: str, key: str | None, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind) as caught:
        consist.ref(results[name], key)
    assert said in str(caught.value)


def test_refs_in_all_its_forms(results: dict[str, RunResult]) -> None:
    one, two = results["one"], results["two"]
    o, a, b = one.outputs["o"], two.outputs["a"], two.outputs["b"]
    assert consist.refs(two) == {"a": a, "b": b}
    assert consist.refs(two, "b") == {"b": b}
    assert consist.refs(two, {"alias": "a"}, "b") == {"alias": a, "b": b}
    assert consist.refs((one, "o"), (two,)) == {"o": o, "a": a, "b": b}
    assert consist.refs(x=(two, "a"), y=one) == {"x": a, "y": o}
    assert consist.refs(two, "a", y=one) == {"a": a, "y": o}


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda r: consist.refs(), errors.UsageError),
        (lambda r: consist.refs(r["none"]), errors.UsageError),
        (lambda r: consist.refs(r["two"], {}), errors.UsageError),
        (lambda r: consist.refs(r["two"], {"a": 3}), errors.UsageTypeError),
        (lambda r: consist.refs(r["two"], 3), errors.UsageTypeError),
        (lambda r: consist.refs("two"), errors.UsageTypeError),
        (lambda r: consist.refs(x="two"), errors.UsageTypeError),
        (lambda r: consist.refs((r["two"], "a"), a=r["one"]), errors.UsageError),
        (lambda r: consist.refs(x=r["two"]), errors.UsageError),
        (lambda r: consist.refs(r["two"], "nope"), errors.MissingKeyError),
        (lambda r: consist.ref(r), errors.UsageTypeError),
    ],
)
def test_refs_held_wrong_is_refused(results: dict[str, RunResult], use: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        use(results)


def test_a_result_gives_paths_and_a_copy_of_its_outputs(results: dict[str, RunResult]) -> None:
    two = results["two"]
    assert two.output_path("a") == two.outputs["a"].path
    two.as_dict().clear()
    assert list(two.outputs) == ["a", "b"]
    with pytest.raises(errors.MissingKeyError, match="'a', 'b'"):
        two.output_path("c")
    assert results["none"].output is None


def test_the_result_of_an_earlier_run_can_be_used_again(tracker: Tracker, results: dict[str, RunResult]) -> None:
    again = tracker.get_run_result("two")
    assert list(again.outputs.items()) == list(results["two"].outputs.items())
    assert list(tracker.get_run_result("two", keys="b").outputs) == ["b"]
    with pytest.raises(errors.MissingKeyError, match="'c'"):
        tracker.get_run_result("two", keys=["c"])
    with pytest.raises(errors.MissingKeyError, match="nearest"):
        tracker.get_run_result("nope")
