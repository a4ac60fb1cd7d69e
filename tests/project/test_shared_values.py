"""Large values that many runs began with stand in the log once, and what is said of the runs stays the same."""

import importlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import consist_es as consist
from consist_es import Tracker
from consist_es.adapters import FolderAdapter
from consist_es.cli.prove import evidence
from consist_es.events import ScenarioStarted, StepStarted, ValuesRecorded
from consist_es.log.local import LocalLog
from consist_es.log.verify import verify
from consist_es.projections import BUILTIN, run_table
from consist_es.projections import shared_values as view
from consist_es.projections.run_rows import RunRow
from consist_es.views.projector import Projector
from tests.log.test_redaction import bytes_below
from tests.support.api import ROOT, made, run_script
from tests.support.cli import run, run_json
from tests.support.views import state

SECRET = "hunter2-correct-horse"
LARGE = {"note": SECRET, **{f"zone {number}": number / 7 for number in range(2000)}}


def step(n: int = 0) -> Path:
    return made(text=f"{n}\n")


def whole(config: Any) -> Path:
    return made(text=f"{len(config)}\n")


def tracker_of(name: str = "project", **options: Any) -> Tracker:
    return Tracker(run_dir="runs", db_path=f"{name}.db", sync="os", **options)


def settings(size: int) -> Path:
    """A folder of config files with about so many bytes of values."""
    folder = Path("configs")
    folder.mkdir(exist_ok=True)
    values = {f"coefficient_{number:05}": number + 0.5 for number in range(size // 32)}
    (folder / "settings.json").write_text(json.dumps(values))
    return folder


def recorded(tracker: Tracker) -> list[Any]:
    return [entry.event for entry in tracker.project.log.read()]


def positions(tracker: Tracker, kind: str) -> list[int]:
    return [entry.seq for entry in tracker.project.log.read() if entry.type == kind]


def rows(tracker: Tracker) -> list[RunRow]:
    return run_table.find(tracker.project.connection(), limit=None)


@pytest.fixture
def old_form() -> Iterator[pytest.MonkeyPatch]:
    """As logs were before: whatever its size, a value stands in the start of each run. To be undone on the way."""
    with pytest.MonkeyPatch.context() as own:
        own.setattr("consist_es.identity.shared_values.LARGE", sys.maxsize)
        yield own


# ---------------------------------------------------------------- the log stays small


MODEL = """
from pathlib import Path
import consist_es as consist

def step(n: int) -> Path:
    path = consist.output_path("o", "txt")
    path.write_text(str(n))
    return path
"""


def test_a_log_of_200_runs_with_150_kb_of_adapter_values_stays_small(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("configs").mkdir()
    Path("configs/settings.json").write_text(json.dumps({f"expression {n}": f"{n} * x + " * 16 for n in range(1000)}))
    (here / "model_of_200_runs.py").write_text(MODEL)
    monkeypatch.syspath_prepend(here)
    model = importlib.import_module("model_of_200_runs")
    with tracker_of() as tracker:
        for n in range(200):
            found = tracker.run(model.step, config={"n": n % 10}, adapter="folder:configs", outputs=["o"])
            assert found.cache_hit == (n >= 10)
        (values,) = [event for event in recorded(tracker) if isinstance(event, ValuesRecorded)]
        assert len(json.dumps(values.values)) > 150_000
        size = sum(path.stat().st_size for path in tracker.project.folder.rglob("*") if path.is_file())
        assert size < 5_000_000
        infos = [row.fingerprint_info for row in rows(tracker)]
        assert len(infos) == 200
        assert all(len(info.adapter["values"]) == 1000 for info in infos if info and info.adapter)
    assert verify(tracker.project.folder).ok


def test_values_in_blobs_are_one_blob_for_all_runs(here: Path) -> None:
    config = {f"zone {number}": "x" * 100 for number in range(15_000)}
    with tracker_of() as tracker:
        for n in range(3):
            tracker.run(whole, name=f"s{n}", config=config, outputs=["o"])
        assert len(list((tracker.project.folder / "blobs").iterdir())) == 1
        assert [found.config for found in tracker.find_runs()] == [config] * 3


def test_small_values_stay_in_the_start_of_their_run(here: Path) -> None:
    with tracker_of() as tracker:
        tracker.run(step, config={"n": 1}, outputs=["o"])
        events = recorded(tracker)
        (start,) = [event for event in events if isinstance(event, StepStarted)]
        assert (start.config, start.shared) == ({"n": 1}, {})
        assert not any(isinstance(event, ValuesRecorded) for event in events)


def test_the_config_of_a_scenario_and_of_its_steps_is_there_once(here: Path) -> None:
    with tracker_of() as tracker:
        for _ in range(2):
            with tracker.scenario("base", config=LARGE) as sc:
                sc.run(whole, config=LARGE, outputs=["o"])
                assert dict(sc.config) == LARGE
        events = recorded(tracker)
        (values,) = [event for event in events if isinstance(event, ValuesRecorded)]
        starts = [event for event in events if isinstance(event, StepStarted | ScenarioStarted)]
        assert [start.shared for start in starts] == [{"config": values.digest}] * 4
        assert [row.config for row in rows(tracker)] == [LARGE] * 4


# ---------------------------------------------------------------- what is said stays the same


def both_kinds(name: str) -> list[Any]:
    """What a project of some runs says of them."""
    with tracker_of(name) as tracker:
        said: list[Any] = []
        for growth in (1.0, 1.0, 1.5):
            folder = settings(6000 if growth == 1.0 else 6400)
            with tracker.scenario("base", config={**LARGE, "growth": growth}) as sc:
                result = sc.run(
                    whole,
                    config={**LARGE, "growth": growth},
                    facet_from=["growth"],
                    outputs=["o"],
                    adapter=FolderAdapter(folder),
                )
                said += [result.cache_hit, result.run.config, tracker.get_run_config(result.run.id)]
                why = result.run.why()
                said += [why.reason, list(why.differs)]
        said.append([found.id for found in tracker.find_runs(facet={"growth": 1.0}, name="whole")])
        said.append(tracker.diff_runs("base_whole#1", "base_whole#3"))
        for row in rows(tracker):
            info = row.fingerprint_info
            said.append((row.id, row.config, row.facet, info and (info.digest, info.code_parts, info.adapter)))
            said.append(info and info.adapter and list(info.adapter))
        lines = [
            line.partition("Z ")[2] for line in run("audit", "base#3", "--project", f"{name}.db").stdout.splitlines()
        ]
        said.append([line for line in lines if "started" in line or "entered" in line])
        return said


def test_answers_are_the_same_as_where_values_stand_in_each_start(here: Path, old_form: pytest.MonkeyPatch) -> None:
    before = both_kinds("before")
    with tracker_of("before") as tracker:
        assert not any(isinstance(event, ValuesRecorded) for event in recorded(tracker))
    old_form.undo()
    after = both_kinds("after")
    with tracker_of("after") as tracker:
        assert any(isinstance(event, ValuesRecorded) for event in recorded(tracker))
    assert after == before
    assert any("config.growth: 1.0 -> 1.5" in item for item in before if isinstance(item, list))


def test_runs_of_the_old_form_answer_and_are_compared(here: Path, old_form: pytest.MonkeyPatch) -> None:
    folder = settings(6000)
    with tracker_of() as tracker:
        adapter = FolderAdapter(folder)
        tracker.run(whole, config=LARGE, outputs=["o"], adapter=adapter)
        old_form.undo()
        again = tracker.run(whole, config=LARGE, outputs=["o"], adapter=adapter)
        assert again.cache_hit
        other = tracker.run(whole, config={**LARGE, "zone 3": 9}, outputs=["o"], adapter=adapter)
        assert list(other.run.why().differs) == ["config.zone 3: 0.42857142857142855 -> 9"]
        (folder / "settings.json").write_text((folder / "settings.json").read_text().replace("7.5", "8.25"))
        changed = tracker.run(whole, config=LARGE, outputs=["o"], adapter=adapter)
        assert "settings.json: coefficient_00007: 7.5 -> 8.25" in changed.run.why().differs
        assert rows(tracker)[0].config == LARGE


def test_views_made_anew_and_as_of_a_past_event_are_what_they_were(here: Path) -> None:
    with tracker_of() as tracker:
        tracker.run(whole, config=LARGE, outputs=["o"])
        then = tracker.project.log.head().seq
        live = state(tracker.project.views.path)
        tracker.run(whole, config={**LARGE, "more": 1}, outputs=["o"], adapter=FolderAdapter(settings(6000)))
        tracker.run(step, config={**LARGE, "n": 1}, outputs=["o"])
        now = state(tracker.project.views.path)
        views = Projector(here / "other.db", tracker.project.log, BUILTIN)
        views.rebuild(target=here / "then.db", until=then)
        views.rebuild(target=here / "now.db")
        assert state(here / "then.db") == live
        assert state(here / "now.db") == now
        # between the values and the start that refers to them nobody can stop: they are one batch
        (first, *_) = positions(tracker, "values_recorded")
        assert not next(entry for entry in tracker.project.log.read() if entry.seq == first).end


def test_processes_that_record_the_same_values_at_once_agree(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "known", lambda _conn, _digest: False)
    with tracker_of() as tracker:
        for n in range(2):
            tracker.run(whole, name=f"s{n}", config=LARGE, outputs=["o"])
        assert len(positions(tracker, "values_recorded")) == 2
        assert [row.config for row in rows(tracker)] == [LARGE] * 2
        tracker.project.redact(positions(tracker, "step_started"), "r")
    assert SECRET.encode() not in bytes_below(here)


def test_a_second_process_refers_to_what_the_first_one_recorded(here: Path) -> None:
    script = here / "model.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import consist_es as consist\n"
        "from tests.project.test_shared_values import LARGE, whole, tracker_of\n"
        "with tracker_of() as tracker:\n"
        "    print(tracker.run(whole, config=LARGE, outputs=['o']).cache_hit)\n"
    )
    assert [run_script(script).stdout.strip() for _ in range(2)] == ["False", "True"]
    log = LocalLog(here / "project.events", read_only=True)
    assert sum(isinstance(entry.event, ValuesRecorded) for entry in log.read()) == 1


def test_code_parts_of_a_large_model_are_there_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = range(120)
    for n in numbers:
        (here / f"part_of_the_model_{n}.py").write_text(f"def run(): return {n}\n")
    imports = "".join(f"import part_of_the_model_{n}\n" for n in numbers)
    calls = " + ".join(f"part_of_the_model_{n}.run()" for n in numbers)
    (here / "large_model.py").write_text(f"{imports}def step(n): return {calls} + n\n")
    monkeypatch.syspath_prepend(here)
    import large_model  # type: ignore[import-not-found]

    def work(n: int) -> Path:
        return made(text=str(large_model.step(n)))

    with tracker_of(project_root=here) as tracker:
        for n in range(3):
            tracker.run(work, config={"n": n}, outputs=["o"])
        parts = [row.fingerprint_info.code_parts for row in rows(tracker) if row.fingerprint_info]
        assert parts[0] == parts[1] == parts[2]
        starts = [event for event in recorded(tracker) if isinstance(event, StepStarted)]
        assert [list(start.shared) for start in starts] == [["code_parts"]] * 3, len(str(parts[0]))


# ---------------------------------------------------------------- redaction, and what is lost


def test_redacting_the_start_of_a_run_takes_its_large_values_along(here: Path) -> None:
    with tracker_of() as tracker:
        tracker.run(whole, config=LARGE, outputs=["o"])
        tracker.run(step, config={"n": 1}, outputs=["o"])
        assert SECRET.encode() in bytes_below(here)
        tracker.project.redact(positions(tracker, "step_started")[:1], "r")
        assert SECRET.encode() not in bytes_below(here)
        assert [row.config for row in rows(tracker)] == [{"n": 1}, None]
    assert verify(tracker.project.folder).ok
    run("replay", "--check", "--project", "project.db")


def test_values_that_other_runs_have_too_stay_until_they_are_named(here: Path) -> None:
    with tracker_of("provenance") as tracker:
        for n in range(2):
            tracker.run(whole, name=f"s{n}", config=LARGE, outputs=["o"])
        (start, _), (values,) = positions(tracker, "step_started"), positions(tracker, "values_recorded")
        done = run("redact", str(start), "--reason", "r", "--yes")
        assert f"consist-es redact {values} --reason" in done.stderr
        assert [row.config for row in rows(tracker)] == [LARGE, None]
        found = run_json("redact", str(positions(tracker, "step_started")[1]), "--reason", "r", "--yes")
        assert (found[0]["redacted"], found[0]["shared"]) == ([values, positions(tracker, "step_started")[1]], [])
    assert SECRET.encode() not in bytes_below(here)


def test_redacting_the_values_themselves_takes_them_from_all_runs_and_no_run_away(here: Path) -> None:
    with tracker_of() as tracker:
        adapter = FolderAdapter(settings(6000))
        for n in range(2):
            tracker.run(whole, name=f"s{n}", config=LARGE, outputs=["o"], adapter=adapter)
        tracker.project.redact(positions(tracker, "values_recorded"), "r")
        assert SECRET.encode() not in bytes_below(here / "project.events")
        assert [(row.status, row.config) for row in rows(tracker)] == [("completed", None)] * 2
        other = tracker.run(whole, name="s0", config={"n": 1}, outputs=["o"], adapter=adapter)
        assert "config differs; what it was is no longer recorded" in other.run.why().differs
        again = tracker.run(whole, name="s0", config=LARGE, outputs=["o"], adapter=adapter)
        assert again.cache_hit
        assert again.run.config == LARGE  # recorded anew, for this run
        live = state(tracker.project.views.path)
        Projector(here / "other.db", tracker.project.log, BUILTIN).rebuild(target=here / "anew.db")
        assert state(here / "anew.db") == live


def test_secrets_in_large_values_are_masked(here: Path) -> None:
    with tracker_of() as tracker:
        tracker.run(whole, config={**LARGE, "note": "x", "password": SECRET}, outputs=["o"])
        (values,) = [event for event in recorded(tracker) if isinstance(event, ValuesRecorded)]
        assert list(values.values["password"]) == ["$masked"]
    assert SECRET.encode() not in bytes_below(here)


def test_a_run_whose_values_were_damaged_stays_and_answers(here: Path) -> None:
    with tracker_of("provenance") as tracker:
        tracker.run(whole, config=LARGE, outputs=["o"])
        (lost,) = positions(tracker, "values_recorded")
    segment = here / "provenance.events" / "00000001.jsonl"
    data = segment.read_bytes()
    at = data.index(SECRET.encode())
    segment.write_bytes(data[:at] + b"#" * len(SECRET) + data[at + len(SECRET) :])
    run("repair", "--keep-damaged", "--project", "provenance.db")
    with pytest.warns(consist.ConsistWarning, match="rebuilt from the log"):
        tracker_of("provenance").close()
    with tracker_of("provenance") as tracker:
        assert positions(tracker, "record_lost") == [lost]
        assert [(row.status, row.config) for row in rows(tracker)] == [("completed", None)]
        assert tracker.run(whole, config=LARGE, outputs=["o"]).cache_hit
    run("replay", "--check", "--project", "provenance.db")


def test_the_evidence_for_a_scenario_holds_the_values_that_its_steps_refer_to(here: Path) -> None:
    with tracker_of() as tracker:
        for name in ("base", "project"):
            with tracker.scenario(name) as sc:
                sc.run(whole, config=LARGE, outputs=["o"])
        (values,) = positions(tracker, "values_recorded")
        header = tracker.project.log.read()
        (key,) = [
            entry.run for entry in header if isinstance(entry.event, ScenarioStarted) and entry.event.name == "project"
        ]
        assert key is not None
        assert values in evidence(tracker.project, [key])


@pytest.mark.parametrize(
    "config", [{"a": "\ud800" * 3000}, {"a": [float("nan")] * 3000}, {"a": 2**70, "b": "x" * 5000}]
)
def test_odd_values_are_shared_as_they_are_recorded(here: Path, config: dict[str, Any]) -> None:
    with tracker_of() as tracker:
        first = tracker.run(whole, name="s0", config=config, outputs=["o"])
        second = tracker.run(whole, name="s1", config=config, outputs=["o"])
        assert repr(first.run.config) == repr(second.run.config)
        assert len(positions(tracker, "values_recorded")) == 1


def test_values_in_the_views_that_are_not_those_of_the_log_are_noticed(here: Path) -> None:
    with tracker_of("provenance") as tracker:
        adapter = FolderAdapter(settings(6000))
        tracker.run(step, config=LARGE, outputs=["o"], adapter=adapter)
        assert tracker.run(step, config=LARGE, outputs=["o"], adapter=adapter).cache_hit  # without any warning
    with closing(sqlite3.connect("provenance.db")) as conn:
        changed = conn.execute("UPDATE runs SET fingerprint_info = replace(fingerprint_info, '7.5', '8.5')").rowcount
        conn.commit()
    assert changed
    with tracker_of("provenance") as tracker:
        with pytest.warns(consist.ConsistWarning, match="did not say what the log says"):
            again = tracker.run(step, config=LARGE, outputs=["o"], adapter=adapter)
        assert again.cache_hit
        infos = [row.fingerprint_info for row in rows(tracker) if row.fingerprint_info]
        values = [info.adapter["values"] for info in infos if info.adapter]
        assert [found["settings.json: coefficient_00007"] for found in values] == [7.5] * 3
