"""Runs commands, each in a terminal of its own, without starting an interpreter for each: it forks.

A program of its own, for the tests have threads. It reads one JSON list of argument lists from standard input, and for
each writes one line: the JSON list of exit status and what the terminal got.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import pty
import sys
import traceback

import consist_es

HEAVY = ("rich.console", "rich.progress", "rich.table", "rich.text", "rich.traceback", "rich.live", "sqlite_utils")


def warm() -> None:
    """Import everything once, so that no child has to."""
    for module in pkgutil.walk_packages(consist_es.__path__, "consist_es."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in HEAVY:
        importlib.import_module(name)


def act(arguments: list[str]) -> None:
    """The command, in a child whose streams are the terminal. Ends at once: taking an interpreter down is slow."""
    code: object = 99
    try:
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(fd, mode, encoding="utf-8") for fd, mode in enumerate("rww"))
        importlib.import_module("consist_es.cli").main(arguments)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001  a crash is what is looked for: it is printed
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 98)


def in_terminal(arguments: list[str]) -> tuple[int, str]:
    """Exit status and output. Who is asked a question answers no."""
    child, master = pty.fork()
    if child == 0:
        act(arguments)
    os.write(master, b"n\n")
    written = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other side is closed
        while part := os.read(master, 65536):
            written += part
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), written.decode("utf-8", "surrogateescape")


if __name__ == "__main__":
    warm()
    gc.freeze()
    for given in json.load(sys.stdin):
        print(json.dumps(in_terminal(given)), flush=True)
