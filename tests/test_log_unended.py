"""Whether the process that a log names is certainly gone: on its own host only, and never on a doubt."""

import os

import pytest

from consist_es.log.unended import is_gone
from consist_es.storage import LocalStorage

NOBODY = 1 << 22 | 1
"""More than Linux gives to any process."""


class Timeless(LocalStorage):
    """A system that does not tell when a process started."""

    def pid_started(self, pid: int) -> str:
        return ""


def gone(storage: LocalStorage, pid: int) -> bool:
    return is_gone(storage, storage.host(), storage.boot(), pid, "1")


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

    monkeypatch.setattr("consist_es.log.unended.os.kill", forbidden)
    assert not gone(Timeless(), 1)
