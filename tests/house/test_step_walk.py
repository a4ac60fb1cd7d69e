"""How often a step looks at the log and the views on its way: ceilings, lowered when the way gets shorter."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from consist_es import Tracker
from consist_es.log.local import LocalLog
from consist_es.views.projector import Projector

CATCH_UPS = 3
"""Once to look the step up, once for the run that began, once for the run that ended."""
HEADS = 6
"""Looks at the end of the log: one for each of these, one for each fold, one with the turn in hand."""


def step() -> None:
    """Reads nothing and makes nothing."""


def calls_during(work: Callable[[], object], *wanted: Callable[..., Any]) -> list[int]:
    codes = [function.__code__ for function in wanted]
    seen: Counter[object] = Counter()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen[frame.f_code] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return [seen[code] for code in codes]


@pytest.mark.parametrize("outcome", ["miss", "hit"])
def test_a_step_catches_up_with_the_log_three_times(outcome: str, tmp_path: Path) -> None:
    tracker = Tracker(run_dir=tmp_path / "runs", db_path=tmp_path / "provenance.db")
    with tracker.scenario("first") as sc:
        sc.run(step, config={"n": 0})
    with tracker.scenario("second") as sc:
        results: list[Any] = []
        config = {"n": 0 if outcome == "hit" else 1}
        catch_ups, heads = calls_during(
            lambda: results.append(sc.run(step, config=config)), Projector.catch_up, LocalLog.head
        )
    assert [result.cache_hit for result in results] == [outcome == "hit"]
    assert 0 < catch_ups <= CATCH_UPS
    assert 0 < heads <= HEADS
