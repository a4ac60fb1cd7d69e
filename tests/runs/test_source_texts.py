"""Source texts of steps' code: recorded once, masked, redactable, and shown as changed lines."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from consist_es import Tracker
from consist_es.events import SourceRecorded
from consist_es.execution import sources
from consist_es.projections import source_texts
from consist_es.runs.why import Why
from tests.support import cli

HELPER = """
RATE = 2
# before
def more(x):
    return x * RATE
def unused():
    return 1
"""
MODEL = """
import consist_es as consist
import text_helper

class Zone:
    def __init__(self, x):
        self.x = x
    def trips(self):
        return text_helper.more(self.x)

def rate(x):
    return x * 3

def step(x):
    password = "hunter2-hunter2"
    out = consist.output_path("o", "txt")
    out.write_text(f"{Zone(x).trips() + rate(x)}")
    return out
"""


class Project:
    """A model of two files that can be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts = {"text_helper": HELPER, "text_model": MODEL}
        self._write()

    def _write(self) -> None:
        for name, text in self.texts.items():
            (self.folder / f"{name}.py").write_text(text)
        for name in self.texts:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def edit(self, name: str, old: str, new: str) -> None:
        assert old in self.texts[name]
        self.texts[name] = self.texts[name].replace(old, new)
        self._write()

    @property
    def model(self) -> ModuleType:
        return importlib.import_module("text_model")

    def run(self, tracker: Tracker, x: int = 1) -> str:
        return tracker.run(self.model.step, config={"x": x}, outputs=["o"]).run.id


