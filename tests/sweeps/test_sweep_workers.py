"""Workers elsewhere: trackers and scenarios travel as text, and code that differs is refused."""

import itertools
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker, WorkerDiffersError
from consist_es.errors import ClosedError, StateError, UsageError
from tests.support import sweep_model as model
from tests.support.api import ROOT, run_script
from tests.support.elsewhere import Elsewhere

ROWS = [{"toll": float(toll)} for toll in range(2)]
MODEL = """
from pathlib import Path
import consist_es as consist
import fares_{tag}
FACTOR = 2
def helper(toll):
    return toll * FACTOR + fares_{tag}.BASE
def assign(toll):
    path = consist.output_path("flows", "txt")
    path.write_text(f"{{helper(toll)}}\\n")
    return path
def made(extra):
    def inner(toll):
        path = consist.output_path("flows", "txt")
        path.write_text(f"{{helper(toll) + extra}}\\n")
        return path
    return inner
"""


_NUMBERS = itertools.count()


@pytest.fixture
def place(here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model of two modules of its own names, imported from there."""
    folder = tmp_path_factory.mktemp("code")
    tag = f"x{next(_NUMBERS)}"
    (folder / f"model_{tag}.py").write_text(MODEL.format(tag=tag))
    (folder / f"fares_{tag}.py").write_text("BASE = 10\n")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in (f"model_{tag}", f"fares_{tag}"):
        sys.modules.pop(name, None)


def loaded(place: Path) -> Any:
    (file,) = place.glob("model_*.py")
    return __import__(file.stem)


def stale(place: Path, old: str, new: str) -> Path:
    """A copy of the folder with other code, as on a node that was not updated."""
    other = place.with_name(f"{place.name}-stale")
    other.mkdir()
    for file in place.glob("*.py"):
        (other / file.name).write_text(file.read_text().replace(old, new))
    return other


# ---------------------------------------------------------------- the same code


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("* FACTOR", "* FACTOR * 1", "helper"),
        ("FACTOR = 2", "FACTOR = 3", "FACTOR"),
        ("BASE = 10", "BASE = 11", "fares_"),
    ],
    ids=["a function", "a value", "an imported module"],
)
def test_a_worker_with_other_code_is_refused_and_the_part_is_named(
    tracker: Tracker, place: Path, old: str, new: str, what: str
) -> None:
    found, other = loaded(place), stale(place, old, new)
    with tracker.scenario("s") as sc:
        for fn in (found.assign, found.made(1)):
            elsewhere = Elsewhere(other, without=[place])
            result = sc.map(fn, ROWS[:1], executor=elsewhere, outputs=["flows"], on_error="keep")
            error = str(result["0"].error)
            assert result["0"].status == "failed"
            assert error.startswith("WorkerDiffersError: Step")
            assert what in error
            assert "Install the same code there" in error
    assert tracker.find_runs(name="assign") == []


def test_a_worker_fills_its_own_caches(tracker: Tracker, place: Path) -> None:
    (file,) = place.glob("fares_*.py")
    (place / "base.txt").write_text("7")
    file.write_text(CACHE.format(file=str(place / "base.txt")))
    found = loaded(place)
    sys.modules[file.stem].base()
    with tracker.scenario("s") as sc:
        for step in (lambda toll: found.assign(toll), found.assign, found.made(1)):
            result = sc.map(
                step,
                ROWS[:1],
                executor=Elsewhere(place, without=[place]),
                name="assign",
                outputs=["flows"],
                on_error="keep",
            )
            assert result["0"].status == "computed", result["0"].error
            again = sc.map(
                step,
                ROWS[:1],
                executor=Elsewhere(place, without=[place]),
                name="assign",
                outputs=["flows"],
                on_error="keep",
            )
            assert again["0"].status == "hit"


CACHE = """
from pathlib import Path
kept = None
def base():
    global kept
    if kept is None: kept = int(Path({file!r}).read_text())
    return kept
class Base:
    def __radd__(self, other): return other + base()
BASE = Base()
"""


def test_a_worker_without_the_module_is_refused(tracker: Tracker, place: Path) -> None:
    with tracker.scenario("s") as sc:
        result = sc.map(loaded(place).assign, ROWS[:1], executor=Elsewhere(without=[place]), on_error="keep")
        assert "its code cannot be loaded there (ModuleNotFoundError: No module named 'model_" in str(result["0"].error)
        assert "put its folder on PYTHONPATH" in str(result["0"].error)
        with pytest.raises(consist.SweepError, match="WorkerDiffersError"):
            sc.map(loaded(place).assign, ROWS[:1], executor=Elsewhere(without=[place]))
    assert issubclass(WorkerDiffersError, StateError)


def test_a_worker_with_the_same_code_keeps_the_identity_of_a_serial_run(tracker: Tracker, place: Path) -> None:
    found = loaded(place)
    with tracker.scenario("s") as sc:
        for fn in (found.assign, found.made(1)):
            assert sc.map(fn, ROWS[:1], executor=Elsewhere(place, without=[place]), outputs=["flows"]).computed == 1
            assert sc.run(fn, config=ROWS[0], outputs=["flows"]).cache_hit


def test_a_worker_that_dies_is_a_lost_row(tracker: Tracker) -> None:
    with tracker.scenario("s") as sc:
        result = sc.map(model.assign, ROWS[:1], executor=Elsewhere(dies=True), on_error="keep")
    assert (result["0"].status, result["0"].key) == ("lost", None)
    assert "the worker ended with code 1" in str(result["0"].error)


MATRIX = """
import json, multiprocessing, sys, warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
import consist_es as consist
import model
FACTOR = 3
def helper(n):
    return n * FACTOR
def in_script(n):
    path = consist.output_path("out", "txt"); path.write_text(str(helper(n)))
    return path
def made(extra):
    def closure(n):
        path = consist.output_path("out", "txt"); path.write_text(str(helper(n) + extra))
        return path
    return closure
class Model:
    def __init__(self, extra):
        self.extra = extra
    def method(self, n):
        path = consist.output_path("out", "txt"); path.write_text(str(helper(n) + self.extra))
        return path
def pool_of(how):
    if how == "threads":
        return ThreadPoolExecutor(2)
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(how))
if __name__ == "__main__":
    functions = {"module": model.step, "script": in_script, "closure": made(2), "method": Model(3).method}
    told, rows = {}, [{"n": n} for n in range(2)]
    with consist.Tracker(run_dir="serial", db_path="serial.db") as tracker, tracker.scenario("s") as sc:
        for name, fn in functions.items():
            told["serial", name] = [sc.run(fn, name=name, config=row, outputs=["out"]).run.signature for row in rows]
    for how in ("threads", "fork", "spawn"):
        with consist.Tracker(run_dir=how, db_path=f"{how}.db") as tracker, tracker.scenario("s") as sc:
            with pool_of(how) as pool:
                for name, fn in functions.items():
                    result = sc.map(fn, rows, executor=pool, name=name, outputs=["out"])
                    assert result.computed == 2, result
                    told[how, name] = [row.run.signature for row in result]
            for name, fn in functions.items():
                assert all(sc.run(fn, name=name, config=row, outputs=["out"]).cache_hit for row in rows), (how, name)
                assert sc.map(fn, rows, name=name, outputs=["out"]).hits == 2
    print(json.dumps([[*key, value] for key, value in told.items()]))
