"""What the tests of the public API share: steps that write small files, and a script run by a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import consist_es as consist
from consist_es import Artifact, ExecutionOptions, RunResult

ROOT = Path(__file__).resolve().parents[2]
PATHS = ExecutionOptions(input_binding="paths")
NONE = ExecutionOptions(input_binding="none")


def made(key: str = "o", text: str = "x\n", ext: str = "txt") -> Path:
    """Write an output of the step that is executing."""
    path = consist.output_path(key, ext)
    path.write_text(text)
    return path


def output_of(result: RunResult) -> Artifact:
    """The one output of a result."""
    assert result.output is not None
    return result.output


def run_script(script: Path, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run a script in its own folder, with warnings as errors; `code` is the exit code it must have."""
    done = subprocess.run(
        [sys.executable, "-W", "error", script.name, *arguments],
        cwd=script.parent,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=60,
    )
    if code is not None:
        assert done.returncode == code, done.stderr
    return done
