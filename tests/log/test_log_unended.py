"""Whether the process that a log names is certainly gone: never on a doubt."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from consist_es.events import Draft, StepAbandoned, WriterAttached
from consist_es.log.local import LocalLog
from consist_es.log.presence import FOLDER, is_gone, is_seen, sweep
from consist_es.system import machine
from consist_es.system.storage import LocalStorage

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
    known = {"host": HERE.host(), "boot": HERE.boot(), "machine": HERE.machine(), "pid_namespace": HERE.pid_namespace()}
    return WriterAttached(
        writer="w", pid=pid, pid_started=started, user="u", library="", python="", platform="", **{**known, **other}
    )


def gone(storage: LocalStorage, pid: int) -> bool:
    return is_gone(storage, Path("nowhere"), marks(pid))


def test_where_no_start_is_told_a_process_is_gone_when_its_number_is_nobodys() -> None:
    assert not gone(Timeless(), os.getpid())
    assert gone(Timeless(), NOBODY)


def test_a_number_of_another_machine_is_nobodys_business_though_host_boot_and_namespace_are_the_same() -> None:
    """As two copies of one virtual machine have them."""
    copied = Another(machine="0" * 32)
    assert gone(Another(machine=""), NOBODY)
    assert not is_gone(copied, Path("nowhere"), marks(NOBODY, machine="1" * 32))
    assert not is_seen(copied, Path("nowhere"), marks(os.getpid(), machine="1" * 32))
    assert is_gone(copied, Path("nowhere"), marks(NOBODY, machine="0" * 32))


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


# ---------------------------------------------------------------- locks of writers


def writing(folder: Path, storage: LocalStorage | None = None) -> LocalLog:
    """A log with a line of this process."""
    log = LocalLog(folder, storage=storage)
    log.append([Draft(StepAbandoned(reason="x"))], commit=True)
    return log


def writer_of(folder: Path) -> WriterAttached:
    """The last process that wrote."""
    return [event.event for event in LocalLog(folder).read() if isinstance(event.event, WriterAttached)][-1]


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / FOLDER).glob("*"))


def forked(work: Callable[[], object]) -> int:
    """A child that works and then sleeps until it is killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kept = work()
            os.write(writing, b"x")
            time.sleep(60)
            del kept
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    return pid


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


SEEN_FROM: dict[str, tuple[dict[str, object], bool]] = {
    "here": ({}, True),
    "a container": ({"pid_namespace": "pid:[1]"}, True),
    "a container of another name, without an id": ({"pid_namespace": "pid:[1]", "machine": "", "host": "c"}, True),
    "where the namespace cannot be told": ({"pid_namespace": machine.UNKNOWN}, True),
    "after a reboot": ({"boot": "later"}, True),
    "a clone of the machine": ({"boot": "theirs", "host": "clone"}, True),
    "another machine": ({"boot": "theirs", "machine": "theirs"}, False),
    "another machine of the same name, without an id": ({"boot": "theirs", "machine": ""}, False),
    "a machine that has it by the network": ({"boot": "theirs", "is_local": False}, False),
    "a container that has it by the network": ({"pid_namespace": "pid:[1]", "is_local": False}, False),
}
"""Who asks -> what the system says there, and whether a death can be seen from there. A life never looks like one."""


@pytest.mark.parametrize("where", SEEN_FROM)
@pytest.mark.parametrize("before", [None, signal.SIGSTOP], ids=["alive", "suspended"])
def test_a_living_writer_is_gone_for_nobody_and_a_killed_one_for_those_who_can_be_certain(
    tmp_path: Path, where: str, before: signal.Signals | None
) -> None:
    folder, (says, told) = tmp_path / "x", SEEN_FROM[where]
    pid = forked(lambda: writing(folder))
    try:
        if before is not None:
            os.kill(pid, before)
            os.waitpid(pid, os.WUNTRACED)
        asks = Another(**says)
        assert not is_gone(asks, folder, writer_of(folder))
        assert is_seen(asks, folder, writer_of(folder)) == told
    finally:
        end(pid)
    assert is_gone(asks, folder, writer_of(folder)) == told
    assert not is_seen(asks, folder, writer_of(folder))