"""
STEP = """
import consist_es as consist
def step(n):
    path = consist.output_path("out", "txt"); path.write_text(str(n))
    return path
"""


def test_every_kind_of_function_has_its_serial_fingerprint_on_every_kind_of_pool(here: Path) -> None:
    (here / "model.py").write_text(STEP)
    (here / "matrix.py").write_text(MATRIX)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "matrix.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = {(how, name): value for how, name, value in json.loads(done.stdout.splitlines()[-1])}
    assert len(told) == 16
    for (_, name), fingerprints in told.items():
        assert fingerprints == told["serial", name]


SETS_UP = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import consist_es as consist
def step(n):
    path = consist.output_path("out", "txt"); path.write_text(str(np.float64(n) / 0))
    return path
if __name__ == "__main__":
    np.seterr(all="raise")
    with consist.Tracker(run_dir="runs", db_path="p.db") as tracker, tracker.scenario("s") as sc:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            result = sc.map(step, [{"n": 1}], executor=pool, outputs=["out"], on_error="keep")
    print(result.rows[0].error)
"""


def test_what_only_the_script_sets_up_is_missed_in_a_worker(here: Path) -> None:
    (here / "sets_up.py").write_text(SETS_UP)
    said = run_script(here / "sets_up.py").stdout
    assert "WorkerDiffersError" in said
    assert "np.seterr" in said
    assert "do it in the step's function, or in a module it imports" in said


BY_VALUE = """
import sys
from pathlib import Path
import numpy as np
import consist_es as consist
from tests.support.elsewhere import Elsewhere
HERE = Path.cwd()
sys.path.insert(0, str(HERE / "good"))
import fares
FACTOR = 3
def helper(n):
    return n * FACTOR + fares.BASE
def step(n):
    path = consist.output_path("out", "txt"); path.write_text(str(helper(n)))
    return path
def made(extra):
    return lambda n: step(n + extra)
good, stale = [Elsewhere(HERE / name, without=[HERE / "good"], has_script=False) for name in ("good", "stale")]
with consist.Tracker(run_dir="runs", db_path="p.db") as tracker, tracker.scenario("s") as sc:
    for fn in (step, made(1)):
        for where in (stale, good):
            found = sc.map(fn, [{"n": 1}], executor=where, name="step", outputs=["out"], on_error="keep")
            print(found.rows[0].status, found.rows[0].error)
        print(sc.run(fn, name="step", config={"n": 1}, outputs=["out"]).cache_hit)
    np.seterr(all="ignore")
    print(sc.map(step, [{"n": 2}], executor=good, outputs=["out"], on_error="keep").rows[0].error)
"""


