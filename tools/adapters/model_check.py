"""A real ActivitySim model under the adapter: ``python3 tools/dev.py external model``.

Runs examples/activitysim_feedback.py on the 25-zone model in ActivitySim's wheel: two scenarios of two iterations. Then
again, when all must be hits; with an edit of a run-only setting, when all must be hits that name it; and with another
coefficient, when the scenario that has it must be computed again with everything that depends on it, and the other
one must not. `consist-es diff` and `consist-es report` compare the scenarios.

``--keep DIR``: keep the environment and the runs there. ``--python PATH``: an environment that is there.
``--iterations N``, ``--households N``: a smaller model.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools" / "exports")]

import yaml  # noqa: E402
from check import environment, folder  # noqa: E402

from consist_es import Tracker  # noqa: E402

COEFFICIENT = "auto_ownership_coefficients.csv: coef_cars2_asc.value: '-3.0' -> '-2.5'"
RUN_ONLY = "differs and does not count: settings.yaml (run-only): chunk_size: 0 -> 1"


class Step(NamedTuple):
    """A step that was run."""

    key: str
    name: str
    outcome: str
    notes: list[str]
    differs: list[str]
    outputs: dict[str, Path]


class Model:
    """The model in a folder of its own, and what it recorded."""

    def __init__(self, work: Path, python: Path, given: Any) -> None:
        self.work, self.python, self.given = work, python, given
        code = "import activitysim, os; print(os.path.dirname(activitysim.__file__))"
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for place in ("mtc", "runs"):
            shutil.rmtree(work / place, ignore_errors=True)
        shutil.copytree(Path(found) / "examples" / "prototype_mtc", work / "mtc")

    def run(self, *arguments: str) -> list[Step]:
        """Run both scenarios; the steps that ran, in order."""
        before = {run.key for run in self.runs()}
        began = time.monotonic()
        size = ["--iterations", str(self.given.iterations), "--households", str(self.given.households)]
        example = ROOT / "examples" / "activitysim_feedback.py"
        command: list[str | Path] = [sys.executable, example, self.work / "mtc", self.work / "runs"]
        with (self.work / "model.txt").open("a") as said:
            done = subprocess.run([*command, "--python", self.python, *size, *arguments], stdout=said, stderr=said)
        if done.returncode:
            raise SystemExit(f"the model failed: see {self.work / 'model.txt'}")
        fresh = [run for run in self.runs() if run.key not in before]
        outcomes = [run.outcome for run in fresh]
        took = time.monotonic() - began
        print(f"{' '.join(arguments) or 'as it is'}: {outcomes.count('hit')} hits of {len(fresh)} steps, {took:.1f} s")
        return fresh

    def runs(self) -> list[Step]:
        """All steps so far, oldest first."""
        if not (self.work / "runs" / "provenance.db").exists():
            return []
        place = self.work / "runs"
        with Tracker(run_dir=place / "runs", db_path=place / "provenance.db", access_mode="read_only") as tracker:
            return [self._seen(tracker, run) for run in reversed(tracker.find_runs(limit=1000)) if run.kind == "run"]

    def _seen(self, tracker: Tracker, run: Any) -> Step:
        outputs = {key: artifact.path for key, artifact in tracker.get_run_outputs(run).items()}
        why = run.why()
        return Step(run.key, run.name, run.outcome, why.notes, why.differs, outputs)


def expect(right: bool, what: str) -> bool:
    """Say what was expected, and whether it came."""
    print(f"  {'ok' if right else 'FAILED'}: {what}", flush=True)
    return right


def check(model: Model) -> bool:
    """True if everything came as expected."""
    steps = 4 * model.given.iterations
    first = model.run()
    models = [run.outcome for run in first if run.name == "simulate"]  # land use may be the same for the same trips
    good = [expect(models == ["computed"] * (steps // 2), "every model run is computed at first")]
    settings = yaml.safe_load(first[0].outputs["settings-used"].read_text())["settings.yaml"]
    good.append(expect(settings["households_sample_size"] == model.given.households, "settings-used is an artifact"))
    again = model.run()
    good.append(expect([run.outcome for run in again] == ["hit"] * steps, "every step is a hit then"))
    file = model.work / "mtc" / "configs" / "settings.yaml"
    file.write_text(file.read_text().replace("\nchunk_size: 0\n", "\nchunk_size: 1\n"))
    noted = model.run()
    simulated = [run for run in noted if run.name == "simulate"]
    good.append(expect([run.outcome for run in noted] == ["hit"] * steps, "also with a run-only setting changed"))
    good.append(expect(all(run.notes == [RUN_ONLY] for run in simulated), f"each says {RUN_ONLY!r}"))
    other = model.run("--coefficient", "-2.5")
    half = steps // 2
    good.append(expect([run.outcome for run in other[:half]] == ["hit"] * half, "another coefficient: base is reused"))
    good.append(expect(other[half].outcome == "computed", "the model that has it is computed"))
    good.append(expect(other[half].differs == [COEFFICIENT], f"because of {other[half].differs}"))
    return all(good) and compared(model)


def compared(model: Model) -> bool:
    """True if the scenarios are compared by `diff` and by the report."""
    place = model.work / "runs"
    command = [sys.executable, "-m", "consist_es"]
    diff = subprocess.run([*command, "diff", "base", "fewer-cars"], cwd=place, capture_output=True, text=True)
    report = subprocess.run([*command, "report", "-o", "report.html"], cwd=place, capture_output=True, text=True)
    print(diff.stdout[:1500], diff.stderr[:1500], report.stderr[:1500])
    good = [expect("coef_cars2_asc" in diff.stdout, "diff names the coefficient")]
    good.append(expect(report.returncode == 0 and (place / "report.html").exists(), "there is a report"))
    return all(good)


def main(arguments: list[str]) -> int:
    """Check; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--households", type=int, default=20)
    given = parser.parse_args(arguments)
    with folder(given.keep) as work:
        python = given.python or environment(work / "activitysim", "-r", HERE / "requirements.txt")
        return 0 if check(Model(work, python.absolute(), given)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
