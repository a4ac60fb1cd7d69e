"""`why` names the true cause of a rerun first, and what a run cost."""

import importlib
import json
import linecache
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import CacheOptions, RunResult, Tracker, Why, errors
from consist_es.adapters import FolderAdapter
from tests.support.api import made
from tests.support.cli import run as command
from tests.support.cli import run_json

# ---------------------------------------------------------------- a model to be edited

MODEL = """
import consist_es as consist
import why_helper
from pathlib import Path

RATE = 2.0


class Table:
    factor = 3

    def grow(self, x):
        return x * self.factor


def local(x):
    return why_helper.scale(x) * RATE


def assign(land_use: Path, zones: Path, params: Path, growth, demand):
    if Path("fails").exists():
        raise ValueError("no zone 7")
    if Path("stops").exists():
        raise KeyboardInterrupt
    out = consist.output_path("o", "txt")
    out.write_text(f"{land_use.read_text()} {zones.read_text()} {local(growth)} {Table().grow(1)}")
    return out
"""
HELPER = """
LIMIT = 9


def scale(x):
    return x * 2
"""
Edit = tuple[str, Callable[["Model", random.Random], None], str]


class Model:
    """The arguments of one call, and the files that it reads, in the working directory."""

    def __init__(self) -> None:
        for name, text in {
            "why_model.py": MODEL,
            "why_helper.py": HELPER,
            "rates.dat": "1",
            "version.txt": "v1",
        }.items():
            Path(name).write_text(text)
        Path("land_use.csv").write_text("zone,jobs\n1,2\n")
        Path("zones.csv").write_text("zone\n1\n")
        for folder in ("params/deep", "settings"):
            Path(folder).mkdir(parents=True)
        Path("params/a.txt").write_text("a")
        Path("params/deep/b.txt").write_text("b")
        Path("settings/base.json").write_text(json.dumps({"fares": {"bus": 2.5, "rail": [1, 2]}}))
        self.config: dict[str, Any] = {
            "growth": 1.0,
            "demand": {"peak": {"share": 0.3, "hours": [7, 8]}, "modes": ["car", "bus"]},
            "seed": 1,
        }
        self.inputs: dict[str, Any] = {"land_use": "land_use.csv", "zones": "zones.csv", "params": "params"}
        self.more: dict[str, Any] = {"year": 2030, "iteration": 0, "identity_inputs": ["version.txt"]}
        self.cache: dict[str, Any] = {"cache_version": 1, "code_identity_extra_deps": ["rates.dat"]}

    def run(self, tracker: Tracker, **more: Any) -> RunResult:
        with self.loaded() as module:
            given = {"config": self.config, "adapter": FolderAdapter("settings"), **self.more, **more}
            options = CacheOptions(**self.cache)
            return tracker.run(module.assign, inputs=self.inputs, outputs=["o"], cache_options=options, **given)

    @contextmanager
    def loaded(self) -> Iterator[Any]:
        """The module as its file is now."""
        sys.path.insert(0, str(Path.cwd()))
        linecache.clearcache()
        importlib.invalidate_caches()
        try:
            yield importlib.import_module("why_model")
        finally:
            sys.path.pop(0)
            for name in ("why_model", "why_helper"):
                sys.modules.pop(name, None)


def replaced(file: str, old: str, new: str) -> Callable[[Model, random.Random], None]:
    def edit(_model: Model, _rng: random.Random) -> None:
        text = Path(file).read_text()
        assert old in text
        Path(file).write_text(text.replace(old, new))

    return edit


def written(file: str) -> Callable[[Model, random.Random], None]:
    return lambda _model, rng: void(Path(file).write_text(str(rng.random())))


def void(_value: object) -> None:
    return None


def configured(*path: Any, to: Any = None) -> Callable[[Model, random.Random], None]:
    def edit(model: Model, rng: random.Random) -> None:
        place: Any = model.config
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = rng.uniform(2, 3) if to is None else to

    return edit


