"""What the tests of hostile input share: bad names, a swapper of folders and links, forged projects, writes seen."""

import ctypes
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONG = "n" * 100_000

TRAVERSALS = (
    "..", "../x", "../../x", "../../../../../../../../../../tmp/hostile-x", "a/../../x", "a/b/../../../x", "./../x",
    "./.././../x", "..//x", "..///../x", "a/..", "a//../../x", "/..", "/../x", "/", "//", "//x/y", "/etc/hostile-x",
    "///etc/hostile-x", "..\\x", "a\\..\\..\\x", "\\..\\x", "\\\\server\\share\\x", "//server/share/x", "C:\\x", "C:x",
    "C:/x", "\\\\?\\C:\\x", "\\\\.\\pipe\\x", "%2e%2e/x", "%2e%2e%2fx", "..%2fx", "..%5cx", "%252e%252e%252fx",
    "%00", "%2F%2Fx", "..\0", "x\0.txt", "\0", "../\0/x", "x\n../y", "..\n", "\r\n../x", "x\x1b[2J", "~/x", "~root/x",
    "$HOME/x", "${HOME}/x", "`id`", "$(id)", "; rm -rf x", "| x", "-rf", "--help", ".", "./.", " ", "", " ..", ".. ",
    ". .", "...", "....//x", "x/", "x//", "CON", "NUL", "aux.txt", "com1", "x:stream", "x::$DATA", "\u202e..",
    "\u2025/x", "\uff0e\uff0e/x", "\uff0e\uff0e\uff0fx", "\u2024\u2024/x", "\udc2e\udc2e/x", "\udcff\udcfe", "\ud800",
    "\udfff/../x", "a" * 255 + "/x", "a" * 256, "x/" * 2100, "../" * 2000 + "x", LONG, f"../{LONG}", f"{LONG}/../x",
    "file:///etc/hostile-x", "file://../x", "file:///../../x", "file:x", "file:///a/../../x", "data://../x",
    "data:///etc/x", "data://a/../../x", "data://%2e%2e/x", "data://..%2fx", "nowhere://x", "://x", "x://", "http://x/y",
)  # fmt: skip
"""Texts that somebody may want us to take for a path."""

_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""


def exchange(one: Path, other: Path) -> None:
    """Swap two names at once, so that neither is ever missing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), _EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """A process that swaps two names as fast as it can, until the block ends."""
    exchange(one, other)
    exchange(one, other)
    child = os.fork()
    if child == 0:
        try:
            while os.getppid() != 1:
                exchange(one, other)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def everything(folder: Path) -> dict[str, str]:
    """Relative path -> what is there, links not followed: to see that nothing was written."""
    found: dict[str, str] = {}
    for name, folders, files in os.walk(folder):
        for entry in (*folders, *files):
            path = Path(name, entry)
            if path.is_symlink():
                found[str(path.relative_to(folder))] = f"link to {path.readlink()}"
            elif path.is_file():
                found[str(path.relative_to(folder))] = path.read_bytes().hex()
            else:
                found[str(path.relative_to(folder))] = "folder"
    return found


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Fail where the block hangs: a FIFO or an endless file must never hold anybody up."""

    def late(*_: object) -> None:
        raise AssertionError(f"{what} still hangs after {seconds} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)  # the test's own limit
        signal.signal(signal.SIGALRM, before)
