"""Real processes: forked from here, so that one costs a millisecond and not the start of an interpreter."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a child counts as hanging."""


def fork(work: Callable[[], None], errors: Path | None = None) -> int:
    """Run `work` in a child and return its pid; exit status 0 where it returned, 1 with its traceback in `errors`."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of whoever runs this
        pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.simplefilter("ignore")
        work()
    except BaseException:  # noqa: BLE001  the child's whole life
        code = 1
        if errors is not None:
            errors.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def ended(pid: int, seconds: float = PATIENCE) -> int:
    """Exit status of a child, negative for a signal. One that hangs is killed, and that is an error."""
    deadline = time.monotonic() + seconds
    pause = 0.0005
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"a child hung for {seconds:.0f} s")


def killed(pid: int) -> None:
    """Kill a child and wait for its end."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


class Ledger:
    """Where children write down what was acknowledged: outside the library, one write each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def add(self, what: str) -> None:
        """It was acknowledged."""
        os.write(self._fd, f"{what}\n".encode())

    def all(self) -> list[str]:
        """Everything that was."""
        return self.path.read_text().splitlines()

    def close(self) -> None:
        os.close(self._fd)
