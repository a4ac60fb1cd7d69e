"""What a step took is measured, with the children it waited for, and never invented."""

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from consist_es import Tracker, call
from consist_es.events import Resources
from consist_es.runs.run import Run
from tests.support.api import made

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process")
MB = 1_000_000
TAKES_MEMORY = "x = bytearray({} * 1_000_000); x[::4096] = b'x' * len(x[::4096])"
TAKES_TIME = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def recorded(tracker: Tracker, name: str) -> Run:
    run = tracker.get_run(name)
    assert run is not None
    return run


def taken(tracker: Tracker, step: object, name: str) -> Resources:
    """What a computed step took, the same from the run and from the views."""
    done = tracker.run(step, name, outputs=["o"])  # type: ignore[arg-type]
    found = recorded(tracker, name).resources
    assert found is not None
    assert done.run.resources == found
    return found


def test_time_and_cpu_time(tracker: Tracker) -> None:
    def sleeps() -> Path:
        time.sleep(0.2)
        return made()

    def works() -> Path:
        exec(TAKES_TIME)
        return made()

    asleep, awake = taken(tracker, sleeps, "sleeps"), taken(tracker, works, "works")
    assert asleep.wall_s >= 0.2
    assert asleep.cpu_s is not None
    assert awake.cpu_s is not None
    assert asleep.cpu_s < 0.2 < 0.3 <= awake.cpu_s


@linux
def test_the_peak_is_that_of_the_step_and_not_of_an_earlier_one(tracker: Tracker) -> None:
    def grows() -> Path:
        bytearray(200 * MB)[::4096] = b"x" * len(range(0, 200 * MB, 4096))
        return made()

    large, small = taken(tracker, grows, "grows"), taken(tracker, made, "small")
    assert large.peak_memory_bytes is not None
    assert small.peak_memory_bytes is not None
    assert large.peak_memory_bytes > 200 * MB
    assert small.peak_memory_bytes < large.peak_memory_bytes - 100 * MB


@linux
def test_bytes_read_and_written(tracker: Tracker) -> None:
    Path("in.bin").write_bytes(b"x" * 3 * MB)

    def copies() -> Path:
        path = made()
        path.write_bytes(Path("in.bin").read_bytes() * 2)
        return path

    found = taken(tracker, copies, "copies")
    assert found.read_bytes is not None
    assert found.written_bytes is not None
    assert 3 * MB <= found.read_bytes < 4 * MB
    assert 6 * MB <= found.written_bytes < 7 * MB


@linux
@pytest.mark.parametrize("by_us", [True, False])
def test_programs_count(tracker: Tracker, by_us: bool) -> None:
    def starts(megabytes: int, code: str = TAKES_MEMORY) -> Path:
        words = [sys.executable, "-c", code.format(megabytes)]
        call(words) if by_us else subprocess.run(words, check=True)
        return made()

    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 // MB + 100  # of all children so far
    large = taken(tracker, lambda: starts(most), "large")
    small = taken(tracker, lambda: starts(most - 80), "small")
    busy = taken(tracker, lambda: starts(0, TAKES_TIME), "busy")
    assert large.peak_memory_bytes is not None
    assert large.peak_memory_bytes > most * MB
    if by_us:
        assert small.peak_memory_bytes is not None
        assert (most - 80) * MB < small.peak_memory_bytes < most * MB
    else:  # the system tells only of the largest child so far
        assert small.peak_memory_bytes is None
    assert busy.cpu_s is not None
    assert busy.cpu_s >= 0.3


def test_steps_that_run_at_once_are_not_told_apart(tracker: Tracker) -> None:
    meet = threading.Barrier(2, timeout=60)

    def waits() -> Path:
        meet.wait()
        return made()

    threads = [threading.Thread(target=tracker.run, args=(waits, name), kwargs={"outputs": ["o"]}) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in "ab":
        found = recorded(tracker, name).resources
        assert found is not None
        assert found.shared
        assert found.wall_s > 0
        assert (found.cpu_s, found.peak_memory_bytes, found.read_bytes, found.written_bytes) == (None,) * 4
    assert not taken(tracker, made, "alone").shared


def fails() -> None:
    raise ValueError("no")


def test_a_failed_step_has_some_and_a_hit_has_none(tracker: Tracker) -> None:
    with pytest.raises(ValueError, match="no"):
        tracker.run(fails)
    assert recorded(tracker, "fails").resources is not None
    first, again = tracker.run(made, outputs=["o"]), tracker.run(made, outputs=["o"])
    assert (first.cache_hit, again.cache_hit) == (False, True)
    assert first.run.resources is not None
    assert again.run.resources is None


def test_a_step_whose_arguments_fail_has_none(tracker: Tracker) -> None:
    def takes(x: Path) -> None: ...

    with pytest.raises(TypeError):
        tracker.run(takes)
    assert [run.resources for run in tracker.find_runs()] in ([], [None])


def test_sql_has_columns_with_units(tracker: Tracker) -> None:
    found = taken(tracker, made, "alone")
    row = tracker.project.connection().execute(
        "SELECT wall_s, cpu_s, peak_memory_bytes, read_bytes, written_bytes FROM steps"
    )
    assert row.fetchall() == [
        (found.wall_s, found.cpu_s, found.peak_memory_bytes, found.read_bytes, found.written_bytes)
    ]
