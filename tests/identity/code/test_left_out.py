"""The explicit ways to count code say with every hit what they leave out, and leave out just that."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consist_es import CacheOptions, ConsistWarning, Tracker
from consist_es.events import CacheHit
from consist_es.identity.code.modes import MODES
from consist_es.identity.left_out import left_out
from tests.support.cli import run as command
from tests.support.cli import run_json

FILE = """
import consist_es as consist
import left_out_helper

LIMIT = 1


class Rule:
    factor = 1


def helper():
    return 1


def step():
    out = consist.output_path("out", ext="txt")
    out.write_text(f"{LIMIT} {Rule.factor} {helper()} {left_out_helper.value()}")
    return out
"""
HELPER = "def value():\n    return 1\n"
EDITS = {
    "its own text": ("left_out_model.py", "    out.write_text", "    assert 1 < 2\n    out.write_text"),
    "constant": ("left_out_model.py", "LIMIT = 1", "LIMIT = 2"),
    "class": ("left_out_model.py", "factor = 1", "factor = 2"),
    "helper": ("left_out_model.py", "    return 1", "    return 2"),
    "module": ("left_out_helper.py", "return 1", "return 2"),
}
COUNTED = {
    "callable_source": {"its own text"},
    "callable_module": {"its own text", "constant", "class", "helper"},
    "repo_git": set(EDITS),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "left_out_model.py").write_text(FILE)
    (tmp_path / "left_out_helper.py").write_text(HELPER)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    yield tmp_path
    forget()


def forget() -> None:
    for name in ("left_out_model", "left_out_helper"):
        sys.modules.pop(name, None)


def loaded() -> Callable[[], Path]:
    forget()
    importlib.invalidate_caches()
    step: Callable[[], Path] = importlib.import_module("left_out_model").step
    return step


def opened() -> Tracker:
    return Tracker(run_dir="runs", db_path="provenance.db", sync="os")


def given(mode: str | None) -> dict[str, Any]:
    return {"outputs": ["out"], "cache_options": CacheOptions(code_identity=mode)}


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("mode", COUNTED)
def test_what_is_said_to_be_left_out_is_left_out_and_nothing_else(here: Path, mode: str, edit: str) -> None:
    file, before, after = EDITS[edit]
    with opened() as tracker:
        assert not tracker.run(loaded(), **given(mode)).cache_hit
        assert tracker.run(loaded(), **given(mode)).cache_hit
        text = (here / file).read_text()
        assert before in text
        (here / file).write_text(text.replace(before, after))
        assert tracker.run(loaded(), **given(mode)).cache_hit == (edit not in COUNTED[mode])


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
def test_what_git_ignores_is_left_out_as_is_said(here: Path) -> None:
    (here / ".gitignore").write_text("left_out_helper.py\n")
    subprocess.run(["git", "rm", "-q", "--cached", "left_out_helper.py"], cwd=here, check=True)
    with opened() as tracker:
        tracker.run(loaded(), **given("repo_git"))
        (here / "left_out_helper.py").write_text(HELPER.replace("1", "2"))
        hit = tracker.run(loaded(), **given("repo_git"))
        assert hit.cache_hit
        assert "files that git ignores" in hit.run.why().notes[0]


@pytest.mark.parametrize("mode", COUNTED)
def test_every_hit_says_what_did_not_count(here: Path, mode: str) -> None:
    said = left_out(mode)
    assert said.startswith(f"code_identity='{mode}': only the function")
    with opened() as tracker, tracker.scenario("base") as scenario:
        scenario.run(loaded(), **given(mode))
        for _ in range(2):
            with pytest.warns(ConsistWarning) as told:
                hit = scenario.run(loaded(), **given(mode))
            assert [str(item.message) for item in told] == [f"Step 'step' was reused: {said}."]
        assert hit.run.why().notes == [said]
        assert f"\n  {said}\n" in str(hit.run.why())
        assert hit.run.meta["cache_left_out"] == said
        forecast = scenario.forecast(loaded(), **given(mode))
        assert (forecast.verdict, forecast.left_out) == ("hit", said)
        assert f"\n  {said}" in str(forecast)
        events = [entry.event for entry in tracker.project.log.read()]
        assert [event.left_out for event in events if isinstance(event, CacheHit)] == [said] * 2
    assert command("audit", "base").stdout.replace("\n       ", " ").count(mode) >= 2
    assert run_json("why", hit.run.id)[0]["notes"] == [said]


def test_the_default_leaves_nothing_out_and_says_nothing(here: Path) -> None:
    with opened() as tracker:
        tracker.run(loaded(), **given(None))
        hit = tracker.run(loaded(), **given(None))
        assert (hit.cache_hit, hit.run.why().notes, "cache_left_out" in hit.run.meta) == (True, [], False)
        assert tracker.forecast(loaded(), **given(None)).left_out == ""


def test_a_git_mode_without_a_repository_is_the_default_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with opened() as tracker:
        tracker.run(plain, name="plain", **given("repo_git"))
        hit = tracker.run(plain, name="plain", **given("repo_git"))
        assert (hit.cache_hit, hit.run.why().notes) == (True, [])


def plain() -> Path:
    Path("out.txt").write_text("1")
    return Path("out.txt")


def test_every_mode_but_the_default_has_words() -> None:
    assert {mode for mode in MODES if left_out(mode)} == {*MODES} - {"imports"}


@pytest.mark.filterwarnings("ignore::consist_es.errors.ConsistWarning")
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "repo_git"])
def test_files_that_a_step_reads_by_itself_count_in_every_mode(here: Path, mode: str) -> None:
    text = FILE.replace("{LIMIT}", "{Path('rates.csv').read_text()}").replace(
        "import consist_es", "from pathlib import Path\n\nimport consist_es", 1
    )
    (here / "left_out_model.py").write_text(text)
    (here / "rates.csv").write_text("1")
    with opened() as tracker:
        tracker.run(loaded(), **given(mode))
        assert tracker.run(loaded(), **given(mode)).cache_hit
        (here / "rates.csv").write_text("2")
        missed = tracker.run(loaded(), **given(mode))
        assert (missed.cache_hit, missed.run.why().reason) == (False, "reads_changed")
