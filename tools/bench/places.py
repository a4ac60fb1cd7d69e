"""Environments of other libraries, and older states of this one, below a folder that the user names."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Missing(Exception):
    """Something cannot be had here; says why."""


class Places(NamedTuple):
    """What was made already is used again."""

    cache: Path | None
    """None: nothing is installed, and this Python runs what it can import."""

    def python(self, *requirements: str) -> Path:
        """Interpreter with these packages installed."""
        if self.cache is None:
            raise Missing("no folder was named to install it into (--cache)")
        name = hashlib.sha256(" ".join((sys.version, *sorted(requirements))).encode()).hexdigest()[:12]
        folder = self.cache.resolve() / "environments" / name
        python = folder / "bin" / "python"
        if not (folder / "whole").exists():
            shutil.rmtree(folder, ignore_errors=True)
            output(sys.executable, "-m", "venv", folder)
            output(
                python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *requirements
            )
            (folder / "whole").write_text("\n".join(requirements))
        return python

    def tree(self, commit: str) -> Path:
        """Files of a commit of this repository."""
        if self.cache is None:
            raise Missing("no folder was named to keep it in (--cache)")
        found = output("git", "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").strip()
        folder = self.cache.resolve() / "trees" / found
        if not folder.exists():
            half = folder.with_suffix(f".{os.getpid()}")
            half.mkdir(parents=True)
            archive = half / "archive.tar"
            output("git", "archive", "--output", archive, found)
            output("tar", "-xf", archive, "-C", half)
            archive.unlink()
            half.rename(folder)
        return folder


def dependencies(tree: Path = ROOT) -> list[str]:
    """What the library in this tree needs."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed: list[str] = project["dependencies"]
    return needed


def output(*command: str | Path) -> str:
    """What a command printed, given from the root of this checkout. Raises Missing if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise Missing(f"{words[0]}: {error}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise Missing(f"{' '.join(words[:4])} … failed: {last[0]}")
    return done.stdout