def given(group: str, name: str, value: Any) -> Callable[[Model, random.Random], None]:
    return lambda model, _rng: getattr(model, group).update({name: value})


def swap(model: Model, _rng: random.Random) -> None:
    model.inputs["land_use"], model.inputs["zones"] = model.inputs["zones"], model.inputs["land_use"]


def rename(model: Model, _rng: random.Random) -> None:
    Path("zones.csv").rename("zones_b.csv")
    model.inputs["zones"] = "zones_b.csv"


def another_file(model: Model, rng: random.Random) -> None:
    Path("zones_c.csv").write_text(str(rng.random()))
    model.inputs["zones"] = "zones_c.csv"


def settings(**values: Any) -> Callable[[Model, random.Random], None]:
    return lambda _model, _rng: void(Path("settings/base.json").write_text(json.dumps({"fares": values})))


def both(*edits: Callable[[Model, random.Random], None]) -> Callable[[Model, random.Random], None]:
    return lambda model, rng: void([edit(model, rng) for edit in edits])


def of_output(harm: Callable[[Path], object]) -> Callable[[Model, random.Random], None]:
    return lambda _model, _rng: void([harm(path) for path in Path("runs/outputs/assign").rglob("o.txt")])


BODY = replaced("why_model.py", "land_use.read_text()} {zones", "land_use.read_text()}, {zones")
EDITS: list[Edit] = [
    ("the step's body", BODY, "code of why_model.py:assign: changed"),
    ("a function beside it", replaced("why_model.py", "* RATE", "* RATE + 1"), "code of why_model.py:local: changed"),
    ("a method", replaced("why_model.py", "x * self.factor", "self.factor * x"), "code of why_model.py:Table.grow:"),
    ("a constant", replaced("why_model.py", "RATE = 2.0", "RATE = 2.5"), "code of variable RATE of why_model.py"),
    ("a class attribute", replaced("why_model.py", "factor = 3", "factor = 4"), "code of member factor of why_model"),
    ("a helper module", replaced("why_helper.py", "x * 2", "2 * x"), "code of why_helper.py: changed"),
    ("a helper's constant", replaced("why_helper.py", "LIMIT = 9", "LIMIT = 8"), "code of why_helper.py: changed"),
    ("a data file beside the code", written("rates.dat"), "code of dependency rates.dat: changed"),
    ("a config key", configured("growth"), "config.growth: 1.0 -> 2."),
    ("a nested config key", configured("demand", "peak", "share"), "config.demand.peak.share: 0.3 -> 2."),
    ("an item of a list", configured("demand", "peak", "hours", 1), "config.demand.peak.hours[1]: 8 -> 2."),
    ("the length of a list", configured("demand", "modes", to=["car"]), "config.demand.modes: ['car', 'bus'] -> ["),
    ("a new config key", configured("extra", to=1), "config.extra: (missing) -> 1"),
    ("a config key gone", lambda m, _: void(m.config.pop("seed")), "config.seed: 1 -> (missing)"),
    ("the type of a value", configured("seed", to=1.0), "config.seed: 1 -> 1.0"),
    ("truth for one", configured("seed", to=True), "config.seed: 1 -> True"),
    ("an input's content", written("land_use.csv"), "input 'land_use': content differs ("),
    ("a file in a folder", written("params/deep/b.txt"), "input 'params': content differs ("),
    ("a file more in a folder", written("params/c.txt"), "input 'params': content differs ("),
    ("a renamed file in a folder", lambda *_: void(Path("params/a.txt").rename("params/b.txt")), "input 'params':"),
    ("two inputs swapped", swap, "input 'land_use': content differs (the content that another role had)"),
    ("a renamed input", rename, "input 'zones': same content, but file zones.csv -> zones_b.csv"),
    ("another file", another_file, "zones.csv -> "),
    ("an input more", given("more", "depends_on", ["rates.dat"]), "input '#0': added ("),
    ("an adapter's value", settings(bus=2.75, rail=[1, 2]), "base.json: fares.bus: 2.5 -> 2.75"),
    ("an adapter's list", settings(bus=2.5, rail=[1, 3]), "base.json: fares.rail: without 2, with 3"),
    ("an adapter's key gone", settings(bus=2.5), "base.json: fares.rail: [1, 2] -> (missing)"),
    ("an adapter's file more", lambda *_: void(Path("settings/more.json").write_text("{}")), "more.json: added"),
    ("the year", given("more", "year", 2045), "year: 2030 -> 2045"),
    ("the iteration", given("more", "iteration", 5), "iteration: 0 -> 5"),
    ("the phase", given("more", "phase", "calibration"), "phase: None -> 'calibration'"),
    ("the model", given("more", "model", "assignment"), "model: 'assign' -> 'assignment'"),
    ("the cache version", given("cache", "cache_version", 2), "cache_version: 1 -> 2"),
    ("the cache epoch", given("cache", "cache_epoch", 7), "cache_epoch: 1 -> 7"),
    ("the mode of code identity", given("cache", "code_identity", "callable_module"), "code identity mode: imports ->"),
    ("an identity input", written("version.txt"), "identity input 'version.txt': content differs"),
    (
        "an identity input more",
        given("more", "identity_inputs", ["version.txt", "rates.dat"]),
        "identity input 'rates.",
    ),
    ("outputs deleted", of_output(Path.unlink), "output 'o' cannot be read"),
    ("outputs edited", of_output(lambda path: path.write_text("edited")), "output 'o' changed"),
    ("outputs emptied", of_output(lambda path: os.truncate(path, 0)), "output 'o' changed"),
    ("config, then code", both(configured("growth"), BODY), "config.growth: 1.0 -> 2."),
    ("config and an input", both(configured("seed", to=2), written("zones.csv")), "config.seed: 1 -> 2"),
    ("an input and a constant", both(written("zones.csv"), replaced("why_model.py", "= 2.0", "= 3")), "input 'zones'"),
    ("an older result needed again", lambda *_: None, "is the same work, but it failed: ValueError: no zone 7"),
    ("an interrupted one", lambda *_: None, "is the same work, but it was interrupted: KeyboardInterrupt"),
]