@pytest.fixture
def project(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # edits within one second
    monkeypatch.syspath_prepend(str(here))
    yield Project(here)
    for name in ("text_helper", "text_model"):
        sys.modules.pop(name, None)


def recorded(tracker: Tracker) -> dict[str, str]:
    """Part -> its recorded text."""
    found = [entry.event for entry in tracker.project.log.read()]
    return {event.part: event.text for event in found if isinstance(event, SourceRecorded)}


def account(tracker: Tracker, run: str) -> Why:
    found = tracker.get_run(run)
    assert found is not None
    return found.why()


def changes(tracker: Tracker, run: str) -> dict[str, list[str]]:
    found = account(tracker, run).source_changes
    return {change.part: [line for line in change.lines if line[:1] in "+-"] for change in found}


def test_why_shows_the_lines_of_a_function_that_changed(project: Project, tracker: Tracker) -> None:
    project.run(tracker)
    project.edit("text_model", "return x * 3", "return x * 4")
    run = project.run(tracker)
    assert changes(tracker, run) == {"text_model.py:rate": ["-    return x * 3", "+    return x * 4"]}
    text = str(account(tracker, run))
    assert (
        "text_model.py:rate:\n    @@ -1,2 +1,2 @@\n     def rate(x):\n    -    return x * 3\n    +    return x * 4"
        in text
    )


def test_a_method_a_class_and_an_imported_file_show_their_own_lines(project: Project, tracker: Tracker) -> None:
    project.run(tracker)
    project.edit("text_model", "more(self.x)", "more(self.x + 1)")
    assert changes(tracker, project.run(tracker)) == {
        "text_model.py:Zone.trips": [
            "-    return text_helper.more(self.x)",
            "+    return text_helper.more(self.x + 1)",
        ]
    }
    project.edit("text_helper", "return x * RATE", "return x + RATE")
    assert changes(tracker, project.run(tracker)) == {
        "text_helper.py": ["-    return x * RATE", "+    return x + RATE"]
    }


def test_changed_lines_can_be_read_however_they_are_written(project: Project, tracker: Tracker) -> None:
    project.texts["text_helper"] = f"def more(x):\n\tif x:\n\t\treturn x\n\treturn [{'1, ' * 5000}][x] + 1\n"
    project._write()
    project.run(tracker)
    project.edit("text_helper", "\t\treturn x\n", "\t\treturn 2 * x\n")
    run = project.run(tracker)
    assert changes(tracker, run) == {"text_helper.py": ["-        return x", "+        return 2 * x"]}
    (change,) = account(tracker, run).source_changes
    assert "     if x:" in change.lines
    assert max(map(len, change.lines)) <= 300


def test_a_change_is_shown_once_where_it_says_most(project: Project, tracker: Tracker) -> None:
    project.edit("text_model", "class Zone:\n", "class Zone:\n    size = 1\n")
    project.run(tracker)
    project.edit("text_model", "size = 1", "size = 2")
    run = project.run(tracker)
    assert changes(tracker, run) == {"text_model.py:Zone": ["-    size = 1", "+    size = 2"]}
    project.edit("text_model", "size = 2", "size = 3")
    project.edit("text_model", "def rate(x):\n    return x * 3", "def rate(x):\n    return x * 4")
    run = project.run(tracker)
    assert changes(tracker, run).keys() == {"text_model.py:Zone", "text_model.py:rate"}


def test_a_text_is_recorded_once_whoever_computes(project: Project, tracker: Tracker, here: Path) -> None:
    project.run(tracker)
    before = recorded(tracker)
    assert {"text_model.py:step", "text_model.py:rate", "text_helper.py"} <= before.keys()
    project.run(tracker, x=2)
    project.run(tracker, x=2)  # a hit
    with Tracker(tracker.run_dir, tracker.db_path) as other:
        project.run(other, x=3)
    assert recorded(tracker) == before
    count = [entry for entry in tracker.project.log.read() if isinstance(entry.event, SourceRecorded)]
    assert len(count) == len(before)


def test_secrets_in_the_code_are_masked(project: Project, tracker: Tracker) -> None:
    project.run(tracker)
    assert "hunter2" not in "".join(recorded(tracker).values())
    assert "$masked:" in recorded(tracker)["text_model.py:step"]
    project.edit("text_model", "hunter2-hunter2", "hunter3-hunter3")
    lines = changes(tracker, project.run(tracker))["text_model.py:step"]
    assert len(lines) == 2
    assert all("$masked:" in line and "hunter" not in line for line in lines)


def test_nothing_is_recorded_where_it_is_turned_off(project: Project, here: Path) -> None:
    def kept(**options: object) -> bool:
        with Tracker(here / f"runs-{options}", **options) as tracker:  # type: ignore[arg-type]
            project.run(tracker)
            return bool(recorded(tracker))

    assert kept()
    assert not kept(record_source=False)
    assert not kept(trusted_writers=["anna"])
    assert kept(trusted_writers=["anna"], record_source=True)


def test_files_outside_the_project_and_very_long_ones_are_left_out(
    project: Project, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "inside").mkdir()
    with Tracker(here / "one", project_root=here / "inside") as tracker:
        project.run(tracker)
        assert recorded(tracker) == {}
    monkeypatch.setattr(sources, "LONGEST", 60)
    with Tracker(here / "two") as tracker:
        project.run(tracker)
        assert "text_model.py:rate" in recorded(tracker)
        assert not {"text_model.py:step", "text_helper.py"} & recorded(tracker).keys()
    monkeypatch.setattr(sources, "LONGEST", 10_000)
    monkeypatch.setattr(sources, "MOST", 0)
    with Tracker(here / "three") as tracker:
        project.run(tracker)
        assert recorded(tracker) == {}


def test_a_redacted_text_is_gone_and_is_not_recorded_again(project: Project, tracker: Tracker, here: Path) -> None:
    project.run(tracker)
    (position,) = [
        entry.seq
        for entry in tracker.project.log.read()
        if isinstance(entry.event, SourceRecorded) and entry.event.part == "text_model.py:rate"
    ]
    tracker.project.redact([position], "a formula of a client")
    project.edit("text_model", "return x * 3", "return x * 4")
    run = project.run(tracker)
    assert changes(tracker, run) == {}
    project.edit("text_model", "return x * 4", "return x * 3")
    with Tracker(tracker.run_dir, tracker.db_path) as other:
        project.run(other, x=5)
        assert "return x * 3" not in "".join(recorded(other).values())
        held = source_texts.texts(other.project.connection(), list(account(other, run).nearest or ""))
        assert "return x * 3" not in repr(held)
    content = b"".join(path.read_bytes() for path in here.rglob("*") if path.is_file() and "runs" not in path.parts)
    assert b"return x * 4" in content
    assert content.count(b"return x * 3") == 1, "in the model itself alone"
    tracker.project.views.rebuild(target=here / "again.db")
    assert tracker.project.views.compare(here / "again.db") == {}


def test_runs_of_a_log_without_texts_are_explained_as_before(project: Project, here: Path) -> None:
    with Tracker(here / "runs", record_source=False) as tracker:
        project.run(tracker)
    project.edit("text_model", "return x * 3", "return x * 4")
    with Tracker(here / "runs") as tracker:
        why = account(tracker, project.run(tracker))
        assert (why.differs, why.source_changes) == (["code of text_model.py:rate: changed"], [])


def test_a_long_change_is_cut_and_says_so(project: Project, tracker: Tracker) -> None:
    project.run(tracker)
    project.edit("text_model", "return x * 3", "\n    ".join([*(f"y{i} = {i}" for i in range(90)), "return x"]))
    (change,) = account(tracker, project.run(tracker)).source_changes
    assert (len(change.lines), change.more) == (40, 54)
    assert "… and 54 more lines" in str(account(tracker, "step#2"))


def test_the_commands_show_the_lines(project: Project, tracker: Tracker) -> None:
    project.run(tracker)
    project.edit("text_model", "return x * 3", "return x * 4")
    project.run(tracker)
    for words in (["why", "step#2"], ["show", "step#2"], ["diff", "step#1", "step#2"]):
        text = cli.run(*words, "--project", tracker.db_path, code=None).stdout
        assert "-    return x * 3\n" in text, words
        assert "+    return x * 4\n" in text, words
        said = json.loads(cli.run(*words, "--json", "--project", tracker.db_path, code=None).stdout)
        (change,) = said["source_changes"]
        assert (change["part"], change["more"]) == ("text_model.py:rate", 0), words