def test_code_of_a_script_that_comes_by_value_is_the_scripts_and_all_other_code_must_be_the_same(here: Path) -> None:
    for name, base in (("good", 10), ("stale", 11)):
        (here / name).mkdir()
        (here / name / "fares.py").write_text(f"BASE = {base}\n")
    (here / "own.py").write_text(BY_VALUE)
    told = run_script(here / "own.py").stdout.splitlines()
    for refused, computed, hit in (told[:3], told[3:6]):
        assert refused.startswith("failed WorkerDiffersError")
        assert "fares.py" in refused
        assert (computed, hit) == ("computed None", "True")
    assert "np.seterr in own.py" in told[6]


# ---------------------------------------------------------------- trackers and scenarios that travel


def test_a_tracker_and_a_scenario_come_back_from_a_pickle_with_their_settings(here: Path) -> None:
    given: dict[str, Any] = {"hashing_strategy": "fast", "cache_epoch": 3, "mask_keys": ["pin"], "observe": "warn"}
    given |= {"ignore_reads": ["*.tmp"], "record_source": False, "sync": "os", "package_identity": "imported"}
    with Tracker(run_dir="runs", db_path="p.db", mounts={"data": "."}, **given) as tracker:
        again = pickle.loads(pickle.dumps(tracker))
        assert again is not tracker
        assert pickle.loads(pickle.dumps(tracker)) is again
        assert pickle.dumps(again) == pickle.dumps(tracker)
        assert again.mounts == tracker.mounts
        with tracker.scenario("s", config={"growth": 2}, step_tags=["t"]) as sc:
            sc.coupler["raw"] = "raw.csv"
            made = sc.run(model.assign, config=ROWS[0], outputs=["flows"])
            other = pickle.loads(pickle.dumps(sc))
            assert other.handle == sc.handle
            assert (other.run_id, other.name, dict(other.config)) == ("s", "s", {"growth": 2})
            assert other.coupler["flows"].id == made.outputs["flows"].id
            assert other.coupler.path("raw") == here / "raw.csv"
            hit = other.run(model.assign, config=ROWS[0], outputs=["flows"])
            assert hit.cache_hit
            assert (hit.run.parent_run_id, hit.run.tags) == ("s", ["t"])
    events = [event.type for event in tracker.project.log.read()]
    assert (events.count("scenario_started"), events.count("scenario_exited")) == (1, 1)


def test_what_cannot_travel_says_so(here: Path) -> None:
    with Tracker(run_dir="runs", db_path="p.db", run_subdir_fn=lambda run: run.id) as tracker:
        with pytest.raises(UsageError, match="run_subdir_fn cannot travel"):
            pickle.dumps(tracker)
        with tracker.scenario("s") as sc, pytest.raises(UsageError, match="run_subdir_fn cannot travel"):
            sc.map(model.assign, ROWS, executor=Elsewhere())
    with pytest.raises(UsageError, match="records nothing cannot travel"):
        pickle.dumps(consist.NoopTracker())
    with pytest.raises(ClosedError, match="was never entered"):
        _ = Tracker(run_dir="runs", db_path="p.db").scenario("t").handle


def test_a_handle_is_small_and_without_secrets(tracker: Tracker) -> None:
    config = {"api_token": "hush-hush-1", "growth": 2}
    with tracker.scenario("s", config=config, step_facet={"password": "hush-hush-2"}) as sc:
        assert "hush" not in sc.handle
        assert len(sc.handle) < 1000
        other = pickle.loads(pickle.dumps(sc))
        with pytest.raises(UsageError, match="do not travel to other processes"):
            _ = other.config


