"""Sweeps on every executor and on a real SLURM: ``python3 tools/dev.py external sweeps``.

Installs the executors of `requirements.txt` into an environment of its own, runs `rows.py` on each and `jobs.py` on a
cluster of one node. What cannot be had here is said and left out.

``--keep DIR``: keep the environment and SLURM's packages there. ``--rows N``: rows that are timed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import pools  # noqa: E402
import slurm  # noqa: E402

STAND_IN = """#!/bin/sh
echo called >> "$SBATCH_CALLS"
exec {sbatch} "$@"
"""


@contextlib.contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """The folder to work in."""
    if keep is None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


def environment(work: Path) -> Path:
    """The interpreter of an environment with the executors and this checkout."""
    place = work / "environment"
    python = place / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
    wanted = ["-r", str(HERE / "requirements.txt"), "-e", str(ROOT)]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-input", *wanted], check=True)
    return python


def run(python: Path, *words: str, env: Mapping[str, str]) -> bool:
    """Run a part, and say if it failed."""
    done = subprocess.run([str(python), *words], env=env, check=False, timeout=600)
    if done.returncode:
        print(f"FAILED: {' '.join(words)}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run every part; 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--rows", type=int, default=100)
    given = parser.parse_args()
    with folder(given.keep) as work:
        python = environment(work)
        path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"  # programs of Parsl and MPI
        env = {**os.environ, "PATH": path, "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
        count = {"submitit": 8}
        parts = [(name, str(count.get(name, given.rows))) for name in pools.NAMES]
        good = [run(python, str(HERE / "rows.py"), *part, env=env) for part in parts]
        if (why := slurm.why_not()) is not None:
            print(f"slurm: left out, {why}")
            return 0 if all(good) else 1
        (work / "slurm").mkdir(exist_ok=True)
        with slurm.cluster(work / "slurm") as found, tempfile.TemporaryDirectory() as place:
            stand_in = Path(place, "bin", "sbatch")
            stand_in.parent.mkdir()
            stand_in.write_text(STAND_IN.format(sbatch=work / "slurm" / "root" / "usr" / "bin" / "sbatch"))
            stand_in.chmod(0o755)
            searched = os.pathsep.join([str(stand_in.parent), str(python.parent), found["PATH"]])
            within = {**env, **found, "PATH": searched, "PYTHONPATH": env["PYTHONPATH"]}
            within["SBATCH_CALLS"] = str(Path(place, "sbatch.calls"))
            good.append(run(python, str(HERE / "jobs.py"), place, env=within))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