def prepared(title: str, model: Model, tracker: Tracker) -> None:
    """The base run; of the last two edits it ends badly."""
    ending = {"an older result needed again": "fails", "an interrupted one": "stops"}.get(title)
    if ending is None:
        model.run(tracker)
        return
    Path(ending).touch()
    with suppress(ValueError, KeyboardInterrupt):
        model.run(tracker)
    Path(ending).unlink()


def distract(model: Model, tracker: Tracker, rng: random.Random) -> None:
    """Runs that are further away: other configs, years, steps and models."""
    for _ in range(rng.randrange(5)):
        kind = rng.randrange(4)
        if kind == 0:
            others = {key: rng.random() for key in ("growth", "seed", "w")}
            model.run(tracker, config={**model.config, **others}, iteration=9)
        elif kind == 1:
            model.run(tracker, year=rng.randrange(2050, 2060), config={**model.config, "seed": rng.random()})
        elif kind == 2:
            model.run(tracker, name="another_step", config={**model.config, "growth": rng.random()})
        else:
            tracker.run(lambda n: None, name="assign", config={"n": rng.random()})


def first_line(folder: Path, seed: int) -> tuple[str, str, str]:
    """What was edited, the line that must come first, and the one that does."""
    rng = random.Random(seed)
    title, edit, expected = EDITS[seed % len(EDITS)]
    folder.mkdir()
    os.chdir(folder)
    with Tracker(run_dir="runs", db_path="p.db", sync="os") as tracker:
        model = Model()
        prepared(title, model, tracker)
        distract(model, tracker, rng)
        edit(model, rng)
        told = model.run(tracker).run.why()
    return title, expected, told.differs[0] if told.verdict == "miss" and told.differs else str(told)


