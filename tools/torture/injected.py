"""R2 and R8 once more, on the real system calls: strace kills the process, or fails the call, at the n-th of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from torture import verbs
from torture.trial import Trial, require

ROOT = Path(__file__).resolve().parent.parent.parent
CALLS = "pwrite64,ftruncate,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
"""What changes something; `write` and `openat` are the interpreter's more than ours."""
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS", "EACCES")
PROGRAM = """
import os, sys
from pathlib import Path
from torture import verbs
ledger = os.open("../ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
with verbs.opened() as tracker:
    verbs.VERBS[sys.argv[1]](tracker, lambda run: os.write(ledger, f"{run}\\n".encode()))
"""


def injected_kills(trial: Trial) -> None:
    """Every `count`-th kill point of three verbs."""
    _injected(trial, "signal=SIGKILL", "kill points (strace)")


def injected_errors(trial: Trial) -> None:
    """Every `count`-th failing call of three verbs, the errors in turn, once and from then on."""
    _injected(trial, "", "failing calls (strace)")


def _injected(trial: Trial, what: str, told: str) -> None:
    if shutil.which("strace") is None:
        trial.lacks("no strace")
        return
    verbs.prepare(trial.folder / "template")
    stride = max(trial.count, 1)
    for verb in ("run", "scenario", "replay"):
        at = 1 + trial.random.randrange(stride)
        for number in trial.cases(400):
            error = ERRORS[number % len(ERRORS)]
            inject = what or f"error={error}"
            when = f"{at}" if what or number % 2 else f"{at}+"
            reached = False
            with trial.case(f"{verb}, call {when}, {inject}", told):
                reached = _one(trial.folder, verb, f"{CALLS}:{inject}:when={when}")
            if not reached:
                break
            trial.notes[f"system calls of {verb}, at least"] = at
            at += stride


def _one(folder: Path, verb: str, inject: str) -> bool:
    room = folder / "room"
    verbs.copied(folder / "template", room)
    (folder / "ledger").write_text("")
    command = ["strace", "-f", "-qq", "-o", str(folder / "trace"), "-e", f"trace={CALLS}", "-e", f"inject={inject}"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, "-W", "ignore", "-c", PROGRAM, verb],
        cwd=room,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    try:
        with verbs.inside(room):
            verbs.check_project((folder / "ledger").read_text().split())
        fine = done.returncode in (0, -9, 137) or any(  # notes may follow the line that names the error
            line.startswith("consist_es.errors.") for line in done.stderr.splitlines()
        )
        require(fine, f"exit {done.returncode}: {done.stderr[-500:]}")
    finally:
        shutil.rmtree(room)
    return "INJECTED" in (folder / "trace").read_text() or done.returncode in (-9, 137)
