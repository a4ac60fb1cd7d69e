"""Killed at any change of a file or write to the log, archiving and putting back lose nothing; repeated, they end."""

import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consist_es import ExecutionOptions, RunResult, Tracker
from consist_es.artifacts import recovery
from consist_es.artifacts.describe import Digester
from consist_es.projections import copies
from consist_es.system.storage import LocalStorage

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link"}
BASE, FORECAST = "base\n", "forecast of base\n"


def base(at: str) -> None:
    Path(at).write_text(BASE)


def forecast(x: Path, at: str) -> None:
    Path(at).write_text(f"forecast of {x.read_text()}")


def opened(folder: Path) -> Tracker:
    mounts = {"out": folder / "out", "arc": folder / "arc"}
    return Tracker(folder / "runs", mounts=mounts, sync="commit", capture_log=False)


def run_base(tracker: Tracker, folder: Path) -> RunResult:
    place = folder / "out" / "firms.csv"
    options = ExecutionOptions(runtime_kwargs={"at": str(place)})
    return tracker.run(base, output_paths={"firms": place}, execution_options=options)


def run_forecast(tracker: Tracker, folder: Path) -> RunResult:
    place = folder / "out" / "firms.csv"
    options = ExecutionOptions(input_binding="paths", runtime_kwargs={"at": str(place)})
    return tracker.run(forecast, inputs={"x": place}, output_paths={"later": place}, execution_options=options)


def archive(folder: Path) -> None:
    """Move an output to the archive."""
    with opened(folder) as tracker:
        tracker.archive_run_outputs("base", folder / "arc", mode="move")


def put_back(folder: Path) -> None:
    """Hit a step with a file that a later step overwrote, of which no copy is anywhere."""
    with opened(folder) as tracker:
        assert run_base(tracker, folder).cache_hit


def computed(folder: Path, *, archived: bool) -> None:
    (folder / "out").mkdir(parents=True)
    with opened(folder) as tracker:
        run_base(tracker, folder)
        if archived:
            tracker.archive_run_outputs("base", folder / "arc")
            run_forecast(tracker, folder)


def in_child(work: Callable[[Path], None], folder: Path, kill_at: int) -> tuple[int, int]:
    """Do the work in a process that is killed at its n-th change; (status, number of changes so far)."""
    ledger = folder / "ledger"
    sys.stdout.flush()
    if (pid := os.fork()) == 0:
        status = 1
        try:
            _arm(ledger, kill_at)
            work(folder)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(pid, 0)[1]
    return status, len(ledger.read_bytes()) if ledger.exists() else 0


def _arm(ledger: Path, kill_at: int) -> None:
    """Count changes of files and writes to the log from now on."""
    count, busy = 0, False
    descriptor = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def tick() -> None:
        nonlocal count
        count += 1
        os.write(descriptor, b".")
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal busy
        writes = event == "open" and bool((arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if (writes or event in CHANGES) and not busy:
            busy = True
            tick()
            busy = False

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = real(*arguments)
            tick()
            return result

        return call

    sys.addaudithook(hook)
    LocalStorage.write_at = counted(LocalStorage.write_at)  # type: ignore[method-assign]
    os.fsync = counted(os.fsync)


def true_copies(folder: Path) -> list[str]:
    """What copies are recorded as; each has to have the bytes that it is for."""
    with opened(folder) as tracker:
        artifacts = {str(item.id): item for item in tracker.find_artifacts(limit=None)}
        found = [*copies.every(tracker.project.connection())]
        for copy in found:
            place = tracker.resolve_uri(copy.uri)
            assert recovery.fault(artifacts[copy.artifact], place, Digester("full", None), content=None) is None
        return [copy.how for copy in found]


def bytes_of_all_files(folder: Path) -> set[str]:
    """Of outputs, archive and what was set aside; files that are not in their place yet do not count."""
    files = [path for top in ("out", "arc", "runs/set_aside") for path in (folder / top).rglob("*") if path.is_file()]
    return {path.read_text() for path in files if ".consist-" not in str(path)}


def test_an_output_that_is_moved_is_always_somewhere(tmp_path: Path) -> None:
    computed(tmp_path / "before", archived=False)
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    status, changes = in_child(archive, tmp_path / "whole", 0)
    assert status == 0
    for number in range(1, changes + 1):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", folder)
        assert in_child(archive, folder, number)[0] == signal.SIGKILL
        assert BASE in bytes_of_all_files(folder)
        true_copies(folder)
        archive(folder)
        assert true_copies(folder) == ["moved"]
        assert (folder / "arc" / "firms.csv").read_text() == BASE
        assert not (folder / "out" / "firms.csv").exists()
        assert not [*folder.rglob(".consist-*")]
        shutil.rmtree(folder)


def test_a_file_that_is_put_back_and_the_version_before_are_always_somewhere(tmp_path: Path) -> None:
    computed(tmp_path / "before", archived=True)
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    status, changes = in_child(put_back, tmp_path / "whole", 0)
    assert status == 0
    for number in range(1, changes + 1):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "before", folder)
        assert in_child(put_back, folder, number)[0] == signal.SIGKILL
        assert {BASE, FORECAST} <= bytes_of_all_files(folder)
        assert {"copied"} <= {*true_copies(folder)} <= {"copied", "set_aside"}
        with opened(folder) as tracker, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert [run_base(tracker, folder).cache_hit, (folder / "out" / "firms.csv").read_text()] == [True, BASE]
            assert [run_forecast(tracker, folder).cache_hit, (folder / "out" / "firms.csv").read_text()] == [
                True,
                FORECAST,
            ]
            assert all(run.status != "running" for run in tracker.find_runs(limit=None))
        assert not [*folder.rglob(".consist-*")]
        shutil.rmtree(folder)
