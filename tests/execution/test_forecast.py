"""A forecast says what a run would do, records nothing, and is never wrong."""

import itertools
import os
import random
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import consist_es as consist
from consist_es import CacheOptions, ExecutionOptions, Forecast, Tracker, errors
from consist_es.adapters import FolderAdapter
from tests.support.api import made

Op = tuple[str, int]
Call = dict[str, Any]


# ---------------------------------------------------------------- random programs


def make(n: int) -> Path:
    return made("o", f"{n}\n")


def make_otherwise(n: int) -> Path:
    return made("o", f"{n} again\n")


def use(x: Path, n: int) -> Path:
    return made("o", f"{n} {x.read_text()}")


def rounds(x: Path, n: int) -> Path:
    """Different inputs, the same output: what follows may hit although this runs."""
    return made("o", f"{len(x.read_text()) // 100}\n")


def shared() -> Path:
    Path("shared.txt").write_text("shared\n")
    return Path("shared.txt")


def shares(n: int) -> Path:
    Path("shared.txt").write_text(f"{n}\n")
    return Path("shared.txt")


def late(n: int) -> Path:
    consist.log_input("x.txt", "x")
    return made("o", f"{n} {Path('x.txt').read_text()}")


def several(n: int) -> dict[str, Path]:
    return {"a": made("a", f"{n}\n"), "b": made("b", "same\n")}


def writes_there(n: int) -> None:
    Path("there.txt").write_text(f"{n}\n")


def named() -> None:
    made("copy", "copied\n")


def fails(n: int) -> Path:
    raise ValueError(f"planned {n}")


def options(**given: Any) -> CacheOptions:
    return CacheOptions(**given)


MODES = ("reuse", "overwrite", "readonly")
HYDRATIONS = ("metadata", "outputs-requested", "outputs-all", "inputs-missing")
STEPS: dict[str, Callable[[int], Call]] = {
    "make a": lambda n: {"fn": make, "config": {"n": n}, "outputs": ["a"]},
    "make b": lambda n: {"fn": make, "name": "other", "config": {"n": n}, "outputs": ["b"]},
    "make otherwise": lambda n: {"fn": make_otherwise, "name": "make", "config": {"n": n}, "outputs": ["a"]},
    "use a": lambda n: {"fn": use, "config": {"n": n}, "inputs": {"x": "a"}, "outputs": ["b"]},
    "use b": lambda n: {"fn": use, "config": {"n": n % 2}, "inputs": {"x": "b"}, "outputs": ["c"]},
    "key c": lambda n: {"fn": rounds, "config": {"n": n}, "inputs": {"x": "c"}, "outputs": ["a"]},
    "keys": lambda n: {"fn": make, "config": {"n": n}, "input_keys": ["a"], "optional_input_keys": ["c"], "year": n},
    "plain": lambda n: {"fn": use, "config": {"n": n}, "inputs": {"x": "x.txt"}, "outputs": ["a"]},
    "shared": lambda n: {"fn": shared, "outputs": ["s"]},
    "shares": lambda n: {"fn": shares, "config": {"n": n}, "outputs": ["s"]},
    "reads shared": lambda n: {"fn": use, "config": {"n": n}, "inputs": {"x": "shared.txt"}, "outputs": ["b"]},
    "late": lambda n: {"fn": late, "config": {"n": n}, "outputs": ["a"]},
    "several": lambda n: {"fn": several, "config": {"n": n}},
    "undeclared": lambda n: {"fn": make, "config": {"n": n}, "name": "a"},
    "there": lambda n: {"fn": writes_there, "config": {"n": n}, "output_paths": {"t": Path("there.txt").absolute()}},
    "reads there": lambda n: {"fn": use, "config": {"n": n}, "inputs": {"x": "there.txt"}, "outputs": ["b"]},
    "identity": lambda n: {"fn": make, "config": {"n": n}, "identity_inputs": ["there.txt"], "outputs": ["c"]},
    "mode": lambda n: {
        "fn": make,
        "config": {"n": 1},
        "outputs": ["a"],
        "cache_options": options(cache_mode=MODES[n % 3]),
    },
    "hydrated": lambda n: {
        "fn": named,
        "output_paths": {"a": ["copy.txt", "renamed.txt", Path("runs/place.txt").absolute()][n]},
        "cache_options": options(cache_hydration="outputs-requested"),
        "output_policy": consist.OutputPolicyOptions(output_missing="ignore"),
    },
    "all": lambda n: {
        "fn": make,
        "config": {"n": n},
        "outputs": ["a"],
        "cache_options": options(cache_hydration="outputs-all", validate_cached_outputs="strict"),
    },
    "restores": lambda n: {
        "fn": use,
        "config": {"n": n},
        "inputs": {"x": "a"},
        "cache_options": options(cache_hydration="inputs-missing"),
    },
    "fails": lambda n: {"fn": fails, "config": {"n": n}, "outputs": ["f"]},
    "staged": lambda n: {
        "fn": use,
        "config": {"n": n},
        "inputs": {"x": "x.txt"},
        "execution_options": ExecutionOptions(input_paths={"x": Path("there.txt").absolute()}, input_binding="paths"),
        "outputs": ["b"],
    },
    "unstable": lambda n: {"fn": lambda n: make(n), "config": {"n": n}, "name": "unstable"},
}


