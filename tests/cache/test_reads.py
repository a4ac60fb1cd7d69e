"""What a step reads by itself, from the user's side: recorded with the run, compared before a later hit."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import ConsistWarning, ExecutionOptions, Tracker
from consist_es.errors import OptionError, UsageTypeError
from consist_es.events import ReadsObserved, StepCompleted

pytestmark = pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tracker(here: Path) -> Tracker:
    return Tracker(run_dir="runs", db_path="p.db")


def write(text: object) -> Path:
    out = consist.output_path("out", ext="txt")
    out.write_text(str(text))
    return out


def hits(tracker: Tracker, fn: Callable[..., Any], **options: Any) -> bool:
    return tracker.run(fn, outputs=["out"], **options).cache_hit


def by_text() -> Path:
    return write(Path("rates.csv").read_text())


def by_thread() -> Path:
    with ThreadPoolExecutor(1) as pool:
        return write(pool.submit(Path("rates.csv").read_text).result())


def by_plain_thread() -> Path:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(Path("rates.csv").read_text()))
    thread.start()
    thread.join()
    return write(found)


def by_program() -> Path:
    done = subprocess.run([sys.executable, "-c", "print(open('rates.csv').read())"], capture_output=True, check=True)
    return write(done.stdout)


def by_absolute_path() -> Path:
    return write((Path(__file__).parent / Path.cwd() / "rates.csv").read_text())


READERS = [by_text, by_thread, by_plain_thread, by_program, by_absolute_path]


@pytest.mark.parametrize("fn", READERS, ids=lambda fn: fn.__name__)
def test_a_file_that_nobody_declared_counts(here: Path, tracker: Tracker, fn: Callable[..., Any]) -> None:
    (here / "rates.csv").write_text("1")
    assert [hits(tracker, fn), hits(tracker, fn)] == [False, True]
    (here / "rates.csv").write_text("2")
    assert [hits(tracker, fn), hits(tracker, fn)] == [False, True]
    (here / "rates.csv").write_text("1")
    assert hits(tracker, fn)  # what was computed first answers again


def test_a_file_that_compiled_code_reads_counts(here: Path, tracker: Tracker) -> None:
    import pandas as pd

    def step() -> Path:
        return write(pd.read_parquet("rates.parquet").rate.sum())

    pd.DataFrame({"rate": [1]}).to_parquet("rates.parquet")
    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    pd.DataFrame({"rate": [2]}).to_parquet("rates.parquet")
    assert not hits(tracker, step)


def test_a_database_counts(here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        conn = sqlite3.connect("zones.db")
        try:
            return write(conn.execute("SELECT sum(n) FROM zones").fetchone())
        finally:
            conn.close()

    conn = sqlite3.connect("zones.db")
    conn.execute("CREATE TABLE zones (n)")
    conn.execute("INSERT INTO zones VALUES (1)")
    conn.commit()
    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    conn.execute("INSERT INTO zones VALUES (5)")
    conn.commit()
    conn.close()
    assert not hits(tracker, step)


def test_a_file_that_was_absent_counts(here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        return write(Path("override.csv").read_text() if Path("override.csv").exists() else "none")

    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    (here / "override.csv").write_text("1")
    assert not hits(tracker, step)


def test_the_names_in_a_folder_count(here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        return write(sorted(os.listdir("parts")))  # noqa: PTH208

    (here / "parts").mkdir()
    (here / "parts" / "a").touch()
    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    (here / "parts" / "b").touch()
    assert not hits(tracker, step)


@pytest.mark.parametrize("declared", ["parts/a", "parts", "parts/.a"])
def test_a_listed_folder_may_hold_a_declared_input(declared: str, here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        return write(sorted(os.listdir("parts")) + os.listdir("."))  # noqa: PTH208

    (here / "parts").mkdir()
    (here / "parts" / "a").touch()
    (here / "parts" / ".a").touch()
    given = {"inputs": {"given": declared}}
    assert [hits(tracker, step, **given), hits(tracker, step, **given)] == [False, True]
    (here / "parts" / "b").touch()
    assert not hits(tracker, step, **given)
    (here / "c").touch()
    assert not hits(tracker, step, **given)


def test_an_environment_variable_counts_however_it_is_asked_for(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step() -> Path:
        env = os.environ
        name = "GRO" + "WTH"
        return write(env[name])

    monkeypatch.setenv("GROWTH", "1")
    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    monkeypatch.setenv("GROWTH", "2")
    assert not hits(tracker, step)


def test_another_working_directory_counts_if_a_path_is_relative_to_it(
    here: Path, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (here / name).mkdir()
        (here / name / "rates.csv").write_text(name)
    monkeypatch.chdir(here / "one")
    assert [hits(tracker, by_text), hits(tracker, by_text)] == [False, True]
    monkeypatch.chdir(here / "two")
    second = tracker.run(by_text, outputs=["out"])
    assert (second.cache_hit, second.outputs["out"].path.read_text()) == (False, "two")


def test_what_the_step_makes_itself_does_not_count(here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        scratch = Path("scratch.txt")
        scratch.write_text("1")
        return write(scratch.read_text())

    assert [hits(tracker, step), hits(tracker, step)] == [False, True]
    (here / "scratch.txt").unlink()
    assert hits(tracker, step)


def test_a_file_that_is_read_and_then_rewritten_makes_a_run_that_is_never_reused(here: Path, tracker: Tracker) -> None:
    def step() -> Path:
        counter = Path("counter.txt")
        number = int(counter.read_text())
        counter.write_text(str(number + 1))
        return write(number)

    (here / "counter.txt").write_text("1")
    assert [hits(tracker, step), hits(tracker, step)] == [False, False]


def test_a_declared_input_does_not_count_twice(here: Path, tracker: Tracker) -> None:
    def step(rates: Path) -> Path:
        return write(rates.read_text())

    (here / "rates.csv").write_text("1")
    tracker.run(step, inputs={"rates": "rates.csv"}, outputs=["out"])
    assert not any(isinstance(item.event, ReadsObserved) for item in tracker.project.log.read())


def test_a_list_of_reads_is_recorded_once(here: Path, tracker: Tracker) -> None:
    def step(n: int) -> Path:
        return write(Path("rates.csv").read_text() * n)

    (here / "rates.csv").write_text("1")
    for n in range(3):
        tracker.run(step, config={"n": n}, outputs=["out"])
    events = [item.event for item in tracker.project.log.read()]
    assert sum(isinstance(event, ReadsObserved) for event in events) == 1
    assert len({event.reads for event in events if isinstance(event, StepCompleted)}) == 1


def test_reads_survive_a_replay_and_a_copy_of_the_project(here: Path, tracker: Tracker, tmp_path: Path) -> None:
    (here / "rates.csv").write_text("1")
    tracker.run(by_text, outputs=["out"])
    tracker.project.views.rebuild()
    assert hits(tracker, by_text)
    (here / "rates.csv").write_text("2")
    assert not hits(tracker, by_text)


def test_a_trace_block_is_watched_too(here: Path, tracker: Tracker) -> None:
    def block() -> bool:
        with tracker.trace("block", outputs=["out"]):
            hit = tracker.is_cached
            if not hit:
                consist.log_output(write(Path("rates.csv").read_text()), key="out")
            return hit

    (here / "rates.csv").write_text("1")
    assert [block(), block()] == [False, True]
    (here / "rates.csv").write_text("2")
    assert not block()


def test_why_names_the_file_and_forecast_knows_it(here: Path, tracker: Tracker) -> None:
    (here / "rates.csv").write_text("1")
    tracker.run(by_text, outputs=["out"])
    (here / "rates.csv").write_text("2")
    said = "rates.csv, which the step read without declaring it: content differs"
    forecast = tracker.forecast(by_text, outputs=["out"])
    assert (forecast.verdict, forecast.reason, forecast.differs) == ("miss", "reads_changed", [said])
    assert said in str(tracker.run(by_text, outputs=["out"]).run.why())
    (here / "rates.csv").unlink()
    assert "it does not exist any more" in str(tracker.forecast(by_text, outputs=["out"]))


@pytest.mark.filterwarnings("error::consist_es.errors.ConsistWarning")
def test_the_first_computed_run_warns_and_says_how_to_declare(here: Path, tracker: Tracker) -> None:
    (here / "rates.csv").write_text("1")
    with pytest.warns(ConsistWarning, match=r"'by_text' read rates\.csv without declaring it.*inputs=.*ignore_reads="):
        tracker.run(by_text, outputs=["out"])
    (here / "rates.csv").write_text("2")
    tracker.run(by_text, outputs=["out"])  # once


@pytest.mark.parametrize("way", ["tracker", "step"])
def test_files_can_be_left_out(here: Path, way: str) -> None:
    tracker = Tracker("runs", "p.db", ignore_reads=["*.csv"] if way == "tracker" else None)
    options = {} if way == "tracker" else {"execution_options": ExecutionOptions(ignore_reads=["rates.csv"])}
    (here / "rates.csv").write_text("1")
    assert [hits(tracker, by_text, **options), hits(tracker, by_text, **options)] == [False, True]
    (here / "rates.csv").write_text("2")
    assert hits(tracker, by_text, **options)
    row = next(item.event for item in tracker.project.log.read() if item.type == "step_started")
    assert "rates.csv" in str(row) or "*.csv" in str(row)  # what is left out is recorded


@pytest.mark.parametrize("observe", ["warn", "off"])
def test_reads_can_be_left_out_of_the_comparison(here: Path, observe: str) -> None:
    tracker = Tracker("runs", "p.db", observe=observe)
    (here / "rates.csv").write_text("1")
    assert not hits(tracker, by_text)
    (here / "rates.csv").write_text("2")
    assert hits(tracker, by_text)


def test_options_that_do_not_exist_are_refused(here: Path) -> None:
    with pytest.raises(OptionError, match="observe"):
        Tracker("runs", observe="all")
    with pytest.raises(OptionError, match="observe"):
        ExecutionOptions(observe="all")
    with pytest.raises(UsageTypeError, match="ignore_reads"):
        ExecutionOptions(ignore_reads=[1])  # type: ignore[list-item]


MAIN = """
import random
import sys
from pathlib import Path
import consist_es as consist
tracker = consist.Tracker("runs", "p.db")
def draw(n):
    out = consist.output_path("out", ext="txt"); out.write_text(str([random.random() for _ in range(n)])); return out
