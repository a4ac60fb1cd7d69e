"""A model tells how far it is: on stderr if asked, by `logging` at INFO, and else not at all."""

import logging
import re
import time
from pathlib import Path

import pytest

from consist_es import Run, Tracker
from tests.support.api import made, run_script

LOGGER = "consist_es"


def first(n: int) -> Path:
    return made("a", f"{n}\n")


def second(a: Path) -> Path:
    return made("b", a.read_text())


def fails(n: int) -> Path:
    raise ZeroDivisionError(n)


def model(tracker: Tracker, n: int) -> None:
    with tracker.scenario("base") as sc:
        sc.run(first, config={"n": n}, outputs=["a"], year=2030, iteration=1)
        sc.run(second, input_keys=["a"], outputs=["b"], year=2030, iteration=1)
        with sc.trace("report", config={"n": n}):
            pass


def told(text: str) -> list[str]:
    return [re.sub(r"less than 1 s|\d+(\.\d+)? s\b", "T", line) for line in text.splitlines()]


def test_each_step_has_a_line_and_each_scenario_a_summary(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Tracker("runs", "p.db", progress=True) as tracker:
        model(tracker, 1)
        lines = told(capsys.readouterr().err)
        assert lines[0] == "base: first 2030·1 computed in T: nothing like it ran before"
        assert lines[-1] == "base: completed after T, 3 steps (3 computed in T)"
        model(tracker, 1)
        assert told(capsys.readouterr().err) == [
            "base#2: first 2030·1 reused from base_first; 1 of 3",
            "base#2: second 2030·1 reused from base_second; 2 of 3",
            "base#2: report reused from base_report; 3 of 3",
            "base#2: completed after T, 3 steps (3 reused)",
        ]
        model(tracker, 2)
        lines = told(capsys.readouterr().err)
        assert lines[0] == "base#3: first 2030·1 computed in T: config changed: config.n: 1 -> 2; 1 of 3"
        assert lines[-1] == "base#3: completed after T, 3 steps (3 computed in T)"
        tracker.run(first, config={"n": 2}, outputs=["a"], year=2030, iteration=1)
        assert told(capsys.readouterr().err) == ["first 2030·1 reused from base_first#3"]


def test_a_failed_step_is_told_and_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        Tracker("runs", "p.db", progress=True) as tracker,
        pytest.raises(ZeroDivisionError),
        tracker.scenario("s") as sc,
    ):
        sc.run(fails, config={"n": 1})
    assert told(capsys.readouterr().err) == [
        "s: fails failed: ZeroDivisionError",
        "s: failed: ZeroDivisionError after T, 1 step (1 failed)",
    ]


def test_the_rest_is_that_of_the_last_whole_attempt(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ahead = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])

    def begins(run: Run) -> None:
        """Let the clock go on by ten minutes, as if the step took that long."""
        ahead[0] += 600.0 * (run.name == "second")

    def attempt(n: int) -> list[str]:
        with tracker.scenario("base") as sc:
            sc.run(first, config={"n": n}, outputs=["a"])
            for year in (2030, 2040):
                sc.run(second, input_keys=["a"], outputs=["b"], year=year)
        return told(capsys.readouterr().err)

    with Tracker("runs", "p.db", progress=True) as tracker:
        tracker.on_run_start(begins)
        said = [[line.partition("; ")[2] for line in attempt(n)[:3]] for n in (1, 1, 1, 5)]
    long = ["1 of 3, about 20 min left", "2 of 3, about 10 min left", "3 of 3"]
    short = ["1 of 3", "2 of 3", "3 of 3"]
    assert said == [
        ["", "", ""],  # nothing to go by
        long,  # as the first attempt took
        short,  # as the second one took, which reused all
        long,  # the second one reused all, and this one does not
    ]


@pytest.mark.parametrize("late", [False, True])
def test_logging_at_info_says_the_same_and_stderr_nothing(
    here: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], late: bool
) -> None:
    if not late:
        caplog.set_level(logging.INFO, LOGGER)
    with Tracker("runs", "p.db") as tracker:
        caplog.set_level(logging.INFO, LOGGER)  # also after the tracker was made
        model(tracker, 1)
    said = told("\n".join(record.getMessage() for record in caplog.records if record.name == LOGGER))
    assert said[0] == "base: first 2030·1 computed in T: nothing like it ran before"
    assert said[-1] == "base: completed after T, 3 steps (3 computed in T)"
    assert capsys.readouterr().err == ""


def test_without_being_asked_nothing_is_told(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracker("runs", "p.db") as tracker:
        model(tracker, 1)
    monkeypatch.setenv("CONSIST_ES_PROGRESS", "1")
    with Tracker("runs", "p.db", progress=False) as tracker:
        model(tracker, 1)
    assert capsys.readouterr().err == ""


def test_the_variable_asks_for_a_script_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "from consist_es import CacheOptions, Tracker\n"
        "with Tracker('runs') as tracker, tracker.scenario('s') as sc:\n"
        "    options = CacheOptions(cache_mode='overwrite')\n"
        "    sc.run(lambda: None, name='step', year=2030, iteration=1, cache_options=options)\n"
    )
    monkeypatch.setenv("CONSIST_ES_PROGRESS", "1")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert [line.partition(" computed")[0] for line in run_script(script).stderr.splitlines()] == [
        "s: step 2030\\xb71",
        "s: completed after less than 1 s, 1 step (1",
    ]
