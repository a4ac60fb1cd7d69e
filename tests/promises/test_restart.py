"""A model killed anywhere and started again ends with the bytes of an unbroken run."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import ExecutionOptions, Tracker

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")

STEPS = ("read", "grow", "assign", "skim", "choose", "sum")
YEARS = (2025, 2030, 2035)
MOMENTS = ("begin", "middle", "end", "after")
POINTS = [(year, step, moment) for year in YEARS for step in STEPS for moment in MOMENTS]

Point = tuple[int, str, str]


def work(before: Path | None, step: str, year: int, reach: Callable[[int, str, str], None]) -> Path:
    """A step that writes in two halves and says where it is."""
    reach(year, step, "begin")
    out = consist.output_path(step, ext="txt")
    with out.open("w") as file:
        file.write(f"{step} {year}\n")
        file.flush()
        reach(year, step, "middle")
        file.write(before.read_text() if before else "")
    reach(year, step, "end")
    return out


def model(folder: Path, reach: Callable[[int, str, str], None]) -> None:
    """Six steps a year, each on the one before; the years hang together."""
    tracker = Tracker(folder / "runs")
    options = ExecutionOptions(runtime_kwargs={"reach": reach})
    with tracker.scenario("model") as sc:
        last: str | None = None
        for year in YEARS:
            for step in STEPS:
                sc.run(
                    work,
                    name=step,
                    inputs={"before": last} if last else None,
                    config={"step": step, **({} if last else {"before": None})},
                    year=year,
                    outputs=[step],
                    execution_options=options,
                )
                last = step
                reach(year, step, "after")
    tracker.close()


def in_child(folder: Path, kill_at: Point | None) -> int:
    """Run the model in a process of its own, killed at a point; its exit status."""
    ledger = folder / "ledger"

    def reach(year: int, step: str, moment: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{year} {step} {moment}\n")
        if (year, step, moment) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            model(folder, reach)
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1]


def final_outputs(folder: Path) -> dict[str, str]:
    tracker = Tracker(folder / "runs", access_mode="read_only")
    try:
        outputs = tracker.get_run_outputs("model")
        return {key: artifact.path.read_text() for key, artifact in outputs.items()}
    finally:
        tracker.close()


def statuses(folder: Path) -> Counter[str]:
    tracker = Tracker(folder / "runs", access_mode="read_only")
    try:
        return Counter(run.status for run in tracker.find_runs(limit=None))
    finally:
        tracker.close()


def computed(folder: Path) -> Counter[tuple[str, str]]:
    lines = (line.split() for line in (folder / "ledger").read_text().splitlines())
    return Counter((year, step) for year, step, moment in lines if moment == "end")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("unbroken")
    assert in_child(folder, None) == 0
    return final_outputs(folder)


def test_killed_at_every_point_in_turn_it_ends_as_if_never_killed(tmp_path: Path, unbroken: dict[str, str]) -> None:
    """One project, killed at every point of every step of every year, started again each time."""
    for point in POINTS:
        assert in_child(tmp_path, point) == signal.SIGKILL
    assert in_child(tmp_path, None) == 0
    assert final_outputs(tmp_path) == unbroken
    # A step whose end was recorded ("after") is never computed again: only kills before that cost a repetition.
    assert set(computed(tmp_path).values()) == {2}
    found = statuses(tmp_path)
    assert found["running"] == 0
    assert found["abandoned"] == len(POINTS) + 3 * len(YEARS) * len(STEPS)  # each header, and each step killed inside
    aside = list((tmp_path / "runs" / "outputs").glob("*/*.abandoned"))
    assert len(aside) == 2 * len(YEARS) * len(STEPS)  # killed in the middle and at the end: they had a folder


@pytest.mark.parametrize("point", POINTS[1::17], ids=lambda point: "-".join(map(str, point)))
def test_killed_once_it_computes_only_what_was_not_finished(
    tmp_path: Path, unbroken: dict[str, str], point: Point
) -> None:
    assert in_child(tmp_path, point) == signal.SIGKILL
    assert in_child(tmp_path, None) == 0
    assert final_outputs(tmp_path) == unbroken
    year, step, moment = point
    again = {pair for pair, count in computed(tmp_path).items() if count > 1}
    assert again == ({(str(year), step)} if moment == "end" else set())