def test_on_a_network_file_system_only_the_table_of_processes_is_asked(tmp_path: Path) -> None:
    remote = Another(is_local=False)
    pid = forked(lambda: writing(tmp_path / "x", remote))
    writer = writer_of(tmp_path / "x")
    assert (writer.lock, (tmp_path / "x" / FOLDER).exists()) == ("", False)
    assert not is_gone(remote, tmp_path / "x", writer)
    end(pid)
    assert is_gone(remote, tmp_path / "x", writer)
    assert not is_gone(Another(pid_namespace="pid:[1]"), tmp_path / "x", writer)  # though it looks local from there


@pytest.mark.parametrize("how", ["deleted", "replaced", "the project copied"])
def test_a_lock_file_that_is_not_the_one_that_was_locked_says_nothing(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "x"
    pid = forked(lambda: writing(folder))
    writer, (name,) = writer_of(folder), locks(folder)
    if how == "the project copied":
        shutil.copytree(folder, folder := tmp_path / "copy")
    else:
        (folder / FOLDER / name).unlink()
    if how == "replaced":
        (tmp_path / "other").touch()
        (folder / FOLDER / name).touch()
    for asks in (HERE, Another(boot="later"), Another(pid_namespace="pid:[1]")):
        assert not is_gone(asks, folder, writer)
    end(pid)
    assert is_gone(HERE, folder, writer)
    assert not is_gone(Another(boot="later"), folder, writer)


def test_a_forked_child_neither_keeps_the_lock_of_a_killed_parent_nor_removes_that_of_a_living_one(
    tmp_path: Path,
) -> None:
    folder, container = tmp_path / "x", Another(pid_namespace="pid:[1]")
    script = """
import os, sys, time
from pathlib import Path
from consist_es.events import Draft, StepAbandoned
from consist_es.log.local import LocalLog
log = LocalLog(Path(sys.argv[1]))
log.append([Draft(StepAbandoned(reason="x"))])
if os.fork() == 0:
    sys.exit()  # as a script ends
os.wait()
if os.fork() == 0:
    print(os.getpid(), flush=True)  # by the child: only now it has let go of what it was born with
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        writer = writer_of(folder)
        assert len(locks(folder)) == 1
        assert not is_gone(container, folder, writer)
        parent.kill()
    try:
        assert is_gone(container, folder, writer)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_that_c_code_forked_does_not_make_its_killed_parent_live(tmp_path: Path) -> None:
    """Python is not told of such a fork, so the child has the lock's file open; the table of processes knows better."""
    folder = tmp_path / "x"

    def work() -> LocalLog:
        import ctypes

        log = writing(folder)
        if ctypes.CDLL(None).fork() == 0:
            ctypes.CDLL(None).sleep(3)
            os._exit(0)
        return log

    pid = forked(work)
    assert not is_gone(HERE, folder, writer_of(folder))
    end(pid)
    assert is_gone(HERE, folder, writer_of(folder))
    assert not is_gone(Another(pid_namespace="pid:[1]"), folder, writer_of(folder))


def test_the_file_of_a_writer_is_there_as_long_as_it_writes(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    log = writing(folder)
    writer, (name,) = writer_of(folder), locks(folder)
    assert writer.lock.split(":")[0] == name
    log.append([Draft(StepAbandoned(reason="y"))])
    log.close()
    assert locks(folder) == []
    log.append([Draft(StepAbandoned(reason="z"))])  # goes on, under a lock that others can find
    again = writer_of(folder)
    assert again.writer == writer.writer
    assert [again.lock.split(":")[0]] == locks(folder)
    assert not is_gone(Another(pid_namespace="pid:[1]"), folder, again)
    del log
    assert locks(folder) == []


def test_what_dead_writers_left_is_removed_unless_somebody_needs_it(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    for _ in range(2):
        end(forked(lambda: writing(folder)))
    needed = writer_of(folder).lock
    log = writing(folder)
    assert len(locks(folder)) == 3
    (folder / FOLDER / "notes.txt").touch()
    sweep(Another(is_local=False), folder, {needed})
    assert len(locks(folder)) == 4
    sweep(HERE, folder, {needed})
    own = writer_of(folder).lock
    assert locks(folder) == sorted([needed.split(":")[0], own.split(":")[0], "notes.txt"])
    log.close()
    sweep(HERE, tmp_path / "nowhere", ())


class Tidied(LocalStorage):
    """Somebody tidies up between the moment when a writer makes its file and the moment when it locks it."""

    def __init__(self, folder: Path, times: int) -> None:
        self._folder, self._times = folder, times

    def flock_within(self, fd: int, seconds: float) -> bool:
        if self._times and (self._folder / FOLDER).exists():
            self._times -= 1
            sweep(HERE, self._folder, ())
        return super().flock_within(fd, seconds)


@pytest.mark.parametrize(("times", "held"), [(1, True), (2, True), (99, False)])
def test_a_file_that_is_removed_before_it_was_locked_is_made_again(tmp_path: Path, times: int, held: bool) -> None:
    log = writing(tmp_path / "x", Tidied(tmp_path / "x", times))
    writer = writer_of(tmp_path / "x")
    assert bool(writer.lock) == held
    assert len(locks(tmp_path / "x")) == held
    assert not is_gone(Another(pid_namespace="pid:[1]"), tmp_path / "x", writer)
    log.close()


@pytest.mark.parametrize("call", ["mkdir", "flock_within", "is_local"])
def test_where_there_can_be_no_lock_work_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    folder = tmp_path / "x"
    writing(folder).close()
    (folder / FOLDER).rmdir()
    real = getattr(LocalStorage, call)

    def refused(self: LocalStorage, *given: object, **named: object) -> object:
        if sys._getframe(1).f_code.co_filename.endswith("presence.py") or FOLDER in str(given):
            raise OSError(37, "No locks available")
        return real(self, *given, **named)

    monkeypatch.setattr(LocalStorage, call, refused)
    log = writing(folder)
    assert writer_of(folder).lock == ""
    log.close()


@pytest.mark.parametrize(
    "lock", ["", "1.ab", "../../secret:{}", "secret:{}", "1.ab:x", "1.ab:{}", "/1.ab:{}", "1.ab:{}:"]
)
def test_a_lock_that_a_log_names_is_looked_for_in_its_own_folder_alone(
    tmp_path: Path, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "x"
    (folder / FOLDER).mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.touch()
    inode = secret.stat().st_ino
    (folder / FOLDER / "secret").symlink_to(secret)
    (folder / FOLDER / "1.ab").symlink_to(secret)
    opened: list[int] = []
    monkeypatch.setattr(LocalStorage, "is_locked", lambda _self, fd: opened.append(fd))
    assert not is_gone(Another(pid_namespace="pid:[1]"), folder, marks(1, lock=lock.format(inode)))
    assert opened == []


# ---------------------------------------------------------------- logs of earlier versions


@pytest.mark.parametrize(
    ("ours", "told"), [(machine.INITIAL_NAMESPACE, True), (machine.NO_NAMESPACES, True), ("pid:[1]", False)]
)
def test_of_a_writer_whose_namespace_is_not_recorded_a_kill_is_noticed_outside_of_containers(
    ours: str, told: bool
) -> None:
    asks = Another(pid_namespace=ours)
    assert is_gone(asks, Path("x"), marks(NOBODY, pid_namespace="", machine="")) == told
    assert not is_gone(asks, Path("x"), marks(os.getpid(), HERE.pid_started(os.getpid()), pid_namespace=""))
    for other in ({"host": "elsewhere"}, {"boot": "another"}, {"boot": ""}):
        assert not is_gone(asks, Path("x"), marks(NOBODY, pid_namespace="", machine="", **other))


def test_a_process_that_could_not_tell_when_it_started_is_judged_by_its_number() -> None:
    assert not is_gone(HERE, Path("x"), marks(os.getpid(), ""))
    assert is_gone(HERE, Path("x"), marks(NOBODY, ""))


# ---------------------------------------------------------------- what the system says


def test_the_id_of_the_machine_is_not_recorded_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("empty", b""), ("odd", b"uninitialized\n"), ("id", b"0123456789abcdef" * 2 + b"\n")):
        (tmp_path / name).write_bytes(text)
    monkeypatch.setattr(machine, "_IDS", [tmp_path / name for name in ("missing", "empty", "odd")])
    assert machine.machine() == ""
    monkeypatch.setattr(machine, "_IDS", [tmp_path / name for name in ("missing", "empty", "odd", "id")])
    found = machine.machine()
    assert len(found) == 32
    assert "0123456789abcdef" not in found
    assert found == machine.machine()


def test_a_namespace_of_which_proc_does_not_speak_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.pid_namespace() == str(Path("/proc/self/ns/pid").readlink())
    monkeypatch.setattr("consist_es.system.machine.os.getpid", lambda: 1)
    assert machine.pid_namespace() == machine.UNKNOWN
