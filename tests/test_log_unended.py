"""Whether the process that a log names is certainly gone: never on a doubt."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from consist_es import machine
from consist_es.events import Draft, StepAbandoned, WriterAttached
from consist_es.log.local import LocalLog
from consist_es.log.presence import FOLDER, is_gone, is_seen, sweep
from consist_es.storage import LocalStorage
from tests.test_hostile_log import append

NOBODY = 1 << 22 | 1
"""More than Linux gives to any process."""
HERE = LocalStorage()


class Timeless(LocalStorage):
    """A system that does not tell when a process started."""

    def pid_started(self, pid: int) -> str:
        return ""


class Another(LocalStorage):
    """Another machine, or this one as it is at another time or in another place."""

    def __init__(self, **says: object) -> None:
        self._says = says

    def boot(self) -> str:
        return str(self._says.get("boot", super().boot()))

    def machine(self) -> str:
        return str(self._says.get("machine", super().machine()))

    def host(self) -> str:
        return str(self._says.get("host", super().host()))

    def pid_namespace(self) -> str:
        return str(self._says.get("pid_namespace", super().pid_namespace()))

    def is_local(self, path: Path) -> bool:
        return bool(self._says.get("is_local", super().is_local(path)))


def marks(pid: int, started: str = "1", **other: str) -> WriterAttached:
    """A process of this boot and namespace, without a lock."""
    known = {"host": HERE.host(), "boot": HERE.boot(), "machine": "m", "pid_namespace": HERE.pid_namespace()}
    return WriterAttached(
        writer="w", pid=pid, pid_started=started, user="u", library="", python="", platform="", **{**known, **other}
    )


def gone(storage: LocalStorage, pid: int) -> bool:
    return is_gone(storage, Path("nowhere"), marks(pid))
def test_where_no_start_is_told_a_process_is_gone_when_its_number_is_nobodys() -> None:
    assert not gone(Timeless(), os.getpid())
    assert gone(Timeless(), NOBODY)


def test_a_child_that_ended_is_gone() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert gone(Timeless(), pid)


def test_a_number_that_no_system_has_is_nobodys() -> None:
    assert gone(Timeless(), 1 << 62)


def test_a_process_of_another_user_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pid: int, signal: int) -> None:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr("consist_es.log.presence.os.kill", forbidden)
    assert not gone(Timeless(), 1)
