"""Random programs against a small in-memory model of the specification: coupler, run table and cache must agree."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import consist_es as consist
from consist_es import Artifact, ScenarioContext, Tracker
from consist_es.errors import InputError, MissingKeyError

KEYS = ("a", "b", "c")
keys = st.sampled_from(KEYS)
configs = st.fixed_dictionaries({"n": st.integers(0, 2), "fails": st.sampled_from([False, False, False, True])})


class StepError(Exception):
    """What a failing step raises."""


def work(key: str, n: int, fails: bool, first: Path | None = None, second: Path | None = None) -> Path:
    """A step whose output tells everything that it was given."""
    if fails:
        raise StepError(f"{key} {n}")
    out = consist.output_path(key, ext="txt")
    texts = [None if path is None else path.read_text() for path in (first, second)]
    out.write_text(told(key, n, *texts))
    return out


def told(key: str, n: int, *texts: str | None) -> str:
    return json.dumps([key, n, *texts])


class ProgramsAgreeWithTheSpec(RuleBasedStateMachine):
    """`self.coupler`, `self.cache` and `self.runs` are the model; everything else is the library."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.tracker = Tracker(self.folder / "runs")
        self.scenario: ScenarioContext | None = None
        self.coupler: dict[str, Path] = {}
        self.cache: dict[Any, list[tuple[Path, str]]] = {}  # identity -> candidates: (file, text when recorded)
        self.runs: list[tuple[str, str, str, bool]] = []  # (run id, kind, status, hit), oldest first
        self.contents: dict[Path, str] = {}

    def teardown(self) -> None:
        if self.scenario is not None:
            self.scenario.__exit__(None, None, None)
        self.tracker.close()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------ the library and the model, side by side

    @precondition(lambda self: self.scenario is None)
    @rule()
    def enter(self) -> None:
        self.scenario = self.tracker.scenario("s").__enter__()
        self.coupler = {}
        self.runs.append(("s", "scenario", "running", False))
        assert self.scenario.run_id == self.id_of("s")

    @precondition(lambda self: self.scenario is not None)
    @rule(error=st.booleans())
    def leave(self, error: bool) -> None:
        assert self.scenario is not None
        problem = StepError("left") if error else None
        self.scenario.__exit__(type(problem) if problem else None, problem, None)
        self.scenario = None
        self.end("scenario", "failed" if error else "completed")

    @precondition(lambda self: self.scenario is not None)
    @rule(key=keys, config=configs, inputs=st.lists(keys, max_size=2))
    def run(self, key: str, config: dict[str, Any], inputs: list[str]) -> None:
        assert self.scenario is not None
        roles = dict(zip(("first", "second"), inputs, strict=False))
        call: dict[str, Any] = {
            "fn": work,
            "name": key,
            "inputs": roles,
            "config": {"key": key, **config},
            "outputs": [key],
        }
        if any(name not in self.coupler for name in roles.values()):
            with pytest.raises(InputError):  # no coupler key, and no such file either
                self.scenario.run(**call)
            return
        if any(not self.coupler[name].exists() for name in roles.values()):
            with pytest.raises(InputError):
                self.scenario.run(**call)
            return
        texts = {role: self.coupler[name].read_text() for role, name in roles.items()}
        names = tuple((role, self.coupler[name].name) for role, name in roles.items())
        identity = (key, config["n"], config["fails"], tuple(sorted(texts.items())), tuple(sorted(names)))
        if config["fails"]:
            with pytest.raises(StepError):
                self.scenario.run(**call)
            self.runs.append((f"s_{key}", "run", "failed", False))
            return
        good = [file for file, text in self.cache.get(identity, []) if self.intact(file, text)]
        result = self.scenario.run(**call)
        assert result.cache_hit == bool(good)
        assert result.output is not None
        expected = told(key, config["n"], texts.get("first"), texts.get("second"))
        assert result.output.path.read_text() == expected
        if good:
            assert result.output.path in good
        else:
            self.cache.setdefault(identity, []).append((result.output.path, expected))
        self.coupler[key] = result.output.path
        self.runs.append((f"s_{key}", "run", "completed", bool(good)))

    @precondition(lambda self: self.scenario is not None)
    @rule(key=keys, text=st.sampled_from(["x", "y"]))
    def trace(self, key: str, text: str) -> None:
        assert self.scenario is not None
        with self.scenario.trace("block", config={"key": key, "text": text}, cache_mode="overwrite") as tracker:
            out = consist.output_path(key, "txt")
            out.write_text(text)
            tracker.log_output(out, key=key)
        self.coupler[key] = out
        self.runs.append(("s_block", "trace", "completed", False))

    @precondition(lambda self: self.scenario is not None)
    @rule(key=keys, text=st.sampled_from(["p", "q"]))
    def set_a_path(self, key: str, text: str) -> None:
        assert self.scenario is not None
        path = self.folder / f"{key}.txt"
        path.write_text(text)
        self.scenario.coupler[key] = path
        self.coupler[key] = path

    @rule(key=keys, how=st.sampled_from(["edit", "delete"]))
    def harm(self, key: str, how: str) -> None:
        path = self.coupler.get(key)
        if path is None or not path.exists():
            return
        if how == "edit":
            path.write_text(path.read_text() + "!")
        else:
            path.unlink()

    @precondition(lambda self: self.scenario is None)
    @rule()
    def restart(self) -> None:
        self.tracker.close()
        self.tracker = Tracker(self.folder / "runs")

    # ------------------------------------------------------------ what must hold after every step

    @invariant()
    def the_coupler_agrees(self) -> None:
        if getattr(self, "scenario", None) is None or self.scenario is None:
            return
        found = {key: Path(value) for key, value in self.scenario.coupler.items()}
        assert found == self.coupler
        key = self.tracker.find_run(self.scenario.run_id).key
        sql = "SELECT key, artifact_id, value FROM coupler WHERE scenario_key = ?"
        rows = self.tracker.project.connection().execute(sql, (key,)).fetchall()
        assert {row[0] for row in rows} == set(self.coupler)
        for name, artifact_id, _ in rows:
            value = self.scenario.coupler[name]
            assert (artifact_id is not None) == isinstance(value, Artifact)

    @invariant()
    def the_run_table_agrees(self) -> None:
        if not hasattr(self, "runs"):
            return
        seen: Counter[str] = Counter()
        expected = []
        for run_id, kind, status, hit in self.runs:
            seen[run_id] += 1
            name = run_id if seen[run_id] == 1 else f"{run_id}#{seen[run_id]}"
            expected.append((name, kind, status, hit))
        runs = reversed(self.tracker.find_runs(limit=None))
        assert [(run.id, run.kind, run.status, run.meta.get("cache_hit", False)) for run in runs] == expected

    # ------------------------------------------------------------ parts of the model

    def intact(self, file: Path, text: str) -> bool:
        return file.exists() and file.read_text() == text

    def id_of(self, run_id: str) -> str:
        count = sum(1 for run in self.runs if run[0] == run_id)
        return run_id if count == 1 else f"{run_id}#{count}"

    def end(self, kind: str, status: str) -> None:
        index = max(number for number, run in enumerate(self.runs) if run[1] == kind)
        run_id, _, _, hit = self.runs[index]
        self.runs[index] = (run_id, kind, status, hit)


ProgramsAgreeWithTheSpec.TestCase.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
# The library warns of every edited file that it meets, and this program edits files.
TestProgramsAgreeWithTheSpec = pytest.mark.filterwarnings("ignore::consist_es.ConsistWarning")(
    ProgramsAgreeWithTheSpec.TestCase
)


def test_a_missing_coupler_key_is_named(tmp_path: Path) -> None:
    with Tracker(tmp_path).scenario("s") as sc, pytest.raises(MissingKeyError, match="'nothing'"):
        sc.run(work, input_keys=["nothing"], config={"key": "a", "n": 0, "fails": False})