def test_of_fifty_seeded_edits_the_true_cause_comes_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two edits within a second would share a cached file
    told = [first_line(here / str(seed), seed) for seed in range(50)]
    wrong = [(title, expected, said) for title, expected, said in told if expected not in said]
    assert len(told) == 50
    assert len(wrong) <= 1, wrong


# ---------------------------------------------------------------- which run is the nearest


def step(growth: float = 1.0, demand: Any = None) -> Path:
    return made("o", f"{growth}\n")


def told(result: RunResult) -> Why:
    return result.run.why()


def test_the_same_year_counts_more_than_fewer_differences(tracker: Tracker) -> None:
    for year in (2030, 2040):
        tracker.run(step, config={"growth": 1.0}, year=year, run_id=f"old_{year}")
    tracker.run(step, config={"growth": 1.1}, year=2030, run_id="new_2030")
    why = told(tracker.run(step, config={"growth": 1.1}, year=2040, run_id="new_2040"))
    assert (why.nearest, why.differs) == ("old_2040", ["config.growth: 1.0 -> 1.1"])


def test_a_run_of_the_same_scenario_is_preferred_among_equals(tracker: Tracker) -> None:
    for name, growth in (("base", 1.0), ("policy", 2.0), ("base", 1.5)):
        with tracker.scenario(name) as sc:
            result = sc.run(step, config={"growth": growth})
    assert told(result).nearest == "base_step"


def test_fewer_differing_keys_are_nearer_and_the_newest_of_equals(tracker: Tracker) -> None:
    for number, config in enumerate(({"growth": 1.0, "demand": 1}, {"growth": 1.0, "demand": 2}, {"growth": 3.0})):
        tracker.run(step, config=config, run_id=f"r{number}")
    assert told(tracker.run(step, config={"growth": 1.5, "demand": 1})).nearest == "r0"
    assert told(tracker.run(step, config={"growth": 9.0, "demand": 9})).nearest == "step"


def test_a_miss_is_recorded_with_a_near_run_and_why_tells_the_nearest(tracker: Tracker) -> None:
    for number, config in enumerate(({"growth": 1.0, "demand": 1}, {"growth": 3.0, "demand": 2})):
        tracker.run(step, config=config, run_id=f"r{number}")
    result = tracker.run(step, config={"growth": 1.0, "demand": 9}, run_id="asked")
    recorded = result.run.meta["cache_miss_explanation"]
    assert (recorded["candidate_run_id"], len(recorded["differs"])) == ("r1", 2)  # all but one part is the same
    tracker.run(step, config={"growth": 1.0, "demand": 8}, run_id="later")  # as near, but it came later
    why = told(result)
    assert (why.nearest, why.differs) == ("r0", ["config.demand: 1 -> 9"])
    nearest = tracker.get_run("r0")
    assert nearest is not None
    assert why.nearest_seconds == nearest.duration_seconds
    (said,) = run_json("why", "asked")
    assert (said["nearest"], said["differs"]) == (why.nearest, why.differs)
    assert [(item["key"], item["before"], item["after"]) for item in said["differences"]] == [("demand", 1, 9)]


def test_why_ranks_all_earlier_runs_whatever_was_recorded(tracker: Tracker) -> None:
    rng = random.Random(7)
    earlier: list[tuple[str, dict[str, int]]] = []
    other = 0
    for number in range(25):
        config = {key: rng.randrange(3) for key in "abc"}
        result = tracker.run(step, config=config, run_id=f"r{number}")
        if result.cache_hit:
            continue
        differing = [sum(config[key] != before[key] for key in "abc") for _, before in earlier]
        if earlier:
            least = max(place for place, count in enumerate(differing) if count == min(differing))
            why = told(result)
            assert (why.nearest, len(why.differs)) == (earlier[least][0], min(differing))
            other += result.run.meta["cache_miss_explanation"]["candidate_run_id"] != why.nearest
        earlier.append((f"r{number}", config))
    assert other