def test_an_attached_scenario_leaves_header_and_coupler_to_its_owner(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracker.scenario("s") as sc:
        monkeypatch.setenv("CONSIST_ES_CONTEXT", sc.handle)
        with consist.attached() as other:
            assert consist.current_tracker() is other.tracker
            with pytest.raises(ClosedError, match="is entered here already"):
                other.__enter__()
            first = other.run(model.assign, config=ROWS[0], outputs=["flows"])
            assert other.coupler["flows"].id == first.outputs["flows"].id
            with pytest.raises(ClosedError, match="entered by another process"):
                other.add_input("x.csv", "x")
            assert other.map(model.assign, ROWS, outputs=["flows"]).hits == 1
        assert list(sc.coupler) == []
        assert [run.status for run in tracker.find_runs(kind="scenario")] == ["running"]
        assert first.run.parent_run_id == "s"
    assert [event.type for event in tracker.project.log.read()].count("coupler_set") == 0


def test_a_process_that_was_started_for_no_scenario_says_how_to_start_one(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONSIST_ES_CONTEXT", raising=False)
    with pytest.raises(StateError, match="CONSIST_ES_CONTEXT is not set"):
        consist.attached()
    monkeypatch.setenv("CONSIST_ES_CONTEXT", "{}")
    with pytest.raises(StateError, match=r"no handle of a scenario: '\{\}'"):
        consist.attached()
    with tracker.scenario("s") as sc:
        foreign = json.loads(sc.handle) | {"scenario": "t-000000000000"}
    monkeypatch.setenv("CONSIST_ES_CONTEXT", json.dumps(foreign))
    with pytest.raises(StateError, match="has no scenario 't-000000000000'"):
        consist.attached()


# ---------------------------------------------------------------- batch scripts


def test_a_script_runs_the_rows_that_are_left_and_the_same_call_takes_them(tracker: Tracker, here: Path) -> None:
    from consist_es.api.sweep_task import main

    with tracker.scenario("s") as sc:
        fares = here / "fares.txt"
        fares.write_text("10")
        raw = tracker.run(_fares, outputs=["fares"])
        given: dict[str, Any] = {"inputs": {"fares": raw}, "outputs": ["prices"], "script": "jobs/sweep.sbatch"}
        sc.map(model.price, ROWS[:1], inputs={"fares": raw}, outputs=["prices"])
        written = sc.map(model.price, [*ROWS, {"toll": 5.0}], **given)
        assert [row.status for row in written] == ["hit", "waiting", "waiting"]
    script = here / "jobs" / "sweep.sbatch"
    text = script.read_text()
    assert "#SBATCH --array=0-1\n" in text
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    script.write_text(text.replace("#SBATCH --output", "#SBATCH --time=5\n#SBATCH --output"))
    rows = str(here / "jobs" / "sweep.sbatch.json")
    assert main([rows, "2", "0"]) == 0
    with tracker.scenario("s") as sc:
        assert [row.status for row in sc.map(model.price, [*ROWS, {"toll": 5.0}], **given)] == ["hit", "hit", "waiting"]
        assert "#SBATCH --time=5" in script.read_text()
        done = subprocess.run(
            ["bash", str(script)],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": "0", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "row 2: computed\n"), done.stderr
        last = sc.map(model.price, [*ROWS, {"toll": 5.0}], **given)
        assert last.hits == 3
        assert sc.coupler["prices/2"].path.read_text() == "15.0\n"
    assert [run.id for run in tracker.find_runs(name="price") if run.run_id == "s_price.2"][-1] == "s_price.2"


def _fares() -> Path:
    path = consist.output_path("fares", "txt")
    path.write_text("10")
    return path


def test_a_script_keeps_no_code_no_secrets_and_no_other_file(tracker: Tracker, here: Path) -> None:
    Path("own.sh").write_text("#!/bin/bash\nrm -rf /data\n")
    with tracker.scenario("s") as sc:
        with pytest.raises(consist.SweepError, match="holds a secret"):
            sc.map(model.assign, [{"toll": 1.0, "api_token": "hush-hush"}], script="s.sbatch")
        with pytest.raises(consist.SweepError, match="a script cannot keep"):
            sc.map(model.assign, [{"toll": Path("x")}], script="s.sbatch", facet={"a": {1, 2}})
        with pytest.raises(UsageError, match=r"own\.sh is not a script that map\(\) wrote"):
            sc.map(model.assign, ROWS, script="own.sh")
        with pytest.raises(TypeError, match="a function at the top of a module or of the script"):
            sc.map(lambda toll: None, ROWS, script="s.sbatch")
    assert "rm -rf" in Path("own.sh").read_text()
    assert not Path("s.sbatch").exists()


def test_a_task_with_other_code_or_without_its_rows_is_refused(
    tracker: Tracker, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from consist_es.api.sweep_task import main

    with tracker.scenario("s") as sc:
        sc.map(loaded(place).assign, ROWS, script="s.sbatch", outputs=["flows"])
    other = stale(place, "BASE = 10", "BASE = 11")
    done = subprocess.run(
        [sys.executable, "-m", "consist_es.api.sweep_task", "s.sbatch.json", "2", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (other, ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "row 1: failed: WorkerDiffersError" in done.stdout
    assert "fares_" in done.stdout
    with pytest.raises(UsageError, match="There are tasks 0 to 1"):
        main(["s.sbatch.json", "2", "2"])
    with pytest.raises(UsageError, match="does not have the rows of a sweep"):
        main(["nothing.json", "2", "1"])
    with pytest.raises(UsageError, match="Submit the script"):
        main(["s.sbatch.json"])