random.seed(int(sys.argv[1]))
results = [tracker.run(draw, config={"n": n}, outputs=["out"]) for n in (1, 2)]
print([r.cache_hit for r in results], [r.output.path.read_text() for r in results], random.random())
"""


def test_a_seeded_generator_counts_and_a_hit_leaves_it_as_the_run_did(here: Path) -> None:
    (here / "main.py").write_text(MAIN)

    def play(seed: int) -> str:
        command = [sys.executable, "-W", "ignore", "main.py", str(seed)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    first, again, other = play(1), play(1), play(2)
    assert first.startswith("[False, False]")
    assert again == first.replace("[False, False]", "[True, True]")  # the last number too
    assert other.startswith("[False, False]")
    assert other.split("]", 1)[1] != first.split("]", 1)[1]


TRACES = """import random
import sys
import consist_es as consist
tracker = consist.Tracker("runs", "p.db")
random.seed(int(sys.argv[1]))
found = []
for n in (1, 2):
    with tracker.trace("draw", config={"n": n}, outputs=["out"]) as run:
        reused = run.is_cached
        if reused and SKIPS:
            out = run.cached_output("out").path
        else:
            out = consist.output_path("out", ext="txt"); out.write_text(str([random.random() for _ in range(n)]))
            run.log_output(out, key="out")
    found.append((reused, out.read_text()))
print(found, random.random())
"""


@pytest.mark.parametrize("body", ["skip", "run"])
def test_a_reused_block_leaves_a_generator_as_the_run_did_whether_its_body_is_skipped_or_not(
    here: Path, body: str
) -> None:
    (here / "main.py").write_text(TRACES.replace("SKIPS", str(body == "skip")))

    def play() -> str:
        command = [sys.executable, "-W", "ignore", "main.py", "1"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    first, again = play(), play()
    assert "True" not in first
    assert again == first.replace("False", "True")
