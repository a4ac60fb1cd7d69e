"""Starts a program: its output goes to the terminal and to the step's log, and an error shows its last lines."""

from __future__ import annotations

import codecs
import contextlib
import contextvars
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consist_es.errors import ProgramError, UsageTypeError
from consist_es.execution.witness import note_child, sink_of_step
from consist_es.system.tee import Sink, write_beside
from consist_es.text import span

_TAIL = 16_000
"""Characters kept of the end of the output."""
_CHUNK = 65_536
_PATIENCE = 1.0
"""Seconds to wait for the end of the output of a program that has ended: one it started may keep it open."""


@dataclass(frozen=True, slots=True)
class Called:
    """A program that ran."""

    args: list[str]
    returncode: int
    tail: str
    """The end of what it printed, at most 16,000 characters."""
    seconds: float


class ProgramExitError(ProgramError, subprocess.CalledProcessError):
    """It ended with another exit code than 0."""


class ProgramTimeoutError(ProgramError, subprocess.TimeoutExpired):
    """It took too long."""


class ProgramNotFoundError(ProgramError, FileNotFoundError):
    """There is no such program, or no such folder to run it in."""


def call(
    args: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Called:
    """Run a program and wait for it, as `subprocess.run` does.

    What it prints, on stdout and stderr, goes to `sys.stdout` as it comes, and inside a step to the step's log, with
    the command and its exit code. See docs/step-logs.md.

    Args:
        args: the program and its arguments.
        cwd: the folder that it runs in; None for that of this process.
        env: all of its environment variables; None for those of this process.
        check: True makes an exit code other than 0 an error.
        timeout: seconds until it is killed; None waits for ever.

    Raises:
        ProgramError: its exit code is not 0 (then also a `subprocess.CalledProcessError`), it was killed after
            `timeout` seconds (`subprocess.TimeoutExpired`), or it cannot be started (`FileNotFoundError` if it is not
            there). The message has the last lines that it printed.
        UsageTypeError: `args` is not a list of str and paths, or another argument is not what it must be.
    """
    words, sink = _words(args), sink_of_step()
    _check(cwd, env, timeout)
    command, began = shlex.join(words), time.monotonic()
    if sink is not None:
        sink.write(f"$ {command}\n")
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's program
            words, cwd=cwd, env=env, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        _say(sink, f"[cannot be started: {error.strerror}]\n")
        kind = ProgramNotFoundError if isinstance(error, FileNotFoundError) else ProgramError
        where = f" ({os.fspath(error.filename)!r})" if error.filename is not None else ""
        raise kind(command, f"cannot be started: {error.strerror}{where}", "") from error
    output = _Output(process.stdout, sink)
    try:
        code = _waited(process, timeout)
    except BaseException:
        process.kill()
        _waited(process, None)
        raise
    if code is None:
        process.kill()
        _waited(process, None)
    output.join()
    seconds = time.monotonic() - began
    ended = f"exit code {code}" if code is not None else "killed"
    _say(sink, f"[{ended} after {span(seconds)}]\n")
    if code is None:
        problem = f"was killed after {timeout:g} s"
        raise _failed(ProgramTimeoutError, command, problem, output.tail, timeout=timeout, cmd=words)
    if check and code:
        problem = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise _failed(ProgramExitError, command, problem, output.tail, returncode=code, cmd=words)
    return Called(words, code, output.tail, seconds)


def _words(args: Any) -> list[str]:
    if isinstance(args, str | bytes | os.PathLike) or not isinstance(args, Sequence) or not args:
        raise UsageTypeError(
            f"call() takes a list with the program and its arguments, not {args!r}. For a command line use "
            "['sh', '-c', 'the command line']."
        )
    if wrong := [word for word in args if not isinstance(word, str | os.PathLike)]:
        raise UsageTypeError(f"call(): arguments are str or paths, not {type(wrong[0]).__name__}: {wrong[0]!r}.")
    words = [os.fsdecode(word) for word in args]
    if wrong := [word for word in words if "\0" in word]:
        raise UsageTypeError(f"call(): no program can be given an argument with a null character: {wrong[0]!r}.")
    return words


def _check(cwd: Any, env: Any, timeout: Any) -> None:
    if not (cwd is None or isinstance(cwd, str | bytes | os.PathLike)):
        raise UsageTypeError(f"call(): cwd is a str or a path, not {cwd!r}.")
    given = {} if env is None else env
    texts = [text for item in given.items() for text in item] if isinstance(given, Mapping) else [given]
    if wrong := [text for text in texts if not isinstance(text, str | bytes | os.PathLike)]:
        raise UsageTypeError(f"call(): env is a mapping of str to str; this is not: {wrong[0]!r}.")
    if not (timeout is None or (isinstance(timeout, int | float) and timeout >= 0)):
        raise UsageTypeError(f"call(): timeout is a number of seconds, or None to wait for ever, not {timeout!r}.")


def _waited(process: subprocess.Popen[bytes], timeout: float | None) -> int | None:
    """The exit code of a program once it has ended; None after `timeout` seconds. Notes how much memory it took."""
    if not hasattr(os, "wait4") or process.returncode is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout)
        return process.returncode
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = 0.0005
    while not (found := os.wait4(process.pid, 0 if deadline is None else os.WNOHANG))[0]:
        if deadline is not None and time.monotonic() > deadline:
            return None
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    _, status, usage = found
    process.returncode = os.waitstatus_to_exitcode(status)
    note_child(usage)
    return process.returncode


def _say(sink: Sink | None, text: str) -> None:
    if sink is not None:
        sink.write(text)


def _failed(kind: type[ProgramError], command: str, problem: str, tail: str, **attributes: Any) -> ProgramError:
    error = kind(command, problem, tail)
    for name, value in {"output": tail, "stderr": None, **attributes}.items():
        setattr(error, name, value)
    return error


class _Output:
    """Passes on what a program prints, from a thread, so that a program that goes quiet can still be timed."""

    def __init__(self, pipe: Any, sink: Sink | None) -> None:
        self.tail = ""
        self._sink = sink
        self._pipe = pipe
        self._shows = True
        work = contextvars.copy_context()  # it works for the step of the caller
        self._thread = threading.Thread(target=work.run, args=(self._pass_on,), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the output."""
        self._thread.join(_PATIENCE)

    def _pass_on(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._pipe:
            while data := self._pipe.read(_CHUNK):
                self._show(decoder.decode(data))
            self._show(decoder.decode(b"", final=True))
        if self.tail and not self.tail.endswith("\n"):
            _say(self._sink, "\n")  # by this thread, which holds the line back: what follows is a line of its own

    def _show(self, text: str) -> None:
        self.tail = (self.tail + text)[-_TAIL:]
        _say(self._sink, text)
        stream = sys.stdout
        if not (text and self._shows) or stream is None:
            return
        try:
            write_beside(stream, text)
        except (OSError, ValueError):  # nobody reads it any more; the program goes on
            self._shows = False