def edit_file(n: int) -> None:
    Path("x.txt").write_text(f"{n}\n")


def lose_outputs(n: int) -> None:
    for path in sorted(Path("runs").rglob("*.txt"))[: n + 1]:
        path.unlink()


def spoil_outputs(n: int) -> None:
    for path in sorted(Path("runs").rglob("*.txt"))[-n - 1 :]:
        path.write_text("spoilt\n")


def lose_shared(n: int) -> None:
    Path("shared.txt").unlink(missing_ok=True)


def take_place(n: int) -> None:
    Path("runs/place.txt").parent.mkdir(exist_ok=True)
    Path("runs/place.txt").write_text("copied\n" if n else "taken\n")


EDITS = {
    "take place": take_place,
    "edit": edit_file,
    "lose": lose_outputs,
    "spoil": spoil_outputs,
    "lose shared": lose_shared,
}
FAMILIES = (
    ("make a", "make b", "make otherwise", "use a", "use b", "key c", "keys", "undeclared", "several"),
    ("plain", "there", "reads there", "identity", "staged", "late"),
    ("shared", "shares", "reads shared"),
    ("make a", "mode", "hydrated", "all", "restores", "unstable", "fails", "use a"),
    tuple(STEPS),
)


def sessions(steps: tuple[str, ...]) -> st.SearchStrategy[list[tuple[list[Op], list[Op], bool]]]:
    """Programs of several sessions: edits, steps, and whether all steps are forecast before the first one runs."""
    edits = st.lists(st.tuples(st.sampled_from(list(EDITS)), st.integers(0, 1)), max_size=1)
    calls = st.lists(st.tuples(st.sampled_from(steps), st.integers(0, 2)), min_size=1, max_size=6)
    return st.lists(st.tuples(edits, calls, st.sampled_from([True, True, False])), min_size=2, max_size=4)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with what changes when it is written, but for the views: asking lets them follow the log."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if not path.name.startswith(("digests", "p.db"))
    }


@contextmanager
def working_in(folder: str) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield Path(folder)
    finally:
        os.chdir(before)


def foreseen(sc: Any, op: Op) -> Forecast | type[BaseException]:
    try:
        found: Forecast = sc.forecast(**STEPS[op[0]](op[1]))
    except errors.ConsistError as error:
        return type(error)
    return found


def happened(sc: Any, op: Op) -> str | type[BaseException]:
    try:
        return "hit" if sc.run(**STEPS[op[0]](op[1])).cache_hit else "miss"
    except ValueError as error:
        return "miss" if str(error).startswith("planned") else type(error)
    except (errors.ConsistError, FileNotFoundError) as error:
        return type(error)


def check(op: Op, said: Forecast | type[BaseException], outcome: str | type[BaseException]) -> None:
    if not isinstance(said, Forecast):
        assert outcome is said, op
        return
    event(f"{said.verdict} {said.reason if said.verdict == 'open' else ''}")
    if said.verdict != "open" and isinstance(outcome, str):
        assert said.verdict == outcome, (op, said)
    if said.verdict == "open":
        assert said.waits_for, op