def test_a_run_far_back_is_found(tracker: Tracker) -> None:
    tracker.run(step, config={"growth": 0.5, "demand": 1}, year=1999, run_id="far_back")
    for number in range(30):
        tracker.run(step, config={"growth": float(number)}, year=2000 + number)
    why = told(tracker.run(step, config={"growth": 0.75, "demand": 1}, year=1999))
    assert (why.nearest, why.differs) == ("far_back", ["config.growth: 0.5 -> 0.75"])


# ---------------------------------------------------------------- what it says


def test_a_hit_says_who_answered_how_it_was_checked_and_what_it_saved(tracker: Tracker) -> None:
    first = tracker.run(step, outputs=["o"])
    why = told(tracker.run(step, outputs=["o"], cache_options=CacheOptions(validate_cached_outputs="strict")))
    assert (why.verdict, why.reason, why.nearest, why.validation) == ("hit", "same_identity", "step", "digest")
    assert why.nearest_seconds == first.run.duration_seconds
    lines = str(why).splitlines()
    assert lines[0] == "step#2 was not computed again: step did the same work; its outputs were checked (digest)."
    assert lines[1].startswith("  It took ")
    assert " and saved " in lines[1]


def test_a_miss_says_what_differs_and_what_both_runs_took(tracker: Tracker) -> None:
    tracker.run(step, config={"growth": 1.0})
    why = told(tracker.run(step, config={"growth": 1.5}))
    lines = str(why).splitlines()
    assert lines[0] == "step#2 was computed: config changed. The nearest earlier run is step:"
    assert lines[1] == "  config.growth: 1.0 -> 1.5"
    assert lines[2].startswith("  It took ")
    assert " step took " in lines[2]


def test_the_first_run_of_a_step_says_that_there_was_none(tracker: Tracker) -> None:
    assert str(told(tracker.run(step))).startswith("step was computed: nothing like it ran before.")


def test_a_run_that_was_asked_for_again_says_so(tracker: Tracker) -> None:
    tracker.run(step)
    why = told(tracker.run(step, cache_options=CacheOptions(cache_mode="overwrite")))
    assert (why.reason, why.nearest) == ("cache_mode_overwrite", None)


def test_a_demoted_trace_says_that_it_had_hit_and_what_demoted_it(tracker: Tracker) -> None:
    def trace() -> None:
        with tracker.trace("t") as t:
            if t.is_cached:
                Path("y.txt").write_text("more")
                t.log_output(Path("y.txt"), "y")

    trace()
    with pytest.warns(consist.ConsistWarning, match="the hit no longer counts"):
        trace()
    run = tracker.get_run("t")
    assert run is not None
    why = run.why()
    assert (why.verdict, why.reason, why.nearest) == ("demoted", "unknown among the cached outputs", "t")
    assert str(why).startswith("t#2 was computed, though it had hit: unknown among the cached outputs")


def test_a_result_that_is_not_to_be_reused_says_exactly_that(tracker: Tracker) -> None:
    tracker.run(step, cache_options=CacheOptions(cache_mode="readonly"))
    why = told(tracker.run(step))
    assert why.reason == "prior_run_not_reusable"
    assert why.differs == ["run 'step' is the same work, but cache_mode='readonly' keeps nothing"]


