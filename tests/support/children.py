"""Functions that run in a child of the test's process."""

import os
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def fork(work: Callable[[], None]) -> int:
    """Run `work` in a child and return its pid; its exit status is 0 where `work` returned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of the test runner
        pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextmanager
def released(pipe: Path) -> Iterator[None]:
    """Let a child that reads from a pipe go on at the end of the block, whatever happened in it."""
    try:
        yield
    finally:
        pipe.write_text("x")


def as_nobody(act: Callable[[], None]) -> str:
    """What a function says that runs in a child as another user; nothing where all was well."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.environ.update(LOGNAME="nobody", USER="nobody", HOME="/nonexistent")
            act()
        except BaseException as error:  # noqa: BLE001  it is told to the parent
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return said