@settings(max_examples=50)
@given(st.sampled_from(FAMILIES).flatmap(sessions))
def test_every_verdict_is_the_outcome(program: list[tuple[list[Op], list[Op], bool]]) -> None:
    with tempfile.TemporaryDirectory() as name, working_in(name) as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in ("x.txt", "there.txt"):
            Path(text).write_text("x\n")
        with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
            for step in ("shared", "shares"):  # where a step writes without saying so is known once it has run
                tracker.run(**STEPS[step](9))
            for edits, steps, at_once in program:
                for edit, n in edits:
                    EDITS[edit](n)
                with tracker.scenario("s") as sc:
                    play(sc, steps, at_once, folder)


def play(sc: Any, steps: list[Op], at_once: bool, folder: Path) -> None:
    """Forecast all steps and run them, or one after the other."""
    groups = [steps] if at_once else [[step] for step in steps]
    for group in groups:
        before = (sc.tracker.project.log.head(), tree(folder))
        said = [foreseen(sc, op) for op in group]
        assert (sc.tracker.project.log.head(), tree(folder)) == before
        for op, forecast in zip(group, said, strict=True):
            check(op, forecast, happened(sc, op))


# ---------------------------------------------------------------- what it says


def twice(x: Path, n: int = 1) -> Path:
    return made("twice", x.read_text() * 2)


MAKE: Call = {"fn": make, "config": {"n": 1}, "outputs": ["a"]}
USE: Call = {"fn": twice, "inputs": {"x": "a"}, "outputs": ["b"]}


def test_a_hit_names_its_source_and_gives_its_outputs(tracker: Tracker) -> None:
    first = tracker.run(**MAKE)
    said = tracker.forecast(**MAKE)
    assert (said.verdict, said.cache_hit, said.source, said.reason) == ("hit", True, first.run.id, "same_identity")
    assert said.outputs == first.outputs
    assert said.output == first.output
    assert str(said) == "make: hit, make answers"


def test_a_miss_says_what_differs_from_the_nearest_run(tracker: Tracker) -> None:
    tracker.run(**MAKE)
    said = tracker.forecast(fn=make, config={"n": 2}, outputs=["a"])
    assert (said.verdict, said.nearest, said.reason) == ("miss", "make", "config_changed")
    assert said.differs == ["config.n: 1 -> 2"]
    assert str(said).splitlines() == ["make: miss, config changed; nearest run make", "  config.n: 1 -> 2"]