def test_a_run_whose_process_died_says_exactly_that(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        child = os.fork()
        if child == 0:
            tracker.run(killed, outputs=["o"])
        os.waitpid(child, 0)
    Path("go").touch()
    with Tracker(run_dir="runs", db_path="p.db") as tracker, tracker.scenario("s"):
        why = told(tracker.run(killed, outputs=["o"]))
    assert (why.reason, why.nearest) == ("prior_run_abandoned", "killed")
    assert why.differs[0].startswith("run 'killed' is the same work, but it was abandoned: process ")


def killed() -> Path:
    if not Path("go").exists():
        os._exit(9)
    return made()


def stopped() -> None:
    raise KeyboardInterrupt


def broken() -> None:
    raise ValueError("no zone 7.\nor 8")


@pytest.mark.parametrize(
    ("fn", "status", "line"),
    [
        (stopped, "interrupted", "slow was interrupted: KeyboardInterrupt."),
        (broken, "failed", "slow failed: ValueError: no zone 7."),
    ],
)
def test_a_run_that_did_not_complete_says_so_first(
    tracker: Tracker, fn: Callable[[], None], status: str, line: str
) -> None:
    with suppress(KeyboardInterrupt, ValueError):
        tracker.run(fn, name="slow")
    why = tracker.find_run("slow").why()
    assert why.status == status
    assert str(why).splitlines()[:2] == [line, "slow was begun: nothing like it ran before."]
    assert command("why", "slow").stdout == f"{why}\n"
    assert run_json("why", "slow")[0]["status"] == status


def test_a_run_whose_process_died_is_not_said_to_have_been_computed(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db") as tracker:
        child = os.fork()
        if child == 0:
            tracker.run(killed, outputs=["o"])
        os.waitpid(child, 0)
        lines = command("why", "killed").stdout.splitlines()
        assert lines[0] == "killed has not ended: it still runs, or its process is gone."
        assert lines[1].startswith("killed was begun: ")
        tracker.run(step)
    lines = command("why", "killed").stdout.splitlines()
    assert lines[0].startswith("killed was abandoned: process ")
    assert lines[0].endswith(" is gone and recorded no end.")
    assert lines[1].startswith("killed was begun: ")


def test_a_run_that_completed_says_no_more_than_before(tracker: Tracker) -> None:
    why = told(tracker.run(step))
    assert (why.status, why.error) == ("completed", None)
    assert str(why).startswith("step was computed: ")


def test_a_scenario_has_no_why_and_names_its_steps(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        sc.run(step)
    header = tracker.get_run("s")
    assert header is not None
    with pytest.raises(errors.UsageError, match=r"'s' is a scenario.*Steps: s_step"):
        header.why()


def test_a_run_that_is_not_recorded_yet_cannot_say_why(here: Path) -> None:
    asked: list[Exception] = []

    def name(run: consist.Run) -> str:
        with pytest.raises(errors.StateError) as caught:
            run.why()
        asked.append(caught.value)
        return "place"

    with Tracker(run_dir="runs", db_path="p.db", run_subdir_fn=name) as tracker:
        tracker.run(step)
    assert "not recorded yet" in str(asked[0])


# ---------------------------------------------------------------- the command


def test_the_command_says_what_why_says(tracker: Tracker) -> None:
    tracker.run(step, config={"growth": 1.0})
    why = told(tracker.run(step, config={"growth": 1.5}))
    assert command("why", "step").stdout == f"{why}\n"
    (found,) = run_json("why", "step#2")
    assert (found["verdict"], found["differs"]) == ("miss", ["config.growth: 1.0 -> 1.5"])
    assert found["seconds"] == why.seconds


def test_the_command_refuses_a_run_that_is_not_there(tracker: Tracker) -> None:
    tracker.run(step)
    assert "No step 'stop'. Available: 'step'. Did you mean 'step'?" in command("why", "stop", code=2).stderr


def test_the_command_offers_the_nearest_names(tracker: Tracker) -> None:
    tracker.run(step, run_id="base_assign")
    for number in range(12):
        tracker.run(step, run_id=f"r{number}")
    said = command("why", "base_assgn", code=2).stderr
    assert "No step 'base_assgn'. Available: 'base_assign'. Did you mean 'base_assign'?" in said


def test_a_command_about_a_scenario_offers_the_nearest_scenarios(tracker: Tracker) -> None:
    with tracker.scenario("baseline") as sc:
        sc.run(step, run_id="baselin3")
    said = command("audit", "baselin", code=2).stderr
    assert "No scenario 'baselin'. Available: 'baseline'. These are the nearest names." in said
