"""R9: disks that are full for real, file size limits, folders that may not be written to."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from consist_es import Tracker
from consist_es.errors import ConsistError, LogFullError, LogReadOnlyError, ViewError
from torture import operations
from torture.children import ended, fork
from torture.trial import Trial, require

SIZES = (0, 4 << 10, 16 << 10, 100 << 10, 1_500 << 10)
DISK = 8 << 20
NEW_NAMESPACE, PRIVATE = 0x00020000, (1 << 14) | (1 << 18)
"""CLONE_NEWNS of unshare(2); MS_REC | MS_PRIVATE of mount(2)."""


def full(trial: Trial) -> None:
    """R9: what is left of a disk, six times; the same tracker goes on once there is room."""
    operations.warm(trial.folder / "warm")
    for number, size in enumerate(SIZES):
        _in_a_child(trial, f"tmpfs with {size:,} bytes left", partial(_full_disk, size), number)
    for number, size in enumerate(SIZES[:4]):
        _in_a_child(trial, f"files of {size:,} bytes more", partial(_file_limit, size), 10 + number)
    _in_a_child(trial, "a folder without permission", _no_permission, 20)


NO_NAMESPACES = 77


def _in_a_child(trial: Trial, name: str, work: Callable[[Path], None], number: int) -> None:
    room, errors = trial.room(f"r{number}"), trial.folder / f"errors{number}"
    for path in (trial.folder, room):
        path.chmod(0o777)
    with trial.case(name, "cases"):
        status = ended(fork(lambda: work(room), errors))
        if status == NO_NAMESPACES:
            trial.lacks("no full tmpfs: mounting needs root and mount namespaces")
            return
        require(status == 0, lambda: errors.read_text()[-700:] if errors.exists() else f"exit {status}")
    shutil.rmtree(room, ignore_errors=True)


def _mounted(room: Path) -> None:
    """A small file system of this process's own."""
    libc = ctypes.CDLL(None, use_errno=True)
    target = str(room).encode()
    if (
        libc.unshare(NEW_NAMESPACE) != 0
        or libc.mount(b"none", b"/", None, PRIVATE, None) != 0
        or libc.mount(b"tmpfs", target, b"tmpfs", 0, f"size={DISK}".encode()) != 0
    ):
        os._exit(NO_NAMESPACES)


def _full_disk(left: int, room: Path) -> None:
    _mounted(room)
    with operations.inside(room):
        tracker = _begun()
        before = _acknowledged(tracker)
        filler = Path("filler")
        free = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize
        filler.write_bytes(bytes(max(free - left, 0)))
        fitted = _until_full(tracker)
        filler.unlink()
        _goes_on(tracker, before + fitted)


def _file_limit(left: int, room: Path) -> None:
    with operations.inside(room):
        tracker = _begun()
        before = _acknowledged(tracker)
        size = Path("p.events/00000001.jsonl").stat().st_size + left
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        fitted = _until_full(tracker)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _goes_on(tracker, before + fitted)


def _begun() -> Tracker:
    tracker = operations.opened()
    tracker.run(operations.step, outputs=["o"], config={"n": 0})
    return tracker


def _acknowledged(tracker: Tracker) -> list[str]:
    return [run.id for run in tracker.find_runs(limit=None)]


def _until_full(tracker: Tracker) -> list[str]:
    """Steps with large configs until one is refused; what was acknowledged meanwhile."""
    done: list[str] = []
    for number in range(2000):
        config = {"n": number, "padding": os.urandom(6_000).hex()}
        try:
            done.append(tracker.run(_small_step, config=config).run.id)
        except LogFullError as error:
            require("p.events" in str(error) and "bytes were needed" in str(error), f"{error}")
            return done
        except ViewError as error:  # SQLite had no room for the views; the log may have had
            require("log is unharmed" in str(error), f"{error}")
            return done
    raise AssertionError("the disk never got full")


def _small_step(n: int, padding: str) -> None:
    """Writes no file of its own: its error would be the user's."""


def _goes_on(tracker: Tracker, acknowledged: list[str]) -> None:
    """With room again the same tracker works, and so does one that is opened anew."""
    require(
        tracker.run(operations.step, outputs=["o"], config={"n": "then"}).run.status == "completed", "not completed"
    )
    tracker.close()
    operations.check_project(acknowledged, ended=False)


# ---------------------------------------------------------------- no permission


def _no_permission(room: Path) -> None:
    """Somebody else's project: queries and hits work, recording is refused at once, nothing changes."""
    os.chdir(room)  # for good: the way back may be closed to another user
    tracker = _begun()
    tracker.close()
    before = _bytes()
    if os.getuid() == 0:
        for path in (Path(), *Path().rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        tempfile.tempdir = tempfile.mkdtemp(dir=room.parent)
        Path(tempfile.tempdir).chmod(0o777)
        os.setgroups([])
        os.setuid(65534)
    else:
        Path("p.events").chmod(0o555)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Tracker(run_dir="runs", db_path="p.db") as tracker:
            require([run.status for run in tracker.find_runs()] == ["completed"], "queries do not work")
            try:
                tracker.run(operations.step, outputs=["o"], config={"n": 5})
            except LogReadOnlyError:
                pass
            except ConsistError as error:
                raise AssertionError(f"{type(error).__name__}: {error}") from error
            else:
                raise AssertionError("a step was recorded")
    require(_bytes() == before, "something was written")


def _bytes() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path("p.events").glob("*.jsonl"))}
