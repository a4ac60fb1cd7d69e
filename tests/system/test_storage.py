"""The operating system behind one interface: locks, folders, modes."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest

from consist_es.errors import ConsistWarning, LogLockError
from consist_es.log.presence import is_gone
from consist_es.system import storage
from consist_es.system.storage import LocalStorage, Lock, make_folder, write_all
from tests.log.test_log_unended import marks
from tests.support.children import fork


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    lock = Lock(tmp_path / "lock")
    yield lock
    lock.close()


def test_a_lock_keeps_another_lock_on_the_same_file_out(lock: Lock) -> None:
    other = Lock(lock.path)
    with lock:
        assert not other.acquire(blocking=False)
    assert other.acquire(blocking=False)
    other.release()


def test_a_lock_keeps_other_threads_out(lock: Lock) -> None:
    seen: list[bool] = []
    with lock:
        thread = threading.Thread(target=lambda: seen.append(lock.acquire(blocking=False)))
        thread.start()
        thread.join()
    assert seen == [False]


def test_a_killed_holder_gives_the_lock_back(lock: Lock) -> None:
    read_end, write_end = os.pipe()

    def hold() -> None:
        lock.acquire()
        os.write(write_end, b"x")
        time.sleep(60)

    pid = fork(hold)
    os.read(read_end, 1)
    os.close(read_end)
    os.close(write_end)
    assert not lock.acquire(blocking=False)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert lock.acquire(blocking=False)
    lock.release()


def test_a_forked_child_does_not_inherit_the_lock(lock: Lock) -> None:
    def try_it() -> None:
        assert not lock.acquire(blocking=False)

    with lock:
        assert status_of(fork(try_it)) == 0


def test_a_forked_child_does_not_give_its_parents_lock_back(lock: Lock) -> None:
    with lock:
        assert status_of(fork(lock.close)) == 0
        assert not Lock(lock.path).acquire(blocking=False)


def test_a_lock_file_that_was_replaced_is_opened_again(lock: Lock) -> None:
    with lock:
        pass
    lock.path.unlink()
    other = Lock(lock.path)
    with lock:
        assert lock.path.exists()
        assert not other.acquire(blocking=False)


def test_a_lock_that_an_interrupt_left_behind_does_not_block_its_own_thread(lock: Lock) -> None:
    lock.acquire()  # and the interrupt strikes before anybody could release it
    with lock:
        pass
    seen: list[bool] = []

    def take() -> None:
        seen.append(lock.acquire(blocking=False))
        lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert seen == [True]
    assert Lock(lock.path).acquire(blocking=False)


def test_releasing_a_lock_that_another_thread_holds_does_nothing(lock: Lock) -> None:
    with lock:
        thread = threading.Thread(target=lock.release)
        thread.start()
        thread.join()
        assert not Lock(lock.path).acquire(blocking=False)


def test_a_file_system_without_flock_is_named_in_the_error(tmp_path: Path) -> None:
    class NoLocks(LocalStorage):
        def flock(self, fd: int, *, blocking: bool) -> bool:
            raise OSError(errno.ENOLCK, "No locks available")

    lock = Lock(tmp_path / "lock", NoLocks())
    with pytest.raises(LogLockError, match=r"Cannot lock .*No locks available.*without flock"):
        lock.acquire()
    with pytest.raises(LogLockError):  # and not a deadlock
        lock.acquire()


def test_who_waits_long_for_a_lock_is_told_for_whom_and_not_left_waiting_for_ever(
    lock: Lock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold() -> None:
        held = Lock(lock.path)
        held.acquire()
        os.write(writing, b"x")
        time.sleep(60)

    reading, writing = os.pipe()
    pid = fork(hold)
    os.read(reading, 1)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    monkeypatch.setattr(storage, "SLOW", 0.05)
    monkeypatch.setattr(storage, "PATIENCE", 0.1)
    try:
        with (
            pytest.warns(ConsistWarning, match=f"Waiting for .*lock: process {pid}, which is stopped, has held it"),
            pytest.raises(
                LogLockError, match=rf"process {pid}, which is stopped, on .* Let that process finish, or end"
            ),
        ):
            lock.acquire()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert lock.acquire()


def test_a_lock_file_is_never_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Lock(tmp_path / "lock").acquire()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o027, 0o077])
def test_new_files_and_folders_have_the_mode_that_the_umask_allows(tmp_path: Path, umask: int) -> None:
    storage = LocalStorage()
    before = os.umask(umask)
    try:
        make_folder(storage, tmp_path / "folder")
        storage.close(storage.open(tmp_path / "file", os.O_RDWR | os.O_CREAT))
    finally:
        os.umask(before)
    assert storage.mode(tmp_path / "folder") == 0o777 & ~umask
    assert storage.mode(tmp_path / "file") == 0o666 & ~umask


def test_make_folder_makes_parents_and_says_whether_it_made_anything(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_folder(LocalStorage(), folder)
    assert folder.is_dir()
    assert not make_folder(LocalStorage(), folder)


def test_short_writes_are_completed(tmp_path: Path) -> None:
    class Short(LocalStorage):
        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            return super().write_at(fd, data[:3], offset)

    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    write_all(Short(), fd, b"0123456789", 2)
    assert LocalStorage().read_at(fd, 100, 0) == b"\0\x000123456789"
    os.close(fd)


def test_a_write_that_makes_no_progress_is_a_full_disk(tmp_path: Path) -> None:
    class Stuck(LocalStorage):
        def write_at(self, fd: int, data: bytes, offset: int) -> int:
            return 0

    with pytest.raises(OSError, match="No space") as caught:
        write_all(Stuck(), -1, b"x", 0)
    assert caught.value.errno == errno.ENOSPC


def test_a_process_is_told_from_a_later_one_with_the_same_pid() -> None:
    storage = LocalStorage()
    pid = fork(lambda: time.sleep(60))
    own, child = storage.pid_started(storage.pid()), storage.pid_started(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert own
    assert child
    assert int(child) >= int(own)
    assert storage.pid_started(pid) == ""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="what a process is doing is read from /proc")
def test_a_killed_process_that_its_parent_has_not_asked_about_is_gone() -> None:
    system = LocalStorage()
    pid = fork(lambda: time.sleep(60))
    started = system.pid_started(pid)
    try:
        assert not is_gone(system, Path("nowhere"), marks(pid, started))
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert system.pid_started(pid) == "ended"
        assert is_gone(system, Path("nowhere"), marks(pid, started))
    finally:
        os.waitpid(pid, 0)


def test_clocks_and_randomness_are_what_they_say() -> None:
    storage = LocalStorage()
    assert storage.now().tzinfo is UTC
    assert storage.monotonic() <= storage.monotonic()
    assert len(storage.token(12)) == 12
    assert storage.token(12) != storage.token(12)
    assert storage.host()
