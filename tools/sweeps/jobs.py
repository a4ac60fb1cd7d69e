"""Sweeps on SLURM: jobs.py FOLDER. As an array by submitit with one call of sbatch, and as a plain script."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import consist_es as consist

sys.path.insert(0, str(Path(__file__).resolve().parent))
import steps
import submitit

ROWS = [{"n": n} for n in range(6)]


def calls(folder: Path) -> int:
    """How often sbatch was called: `everywhere.py` puts a stand-in before it that counts."""
    counted = folder / "sbatch.calls"
    return len(counted.read_text().splitlines()) if counted.exists() else 0


def told(*command: str) -> str:
    """What a command prints. Its result is used: a call by itself would count as something that the script sets up."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main(folder: Path) -> None:
    """Check both ways."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)  # submitit tells at each look that there is no accounting
    os.chdir(folder)
    executor = submitit.AutoExecutor(folder / "jobs", cluster="slurm")
    executor.update_parameters(timeout_min=5, slurm_array_parallelism=2)
    with consist.Tracker(run_dir="runs", db_path="p.db") as tracker:
        with tracker.scenario("array") as sc:
            began = time.monotonic()
            found = sc.map(steps.step, ROWS, executor=executor, outputs=["out"])
            assert found.computed == len(ROWS), [row.error for row in found]
            print(f"submitit: {found.told()} in {time.monotonic() - began:.0f} s by {calls(folder)} call of sbatch")
            assert calls(folder) == 1
            assert sc.map(steps.step, ROWS, executor=executor, outputs=["out"]).hits == len(ROWS)
            assert calls(folder) == 1
            more = [*ROWS, {"n": 100}, {"n": 101}]
            left = sc.map(steps.step, more, script="sweep.sbatch", outputs=["out"])
            assert (left.hits, [row.id for row in left.waiting]) == (len(ROWS), ["6", "7"])
        assert told("sbatch", "--wait", "--parsable", "sweep.sbatch")
        with tracker.scenario("array") as sc:
            again = sc.map(steps.step, more, script="sweep.sbatch", outputs=["out"])
            assert again.hits == len(more), again
            print(f"plain script: {again.told()} after sbatch --wait; coupler {len(sc.coupler)} keys")
            slow = sc.map(steps.slow, [{"n": n} for n in range(2)], script="slow.sbatch", outputs=["out"])
            assert len(slow.waiting) == 2
        job = told("sbatch", "--parsable", "slow.sbatch")
        while len(list(folder.glob("slow-*.began"))) < 2:
            time.sleep(0.2)
        assert told("scancel", f"{job}_1") == ""
        while told("squeue", "-h", "-o", "%i"):
            time.sleep(0.5)
        with tracker.scenario("array") as sc:
            rest = sc.map(steps.slow, [{"n": n} for n in range(2)], script="slow.sbatch", outputs=["out"])
            assert (rest.hits, [row.id for row in rest.waiting]) == (1, ["1"]), rest
        print("plain script with a cancelled task: that row alone is written again")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
