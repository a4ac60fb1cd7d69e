"""Runs recorded under version 1 of the fingerprint: they answer once the library is upgraded, for one new key each."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from consist_es import Tracker
from consist_es.events import CacheHit, Draft, Event, KeyCarriedOver, StepCompleted, StepStarted
from consist_es.project.project import Project

MODEL = '''
"""Steps of a small model, as version 1 of the fingerprint saw them."""

import functools
import os
from dataclasses import dataclass
from pathlib import Path

import helper

import consist_es as consist

RATE = 0.5
TABLE = {"car": 1.0, "bus": 2}


@dataclass(frozen=True)
class Settings:
    """Config of the last step."""

    growth: float
    modes: tuple[str, ...] = ("car",)


def write(key: str, text: object) -> Path:
    out = consist.output_path(key, ext="txt")
    out.write_text(f"{text}\\n")
    return out


@functools.lru_cache
def base() -> float:
    return helper.factor() * RATE


def prepare() -> Path:
    return write("zones", base())


def grow(zones: Path, rate: float) -> Path:
    return write("grown", float(zones.read_text()) * rate + TABLE["car"])


def choose(config: Settings, grown: Path) -> Path:
    return write("chosen", f"{grown.read_text()} {config.growth} {config.modes} {os.environ.get('REGION', 'north')}")
'''
HELPER = '''
"""Another module of the project."""

SCALE = [1, 2, 3]


def factor() -> float:
    return sum(SCALE)
'''
MAIN = '''
"""Runs the model and prints which steps were reused."""

import sys

from model import Settings, choose, grow, prepare

import consist_es as consist

tracker = consist.Tracker(run_dir="runs", db_path="provenance.db", carry_over="fresh" not in sys.argv)
with tracker.scenario("baseline") as sc:
    a = sc.run(fn=prepare, outputs=["zones"])
    b = sc.run(fn=grow, config={"rate": 1.1}, inputs={"zones": consist.ref(a, key="zones")}, outputs=["grown"])
    c = sc.run(fn=choose, config=Settings(1.5), inputs={"grown": consist.ref(b, key="grown")}, outputs=["chosen"])
print([result.run.why().reason for result in (a, b, c)])
'''
# What commit e6ad3fc, the last one with version 1, recorded for these very files.
RECORDED = {
    "prepare": "b3:c39bfd994ee568a11357ecfa12cf4c88fd57230037e8c03bc1c196bbb35eeef3",
    "grow": "b3:4fe05f3047dbe473cdeb91e5f8b9b06dc83e00d1bbbe612cf80c106a39b13168",
    "choose": "b3:d99a1f775bc1d4ae0624572e92a8b0e73b58487c6f57883c7fc37f88f67137fb",
}


def play(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "main.py", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The model, run once; its log says version 1."""
    for name, text in (("model", MODEL), ("helper", HELPER), ("main", MAIN)):
        (tmp_path / f"{name}.py").write_text(text.lstrip("\n"))
    play(tmp_path)
    as_version_1(tmp_path)
    return tmp_path


def as_version_1(folder: Path) -> None:
    """Record anew what the log says, as version 1 would have recorded it."""
    old = Project(folder / "provenance.db")
    keys: dict[str | None, str | None] = {}
    drafts = [
        Draft(_old(item.event, item.run, keys), scenario=item.scenario, run=item.run, id=item.id)
        for item in old.log.read()
        if isinstance(item.event, Event) and item.type != "writer_attached"
    ]
    old.close()
    shutil.rmtree(folder / "provenance.events")
    (folder / "provenance.db").unlink()
    new = Project(folder / "provenance.db")
    new.record(drafts, commit=True)
    new.close()


def _old(event: Event, run: str | None, keys: dict[str | None, str | None]) -> Event:
    if isinstance(event, StepStarted):
        keys[run] = event.fingerprint.before
        info = msgspec.structs.replace(event.fingerprint, version=1, digest=keys[run], before=None)
        return msgspec.structs.replace(event, fingerprint=info)
    if isinstance(event, StepCompleted):
        return msgspec.structs.replace(event, fingerprint=keys[run], reads=None)
    return event


def test_the_digest_of_version_1_is_what_that_version_recorded(project: Path) -> None:
    with Tracker(project / "runs", project / "provenance.db", access_mode="analysis") as tracker:
        found = {run.name: run.signature for run in tracker.find_runs() if run.kind == "run"}
    assert found == RECORDED


def test_runs_of_version_1_answer_and_say_so(project: Path) -> None:
    assert play(project) == str(["carried_over"] * 3)
    assert play(project) == str(["carried_over"] * 3)
    log = Project(project / "provenance.db", read_only=True)
    events = [item.event for item in log.log.read()]
    log.close()
    assert sum(isinstance(event, KeyCarriedOver) for event in events) == 3  # once each, not once a hit
    assert all(event.carried_over for event in events if isinstance(event, CacheHit))


def test_a_tracker_that_carries_nothing_over_computes(project: Path) -> None:
    assert "carried_over" not in play(project, "fresh")


def test_changed_work_is_not_carried_over(project: Path) -> None:
    model = project / "model.py"
    model.write_text(model.read_text().replace("RATE = 0.5", "RATE = 0.7"))
    assert "carried_over" not in play(project).split(",")[0]


def test_an_old_run_answers_for_one_new_key_only(tmp_path: Path) -> None:
    """Two keys that version 1 could not tell apart: the second one is computed."""
    project = Project(tmp_path / "p.db")
    project.record([Draft(KeyCarriedOver(fingerprint="b3:one", before="b3:old"))])
    project.record([Draft(KeyCarriedOver(fingerprint="b3:two", before="b3:old"))])
    from consist_es.projections import cache_index

    assert cache_index.carried_to(project.connection(), "b3:old") == "b3:one"
    assert cache_index.carried_to(project.connection(), "b3:other") is None
    project.close()