def test_forecasts_chain_through_the_coupler_and_wait_for_what_is_pending(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        assert sc.forecast(**MAKE).verdict == "miss"
        said = sc.forecast(**USE)
        assert (said.verdict, said.waits_for, said.reason) == ("open", ["make"], "waits_for_inputs")
        assert sc.forecast(fn=use, config={"n": 1}, inputs={"x": "b"}).waits_for == ["twice"]
        assert str(said) == "twice: open until make has run (waits_for_inputs)"
        assert "a" not in sc.coupler
    with tracker.scenario("s") as sc:
        sc.run(**MAKE)
        sc.run(**USE)
    with tracker.scenario("s") as sc:
        assert [sc.forecast(**call).verdict for call in (MAKE, USE)] == ["hit", "hit"]
        assert "a" not in sc.coupler


def test_forecasts_chain_through_references(tracker: Tracker) -> None:
    first = tracker.forecast(**MAKE)
    waiting = tracker.forecast(fn=twice, inputs={"x": consist.ref(first)}, outputs=["b"])
    assert (waiting.verdict, waiting.waits_for) == ("open", ["make"])
    assert tracker.forecast(fn=twice, name="t", inputs={"x": first}).waits_for == ["make"]
    assert tracker.forecast(fn=make, name="i", config={"n": 5}, identity_inputs=[consist.ref(first)]).waits_for == [
        "make"
    ]
    done = tracker.run(**MAKE)
    tracker.run(fn=twice, inputs={"x": consist.ref(done, "a")}, outputs=["b"])
    again = tracker.forecast(**MAKE)
    assert tracker.forecast(fn=twice, inputs={"x": consist.ref(again, "a")}, outputs=["b"]).verdict == "hit"


def test_a_real_run_replaces_what_was_pending(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        pending = sc.forecast(**MAKE)
        assert sc.forecast(**USE).verdict == "open"
        sc.run(**MAKE)
        assert sc.forecast(fn=twice, config={"n": 3}, inputs={"x": "a"}).verdict == "miss"
        assert sc.forecast(fn=twice, config={"n": 4}, inputs={"x": consist.ref(pending)}).verdict == "miss"
        result = sc.run(fn=use, config={"n": 1}, inputs={"x": consist.ref(pending)})
        assert result.output is not None
        assert result.output.path.read_text() == "1 1\n"


def test_a_coupler_that_is_set_after_a_forecast_wins(tracker: Tracker) -> None:
    Path("x.txt").write_text("x")
    with tracker.scenario("s") as sc:
        sc.forecast(**MAKE)
        sc.coupler.set("a", "x.txt")
        assert sc.forecast(**USE).verdict == "miss"


def test_a_pending_output_is_refused_by_a_real_run(tracker: Tracker) -> None:
    said = tracker.forecast(**MAKE)
    with pytest.raises(errors.UsageError, match=r"only forecast\. Run that step first"):
        tracker.run(twice, inputs={"x": consist.ref(said)})


def test_a_step_that_always_runs_is_a_miss_even_while_its_inputs_are_pending(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.forecast(**MAKE)
        assert sc.forecast(**USE, cache_options=options(cache_mode="overwrite")).verdict == "miss"


def test_the_same_work_twice_is_not_two_misses(tracker: Tracker) -> None:
    assert tracker.forecast(**MAKE).verdict == "miss"
    again = tracker.forecast(**MAKE)
    assert (again.verdict, again.reason, again.waits_for) == ("open", "same_work_ahead", ["make"])


def test_undeclared_outputs_of_a_step_that_will_run_may_be_any(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        first = sc.forecast(fn=make, config={"n": 1})
        assert list(first.outputs) == ["make"]
        assert sc.forecast(fn=twice, inputs={"x": consist.ref(first, "anything")}).verdict == "open"
        assert sc.forecast(fn=use, config={"n": 1}, input_keys=["x"]).verdict == "open"
        assert sc.forecast(fn=make, config={"n": 9}, optional_input_keys=["late"]).verdict == "open"


def test_declared_outputs_are_all_there_is(tracker: Tracker) -> None:
    first = tracker.forecast(**MAKE)
    with pytest.raises(errors.MissingKeyError, match="'anything'"):
        consist.ref(first, "anything")


def test_a_forecast_refuses_what_run_refuses(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        wrong: list[tuple[type[Exception], Call]] = [
            (errors.UsageTypeError, {**MAKE, "cache_mode": "reuse"}),
            (errors.UsageTypeError, {**MAKE, "cache_options": 3}),
            (errors.InputError, {"fn": twice, "inputs": {"x": "nowhere.txt"}}),
            (errors.MissingKeyError, {"fn": twice, "input_keys": ["x"]}),
            (errors.CallError, {"fn": twice}),
            (errors.MissingKeyError, {**MAKE, "parent_run_id": "nobody"}),
        ]
        for kind, call in wrong:
            with pytest.raises(kind):
                sc.forecast(**call)


def test_an_async_step_can_be_forecast(tracker: Tracker) -> None:
    async def later() -> Path:
        return made()

    assert tracker.forecast(later, outputs=["o"]).verdict == "miss"


def test_a_file_that_a_step_ahead_writes_is_no_ground_for_a_verdict(tracker: Tracker) -> None:
    Path("there.txt").write_text("x\n")
    reader, writer = STEPS["reads there"](0), STEPS["there"](1)
    with tracker.scenario("s") as sc:
        sc.run(**reader)
        sc.run(**STEPS["identity"](0))
    with tracker.scenario("s") as sc:
        assert sc.forecast(**reader).verdict == "hit"
        assert sc.forecast(**writer).verdict == "miss"
        for call in (reader, STEPS["identity"](0)):
            said = sc.forecast(**call)
            assert (said.verdict, said.reason, said.waits_for) == ("open", "inputs_written_ahead", ["writes_there"])


def test_a_place_that_earlier_runs_of_a_step_wrote_to_is_no_ground_for_a_verdict(tracker: Tracker) -> None:
    reader = STEPS["reads shared"](0)
    with tracker.scenario("s") as sc:
        sc.run(**STEPS["shares"](1))
        sc.run(**reader)
    with tracker.scenario("s") as sc:
        assert sc.forecast(**STEPS["shares"](2)).verdict == "miss"
        assert sc.forecast(**reader).reason == "inputs_written_ahead"
        assert sc.forecast(**STEPS["shares"](1)).reason == "outputs_in_shared_place"


def test_outputs_that_a_step_ahead_may_restore_are_no_ground_for_a_miss(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        lost = sc.run(**MAKE)
        path = lost.outputs["a"].path
    path.unlink()
    with tracker.scenario("s") as sc:
        assert sc.forecast(fn=make, config={"n": 7}, cache_options=options(cache_hydration="inputs-missing")).verdict
        assert sc.forecast(**MAKE).reason == "outputs_restored_ahead"


def test_a_copy_that_cannot_be_made_is_a_miss(tracker: Tracker) -> None:
    tracker.run(**STEPS["hydrated"](0))
    Path("runs/place.txt").write_text("taken")
    said = tracker.forecast(**STEPS["hydrated"](2))
    assert (said.verdict, said.reason) == ("miss", "candidate_outputs_invalid")
    assert "another file is there already" in said.differs[0]
    with pytest.warns(consist.ConsistWarning):
        assert not tracker.run(**STEPS["hydrated"](2)).cache_hit


def test_a_hit_that_will_be_copied_under_another_name_is_pending_for_later_steps(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(**STEPS["hydrated"](0))
        sc.run(**STEPS["use a"](0))
    with tracker.scenario("s") as sc:
        assert [sc.forecast(**STEPS[op](0)).verdict for op in ("hydrated", "use a")] == ["hit", "hit"]
    with tracker.scenario("s") as sc:
        assert sc.forecast(**STEPS["hydrated"](1)).verdict == "hit"
        said = sc.forecast(**STEPS["use a"](0))
        assert (said.verdict, said.waits_for) == ("open", ["named"])
        assert sc.run(**STEPS["hydrated"](1)).cache_hit
        assert not sc.run(**STEPS["use a"](0)).cache_hit


def test_config_files_that_a_step_ahead_writes_are_no_ground_for_a_verdict(tracker: Tracker, here: Path) -> None:
    Path("settings.json").write_text('{"a": 1}')

    def settle() -> None:
        Path("settings.json").write_text('{"a": 2}')

    reader: Call = {**MAKE, "adapter": FolderAdapter("settings.json")}
    tracker.run(**reader)
    assert tracker.forecast(**reader).verdict == "hit"
    tracker.forecast(fn=settle, output_paths={"settings": here / "settings.json"})
    assert tracker.forecast(**reader).reason == "inputs_written_ahead"


def test_work_that_cannot_be_identified_is_a_certain_miss(tracker: Tracker) -> None:
    rng = random.Random(0)

    def loose() -> Path:
        return made("o", str(rng.random()))

    for _ in range(2):
        said = tracker.forecast(loose, outputs=["o"])
        assert (said.verdict, said.reason) == ("miss", "not_identifiable")


def test_where_nothing_is_looked_up_every_step_will_run(here: Path) -> None:
    sc = consist.noop_scenario("s")
    for call in (MAKE, USE):
        said = sc.forecast(**call)
        assert (said.verdict, said.reason) == ("miss", "tracking_off")


def test_a_scenario_can_be_forecast_before_it_is_entered(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(**MAKE)
    head = tracker.project.log.head()
    assert tracker.scenario("s").forecast(**MAKE).verdict == "hit"
    assert tracker.project.log.head() == head


def test_what_another_thread_computes_just_now_is_open(tracker: Tracker, here: Path) -> None:
    began, go = threading.Event(), threading.Event()

    def slow(n: int) -> Path:
        began.set()
        assert go.wait(30)
        return made("o", f"{n}\n")

    call: Call = {"fn": slow, "config": {"n": 1}, "outputs": ["o"]}
    for once in (None, False):
        call |= {"config": {"n": 1 if once is None else 2}, "cache_options": options(compute_once=once)}
        began.clear()
        go.clear()
        with Tracker("runs", "project.db", sync="os") as other:
            thread = threading.Thread(target=other.run, kwargs=call)
            thread.start()
            assert began.wait(30)
            said = tracker.forecast(**call)
            go.set()
            thread.join(60)
        assert (said.verdict, said.reason, len(said.waits_for)) == ("open", "computing_elsewhere", 1)
        assert tracker.forecast(**call).verdict == "open"  # the same work was forecast before


def test_nothing_is_written_by_a_forecast(tracker: Tracker, here: Path) -> None:
    before = tree(here)
    Path("x.txt").write_text("x")
    os.utime("x.txt", (1, 1))
    expected = tree(here)
    for _ in range(2):
        tracker.forecast(fn=twice, inputs={"x": "x.txt"}, outputs=["o"])
    assert tree(here) == expected != before
    assert tracker.project.log.head().seq == 0


def test_a_hit_rests_on_an_acceptance(tracker: Tracker) -> None:
    tracker.run(**MAKE)
    tracker.run(**{**MAKE, "fn": make_otherwise, "name": "make"}, cache_options=options(cache_mode="readonly"))
    changed: Call = {**MAKE, "fn": make_otherwise, "name": "make"}
    assert tracker.forecast(**changed).verdict == "miss"
    tracker.accept("make#2", "make#1", "the text does not matter")
    with Tracker("runs", "project.db") as fresh:
        said = fresh.forecast(**changed)
    assert (said.verdict, said.reason) == ("hit", "accepted")
    assert said.differs == ["accepted as make: the text does not matter"]


# ---------------------------------------------------------------- what a body reads of the coupler

READERS: dict[str, Callable[[Any], object]] = {
    "a key": lambda coupler: coupler["a"].path.read_text(),
    "a key that may be missing": lambda coupler: None if coupler.get("a") is None else "there",
    "a key through a view": lambda coupler: coupler.view("v").get("x"),
    "another key": lambda coupler: "b" in coupler,
    "the keys": lambda coupler: list(coupler),
}


@pytest.mark.parametrize("reads", READERS)
def test_what_a_body_reads_of_the_coupler_is_what_the_forecast_so_far_puts_there(tracker: Tracker, reads: str) -> None:
    """Compared with the real coupler, a hit was forecast as a miss, and a hit on the wrong run."""
    scenario: list[Any] = []

    def reader(n: int) -> Path:
        return made("c", f"{READERS[reads](scenario[0].coupler)} {n}\n")

    def first(n: int) -> Path:
        return made("a", f"{n}\n")

    def call(sc: Any, how: str, n: int) -> list[Any]:
        scenario[:] = [sc]
        act = getattr(sc, how)
        return [
            act(first, name="first", config={"n": n}, outputs=["a"]),
            act(reader, name="reader", config={"n": 1}, outputs=["c"]),
        ]

    for n in (1, 2):
        with tracker.scenario("s") as sc:
            call(sc, "run", n)
    hits = []
    for before, n in itertools.product((None, 1), (2, 1, 3)):
        with tracker.scenario("s") as sc:
            if before is not None:
                sc.run(first, name="first", config={"n": before}, outputs=["a"])
            said, done = call(sc, "forecast", n), call(sc, "run", n)
        hits += [agrees(*both) for both in zip(said, done, strict=True)]
    assert hits.count(True) >= 8


def agrees(forecast: Forecast, result: Any) -> bool:
    """True for a hit; a forecast may be open, and otherwise is what the run did."""
    if forecast.verdict == "open":
        return False
    assert forecast.cache_hit == result.cache_hit
    assert not result.cache_hit or forecast.source == result.run.meta["cache_source"]
    return bool(result.cache_hit)
