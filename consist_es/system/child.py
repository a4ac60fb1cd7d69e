"""Child processes that do a part of a large piece of work, fed and asked through pipes.

They are started anew instead of forked, so threads and open files of this process do not matter, and not by
`multiprocessing`, which would run the user's script again. Ctrl-C ends them as it ends this process; and they end when
this process is gone, for then their pipes are.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from consist_es.system.seam import WATCHERS
from consist_es.system.with_block import WithBlock

if TYPE_CHECKING:
    import subprocess

_SIZE = 8
"""Bytes of a message's length, little endian."""


def processors() -> int:
    """Number of processors that are free for this process and children of it; 1 if there must be no children."""
    if not sys.executable or getattr(sys, "frozen", False):  # then the program that runs is no Python
        return 1
    if any(watches() for watches in WATCHERS):
        return 1
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # On a busy machine children would only take turns. This process counts among those that run.
    busy = os.getloadavg()[0] - 1 if hasattr(os, "getloadavg") else 0.0
    return max(count - max(round(busy), 0), 1)


class Child(WithBlock["Child"]):
    """A process that runs one function of the library without arguments; at the end of the block it is gone."""

    def __init__(self, module: str, function: str) -> None:
        paths = [os.path.abspath(path) for path in sys.path]
        begin = f"import sys; sys.path[:] = {paths!r}; from consist_es.system.child import obey; obey()"
        self._command = [sys.executable, "-I", "-S", "-c", f"{begin}; from {module} import {function}; {function}()"]
        self._process: subprocess.Popen[bytes] | None = None

    def _begin(self) -> "Child":
        import subprocess  # heavy, and only large work needs it

        pipe, nothing, command = subprocess.PIPE, subprocess.DEVNULL, self._command
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing)  # noqa: S603
        return self

    def _end(self, error: BaseException | None) -> None:
        if (process := self._process) is not None:
            process.kill()
            with suppress(BrokenPipeError), process:  # closes the pipes, and waits
                pass

    def stop(self) -> None:
        """End it now, from any thread."""
        if self._process is not None:
            self._process.kill()

    def send(self, message: bytes) -> None:
        """Send a message. Raises OSError if the process is gone."""
        write(self._pipes()[0], message)

    def messages(self) -> Iterator[bytes]:
        """Its messages, until it ends."""
        return read(self._pipes()[1])

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BrokenPipeError("the child has not begun")
        return process.stdin, process.stdout


# ---------------------------------------------------------------- in the child


def obey() -> None:
    """End at once on Ctrl-C: the parent says all that there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def questions() -> Iterator[bytes]:
    """The messages of the parent, until it is gone."""
    return read(sys.stdin.buffer)


def answer(message: bytes) -> None:
    """Send a message to the parent."""
    write(sys.stdout.buffer, message)


# ---------------------------------------------------------------- both


def write(stream: IO[bytes], message: bytes) -> None:
    """Write one message."""
    stream.write(len(message).to_bytes(_SIZE, "little"))
    stream.write(message)
    stream.flush()


def read(stream: IO[bytes]) -> Iterator[bytes]:
    """Messages up to the end, or to one that is not whole."""
    while len(size := stream.read(_SIZE)) == _SIZE:
        length = int.from_bytes(size, "little")
        if len(message := stream.read(length)) < length:
            return
        yield message
