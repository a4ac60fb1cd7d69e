"""R2 and R8 once more, on the real system calls: strace kills the process, or fails the call, at the n-th of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from torture import operations
from torture.trial import MOST_FAILURES, Trial, require

ROOT = Path(__file__).resolve().parent.parent.parent
CALLS = (
    "pwrite64,ftruncate,fdatasync,fsync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,flock,fchmod,"
    "link,linkat,symlink,symlinkat,copy_file_range,sendfile,fallocate"
)
"""What changes something, or decides who may, wherever it is done."""
FILES = (
    *("p.db", "p.db-wal", "p.db-shm", "p.db-journal", "p.db.lock", "p.db.rebuild", "p.db.rebuild-wal"),
    *("p.events", "p.events/00000001.jsonl", "p.events/lock", "p.events/head", "p.events/head.tmp"),
)
OPENING = "openat,open,write"
"""The interpreter makes these too, so they are struck at `FILES` only."""
MOST = 10_000
"""System calls that no verb makes."""
ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS", "EACCES")
PROGRAM = """
import os, sys
from pathlib import Path
from torture import operations
ledger = os.open("../ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
with operations.opened() as tracker:
    operations.OPERATIONS[sys.argv[1]](tracker, lambda run: os.write(ledger, f"{run}\\n".encode()))
"""


def injected_kills(trial: Trial) -> None:
    """Every `count`-th kill point of four verbs."""
    _injected(trial, "signal=SIGKILL", "kill points (strace)")


def injected_errors(trial: Trial) -> None:
    """Every `count`-th failing call of four verbs, the errors in turn, once and from then on."""
    _injected(trial, "", "failing calls (strace)")


def _injected(trial: Trial, what: str, told: str) -> None:
    if shutil.which("strace") is None:
        trial.lacks("no strace")
        return
    operations.prepare(trial.folder / "template")
    stride = max(trial.count, 1)
    for verb in ("run", "run, outputs copied", "scenario", "replay"):
        _at_each(trial, verb, what, told, CALLS, (), stride)
        _at_each(trial, verb, what, f"{told}, opening and writing", OPENING, FILES, max(stride // 20, 1))


def _at_each(trial: Trial, verb: str, what: str, told: str, calls: str, files: tuple[str, ...], stride: int) -> None:
    """One call after another, every `stride`-th, until a verb comes through."""
    at, most = 1 + trial.random.randrange(stride), 0
    for number in trial.cases(MOST):
        error = ERRORS[number % len(ERRORS)]
        inject = what or f"error={error}"
        when = f"{at}" if what or number % 2 else f"{at}+"
        reached = True  # a case that fails says nothing about whether it was the last one
        with trial.case(f"{verb}, call {when} of {calls}, {inject}", told):
            reached = struck(trial.folder, verb, calls, f"{inject}:when={when}", files)
        if not reached or trial.failed > MOST_FAILURES:
            break
        most = at
        at += stride
    else:
        trial.stopped.append(f"{verb}: nothing was tried after call {most} of {calls}")
    trial.notes[f"{verb}, {'opening and writing' if files else 'changing'}, system calls up to"] = most


def struck(folder: Path, verb: str, calls: str, inject: str, files: tuple[str, ...] = ()) -> bool:
    """Run a verb in a copy of ``template`` with system calls struck, those on `files` of the project if there are any
    given, and check the project afterwards; whether one was struck."""
    room = folder / "room"
    operations.copied(folder / "template", room)
    (folder / "ledger").write_text("")
    command = ["strace", "-f", "-qq", "-o", str(folder / "trace"), "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:{inject}", *(f"--trace-path={room / name}" for name in files)]
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
        with operations.inside(room):
            operations.check_project((folder / "ledger").read_text().split())
        fine = done.returncode in (0, -9, 137) or any(  # notes may follow the line that names the error
            line.startswith("consist_es.errors.") for line in done.stderr.splitlines()
        )
        require(fine, f"exit {done.returncode}: {done.stderr[-500:]}")
    finally:
        shutil.rmtree(room)
    return "INJECTED" in (folder / "trace").read_text() or done.returncode in (-9, 137)
