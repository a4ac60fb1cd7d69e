"""Runs a program's script: in a fork of this process, which has everything loaded, or in an interpreter of its own."""

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import site
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

from attacks.fresh.rendering import Project
from consist_es.project.environment import environment

BOOT = Path(__file__).resolve().parent / "boot"
INSTALLED = "env/lib/site-packages"
"""A program's folder of installed packages, with path files as in a real one."""
SECONDS = 120.0
WARMING = """
import sys
from pathlib import Path
import numpy, pandas, pydantic
from pydantic import BaseModel, Field
import consist_es as consist
from consist_es import Tracker
def step(x):
    out = consist.output_path("out", ext="txt")
    out.write_text(str(x))
    return out
tracker = Tracker(run_dir="runs", db_path="provenance.db", sync="os")
for name in ("a", "a"):
    with tracker.scenario(name) as sc:
        sc.run(step, config={"x": 1}, outputs=["out"])
print("@@", *(name for name in sys.modules if not name.startswith(("__", "sitecustomize"))))
"""


@dataclass(frozen=True)
class Call:
    """What a script said of one step."""

    step: str
    hit: bool | None
    """None for an error."""
    text: str
    """What the output holds, or the error."""
    reason: str
    """Of a miss."""

    @property
    def refused(self) -> bool:
        """The library raised an error of its own."""
        return self.hit is None and self.text.startswith("consist_es.")

    @property
    def unstable(self) -> bool:
        """It ran, and the library says that it always will."""
        return self.hit is False and self.reason in ("not_identifiable", "unstable", "prior_run_not_reusable")


@dataclass(frozen=True)
class Played:
    """One run of a script."""

    code: int
    calls: tuple[Call, ...]
    log: str


def warm() -> None:
    """Load what programs need, so that a fork of this process starts at once. No tracker is made in it.

    What the library loads when a tracker is used is seen in a child that uses one.
    """
    import attrs  # noqa: F401
    import duckdb  # noqa: F401
    import pandas  # noqa: F401
    import pydantic  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        lay(Path(folder), Project({"main.py": WARMING.encode()}))
        log = Path(folder, "log.txt")
        in_fork(Path(folder), {}, log)
        for name in log.read_text().split("@@", 1)[1].split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    environment()  # the list of packages, which is only recorded
    gc.collect()
    gc.freeze()  # a fork copies no page only because the collector looked at it


def lay(root: Path, made: Project, before: Project | None = None) -> None:
    """Write what changed since `before`, and remove what is gone."""
    old = before or Project()
    for name in (old.files.keys() - made.files.keys()) | (old.links.keys() - made.links.keys()):
        (root / name).unlink()
    for name, content in made.files.items():
        if old.files.get(name) != content:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for name, target in made.links.items():
        if name not in old.links:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)
    if made.touched:
        os.utime(root / made.touched)


def play(root: Path, env: dict[str, str], log: Path, *, cold: bool) -> Played:
    """Run main.py of a program's folder."""
    code = in_interpreter(root, env, log) if cold else in_fork(root, env, log)
    text = log.read_text(errors="replace")
    said = [json.loads(line[2:]) for line in text.splitlines() if line.startswith('@@["')]
    return Played(code, tuple(Call(*one) for one in said), text[-4000:])


def in_interpreter(root: Path, env: dict[str, str], log: Path) -> int:
    """Exit code of a process that was started for it."""
    search = os.pathsep.join([str(BOOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    more = {"PYTHONPATH": search, "FRESH_INSTALLED": str(root / INSTALLED), "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("wb") as out:
        command = [sys.executable, "main.py"]
        every = {**os.environ, **more, **env}
        try:
            done = subprocess.run(command, cwd=root, env=every, stdout=out, stderr=out, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return -int(signal.SIGKILL)
    return done.returncode


def in_fork(root: Path, env: dict[str, str], log: Path) -> int:
    """Exit code of a fork of this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of whoever runs this
        child = os.fork()
    if child == 0:
        code = 70
        try:
            code = script(root, env, log)
        finally:
            os._exit(code)
    end, pause = time.monotonic() + SECONDS, 0.001
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


def script(root: Path, env: dict[str, str], log: Path) -> int:
    """In the child: be a Python that was started in the program's folder."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    warnings.resetwarnings()
    sys.dont_write_bytecode = True  # its check is too coarse for edits within a second: Python would run old code
    os.chdir(root)
    os.environ.update(env)
    sys.path.insert(0, str(root))
    sys.path_importer_cache.clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "attacks"]:
        del sys.modules[name]  # ours, not the program's: names in its text would be names that the program reads
    if (root / INSTALLED).is_dir():
        site.addsitedir(str(root / INSTALLED))
    sys.argv = ["main.py"]
    try:
        runpy.run_path("main.py", run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever a program does, its process says so and ends
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
