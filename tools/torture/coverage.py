"""Q1c: every branch of the modules that `torture.tests_of` lists is taken by a test (``tools/dev.py coverage``).

The tests run under coverage.py, with the processes that they fork and start; what only another operating system can
reach is marked in the module, with the reason.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from torture.tests_of import WITNESSES, test_file
from torture.trial import Trial

ROOT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 3000
_SETTINGS = """\
[run]
branch = True
parallel = True
patch =
    fork
    subprocess
    _exit
data_file = {folder}/data
include =
    {modules}
"""
"""`_exit`: most children of the tests end by `os._exit`, and would take what they saw with them."""


class Missed(NamedTuple):
    """A module of which something is reached by no test."""

    module: str
    lines: list[int]
    branches: list[tuple[int, int]]
    """From which line to which; a negative one is the end of the function that begins there."""

    def __str__(self) -> str:
        branches = ", ".join(f"{start} -> {stop}" for start, stop in self.branches) or "none"
        return f"{self.module}: lines {self.lines or 'none'}, branches {branches}"


def measure(folder: Path, modules: Iterable[str], tests: Iterable[str], root: Path = ROOT) -> list[Missed]:
    """What of the modules, given by their paths below `root`, these test files leave out.

    `folder` is empty and holds what coverage.py writes.

    Raises:
        RuntimeError: a test failed, or nothing could be measured; the message ends with what was said.
    """
    modules = sorted(modules)
    settings = folder / "settings"
    lines = "\n    ".join(str(root / module) for module in modules)
    settings.write_text(_SETTINGS.format(folder=folder, modules=lines), "utf-8")
    pytest = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *map(test_file, tests))
    _coverage(root, settings, "run", *pytest)
    _coverage(root, settings, "combine", "--quiet")
    _coverage(root, settings, "json", "--quiet", "-o", str(folder / "found.json"))
    files = json.loads((folder / "found.json").read_text("utf-8"))["files"]
    found = {(root / name).resolve(): what for name, what in files.items()}
    return [missed for module in modules if (missed := _missed(module, found.get((root / module).resolve())))]


def _missed(module: str, found: dict[str, Any] | None) -> Missed | None:
    if found is None:
        return Missed(module, [1], [])  # no test imported it
    lines = found["missing_lines"]
    branches = [(start, stop) for start, stop in found["missing_branches"]]
    return Missed(module, lines, branches) if lines or branches else None


def _coverage(root: Path, settings: Path, action: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "coverage", action, f"--rcfile={settings}", *arguments]
    # A measurement that goes on around this one would be taken for ours.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, check=False, text=True, timeout=_SECONDS
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-3000:]
        raise RuntimeError(f"{' '.join(command[1:])}: exit code {done.returncode}\n{said}")


def witnesses() -> list[str]:
    """The test files of all modules, each once."""
    return list(dict.fromkeys(name for names in WITNESSES.values() for name in names))


def coverage(trial: Trial) -> None:
    """Q1c: where `count` is not 0, no line and no branch of the listed modules is left out by their tests."""
    if trial.count == 0:
        trial.notes["coverage"] = "not measured in this form"
        return
    with trial.case("all modules", "measurements"):
        for missed in measure(trial.room("coverage"), WITNESSES, witnesses()):
            trial.fail(str(missed))
        trial.tell("modules", len(WITNESSES))


def main(arguments: list[str]) -> int:
    """The command: all listed modules, or those whose path has one of these texts in it, by their own tests."""
    chosen = {name: tests for name, tests in WITNESSES.items() if any(text in name for text in arguments or [""])}
    tests = dict.fromkeys(name for names in chosen.values() for name in names)
    with tempfile.TemporaryDirectory() as folder:
        missed = measure(Path(folder), chosen, tests)
    for module in missed:
        print(module)
    print(f"coverage: {len(chosen) - len(missed)} of {len(chosen)} modules with every branch")
    return 1 if missed or not chosen else 0
