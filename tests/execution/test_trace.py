"""A block of code as a step: it runs every time, and its record says whether it would have had to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ConsistWarning, ScenarioContext, Tracker, errors


def make(sc: ScenarioContext, text: str = "a\n", **options: Any) -> bool:
    """One trace, written as a user would: produce on a miss, reuse on a hit. True where it hit."""
    with sc.trace("sim", outputs=["o"], **options) as t:
        hit: bool = t.is_cached
        if not hit:
            path = consist.output_path("o", "txt")
            path.write_text(text)
            t.log_output(path, "o")
        else:
            assert t.cached_output("o") is not None
        return hit


def test_the_block_runs_every_time_and_knows_of_the_hit(tracker: Tracker) -> None:
    hits = []
    for _ in range(3):
        with tracker.scenario("s") as sc:
            hits.append(make(sc))
            assert sc.coupler["o"].path.read_text() == "a\n"
    assert hits == [False, True, True]
    assert [run.id for run in reversed(tracker.find_runs(name="sim"))] == ["s_sim", "s_sim#2", "s_sim#3"]
    latest = tracker.get_run("s_sim")
    assert latest is not None
    assert (latest.kind, latest.meta["cache_source"]) == ("trace", "s_sim")


def test_a_trace_in_a_loop_is_an_attempt_each_with_a_folder_each(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        for year in (2020, 2030, 2040):
            make(sc, text=f"{year}\n", year=year)
    runs = tracker.find_runs(name="sim")
    assert [run.year for run in reversed(runs)] == [2020, 2030, 2040]
    assert len({run.artifact_dir for run in runs}) == 3
    first = tracker.get_run_outputs("s_sim#1")["o"]
    assert first.path.read_text() == "2020\n"


def test_the_block_and_the_values_it_reads_are_its_code(tracker: Tracker) -> None:
    def once(value: int) -> bool:
        with tracker.trace("t", outputs=["o"]) as t:
            hit = t.is_cached
            path = consist.output_path("o", "txt")
            path.write_text(f"{value}\n")
            if not hit:
                t.log_output(path, "o")
        return hit

    assert [once(1), once(1), once(2), once(1)] == [False, True, False, True]


def test_another_block_of_the_same_name_is_another_step(tracker: Tracker) -> None:
    with tracker.trace("t") as t:
        t.log_meta(a=1)
    with tracker.trace("t") as t:
        assert not t.is_cached
        t.log_meta(b=1)


def test_inputs_count(tracker: Tracker, here: Path) -> None:
    (here / "x.txt").write_text("1")
    with tracker.scenario("s") as sc:
        assert not make(sc, inputs={"x": "x.txt"})
        assert make(sc, inputs={"x": "x.txt"})
        (here / "x.txt").write_text("2")
        assert not make(sc, inputs={"x": "x.txt"})
        assert not make(sc, input_keys=["o"])


def test_outputs_are_in_the_coupler_when_the_block_has_ended_and_never_of_a_block_that_failed(
    tracker: Tracker,
) -> None:
    with tracker.scenario("s") as sc:
        with sc.trace("good") as t:
            path = consist.output_path("o", "txt")
            path.write_text("a")
            t.log_output(path, "o")
            assert "o" not in sc.coupler
        assert "o" in sc.coupler
        with pytest.raises(ZeroDivisionError), sc.trace("bad") as t:
            _ = 1 // (t.log_output(path, "half").size or 0) // 0
        assert "half" not in sc.coupler
    assert [(run.name, run.status) for run in tracker.find_runs(kind="trace")] == [
        ("bad", "failed"),
        ("good", "completed"),
    ]


def test_the_blocks_own_error_is_the_one_that_is_raised_and_recorded(tracker: Tracker) -> None:
    with pytest.raises(ZeroDivisionError), tracker.trace("t", outputs=["z"], output_missing="error"):
        _ = 1 // 0
    run = tracker.get_run("t")
    assert run is not None
    assert run.meta["error"] == "integer division or modulo by zero"


def test_a_missing_output_warns_by_default_and_raises_where_asked(tracker: Tracker) -> None:
    with pytest.warns(ConsistWarning, match="'z'"), tracker.trace("t", outputs=["z"]):
        pass
    with pytest.raises(errors.OutputError, match="'z'"), tracker.trace("t", outputs=["z"], output_missing="error"):
        pass
    run = tracker.get_run("t")
    assert run is not None
    assert run.status == "failed"


def other_output(tracker: Tracker, key: str, text: str) -> None:
    """Logs an output of another key or content whenever it is called."""
    with tracker.trace("demoted", year=1) as t:
        path = consist.output_path("file", "txt")
        path.write_text(Path("text").read_text())
        t.log_output(path, Path("key").read_text())


def test_a_block_that_makes_an_output_of_its_own_takes_the_hit_back(tracker: Tracker, here: Path) -> None:
    tracker = Tracker(tracker.run_dir, tracker.db_path, observe="off")  # else the files that it reads would count
    (here / "key").write_text("o")
    (here / "text").write_text("1")
    other_output(tracker, "o", "1")
    (here / "text").write_text("2")
    with pytest.warns(ConsistWarning, match="the hit no longer counts"):
        other_output(tracker, "o", "2")
    run = tracker.get_run("demoted")
    assert run is not None
    assert run.status == "completed"
    assert "cache_hit" not in run.meta
    outputs = tracker.get_run_outputs("demoted")
    assert {key: artifact.path.read_text() for key, artifact in outputs.items()} == {"o": "2"}


def test_logging_the_cached_file_again_keeps_the_hit(tracker: Tracker) -> None:
    def once() -> bool:
        with tracker.trace("t", outputs=["o"]) as t:
            hit = t.is_cached
            cached = t.cached_output("o")
            path = cached.path if cached else consist.output_path("o", "txt")
            if not cached:
                path.write_text("a")
            t.log_output(path, "o")
        return hit

    assert [once(), once()] == [False, True]
    assert tracker.find_runs()[0].meta["cache_hit"] is True


def test_declared_and_captured_files_of_a_block_are_its_outputs(tracker: Tracker, here: Path) -> None:
    with tracker.trace("t", output_paths={"a": "a.txt"}, capture_dir=here / "out"):
        (consist.output_dir() / "a.txt").write_text("a")
        (here / "out" / "b.txt").write_text("b")
    assert list(tracker.get_run_outputs("t")) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"cache_mode": "resue"}, errors.OptionError),
        ({"output_missing": "eror"}, errors.OptionError),
        ({"validate_cached_outputs": "lasy"}, errors.OptionError),
        ({"year": "2030"}, errors.UsageTypeError),
        ({"config": {"a": object()}}, errors.ConfigTypeError),
        ({"inputs": {"x": "nope"}}, errors.InputError),
        ({"nope": 1}, TypeError),
    ],
)
def test_a_trace_held_wrong_is_refused_before_its_block(
    tracker: Tracker, options: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind), tracker.trace("t", **options):
        pytest.fail("the block ran")
    assert tracker.find_runs() == []


@contextmanager
def timed(within: Tracker | ScenarioContext) -> Iterator[Any]:
    with within.trace("t", outputs=["o"]) as t:
        yield t


def traced(within: Tracker | ScenarioContext) -> Any:
    return within.trace("t", outputs=["o"])


@pytest.mark.parametrize("enter", [timed, traced])
@pytest.mark.parametrize("inside", [True, False])
def test_blocks_that_a_helper_enters_do_not_answer_for_each_other(
    tracker: Tracker, enter: Callable[[Any], Any], inside: bool
) -> None:
    def one(within: Any) -> bool:
        with enter(within) as t:
            hit: bool = t.is_cached
            path = consist.output_path("o", "txt")
            if not hit:
                path.write_text("one")
                t.log_output(path, "o")
        return hit

    def two(within: Any) -> bool:
        with enter(within) as t:
            hit: bool = t.is_cached
            path = consist.output_path("o", "txt")
            if not hit:
                path.write_text("two")
                t.log_output(path, "o")
        return hit

    hits = []
    for block in (one, two, one, two):
        with tracker.scenario("s") as sc:
            hits.append(block(sc if inside else tracker))
    assert hits == [False, False, True, True]


def test_a_trace_in_an_exit_stack_is_never_reused_and_says_why(tracker: Tracker) -> None:
    for text in ("1", "2"):
        with ExitStack() as stack:
            t = stack.enter_context(tracker.trace("t", outputs=["o"]))
            assert not t.is_cached
            path = consist.output_path("o", "txt")
            path.write_text(text)
            t.log_output(path, "o")
    why = tracker.find_runs()[0].why()
    assert why.reason == "not_identifiable"
    assert "without a `with` statement around the block" in why.differs[0]
    assert "test_trace.py:test_a_trace_in_an_exit_stack" in why.differs[0]
