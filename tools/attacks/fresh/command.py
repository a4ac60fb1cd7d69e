"""The command: plays N programs in some processes, and prints the report."""

import argparse
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from attacks.fresh import report
from attacks.fresh.edits import project
from attacks.fresh.play import lay, warm
from attacks.fresh.programs import Program, program
from attacks.fresh.rendering import initial
from attacks.fresh.trial import Player, Trial, broken

KEPT = Path("build") / "fresh"


def attempt(made: Program, keep: Path) -> Trial:
    """Play a program in a temporary folder; one that fails is kept below `keep`."""
    with tempfile.TemporaryDirectory(prefix="fresh-", ignore_cleanup_errors=True) as folder:
        trial = Player(made, Path(folder)).play()
        if trial.failure:
            trial.kept = str(keep / f"{made.seed}-{made.number}")
            shutil.rmtree(trial.kept, ignore_errors=True)
            shutil.copytree(folder, trial.kept, symlinks=True, ignore_dangling_symlinks=True)
            lay(Path(trial.kept, "first"), project(made, initial(made)))
            text = f"{trial.failure}\npython tools/attacks/run.py --fresh 1 {trial.label}\n"
            Path(trial.kept, "verdict.txt").write_text(text)
    return trial


def numbered(seed: int, number: int, given: argparse.Namespace) -> Trial:
    """Make a program up and play it."""
    made = program(seed, number, given.about)
    made.cold = made.cold or given.cold
    try:
        return attempt(made, given.keep)
    except Exception:  # noqa: BLE001 - one program that cannot be made costs no night
        return broken(made, traceback.format_exc()[-1000:])


def played(seed: int, numbers: Iterable[int], given: argparse.Namespace) -> Iterable[Trial]:
    """Trials as they end; each process has the packages loaded once, and forks for every run."""
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn"), initializer=warm) as pool:
        waiting = [pool.submit(numbered, seed, number, given) for number in numbers]
        for future in as_completed(waiting):
            yield future.result()


def main(arguments: list[str]) -> int:
    """Exit code 1 after any wrong hit, crash or broken program."""
    parser = argparse.ArgumentParser(prog="tools/attacks/run.py --fresh", description=__doc__)
    parser.add_argument("--fresh", type=int, required=True, metavar="N", help="so many programs")
    parser.add_argument("--seed", type=int, help="default: another one every time")
    parser.add_argument("--only", type=int, metavar="K", help="the program of this number alone")
    parser.add_argument("--about", default="", metavar="WORDS", help="classes or names of sources, like 'C ,pandas'")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cold", action="store_true", help="every run in an interpreter that is started for it")
    parser.add_argument("--keep", type=Path, default=KEPT, help="folder for programs that fail (default: %(default)s)")
    given = parser.parse_args(arguments)
    seed = time.time_ns() % 10**6 if given.seed is None else given.seed
    numbers = range(given.fresh) if given.only is None else [given.only]
    print(f"seed {seed}; repeat one program by --fresh 1 --seed {seed} --only K", flush=True)
    began, trials = time.monotonic(), []
    for trial in played(seed, numbers, given):
        trials.append(trial)
        if trial.failure:
            print(f"{trial.label}: {trial.failure[:400]} [{trial.kept}]", flush=True)
        if len(trials) % 100 == 0:
            print(f"{len(trials)} of {len(numbers)} programs after {time.monotonic() - began:.0f} s", flush=True)
    trials.sort(key=lambda trial: trial.number)
    print(report.whole(trials), f"seed {seed}, {time.monotonic() - began:.0f} s", sep="\n", flush=True)
    return 1 if any(trial.failure for trial in trials) else 0
