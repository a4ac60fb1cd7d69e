"""A real model of several years on a published network: fails, is mended, and goes on where it has to."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import consist_es as consist
from consist_es import Run, Tracker

ROOT = Path(consist.__file__).parents[1]
MODEL = ROOT / "examples" / "years_with_feedback.py"
DATA = ROOT.parent / "shared" / "data" / "sioux-falls"
NETWORK, TRIPS = DATA / "SiouxFalls_net.tntp", DATA / "SiouxFalls_trips.tntp"

pytestmark = pytest.mark.skipif(
    not TRIPS.exists(), reason="wants SiouxFalls_net.tntp and SiouxFalls_trips.tntp of the TransportationNetworks data"
)

BUG = ("    return (1.0 + per_year) ** (year - 2025)", "    return {2025: 1.0}[year]")


def start(folder: Path, source: str) -> "subprocess.CompletedProcess[str]":
    script = folder / "model.py"
    script.write_text(source)
    command = [sys.executable, str(script), str(NETWORK), str(TRIPS), str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False)


def steps(folder: Path, scenario: str) -> list[Run]:
    tracker = Tracker(folder / "runs", folder / "provenance.db", access_mode="read_only")
    try:
        return list(reversed(tracker.find_runs(scenario=scenario, limit=None)))
    finally:
        tracker.close()


def ran(runs: list[Run]) -> Counter[str]:
    return Counter(run.name for run in runs if not run.meta.get("cache_hit"))


def test_a_model_of_years_fails_is_mended_and_runs_only_what_it_has_to(tmp_path: Path) -> None:
    good = MODEL.read_text()
    assert BUG[0] in good

    broken = start(tmp_path, good.replace(*BUG))
    assert broken.returncode != 0
    assert "KeyError: 2030" in broken.stderr
    first = steps(tmp_path, "growth#1")
    assert ran(first) == {"read_inputs": 1, "respond": 3, "assign": 2, "measure": 2, "report": 1}
    assert (first[-1].name, first[-1].status, first[-1].year) == ("respond", "failed", 2030)

    mended = start(tmp_path, good)
    assert mended.returncode == 0, mended.stderr
    second = steps(tmp_path, "growth#2")
    # The mended code is that of `respond`: it runs again for 2025 too, gives the same trips there, and so everything
    # that 2025 needs of it stays as it was. 2030 and 2035 run for the first time.
    assert ran([run for run in second if run.year in (None, 2025)]) == {"respond": 2}
    assert ran([run for run in second if (run.year or 0) > 2025]) == {
        "respond": 4,
        "assign": 4,
        "measure": 4,
        "report": 2,
    }
    again = next(run for run in second if run.name == "respond")
    assert any("growth" in line for line in again.meta["cache_miss_explanation"]["differs"])

    third = start(tmp_path, good)
    assert third.stdout == mended.stdout
    assert ran(steps(tmp_path, "growth#3")) == {}
    assert len(json.loads(third.stdout)) == 3


def test_the_audit_of_every_attempt_gives_each_step_its_reason(tmp_path: Path) -> None:
    assert start(tmp_path, MODEL.read_text()).returncode == 0
    command = [sys.executable, "-m", "consist_es", "audit", "growth", "--nl"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    begun = [event["run"] for event in events if event["type"] == "step_started"]
    told = [event["run"] for event in events if event["type"] in ("cache_missed", "cache_hit")]
    assert begun == told
    assert len(begun) == 1 + 3 * (2 * 3 + 1)
    assert all(event["data"]["reason"] for event in events if event["type"] == "cache_missed")
