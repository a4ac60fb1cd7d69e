"""The same model code with tracking on and off: what it returns, raises and leaves on disk is the same."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import BindingResult, ConsistWarning, ExecutionOptions, NoopTracker, RunContext, Tracker, errors
from tests.support.api import PATHS, made

Opened = Callable[[], Any]
INJECT = ExecutionOptions(inject_context=True)


@contextmanager
def tracked() -> Iterator[Any]:
    with Tracker(run_dir="runs", db_path="project.db") as tracker, tracker.scenario("s", config={"a": 1}) as sc:
        yield sc


@contextmanager
def untracked() -> Iterator[Any]:
    with consist.scenario("s", enabled=False, config={"a": 1}) as sc:
        yield sc


MODES = pytest.mark.parametrize("mode", [tracked, untracked])


def prepare(raw: Path, factor: float) -> Path:
    return made("prepared", f"{int(raw.read_text()) * factor}\n")


def analyze(prepared: Path, ctx: RunContext) -> dict[str, Path]:
    assert list(ctx.inputs) == ["prepared"]
    ctx.log_meta(seen=True)
    notes = ctx.output_path("notes", "txt")
    notes.write_text("n\n")
    return {"analysis": made("analysis", f"<{prepared.read_text().strip()}>\n"), "notes": notes}


def frame() -> Any:
    return pytest.importorskip("pyarrow").table({"a": [1, 2]})


@MODES
def test_a_whole_model_runs_the_same(here: Path, mode: Opened) -> None:
    (here / "raw.txt").write_text("2")
    with mode() as sc:
        sc.add_input("raw.txt", "raw")
        sc.require_outputs("analysis", description={"analysis": "the result"})
        first = sc.run(prepare, inputs={"raw": "raw.txt"}, config={"factor": 1.5}, outputs=["prepared"])
        second = sc.run(analyze, input_keys=["prepared"], outputs=["analysis", "notes"], execution_options=INJECT)
        third = sc.run(frame, outputs=["table"])
        with sc.trace("inline", outputs=["late"]) as t:
            assert not t.is_cached
            t.log_output(made("late", "l\n"), "late")
        assert (first.cache_hit, first.run.status, first.output.path.read_text()) == (False, "completed", "3.0\n")
        assert [artifact.path.read_text() for artifact in second.outputs.values()] == ["<3.0>\n", "n\n"]
        assert third.output.schema == {"a": "int64"}
        assert list(sc.coupler) == ["prepared", "analysis", "notes", "table", "late"]
        assert sc.coupler.path("late").read_text() == "l\n"
        assert (sc.name, sc.run_id, dict(sc.config), list(sc.inputs)) == ("s", "s", {"a": 1}, ["raw"])
        assert consist.ref(second, key="notes").path.name == "notes.txt"


def no_argument(nowhere: int) -> None:
    raise AssertionError("never called")


@consist.require_runtime_kwargs("handle")
def needs_handle(handle: object) -> None:
    raise AssertionError("never called")


def fails() -> None:
    raise ZeroDivisionError("planned")


MISTAKES: dict[str, tuple[Callable[[Any], object], type[Exception]]] = {
    "a missing input": (lambda sc: sc.run(prepare, inputs={"raw": "nope"}), errors.InputError),
    "a missing coupler key": (lambda sc: sc.run(prepare, input_keys=["nope"]), errors.MissingKeyError),
    "a missing argument": (lambda sc: sc.run(no_argument), errors.CallError),
    "a misspelt keyword": (lambda sc: sc.run(fails, inptus={}), TypeError),
    "a misspelt option": (lambda sc: sc.trace("t", cache_mode="resue").__enter__(), errors.OptionError),
    "runtime kwargs": (lambda sc: sc.run(needs_handle), errors.RuntimeArgumentError),
    "two ways to bind": (lambda sc: sc.run(fails, inputs={}, binding=BindingResult()), errors.UsageError),
    "a config without form": (lambda sc: sc.run(fails, config={"a": object()}), errors.ConfigTypeError),
    "a bad key": (lambda sc: sc.run(fails, outputs=["a b"]), errors.KeyNameError),
    "a missing output": (lambda sc: sc.run(lambda: None, name="n", outputs=["o"]), errors.OutputError),
    "a value that is no output": (lambda sc: sc.run(lambda: 3, name="n", outputs=["o"]), errors.ReturnTypeError),
    "its own exception": (lambda sc: sc.run(fails), ZeroDivisionError),
}


@MODES
@pytest.mark.parametrize(("use", "kind"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_the_same_exception(
    here: Path, mode: Opened, use: Callable[[Any], object], kind: type[Exception]
) -> None:
    with mode() as sc, pytest.raises(kind):
        use(sc)


@MODES
def test_required_outputs_are_enforced(here: Path, mode: Opened) -> None:
    with pytest.raises(errors.RequiredOutputsError, match="late"), mode() as sc:
        sc.require_outputs("late")


@MODES
def test_a_step_that_failed_does_not_stop_the_next(here: Path, mode: Opened) -> None:
    with mode() as sc:
        with pytest.raises(ZeroDivisionError):
            sc.run(fails)
        assert sc.run(made, outputs=["o"]).output.path.read_text() == "x\n"


def test_without_tracking_every_step_runs_and_nothing_is_recorded(here: Path) -> None:
    calls: list[int] = []

    def step() -> Path:
        calls.append(1)
        return made()

    tracker = consist.create_tracker(enabled=False)
    for _ in range(2):
        assert not tracker.run(step, outputs=["o"]).cache_hit
    assert len(calls) == 2
    assert [path.name for path in here.iterdir()] == ["consist_outputs"]
    assert list(here.rglob("*.db")) == list(here.rglob("*.events")) == []
    tracker.close()


def test_untracked_outputs_go_where_they_are_asked_to_go(here: Path) -> None:
    with NoopTracker("scratch") as tracker:
        assert tracker.run(made, outputs=["o"]).output_path("o").is_relative_to(here / "scratch")
    with Tracker(run_dir="runs") as real, consist.use_tracker(real), consist.scenario("s", enabled=False) as sc:
        assert sc.run(made, outputs=["o"]).output_path("o").is_relative_to(here / "runs")
    assert list((here / "runs").glob("*.events")) == []  # the real tracker was asked for nothing


def test_untracked_code_leaves_nothing_behind_when_it_is_forgotten(here: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tracker = NoopTracker()
        tracker.run(made, outputs=["o"])
        scratch = tracker.project.folder.parent
        assert scratch.is_dir()
        del tracker
        gc.collect()
    assert not scratch.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not say what is open")
def test_untracked_code_has_nothing_open_when_it_is_forgotten(here: Path) -> None:
    def open_files() -> Iterator[str]:
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the listing itself
                yield str(entry.readlink())

    tracker = NoopTracker()
    tracker.run(made, outputs=["o"])
    project = tracker.project  # else its files would be closed by the garbage collector, which warns of that
    scratch = str(project.folder.parent)
    assert [name for name in open_files() if name.startswith(scratch)]
    del tracker
    gc.collect()
    assert [name for name in open_files() if name.startswith(scratch)] == []


def test_noop_scenario_takes_what_scenario_takes(here: Path) -> None:
    with consist.noop_scenario("s", config={"a": 1}, step_tags=["t"]) as sc:
        assert sc.run(made, name="m", outputs=["o"]).run.tags == ["t"]


def test_a_tracker_factory_that_fails_leaves_the_model_running_untracked(here: Path) -> None:
    def broken() -> Tracker:
        raise OSError("no disk")

    with pytest.warns(ConsistWarning, match=r"no disk.*NOT recorded"):
        tracker = consist.create_tracker(tracker_factory=broken)
    assert isinstance(tracker, NoopTracker)
    with pytest.raises(errors.UsageError, match="tracker_factory="):
        consist.create_tracker()
    with consist.create_tracker(tracker_factory=lambda: Tracker(run_dir="runs")) as real:
        assert real.run(made, name="m", outputs=["o"]).output_path("o").exists()
    assert (here / "runs" / "provenance.events").is_dir()


@MODES
def test_set_from_artifact_takes_what_either_mode_gives(here: Path, mode: Opened) -> None:
    def logs() -> None:
        consist.log_output(made("o"), "o")

    with mode() as sc:
        result = sc.run(logs, outputs=["o"])
        sc.coupler.set_from_artifact("again", result.output)
        sc.coupler.set_from_artifact("plain", Path("x.txt"))
        sc.coupler.set_from_artifact("text", "y.txt")
        assert [sc.coupler.path(key).name for key in ("again", "plain", "text")] == ["o.txt", "x.txt", "y.txt"]
        assert sc.run(prepare, inputs={"raw": _number(here)}, config={"factor": 1}, execution_options=PATHS).outputs


def _number(here: Path) -> Path:
    (here / "n.txt").write_text("3")
    return here / "n.txt"
